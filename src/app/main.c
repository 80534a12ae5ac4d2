/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb table, and nothing else. */
#include "app/report/timings.h"
#include "app/verbs.h"
#include "base/log.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>

static int verb_not_built(const struct options *options)
{
	fprintf(stderr, "harborwall: %s is not built yet\n", options->verb);
	return EXIT_FAILED;
}

static const struct verb verbs[] = {
	{"run", verb_run, "", 0, "", "the daemon: keep the host as the file says (default)"},
	{"check", verb_check, "[FILE]", 1, "js", "say what is wrong with the file; touch nothing"},
	{"plan", verb_plan, "[FILE]", 1, "jr", "show what apply would do, and why"},
	{"apply", verb_apply, "[FILE]", 1, "jrao", "one pass: make the host as the file says"},
	{"rules", verb_rules, "[FILE]", 1, "be", "print the rules as text"},
	{"status", verb_status, "", 0, "j", "what the running daemon sees"},
	{"explain", verb_not_built, "SRC DST PORT[/PROTO]", 3, "j", "would this connection pass"},
	{"graph", verb_not_built, "[FILE]", 1, "f", "who may reach whom"},
	{"doctor", verb_doctor, "", 0, "j", "check the host"},
	{"clear", verb_clear, "", 0, "n", "take our rules, routes and connections away"},
};

/* What is larger goes back to the kernel when it is freed; else the C library learns to keep it. */
enum { KEPT_BYTES = 128 << 10 };

int main(int argc, char **argv)
{
	const struct verb *verb;
	struct options options;
	int status;

	mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
	signal(SIGPIPE, SIG_IGN);
	if (!options_parse(&options, &verb, verbs, COUNT_OF(verbs), argc, argv, &status))
		return status;
	log_configure(options.debug   ? LOG_DEBUG_LEVEL
		      : options.quiet ? LOG_ERROR_LEVEL
				      : LOG_INFO_LEVEL,
		      options.log_json);
	timings_enable(options.timings);
	status = verb->run(&options);
	if (fflush(stdout) != 0) {
		perror("harborwall: write to stdout");
		return EXIT_FAILED;
	}
	return status;
}
