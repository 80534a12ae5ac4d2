/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values that are one of a few words, and ports; one of them, or a list. */
#include "core/config/impl.h"

#include <stdlib.h>
#include <string.h>

struct word {
	const char *text; /* first: suggestion */
	uint8_t value;
};

static const struct word protos[] = {{"tcp", PROTO_TCP},
				     {"udp", PROTO_UDP},
				     {"sctp", PROTO_SCTP},
				     {"icmp", PROTO_ICMP},
				     {"any", PROTO_ANY}};
static const struct word nats[] = {{"dnat", NAT_DNAT}, {"masquerade", NAT_MASQUERADE}};
static const struct word masquerades[] = {
	{"auto", MASQUERADE_AUTO}, {"true", MASQUERADE_YES}, {"false", MASQUERADE_NO}};
static const struct word isolations[] = {{"docker", ISOLATION_DOCKER}, {"open", ISOLATION_OPEN}};

const char *proto_name(enum proto proto)
{
	for (size_t i = 0; i < COUNT_OF(protos); i++)
		if (protos[i].value == proto)
			return protos[i].text;
	return "?";
}

static const char *list_words(struct decoder *d, const struct word *words, size_t n)
{
	const char *text = "";

	for (size_t i = 0; i < n; i++)
		text = arena_printf(d->a, "%s%s%s", text, i ? ", " : "", words[i].text);
	return text;
}

/* The word's value; NULL with a diagnostic where it is none of them. */
static const struct word *take_word(struct decoder *d, const struct json_value *json,
				    const char *what, const struct word *words, size_t n)
{
	const char *text = json->text;
	uint32_t near;

	for (size_t i = 0; i < n && text; i++)
		if (!strcmp(words[i].text, text))
			return &words[i];
	text = take_text(d, json);
	if (!text)
		return NULL;
	near = nearest(text, words, sizeof(*words), n);
	wrong(d, "\"%s\" is no %s; use %s%s", text, what, list_words(d, words, n),
	      near == NONE ? "" : arena_printf(d->a, " (did you mean \"%s\"?)", words[near].text));
	return NULL;
}

static void decode_proto(struct decoder *d, const struct json_value *json, void *target)
{
	const struct word *word = take_word(d, json, "protocol", protos, COUNT_OF(protos));

	if (word)
		*(uint8_t *)target |= word->value;
}

void decode_nat(struct decoder *d, const struct json_value *json, void *target)
{
	const struct word *word = take_word(d, json, "kind of nat", nats, COUNT_OF(nats));

	if (word)
		*(uint8_t *)target = word->value;
}

void decode_masquerade(struct decoder *d, const struct json_value *json, void *target)
{
	const struct word *word;

	if (json_is_boolean(json->json)) {
		*(uint8_t *)target = json_is_true(json->json) ? MASQUERADE_YES : MASQUERADE_NO;
		return;
	}
	word = take_word(d, json, "choice", masquerades, COUNT_OF(masquerades));
	if (word)
		*(uint8_t *)target = word->value;
}

void decode_isolation(struct decoder *d, const struct json_value *json, void *target)
{
	const struct word *word;

	if (json->text && !strcmp(json->text, "strict")) {
		wrong(d, "strict comes in a later version; use docker or open");
		return;
	}
	word = take_word(d, json, "isolation", isolations, COUNT_OF(isolations));
	if (word)
		*(enum isolation *)target = word->value;
}

/* --- one or several --- */

/* A value, or a list of such. */
static void each_of(struct decoder *d, const struct json_value *json, void *target,
		    void (*decode)(struct decoder *, const struct json_value *, void *))
{
	size_t n = json_array_size(json->json);

	if (json_value_type(json) != JSON_ARRAY) {
		decode(d, json, target);
		return;
	}
	if (!n)
		wrong(d, "an empty list; write at least one, or leave the field out");
	for (size_t i = 0; i < n; i++) {
		struct json_value one = json_value_of(json_array_get(json->json, i));

		enter_index(d, (uint32_t)i);
		decode(d, &one, target);
		leave(d);
	}
}

void decode_protos(struct decoder *d, const struct json_value *json, void *target)
{
	each_of(d, json, target, decode_proto);
}

typedef LIST(uint32_t) number_list;

static void decode_peer(struct decoder *d, const struct json_value *json, void *target)
{
	if (json->text && *json->text == '@')
		wrong(d, "lists in files come in a later version; name one address");
	else
		decode_number(d, json, target);
}

static void add_peer(struct decoder *d, const struct json_value *json, void *target)
{
	uint32_t name = 0;

	decode_peer(d, json, &name);
	if (name)
		*list_add(d->scratch, (number_list *)target) = name;
}

void decode_peers(struct decoder *d, const struct json_value *json, void *target)
{
	number_list names = {0};

	if (json->text) {
		decode_peer(d, json, target);
		return;
	}
	each_of(d, json, &names, add_peer);
	if (names.n)
		*(uint32_t *)target = names.items[0];
	if (names.n > 1)
		wrong(d, "several come in a later version; name one");
}

static bool parse_port(uint16_t *port, const char *text, size_t len)
{
	unsigned long value;

	if (!len || len > 5 || strspn(text, "0123456789") < len)
		return false;
	value = strtoul(text, NULL, 10);
	*port = (uint16_t)value;
	return value >= 1 && value <= UINT16_MAX;
}

/* 80, "80", "8000-8010" */
static void decode_port(struct decoder *d, const struct json_value *json, void *target)
{
	range_list *ports = target;
	const char *text = json->text, *dash;
	struct port_range range;
	json_int_t number;

	if (json_value_integer(&number, json)) {
		if (number < 1 || number > UINT16_MAX)
			wrong(d, "%lld is not a port (1-65535)", (long long)number);
		else
			*list_add(d->scratch, ports) =
				(struct port_range){(uint16_t)number, (uint16_t)number};
		return;
	}
	if (!text) {
		wrong_type(d, json, "a port as 80, \"8000-8010\", or a list of them");
		return;
	}
	dash = strchr(text, '-');
	if (dash && dash > text && parse_port(&range.low, text, (size_t)(dash - text)) &&
	    parse_port(&range.high, dash + 1, strlen(dash + 1))) {
		if (range.low > range.high) {
			wrong(d, "the range %s is reversed; write \"%u-%u\"", text, range.high,
			      range.low);
			return;
		}
	} else if (parse_port(&range.low, text, strlen(text))) {
		range.high = range.low;
	} else {
		wrong(d, "\"%s\" is not a port (1-65535)", text);
		return;
	}
	*list_add(d->scratch, ports) = range;
}

static int by_port(const void *left, const void *right)
{
	const struct port_range *a = left, *b = right;

	return a->low != b->low ? a->low - b->low : a->high - b->high;
}

/* Sorted, and what touches or overlaps made one. */
void decode_ports(struct decoder *d, const struct json_value *json, void *target)
{
	range_list *ports = target;
	uint32_t n = 0;

	each_of(d, json, target, decode_port);
	if (ports->n < 2)
		return;
	qsort(ports->items, ports->n, sizeof(*ports->items), by_port);
	for (uint32_t i = 1; i < ports->n; i++) {
		struct port_range *last = &ports->items[n], *next = &ports->items[i];

		if (next->low > last->high + 1)
			ports->items[++n] = *next;
		else if (next->high > last->high)
			last->high = next->high;
	}
	ports->n = n + 1;
}

void decode_to_port(struct decoder *d, const struct json_value *json, void *target)
{
	range_list ports = {0};

	decode_port(d, json, &ports);
	if (ports.n && json->text && strchr(json->text, '-'))
		wrong(d, "a range; name one port");
	else if (ports.n)
		*(uint16_t *)target = ports.items[0].low;
}
