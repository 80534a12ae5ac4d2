/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/cli.h"

#include "app/console/say.h"
#include "base/buf.h"
#include "base/nearest.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PERIOD_S = 86400, MAX_MAJOR = 999 };

/* Prints what is wrong with the call. Returns false, so that refusing is one line. */
PRINTF_LIKE(3, 4)
static bool refuse(const struct options *o, int *status, const char *format, ...)
{
	const struct verb *verb = o->verb ? find_verb(o->verb) : NULL;
	bool known = verb && verb->run;
	AUTO_RELEASE struct arena a = {0};
	va_list args;

	va_start(args, format);
	say_error("%s; see harborwall %s%s--help", arena_vprintf(&a, format, args),
		  known ? verb->name : "", known ? " " : "");
	va_end(args);
	*status = EXIT_USAGE;
	return false;
}

/* " (did you mean "x"?)", or "". */
static const char *guess(struct buf *out, const char *before, const char *word, const void *records,
			 size_t stride, size_t n)
{
	uint32_t i = nearest(word, records, stride, n);

	if (i != NONE)
		buf_printf(out, " (did you mean \"%s%s\"?)", before,
			   *(const char *const *)((const char *)records + i * stride));
	return buf_text(out);
}

/* The value must be one of the words in values. */
static bool one_of(const struct options *o, const char *what, const char *value, const char *values,
		   int *status)
{
	AUTO_BUF struct buf known = {0}, hint = {0};
	char words[8][32];
	const char *names[COUNT_OF(words)] = {0}, *at = values;
	size_t n = 0;

	for (; n < COUNT_OF(words) && next_word(words[n], &at); n++) {
		if (!strcmp(words[n], value))
			return true;
		names[n] = words[n];
		buf_printf(&known, "%s%s", n ? ", " : "", words[n]);
	}
	return refuse(o, status, "%s: \"%s\" is none of %s%s", what, value, buf_text(&known),
		      guess(&hint, "", value, names, sizeof(*names), n));
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
		return refuse(o, status,
			      "WATCH_PERIOD_SECONDS: expected seconds, 1 to %d, found \"%s\"",
			      MAX_PERIOD_S, text);
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
		return refuse(o, status,
			      "HARBORWALL_MARK: \"%s\" is not two different single bits (default "
			      "0x1000000,0x2000000)",
			      text);
	o->mark_raw = (uint32_t)raw;
	o->mark_accept = (uint32_t)accept;
	return true;
}

static bool word_from_environment(const char **word, const struct options *o, const char *name,
				  const char *fallback, int letter, int *status)
{
	if (*word) /* a flag overrides it */
		return true;
	*word = from_environment(name, fallback);
	return !*word || one_of(o, name, *word, flags[flag_of(letter)].values, status);
}

static bool read_environment(struct options *o, int *status)
{
	const char *log = from_environment("HARBORWALL_LOG", "text");
	const char *handoff = from_environment("HARBORWALL_HANDOFF", "behind");

	if (!o->config)
		o->config = from_environment("NETWORKS_CONFIG_PATH", DEFAULT_CONFIG);
	o->state = from_environment("HARBORWALL_STATE", "/var/lib/harborwall/state.json");
	o->listen = from_environment("HARBORWALL_LISTEN", "/run/harborwall.sock");
	o->debug = is_true(from_environment("DEBUG", ""));
	o->log_json = !strcmp(log, "json");
	o->handoff_top = !strcmp(handoff, "top");
	return one_of(o, "HARBORWALL_LOG", log, "text json", status) &&
	       word_from_environment(&o->backend, o, "HARBORWALL_BACKEND", NULL, 'b', status) &&
	       word_from_environment(&o->counters_word, o, "HARBORWALL_COUNTERS", "auto", 'k',
				     status) &&
	       one_of(o, "HARBORWALL_HANDOFF", handoff, "behind top", status) &&
	       parse_period(o, status) && parse_marks(o, status);
}

/* A digest as it is printed: sixteen hexadecimal digits. */
static bool parse_digest(uint64_t *digest, const char *text)
{
	char *end;

	*digest = strtoull(text, &end, 16);
	return *digest && !*end && strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16;
}

/* "28" or "28.5.2": only the major version matters. */
static bool parse_engine(struct options *o, const char *text, int *status)
{
	char *end;
	unsigned long major = strtoul(text, &end, 10);

	o->engine = (uint32_t)major;
	return (*text >= '1' && *text <= '9' && major <= MAX_MAJOR &&
		strspn(end, ".0123456789") == strlen(end)) ||
	       refuse(o, status,
		      "--engine: expected a version of Docker (20, 26, 28), found \"%s\"", text);
}

static bool parse_confirm(struct options *o, const char *text, int *status)
{
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	o->confirm = text;
	if (!strcmp(text, "yes") || !strcmp(text, "no") || !strcmp(text, "tests"))
		return true;
	o->confirm_s = (uint32_t)seconds;
	return (*text >= '0' && *text <= '9' && !*end && seconds && seconds <= TRIAL_MAX_SECONDS) ||
	       refuse(o, status,
		      "--confirm: expected seconds (1 to %d), yes, no or tests, found \"%s\"",
		      TRIAL_MAX_SECONDS, text);
}

static bool set_flag(struct options *o, size_t i, const char *value, int *status)
{
	const struct flag *flag = &flags[i];
	char letter = flag->letter, name[40];

	snprintf(name, sizeof(name), "--%s", flag->name);
	if (flag->values && !one_of(o, name, value, flag->values, status))
		return false;
	if (flag->value && !*value)
		return refuse(o, status, "%s needs a %s", name, flag->value);
	o->given |= 1u << i;
	if (flag->member && flag->value)
		*(const char **)((char *)o + flag->member) = value;
	else if (flag->member)
		*(bool *)((char *)o + flag->member) = true;
	if (letter == 'o' && !parse_confirm(o, value, status))
		return false;
	if (letter == 'A' && !parse_digest(&o->accept, value))
		return refuse(o, status,
			      "--accept: \"%s\" is not a digest (sixteen hexadecimal digits)",
			      value);
	return letter != 'e' || parse_engine(o, value, status);
}

static bool is_verb(const struct options *o, const char *name, int *status)
{
	const struct verb *verb = find_verb(name);
	AUTO_BUF struct buf hint = {0};

	return verb || refuse(o, status, "unknown verb \"%s\"%s", name,
			      guess(&hint, "", name, verbs, sizeof(*verbs), n_verbs));
}

/* The verb and its arguments may stand anywhere between the flags. */
static bool take_word(struct options *o, const char *word, int *status)
{
	if (o->n_arguments == (int)COUNT_OF(o->arguments))
		return refuse(o, status, "too many arguments: \"%s\"", word);
	if (o->verb)
		o->arguments[o->n_arguments++] = word;
	else
		o->verb = word;
	return o->n_arguments || is_verb(o, word, status);
}

/* The verb's options, for guesses; without a verb all of them. */
static size_t flags_of(const char *names[], const struct verb *verb)
{
	size_t n = 0;

	for (size_t i = 0; i < n_flags; i++)
		if (!verb || verb_has(verb, &flags[i]))
			names[n++] = flags[i].name;
	return n;
}

/* getopt refused it: an unknown name, an ambiguous prefix, or "--json=x". */
static bool refuse_flag(const struct options *o, const char *word, int *status)
{
	AUTO_BUF struct buf hint = {0};
	const char *names[32] = {0}, *end = strchrnul(word, '=');
	char name[32] = "";
	size_t n = flags_of(names, o->verb ? find_verb(o->verb) : NULL);

	if (optopt && flag_of(optopt) < n_flags && *end)
		return refuse(o, status, "--%s takes no value", flags[flag_of(optopt)].name);
	if (strncmp(word, "--", 2) != 0)
		return refuse(o, status, "unknown option -%c", optopt);
	snprintf(name, sizeof(name), "%.*s", (int)(end - word - 2), word + 2);
	return refuse(o, status, "unknown option --%s%s", name,
		      guess(&hint, "--", name, names, sizeof(*names), n));
}

static bool read_words(struct options *o, int argc, char **argv, int *status)
{
	struct option longs[32] = {0};
	char shorts[64] = "+:";

	for (size_t i = 0, len = 2; i < n_flags; i++) {
		const struct flag *flag = &flags[i];

		longs[i] = (struct option){flag->name, flag->value != NULL, NULL, flag->letter};
		if (flag->is_short)
			len += (size_t)snprintf(shorts + len, sizeof(shorts) - len, "%c%s",
						flag->letter, flag->value ? ":" : "");
	}
	opterr = 0;
	for (;;) {
		int at = optind, letter = getopt_long(argc, argv, shorts, longs, NULL);

		if (letter == ':')
			return refuse(o, status, "%s needs a %s", argv[optind - 1],
				      flags[flag_of(optopt)].value);
		if (letter == '?')
			return refuse_flag(o, argv[optind > at ? optind - 1 : at], status);
		if (letter == 'r' && o->replace)
			return refuse(o, status, "--replace takes one network at a time");
		if (letter == -1 && optind == argc)
			return true;
		if (letter == -1 ? !take_word(o, argv[optind++], status)
				 : !set_flag(o, flag_of(letter), optarg, status))
			return false;
	}
}

static bool was_given(const struct options *o, int letter)
{
	return o->given & 1u << flag_of(letter);
}

static bool refuse_stranger(const struct options *o, const struct verb *verb,
			    const struct flag *flag, int *status)
{
	AUTO_BUF struct buf have = {0};

	for (size_t i = 0; i < n_verbs; i++)
		if (strchr(verbs[i].flags, flag->letter))
			buf_printf(&have, "%s%s", have.len ? ", " : " (it is one of ",
				   verbs[i].name);
	return refuse(o, status, "%s has no option --%s%s%s", verb->name, flag->name,
		      buf_text(&have), have.len ? ")" : "");
}

/* Refuses flags that this verb does not take. */
static bool flags_fit(const struct options *o, const struct verb *verb, int *status)
{
	for (size_t i = 0; i < n_flags; i++)
		if (o->given & 1u << i && !verb_has(verb, &flags[i]))
			return refuse_stranger(o, verb, &flags[i], status);
	return true;
}

static bool arguments_fit(const struct options *o, const struct verb *verb, int *status)
{
	if (o->n_arguments > (int)most_arguments(verb))
		return refuse(o, status, "too many arguments: \"%s\"",
			      o->arguments[most_arguments(verb)]);
	if (o->n_arguments < (int)least_arguments(verb))
		return refuse(o, status, "%s needs %s%s%s", verb->name, verb->arguments,
			      verb->values ? ": " : "", verb->values ? verb->values : "");
	if (verb->values)
		return one_of(o, verb->name, o->arguments[0], verb->values, status);
	return strcmp(verb->arguments, "[VERB]") != 0 || !o->n_arguments ||
	       is_verb(o, o->arguments[0], status);
}

/* What a trial can't undo is not part of one. */
static bool confirm_fits(const struct options *o, int *status)
{
	static const char letters[] = "rAa";

	if (!o->confirm)
		return true;
	if (o->n_arguments && !o->confirm_s && strcmp(o->confirm, "tests") != 0)
		return refuse(o, status,
			      "--confirm %s takes no FILE: it is about the file on trial",
			      o->confirm);
	for (const char *at = letters; *at; at++)
		if (was_given(o, *at))
			return refuse(o, status, "--confirm can't be combined with --%s",
				      flags[flag_of(*at)].name);
	return true;
}

static enum counters counters_of(const char *word)
{
	return !strcmp(word, "on")    ? COUNTERS_ON
	       : !strcmp(word, "off") ? COUNTERS_OFF
				      : COUNTERS_AUTO;
}

bool options_parse(struct options *options, const struct verb **verb, int argc, char **argv,
		   int *status)
{
	*options = (struct options){.color = "auto"};
	*status = EXIT_FINE;
	if (!read_words(options, argc, argv, status))
		return false;
	if (was_given(options, 'V'))
		return printf("harborwall %s\n", VERSION) < 0;
	*verb = find_verb(options->verb ? options->verb : "run");
	if (was_given(options, 'h')) {
		print_help(options->verb ? *verb : NULL);
		return false;
	}
	options->verb = (*verb)->name;
	if (!flags_fit(options, *verb, status) || !arguments_fit(options, *verb, status) ||
	    !confirm_fits(options, status) || !read_environment(options, status))
		return false;
	options->counters = counters_of(options->counters_word);
	/* most verbs take one argument, the file */
	if (!strcmp((*verb)->arguments, "[FILE]") && options->n_arguments)
		*(options->confirm ? &options->tried : &options->config) = options->arguments[0];
	return true;
}
