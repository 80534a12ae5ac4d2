/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that list addresses and prefixes, one a line ("@office.txt"). Each is read once, however
 * many policies name it.
 */
#include "base/foreign.h"
#include "core/config/impl.h"

#include <string.h>

enum { MAX_ERRORS = 20 }; /* of one file */

/* Beside the configuration or below it. */
static bool is_file_name(const char *name, size_t len)
{
	const char *end = name + len;

	if (!len || *name == '/' || end[-1] == '/' || has_control(name, len))
		return false;
	for (const char *part = name, *next; part < end; part = next + 1) {
		next = memchr(part, '/', (size_t)(end - part));
		next = next ? next : end;
		if (next == part || (next - part == 1 && *part == '.') ||
		    (next - part == 2 && part[0] == '.' && part[1] == '.'))
			return false;
	}
	return true;
}

static void note_file(name_list *names, struct arena *a, struct json_string s)
{
	if (!s.len || *s.text != '@' || !is_file_name(s.text + 1, s.len - 1))
		return;
	list_each (known, names)
		if (strlen(*known) == s.len - 1 && !memcmp(*known, s.text + 1, s.len - 1))
			return;
	if (names->n <= CONFIG_MAX_LIST_FILES)
		*list_add(a, names) = arena_strndup(a, s.text + 1, s.len - 1);
}

static void note_files(name_list *names, struct arena *a, const struct json *json, uint32_t node)
{
	if (json_type_of(json, node) == JSON_TYPE_STRING)
		note_file(names, a, json_string_of(json, node, a));
	else if (json_type_of(json, node) == JSON_TYPE_LIST)
		json_each (item, json, node)
			note_file(names, a, json_string_of(json, item, a));
}

void config_list_files(name_list *names, struct arena *a, const struct config_text *kept)
{
	const struct json *json = &kept->json;
	uint32_t policies = json_member(json, JSON_ROOT, "policies");

	if (!policies || json_type_of(json, policies) != JSON_TYPE_LIST)
		return;
	json_each (policy, json, policies) {
		if (json_type_of(json, policy) != JSON_TYPE_OBJECT)
			continue;
		json_each_member (key, json, policy)
			if (json_string_is(json, key, "from", strlen("from")) ||
			    json_string_is(json, key, "to", strlen("to")))
				note_files(names, a, json, key + 1);
	}
}

/* A line of a file that lists prefixes. */
struct line {
	const struct list_file *file;
	uint32_t node; /* that names the file */
	uint32_t number;
	const char *begin; /* of the line */
	uint32_t n_errors; /* of the file, so far */
};

static void wrong_line(struct decoder *d, struct line *line, const char *at, const char *message)
{
	struct diag *diag;

	if (++line->n_errors > MAX_ERRORS + 1)
		return;
	if (line->n_errors > MAX_ERRORS)
		message = "more lines are wrong";
	diag = wrong(d, line->node, "%s", message);
	diag->file = line->file->path;
	diag->path = "";
	diag->line = line->number;
	diag->column = position_of(line->begin, (size_t)(at - line->begin), SIZE_MAX).column;
}

/* What is wrong with a word that is no address or prefix that can be used. */
static const char *why_no_prefix(struct decoder *d, const char *word)
{
	struct prefix prefix;

	if (!prefix_parse_any(&prefix, word))
		return arena_printf(
			d->a,
			"\"%.100s\" is not an address; write one on each line, as 172.18.103.2 or "
			"172.18.103.0/24 (names stand in the configuration: [\"@FILE\", \"NAME\"])",
			word);
	return prefix_why_unusable(d->a, prefix, word);
}

/* NULL: packets with such addresses are routed. */
static const char *why_never_routed(struct prefix prefix)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *bytes = prefix.ip.bytes;

	if (prefix.ip.family != 6)
		return NULL;
	if (prefix.len >= 8 && bytes[0] == 0xff)
		return "a multicast address is no source or target; leave it out";
	if (prefix.len >= 10 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
		return "a link-local address does not pass a host; use another address of it";
	if (prefix.len >= 96 && !memcmp(bytes, mapped, sizeof(mapped)))
		return "no packet has such an address; write it as an IPv4 address";
	return NULL;
}

bool prefix_is_usable(struct prefix prefix)
{
	return prefix_is_canonical(prefix) && !why_never_routed(prefix);
}

const char *prefix_why_unusable(struct arena *a, struct prefix prefix, const char *text)
{
	const char *never = why_never_routed(prefix);

	if (never)
		return never;
	return arena_printf(
		a, "%s has host bits; write %s for the address, %s for all of the prefix", text,
		ip_format(prefix.ip).s, prefix_format_full(prefix_canonical(prefix)).s);
}

static void read_word(struct decoder *d, struct line *line, struct file_nets *nets, const char *at,
		      size_t len)
{
	const char *word = arena_strndup(d->scratch, at, len);
	struct prefix prefix;

	if (prefix_parse_any(&prefix, word) && prefix_is_usable(prefix)) {
		*list_add(d->scratch, &nets->nets) = prefix;
		nets->n++;
	} else {
		wrong_line(d, line, at, why_no_prefix(d, word));
	}
}

/* A line has one address or prefix, or none; "#" begins a comment. */
static void read_line(struct decoder *d, struct line *line, struct file_nets *nets, size_t len)
{
	static const char blanks[] = " \t\r";
	const char *at = line->begin, *comment = memchr(at, '#', len);
	const char *end = comment ? comment : at + len;
	const char *second;
	size_t word = 0;

	while (at < end && strchr(blanks, *at) && *at)
		at++;
	while (at + word < end && !(strchr(blanks, at[word]) && at[word]))
		word++;
	for (second = at + word; second < end && strchr(blanks, *second) && *second;)
		second++;
	if (second < end)
		wrong_line(d, line, second,
			   "a line has one address or prefix; write this on a line of its own, or "
			   "\"#\" before a comment");
	else if (word)
		read_word(d, line, nets, at, word);
}

/* False, with a diagnostic, if the file is not UTF-8 text. */
static bool is_text(struct decoder *d, struct line *line)
{
	const char *end = line->begin + line->file->len;

	for (const char *at = line->begin; at < end;) {
		size_t len = *at > 0 ? 1 : utf8_len(at);

		if (!*at || !len) {
			wrong_line(d, line, at,
				   *at ? "this is not UTF-8; save the file as UTF-8"
				       : "a NUL; save the file as plain text (UTF-8)");
			return false;
		}
		if (*at == '\n') {
			line->number++;
			line->begin = at + 1;
		}
		at += len;
	}
	return true;
}

static void read_lines(struct decoder *d, uint32_t node, const struct list_file *file,
		       struct file_nets *nets)
{
	static const char mark[] = "\xef\xbb\xbf"; /* some editors begin a file so */
	const char *at = file->text, *end = at + file->len;
	struct line line = {.file = file, .node = node, .number = 1, .begin = at};

	if (!is_text(d, &line))
		return;
	line.number = 0;
	if (file->len >= 3 && !memcmp(at, mark, 3))
		at += 3;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);

		line.number++;
		line.begin = at;
		read_line(d, &line, nets, len);
		at += len + 1;
	}
	line.begin = file->text;
	line.number = 1;
	if (!nets->n && !line.n_errors)
		wrong_line(d, &line, file->text,
			   "the list is empty; write an address or prefix a line, or take \"@\" "
			   "and the file's name out of the policies");
}

static void too_many(struct decoder *d, uint32_t node)
{
	wrong(d, node, "the lists have more than %d addresses and prefixes together",
	      CONFIG_MAX_LISTED);
}

void count_listed(struct decoder *d, uint32_t node, uint32_t n)
{
	uint32_t before = d->lists.n_listed;

	d->lists.n_listed += n;
	if (before <= CONFIG_MAX_LISTED && d->lists.n_listed > CONFIG_MAX_LISTED)
		too_many(d, node);
}

struct file_nets *nets_of_file(struct decoder *d, uint32_t node, struct json_string s)
{
	const list_files *files = d->lists.files;
	struct file_nets *nets;

	if (!is_file_name(s.text + 1, s.len - 1)) {
		wrong(d, node,
		      "\"%.*s\" is not a file beside the configuration; write its name, as "
		      "\"@office.txt\"",
		      (int)s.len, s.text);
		return NULL;
	}
	list_each (file, files) {
		if (strlen(file->name) != s.len - 1 ||
		    memcmp(file->name, s.text + 1, s.len - 1) != 0)
			continue;
		nets = &d->lists.of_file[file - files->items];
		if (!nets->parsed && file->trouble)
			wrong(d, node, "%s; mend or replace the file, or leave \"%.*s\" out",
			      file->trouble, (int)s.len, s.text);
		else if (!nets->parsed)
			read_lines(d, node, file, nets);
		if (!nets->parsed)
			count_listed(d, node, nets->n);
		nets->parsed = true;
		return nets->n ? nets : NULL;
	}
	if (files->n >= CONFIG_MAX_LIST_FILES)
		wrong(d, node, "more than %d files; write some of them as one",
		      CONFIG_MAX_LIST_FILES);
	else
		wrong(d, node, "\"%.*s\" was not read: this text stands without its folder",
		      (int)s.len, s.text);
	return NULL;
}

void lists_begin(struct decoder *d, const list_files *files)
{
	d->lists.files = files;
	d->lists.of_file = arena_array(d->scratch, struct file_nets, files->n);
}
