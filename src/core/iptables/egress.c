/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks with egress deny as plain rules; core/ruleset/egress.c says why. LEAVE drops what leaves
 * such a network by the host, ASKED what was sent to an address of the host and translated, TO-HOST
 * what is for the host itself.
 */
#include "core/iptables/iptables.h"
#include "core/iptables/writer.h"

#define LEAVE	IPT_PREFIX "-LEAVE"
#define ASKED	IPT_PREFIX "-ASKED"
#define TO_HOST IPT_PREFIX "-TO-HOST"

/* Adds a chain that drops borrowed sources, and the next one for other packets. */
static struct ipt_chain *drop_borrowed(struct writer *w, const char *name, const char *next,
				       const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "filter", name, NULL);
	const char *on = arena_printf(w->a, "-g %s", next);

	ipt_tell_borrowed(w, chain, flows, "-j DROP", on);
	ipt_add_rule(chain, w->a, NONE, "%s", on);
	return ipt_add_chain(w, "filter", next, NULL);
}

static void drop(struct writer *w, struct ipt_chain *chain)
{
	ipt_add_rule(chain, w->a, NONE, "-j DROP");
}

static void write_leave(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = drop_borrowed(w, LEAVE, IPT_PREFIX "-LIFTS", flows);

	list_each (bound, &flows->bound)
		if (bound->declared && flows->lifts.n)
			ipt_add_rule(chain, w->a, NONE, "-d %s -j DROP",
				     prefix_format_full(bound->subnet).s);
	list_each (lift, &flows->lifts)
		for (uint32_t s = 0; s < lift->from->n; s++)
			for (uint32_t d = 0; d < lift->to->n; d++)
				for (uint32_t m = 0; m < lift->n_matches; m++)
					ipt_add_rule(chain, w->a, lift->origin, "%s%s%s-j RETURN",
						     ipt_address(w, "-s", lift->from->items[s].net),
						     ipt_address(w, "-d", lift->to->items[d].net),
						     ipt_traffic(w, "--dport", lift->matches[m]));
	drop(w, chain);
}

/*
 * A published port that docker-proxy serves ends at the host's own address. It is open in the same
 * cases as the translated one.
 */
static const char *asked_traffic(struct writer *w, struct traffic match)
{
	const struct traffic every = {match.proto, 0, UINT16_MAX};
	const char *ports = "";

	if (match_has_types(match))
		return ipt_traffic(w, "--dport", match);
	if (match_has_ports(match) && !match_every_port(match))
		ports = arena_printf(w->a, "-m conntrack --ctorigdstport %u:%u ", match.low,
				     match.high);
	if (match.low == match.high && *ports)
		ports = arena_printf(w->a, "-m conntrack --ctorigdstport %u ", match.low);
	return arena_printf(w->a, "%s%s", ipt_traffic(w, "--dport", every), ports);
}

static void lift_to_host(struct writer *w, struct ipt_chain *chain, const struct flows *flows,
			 bool asked)
{
	list_each (lift, &flows->to_host)
		for (uint32_t s = 0; s < lift->from->n; s++)
			for (uint32_t m = 0; m < lift->n_matches; m++)
				ipt_add_rule(chain, w->a, lift->origin, "%s%s-j RETURN",
					     ipt_address(w, "-s", lift->from->items[s].net),
					     asked ? asked_traffic(w, lift->matches[m])
						   : ipt_traffic(w, "--dport", lift->matches[m]));
	drop(w, chain);
}

static void write_to_host(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "filter", IPT_PREFIX "-IN", "INPUT");

	list_each (denied, &flows->denied)
		ipt_add_rule(chain, w->a, NONE, "-i %s -g " TO_HOST, denied->bridge);
	chain = ipt_add_chain(w, "filter", TO_HOST, NULL);
	ipt_add_rule(chain, w->a, NONE, "-m connmark --mark 0x%x -j DROP", w->hooks->revoked);
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
	if (w->family == 6)
		ipt_spare_neighbours(w, chain);
	ipt_add_rule(chain, w->a, NONE, "-p udp -m udp --sport %u --dport %u -j RETURN",
		     w->family == 6 ? 546 : 68, w->family == 6 ? 547 : 67);
	ipt_add_rule(chain, w->a, NONE, "-g " IPT_PREFIX "-NEAR");
	chain = drop_borrowed(w, IPT_PREFIX "-NEAR", IPT_PREFIX "-HOST", flows);
	lift_to_host(w, chain, flows, false);
}

/* In the forward path, after what policies admit. */
void ipt_deny_egress(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	if (!flows->denied.n)
		return;
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
	if (w->split)
		ipt_add_rule(chain, w->a, NONE, "%s-j RETURN", ipt_accept_bit(w));
	list_each (denied, &flows->denied)
		ipt_add_rule(chain, w->a, NONE, "-i %s -j " IPT_PREFIX "-EGRESS", denied->bridge);
}

void ipt_write_egress(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	if (!flows->denied.n)
		return;
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-EGRESS", NULL);
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate DNAT -g " ASKED);
	list_each (denied, &flows->denied)
		ipt_add_rule(chain, w->a, NONE, "-i %s -o %s -j RETURN", denied->bridge,
			     denied->bridge);
	ipt_add_rule(chain, w->a, NONE, "-g " LEAVE);
	write_leave(w, flows);
	chain = drop_borrowed(w, ASKED, IPT_PREFIX "-ASKED-HOST", flows);
	lift_to_host(w, chain, flows, true);
	write_to_host(w, flows);
}
