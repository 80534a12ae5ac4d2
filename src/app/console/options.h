/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the caller asked for: verb, flags, environment. A flag overrides the environment, which
 * overrides the default.
 */
#pragma once

#include "core/state/facts.h"

enum {
	EXIT_FINE = 0,
	EXIT_FAILED = 1,
	EXIT_CHANGES = 2, /* plan: there is something to do */
	EXIT_USAGE = 64,  /* as sysexits.h EX_USAGE */
};

enum { TRIAL_MAX_SECONDS = 86400 }; /* of --confirm */

#define DEFAULT_CONFIG "/etc/user/config/networks.json"

struct options {
	const char *verb;
	const char *config;	  /* path of networks.json */
	const char *arguments[4]; /* what follows the verb */
	int n_arguments;
	bool json, quiet, verbose, strict, networks, adopt, timings, yes, dry_run, rules, watch,
		packet, packets;
	const char *backend;		/* HARBORWALL_BACKEND or --backend; NULL: detect */
	const char *counters_word;	/* HARBORWALL_COUNTERS or --counters */
	const char *container;		/* rules of its namespace; NULL: of the host's */
	const char *policy, *from, *to; /* of flows: which to show; NULL: all */
	const char *in;			/* interface that it comes in by; NULL: its own */
	const char *learn;		/* seconds to watch; NULL: do not watch */
	const char *format;		/* of graph; NULL: dot */
	const char *color;		/* auto, always, never */
	enum counters counters;
	uint32_t engine;     /* --engine: rules for this version of Docker; 0: none in particular */
	uint64_t accept;     /* --accept: digest of the only file to take; 0: any */
	const char *confirm; /* --confirm: yes, no, tests or seconds; NULL: not given */
	uint32_t confirm_s;  /* the seconds; 0: it is a word */
	const char *tried;   /* apply --confirm: the file to try; NULL: config itself */
	const char *replace; /* --replace: name of a network, or NULL */
	const char *listen;  /* status socket: a path, or 127.0.0.1:PORT */
	const char *state;   /* path of the state file */
	uint32_t period_s;   /* WATCH_PERIOD_SECONDS */
	uint32_t mark_raw, mark_accept;
	bool handoff_top; /* HARBORWALL_HANDOFF=top */
	bool debug, log_json;
	uint32_t given; /* bit i: flag i of the table was on the command line */
};
