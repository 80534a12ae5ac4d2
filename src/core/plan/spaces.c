/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares namespaces: forwarding, routes, rules, the hand-off. */
#include "core/iptables/iptables.h"
#include "core/plan/impl.h"
#include "core/strict/senders.h"

#include <linux/netfilter.h>
#include <string.h>

static const char *origin_path(struct differ *d, uint32_t origin)
{
	return origin == NONE ? "" : arena_printf(d->a, "policies[%u]", origin);
}

/* The actual namespace for a wanted one; NONE: it is not running. */
static uint32_t find_space(const struct differ *d, const struct space *space)
{
	const struct space *have;
	uint32_t i;

	if (!space->container)
		return 0;
	i = state_find_space(&d->seen->have, space->container);
	have = i == NONE ? NULL : &d->seen->have.spaces.items[i];
	return have && space->container_id && have->container_id &&
			       !strcmp(have->container_id, space->container_id)
		       ? i
		       : NONE;
}

static const char *space_name(const struct space *space)
{
	return space->container ? space->container : "host";
}

/* The step that connects this container; its routes depend on that. */
static uint32_t connecting_step(const struct differ *d, const struct space *space)
{
	const struct engine_container *c =
		space->container ? engine_find_container(d->seen->engine, space->container) : NULL;

	if (c)
		list_each (i, &differ_container(d, c)->attachments)
			if (d->attachment_step[*i] != NONE)
				return d->attachment_step[*i];
	return NONE;
}

static struct step *space_step(struct differ *d, enum step_kind kind, char sign, const char *object,
			       uint32_t want, uint32_t have)
{
	struct step *step = differ_step(d, kind, sign, object);
	const struct space *space =
		want != NONE ? &d->want->spaces.items[want] : &d->seen->have.spaces.items[have];

	step->space = want;
	step->have_space = have;
	step->container = space->container;
	step->container_id = space->container_id;
	return step;
}

static bool same_routes(const struct space *a, const struct space *b)
{
	if (a->routes.n != b->routes.n)
		return false;
	for (uint32_t i = 0; i < a->routes.n; i++)
		if (route_compare(&a->routes.items[i], &b->routes.items[i]) ||
		    !ip_equal(a->routes.items[i].via, b->routes.items[i].via))
			return false;
	return true;
}

/* The first in full, the others counted: there may be thousands. */
static const char *routes_text(struct differ *d, const struct space *space, const struct step *step)
{
	AUTO_BUF struct buf text = {0};

	buf_printf(&text, "%s: ", space_name(space));
	route_print(&text, step->routes.items[0]);
	if (step->routes.n > 1)
		buf_printf(&text, " and %u more", step->routes.n - 1);
	return arena_strdup(d->a, buf_text(&text));
}

static const char *why_routes(struct differ *d, const struct step *step)
{
	uint32_t first = step->routes.items[0]->origin;

	list_each (route, &step->routes)
		if ((*route)->origin != first)
			return arena_printf(d->a, "policies[%u] and others", first);
	return origin_path(d, first);
}

static void diff_routes(struct differ *d, uint32_t want, uint32_t have, bool add)
{
	static const struct space nothing;
	const struct space *w = want == NONE ? &nothing : &d->want->spaces.items[want];
	const struct space *h = &d->seen->have.spaces.items[have];
	const struct space *from = add ? w : h, *other = add ? h : w;
	struct step *step = NULL;

	if (same_routes(w, h))
		return;
	list_each (route, &from->routes) {
		/* one to the same destination is replaced by the wanted one */
		if (space_has_route(other, route, !add))
			continue;
		if (!step)
			step = space_step(d, add ? STEP_ADD_ROUTES : STEP_REMOVE_ROUTES,
					  add ? '+' : '-', "route", want, have);
		*list_add(d->a, &step->routes) = route;
	}
	if (!step)
		return;
	step->text = routes_text(d, h, step);
	step->why = add ? why_routes(d, step) : "no policy needs it";
	step->depends_on = add ? connecting_step(d, w) : NONE;
}

static void diff_forwarding(struct differ *d, uint32_t want, uint32_t have)
{
	const struct space *w = &d->want->spaces.items[want];
	const struct space *h = &d->seen->have.spaces.items[have];
	struct step *step;

	if (w->forward && !h->forward) {
		step = space_step(d, STEP_FORWARDING, '~', "forwarding", want, have);
		step->text = arena_printf(d->a, "%s: net.ipv4.ip_forward = 1", space_name(w));
	}
	if (w->forward_drop && !h->forward_drop) {
		step = space_step(d, STEP_FORWARD_POLICY, '~', "policy", want, have);
		step->variant = d->seen->facts->variant;
		step->text = "host: FORWARD policy DROP";
		step->why = "forwarding was off: Docker itself would have set DROP";
	}
}

/* The last step that writes rules of ours in this wanted namespace; NONE: they stand. */
static uint32_t rules_step(const struct differ *d, uint32_t want)
{
	for (uint32_t i = d->plan->steps.n; i-- > 0;) {
		const struct step *step = &d->plan->steps.items[i];

		if (step->space == want && step_is_rules(step))
			return i;
	}
	return NONE;
}

/* Behind the rules, and not without them: on engines that leave IPv6 open ours close it. */
static void diff_forwarding6(struct differ *d, uint32_t want, uint32_t have)
{
	const struct space *w = &d->want->spaces.items[want];
	uint32_t rules;
	struct step *step;

	if (!w->forward6 || d->seen->have.spaces.items[have].forward6)
		return;
	rules = rules_step(d, want);
	step = space_step(d, STEP_FORWARDING6, '~', "forwarding", want, have);
	step->text = arena_printf(d->a, "%s: net.ipv6.conf.all.forwarding = 1", space_name(w));
	step->depends_on = rules;
}

/* The policies that put rules into a namespace: the first, and how many more. */
static const char *origins_of(struct differ *d, const struct ruleset *rs)
{
	uint32_t first = NONE, n = 0, last = NONE;

	list_each (set, &rs->sets)
		for (uint32_t i = 0; i < set->n; i++)
			if (set->origins[i] != NONE && set->origins[i] != last) {
				last = set->origins[i];
				first = n++ ? first : last;
			}
	list_each (chain, &rs->chains)
		list_each (rule, &chain->rules)
			if (rule->origin != NONE && first == NONE) {
				first = rule->origin;
				n++;
			}
	if (first == NONE)
		return "";
	return n > 1 ? arena_printf(d->a, "policies[%u] and others", first) : origin_path(d, first);
}

/* Without an engine nobody knows who runs: who may send from where stays. */
static const struct ruleset *with_senders(const struct differ *d, const struct ruleset *want,
					  const struct ruleset *have)
{
	struct ruleset *kept;

	if (d->seen->engine->up || !want->exists)
		return want;
	kept = arena_new(d->a, struct ruleset);
	*kept = strict_keep_senders(d->a, want, have);
	return kept;
}

static char sign_of(const struct ruleset *want, const struct ruleset *have)
{
	return !have->exists ? '+' : !want->exists ? '-' : '~';
}

/* Both of the host's tables in one transaction: a strict network without one of them is open. */
static void diff_firewall(struct differ *d, uint32_t want, uint32_t have)
{
	static const struct ruleset nothing;
	const struct space *wanted = want == NONE ? NULL : &d->want->spaces.items[want];
	const struct space *h = &d->seen->have.spaces.items[have];
	const struct ruleset *w = wanted ? &wanted->ruleset : &nothing;
	const struct ruleset *bridge = wanted ? &wanted->bridge : &nothing;
	struct nft_batch batch = {0};
	nft_changes changes = {0}, inet;
	struct step *step;

	if (!have) {
		w = with_senders(d, w, &h->ruleset);
		bridge = with_senders(d, bridge, &h->bridge);
	}
	nft_batch_begin(&batch, d->a, 1);
	nft_diff(&batch, &changes, d->a, w, &h->ruleset);
	inet = changes;
	nft_batch_other_family(&batch, NFPROTO_BRIDGE);
	nft_diff(&batch, &changes, d->a, bridge, &h->bridge);
	nft_batch_end(&batch, d->a);
	if (nft_batch_is_empty(&batch)) {
		buf_free(&batch.bytes);
		return;
	}
	step = space_step(d, STEP_FIREWALL,
			  inet.n ? sign_of(w, &h->ruleset) : sign_of(bridge, &h->bridge),
			  "firewall", want, have);
	step->send = arena_new(d->a, struct transactions);
	step->send->batch = batch;
	nft_bridge_gap(&step->send->before, &step->send->behind, d->a, w, &h->ruleset, &inet);
	step->changes = changes;
	step->text = arena_printf(d->a, "%s: %s harborwall (%u change%s%s%s)", space_name(h),
				  inet.n == changes.n ? "table inet"
				  : inet.n	      ? "tables inet and bridge"
						      : "table bridge",
				  nft_changes_count(&changes),
				  nft_changes_count(&changes) == 1 ? "" : "s",
				  h->ruleset.odd ? "; " : "", h->ruleset.odd ? h->ruleset.odd : "");
	step->why = !wanted || !w->exists ? "no policy needs it" : origins_of(d, w);
	if (!inet.n)
		step->why = bridge->exists ? "networks with isolation strict or audit"
					   : "no network has isolation strict or audit";
}

static const char *chains_text(struct differ *d, const struct space *space, const char *tool,
			       const struct ipt_changes *changes)
{
	const char *text = "", *comma = "";
	const struct {
		uint32_t n;
		const char *done;
	} parts[] = {{changes->added, "added"},
		     {changes->rewritten, "rewritten"},
		     {changes->moved, "moved"},
		     {changes->removed, "removed"}};

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (parts[i].n) {
			text = arena_printf(d->a, "%s%s%u %s", text, comma, parts[i].n,
					    parts[i].done);
			comma = ", ";
		}
	return arena_printf(d->a, "%s: %s chains " IPT_PREFIX "* (%s)", space_name(space), tool,
			    text);
}

/* The first policy behind the rules, and whether there are more. */
static const char *origins_of_chains(struct differ *d, const ipt_chains *chains, uint8_t family)
{
	uint32_t first = NONE;
	bool more = false;

	list_each (chain, chains)
		for (const struct ipt_rule *rule = chain->rules.items;
		     chain->family == family && rule < chain->rules.items + chain->rules.n;
		     rule++) {
			more |= first != NONE && rule->origin != NONE && rule->origin != first;
			first = first == NONE ? rule->origin : first;
		}
	return first == NONE ? ""
	       : more	     ? arena_printf(d->a, "policies[%u] and others", first)
			     : origin_path(d, first);
}

/* Chains of a variant and family: the wanted ones, or (remove) those that are left over. */
static void diff_chains_of(struct differ *d, uint32_t want, uint32_t have, enum variant variant,
			   uint8_t family, bool remove)
{
	static const ipt_chains nothing;
	const ipt_chains *w = want == NONE ? &nothing : &d->want->spaces.items[want].chains;
	const struct space *h = &d->seen->have.spaces.items[have];
	AUTO_BUF struct buf text = {0};
	struct ipt_changes changes = {0};
	struct step *step;

	if (remove == ipt_has(w, variant, family))
		return;
	ipt_diff(&text, &changes, variant, family, w, &h->chains);
	if (!text.len)
		return;
	step = space_step(d, remove ? STEP_REMOVE_IPTABLES : STEP_IPTABLES,
			  remove				 ? '-'
			  : ipt_has(&h->chains, variant, family) ? '~'
								 : '+',
			  "firewall", want, have);
	step->variant = variant;
	step->family = family;
	step->moves = !changes.added && !changes.rewritten && !changes.removed;
	step->restore = arena_strdup(d->a, buf_text(&text));
	step->text = chains_text(d, h, variant_tool(variant, family), &changes);
	step->why = remove ? "no longer used" : origins_of_chains(d, w, family);
}

static void diff_chains(struct differ *d, uint32_t want, uint32_t have, bool remove)
{
	bool wanted = want != NONE && d->want->spaces.items[want].chains.n;

	if (!wanted && !d->seen->have.spaces.items[have].chains.n)
		return;
	for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++)
		each_family (family)
			diff_chains_of(d, want, have, v, family, remove);
}

static const struct handoff *find_handoff(const struct space *space, const struct handoff *handoff)
{
	list_each (h, &space->handoffs)
		if (h->variant == handoff->variant && h->family == handoff->family &&
		    !strcmp(h->table, handoff->table) && !strcmp(h->chain, handoff->chain) &&
		    h->behind == handoff->behind)
			return h;
	return NULL;
}

static const char *handoff_text(struct differ *d, const struct handoff *h)
{
	return arena_printf(d->a, "host: %s%s %s%s: mark %#x accept", h->family == 6 ? "ip6 " : "",
			    h->table, h->chain, h->behind ? " behind foreign rules" : "", h->bits);
}

static void diff_handoffs(struct differ *d, bool add)
{
	const struct space *w = &d->want->spaces.items[0], *h = &d->seen->have.spaces.items[0];
	const struct space *from = add ? w : h, *other = add ? h : w;

	list_each (handoff, &from->handoffs) {
		const struct handoff *o = find_handoff(other, handoff);
		struct step *step;

		if (o && (!add || (o->in_place && o->bits == handoff->bits)))
			continue;
		step = space_step(d, add ? STEP_ADD_HANDOFF : STEP_REMOVE_HANDOFF,
				  !add ? '-'
				  : o  ? '~'
				       : '+',
				  "hand-off", 0, 0);
		step->handoff = handoff;
		step->moves = o && o->bits == handoff->bits;
		step->text = handoff_text(d, handoff);
		step->why = !add	      ? "no policy needs it"
			    : !o	      ? "the verdict reaches Docker's filter here"
			    : handoff->behind ? "foreign rules follow it"
					      : "no longer on top";
	}
}

static void say_leftover(struct differ *d, const struct space *space, const struct leftover *l)
{
	finding_add(&d->plan->findings, d->a, FINDING_WARNING, l->origin, space_name(space),
		    "an unmanaged rule duplicates policies[%u] and would remain after you delete "
		    "it: %s -t %s %s; apply --adopt removes it",
		    l->origin, variant_tool(l->variant, l->family), l->table, l->rule);
}

/* One restore per variant and family, when our own rules are in place. */
static void adopt_leftovers(struct differ *d, uint32_t want, uint32_t have, enum variant variant,
			    uint8_t family)
{
	const struct space *h = &d->seen->have.spaces.items[have];
	AUTO_BUF struct buf text = {0};
	const char *table = "";
	uint32_t n = 0;
	struct step *step;

	list_each (l, &h->leftovers) {
		if (l->variant != variant || l->family != family)
			continue;
		if (strcmp(table, l->table) != 0)
			buf_printf(&text, "%s*%s\n", n ? "COMMIT\n" : "", l->table);
		table = l->table;
		buf_printf(&text, "-D%s\n", l->rule + 2);
		n++;
	}
	if (!n)
		return;
	buf_puts(&text, "COMMIT\n");
	step = space_step(d, STEP_ADOPT, '-', "leftover", want, have);
	step->variant = variant;
	step->family = family;
	step->restore = arena_strdup(d->a, buf_text(&text));
	step->text = arena_printf(d->a, "%s: %u unmanaged rule%s of %s", space_name(h), n,
				  n == 1 ? "" : "s", variant_tool(variant, family));
	step->why = "they duplicate ours";
}

static void diff_leftovers(struct differ *d, uint32_t want, uint32_t have)
{
	const struct space *h = &d->seen->have.spaces.items[have];

	if (h->not_searched)
		finding_add(&d->plan->findings, d->a, FINDING_WARNING, NONE, h->container,
			    "unmanaged rules could not be looked for: %s", h->not_searched);
	for (enum variant v = VARIANT_NFT; d->plan->adopt && v <= VARIANT_LEGACY; v++)
		each_family (family)
			adopt_leftovers(d, want, have, v, family);
	if (!d->plan->adopt)
		list_each (l, &h->leftovers)
			say_leftover(d, h, l);
}

/* Compares one wanted namespace; h: the actual one. */
static void diff_space(struct differ *d, uint32_t w, uint32_t h)
{
	diff_forwarding(d, w, h);
	diff_routes(d, w, h, true);
	diff_chains(d, w, h, false);
	diff_firewall(d, w, h);
	diff_forwarding6(d, w, h);
	diff_routes(d, w, h, false);
	if (h)
		diff_chains(d, w, h, true);
}

/* For each actual namespace the wanted one; NONE: no policy needs it any more. */
static uint32_t *wanted_of(struct differ *d)
{
	const struct state *have = &d->seen->have;
	uint32_t *wanted = arena_array(d->a, uint32_t, have->spaces.n);

	memset(wanted, 0xff, have->spaces.n * sizeof(*wanted));
	for (uint32_t i = 0; i < d->want->spaces.n; i++) {
		uint32_t h = find_space(d, &d->want->spaces.items[i]);

		if (h != NONE) /* otherwise compile has reported that it waits */
			wanted[h] = i;
	}
	return wanted;
}

/* Containers that no policy needs any more. */
static void diff_left_spaces(struct differ *d, const uint32_t *wanted)
{
	for (uint32_t h = 1; h < d->seen->have.spaces.n; h++) {
		if (wanted[h] != NONE || !d->seen->have.spaces.items[h].reachable)
			continue;
		diff_firewall(d, NONE, h);
		diff_chains(d, NONE, h, true);
		diff_routes(d, NONE, h, false);
	}
}

void diff_spaces(struct differ *d)
{
	const struct state *have = &d->seen->have;
	const uint32_t *wanted = wanted_of(d);

	for (uint32_t h = 0; h < have->spaces.n; h++) {
		const struct space *space = &have->spaces.items[h];

		if (wanted[h] == NONE)
			continue;
		if (space->reachable)
			diff_space(d, wanted[h], h);
		else if (space->obstacle)
			conflict(d, space->container, "%s", space->obstacle);
	}
	diff_handoffs(d, true);
	diff_handoffs(d, false);
	diff_chains(d, 0, 0, true);
	for (uint32_t h = 0; h < have->spaces.n; h++)
		if (wanted[h] != NONE && have->spaces.items[h].reachable)
			diff_leftovers(d, wanted[h], h);
	for (uint32_t h = 0; h < have->spaces.n; h++)
		if (wanted[h] != NONE && have->spaces.items[h].reachable)
			diff_walls(d, &d->want->spaces.items[wanted[h]], &have->spaces.items[h]);
	diff_left_spaces(d, wanted);
}
