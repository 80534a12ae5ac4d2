/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb explain: would this connection pass, and why. */
#include "core/answers/explain.h"

#include "app/answers/look.h"
#include "app/answers/packet.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "core/answers/question.h"

/* In each family that was asked about, with a packet of its own. */
static bool ask_kernel(struct look *look, struct explanation *told,
		       struct traced traced[N_FAMILIES], struct error *err)
{
	if (!look->options->packet)
		return true;
	if (!packet_is_possible(look, "--packet", err))
		return false;
	for (uint32_t i = 0; i < told->n; i++) {
		told->parts[i].traced = &traced[i];
		if (!packet_send(&traced[i], look, &told->parts[i].flow, told->query->borrowed,
				 err) ||
		    !packet_read_rules(&traced[i], look, err))
			return false;
	}
	return true;
}

/* --in: a source counts only where it is at home, and this asks what becomes of it elsewhere. */
static bool take_interface(struct reach_query *query, struct look *look, struct error *err)
{
	const char *name = look->options->in;

	if (!name)
		return true;
	if (query->from.kind != END_PEERS)
		return error_set(err, -1, "--in takes a source that has addresses, not %s",
				 query->from.name);
	if (!look_has_interface(look, name))
		return error_set(err, -1, "there is no interface %s", name);
	query->borrowed = true;
	query->in = reach_add_interface(&look->pool, name);
	return true;
}

static int answer(struct look *look, struct error *err)
{
	AUTO_BUF struct buf out = {0};
	const char *const *words = look->options->arguments;
	struct traffic match;
	struct reach_query query = {.matches = &match, .n_matches = 1};
	struct explanation told;
	struct traced traced[N_FAMILIES];

	if (!look_end(look, &query.from, words[0], err) ||
	    !look_end(look, &query.to, words[1], err) || !question_traffic(&match, words[2], err) ||
	    !take_interface(&query, look, err))
		return say_failed(err);
	if (!explain(&told, &look->a, &look->reach, &look->pass.view.facts,
		     look->live ? &look->pass.view.seen : NULL, &query)) {
		say_error("no packet can go from %s to %s: %s", words[0], words[1],
			  "they have no addresses, or no route from one to the other");
		return EXIT_FAILED;
	}
	if (!ask_kernel(look, &told, traced, err))
		return say_failed(err);
	if (look->options->json)
		explain_print_json(&out, &told);
	else if (!look->options->quiet)
		explain_print(&out, &told);
	say_page(stdout, &out);
	if (explain_is_refuted(&told))
		return EXIT_FAILED;
	return explain_passes(&told) ? EXIT_FINE : EXIT_CHANGES;
}

int verb_explain(const struct options *o)
{
	struct look look;
	struct error err = {0};
	int status;

	if (!look_open(&look, o))
		return EXIT_FAILED;
	status = answer(&look, &err);
	look_close(&look);
	return status;
}
