/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Established packets whose connection mark lacks our bit, because other programs write the mark
 * too. They are looked up by their conntrack entry.
 */
#include "core/iptables/iptables.h"
#include "core/iptables/writer.h"

#include <stdlib.h>
#include <string.h>

/* Matches the addresses of the conntrack entry, in either direction of the packet. */
static const char *entry(struct writer *w, struct prefix src, struct prefix dst,
			 struct traffic match)
{
	const char *ports = "";

	if (match_has_ports(match) && !match_every_port(match))
		ports = match.low == match.high
				? arena_printf(w->a, "--ctreplsrcport %u ", match.low)
				: arena_printf(w->a, "--ctreplsrcport %u:%u ", match.low,
					       match.high);
	return arena_printf(w->a, "%s%s%s%s", ipt_address(w, "--ctorigsrc", src),
			    ipt_address(w, "--ctreplsrc", dst),
			    match.proto ? arena_printf(w->a, "--ctproto %u ", match.proto) : "",
			    ports);
}

static void admit_entry(struct writer *w, struct ipt_chain *chain, const struct admitted *p)
{
	static const char *const directions[][2] = {{"-i", "ORIGINAL"}, {"-o", "REPLY"}};
	const char *said = entry(w, p->src->net, p->dst->net, p->match);

	if (!p->iface)
		ipt_add_rule(chain, w->a, p->origin, "-m conntrack %s-g " IPT_PREFIX "-ADMIT",
			     said);
	for (size_t i = 0; p->iface && i < COUNT_OF(directions); i++)
		ipt_add_rule(chain, w->a, p->origin,
			     "%s-m conntrack %s--ctdir %s -g " IPT_PREFIX "-ADMIT",
			     ipt_interface(w, directions[i][0], p->iface), said, directions[i][1]);
}

/* Policies whose subjects are in the same network. */
struct look {
	bool asked;
	struct prefix subnet; /* family 0: a subject outside of all networks; it has no chain of its
				 own */
	uint32_t place;	      /* index of their chain in w->chains; 0: none yet */
};

static struct prefix bound_subnet_of(const struct flows *flows, struct prefix net)
{
	list_each (bound, &flows->bound)
		if (prefix_covers(bound->subnet, net))
			return bound->subnet;
	return (struct prefix){0};
}

/* NULL: the pair belongs to no network. */
static struct look *look_of(struct look *looks, const struct flows *flows, const struct peer *dst)
{
	struct look *look;

	if (dst->network == NONE)
		return NULL;
	look = &looks[dst->network];
	if (!look->asked)
		look->subnet = bound_subnet_of(flows, dst->net);
	look->asked = true;
	return look->subnet.ip.family ? look : NULL;
}

static struct ipt_chain *look_chain(struct writer *w, struct look *look, uint32_t network)
{
	if (!look->place) {
		ipt_add_chain(w, "filter", arena_printf(w->a, IPT_PREFIX "-LOOK-%u", network),
			      NULL);
		look->place = w->chains->n;
	}
	return &w->chains->items[look->place - 1];
}

/* One for each declared network; *n of them. */
static struct look *write_looks(struct writer *w, const struct flows *flows, uint32_t *n)
{
	struct look *looks;

	*n = 0;
	list_each (p, &w->pairs)
		if (p->dst->network != NONE && p->dst->network >= *n)
			*n = p->dst->network + 1;
	looks = arena_array(w->a, struct look, *n);
	list_each (p, &w->pairs) {
		struct look *look = look_of(looks, flows, p->dst);

		if (look)
			admit_entry(w, look_chain(w, look, p->dst->network), p);
	}
	return looks;
}

static void write_led(struct writer *w, const struct flows *flows)
{
	struct ipt_chain *chain;

	if (!flows->translations.n)
		return;
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-LED", NULL);
	list_each (t, &flows->translations)
		if (!translation_repeats(t))
			ipt_add_rule(chain, w->a, t->origin,
				     "-m conntrack %s-g " IPT_PREFIX "-ADMIT",
				     entry(w, t->from, prefix_of(t->to), ipt_at_target(t)));
}

/*
 * Keeps the bulk of a host's traffic out of these chains: connections that containers began, and
 * published ports.
 */
void ipt_write_again(struct writer *w, const struct flows *flows)
{
	uint32_t n;
	struct look *looks = write_looks(w, flows, &n);
	struct ipt_chain *chain;

	write_led(w, flows);
	chain = ipt_add_chain(w, "filter", IPT_PREFIX "-AGAIN", NULL);
	if (flows->translations.n)
		ipt_add_rule(chain, w->a, NONE,
			     "-m conntrack --ctstate DNAT -j " IPT_PREFIX "-LED");
	for (uint32_t i = 0; i < n; i++)
		if (looks[i].place)
			ipt_add_rule(chain, w->a, NONE,
				     "-m conntrack ! --ctstate DNAT --ctreplsrc %s -j %s",
				     prefix_format_full(looks[i].subnet).s,
				     w->chains->items[looks[i].place - 1].name);
	list_each (p, &w->pairs)
		if (!look_of(looks, flows, p->dst))
			admit_entry(w, chain, p);
	ipt_add_rule(chain, w->a, NONE, "-m connmark --mark 0x%x -j DROP", w->hooks->revoked);
}
