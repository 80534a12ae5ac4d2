/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/firewalld.h"

#include "core/foreign/foreign.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#define ZONES	   "filter_FORWARD_ZONES"
#define POLICIES   "filter_FORWARD_POLICIES_pre"
#define TARGETS	   "filter_FWD_"
#define PREROUTING "filter_PREROUTING"

/* An interface in a rule is `meta`, `cmp`; then the verdict. */
enum { EXPRS_OF_ANYBODY = 1, EXPRS_OF_ONE = 3 };

static bool ends(const char *text, const char *tail)
{
	size_t len = strlen(text), n = strlen(tail);

	return len >= n && !strcmp(text + len - n, tail);
}

bool firewalld_chain_matters(const char *chain)
{
	static const char *const parts[] = {"_pre", "_log", "_deny", "_allow", "_post"};

	if (!strcmp(chain, ZONES) || !strcmp(chain, POLICIES) || !strcmp(chain, PREROUTING))
		return true;
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (ends(chain, parts[i]))
			return false;
	return !strncmp(chain, TARGETS, strlen(TARGETS));
}

/* Whatever its rules do before, it ends with an accept. */
static bool accepts(const struct ruleset *table, const char *name)
{
	const struct chain *chain = ruleset_find_chain(table, name);

	return chain && chain->rules.n &&
	       foreign_is_bare(&chain->rules.items[chain->rules.n - 1], NF_ACCEPT);
}

/* Reads which interfaces a chain's accepting rules name, as incoming or outgoing. */
static void view_chain(struct firewalld *view, struct arena *a, const struct ruleset *table,
		       const char *name, bool out)
{
	const struct chain *chain = ruleset_find_chain(table, name);
	interfaces *some = out ? &view->lets_in : &view->lets_out;
	bool *all = out ? &view->lets_all_in : &view->lets_all_out;

	if (!chain)
		return;
	list_each (rule, &chain->rules) {
		struct foreign_rule r = foreign_look_at(rule);

		if (!accepts(table, r.target))
			continue;
		if (r.n_exprs == EXPRS_OF_ANYBODY)
			*all = true;
		else if (r.n_exprs == EXPRS_OF_ONE && (out ? r.out[0] : r.in[0]))
			*list_add(a, some) = arena_strdup(a, out ? r.out : r.in);
		else
			view->refuses = false; /* by source, by a set: not for us to judge */
	}
	interfaces_sort(some);
}

/* fib saddr . iif oif missing drop; without the interface it would be loose. */
static bool filters_sources(const struct rule *rule)
{
	struct attrs rest = {rule->exprs, rule->exprs_len}, data;
	const uint32_t wanted = NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF;
	bool strict = false;
	const char *name;

	while (foreign_next_expr(&rest, &name, &data))
		strict |= !strcmp(name, "fib") &&
			  (attr_be32(attr_find(data, NFTA_FIB_FLAGS)) & wanted) == wanted;
	return strict && foreign_look_at(rule).verdict == NF_DROP;
}

void firewalld_view(struct firewalld *view, struct arena *a, const struct ruleset *table)
{
	const struct chain *pre;

	*view = (struct firewalld){.stands = table->exists};
	view->refuses = ruleset_find_chain(table, ZONES) != NULL;
	view_chain(view, a, table, ZONES, false);
	view_chain(view, a, table, POLICIES, true);
	pre = ruleset_find_chain(table, PREROUTING);
	if (pre)
		list_each (rule, &pre->rules)
			view->filters_sources6 |= filters_sources(rule);
}

bool firewalld_forwards(const struct firewalld *view, const char *in, const char *out)
{
	if (!view->refuses || view->lets_all_in || (out && interfaces_have(&view->lets_in, out)))
		return true;
	if (in && interfaces_have(&view->lets_out, in))
		return true;
	return view->lets_all_out;
}
