/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wanted: networks, attachments, and for every namespace what core/ruleset/program.c makes
 * of the flows that are wanted there.
 */
#include "core/compile/firewalld.h"
#include "core/compile/impl.h"
#include "core/compile/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const finding_names[] = {
	[FINDING_WAITING] = "waiting",
	[FINDING_CONFLICT] = "conflict",
	[FINDING_WARNING] = "warning",
	[FINDING_NOTE] = "note",
};

struct finding *finding_add(struct findings *f, struct arena *a, enum finding_kind kind,
			    uint32_t origin, const char *subject, const char *format, ...)
{
	struct finding *finding = list_add(a, &f->list);
	va_list args;

	finding->kind = kind;
	finding->origin = origin;
	finding->subject = subject;
	va_start(args, format);
	finding->text = arena_vprintf(a, format, args);
	va_end(args);
	return finding;
}

bool finding_cannot(const struct finding *f)
{
	return f->kind == FINDING_CONFLICT && !strncmp(f->text, CANNOT, strlen(CANNOT));
}

static bool is_tied(const struct compiler *c, struct prefix subnet)
{
	list_each (old, &c->host->tied)
		if (prefix_overlaps(old->subnet, subnet))
			return true;
	return false;
}

static bool is_source(const struct compiler *c, struct prefix subnet)
{
	list_each (guest, &c->guests)
		if (prefix_overlaps(subnet, *guest))
			return true;
	return false;
}

/* The interfaces of the declared networks, as they are or as they will be. */
static void find_bridges(struct compiler *c)
{
	c->bridges = arena_array(c->a, const char *, c->config->networks.n);
	for (uint32_t i = 0; i < c->config->networks.n; i++) {
		const struct network *n = &c->config->networks.items[i];
		const struct engine_network *e = engine_find_network(c->engine, n->name);

		c->bridges[i] = e && e->bridge ? e->bridge : n->bridge_name;
	}
}

/* Subnets whose addresses are sources of ours: only their own bridge may send them. */
static void compile_tied(struct compiler *c)
{
	for (uint32_t i = 0; i < c->config->networks.n; i++)
		*list_add(c->a, &c->host->tied) = (struct tied){
			.subnet = c->config->networks.items[i].subnet, .bridge = c->bridges[i]};
	list_each (network, &c->engine->networks)
		if (network->bridge && network->subnet.ip.family == 4 &&
		    !is_tied(c, network->subnet) && is_source(c, network->subnet))
			*list_add(c->a, &c->host->tied) =
				(struct tied){.subnet = prefix_canonical(network->subnet),
					      .bridge = network->bridge};
}

static int by_bridge(const void *left, const void *right)
{
	const struct tied *a = left, *b = right;
	int order = strcmp(a->bridge, b->bridge);

	return order ? order : prefix_compare(a->subnet, b->subnet);
}

#define GATEWAY_MODE "com.docker.network.bridge.gateway_mode_ipv4"

/* Docker >= 28: such a network takes what is addressed to its containers. */
static bool has_open_mode(const struct engine_network *network)
{
	list_each (option, &network->options)
		if (!strcmp(option->name, GATEWAY_MODE))
			return strcmp(option->value, "nat") != 0 &&
			       strcmp(option->value, "isolated") != 0;
	return false;
}

static void add_home(struct compiler *c, struct prefix subnet, const char *bridge, bool open)
{
	if (bridge && subnet.ip.family == 4)
		*list_add(c->a, &c->host->homes) =
			(struct tied){prefix_canonical(subnet), bridge, open};
}

/* What the host itself routes over these bridges: a container there routes for others. */
static void add_routed_homes(struct compiler *c)
{
	const uint32_t n = c->host->homes.n;

	for (uint32_t i = 0; i < c->facts->n_routed; i++) {
		const struct host_prefix *route = &c->facts->routed[i];
		const struct tied *homes = c->host->homes.items;
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
			add_home(c, declared->subnet, c->bridges[i], false);
	}
	for (uint32_t i = 0; i < engine->networks.n; i++) {
		const struct engine_network *network = &engine->networks.items[i];

		list_each (subnet, &network->subnets)
			add_home(c, *subnet, network->bridge, open[i] || has_open_mode(network));
	}
	if (c->host->homes.n)
		qsort(c->host->homes.items, c->host->homes.n, sizeof(struct tied), by_bridge);
	add_routed_homes(c);
	if (c->host->homes.n)
		qsort(c->host->homes.items, c->host->homes.n, sizeof(struct tied), by_bridge);
}

/* Nobody writes Docker's drops, or they were flushed: ours stand in. */
static void compile_closed(struct compiler *c)
{
	if (c->facts->docker_drops)
		return;
	for (uint32_t i = 0; i < c->config->networks.n; i++)
		if (c->config->networks.items[i].isolation != ISOLATION_OPEN)
			*list_add(c->a, &c->host->closed) = (struct closed){
				c->bridges[i], c->config->networks.items[i].internal};
	if (c->host->closed.n && c->facts->open_why)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "%s; harborwall closes its networks itself", c->facts->open_why);
}

/* What this host lacks, and what that means. */
static void compile_absences(struct compiler *c)
{
	if (c->facts->no_nf_tables)
		finding_add(c->findings, c->a, FINDING_NOTE, NONE, "host",
			    "this kernel has no nf_tables: the backend is iptables-legacy");
	if (c->facts->no_engine && (c->config->networks.n || c->config->policies.n))
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "%s. The file alone is enforced, on the host: networks, connections "
			    "and what belongs into containers wait for an engine",
			    c->facts->no_engine);
}

static void compile_mark(struct compiler *c)
{
	uint32_t said = NONE;

	if (!c->facts->docker_nftables || c->facts->takes_mark)
		return;
	list_each (flow, &c->host->allows) {
		if (flow->origin == said)
			continue;
		said = flow->origin;
		policy_finding(c, FINDING_CONFLICT, said,
			       CANNOT "Docker's nftables backend takes no mark; start "
				      "dockerd with --bridge-accept-fwmark=0x%x/0x%x",
			       c->facts->mark_accept, c->facts->mark_accept);
	}
}

static void compile_attachments(struct compiler *c, struct state *want)
{
	for (uint32_t i = 0; i < c->config->addresses.n; i++) {
		const struct address *address = &c->config->addresses.items[i];
		const struct node *node = node_of_address(c, i);
		struct attachment *at;

		if (!node || address->network == NONE)
			continue;
		at = list_add(c->a, &want->attachments);
		at->container = node->name;
		at->container_id = node->container ? node->container->id : NULL;
		at->network = c->config->networks.items[address->network].name;
		at->ip = address->ip;
		at->address = i;
	}
}

static void compile_host(struct compiler *c, struct space *host)
{
	const struct facts *f = c->facts;

	host->reachable = true;
	host->flows = c->host;
	if (f->backend == BACKEND_IPTABLES)
		ipt_program_host(&host->chains, c->a, c->host, f);
	else
		program_host(&host->ruleset, c->a, c->host, f);
	host->forward = c->config->networks.n || c->config->policies.n;
	/* Docker sets DROP only if it turned forwarding on itself; whoever turns it on closes it */
	host->forward_drop = host->forward && f->ip_forward == 0 && f->docker_user;
	if (!host->ruleset.exists || f->variant == VARIANT_NONE)
		return;
	if (!f->no_filter)
		*list_add(c->a, &host->handoffs) =
			(struct handoff){.variant = f->variant,
					 .table = "filter",
					 .chain = f->docker_user ? "DOCKER-USER" : "FORWARD",
					 .bits = f->mark_accept};
	if (f->raw_drops)
		*list_add(c->a, &host->handoffs) = (struct handoff){.variant = f->variant,
								    .table = "raw",
								    .chain = "PREROUTING",
								    .bits = f->mark_raw};
}

static void compile_containers(struct compiler *c, struct state *want)
{
	AUTO_RELEASE struct arena scratch = {0};

	for (uint32_t i = 0; i < c->nodes.list.n; i++) {
		const struct node *node = &c->nodes.list.items[i];
		struct space space = {.container = node->name, .flows = &c->of_node[i]};

		if (c->facts->backend == BACKEND_IPTABLES)
			ipt_program_container(&space.chains, c->a, &c->of_node[i], c->facts);
		else
			program_container(&space.ruleset, c->a, &c->of_node[i], c->facts);
		routes_of(&c->routes, i, c->a, &scratch, &space);
		if (node->routing)
			compile_ways(c, node, &space);
		space.forward = space.ruleset.exists || space.chains.n;
		if (!space.forward && !space.routes.n)
			continue;
		if (node->container) {
			space.container_id = node->container->id;
			space.pid = node->container->running ? node->container->pid : 0;
		}
		*list_add(c->a, &want->spaces) = space;
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
	struct trusting host;

	c.host = arena_array(a, struct flows, 1);
	list_reserve(a, &c.host->allows, config->policies.n);
	nodes_build(&c.nodes, a, config, resolution, engine, facts->routings);
	c.of_node = arena_array(a, struct flows, c.nodes.list.n);
	c.host->counted = is_counted(config, facts);
	for (uint32_t i = 0; i < c.nodes.list.n; i++)
		c.of_node[i].counted = c.host->counted;
	c.routes = routes_new(a, &c.nodes, config);
	find_bridges(&c);
	compile_policies(&c);
	compile_tied(&c);
	compile_homes(&c);
	compile_absences(&c);
	compile_closed(&c);

	list_each (network, &config->networks)
		*list_add(a, &want->networks) = *network;
	host = (struct trusting){config, engine, facts, c.host, c.bridges};
	compile_trust(want, findings, a, &host);
	compile_mark(&c);
	compile_firewalld(findings, a, &host);
	compile_attachments(&c, want);
	compile_host(&c, list_add(a, &want->spaces));
	compile_containers(&c, want);
}
