/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/iptables/leftovers.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 48 };

/* What a plain rule can say. */
struct plain {
	const char *chain, *target;
	const char *in, *out;
	struct prefix src, dst; /* family 0: any */
	uint8_t proto;		/* 0: any */
	uint16_t sport, dport;	/* 0: any */
	bool replies;		/* a state match that takes established packets only */
	struct ip to;
	uint16_t to_port;
};

static const struct {
	const char *name;
	uint8_t number;
} protos[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}};

/* --- one option each; false: not as network-go writes it --- */

static bool take_chain(struct plain *p, const char *value)
{
	p->chain = value;
	return true;
}

static bool take_in(struct plain *p, const char *value)
{
	p->in = value;
	return true;
}

static bool take_out(struct plain *p, const char *value)
{
	p->out = value;
	return true;
}

static bool take_src(struct plain *p, const char *value)
{
	return prefix_parse(&p->src, value);
}

static bool take_dst(struct plain *p, const char *value)
{
	return prefix_parse(&p->dst, value);
}

static bool take_proto(struct plain *p, const char *value)
{
	for (size_t i = 0; i < COUNT_OF(protos); i++)
		if (!strcmp(protos[i].name, value))
			p->proto = protos[i].number;
	return p->proto != 0;
}

static bool take_port(uint16_t *port, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	*port = (uint16_t)n;
	return !*end && n && n <= UINT16_MAX;
}

static bool take_sport(struct plain *p, const char *value)
{
	return take_port(&p->sport, value);
}

static bool take_dport(struct plain *p, const char *value)
{
	return take_port(&p->dport, value);
}

static bool take_match(struct plain *p, const char *value)
{
	static const char *const known[] = {"tcp", "udp", "sctp", "state", "conntrack"};

	(void)p;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!strcmp(known[i], value))
			return true;
	return false;
}

static bool take_state(struct plain *p, const char *value)
{
	p->replies = !strstr(value, "NEW");
	return strstr(value, "ESTABLISHED") || strstr(value, "NEW");
}

static bool take_target(struct plain *p, const char *value)
{
	p->target = value;
	return true;
}

/* ADDRESS or ADDRESS:PORT */
static bool take_to(struct plain *p, const char *value)
{
	const char *colon = strchr(value, ':');
	char text[64] = {0};

	if (colon && !take_port(&p->to_port, colon + 1))
		return false;
	memcpy(text, value,
	       colon ? (size_t)(colon - value) % sizeof(text) : strnlen(value, sizeof(text) - 1));
	return ip_parse(&p->to, text);
}

static const struct {
	const char *name;
	bool (*take)(struct plain *p, const char *value);
} options[] = {
	{"-A", take_chain},
	{"-i", take_in},
	{"-o", take_out},
	{"-s", take_src},
	{"-d", take_dst},
	{"-p", take_proto},
	{"--sport", take_sport},
	{"--dport", take_dport},
	{"-m", take_match},
	{"--state", take_state},
	{"--ctstate", take_state},
	{"-j", take_target},
	{"--to-destination", take_to},
};

static bool take(struct plain *p, const char *name, const char *value)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (!strcmp(options[i].name, name))
			return options[i].take(p, value);
	return false;
}

/* The line is cut into words in place. */
static bool parse(struct plain *p, char *line)
{
	char *words[MAX_WORDS], *rest = NULL;
	size_t n = 0;

	*p = (struct plain){.chain = "", .target = ""};
	for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		if (n == MAX_WORDS)
			return false;
		words[n++] = w;
	}
	for (size_t i = 0; i + 1 < n; i += 2)
		if (!take(p, words[i], words[i + 1]))
			return false;
	return n % 2 == 0;
}

/* --- does a policy say so? --- */

/* What the rule says, what the flow says: no address at all is "any". */
static bool same_prefix(struct prefix said, struct prefix meant)
{
	if (!said.ip.family)
		return meant.ip.family && !meant.len;
	return meant.ip.family && prefix_compare(said, meant) == 0;
}

static bool port_fits(struct traffic match, uint16_t port)
{
	return !port || (port >= match.low && port <= match.high);
}

static bool proto_fits(struct traffic match, uint8_t proto)
{
	return !proto || !match.proto || match.proto == proto;
}

static bool among(struct prefix said, const struct peers *peers)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (same_prefix(said, peers->items[i].net))
			return true;
	return false;
}

/* A flow, there or back. Without any address it is too wide to be one policy's. */
static bool is_granted(const struct plain *p, const struct grant *grant)
{
	bool there, back;

	if (!p->src.ip.family && !p->dst.ip.family)
		return false;
	there = !p->sport && among(p->src, grant->from) && among(p->dst, grant->to);
	back = !p->dport && (p->sport || p->replies) && among(p->src, grant->to) &&
	       among(p->dst, grant->from);
	for (uint32_t m = 0; m < grant->n_matches; m++)
		if (proto_fits(grant->matches[m], p->proto) &&
		    ((there && port_fits(grant->matches[m], p->dport)) ||
		     (back && port_fits(grant->matches[m], p->sport))))
			return true;
	return false;
}

static bool is_translated(const struct plain *p, const struct translation *t)
{
	struct traffic match = t->match;

	if (t->to_port)
		match.low = match.high = t->to_port;
	return proto_fits(match, p->proto) && same_prefix(p->dst, prefix_of(t->to)) &&
	       !p->src.ip.family && p->dport && port_fits(match, p->dport);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_translation(const struct plain *p, const struct translation *t)
{
	return p->to.family && ip_equal(p->to, t->to) && same_text(p->in, t->iface) && p->dport &&
	       proto_fits(t->match, p->proto) && port_fits(t->match, p->dport) &&
	       (!p->to_port || p->to_port == (t->to_port ? t->to_port : p->dport));
}

static uint32_t who_accepts(const struct plain *p, const struct flows *flows)
{
	list_each (grant, &flows->grants)
		if (is_granted(p, grant))
			return grant->origin;
	list_each (t, &flows->translations)
		if (is_translated(p, t))
			return t->origin;
	return NONE;
}

static uint32_t who_translates(const struct plain *p, const struct flows *flows)
{
	list_each (t, &flows->translations)
		if (is_translation(p, t))
			return t->origin;
	return NONE;
}

static uint32_t who_masquerades(const struct plain *p, const struct flows *flows)
{
	list_each (t, &flows->translations)
		if (is_translated(p, t))
			return t->origin;
	return NONE;
}

static const struct {
	const char *table, *chain, *target;
	uint32_t (*who)(const struct plain *p, const struct flows *flows);
} places[] = {
	{"filter", "DOCKER-USER", "ACCEPT", who_accepts},
	{"filter", "FORWARD", "ACCEPT", who_accepts},
	{"nat", "PREROUTING", "DNAT", who_translates},
	{"nat", "POSTROUTING", "MASQUERADE", who_masquerades},
};

static uint32_t whose(const struct plain *p, const char *table, const struct flows *flows)
{
	for (size_t i = 0; i < COUNT_OF(places); i++)
		if (!strcmp(places[i].table, table) && !strcmp(places[i].chain, p->chain) &&
		    !strcmp(places[i].target, p->target))
			return places[i].who(p, flows);
	return NONE;
}

void leftovers_find(leftover_list *found, struct arena *a, enum variant variant, const char *save,
		    const struct flows *flows)
{
	const char *table = "";

	while (*save) {
		const char *line = arena_printf(a, "%.*s", (int)strcspn(save, "\n"), save);
		struct plain p;
		uint32_t origin;

		save += strlen(line);
		save += *save == '\n';
		if (*line == '*')
			table = line + 1;
		if (strncmp(line, "-A ", 3) != 0 || !parse(&p, arena_strdup(a, line)))
			continue;
		origin = whose(&p, table, flows);
		if (origin != NONE)
			*list_add(a, found) = (struct leftover){variant, table, line, origin};
	}
}
