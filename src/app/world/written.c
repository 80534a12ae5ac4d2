/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/world/written.h"

#include "edge/firewall/nft.h"

static uint32_t generation_now(const struct world *w)
{
	struct error err = {0};
	uint32_t generation;

	return fw_nft_generation(&generation, &w->host, &err) ? generation : 0;
}

struct written_step written_before(const struct world *w)
{
	return (struct written_step){w->written.expected ? generation_now(w) : 0,
				     fw_nft_transactions()};
}

void written_after(struct world *w, const struct written_step *before)
{
	uint64_t ours = fw_nft_transactions() - before->transactions;

	if (!before->generation || before->generation != w->written.expected ||
	    generation_now(w) != (uint32_t)(before->generation + ours))
		w->written.expected = 0; /* somebody else has written, too */
	else
		w->written.expected += (uint32_t)ours;
}

void written_keep(struct world *w, const struct ruleset *sets)
{
	struct written *kept = &w->written;

	arena_release(&kept->arena);
	kept->sets = (struct ruleset){0};
	if (!sets || !sets->exists || !kept->expected)
		kept->expected = 0;
	else
		list_each (set, &sets->sets)
			*list_add(&kept->arena, &kept->sets.sets) = set_copy(set, &kept->arena);
	ruleset_index(&kept->sets, &kept->arena);
}

const struct ruleset *written_sets(const struct world *w, uint32_t generation)
{
	return w->written.expected && w->written.expected == generation ? &w->written.sets : NULL;
}

void written_skip(struct world *w, uint32_t generation)
{
	w->memory.generation += w->memory.generation == generation;
	w->written.expected += w->written.expected == generation;
}

void written_verify(struct world *w)
{
	if (!w->memory.believed)
		return;
	w->memory.valid = false;
	written_release(w);
}

void written_release(struct world *w)
{
	arena_release(&w->written.arena);
	w->written = (struct written){0};
}
