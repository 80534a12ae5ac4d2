/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same flows as core/program/program.c, as plain rules: what is admitted between containers is
 * accepted right here, in chains that stand first in DOCKER-USER. What is admitted from outside is
 * accepted in a chain of its own behind the foreign rules there, by the connection mark. It serves
 * established packets, too, and keeps sources from being masqueraded.
 */
#include "core/iptables/program.h"

#include "core/iptables/iptables.h"
#include "core/iptables/writer.h"

#include <netinet/in.h>
#include <string.h>

struct ipt_chain *ipt_add_chain(struct writer *w, const char *table, const char *name,
				const char *parent)
{
	struct ipt_chain *chain = list_add(w->a, w->chains);

	*chain = (struct ipt_chain){.variant = w->variant,
				    .family = w->family,
				    .table = table,
				    .name = name,
				    .parent = parent};
	return chain;
}

/* --- pieces of rules, each with a blank at its end --- */

const char *ipt_interface(struct writer *w, const char *flag, const char *name)
{
	return name ? arena_printf(w->a, "%s %s ", flag, name) : "";
}

const char *ipt_address(struct writer *w, const char *flag, struct prefix prefix)
{
	if (!prefix.ip.family || !prefix.len)
		return "";
	return arena_printf(w->a, "%s %s ", flag, prefix_format_full(prefix).s);
}

const char *ipt_traffic(struct writer *w, const char *flag, struct traffic match)
{
	const char *name = protocol_name(match.proto);

	if (match_has_types(match) && !strcmp(flag, "--dport"))
		return arena_printf(w->a,
				    match.proto == IPPROTO_ICMPV6
					    ? "-p ipv6-icmp -m icmp6 --icmpv6-type %u "
					    : "-p icmp -m icmp --icmp-type %u ",
				    match.low);
	if (match.proto == IPPROTO_ICMPV6)
		return "-p ipv6-icmp ";
	if (!protocol_has_name(match.proto))
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

const char *ipt_accept_bit(struct writer *w)
{
	return has_bits(w, w->hooks->accept);
}

/* Of all our bits these, and no other one: another program may have saved a packet's mark there. */
static const char *set_bits(struct writer *w, uint32_t bits)
{
	return arena_printf(w->a, "-j CONNMARK --set-xmark 0x%x/0x%x", bits, w->hooks->between);
}

struct traffic ipt_at_target(const struct translation *t)
{
	struct traffic match = t->match;

	if (match_has_ports(match) && t->to_port)
		match.low = match.high = t->to_port;
	return match;
}

uint64_t ipt_count_admitted(const struct flows *flows, const struct grant **worst)
{
	uint64_t all = flows->translations.n + flows->own.n, most = 0;

	*worst = NULL;
	list_each (m, &flows->masquerades)
		all += (uint64_t)(m->from ? m->from->n : 1) * (m->to ? m->to->n : 1);
	list_each (grant, &flows->grants) {
		uint64_t n = (uint64_t)grant->from->n * grant->to->n * grant->n_matches *
			     (grant->logged ? 2 : 1);

		if (n > most)
			*worst = grant;
		most = n > most ? n : most;
		all += n;
	}
	list_each (lift, &flows->lifts)
		all += (uint64_t)lift->from->n * lift->to->n * lift->n_matches *
		       (lift->logged ? 2 : 1);
	list_each (lift, &flows->to_host)
		all += 2 * (uint64_t)lift->from->n * lift->n_matches * (lift->logged ? 2 : 1);
	return all;
}

/* Every source, every destination, every match: here products are laid out. */
static void lay_out(struct writer *w, const struct flows *flows, const struct grant *grant)
{
	for (uint32_t s = 0; s < grant->from->n; s++)
		for (uint32_t d = 0; d < grant->to->n; d++) {
			const struct peer *src = &grant->from->items[s];
			const struct peer *dst = &grant->to->items[d];

			if (src->network != NONE && src->network == dst->network &&
			    !flows->apart[src->network])
				continue; /* it does not pass the host's forward path */
			for (uint32_t m = 0; m < grant->n_matches; m++)
				*list_add(w->a, &w->pairs) = (struct admitted){
					src, dst, grant->iface, grant->matches[m], grant->origin};
		}
}

/* --- filter --- */

static bool same_bridge(const struct flows *flows, uint32_t i, uint32_t j)
{
	return j < flows->homes.n &&
	       !strcmp(flows->homes.items[i].bridge, flows->homes.items[j].bridge);
}

/*
 * A source that is borrowed (of a network that it does not come from, or from a bridge where it is
 * not at home) goes one way, where several prefixes are at home on a bridge the honest the other.
 */
void ipt_tell_borrowed(struct writer *w, struct ipt_chain *chain, const struct flows *flows,
		       const char *borrowed, const char *honest)
{
	list_each (bound, &flows->bound)
		ipt_add_rule(chain, w->a, NONE, "-s %s ! -i %s %s",
			     prefix_format_full(bound->subnet).s, bound->bridge, borrowed);
	for (uint32_t i = 0; i < flows->homes.n; i++) {
		const struct bound_subnet *home = &flows->homes.items[i];
		bool more = same_bridge(flows, i, i + 1);
		const char *source = "";

		if (home->subnet.ip.family)
			source = arena_printf(w->a, "%s-s %s ", more ? "" : "! ",
					      prefix_format_full(home->subnet).s);
		ipt_add_rule(chain, w->a, NONE, "%s-i %s %s", source, home->bridge,
			     more ? honest : borrowed);
	}
}

/* A rule for each of these types, those of the other family aside. */
static void icmp_rules(struct writer *w, struct ipt_chain *chain, const struct icmp_types *types,
		       const char *verdict)
{
	const char *match = w->family == 6 ? "-p ipv6-icmp -m icmp6 --icmpv6-type"
					   : "-p icmp -m icmp --icmp-type";

	for (uint32_t type = types->first; types->family == w->family && type <= types->last;
	     type++)
		ipt_add_rule(chain, w->a, NONE, "%s %u %s", match, type, verdict);
}

/* Adds the next chain, which packets with a genuine source reach early. */
static struct ipt_chain *let_honest_on(struct writer *w, struct ipt_chain *chain, const char *next,
				       const struct flows *flows)
{
	const char *on = arena_printf(w->a, "-g %s", next);

	ipt_tell_borrowed(w, chain, flows, "-j RETURN", on);
	ipt_add_rule(chain, w->a, NONE, "%s", on);
	return ipt_add_chain(w, chain->table, next, NULL);
}

static void admit_forwarded(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	list_each (t, &flows->translations) {
		if (translation_repeats(t))
			continue;
		ipt_add_rule(chain, w->a, t->origin,
			     "%s%s%s%s-m conntrack --ctstate DNAT -g " IPT_PREFIX "-ADMIT",
			     ipt_interface(w, "-i", t->iface), ipt_address(w, "-s", t->from),
			     ipt_address(w, "-d", prefix_of(t->to)),
			     ipt_traffic(w, "--dport", ipt_at_target(t)));
	}
}

static void pair_rule(struct writer *w, struct ipt_chain *chain, const struct admitted *p,
		      bool reply, const char *verdict)
{
	ipt_add_rule(chain, w->a, p->origin, "%s%s%s%s%s",
		     ipt_address(w, "-s", reply ? p->dst->net : p->src->net),
		     ipt_address(w, "-d", reply ? p->src->net : p->dst->net),
		     reply ? "" : ipt_interface(w, "-i", p->iface),
		     ipt_traffic(w, reply ? "--sport" : "--dport", p->match), verdict);
}

static void admit_allowed(struct writer *w, struct ipt_chain *chain)
{
	list_each (p, &w->pairs)
		pair_rule(w, chain, p, false, "-g " IPT_PREFIX "-ADMIT");
}

/* Why: accept_icmp6 in core/program/closing.c. */
void ipt_spare_neighbours(struct writer *w, struct ipt_chain *chain)
{
	static const struct icmp_types neighbours = {6, 133, 137};

	icmp_rules(w, chain, &neighbours, "-j RETURN");
}

static void spare_icmp6(struct writer *w, struct ipt_chain *chain)
{
	for (size_t i = 0; w->family == 6 && i < n_icmp_errors; i++)
		icmp_rules(w, chain, &icmp_errors[i], "-j RETURN");
	ipt_spare_neighbours(w, chain);
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
		ipt_add_rule(chain, w->a, NONE, "%s-j RETURN", ipt_accept_bit(w));
	spare_icmp6(w, chain);
	ipt_add_rule(chain, w->a, NONE, "-j " IPT_PREFIX "-BORROWED");
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate DNAT -j RETURN");
	ipt_add_rule(chain, w->a, NONE, "-j " IPT_PREFIX "-CLOSED");
}

static void write_closed(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	if (!flows->closed.n)
		return;
	ipt_tell_borrowed(w, ipt_add_chain(w, "filter", IPT_PREFIX "-BORROWED", NULL), flows,
			  "-j " IPT_PREFIX "-CLOSED", "-j RETURN");
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-CLOSED", NULL);
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

/* Admitted packets: those from outside return, to pass foreign rules afterwards. */
static void write_admit(struct writer *w, const struct flows *flows)
{
	uint32_t accept = w->hooks->accept, between = w->hooks->between;
	struct ipt_chain *chain = ipt_add_chain(w, "filter", IPT_PREFIX "-ADMIT", NULL);

	ipt_add_rule(chain, w->a, NONE, "%s", set_bits(w, accept));
	list_each (bridge, &flows->between)
		ipt_add_rule(chain, w->a, NONE, "-i %s -j " IPT_PREFIX "-BETWEEN", *bridge);
	if (!w->split)
		ipt_add_rule(chain, w->a, NONE, "-j ACCEPT");
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-BETWEEN", NULL);
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
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-BEHIND", "DOCKER-USER");
	chain->behind = true;
	chain->n_before = w->hooks->user_end;
	ipt_add_rule(chain, w->a, NONE, "%s-j ACCEPT", ipt_accept_bit(w));
}

static void write_filter(struct writer *w, const struct flows *flows)
{
	const char *parent = w->hooks->docker_user ? "DOCKER-USER" : "FORWARD";
	struct ipt_chain *chain = ipt_add_chain(w, "filter", IPT_PREFIX, parent);

	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate RELATED,ESTABLISHED %s-j ACCEPT",
		     w->split ? has_bits(w, w->hooks->between) : ipt_accept_bit(w));
	if (w->split)
		ipt_add_rule(chain, w->a, NONE,
			     "-m conntrack --ctstate RELATED,ESTABLISHED %s-j RETURN",
			     ipt_accept_bit(w));
	ipt_add_rule(chain, w->a, NONE,
		     "-m conntrack --ctstate RELATED,ESTABLISHED -j " IPT_PREFIX "-AGAIN");
	if (flows->audited.n) /* others may use this bit of the mark */
		ipt_forget_note(w, chain, "-m conntrack --ctstate NEW ");
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate NEW -j " IPT_PREFIX "-SOURCE");
	ipt_deny_egress(w, chain, flows);
	close_networks(w, chain, flows);
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-SOURCE", NULL);
	/* others set our bit, or an earlier packet got it by a policy that is gone */
	ipt_add_rule(chain, w->a, NONE, "%s%s", ipt_accept_bit(w), set_bits(w, 0));
	chain = let_honest_on(w, chain, IPT_PREFIX "-FRESH", flows);
	ipt_log_fresh(w, chain, flows);
	admit_forwarded(w, chain, flows);
	admit_allowed(w, chain);
	write_admit(w, flows);
	ipt_write_again(w, flows);
	write_closed(w, flows);
	ipt_write_egress(w, flows);
	ipt_write_logged(w, flows);
	write_behind(w);
}

/* --- raw --- */

/* Stateless: both directions of what is admitted, past Docker's drops and no further. */
static void write_raw(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "raw", IPT_PREFIX "-RAW", "PREROUTING");

	chain->behind = !w->hooks->top;
	chain->n_before = w->hooks->raw_end;
	for (size_t i = 0; i < n_icmp_errors; i++) /* why: core/program/program.c */
		icmp_rules(w, chain, &icmp_errors[i], "-j ACCEPT");
	chain = let_honest_on(w, chain, IPT_PREFIX "-PASS", flows);
	list_each (p, &w->pairs)
		pair_rule(w, chain, p, false, "-j ACCEPT");
	list_each (p, &w->pairs)
		pair_rule(w, chain, p, true, "-j ACCEPT");
}

/* --- the two kinds of namespaces --- */

void ipt_program_host(ipt_chains *chains, struct arena *a, enum variant variant, uint8_t family,
		      const struct flows *flows, const struct hooks *hooks)
{
	struct flows part = flows_of_family(flows, a, family);
	struct writer w = {
		.chains = chains, .a = a, .variant = variant, .family = family, .hooks = hooks};

	if (hooks->unlogged)
		part.audited.n = 0;
	w.split = hooks->docker_user && !hooks->top;
	if (!flows_matter(&part))
		return;
	list_each (grant, &part.grants)
		lay_out(&w, &part, grant);
	if (hooks->raw_drops)
		write_raw(&w, &part);
	ipt_write_prerouting(&w, &part, true);
	ipt_write_output(&w, &part);
	ipt_write_postrouting(&w, &part, true);
	ipt_write_heard(&w, &part);
	write_filter(&w, &part);
}

void ipt_program_container(ipt_chains *chains, struct arena *a, enum variant variant,
			   uint8_t family, const struct flows *flows, const struct hooks *hooks)
{
	const struct flows part = flows_of_family(flows, a, family);
	struct writer w = {
		.chains = chains, .a = a, .variant = variant, .family = family, .hooks = hooks};

	if (!part.translations.n && !part.masquerades.n)
		return;
	ipt_write_prerouting(&w, &part, false);
	ipt_write_postrouting(&w, &part, false);
}
