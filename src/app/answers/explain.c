/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb explain: would this connection pass, and why. On this host where it can be looked at,
 * else by the file alone.
 */
#include "core/reach/explain.h"

#include "app/answers/packet.h"
#include "app/pass/pass.h"
#include "app/say.h"
#include "app/verbs.h"
#include "core/reach/question.h"

#include <string.h>
#include <unistd.h>

struct answering {
	const struct options *options;
	struct arena a;
	struct generation generation;
	struct world world;
	struct pass pass;
	bool live; /* the host was looked at */
	struct reach_pool pool;
	struct reach reach;
};

/* Without an engine nothing is enforced that could be looked at. */
static bool look(struct answering *x, struct error *err)
{
	if (geteuid() || x->options->engine)
		return false;
	return world_open(&x->world, x->options, err) &&
	       pass_plan(&x->pass, &x->world, &x->generation, err);
}

/* False: a packet is to be sent, but nothing is known of the host. */
static bool prepare(struct answering *x, struct error *err)
{
	x->live = look(x, err);
	if (!x->live && x->options->packet)
		return err->text[0] ? error_wrap(err, "--packet asks this host's kernel")
				    : error_set(err, -1, "--packet asks this host's kernel: %s",
						x->options->engine ? "it does not go with --engine"
								   : "run it as root");
	if (!x->live) {
		pass_release(&x->pass);
		pass_compile(&x->pass, x->options, &x->generation);
		if (!x->options->quiet && !x->options->engine)
			say_error("note: by the file alone: %s",
				  err->text[0] ? err->text : "only root can look at the host");
		*err = (struct error){0};
	}
	reach_pool_init(&x->pool, &x->a);
	reach_build(&x->reach, &x->pool, &x->generation.config, &x->generation.resolution,
		    &x->pass.want);
	return true;
}

static bool find_end(struct answering *x, struct reach_end *end, const char *text,
		     struct error *err)
{
	const struct engine *engine = &x->pass.view.engine;

	if (question_end(end, &x->a, &x->reach, engine, text))
		return true;
	if (x->live && strlen(text) < 16 &&
	    world_has_interface(&x->world, &(struct named_interface){.name = text}))
		return true; /* one that no policy names: as any other */
	question_unknown(err, &x->reach, engine, text);
	return false;
}

static bool ask_kernel(struct answering *x, struct explanation *told, struct traced *traced,
		       struct error *err)
{
	if (!x->options->packet)
		return true;
	told->traced = traced;
	return packet_try(traced, &x->a, &x->world, &x->pass, &x->reach, &told->flow, err);
}

static int answer(struct answering *x, struct error *err)
{
	AUTO_BUF struct buf out = {0};
	const char *const *words = x->options->arguments;
	struct traffic match;
	struct reach_query query = {.matches = &match, .n_matches = 1};
	struct explanation told;
	struct traced traced;

	if (!find_end(x, &query.from, words[0], err) || !find_end(x, &query.to, words[1], err) ||
	    !question_traffic(&match, words[2], err))
		return say_failed(err);
	if (!explain(&told, &x->a, &x->reach, &x->pass.view.facts,
		     x->live ? &x->pass.view.seen : NULL, &query)) {
		say_error("no packet goes from %s to %s: %s", words[0], words[1],
			  "they have no addresses, or no interface leads from one to the other");
		return EXIT_FAILED;
	}
	if (!ask_kernel(x, &told, &traced, err))
		return say_failed(err);
	if (x->options->json)
		explain_print_json(&out, &told);
	else if (!x->options->quiet)
		explain_print(&out, &told);
	say_page(stdout, &out);
	if (explain_is_refuted(&told))
		return EXIT_FAILED;
	return explain_passes(&told) ? EXIT_FINE : EXIT_CHANGES;
}

int verb_explain(const struct options *o)
{
	AUTO_BUF struct buf text = {0};
	struct answering x = {.options = o};
	struct options quiet = *o;
	struct error err = {0};
	int status;

	quiet.quiet = true; /* check tells the warnings */
	if (!load_file(&x.generation, &text, &quiet))
		return EXIT_FAILED;
	status = prepare(&x, &err) ? answer(&x, &err) : say_failed(&err);
	pass_release(&x.pass);
	if (!geteuid() && !o->engine)
		world_close(&x.world);
	generation_release(&x.generation);
	arena_release(&x.a);
	return status;
}
