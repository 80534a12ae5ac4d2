/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carries out a plan: one small function per kind of step, in the order of the plan. */
#include "app/console/timings.h"
#include "app/pass/connections.h"
#include "app/pass/moves.h"
#include "app/pass/unchanged.h"
#include "app/world/saved.h"
#include "app/world/written.h"
#include "base/log.h"
#include "edge/firewall/handoff.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"
#include "edge/netlink/neighbours.h"
#include "edge/netlink/ports.h"
#include "edge/netlink/route.h"

/* What a step works on. */
struct work {
	struct world *world;
	const struct view *view;
	const struct step *step;
	const struct ns *ns; /* of steps in a namespace */
};

static bool create_network(const struct work *k, struct error *err)
{
	return moves_create(k->world, k->step, err);
}

static bool remove_network(const struct work *k, struct error *err)
{
	return docker_remove_network(k->world->docker, k->step->network_id, err) ||
	       error_wrap(err, "remove network %s", k->step->network);
}

static bool connect_container(const struct work *k, struct error *err)
{
	return moves_connect(k->world, k->step, err);
}

static bool disconnect_container(const struct work *k, struct error *err)
{
	const struct step *s = k->step;

	return docker_disconnect(k->world->docker, s->network, s->container_id, false, err) ||
	       error_wrap(err, "network %s: disconnect %s", s->network, s->container);
}

/* Saves what the host had before us, before it is changed. */
static bool set_forwarding(const struct work *k, struct error *err)
{
	const uint8_t family = k->step->kind == STEP_FORWARDING6 ? 6 : 4;

	return (k->step->container || saved_remember_forwarding(&k->world->saved, family, err)) &&
	       ns_set_forward(k->ns, family, 1, err);
}

static bool set_forward_policy(const struct work *k, struct error *err)
{
	enum variant variant = k->step->variant;

	return saved_remember_policy(&k->world->saved, variant, err) &&
	       handoff_set_forward_policy(k->ns, variant, true, err);
}

/* One that is refused does not stop the others; the first error is returned. */
static bool each_route(const struct work *k,
		       bool (*take)(const struct ns *, const struct route *, struct error *),
		       struct error *err)
{
	bool ok = true;

	list_each (route, &k->step->routes) {
		struct error refused = {0};

		ok = take(k->ns, *route, ok ? err : &refused) && ok;
	}
	return ok;
}

static bool add_routes(const struct work *k, struct error *err)
{
	return each_route(k, route_add, err);
}

static bool remove_routes(const struct work *k, struct error *err)
{
	return each_route(k, route_remove, err);
}

static bool change_firewall(const struct work *k, struct error *err)
{
	struct moment start = timing_start();
	uint32_t origin = NONE, nobody;
	struct error refused = {0}, behind = {0};
	bool before = fw_nft_commit(k->ns, &k->step->send->before, &nobody, &refused);
	bool ok = fw_nft_commit(k->ns, &k->step->send->batch, &origin, err);

	/* always; the first error is returned */
	if (before)
		ok = fw_nft_commit(k->ns, &k->step->send->behind, &nobody, ok ? err : &behind) &&
		     ok;
	else
		log_debug("nothing stands meanwhile", "error", refused.text);
	timing_part("commit", start);
	if (ok)
		return true;
	return origin == NONE ? false : error_wrap(err, "policies[%u]", origin);
}

static bool restore_chains(const struct work *k, struct error *err)
{
	struct moment start = timing_start();
	bool ok = iptables_restore(k->ns, k->step->variant, k->step->family, k->step->restore, err);

	timing_part("commit", start);
	return ok;
}

static bool add_handoff(const struct work *k, struct error *err)
{
	return handoff_put(k->ns, k->step->handoff, err);
}

static bool remove_handoff(const struct work *k, struct error *err)
{
	return handoff_remove(k->ns, k->step->handoff, err);
}

static bool change_port(const struct work *k, const struct port_change *c, struct error *err)
{
	const struct bridge_ports *ports = k->step->ports;

	switch (c->kind) {
	case PORT_FLAGS:
		return ports_set_flags(k->ns, &c->port, err);
	case PORT_ENTRY:
		return ports_set_entry(k->ns, &c->entry, c->sign == '+', err);
	case PORT_PROXY:
		return ports_set_proxy(k->ns, ports->index, c->proxy, c->sign == '+', err);
	case PORT_SWITCH:
		return ports_set_switch(k->ns, ports->bridge, c->which, c->value, err);
	}
	return true;
}

static const struct engine_network *network_at(const struct engine *engine, const char *bridge)
{
	list_each (network, &engine->networks)
		if (network->bridge && !strcmp(network->bridge, bridge))
			return network;
	return NULL;
}

/*
 * A container that starts again may have another MAC address, and this host does not believe what
 * it announces before a pass: it would send to the old one for half a minute.
 */
static void forget_residents(const struct work *k, const struct engine_network *network)
{
	struct error err = {0};

	if (!neighbours_forget(k->ns, network->subnets.items, network->subnets.n, &err))
		log_debug("containers that started again are reached in some seconds", "network",
			  network->name, "error", err.text);
}

/*
 * In a strict network the host answers for neighbours, and their own MAC addresses lead nowhere.
 * Those that know each other would go on using these for some seconds; the other way round they
 * would go on sending by the host. A container that can't be entered waits that long.
 */
static void forget_neighbours(const struct work *k, const struct engine_network *network)
{
	const struct engine *engine = &k->view->engine;

	for (uint32_t i = 0; i < k->view->places.n; i++) {
		const char *name = k->view->seen.have.spaces.items[i].container;
		const struct engine_container *c =
			name ? engine_find_container(engine, name) : NULL;
		struct error err = {0};

		if (c && k->view->places.items[i].ns && engine_find_endpoint(c, network->name) &&
		    !neighbours_forget(k->view->places.items[i].ns, network->subnets.items,
				       network->subnets.n, &err))
			log_debug("its connections to neighbours go on in some seconds",
				  "container", name, "error", err.text);
	}
}

/*
 * One that is refused does not stop the others; the first error is returned. But while anything
 * there is ours the bridge bears the mark, by which a later pass finds it whatever the file says:
 * without the first proxy nothing is begun, and the last ones stay until the rest is put back.
 */
static bool change_ports(const struct work *k, struct error *err)
{
	const struct engine_network *network = network_at(&k->view->engine, k->step->ports->bridge);
	bool marked = k->step->ports->proxies.n != 0, ok = true;

	list_each (change, &k->step->port_changes) {
		const bool proxy = change->kind == PORT_PROXY;
		struct error refused = {0};
		bool done;

		if (proxy ? change->sign == '-' && !ok : !marked)
			continue;
		done = change_port(k, change, ok ? err : &refused);
		marked |= proxy && done;
		ok &= done;
	}
	if (network)
		forget_residents(k, network);
	if (network && k->step->sign != '~')
		forget_neighbours(k, network);
	return ok;
}

static bool (*const takers[])(const struct work *, struct error *) = {
	[STEP_CREATE_NETWORK] = create_network,	    [STEP_DISCONNECT] = disconnect_container,
	[STEP_CONNECT] = connect_container,	    [STEP_FORWARDING] = set_forwarding,
	[STEP_FORWARD_POLICY] = set_forward_policy, [STEP_ADD_ROUTES] = add_routes,
	[STEP_FIREWALL] = change_firewall,	    [STEP_ADD_HANDOFF] = add_handoff,
	[STEP_REMOVE_HANDOFF] = remove_handoff,	    [STEP_REMOVE_ROUTES] = remove_routes,
	[STEP_REMOVE_NETWORK] = remove_network,	    [STEP_IPTABLES] = restore_chains,
	[STEP_REMOVE_IPTABLES] = restore_chains,    [STEP_ADOPT] = restore_chains,
	[STEP_FORWARDING6] = set_forwarding,	    [STEP_PORTS] = change_ports,
};

void pass_take(struct pass *p, struct world *w, uint32_t i)
{
	const struct step *step = &p->plan.steps.items[i];
	struct outcome *outcome = &p->outcomes[i];
	struct work work = {.world = w, .view = &p->view, .step = step};
	struct written_step before;
	struct error err = {0};
	bool done;

	w->engine.valid &= step->have_space != NONE;
	if (step->have_space != NONE) {
		work.ns = p->view.places.items[step->have_space].ns;
		/* what is remembered of the host has no ports */
		if (step->kind != STEP_PORTS)
			p->view.places.items[step->have_space].memory->valid = false;
	}
	if (outcome->kind == OUTCOME_FAILED) {
		p->n_failed++; /* none of its steps was begun */
		return;
	}
	if ((p->held && p->held[i]) ||
	    (step->depends_on != NONE && p->outcomes[step->depends_on].kind != OUTCOME_DONE))
		return;
	if (step->have_space == 0)
		before = written_before(w);
	done = takers[step->kind](&work, &err);
	if (step->have_space == 0)
		written_after(w, &before);
	if (done) {
		outcome->kind = OUTCOME_DONE;
		p->n_done++;
		return;
	}
	outcome->kind = OUTCOME_FAILED;
	outcome->why = arena_strdup(&p->arena, err.text);
	p->n_failed++;
}

/* Saved before anything is done: a name that was once a container's stays one. */
static void remember(struct pass *p, struct world *w)
{
	struct error err = {0};

	if (p->view.engine.up && !saved_remember_bridges(&w->saved, &p->want.bridges, &err))
		log_warn("names of bridges are not saved: after a boot their networks are closed "
			 "once the engine answers",
			 "error", err.text);
	err = (struct error){0};

	if (p->view.engine.up && !saved_remember_containers(&w->saved, &p->want.named, &err))
		log_warn("names of containers are not saved, and known only until the program ends",
			 "error", err.text);
}

/* The host's table as it is now: as wanted, or as it was read if nothing changed it. */
static const struct ruleset *host_sets(const struct pass *p)
{
	const struct ruleset *sets = &p->view.seen.have.spaces.items[0].ruleset;

	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *step = &p->plan.steps.items[i];

		if (step->kind != STEP_FIREWALL || step->have_space != 0)
			continue;
		if (p->outcomes[i].kind == OUTCOME_FAILED)
			return NULL;
		if (p->outcomes[i].kind == OUTCOME_DONE)
			sets = &p->want.spaces.items[0].ruleset;
	}
	return sets;
}

void pass_begin(struct pass *p, struct world *w)
{
	p->started = timing_start();
	if (!p->unchanged)
		remember(p, w);
	p->outcomes = arena_array(&p->arena, struct outcome, p->plan.steps.n);
	if (p->unchanged)
		return;
	moves_write_down(p, w);
	connections_note(p, w);
}

void pass_end(struct pass *p, struct world *w)
{
	if (p->unchanged)
		return;
	port_watch_expect(&w->ports, &p->plan.ports);
	moves_settle(p, w);
	timing_stop("apply", p->started);
	if (!w->memory.valid)
		written_keep(w, host_sets(p));
	connections_settle(p, w);
	unchanged_remember(w, p);
}

/* What closes a network stands in the host's namespace alone. Rules that stand are not touched. */
static bool closes(const struct step *step, bool rules)
{
	if (step->kind == STEP_PORTS)
		return step->sign != '-';
	return rules && !step->container &&
	       (step->kind == STEP_FIREWALL || step->kind == STEP_IPTABLES);
}

void pass_close(struct pass *p, struct world *w)
{
	const bool rules = pass_finds_no_rules(p);

	p->outcomes = arena_array(&p->arena, struct outcome, p->plan.steps.n);
	for (uint32_t i = 0; i < p->plan.steps.n; i++)
		if (closes(&p->plan.steps.items[i], rules))
			pass_take(p, w, i);
	port_watch_expect(&w->ports, &p->plan.ports);
	if (rules)
		connections_doubt(w);
}

void pass_apply(struct pass *p, struct world *w)
{
	pass_begin(p, w);
	for (uint32_t i = 0; i < p->plan.steps.n; i++)
		pass_take(p, w, i);
	pass_end(p, w);
}
