/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/firewall/walls.h"

#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"

#include <linux/netfilter.h>
#include <string.h>

/* Reads the rules of a chain's table; *read is false if there are too many or the chain is gone. */
static bool read_table(struct ruleset *table, bool *read, struct arena *a, const struct ns *ns,
		       const listed_chains *chains, const struct listed_chain *c, struct error *err)
{
	name_list names = {0};

	*read = walls_table_is_small(chains, c);
	if (!*read)
		return true;
	list_each (other, chains)
		if (other->family == c->family && !strcmp(other->table, c->table))
			*list_add(a, &names) = other->name;
	*list_add(a, &names) = NULL;
	return fw_nft_read_chains(table, a, ns, c->family, c->table, names.items, err);
}

/* The filter table of a family where our verdict is handed over there. */
static bool is_known(const struct listed_chain *c, const bool known[N_FAMILIES])
{
	return !strcmp(c->table, "filter") && ((known[FAMILY_4] && c->family == NFPROTO_IPV4) ||
					       (known[FAMILY_6] && c->family == NFPROTO_IPV6));
}

bool walls_read(wall_list *walls, struct arena *a, const struct ns *ns,
		const bool known[N_FAMILIES], struct error *err)
{
	listed_chains chains = {0};

	if (!fw_nft_list_chains(&chains, a, ns, err))
		return false;
	list_each (c, &chains) {
		struct ruleset table = {0};
		bool read;

		if (walls->n == MAX_WALLS)
			break;
		if (!walls_pass(c) || is_known(c, known))
			continue;
		if (!read_table(&table, &read, a, ns, &chains, c, err))
			return false;
		*list_add(a, walls) = wall_of_chain(c, a, read ? &table : NULL);
	}
	return true;
}

bool walls_read_legacy(wall_list *walls, struct arena *a, const struct ns *ns, struct error *err)
{
	each_family (family) {
		AUTO_BUF struct buf filter = {0};
		bool exists;

		if (!iptables_save_legacy(&filter, &exists, ns, family, "filter", err))
			return false;
		if (exists)
			walls_of_save(walls, VARIANT_LEGACY, family, a, buf_text(&filter), "");
	}
	return true;
}
