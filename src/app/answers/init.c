/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb init: a networks.json of what the engine has. Changes nothing. */
#include "app/console/say.h"
#include "app/console/verbs.h"
#include "app/pass/pass.h"
#include "core/answers/live.h"
#include "core/draft/draft.h"
#include "edge/docker/docker.h"
#include "edge/netlink/conntrack.h"

#include <stdlib.h>
#include <unistd.h>

enum { MOST_SECONDS = 86400, LOOK_S = 1 };

/* The kernel remembers a closed connection for longer than the time between two looks. */
static bool watch(struct draft *d, const struct world *w, unsigned seconds, struct error *err)
{
	int64_t until = clock_ms() + 1000 * (int64_t)seconds;

	d->learned = true;
	for (;;) {
		AUTO_RELEASE struct arena a = {0};
		live_list found = {0};

		if (!conntrack_list(&found, &a, &w->host, 0, err))
			return false;
		list_each (live, &found)
			draft_see(d, &live->tuple, live->sport);
		if (clock_ms() >= until)
			return true;
		sleep(LOOK_S);
	}
}

static bool read_seconds(unsigned *seconds, const struct options *o, struct error *err)
{
	char *end = NULL;
	unsigned long n = o->learn ? strtoul(o->learn, &end, 10) : 0;

	*seconds = (unsigned)n;
	return !o->learn || (n && n <= MOST_SECONDS && (!*end || (*end == 's' && !end[1]))) ||
	       error_set(err, -1, "--learn: expected seconds, 1 to %d, found \"%s\"", MOST_SECONDS,
			 o->learn);
}

static bool draft(struct buf *out, struct arena *a, const struct options *o, struct world *w,
		  struct error *err)
{
	struct engine engine = {0};
	struct engine_details details = {0};
	struct draft d = {.a = a, .engine = &engine, .details = &details};
	unsigned seconds;

	if (!read_seconds(&seconds, o, err) || !world_open(w, o, err) ||
	    !docker_read(w->docker, &engine, a, err) ||
	    !docker_read_details(w->docker, &details, a, err) ||
	    (seconds && !watch(&d, w, seconds, err)))
		return false;
	draft_print(out, &d);
	return true;
}

int verb_init(const struct options *o)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf out = {0};
	struct world world = {0};
	struct error err = {0};
	int status = EXIT_FINE;

	if (draft(&out, &a, o, &world, &err))
		say_page(stdout, &out);
	else
		status = say_failed(&err);
	world_close(&world);
	return status;
}
