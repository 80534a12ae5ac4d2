/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/foreign/bridges.h"

#include "core/foreign/foreign.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#define FORWARD	  "filter-FORWARD"
#define RAW	  "raw-PREROUTING"
#define IN_MAP	  "filter-forward-in-jumps"
#define OUT_MAP	  "filter-forward-out-jumps"
#define IN_CHAIN  "filter-forward-in__"
#define OUT_CHAIN "filter-forward-out__"

enum { IP4_DADDR = 16, IP6_DADDR = 24, LOOPBACK = 127 };

/* --- a rule --- */

/* Which value a register got last. */
enum loaded { OTHER, IN_NAME, OUT_NAME, MARK, DADDR };

/* Of a rule of Docker's: its verdict, and the conditions that we know. */
struct docker_rule {
	uint32_t verdict; /* NF_*, or NF_MAX_VERDICT + 1 */
	uint32_t n_conditions;
	const char *in_map, *out_map;		  /* iifname, oifname vmap @…; NULL: none */
	char not_in[IFNAMSIZ], not_out[IFNAMSIZ]; /* iifname != …, oifname != … */
	bool not_in_some;			  /* iifname != { … } */
	bool of_mark;
	uint32_t mark, mask;
	struct ip daddr; /* ip daddr …; family 0: none */
};

static uint32_t host_word(struct attrs value)
{
	uint32_t word = 0;

	if (value.len == sizeof(word))
		memcpy(&word, value.bytes, sizeof(word));
	return word;
}

static enum loaded look_at_meta(struct attrs data)
{
	switch (attr_be32(attr_find(data, NFTA_META_KEY))) {
	case NFT_META_IIFNAME:
		return IN_NAME;
	case NFT_META_OIFNAME:
		return OUT_NAME;
	case NFT_META_MARK:
		return MARK;
	default:
		return OTHER;
	}
}

static enum loaded look_at_payload(struct attrs data)
{
	bool network = attr_be32(attr_find(data, NFTA_PAYLOAD_BASE)) == NFT_PAYLOAD_NETWORK_HEADER;
	uint32_t len = attr_be32(attr_find(data, NFTA_PAYLOAD_LEN));
	uint32_t offset = attr_be32(attr_find(data, NFTA_PAYLOAD_OFFSET));
	bool whole = (len == 4 && offset == IP4_DADDR) || (len == 16 && offset == IP6_DADDR);

	return network && whole ? DADDR : OTHER;
}

static void look_at_cmp(struct docker_rule *r, struct attrs data, enum loaded loaded)
{
	struct attrs value = attr_find(attr_find(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
	bool equal = attr_be32(attr_find(data, NFTA_CMP_OP)) == NFT_CMP_EQ;

	r->n_conditions++;
	if (loaded == IN_NAME && !equal)
		foreign_take_name(r->not_in, value);
	else if (loaded == OUT_NAME && !equal)
		foreign_take_name(r->not_out, value);
	else if (loaded == DADDR && equal && (value.len == 4 || value.len == 16)) {
		r->daddr.family = value.len == 4 ? 4 : 6;
		memcpy(r->daddr.bytes, value.bytes, value.len);
	} else if (loaded == MARK && equal) {
		r->of_mark = true;
		r->mark = host_word(value);
	}
}

static void look_at_lookup(struct docker_rule *r, struct arena *a, struct attrs data,
			   enum loaded loaded)
{
	bool inverted = attr_be32(attr_find(data, NFTA_LOOKUP_FLAGS)) & NFT_LOOKUP_F_INV;
	const char *set = attr_text(attr_find(data, NFTA_LOOKUP_SET));

	if (attr_find(data, NFTA_LOOKUP_DREG).bytes) {
		if (loaded == IN_NAME)
			r->in_map = arena_strdup(a, set);
		if (loaded == OUT_NAME)
			r->out_map = arena_strdup(a, set);
		return;
	}
	r->n_conditions++;
	r->not_in_some |= loaded == IN_NAME && inverted;
}

static void look_at_verdict(struct docker_rule *r, struct attrs data)
{
	struct attrs verdict = attr_find(attr_find(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);

	if (verdict.bytes)
		r->verdict = attr_be32(attr_find(verdict, NFTA_VERDICT_CODE));
}

static struct docker_rule look_at(const struct rule *rule, struct arena *a)
{
	struct docker_rule r = {.verdict = NF_MAX_VERDICT + 1, .mask = UINT32_MAX};
	struct attrs rest = {rule->exprs, rule->exprs_len}, data;
	enum loaded loaded = OTHER;
	const char *name;

	while (foreign_next_expr(&rest, &name, &data)) {
		if (!strcmp(name, "meta"))
			loaded = look_at_meta(data);
		else if (!strcmp(name, "payload"))
			loaded = look_at_payload(data);
		else if (!strcmp(name, "bitwise") && loaded == MARK)
			r.mask = host_word(
				attr_find(attr_find(data, NFTA_BITWISE_MASK), NFTA_DATA_VALUE));
		else if (!strcmp(name, "cmp"))
			look_at_cmp(&r, data, loaded);
		else if (!strcmp(name, "lookup"))
			look_at_lookup(&r, a, data, loaded);
		else if (!strcmp(name, "immediate"))
			look_at_verdict(&r, data);
		else if (strcmp(name, "counter") != 0)
			loaded = OTHER;
	}
	return r;
}

/* It matches what has our bit, whatever others have set in bits that it does not ask. */
static bool accepts_mark(const struct docker_rule *r, uint32_t mark)
{
	return r->verdict == NF_ACCEPT && r->of_mark && r->mark == mark && r->mask & mark;
}

/* --- the table --- */

bool bridges_part_matters(const char *name)
{
	static const char *const whole[] = {FORWARD, RAW, IN_MAP, OUT_MAP};

	for (size_t i = 0; i < COUNT_OF(whole); i++)
		if (!strcmp(name, whole[i]))
			return true;
	return !strncmp(name, IN_CHAIN, strlen(IN_CHAIN)) ||
	       !strncmp(name, OUT_CHAIN, strlen(OUT_CHAIN));
}

static bool hooks(const struct chain *chain, uint32_t hook)
{
	return chain && chain->type && !strcmp(chain->type, "filter") && chain->hook == hook;
}

/* Up to a verdict that leaves nothing to the rules behind it. */
static void view_forward(struct bridges_view *view, struct arena *a, const struct ruleset *table)
{
	const struct chain *chain = ruleset_find_chain(table, FORWARD);

	if (!hooks(chain, NF_INET_FORWARD))
		return;
	list_each (rule, &chain->rules) {
		struct docker_rule r = look_at(rule, a);

		if (rule == chain->rules.items)
			view->written = table->handle << 32 | (uint32_t)rule->handle;
		if (!r.n_conditions && r.verdict <= NF_MAX_VERDICT)
			return;
		if (r.n_conditions)
			continue;
		view->in |= r.out_map && !strcmp(r.out_map, IN_MAP);
		view->out |= r.in_map && !strcmp(r.in_map, OUT_MAP);
	}
}

static bool is_loopback(struct ip ip)
{
	return ip.family == 4 ? ip.bytes[0] == LOOPBACK : !ip_half(&ip, 0) && ip_half(&ip, 1) == 1;
}

/* Ports that are published on a loopback address are dropped there, too: they say nothing here. */
static void view_raw(struct bridges_view *view, struct arena *a, const struct ruleset *table)
{
	const struct chain *chain = ruleset_find_chain(table, RAW);

	if (!hooks(chain, NF_INET_PRE_ROUTING))
		return;
	list_each (rule, &chain->rules) {
		struct docker_rule r = look_at(rule, a);

		view->drops_direct |= r.verdict == NF_DROP && r.daddr.family &&
				      !is_loopback(r.daddr) && (r.not_in_some || *r.not_in);
	}
}

static void view_in(struct bridge_rules *b, struct arena *a, const struct chain *chain,
		    uint32_t mark)
{
	list_each (rule, &chain->rules) {
		struct docker_rule r = look_at(rule, a);
		bool last = !r.n_conditions && r.verdict <= NF_MAX_VERDICT;

		b->drops |= last && r.verdict == NF_DROP;
		b->accepts |= last && r.verdict == NF_ACCEPT;
		if (last)
			return;
		b->takes_mark |= accepts_mark(&r, mark) && !b->drops_foreign;
		b->drops_foreign |=
			r.verdict == NF_DROP && r.n_conditions == 1 && !strcmp(r.not_in, b->bridge);
	}
}

static void view_out(struct bridge_rules *b, struct arena *a, const struct chain *chain)
{
	list_each (rule, &chain->rules) {
		struct docker_rule r = look_at(rule, a);

		if (!r.n_conditions && r.verdict <= NF_MAX_VERDICT && r.verdict != NF_DROP)
			return;
		b->drops_out |=
			r.verdict == NF_DROP &&
			(!r.n_conditions || (r.n_conditions == 1 && !strcmp(r.not_out, b->bridge)));
	}
}

/* The chain that the map's element for this bridge leads to; "": none. */
static const char *chain_of(const struct ruleset *table, const char *map, const char *bridge)
{
	const struct set *set = ruleset_find_set(table, map);
	const struct verdict *verdict = NULL;
	char key[IFNAMSIZ] = "";
	uint32_t at;
	uint64_t id;

	if (!set || !set->n || set->interval || !set_has_verdicts(set) ||
	    set_key_len(set) != sizeof(key))
		return "";
	strncpy(key, bridge, sizeof(key) - 1);
	at = first_not_before(set->n, i, memcmp(set_element(set, i), key, sizeof(key)) < 0);
	if (at < set->n && !memcmp(set_element(set, at), key, sizeof(key))) {
		memcpy(&id, set_element(set, at) + sizeof(key), sizeof(id));
		verdict = set_find_verdict(set, id);
	}
	return verdict ? verdict->chain : "";
}

static void view_bridge(struct bridge_rules *b, struct arena *a, const struct ruleset *table,
			uint32_t mark)
{
	const char *into = arena_printf(a, IN_CHAIN "%s", b->bridge);
	const char *out_of = arena_printf(a, OUT_CHAIN "%s", b->bridge);
	const struct chain *in = ruleset_find_chain(table, into);
	const struct chain *out = ruleset_find_chain(table, out_of);

	b->asked_in = in && !strcmp(chain_of(table, IN_MAP, b->bridge), into);
	b->asked_out = out && !strcmp(chain_of(table, OUT_MAP, b->bridge), out_of);
	if (in)
		view_in(b, a, in, mark);
	if (out)
		view_out(b, a, out);
}

static const char *bridge_of_chain(const char *chain)
{
	if (!strncmp(chain, IN_CHAIN, strlen(IN_CHAIN)))
		return chain + strlen(IN_CHAIN);
	if (!strncmp(chain, OUT_CHAIN, strlen(OUT_CHAIN)))
		return chain + strlen(OUT_CHAIN);
	return NULL;
}

void bridges_view(struct bridges_view *view, struct arena *a, const struct ruleset *table,
		  uint32_t mark)
{
	interfaces names = {0};

	*view = (struct bridges_view){.family = table->family == NFPROTO_IPV6 ? 6 : 4,
				      .exists = table->exists,
				      .dormant = table->flags & NFT_TABLE_F_DORMANT};
	if (!view->exists || view->dormant)
		return;
	view_forward(view, a, table);
	view_raw(view, a, table);
	list_each (chain, &table->chains)
		if (bridge_of_chain(chain->name))
			*list_add(a, &names) = bridge_of_chain(chain->name);
	interfaces_sort(&names);
	list_each (name, &names) {
		struct bridge_rules *b;

		if (name > names.items && !strcmp(name[-1], *name))
			continue; /* it has a chain for each direction */
		b = list_add(a, &view->bridges);
		b->bridge = *name;
		view_bridge(b, a, table, mark);
	}
}

const struct bridge_rules *bridges_find(const struct bridges_view *view, const char *bridge)
{
	uint32_t at = first_not_before(view->bridges.n, i,
				       strcmp(view->bridges.items[i].bridge, bridge) < 0);

	return at < view->bridges.n && !strcmp(view->bridges.items[at].bridge, bridge)
		       ? &view->bridges.items[at]
		       : NULL;
}

/* --- what is missing --- */

const char *bridges_table(const struct bridges_view *view)
{
	return view->family == 6 ? "table ip6 docker-bridges" : "table ip docker-bridges";
}

/* One direction of one bridge. */
static const char *lack(struct arena *a, const char *table, const char *chain, const char *map,
			bool forward, bool asked, bool drops, const char *bridge)
{
	if (!forward)
		return arena_printf(a, "chain " FORWARD " of %s lacks its rules", table);
	if (!asked)
		return arena_printf(a, "map %s of %s does not lead to chain %s%s", map, table,
				    chain, bridge);
	if (!drops)
		return arena_printf(a, "chain %s%s of %s lacks its drop", chain, bridge, table);
	return NULL;
}

const char *bridges_lack(const struct bridges_view *view, struct arena *a, const char *bridge,
			 bool internal)
{
	static const struct bridge_rules none;
	const struct bridge_rules *b = bridges_find(view, bridge);
	const char *missing, *table = bridges_table(view);

	if (!view->exists)
		return arena_printf(a, "%s is not there", table);
	if (view->dormant)
		return arena_printf(a, "%s is dormant", table);
	b = b ? b : &none;
	missing = lack(a, table, IN_CHAIN, IN_MAP, view->in, b->asked_in,
		       b->drops || b->drops_foreign, bridge);
	if (missing || !internal)
		return missing;
	return lack(a, table, OUT_CHAIN, OUT_MAP, view->out, b->asked_out, b->drops_out, bridge);
}

static const char *say_open(struct arena *a, const char *what, const char *name, const char *why)
{
	return arena_printf(a, "Docker does not close %s \"%s\": %s (flushed?); restart dockerd",
			    what, name, why);
}

static bool has_family(const struct engine_network *network, uint8_t family)
{
	return family == 6 ? network->ipv6 : network->subnet.ip.family == 4;
}

static const char *open_network(const struct bridges_view *view, struct arena *a,
				const struct engine *engine, const interfaces *devices)
{
	list_each (network, &engine->networks) {
		const char *missing;

		if (!network->bridge || !has_family(network, view->family) ||
		    engine_network_is_open(network, view->family) ||
		    !interfaces_have(devices, network->bridge))
			continue;
		missing = bridges_lack(view, a, network->bridge, network->internal);
		if (missing)
			return say_open(a, "network", network->name, missing);
	}
	return NULL;
}

/* By the rest of the rules: who drops what is foreign to a bridge is internal. */
static const char *open_bridge(const struct bridges_view *view, struct arena *a,
			       const interfaces *devices)
{
	list_each (b, &view->bridges) {
		const char *missing;

		if (b->accepts || !interfaces_have(devices, b->bridge))
			continue;
		missing = bridges_lack(view, a, b->bridge, b->drops_foreign);
		if (missing)
			return say_open(a, "bridge", b->bridge, missing);
	}
	return NULL;
}

const char *bridges_open(const struct bridges_view *view, struct arena *a,
			 const struct engine *engine, const interfaces *devices)
{
	if (!view->exists)
		return arena_printf(a,
				    "Docker's %s is not there (flushed, or --ip%stables=false); if "
				    "it should be, restart dockerd",
				    bridges_table(view), view->family == 6 ? "6" : "");
	return engine->up ? open_network(view, a, engine, devices) : open_bridge(view, a, devices);
}

bool bridges_take_mark(const struct bridges_view *view)
{
	bool some = false;

	list_each (b, &view->bridges) {
		if (b->drops && !b->takes_mark)
			return false;
		some |= b->drops;
	}
	return some;
}

static bool expects_drop(const struct engine *engine, const struct engine_endpoint *endpoint,
			 uint8_t family)
{
	const struct engine_network *network = engine_find_network(engine, endpoint->network);

	return (family == 6 ? endpoint->ip6 : endpoint->ip).family == family && network &&
	       network->bridge && !network->internal && engine_network_translates(network, family);
}

bool bridges_expect_direct_drops(const struct engine *engine, uint8_t family)
{
	list_each (container, &engine->containers)
		if (container->running)
			list_each (endpoint, &container->endpoints)
				if (expects_drop(engine, endpoint, family))
					return true;
	return false;
}
