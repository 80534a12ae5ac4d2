/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Creates again what was removed: a network that is re-created with all its containers (apply
 * --replace), and what an earlier pass removed and could not create again.
 */
#include "core/plan/impl.h"

#include <string.h>

/* --- addresses --- */

/*
 * Whether a container may keep its configured address in the re-created network. Of a family that
 * the network does not have the engine takes any and uses none.
 */
static bool may_have(const struct differ *d, const struct ipam *ipam, struct ip ip)
{
	const struct ipam *own = &ipam[ip_family(ip)];

	if (!own->subnet.ip.family)
		return ip.family;
	return ip.family && prefix_contains(own->subnet, ip) && !ip_equal(ip, own->gateway) &&
	       !config_reserved(own->subnet, ip) && config_address_of(d->config, ip) == NONE;
}

struct ip differ_keeps(const struct differ *d, const struct ipam *ipam, struct ip ip)
{
	return may_have(d, ipam, ip) ? ip : (struct ip){0};
}

/*
 * Connects a container as it was, except for addresses that are no longer free. ipam: the
 * network's; NULL: it is created as it was.
 */
static struct step *add_return(struct differ *d, const struct engine_container *c,
			       const char *network, const struct ipam *ipam, struct ip ip,
			       struct ip ip6)
{
	const struct ip had[N_FAMILIES] = {ip, ip6};
	struct ip keeps[N_FAMILIES] = {ip, ip6};
	const char *why = "it was there before";

	for (enum family f = 0; ipam && f < N_FAMILIES; f++) {
		keeps[f] = differ_keeps(d, ipam, had[f]);
		if (had[f].family && !keeps[f].family)
			why = arena_printf(d->a, "%s; %s is no longer free there", why,
					   ip_format(had[f]).s);
	}
	return differ_connect(d, c, network, keeps[FAMILY_4], keeps[FAMILY_6], why);
}

/* --- apply --replace --- */

static bool is_asked_for(const struct differ *d, const struct network *n)
{
	return d->plan->replace &&
	       (!strcmp(d->plan->replace, n->name) || !strcmp(d->plan->replace, n->key));
}

/* A container that was started with a network's id looks for its first network by that id. */
static const struct engine_container *started_by_id(const struct differ *d,
						    const struct engine_network *e)
{
	list_each (c, &d->seen->engine->containers) {
		const char *mode = c->network_mode ? c->network_mode : "";

		if (*mode && strcmp(mode, e->name) != 0 && !strncmp(mode, e->id, strlen(mode)) &&
		    engine_find_endpoint(c, e->name))
			return c;
	}
	return NULL;
}

static uint32_t count_of_name(const struct engine *engine, const char *name)
{
	uint32_t n = 0;

	list_each (e, &engine->networks)
		n += !strcmp(e->name, name);
	return n;
}

/* Why the network can't be re-created; NULL: it can. Findings give details. */
static const char *why_not(struct differ *d, const struct network *n,
			   const struct engine_network *e)
{
	const struct engine_container *c = started_by_id(d, e);

	if (strcmp(e->driver, "bridge") != 0 || strcmp(n->driver, "bridge") != 0)
		return arena_printf(
			d->a, "network \"%s\" has driver %s; harborwall makes bridge networks only",
			n->name, e->driver);
	if (count_of_name(d->seen->engine, n->name) > 1)
		return arena_printf(d->a, "there are several networks \"%s\"; remove one by its id",
				    n->name);
	if (c)
		return arena_printf(
			d->a,
			"container \"%s\" was started with the id of network \"%s\" and could not "
			"be connected to another one; start it with the name",
			c->name, n->name);
	if (network_why_not(d, n))
		return arena_printf(d->a, "network \"%s\": %s", n->name, network_why_not(d, n));
	if (subnet_is_taken(d, n, e))
		return arena_printf(d->a, "the new subnet of network \"%s\" is in use", n->name);
	return NULL;
}

bool replacement_is_due(struct differ *d, const struct network *n, const struct engine_network *e)
{
	if (!is_asked_for(d, n))
		return false;
	d->plan->replace_refused = why_not(d, n, e);
	return !d->plan->replace_refused;
}

/* Left over by an earlier call that did not finish. */
static bool was_begun(const struct differ *d, const char *name)
{
	list_each (was, &d->seen->kept_networks)
		if (!strcmp(was->name, name))
			return true;
	list_each (kept, &d->seen->kept)
		if (!strcmp(kept->network, name))
			return true;
	return false;
}

void replacement_is_needless(struct differ *d, const struct network *n,
			     const struct engine_network *e)
{
	if (!is_asked_for(d, n))
		return;
	d->plan->replace_refused = NULL;
	if (was_begun(d, n->name))
		return; /* this finishes it */
	d->plan->replace_refused =
		arena_printf(d->a,
			     e ? "network \"%s\" is as the file says; there is nothing to replace"
			       : "there is no network \"%s\" yet; apply creates it",
			     n->name);
}

/*
 * Each step depends on the one before: if one fails, the network stays and its containers come
 * back.
 */
uint32_t diff_replacement(struct differ *d, const struct network *n, const struct engine_network *e)
{
	uint32_t before = NONE;
	struct step *step;

	list_each (c, &d->seen->engine->containers) {
		const struct engine_endpoint *endpoint = engine_find_endpoint(c, e->name);
		bool left;

		if (!endpoint)
			continue;
		left = endpoint->managed && differ_attachment(d, c, e->name) == NONE;
		step = differ_disconnect(d, c, e->name,
					 left ? "left the file"
					      : arena_printf(d->a, "the network is re-created%s",
							     differ_losses(d, c, e->name)));
		step->comes_back = !left;
		step->depends_on = before;
		before = differ_step_index(d, step);
	}
	step = differ_remove(d, e, "it is re-created");
	step->depends_on = before;
	before = differ_step_index(d, step);
	step = differ_create(d, n);
	step->depends_on = before;
	step->replaces_id = e->id;
	d->replaced = e;
	return differ_step_index(d, step);
}

static bool is_dynamic(const struct engine_endpoint *e)
{
	return !e->configured.family && !e->configured6.family;
}

/* Containers with a fixed address first, so that no dynamic one takes their address. */
static void return_others(struct differ *d, const struct network *n, uint32_t created)
{
	for (int dynamic = 0; dynamic <= 1; dynamic++)
		list_each (c, &d->seen->engine->containers) {
			const struct engine_endpoint *endpoint = engine_find_endpoint(c, n->name);

			if (!endpoint || endpoint->managed ||
			    differ_attachment(d, c, n->name) != NONE ||
			    dynamic != is_dynamic(endpoint))
				continue;
			add_return(d, c, n->name, n->ipam, endpoint->configured,
				   endpoint->configured6)
				->depends_on = created;
		}
}

/* --- what earlier passes removed --- */

static const struct engine_container *container_of(const struct differ *d, const char *id)
{
	list_each (c, &d->seen->engine->containers)
		if (!strcmp(c->id, id))
			return c;
	return NULL;
}

/* The step that creates the network of this name, or NONE. */
static uint32_t creation_of(const struct differ *d, const char *name)
{
	list_each (step, &d->plan->steps)
		if (step->kind == STEP_CREATE_NETWORK && !strcmp(step->network, name))
			return differ_step_index(d, step);
	return NONE;
}

/* A network that left the file after we removed it was not ours to remove: create it again. */
void diff_kept_networks(struct differ *d)
{
	list_each (was, &d->seen->kept_networks) {
		struct step *step;

		if (engine_find_network(d->seen->engine, was->name) || differ_network(d, was->name))
			continue;
		step = differ_step(d, STEP_CREATE_NETWORK, '+', "network");
		step->network = was->name;
		step->text = arena_printf(d->a, "%s as it was", was->name);
		step->why = "it was removed to be re-created, and left the file";
	}
}

static void return_kept(struct differ *d, const struct kept_endpoint *kept)
{
	const struct engine_container *c = container_of(d, kept->container_id);
	const struct engine_network *e = engine_find_network(d->seen->engine, kept->network);
	const struct network *n = differ_network(d, kept->network);
	uint32_t created = creation_of(d, kept->network);
	uint32_t wanted = c ? differ_attachment(d, c, kept->network) : NONE;

	if (!c || engine_find_endpoint(c, kept->network) || (!e && !n && created == NONE) ||
	    (kept->managed && wanted == NONE)) {
		*list_add(d->a, &d->plan->obsolete) = kept;
		return;
	}
	if ((wanted != NONE && d->attachment_step[wanted] != NONE) || (!e && created == NONE))
		return; /* the file declares it; or its network has to come first */
	add_return(d, c, kept->network,
		   e   ? e->ipam
		   : n ? n->ipam
		       : NULL,
		   kept->ip, kept->ip6)
		->depends_on = created;
}

void diff_returns(struct differ *d)
{
	for (uint32_t i = 0; d->replaced && i < d->want->networks.n; i++)
		if (!strcmp(d->want->networks.items[i].name, d->replaced->name))
			return_others(d, &d->want->networks.items[i], d->network_step[i]);
	list_each (kept, &d->seen->kept)
		return_kept(d, kept);
}
