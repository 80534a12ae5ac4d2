/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads flows back from our rules as iptables-save prints them. */
#include "core/iptables/iptables.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* The word after an option, or NULL; looking for "-d" does not find "--dport". */
static const char *word(struct arena *a, const char *line, const char *option)
{
	const char *at = strstr(line, arena_printf(a, " %s ", option));

	if (!at)
		return NULL;
	at += strlen(option) + 2;
	return arena_printf(a, "%.*s", (int)strcspn(at, " "), at);
}

static struct prefix prefix_behind(struct arena *a, const char *line, const char *option)
{
	const char *text = word(a, line, option);
	struct prefix p = {0};

	if (text && !prefix_parse(&p, text))
		p = (struct prefix){0};
	return p;
}

/* A rule without a source matches any, which flows write as a prefix of length 0. */
static struct prefix or_anybody(struct prefix p, uint8_t family)
{
	return p.ip.family ? p : (struct prefix){.ip = {.family = family}};
}

/* ip6tables-save prints other names where /etc/protocols is missing. */
static uint8_t protocol_of(const char *name)
{
	if (!strcmp(name, "ipv6-icmp") || !strcmp(name, "icmpv6"))
		return IPPROTO_ICMPV6;
	return protocol_number(name);
}

static struct traffic traffic_in(struct arena *a, const char *line)
{
	const char *proto = word(a, line, "-p"), *ports = word(a, line, "--dport"), *colon;
	struct traffic match = {.high = UINT16_MAX};

	match.proto = proto ? protocol_of(proto) : 0;
	ports = ports ? ports : word(a, line, "--icmp-type");
	ports = ports ? ports : word(a, line, "--icmpv6-type");
	if (!ports)
		return match;
	colon = strchr(ports, ':');
	match.low = (uint16_t)strtoul(ports, NULL, 10);
	match.high = colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : match.low;
	return match;
}

static const struct peers *one_peer(struct arena *a, struct prefix net)
{
	struct peers *peers = arena_new(a, struct peers);

	*peers = (struct peers){.items = arena_new(a, struct peer), .n = 1, .network = NONE};
	peers->items[0] = (struct peer){net, NONE, NONE};
	return peers;
}

static void take_grant(struct flows *flows, struct arena *a, uint8_t family, const char *line)
{
	struct prefix dst = prefix_behind(a, line, "-d");
	struct traffic *match;

	if (!dst.ip.family || strstr(line, " --ctstate DNAT "))
		return;
	match = arena_new(a, struct traffic);
	*match = traffic_in(a, line);
	*list_add(a, &flows->grants) = (struct grant){
		.from = one_peer(a, or_anybody(prefix_behind(a, line, "-s"), family)),
		.to = one_peer(a, dst),
		.iface = word(a, line, "-i"),
		.matches = match,
		.n_matches = 1,
		.origin = NONE};
}

/* "10.0.0.2:80", "10.0.0.2", "[fd00::2]:80", "fd00::2" */
static bool take_target(struct translation *t, struct arena *a, const char *to)
{
	const char *close = *to == '[' ? strchr(to, ']') : NULL;
	bool alone = !close && strchr(to, ':') != strrchr(to, ':');
	const char *port = alone ? NULL : strchr(close ? close : to, ':');
	const char *end = close ? close : port ? port : to + strlen(to);

	to += close != NULL;
	if (port)
		t->to_port = (uint16_t)strtoul(port + 1, NULL, 10);
	return ip_parse(&t->to, arena_printf(a, "%.*s", (int)(end - to), to));
}

static void take_translation(struct flows *flows, struct arena *a, uint8_t family UNUSED,
			     const char *line)
{
	const char *to = word(a, line, "--to-destination");
	struct translation t = {.iface = word(a, line, "-i"),
				.from = prefix_behind(a, line, "-s"),
				.match = traffic_in(a, line),
				.origin = NONE};

	if (to && take_target(&t, a, to))
		*list_add(a, &flows->translations) = t;
}

static const struct {
	const char *table, *chain;
	void (*take)(struct flows *flows, struct arena *a, uint8_t family, const char *line);
} places[] = {
	{"filter", IPT_PREFIX "-FRESH", take_grant},
	{"nat", IPT_PREFIX "-PRE", take_translation},
	{"nat", IPT_PREFIX "-OUT", take_translation},
};

void ipt_read_flows(struct flows *flows, struct arena *a, const ipt_chains *chains)
{
	list_each (chain, chains)
		for (size_t i = 0; i < COUNT_OF(places); i++)
			if (!strcmp(chain->table, places[i].table) &&
			    !strcmp(chain->name, places[i].chain))
				list_each (rule, &chain->rules)
					places[i].take(flows, a, chain->family,
						       arena_printf(a, " %s ", rule->text));
}
