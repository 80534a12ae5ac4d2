/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/firewall/handoff.h"

#include "core/nft/message.h"
#include "core/nft/nlattr.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <string.h>

/* --- nft --- */

/* Docker's chains that matter, and those that foreign rules before ours lead to. */
static bool read_filter_nft(struct ruleset *filter, struct arena *a, const struct ns *ns,
			    uint8_t family, struct error *err)
{
	static const char *const docker[] = {"FORWARD", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1",
					     "DOCKER"};
	name_list names = {0};
	bool more = true;

	for (size_t i = 0; i < COUNT_OF(docker); i++)
		*list_add(a, &names) = docker[i];
	while (more) {
		*list_add(a, &names) = NULL;
		if (!fw_nft_read_chains(filter, a, ns, nfproto(family), "filter", names.items, err))
			return false;
		names.n--;
		more = walls_lead_on(&names, a, filter);
	}
	return true;
}

static bool read_nft(struct filter_view *view, struct arena *a, const struct ns *ns, uint8_t family,
		     struct error *err)
{
	static const char *const raw_chains[] = {"PREROUTING", NULL};
	struct ruleset filter, raw;

	if (!read_filter_nft(&filter, a, ns, family, err) ||
	    !fw_nft_read_chains(&raw, a, ns, nfproto(family), "raw", raw_chains, err))
		return false;
	handoff_view_nft(view, a, family, &filter, &raw);
	return true;
}

bool handoff_read_bridges(struct bridges_view *view, struct arena *a, const struct ns *ns,
			  uint8_t family, uint32_t mark, struct error *err)
{
	struct ruleset table;

	if (!fw_nft_read_some(&table, a, ns, nfproto(family), "docker-bridges",
			      bridges_part_matters, err))
		return false;
	bridges_view(view, a, &table, mark);
	return true;
}

bool handoff_read_firewalld(struct firewalld *view, struct arena *a, const struct ns *ns,
			    struct error *err)
{
	struct ruleset table;

	if (!fw_nft_read_some(&table, a, ns, NFPROTO_INET, "firewalld", firewalld_chain_matters,
			      err))
		return false;
	firewalld_view(view, a, &table);
	return true;
}

static bool commit(struct nft_batch *batch, const struct ns *ns, struct error *err)
{
	uint32_t origin;
	bool ok = fw_nft_commit(ns, batch, &origin, err);

	buf_free(&batch->bytes);
	return ok;
}

static bool change_nft(const struct ns *ns, const struct handoff *handoff, bool put,
		       struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	const char *const chains[] = {handoff->chain, NULL};
	struct nft_batch batch;
	struct ruleset table;

	if (!fw_nft_read_chains(&table, &a, ns, nfproto(handoff->family), handoff->table, chains,
				err))
		return false;
	handoff_encode_nft(&batch, &a, &table, handoff, put);
	return commit(&batch, ns, err);
}

static bool set_policy_nft(const struct ns *ns, bool drop, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	struct chain forward = {
		.name = "FORWARD", .type = "filter", .hook = NF_INET_FORWARD, .drops = drop};
	struct nft_batch batch;

	nft_batch_begin(&batch, &a, 1);
	batch.family = NFPROTO_IPV4;
	batch.table = "filter";
	nft_add_chain(&batch, &a, &forward);
	nft_batch_end(&batch, &a);
	if (commit(&batch, ns, err))
		return true;
	if (drop || err->code != ENOENT)
		return false;
	*err = (struct error){0}; /* the chain is gone: nothing drops there any more */
	return true;
}

/* --- legacy --- */

static bool read_legacy(struct filter_view *view, struct arena *a, const struct ns *ns,
			uint8_t family, struct error *err)
{
	AUTO_BUF struct buf filter = {0}, raw = {0};
	bool has_filter, has_raw;

	*view = (struct filter_view){0};
	if (!iptables_save_legacy(&filter, &has_filter, ns, family, "filter", err) ||
	    !iptables_save_legacy(&raw, &has_raw, ns, family, "raw", err))
		return false;
	handoff_view_text(view, a, family, has_filter ? buf_text(&filter) : NULL,
			  has_raw ? buf_text(&raw) : NULL);
	return true;
}

static bool change_legacy(const struct ns *ns, const struct handoff *handoff, bool put,
			  struct error *err)
{
	AUTO_BUF struct buf save = {0}, input = {0};
	bool exists;

	if (!iptables_save_legacy(&save, &exists, ns, handoff->family, handoff->table, err))
		return false;
	handoff_encode_text(&input, buf_text(&save), handoff, put);
	return iptables_restore(ns, VARIANT_LEGACY, handoff->family, buf_text(&input), err);
}

static bool set_policy_legacy(const struct ns *ns, bool drop, struct error *err)
{
	AUTO_BUF struct buf input = {0};

	buf_printf(&input, "*filter\n:FORWARD %s [0:0]\nCOMMIT\n", drop ? "DROP" : "ACCEPT");
	return iptables_restore(ns, VARIANT_LEGACY, 4, buf_text(&input), err);
}

/* --- both variants --- */

bool handoff_read(struct filter_view *view, struct arena *a, const struct ns *ns,
		  enum variant variant, uint8_t family, struct error *err)
{
	return variant == VARIANT_NFT ? read_nft(view, a, ns, family, err)
				      : read_legacy(view, a, ns, family, err);
}

static bool change(const struct ns *ns, const struct handoff *handoff, bool put, struct error *err)
{
	bool ok = handoff->variant == VARIANT_NFT ? change_nft(ns, handoff, put, err)
						  : change_legacy(ns, handoff, put, err);

	return ok || error_wrap(err, "%s our rule in %s %s", put ? "put" : "remove", handoff->table,
				handoff->chain);
}

bool handoff_put(const struct ns *ns, const struct handoff *handoff, struct error *err)
{
	return change(ns, handoff, true, err);
}

bool handoff_remove(const struct ns *ns, const struct handoff *handoff, struct error *err)
{
	return change(ns, handoff, false, err);
}

bool handoff_set_forward_policy(const struct ns *ns, enum variant variant, bool drop,
				struct error *err)
{
	bool ok = variant == VARIANT_NFT ? set_policy_nft(ns, drop, err)
					 : set_policy_legacy(ns, drop, err);

	return ok || error_wrap(err, "set the policy of FORWARD");
}
