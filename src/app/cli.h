/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of verbs and options, from which calls are parsed and help and completions are
 * printed. A test compares the manual page with them.
 */
#pragma once

#include "app/console/options.h"

struct flag {
	const char *name; /* first: nearest() reads it */
	char letter;	  /* how verbs refer to it; with is_short also typed as -LETTER */
	bool is_short;
	bool common;	    /* every verb takes it */
	const char *value;  /* placeholder of its value, "FILE"; NULL: it has none */
	const char *values; /* allowed values, separated by blanks; NULL: any */
	size_t member;	    /* of struct options that takes it; 0: it takes more than that */
	const char *help;
};

struct verb {
	const char *name; /* first: nearest() reads it */
	int (*run)(const struct options *options);
	const char *arguments; /* "[FILE]", "SHELL", "" */
	const char *values;    /* allowed values of the first argument, as of a flag */
	const char *flags;     /* letters of its flags, beside the common ones */
	bool needs_root;
	const char *summary, *exits;
};

extern const struct flag flags[];
extern const struct verb verbs[];
extern const size_t n_flags, n_verbs;

/* NULL: there is no such verb. */
const struct verb *find_verb(const char *name);
/* Index of a flag by its letter. */
size_t flag_of(int letter);
bool verb_has(const struct verb *verb, const struct flag *flag);
/* "[FILE]" is optional, "SHELL" is not. */
uint32_t least_arguments(const struct verb *verb);
uint32_t most_arguments(const struct verb *verb);

/*
 * Copies the next word of a list separated by blanks and advances *at. False: there is none left.
 */
bool next_word(char word[32], const char **at);
/*
 * Parses a call into options and finds the verb. False: there is nothing to run; *status is the
 * exit code, and the error or the help is printed.
 */
MUST_CHECK bool options_parse(struct options *options, const struct verb **verb, int argc,
			      char **argv, int *status);

/* verb NULL: help for the program. */
void print_help(const struct verb *verb);
/* The verb completion: prints a script for a shell. */
int verb_completion(const struct options *options);
