/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb diff: what another file would open and close. Needs no root and no engine. */
#include "app/pass/pass.h"
#include "app/say.h"
#include "app/verbs.h"
#include "core/reach/words.h"

struct side {
	struct buf text;
	struct generation generation;
	struct pass pass; /* compiled */
	struct reach reach;
};

static bool open_side(struct side *side, struct reach_pool *pool, const struct options *o,
		      const char *path)
{
	struct options of = *o;

	of.config = path;
	of.quiet = true; /* it is about what changes: check tells the rest */
	if (!load_file(&side->generation, &side->text, &of))
		return false;
	pass_compile(&side->pass, &of, &side->generation);
	reach_build(&side->reach, pool, &side->generation.config, &side->generation.resolution,
		    &side->pass.want);
	return true;
}

static void close_side(struct side *side)
{
	pass_release(&side->pass);
	generation_release(&side->generation);
	buf_free(&side->text);
}

static const struct reach *reach_of(const struct change *change, const struct side sides[2])
{
	return &sides[change->opens].reach;
}

static void print_text(struct buf *out, const change_list *changes, bool all,
		       const struct side sides[2])
{
	if (!changes->n)
		buf_puts(out, "the same flows\n");
	list_each (change, changes) {
		print_change(out, reach_of(change, sides), change);
		buf_puts(out, "\n");
	}
	if (!all)
		buf_printf(out, "… and more: only the first %u are listed\n", changes->n);
	list_each (finding, &sides[1].pass.plan.findings.list)
		if (finding->kind == FINDING_WAITING)
			buf_printf(out, "waiting %s: %s\n", finding->subject, finding->text);
}

static void print_json(struct buf *out, const change_list *changes, bool all,
		       const struct side sides[2])
{
	const char *comma = "\n";

	buf_printf(out, "{\n  \"same\": %s,\n  \"complete\": %s,\n  \"changes\": [",
		   changes->n ? "false" : "true", all ? "true" : "false");
	list_each (change, changes) {
		buf_puts(out, comma);
		buf_puts(out, "    ");
		print_change_json(out, reach_of(change, sides), change);
		comma = ",\n";
	}
	buf_puts(out, "\n  ]\n}\n");
}

int verb_diff(const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf out = {0};
	struct side sides[2] = {0};
	struct reach_pool pool;
	change_list changes = {0};
	int status = EXIT_FAILED;

	reach_pool_init(&pool, &a);
	if (open_side(&sides[0], &pool, o, o->arguments[0]) &&
	    open_side(&sides[1], &pool, o, o->arguments[1])) {
		bool all = reach_diff(&changes, &a, &sides[0].reach, &sides[1].reach);

		if (o->json)
			print_json(&out, &changes, all, sides);
		else if (!o->quiet)
			print_text(&out, &changes, all, sides);
		say_page(stdout, &out);
		status = changes.n ? EXIT_CHANGES : EXIT_FINE;
	}
	close_side(&sides[0]);
	close_side(&sides[1]);
	return status;
}
