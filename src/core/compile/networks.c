/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The declared networks: their bridges and drivers, the addresses at home on each bridge, and which
 * networks our own rules close.
 */
#include "core/compile/impl.h"
#include "core/config/drivers.h"
#include "core/config/place.h"
#include "core/ports/ports.h"
#include "core/strict/senders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_bound(const struct compiler *c, struct prefix subnet)
{
	list_each (old, &c->host->bound)
		if (prefix_overlaps(old->subnet, subnet))
			return true;
	return false;
}

static bool is_source(const struct compiler *c, struct prefix subnet)
{
	list_each (source, &c->allowed_sources)
		if (prefix_overlaps(subnet, *source))
			return true;
	return false;
}

/* A strict one that stands, or will, as a bridge. */
static bool is_sealed(const struct compiler *c, uint32_t i)
{
	return c->bridges[i] && c->config->networks.items[i].isolation == ISOLATION_STRICT;
}

/* Before the engine answers: the bridge that it had, or will have. */
static const char *bridge_by_memory(const struct compiler *c, const struct network *n)
{
	for (uint32_t i = 0; c->facts->bridges_were && i < c->facts->bridges_were->n; i++)
		if (!strcmp(c->facts->bridges_were->items[i].network, n->name))
			return c->facts->bridges_were->items[i].bridge;
	return network_bridge(n, c->engine);
}

/* What the declared networks are, or will be. */
static void find_networks(struct compiler *c)
{
	uint32_t n_networks = c->config->networks.n;

	c->bridges = arena_array(c->a, const char *, n_networks);
	c->beside = arena_array(c->a, const char *, n_networks);
	c->apart = arena_array(c->a, bool, n_networks);
	for (uint32_t i = 0; i < n_networks; i++) {
		const struct network *n = &c->config->networks.items[i];
		const struct engine_network *e = engine_find_network(c->engine, n->name);
		const char *driver = e ? e->driver : n->driver;

		c->bridges[i] =
			c->engine->up ? network_bridge(n, c->engine) : bridge_by_memory(c, n);
		c->beside[i] = driver_passes_by(driver) ? driver : NULL;
		c->apart[i] = (e ? e->apart : c->bridges[i] && options_keep_apart(&n->options)) ||
			      is_sealed(c, i);
	}
}

#define network_finding(c, kind, n, ...)                                                           \
	finding_add((c)->findings, (c)->a, kind, NONE,                                             \
		    path_of_declared((c)->a, "networks", (n)->key), __VA_ARGS__)

static const char *driver_of(const struct compiler *c, const struct network *n)
{
	const struct engine_network *e = engine_find_network(c->engine, n->name);

	return e ? e->driver : n->driver;
}

/* Warns where a standing network differs from what the file suggests. */
static void warn_of_networks(struct compiler *c)
{
	for (uint32_t i = 0; i < c->config->networks.n; i++) {
		const struct network *n = &c->config->networks.items[i];

		if (!c->bridges[i] && n->isolation == ISOLATION_STRICT)
			network_finding(c, FINDING_CONFLICT, n,
					"\"strict\" takes a network of the driver bridge, and the "
					"Docker network \"%s\" has driver %s; remove it, and the "
					"network is made anew, or write isolation \"docker\"",
					n->name, driver_of(c, n));
		else if (c->beside[i] && driver_is_bridge(n->driver))
			network_finding(c, FINDING_WARNING, n,
					"the Docker network \"%s\" has driver %s: its packets do "
					"not pass this host, and nothing here closes or opens it",
					n->name, c->beside[i]);
		if (c->apart[i] && n->isolation != ISOLATION_STRICT && c->facts->bridges_unfiltered)
			network_finding(c, FINDING_WARNING, n,
					"its containers reach each other although it has "
					"enable_icc=false: what stays within a bridge passes no "
					"filter here; sysctl net.bridge.bridge-nf-call-iptables=1");
	}
}

#define DEFAULT_NETWORK "bridge" /* Docker's own; the file can't declare it */

/* A container of a network that holds what comes or goes, and another network that it is on. */
struct way_around {
	const char *container, *network;
	uint32_t more; /* containers */
};

struct ways_around {
	struct compiler *c;
	const uint32_t *declared;    /* by engine's network: the file's, or NONE */
	struct way_around *in, *out; /* by the file's network */
};

static bool holds(const struct ways_around *w, uint32_t i, bool outwards)
{
	return outwards ? w->c->bridges[i] && w->c->config->networks.items[i].egress == EGRESS_DENY
			: is_sealed(w->c, i);
}

/* The engine's network of this endpoint, if it has a bridge, and the file's. */
static const struct engine_network *network_of_endpoint(const struct ways_around *w,
							const struct engine_endpoint *e,
							uint32_t *declared)
{
	const struct engine *engine = w->c->engine;
	const struct engine_network *network = engine_find_network(engine, e->network);

	*declared = network ? w->declared[network - engine->networks.items] : NONE;
	return network && network->bridge ? network : NULL;
}

static void find_way(const struct ways_around *w, const struct engine_container *container,
		     uint32_t i, bool outwards)
{
	struct way_around *way = outwards ? &w->out[i] : &w->in[i];

	list_each (e, &container->endpoints) {
		uint32_t declared;
		const struct engine_network *other = network_of_endpoint(w, e, &declared);

		if (!other || declared == i || (outwards && other->internal) ||
		    (declared != NONE && holds(w, declared, outwards)))
			continue;
		if (way->container)
			way->more++;
		else
			*way = (struct way_around){container->name, other->name, 0};
		return;
	}
}

static void say_way(const struct ways_around *w, uint32_t i, const struct way_around *way,
		    bool outwards)
{
	struct compiler *c = w->c;

	if (way->container)
		network_finding(
			c, FINDING_NOTE, &c->config->networks.items[i],
			"%s%s on the Docker network \"%s\", too, %s; disconnect it there%s",
			way->container,
			way->more ? arena_printf(c->a, " (and %u more) is", way->more) : " is",
			way->network,
			outwards ? "and what it begins by that one is not denied"
				 : "and what that one lets in reaches it there",
			!strcmp(way->network, DEFAULT_NETWORK) ? ""
			: outwards ? ", or give that network \"egress\": \"deny\", too"
				   : ", or give that network \"isolation\": \"strict\", too");
}

/* A network holds what comes and goes by its own bridge; a container may have another one. */
static void note_ways_around(struct compiler *c)
{
	const uint32_t n = c->config->networks.n;
	uint32_t *declared = arena_array(c->a, uint32_t, c->engine->networks.n);
	struct ways_around w = {c, declared, arena_array(c->a, struct way_around, n),
				arena_array(c->a, struct way_around, n)};
	bool any = false;

	for (uint32_t i = 0; i < c->engine->networks.n; i++)
		declared[i] = NONE;
	for (uint32_t i = 0; i < n; i++) {
		const struct engine_network *e =
			engine_find_network(c->engine, c->config->networks.items[i].name);

		if (e)
			declared[e - c->engine->networks.items] = i;
		any |= holds(&w, i, true) || holds(&w, i, false);
	}
	if (!any)
		return;
	list_each (container, &c->engine->containers)
		list_each (e, &container->endpoints) {
			uint32_t i;

			if (!network_of_endpoint(&w, e, &i) || i == NONE)
				continue;
			if (holds(&w, i, true))
				find_way(&w, container, i, true);
			if (holds(&w, i, false))
				find_way(&w, container, i, false);
		}
	for (uint32_t i = 0; i < n; i++) {
		say_way(&w, i, &w.out[i], true);
		say_way(&w, i, &w.in[i], false);
	}
}

/* Source addresses of these subnets are only accepted from their own bridge. */
static void compile_bound(struct compiler *c)
{
	for (uint32_t i = 0; i < c->config->networks.n; i++)
		for (enum family f = 0; f < N_FAMILIES; f++) {
			struct prefix subnet = c->config->networks.items[i].ipam[f].subnet;

			if (c->bridges[i] && subnet.ip.family)
				*list_add(c->a, &c->host->bound) =
					(struct bound_subnet){subnet, c->bridges[i], false, true};
		}
	list_each (network, &c->engine->networks)
		for (enum family f = 0; f < N_FAMILIES; f++) {
			struct prefix subnet = network->ipam[f].subnet;

			if (network->bridge && subnet.ip.family && !is_bound(c, subnet) &&
			    is_source(c, subnet))
				*list_add(c->a, &c->host->bound) = (struct bound_subnet){
					prefix_canonical(subnet), network->bridge, false, false};
		}
}

static int by_bridge(const void *left, const void *right)
{
	const struct bound_subnet *a = left, *b = right;
	int order = strcmp(a->bridge, b->bridge);

	return order ? order : prefix_compare(a->subnet, b->subnet);
}

/* Docker >= 28: such a network takes what is addressed to its containers. */
static bool has_open_mode(const struct engine_network *network, uint8_t family)
{
	list_each (option, &network->options)
		if (!strcmp(option->name, family == 6 ? GATEWAY_MODE6 : GATEWAY_MODE))
			return strcmp(option->value, "nat") != 0 &&
			       strcmp(option->value, "isolated") != 0;
	return false;
}

static void add_home(struct compiler *c, struct prefix subnet, const char *bridge, bool open)
{
	if (bridge && (subnet.ip.family == 4 || (subnet.ip.family == 6 && c->host->ipv6)))
		*list_add(c->a, &c->host->homes) =
			(struct bound_subnet){prefix_canonical(subnet), bridge, open, false};
}

/* Prefixes that the host routes over these bridges, because a container there is a router. */
static void add_routed_homes(struct compiler *c)
{
	const uint32_t n = c->host->homes.n;

	for (uint32_t i = 0; i < c->facts->n_routed; i++) {
		const struct host_prefix *route = &c->facts->routed[i];
		const struct bound_subnet *homes = c->host->homes.items;
		uint32_t at = first_not_before(n, k, strcmp(homes[k].bridge, route->device) < 0);
		bool known = at == n || strcmp(homes[at].bridge, route->device) != 0;

		for (; !known && at < n && !strcmp(homes[at].bridge, route->device); at++)
			known = prefix_covers(homes[at].subnet, route->prefix);
		if (!known)
			add_home(c, route->prefix, route->device, true);
	}
}

/* Where sources are at home: the engine's networks, those that the file does not declare too. */
static void compile_homes(struct compiler *c)
{
	const struct engine *engine = c->engine;
	bool *open = arena_array(c->a, bool, engine->networks.n);

	for (uint32_t i = 0; i < c->config->networks.n; i++) {
		const struct network *declared = &c->config->networks.items[i];
		const struct engine_network *e = engine_find_network(engine, declared->name);

		if (e)
			open[e - engine->networks.items] = declared->isolation == ISOLATION_OPEN;
		else
			for (enum family f = 0; f < N_FAMILIES; f++)
				add_home(c, declared->ipam[f].subnet, c->bridges[i], false);
	}
	for (uint32_t i = 0; i < engine->networks.n; i++) {
		const struct engine_network *network = &engine->networks.items[i];

		list_each (subnet, &network->subnets)
			add_home(c, *subnet, network->bridge,
				 open[i] || has_open_mode(network, subnet->ip.family));
	}
	if (c->host->homes.n)
		qsort(c->host->homes.items, c->host->homes.n, sizeof(struct bound_subnet),
		      by_bridge);
	add_routed_homes(c);
	if (c->host->homes.n)
		qsort(c->host->homes.items, c->host->homes.n, sizeof(struct bound_subnet),
		      by_bridge);
}

/*
 * Docker's own tables leave a network open. One that is to be made gets its rules with the bridge,
 * and a bridge that is gone needs none.
 */
static bool is_left_open(const struct compiler *c, uint32_t i, uint8_t family)
{
	const struct facts *f = c->facts;
	const struct bridges_view *bridges = family == 6 ? f->six.bridges : f->bridges;
	const struct engine_network *e =
		engine_find_network(c->engine, c->config->networks.items[i].name);
	bool internal = e ? e->internal : c->config->networks.items[i].internal;

	if (!bridges)
		return false;
	if ((c->engine->up && !e) || (e && engine_network_is_open(e, family)) ||
	    !interfaces_have(&f->devices, c->bridges[i]))
		return false;
	if ((family == 6 ? f->six.direct_lost : f->direct_lost) && e &&
	    engine_network_translates(e, family))
		return true;
	return bridges_lack(bridges, c->a, c->bridges[i], internal) != NULL;
}

/* The bridges of those subnets, and bridges that translations name as "iface". */
static void compile_between(struct compiler *c)
{
	interfaces named = {0};

	list_each (bound, &c->host->bound)
		*list_add(c->a, &c->host->between) = bound->bridge;
	list_each (t, &c->host->translations)
		if (t->iface)
			*list_add(c->a, &named) = t->iface;
	interfaces_sort(&named);
	interfaces_sort(&c->host->between);
	list_each (network, &c->engine->networks)
		if (network->bridge && interfaces_have(&named, network->bridge) &&
		    !interfaces_have(&c->host->between, network->bridge)) {
			*list_add(c->a, &c->host->between) = network->bridge;
			interfaces_sort(&c->host->between);
		}
}

/* Where Docker's drops are missing, ours close the networks. */
static void compile_closed(struct compiler *c)
{
	const struct facts *f = c->facts;

	if (f->docker_drops)
		return;
	for (uint32_t i = 0; i < c->config->networks.n; i++)
		if (c->bridges[i] && c->config->networks.items[i].isolation != ISOLATION_OPEN &&
		    (!f->docker_nftables || is_left_open(c, i, 4)))
			*list_add(c->a, &c->host->closed) = (struct closed){
				c->bridges[i], c->config->networks.items[i].internal, c->apart[i]};
	if (f->open_why && c->host->closed.n)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "%s; harborwall closes its networks itself", f->open_why);
	else if (f->open_why && f->drops_lost)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host", "%s", f->open_why);
}

/* Of every driver but bridge the packets do not pass this host: warn_of_networks says so. */
static void compile_denied(struct compiler *c)
{
	for (uint32_t i = 0; i < c->config->networks.n; i++) {
		const struct network *n = &c->config->networks.items[i];
		struct denied *denied;

		if (!c->bridges[i] || n->egress == EGRESS_OPEN)
			continue;
		denied = n->egress == EGRESS_DENY ? list_add(c->a, &c->host->denied)
						  : list_add(c->a, &c->host->audited);
		*denied = (struct denied){.bridge = c->bridges[i], .network = i};
		for (enum family f = 0; f < N_FAMILIES; f++)
			if (n->ipam[f].subnet.ip.family)
				*list_add(c->a, &denied->subnets) = n->ipam[f].subnet;
	}
}

static bool is_closed(const struct compiler *c, const char *bridge)
{
	list_each (closed, &c->host->closed)
		if (!strcmp(closed->bridge, bridge))
			return true;
	return false;
}

/*
 * Engines before 27 leave IPv6 open by default: that is only a note. From 27 on missing drops are a
 * warning.
 */
static void compile_closed6(struct compiler *c)
{
	const struct filter6 *six = &c->facts->six;
	const bool partly = six->bridges && six->bridges->exists;
	const bool due = c->facts->docker_nftables || c->engine->major >= FIRST_WITH_IP6TABLES;

	if (six->docker_drops)
		return;
	for (uint32_t i = 0; i < c->config->networks.n; i++) {
		const struct network *n = &c->config->networks.items[i];

		if (c->bridges[i] && n->subnet6.ip.family && n->isolation != ISOLATION_OPEN &&
		    (!partly || is_left_open(c, i, 6)) && !is_closed(c, c->bridges[i]))
			*list_add(c->a, &c->host->closed6) =
				(struct closed){c->bridges[i], n->internal, c->apart[i]};
	}
	if (six->open_why && c->host->closed6.n)
		finding_add(c->findings, c->a, due ? FINDING_WARNING : FINDING_NOTE, NONE, "host",
			    "%s; harborwall closes IPv6 of its networks itself", six->open_why);
	else if (six->open_why && partly)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host", "%s", six->open_why);
}

void compile_networks(struct compiler *c)
{
	find_networks(c);
	c->host->bridges = c->bridges;
	c->host->apart = c->apart;
	warn_of_networks(c);
	note_ways_around(c);
}

void compile_boundaries(struct compiler *c)
{
	compile_bound(c);
	compile_homes(c);
	compile_between(c);
	compile_closed(c);
	compile_closed6(c);
	compile_denied(c);
	strict_seal(c->host, c->a, c->config, c->bridges, c->engine);
	if (c->facts->backend == BACKEND_IPTABLES) /* compile_absences says so */
		c->host->watched.n = 0;
}
