/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/nft/replay.h"

#include "core/nft/nlattr.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

enum { REGISTERS = 64, MOST_JUMPS = 16 };

/* --- rules, prepared for the run --- */

enum field_of_packet { FROM, TO, PROTOCOL, PORT, TYPE, FAMILY, ENTRANCE, NOTHING_SET, N_FIELDS };

struct op {
	enum { LOAD, MASK, COMPARE, LOOK_UP, VERDICT, NEVER } kind;
	enum field_of_packet field; /* LOAD */
	uint8_t reg, len;	    /* offset into the registers, in bytes */
	uint32_t how;		    /* COMPARE: NFT_CMP_*; VERDICT: the verdict's code */
	bool inverted, jumps;	    /* LOOK_UP: NFT_LOOKUP_F_INV, or that it is a verdict map */
	const struct set *set;
	const char *chain; /* VERDICT */
	uint8_t value[16];
};

struct ready {
	LIST(struct op) ops;
};

struct ready_chain {
	const char *name;
	LIST(struct ready) rules;
};

struct replay {
	LIST(struct set) sets;
	LIST(struct ready_chain) chains;
	struct hash_index sets_by_name, chains_by_name;
	const struct ready_chain *begin;
	interfaces entrances;
};

struct making {
	struct arena *a;
	struct replay *r;
	struct ready *rule;
	bool entrance; /* the last load was the incoming interface */
};

static bool register_of(uint8_t *at, struct attrs number, uint32_t len)
{
	uint32_t reg = attr_be32(number);
	uint32_t place = reg >= NFT_REG32_00 ? (reg - NFT_REG32_00) * 4 : (reg - NFT_REG_1) * 16;

	*at = (uint8_t)place;
	return reg >= NFT_REG_1 && place + len <= REGISTERS;
}

static void never(struct op *op)
{
	op->kind = NEVER;
}

static void make_load(struct op *op, enum field_of_packet field, uint32_t len, struct attrs reg)
{
	op->kind = LOAD;
	op->field = field;
	op->len = (uint8_t)len;
	if (len > 16 || !register_of(&op->reg, reg, (len + 3) & ~3u))
		never(op);
}

static void make_payload(struct making *m UNUSED, struct op *op, struct attrs data)
{
	static const struct {
		uint32_t base, offset, len;
		enum field_of_packet field;
	} places[] = {{NFT_PAYLOAD_NETWORK_HEADER, 12, 4, FROM},
		      {NFT_PAYLOAD_NETWORK_HEADER, 16, 4, TO},
		      {NFT_PAYLOAD_NETWORK_HEADER, 8, 16, FROM},
		      {NFT_PAYLOAD_NETWORK_HEADER, 24, 16, TO},
		      {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, PORT},
		      {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, TYPE}};

	never(op);
	for (size_t i = 0; i < COUNT_OF(places); i++)
		if (attr_be32(attr_find(data, NFTA_PAYLOAD_BASE)) == places[i].base &&
		    attr_be32(attr_find(data, NFTA_PAYLOAD_OFFSET)) == places[i].offset &&
		    attr_be32(attr_find(data, NFTA_PAYLOAD_LEN)) == places[i].len)
			make_load(op, places[i].field, places[i].len,
				  attr_find(data, NFTA_PAYLOAD_DREG));
}

/* The mark is 0: nothing has set it yet. What rules write is ignored. */
static void make_meta(struct making *m, struct op *op, struct attrs data)
{
	uint32_t key = attr_be32(attr_find(data, NFTA_META_KEY));
	struct attrs reg = attr_find(data, NFTA_META_DREG);

	if (attr_find(data, NFTA_META_SREG).bytes || key == NFT_META_MARK)
		make_load(op, NOTHING_SET, 4, reg);
	else if (key == NFT_META_L4PROTO)
		make_load(op, PROTOCOL, 1, reg);
	else if (key == NFT_META_NFPROTO)
		make_load(op, FAMILY, 1, reg);
	else if (key == NFT_META_IIFNAME)
		make_load(op, ENTRANCE, 16, reg);
	else
		never(op);
	m->entrance = op->kind == LOAD && op->field == ENTRANCE;
}

static void make_ct(struct making *m UNUSED, struct op *op, struct attrs data)
{
	if (attr_be32(attr_find(data, NFTA_CT_KEY)) == NFT_CT_MARK)
		make_load(op, NOTHING_SET, 4, attr_find(data, NFTA_CT_DREG));
	else
		never(op);
}

static void take_value(struct op *op, struct attrs data, uint16_t type)
{
	struct attrs value = attr_find(attr_find(data, type), NFTA_DATA_VALUE);

	op->len = (uint8_t)value.len;
	if (!value.len || value.len > sizeof(op->value))
		never(op);
	else
		memcpy(op->value, value.bytes, value.len);
}

static void make_bitwise(struct making *m UNUSED, struct op *op, struct attrs data)
{
	op->kind = MASK;
	take_value(op, data, NFTA_BITWISE_MASK);
	if (!register_of(&op->reg, attr_find(data, NFTA_BITWISE_SREG), op->len))
		never(op);
}

static void make_cmp(struct making *m, struct op *op, struct attrs data)
{
	op->kind = COMPARE;
	op->how = attr_be32(attr_find(data, NFTA_CMP_OP));
	take_value(op, data, NFTA_CMP_DATA);
	if (!register_of(&op->reg, attr_find(data, NFTA_CMP_SREG), op->len))
		never(op);
	if (m->entrance && op->kind == COMPARE)
		*list_add(m->a, &m->r->entrances) =
			arena_printf(m->a, "%.*s", (int)op->len, (const char *)op->value);
	m->entrance = false;
}

static void make_lookup(struct making *m, struct op *op, struct attrs data)
{
	const char *name = attr_text(attr_find(data, NFTA_LOOKUP_SET));
	uint32_t set;

	op->kind = LOOK_UP;
	op->inverted = attr_be32(attr_find(data, NFTA_LOOKUP_FLAGS)) & NFT_LOOKUP_F_INV;
	set = hash_index_find(&m->r->sets_by_name, hash_text(name), i,
			      !strcmp(m->r->sets.items[i].name, name));
	op->set = set == NONE ? NULL : &m->r->sets.items[set];
	op->jumps = op->set && set_has_verdicts(op->set);
	if (!op->set || !op->set->n_key ||
	    !register_of(&op->reg, attr_find(data, NFTA_LOOKUP_SREG), set_key_len(op->set)))
		never(op);
}

static void make_immediate(struct making *m, struct op *op, struct attrs data)
{
	struct attrs verdict = attr_find(attr_find(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);

	op->kind = verdict.bytes ? VERDICT : NEVER;
	op->how = attr_be32(attr_find(verdict, NFTA_VERDICT_CODE));
	op->chain = arena_strdup(m->a, attr_text(attr_find(verdict, NFTA_VERDICT_CHAIN)));
}

/* Skipped expressions: counter, log. */
static const struct {
	const char *name;
	void (*make)(struct making *m, struct op *op, struct attrs data);
} makers[] = {
	{"payload", make_payload},     {"meta", make_meta}, {"ct", make_ct},
	{"bitwise", make_bitwise},     {"cmp", make_cmp},   {"lookup", make_lookup},
	{"immediate", make_immediate},
};

static void make_op(struct making *m, struct attrs expr)
{
	const char *name = attr_text(attr_find(expr, NFTA_EXPR_NAME));
	struct op op = {0};

	if (!strcmp(name, "counter") || !strcmp(name, "log"))
		return;
	never(&op);
	for (size_t i = 0; i < COUNT_OF(makers); i++)
		if (!strcmp(makers[i].name, name))
			makers[i].make(m, &op, attr_find(expr, NFTA_EXPR_DATA));
	*list_add(m->a, &m->rule->ops) = op;
}

static void make_chain(struct making *m, struct ready_chain *made, const struct chain *chain)
{
	made->name = arena_strdup(m->a, chain->name);
	list_each (rule, &chain->rules) {
		struct attrs rest = {rule->exprs, rule->exprs_len}, expr;
		uint16_t type;

		m->rule = list_add(m->a, &made->rules);
		while (attr_next(&rest, &type, &expr))
			make_op(m, expr);
	}
}

static const struct ready_chain *find_chain(const struct replay *r, const char *name)
{
	uint32_t at = hash_index_find(&r->chains_by_name, hash_text(name), i,
				      !strcmp(r->chains.items[i].name, name));

	return at == NONE ? NULL : &r->chains.items[at];
}

const struct replay *nft_replay_of(struct arena *a, const struct ruleset *rs)
{
	struct replay *r = arena_new(a, struct replay);
	struct making m = {.a = a, .r = r};

	list_each (set, &rs->sets)
		*list_add(a, &r->sets) = set_copy(set, a);
	hash_index_names(&r->sets_by_name, a, &r->sets);
	list_each (chain, &rs->chains)
		if (!chain->type)
			make_chain(&m, list_add(a, &r->chains), chain);
	hash_index_names(&r->chains_by_name, a, &r->chains);
	r->begin = find_chain(r, "known");
	r->begin = r->begin ? r->begin : find_chain(r, "fresh"); /* of an older version's table */
	return r->begin ? r : NULL;
}

const interfaces *nft_replay_entrances(const struct replay *r)
{
	return &r->entrances;
}

/* --- a packet --- */

struct run {
	const struct replay *r;
	uint8_t fields[N_FIELDS][16];
	uint8_t registers[REGISTERS];
};

static bool is_within(const struct set *set, const uint8_t *element, const uint8_t *key)
{
	const uint8_t *last = element + (set->interval ? set_key_len(set) : 0);

	for (uint8_t f = 0; f < set->n_key; f++) {
		uint32_t len = (field_types[set->key[f]].len + 3u) & ~3u;

		if (memcmp(key, element, len) < 0 || memcmp(key, last, len) > 0)
			return false;
		key += len;
		element += len;
		last += len;
	}
	return true;
}

/* Returns NULL if there is no such element. */
static const uint8_t *find_element(const struct set *set, const uint8_t *key)
{
	uint32_t len = set_key_len(set);
	uint32_t behind = first_not_before(set->n, i, memcmp(set_element(set, i), key, len) <= 0);

	if (!set->interval ||
	    set->n_key == 1) /* intervals don't overlap, so at most one contains the key */
		return behind && is_within(set, set_element(set, behind - 1), key)
			       ? set_element(set, behind - 1)
			       : NULL;
	for (uint32_t i = 0; i < behind; i++)
		if (is_within(set, set_element(set, i), key))
			return set_element(set, i);
	return NULL;
}

static bool compare(const struct op *op, const uint8_t *value)
{
	int order = memcmp(value, op->value, op->len);

	switch (op->how) {
	case NFT_CMP_EQ:
		return order == 0;
	case NFT_CMP_NEQ:
		return order != 0;
	case NFT_CMP_LT:
		return order < 0;
	case NFT_CMP_LTE:
		return order <= 0;
	case NFT_CMP_GT:
		return order > 0;
	default:
		return order >= 0;
	}
}

/* The verdict of a rule; all zero: go on with the next rule. */
struct leads {
	const char *chain;
	bool go, ends;
};

/* Returns false if the rule does not match. */
static bool look_up(struct leads *leads, const struct op *op, const uint8_t *key)
{
	const uint8_t *element = find_element(op->set, key);
	const struct verdict *verdict;
	uint64_t id;

	if (!op->jumps)
		return (element != NULL) != op->inverted;
	if (!element)
		return false;
	memcpy(&id, element + set_stride(op->set) - set_data_len(op->set), sizeof(id));
	verdict = set_find_verdict(op->set, id);
	if (verdict)
		*leads = (struct leads){verdict->chain, verdict->go, false};
	return false;
}

static struct leads run_rule(struct run *run, const struct ready *rule)
{
	struct leads leads = {0};

	list_each (op, &rule->ops) {
		uint8_t *at = run->registers + op->reg;

		switch (op->kind) {
		case NEVER:
			return leads;
		case LOAD:
			memset(at, 0, (op->len + 3u) & ~3u);
			memcpy(at, run->fields[op->field], op->len);
			break;
		case MASK:
			for (uint8_t i = 0; i < op->len; i++)
				at[i] &= op->value[i];
			break;
		case COMPARE:
			if (!compare(op, at))
				return leads;
			break;
		case LOOK_UP:
			if (!look_up(&leads, op, at))
				return leads;
			break;
		case VERDICT:
			if ((int)op->how == NFT_JUMP || (int)op->how == NFT_GOTO)
				return (struct leads){op->chain, (int)op->how == NFT_GOTO, false};
			return (struct leads){.ends = true};
		}
	}
	return leads;
}

/* True if the packet reaches the chain of admitted flows. */
static bool run_chain(struct run *run, const struct ready_chain *chain, int depth)
{
	if (!chain || depth > MOST_JUMPS)
		return false;
	if (!strcmp(chain->name, "admit"))
		return true;
	list_each (rule, &chain->rules) {
		struct leads leads = run_rule(run, rule);

		if (leads.chain && run_chain(run, find_chain(run->r, leads.chain), depth + 1))
			return true;
		if (leads.ends || leads.go)
			return false;
	}
	return false;
}

bool nft_replay_admits(const struct replay *r, const struct replayed *packet)
{
	struct run run = {.r = r};

	memcpy(run.fields[FROM], packet->src.bytes, sizeof(packet->src.bytes));
	memcpy(run.fields[TO], packet->dst.bytes, sizeof(packet->dst.bytes));
	run.fields[PROTOCOL][0] = packet->proto;
	run.fields[PORT][0] = (uint8_t)(packet->dport >> 8);
	run.fields[PORT][1] = run.fields[TYPE][0] = (uint8_t)packet->dport;
	if (packet->in)
		strncpy((char *)run.fields[ENTRANCE], packet->in, 15);
	run.fields[FAMILY][0] = nfproto(packet->src.family);
	return packet->src.family && packet->src.family == packet->dst.family &&
	       run_chain(&run, r->begin, 0);
}
