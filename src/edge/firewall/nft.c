/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and commits over the namespace's open socket. core/nft/nft.h decodes and encodes. */
#include "edge/firewall/nft.h"

#include "core/nft/nlattr.h"
#include "edge/netlink/netlink.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

enum { DUMP_TRIES = 20 };

struct reading {
	struct ruleset *have;
	struct arena *a, *loose; /* loose: temporary memory while reading */
	const struct ns *ns;
	const struct ruleset *written;	     /* sets whose elements are known already, or NULL */
	const char *const *names;	     /* chains whose rules are wanted, ends with NULL; or */
	bool (*is_wanted)(const char *name); /* a predicate on chains and sets */
	size_t bytes;			     /* of our table, so far */
};

static const char *table_of(const struct ruleset *have)
{
	return have->table ? have->table : TABLE_NAME;
}

/* A container's owner may have filled our table or other tables. */
static bool is_too_much(size_t *bytes, const struct ns *ns, const char *table,
			const struct nlmsghdr *message)
{
	/* the first attribute of every object is its table's name */
	if (!strcmp(attr_text(attr_find(nlmsg_attrs(message), NFTA_TABLE_NAME)), table))
		*bytes += message->nlmsg_len;
	return (ns->most_bytes && *bytes > ns->most_bytes) ||
	       (ns->until_ms && clock_ms() > ns->until_ms);
}

static bool refuse(struct error *err)
{
	error_set(err, -1, "there are too many rules in its namespace");
	err->code = E2BIG;
	return false;
}

static bool take(void *context, const struct nlmsghdr *message, struct error *err)
{
	struct reading *r = context;

	if (is_too_much(&r->bytes, r->ns, table_of(r->have), message))
		return refuse(err);
	return nft_decode_message(r->have, r->a, r->loose, message, err);
}

static uint32_t next_seq(void)
{
	static uint32_t seq;

	return ++seq;
}

/* Dumps all objects of a type in a table; with a name: of that chain or set. */
static bool ask(struct reading *r, uint8_t type, uint16_t table_type, uint16_t name_type,
		const char *name, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	uint32_t seq = next_seq();
	uint8_t family = r->have->family ? r->have->family : NFPROTO_INET;
	size_t message = nlmsg_begin(&b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
				     NLM_F_REQUEST | NLM_F_DUMP, seq, family, 0);

	nla_text(&b, table_type, table_of(r->have));
	if (name)
		nla_text(&b, name_type, name);
	nlmsg_end(&b, message);
	return netlink_dump(r->ns->nf_fd, b.data, b.len, seq, take, r, err);
}

static bool take_generation(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	*(uint32_t *)context = attr_be32(attr_find(nlmsg_attrs(message), NFTA_GEN_ID));
	return true;
}

bool fw_nft_generation(uint32_t *generation, const struct ns *ns, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	uint32_t seq = next_seq();
	size_t message = nlmsg_begin(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_REQUEST,
				     seq, NFPROTO_INET, 0);

	if (ns->nf_fd < 0) /* the kernel has no nfnetlink */
		return error_set(err, EPROTONOSUPPORT, "read the generation of nf_tables");
	nlmsg_end(&b, message);
	if (netlink_get(ns->nf_fd, b.data, b.len, seq, take_generation, generation, err))
		return true;
	return error_wrap(err, "read the generation of nf_tables");
}

/* We wrote it, so we know what is in it. */
static bool is_known(const struct reading *r, uint32_t i)
{
	return r->written && ruleset_find_set(r->written, r->have->sets.items[i].name);
}

static void take_known(const struct reading *r, struct set *set)
{
	uint32_t size = set->size;

	*set = set_copy(ruleset_find_set(r->written, set->name), r->a);
	set->size = size;
}

/* Selects one table out of many. have->exists: it is there. */
static bool read_table(struct reading *r, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	uint32_t seq = next_seq();
	uint8_t family = r->have->family ? r->have->family : NFPROTO_INET;
	size_t message = nlmsg_begin(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
				     NLM_F_REQUEST, seq, family, 0);

	nla_text(&b, NFTA_TABLE_NAME, table_of(r->have));
	nlmsg_end(&b, message);
	if (netlink_get(r->ns->nf_fd, b.data, b.len, seq, take, r, err))
		return true;
	if (err->code != ENOENT)
		return false;
	*err = (struct error){0};
	return true;
}

/*
 * Objects that are neither chains nor sets are never ours. The table counts its objects, so we
 * rarely have to list them.
 */
static bool read_others(struct reading *r, struct error *err)
{
	if (r->have->uses <= r->have->chains.n + r->have->sets.n)
		return true;
	return ask(r, NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, 0, NULL, err) &&
	       ask(r, NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE, 0, NULL, err);
}

static bool read_elements(struct reading *r, struct error *err)
{
	for (uint32_t i = 0; i < r->have->sets.n && !r->have->odd; i++)
		if (!is_known(r, i) &&
		    !ask(r, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET,
			 r->have->sets.items[i].name, err))
			return false;
	return true;
}

/* An odd table is re-created whatever else it contains, so stop here. */
static bool read_once(struct reading *r, struct error *err)
{
	if (!read_table(r, err))
		return false;
	if (!r->have->exists || r->have->odd)
		return true;
	if (!ask(r, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, 0, NULL, err) ||
	    !ask(r, NFT_MSG_GETSET, NFTA_SET_TABLE, 0, NULL, err) || !read_others(r, err))
		return false;
	if (r->have->odd)
		return true;
	if (!ask(r, NFT_MSG_GETRULE, NFTA_RULE_TABLE, 0, NULL, err) || !read_elements(r, err))
		return false;
	nft_decode_finish(r->have, r->a);
	for (uint32_t i = 0; i < r->have->sets.n; i++)
		if (is_known(r, i))
			take_known(r, &r->have->sets.items[i]);
	return true;
}

static bool ask_rules(struct reading *r, const char *chain, struct error *err)
{
	return ask(r, NFT_MSG_GETRULE, NFTA_RULE_TABLE, NFTA_RULE_CHAIN, chain, err);
}

static bool read_chains_once(struct reading *r, struct error *err)
{
	if (!read_table(r, err))
		return false;
	if (!r->have->exists)
		return true;
	if (!ask(r, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, 0, NULL, err))
		return false;
	for (const char *const *name = r->names; *name; name++)
		if (ruleset_find_chain(r->have, *name) && !ask_rules(r, *name, err))
			return false;
	return true;
}

static bool read_some_once(struct reading *r, struct error *err)
{
	if (!ask(r, NFT_MSG_GETTABLE, NFTA_TABLE_NAME, 0, NULL, err))
		return false;
	if (!r->have->exists)
		return true;
	if (!ask(r, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, 0, NULL, err) ||
	    !ask(r, NFT_MSG_GETSET, NFTA_SET_TABLE, 0, NULL, err))
		return false;
	for (uint32_t i = 0; i < r->have->chains.n; i++)
		if (r->is_wanted(r->have->chains.items[i].name) &&
		    !ask_rules(r, r->have->chains.items[i].name, err))
			return false;
	for (uint32_t i = 0; i < r->have->sets.n; i++)
		if (r->is_wanted(r->have->sets.items[i].name) &&
		    !ask(r, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET,
			 r->have->sets.items[i].name, err))
			return false;
	nft_decode_finish(r->have, r->a);
	return true;
}

static bool read_as_asked(struct reading *r, struct error *err)
{
	if (r->names)
		return read_chains_once(r, err);
	return r->is_wanted ? read_some_once(r, err) : read_once(r, err);
}

/* Several dumps are one consistent picture only if the generation stayed the same. */
static bool read_whole(struct reading *r, struct error *err)
{
	const struct ruleset asked = *r->have;

	for (int i = 0; i < DUMP_TRIES; i++) {
		uint32_t before = 0, after = 0;
		bool ok;

		*r->have = asked;
		r->bytes = 0;
		if (!fw_nft_generation(&before, r->ns, err))
			return false;
		*err = (struct error){0};
		ok = read_as_asked(r, err);
		if (!ok && err->code != EINTR && err->code != ENOENT && err->code != EBADMSG)
			return false;
		*err = (struct error){0};
		if (!fw_nft_generation(&after, r->ns, err))
			return false;
		if (ok && before == after)
			return true;
	}
	return error_set(err, EBUSY, "other programs keep changing the rules");
}

/* Abandon the socket: the kernel goes on dumping into it. */
static bool give_up(const struct ns *ns, struct error *err)
{
	struct error trouble = {0};

	if (err->code == E2BIG && !ns_renew(ns, &trouble))
		*err = trouble;
	return false;
}

bool fw_nft_read(struct ruleset *have, struct arena *a, const struct ns *ns,
		 const struct ruleset *written, struct error *err)
{
	AUTO_RELEASE struct arena loose = {0};
	struct reading r = {.have = have, .a = a, .loose = &loose, .ns = ns, .written = written};

	*have = (struct ruleset){0};
	if (read_whole(&r, err))
		return true;
	give_up(ns, err);
	if (err->code != E2BIG || r.bytes <= ns->most_bytes)
		return error_wrap(err, "read table inet " TABLE_NAME);
	*err = (struct error){0};
	*have = (struct ruleset){
		.exists = true,
		.odd = arena_printf(a, "it holds more than %zu kB", ns->most_bytes >> 10)};
	return true;
}

bool fw_nft_read_bridge(struct ruleset *have, struct arena *a, const struct ns *host,
			struct error *err)
{
	AUTO_RELEASE struct arena loose = {0};
	struct reading r = {.have = have, .a = a, .loose = &loose, .ns = host};

	*have = (struct ruleset){.family = NFPROTO_BRIDGE};
	return read_whole(&r, err) || error_wrap(err, "read table bridge " TABLE_NAME);
}

bool fw_nft_read_chains(struct ruleset *have, struct arena *a, const struct ns *ns, uint8_t family,
			const char *table, const char *const names[], struct error *err)
{
	AUTO_RELEASE struct arena loose = {0};
	struct reading r = {.have = have, .a = a, .loose = &loose, .ns = ns, .names = names};

	*have = (struct ruleset){.family = family, .table = table};
	if (read_whole(&r, err))
		return true;
	give_up(ns, err);
	return error_wrap(err, "read table %s", table);
}

bool fw_nft_read_some(struct ruleset *have, struct arena *a, const struct ns *ns, uint8_t family,
		      const char *table, bool (*is_wanted)(const char *name), struct error *err)
{
	AUTO_RELEASE struct arena loose = {0};
	struct reading r = {
		.have = have, .a = a, .loose = &loose, .ns = ns, .is_wanted = is_wanted};

	*have = (struct ruleset){.family = family, .table = table};
	if (read_whole(&r, err))
		return true;
	return error_wrap(err, "read table %s", table);
}

struct listing {
	listed_chains *chains;
	struct arena *a;
};

static bool take_listed(void *context, const struct nlmsghdr *message, struct error *err UNUSED)
{
	struct listing *l = context;

	walls_take_chain(l->chains, l->a, message);
	return true;
}

/* A list that was disturbed is read once more; the caller looks again once the tables are quiet. */
bool fw_nft_list_chains(listed_chains *chains, struct arena *a, const struct ns *ns,
			struct error *err)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		AUTO_BUF struct buf b = {0};
		uint32_t seq = next_seq();
		size_t message = nlmsg_begin(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN,
					     NLM_F_REQUEST | NLM_F_DUMP, seq, NFPROTO_UNSPEC, 0);
		struct listing listing = {chains, a};

		chains->n = 0;
		nlmsg_end(&b, message);
		if (netlink_dump(ns->nf_fd, b.data, b.len, seq, take_listed, &listing, err))
			return true;
		if (err->code != EINTR)
			break;
		*err = (struct error){0};
	}
	return error_wrap(err, "list the chains of nf_tables");
}

struct tallying {
	struct tally *tally;
	const struct ruleset *want;
	const struct ns *ns;
	size_t bytes;
};

static bool take_count(void *context, const struct nlmsghdr *message, struct error *err)
{
	struct tallying *t = context;

	if (is_too_much(&t->bytes, t->ns, TABLE_NAME, message))
		return refuse(err);
	tally_message(t->tally, t->want, message);
	return true;
}

/* Counters of one set if there is a name, otherwise of all rules. A missing set counted nothing. */
static bool tally_part(struct tallying *t, const char *set, struct error *err)
{
	AUTO_BUF struct buf b = {0};
	uint32_t seq = next_seq();
	int type = set ? NFT_MSG_GETSETELEM : NFT_MSG_GETRULE;
	size_t message = nlmsg_begin(&b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
				     NLM_F_REQUEST | NLM_F_DUMP, seq, NFPROTO_INET, 0);

	nla_text(&b, set ? NFTA_SET_ELEM_LIST_TABLE : NFTA_RULE_TABLE, TABLE_NAME);
	if (set)
		nla_text(&b, NFTA_SET_ELEM_LIST_SET, set);
	nlmsg_end(&b, message);
	if (netlink_dump(t->ns->nf_fd, b.data, b.len, seq, take_count, t, err))
		return true;
	give_up(t->ns, err);
	if (err->code != ENOENT)
		return error_wrap(err, "read the counters of table inet " TABLE_NAME);
	*err = (struct error){0};
	return true;
}

bool fw_nft_tally(struct tally *tally, const struct ns *ns, const struct ruleset *want,
		  struct error *err)
{
	struct tallying t = {.tally = tally, .want = want, .ns = ns};

	tally->chain = NULL;
	list_each (set, &want->sets)
		if (set->counts && !tally_part(&t, set->name, err))
			return false;
	return tally_part(&t, NULL, err);
}

static uint64_t transactions;

uint64_t fw_nft_transactions(void)
{
	return transactions;
}

static bool send_batch(const struct ns *ns, const struct nft_batch *batch, uint32_t *failed,
		       struct error *err)
{
	bool muted = ns_mute_events(ns, batch->bytes.len), ok;

	ok = netlink_talk(ns->nf_fd, batch->bytes.data, batch->bytes.len, batch->seq0,
			  batch->n_messages, failed, err);
	ns_unmute_events(ns, muted);
	return ok;
}

bool fw_nft_try(const struct ns *ns, const struct nft_batch *batch, struct error *err)
{
	struct nft_batch unfinished = *batch;

	unfinished.bytes.len -= NLMSG_SPACE(sizeof(struct nfgenmsg)); /* its end, which commits */
	unfinished.n_messages--;
	return send_batch(ns, &unfinished, NULL, err);
}

bool fw_nft_commit(const struct ns *ns, const struct nft_batch *batch, uint32_t *origin,
		   struct error *err)
{
	uint32_t failed = 0, message;

	*origin = NONE;
	if (nft_batch_is_empty(batch))
		return true;
	if (send_batch(ns, batch, &failed, err)) {
		transactions++;
		return true;
	}
	message = failed - batch->seq0;
	if (failed && message < batch->origins.n)
		*origin = batch->origins.items[message];
	if (err->code == EPERM)
		error_wrap(err, "it belongs to another program (nft list tables), or we lack "
				"CAP_NET_ADMIN");
	return error_wrap(err, "change table %s%s",
			  failed && batch->other && message >= batch->other ? "bridge " : "",
			  batch->table);
}
