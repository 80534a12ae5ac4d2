/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/cli.h"
#include "app/console/color.h"
#include "app/console/say.h"
#include "app/console/timings.h"
#include "app/console/verbs.h"
#include "base/log.h"

#include <cap-ng.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* larger blocks go back to the kernel when freed; otherwise malloc raises this limit */
enum { KEPT_BYTES = 128 << 10 };

/* Checked before anything is read, so that somebody without root hears this first. */
static bool may_run(const struct verb *verb)
{
	if (!verb->needs_root || !geteuid() ||
	    capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return true;
	say_error("%s must run as root", verb->name);
	return false;
}

static int finish(int status)
{
	if (fflush(stdout) == 0)
		return status;
	if (errno != EPIPE) /* the reader has closed the pipe: plan | head */
		perror("harborwall: write to stdout");
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const struct verb *verb;
	struct options options;
	int status;

	mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
	signal(SIGPIPE, SIG_IGN);
	if (!options_parse(&options, &verb, argc, argv, &status))
		return finish(status);
	if (!may_run(verb))
		return EXIT_FAILED;
	options.debug |= options.verbose && verb->run == verb_run;
	log_configure(options.debug   ? LOG_DEBUG_LEVEL
		      : options.quiet ? LOG_ERROR_LEVEL
				      : LOG_INFO_LEVEL,
		      options.log_json);
	color_decide(options.color);
	timings_enable(options.timings);
	return finish(verb->run(&options));
}
