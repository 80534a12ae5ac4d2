/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --help, for the program and for each verb: the tables in columns. */
#include "app/cli.h"
#include "app/console/verbs.h"

#include <stdio.h>
#include <string.h>

static void print_flag(const struct flag *flag)
{
	char name[40];
	const char *at = flag->values;
	char word[32];

	if (!flag->help)
		return;
	snprintf(name, sizeof(name), "--%s%s%s", flag->name, flag->value ? " " : "",
		 flag->value ? flag->value : "");
	printf("  %c%c%s %-18s %s", flag->is_short ? '-' : ' ', flag->is_short ? flag->letter : ' ',
	       flag->is_short ? "," : " ", name, flag->help);
	for (const char *before = ": "; at && next_word(word, &at); before = ", ")
		printf("%s%s", before, word);
	puts("");
}

static void print_flags(const struct verb *verb, bool common)
{
	bool any = false;

	for (size_t i = 0; i < n_flags; i++) {
		const struct flag *flag = &flags[i];

		if (!flag->help || flag->common != common || (verb && !verb_has(verb, flag)))
			continue;
		if (!any)
			puts(common ? "\noptions of every verb" : "\noptions");
		any = true;
		print_flag(flag);
	}
}

static void print_verbs(void)
{
	puts("usage: harborwall [VERB] [options]\n\n"
	     "Keeps a Docker host in the state that networks.json declares: networks, static\n"
	     "addresses, firewall rules on the host and inside containers, routes.\n");
	for (size_t i = 0; i < n_verbs; i++)
		printf("  %-10s %-7s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
	print_flags(NULL, true);
	puts("\nWithout a verb: run. harborwall VERB --help: a verb's options and exit codes.\n"
	     "All of it, environment and files: man harborwall");
}

void print_help(const struct verb *verb)
{
	if (!verb) {
		print_verbs();
		return;
	}
	printf("usage: harborwall %s%s%s [options]\n\n%s\n", verb->name,
	       *verb->arguments ? " " : "", verb->arguments, verb->summary);
	print_flags(verb, false);
	print_flags(verb, true);
	printf("\nexits: %s;\n       64 for a usage error\n", verb->exits);
}

int verb_help(const struct options *options)
{
	print_help(options->n_arguments ? find_verb(options->arguments[0]) : NULL);
	return EXIT_FINE;
}
