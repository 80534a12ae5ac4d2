/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values from a small set of words, and ports; one of them, or a list. */
#include "core/config/impl.h"

#include <stdlib.h>
#include <string.h>

struct word {
	const char *text; /* first: nearest_name reads it */
	uint8_t value;
};

static const struct word protos[] = {{"tcp", PROTO_TCP},
				     {"udp", PROTO_UDP},
				     {"sctp", PROTO_SCTP},
				     {"icmp", PROTO_ICMP},
				     {"icmp/echo-request", PROTO_ECHO},
				     {"any", PROTO_ANY}};
static const struct word nats[] = {{"dnat", NAT_DNAT}, {"masquerade", NAT_MASQUERADE}};
static const struct word masquerades[] = {
	{"auto", MASQUERADE_AUTO}, {"true", MASQUERADE_YES}, {"false", MASQUERADE_NO}};
static const struct word expectations[] = {
	{"open", EXPECT_OPEN}, {"closed", EXPECT_CLOSED}, {"untranslated", EXPECT_UNTRANSLATED}};
static const struct word isolations[] = {{"docker", ISOLATION_DOCKER},
					 {"open", ISOLATION_OPEN},
					 {"strict", ISOLATION_STRICT},
					 {"audit", ISOLATION_AUDIT}};
static const struct word egresses[] = {
	{"open", EGRESS_OPEN}, {"deny", EGRESS_DENY}, {"audit", EGRESS_AUDIT}};

const char *expect_name(enum expect expect)
{
	for (size_t i = 0; i < COUNT_OF(expectations); i++)
		if (expectations[i].value == expect)
			return expectations[i].text;
	return "";
}

const char *egress_name(enum egress egress)
{
	for (size_t i = 0; i < COUNT_OF(egresses); i++)
		if (egresses[i].value == egress)
			return egresses[i].text;
	return "";
}

const char *proto_name(enum proto proto)
{
	for (size_t i = 0; i < COUNT_OF(protos); i++)
		if (protos[i].value == proto)
			return protos[i].text;
	return "?";
}

uint8_t proto_number(enum proto proto)
{
	return protocol_number(proto_name(proto == PROTO_ECHO ? PROTO_ICMP : proto));
}

static const char *list_words(struct decoder *d, const struct word *words, size_t n)
{
	const char *text = "";

	for (size_t i = 0; i < n; i++)
		text = arena_printf(d->a, "%s%s%s", text, i ? ", " : "", words[i].text);
	return text;
}

static const struct word *find_word(const struct decoder *d, uint32_t node,
				    const struct word *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (json_string_is(json_of(d), node, words[i].text, strlen(words[i].text)))
			return &words[i];
	return NULL;
}

/* The word's entry; NULL with a diagnostic if the word is unknown. */
static const struct word *take_word(struct decoder *d, uint32_t node, const char *what,
				    const struct word *words, size_t n)
{
	const struct word *word = find_word(d, node, words, n);
	const char *text = word ? NULL : take_text(d, node);
	uint32_t near;

	if (!text)
		return word;
	near = nearest(text, words, sizeof(*words), n);
	wrong(d, node, "unknown %s \"%s\"; use %s%s", what, text, list_words(d, words, n),
	      near == NONE ? "" : arena_printf(d->a, " (did you mean \"%s\"?)", words[near].text));
	return NULL;
}

/* What is wrong with a type of ICMP that begins nothing, as nft calls it; NULL: it is no such. */
static const char *why_no_type(struct json_string s)
{
	static const char *const errors[] = {"icmp/destination-unreachable", "icmp/packet-too-big",
					     "icmp/time-exceeded", "icmp/parameter-problem",
					     "icmp/source-quench"};
	static const char reply[] = "-reply";

	if (s.len < 5 || memcmp(s.text, "icmp/", 5) != 0)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(errors); i++)
		if (s.len == strlen(errors[i]) && !memcmp(s.text, errors[i], s.len))
			return "errors of ICMP pass with the connection that they are about, "
			       "whatever policies say; leave it out";
	if (s.len > sizeof(reply) && !memcmp(s.text + s.len - strlen(reply), reply, strlen(reply)))
		return "answers pass with what they answer; write what begins it: "
		       "\"icmp/echo-request\", or \"icmp\" for all";
	return "of the types of ICMP a policy can name \"icmp/echo-request\" alone; write that, or "
	       "\"icmp\" for all";
}

static void decode_proto(struct decoder *d, uint32_t node, void *target)
{
	const struct word *word = find_word(d, node, protos, COUNT_OF(protos));
	const char *wrong_type = word ? NULL : why_no_type(string_of(d, node));

	if (wrong_type) {
		wrong(d, node, "%s", wrong_type);
		return;
	}
	word = take_word(d, node, "protocol", protos, COUNT_OF(protos));

	if (word)
		*(uint8_t *)target |= word->value;
}

void decode_nat(struct decoder *d, uint32_t node, void *target)
{
	const struct word *word = take_word(d, node, "kind of nat", nats, COUNT_OF(nats));

	if (word)
		*(uint8_t *)target = word->value;
}

void decode_masquerade(struct decoder *d, uint32_t node, void *target)
{
	enum json_type type = json_type_of(json_of(d), node);
	const struct word *word;

	if (type == JSON_TYPE_TRUE || type == JSON_TYPE_FALSE) {
		*(uint8_t *)target = type == JSON_TYPE_TRUE ? MASQUERADE_YES : MASQUERADE_NO;
		return;
	}
	word = take_word(d, node, "choice", masquerades, COUNT_OF(masquerades));
	if (word)
		*(uint8_t *)target = word->value;
}

void decode_expect(struct decoder *d, uint32_t node, void *target)
{
	const struct word *word =
		take_word(d, node, "expectation", expectations, COUNT_OF(expectations));

	if (word)
		*(enum expect *)target = word->value;
}

void decode_isolation(struct decoder *d, uint32_t node, void *target)
{
	const struct word *word = take_word(d, node, "isolation", isolations, COUNT_OF(isolations));

	if (word)
		*(enum isolation *)target = word->value;
}

void decode_egress(struct decoder *d, uint32_t node, void *target)
{
	const struct word *word = take_word(d, node, "egress", egresses, COUNT_OF(egresses));

	if (word)
		*(enum egress *)target = word->value;
}

/* --- one or several --- */

void decode_each(struct decoder *d, uint32_t node, void *target,
		 void (*decode)(struct decoder *d, uint32_t node, void *target))
{
	if (json_type_of(json_of(d), node) != JSON_TYPE_LIST) {
		decode(d, node, target);
		return;
	}
	if (json_behind(json_of(d), node) == node + 1)
		wrong(d, node, "empty list; write at least one item, or remove the field");
	json_each (item, json_of(d), node)
		decode(d, item, target);
}

void decode_protos(struct decoder *d, uint32_t node, void *target)
{
	decode_each(d, node, target, decode_proto);
}

static bool parse_number(uint16_t *port, const char *text, size_t len)
{
	uint32_t value = 0;

	if (!len || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = 10 * value + (uint32_t)(text[i] - '0');
	}
	*port = (uint16_t)value;
	return value >= 1 && value <= UINT16_MAX;
}

static const char a_port[] = "a port as 80, \"8000-8010\", or a list of them";

/* "80", "8000-8010" */
static bool parse_ports(struct port_range *range, struct json_string s)
{
	const char *dash = memchr(s.text, '-', s.len);
	size_t low = dash ? (size_t)(dash - s.text) : s.len;

	if (!parse_number(&range->low, s.text, low))
		return false;
	range->high = range->low;
	return !dash || parse_number(&range->high, dash + 1, s.len - low - 1);
}

static bool number_is_port(struct decoder *d, uint32_t node, struct port_range *range)
{
	const struct json_node *n = &json_of(d)->nodes[node];
	int64_t number;

	if (!json_integer_of(&number, json_of(d), node)) {
		if (json_has_fraction(json_of(d), node))
			wrong_type(d, node, a_port);
		else
			wrong(d, node, "%.*s is not a port (1-65535)", (int)n->extent,
			      json_of(d)->text + n->at);
		return false;
	}
	if (number < 1 || number > UINT16_MAX)
		wrong(d, node, "%lld is not a port (1-65535)", (long long)number);
	else
		range->low = range->high = (uint16_t)number;
	return range->low;
}

static bool text_is_ports(struct decoder *d, uint32_t node, struct port_range *range)
{
	struct json_string s = string_of(d, node);

	if (!parse_ports(range, s))
		wrong(d, node, "\"%.*s\" is not a port (1-65535)", (int)s.len, s.text);
	else if (range->low > range->high)
		wrong(d, node, "the range %.*s is reversed; write \"%u-%u\"", (int)s.len, s.text,
		      range->high, range->low);
	else
		return true;
	return false;
}

static void decode_port(struct decoder *d, uint32_t node, void *target)
{
	struct port_range range = {0};
	bool ok = false;

	switch (json_type_of(json_of(d), node)) {
	case JSON_TYPE_NUMBER:
		ok = number_is_port(d, node, &range);
		break;
	case JSON_TYPE_STRING:
		ok = text_is_ports(d, node, &range);
		break;
	case JSON_TYPE_NULL:
	case JSON_TYPE_FALSE:
	case JSON_TYPE_TRUE:
	case JSON_TYPE_LIST:
	case JSON_TYPE_OBJECT:
		wrong_type(d, node, a_port);
		break;
	}
	if (ok)
		*list_add(d->scratch, (range_list *)target) = range;
}

static int by_port(const void *left, const void *right)
{
	const struct port_range *a = left, *b = right;

	return a->low != b->low ? a->low - b->low : a->high - b->high;
}

void join_ports(range_list *ports)
{
	uint32_t n = 0;

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

void decode_port_list(struct decoder *d, uint32_t node, void *target)
{
	decode_each(d, node, target, decode_port);
}

void decode_ports(struct decoder *d, uint32_t node, void *target)
{
	decode_port_list(d, node, target);
	join_ports(target);
}
