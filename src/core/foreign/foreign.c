/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/foreign.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <string.h>

bool foreign_next_expr(struct attrs *rest, const char **name, struct attrs *data)
{
	struct attrs elem;
	uint16_t type;

	if (!attr_next(rest, &type, &elem))
		return false;
	*name = attr_text(attr_find(elem, NFTA_EXPR_NAME));
	*data = attr_find(elem, NFTA_EXPR_DATA);
	return true;
}

static void look_at_immediate(struct foreign_rule *r, struct attrs data)
{
	struct attrs verdict = attr_find(attr_find(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);

	if (!verdict.bytes)
		return;
	r->verdict = attr_be32(attr_find(verdict, NFTA_VERDICT_CODE));
	r->target = attr_text(attr_find(verdict, NFTA_VERDICT_CHAIN));
}

/* With its NUL from iptables, padded to the full length from nft. */
void foreign_take_name(char name[IFNAMSIZ], struct attrs value)
{
	memset(name, 0, IFNAMSIZ);
	if (value.bytes)
		memcpy(name, value.bytes, value.len < IFNAMSIZ ? value.len : IFNAMSIZ - 1);
}

static void look_at_cmp(struct foreign_rule *r, struct attrs data, uint32_t loaded)
{
	struct attrs value = attr_find(attr_find(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
	bool equal = attr_be32(attr_find(data, NFTA_CMP_OP)) == NFT_CMP_EQ;

	if (loaded == NFT_META_IIFNAME && equal)
		foreign_take_name(r->in, value);
	else if (loaded == NFT_META_IIFNAME)
		r->not_from = true;
	else if (loaded == NFT_META_OIFNAME && equal)
		foreign_take_name(r->out, value);
	if (value.len == sizeof(r->compared))
		memcpy(&r->compared, value.bytes, sizeof(r->compared));
}

/* True: a comment. iptables-nft-restore makes an xtables match of one; we write it as nft does. */
static bool look_at_match(struct foreign_rule *r, struct attrs data)
{
	struct attrs info = attr_find(data, NFTA_MATCH_INFO);

	if (strcmp(attr_text(attr_find(data, NFTA_MATCH_NAME)), "comment") != 0)
		return false;
	if (info.len > strlen(OUR_MARKER) && memchr(info.bytes, '\0', info.len) &&
	    !memcmp(info.bytes, OUR_MARKER, strlen(OUR_MARKER)))
		r->ours = (const char *)info.bytes;
	return true;
}

struct foreign_rule foreign_look_at(const struct rule *rule)
{
	struct foreign_rule r = {.verdict = NF_MAX_VERDICT + 1, .target = ""};
	struct attrs rest = {rule->exprs, rule->exprs_len}, data;
	uint32_t loaded = UINT32_MAX;
	const char *name;

	if (rule->comment && !strncmp(rule->comment, OUR_MARKER, strlen(OUR_MARKER)))
		r.ours = rule->comment;
	for (; foreign_next_expr(&rest, &name, &data); r.n_exprs++) {
		if (!strcmp(name, "meta")) {
			loaded = attr_be32(attr_find(data, NFTA_META_KEY));
			r.of_mark |= loaded == NFT_META_MARK;
		} else if (!strcmp(name, "cmp")) {
			look_at_cmp(&r, data, loaded);
			loaded = UINT32_MAX;
		} else if (!strcmp(name, "match")) {
			r.n_exprs -= look_at_match(&r, data);
		} else if (!strcmp(name, "immediate")) {
			look_at_immediate(&r, data);
		} else if (!strcmp(name, "counter")) {
			r.n_exprs--;
		}
	}
	return r;
}

bool foreign_is_bare(const struct rule *rule, uint32_t verdict)
{
	struct foreign_rule r = foreign_look_at(rule);

	return r.verdict == verdict && r.n_exprs == 1;
}
