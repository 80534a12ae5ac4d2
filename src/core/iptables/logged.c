/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is logged, by the target NFLOG: new connections of policies with "log", and behind
 * everybody's filters what egress deny would stop. The same reports to the same groups as in
 * core/ruleset, and as many of them in a second: who reads them can't tell the backends apart.
 */
#include "core/iptables/iptables.h"
#include "core/iptables/writer.h"
#include "core/ruleset/ruleset.h"

#define LOGGED	    IPT_PREFIX "-LOGGED"
#define LOGGED_DNAT IPT_PREFIX "-LOGGED-DNAT"

/* What the limit holds back goes on as if the rule were not there. */
static void report(struct writer *w, struct ipt_chain *chain, const char *match, uint32_t a_second,
		   uint32_t group, const char *prefix)
{
	ipt_add_rule(chain, w->a, NONE,
		     "%s-m limit --limit %u/sec --limit-burst %u -j NFLOG --nflog-prefix \"%s\" "
		     "--nflog-group %u",
		     match, a_second, a_second, prefix, group);
}

void ipt_report(struct writer *w, struct ipt_chain *chain, const char *match, uint32_t group,
		const char *prefix)
{
	if (!w->hooks->unlogged)
		report(w, chain, match, LOG_A_SECOND, group, prefix);
}

/* --- policies with "log" --- */

/* Also what stays within a network: it comes by here where br_netfilter is on. */
static void log_grant(struct writer *w, struct ipt_chain *chain, const struct grant *grant)
{
	for (uint32_t s = 0; s < grant->from->n; s++)
		for (uint32_t d = 0; d < grant->to->n; d++)
			for (uint32_t m = 0; m < grant->n_matches; m++)
				ipt_add_rule(chain, w->a, grant->origin,
					     "%s%s%s%s-g " IPT_PREFIX "-REPORT",
					     ipt_address(w, "-s", grant->from->items[s].net),
					     ipt_address(w, "-d", grant->to->items[d].net),
					     ipt_interface(w, "-i", grant->iface),
					     ipt_traffic(w, "--dport", grant->matches[m]));
}

static void log_grants(struct writer *w, struct ipt_chain *chain, const struct grant *grants,
		       uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (grants[i].logged)
			log_grant(w, chain, &grants[i]);
}

static bool some_logged(const struct writer *w, const struct grant *grants, uint32_t n)
{
	for (uint32_t i = 0; i < n && !w->hooks->unlogged; i++)
		if (grants[i].logged)
			return true;
	return false;
}

static bool translations_logged(const struct writer *w, const struct flows *flows)
{
	list_each (t, &flows->translations)
		if (t->logged && !w->hooks->unlogged)
			return true;
	return false;
}

static bool grants_logged(const struct writer *w, const struct flows *flows)
{
	return some_logged(w, flows->grants.items, flows->grants.n) ||
	       some_logged(w, flows->lifts.items, flows->lifts.n);
}

/* What nobody answers stays new: it is one connection nevertheless. */
void ipt_log_fresh(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	if (grants_logged(w, flows) || translations_logged(w, flows))
		ipt_add_rule(chain, w->a, NONE, IPT_UNCONFIRMED "-j " LOGGED);
}

static void write_reports(struct writer *w, const char *name, const char *prefix)
{
	ipt_report(w, ipt_add_chain(w, "filter", name, NULL), "", LOG_GROUP, prefix);
}

static void write_logged_dnat(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "filter", LOGGED_DNAT, NULL);

	list_each (t, &flows->translations)
		if (t->logged && !translation_repeats(t))
			ipt_add_rule(
				chain, w->a, t->origin, "%s%s%s%s-g " IPT_PREFIX "-REPORT-DNAT",
				ipt_interface(w, "-i", t->iface), ipt_address(w, "-s", t->from),
				ipt_address(w, "-d", prefix_of(t->to)),
				ipt_traffic(w, "--dport", ipt_at_target(t)));
	write_reports(w, IPT_PREFIX "-REPORT-DNAT", LOG_TRANSLATED);
}

void ipt_write_logged(struct writer *w, const struct flows *flows)
{
	bool grants = grants_logged(w, flows), translations = translations_logged(w, flows);
	struct ipt_chain *chain;

	if (grants || translations) {
		chain = ipt_add_chain(w, "filter", LOGGED, NULL);
		if (translations)
			ipt_add_rule(chain, w->a, NONE,
				     "-m conntrack --ctstate DNAT -j " LOGGED_DNAT);
		log_grants(w, chain, flows->grants.items, flows->grants.n);
		log_grants(w, chain, flows->lifts.items, flows->lifts.n);
	}
	if (translations)
		write_logged_dnat(w, flows);
	if (grants || some_logged(w, flows->to_host.items, flows->to_host.n))
		write_reports(w, IPT_PREFIX "-REPORT", LOG_ALLOWED);
}

/* --- what audited networks begin --- */

/*
 * Of the table nat, where only the first packet of a connection comes by. Sources share by the last
 * bits of their address: who are numbered one after the other have a share each.
 */
static void report_in_shares(struct writer *w, struct ipt_chain *chain, const char *prefix)
{
	const char *zeros = w->family == 6 ? "::" : "0.0.0.";

	for (uint32_t part = 0; part < AUDIT_SHARES; part++)
		report(w, chain,
		       arena_printf(w->a, "-s %s%u/%s%u ", zeros, part, zeros, AUDIT_SHARES - 1),
		       LOG_A_SECOND / AUDIT_SHARES, AUDIT_GROUP, prefix);
}
_Static_assert(!(AUDIT_SHARES & (AUDIT_SHARES - 1)) && AUDIT_SHARES <= 8, "a mask tells them");

static void write_shares(struct writer *w, const char *name, const char *prefix)
{
	report_in_shares(w, ipt_add_chain(w, "nat", name, NULL), prefix);
}

/* Which port of this host they ask for, before anybody translates it. */
void ipt_hear_asked(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	list_each (audited, &flows->audited)
		ipt_add_rule(chain, w->a, NONE,
			     "-i %s -m addrtype --dst-type LOCAL -j " IPT_PREFIX "-HEAR-ASKED",
			     audited->bridge);
}

static const char *has_note(struct writer *w)
{
	return arena_printf(w->a, "-m mark --mark 0x%x/0x%x ", ipt_note(w), ipt_note(w));
}

static const char *forget_note(struct writer *w)
{
	return arena_printf(w->a, "-j MARK --set-xmark 0x0/0x%x", ipt_note(w));
}

void ipt_forget_note(struct writer *w, struct ipt_chain *chain, const char *match)
{
	ipt_add_rule(chain, w->a, NONE, "%s%s", match, forget_note(w));
}

void ipt_hear_forwarded(struct writer *w, struct ipt_chain *chain, const struct flows *flows)
{
	if (flows->audited.n)
		ipt_add_rule(chain, w->a, NONE, "%s-j " IPT_PREFIX "-HEAR", has_note(w));
}

/* The last hook for what is for this host itself. */
static void hear_to_host(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain = ipt_add_chain(w, "nat", IPT_PREFIX "-HEAR-IN", "INPUT");

	list_each (audited, &flows->audited)
		ipt_add_rule(chain, w->a, NONE, "-i %s %s-j " IPT_PREFIX "-HEAR-HOST",
			     audited->bridge, has_note(w));
	chain = ipt_add_chain(w, "nat", IPT_PREFIX "-HEAR-HOST", NULL);
	ipt_forget_note(w, chain, "");
	report_in_shares(w, chain, LOG_AUDIT_HOST);
}

void ipt_write_heard(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	if (!flows->audited.n)
		return;
	write_shares(w, IPT_PREFIX "-HEAR-ASKED", LOG_AUDIT_ASKED);
	chain = ipt_add_chain(w, "nat", IPT_PREFIX "-HEAR", NULL);
	ipt_forget_note(w, chain, "");
	ipt_add_rule(chain, w->a, NONE, "-m conntrack --ctstate DNAT -g " IPT_PREFIX "-HEAR-DNAT");
	report_in_shares(w, chain, LOG_AUDIT);
	write_shares(w, IPT_PREFIX "-HEAR-DNAT", LOG_AUDIT_DNAT);
	hear_to_host(w, flows);
}
