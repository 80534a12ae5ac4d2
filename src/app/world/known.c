/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/world/known.h"

#include "app/console/timings.h"
#include "base/hash.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static void known_free(struct known *k)
{
	if (k->open)
		ns_close(&k->ns);
	arena_release(&k->arena);
	arena_release(&k->memory.arena);
	arena_release(&k->debt.arena);
	free(k);
}

/* Hash of what the engine's list shows of a container. */
static uint64_t fingerprint(const struct engine_container *c)
{
	uint64_t hash = hash_word(HASH_START, c->running);

	list_each (e, &c->endpoints) {
		hash = hash_more(hash, e->network, strlen(e->network));
		if (e->network_id)
			hash = hash_more(hash, e->network_id, strlen(e->network_id));
		hash = hash_more(hash, e->ip.bytes, sizeof(e->ip.bytes));
		hash = hash_more(hash, e->configured.bytes, sizeof(e->configured.bytes));
		hash = hash_more(hash, e->ip6.bytes, sizeof(e->ip6.bytes));
		hash = hash_more(hash, e->configured6.bytes, sizeof(e->configured6.bytes));
	}
	return hash;
}

/* The first eight bytes as a number that sorts like them. */
static uint64_t beginning_of(const char *id)
{
	uint64_t word = 0;

	memcpy(&word, id, strnlen(id, sizeof(word)));
	return be64toh(word);
}

static uint32_t known_position(const struct world *w, const char *id)
{
	uint64_t beginning = beginning_of(id);

	return first_not_before(w->n_known, i,
				w->known[i].beginning < beginning ||
					(w->known[i].beginning == beginning &&
					 strcmp(w->known[i].known->id, id) < 0));
}

struct known *known_find(const struct world *w, const char *id)
{
	uint32_t at = known_position(w, id);

	return at < w->n_known && !strcmp(w->known[at].known->id, id) ? w->known[at].known : NULL;
}

static struct known *known_add(struct world *w, const char *id)
{
	uint32_t at = known_position(w, id);
	struct known *k = xmalloc(sizeof(*k));

	*k = (struct known){.ns = NS_INIT};
	strncpy(k->id, id, sizeof(k->id) - 1);
	if (w->n_known == w->cap_known) {
		w->cap_known = w->cap_known ? 2 * w->cap_known : 64;
		w->known = xrealloc(w->known, w->cap_known * sizeof(*w->known));
	}
	memmove(w->known + at + 1, w->known + at, (w->n_known - at) * sizeof(*w->known));
	w->known[at] = (struct known_entry){beginning_of(k->id), k};
	w->n_known++;
	return k;
}

static void known_forget(struct world *w, struct known *k)
{
	uint32_t at = known_position(w, k->id);

	memmove(w->known + at, w->known + at + 1, (--w->n_known - at) * sizeof(*w->known));
	known_free(k);
}

/* By id, because the name may have changed. An unchanged name is reused without a search. */
static const struct engine_container *find_again(struct known *k, const struct engine *engine)
{
	const char *name = k->container.name; /* NULL: the engine was lost before */
	const struct engine_container *c = name ? engine_find_container(engine, name) : NULL;

	if (c && !strcmp(c->id, k->id))
		return c;
	list_each (other, &engine->containers)
		if (!strcmp(other->id, k->id)) {
			k->container.name = arena_strdup(&k->arena, other->name);
			return other;
		}
	return NULL;
}

void known_forget_dead(struct world *w, const struct engine *engine)
{
	for (uint32_t i = w->n_known; i-- > 0;) {
		struct known *k = w->known[i].known;

		if (!find_again(k, engine) || (k->open && !ns_is_alive(&k->ns)))
			known_forget(w, k);
	}
}

struct known *known_recall(struct world *w, const struct engine_container *c)
{
	struct known *k = known_find(w, c->id);
	bool visited = k && k->visited;
	uint64_t now = fingerprint(c);

	if (k && k->fingerprint == now)
		return k;
	if (k)
		known_forget(w, k);
	k = known_add(w, c->id);
	k->visited = visited;
	k->fingerprint = now;
	return k;
}

bool known_inspect(struct world *w, struct known *k, const struct engine_container *c,
		   struct error *err)
{
	bool inspected;

	k->container.id = k->id;
	k->container.name = arena_strdup(&k->arena, c->name);
	inspected = docker_inspect(w->docker, &k->container, &k->arena, err);
	k->inspected = inspected;
	/* it started or stopped after the list was read: do not keep the answer */
	if (!inspected || c->running != (k->container.pid != 0))
		k->fingerprint = 0;
	if (!inspected && err->code == 404)
		known_forget(w, k);
	return inspected;
}

struct known *known_learn(struct world *w, const struct engine_container *c, struct error *err)
{
	struct known *k = known_recall(w, c);
	struct moment start;
	bool known;

	if (k->inspected)
		return k;
	start = timing_start();
	known = known_inspect(w, k, c, err);
	timing_part("engine", start);
	return known ? k : NULL;
}

bool known_has_news(struct known *k)
{
	bool heard = k->open && ns_heard_changes(&k->ns);

	k->memory.valid &= !heard;
	return heard;
}

bool known_heard_changes(struct world *w)
{
	bool heard = false;

	for (uint32_t i = 0; i < w->n_known; i++)
		heard |= known_has_news(w->known[i].known);
	return heard;
}

const struct ns *known_namespace(const struct world *w, const char *container)
{
	for (uint32_t i = 0; i < w->n_known; i++)
		if (w->known[i].known->open &&
		    !strcmp(w->known[i].known->container.name, container))
			return &w->known[i].known->ns;
	return NULL;
}

void known_forget_all(struct world *w)
{
	for (uint32_t i = 0; i < w->n_known; i++)
		known_free(w->known[i].known);
	free(w->known);
	w->known = NULL;
	w->n_known = w->cap_known = 0;
}
