/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table nat: what is translated on the way in, and whose source is hidden from the target. */

#include "core/iptables/iptables.h"
#include "core/iptables/writer.h"

#include <string.h>

/*
 * Of several targets: whose it is. By the same hash as in nf_tables. iptables 1.8.9 takes no
 * --cluster-local-nodemask of more than 32, the sixth node.
 */
static const char *part(struct writer *w, struct share share)
{
	if (share.of <= 1)
		return "";
	return arena_printf(w->a,
			    "-m cluster --cluster-local-node %u --cluster-total-nodes %u "
			    "--cluster-hash-seed 0x%08x ",
			    share.part + 1u, share.of, share_seed(share));
}

static const char *target(struct writer *w, const struct translation *t)
{
	const struct ip_text ip = ip_format(t->to);

	if (!match_has_ports(t->match) || !t->to_port)
		return arena_strdup(w->a, ip.s);
	return arena_printf(w->a, w->family == 6 ? "[%s]:%u" : "%s:%u", ip.s, t->to_port);
}

static void translate(struct writer *w, struct ipt_chain *chain, const struct translation *t,
		      bool host)
{
	const char *match =
		arena_printf(w->a, "%s%s%s-m addrtype --dst-type LOCAL %s",
			     ipt_interface(w, "-i", t->iface), ipt_address(w, "-s", t->from),
			     ipt_traffic(w, "--dport", t->match), part(w, t->share));

	if (!host || t->own)
		ipt_add_rule(chain, w->a, t->origin, "%s-j CONNMARK --set-xmark 0x%x/0x%x", match,
			     w->hooks->accept, w->hooks->accept);
	ipt_add_rule(chain, w->a, t->origin, "%s-j DNAT --to-destination %s", match, target(w, t));
}

/* The narrowest first: one source, then anybody. */
void ipt_write_prerouting(struct writer *w, const struct flows *flows, bool host)
{
	struct ipt_chain *chain;

	if (!flows->translations.n && !flows->audited.n)
		return;
	chain = ipt_add_chain(w, "nat", IPT_PREFIX "-PRE", "PREROUTING");
	ipt_hear_asked(w, chain, flows);
	list_each (t, &flows->translations)
		if (t->from.ip.family)
			translate(w, chain, t, host);
	list_each (t, &flows->translations)
		if (!t->from.ip.family)
			translate(w, chain, t, host);
}

/* What this host itself begins; why loopback is left out: core/program/nat.c. */
void ipt_write_output(struct writer *w, const struct flows *flows)
{
	static const char *const unroutable[] = {"127.0.0.0/8", "::1/128", "fe80::/10"};
	struct ipt_chain *chain;

	if (!flows->own.n)
		return;
	chain = ipt_add_chain(w, "nat", IPT_PREFIX "-OUT", "OUTPUT");
	for (size_t i = 0; i < COUNT_OF(unroutable); i++)
		if (!strchr(unroutable[i], ':') == (w->family == 4))
			ipt_add_rule(chain, w->a, NONE, "-d %s -j RETURN", unroutable[i]);
	list_each (t, &flows->own)
		translate(w, chain, t, true);
}

/* For what a translation led to its target; source: only from there. */
static void at_target(struct writer *w, struct ipt_chain *chain, const struct translation *t,
		      struct prefix source, const char *verdict)
{
	const char *asked = "";

	if (translation_repeats(t))
		return;
	if (match_single_port(t->match))
		asked = arena_printf(w->a, "--ctorigdstport %u ", t->match.low);
	else if (match_has_ports(t->match) && t->to_port)
		asked = arena_printf(w->a, "--ctorigdstport %u:%u ", t->match.low, t->match.high);
	ipt_add_rule(chain, w->a, t->origin, "%s%s%s%s-m conntrack --ctstate DNAT %s%s",
		     ipt_address(w, "-s", source), ipt_address(w, "-d", prefix_of(t->to)),
		     ipt_traffic(w, "--dport", ipt_at_target(t)),
		     t->own ? "-m addrtype --src-type LOCAL " : "", asked, verdict);
}

/* Why: core/program/nat.c. */
static void keep_clients(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	const bool masquerades = flows_masquerade_some(flows);

	list_each (t, &flows->own)
		if (!t->masquerade && masquerades)
			at_target(w, chain, t, (struct prefix){0}, "-j ACCEPT");
	list_each (t, &flows->translations) {
		const struct prefix *home = t->keeps ? flows_hairpin_of(flows, t) : NULL;

		if (home)
			at_target(w, chain, t, t->from.ip.family ? t->from : *home, "-j ACCEPT");
	}
}

static void masquerade_translated(struct writer *w, struct ipt_chain *chain,
				  const struct flows *flows)
{
	list_each (t, &flows->own)
		if (t->masquerade)
			at_target(w, chain, t, (struct prefix){0}, "-j MASQUERADE");
	list_each (t, &flows->translations)
		if (t->masquerade)
			at_target(w, chain, t, (struct prefix){0}, "-j MASQUERADE");
}

static void masquerade_hairpins(struct writer *w, struct ipt_chain *chain,
				const struct flows *flows)
{
	list_each (subnet, &flows->hairpins)
		ipt_add_rule(chain, w->a, NONE, "%s%s-m conntrack --ctstate DNAT %s-j MASQUERADE",
			     ipt_address(w, "-s", *subnet), ipt_address(w, "-d", *subnet),
			     ipt_accept_bit(w));
}

/* family 0: any */
static struct prefix net_of(const struct peers *peers, uint32_t i)
{
	return peers ? peers->items[i].net : (struct prefix){0};
}

static void masquerade_policies(struct writer *w, struct ipt_chain *chain,
				const struct flows *flows)
{
	list_each (bound, &flows->bound) /* by br_netfilter neighbours' packets come by here, too */
		if (flows_masquerade_by(flows, bound))
			ipt_add_rule(chain, w->a, NONE, "%s%s-j RETURN",
				     ipt_address(w, "-s", bound->subnet),
				     ipt_interface(w, "-o", bound->bridge));
	list_each (m, &flows->masquerades)
		for (uint32_t s = 0; s < (m->from ? m->from->n : 1); s++)
			for (uint32_t d = 0; d < (m->to ? m->to->n : 1); d++)
				ipt_add_rule(chain, w->a, m->origin, "%s%s%s%s-j MASQUERADE",
					     ipt_address(w, "-s", net_of(m->from, s)),
					     ipt_address(w, "-d", net_of(m->to, d)),
					     ipt_interface(w, "-o", m->oface),
					     ipt_traffic(w, "--dport", m->match));
}

/* An accept ends the table, so Docker's masquerading behind it never hides who calls. */
static void keep_sources(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "nat", IPT_PREFIX "-KEEP", NULL);

	list_each (bound, &flows->bound)
		ipt_add_rule(chain, w->a, NONE, "-s %s -j " IPT_PREFIX "-KEPT",
			     prefix_format_full(bound->subnet).s);
	chain = ipt_add_chain(w, "nat", IPT_PREFIX "-KEPT", NULL);
	list_each (bound, &flows->bound)
		ipt_add_rule(chain, w->a, NONE, "-d %s -j ACCEPT",
			     prefix_format_full(bound->subnet).s);
}

void ipt_write_postrouting(struct writer *w, const struct flows *flows, bool host)
{
	struct ipt_chain *chain = ipt_add_chain(w, "nat", IPT_PREFIX "-POST", "POSTROUTING");

	ipt_hear_forwarded(w, chain, flows);
	if (host)
		keep_clients(w, chain, flows);
	masquerade_translated(w, chain, flows);
	if (host) {
		masquerade_hairpins(w, chain, flows);
		ipt_add_rule(chain, w->a, NONE, "%s-j " IPT_PREFIX "-KEEP", ipt_accept_bit(w));
	}
	masquerade_policies(w, chain, flows);
	if (host)
		keep_sources(w, flows);
}
