/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/last_good.h"

#include "edge/host/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *beside_state(struct arena *a, const struct options *o, const char *name)
{
	const char *slash = strrchr(o->state, '/');

	return slash ? arena_printf(a, "%.*s/%s", (int)(slash - o->state), o->state, name) : name;
}

const char *last_good_path(struct arena *a, const struct options *o)
{
	return beside_state(a, o, "last-good.json");
}

static const char *proposed_path(struct arena *a, const struct options *o)
{
	return beside_state(a, o, "last-good.next");
}

static bool read_last_good(struct texts *texts, const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	struct error err = {0};

	return file_read(&texts->bytes, last_good_path(&a, o), TEXTS_MAX_BYTES, &err);
}

bool last_good_is(const struct options *o, uint64_t digest)
{
	AUTO_TEXTS struct texts texts = {0};

	return read_last_good(&texts, o) && texts_digest(&texts) == digest;
}

struct generation *last_good_load(const struct options *o)
{
	AUTO_TEXTS struct texts texts = {0};
	struct error err = {0};
	struct generation *g;

	if (!read_last_good(&texts, o))
		return NULL;
	texts_split(&texts);
	g = xmalloc(sizeof(*g));
	if (generation_load(g, o->config, &texts, &err))
		return g;
	generation_release(g);
	free(g);
	return NULL;
}

bool last_good_propose(const struct options *o, const struct texts *texts, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};

	return file_replace(proposed_path(&a, o), buf_text(&texts->bytes), texts->bytes.len, 0600,
			    err);
}

bool last_good_accept(const struct options *o, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	const char *path = last_good_path(&a, o);

	return rename(proposed_path(&a, o), path) == 0 || error_set(err, errno, "replace %s", path);
}

bool last_good_forget(const struct options *o, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	const char *const paths[] = {proposed_path(&a, o), last_good_path(&a, o)};

	for (size_t i = 0; i < COUNT_OF(paths); i++)
		if (unlink(paths[i]) < 0 && errno != ENOENT)
			return error_set(err, errno, "remove %s", paths[i]);
	return true;
}
