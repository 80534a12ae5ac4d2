/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/pool.h"

#include <string.h>

void reach_pool_init(struct reach_pool *pool, struct arena *a)
{
	*pool = (struct reach_pool){.a = a, .diagrams = diagram_pool_new(a)};
}

uint32_t reach_interface(const struct reach_pool *pool, const char *name)
{
	uint32_t at = hash_index_find(&pool->by_name, hash_text(name), i,
				      !strcmp(pool->interfaces.items[i].name, name));

	return at == NONE ? REACH_IN_OTHER : REACH_N_IN + at;
}

uint32_t reach_add_interface(struct reach_pool *pool, const char *name)
{
	uint32_t known = reach_interface(pool, name);

	if (known != REACH_IN_OTHER)
		return known;
	list_add(pool->a, &pool->interfaces)->name = name;
	hash_index_grow(&pool->by_name, pool->a, &pool->interfaces, i,
			hash_text(pool->interfaces.items[i].name));
	return REACH_N_IN + pool->interfaces.n - 1;
}

static uint64_t hash_of_target(const struct reach_target *t)
{
	return hash_word(hash_bytes(&t->to, sizeof(t->to)),
			 (uint64_t)t->rest << 32 | (uint32_t)t->to_port << 1 | t->masquerade);
}

uint32_t reach_target(struct reach_pool *pool, const struct translation *t, uint32_t rest)
{
	struct reach_target target = {t->to, t->to_port, t->masquerade, rest};
	uint32_t at =
		hash_index_find(&pool->by_target, hash_of_target(&target), i,
				ip_equal(pool->targets.items[i].to, target.to) &&
					pool->targets.items[i].to_port == target.to_port &&
					pool->targets.items[i].rest == target.rest &&
					pool->targets.items[i].masquerade == target.masquerade);

	if (at != NONE)
		return at;
	*list_add(pool->a, &pool->targets) = target;
	hash_index_grow(&pool->by_target, pool->a, &pool->targets, i,
			hash_of_target(&pool->targets.items[i]));
	return pool->targets.n - 1;
}
