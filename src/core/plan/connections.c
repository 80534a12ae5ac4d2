/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The difference in the connections of containers to networks. */
#include "core/plan/impl.h"

#include <stdlib.h>
#include <string.h>

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

uint32_t differ_leaving_step(const struct differ *d, const struct engine_container *c,
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
		    differ_leaving_step(d, use->container, use->network) == NONE)
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
	return differ_path(d, "ips", d->config->addresses.items[at->address].key);
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
	if (engine_find_endpoint(c, "none") && differ_leaving_step(d, c, "none") == NONE)
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
	leaves = differ_leaving_step(d, c, at->network);
	leaves = leaves == NONE ? differ_leaving_step(d, c, "none") : leaves;
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
