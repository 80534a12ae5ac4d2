/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An element goes with the last policy that says it. So beside the changed policies those are
 * compiled whose ends hold addresses of what might go, and all translations, whose targets are let
 * through, too.
 */
#include "core/compile/amend.h"

#include "base/hash_index.h"
#include "core/compile/flows.h"

#include <string.h>

enum {
	MOST_CHANGED = 64, /* policies */
	MOST_ENDS = 64,	   /* addresses that elements which may go come from, or lead to */
	FEW = 4,	   /* the others that are compiled are less than 1/4 of all */
};

/* A few policies of a file, and what they want by themselves. */
struct part {
	const struct version *of;
	LIST(struct policy) policies;
	LIST(uint32_t) numbers; /* in the file */
	struct state wants;
};

struct amender {
	struct arena *a;
	const struct amending *in;
	struct amendment *out;
	struct part gone, come, others;
	const uint32_t *number_now; /* of the names before */
};

typedef LIST(struct ip) ip_list;

/* Sets that hold what such policies say. */
static const char *const names_of_sets[] = {"allow", "allow_all_ports"};

/* --- which policies changed --- */

static bool same_ports(const struct config *c, const struct policy *p, const struct config *d,
		       const struct policy *q)
{
	if (p->n_ports != q->n_ports)
		return false;
	if (p->n_ports == 1) /* most of very many: no call */
		return p->ports.first == q->ports.first;
	return !p->n_ports || !memcmp(policy_ports(c, p), policy_ports(d, q),
				      p->n_ports * sizeof(struct port_range));
}

/* Names are numbers of their file, ports stand elsewhere, and comments say nothing. */
static bool same_policy(const struct amender *m, uint32_t i, uint32_t k)
{
	const struct config *c = m->in->before.config, *d = m->in->now.config;
	const struct policy *p = &c->policies.items[i], *q = &d->policies.items[k];
	const uint32_t *now = m->number_now;

	_Static_assert(sizeof(struct policy) == 36, "a new field is to be compared here");
	return now[p->subject] == q->subject && now[p->from] == q->from && now[p->to] == q->to &&
	       now[p->name] == q->name && now[p->iface] == q->iface && p->kind == q->kind &&
	       p->nat == q->nat && p->masquerade == q->masquerade && p->protos == q->protos &&
	       p->to_port == q->to_port && same_ports(c, p, d, q);
}

/* Of each name of the file before, its number now; NONE: it has none. */
static const uint32_t *renumber(const struct amender *m)
{
	const struct config *c = m->in->before.config, *d = m->in->now.config;
	uint32_t *numbers = arena_array(m->a, uint32_t, c->names.n);
	struct hash_index now;

	hash_index_reserve(&now, m->a, d->names.n);
	for (uint32_t i = 1; i < d->names.n; i++)
		hash_index_add(&now, hash_text(config_name(d, i)), i);
	for (uint32_t i = 1; i < c->names.n; i++) {
		const char *name = config_name(c, i);

		numbers[i] =
			hash_index_find(&now, hash_text(name), k, !strcmp(config_name(d, k), name));
	}
	return numbers;
}

static void take(struct part *part, struct arena *a, uint32_t i)
{
	*list_add(a, &part->policies) = part->of->config->policies.items[i];
	*list_add(a, &part->numbers) = i;
}

/*
 * Where policies i and k differ: how many went and came until two are the same again, or until both
 * files end. As few as possible, but any two numbers are right.
 */
static bool find_again(const struct amender *m, uint32_t i, uint32_t k, uint32_t *went,
		       uint32_t *came)
{
	uint32_t rest = m->in->before.config->policies.n - i;
	uint32_t rest_now = m->in->now.config->policies.n - k;

	for (uint32_t n = 1; n <= MOST_CHANGED; n++)
		for (*went = 0; *went <= n && *went <= rest; ++*went) {
			*came = n - *went;
			if ((*went == rest && *came == rest_now) ||
			    (*went < rest && *came < rest_now &&
			     same_policy(m, i + *went, k + *came)))
				return true;
		}
	return false;
}

static bool find_changed(struct amender *m)
{
	uint32_t n = m->in->before.config->policies.n, n_now = m->in->now.config->policies.n;
	uint32_t i = 0, k = 0, went, came;

	m->number_now = renumber(m);
	for (;;) {
		for (; i < n && k < n_now && same_policy(m, i, k); i++)
			k++;
		if (i == n && k == n_now)
			break;
		if (!find_again(m, i, k, &went, &came))
			return false;
		while (went--)
			take(&m->gone, m->a, i++);
		while (came--)
			take(&m->come, m->a, k++);
		if (m->gone.policies.n + m->come.policies.n > MOST_CHANGED)
			return false;
	}
	m->out->gone.items = m->gone.numbers.items;
	m->out->gone.n = m->gone.numbers.n;
	m->out->come.items = m->come.numbers.items;
	m->out->come.n = m->come.numbers.n;
	return true;
}

/* Those that stay are in one order in both files. */
uint32_t amendment_number_now(const struct amendment *amendment, uint32_t i)
{
	uint32_t now = i;

	list_each (gone, &amendment->gone)
		if (*gone == i)
			return NONE;
		else
			now -= *gone < i;
	list_each (come, &amendment->come)
		now += *come <= now;
	return now;
}

/* --- what they say --- */

static const struct ruleset *rules_of(const struct part *part)
{
	return &part->wants.spaces.items[0].ruleset;
}

/* Elements bear the numbers that policies have in their file. */
static void number(const struct part *part)
{
	list_each (set, &rules_of(part)->sets)
		for (uint32_t i = 0; i < set->n; i++)
			if (set->origins[i] != NONE)
				set->origins[i] = part->numbers.items[set->origins[i]];
}

static void compile_part(struct part *part, struct findings *findings, const struct amender *m)
{
	struct config config = *part->of->config;
	struct facts facts = *m->in->facts;

	facts.counters = COUNTERS_OFF; /* as where there are many */
	config.policies.items = part->policies.items;
	config.policies.n = part->policies.n;
	compile(&part->wants, findings, m->a, &config, part->of->resolution, m->in->engine, &facts);
	number(part);
}

static bool is_one_of_ours(const char *set)
{
	for (size_t i = 0; i < COUNT_OF(names_of_sets); i++)
		if (!strcmp(set, names_of_sets[i]))
			return true;
	return false;
}

/* Nothing but elements: no finding, no range, no source that a foreign network is tied for. */
static bool says_elements(struct part *part, const struct amender *m)
{
	struct findings findings = {0};

	list_each (p, &part->policies)
		if (p->nat != NAT_NO)
			return false;
	compile_part(part, &findings, m);
	list_each (finding, &findings.list)
		if (finding->origin != NONE)
			return false;
	list_each (set, &rules_of(part)->sets)
		if (!strncmp(set->name, "allow", 5) && !is_one_of_ours(set->name))
			return false;
	return part->wants.spaces.items[0].flows->tied.n == part->of->config->networks.n;
}

/* --- which others might say the same --- */

static bool note_end(ip_list *ips, struct arena *a, const uint8_t *bytes)
{
	struct ip ip = {.family = 4};

	memcpy(ip.bytes, bytes, 4);
	list_each (old, ips)
		if (ip_equal(*old, ip))
			return true;
	*list_add(a, ips) = ip;
	return ips->n <= MOST_ENDS;
}

/* Keys of both sets begin with the source and the target. */
static bool find_ends(ip_list *from, ip_list *to, const struct amender *m)
{
	for (size_t i = 0; i < COUNT_OF(names_of_sets); i++) {
		const struct set *set = ruleset_find_set(rules_of(&m->gone), names_of_sets[i]);

		for (uint32_t k = 0; set && k < set->n; k++)
			if (!note_end(from, m->a, set_element(set, k)) ||
			    !note_end(to, m->a, set_element(set, k) + 4))
				return false;
	}
	return true;
}

static bool holds_any(const struct peers *peers, const ip_list *ips)
{
	for (uint32_t i = 0; peers && i < peers->n; i++)
		list_each (ip, ips)
			if (prefix_contains(peers->items[i].net, *ip))
				return true;
	return false;
}

/* Of each name whether it means one of these, asked as one end of a policy. */
static bool *bearers_of(const ip_list *ips, const struct amender *m, enum question first,
			enum question last)
{
	const struct version *now = &m->in->now;
	bool *bears = arena_array(m->a, bool, now->config->names.n);

	for (enum question q = first; q <= last; q++)
		for (uint32_t i = 0; i < now->config->names.n; i++)
			bears[i] |= holds_any(now->resolution->peers[q][i], ips);
	return bears;
}

static bool find_others(struct amender *m)
{
	const struct config *config = m->in->now.config;
	uint32_t limit = config->policies.n / FEW, changed = 0;
	ip_list from = {0}, to = {0};
	const bool *sends, *receives;

	if (!find_ends(&from, &to, m))
		return false;
	if (!from.n)
		return true;
	sends = bearers_of(&from, m, ASK_PEERS, ASK_PEERS);
	receives = bearers_of(&to, m, ASK_SUBJECT, ASK_SERVICE);
	for (uint32_t i = 0; i < config->policies.n && m->others.policies.n < limit; i++) {
		const struct policy *p = &config->policies.items[i];

		if (changed < m->come.numbers.n && m->come.numbers.items[changed] == i)
			changed++;
		else if (p->nat != NAT_NO || (sends[p->from] && receives[p->subject]))
			take(&m->others, m->a, i);
	}
	return m->others.policies.n < limit;
}

/* --- what becomes of the sets --- */

static bool has(const struct set *set, const uint8_t *element)
{
	return set && set_has(set, element);
}

static bool same_shape(const struct set *set, const struct set *have)
{
	return !set || (set_stride(set) == set_stride(have) && !have->counts && !have->interval);
}

static struct set empty_like(const struct set *set)
{
	struct set empty = *set;

	empty.elements = NULL;
	empty.origins = NULL;
	empty.n = empty.cap = 0;
	return empty;
}

/* There is room for what comes, and something is left of what was there. */
static bool fits(const struct set *have, uint32_t come, uint32_t gone)
{
	return have->n + come <= have->size && have->n + come > gone;
}

static bool amend_set(struct amender *m, const char *name)
{
	const struct set *have = ruleset_find_set(m->in->have, name);
	const struct set *gone = ruleset_find_set(rules_of(&m->gone), name);
	const struct set *come = ruleset_find_set(rules_of(&m->come), name);
	const struct set *others = ruleset_find_set(rules_of(&m->others), name);
	struct set drop, add;

	if (!have)
		return !gone && !come;
	if (!same_shape(gone, have) || !same_shape(come, have) || !same_shape(others, have))
		return false;
	drop = add = empty_like(have);
	for (uint32_t i = 0; gone && i < gone->n; i++) {
		const uint8_t *element = set_element(gone, i);

		if (has(have, element) && !has(come, element) && !has(others, element))
			memcpy(set_add_read(&drop, m->a), element, set_stride(have));
	}
	for (uint32_t i = 0; come && i < come->n; i++)
		if (!has(have, set_element(come, i)))
			memcpy(set_add(&add, m->a, come->origins[i]), set_element(come, i),
			       set_stride(have));
	if (!drop.n && !add.n)
		return true;
	*list_add(m->a, &m->out->have.sets) = drop;
	*list_add(m->a, &m->out->want.sets) = add;
	return fits(have, add.n, drop.n);
}

bool amend(struct amendment *out, struct arena *a, const struct amending *in)
{
	const struct config *before = in->before.config, *now = in->now.config;
	struct amender m = {.a = a, .in = in, .out = out};
	struct findings unsaid = {0};

	*out = (struct amendment){.have.exists = true, .want.exists = true};
	m.gone.of = &in->before;
	m.come.of = m.others.of = &in->now;
	if (in->facts->backend != BACKEND_NFTABLES || before->policies.n <= COUNTERS_MOST ||
	    now->policies.n <= COUNTERS_MOST || !before->frame || before->frame != now->frame ||
	    !find_changed(&m) || !says_elements(&m.gone, &m) || !says_elements(&m.come, &m) ||
	    !find_others(&m))
		return false;
	compile_part(&m.others, &unsaid, &m);
	out->adds = m.come.wants;
	for (size_t i = 0; i < COUNT_OF(names_of_sets); i++)
		if (!amend_set(&m, names_of_sets[i]))
			return false;
	return true;
}
