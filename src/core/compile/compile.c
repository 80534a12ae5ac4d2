/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wanted: networks, attachments, and for every namespace what core/program/program.c makes
 * of the flows that are wanted there.
 */
#include "core/compile/drops.h"
#include "core/compile/firewalld.h"
#include "core/compile/impl.h"
#include "core/compile/trust.h"
#include "core/iptables/program.h"
#include "core/program/program.h"
#include "core/strict/strict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	if (c->facts->unlogged)
		finding_add(c->findings, c->a, FINDING_WARNING, NONE, "host",
			    "nothing is logged%s, and all else is as the file says: %s; install "
			    "the extensions NFLOG, limit and MARK of iptables and the kernel's "
			    "modules for them, or use HARBORWALL_BACKEND=nftables",
			    c->config->audits ? ", so egress \"audit\" sees nothing" : "",
			    c->facts->unlogged);
	if (c->config->watches && c->facts->backend == BACKEND_IPTABLES)
		finding_add(
			c->findings, c->a, FINDING_WARNING, NONE, "host",
			"the file has isolation \"audit\", and nothing of it is seen: the iptables "
			"backends can't; use the nftables backend (HARBORWALL_BACKEND=nftables)");
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
			"network %s is strict, and the iptables backends know neither sets of "
			"addresses nor MAC addresses of bridges; %s, or isolation \"docker\"",
			c->config->networks.items[c->host->sealed.items[0].network].key,
			c->facts->no_nf_tables
				? "load the module nf_tables if there is one"
				: "use the nftables backend (HARBORWALL_BACKEND=nftables)");
	if (n <= IPT_MOST_ADMITTED)
		return NULL;
	if (!worst)
		return arena_printf(c->a,
				    "%llu rules of iptables; %d is the most, use the nftables "
				    "backend (HARBORWALL_BACKEND=nftables)",
				    (unsigned long long)n, IPT_MOST_ADMITTED);
	return arena_printf(
		c->a,
		"%llu rules of iptables, most of them for policies[%u] (%u sources, %u addresses "
		"they may reach, %u ranges of ports); %d is the most: use the nftables backend "
		"(HARBORWALL_BACKEND=nftables), or name prefixes that hold many of them",
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
	program_bridge(&host->bridge, c->a, c->host, &hooks, &f->strict_ports);
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
	compile_networks(&c);
	compile_policies(&c);
	compile_absences(&c);
	compile_boundaries(&c);

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
