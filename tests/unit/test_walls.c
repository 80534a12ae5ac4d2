/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is understood of other people's rules, in both languages, and whom they stop. */
#include "core/foreign/openings.h"
#include "core/foreign/walls.h"
#include "core/nft/nft.h"
#include "unit/test.h"

#include <netinet/in.h>

enum { INET = 1, IP4 = 2, IP6 = 10 }; /* as linux/netfilter.h has them */

static struct prefix net(const char *text)
{
	struct prefix p = {0};

	if (*text)
		assert_true(prefix_parse(&p, text));
	return p;
}

/* --- one rule --- */

static struct rule *new_rule(struct arena *a, struct ruleset *rs)
{
	struct chain *chain = list_add(a, &rs->chains);

	return list_add(a, &chain->rules);
}

TEST(what_is_read_of_a_line_is_said_in_the_same_words)
{
	static const char *const lines[] = {
		"-A DOCKER-USER -s 203.0.113.7/32 -j DROP",
		"-A DOCKER-USER ! -s 203.0.0.0/17 ! -d 10.0.0.0/8 -i ext0 ! -o br+ -j REJECT",
		"-A DOCKER-USER -p tcp -m multiport --dports 80,443,8000:8010 -j RETURN",
		"-A DOCKER-USER -p udp -m udp --dport 80:90 -j ACCEPT",
		"-A DOCKER-USER -p udp -m udp ! --dport 53 -j DROP",
		"-A DOCKER-USER -m conntrack --ctstate NEW,DNAT -j DROP",
		"-A DOCKER-USER -m mark --mark 0x2000000/0x2000000 -j ACCEPT",
		"-A DOCKER-USER -m connmark --mark 0x1/0xff -g ELSEWHERE",
		"-A DOCKER-USER ! -p tcp -j f2b-web",
		"-A DOCKER-USER -p 47 -j DROP",
	};

	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		AUTO_RELEASE struct arena a = {0};
		const char *chain;
		struct plain p;

		assert_true(plain_parse(&p, &chain, &a, lines[i], strlen(lines[i])));
		assert_string_equal(chain, "DOCKER-USER");
		assert_false(p.more || p.ours || p.commented);
		assert_string_equal(plain_text(&p, chain, &a), lines[i]);
		p.text = NULL;
		assert_string_equal(plain_text(&p, chain, &a), lines[i]);
	}
}

TEST(what_is_not_understood_narrows_a_rule_and_what_follows_its_target_does_not)
{
	static const struct {
		const char *line;
		bool more, everything;
	} cases[] = {
		{"-A X -j RETURN", false, true},
		{"-A X -m comment --comment \"with \\\"words\\\" -s 1.2.3.4/32\" -j RETURN", false,
		 true},
		{"-A X -j REJECT --reject-with tcp-reset", false, true},
		{"-A X -m limit --limit 3/min -j DROP", true, false},
		{"-A X -m set --match-set bad src -j DROP", true, false},
		{"-A X -m conntrack --ctdir ORIGINAL -j DROP", true, false},
		{"-A X -p esp -j DROP", true, false},
		{"-A X -p tcp -m tcp --sport 80 -j DROP", false, false},
		{"-A X -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", false, false},
		{"-A X -p tcp -m tcp --tcp-flags ALL NONE -j DROP", true, false},
		{"-A X -p tcp -m tcp --dport 70000 -j DROP", true, false},
		{"-A X -m", true, false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		const char *chain;
		struct plain p;

		assert_true(plain_parse(&p, &chain, &a, cases[i].line, strlen(cases[i].line)));
		if (p.more != cases[i].more || plain_matches_everything(&p) != cases[i].everything)
			fail_msg("%s", cases[i].line);
	}
}

TEST(expressions_of_nf_tables_read_as_the_same_rule)
{
	static const struct {
		const char *text;
		struct term terms[5];
	} cases[] = {
		{"-A X -i eth9 -j DROP",
		 {{.kind = TERM_IIFNAME, .name = "eth9"},
		  {.kind = TERM_COUNTER},
		  {.kind = TERM_DROP}}},
		{"-A X ! -o br-a -j X1",
		 {{.kind = TERM_NOT_OIFNAME, .name = "br-a"}, {.kind = TERM_JUMP, .name = "X1"}}},
		{"-A X -p tcp -m tcp --dport 80 -j ACCEPT",
		 {{.kind = TERM_PROTO, .number = IPPROTO_TCP},
		  {.kind = TERM_DPORT, .low = 80, .high = 80},
		  {.kind = TERM_ACCEPT}}},
		{"-A X -p udp -m udp --dport 80:90 -j RETURN",
		 {{.kind = TERM_PROTO, .number = IPPROTO_UDP},
		  {.kind = TERM_DPORT, .low = 80, .high = 90},
		  {.kind = TERM_RETURN}}},
		{"-A X -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		 {{.kind = TERM_CT_STATE, .number = CT_ESTABLISHED | CT_RELATED},
		  {.kind = TERM_ACCEPT}}},
		{"-A X -m conntrack --ctstate DNAT -j ACCEPT",
		 {{.kind = TERM_CT_STATUS_DNAT}, {.kind = TERM_ACCEPT}}},
		{"-A X -m mark --mark 0x2000000/0x2000000 -j ACCEPT",
		 {{.kind = TERM_MARK_HAS, .number = 0x2000000}, {.kind = TERM_ACCEPT}}},
		{"-A X -m connmark --mark 0x2000000/0x2000000 -g X1",
		 {{.kind = TERM_CT_MARK, .number = 0x2000000, .mask = 0x2000000},
		  {.kind = TERM_GOTO, .name = "X1"}}},
		{"-A X … -j DROP", {{.kind = TERM_FIB_LOCAL}, {.kind = TERM_DROP}}},
		{"-A X", {{.kind = TERM_MARK_SET, .number = 1}}},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct ruleset rs = {0};
		struct rule *rule = new_rule(&a, &rs);
		struct plain p;

		for (size_t t = 0; t < COUNT_OF(cases[i].terms) &&
				   (cases[i].terms[t].kind || cases[i].terms[t].name);
		     t++)
			*list_add(&a, &rule->terms) = cases[i].terms[t];
		nft_encode_ruleset(&rs, &a);
		p = plain_of_rule(&rs.chains.items[0].rules.items[0], &a, INET);
		assert_string_equal(plain_text(&p, "X", &a), cases[i].text);
	}
}

TEST(addresses_of_both_families_are_told_apart)
{
	static const struct {
		const char *prefix, *text;
	} cases[] = {
		{"203.0.113.7/32", "-A X -s 203.0.113.7/32 -j DROP"},
		{"203.0.0.0/17", "-A X -s 203.0.0.0/17 -j DROP"},
		{"2001:db8::7/128", "-A X -s 2001:db8::7/128 -j DROP"},
		{"2001:db8::/64", "-A X -s 2001:db8::/64 -j DROP"},
		{"2001:db8:4000::/35", "-A X -s 2001:db8:4000::/35 -j DROP"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct ruleset rs = {0};
		struct rule *rule = new_rule(&a, &rs);
		struct plain p;

		rule->family = net(cases[i].prefix).ip.family;
		*list_add(&a, &rule->terms) =
			(struct term){.kind = TERM_SADDR, .prefix = net(cases[i].prefix)};
		*list_add(&a, &rule->terms) = (struct term){.kind = TERM_DROP};
		nft_encode_ruleset(&rs, &a);
		p = plain_of_rule(&rs.chains.items[0].rules.items[0], &a, INET);
		assert_false(p.more);
		assert_string_equal(plain_text(&p, "X", &a), cases[i].text);
		each_family (family) {
			const struct packet packet = {.family = family, .proto = IPPROTO_TCP};

			assert_int_equal(plain_matches(&p, &packet),
					 family == rule->family ? MATCHES_SOME : MATCHES_NONE);
		}
	}
}

/* As nft writes `ip6 daddr` into a table of IPv6, which does not say the family again. */
TEST(a_table_of_ipv6_says_the_family_for_its_rules)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset rs = {0};
	struct rule *rule = new_rule(&a, &rs);
	struct plain p;
	const struct packet six = {.family = 6}, four = {.family = 4};

	*list_add(&a, &rule->terms) = (struct term){.kind = TERM_DROP};
	nft_encode_ruleset(&rs, &a);
	p = plain_of_rule(&rs.chains.items[0].rules.items[0], &a, IP6);
	assert_int_equal(plain_matches(&p, &six), MATCHES_ALL);
	assert_int_equal(plain_matches(&p, &four), MATCHES_NONE);
	p = plain_of_rule(&rs.chains.items[0].rules.items[0], &a, INET);
	assert_int_equal(plain_matches(&p, &six), MATCHES_ALL);
	assert_int_equal(plain_matches(&p, &four), MATCHES_ALL);
}

TEST(lines_of_ip6tables_are_read_like_those_of_iptables)
{
	static const struct {
		const char *line, *to;
		uint16_t port;
	} cases[] = {
		{"-A X ! -s 2001:db8::/32 -d fd00::/8 -p ipv6-icmp -j DROP", NULL, 0},
		{"-A X -p icmpv6 -j ACCEPT", NULL, 0},
		{"-A X -p tcp -m tcp --dport 80 -j DNAT --to-destination fd00::2", "fd00::2", 0},
		{"-A X -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::2]:8080", "fd00::2",
		 8080},
		{"-A X -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2:8080", "10.0.0.2",
		 8080},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		const char *chain;
		struct plain p;

		assert_true(plain_parse(&p, &chain, &a, cases[i].line, strlen(cases[i].line)));
		assert_false(p.more || p.extra);
		assert_int_equal(p.to.family != 0, cases[i].to != NULL);
		if (!cases[i].to)
			assert_int_equal(p.proto, IPPROTO_ICMPV6);
		else
			assert_string_equal(ip_format(p.to).s, cases[i].to);
		assert_int_equal(p.to_port, cases[i].port);
	}
}

/* --- a packet before a wall --- */

#define PEER "192.0.2.2/32"

static const struct {
	const char *rules; /* of FORWARD, and of other chains, without "-A " */
	bool drops;
	const char *src, *in; /* of a TCP connection to 172.18.103.2:443 by br-a */
	enum passing passing;
	bool reply;
} stories[] = {
	{"", false, PEER, "ext0", PASSES, false},
	{"", true, PEER, "ext0", IS_STOPPED, false},
	{"FORWARD -s 192.0.2.2/32 -j DROP\n", false, PEER, "ext0", IS_STOPPED, false},
	{"FORWARD -s 192.0.2.3/32 -j DROP\n", false, PEER, "ext0", PASSES, false},
	{"FORWARD -s 192.0.2.2/32 -j DROP\n", false, "192.0.2.0/24", "ext0", PASSES, false},
	{"FORWARD -s 192.0.2.0/24 -p tcp -m tcp --dport 443 -j REJECT\n", false, PEER, "ext0",
	 IS_STOPPED, false},
	{"FORWARD -s 192.0.2.0/24 -p udp -m udp --dport 443 -j REJECT\n", false, PEER, "ext0",
	 PASSES, false},
	{"FORWARD -d 172.16.0.0/12 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP\n", false,
	 "", NULL, IS_STOPPED, false},
	/* not known where it comes in */
	{"FORWARD -i ext0 -j DROP\n", false, "", NULL, MAY_BE_STOPPED, false},
	{"FORWARD -i ext0 -j DROP\n", false, PEER, "wg0", PASSES, false},
	{"FORWARD -i ext0 ! -s 198.51.100.0/24 -j DROP\n", false, "", "ext0", MAY_BE_STOPPED,
	 false},
	/* what lets a part through, and what may */
	{"FORWARD -s 192.0.2.0/25 -j ACCEPT\n", true, "192.0.2.0/24", "ext0", MAY_BE_STOPPED,
	 false},
	{"FORWARD -m set --match-set good src -j ACCEPT\n", true, PEER, "ext0", MAY_BE_STOPPED,
	 false},
	{"FORWARD -m set --match-set bad src -j DROP\n", false, PEER, "ext0", PASSES, false},
	{"FORWARD -o br-a -j ACCEPT\n", true, PEER, "ext0", IS_STOPPED, true},
	{"FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nFORWARD -o br-a -j "
	 "ACCEPT\n",
	 true, PEER, "ext0", PASSES, false},
	{"FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", true, PEER, "ext0",
	 IS_STOPPED, false},
	{"FORWARD -m mark --mark 0x2000000/0x2000000 -j ACCEPT\n", true, PEER, "ext0", PASSES,
	 false},
	{"FORWARD -m mark --mark 0x4/0x4 -j ACCEPT\n", true, PEER, "ext0", MAY_BE_STOPPED, false},
	{"FORWARD -m mark --mark 0x0/0x2000000 -j DROP\n", false, PEER, "ext0", PASSES, false},
	/* the answers */
	{"FORWARD -s 172.18.103.2/32 -j DROP\n", false, PEER, "ext0", IS_STOPPED, true},
	{"FORWARD -i br-a -o ext0 -m conntrack --ctstate NEW -j DROP\n", false, PEER, "ext0",
	 PASSES, false},
	/* other chains */
	{"FORWARD -j A\nA -s 192.0.2.2/32 -j REJECT --reject-with icmp-port-unreachable\nA -j "
	 "RETURN\n",
	 false, PEER, "ext0", IS_STOPPED, false},
	{"FORWARD -j A\nA -s 192.0.2.3/32 -j REJECT\nA -j RETURN\n", false, PEER, "ext0", PASSES,
	 false},
	{"FORWARD -g A\nFORWARD -j DROP\nA -j RETURN\n", false, PEER, "ext0", PASSES, false},
	{"FORWARD -j A\nFORWARD -j DROP\nA -j RETURN\n", false, PEER, "ext0", IS_STOPPED, false},
	{"FORWARD -j A\nA -j B\nB -j ACCEPT\n", true, PEER, "ext0", PASSES, false},
	{"FORWARD -m limit --limit 3/min -j A\nA -j ACCEPT\n", true, PEER, "ext0", MAY_BE_STOPPED,
	 false},
	{"FORWARD -j A\nA -j A\n", true, PEER, "ext0", MAY_BE_STOPPED,
	 false}, /* no kernel takes it */
	{"FORWARD -s 192.0.2.0/25 -g A\nFORWARD -j DROP\nA -j RETURN\n", false, "192.0.2.0/24",
	 "ext0", MAY_BE_STOPPED, false},
	{"FORWARD -j LOG --log-prefix \"-j DROP \"\n", false, PEER, "ext0", PASSES, false},
	{"FORWARD -j HARBORWALL\nHARBORWALL -j DROP\n", false, PEER, "ext0", PASSES, false},
};

static struct wall wall_of(struct arena *a, uint8_t family, const char *rules, bool drops)
{
	const char *save =
		arena_printf(a, ":FORWARD %s [1:2]\n:A - [0:0]\n:B - [0:0]\n:HARBORWALL - [0:0]\n",
			     drops ? "DROP" : "ACCEPT");
	struct wall nothing = {.chain = "FORWARD"};
	wall_list walls = {0};

	for (; rules && *rules; rules += strcspn(rules, "\n") + 1)
		save = arena_printf(a, "%s-A %.*s\n", save, (int)strcspn(rules, "\n"), rules);
	walls_of_save(&walls, VARIANT_NFT, family, a, save, "");
	list_each (wall, &walls)
		if (!wall->before_ours)
			return *wall;
	return nothing;
}

TEST(whom_a_wall_stops)
{
	for (size_t i = 0; i < COUNT_OF(stories); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct wall wall = wall_of(&a, 4, stories[i].rules, stories[i].drops);
		struct packet first = {.src = net(stories[i].src),
				       .dst = net("172.18.103.2/32"),
				       .proto = IPPROTO_TCP,
				       .dports = {443, 443},
				       .in = stories[i].in,
				       .out = "br-a",
				       .mark = 0x2000000};
		struct packet reply = {.reply = true,
				       .src = first.dst,
				       .dst = first.src,
				       .proto = IPPROTO_TCP,
				       .dports = {443, 443},
				       .in = "br-a",
				       .out = stories[i].in,
				       .mark = 0x2000000};
		enum passing got = wall_lets_pass(&wall, &first).passing;
		bool by_reply = got == PASSES;

		if (by_reply)
			got = wall_lets_pass(&wall, &reply).passing;
		if (got != stories[i].passing || (got != PASSES && by_reply != stories[i].reply))
			fail_msg("%s(%s by %s): %d%s", stories[i].rules, stories[i].src,
				 stories[i].in ? stories[i].in : "?", got,
				 by_reply ? " reply" : "");
	}
}

TEST(whom_a_wall_of_ipv6_stops)
{
	static const struct {
		const char *rules;
		bool drops;
		enum passing passing; /* of 2001:db8:2::2 to fd18:103::2, TCP 443 */
	} cases[] = {
		{"", true, IS_STOPPED},
		{"FORWARD -s 2001:db8:2::/64 -j DROP\n", false, IS_STOPPED},
		{"FORWARD -s 2001:db8:3::/64 -j DROP\n", false, PASSES},
		{"FORWARD -s 2001:db8:2::2/128 -p tcp -m tcp --dport 443 -j REJECT --reject-with "
		 "icmp6-port-unreachable\n",
		 false, IS_STOPPED},
		{"FORWARD -p ipv6-icmp -j ACCEPT\n", true, IS_STOPPED},
		{"FORWARD -d fd18::/16 -j ACCEPT\n", true, PASSES},
		{"FORWARD -j ufw6-before-forward\nufw6-before-forward -m rt --rt-type 0 -j DROP\n",
		 false, PASSES},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct wall wall = wall_of(&a, 6, cases[i].rules, cases[i].drops);
		const struct packet first = {.family = 6,
					     .src = net("2001:db8:2::2/128"),
					     .dst = net("fd18:103::2/128"),
					     .proto = IPPROTO_TCP,
					     .dports = {443, 443},
					     .in = "ext0",
					     .out = "br-a",
					     .mark = 0x2000000};

		if (wall_lets_pass(&wall, &first).passing != cases[i].passing)
			fail_msg("%s", cases[i].rules);
		assert_true(!wall.table || wall.family == IP6);
	}
}

/* --- before ours --- */

TEST(rules_before_ours_end_where_ours_must_stand_and_leaving_docker_user_is_no_way_past_it)
{
	AUTO_RELEASE struct arena a = {0};
	static const char filter[] = ":FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n"
				     "-A FORWARD -s 203.0.113.1/32 -j DROP\n-A FORWARD -j "
				     "DOCKER-USER\n-A FORWARD -j DROP\n"
				     "-A DOCKER-USER -s 10.0.0.0/8 -j RETURN\n-A DOCKER-USER -j "
				     "RETURN\n-A DOCKER-USER -j DROP\n";
	static const char raw[] =
		":PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 203.0.113.2/32 -j DROP\n"
		"-A PREROUTING -d 172.18.103.2/32 ! -i br-a -j DROP\n-A PREROUTING -j DROP\n";
	wall_list walls = {0};
	uint32_t n = 0;

	walls_of_save(&walls, VARIANT_LEGACY, 4, &a, filter, raw);
	list_each (wall, &walls) {
		struct packet banned = {.src = net("203.0.113.1/32"), .proto = IPPROTO_TCP},
			      near = {.src = net("10.1.2.3/32"), .proto = IPPROTO_TCP};
		bool user = !strcmp(wall->chain, "DOCKER-USER");

		if (!wall->before_ours)
			continue;
		n++;
		assert_int_equal(wall->rules.n, 1);
		assert_int_equal(wall->from_outside, user);
		assert_int_equal(wall_lets_pass(wall, &near).passing, user ? IS_STOPPED : PASSES);
		assert_int_equal(wall_lets_pass(wall, &banned).passing,
				 strcmp(wall->chain, "FORWARD") ? PASSES : IS_STOPPED);
	}
	assert_int_equal(n, 3);
}

/* As iptables-nft reads them: their table has a family, which is no condition. */
TEST(docker_user_ends_at_a_bare_return_in_tables_of_either_family)
{
	each_family (family) {
		AUTO_RELEASE struct arena a = {0};
		struct ruleset rs = {0};
		struct rule *rule = new_rule(&a, &rs);
		plain_chains filter = {0}, raw = {0};
		wall_list walls = {0};

		rs.chains.items[0].name = "DOCKER-USER";
		*list_add(&a, &rule->terms) = (struct term){.kind = TERM_RETURN};
		nft_encode_ruleset(&rs, &a);
		plain_of_chain(&filter, &a, &rs.chains.items[0], family == 6 ? IP6 : IP4);
		walls_before_ours(&walls, VARIANT_NFT, family, &filter, &raw, &a);
		assert_int_equal(walls.n, 0);
	}
}

/* --- which chains --- */

TEST(chains_that_our_flows_pass_are_those_of_others_at_our_hooks)
{
	static const struct {
		struct listed_chain chain;
		bool pass;
	} cases[] = {
		{{1, "fw", "forward", true, true, 2, 0, 0}, true},   /* inet, forward, drops */
		{{1, "fw", "forward", true, false, 2, 0, 3}, true},  /* rules may */
		{{1, "fw", "forward", true, false, 2, 0, 0}, false}, /* nothing to fear */
		{{1, "fw", "input", true, true, 1, 0, 3}, false},    /* not our way */
		{{1, "fw", "pre", true, false, 0, 0, 3}, false},
		{{1, "fw", "pre", true, true, 0, 0, 3}, true},
		{{2, "filter", "FORWARD", true, true, 2, 0, 3}, true},
		{{10, "filter", "FORWARD", true, true, 2, 0, 3}, true}, /* IPv6 */
		{{10, "fw", "input", true, true, 1, 0, 3}, false},
		{{10, "docker-bridges", "filter-FORWARD", true, false, 2, 0, 3}, false},
		{{7, "fw", "forward", true, true, 2, 0, 3}, false}, /* within a bridge */
		{{7, "fw", "input", true, true, 1, 0, 3}, true},
		{{1, "harborwall", "forward", true, false, 2, -10, 3}, false},
		{{1, "firewalld", "filter_FORWARD", true, false, 2, 10, 3}, false},
		{{2, "docker-bridges", "filter-FORWARD", true, false, 2, 0, 3}, false},
		{{1, "fw", "mine", false, false, 0, 0, 3}, false}, /* no base chain */
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (walls_pass(&cases[i].chain) != cases[i].pass)
			fail_msg("%zu: %s %s", i, cases[i].chain.table, cases[i].chain.name);
}

/* --- what opens --- */

static const struct {
	const char *rules; /* of filter, without "-A " */
	bool named;
} openers[] = {
	{"FORWARD -j ACCEPT\n", true},
	{"FORWARD -i wg0 -j ACCEPT\n", true},
	{"FORWARD -o eth0 -j ACCEPT\n", false},
	{"FORWARD -d 10.0.0.0/8 -j ACCEPT\n", false},
	{"FORWARD -d 172.16.0.0/12 -j ACCEPT\n", true},
	{"FORWARD -o br-+ -j ACCEPT\n", true},
	{"FORWARD ! -d 172.18.103.0/24 -s 10.0.0.0/8 -j ACCEPT\n", true}, /* there are others */
	{"FORWARD -d 172.18.103.2/32 -j DROP\n", false},
	{"FORWARD -d 172.18.103.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
	 false},
	{"FORWARD -d 172.18.103.2/32 -m recent --name x -j ACCEPT\n", false}, /* not plain */
	{"FORWARD -m mark --mark 0x1/0x1 -j ACCEPT\n", false},
	{"FORWARD -m comment --comment \"harborwall: ours\" -j ACCEPT\n", false},
	/* Docker's own */
	{"FORWARD -i br-a ! -o br-a -j ACCEPT\nFORWARD -i br-a -o br-a -j ACCEPT\n", false},
	{"FORWARD -o br-a -j DOCKER\nDOCKER -d 172.18.103.2/32 ! -i br-a -o br-a -p tcp -m tcp "
	 "--dport 80 -j ACCEPT\n",
	 false},
	{"FORWARD -j DOCKER-FORWARD\nFORWARD -j ACCEPT\nDOCKER-FORWARD -i br-a -j ACCEPT\n", false},
	{"FORWARD -i br-a -j ACCEPT\n", true}, /* … but not this one */
	/* other chains */
	{"FORWARD -j DOCKER-USER\nDOCKER-USER -s 10.0.0.0/8 -j ACCEPT\n", true},
	{"FORWARD -j A\nA -p icmp -j ACCEPT\n", false},
	{"FORWARD -j A\nA -d 172.18.103.2/32 -j ACCEPT\n", true},
	{"FORWARD -d 172.18.103.2/32 -j A\nA -p tcp -j ACCEPT\n", true},
	{"FORWARD -d 10.0.0.0/8 -j A\nA -p tcp -j ACCEPT\n", false},
	{"FORWARD -j DROP\nFORWARD -j ACCEPT\n", false},
	{"FORWARD -j FORWARD_IN_ZONES\nFORWARD_IN_ZONES -o br-a -j ACCEPT\n", false},
	{"FORWARD -j HARBORWALL\nHARBORWALL -d 172.18.103.2/32 -j ACCEPT\n", false},
	{"FORWARD -j A\nA -j A\n", false},
};

TEST(what_opens_managed_networks_and_is_neither_dockers_nor_ours)
{
	for (size_t i = 0; i < COUNT_OF(openers); i++) {
		AUTO_RELEASE struct arena a = {0};
		const char *save =
			"*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\n"
			":DOCKER-USER - [0:0]\n:DOCKER-FORWARD - [0:0]\n:DOCKER - [0:0]\n"
			":HARBORWALL - [0:0]\n:FORWARD_IN_ZONES - [0:0]\n:A - [0:0]\n";
		const char *rules = openers[i].rules;
		struct managed managed = {0};
		opening_list found = {0};

		*list_add(&a, &managed.subnets) = net("172.18.103.0/24");
		*list_add(&a, &managed.bridges) = "br-a";
		*list_add(&a, &managed.docker) = "br-a";
		for (; rules && *rules; rules += strcspn(rules, "\n") + 1)
			save = arena_printf(&a, "%s-A %.*s\n", save, (int)strcspn(rules, "\n"),
					    rules);
		openings_find(&found, &a, VARIANT_NFT, save, &managed);
		if ((found.n != 0) != openers[i].named)
			fail_msg("%s", openers[i].rules);
	}
}

TEST(a_translation_to_a_managed_address_opens_but_for_a_published_port)
{
	AUTO_RELEASE struct arena a = {0};
	static const char save[] =
		"*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n:MINE - [0:0]\n-A PREROUTING -j "
		"DOCKER\n"
		"-A PREROUTING -j MINE\n-A DOCKER -p tcp -m tcp --dport 80 -j DNAT "
		"--to-destination 172.18.103.2:80\n"
		"-A MINE -p tcp -m tcp --dport 81 -j DNAT --to-destination 172.18.103.2:80\n"
		"-A MINE -p tcp -m tcp --dport 82 -j DNAT --to-destination 10.0.0.2\nCOMMIT\n";
	struct managed managed = {0};
	opening_list found = {0};

	*list_add(&a, &managed.subnets) = net("172.18.103.0/24");
	openings_find(&found, &a, VARIANT_LEGACY, save, &managed);
	assert_int_equal(found.n, 1);
	assert_non_null(strstr(found.items[0].rule, "--dport 81"));
	assert_string_equal(found.items[0].table, "nat");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_of_a_line_is_said_in_the_same_words),
		cmocka_unit_test(
			what_is_not_understood_narrows_a_rule_and_what_follows_its_target_does_not),
		cmocka_unit_test(expressions_of_nf_tables_read_as_the_same_rule),
		cmocka_unit_test(addresses_of_both_families_are_told_apart),
		cmocka_unit_test(a_table_of_ipv6_says_the_family_for_its_rules),
		cmocka_unit_test(lines_of_ip6tables_are_read_like_those_of_iptables),
		cmocka_unit_test(whom_a_wall_stops),
		cmocka_unit_test(whom_a_wall_of_ipv6_stops),
		cmocka_unit_test(
			rules_before_ours_end_where_ours_must_stand_and_leaving_docker_user_is_no_way_past_it),
		cmocka_unit_test(docker_user_ends_at_a_bare_return_in_tables_of_either_family),
		cmocka_unit_test(chains_that_our_flows_pass_are_those_of_others_at_our_hooks),
		cmocka_unit_test(what_opens_managed_networks_and_is_neither_dockers_nor_ours),
		cmocka_unit_test(a_translation_to_a_managed_address_opens_but_for_a_published_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
