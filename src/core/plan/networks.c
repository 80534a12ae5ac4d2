/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares the declared networks with the engine's. */
#include "core/config/drivers.h"
#include "core/plan/checkup.h"
#include "core/plan/impl.h"

#include <string.h>

static bool is_wanted_network(const struct differ *d, const char *name)
{
	list_each (n, &d->want->networks)
		if (!strcmp(n->name, name))
			return true;
	return false;
}

/*
 * Docker does not check routes before it creates a network. If the host routes the same prefix or a
 * part of it elsewhere, packets for containers would go there. The bridge's route wins over a wider
 * one, which only hides what is behind that; a tunnel for everything (0.0.0.0/1 and 128.0.0.0/1)
 * hides nothing in particular.
 */
static bool host_has_subnet(struct differ *d, const struct network *n, const char *old_bridge)
{
	enum { NEARLY_EVERYTHING = 1 }; /* bits of a prefix */
	const char *path = differ_path(d, "networks", n->key);
	const struct host_prefix *taken =
		checkup_find_overlap(d->seen, n->subnet, n->bridge_name, old_bridge, false);
	const struct host_prefix *dead =
		checkup_find_overlap(d->seen, n->subnet, n->bridge_name, old_bridge, true);

	if (taken) {
		conflict(d, path,
			 "subnet %s overlaps %s of the host, which leads to %s; choose another "
			 "subnet, or remove that route or address",
			 prefix_format(n->subnet).s, prefix_format(taken->prefix).s, taken->device);
		return true;
	}
	if (dead)
		warning(d, path,
			"the %s route to %s diverts packets for its containers; remove that route, "
			"or choose another subnet",
			dead->dead, prefix_format(dead->prefix).s);
	list_each (wider, &d->seen->host_prefixes)
		if (!wider->dead && wider->prefix.len > NEARLY_EVERYTHING &&
		    wider->prefix.len < n->subnet.len && strcmp(wider->device, old_bridge) != 0 &&
		    prefix_covers(wider->prefix, n->subnet)) {
			note(d, path,
			     "%s leads to %s: this network takes %s of it, and whoever has these "
			     "addresses over there is no longer reached",
			     prefix_format(wider->prefix).s, wider->device,
			     prefix_format(n->subnet).s);
			break;
		}
	return false;
}

bool subnet_is_taken(struct differ *d, const struct network *n, const struct engine_network *except)
{
	const char *path = differ_path(d, "networks", n->key);

	list_each (other, &d->seen->engine->networks)
		list_each (subnet, &other->subnets)
			if (other != except && prefix_overlaps(*subnet, n->subnet)) {
				conflict(d, path,
					 "subnet %s overlaps %s of the Docker network \"%s\"; "
					 "choose another subnet or remove that network",
					 prefix_format(n->subnet).s, prefix_format(*subnet).s,
					 other->name);
				return true;
			}
	return host_has_subnet(d, n, except && except->bridge ? except->bridge : "");
}

/* What the file closes and the existing network leaves open; NULL: nothing. */
static const char *more_open(const struct network *n, const struct engine_network *e)
{
	bool apart = options_keep_apart(n->options.items, n->options.n);

	return n->internal && !e->internal	 ? "internal"
	       : apart && e->bridge && !e->apart ? "enable_icc=false"
						 : NULL;
}

static bool has_its_addresses(const struct network *n, const struct engine_network *e)
{
	return prefix_compare(e->subnet, n->subnet) == 0 &&
	       (!e->gateway.family || ip_equal(e->gateway, n->gateway));
}

static void say_differs(struct differ *d, const struct network *n, const struct engine_network *e)
{
	bool subnet = prefix_compare(e->subnet, n->subnet) == 0;
	const char *path = differ_path(d, "networks", n->key);

	if (has_its_addresses(n, e))
		conflict(d, path,
			 "the Docker network \"%s\" was created without %s, which the file asks "
			 "for; re-create it with apply --replace %s",
			 n->name, more_open(n, e), n->name);
	else
		conflict(d, path,
			 "the Docker network \"%s\" has %s %s, the file says %s; change the "
			 "file, or re-create it with apply --replace %s",
			 n->name, subnet ? "gateway" : "subnet",
			 subnet ? ip_format(e->gateway).s : prefix_format(e->subnet).s,
			 subnet ? ip_format(n->gateway).s : prefix_format(n->subnet).s, n->name);
}

static bool may_be_created(struct differ *d, const struct network *n)
{
	if (strcmp(n->driver, "bridge") == 0)
		return !subnet_is_taken(d, n, NULL);
	waiting(d, differ_path(d, "networks", n->key),
		"there is no network \"%s\"; harborwall creates bridge networks only and "
		"attaches to those of driver %s",
		n->name, n->driver);
	return false;
}

static void warn_of_pool(struct differ *d, const struct network *n, const struct engine_network *e)
{
	if (!e->ip_range.ip.family)
		return;
	list_each (address, &d->config->addresses)
		if (prefix_contains(e->ip_range, address->ip))
			warning(d, differ_path(d, "ips", address->key),
				"%s lies in the dynamic pool %s of network \"%s\": another "
				"container may be given it",
				ip_format(address->ip).s, prefix_format(e->ip_range).s, n->name);
}

struct step *differ_create(struct differ *d, const struct network *n)
{
	struct step *step = differ_step(d, STEP_CREATE_NETWORK, '+', "network");

	step->create = n;
	step->network = n->name;
	step->text = arena_printf(d->a, "%s %s gateway %s", n->name, prefix_format(n->subnet).s,
				  ip_format(n->gateway).s);
	step->why = differ_path(d, "networks", n->key);
	return step;
}

/* A network that is there under this name is used as it is, if its addresses are the file's. */
static uint32_t diff_standing(struct differ *d, const struct network *n,
			      const struct engine_network *e)
{
	if (has_its_addresses(n, e) && !more_open(n, e)) {
		replacement_is_needless(d, n, e);
		warn_of_pool(d, n, e);
		return NONE;
	}
	if (replacement_is_due(d, n, e))
		return diff_replacement(d, n, e);
	say_differs(d, n, e);
	return has_its_addresses(n, e) ? NONE : CONFLICT;
}

void diff_networks(struct differ *d)
{
	for (uint32_t i = 0; i < d->want->networks.n; i++) {
		const struct network *n = &d->want->networks.items[i];
		const struct engine_network *e = engine_find_network(d->seen->engine, n->name);

		if (e) {
			d->network_step[i] = diff_standing(d, n, e);
			continue;
		}
		replacement_is_needless(d, n, NULL);
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
		struct step *step;

		if (!e->managed || is_wanted_network(d, e->name))
			continue;
		user = user_of(d, e);
		if (user) {
			waiting(d, differ_path(d, "networks", e->name),
				"left the file; removed once empty: \"%s\" is still connected",
				user);
			continue;
		}
		step = differ_step(d, STEP_REMOVE_NETWORK, '-', "network");
		step->network = e->name;
		step->network_id = e->id;
		step->text = arena_printf(d->a, "%s %s", e->name, prefix_format(e->subnet).s);
		step->why = "left the file";
	}
}
