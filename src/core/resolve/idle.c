/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Policies that are about the same ends: those that change nothing, and those that contradict. */
#include "core/resolve/idle.h"

#include "base/buf.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* --- what a policy is about --- */

struct finder {
	const struct config *config;
	const struct resolution *resolution;
	bool any_target; /* dnat policies are compared without their targets */
	uint32_t *hash;	 /* by policy: of what it is about, without ports; 0: of nothing */
	/* of each policy: the one before it that is about the same, or NONE */
	uint32_t *previous;
};

/*
 * The rules of a policy depend on its subject: they let it in, live in its namespace, or masquerade
 * it.
 */
static bool has_subject(const struct policy *p)
{
	return p->nat == NAT_NO || (!p->name && !p->iface) ||
	       (p->nat == NAT_MASQUERADE && !p->from);
}

static uint32_t scope_of(const struct finder *f, const struct policy *p, const struct resolved *r)
{
	uint64_t hash = hash_word(HASH_START, (uint64_t)p->nat << 32 | p->iface);

	if (!f->any_target) {
		hash = hash_word(hash,
				 (uint64_t)p->masquerade << 16 | (p->mapped ? 0 : p->to_port));
		hash = hash_word(hash, r->to->hash);
	}
	hash = hash_word(hash, r->from->hash);
	hash = r->container ? hash_word(hash, hash_text(r->container)) : hash;
	hash = has_subject(p) ? hash_word(hash, r->subject->hash) : hash;
	return (uint32_t)hash ? (uint32_t)hash : 1;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* What both say of ports at the target is one rule: a number for all, or one distance for all. */
static bool map_alike(const struct finder *f, const struct policy *p, const struct policy *q)
{
	const struct port_range *a = policy_ports(f->config, p), *b = policy_ports(f->config, q);

	if (p->mapped != q->mapped)
		return false;
	if (!p->mapped)
		return p->to_port == q->to_port;
	if (p->n_ports == 1 && q->n_ports == 1)
		return p->to_port - a->low == q->to_port - b->low;
	/* behind the ranges there are those at the target */
	return p->n_ports == q->n_ports && !memcmp(a, b, 2 * p->n_ports * sizeof(*a));
}

static bool same_scope(const struct finder *f, uint32_t i, uint32_t k)
{
	const struct policy *p = &f->config->policies.items[i], *q = &f->config->policies.items[k];
	struct resolved a, b;

	if (f->hash[i] != f->hash[k])
		return false;
	a = resolved_policy(f->resolution, f->config, p);
	b = resolved_policy(f->resolution, f->config, q);
	return p->nat == q->nat && p->iface == q->iface && same_text(a.container, b.container) &&
	       same_peers(a.from, b.from) &&
	       (!has_subject(p) || same_peers(a.subject, b.subject)) &&
	       (f->any_target ||
		(p->masquerade == q->masquerade && map_alike(f, p, q) && same_peers(a.to, b.to)));
}

/* Chains each policy to the one before it with the same scope, by a hash table of the last ones. */
static void chain_up(struct finder *f, struct arena *scratch)
{
	uint32_t n = f->config->policies.n, cap = 64, *last; /* index + 1; 0: free slot */

	f->hash = arena_array(scratch, uint32_t, n);
	f->previous = arena_take(scratch, n * sizeof(uint32_t));
	while (cap < 2 * n)
		cap *= 2;
	last = arena_array(scratch, uint32_t, cap);
	for (uint32_t i = 0; i < n; i++) {
		const struct policy *p = &f->config->policies.items[i];
		struct resolved r;
		uint32_t at;

		f->previous[i] = NONE;
		if (p->broken || (f->any_target && p->nat != NAT_DNAT))
			continue;
		r = resolved_policy(f->resolution, f->config, p);
		if (r.waiting || (!r.source->n && p->nat == NAT_NO))
			continue;
		f->hash[i] = scope_of(f, p, &r);
		at = f->hash[i] & (cap - 1);
		while (last[at] && !same_scope(f, i, last[at] - 1))
			at = (at + 1) & (cap - 1);
		f->previous[i] = last[at] - 1; /* 0 - 1: NONE */
		last[at] = i + 1;
	}
}

/* --- policies that another one covers --- */

static bool covers_ports(const struct config *config, const struct policy *wide,
			 const struct policy *narrow)
{
	const struct port_range *ranges = policy_ports(config, wide);
	const struct port_range *range = policy_ports(config, narrow);
	uint32_t w = 0;

	if (!wide->n_ports)
		return true;
	if (!narrow->n_ports)
		return false;
	for (uint32_t n = 0; n < narrow->n_ports; n++) {
		while (w < wide->n_ports && ranges[w].high < range[n].low)
			w++;
		if (w == wide->n_ports || ranges[w].low > range[n].low ||
		    ranges[w].high < range[n].high)
			return false;
	}
	return true;
}

static bool covers(const struct config *config, const struct policy *wide,
		   const struct policy *narrow)
{
	if (wide->protos & PROTO_ANY && !wide->n_ports)
		return true;
	return !(narrow->protos & ~protos_with_parts(wide->protos)) &&
	       covers_ports(config, wide, narrow);
}

static void add_idle(struct idle_list *idle, struct arena *a, enum idle_kind kind, uint32_t policy,
		     uint32_t by)
{
	*list_add(a, &idle->list) =
		(struct idle){.kind = kind, .policy = policy, .by = {by}, .n_by = 1};
	idle->found[policy] = true;
}

static void compare(struct idle_list *idle, struct arena *a, const struct config *config,
		    uint32_t first, uint32_t second)
{
	const struct policy *p = &config->policies.items[first];
	const struct policy *q = &config->policies.items[second];
	bool forth, back;

	if (idle->found[first] || idle->found[second])
		return;
	forth = covers(config, p, q);
	back = covers(config, q, p);
	if (forth)
		add_idle(idle, a, back ? IDLE_SAME : IDLE_COVERED, second, first);
	else if (back)
		add_idle(idle, a, IDLE_COVERED, first, second);
}

enum { MAX_COMPARED = 32 }; /* policies about the same thing that one is compared with */

/* Those before policy i that are about the same, the first one first. */
static uint32_t find_older(uint32_t older[MAX_COMPARED], const struct finder *f, uint32_t i)
{
	uint32_t n = 0;

	for (uint32_t k = f->previous[i]; k != NONE && n < MAX_COMPARED; k = f->previous[k])
		n++;
	for (uint32_t k = f->previous[i], at = n; at; k = f->previous[k])
		older[--at] = k;
	return n;
}

void resolve_idle(struct idle_list *idle, struct arena *a, const struct config *config,
		  const struct resolution *resolution)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct finder f = {.config = config, .resolution = resolution};
	uint32_t older[MAX_COMPARED];

	chain_up(&f, &scratch);
	for (uint32_t i = 0; i < config->policies.n; i++)
		for (uint32_t k = 0, n = find_older(older, &f, i); k < n; k++)
			compare(idle, a, config, older[k], i);
}

/* --- what is told --- */

static int by_policy(const void *left, const void *right)
{
	const struct idle *a = left, *b = right;

	return a->policy < b->policy ? -1 : a->policy > b->policy;
}

static const char *const verbs[] = {
	[NAT_NO] = "allows", [NAT_DNAT] = "translates", [NAT_MASQUERADE] = "masquerades"};

/* "allows", or of several "allow". */
static void put_verb(struct buf *out, const struct policy *p, bool several)
{
	buf_printf(out, "%.*s", (int)strlen(verbs[p->nat]) - several, verbs[p->nat]);
}

static void put_others(struct buf *out, const struct idle *idle, const struct config *config,
		       struct config_text *text)
{
	AUTO_RELEASE struct arena a = {0};
	uint32_t n = idle->n_by < IDLE_BY ? idle->n_by : IDLE_BY;

	for (uint32_t i = 0; i < n; i++)
		buf_printf(out, "%s%s",
			   !i				   ? ""
			   : i + 1 == n && idle->n_by <= n ? " and "
							   : ", ",
			   place_of_policy(&a, config->file, text, idle->by[i]));
	if (idle->n_by > n)
		buf_printf(out, " and %u more", idle->n_by - n);
}

static void put_never(struct buf *out, const struct policy *p, const struct config *config)
{
	if (!p->iface)
		buf_puts(out, "no effect: its two ends can't reach each other; remove it");
	else
		buf_printf(out,
			   "no effect: what comes from \"%s\" does not come in by \"%s\"; correct "
			   "from or iface, or remove it",
			   config_label(config, p->from), config_name(config, p->iface));
}

static void put_message(struct buf *out, const struct idle *idle, const struct config *config,
			struct config_text *text)
{
	const struct policy *p = &config->policies.items[idle->policy];
	bool several = idle->n_by > 1, later = idle->n_by && idle->by[0] > idle->policy;

	if (idle->kind == IDLE_NEVER) {
		put_never(out, p, config);
		return;
	}
	if (idle->kind == IDLE_SAME)
		buf_puts(out, "the same as ");
	put_others(out, idle, config, text);
	if (idle->kind == IDLE_SAME) {
		buf_puts(out, "; remove one of the two");
	} else if (idle->kind == IDLE_TAKEN) {
		buf_printf(out,
			   " take%s all of its packets to another target; remove it, or narrow the "
			   "other%s",
			   several ? "" : "s", several ? "s" : "");
	} else {
		buf_puts(out, several ? " together " : later ? " " : " already ");
		put_verb(out, p, several);
		buf_printf(out, " all of it%s; remove this one", later ? " too" : "");
	}
}

/* By policy: another warning says already why it has no effect. */
static const bool *find_told(struct arena *a, const struct diags *diags,
			     const struct config_text *text)
{
	uint32_t n = text->declared[SECTION_POLICIES].n;
	const uint32_t *nodes = text->declared[SECTION_POLICIES].items;
	bool *told = arena_array(a, bool, n);

	list_each (diag, &diags->list) {
		uint32_t i = first_not_before(n, k, text->json.nodes[nodes[k]].at < diag->at);

		if (diag->severity == SEVERITY_WARNING && !diag->file && i < n &&
		    text->json.nodes[nodes[i]].at == diag->at)
			told[i] = true;
	}
	return told;
}

static void say_more(struct diags *diags, struct config_text *text, uint32_t first, uint32_t n)
{
	if (n == 1)
		diag_at(diags, SEVERITY_WARNING, text, node_of_policy(text, first, NULL),
			"changes nothing, either; remove those above first");
	else if (n)
		diag_at(diags, SEVERITY_WARNING, text, node_of_policy(text, first, NULL),
			"this and %u more policies change nothing; remove those above first",
			n - 1);
}

void idle_warn(struct idle_list *idle, struct diags *diags, const struct config *config,
	       struct config_text *text)
{
	AUTO_RELEASE struct arena a = {0};
	const bool *told;
	uint32_t shown = 0, left = 0, first = NONE;

	if (!idle->list.n)
		return;
	told = find_told(&a, diags, text);
	qsort(idle->list.items, idle->list.n, sizeof(*idle->list.items), by_policy);
	list_each (i, &idle->list) {
		AUTO_BUF struct buf message = {0};

		if (i->kind >= IDLE_TAKEN && told[i->policy])
			continue;
		if (shown == IDLE_SHOWN) {
			first = left++ ? first : i->policy;
			continue;
		}
		put_message(&message, i, config, text);
		diag_at(diags, SEVERITY_WARNING, text, node_of_policy(text, i->policy, NULL), "%s",
			buf_text(&message));
		shown++;
	}
	say_more(diags, text, first, left);
}

/* --- contradictions --- */

/* They have a port in common; where to the same targets, one that they lead to different ports. */
static bool ports_contradict(const struct config *config, const struct policy *p,
			     const struct policy *q, bool same_targets)
{
	const struct port_range *a = policy_ports(config, p), *b = policy_ports(config, q);

	if (!p->n_ports || !q->n_ports)
		return !same_targets || p->to_port != q->to_port;
	for (uint32_t i = 0, k = 0; i < p->n_ports && k < q->n_ports;) {
		const uint16_t low = a[i].low > b[k].low ? a[i].low : b[k].low;
		const uint16_t high = a[i].high < b[k].high ? a[i].high : b[k].high;

		if (low <= high && (!same_targets ||
				    policy_target_port(config, p, i, low) !=
					    policy_target_port(config, q, k, low) ||
				    policy_target_port(config, p, i, high) !=
					    policy_target_port(config, q, k, high)))
			return true;
		if (a[i].high < b[k].high)
			i++;
		else
			k++;
	}
	return false;
}

/* The file's own words say it: the check of policies has refused it. */
static bool in_the_same_words(const struct policy *p, const struct policy *q)
{
	return p->name == q->name && p->from == q->from &&
	       (p->name || p->iface || p->subject == q->subject);
}

static bool contradict(const struct finder *f, const struct policy *p, const struct policy *q)
{
	const struct resolved a = resolved_policy(f->resolution, f->config, p);
	const struct resolved b = resolved_policy(f->resolution, f->config, q);

	return (protos_with_parts(p->protos) & protos_with_parts(q->protos) ||
		(p->protos | q->protos) & PROTO_ANY) &&
	       ports_contradict(f->config, p, q, same_peers(a.to, b.to)) &&
	       !in_the_same_words(p, q);
}

void warn_of_contradictions(struct diags *diags, const struct config *config,
			    struct config_text *text, const struct resolution *resolution)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct finder f = {.config = config, .resolution = resolution, .any_target = true};
	uint32_t older[MAX_COMPARED], said = 0;

	chain_up(&f, &scratch);
	for (uint32_t i = 0; i < config->policies.n && said < IDLE_SHOWN; i++)
		for (uint32_t k = 0, n = find_older(older, &f, i); k < n; k++) {
			const struct policy *p = &config->policies.items[older[k]];

			if (!contradict(&f, p, &config->policies.items[i]))
				continue;
			diag_at(diags, SEVERITY_WARNING, text, node_of_policy(text, i, NULL),
				"contradicts %s, which sends the same packets to \"%s\" and comes "
				"first; remove one of the two",
				place_of_policy(&scratch, config->file, text, older[k]),
				config_label(config, p->to));
			said++;
			break;
		}
}
