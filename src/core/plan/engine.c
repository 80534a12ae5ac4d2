/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The difference in what the engine holds: networks, and connections to them. */
#include "core/plan/impl.h"

#include <stdlib.h>
#include <string.h>

static const char *path_of(struct differ *d, const char *kind, const char *key)
{
	return place_path(d->a, place_of(d->a, kind, key, NULL));
}

/* --- networks --- */

static bool is_wanted_network(const struct differ *d, const char *name)
{
	list_each (n, &d->want->networks)
		if (!strcmp(n->name, name))
			return true;
	return false;
}

/* Somebody else has the addresses. */
static bool subnet_is_taken(struct differ *d, const struct network *n)
{
	const char *path = path_of(d, "networks", n->key);

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
	list_each (taken, &d->seen->host_prefixes)
		if (taken->prefix.len && prefix_overlaps(taken->prefix, n->subnet)) {
			conflict(
				d, path,
				"subnet %s overlaps %s on interface %s of the host; choose another "
				"subnet",
				prefix_format(n->subnet).s, prefix_format(taken->prefix).s,
				taken->device);
			return true;
		}
	return false;
}

/* A network that is there under this name is used as it is, if it is what the file says. */
static bool existing_fits(struct differ *d, const struct network *n, const struct engine_network *e)
{
	bool subnet = prefix_compare(e->subnet, n->subnet) == 0;
	bool gateway = !e->gateway.family || ip_equal(e->gateway, n->gateway);

	if (subnet && gateway)
		return true;
	conflict(d, path_of(d, "networks", n->key),
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
	waiting(d, path_of(d, "networks", n->key),
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
			warning(d, path_of(d, "ips", address->key),
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
		step->why = path_of(d, "networks", n->key);
		d->network_step[i] = differ_step_index(d, step);
	}
}

/* --- connections --- */

static struct step *add_disconnect(struct differ *d, const struct engine_container *c,
				   const char *network, const char *why)
{
	struct step *step = differ_step(d, STEP_DISCONNECT, '-', "connection");

	step->container = c->name;
	step->container_id = c->id;
	step->network = network;
	step->text = arena_printf(d->a, "%s from %s", c->name, network);
	step->why = why;
	*list_add(d->a, &differ_container(d, c)->leaving) = differ_step_index(d, step);
	return step;
}

/* A planned disconnection of this container, or NONE: its address is free by then. */
static uint32_t leaving_step(const struct differ *d, const struct engine_container *c,
			     const char *network)
{
	list_each (i, &differ_container(d, c)->leaving)
		if (!strcmp(d->plan->steps.items[*i].network, network))
			return *i;
	return NONE;
}

struct used_ip {
	struct ip ip;
	const struct engine_container *container;
	const char *network;
};

static int by_ip(const void *left, const void *right)
{
	const struct used_ip *a = left, *b = right;
	int order = ip_compare(a->ip, b->ip);

	return order ? order : strcmp(a->container->name, b->container->name);
}

static void index_used_ips(struct differ *d)
{
	LIST(struct used_ip) used = {0};

	list_each (c, &d->seen->engine->containers)
		list_each (endpoint, &c->endpoints)
			if (endpoint->ip.family)
				*list_add(d->a, &used) =
					(struct used_ip){endpoint->ip, c, endpoint->network};
	if (used.n)
		qsort(used.items, used.n, sizeof(*used.items), by_ip);
	d->used_ips = used.items;
	d->n_used_ips = used.n;
}

static uint32_t first_use(const struct differ *d, struct ip ip)
{
	return first_not_before(d->n_used_ips, i, ip_compare(d->used_ips[i].ip, ip) < 0);
}

static void name_squatter(struct differ *d, const struct attachment *at, const char *path)
{
	for (uint32_t i = first_use(d, at->ip);
	     i < d->n_used_ips && ip_equal(d->used_ips[i].ip, at->ip); i++) {
		const struct used_ip *use = &d->used_ips[i];

		if (strcmp(use->container->name, at->container) != 0 &&
		    leaving_step(d, use->container, use->network) == NONE)
			conflict(d, path,
				 "%s is in use by container \"%s\"; disconnect it from network "
				 "\"%s\"",
				 ip_format(at->ip).s, use->container->name, at->network);
	}
}

static bool has_address(const struct engine_endpoint *endpoint, struct ip ip)
{
	return ip_equal(endpoint->configured.family ? endpoint->configured : endpoint->ip, ip);
}

/* Wanted networks are those of the config, in its order. */
static uint32_t network_index(const struct differ *d, const struct attachment *at)
{
	return d->config->addresses.items[at->address].network;
}

static const char *path_of_attachment(struct differ *d, const struct attachment *at)
{
	return path_of(d, "ips", d->config->addresses.items[at->address].key);
}

static bool can_connect(struct differ *d, const struct attachment *at,
			const struct engine_container *c)
{
	if (!at->container_id) {
		waiting(d, path_of_attachment(d, at), "there is no container \"%s\" yet",
			at->container);
		return false;
	}
	if (c->network_mode &&
	    (!strcmp(c->network_mode, "host") || !strncmp(c->network_mode, "container:", 10))) {
		conflict(
			d, path_of_attachment(d, at),
			"container \"%s\" runs with --network %s and can't be connected to \"%s\"; "
			"start it on a network of its own",
			c->name, c->network_mode, at->network);
		return false;
	}
	return true;
}

/* What stands in the way of a connection that is wanted goes first: addresses may be swapped. */
static void diff_wrong_endpoints(struct differ *d, uint32_t i)
{
	const struct attachment *at = &d->want->attachments.items[i];
	const struct engine_container *c = d->holders[i];
	const struct engine_endpoint *endpoint;

	if (!d->connects[i])
		return;
	endpoint = engine_find_endpoint(c, at->network);
	if (engine_find_endpoint(c, "none") && leaving_step(d, c, "none") == NONE)
		add_disconnect(d, c, "none", "the engine refuses other networks beside none");
	if (endpoint)
		add_disconnect(d, c, at->network,
			       arena_printf(d->a, "has %s, the file says %s",
					    ip_format(endpoint->ip.family ? endpoint->ip
									  : endpoint->configured)
						    .s,
					    ip_format(at->ip).s));
}

/* Whether attachment i is to be made, with what keeps it from being made as findings. */
static bool is_to_connect(struct differ *d, uint32_t i)
{
	const struct attachment *at = &d->want->attachments.items[i];
	uint32_t network = network_index(d, at);
	const struct engine_endpoint *endpoint;

	if (d->network_step[network] == CONFLICT || !can_connect(d, at, d->holders[i]))
		return false;
	endpoint = engine_find_endpoint(d->holders[i], at->network);
	return !endpoint || !has_address(endpoint, at->ip);
}

static void diff_attachment(struct differ *d, uint32_t i)
{
	const struct attachment *at = &d->want->attachments.items[i];
	const struct engine_container *c = d->holders[i];
	const char *path;
	uint32_t leaves;
	struct step *step;

	if (!d->connects[i])
		return;
	path = path_of_attachment(d, at);
	name_squatter(d, at, path);
	leaves = leaving_step(d, c, at->network);
	leaves = leaves == NONE ? leaving_step(d, c, "none") : leaves;
	step = differ_step(d, STEP_CONNECT, '+', "connection");
	step->container = c->name;
	step->container_id = c->id;
	step->network = at->network;
	step->ip = at->ip;
	step->text =
		arena_printf(d->a, "%s to %s as %s", c->name, at->network, ip_format(at->ip).s);
	step->why = path;
	step->depends_on = leaves != NONE ? leaves : d->network_step[network_index(d, at)];
	d->attachment_step[i] = differ_step_index(d, step);
}

static bool is_wanted_attachment(const struct differ *d, const struct engine_container *c,
				 const char *network)
{
	list_each (i, &differ_container(d, c)->attachments)
		if (!strcmp(d->want->attachments.items[*i].network, network))
			return true;
	return false;
}

static void diff_left_attachments(struct differ *d)
{
	list_each (c, &d->seen->engine->containers)
		list_each (endpoint, &c->endpoints)
			if (endpoint->managed && !is_wanted_attachment(d, c, endpoint->network))
				add_disconnect(d, c, endpoint->network, "left the file");
}

void diff_attachments(struct differ *d)
{
	uint32_t n = d->want->attachments.n;
	bool any = false;

	diff_left_attachments(d);
	for (uint32_t i = 0; i < n; i++) {
		d->connects[i] = is_to_connect(d, i);
		any |= d->connects[i];
	}
	if (!any)
		return;
	index_used_ips(d);
	for (uint32_t i = 0; i < n; i++)
		diff_wrong_endpoints(d, i);
	for (uint32_t i = 0; i < n; i++)
		diff_attachment(d, i);
}

/* --- networks that left --- */

/* Docker refuses while anything is connected; what we disconnect in this pass does not count. */
static const char *user_of(struct differ *d, const struct engine_network *network)
{
	list_each (c, &d->seen->engine->containers)
		if (engine_find_endpoint(c, network->name) &&
		    leaving_step(d, c, network->name) == NONE)
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
			waiting(d, path_of(d, "networks", e->name),
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
