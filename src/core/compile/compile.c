/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wanted: networks, attachments, and for every namespace what core/ruleset/program.c makes
 * of the flows that are wanted there.
 */
#include "base/foreign.h"
#include "core/compile/drops.h"
#include "core/compile/firewalld.h"
#include "core/compile/impl.h"
#include "core/compile/trust.h"
#include "core/config/drivers.h"
#include "core/config/place.h"
#include "core/iptables/program.h"
#include "core/ruleset/program.h"

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
		c->apart[i] =
			(e ? e->apart
			   : c->bridges[i] && options_keep_apart(n->options.items, n->options.n)) ||
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
static void compile_networks(struct compiler *c)
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
			network_finding(
				c, FINDING_WARNING, n,
				"the Docker network \"%s\" has driver %s: its packets do not "
				"pass this host, and nothing here closes or opens it",
				n->name, c->beside[i]);
		if (c->apart[i] && n->isolation != ISOLATION_STRICT && c->facts->bridges_unfiltered)
			network_finding(c, FINDING_WARNING, n,
					"its containers reach each other although it has "
					"enable_icc=false: what stays within a bridge passes no "
					"filter here; sysctl "
					"net.bridge.bridge-nf-call-iptables=1");
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

/* Of every driver but bridge the packets do not pass this host: compile_networks says so. */
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

/* What this host lacks, and what that means. */
static void compile_absences(struct compiler *c)
{
	if (c->facts->no_nf_tables)
		finding_add(c->findings, c->a, FINDING_NOTE, NONE, "host",
			    "this kernel has no nf_tables: the backend is iptables-legacy");
	if (c->facts->elsewhere)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host", "%s",
			    c->facts->elsewhere);
	if (c->facts->no_engine && (c->config->networks.n || c->config->policies.n))
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "%s. The file alone is enforced, on the host: networks, connections "
			    "and what belongs into containers wait for an engine",
			    c->facts->no_engine);
	if (c->config->logs && c->facts->backend == BACKEND_IPTABLES)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "the file has \"log\", and nothing is logged: the iptables backends "
			    "can't; use the nftables backend (HARBORWALL_BACKEND=nftables)");
	if (c->config->audits && c->facts->backend == BACKEND_IPTABLES)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "the file has egress \"audit\", and nothing is seen: the iptables "
			    "backends can't; use the nftables backend "
			    "(HARBORWALL_BACKEND=nftables)");
	if (c->facts->no_forward6 && c->host->ipv6)
		finding_add(c->findings, c->a, FINDING_CONFLICT, NONE, "host",
			    "IPv6 is not forwarded, and waits: %s", c->facts->no_forward6);
	if (c->engine->info_refused)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "engine",
			    "it does not answer GET /info (%s; a proxy before its socket?): which "
			    "firewall it writes is told by what stands alone",
			    c->engine->info_refused);
}

static uint64_t attachment_hash(const struct attachment *at)
{
	return hash_word(hash_text(at->container), hash_text(at->network));
}

/*
 * The attachment of this container to this network that has the other family's address already;
 * NULL: none.
 */
static struct attachment *other_family(const struct hash_index *index, const struct state *want,
				       const struct node *node, const char *network)
{
	const struct attachment key = {.container = node->name, .network = network};
	const struct attachment *all = want->attachments.items;
	uint32_t i = hash_index_find(index, attachment_hash(&key), k,
				     !strcmp(all[k].container, node->name) &&
					     !strcmp(all[k].network, network));

	return i == NONE ? NULL : &want->attachments.items[i];
}

static void compile_attachments(struct compiler *c, struct state *want)
{
	bool both = c->config->has_ipv6;
	struct hash_index index = {0};

	if (both)
		hash_index_reserve(&index, c->a, c->config->addresses.n);
	for (uint32_t i = 0; i < c->config->addresses.n; i++) {
		const struct address *address = &c->config->addresses.items[i];
		const struct node *node = node_of_address(c, i);
		const char *network;
		struct attachment *at;

		if (!node || address->network == NONE)
			continue;
		network = c->config->networks.items[address->network].name;
		at = both ? other_family(&index, want, node, network) : NULL;
		if (!at) {
			at = list_add(c->a, &want->attachments);
			at->container = node->name;
			at->container_id = node->container ? node->container->id : NULL;
			at->network = network;
			at->address = i;
			if (both)
				hash_index_add(&index, attachment_hash(at),
					       want->attachments.n - 1);
		}
		*(address->ip.family == 6 ? &at->ip6 : &at->ip) = address->ip;
	}
}

static void add_handoff(struct compiler *c, struct space *host, uint8_t family, const char *table,
			const char *chain, bool behind, uint32_t bits)
{
	const struct facts *f = c->facts;

	*list_add(c->a, &host->handoffs) =
		(struct handoff){.family = family,
				 .variant = family == 6 ? f->six.variant : f->variant,
				 .table = table,
				 .chain = chain,
				 .behind = behind,
				 .bits = bits};
}

/*
 * Behind the foreign rules of DOCKER-USER what comes from outside, before them what containers say
 * to each other. Where there is no such chain, foreign rules and Docker's own share FORWARD: behind
 * them a packet is lost, so everything is handed over before them.
 */
static void compile_handoffs_of(struct compiler *c, struct space *host, uint8_t family, bool filter,
				bool docker_user, bool raw)
{
	struct hooks hooks = facts_hooks(c->facts);
	bool split = docker_user && !hooks.top;

	if (filter && split) {
		add_handoff(c, host, family, "filter", "DOCKER-USER", true, hooks.accept);
		add_handoff(c, host, family, "filter", "DOCKER-USER", false, hooks.between);
	} else if (filter) {
		add_handoff(c, host, family, "filter", docker_user ? "DOCKER-USER" : "FORWARD",
			    false, hooks.accept);
	}
	if (raw)
		add_handoff(c, host, family, "raw", "PREROUTING", !hooks.top, hooks.raw);
}

static void compile_handoffs(struct compiler *c, struct space *host)
{
	const struct facts *f = c->facts;

	if (f->variant != VARIANT_NONE)
		compile_handoffs_of(c, host, 4, !f->no_filter, f->docker_user, f->raw_drops);
	if (c->host->ipv6 && f->six.variant != VARIANT_NONE)
		compile_handoffs_of(c, host, 6, f->six.exists, f->six.docker_user,
				    f->six.raw_drops);
}

/*
 * Refuse the whole file: enforcing a part of it could close what the rest opens. What stands stays.
 */
static const char *why_refused(const struct compiler *c)
{
	const struct grant *worst;
	uint64_t n = ipt_count_admitted(c->host, &worst);

	if (c->host->sealed.n)
		return arena_printf(
			c->a,
			"network %s is strict, and the iptables backends know neither "
			"sets of addresses nor MAC addresses of bridges; use the "
			"nftables backend (HARBORWALL_BACKEND=nftables), or isolation "
			"\"docker\"",
			c->config->networks.items[c->host->sealed.items[0].network].key);
	if (n <= IPT_MOST_ADMITTED)
		return NULL;
	if (!worst)
		return arena_printf(c->a,
				    "%llu rules of iptables; %d is the most, use the "
				    "nftables backend (HARBORWALL_BACKEND=nftables)",
				    (unsigned long long)n, IPT_MOST_ADMITTED);
	return arena_printf(
		c->a,
		"%llu rules of iptables, most of them for policies[%u] (%u sources, %u "
		"addresses they may reach, %u ranges of ports); %d is the most: use the "
		"nftables backend (HARBORWALL_BACKEND=nftables), or name prefixes that "
		"hold many of them",
		(unsigned long long)n, worst->origin, worst->from->n, worst->to->n,
		worst->n_matches, IPT_MOST_ADMITTED);
}

static void program_chains(struct compiler *c, struct space *host)
{
	each_family (family) {
		const struct hooks hooks =
			family == 6 ? facts_hooks6(c->facts) : facts_hooks(c->facts);

		ipt_program_host(&host->chains, c->a, facts_variant(c->facts, family), family,
				 c->host, &hooks);
	}
}

static void compile_host(struct compiler *c, struct state *want, struct space *host)
{
	const struct facts *f = c->facts;
	struct hooks hooks = facts_hooks(f);

	hooks.raw_drops |= c->host->ipv6 && f->six.raw_drops;
	host->reachable = true;
	host->flows = c->host;
	if (f->backend == BACKEND_IPTABLES)
		want->refused = why_refused(c);
	if (want->refused)
		return;
	if (f->backend == BACKEND_IPTABLES)
		program_chains(c, host);
	else
		program_host(&host->ruleset, c->a, c->host, &hooks);
	program_bridge(&host->bridge, c->a, c->host, &f->strict_ports);
	host->forward = c->config->networks.n || c->config->policies.n;
	host->forward6 = c->config->has_ipv6 && !f->no_forward6;
	/* Docker sets DROP only if it turned forwarding on itself; whoever turns it on closes it */
	host->forward_drop = host->forward && f->ip_forward == 0 && f->docker_user;
	if (host->ruleset.exists)
		compile_handoffs(c, host);
}

static void compile_containers(struct compiler *c, struct state *want)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct hooks hooks = facts_hooks(c->facts);

	for (uint32_t i = 0; i < c->nodes.list.n; i++) {
		const struct node *node = &c->nodes.list.items[i];
		struct space space = {.container = node->name, .flows = &c->of_node[i]};

		if (c->facts->backend == BACKEND_IPTABLES)
			each_family (family)
				ipt_program_container(&space.chains, c->a, c->facts->variant,
						      family, &c->of_node[i], &hooks);
		else
			program_container(&space.ruleset, c->a, &c->of_node[i], &hooks);
		routes_of(&c->routes, i, c->a, &scratch, &space);
		if (node->routing[FAMILY_4] || node->routing[FAMILY_6])
			compile_ways(c, node, &space);
		space.forward = space.ruleset.exists || space.chains.n;
		space.forward6 = space.forward && c->of_node[i].ipv6;
		if (!space.forward && !space.routes.n)
			continue;
		if (node->container) {
			space.container_id = node->container->id;
			space.pid = node->container->running ? node->container->pid : 0;
		}
		*list_add(c->a, &want->spaces) = space;
	}
}

bool was_container(const struct compiler *c, const char *name)
{
	const name_list *were = c->facts->were_containers;

	return were && were->n &&
	       bsearch(&name, were->items, were->n, sizeof(*were->items), text_order);
}

/* Every `name` of the file, also of policies that wait for something else. */
static void compile_named(struct compiler *c, struct state *want)
{
	name_list *named = &want->named;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->config->names.n; i++) {
		const char *name = c->resolution->containers[i];
		const struct node *node = name ? nodes_find(&c->nodes, name) : NULL;

		if ((node && node->container) || (name && was_container(c, name)))
			*list_add(c->a, named) = name;
	}
	if (named->n)
		qsort(named->items, named->n, sizeof(*named->items), text_order);
	for (uint32_t i = 0; i < named->n; i++) /* two names may mean one container */
		if (!n || strcmp(named->items[n - 1], named->items[i]) != 0)
			named->items[n++] = named->items[i];
	named->n = n;
}

/* A bridge whose name follows from the file needs no memory. */
static void compile_bridges(struct compiler *c, struct state *want)
{
	for (uint32_t i = 0; i < c->config->networks.n; i++) {
		const struct network *n = &c->config->networks.items[i];

		if (c->bridges[i] &&
		    (!n->bridge_name || strcmp(c->bridges[i], n->bridge_name) != 0))
			*list_add(c->a, &want->bridges) =
				(struct network_bridge){n->name, c->bridges[i]};
	}
}

static bool is_counted(const struct config *config, const struct facts *facts)
{
	if (facts->counters == COUNTERS_AUTO)
		return config->policies.n <= COUNTERS_MOST;
	return facts->counters == COUNTERS_ON;
}

void compile(struct state *want, struct findings *findings, struct arena *a,
	     const struct config *config, const struct resolution *resolution,
	     const struct engine *engine, const struct facts *facts)
{
	struct compiler c = {.a = a,
			     .config = config,
			     .resolution = resolution,
			     .engine = engine,
			     .facts = facts,
			     .findings = findings};
	struct entrances entrances;
	struct trusting host;

	c.host = arena_array(a, struct flows, 1);
	list_reserve(a, &c.host->grants, config->policies.n);
	nodes_build(&c.nodes, a, config, resolution, engine, facts->routings);
	c.of_node = arena_array(a, struct flows, c.nodes.list.n);
	c.placed = arena_array(a, uint32_t, c.nodes.list.n);
	c.host->counted = is_counted(config, facts);
	c.host->ipv6 = config->has_ipv6;
	for (uint32_t i = 0; i < c.nodes.list.n; i++)
		c.of_node[i].counted = c.host->counted;
	c.routes = routes_new(a, &c.nodes, config);
	find_networks(&c);
	c.host->bridges = c.bridges;
	c.host->apart = c.apart;
	compile_networks(&c);
	compile_policies(&c);
	compile_bound(&c);
	compile_homes(&c);
	compile_between(&c);
	compile_absences(&c);
	compile_closed(&c);
	compile_closed6(&c);
	compile_denied(&c);
	strict_seal(c.host, a, config, c.bridges, engine);

	list_each (network, &config->networks)
		*list_add(a, &want->networks) = *network;
	host = (struct trusting){config, engine, facts, c.host, c.bridges};
	entrances = compile_trust(want, a, &host);
	if (facts->bridges && entrances.bridges)
		compile_drops(findings, a, &host, &entrances);
	compile_firewalld(findings, a, &host);
	compile_attachments(&c, want);
	strict_networks(&want->strict, a, config, c.bridges, engine);
	compile_host(&c, want, list_add(a, &want->spaces));
	compile_containers(&c, want);
	compile_named(&c, want);
	compile_bridges(&c, want);
}
