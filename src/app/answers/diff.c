/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb diff: what another file would open and close. Needs no root and no engine. */
#include "app/answers/changes.h"
#include "app/answers/preview.h"
#include "app/console/say.h"
#include "app/console/verbs.h"

struct side {
	struct texts text;
	struct generation generation;
	struct pass pass; /* compiled */
};

static bool open_side(struct side *side, const struct options *o, const char *path)
{
	struct options of = *o;

	of.config = path;
	of.quiet = true; /* warnings are check's business */
	if (!load_file(&side->generation, &side->text, &of))
		return false;
	pass_compile(&side->pass, &of, &side->generation);
	return true;
}

static void close_side(struct side *side)
{
	pass_release(&side->pass);
	generation_release(&side->generation);
	texts_free(&side->text);
}

static void print(struct buf *out, const struct options *o, const struct flow_changes *changes,
		  const struct side *after)
{
	if (o->json) {
		buf_puts(out, "{\n");
		changes_print_json(out, changes);
		buf_puts(out, "\n}\n");
		return;
	}
	if (o->quiet)
		return;
	changes_print(out, changes, CHANGES_MOST);
	list_each (finding, &after->pass.plan.findings.list)
		if (finding->kind == FINDING_WAITING)
			buf_printf(out, "waiting %s: %s\n", finding->subject, finding->text);
}

int verb_diff(const struct options *o)
{
	AUTO_BUF struct buf out = {0};
	struct side sides[2] = {0};
	struct flow_changes changes;
	int status = EXIT_FAILED;

	if (open_side(&sides[0], o, o->arguments[0]) && open_side(&sides[1], o, o->arguments[1])) {
		changes_find(&changes, &sides[0].generation, &sides[0].pass.want,
			     &sides[1].generation, &sides[1].pass.want);
		print(&out, o, &changes, &sides[1]);
		say_page(stdout, &out);
		status = changes.list.n ? EXIT_CHANGES : EXIT_FINE;
		changes_release(&changes);
	}
	close_side(&sides[0]);
	close_side(&sides[1]);
	return status;
}
