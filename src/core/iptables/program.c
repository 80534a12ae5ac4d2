/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same flows as core/ruleset/program.c, as plain rules: what is admitted between containers is
 * accepted right here, in chains that stand first in DOCKER-USER. What is admitted from outside is
 * accepted in a chain of its own behind the foreign rules there, by the connection mark. It serves
 * established packets, too, and keeps sources from being masqueraded.
 */
#include "core/compile/flows.h"
#include "core/iptables/iptables.h"

#include <netinet/in.h>
#include <string.h>

struct writer {
	ipt_chains *chains;
	struct arena *a;
	enum variant variant;
	const struct facts *facts;
	bool split; /* what comes from outside is accepted behind foreign rules */
};

static const struct {
	uint8_t number;
	const char *name;
} proto_names[] = {
	{IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"}, {IPPROTO_SCTP, "sctp"}, {IPPROTO_ICMP, "icmp"}};

/* Good until the next one is added. */
static struct ipt_chain *add_chain(struct writer *w, const char *table, const char *name,
				   const char *parent)
{
	struct ipt_chain *chain = list_add(w->a, w->chains);

	*chain = (struct ipt_chain){
		.variant = w->variant, .table = table, .name = name, .parent = parent};
	return chain;
}

/* --- pieces of rules, each with a blank at its end --- */

static const char *interface(struct writer *w, const char *flag, const char *name)
{
	return name ? arena_printf(w->a, "%s %s ", flag, name) : "";
}

static const char *address(struct writer *w, const char *flag, struct prefix prefix)
{
	if (!prefix.ip.family || !prefix.len)
		return "";
	return arena_printf(w->a, "%s %s ", flag, prefix_format_full(prefix).s);
}

static const char *traffic(struct writer *w, const char *flag, struct traffic match)
{
	const char *name = NULL;

	for (size_t i = 0; i < COUNT_OF(proto_names); i++)
		if (proto_names[i].number == match.proto)
			name = proto_names[i].name;
	if (!name)
		return "";
	if (!match_has_ports(match) || match_every_port(match))
		return arena_printf(w->a, "-p %s ", name);
	if (match.low == match.high)
		return arena_printf(w->a, "-p %s -m %s %s %u ", name, name, flag, match.low);
	return arena_printf(w->a, "-p %s -m %s %s %u:%u ", name, name, flag, match.low, match.high);
}

static const char *has_bits(struct writer *w, uint32_t bits)
{
	return arena_printf(w->a, "-m connmark --mark 0x%x/0x%x ", bits, bits);
}

static const char *accept_bit(struct writer *w)
{
	return has_bits(w, w->facts->mark_accept);
}

/* Of all our bits these, and no other one. */
static const char *set_bits(struct writer *w, uint32_t bits)
{
	return arena_printf(w->a, "-j CONNMARK --set-xmark 0x%x/0x%x", bits,
			    mark_between(w->facts));
}

static struct traffic at_target(const struct translation *t)
{
	struct traffic match = t->match;

	if (match_has_ports(match) && t->to_port)
		match.low = match.high = t->to_port;
	return match;
}

/* --- filter --- */

static void refuse_borrowed(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	list_each (tied, &flows->tied)
		ipt_add_rule(chain, w->a, NONE, "-s %s ! -i %s -j RETURN",
			     prefix_format_full(tied->subnet).s, tied->bridge);
}

static void admit_forwarded(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	list_each (t, &flows->translations)
		ipt_add_rule(chain, w->a, t->origin,
			     "%s%s%s%s-m conntrack --ctstate DNAT -g " IPT_PREFIX "-ADMIT",
			     interface(w, "-i", t->iface), address(w, "-s", t->from),
			     address(w, "-d", prefix_of(t->to)),
			     traffic(w, "--dport", at_target(t)));
}

static void one_flow(struct writer *w, struct ipt_chain *chain, uint32_t origin, struct prefix src,
		     struct prefix dst, const char *ports, const char *verdict)
{
	ipt_add_rule(chain, w->a, origin, "%s%s%s%s", address(w, "-s", src), address(w, "-d", dst),
		     ports, verdict);
}

/* Every source, every destination, every match: here products are laid out. */
static void each_flow(struct writer *w, struct ipt_chain *chain, const struct flows *flows,
		      const struct grant *grant, bool reply, const char *verdict)
{
	for (uint32_t s = 0; s < grant->from->n; s++)
		for (uint32_t d = 0; d < grant->to->n; d++) {
			const struct peer *src = &grant->from->items[s];
			const struct peer *dst = &grant->to->items[d];

			if (src->network != NONE && src->network == dst->network &&
			    !flows->apart[src->network])
				continue; /* it does not pass the host's forward path */
			for (uint32_t m = 0; m < grant->n_matches; m++)
				one_flow(w, chain, grant->origin, reply ? dst->net : src->net,
					 reply ? src->net : dst->net,
					 traffic(w, reply ? "--sport" : "--dport",
						 grant->matches[m]),
					 verdict);
		}
}

static void admit_allowed(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	list_each (grant, &flows->grants)
		each_flow(w, chain, flows, grant, false, "-g " IPT_PREFIX "-ADMIT");
}

/*
 * Where nobody else drops: what is not admitted does not come in from another interface, but for
 * published ports; and these not to a source that is borrowed.
 */
static void close_networks(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	if (!flows->closed.n)
		return;
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
	if (w->split)
		ipt_add_rule(chain, w->a, NONE, "%s-j RETURN", accept_bit(w));
	list_each (tied, &flows->tied)
		ipt_add_rule(chain, w->a, NONE, "-s %s ! -i %s -j " IPT_PREFIX "-CLOSED",
			     prefix_format_full(tied->subnet).s, tied->bridge);
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate DNAT -j RETURN");
	ipt_add_rule(chain, w->a, NONE, "-j " IPT_PREFIX "-CLOSED");
}

static void write_closed(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	if (!flows->closed.n)
		return;
	chain = add_chain(w, "filter", IPT_PREFIX "-CLOSED", NULL);
	list_each (closed, &flows->closed) {
		if (closed->apart)
			ipt_add_rule(chain, w->a, NONE, "-o %s -j DROP", closed->bridge);
		else
			ipt_add_rule(chain, w->a, NONE, "! -i %s -o %s -j DROP", closed->bridge,
				     closed->bridge);
		if (closed->internal)
			ipt_add_rule(chain, w->a, NONE, "-i %s ! -o %s -j DROP", closed->bridge,
				     closed->bridge);
	}
}

/* What is admitted: from outside it goes back to where it came from, and on to foreign rules. */
static void write_admit(struct writer *w, const struct flows *flows)
{
	uint32_t accept = w->facts->mark_accept, between = mark_between(w->facts);
	struct ipt_chain *chain = add_chain(w, "filter", IPT_PREFIX "-ADMIT", NULL);

	ipt_add_rule(chain, w->a, NONE, "%s", set_bits(w, accept));
	list_each (bridge, &flows->between)
		ipt_add_rule(chain, w->a, NONE, "-i %s -j " IPT_PREFIX "-BETWEEN", *bridge);
	if (!w->split)
		ipt_add_rule(chain, w->a, NONE, "-j ACCEPT");
	chain = add_chain(w, "filter", IPT_PREFIX "-BETWEEN", NULL);
	list_each (bridge, &flows->between)
		ipt_add_rule(chain, w->a, NONE, "-o %s %s", *bridge, set_bits(w, between));
	if (w->split)
		ipt_add_rule(chain, w->a, NONE, "%s-j ACCEPT", has_bits(w, between));
}

static void write_behind(struct writer *w)
{
	struct ipt_chain *chain;

	if (!w->split)
		return;
	chain = add_chain(w, "filter", IPT_PREFIX "-BEHIND", "DOCKER-USER");
	chain->behind = true;
	chain->n_before = w->facts->user_end;
	ipt_add_rule(chain, w->a, NONE, "%s-j ACCEPT", accept_bit(w));
}

static void write_filter(struct writer *w, const struct flows *flows)
{
	const char *parent = w->facts->docker_user ? "DOCKER-USER" : "FORWARD";
	struct ipt_chain *chain = add_chain(w, "filter", IPT_PREFIX, parent);

	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate RELATED,ESTABLISHED %s-j ACCEPT",
		     w->split ? has_bits(w, mark_between(w->facts)) : accept_bit(w));
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate NEW -j " IPT_PREFIX "-FRESH");
	close_networks(w, chain, flows);
	chain = add_chain(w, "filter", IPT_PREFIX "-FRESH", NULL);
	if (w->split) /* a bit of an earlier packet whose policy is gone admits no later one */
		ipt_add_rule(chain, w->a, NONE, "%s", set_bits(w, 0));
	refuse_borrowed(w, chain, flows);
	admit_forwarded(w, chain, flows);
	admit_allowed(w, chain, flows);
	write_admit(w, flows);
	write_closed(w, flows);
	write_behind(w);
}

/* --- raw --- */

/* Stateless: both directions of what is admitted, past Docker's drops and no further. */
static void write_raw(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = add_chain(w, "raw", IPT_PREFIX "-RAW", "PREROUTING");

	chain->behind = !w->facts->handoff_top;
	chain->n_before = w->facts->raw_end;
	refuse_borrowed(w, chain, flows);
	list_each (grant, &flows->grants)
		each_flow(w, chain, flows, grant, false, "-j ACCEPT");
	list_each (grant, &flows->grants)
		each_flow(w, chain, flows, grant, true, "-j ACCEPT");
}

/* --- nat --- */

static void translate(struct writer *w, struct ipt_chain *chain, const struct translation *t,
		      bool host)
{
	const char *port = match_has_ports(t->match) && t->to_port
				   ? arena_printf(w->a, ":%u", t->to_port)
				   : "";
	const char *match = arena_printf(w->a, "%s%s%s-m addrtype --dst-type LOCAL ",
					 interface(w, "-i", t->iface), address(w, "-s", t->from),
					 traffic(w, "--dport", t->match));

	if (!host)
		ipt_add_rule(chain, w->a, t->origin, "%s-j CONNMARK --set-xmark 0x%x/0x%x", match,
			     w->facts->mark_accept, w->facts->mark_accept);
	ipt_add_rule(chain, w->a, t->origin, "%s-j DNAT --to-destination %s%s", match,
		     ip_format(t->to).s, port);
}

/* The narrowest first: one source, then anybody. */
static void write_prerouting(struct writer *w, const struct flows *flows, bool host)
{
	struct ipt_chain *chain;

	if (!flows->translations.n)
		return;
	chain = add_chain(w, "nat", IPT_PREFIX "-PRE", "PREROUTING");
	list_each (t, &flows->translations)
		if (t->from.ip.family)
			translate(w, chain, t, host);
	list_each (t, &flows->translations)
		if (!t->from.ip.family)
			translate(w, chain, t, host);
}

static void masquerade_translated(struct writer *w, struct ipt_chain *chain,
				  const struct flows *flows)
{
	list_each (t, &flows->translations) {
		const char *asked = "";

		if (!t->masquerade)
			continue;
		if (match_has_ports(t->match) && t->match.low == t->match.high)
			asked = arena_printf(w->a, "--ctorigdstport %u ", t->match.low);
		ipt_add_rule(chain, w->a, t->origin,
			     "%s%s-m conntrack --ctstate DNAT %s-j MASQUERADE",
			     address(w, "-d", prefix_of(t->to)),
			     traffic(w, "--dport", at_target(t)), asked);
	}
}

static void masquerade_hairpins(struct writer *w, struct ipt_chain *chain,
				const struct flows *flows)
{
	list_each (subnet, &flows->hairpins)
		if (subnet == flows->hairpins.items || prefix_compare(subnet[-1], *subnet) != 0)
			ipt_add_rule(chain, w->a, NONE,
				     "%s%s-m conntrack --ctstate DNAT %s-j MASQUERADE",
				     address(w, "-s", *subnet), address(w, "-d", *subnet),
				     accept_bit(w));
}

static void masquerade_policies(struct writer *w, struct ipt_chain *chain,
				const struct flows *flows)
{
	list_each (m, &flows->masquerades)
		ipt_add_rule(chain, w->a, m->origin, "%s%s%s%s-j MASQUERADE",
			     address(w, "-s", m->from), address(w, "-d", m->to),
			     interface(w, "-o", m->oface), traffic(w, "--dport", m->match));
}

/* An accept ends the table, so Docker's masquerading behind it never hides who calls. */
static void keep_sources(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = add_chain(w, "nat", IPT_PREFIX "-KEEP", NULL);

	list_each (tied, &flows->tied)
		ipt_add_rule(chain, w->a, NONE, "-s %s -j " IPT_PREFIX "-KEPT",
			     prefix_format_full(tied->subnet).s);
	chain = add_chain(w, "nat", IPT_PREFIX "-KEPT", NULL);
	list_each (tied, &flows->tied)
		ipt_add_rule(chain, w->a, NONE, "-d %s -j ACCEPT",
			     prefix_format_full(tied->subnet).s);
}

static void write_postrouting(struct writer *w, const struct flows *flows, bool host)
{
	struct ipt_chain *chain = add_chain(w, "nat", IPT_PREFIX "-POST", "POSTROUTING");

	masquerade_translated(w, chain, flows);
	if (host) {
		masquerade_hairpins(w, chain, flows);
		ipt_add_rule(chain, w->a, NONE, "%s-j " IPT_PREFIX "-KEEP", accept_bit(w));
	}
	masquerade_policies(w, chain, flows);
	if (host)
		keep_sources(w, flows);
}

/* --- the two kinds of namespaces --- */

void ipt_program_host(ipt_chains *chains, struct arena *a, const struct flows *flows,
		      const struct facts *facts)
{
	struct writer w = {.chains = chains, .a = a, .variant = facts->variant, .facts = facts};

	w.split = facts->docker_user && !facts->handoff_top;
	if (!flows_matter(flows))
		return;
	if (facts->raw_drops)
		write_raw(&w, flows);
	write_prerouting(&w, flows, true);
	write_postrouting(&w, flows, true);
	write_filter(&w, flows);
}

void ipt_program_container(ipt_chains *chains, struct arena *a, const struct flows *flows,
			   const struct facts *facts)
{
	struct writer w = {.chains = chains, .a = a, .variant = facts->variant, .facts = facts};

	if (!flows->translations.n && !flows->masquerades.n)
		return;
	write_prerouting(&w, flows, false);
	write_postrouting(&w, flows, false);
}
