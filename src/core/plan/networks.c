/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares the declared networks with the engine's. */
#include "core/config/drivers.h"
#include "core/plan/checkup.h"
#include "core/plan/impl.h"

#include <string.h>

const struct network *differ_network(const struct differ *d, const char *name)
{
	list_each (n, &d->want->networks)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

/*
 * Docker does not check routes before it creates a network. If the host routes the same prefix or a
 * part of it elsewhere, packets for containers would go there. The bridge's route wins over a wider
 * one, which only hides what is behind that; a tunnel for everything (0.0.0.0/1 and 128.0.0.0/1)
 * hides nothing in particular.
 */
static bool host_has_subnet(struct differ *d, const struct network *n, struct prefix subnet,
			    const char *old_bridge)
{
	enum { NEARLY_EVERYTHING = 1 }; /* prefixes with no more bits */
	const char *path = differ_path(d, "networks", n->key);
	const struct host_prefix *taken =
		checkup_find_overlap(d->seen, subnet, n->bridge_name, old_bridge, false);
	const struct host_prefix *dead =
		checkup_find_overlap(d->seen, subnet, n->bridge_name, old_bridge, true);

	if (taken) {
		conflict(d, path,
			 "subnet %s overlaps %s of the host, which leads to %s; choose another "
			 "subnet, or remove that route or address",
			 prefix_format(subnet).s, prefix_format(taken->prefix).s, taken->device);
		return true;
	}
	if (dead)
		warning(d, path,
			"the %s route to %s diverts packets for its containers; remove that route, "
			"or choose another subnet",
			dead->dead, prefix_format(dead->prefix).s);
	list_each (wider, &d->seen->host_prefixes)
		if (!wider->dead && wider->prefix.len > NEARLY_EVERYTHING &&
		    wider->prefix.len < subnet.len && strcmp(wider->device, old_bridge) != 0 &&
		    prefix_covers(wider->prefix, subnet)) {
			note(d, path,
			     "%s leads to %s: this network takes %s of it, and whoever has these "
			     "addresses over there is no longer reached",
			     prefix_format(wider->prefix).s, wider->device,
			     prefix_format(subnet).s);
			break;
		}
	return false;
}

static bool family_is_taken(struct differ *d, const struct network *n, struct prefix own,
			    const struct engine_network *except)
{
	list_each (other, &d->seen->engine->networks)
		list_each (subnet, &other->subnets)
			if (other != except && prefix_overlaps(*subnet, own)) {
				conflict(d, differ_path(d, "networks", n->key),
					 "subnet %s overlaps %s of the Docker network \"%s\"; "
					 "choose another subnet or remove that network",
					 prefix_format(own).s, prefix_format(*subnet).s,
					 other->name);
				return true;
			}
	return host_has_subnet(d, n, own, except && except->bridge ? except->bridge : "");
}

bool subnet_is_taken(struct differ *d, const struct network *n, const struct engine_network *except)
{
	bool taken = false;

	for (enum family f = 0; f < N_FAMILIES; f++)
		if (n->ipam[f].subnet.ip.family)
			taken |= family_is_taken(d, n, n->ipam[f].subnet, except);
	return taken;
}

/* What the file closes and the existing network leaves open; NULL: nothing. */
static const char *more_open(const struct network *n, const struct engine_network *e)
{
	bool apart = options_keep_apart(&n->options);

	return n->internal && !e->internal	 ? "internal"
	       : apart && e->bridge && !e->apart ? "enable_icc=false"
						 : NULL;
}

static uint8_t families_of(const struct network *n)
{
	uint8_t families = 0;

	for (enum family f = 0; f < N_FAMILIES; f++)
		families |= (uint8_t)((n->ipam[f].subnet.ip.family != 0) << f);
	return families;
}

static bool has_family(const struct engine_network *e, enum family f)
{
	return e->ipam[f].subnet.ip.family && (f != FAMILY_6 || e->ipv6);
}

/* Of those that the file declares. Engines before 28 do not tell a gateway that was not sent. */
static uint8_t standing_families(const struct network *n, const struct engine_network *e)
{
	uint8_t families = 0;

	for (enum family f = 0; f < N_FAMILIES; f++) {
		const struct ipam *own = &n->ipam[f], *has = &e->ipam[f];
		bool gateway = !has->gateway.family || ip_equal(has->gateway, own->gateway);

		if (own->subnet.ip.family && has_family(e, f) && gateway &&
		    !prefix_compare(has->subnet, own->subnet))
			families |= (uint8_t)(1 << f);
	}
	return families;
}

/* What the file says besides, and what the network that stands has. */
static void say_family_differs(struct differ *d, const struct network *n,
			       const struct engine_network *e, enum family f)
{
	const struct ipam *own = &n->ipam[f], *has = &e->ipam[f];
	bool subnet = prefix_compare(has->subnet, own->subnet) == 0;
	const char *path = differ_path(d, "networks", n->key);

	if (!has_family(e, f))
		conflict(d, path,
			 "the Docker network \"%s\" was created without %s, the file says %s; "
			 "change the file, or re-create it with apply --replace %s",
			 n->name, f == FAMILY_6 ? "IPv6" : "IPv4", prefix_format(own->subnet).s,
			 n->name);
	else
		conflict(d, path,
			 "the Docker network \"%s\" has %s %s, the file says %s; change the file, "
			 "or re-create it with apply --replace %s",
			 n->name, subnet ? "gateway" : "subnet",
			 subnet ? ip_format(has->gateway).s : prefix_format(has->subnet).s,
			 subnet ? ip_format(own->gateway).s : prefix_format(own->subnet).s,
			 n->name);
}

static void say_differs(struct differ *d, const struct network *n, const struct engine_network *e,
			uint8_t differing)
{
	for (enum family f = 0; f < N_FAMILIES; f++)
		if (differing >> f & 1)
			say_family_differs(d, n, e, f);
	if (!differing)
		conflict(d, differ_path(d, "networks", n->key),
			 "the Docker network \"%s\" was created without %s, which the file asks "
			 "for; re-create it with apply --replace %s",
			 n->name, more_open(n, e), n->name);
}

/*
 * Measured: 20 and 26 give every network an IPv4 subnet, one of their own choice if need be. All
 * engines turn the host's IPv6 forwarding on when they create a network with IPv6.
 */
const char *network_why_not(const struct differ *d, const struct network *n)
{
	enum { IPV6_ALONE = 28 };
	const struct engine *engine = d->seen->engine;

	if (!n->subnet6.ip.family)
		return NULL;
	if (!n->subnet.ip.family && engine->major < IPV6_ALONE)
		return arena_printf(
			d->a,
			"Docker %s creates no network of IPv6 alone (28 does); write subnet, too",
			engine->version);
	return d->seen->facts->no_forward6;
}

static bool may_be_created(struct differ *d, const struct network *n)
{
	bool is_bridge = !strcmp(n->driver, "bridge");
	const char *why = is_bridge ? network_why_not(d, n) : NULL;

	if (is_bridge && !why)
		return !subnet_is_taken(d, n, NULL);
	if (why)
		waiting(d, differ_path(d, "networks", n->key), "%s", why);
	else
		waiting(d, differ_path(d, "networks", n->key),
			"there is no network \"%s\"; harborwall creates bridge networks only and "
			"attaches to those of driver %s",
			n->name, n->driver);
	return false;
}

static void warn_of_pool(struct differ *d, const struct network *n, const struct engine_network *e)
{
	if (!e->ip_range.ip.family && !e->ip_range6.ip.family)
		return;
	list_each (address, &d->config->addresses) {
		struct prefix pool = e->ipam[ip_family(address->ip)].ip_range;

		if (prefix_contains(pool, address->ip))
			warning(d, differ_path(d, "ips", address->key),
				"%s lies in the dynamic pool %s of network \"%s\": another "
				"container may be given it",
				ip_format(address->ip).s, prefix_format(pool).s, n->name);
	}
}

/* The file says IPv4 alone, so we close nothing of IPv6; on engines before 27 nobody does. */
static void warn_of_open_ipv6(struct differ *d, const struct network *n,
			      const struct engine_network *e)
{
	const struct facts *f = d->seen->facts;

	if (n->subnet6.ip.family || n->isolation == ISOLATION_OPEN || !e->bridge ||
	    !has_family(e, FAMILY_6) || !f->six.open_why)
		return;
	warning(d, differ_path(d, "networks", n->key),
		"the Docker network \"%s\" has %s, which the file does not name and which is open "
		"to everybody: %s; write \"subnet6\": \"%s\", and harborwall closes it",
		n->name, prefix_format(e->subnet6).s, f->six.open_why, prefix_format(e->subnet6).s);
}

struct step *differ_remove(struct differ *d, const struct engine_network *e, const char *why)
{
	struct step *step = differ_step(d, STEP_REMOVE_NETWORK, '-', "network");
	const char *text = e->name;

	for (enum family f = 0; f < N_FAMILIES; f++)
		if (e->ipam[f].subnet.ip.family)
			text = arena_printf(d->a, "%s %s", text,
					    prefix_format(e->ipam[f].subnet).s);
	step->network = e->name;
	step->network_id = e->id;
	step->text = text;
	step->why = why;
	return step;
}

struct step *differ_create(struct differ *d, const struct network *n)
{
	struct step *step = differ_step(d, STEP_CREATE_NETWORK, '+', "network");

	step->create = n;
	step->network = n->name;
	step->text = n->name;
	for (enum family f = 0; f < N_FAMILIES; f++)
		if (n->ipam[f].subnet.ip.family)
			step->text = arena_printf(d->a, "%s %s gateway %s", step->text,
						  prefix_format(n->ipam[f].subnet).s,
						  ip_format(n->ipam[f].gateway).s);
	step->why = differ_path(d, "networks", n->key);
	return step;
}

/* It serves as well by another name, unless a policy has that in iface. */
static bool has_other_bridge(const struct network *n, const struct engine_network *e)
{
	return n->bridge_name_declared && e->bridge && strcmp(e->bridge, n->bridge_name) != 0;
}

static void say_other_bridge(struct differ *d, const struct network *n,
			     const struct engine_network *e)
{
	note(d, differ_path(d, "networks", n->key),
	     "the Docker network \"%s\" has the bridge %s, the file says %s; re-create it with "
	     "apply --replace %s",
	     n->name, e->bridge, n->bridge_name, n->name);
}

/*
 * A network that is there under this name is used as it is, in the families whose addresses are the
 * file's.
 */
static uint32_t diff_standing(struct differ *d, uint32_t i, const struct engine_network *e)
{
	const struct network *n = &d->want->networks.items[i];
	const bool other_bridge = has_other_bridge(n, e);
	uint8_t differing = families_of(n);
	bool conflicts;

	d->stands[i] = standing_families(n, e);
	differing &= (uint8_t)~d->stands[i];
	conflicts = differing || more_open(n, e);
	if ((conflicts || other_bridge) && replacement_is_due(d, n, e)) {
		d->stands[i] = families_of(n);
		return diff_replacement(d, n, e);
	}
	if (conflicts) {
		say_differs(d, n, e, differing);
		return d->stands[i] ? NONE : CONFLICT;
	}
	if (other_bridge)
		say_other_bridge(d, n, e);
	else
		replacement_is_needless(d, n, e);
	warn_of_pool(d, n, e);
	warn_of_open_ipv6(d, n, e);
	return NONE;
}

void diff_networks(struct differ *d)
{
	for (uint32_t i = 0; i < d->want->networks.n; i++) {
		const struct network *n = &d->want->networks.items[i];
		const struct engine_network *e = engine_find_network(d->seen->engine, n->name);

		if (e) {
			d->network_step[i] = diff_standing(d, i, e);
			continue;
		}
		replacement_is_needless(d, n, NULL);
		d->stands[i] = families_of(n);
		d->network_step[i] =
			may_be_created(d, n) ? differ_step_index(d, differ_create(d, n)) : CONFLICT;
	}
	diff_kept_networks(d);
}

/* Docker refuses while something is connected; what this pass disconnects does not count. */
static const char *user_of(struct differ *d, const struct engine_network *network)
{
	list_each (c, &d->seen->engine->containers)
		if (engine_find_endpoint(c, network->name) &&
		    differ_leaving_step(d, c, network->name) == NONE)
			return c->name;
	return NULL;
}

void diff_left_networks(struct differ *d)
{
	list_each (e, &d->seen->engine->networks) {
		const char *user;

		if (!e->managed || differ_network(d, e->name))
			continue;
		user = user_of(d, e);
		if (user) {
			waiting(d, differ_path(d, "networks", e->name),
				"left the file; removed once empty: \"%s\" is still connected",
				user);
			continue;
		}
		differ_remove(d, e, "left the file");
	}
}
