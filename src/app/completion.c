/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What shells complete, from the tables of verbs and options: scripts for bash, zsh and fish. */
#include "app/cli.h"

#include <stdio.h>
#include <string.h>

static bool takes_file(const char *value)
{
	return value && strstr(value, "FILE");
}

static bool is_offered(const struct verb *verb, const struct flag *flag, bool common)
{
	return common ? flag->common : !flag->common && verb_has(verb, flag);
}

static void print_verb_names(const char *separator)
{
	const char *before = "";

	for (size_t i = 0; i < n_verbs; i++) {
		printf("%s%s", before, verbs[i].name);
		before = separator;
	}
}

/* --- bash --- */

static void print_bash_flags(const struct verb *verb)
{
	for (size_t i = 0; i < n_flags; i++)
		if (is_offered(verb, &flags[i], !verb))
			printf(" --%s", flags[i].name);
}

static void print_bash_values(const struct flag *flag)
{
	if (!flag->value || !flag->help)
		return;
	printf("\t--%s%s%c", flag->name, flag->is_short ? " | -" : "",
	       flag->is_short ? flag->letter : ')');
	if (flag->is_short)
		putchar(')');
	if (takes_file(flag->value))
		puts(" files=1 ;;");
	else
		printf(" words=\"%s\" ;;\n", flag->values ? flag->values : "");
}

static void print_bash_verb(const struct verb *verb)
{
	printf("\t%s) flags+=\"", verb->name);
	print_bash_flags(verb);
	printf("\"");
	if (verb->values)
		printf(" words=\"%s\"", verb->values);
	else if (strstr(verb->arguments, "VERB"))
		printf(" words=$verbs");
	if (takes_file(verb->arguments))
		printf(" files=1");
	puts(" ;;");
}

static void print_bash(void)
{
	printf("# bash completion of harborwall(8), as it prints it itself\n"
	       "_harborwall()\n{\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
	       "\tlocal verb= words= files= i verbs=\"");
	print_verb_names(" ");
	printf("\" flags=\"");
	print_bash_flags(NULL);
	puts("\"\n"
	     "\t# bash takes --flag=value apart\n"
	     "\t[ \"$word\" != = ] || word=\n"
	     "\t[ \"$before\" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase \" $verbs \" in *\" ${COMP_WORDS[i]} \"*) verb=${COMP_WORDS[i]}; break ;; "
	     "esac\n"
	     "\tdone\n"
	     "\tcase $before in");
	for (size_t i = 0; i < n_flags; i++)
		print_bash_values(&flags[i]);
	puts("\t*) before= ;;\n\tesac\n"
	     "\t[ -n \"$before\" ] || case $verb in");
	for (size_t i = 0; i < n_verbs; i++)
		print_bash_verb(&verbs[i]);
	puts("\t*) words=$verbs ;;\n\tesac\n"
	     "\tif [[ -z $before && $word == -* ]]; then\n"
	     "\t\twords=$flags files=\n"
	     "\tfi\n"
	     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\"\n"
	     "\t\t[ -z \"$files\" ] || compgen -f -- \"$word\")\n"
	     "\t[ -z \"$files\" ] || compopt -o filenames 2>/dev/null\n"
	     "}\n"
	     "complete -F _harborwall harborwall");
}

/* --- zsh --- */

/* Text between single quotes; zsh splits it at colons and brackets. */
static void print_zsh_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			printf("'\\'");
		else if (strchr("[]:", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_zsh_flags(const struct verb *verb)
{
	for (size_t i = 0; i < n_flags; i++) {
		const struct flag *flag = &flags[i];

		if (!is_offered(verb, flag, !verb))
			continue;
		printf("\t\t'");
		if (flag->is_short)
			printf("(-%c --%s)'{-%c,--%s%s}'[", flag->letter, flag->name, flag->letter,
			       flag->name, flag->value ? "=" : "");
		else
			printf("--%s%s[", flag->name, flag->value ? "=" : "");
		print_zsh_text(flag->help);
		printf("]");
		if (flag->value)
			printf(":%s:", flag->value);
		if (takes_file(flag->value))
			printf("_files");
		else if (flag->values)
			printf("(%s)", flag->values);
		puts("'");
	}
}

static void print_zsh_verb(const struct verb *verb)
{
	printf("\t%s) args+=(\n", verb->name);
	print_zsh_flags(verb);
	if (takes_file(verb->arguments))
		puts("\t\t'1:FILE:_files'");
	else if (verb->values)
		printf("\t\t'1:%s:(%s)'\n", verb->arguments, verb->values);
	else if (strstr(verb->arguments, "VERB"))
		puts("\t\t\"1:VERB:($names)\"");
	puts("\t) ;;");
}

static void print_zsh(void)
{
	printf("#compdef harborwall\n"
	       "# zsh completion of harborwall(8), as it prints it itself\n"
	       "local context state state_descr line names=\"");
	print_verb_names(" ");
	puts("\"\n"
	     "typeset -A opt_args\n"
	     "local -a verbs=(");
	for (size_t i = 0; i < n_verbs; i++) {
		printf("\t'%s:", verbs[i].name);
		print_zsh_text(verbs[i].summary);
		puts("'");
	}
	puts(")\nlocal -a args=(");
	print_zsh_flags(NULL);
	puts(")\n_arguments -C -s -A '-*' $args '1:VERB:->verb' '*::arguments:->rest'\n"
	     "case $state in\n"
	     "verb) _describe VERB verbs ;;\n"
	     "rest)\n"
	     "\tcase $words[1] in");
	for (size_t i = 0; i < n_verbs; i++)
		print_zsh_verb(&verbs[i]);
	puts("\tesac\n\t_arguments -s $args ;;\nesac");
}

/* --- fish --- */

static void print_fish_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
}

static void print_fish_flag(const struct verb *verb, const struct flag *flag)
{
	printf("complete -c harborwall");
	if (verb)
		printf(" -n '__fish_seen_subcommand_from %s'", verb->name);
	printf(" -l %s", flag->name);
	if (flag->is_short)
		printf(" -s %c", flag->letter);
	if (takes_file(flag->value))
		printf(" -r -F");
	else if (flag->value)
		printf(" -x -a '%s'", flag->values ? flag->values : "");
	printf(" -d '");
	print_fish_text(flag->help);
	puts("'");
}

static void print_fish_verb(const struct verb *verb)
{
	printf("complete -c harborwall -n __fish_use_subcommand -a %s -d '", verb->name);
	print_fish_text(verb->summary);
	puts("'");
	for (size_t i = 0; i < n_flags; i++)
		if (is_offered(verb, &flags[i], false))
			print_fish_flag(verb, &flags[i]);
	if (takes_file(verb->arguments))
		printf("complete -c harborwall -n '__fish_seen_subcommand_from %s' -F\n",
		       verb->name);
	if (!verb->values && !strstr(verb->arguments, "VERB"))
		return;
	printf("complete -c harborwall -n '__fish_seen_subcommand_from %s' -a '", verb->name);
	if (verb->values)
		printf("%s", verb->values);
	else
		print_verb_names(" ");
	puts("'");
}

static void print_fish(void)
{
	puts("# fish completion of harborwall(8), as it prints it itself\n"
	     "complete -c harborwall -f");
	for (size_t i = 0; i < n_flags; i++)
		if (flags[i].common)
			print_fish_flag(NULL, &flags[i]);
	for (size_t i = 0; i < n_verbs; i++)
		print_fish_verb(&verbs[i]);
}

int verb_completion(const struct options *options)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (size_t i = 0; i < COUNT_OF(shells); i++)
		if (!strcmp(options->arguments[0], shells[i].shell))
			shells[i].print();
	return EXIT_FINE;
}
