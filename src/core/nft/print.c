/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ruleset as text that `nft -f` takes, and the single words of it for plan lines and errors. */
#include "core/nft/nft.h"

#include <netinet/in.h>
/* before the kernel's own headers, which stand back for it */

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>

static const char *const hook_names[] = {
	[NF_INET_PRE_ROUTING] = "prerouting",	[NF_INET_LOCAL_IN] = "input",
	[NF_INET_FORWARD] = "forward",		[NF_INET_LOCAL_OUT] = "output",
	[NF_INET_POST_ROUTING] = "postrouting",
};

static const char *const load_words[] = {
	[LOAD_SADDR] = "saddr",
	[LOAD_DADDR] = "daddr",
	[LOAD_PROTO] = "meta l4proto",
	[LOAD_SPORT] = "th sport",
	[LOAD_DPORT] = "th dport",
	[LOAD_IIFNAME] = "iifname",
	[LOAD_OIFNAME] = "oifname",
	[LOAD_ETHER_SADDR] = "ether saddr",
	[LOAD_ARP_ETHER] = "arp saddr ether",
	[LOAD_ARP_IP] = "arp saddr ip",
	[LOAD_ND_TARGET] = "icmpv6 taddr",
};

/* What stands before its addresses. */
static const char *family_word(uint8_t family)
{
	return family == 6 ? "ip6" : "ip";
}

/* --- values --- */

static void print_proto(struct buf *out, uint8_t proto)
{
	if (proto == IPPROTO_ICMPV6)
		buf_puts(out, "ipv6-icmp");
	else if (protocol_has_name(proto))
		buf_puts(out, protocol_name(proto));
	else
		buf_printf(out, "%u", proto);
}

static struct ip ip_at(enum field field, const uint8_t *bytes)
{
	struct ip ip = {.family = field == FIELD_IP6 ? 6 : 4};

	memcpy(ip.bytes, bytes, field_types[field].len);
	return ip;
}

/* A range of addresses as a prefix where it is one. */
static void print_ip_range(struct buf *out, enum field field, const uint8_t *low,
			   const uint8_t *high)
{
	struct ip first = ip_at(field, low), last = ip_at(field, high);

	for (uint8_t len = 1; len <= ip_bits(first); len++) {
		struct prefix p = {first, len};

		if (ip_equal(prefix_first(p), first) && ip_equal(prefix_last(p), last)) {
			buf_puts(out, prefix_format(p).s);
			return;
		}
	}
	buf_printf(out, "%s-%s", ip_format(first).s, ip_format(last).s);
}

static void print_field(struct buf *out, enum field field, const uint8_t *bytes)
{
	switch (field) {
	case FIELD_IP4:
	case FIELD_IP6:
		buf_puts(out, ip_format(ip_at(field, bytes)).s);
		break;
	case FIELD_PROTO:
		print_proto(out, bytes[0]);
		break;
	case FIELD_PORT:
		buf_printf(out, "%u", bytes[0] << 8 | bytes[1]);
		break;
	case FIELD_ETHER:
		buf_printf(out, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
			   bytes[3], bytes[4], bytes[5]);
		break;
	case FIELD_IFNAME:
		buf_printf(out, "\"%.16s\"", (const char *)bytes);
		break;
	case FIELD_VERDICT:
		break; /* print_verdict */
	}
}

static void print_range(struct buf *out, enum field field, const uint8_t *low, const uint8_t *high)
{
	if (!memcmp(low, high, field_types[field].len)) {
		print_field(out, field, low);
	} else if (field == FIELD_IP4 || field == FIELD_IP6) {
		print_ip_range(out, field, low, high);
	} else if (field == FIELD_PROTO) {
		buf_printf(out, "%u-%u", low[0], high[0]);
	} else {
		print_field(out, field, low);
		buf_puts(out, "-");
		print_field(out, field, high);
	}
}

static uint32_t padded_len(enum field field)
{
	return (field_types[field].len + 3u) & ~3u;
}

static void print_verdict(struct buf *out, const struct set *set, const uint8_t *data)
{
	const struct verdict *verdict;
	uint64_t id;

	memcpy(&id, data, sizeof(id));
	verdict = set_find_verdict(set, id);
	if (verdict)
		buf_printf(out, "%s %s", verdict->go ? "goto" : "jump", verdict->chain);
}

/* One element: "172.18.104.2 . 172.18.103.2 . tcp . 80", and " : …" of a map. */
static void nft_print_element(struct buf *out, const struct set *set, uint32_t i)
{
	const uint8_t *low = set_element(set, i), *data;
	const uint8_t *high = set->interval ? low + set_key_len(set) : low;

	data = high + set_key_len(set);
	for (uint8_t f = 0; f < set->n_key; f++) {
		buf_puts(out, f ? " . " : "");
		print_range(out, set->key[f], low, high);
		low += padded_len(set->key[f]);
		high += padded_len(set->key[f]);
	}
	for (uint8_t f = 0; f < set->n_data; f++) {
		buf_puts(out, f ? " . " : " : ");
		if (set->data[f] == FIELD_VERDICT)
			print_verdict(out, set, data);
		else
			print_field(out, set->data[f], data);
		data += padded_len(set->data[f]);
	}
}

/* --- terms --- */

/* "tcp dport @x" says both the protocol and the port. */
static bool asks_ports_alone(const struct term *t)
{
	return (t->kind == TERM_LOOKUP || t->kind == TERM_LOOKUP_NOT) && t->n_loads == 1 &&
	       (t->loads[0] == LOAD_DPORT || t->loads[0] == LOAD_SPORT);
}

static void print_key(struct buf *out, const struct rule *rule, const struct term *t,
		      const struct term *before)
{
	if (asks_ports_alone(t) && before && before->kind == TERM_PROTO) {
		print_proto(out, (uint8_t)before->number);
		buf_puts(out, t->loads[0] == LOAD_DPORT ? " dport" : " sport");
		return;
	}
	for (uint8_t i = 0; i < t->n_loads; i++) {
		bool address = t->loads[i] == LOAD_SADDR || t->loads[i] == LOAD_DADDR;

		buf_puts(out, i ? " . " : "");
		if (address)
			buf_printf(out, "%s ", family_word(rule->family));
		buf_puts(out, load_words[t->loads[i]]);
	}
}

static void print_ports(struct buf *out, const struct term *t, const struct term *before)
{
	if (before && before->kind == TERM_PROTO)
		print_proto(out, (uint8_t)before->number);
	else
		buf_puts(out, "th");
	buf_printf(out, " %s %u", t->kind == TERM_SPORT ? "sport" : "dport", t->low);
	if (t->high != t->low)
		buf_printf(out, "-%u", t->high);
}

static void print_ct_state(struct buf *out, uint32_t bits)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} states[] = {{CT_INVALID, "invalid"},
		      {CT_ESTABLISHED, "established"},
		      {CT_RELATED, "related"},
		      {CT_NEW, "new"},
		      {CT_UNTRACKED, "untracked"}};
	const char *comma = "ct state ";

	for (size_t i = 0; i < COUNT_OF(states); i++)
		if (bits & states[i].bit) {
			buf_printf(out, "%s%s", comma, states[i].name);
			comma = ",";
		}
}

static void print_ct_mark_set(struct buf *out, const struct term *t)
{
	buf_puts(out, "ct mark set ct mark");
	if (t->mask)
		buf_printf(out, " & %#x", ~t->mask);
	if (t->number)
		buf_printf(out, " | %#x", t->number);
}

static void print_dnat(struct buf *out, const struct term *t)
{
	bool brackets = t->prefix.ip.family == 6 && t->low;

	buf_printf(out, "dnat %s to %s%s%s", family_word(t->prefix.ip.family), brackets ? "[" : "",
		   ip_format(t->prefix.ip).s, brackets ? "]" : "");
	if (t->low)
		buf_printf(out, ":%u", t->low);
}

static void print_term(struct buf *out, const struct rule *rule, const struct term *t,
		       const struct term *before)
{
	const char *ip = family_word(rule->family);

	switch (t->kind) {
	case TERM_IIFNAME:
		buf_printf(out, "iifname \"%s\"", t->name);
		break;
	case TERM_OIFNAME:
		buf_printf(out, "oifname \"%s\"", t->name);
		break;
	case TERM_NOT_OIFNAME:
		buf_printf(out, "oifname != \"%s\"", t->name);
		break;
	case TERM_SADDR:
		buf_printf(out, "%s saddr %s", ip, prefix_format(t->prefix).s);
		break;
	case TERM_DADDR:
		buf_printf(out, "%s daddr %s", ip, prefix_format(t->prefix).s);
		break;
	case TERM_PROTO:
		buf_puts(out, "meta l4proto ");
		print_proto(out, (uint8_t)t->number);
		break;
	case TERM_SPORT:
	case TERM_DPORT:
		print_ports(out, t, before);
		break;
	case TERM_SHARE:
		buf_printf(out, "jhash %s saddr mod %u seed %#x %u", ip, t->high, t->number,
			   t->low);
		break;
	case TERM_ORIGINAL_DPORT:
		buf_printf(out, "ct original proto-dst %u", t->low);
		if (t->high > t->low)
			buf_printf(out, "-%u", t->high);
		break;
	case TERM_ICMP_TYPE:
		buf_printf(out, "%s type %u", rule->family == 6 ? "icmpv6" : "icmp", t->low);
		if (t->high != t->low)
			buf_printf(out, "-%u", t->high);
		break;
	case TERM_TCP_BEGINS:
		buf_puts(out, "tcp flags & (syn | ack) == syn");
		break;
	case TERM_CT_STATE:
		print_ct_state(out, t->number);
		break;
	case TERM_CT_STATUS_DNAT:
		buf_puts(out, "ct status dnat");
		break;
	case TERM_CT_UNCONFIRMED:
		buf_puts(out, "ct status ! confirmed");
		break;
	case TERM_MARK_HAS:
		buf_printf(out, "meta mark & %#x == %#x", t->number, t->number);
		break;
	case TERM_CT_MARK:
		if (t->mask == UINT32_MAX)
			buf_printf(out, "ct mark %#x", t->number);
		else
			buf_printf(out, "ct mark & %#x == %#x", t->mask, t->number);
		break;
	case TERM_CT_DIRECTION:
		buf_printf(out, "ct direction %s", t->number ? "reply" : "original");
		break;
	case TERM_FIB_LOCAL:
		buf_puts(out, "fib daddr type local");
		break;
	case TERM_FIB_OWN:
		buf_puts(out, "fib saddr type local");
		break;
	case TERM_FIB_FOREIGN:
		buf_puts(out, "fib saddr . iif oif missing");
		break;
	case TERM_LOOKUP:
	case TERM_LOOKUP_NOT:
		print_key(out, rule, t, before);
		buf_printf(out, " %s@%s", t->kind == TERM_LOOKUP ? "" : "!= ", t->name);
		break;
	case TERM_VMAP:
		print_key(out, rule, t, NULL);
		buf_printf(out, " vmap @%s", t->name);
		break;
	case TERM_COUNTER:
		buf_puts(out, "counter");
		break;
	case TERM_LIMIT:
		buf_printf(out, "limit rate %u/second burst %u packets", t->number, t->number);
		break;
	case TERM_LOG:
		buf_printf(out, "log prefix \"%s\" group %u snaplen %d", t->name, t->number,
			   LOG_SNAPLEN);
		break;
	case TERM_MARK_SET:
		buf_printf(out, "meta mark set meta mark | %#x", t->number);
		break;
	case TERM_MARK_CLEAR:
		buf_printf(out, "meta mark set meta mark & %#x", ~t->number);
		break;
	case TERM_CT_MARK_SET:
		print_ct_mark_set(out, t);
		break;
	case TERM_DNAT:
		print_dnat(out, t);
		break;
	case TERM_DNAT_MAP:
		buf_printf(out, "dnat %s to ", ip);
		print_key(out, rule, t, NULL);
		buf_printf(out, " map @%s", t->name);
		break;
	case TERM_SNAT_SELF:
		buf_printf(out, "snat %s to %s saddr", ip, ip);
		break;
	case TERM_MASQUERADE:
		buf_puts(out, "masquerade");
		break;
	case TERM_ACCEPT:
		buf_puts(out, "accept");
		break;
	case TERM_DROP:
		buf_puts(out, "drop");
		break;
	case TERM_RETURN:
		buf_puts(out, "return");
		break;
	case TERM_JUMP:
		buf_printf(out, "jump %s", t->name);
		break;
	case TERM_GOTO:
		buf_printf(out, "goto %s", t->name);
		break;
	}
}

/* Terms from which nft itself concludes which family is meant. */
static bool says_family(const struct term *t)
{
	if (t->kind == TERM_SADDR || t->kind == TERM_DADDR || t->kind == TERM_SNAT_SELF)
		return true;
	for (uint8_t i = 0; i < t->n_loads; i++)
		if (t->loads[i] == LOAD_SADDR || t->loads[i] == LOAD_DADDR)
			return true;
	return false;
}

/* Of the others a term says which it is. */
static bool print_tag(struct buf *out, uint16_t protocol)
{
	if (protocol != ETH_P_8021Q && protocol != ETH_P_8021AD)
		return false;
	buf_printf(out, "meta protocol 8021%s", protocol == ETH_P_8021Q ? "q" : "ad");
	return true;
}

void nft_print_rule(struct buf *out, const struct rule *rule)
{
	bool unsaid = rule->family && !rule->protocol;
	const char *space = print_tag(out, rule->protocol) ? " " : "";

	list_each (t, &rule->terms)
		unsaid &= !says_family(t);
	if (unsaid) {
		buf_printf(out, "meta nfproto ipv%u", rule->family);
		space = " ";
	}
	for (uint32_t i = 0; i < rule->terms.n; i++) {
		const struct term *t = &rule->terms.items[i], *next = t + 1;

		if (t->kind == TERM_PROTO && i + 1 < rule->terms.n &&
		    (next->kind == TERM_DPORT || next->kind == TERM_SPORT ||
		     next->kind == TERM_ICMP_TYPE || next->kind == TERM_TCP_BEGINS ||
		     asks_ports_alone(next)))
			continue; /* "tcp dport 80" says both */
		buf_puts(out, space);
		print_term(out, rule, t, i ? t - 1 : NULL);
		space = " ";
	}
}

/* --- the table --- */

static const char *table_family(uint8_t family)
{
	return family == NFPROTO_BRIDGE ? "bridge" : "inet";
}

static void print_types(struct buf *out, const enum field *fields, uint8_t n)
{
	for (uint8_t i = 0; i < n; i++)
		buf_printf(out, "%s%s", i ? " . " : "", field_types[fields[i]].name);
}

static void print_set(struct buf *out, const struct set *set)
{
	buf_printf(out, "\t%s %s {\n\t\ttype ", set->n_data ? "map" : "set", set->name);
	print_types(out, set->key, set->n_key);
	buf_puts(out, set->n_data ? " : " : "");
	print_types(out, set->data, set->n_data);
	if (set->size)
		buf_printf(out, "\n\t\tsize %u", set->size);
	if (set->interval)
		buf_puts(out, "\n\t\tflags interval");
	if (set->counts)
		buf_puts(out, "\n\t\tcounter");
	for (uint32_t i = 0; i < set->n; i++) {
		buf_puts(out, i ? ",\n\t\t\t     " : "\n\t\telements = { ");
		nft_print_element(out, set, i);
	}
	buf_puts(out, set->n ? " }\n\t}\n\n" : "\n\t}\n\n");
}

static void print_chain(struct buf *out, const struct chain *chain)
{
	buf_printf(out, "\tchain %s {\n", chain->name);
	if (chain->type)
		buf_printf(out, "\t\ttype %s hook %s priority %d; policy %s;\n", chain->type,
			   chain->hook < COUNT_OF(hook_names) ? hook_names[chain->hook] : "?",
			   chain->priority, chain->drops ? "drop" : "accept");
	list_each (rule, &chain->rules) {
		buf_puts(out, "\t\t");
		nft_print_rule(out, rule);
		if (rule->comment)
			buf_printf(out, " comment \"%s\"", rule->comment);
		buf_puts(out, "\n");
	}
	buf_puts(out, "\t}\n");
}

void nft_print(struct buf *out, const struct ruleset *rs)
{
	if (!rs->exists)
		return;
	buf_printf(out, "table %s " TABLE_NAME " {\n", table_family(rs->family));
	list_each (set, &rs->sets)
		print_set(out, set);
	list_each (chain, &rs->chains) {
		buf_puts(out, chain > rs->chains.items ? "\n" : "");
		print_chain(out, chain);
	}
	buf_puts(out, "}\n");
}

void nft_print_change(struct buf *out, const struct nft_change *change, uint32_t i)
{
	switch (change->object) {
	case NFT_TABLE:
		buf_printf(out, "table %s " TABLE_NAME, table_family(change->family));
		break;
	case NFT_SET:
		buf_printf(out, "%s %s", change->set->n_data ? "map" : "set", change->set->name);
		break;
	case NFT_ELEMENTS:
		buf_printf(out, "%s ", change->set->name);
		nft_print_element(out, change->set, change->first + i);
		break;
	case NFT_CHAIN:
		buf_printf(out, "chain %s", change->chain->name);
		break;
	case NFT_RULE:
		buf_printf(out, "%s: ", change->chain->name);
		if (change->rule->terms.n)
			nft_print_rule(out, change->rule);
		else if (change->rule->comment)
			buf_printf(out, "rule \"%s\"", change->rule->comment);
		else
			buf_printf(out, "rule with handle %llu",
				   (unsigned long long)change->rule->handle);
		break;
	}
}
