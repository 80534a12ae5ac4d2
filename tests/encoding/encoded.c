/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shows the kernel what our messages say, and what nft makes of our text, side by side:
 *     encoded terms                        every kind of term and of set
 *     encoded FILE MAJOR [FILE2 MAJOR2]    every namespace that the file writes rules into, on an
 *                                          engine of this version (0: none), or what FILE2 wants
 *                                          after FILE stood
 * Each is put into a new network namespace, and listed by nft. What is printed is JSON:
 *     [{"of": "host", "sent": LIST, "spelled": LIST, "again": []}, …]
 * again: what we would still change where our messages stand already.
 */
#include "base/foreign.h"
#include "bench/load.h"
#include "edge/firewall/nft.h"

#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "encoded: %s\n", what);
	exit(1);
}

/* --- this kernel --- */

static struct ns new_namespace(void)
{
	struct error err = {0};
	struct ns ns;

	if (unshare(CLONE_NEWNET) < 0)
		fail("no network namespace can be made");
	if (!ns_open_host(&ns, &err))
		fail(err.text);
	return ns;
}

static void print_changes(const nft_changes *changes)
{
	const char *comma = "";

	printf("[");
	list_each (change, changes) {
		AUTO_BUF struct buf text = {0}, quoted = {0};

		buf_printf(&text, "%c ", change->sign);
		nft_print_change(&text, change, 0);
		buf_json_string(&quoted, buf_text(&text));
		printf("%s%s", comma, buf_text(&quoted));
		comma = ", ";
	}
	printf("]");
}

/* commit: it is done; else what there would be to do is printed, a JSON list. */
static void change_to(const struct ns *ns, const struct ruleset *want, bool commit)
{
	AUTO_RELEASE struct arena a = {0};
	struct nft_batch batch = {0};
	nft_changes changes = {0};
	struct error err = {0};
	struct ruleset have;
	uint32_t origin;

	if (!fw_nft_read(&have, &a, ns, NULL, &err))
		fail(err.text);
	nft_batch_begin(&batch, &a, 1);
	nft_diff(&batch, &changes, &a, want, &have);
	nft_batch_end(&batch, &a);
	if (commit && !fw_nft_commit(ns, &batch, &origin, &err))
		fail(err.text);
	buf_free(&batch.bytes);
	if (!commit)
		print_changes(&changes);
}

static void list(const char *name)
{
	printf(",\n\"%s\": ", name);
	fflush(stdout);
	if (system("nft -j list ruleset") != 0)
		fail("nft does not list");
}

static void spell(const struct ruleset *rs)
{
	AUTO_BUF struct buf text = {0};
	FILE *nft = popen("nft -f -", "w");

	nft_print(&text, rs);
	if (!nft || fwrite(buf_text(&text), 1, text.len, nft) != text.len || pclose(nft) != 0)
		fail("nft does not take the text");
}

static void show(const char *of, const struct ruleset *before, const struct ruleset *want)
{
	struct ns ns = new_namespace();
	static const char *comma = "";

	printf("%s{\"of\": \"%s\"", comma, of);
	comma = ",\n";
	if (before)
		change_to(&ns, before, true);
	change_to(&ns, want, true);
	list("sent");
	printf(",\n\"again\": ");
	change_to(&ns, want, false);
	ns_close(&ns);
	ns = new_namespace();
	spell(want);
	list("spelled");
	printf("}");
	ns_close(&ns);
}

/* --- files --- */

static struct loaded load(const char *path, const char *major)
{
	static const struct engine no_engine;
	struct facts facts = load_facts((uint32_t)atoi(major));
	struct loaded l = {0};
	struct buf text = {0}; /* kept: the config points into it */

	facts.docker_drops = facts.docker_user = atoi(major);
	load_file(&text, path);
	load_parse(&l, &text);
	load_resolve(&l);
	load_compile(&l, &no_engine, &facts);
	load_encode(&l);
	return l;
}

static const struct ruleset *find(const struct loaded *l, const char *container)
{
	uint32_t i = container ? state_find_space(&l->want, container) : 0;

	return i == NONE ? NULL : &l->want.spaces.items[i].ruleset;
}

static void show_files(int argc, char **argv)
{
	struct loaded before = {0}, l = load(argv[argc - 2], argv[argc - 1]);

	if (argc > 3)
		before = load(argv[1], argv[2]);
	list_each (space, &l.want.spaces)
		if (space->ruleset.exists)
			show(space->container ? space->container : "host",
			     argc > 3 ? find(&before, space->container) : NULL, &space->ruleset);
}

/* --- every term --- */

struct sample {
	struct ruleset rs;
	struct arena a;
};

static struct rule *rule_of(struct sample *s, struct chain *chain, uint8_t family)
{
	struct rule *rule = list_add(&s->a, &chain->rules);

	rule->family = family;
	rule->origin = NONE;
	return rule;
}

static struct rule *add(struct sample *s, struct chain *chain, uint8_t family, struct term term)
{
	struct rule *rule = rule_of(s, chain, family);

	*list_add(&s->a, &rule->terms) = term;
	return rule;
}

static void add_behind(struct sample *s, struct rule *rule, struct term term)
{
	*list_add(&s->a, &rule->terms) = term;
}

static struct chain *chain_of(struct sample *s, const char *name, const char *type, uint32_t hook,
			      int32_t priority)
{
	struct chain *chain = list_add(&s->a, &s->rs.chains);

	*chain = (struct chain){.name = name, .type = type, .hook = hook, .priority = priority};
	return chain;
}

static struct set *set_of(struct sample *s, const char *name, uint8_t n_key, const enum field key[])
{
	struct set *set = list_add(&s->a, &s->rs.sets);

	set->name = name;
	set->n_key = n_key;
	memcpy(set->key, key, n_key * sizeof(*key));
	set->size = 64;
	return set;
}

static void fill(struct sample *s, struct set *set, const char *bytes)
{
	memcpy(set_add(set, &s->a, NONE), bytes, set_stride(set));
}

static void add_sets(struct sample *s)
{
	struct set *set = set_of(s, "pairs", 4,
				 (enum field[]){FIELD_IP4, FIELD_IP4, FIELD_PROTO, FIELD_PORT});

	fill(s, set, "\x0a\x01\x02\x03\xac\x12\x67\x02\x84\0\0\0\x12\x34\0");
	fill(s, set, "\x0a\x01\x02\x03\xac\x12\x67\x02\x06\0\0\0\0\x50\0");
	fill(s, set, "\x0a\x01\x02\x03\xac\x12\x67\x02\x11\0\0\0\0\x35\0");
	fill(s, set, "\x0a\x01\x02\x03\xac\x12\x67\x02\x01\0\0\0\0\0\0");
	set_finish(set, &s->a);
	set = set_of(s, "counted", 3, (enum field[]){FIELD_IP4, FIELD_PROTO, FIELD_PORT});
	set->counts = true;
	fill(s, set, "\x0a\x01\x02\x03\x84\0\0\0\x12\x34\0");
	set_finish(set, &s->a);
	set = set_of(s, "ranges", 3, (enum field[]){FIELD_IP4, FIELD_PROTO, FIELD_PORT});
	set->interval = true;
	fill(s, set, "\x0a\x01\x20\0\x06\0\0\0\x12\x34\0\0\x0a\x01\x2f\xff\x11\0\0\0\x12\x40\0");
	set_finish(set, &s->a);
	set = set_of(s, "nets", 1, (enum field[]){FIELD_IP4});
	set->interval = true;
	fill(s, set, "\x0a\x01\x20\0\x0a\x01\x2f\xff");
	fill(s, set, "\x0a\x01\x30\0\x0a\x01\x30\x03");
	set_finish(set, &s->a);
	set = set_of(s, "names", 2, (enum field[]){FIELD_IFNAME, FIELD_IFNAME});
	fill(s, set, "br-0123456789ab\0eth0\0\0\0\0\0\0\0\0\0\0\0");
	set_finish(set, &s->a);
	set = set_of(s, "to", 2, (enum field[]){FIELD_PROTO, FIELD_PORT});
	memcpy(set->data, (enum field[]){FIELD_IP4, FIELD_PORT}, 2 * sizeof(enum field));
	set->n_data = 2;
	fill(s, set, "\x84\0\0\0\x12\x34\0\0\xac\x12\x67\x02\x43\x21\0");
	set_finish(set, &s->a);
}

/* 2001:db8::1, then numbers of all kinds. */
#define IP6	 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define MAC	 "\x02\x42\xac\x12\x67\x02\0\0"
#define NET6	 "\xfd\x00\x12\x34\0\0\0\0\0\0\0\0\0\0\0\0"
#define NET6_END "\xfd\x00\x12\x34\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"

static void add_sets_of_ipv6(struct sample *s)
{
	struct set *set = set_of(s, "pairs6", 4,
				 (enum field[]){FIELD_IP6, FIELD_IP6, FIELD_PROTO, FIELD_PORT});

	fill(s, set, IP6 NET6 "\x06\0\0\0\0\x50\0");
	fill(s, set, IP6 NET6_END "\x3a\0\0\0\0\0\0");
	set_finish(set, &s->a);
	set = set_of(s, "forwarded6", 4,
		     (enum field[]){FIELD_IFNAME, FIELD_IP6, FIELD_PROTO, FIELD_PORT});
	fill(s, set, "eth0\0\0\0\0\0\0\0\0\0\0\0\0" IP6 "\x06\0\0\0\0\x50\0");
	set_finish(set, &s->a);
	set = set_of(s, "nets6", 1, (enum field[]){FIELD_IP6});
	set->interval = true;
	fill(s, set, NET6 NET6_END);
	fill(s, set, IP6 IP6);
	set_finish(set, &s->a);
	set = set_of(s, "to6", 3, (enum field[]){FIELD_IFNAME, FIELD_PROTO, FIELD_PORT});
	memcpy(set->data, (enum field[]){FIELD_IP6, FIELD_PORT}, 2 * sizeof(enum field));
	set->n_data = 2;
	fill(s, set, "eth0\0\0\0\0\0\0\0\0\0\0\0\0\x06\0\0\0\0\x50\0\0" IP6 "\x43\x21\0");
	set_finish(set, &s->a);
}

static void add_sets_of_senders(struct sample *s)
{
	struct set *set =
		set_of(s, "senders", 3, (enum field[]){FIELD_IFNAME, FIELD_ETHER, FIELD_IP4});

	fill(s, set, "br-0123456789ab\0" MAC "\x0a\x01\x02\x03");
	set_finish(set, &s->a);
	set = set_of(s, "senders6", 3, (enum field[]){FIELD_IFNAME, FIELD_ETHER, FIELD_IP6});
	fill(s, set, "br-0123456789ab\0" MAC IP6);
	set_finish(set, &s->a);
	set = set_of(s, "stations", 2, (enum field[]){FIELD_IFNAME, FIELD_ETHER});
	fill(s, set, "br-0123456789ab\0" MAC);
	set_finish(set, &s->a);
}

static void add_verdicts(struct sample *s)
{
	struct set *set = set_of(s, "where", 1, (enum field[]){FIELD_PROTO});
	struct verdict to[] = {verdict_to(true, "last"), verdict_to(false, "last")};

	set->data[set->n_data++] = FIELD_VERDICT;
	for (size_t i = 0; i < COUNT_OF(to); i++) {
		uint8_t *at = set_add(set, &s->a, NONE);

		memcpy(at, (uint8_t[]){i ? IPPROTO_SCTP : IPPROTO_UDP, 0, 0, 0}, 4);
		memcpy(at + 4, &to[i].id, sizeof(to[i].id));
		set_note_verdict(set, &s->a, to[i]);
	}
	set_finish(set, &s->a);
}

/* Bits and lengths that are no whole bytes, and differ from their own reverse. */
static void add_matches(struct sample *s, struct chain *c)
{
	static const uint8_t lens[] = {1, 7, 12, 17, 24, 31, 32};

	add(s, c, 0, (struct term){.kind = TERM_IIFNAME, .name = "eth0"});
	add(s, c, 0, (struct term){.kind = TERM_OIFNAME, .name = "br-0123456789ab"});
	add(s, c, 0, (struct term){.kind = TERM_NOT_OIFNAME, .name = "wg0"});
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		struct prefix p = prefix_canonical((struct prefix){ip_v4(0xac1e67fe), lens[i]});

		add(s, c, 4, (struct term){.kind = TERM_SADDR, .prefix = p});
		add(s, c, 4, (struct term){.kind = TERM_DADDR, .prefix = p});
	}
	for (uint8_t len = 1; len <= 128; len = (uint8_t)(len * 2 + len % 7)) {
		struct prefix p = {.len = len};

		if (!ip_parse(&p.ip, "2001:db8:1e67:fe01:8000:7:55:3"))
			fail("no address");
		p = prefix_canonical(p);
		add(s, c, 6, (struct term){.kind = TERM_SADDR, .prefix = p});
		add(s, c, 6, (struct term){.kind = TERM_DADDR, .prefix = p});
	}
	for (uint16_t high = 3; high <= 4; high++) {
		add_behind(s,
			   add(s, c, 4, (struct term){.kind = TERM_PROTO, .number = IPPROTO_ICMP}),
			   (struct term){.kind = TERM_ICMP_TYPE, .low = 3, .high = high});
		add_behind(
			s,
			add(s, c, 6, (struct term){.kind = TERM_PROTO, .number = IPPROTO_ICMPV6}),
			(struct term){.kind = TERM_ICMP_TYPE, .low = 3, .high = high});
	}
	add_behind(s, add(s, c, 0, (struct term){.kind = TERM_PROTO, .number = IPPROTO_TCP}),
		   (struct term){.kind = TERM_TCP_BEGINS});
	add(s, c, 0, (struct term){.kind = TERM_PROTO, .number = IPPROTO_SCTP});
	add(s, c, 0, (struct term){.kind = TERM_PROTO, .number = IPPROTO_ICMP});
	for (int kind = TERM_SPORT; kind <= TERM_DPORT; kind++)
		for (uint16_t high = 0x1234; high <= 0x1300; high = (uint16_t)(high + 0xcc)) {
			struct rule *rule = add(
				s, c, 0, (struct term){.kind = TERM_PROTO, .number = IPPROTO_UDP});

			add_behind(s, rule,
				   (struct term){.kind = (enum term_kind)kind,
						 .low = 0x1234,
						 .high = high});
		}
	add_behind(s, add(s, c, 0, (struct term){.kind = TERM_PROTO, .number = IPPROTO_TCP}),
		   (struct term){.kind = TERM_ORIGINAL_DPORT, .low = 0x1234});
	for (uint32_t bit = CT_INVALID; bit <= CT_UNTRACKED; bit <<= 1)
		if (bit <= CT_NEW || bit == CT_UNTRACKED)
			add(s, c, 0, (struct term){.kind = TERM_CT_STATE, .number = bit});
	add(s, c, 0, (struct term){.kind = TERM_CT_STATE, .number = CT_ESTABLISHED | CT_RELATED});
	add(s, c, 0, (struct term){.kind = TERM_CT_STATUS_DNAT});
	add(s, c, 0, (struct term){.kind = TERM_CT_UNCONFIRMED});
	add_behind(s, add(s, c, 0, (struct term){.kind = TERM_LIMIT, .number = 1000}),
		   (struct term){.kind = TERM_LOG, .name = LOG_ALLOWED});
	add(s, c, 0, (struct term){.kind = TERM_MARK_HAS, .number = 0x2000004});
	add(s, c, 0, (struct term){.kind = TERM_CT_MARK, .number = 0x2000004, .mask = 0x3000006});
	add(s, c, 0, (struct term){.kind = TERM_CT_MARK, .number = 0x2000004, .mask = UINT32_MAX});
	add(s, c, 0, (struct term){.kind = TERM_CT_DIRECTION, .number = 0});
	add(s, c, 0, (struct term){.kind = TERM_CT_DIRECTION, .number = 1});
}

static void add_lookups(struct sample *s, struct chain *c)
{
	add(s, c, 4,
	    (struct term){.kind = TERM_LOOKUP,
			  .name = "pairs",
			  .n_loads = 4,
			  .loads = {LOAD_SADDR, LOAD_DADDR, LOAD_PROTO, LOAD_DPORT}});
	add(s, c, 4,
	    (struct term){.kind = TERM_LOOKUP_NOT,
			  .name = "pairs",
			  .n_loads = 4,
			  .loads = {LOAD_DADDR, LOAD_SADDR, LOAD_PROTO, LOAD_SPORT}});
	add(s, c, 4, (struct term){.kind = TERM_LOOKUP, .name = "nets", .n_loads = 1});
	add(s, c, 4,
	    (struct term){.kind = TERM_LOOKUP,
			  .name = "ranges",
			  .n_loads = 3,
			  .loads = {LOAD_DADDR, LOAD_PROTO, LOAD_DPORT}});
	add(s, c, 4,
	    (struct term){.kind = TERM_LOOKUP,
			  .name = "counted",
			  .n_loads = 3,
			  .loads = {LOAD_DADDR, LOAD_PROTO, LOAD_DPORT}});
	add(s, c, 0,
	    (struct term){.kind = TERM_LOOKUP_NOT,
			  .name = "names",
			  .n_loads = 2,
			  .loads = {LOAD_IIFNAME, LOAD_OIFNAME}});
	add(s, c, 6,
	    (struct term){.kind = TERM_LOOKUP,
			  .name = "pairs6",
			  .n_loads = 4,
			  .loads = {LOAD_SADDR, LOAD_DADDR, LOAD_PROTO, LOAD_DPORT}});
	add(s, c, 6,
	    (struct term){.kind = TERM_LOOKUP,
			  .name = "forwarded6",
			  .n_loads = 4,
			  .loads = {LOAD_IIFNAME, LOAD_DADDR, LOAD_PROTO, LOAD_DPORT}});
	add(s, c, 6, (struct term){.kind = TERM_LOOKUP, .name = "nets6", .n_loads = 1});
	add(s, c, 4,
	    (struct term){.kind = TERM_LOOKUP,
			  .name = "senders",
			  .n_loads = 3,
			  .loads = {LOAD_IIFNAME, LOAD_ETHER_SADDR, LOAD_SADDR}});
	add(s, c, 6,
	    (struct term){.kind = TERM_LOOKUP,
			  .name = "senders6",
			  .n_loads = 3,
			  .loads = {LOAD_IIFNAME, LOAD_ETHER_SADDR, LOAD_SADDR}});
	add(s, c, 6,
	    (struct term){.kind = TERM_LOOKUP_NOT,
			  .name = "stations",
			  .n_loads = 2,
			  .loads = {LOAD_IIFNAME, LOAD_ETHER_SADDR}});
	add(s, c, 0,
	    (struct term){.kind = TERM_VMAP, .name = "where", .n_loads = 1, .loads = {LOAD_PROTO}});
}

static void add_deeds(struct sample *s, struct chain *c)
{
	add(s, c, 0, (struct term){.kind = TERM_ACCEPT})->comment = "a comment";
	add(s, c, 0, (struct term){.kind = TERM_COUNTER});
	add(s, c, 0, (struct term){.kind = TERM_MARK_SET, .number = 0x2000004});
	add(s, c, 0, (struct term){.kind = TERM_MARK_CLEAR, .number = 0x2000004});
	add(s, c, 0, (struct term){.kind = TERM_CT_MARK_SET, .number = 0x2000004});
	add(s, c, 0,
	    (struct term){.kind = TERM_CT_MARK_SET, .number = 0x2000004, .mask = 0x3000006});
	add(s, c, 0, (struct term){.kind = TERM_CT_MARK_SET, .mask = 0x3000006});
	add(s, c, 0, (struct term){.kind = TERM_JUMP, .name = "last"});
	add(s, c, 0, (struct term){.kind = TERM_ACCEPT});
	add(s, c, 0, (struct term){.kind = TERM_DROP});
	add(s, c, 0, (struct term){.kind = TERM_RETURN});
	add(s, c, 0, (struct term){.kind = TERM_GOTO, .name = "last"});
}

static void add_translations(struct sample *s, struct chain *pre, struct chain *post)
{
	struct prefix to = {ip_v4(0xac126702), 32};

	add(s, pre, 4, (struct term){.kind = TERM_FIB_LOCAL});
	add(s, post, 4, (struct term){.kind = TERM_FIB_OWN});
	add(s, pre, 4, (struct term){.kind = TERM_FIB_FOREIGN});
	add(s, pre, 4, (struct term){.kind = TERM_DNAT, .prefix = to});
	add_behind(s, add(s, pre, 4, (struct term){.kind = TERM_PROTO, .number = IPPROTO_TCP}),
		   (struct term){.kind = TERM_DNAT, .prefix = to, .low = 0x1234, .high = 0x1234});
	add(s, pre, 4,
	    (struct term){.kind = TERM_DNAT_MAP,
			  .name = "to",
			  .n_loads = 2,
			  .loads = {LOAD_PROTO, LOAD_DPORT}});
	if (!ip_parse(&to.ip, "2001:db8::7"))
		fail("no address");
	to.len = 128;
	add(s, pre, 6, (struct term){.kind = TERM_FIB_LOCAL});
	add(s, post, 6, (struct term){.kind = TERM_FIB_OWN});
	add(s, pre, 6, (struct term){.kind = TERM_FIB_FOREIGN});
	add(s, pre, 6, (struct term){.kind = TERM_DNAT, .prefix = to});
	add_behind(s, add(s, pre, 6, (struct term){.kind = TERM_PROTO, .number = IPPROTO_TCP}),
		   (struct term){.kind = TERM_DNAT, .prefix = to, .low = 0x1234, .high = 0x1234});
	add(s, pre, 6,
	    (struct term){.kind = TERM_DNAT_MAP,
			  .name = "to6",
			  .n_loads = 3,
			  .loads = {LOAD_IIFNAME, LOAD_PROTO, LOAD_DPORT}});
	add(s, post, 6, (struct term){.kind = TERM_SNAT_SELF});
	add(s, post, 6, (struct term){.kind = TERM_MASQUERADE});
	add(s, post, 4, (struct term){.kind = TERM_SNAT_SELF});
	add(s, post, 4, (struct term){.kind = TERM_MASQUERADE});
}

static void show_terms(void)
{
	struct sample s = {.rs = {.exists = true}};
	struct chain *last;

	list_reserve(&s.a, &s.rs.chains, 8); /* they stay where they are */
	last = chain_of(&s, "last", NULL, 0, 0);
	add_sets(&s);
	add_sets_of_ipv6(&s);
	add_sets_of_senders(&s);
	add_verdicts(&s);
	add_deeds(&s, last);
	last->rules.n = 3; /* it can't jump to itself */
	add_matches(&s, chain_of(&s, "matches", "filter", 2, -10));
	add_lookups(&s, chain_of(&s, "lookups", "filter", 0, -310));
	add_deeds(&s, chain_of(&s, "deeds", NULL, 0, 0));
	add_translations(&s, chain_of(&s, "pre", "nat", 0, -110),
			 chain_of(&s, "post", "nat", 4, 90));
	nft_encode_ruleset(&s.rs, &s.a);
	show("terms", NULL, &s.rs);
	arena_release(&s.a);
}

int main(int argc, char **argv)
{
	printf("[");
	if (argc == 2 && !strcmp(argv[1], "terms"))
		show_terms();
	else if (argc == 3 || argc == 5)
		show_files(argc, argv);
	else
		fail("usage: encoded terms | FILE MAJOR [FILE2 MAJOR2]");
	printf("]\n");
	return 0;
}
