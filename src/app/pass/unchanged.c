/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/unchanged.h"

#include "app/world/known.h"

#include "base/hash.h"
#include "core/state/facts.h"

#include <string.h>

static uint64_t host_digest(uint64_t hash, const struct observed *seen)
{
	const struct space *host = &seen->have.spaces.items[0];

	hash = hash_word(hash, host->forward6); /* that of IPv4 is one of the facts */
	list_each (h, &host->handoffs) {
		hash = hash_more(hash, h->chain, strlen(h->chain));
		hash = hash_word(hash, (uint64_t)h->family << 40 | (uint64_t)h->variant << 35 |
					       (uint64_t)h->bits << 3 | (uint64_t)h->behind << 2 |
					       (uint64_t)h->in_place << 1 | h->present);
	}
	list_each (ports, &seen->have.ports)
		hash = ports_digest(hash, ports);
	list_each (p, &seen->host_prefixes) {
		hash = hash_more(hash, &p->prefix, sizeof(p->prefix));
		hash = hash_more(hash, p->device, strlen(p->device));
		hash = hash_word(hash, p->dead != NULL);
	}
	return hash;
}

/* Nothing counts or reports changes of iptables-legacy: it is compared in every pass. */
static bool is_countable(const struct pass *p, const struct world *w)
{
	list_each (chain, &p->view.seen.have.spaces.items[0].chains)
		if (chain->variant == VARIANT_LEGACY)
			return false;
	return w->memory.valid && !w->look_for_leftovers && !w->adopt && !w->without_engine &&
	       !w->replace && !p->view.seen.kept.n && !p->view.seen.kept_networks.n &&
	       !p->view.seen.refusals.n;
}

uint64_t unchanged_stamp(const struct pass *p, const struct world *w)
{
	uint64_t hash;

	if (!is_countable(p, w))
		return 0;
	hash = hash_word(HASH_START, engine_digest(&p->view.engine));
	hash = hash_word(hash, w->memory.generation);
	hash = host_digest(hash_word(hash, facts_digest(&p->view.facts)), &p->view.seen);
	hash = hash_word(hash, handoff_hash_text(p->view.save));
	hash = hash_word(hash, handoff_hash_text(p->view.save_raw));
	hash = hash_word(hash, handoff_hash_text(p->view.save6));
	hash = hash_word(hash, handoff_hash_text(p->view.save6_raw));
	return hash ? hash : 1;
}

/* Every namespace is as the last pass read it, nothing is owed, and nothing must be asked again. */
static bool namespaces_are_unchanged(struct world *w)
{
	known_heard_changes(w);
	for (uint32_t i = 0; i < w->n_known; i++) {
		const struct known *k = w->known[i].known;

		if (!k->fingerprint || k->debt.owed ||
		    (k->open && (!k->memory.valid || !ns_is_alive(&k->ns))))
			return false;
	}
	return true;
}

/* Nobody reports interfaces in containers; few are named by policies. */
static bool interfaces_are_unchanged(const struct world *w)
{
	list_each (interface, &w->converged.interfaces)
		if (world_has_interface(w, interface) != interface->there)
			return false;
	return true;
}

/* The findings of the converged pass, and the hand-offs that it wanted. */
static void take_converged(struct pass *p, const struct converged *c)
{
	struct space *host = list_add(&p->arena, &p->want.spaces);

	findings_copy(&p->plan.findings, &p->arena, &c->findings);
	host->reachable = true;
	list_each (h, &c->handoffs)
		*list_add(&p->arena, &host->handoffs) = *h;
}

bool unchanged_take(struct pass *p, struct world *w)
{
	const struct converged *c = &w->converged;

	if (!p->stamp || p->stamp != c->stamp || p->file != c->file || w->debt.owed ||
	    !namespaces_are_unchanged(w) || !interfaces_are_unchanged(w))
		return false;
	take_converged(p, c);
	return true;
}

static bool could_be_read(const struct pass *p)
{
	list_each (space, &p->view.seen.have.spaces)
		if (!space->reachable)
			return false;
	return true;
}

void unchanged_remember(struct world *w, const struct pass *p)
{
	struct converged *c = &w->converged;

	arena_release(&c->arena);
	*c = (struct converged){0};
	if (!p->stamp || p->plan.steps.n || p->trouble.text[0] || !could_be_read(p) ||
	    p->view.facts.unlogged) /* somebody may install what the tools lack */
		return;
	c->stamp = p->stamp;
	c->file = p->file;
	findings_copy(&c->findings, &c->arena, &p->plan.findings);
	list_each (h, &p->want.spaces.items[0].handoffs)
		*list_add(&c->arena, &c->handoffs) = *h;
	list_each (i, &p->view.seen.interfaces)
		*list_add(&c->arena, &c->interfaces) = (struct named_interface){
			i->container ? arena_strdup(&c->arena, i->container) : NULL,
			arena_strdup(&c->arena, i->name), i->there};
}
