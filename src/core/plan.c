/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares what is wanted with what is there, one kind of object after the other. */
#include "core/plan.h"

#include "core/iptables.h"
#include "core/place.h"

#include <string.h>

struct differ {
	struct plan *plan;
	struct arena *a;
	const struct state *want;
	const struct observed *seen;
	const struct config *config;
	/* step that creates network i of want, NONE, or CONFLICT */
	uint32_t *network_step;
	/* step that connects attachment i, or NONE */
	uint32_t *attachment_step;
	bool *connects; /* attachment i is to be made */
};

#define CONFLICT (NONE - 1)

static struct step *add_step(struct differ *d, enum step_kind kind, char sign, const char *object)
{
	struct step *step = list_add(d->a, &d->plan->steps);

	step->kind = kind;
	step->sign = sign;
	step->object = object;
	step->why = "";
	step->space = step->have_space = step->depends_on = NONE;
	return step;
}

static uint32_t step_index(const struct differ *d, const struct step *step)
{
	return (uint32_t)(step - d->plan->steps.items);
}

static const char *path_of(struct differ *d, const char *kind, const char *key)
{
	return place_path(d->a, place_of(d->a, kind, key, NULL));
}

static const char *origin_path(struct differ *d, uint32_t origin)
{
	return origin == NONE ? "" : arena_printf(d->a, "policies[%u]", origin);
}

#define conflict(d, subject, ...)                                                                  \
	finding_add(&(d)->plan->findings, (d)->a, FINDING_CONFLICT, NONE, subject, __VA_ARGS__)
#define waiting(d, subject, ...)                                                                   \
	finding_add(&(d)->plan->findings, (d)->a, FINDING_WAITING, NONE, subject, __VA_ARGS__)
#define warning(d, subject, ...)                                                                   \
	finding_add(&(d)->plan->findings, (d)->a, FINDING_WARNING, NONE, subject, __VA_ARGS__)

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

static void diff_networks(struct differ *d)
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
		step = add_step(d, STEP_CREATE_NETWORK, '+', "network");
		step->create = n;
		step->network = n->name;
		step->text = arena_printf(d->a, "%s %s gateway %s", n->name,
					  prefix_format(n->subnet).s, ip_format(n->gateway).s);
		step->why = path_of(d, "networks", n->key);
		d->network_step[i] = step_index(d, step);
	}
}

/* --- connections --- */

static struct step *add_disconnect(struct differ *d, const struct engine_container *c,
				   const char *network, const char *why)
{
	struct step *step = add_step(d, STEP_DISCONNECT, '-', "connection");

	step->container = c->name;
	step->container_id = c->id;
	step->network = network;
	step->text = arena_printf(d->a, "%s from %s", c->name, network);
	step->why = why;
	return step;
}

/* A planned disconnection of this container, or NONE: its address is free by then. */
static uint32_t leaving_step(const struct differ *d, const struct engine_container *c,
			     const char *network)
{
	for (uint32_t i = 0; i < d->plan->steps.n; i++) {
		const struct step *step = &d->plan->steps.items[i];

		if (step->kind == STEP_DISCONNECT && !strcmp(step->container_id, c->id) &&
		    !strcmp(step->network, network))
			return i;
	}
	return NONE;
}

static void name_squatter(struct differ *d, const struct attachment *at, const char *path)
{
	list_each (c, &d->seen->engine->containers)
		list_each (endpoint, &c->endpoints)
			if (ip_equal(endpoint->ip, at->ip) && strcmp(c->name, at->container) != 0 &&
			    leaving_step(d, c, endpoint->network) == NONE)
				conflict(d, path,
					 "%s is in use by container \"%s\"; disconnect it "
					 "from network \"%s\"",
					 ip_format(at->ip).s, c->name, at->network);
}

static bool has_address(const struct engine_endpoint *endpoint, struct ip ip)
{
	return ip_equal(endpoint->configured.family ? endpoint->configured : endpoint->ip, ip);
}

static uint32_t network_index(const struct differ *d, const char *name)
{
	for (uint32_t i = 0; i < d->want->networks.n; i++)
		if (!strcmp(d->want->networks.items[i].name, name))
			return i;
	return NONE;
}

static bool can_connect(struct differ *d, const struct attachment *at, const char *path)
{
	const struct engine_container *c;

	if (!at->container_id) {
		waiting(d, path, "there is no container \"%s\" yet", at->container);
		return false;
	}
	c = engine_find_container(d->seen->engine, at->container);
	if (c->network_mode &&
	    (!strcmp(c->network_mode, "host") || !strncmp(c->network_mode, "container:", 10))) {
		conflict(
			d, path,
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
	const struct engine_endpoint *endpoint;
	const struct engine_container *c;

	if (!d->connects[i])
		return;
	c = engine_find_container(d->seen->engine, at->container);
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
	const char *path = path_of(d, "ips", d->config->addresses.items[at->address].key);
	uint32_t network = network_index(d, at->network);
	const struct engine_endpoint *endpoint;

	if (network == NONE || d->network_step[network] == CONFLICT || !can_connect(d, at, path))
		return false;
	endpoint = engine_find_endpoint(engine_find_container(d->seen->engine, at->container),
					at->network);
	return !endpoint || !has_address(endpoint, at->ip);
}

static void diff_attachment(struct differ *d, uint32_t i)
{
	const struct attachment *at = &d->want->attachments.items[i];
	const char *path = path_of(d, "ips", d->config->addresses.items[at->address].key);
	const struct engine_container *c;
	uint32_t leaves;
	struct step *step;

	if (!d->connects[i])
		return;
	c = engine_find_container(d->seen->engine, at->container);
	name_squatter(d, at, path);
	leaves = leaving_step(d, c, at->network);
	leaves = leaves == NONE ? leaving_step(d, c, "none") : leaves;
	step = add_step(d, STEP_CONNECT, '+', "connection");
	step->container = c->name;
	step->container_id = c->id;
	step->network = at->network;
	step->ip = at->ip;
	step->text =
		arena_printf(d->a, "%s to %s as %s", c->name, at->network, ip_format(at->ip).s);
	step->why = path;
	step->depends_on = leaves != NONE ? leaves : d->network_step[network_index(d, at->network)];
	d->attachment_step[i] = step_index(d, step);
}

static bool is_wanted_attachment(const struct differ *d, const struct engine_container *c,
				 const char *network)
{
	list_each (at, &d->want->attachments)
		if (!strcmp(at->container, c->name) && !strcmp(at->network, network))
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

static void diff_attachments(struct differ *d)
{
	uint32_t n = d->want->attachments.n;

	diff_left_attachments(d);
	for (uint32_t i = 0; i < n; i++)
		d->connects[i] = is_to_connect(d, i);
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

static void diff_left_networks(struct differ *d)
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
		step = add_step(d, STEP_REMOVE_NETWORK, '-', "network");
		step->network = e->name;
		step->network_id = e->id;
		step->text = arena_printf(d->a, "%s %s", e->name, prefix_format(e->subnet).s);
		step->why = "left the file";
	}
}

/* --- namespaces --- */

static uint32_t find_space(const struct state *have, const struct space *space)
{
	if (!space->container)
		return 0;
	for (uint32_t i = 1; i < have->spaces.n; i++)
		if (space->container_id && have->spaces.items[i].container_id &&
		    !strcmp(have->spaces.items[i].container_id, space->container_id))
			return i;
	return NONE;
}

static const char *space_name(const struct space *space)
{
	return space->container ? space->container : "host";
}

/* The step that connects this container, so that its routes wait for it. */
static uint32_t connecting_step(const struct differ *d, const struct space *space)
{
	for (uint32_t i = 0; i < d->want->attachments.n; i++)
		if (space->container && d->attachment_step[i] != NONE &&
		    !strcmp(d->want->attachments.items[i].container, space->container))
			return d->attachment_step[i];
	return NONE;
}

static struct step *space_step(struct differ *d, enum step_kind kind, char sign, const char *object,
			       uint32_t want, uint32_t have)
{
	struct step *step = add_step(d, kind, sign, object);
	const struct space *space =
		want != NONE ? &d->want->spaces.items[want] : &d->seen->have.spaces.items[have];

	step->space = want;
	step->have_space = have;
	step->container = space->container;
	step->container_id = space->container_id;
	return step;
}

static bool same_route(const struct route *a, const struct route *b)
{
	return prefix_compare(a->dst, b->dst) == 0 && ip_equal(a->via, b->via);
}

static const char *route_text(struct differ *d, const struct space *space,
			      const struct route *route)
{
	return arena_printf(d->a, "%s: %s via %s", space_name(space), prefix_format(route->dst).s,
			    ip_format(route->via).s);
}

static void diff_routes(struct differ *d, uint32_t want, uint32_t have, bool add)
{
	static const struct space nothing;
	const struct space *w = want == NONE ? &nothing : &d->want->spaces.items[want];
	const struct space *h = &d->seen->have.spaces.items[have];
	const struct space *from = add ? w : h, *other = add ? h : w;

	list_each (route, &from->routes) {
		bool found = false;
		struct step *step;

		list_each (o, &other->routes) {
			found |= same_route(route, o);
			/* replaced in place by the wanted one */
			found |= !add && prefix_compare(route->dst, o->dst) == 0;
		}
		if (found)
			continue;
		step = space_step(d, add ? STEP_ADD_ROUTE : STEP_REMOVE_ROUTE, add ? '+' : '-',
				  "route", want, have);
		step->route = *route;
		step->text = route_text(d, h, route);
		step->why = add ? origin_path(d, route->origin) : "no policy needs it";
		step->depends_on = add ? connecting_step(d, w) : NONE;
	}
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
		step->handoff.variant = d->seen->facts->variant;
		step->text = "host: FORWARD policy DROP";
		step->why = "forwarding was off; Docker itself would have closed it";
	}
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

static void diff_firewall(struct differ *d, uint32_t want, uint32_t have)
{
	static const struct ruleset nothing;
	const struct ruleset *w = want == NONE ? &nothing : &d->want->spaces.items[want].ruleset;
	const struct space *h = &d->seen->have.spaces.items[have];
	struct nft_batch batch = {0};
	nft_changes changes = {0};
	struct step *step;

	nft_batch_begin(&batch, d->a, 1);
	nft_diff(&batch, &changes, d->a, w, &h->ruleset);
	nft_batch_end(&batch, d->a);
	if (nft_batch_is_empty(&batch)) {
		buf_free(&batch.bytes);
		return;
	}
	step = space_step(d, STEP_FIREWALL,
			  !h->ruleset.exists ? '+'
			  : !w->exists	     ? '-'
					     : '~',
			  "firewall", want, have);
	step->batch = batch;
	step->changes = changes;
	step->text = arena_printf(d->a, "%s: table inet harborwall (%u change%s)", space_name(h),
				  nft_changes_count(&changes),
				  nft_changes_count(&changes) == 1 ? "" : "s");
	step->why = want == NONE || !w->exists ? "no policy needs it" : origins_of(d, w);
}

static const char *chains_text(struct differ *d, const struct space *space, enum variant variant,
			       const struct ipt_changes *changes)
{
	const char *text = "", *comma = "";
	const struct {
		uint32_t n;
		const char *done;
	} parts[] = {{changes->added, "added"},
		     {changes->rewritten, "rewritten"},
		     {changes->removed, "removed"}};

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (parts[i].n) {
			text = arena_printf(d->a, "%s%s%u %s", text, comma, parts[i].n,
					    parts[i].done);
			comma = ", ";
		}
	return arena_printf(d->a, "%s: iptables-%s chains " IPT_PREFIX "* (%s)", space_name(space),
			    variant_names[variant], text);
}

/* The first policy behind them, and whether there are more. */
static const char *origins_of_chains(struct differ *d, const ipt_chains *chains)
{
	uint32_t first = NONE;
	bool more = false;

	list_each (chain, chains)
		list_each (rule, &chain->rules) {
			more |= first != NONE && rule->origin != NONE && rule->origin != first;
			first = first == NONE ? rule->origin : first;
		}
	return first == NONE ? ""
	       : more	     ? arena_printf(d->a, "policies[%u] and others", first)
			     : origin_path(d, first);
}

/* Chains of a variant: what is wanted there, or (remove) what is left where nothing is. */
static void diff_chains(struct differ *d, uint32_t want, uint32_t have, bool remove)
{
	static const ipt_chains nothing;
	const ipt_chains *w = want == NONE ? &nothing : &d->want->spaces.items[want].chains;
	const struct space *h = &d->seen->have.spaces.items[have];

	for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++) {
		AUTO_BUF struct buf text = {0};
		struct ipt_changes changes = {0};
		struct step *step;

		if (remove == (w->n && w->items[0].variant == v))
			continue;
		ipt_diff(&text, &changes, v, w, &h->chains);
		if (!text.len)
			continue;
		step = space_step(d, remove ? STEP_REMOVE_IPTABLES : STEP_IPTABLES,
				  remove	? '-'
				  : h->chains.n ? '~'
						: '+',
				  "firewall", want, have);
		step->variant = v;
		step->restore = arena_strdup(d->a, buf_text(&text));
		step->text = chains_text(d, h, v, &changes);
		step->why = remove ? "not in use any more" : origins_of_chains(d, w);
	}
}

static const struct handoff *find_handoff(const struct space *space, const struct handoff *handoff)
{
	list_each (h, &space->handoffs)
		if (h->variant == handoff->variant && !strcmp(h->table, handoff->table) &&
		    !strcmp(h->chain, handoff->chain))
			return h;
	return NULL;
}

static const char *handoff_text(struct differ *d, const struct handoff *h)
{
	return arena_printf(d->a, "host: %s %s: mark %#x accept", h->table, h->chain, h->bits);
}

static void diff_handoffs(struct differ *d, bool add)
{
	const struct space *w = &d->want->spaces.items[0], *h = &d->seen->have.spaces.items[0];
	const struct space *from = add ? w : h, *other = add ? h : w;

	list_each (handoff, &from->handoffs) {
		const struct handoff *o = find_handoff(other, handoff);
		struct step *step;

		if (o && (!add || (o->on_top && o->bits == handoff->bits)))
			continue;
		step = space_step(d, add ? STEP_ADD_HANDOFF : STEP_REMOVE_HANDOFF,
				  !add ? '-'
				  : o  ? '~'
				       : '+',
				  "hand-off", 0, 0);
		step->handoff = *handoff;
		step->text = handoff_text(d, handoff);
		step->why =
			add ? o ? "not on top any more" : "the verdict reaches Docker's filter here"
			    : "no policy needs it";
	}
}

static void say_leftover(struct differ *d, const struct space *space, const struct leftover *l)
{
	finding_add(&d->plan->findings, d->a, FINDING_WARNING, l->origin, space_name(space),
		    "a rule without our mark says what policies[%u] says and would outlive it: "
		    "iptables-%s -t %s %s; apply --adopt removes it",
		    l->origin, variant_names[l->variant], l->table, l->rule);
}

/* In one restore per variant; ours stand by then. */
static void adopt_leftovers(struct differ *d, uint32_t want, uint32_t have, enum variant variant)
{
	const struct space *h = &d->seen->have.spaces.items[have];
	AUTO_BUF struct buf text = {0};
	const char *table = "";
	uint32_t n = 0;
	struct step *step;

	list_each (l, &h->leftovers) {
		if (l->variant != variant)
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
	step->restore = arena_strdup(d->a, buf_text(&text));
	step->text = arena_printf(d->a, "%s: %u rule%s of iptables-%s without our mark",
				  space_name(h), n, n == 1 ? "" : "s", variant_names[variant]);
	step->why = "ours say the same";
}

static void diff_leftovers(struct differ *d, uint32_t want, uint32_t have)
{
	const struct space *h = &d->seen->have.spaces.items[have];

	for (enum variant v = VARIANT_NFT; d->plan->adopt && v <= VARIANT_LEGACY; v++)
		adopt_leftovers(d, want, have, v);
	if (!d->plan->adopt)
		list_each (l, &h->leftovers)
			say_leftover(d, h, l);
}

static void diff_spaces(struct differ *d)
{
	const struct state *have = &d->seen->have;

	for (uint32_t i = 0; i < d->want->spaces.n; i++) {
		const struct space *w = &d->want->spaces.items[i];
		uint32_t h = find_space(have, w);

		if (h == NONE)
			continue; /* not running: compile said that it waits */
		if (!have->spaces.items[h].reachable) {
			if (have->spaces.items[h].obstacle)
				conflict(d, w->container, "%s", have->spaces.items[h].obstacle);
			continue;
		}
		diff_forwarding(d, i, h);
		diff_routes(d, i, h, true);
		diff_chains(d, i, h, false);
		diff_firewall(d, i, h);
		diff_routes(d, i, h, false);
		if (h)
			diff_chains(d, i, h, true);
	}
	diff_handoffs(d, true);
	diff_handoffs(d, false);
	diff_chains(d, 0, 0, true);
	for (uint32_t i = 0; i < d->want->spaces.n; i++) {
		uint32_t h = find_space(have, &d->want->spaces.items[i]);

		if (h != NONE && have->spaces.items[h].reachable)
			diff_leftovers(d, i, h);
	}
}

/* Containers that no policy names any more. */
static void diff_left_spaces(struct differ *d)
{
	for (uint32_t h = 1; h < d->seen->have.spaces.n; h++) {
		const struct space *space = &d->seen->have.spaces.items[h];
		bool wanted = false;

		list_each (w, &d->want->spaces)
			wanted |= w->container_id && space->container_id &&
				  !strcmp(w->container_id, space->container_id);
		if (wanted || !space->reachable)
			continue;
		diff_firewall(d, NONE, h);
		diff_chains(d, NONE, h, true);
		diff_routes(d, NONE, h, false);
	}
}

void plan_free(struct plan *plan)
{
	list_each (step, &plan->steps)
		buf_free(&step->batch.bytes);
	*plan = (struct plan){0};
}

void plan_diff(struct plan *plan, struct arena *a, const struct state *want,
	       const struct observed *observed, const struct config *config)
{
	struct differ d = {.plan = plan, .a = a, .want = want, .seen = observed, .config = config};

	d.network_step = arena_array(a, uint32_t, want->networks.n);
	d.attachment_step = arena_array(a, uint32_t, want->attachments.n);
	d.connects = arena_array(a, bool, want->attachments.n);
	memset(d.attachment_step, 0xff, want->attachments.n * sizeof(uint32_t));
	if (observed->engine->up) {
		diff_networks(&d);
		diff_attachments(&d);
	}
	diff_spaces(&d);
	diff_left_spaces(&d);
	if (observed->engine->up && !plan->keep_networks)
		diff_left_networks(&d);
}
