/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The difference in the networks that the engine holds. */
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
 * Docker itself asks no route before it makes a network. Where the host routes the same prefix or a
 * part of it elsewhere, packets for containers would go there. The bridge's own route wins over a
 * wider one, so that only hides what is behind it; a tunnel that takes everything (0.0.0.0/1 and
 * 128.0.0.0/1) hides nothing in particular.
 */
static bool host_has_subnet(struct differ *d, const struct network *n)
{
	enum { NEARLY_EVERYTHING = 1 }; /* bits of a prefix */
	const char *path = differ_path(d, "networks", n->key);
	const struct host_prefix *taken =
		checkup_find_overlap(d->seen, n->subnet, n->bridge_name, false);
	const struct host_prefix *dead =
		checkup_find_overlap(d->seen, n->subnet, n->bridge_name, true);

	if (taken) {
		conflict(d, path,
			 "subnet %s overlaps %s of the host, which leads to %s; choose another "
			 "subnet, or remove that route or address",
			 prefix_format(n->subnet).s, prefix_format(taken->prefix).s, taken->device);
		return true;
	}
	if (dead)
		warning(d, path,
			"the %s route to %s takes packets for its containers away; remove that "
			"route, or choose another subnet",
			dead->dead, prefix_format(dead->prefix).s);
	list_each (wider, &d->seen->host_prefixes)
		if (!wider->dead && wider->prefix.len > NEARLY_EVERYTHING &&
		    wider->prefix.len < n->subnet.len && prefix_covers(wider->prefix, n->subnet)) {
			note(d, path,
			     "%s leads to %s: this network takes %s of it, and whoever has these "
			     "addresses over there is no longer reached",
			     prefix_format(wider->prefix).s, wider->device,
			     prefix_format(n->subnet).s);
			break;
		}
	return false;
}

/* Somebody else has the addresses. */
static bool subnet_is_taken(struct differ *d, const struct network *n)
{
	const char *path = differ_path(d, "networks", n->key);

	list_each (other, &d->seen->engine->networks)
		list_each (subnet, &other->subnets)
			if (prefix_overlaps(*subnet, n->subnet)) {
				conflict(d, path,
					 "subnet %s overlaps %s of the Docker network \"%s\"; "
					 "choose "
					 "another subnet or remove that network",
					 prefix_format(n->subnet).s, prefix_format(*subnet).s,
					 other->name);
				return true;
			}
	return host_has_subnet(d, n);
}

/* What the file closes and the network that stands does not. It is used all the same. */
static void say_if_more_open(struct differ *d, const struct network *n,
			     const struct engine_network *e)
{
	bool apart = options_keep_apart(n->options.items, n->options.n);
	const char *without = n->internal && !e->internal		? "internal"
			      : apart && !e->apart && e->bridge != NULL ? "enable_icc=false"
									: NULL;

	if (without)
		conflict(d, differ_path(d, "networks", n->key),
			 "the Docker network \"%s\" was made without %s, which the file says; "
			 "re-create it with apply --replace %s",
			 n->name, without, n->name);
}

/* A network that is there under this name is used as it is, if it is what the file says. */
static bool existing_fits(struct differ *d, const struct network *n, const struct engine_network *e)
{
	bool subnet = prefix_compare(e->subnet, n->subnet) == 0;
	bool gateway = !e->gateway.family || ip_equal(e->gateway, n->gateway);

	if (subnet && gateway) {
		say_if_more_open(d, n, e);
		return true;
	}
	conflict(d, differ_path(d, "networks", n->key),
		 "the Docker network \"%s\" has %s %s, the file says %s; change the file, or "
		 "re-create it with apply --replace %s",
		 n->name, subnet ? "gateway" : "subnet",
		 subnet ? ip_format(e->gateway).s : prefix_format(e->subnet).s,
		 subnet ? ip_format(n->gateway).s : prefix_format(n->subnet).s, n->name);
	return false;
}

static bool may_be_created(struct differ *d, const struct network *n)
{
	if (strcmp(n->driver, "bridge") == 0)
		return !subnet_is_taken(d, n);
	waiting(d, differ_path(d, "networks", n->key),
		"there is no network \"%s\"; harborwall creates bridge networks only and attaches "
		"to "
		"those of driver %s",
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
				"container "
				"may be given it",
				ip_format(address->ip).s, prefix_format(e->ip_range).s, n->name);
}

void diff_networks(struct differ *d)
{
	for (uint32_t i = 0; i < d->want->networks.n; i++) {
		const struct network *n = &d->want->networks.items[i];
		const struct engine_network *e = engine_find_network(d->seen->engine, n->name);
		struct step *step;

		d->network_step[i] = NONE;
		if (e && existing_fits(d, n, e)) {
			warn_of_pool(d, n, e);
			continue;
		}
		if (e || !may_be_created(d, n)) {
			d->network_step[i] = CONFLICT;
			continue;
		}
		step = differ_step(d, STEP_CREATE_NETWORK, '+', "network");
		step->create = n;
		step->network = n->name;
		step->text = arena_printf(d->a, "%s %s gateway %s", n->name,
					  prefix_format(n->subnet).s, ip_format(n->gateway).s);
		step->why = differ_path(d, "networks", n->key);
		d->network_step[i] = differ_step_index(d, step);
	}
}

/* --- networks that left --- */

/* Docker refuses while anything is connected; what we disconnect in this pass does not count. */
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
