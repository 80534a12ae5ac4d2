/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies that change nothing, by all flows of the file. */
#include "core/reach/reach.h"

/* What a policy has in the compiled flows, or as a leaf of what all policies make together. */
enum deed { DEED_GRANT = 1 << 0, DEED_DOOR = 1 << 1, DEED_MASQUERADE = 1 << 2 };

/* What makes a policy of this kind be of use. A translation that takes no packet is of none. */
static const uint8_t uses[] = {
	[NAT_NO] = DEED_GRANT, [NAT_DNAT] = DEED_DOOR, [NAT_MASQUERADE] = DEED_MASQUERADE};

struct looker {
	struct idle_list *idle;
	struct arena *a, *scratch;
	const struct reach *reach;
	struct diagram within; /* flows that stay in one network: no policy decides them */
	/* by policy: sets of enum deed */
	uint8_t *has, *alive;
};

/* --- what every policy does --- */

static void find_deeds(struct looker *l)
{
	list_each (space, &l->reach->spaces) {
		list_each (grant, &space->flows->grants)
			l->has[grant->origin] |= DEED_GRANT;
		list_each (lift, &space->flows->lifts)
			l->has[lift->origin] |= DEED_GRANT;
		list_each (lift, &space->flows->to_host)
			l->has[lift->origin] |= DEED_GRANT;
		list_each (grant, &space->flows->from_host)
			l->has[grant->origin] |= DEED_GRANT;
		list_each (t, &space->flows->translations)
			l->has[t->origin] |= DEED_DOOR;
		list_each (t, &space->flows->own)
			l->has[t->origin] |= DEED_DOOR;
		list_each (m, &space->flows->masquerades)
			l->has[m->origin] |= DEED_MASQUERADE;
	}
}

static void note_leaves(struct looker *l, struct diagram d, enum deed deed)
{
	AUTO_RELEASE struct arena a = {0};
	uint32_t n = l->reach->config->policies.n;
	bool *seen;

	if (diagram_is_empty(d))
		return;
	seen = arena_array(&a, bool, REACH_POLICY + n);
	diagram_leaves(seen, l->reach->pool->diagrams, d);
	for (uint32_t i = 0; i < n; i++)
		if (seen[REACH_POLICY + i])
			l->alive[i] |= (uint8_t)deed;
}

static struct diagram find_within(const struct looker *l)
{
	uint32_t *leaves = arena_array(l->scratch, uint32_t, REACH_POLICY);

	leaves[REACH_WITHIN] = 1;
	return diagram_relabel(l->reach->pool->diagrams, l->reach->free, leaves);
}

static struct diagram without_within(const struct looker *l, struct diagram d)
{
	return diagram_combine(l->reach->pool->diagrams, d, l->within, DIAGRAM_MINUS);
}

static void find_alive(struct looker *l)
{
	note_leaves(l, without_within(l, l->reach->governed), DEED_GRANT);
	/* written before it has an effect, both */
	if (l->reach->config->watches)
		note_leaves(l, l->reach->governed, DEED_GRANT);
	if (l->reach->spaces.items[0].flows->audited.n)
		note_leaves(l, l->reach->spared, DEED_GRANT);
	list_each (space, &l->reach->spaces) {
		note_leaves(l, space->doors, DEED_DOOR);
		note_leaves(l, space->masquerades, DEED_MASQUERADE);
	}
}

/* --- who covers one --- */

struct cover {
	bool *by;   /* leaf: it has flows of the policy */
	bool taken; /* one of them translates to somewhere else */
};

/* Marks the leaves that the part has among all. */
static void add_cover(const struct looker *l, bool *leaves, struct diagram all, struct diagram part)
{
	struct diagram d = diagram_combine(l->reach->pool->diagrams, all, part, DIAGRAM_AND);

	if (!diagram_is_empty(d))
		diagram_leaves(leaves, l->reach->pool->diagrams, d);
}

static bool same_target(const struct translation *a, const struct translation *b)
{
	return ip_equal(a->to, b->to) && a->to_port == b->to_port &&
	       a->masquerade == b->masquerade && a->share.part == b->share.part &&
	       a->share.of == b->share.of && a->share.division == b->share.division;
}

static bool ports_meet(struct traffic a, struct traffic b)
{
	return a.low <= b.high && b.low <= a.high;
}

/* meets: set where the policy takes some of the same, and leads it elsewhere. */
static bool leads_there_by(const translation_list *list, uint32_t policy,
			   const struct translation *target, bool *meets)
{
	list_each (t, list) {
		if (t->origin != policy || !ports_meet(t->match, target->match))
			continue;
		if (same_target(t, target))
			return true;
		*meets = true;
	}
	return false;
}

/* Of what the policy takes, too, nothing is led to another target. */
static bool leads_there(const struct flows *flows, uint32_t policy,
			const struct translation *target)
{
	bool meets = false;

	return leads_there_by(&flows->translations, policy, target, &meets) ||
	       leads_there_by(&flows->own, policy, target, &meets) || !meets;
}

/* Each target of the one policy is one of the other, too. */
static bool same_targets(const struct flows *flows, uint32_t policy, uint32_t other)
{
	list_each (t, &flows->translations)
		if (t->origin == policy && !leads_there(flows, other, t))
			return false;
	list_each (t, &flows->own)
		if (t->origin == policy && !leads_there(flows, other, t))
			return false;
	return true;
}

static void cover_in(struct looker *l, struct cover *cover, const struct reach_space *space,
		     uint32_t policy)
{
	uint32_t n = l->reach->config->policies.n;
	struct reach_part part;
	bool *doors;

	reach_part(&part, l->reach, space, policy);
	if (uses[l->reach->config->policies.items[policy].nat] == DEED_GRANT)
		add_cover(l, cover->by, l->reach->governed, without_within(l, part.grants));
	add_cover(l, cover->by, space->masquerades, part.masquerades);
	if (diagram_is_empty(part.doors))
		return;
	doors = arena_array(l->scratch, bool, REACH_POLICY + n);
	add_cover(l, doors, space->doors, part.doors);
	for (uint32_t i = 0; i < n; i++)
		if (doors[REACH_POLICY + i]) {
			cover->by[REACH_POLICY + i] = true;
			cover->taken |= !same_targets(space->flows, policy, i);
		}
}

static bool is_one(const struct looker *l, struct diagram a, struct diagram b)
{
	struct diagram_pool *pool = l->reach->pool->diagrams;

	return diagram_equal(diagram_relabel(pool, a, NULL), diagram_relabel(pool, b, NULL));
}

static bool have_the_same(const struct looker *l, uint32_t policy, uint32_t other)
{
	list_each (space, &l->reach->spaces) {
		struct reach_part a, b;

		reach_part(&a, l->reach, space, policy);
		reach_part(&b, l->reach, space, other);
		if (!is_one(l, a.grants, b.grants) || !is_one(l, a.doors, b.doors) ||
		    !is_one(l, a.masquerades, b.masquerades))
			return false;
	}
	return true;
}

/*
 * Where a container of this name exists only on the engine, or may, the file does not say where the
 * translation lives.
 */
static bool is_elsewhere(const struct reach *reach, uint32_t policy)
{
	const struct policy *p = &reach->config->policies.items[policy];
	const struct peers *named =
		p->name ? reach->resolution->peers[ASK_CONTAINER][p->name] : NULL;

	return named && (!named->n || named->match == MATCH_PREFIX);
}

/* False: the policy is not idle after all. */
static bool describe(struct looker *l, struct idle *idle)
{
	uint32_t n = l->reach->config->policies.n;
	struct cover cover = {.by = arena_array(l->scratch, bool, REACH_POLICY + n)};

	list_each (space, &l->reach->spaces)
		cover_in(l, &cover, space, idle->policy);
	for (uint32_t i = 0; i < n; i++) {
		if (!cover.by[REACH_POLICY + i] || i == idle->policy)
			continue;
		if (is_elsewhere(l->reach, i))
			return false;
		if (idle->n_by < IDLE_BY)
			idle->by[idle->n_by] = i;
		idle->n_by++;
	}
	if (l->alive[idle->policy] && !cover.taken)
		return false;
	idle->kind = !idle->n_by   ? IDLE_NEVER
		     : cover.taken ? IDLE_TAKEN
		     : idle->n_by == 1 && have_the_same(l, idle->policy, idle->by[0])
			     ? IDLE_SAME
			     : IDLE_COVERED;
	return true;
}

/* Policies between neighbours have an effect once the network is strict; an audit prepares that. */
static bool is_for_strict(const struct looker *l, const struct resolved *r)
{
	const uint32_t network = r->source->network;

	return network != NONE && network == r->target->network &&
	       l->reach->config->networks.items[network].isolation == ISOLATION_AUDIT;
}

static bool may_be_idle(const struct looker *l, uint32_t i)
{
	const struct policy *p = &l->reach->config->policies.items[i];

	if (p->broken || l->alive[i] & uses[p->nat] || is_elsewhere(l->reach, i))
		return false;
	if (p->nat == NAT_NO && (p->from || p->to) && !l->has[i]) {
		const struct resolved r =
			resolved_policy(l->reach->resolution, l->reach->config, p);

		return !r.waiting && !is_for_strict(l, &r);
	}
	return l->has[i] & uses[p->nat];
}

void reach_idle(struct idle_list *idle, struct arena *a, const struct reach *reach)
{
	AUTO_RELEASE struct arena scratch = {0};
	uint32_t n = reach->config->policies.n, described = 0;
	struct looker l = {.idle = idle,
			   .a = a,
			   .scratch = &scratch,
			   .reach = reach,
			   .has = arena_array(&scratch, uint8_t, n),
			   .alive = arena_array(&scratch, uint8_t, n)};

	l.within = find_within(&l);
	find_deeds(&l);
	find_alive(&l);
	for (uint32_t i = 0; i < n; i++) {
		struct idle new = {.policy = i, .kind = IDLE_COVERED};

		if (!may_be_idle(&l, i))
			continue;
		if (described++ < IDLE_SHOWN ? !describe(&l, &new) : l.alive[i] != 0)
			continue;
		*list_add(a, &idle->list) = new;
		idle->found[i] = true;
	}
}
