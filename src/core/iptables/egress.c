/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks with egress deny or audit as plain rules; core/program/egress.c says why. LEAVE is asked
 * about what leaves such a network by the host, ASKED about what was sent to an address of the host
 * and translated, TO-HOST about what is for the host itself. What no policy lifts there is REFUSED.
 */
#include "core/iptables/iptables.h"
#include "core/iptables/writer.h"
#include "core/ruleset/ruleset.h"

#define LEAVE	 IPT_PREFIX "-LEAVE"
#define ASKED	 IPT_PREFIX "-ASKED"
#define TO_HOST	 IPT_PREFIX "-TO-HOST"
#define REFUSED	 IPT_PREFIX "-REFUSED"
#define NOTED	 IPT_PREFIX "-NOTED"
#define BORROWED IPT_PREFIX "-BORROWED-OUT"

/*
 * What a borrowed source address does not get by. Of audited networks it is not marked but reported
 * by itself: no policy would let it out.
 */
static void write_borrowed(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	if (!flows->audited.n)
		return;
	chain = ipt_add_chain(w, "filter", BORROWED, NULL);
	list_each (audited, &flows->audited)
		ipt_add_rule(chain, w->a, NONE, "-i %s -g " IPT_PREFIX "-BORROWER",
			     audited->bridge);
	if (flows->denied.n)
		ipt_add_rule(chain, w->a, NONE, "-j DROP");
	ipt_report(w, ipt_add_chain(w, "filter", IPT_PREFIX "-BORROWER", NULL), IPT_UNCONFIRMED,
		   AUDIT_GROUP, LOG_AUDIT_BORROWED);
}

/* Adds the next chain, for packets whose source is not borrowed; the rest ends. */
static struct ipt_chain *end_borrowed(struct writer *w, struct ipt_chain *chain, const char *next,
				      const struct flows *flows)
{
	const char *on = arena_printf(w->a, "-g %s", next);

	ipt_tell_borrowed(w, chain, flows, flows->audited.n ? "-g " BORROWED : "-j DROP", on);
	ipt_add_rule(chain, w->a, NONE, "%s", on);
	return ipt_add_chain(w, "filter", next, NULL);
}

static void refuse(struct writer *w, struct ipt_chain *chain)
{
	ipt_add_rule(chain, w->a, NONE, "-g " REFUSED);
}

/* Where packets end, and those of audited networks get their mark. */
static void write_refused(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "filter", REFUSED, NULL);

	list_each (audited, &flows->audited)
		ipt_add_rule(chain, w->a, NONE, "-i %s -g " NOTED, audited->bridge);
	if (flows->denied.n) {
		ipt_report(w, chain, "-m conntrack --ctstate NEW ", LOG_GROUP, LOG_DROPPED);
		ipt_add_rule(chain, w->a, NONE, "-j DROP");
	}
	if (flows->audited.n)
		ipt_add_rule(ipt_add_chain(w, "filter", NOTED, NULL), w->a, NONE,
			     IPT_UNCONFIRMED "-j MARK --set-xmark 0x%x/0x%x", ipt_note(w),
			     ipt_note(w));
}

/* Into networks of the file nobody is lifted: policies about them are admitted elsewhere. */
static void refuse_networks(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	list_each (bound, &flows->bound)
		if (bound->declared && flows->lifts.n)
			ipt_add_rule(chain, w->a, NONE, "-d %s -g " REFUSED,
				     prefix_format_full(bound->subnet).s);
}

/* A borrowed source matters where others are lifted, or are told apart: else all of them end. */
static void write_leave(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "filter", LEAVE, NULL);

	if (!flows->audited.n)
		refuse_networks(w, chain, flows);
	if (flows->audited.n || flows->lifts.n)
		chain = end_borrowed(w, chain, IPT_PREFIX "-LIFTS", flows);
	if (flows->audited.n)
		refuse_networks(w, chain, flows);
	list_each (lift, &flows->lifts)
		for (uint32_t s = 0; s < lift->from->n; s++)
			for (uint32_t d = 0; d < lift->to->n; d++)
				for (uint32_t m = 0; m < lift->n_matches; m++)
					ipt_add_rule(chain, w->a, lift->origin, "%s%s%s-j RETURN",
						     ipt_address(w, "-s", lift->from->items[s].net),
						     ipt_address(w, "-d", lift->to->items[d].net),
						     ipt_traffic(w, "--dport", lift->matches[m]));
	refuse(w, chain);
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

static void lift_match(struct writer *w, struct ipt_chain *chain, const struct grant *lift,
		       const char *match)
{
	if (lift->logged &&
	    !w->hooks->unlogged) /* a rule of its own before it, for the same packets */
		ipt_add_rule(chain, w->a, lift->origin,
			     "%s" IPT_UNCONFIRMED "-j " IPT_PREFIX "-REPORT", match);
	ipt_add_rule(chain, w->a, lift->origin, "%s-j RETURN", match);
}

/* asked: the packet is translated, and its port is the one that was asked for. */
static void lift_to_host(struct writer *w, struct ipt_chain *chain, const char *next,
			 const struct flows *flows, bool asked)
{
	if (flows->audited.n || flows->to_host.n)
		chain = end_borrowed(w, chain, next, flows);
	list_each (lift, &flows->to_host)
		for (uint32_t s = 0; s < lift->from->n; s++)
			for (uint32_t m = 0; m < lift->n_matches; m++)
				lift_match(
					w, chain, lift,
					arena_printf(w->a, "%s%s",
						     ipt_address(w, "-s", lift->from->items[s].net),
						     asked ? asked_traffic(w, lift->matches[m])
							   : ipt_traffic(w, "--dport",
									 lift->matches[m])));
	refuse(w, chain);
}

static void write_in(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "filter", IPT_PREFIX "-IN", "INPUT");

	list_each (denied, &flows->denied)
		ipt_add_rule(chain, w->a, NONE, "-i %s -g " TO_HOST, denied->bridge);
	list_each (audited, &flows->audited) {
		const char *in = ipt_interface(w, "-i", audited->bridge);

		ipt_forget_note(w, chain, in);
		ipt_add_rule(chain, w->a, NONE, "%s-g " TO_HOST, in);
	}
}

static void drop_revoked(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	if (!flows->audited.n)
		ipt_add_rule(chain, w->a, NONE, "-m connmark --mark 0x%x -j DROP",
			     w->hooks->revoked);
	else
		list_each (denied, &flows->denied)
			ipt_add_rule(chain, w->a, NONE, "-i %s -m connmark --mark 0x%x -j DROP",
				     denied->bridge, w->hooks->revoked);
}

static void write_to_host(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	write_in(w, flows);
	chain = ipt_add_chain(w, "filter", TO_HOST, NULL);
	drop_revoked(w, chain, flows);
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
	if (w->family == 6)
		ipt_spare_neighbours(w, chain);
	ipt_add_rule(chain, w->a, NONE, "-p udp -m udp --sport %u --dport %u -j RETURN",
		     w->family == 6 ? 546 : 68, w->family == 6 ? 547 : 67);
	lift_to_host(w, chain, IPT_PREFIX "-HOST", flows, false);
}

static void leave_by(struct writer *w, struct ipt_chain *chain, const struct denied *networks,
		     uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ipt_add_rule(chain, w->a, NONE, "-i %s -j " IPT_PREFIX "-EGRESS",
			     networks[i].bridge);
}

/* In the forward path, after what policies admit. */
void ipt_deny_egress(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	if (!flows->denied.n && !flows->audited.n)
		return;
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN");
	if (w->split)
		ipt_add_rule(chain, w->a, NONE, "%s-j RETURN", ipt_accept_bit(w));
	leave_by(w, chain, flows->denied.items, flows->denied.n);
	leave_by(w, chain, flows->audited.items, flows->audited.n);
}

static void stay_in(struct writer *w, struct ipt_chain *chain, const struct denied *networks,
		    uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ipt_add_rule(chain, w->a, NONE, "-i %s -o %s -j RETURN", networks[i].bridge,
			     networks[i].bridge);
}

void ipt_write_egress(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	if (!flows->denied.n && !flows->audited.n)
		return;
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-EGRESS", NULL);
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate DNAT -g " ASKED);
	stay_in(w, chain, flows->denied.items, flows->denied.n);
	stay_in(w, chain, flows->audited.items, flows->audited.n);
	ipt_add_rule(chain, w->a, NONE, "-g " LEAVE);
	write_leave(w, flows);
	lift_to_host(w, ipt_add_chain(w, "filter", ASKED, NULL), IPT_PREFIX "-ASKED-HOST", flows,
		     true);
	write_to_host(w, flows);
	write_borrowed(w, flows);
	write_refused(w, flows);
}
