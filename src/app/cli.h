/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs and options that there are: what calls may say, what help tells, what shells complete.
 * The manual page is compared with it by a test.
 */
#pragma once

#include "app/console/options.h"

struct flag {
	const char *name; /* first: nearest */
	char letter;	  /* what verbs call it by; with is_short it is typed as -LETTER, too */
	bool is_short;
	bool common;	    /* every verb has it */
	const char *value;  /* what it takes, "FILE"; NULL: nothing */
	const char *values; /* those that there are, between blanks; NULL: any */
	const char *help;   /* NULL: its part is not built yet */
};

struct verb {
	const char *name;			   /* first: nearest */
	int (*run)(const struct options *options); /* NULL: not built yet */
	const char *arguments;			   /* "[FILE]", "SHELL", "" */
	const char *values;			   /* of the first argument, as of a flag */
	const char *flags; /* letters of those it has beside the common ones */
	bool needs_root;
	const char *summary, *exits;
};

extern const struct flag flags[];
extern const struct verb verbs[];
extern const size_t n_flags, n_verbs;

enum { SCREEN = 100 }; /* columns */

/* NULL: there is none. */
const struct verb *find_verb(const char *name);
/* Index of a flag, by what verbs call it. */
size_t flag_of(int letter);
bool verb_has(const struct verb *verb, const struct flag *flag);
/* "[FILE]" may be left out, "SHELL" not. */
uint32_t least_arguments(const struct verb *verb);
uint32_t most_arguments(const struct verb *verb);

/* The next of the words between blanks, copied, and *at behind it. False: there is none left. */
bool next_word(char word[32], const char **at);
/*
 * Fills options and finds the verb. False: there is nothing to run and *status is the exit code,
 * the message (or the help that was asked for) is out.
 */
MUST_CHECK bool options_parse(struct options *options, const struct verb **verb, int argc,
			      char **argv, int *status);

/* verb NULL: all of them. */
void print_help(const struct verb *verb);
/* The verb completion: a script for a shell. */
int verb_completion(const struct options *options);
