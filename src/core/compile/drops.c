/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile/drops.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/hash_set.h"

#include <string.h>

/* Ways to be dropped. Each is reported once for a policy, or once for a policy and a network. */
enum obstacle { NO_MARK, INTERNAL, DIRECT, NEIGHBOURS };

struct dropper {
	struct arena *a;
	const struct trusting *in;
	const struct entrances *entrances;
	struct findings *findings;
	bool only_looks; /* find out whether there is anything to report, and report nothing */
	bool found;
	struct hash_set said;
};

#define say(d, i, ...)                                                                             \
	finding_of_policy((d)->findings, (d)->a, FINDING_CONFLICT, i, CANNOT __VA_ARGS__)

static bool was_said(struct dropper *d, uint32_t origin, enum obstacle what, uint32_t slot)
{
	uint64_t key = hash_word(hash_word(HASH_START, (uint64_t)origin << 32 | slot), what);

	d->found = true;
	return d->only_looks || hash_set_has_or_add(&d->said, d->a, key);
}

/* --- networks, as they stand or as they will be made --- */

static const char *option_of(const struct trusting *in, struct place who, const char *name)
{
	if (who.engine)
		return engine_network_option(who.engine, name);
	list_each (option, &in->config->networks.items[who.index].options)
		if (!strcmp(option->name, name))
			return option->value;
	return "";
}

static bool is_internal(const struct trusting *in, struct place who)
{
	return who.engine ? who.engine->internal : in->config->networks.items[who.index].internal;
}

/* By Docker: of a strict network it may know nothing. */
static bool is_apart(const struct trusting *in, struct place who)
{
	if (who.engine)
		return who.engine->apart;
	return in->flows->apart && in->flows->apart[who.index] &&
	       in->config->networks.items[who.index].isolation != ISOLATION_STRICT;
}

/* Docker's table of the family that this end has. */
static const struct bridges_view *view_of(const struct trusting *in, struct place who)
{
	return who.net.ip.family == 6 ? in->facts->six.bridges : in->facts->bridges;
}

/* Its in-chain, where packets meet it. */
static const struct bridge_rules *in_chain(const struct trusting *in, struct place who)
{
	const struct bridges_view *view = view_of(in, who);
	const struct bridge_rules *rules = bridges_find(view, who.bridge);

	return view->in && rules && rules->asked_in ? rules : NULL;
}

/* --- the mark --- */

/* A network that does not stand yet will be like those that stand. */
static bool takes_no_mark(const struct trusting *in, struct place who)
{
	const struct bridge_rules *rules = in_chain(in, who);

	if (who.engine)
		return rules && rules->drops && !rules->takes_mark;
	list_each (other, &view_of(in, who)->bridges)
		if (other->drops && !other->takes_mark)
			return true;
	return false;
}

static bool keeps_all_out(const struct trusting *in, struct place who)
{
	const struct bridge_rules *rules = in_chain(in, who);

	return who.engine ? rules && rules->drops_foreign : is_internal(in, who);
}

static void say_what_the_mark_lacks(struct dropper *d, uint32_t origin, struct place to)
{
	const struct facts *f = d->in->facts;

	if (!to.bridge)
		return;
	if (keeps_all_out(d->in, to)) {
		if (!was_said(d, origin, INTERNAL, trusting_slot(d->in, to)))
			say(d, origin,
			    "network \"%s\" is internal, and Docker's nftables backend lets "
			    "nothing into an internal network, marked or not; put the container on "
			    "a network that is not internal, too, and name its address there",
			    to.network);
	} else if (takes_no_mark(d->in, to) && !was_said(d, origin, NO_MARK, NONE)) {
		say(d, origin,
		    "Docker's nftables backend takes no mark; start dockerd with "
		    "--bridge-accept-fwmark=0x%x/0x%x",
		    f->mark_accept, f->mark_accept);
	}
}

/* --- direct access --- */

static bool drops_direct(const struct trusting *in, struct place who)
{
	bool six = who.net.ip.family == 6;

	return (six ? in->facts->six.direct : in->facts->direct) == DIRECT_DROPPED && who.bridge &&
	       !is_internal(in, who) &&
	       gateway_mode_translates(option_of(in, who, six ? GATEWAY_MODE6 : GATEWAY_MODE));
}

static void add_names(struct buf *list, const name_list *names)
{
	list_each (name, names)
		if (!text_lists(buf_text(list), ':', *name))
			buf_printf(list, "%s%s", list->len ? ":" : "", *name);
}

/* The interfaces that the network trusts, or will be created to trust. */
static void add_trusted(struct buf *list, const struct dropper *d, struct place who)
{
	const char *declared = option_of(d->in, who, TRUSTED);

	buf_puts(list, declared);
	if (!who.engine && !*declared)
		add_names(list, &d->entrances->bridges[trusting_slot(d->in, who)]);
}

/* An interface that is no bridge of the engine's: packets from outside may come in by it. */
static bool is_outside(const struct dropper *d, const char *name, size_t len)
{
	list_each (network, &d->in->engine->networks)
		if (network->bridge && strlen(network->bridge) == len &&
		    !strncmp(network->bridge, name, len))
			return false;
	return len > 0;
}

static bool trusts_outside(const struct dropper *d, const char *list)
{
	for (; *list; list += strcspn(list, ":"), list += *list == ':')
		if (is_outside(d, list, strcspn(list, ":")))
			return true;
	return false;
}

/* The option's whole new value: what the network trusts today must stay in it. */
static void say_direct(struct dropper *d, uint32_t origin, struct place who, const char *entrance,
		       const struct buf *trusted)
{
	AUTO_BUF struct buf whole = {0};
	uint32_t slot = trusting_slot(d->in, who);

	buf_puts(&whole, buf_text(trusted));
	add_names(&whole, &d->entrances->bridges[slot]);
	add_names(&whole, &d->entrances->outside[slot]);
	if (!strcmp(who.network, "bridge"))
		say(d, origin,
		    "network \"bridge\" drops what comes in by %s and can't be told to trust it; "
		    "start dockerd with --allow-direct-routing, or put the container on a network "
		    "of yours",
		    entrance);
	else
		say(d, origin,
		    "network \"%s\" drops what comes in by %s; create it with the option " TRUSTED
		    "=%s, or start dockerd with --allow-direct-routing",
		    who.network, entrance, buf_text(&whole));
}

/*
 * What comes from there to this network; from anywhere: by one of the host's interfaces at least.
 */
static void say_what_is_dropped_directly(struct dropper *d, uint32_t origin, struct place who,
					 struct place whom)
{
	AUTO_BUF struct buf trusted = {0};
	const char *entrance = whom.entrance;

	if (!drops_direct(d->in, who))
		return;
	add_trusted(&trusted, d, who);
	if (entrance && (whom.net.len || whom.named) ? text_lists(buf_text(&trusted), ':', entrance)
						     : trusts_outside(d, buf_text(&trusted)))
		return;
	if (!was_said(d, origin, DIRECT, trusting_slot(d->in, who)))
		say_direct(d, origin, who, entrance ? entrance : "an interface of the host",
			   &trusted);
}

static bool keeps_out(const struct dropper *d, struct place who, const char *bridge)
{
	AUTO_BUF struct buf trusted = {0};

	if (!drops_direct(d->in, who))
		return false;
	add_trusted(&trusted, d, who);
	return !text_lists(buf_text(&trusted), ':', bridge);
}

/* A source as wide as "any" means containers of other networks, too. */
static void say_which_neighbours_stay_out(struct dropper *d, uint32_t origin, struct prefix from,
					  struct place dst)
{
	const char *first = NULL;
	uint32_t n = 0;

	list_each (e, &d->in->engine->networks) {
		struct prefix subnet = e->ipam[ip_family(from.ip)].subnet;
		struct place src = {
			.network = e->name, .bridge = e->bridge, .engine = e, .net = subnet};

		src.index = NONE;
		if (e == dst.engine || !e->bridge || !prefix_covers(from, subnet) ||
		    !(keeps_out(d, dst, e->bridge) || keeps_out(d, src, dst.bridge)))
			continue;
		first = first ? first : e->name;
		n++;
	}
	if (n && !was_said(d, origin, NEIGHBOURS, trusting_slot(d->in, dst)))
		finding_of_policy(d->findings, d->a, FINDING_NOTE, origin,
				  "containers of %u other network%s (\"%s\"%s) stay out: Docker's "
				  "nftables backend keeps networks apart that were not created to "
				  "trust each other; dockerd --allow-direct-routing lets them in",
				  n, n == 1 ? "" : "s", first, n == 1 ? "" : " …");
}

/* --- flows --- */

/* Containers of one network meet the in-chain where its option enable_icc=false wants policies. */
static void look_at_flow(struct dropper *d, uint32_t origin, struct place src, struct place dst)
{
	bool within = trusting_stays_within(src, dst);

	if (within && !is_apart(d->in, dst))
		return;
	say_what_the_mark_lacks(d, origin, dst);
	if (within)
		return;
	say_what_is_dropped_directly(d, origin, dst, src);
	if (!src.bridge && !src.named && dst.bridge)
		say_which_neighbours_stay_out(d, origin, src.net, dst);
	if (dst.bridge) /* answers from outside come for the host's own address */
		say_what_is_dropped_directly(d, origin, src, dst);
}

static void look_at_translations(struct dropper *d)
{
	list_each (t, &d->in->flows->translations) {
		struct prefix to = prefix_of(t->to);
		struct place place =
			trusting_place(d->in, to, config_network_of(d->in->config, to));

		/* what comes by the target's own bridge is let through there */
		if (!t->iface || !place.bridge || strcmp(t->iface, place.bridge) != 0)
			say_what_the_mark_lacks(d, t->origin, place);
	}
}

/*
 * Ask for each pair of networks first. There are few networks and many policies, and mostly nothing
 * is dropped.
 */
static bool is_there_anything(struct dropper *d)
{
	d->only_looks = true;
	list_each (pair, &d->entrances->pairs) {
		look_at_flow(d, NONE, pair->one, pair->other);
		look_at_flow(d, NONE, pair->other, pair->one);
	}
	look_at_translations(d);
	d->only_looks = false;
	return d->found;
}

void compile_drops(struct findings *findings, struct arena *a, const struct trusting *in,
		   const struct entrances *entrances)
{
	struct dropper d = {.a = a, .in = in, .entrances = entrances, .findings = findings};
	AUTO_RELEASE struct arena scratch = {0};

	if (!is_there_anything(&d))
		return;
	list_each (grant, &in->flows->grants) {
		place_list from = trusting_sources(in, &scratch, grant);
		place_list to = trusting_places(in, &scratch, grant->to);

		list_each (src, &from)
			list_each (dst, &to)
				look_at_flow(&d, grant->origin, *src, *dst);
		arena_reset(&scratch);
	}
	look_at_translations(&d);
}
