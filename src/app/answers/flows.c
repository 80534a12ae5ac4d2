/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb flows: show live connections, each with the policy that admits it. */
#include "app/answers/look.h"
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "core/answers/live.h"
#include "edge/netlink/conntrack.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WATCH_S = 2 };

static bool find_filter(struct look *look, struct live_filter *filter, struct reach_end ends[2],
			struct error *err)
{
	const struct options *o = look->options;
	char *end = NULL;

	*filter = (struct live_filter){.policy = NONE};
	if (o->policy) {
		filter->policy = (uint32_t)strtoul(o->policy, &end, 10);
		if (*end || end == o->policy ||
		    filter->policy >= look->generation.config.policies.n)
			return error_set(err, -1,
					 "there is no policies[%s]: the file has %u policies, "
					 "counted from 0",
					 o->policy, look->generation.config.policies.n);
	}
	filter->from = o->from ? &ends[0] : NULL;
	filter->to = o->to ? &ends[1] : NULL;
	return (!o->from || look_end(look, &ends[0], o->from, err)) &&
	       (!o->to || look_end(look, &ends[1], o->to, err));
}

static bool find_flows(live_list *found, struct arena *a, const struct look *look,
		       const struct live_filter *filter, struct error *err)
{
	live_list all = {0};

	if (!conntrack_list(&all, a, &look->world.host, look->options->mark_accept, err))
		return false;
	list_each (live, &all) {
		live->policy = live_policy(&look->reach, &live->tuple);
		if (live_is_asked(filter, &look->reach, live))
			*list_add(a, found) = *live;
	}
	return true;
}

static void print(const struct look *look, live_list *found, bool clear)
{
	AUTO_BUF struct buf out = {0};

	if (look->options->json)
		live_print_json(&out, &look->reach, found);
	else
		live_print(&out, &look->reach, found);
	if (clear && isatty(STDOUT_FILENO))
		say_clear(stdout);
	say_page(stdout, &out);
}

/* Prints again and again until interrupted or nobody reads. */
static int show(struct look *look, struct error *err)
{
	struct live_filter filter;
	struct reach_end ends[2];

	if (!look->live)
		return EXIT_FAILED; /* the message is printed already */
	if (!find_filter(look, &filter, ends, err))
		return say_failed(err);
	for (;;) {
		AUTO_RELEASE struct arena a = {0};
		live_list found = {0};

		if (!find_flows(&found, &a, look, &filter, err))
			return say_failed(err);
		print(look, &found, look->options->watch);
		if (!look->options->watch || fflush(stdout))
			return EXIT_FINE;
		sleep(WATCH_S);
	}
}

int verb_flows(const struct options *o)
{
	struct look look;
	struct error err = {0};
	int status;

	if (!look_open(&look, o))
		return EXIT_FAILED;
	status = show(&look, &err);
	look_close(&look);
	return status;
}
