/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb test: the file's own tests, by the file alone, or by packets on this host, too. */
#include "app/answers/packet.h"
#include "app/answers/preview.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "base/foreign.h"
#include "core/answers/tests.h"

/* The result of one test. */
struct outcome_of_test {
	const struct flow_test *test;
	uint32_t index;
	struct test_result file;
	LIST(struct test_try) tries;
	bool all;	     /* there are no more that could be tried */
	uint32_t n_sent;     /* about so many the kernel told something */
	const char *unsent;  /* why one of them was not; NULL: all were */
	const char *refuted; /* by this host; NULL: it is not */
};

struct testing {
	const struct options *options;
	const struct generation *generation;
	struct look *look; /* NULL: by the file alone */
	struct arena a;
	struct tested tested; /* what the file alone says */
	uint32_t n_failed, n_sent, n_untried;
};

static bool holds(const struct outcome_of_test *o)
{
	return o->file.holds && !o->refuted;
}

/* --- on this host --- */

static void walk(struct look *look, struct test_try *try)
{
	reach_walk(&try->path, &look->a, &look->reach, &look->pass.view.facts,
		   &look->pass.view.seen, &try->flow);
}

static bool try_flow(struct testing *t, struct outcome_of_test *o, const struct reach_flow *flow,
		     struct error *err)
{
	struct look *look = t->look;
	struct test_try *try = list_add(&look->a, &o->tries);

	*try = (struct test_try){.flow = *flow};
	walk(look, try);
	if (!packet_send(&try->traced, look, flow, false, err))
		return false;
	if (try->traced.goes_otherwise) { /* nobody there connects so */
		o->tries.n--;
		return true;
	}
	if (reach_test_differs(try) && !packet_read_rules(&try->traced, look, err))
		return false;
	if (traced_verdict(&try->traced) != TRACED_UNKNOWN)
		o->n_sent++;
	else
		o->unsent = try->traced.unsent ? try->traced.unsent
					       : traced_end(&look->a, &try->traced);
	if (!o->refuted)
		o->refuted = reach_test_refuted(&look->a, &look->reach, o->test, try);
	return true;
}

/* Where nobody here can try it, what is known of the host counts. */
static void judge_unsent(struct testing *t, struct outcome_of_test *o)
{
	struct look *look = t->look;
	const struct view *view = &look->pass.view;
	struct test_try *try;
	struct reach_flow flow;

	o->unsent = "nothing that runs here can send such a packet";
	if (!reach_test_example(&flow, &look->a, &look->reach, &view->engine, o->test))
		return;
	try = list_add(&look->a, &o->tries);
	*try = (struct test_try){.flow = flow, .traced.unsent = o->unsent};
	walk(look, try);
	o->refuted = reach_test_refuted(&look->a, &look->reach, o->test, try);
}

static bool try_test(struct testing *t, struct outcome_of_test *o, struct error *err)
{
	struct look *look = t->look;
	flow_list flows = {0};

	o->all = reach_test_tries(&flows, &look->a, &look->reach, &look->pass.view.engine, o->test);
	list_each (flow, &flows)
		if (!try_flow(t, o, flow, err))
			return false;
	if (!o->tries.n)
		judge_unsent(t, o);
	t->n_sent += o->n_sent;
	t->n_untried += !o->n_sent;
	return true;
}

/* --- for people --- */

static void print_packets(struct buf *out, const struct outcome_of_test *o)
{
	if (o->n_sent)
		buf_printf(out, "; the kernel agrees, by %u packet%s", o->n_sent,
			   o->n_sent == 1 ? "" : "s");
	if (!o->all)
		buf_puts(out, ", and more were possible");
	if (o->unsent)
		buf_printf(out, "; %s: %s",
			   o->n_sent ? "another was not sent" : "the kernel was not asked",
			   o->unsent);
}

static void print_outcome(struct buf *out, const struct testing *t, const struct outcome_of_test *o)
{
	buf_printf(out, "%s tests[%u]: %s is %s", holds(o) ? "ok    " : "FAILED", o->index,
		   o->file.what, expect_name(o->test->expect));
	if (!o->file.holds)
		buf_printf(out, ": %s", o->file.why);
	if (o->refuted)
		buf_printf(out, ": %s", o->refuted);
	else if (t->look && o->file.holds)
		print_packets(out, o);
	buf_puts(out, "\n");
}

static void print_end(struct buf *out, const struct testing *t)
{
	uint32_t n = t->generation->config.tests.n;

	buf_printf(out, "%u test%s, %u failed", n, n == 1 ? "" : "s", t->n_failed);
	if (t->look)
		buf_printf(out, "; %u packet%s sent, none for %u test%s", t->n_sent,
			   t->n_sent == 1 ? "" : "s", t->n_untried, t->n_untried == 1 ? "" : "s");
	buf_puts(out, "\n");
	if (t->look && t->n_failed && t->look->pass.plan.steps.n)
		buf_puts(out, "the host is not as the file says, see harborwall plan\n");
}

/* --- for programs --- */

static void print_try_json(struct buf *out, struct testing *t, const struct test_try *try)
{
	const struct reach_flow *flow = &try->flow;

	buf_json_member(out, "      {", "flow", reach_flow_text(&t->a, &t->look->reach, flow));
	buf_json_member(out, ", ", "source",
			flow->src.family && flow->in != REACH_IN_LOCAL ? ip_format(flow->src).s
								       : "host");
	buf_json_member(out, ", ", "destination",
			flow->dst.family ? ip_format(flow->dst).s : "host");
	buf_json_member(out, ", ", "protocol", protocol_common_name(flow->proto));
	buf_printf(out, ", \"port\": %u, \"answer\": \"%s\", \"expected\": \"%s\"", flow->port,
		   try->path.allowed ? "open" : "closed",
		   traced_verdicts[traced_expected(&try->path)]);
	buf_json_member(out, ", ", "kernel", traced_verdicts[traced_verdict(&try->traced)]);
	if (try->traced.unsent)
		buf_json_member(out, ", ", "unsent", try->traced.unsent);
	else
		buf_json_member(out, ", ", "end", traced_end(&t->a, &try->traced));
	buf_puts(out, "}");
}

static void print_tries_json(struct buf *out, struct testing *t, const struct outcome_of_test *o)
{
	const char *comma = "\n";

	buf_printf(out, ", \"complete\": %s, \"packets\": [", o->all ? "true" : "false");
	list_each (try, &o->tries) {
		buf_puts(out, comma);
		print_try_json(out, t, try);
		comma = ",\n";
	}
	buf_puts(out, "]");
}

static void print_outcome_json(struct buf *out, struct testing *t, const struct outcome_of_test *o)
{
	buf_printf(out, "%s    {\"test\": %u, \"line\": %u", o->index ? ",\n" : "\n", o->index,
		   o->test->line);
	buf_json_member(out, ", ", "flow", o->file.what);
	buf_printf(out, ", \"expect\": \"%s\", \"holds\": %s", expect_name(o->test->expect),
		   holds(o) ? "true" : "false");
	if (!holds(o))
		buf_json_member(out, ", ", "why", o->file.holds ? o->refuted : o->file.why);
	if (t->look)
		print_tries_json(out, t, o);
	buf_puts(out, "}");
}

/* --- the verb --- */

static bool run_test(struct testing *t, struct buf *out, const struct flow_test *test,
		     struct error *err)
{
	struct outcome_of_test o = {.test = test,
				    .index = (uint32_t)(test - t->generation->config.tests.items)};

	reach_test(&o.file, &t->a, &t->tested.reach, &t->tested.facts, test);
	if (t->look && !try_test(t, &o, err))
		return false;
	t->n_failed += !holds(&o);
	if (t->options->json)
		print_outcome_json(out, t, &o);
	else if (!holds(&o) || !t->options->quiet)
		print_outcome(out, t, &o);
	return true;
}

static int run_tests(struct testing *t, struct error *err)
{
	AUTO_BUF struct buf out = {0};
	bool json = t->options->json;

	generation_reach(&t->tested, &t->a, t->generation);
	buf_puts(&out, json ? "{\n  \"tests\": [" : "");
	list_each (test, &t->generation->config.tests)
		if (!run_test(t, &out, test, err))
			return say_failed(err);
	if (json)
		buf_printf(&out, "\n  ],\n  \"failed\": %u\n}\n", t->n_failed);
	else if (!t->options->quiet)
		print_end(&out, t);
	say_page(stdout, &out);
	return t->n_failed ? EXIT_CHANGES : EXIT_FINE;
}

static int test_by_packets(const struct options *o)
{
	struct testing t = {.options = o};
	struct error err = {0};
	struct look look;
	int status;

	if (!look_open_untested(&look, o))
		return EXIT_FAILED;
	t.generation = &look.generation;
	t.look = &look;
	status = packet_is_possible(&look, "--packets", &err) ? run_tests(&t, &err)
							      : say_failed(&err);
	arena_release(&t.a);
	look_close(&look);
	return status;
}

static int test_by_file(const struct options *o)
{
	AUTO_TEXTS struct texts text = {0};
	struct testing t = {.options = o};
	struct error err = {0};
	struct generation g;
	int status;

	if (!load_untested(&g, &text, o))
		return EXIT_FAILED;
	t.generation = &g;
	status = run_tests(&t, &err);
	arena_release(&t.a);
	generation_release(&g);
	return status;
}

int verb_test(const struct options *o)
{
	return o->packets ? test_by_packets(o) : test_by_file(o);
}
