/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PERIOD_S = 86400 };

/* Every flag there is. `letter` is what getopt returns and what verbs name in their flags. */
static const struct {
	const char *name;
	char letter;
	bool common, shows, takes_value;
	const char *help;
} flags[] = {
	{"config", 'c', true, true, true, "FILE   networks.json to use"},
	{"json", 'j', true, false, false, "       machine-readable output"},
	{"quiet", 'q', true, true, false, "       nothing but errors"},
	{"verbose", 'v', true, true, false, "       more of everything"},
	{"timings", 't', true, false, false, "       how long each stage took, on stderr"},
	{"color", 'C', true, false, true, "WHEN   auto, always, never"},
	{"help", 'h', true, true, false, "       this text"},
	{"version", 'V', true, false, false, "       the version"},
	{"strict", 's', false, false, false, "       check: warnings count as errors"},
	{"networks", 'n', false, false, false, "       clear: remove our networks, too"},
	{"backend", 'b', false, false, true,
	 "NAME   rules: nftables, iptables-nft, iptables-legacy"},
	{"counters", 'k', true, false, true, "WHEN   per policy: auto (up to 500), on, off"},
	{"engine", 'e', false, false, true, "MAJOR  rules: as for this version of Docker"},
	{"replace", 'r', false, false, true,
	 "NET    apply, plan: make anew a network that stands otherwise"},
	{"adopt", 'a', false, false, false,
	 "       apply: remove rules without our mark that say what ours say"},
	{"confirm", 'o', false, false, true,
	 "SECS   apply: roll back unless confirmed (not built yet)"},
	{"format", 'f', false, false, true, "NAME   graph: dot, mermaid, json (not built yet)"},
};

/* Says what is wrong with the call; false, so that refusing is one line. */
PRINTF_LIKE(2, 3) static bool refuse(int *status, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "harborwall: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see harborwall --help\n");
	*status = EXIT_USAGE;
	return false;
}

/* False: there is nothing to run. */
static bool print_help(const struct verb *verbs, size_t n_verbs)
{
	printf("usage: harborwall [VERB] [options]\n\n"
	       "Keeps a Docker host in the state that networks.json declares: networks, static\n"
	       "addresses, firewall rules on the host and inside containers, routes.\n\n");
	for (size_t i = 0; i < n_verbs; i++)
		printf("  %-8s %-20s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
	printf("\noptions\n");
	for (size_t i = 0; i < COUNT_OF(flags); i++)
		printf("  %c%c%s --%-9s %s\n", flags[i].shows ? '-' : ' ',
		       flags[i].shows ? flags[i].letter : ' ', flags[i].shows ? "," : " ",
		       flags[i].name, flags[i].help);
	printf("\nWithout a verb: run. Environment and files: man harborwall\n");
	return false;
}

static const struct verb *find_verb(const struct verb *verbs, size_t n_verbs, const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static const char *from_environment(const char *name, const char *fallback)
{
	const char *value = getenv(name);

	return value && *value ? value : fallback;
}

static bool is_true(const char *value)
{
	return !strcmp(value, "1") || !strcmp(value, "true");
}

static bool parse_period(struct options *o, int *status)
{
	const char *text = from_environment("WATCH_PERIOD_SECONDS", "30");
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	if (*end || !seconds || seconds > MAX_PERIOD_S || text[0] == '-')
		return refuse(status, "WATCH_PERIOD_SECONDS: \"%s\" is no number of seconds (1-%d)",
			      text, MAX_PERIOD_S);
	o->period_s = (uint32_t)seconds;
	return true;
}

static bool is_one_bit(unsigned long mark)
{
	return mark && mark <= UINT32_MAX && !(mark & (mark - 1));
}

/* "RAW,ACCEPT", two different single bits. */
static bool parse_marks(struct options *o, int *status)
{
	const char *text = from_environment("HARBORWALL_MARK", "0x1000000,0x2000000");
	char *end;
	unsigned long raw = strtoul(text, &end, 0), accept = 0;

	if (*end == ',')
		accept = strtoul(end + 1, &end, 0);
	if (*end || !is_one_bit(raw) || !is_one_bit(accept) || raw == accept)
		return refuse(status,
			      "HARBORWALL_MARK: \"%s\" is not two different single bits "
			      "(default 0x1000000,0x2000000)",
			      text);
	o->mark_raw = (uint32_t)raw;
	o->mark_accept = (uint32_t)accept;
	return true;
}

static bool read_environment(struct options *o, int *status)
{
	const char *log = from_environment("HARBORWALL_LOG", "text");

	o->config = from_environment("NETWORKS_CONFIG_PATH", "/etc/user/config/networks.json");
	o->state = from_environment("HARBORWALL_STATE", "/var/lib/harborwall/state.json");
	o->listen = from_environment("HARBORWALL_LISTEN", "/run/harborwall.sock");
	o->backend = from_environment("HARBORWALL_BACKEND", NULL);
	o->counters_word = from_environment("HARBORWALL_COUNTERS", "auto");
	o->debug = is_true(from_environment("DEBUG", ""));
	o->log_json = !strcmp(log, "json");
	if (strcmp(log, "text") != 0 && !o->log_json)
		return refuse(status, "HARBORWALL_LOG: \"%s\" is neither text nor json", log);
	return parse_period(o, status) && parse_marks(o, status);
}

static void set_flag(struct options *o, size_t flag, const char *value)
{
	char letter = flags[flag].letter;

	o->given |= 1u << flag;
	o->config = letter == 'c' ? value : o->config;
	o->engine = letter == 'e' ? (uint32_t)strtoul(value, NULL, 10) : o->engine;
	o->backend = letter == 'b' ? value : o->backend;
	o->counters_word = letter == 'k' ? value : o->counters_word;
	o->replace = letter == 'r' ? value : o->replace;
	o->json |= letter == 'j';
	o->quiet |= letter == 'q';
	o->verbose |= letter == 'v';
	o->strict |= letter == 's';
	o->networks |= letter == 'n';
	o->adopt |= letter == 'a';
	o->timings |= letter == 't';
}

static size_t flag_of(int letter)
{
	size_t i = 0;

	while (i < COUNT_OF(flags) && flags[i].letter != letter)
		i++;
	return i;
}

/* Verb and arguments may stand anywhere between the flags. */
static bool take_word(struct options *o, const char *word, int *status)
{
	if (!o->verb) {
		o->verb = word;
		return true;
	}
	if (o->n_arguments == (int)COUNT_OF(o->arguments))
		return refuse(status, "too many arguments: \"%s\"", word);
	o->arguments[o->n_arguments++] = word;
	return true;
}

static bool read_words(struct options *o, int argc, char **argv, int *status)
{
	struct option longs[COUNT_OF(flags) + 1] = {0};

	for (size_t i = 0; i < COUNT_OF(flags); i++)
		longs[i] =
			(struct option){flags[i].name, flags[i].takes_value, NULL, flags[i].letter};
	opterr = 0;
	for (;;) {
		int letter = getopt_long(argc, argv, "+:c:qvh", longs, NULL);

		if (letter == ':')
			return refuse(status, "%s needs a value", argv[optind - 1]);
		if (letter == '?')
			return refuse(status, "%s is no option", argv[optind - 1]);
		if (letter == 'r' && o->replace)
			return refuse(status, "--replace takes one network at a time");
		if (letter != -1)
			set_flag(o, flag_of(letter), optarg);
		else if (optind == argc)
			return true;
		else if (!take_word(o, argv[optind++], status))
			return false;
	}
}

static bool check_backend(const struct options *o, int *status)
{
	static const char *const known[] = {"nftables", "iptables-nft", "iptables-legacy"};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!o->backend || !strcmp(o->backend, known[i]))
			return true;
	return refuse(status,
		      "there is no backend \"%s\": nftables, iptables-nft or iptables-legacy",
		      o->backend);
}

static bool check_counters(struct options *o, int *status)
{
	static const char *const known[] = {
		[COUNTERS_AUTO] = "auto", [COUNTERS_ON] = "on", [COUNTERS_OFF] = "off"};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!strcmp(o->counters_word, known[i])) {
			o->counters = (enum counters)i;
			return true;
		}
	return refuse(status, "counters are auto, on or off, not \"%s\"", o->counters_word);
}

static bool was_given(const struct options *o, int letter)
{
	return o->given & 1u << flag_of(letter);
}

/* Flags that this verb does not have, and flags whose part is not built yet. */
static bool flags_fit(const struct options *o, const struct verb *verb, int *status)
{
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		if (!(o->given & 1u << i))
			continue;
		if (!flags[i].common && !strchr(verb->flags, flags[i].letter))
			return refuse(status, "%s has no option --%s", verb->name, flags[i].name);
		if (!strstr(flags[i].help, "not built yet"))
			continue;
		fprintf(stderr, "harborwall: --%s is not built yet\n", flags[i].name);
		*status = EXIT_FAILED;
		return false;
	}
	if (o->n_arguments > verb->max_arguments)
		return refuse(status, "too many arguments: \"%s\"",
			      o->arguments[verb->max_arguments]);
	return true;
}

bool options_parse(struct options *options, const struct verb **verb, const struct verb *verbs,
		   size_t n_verbs, int argc, char **argv, int *status)
{
	*options = (struct options){0};
	*status = EXIT_FINE;
	if (!read_environment(options, status) || !read_words(options, argc, argv, status))
		return false;
	if (was_given(options, 'h'))
		return print_help(verbs, n_verbs);
	if (was_given(options, 'V'))
		return printf("harborwall %s\n", VERSION) < 0;
	options->verb = options->verb ? options->verb : "run";
	*verb = find_verb(verbs, n_verbs, options->verb);
	if (!*verb)
		return refuse(status, "there is no verb \"%s\"", options->verb);
	if (!flags_fit(options, *verb, status) || !check_backend(options, status) ||
	    !check_counters(options, status))
		return false;
	/* the only argument of most verbs is the file */
	if (!strncmp((*verb)->arguments, "[FILE]", 6) && options->n_arguments)
		options->config = options->arguments[0];
	return true;
}
