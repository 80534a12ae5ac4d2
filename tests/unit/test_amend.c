/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law of amending: where a change of a few policies is said to be these elements, the table
 * with them is the table that compiling the whole file makes, and nothing else differs. Over random
 * files in which many policies say the same, so that most of what goes is still said by somebody.
 */
#include "base/buf.h"
#include "core/compile/amend.h"
#include "core/compile/flows.h"
#include "core/nft/nft.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { NETWORKS = 5, CONTAINERS = 90, SERVICES = 30, POLICIES = 520, SEEDS = 60, CHANGES = 12 };

static uint32_t seed;

static uint32_t pick(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(seed >> 8) * n >> 24);
}

/* --- files --- */

/* Every container is on one network, and each third on another one, too. */
static void write_frame(struct buf *out)
{
	buf_puts(out, "{\"networks\": {");
	for (uint32_t i = 0; i < NETWORKS; i++)
		buf_printf(out, "%s\"net%u\": {\"subnet\": \"10.0.%u.0/24\"%s}", i ? ", " : "", i,
			   i, i == 1 ? ", \"internal\": true" : "");
	buf_puts(out, "}, \"ips\": {");
	for (uint32_t i = 0; i < CONTAINERS; i++) {
		buf_printf(out,
			   "%s\"10.0.%u.%u\": {\"container_name\": \"c%u-x\", "
			   "\"service_name\": \"s%u\"}",
			   i ? ", " : "", i % NETWORKS, 10 + i, i, i % SERVICES);
		if (i % 3 == 0)
			buf_printf(out, ", \"10.0.%u.%u\": {\"container_name\": \"c%u-x\"}",
				   (i + 1) % NETWORKS, 10 + i, i);
	}
	buf_puts(out, "}, \"policies\": [");
}

/* Some are much asked: so many policies say the same. */
static uint32_t container(void)
{
	return pick(1 + pick(CONTAINERS));
}

static void write_subject(struct buf *out)
{
	switch (pick(12)) {
	case 0:
		buf_printf(out, "\"service_name\": \"s%u\"", pick(SERVICES));
		break;
	case 1:
		buf_printf(out, "\"selector\": \"c%u\"", container()); /* a prefix */
		break;
	default:
		buf_printf(out, "\"selector\": \"c%u-x\"", container());
	}
}

static void write_source(struct buf *out)
{
	static const char *const others[] = {"10.0.2.0/24", "net3", "10.0.1.0/28", "10.0.0.10",
					     "10.0.3.13/32"};

	if (!pick(40))
		buf_printf(out, "\"from\": \"%s\"", others[pick(COUNT_OF(others))]);
	else if (!pick(12))
		buf_printf(out, "\"from\": \"s%u\"", pick(SERVICES));
	else
		buf_printf(out, "\"from\": \"c%u-x\"", container());
}

static void write_ports(struct buf *out)
{
	static const char *const protos[] = {"", ", \"proto\": \"udp\"",
					     ", \"proto\": [\"tcp\", \"udp\"]",
					     ", \"proto\": \"any\""};
	uint32_t port = 1 + pick(3);

	switch (pick(16)) {
	case 0:
		buf_printf(out, ", \"port\": [%u, %u]", port, port + 2);
		break;
	case 1:
		buf_puts(out, protos[pick(COUNT_OF(protos))]); /* every port */
		break;
	case 2:
		buf_printf(out, ", \"port\": %u%s", port, protos[pick(COUNT_OF(protos) - 1)]);
		break;
	default:
		buf_printf(out, ", \"port\": %u", port);
	}
}

/* What is not to be amended: ranges, sources that are declared nowhere, names of nobody. */
static void write_odd(struct buf *out)
{
	static const char *const odd[] = {
		"{\"selector\": \"c1-x\", \"from\": \"c2-x\", \"port\": \"3-9\"}",
		"{\"selector\": \"c3-x\", \"from\": \"192.168.7.0/24\", \"port\": 2}",
		"{\"selector\": \"c3-x\", \"from\": \"192.168.7.3\", \"port\": 2}",
		"{\"selector\": \"c4-x\", \"from\": \"nobody\", \"port\": 1}",
		"{\"selector\": \"c4-x\", \"from\": \"any\", \"port\": 1}",
	};

	buf_puts(out, odd[pick(COUNT_OF(odd))]);
}

static void write_translation(struct buf *out)
{
	uint32_t port = 100 + pick(5000);

	if (pick(3))
		buf_printf(out,
			   "{\"selector\": \"c%u-x\", \"nat\": \"dnat\", \"to\": \"c%u-x\", "
			   "\"port\": %u, \"to_port\": %u}",
			   1 + 3 * pick(6), 2 + 3 * pick(6), port, 1 + pick(3));
	else
		buf_printf(out,
			   "{\"selector\": \"c1-x\", \"nat\": \"dnat\", \"iface\": \"ext0\", "
			   "\"to\": \"c%u-x\", \"port\": %u, \"to_port\": 1}",
			   2 + 3 * pick(6), port);
}

static const char *new_policy(struct arena *a, bool may_be_odd)
{
	AUTO_BUF struct buf text = {0};

	if (may_be_odd && !pick(25)) {
		write_odd(&text);
	} else if (may_be_odd && !pick(25)) {
		write_translation(&text);
	} else {
		buf_puts(&text, "{");
		write_subject(&text);
		buf_puts(&text, ", ");
		write_source(&text);
		write_ports(&text);
		buf_puts(&text, pick(4) ? "}" : ", \"comment\": \"as agreed\"}");
	}
	return arena_strdup(a, buf_text(&text));
}

typedef LIST(const char *) texts;

static void change(texts *policies, struct arena *a)
{
	uint32_t at = pick(policies->n), last = policies->n - 1;

	switch (pick(5)) {
	case 0: /* removed; its place is taken, or all behind it move up */
		memmove(policies->items + at, policies->items + at + 1,
			(last - at) * sizeof(*policies->items));
		policies->n--;
		break;
	case 1:
		*list_add(a, policies) = NULL;
		memmove(policies->items + at + 1, policies->items + at,
			(last + 1 - at) * sizeof(*policies->items));
		policies->items[at] = new_policy(a, !pick(8));
		break;
	default:
		policies->items[at] = new_policy(a, !pick(8));
	}
}

/* --- what they mean --- */

struct file {
	struct diags diags;
	struct config config;
	struct resolution resolution;
	struct findings findings;
	struct state wants;
};

static void load(struct file *f, struct arena *a, const texts *policies,
		 const struct engine *engine, const struct facts *facts)
{
	AUTO_BUF struct buf text = {0};

	*f = (struct file){.diags.arena = a};
	write_frame(&text);
	list_each (policy, policies)
		buf_printf(&text, "%s%s", policy == policies->items ? "" : ",\n", *policy);
	buf_puts(&text, "]}");
	if (config_decode(&f->config, &f->diags, a, "f", buf_text(&text), text.len))
		resolve(&f->resolution, &f->diags, a, &f->config);
	list_each (diag, &f->diags.list)
		if (diag->severity == SEVERITY_ERROR)
			fail_msg("%s: %s", diag->path, diag->message);
	compile(&f->wants, &f->findings, a, &f->config, &f->resolution, engine, facts);
	list_each (space, &f->wants.spaces)
		nft_encode_ruleset(&space->ruleset, a);
}

static bool same_rules(const struct ruleset *want, const struct ruleset *have, struct arena *a)
{
	struct nft_batch batch = {0};
	nft_changes changes = {0};
	bool empty;

	nft_batch_begin(&batch, a, 1);
	nft_diff(&batch, &changes, a, want, have);
	nft_batch_end(&batch, a);
	empty = nft_batch_is_empty(&batch);
	buf_free(&batch.bytes);
	return empty;
}

/* The table with what goes taken away and what comes put in. Every element has a part in it. */
static void apply(struct ruleset *have, struct arena *a, const struct amendment *amendment)
{
	for (uint32_t i = 0; i < amendment->want.sets.n; i++) {
		const struct set *add = &amendment->want.sets.items[i];
		const struct set *drop = &amendment->have.sets.items[i];
		struct set *set = ruleset_find_set(have, add->name), rest = *set;

		assert_string_equal(add->name, drop->name);
		rest.elements = NULL;
		rest.origins = NULL;
		rest.n = rest.cap = 0;
		for (uint32_t k = 0; k < drop->n; k++)
			assert_true(set_has(set, set_element(drop, k)));
		for (uint32_t k = 0; k < set->n; k++)
			if (!drop->n || !set_has(drop, set_element(set, k)))
				memcpy(set_add_read(&rest, a), set_element(set, k),
				       set_stride(set));
		for (uint32_t k = 0; k < add->n; k++) {
			assert_false(set_has(set, set_element(add, k)));
			memcpy(set_add_read(&rest, a), set_element(add, k), set_stride(set));
		}
		assert_int_equal(rest.n, set->n - drop->n + add->n);
		set_finish(&rest, a);
		assert_int_equal(rest.n, set->n - drop->n + add->n);
		*set = rest;
	}
}

/* They are named by the policy that the whole file is named by. */
static void check_origins(const struct amendment *amendment, const struct ruleset *whole)
{
	list_each (add, &amendment->want.sets) {
		const struct set *set = ruleset_find_set(whole, add->name);

		for (uint32_t i = 0; i < add->n; i++)
			for (uint32_t k = 0; k < set->n; k++)
				if (!memcmp(set_element(set, k), set_element(add, i),
					    set_stride(set)))
					assert_int_equal(set->origins[k], add->origins[i]);
	}
}

/* There is one to all of it, by whatever gateway. */
static bool leads_to(const struct space *space, struct prefix dst)
{
	list_each (route, &space->routes)
		if (prefix_covers(route->dst, dst))
			return true;
	return false;
}

static bool stands_in(const struct state *state, const struct space *space, bool as_it_is)
{
	uint32_t i = state_find_space(state, space->container);

	list_each (route, &space->routes)
		if (i == NONE ||
		    !(as_it_is ? space_has_route(&state->spaces.items[i], route->dst, &route->via)
			       : leads_to(&state->spaces.items[i], route->dst)))
			return false;
	return true;
}

/*
 * Those that the new policies need are all that may be missing. What goes may have had a say in
 * which gateway leads there: that is the whole pass's.
 */
static void check_routes(const struct amendment *amendment, const struct file *before,
			 const struct file *now)
{
	for (uint32_t i = 1; i < amendment->adds.spaces.n; i++)
		if (!stands_in(&before->wants, &amendment->adds.spaces.items[i], true))
			return;
	for (uint32_t i = 1; i < now->wants.spaces.n; i++)
		assert_true(stands_in(&before->wants, &now->wants.spaces.items[i], false));
}

static void check_containers(const struct file *before, const struct file *now, struct arena *a)
{
	static const struct ruleset nothing;

	for (uint32_t i = 1; i < now->wants.spaces.n; i++) {
		const struct space *space = &now->wants.spaces.items[i];
		uint32_t k = state_find_space(&before->wants, space->container);

		assert_true(same_rules(
			&space->ruleset,
			k == NONE ? &nothing : &before->wants.spaces.items[k].ruleset, a));
	}
}

/* Of those that stay the same is to be said, of those that come nothing. */
static void check_findings(const struct amendment *amendment, const struct file *before,
			   const struct file *now)
{
	uint32_t k = 0;

	list_each (f, &before->findings.list) {
		uint32_t number =
			f->origin == NONE ? NONE : amendment_number_now(amendment, f->origin);

		assert_true(f->origin == NONE || number != NONE);
		assert_true(k < now->findings.list.n);
		assert_string_equal(f->text, now->findings.list.items[k].text);
		assert_int_equal(number, now->findings.list.items[k++].origin);
	}
	assert_int_equal(k, now->findings.list.n);
}

/* A set that is full takes nothing more: the whole makes the table anew. */
static void check_room(struct arena *a, const struct amending *in,
		       const struct amendment *amendment)
{
	list_each (add, &amendment->want.sets) {
		struct set *set = ruleset_find_set(in->have, add->name);
		uint32_t size = set->size;
		struct amendment other;

		set->size = set->n;
		assert_int_equal(amend(&other, a, in), !add->n);
		set->size = size;
	}
}

static bool is_amended(struct arena *a, const texts *old, const texts *new,
		       const struct facts *facts)
{
	/* somebody else's: its addresses are sources only on its own bridge */
	static struct engine_network foreign = {.name = "foreign", .bridge = "br-foreign"};
	struct engine engine = {.networks = {&foreign, 1, 1}};
	struct file before, now;
	struct amendment amendment;
	struct amending in;
	struct ruleset have;

	assert_true(prefix_parse(&foreign.subnet, "192.168.7.0/24"));
	load(&before, a, old, &engine, facts);
	load(&now, a, new, &engine, facts);
	have = before.wants.spaces.items[0].ruleset;
	in = (struct amending){.before = {&before.config, &before.resolution},
			       .now = {&now.config, &now.resolution},
			       .engine = &engine,
			       .facts = facts,
			       .have = &have};
	if (!amend(&amendment, a, &in))
		return false;
	check_findings(&amendment, &before, &now);
	check_routes(&amendment, &before, &now);
	check_containers(&before, &now, a);
	check_origins(&amendment, &now.wants.spaces.items[0].ruleset);
	check_room(a, &in, &amendment);
	apply(&have, a, &amendment);
	assert_true(same_rules(&now.wants.spaces.items[0].ruleset, &have, a));
	now.config.frame++; /* networks or addresses differ */
	assert_false(amend(&amendment, a, &in));
	return true;
}

static const struct facts facts_of_docker = {.variant = VARIANT_NFT,
					     .docker_user = true,
					     .docker_drops = true,
					     .ip_forward = 1,
					     .counters = COUNTERS_OFF,
					     .mark_accept = 0x2000000,
					     .mark_raw = 0x1000000};

TEST(a_table_that_is_amended_is_the_table_of_the_whole_file)
{
	uint32_t amended = 0;

	for (uint32_t s = 0; s < SEEDS; s++) {
		struct facts facts = facts_of_docker;
		struct arena a = {0};
		texts old = {0}, new = {0};

		print_message("# seed %u\n", s);
		seed = s;
		facts.docker_drops = s % 3;
		facts.raw_drops = s % 2;
		for (uint32_t i = 0; i < POLICIES; i++)
			*list_add(&a, &old) = new_policy(&a, s % 2);
		list_each (policy, &old)
			*list_add(&a, &new) = *policy;
		for (uint32_t n = 0; n < CHANGES; n++) {
			for (uint32_t k = 1 + pick(4); k--;)
				change(&new, &a);
			amended += is_amended(&a, &old, &new, &facts);
			old.n = 0;
			list_each (policy, &new)
				*list_add(&a, &old) = *policy;
		}
		arena_release(&a);
	}
	/* the others held something odd */
	assert_in_range(amended, SEEDS * CHANGES / 3, SEEDS * CHANGES - 1);
}

/* Beside many that say something else: every port between two that nobody else names. */
static void fill(texts *policies, struct arena *a)
{
	for (uint32_t i = 0; i < POLICIES; i++)
		*list_add(a, policies) =
			arena_printf(a,
				     "{\"selector\": \"c%u-x\", \"from\": \"c%u-x\", "
				     "\"proto\": \"%s\"}",
				     60 + i / 10 % 20, 85 + i % 5, i % 2 ? "udp" : "tcp");
}

#define ONE    "{\"selector\": \"c1-x\", \"from\": \"c2-x\", \"port\": 1}"
#define SELDOM "{\"selector\": \"c4-x\", \"from\": \"c5-x\", \"port\": 9}"

#define DNAT(to, port)                                                                             \
	"{\"selector\": \"c2-x\", \"nat\": \"dnat\", \"to\": \"" to "\", \"port\": " port "}"

TEST(what_is_said_twice_stays_and_what_is_not_only_an_element_is_left_to_the_whole)
{
	static const struct {
		const char *old[3], *new[3];
		bool amended;
	} cases[] = {
		/* ports: another one, one more, none any more */
		{{ONE}, {"{\"selector\": \"c1-x\", \"from\": \"c2-x\", \"port\": 2}"}, true},
		{{ONE}, {"{\"selector\": \"c1-x\", \"from\": \"c2-x\", \"port\": [1, 3]}"}, true},
		{{ONE}, {"{\"selector\": \"c1-x\", \"from\": \"c2-x\"}"}, false},
		{{ONE, SELDOM}, {"{\"selector\": \"c1-x\", \"from\": \"c2-x\"}", SELDOM}, true},
		{{ONE, SELDOM}, {SELDOM}, true},
		{{ONE, SELDOM}, {SELDOM, ONE}, true},
		{{ONE}, {ONE, SELDOM}, true},
		/* the set's last element, and its first */
		{{ONE}, {NULL}, false},
		{{NULL}, {ONE}, false},
		/* said by somebody else, too: by the same names, by a service, a network, a
		   translation in a container */
		{{ONE, ONE}, {ONE}, true},
		{{ONE, "{\"service_name\": \"s1\", \"from\": \"c2-x\", \"port\": 1}"},
		 {"{\"service_name\": \"s1\", \"from\": \"c2-x\", \"port\": 1}"},
		 true},
		{{ONE, "{\"selector\": \"c1-x\", \"from\": \"s2\", \"port\": 1}"},
		 {"{\"selector\": \"c1-x\", \"from\": \"s2\", \"port\": 1}"},
		 true},
		{{ONE, "{\"selector\": \"c1-x\", \"from\": \"10.0.2.0/24\", \"port\": 1}", SELDOM},
		 {"{\"selector\": \"c1-x\", \"from\": \"10.0.2.0/24\", \"port\": 1}", SELDOM},
		 true},
		{{ONE, "{\"selector\": \"c2-x\", \"nat\": \"dnat\", \"to\": \"c1-x\", \"port\": 7, "
		       "\"to_port\": 1}"},
		 {"{\"selector\": \"c2-x\", \"nat\": \"dnat\", \"to\": \"c1-x\", \"port\": 7, "
		  "\"to_port\": 1}"},
		 true},
		/* names that are numbered anew */
		{{SELDOM, "{\"selector\": \"c1\", \"from\": \"10.0.3.13\", \"port\": 2}"},
		 {"{\"selector\": \"c2\", \"from\": \"10.0.0.10\", \"port\": 3}",
		  "{\"selector\": \"c1\", \"from\": \"10.0.3.13\", \"port\": 2}"},
		 true},
		{{"{\"selector\": \"c1-x\", \"from\": \"192.168.8.3\", \"port\": 2}"},
		 {"{\"selector\": \"c1-x\", \"from\": \"192.168.8.4\", \"port\": 2}"},
		 true},
		/* every field counts */
		{{ONE},
		 {"{\"selector\": \"c1-x\", \"from\": \"c2-x\", \"port\": 1, \"proto\": \"udp\"}"},
		 true},
		{{"{\"service_name\": \"s1\", \"from\": \"c2-x\", \"port\": 1}"},
		 {"{\"selector\": \"s1\", \"from\": \"c2-x\", \"port\": 1}"},
		 false},
		{{DNAT("c1-x", "7")}, {DNAT("c4-x", "7")}, false},
		{{DNAT("c1-x", "7")}, {DNAT("c1-x", "8")}, false},
		{{DNAT("c1-x", "7")}, {DNAT("c1-x", "7, \"to_port\": 8")}, false},
		{{DNAT("c1-x", "7")}, {DNAT("c1-x", "7, \"masquerade\": false")}, false},
		{{DNAT("c1-x", "7")}, {DNAT("c1-x", "7, \"iface\": \"ext0\"")}, false},
		{{DNAT("c1-x", "7")}, {DNAT("c1-x", "7, \"name\": \"c5-x\"")}, false},
		{{"{\"selector\": \"c2-x\", \"nat\": \"masquerade\", \"to\": \"c1-x\"}"},
		 {"{\"selector\": \"c2-x\", \"nat\": \"dnat\", \"to\": \"c1-x\"}"},
		 false},
		/* ranges, translations, who waits, foreign sources */
		{{ONE, "{\"selector\": \"c1-x\", \"from\": \"c2-x\", \"port\": \"5-8\"}"},
		 {ONE},
		 false},
		{{ONE},
		 {ONE, "{\"selector\": \"c1-x\", \"from\": \"c2-x\", \"port\": \"5-8\"}"},
		 false},
		{{ONE}, {ONE, "{\"selector\": \"c1-x\", \"from\": \"any\", \"port\": 5}"}, false},
		{{ONE},
		 {ONE,
		  "{\"selector\": \"c2-x\", \"nat\": \"dnat\", \"to\": \"c1-x\", \"port\": 7}"},
		 false},
		{{ONE},
		 {ONE, "{\"selector\": \"c2-x\", \"from\": \"nobody\", \"port\": 7}"},
		 false},
		{{ONE, "{\"selector\": \"c2-x\", \"from\": \"nobody\", \"port\": 7}"},
		 {ONE},
		 false},
		{{ONE},
		 {ONE, "{\"selector\": \"c2-x\", \"from\": \"192.168.7.3\", \"port\": 7}"},
		 false},
		{{ONE, "{\"selector\": \"c2-x\", \"from\": \"192.168.7.3\", \"port\": 7}"},
		 {ONE},
		 false},
		{{ONE},
		 {ONE, "{\"selector\": \"c2-x\", \"from\": \"192.168.8.3\", \"port\": 7}"},
		 true},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena a = {0};
		texts old = {0}, new = {0};

		print_message("# case %zu\n", i);
		fill(&old, &a);
		fill(&new, &a);
		for (size_t k = 0; k < 3; k++) {
			if (cases[i].old[k])
				*list_add(&a, &old) = cases[i].old[k];
			if (cases[i].new[k])
				*list_add(&a, &new) = cases[i].new[k];
		}
		assert_int_equal(is_amended(&a, &old, &new, &facts_of_docker), cases[i].amended);
		arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_is_said_twice_stays_and_what_is_not_only_an_element_is_left_to_the_whole),
		cmocka_unit_test(a_table_that_is_amended_is_the_table_of_the_whole_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
