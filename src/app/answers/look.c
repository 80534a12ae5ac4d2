/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/answers/look.h"

#include "app/answers/preview.h"
#include "app/console/say.h"
#include "core/answers/question.h"

#include <net/if.h>
#include <string.h>
#include <unistd.h>

static bool look_at_host(struct look *look, struct error *err)
{
	if (look->options->engine)
		return false;
	if (geteuid())
		return error_set(err, -1, "only root can read the host's state");
	look->opened = true;
	return world_open(&look->world, look->options, err) &&
	       pass_plan(&look->pass, &look->world, &look->generation, err);
}

static bool open_look(struct look *look, const struct options *options, bool with_tests)
{
	AUTO_TEXTS struct texts text = {0};
	struct options quiet = *options;
	struct error err = {0};

	*look = (struct look){.options = options};
	quiet.quiet = true; /* check tells the warnings */
	if (!(with_tests ? load_file : load_untested)(&look->generation, &text, &quiet))
		return false;
	look->live = look_at_host(look, &err);
	if (!look->live) {
		pass_release(&look->pass);
		pass_compile(&look->pass, options, &look->generation);
		if (!options->quiet && err.text[0])
			say_error("note: answered from the file alone: %s", err.text);
	}
	reach_pool_init(&look->pool, &look->a);
	reach_build(&look->reach, &look->pool, &look->generation.config,
		    &look->generation.resolution, &look->pass.want);
	return true;
}

bool look_open(struct look *look, const struct options *options)
{
	return open_look(look, options, true);
}

bool look_open_untested(struct look *look, const struct options *options)
{
	return open_look(look, options, false);
}

void look_close(struct look *look)
{
	pass_release(&look->pass);
	if (look->opened)
		world_close(&look->world);
	generation_release(&look->generation);
	arena_release(&look->a);
}

bool look_has_interface(struct look *look, const char *name)
{
	return reach_interface(&look->pool, name) != REACH_IN_OTHER ||
	       (look->live && strlen(name) < IF_NAMESIZE &&
		world_has_interface(&look->world, &(struct named_interface){.name = name}));
}

bool look_end(struct look *look, struct reach_end *end, const char *text, struct error *err)
{
	const struct engine *engine = &look->pass.view.engine;

	if (question_end(end, &look->a, &look->reach, engine, text))
		return true;
	if (look_has_interface(look, text))
		return true; /* one that no policy names: as any other */
	question_unknown(err, &look->reach, engine, text);
	return false;
}
