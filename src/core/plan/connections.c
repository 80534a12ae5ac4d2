/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares containers' connections to networks. */
#include "core/plan/impl.h"

#include <stdlib.h>
#include <string.h>

struct step *differ_disconnect(struct differ *d, const struct engine_container *c,
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

/* "172.18.103.2 and fd00:103::2" */
static const char *text_of_ips(struct differ *d, struct ip ip, struct ip ip6)
{
	bool both = ip.family && ip6.family;

	return arena_printf(d->a, "%s%s%s", ip.family ? ip_format(ip).s : "", both ? " and " : "",
			    ip6.family ? ip_format(ip6).s : "");
}

struct step *differ_connect(struct differ *d, const struct engine_container *c, const char *network,
			    struct ip ip, struct ip ip6, const char *why)
{
	struct step *step = differ_step(d, STEP_CONNECT, '+', "connection");
	const char *ips = text_of_ips(d, ip, ip6);

	step->container = c->name;
	step->container_id = c->id;
	step->network = network;
	step->ip = ip;
	step->ip6 = ip6;
	step->text = arena_printf(d->a, "%s to %s%s%s", c->name, network, *ips ? " as " : "", ips);
	step->why = why;
	return step;
}

const char *differ_losses(struct differ *d, const struct engine_container *c, const char *network)
{
	const struct engine *engine = d->seen->engine;
	const struct engine_endpoint *endpoint = engine_find_endpoint(c, network);
	const char *mac = engine_asked_mac(c, endpoint, engine->major), *losses = "";

	if (*mac && !engine_keeps_mac(engine))
		losses = arena_printf(d->a, "; Docker %s gives it another MAC address than %s",
				      engine->version, mac);
	if (c->running && !engine_keeps_interface_name(engine))
		losses = arena_printf(
			d->a, "%s; its interface gets another name until the container restarts",
			losses);
	return losses;
}

uint32_t differ_leaving_step(const struct differ *d, const struct engine_container *c,
			     const char *network)
{
	list_each (i, &differ_container(d, c)->leaving)
		if (!strcmp(d->plan->steps.items[*i].network, network))
			return *i;
	return NONE;
}

uint32_t differ_attachment(const struct differ *d, const struct engine_container *c,
			   const char *network)
{
	list_each (i, &differ_container(d, c)->attachments)
		if (!strcmp(d->want->attachments.items[*i].network, network))
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
		list_each (endpoint, &c->endpoints) {
			if (endpoint->ip.family)
				*list_add(d->a, &used) =
					(struct used_ip){endpoint->ip, c, endpoint->network};
			if (endpoint->ip6.family)
				*list_add(d->a, &used) =
					(struct used_ip){endpoint->ip6, c, endpoint->network};
		}
	if (used.n)
		qsort(used.items, used.n, sizeof(*used.items), by_ip);
	d->used_ips = used.items;
	d->n_used_ips = used.n;
}

static uint32_t first_use(const struct differ *d, struct ip ip)
{
	return first_not_before(d->n_used_ips, i, ip_compare(d->used_ips[i].ip, ip) < 0);
}

/* In this pass: it left the file, or its connection there is re-created. */
static bool will_leave(const struct differ *d, const struct used_ip *use)
{
	uint32_t i = differ_attachment(d, use->container, use->network);

	return differ_leaving_step(d, use->container, use->network) != NONE ||
	       (i != NONE && d->connects[i]);
}

/* Wanted networks are those of the config, in its order. */
static uint32_t network_index(const struct differ *d, const struct attachment *at)
{
	return d->config->addresses.items[at->address].network;
}

/* The declared addresses that can be asked for: in families that stand as the file says. */
static struct ip wanted_ip(const struct differ *d, const struct attachment *at, enum family f)
{
	struct ip wanted = f == FAMILY_6 ? at->ip6 : at->ip;

	if (!(d->stands[network_index(d, at)] >> f & 1))
		return (struct ip){0};
	return wanted;
}

static const struct used_ip *squatter_on(const struct differ *d, const struct attachment *at,
					 struct ip ip)
{
	if (!ip.family)
		return NULL;
	for (uint32_t i = first_use(d, ip); i < d->n_used_ips && ip_equal(d->used_ips[i].ip, ip);
	     i++)
		if (strcmp(d->used_ips[i].container->name, at->container) != 0 &&
		    !will_leave(d, &d->used_ips[i]))
			return &d->used_ips[i];
	return NULL;
}

static const struct used_ip *find_squatter(const struct differ *d, const struct attachment *at)
{
	const struct used_ip *use = squatter_on(d, at, wanted_ip(d, at, FAMILY_4));

	return use ? use : squatter_on(d, at, wanted_ip(d, at, FAMILY_6));
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
		conflict(d, path_of_attachment(d, at),
			 "container \"%s\" runs with --network %s and can't be connected to "
			 "\"%s\"; start it on a network of its own",
			 c->name, c->network_mode, at->network);
		return false;
	}
	return true;
}

/*
 * A container whose wanted address is in use stays connected as it is. Then its old address stays
 * in use, too, so this is repeated until nothing changes.
 */
static void leave_squatted_alone(struct differ *d)
{
	bool again = true;

	while (again) {
		again = false;
		for (uint32_t i = 0; i < d->want->attachments.n; i++) {
			const struct attachment *at = &d->want->attachments.items[i];
			const struct used_ip *use = d->connects[i] ? find_squatter(d, at) : NULL;

			if (!use)
				continue;
			conflict(d, path_of_attachment(d, at),
				 "%s is in use by container \"%s\"; disconnect it from network "
				 "\"%s\"",
				 ip_format(use->ip).s, use->container->name, at->network);
			d->connects[i] = false;
			again = true;
		}
	}
}

/* The address in force, or of a stopped container the configured one. */
static struct ip own_ip(const struct engine_endpoint *e, enum family f)
{
	struct ip in_force = f == FAMILY_6 ? e->ip6 : e->ip;

	return in_force.family ? in_force : engine_address(e, f);
}

/* "has 172.18.103.9, the file says 172.18.103.2" */
static const char *why_wrong(struct differ *d, const struct attachment *at,
			     const struct engine_endpoint *e)
{
	const char *why = "";

	for (enum family f = 0; f < N_FAMILIES; f++) {
		struct ip wanted = wanted_ip(d, at, f), own = own_ip(e, f);

		if (!wanted.family || ip_equal(engine_address(e, f), wanted))
			continue;
		why = arena_printf(d->a, "%s%shas %s, the file says %s", why, *why ? "; " : "",
				   own.family	   ? ip_format(own).s
				   : f == FAMILY_6 ? "no IPv6 address"
						   : "no IPv4 address",
				   ip_format(wanted).s);
	}
	return *why ? why : "the network is re-created";
}

/* Whatever is in the way of a wanted connection is disconnected first: addresses may be swapped. */
static void diff_wrong_endpoints(struct differ *d, uint32_t i)
{
	const struct attachment *at = &d->want->attachments.items[i];
	const struct engine_container *c = d->holders[i];
	const struct engine_endpoint *endpoint;

	if (!d->connects[i])
		return;
	endpoint = engine_find_endpoint(c, at->network);
	if (engine_find_endpoint(c, "none") && differ_leaving_step(d, c, "none") == NONE)
		differ_disconnect(d, c, "none", "Docker allows no other network beside none");
	if (endpoint && differ_leaving_step(d, c, at->network) == NONE)
		differ_disconnect(d, c, at->network,
				  arena_printf(d->a, "%s%s", why_wrong(d, at, endpoint),
					       differ_losses(d, c, at->network)))
			->comes_back = true;
}

/* What the file asks for is what was asked for then. */
static bool is_same_wish(const struct differ *d, const struct attachment *at,
			 const struct refusal *r)
{
	struct ip ip = wanted_ip(d, at, FAMILY_4), ip6 = wanted_ip(d, at, FAMILY_6);

	return at->container_id && !strcmp(r->container_id, at->container_id) &&
	       !strcmp(r->network, at->network) && (!ip.family || ip_equal(r->ip, ip)) &&
	       (!ip6.family || ip_equal(r->ip6, ip6));
}

/* The engine refused this connection recently, and the container was connected again as before. */
static bool was_refused(struct differ *d, const struct attachment *at)
{
	list_each (r, &d->seen->refusals)
		if (is_same_wish(d, at, r)) {
			conflict(d, path_of_attachment(d, at), "%s", r->why);
			return true;
		}
	return false;
}

/* Whether to make attachment i. What prevents it becomes a finding. */
static bool is_to_connect(struct differ *d, uint32_t i)
{
	const struct attachment *at = &d->want->attachments.items[i];
	uint32_t network = network_index(d, at);
	const struct engine_endpoint *endpoint;

	if (d->network_step[network] == CONFLICT || !can_connect(d, at, d->holders[i]))
		return false;
	if (!wanted_ip(d, at, FAMILY_4).family && !wanted_ip(d, at, FAMILY_6).family)
		return false; /* of a family in which its network stands otherwise */
	endpoint = engine_find_endpoint(d->holders[i], at->network);
	if (!endpoint)
		return true;
	if (d->network_step[network] != NONE)
		return true; /* the network is re-created */
	return !engine_has_addresses(endpoint, wanted_ip(d, at, FAMILY_4),
				     wanted_ip(d, at, FAMILY_6)) &&
	       !was_refused(d, at);
}

/* What the container asked for on that network, or did before it was taken away. */
static struct ip had_ip(const struct differ *d, uint32_t i, enum family f)
{
	const struct attachment *at = &d->want->attachments.items[i];
	const struct engine_endpoint *e = engine_find_endpoint(d->holders[i], at->network);

	if (e)
		return f == FAMILY_6 ? e->configured6 : e->configured;
	list_each (kept, &d->seen->kept)
		if (!strcmp(kept->container_id, at->container_id) &&
		    !strcmp(kept->network, at->network))
			return f == FAMILY_6 ? kept->ip6 : kept->ip;
	return (struct ip){0};
}

/* As the file says; where it says nothing of a family, as it was. */
static struct ip asked_ip(const struct differ *d, uint32_t i, enum family f)
{
	const struct attachment *at = &d->want->attachments.items[i];
	struct ip wanted = wanted_ip(d, at, f), had = wanted.family ? wanted : had_ip(d, i, f);
	const struct engine_network *n = engine_find_network(d->seen->engine, at->network);
	uint32_t network = network_index(d, at);
	bool stays = n && d->network_step[network] == NONE;

	if (wanted.family || !had.family)
		return wanted;
	return differ_keeps(d, stays ? n->ipam : d->want->networks.items[network].ipam, had);
}

static void diff_attachment(struct differ *d, uint32_t i)
{
	const struct attachment *at = &d->want->attachments.items[i];
	const struct engine_container *c = d->holders[i];
	uint32_t created, leaves;
	struct step *step;

	if (!d->connects[i])
		return;
	created = d->network_step[network_index(d, at)];
	leaves = differ_leaving_step(d, c, at->network);
	leaves = leaves == NONE ? differ_leaving_step(d, c, "none") : leaves;
	step = differ_connect(d, c, at->network, asked_ip(d, i, FAMILY_4), asked_ip(d, i, FAMILY_6),
			      path_of_attachment(d, at));
	step->managed = true;
	step->depends_on = created != NONE ? created : leaves;
	d->attachment_step[i] = differ_step_index(d, step);
}

static void diff_left_attachments(struct differ *d)
{
	list_each (c, &d->seen->engine->containers)
		list_each (endpoint, &c->endpoints)
			if (endpoint->managed &&
			    differ_attachment(d, c, endpoint->network) == NONE &&
			    differ_leaving_step(d, c, endpoint->network) == NONE)
				differ_disconnect(d, c, endpoint->network, "left the file");
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
	leave_squatted_alone(d);
	for (uint32_t i = 0; i < n; i++)
		diff_wrong_endpoints(d, i);
	for (uint32_t i = 0; i < n; i++)
		diff_attachment(d, i);
}
