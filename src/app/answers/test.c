/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb test: the file's own tests, by the file alone. */
#include "app/answers/preview.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "app/pass/pass.h"
#include "base/foreign.h"
#include "core/reach/tests.h"

static void print_result(struct buf *out, const struct test_result *r, uint32_t i, bool open)
{
	buf_printf(out, "%s tests[%u]: %s is %s", r->holds ? "ok    " : "FAILED", i, r->what,
		   open ? "open" : "closed");
	if (!r->holds)
		buf_printf(out, ": %s", r->why);
	buf_puts(out, "\n");
}

static void print_json(struct buf *out, const struct flow_test *t, const struct test_result *r,
		       uint32_t i)
{
	buf_printf(out, "%s    {\"test\": %u, \"line\": %u, \"flow\": ", i ? ",\n" : "\n", i,
		   t->line);
	buf_json_string(out, r->what);
	buf_printf(out, ", \"expect\": \"%s\", \"holds\": %s", t->open ? "open" : "closed",
		   r->holds ? "true" : "false");
	if (!r->holds) {
		buf_puts(out, ", \"why\": ");
		buf_json_string(out, r->why);
	}
	buf_puts(out, "}");
}

static uint32_t run_tests(struct buf *out, const struct generation *g, const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	struct tested tested;
	uint32_t failed = 0;

	generation_reach(&tested, &a, g);
	buf_puts(out, o->json ? "{\n  \"tests\": [" : "");
	list_each (t, &g->config.tests) {
		uint32_t i = (uint32_t)(t - g->config.tests.items);
		struct test_result r;

		reach_test(&r, &a, &tested.reach, &tested.facts, NULL, NULL, t);
		failed += !r.holds;
		if (o->json)
			print_json(out, t, &r, i);
		else if (!r.holds || !o->quiet)
			print_result(out, &r, i, t->open);
	}
	if (o->json)
		buf_printf(out, "\n  ],\n  \"failed\": %u\n}\n", failed);
	else if (!o->quiet)
		buf_printf(out, "%u tests, %u failed\n", g->config.tests.n, failed);
	return failed;
}

int verb_test(const struct options *o)
{
	AUTO_TEXTS struct texts text = {0};
	AUTO_BUF struct buf out = {0};
	struct generation g;
	uint32_t failed;

	if (!load_untested(&g, &text, o))
		return EXIT_FAILED;
	failed = run_tests(&out, &g, o);
	say_page(stdout, &out);
	generation_release(&g);
	return failed ? EXIT_CHANGES : EXIT_FINE;
}
