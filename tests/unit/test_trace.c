/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packet that is followed: what it is, what the kernel (6.18) said of one, and what that means.
 */
#include "core/nft/message.h"
#include "core/nft/nlattr.h"
#include "core/path/traced.h"
#include "unit/test.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>

/* To 172.18.103.2:8080, which Docker 20 dropped; with a chain of ours at every place. */
static const char *const recorded[] = {
	"c8000000110a000000000000000000000100000008000f0000000002080004000000000308000600"
	"b95f06500f000200707265726f7574696e6700001f000100686172626f7277616c6c5f7472616365"
	"3330343830323232313400000c00030000000000000000020c00050008000100ffffffff08000a00"
	"0000000f06000b00000100001800080045000028ccad0000400686f8ac126803ac12670218000900"
	"afa91f90244a94df000000005002faf0056400001200070002429d4d662e0242ac12680308000000",
	"c4000000110a000000000000000000000100000008000f0000000002080004000000000308000600"
	"b95f06500f000200707265726f7574696e6700000f000100686172626f7277616c6c00000c000500"
	"08000100ffffffff08000a000000000f06000b00000100001800080045000028ccad0000400686f8"
	"ac126803ac12670218000900afa91f90244a94df000000005002faf0056400001200070002429d4d"
	"662e0242ac12680308000000080015000000000805001300000000000800120014eb0044",
	"54000000110a000000000000000000000100000008000f0000000002080004000000000108000600"
	"b95f06500f000200707265726f7574696e6700000f000100686172626f7277616c6c000008001000"
	"00000001",
	"4c000000110a000000000000000000000200000008000f0000000002080004000000000108000600"
	"b95f06500f000200505245524f5554494e470000080001006e6174000800100000000001",
	"e0000000110a000000000000000000000100000008000f0000000002080004000000000308000600"
	"b95f065013000200707265726f7574696e672d656e6400001f000100686172626f7277616c6c5f74"
	"726163653330343830323232313400000c00050008000100ffffffff08000a000000000f06000b00"
	"000100001800080045000028ccad0000400686f8ac126803ac12670218000900afa91f90244a94df"
	"000000005002faf0056400001200070002429d4d662e0242ac126803080000000800150000000008"
	"05001300000000000800120014eb00440800140000000100",
	"e8000000110a000000000000000000000100000008000f0000000002080004000000000308000600"
	"d4c1b3d40c000200666f7277617264001f000100686172626f7277616c6c5f747261636533303438"
	"30323232313400000c00050008000100ffffffff08000a000000000f06000b000001000008000c00"
	"0000000e06000d00000100001800080045000028ccad00003f0687f8ac126803ac12670218000900"
	"afa91f90244a94df000000005002faf0056400001200070002429d4d662e0242ac12680308000000"
	"080015000000000805001300000000000800120014eb00440800140000000100",
	"e4000000110a000000000000000000000100000008000f0000000002080004000000000308000600"
	"d4c1b3d40c000200666f7277617264000f000100686172626f7277616c6c00000c00030000000000"
	"000000120c00050008000100ffffffff08000a000000000f06000b000001000008000c000000000e"
	"06000d00000100001800080045000028ccad00003f0687f8ac126803ac12670218000900afa91f90"
	"244a94df000000005002faf0056400001200070002429d4d662e0242ac1268030800000008001500"
	"0000000805001300000000000800120014eb00440800140000000100",
	"6c000000110a000000000000000000000100000008000f0000000002080004000000000308000600"
	"d4c1b3d40c000200666f7277617264000f000100686172626f7277616c6c00000c00030000000000"
	"000000151800050008000100fffffffc0a0002006672657368000000",
	"f0000000110a000000000000000000000200000008000f0000000002080004000000000308000600"
	"d4c1b3d40c000200464f5257415244000b00010066696c74657200000c000300000000000000002a"
	"1c00050008000100fffffffd10000200444f434b45522d555345520008000a000000000f06000b00"
	"0001000008000c000000000e06000d00000100001800080045000028ccad00003f0687f8ac126803"
	"ac12670218000900afa91f90244a94df000000005002faf0056400001200070002429d4d662e0242"
	"ac12680308000000080015000000000805001300000000000800120014eb00440800140000000100",
	"60000000110a000000000000000000000200000008000f0000000002080004000000000308000600"
	"d4c1b3d410000200444f434b45522d55534552000b00010066696c74657200000c00030000000000"
	"000000080c00050008000100fffffffb",
	"70000000110a000000000000000000000200000008000f0000000002080004000000000308000600"
	"d4c1b3d41d000200444f434b45522d49534f4c4154494f4e2d53544147452d32000000000b000100"
	"66696c74657200000c00030000000000000000210c0005000800010000000000"};
static const struct probe recorded_probe = {.table = "harborwall_trace3048022214",
					    .family = 4,
					    .proto = IPPROTO_TCP,
					    .id = 0xccad,
					    .token = 0x244a94df};

/* In memory of its own, so that the sanitizer sees who reads behind it. */
static char *bytes_of(const char *hex, size_t *len)
{
	char *bytes;

	*len = strlen(hex) / 2;
	bytes = malloc(*len);
	for (size_t i = 0; i < *len; i++) {
		const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};

		bytes[i] = (char)strtoul(digits, NULL, 16);
	}
	return bytes;
}

static void take(struct trace *t, struct arena *a, const struct probe *probe, const char *hex)
{
	size_t len;
	char *bytes = bytes_of(hex, &len);

	trace_take(t, a, probe, bytes);
	free(bytes);
}

static void assert_step(const struct trace_step *step, const char *table, const char *chain,
			bool policy, enum trace_verdict verdict, const char *to)
{
	assert_string_equal(step->table, table);
	assert_string_equal(step->chain, chain);
	assert_int_equal(!step->handle, policy);
	assert_int_equal(step->verdict, verdict);
	assert_string_equal(step->to ? step->to : "", to);
}

TEST(what_the_kernel_says_of_a_packet_is_its_way_to_the_rule_that_drops_it)
{
	AUTO_RELEASE struct arena a = {0};
	struct trace t = {0};
	uint32_t i = 0;

	for (size_t n = 0; n < COUNT_OF(recorded); n++) {
		assert_false(trace_is_over(&t));
		assert_int_equal(trace_is_waiting(&t), !n);
		take(&t, &a, &recorded_probe, recorded[n]);
	}
	assert_true(trace_is_over(&t));
	assert_int_equal(t.place, TRACE_FORWARD);
	assert_string_equal(ip_format(t.src).s, "172.18.104.3");
	assert_string_equal(ip_format(t.dst).s, "172.18.103.2");
	assert_int_equal(t.port, 8080);
	assert_int_equal(t.in, 15);
	assert_int_equal(t.out, 14);
	assert_int_equal(t.steps.n, 7);
	assert_step(&t.steps.items[i++], "harborwall", "prerouting", true, TRACE_ACCEPTS, "");
	assert_step(&t.steps.items[i++], "nat", "PREROUTING", true, TRACE_ACCEPTS, "");
	assert_step(&t.steps.items[i++], "harborwall", "forward", false, TRACE_CONTINUES, "");
	assert_step(&t.steps.items[i++], "harborwall", "forward", false, TRACE_GOES, "fresh");
	assert_step(&t.steps.items[i++], "filter", "FORWARD", false, TRACE_JUMPS, "DOCKER-USER");
	assert_step(&t.steps.items[i++], "filter", "DOCKER-USER", false, TRACE_RETURNS, "");
	assert_step(&t.steps.items[i], "filter", "DOCKER-ISOLATION-STAGE-2", false, TRACE_DROPS,
		    "");
	assert_ptr_equal(trace_end(&t), &t.steps.items[i]);
}

/* Somebody may trace others at the same time. */
TEST(what_is_said_of_other_packets_counts_for_nothing)
{
	AUTO_RELEASE struct arena a = {0};
	struct probe others[] = {recorded_probe, recorded_probe, recorded_probe};
	struct trace t = {0};

	others[0].token++;
	others[1].id++;
	others[2].proto = IPPROTO_UDP;
	for (size_t i = 0; i < COUNT_OF(others); i++)
		for (size_t n = 0; n < COUNT_OF(recorded); n++)
			take(&t, &a, &others[i], recorded[n]);
	assert_int_equal(t.place, TRACE_NOWHERE);
	assert_int_equal(t.steps.n, 0);
}

TEST(a_message_that_ends_anywhere_or_lies_is_no_harm)
{
	AUTO_RELEASE struct arena a = {0};

	for (size_t n = 0; n < COUNT_OF(recorded); n++) {
		size_t len;
		char *whole = bytes_of(recorded[n], &len);

		for (size_t cut = sizeof(struct nlmsghdr); cut < len; cut++) {
			struct trace t = {0};
			char *part = memcpy(malloc(cut), whole, cut);
			const struct nlmsghdr head = {.nlmsg_len = (uint32_t)cut,
						      .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 |
								    NFT_MSG_TRACE};

			memcpy(part, &head, sizeof(head));
			trace_take(&t, &a, &recorded_probe, part);
			free(part);
		}
		for (size_t at = sizeof(struct nlmsghdr); at < len; at++) {
			struct trace t = {0};

			whole[at] = (char)~whole[at];
			trace_take(&t, &a, &recorded_probe, whole);
			whole[at] = (char)~whole[at];
		}
		free(whole);
	}
}

static uint16_t word_at(const struct buf *b, size_t at)
{
	uint16_t word;

	memcpy(&word, b->data + at, sizeof(word));
	return be16toh(word);
}

/* RFC 1071: with its sum in it, everything sums up to all ones. */
static uint32_t summed(const struct buf *b, size_t from, size_t to)
{
	uint32_t sum = 0;

	for (size_t i = from; i < to; i += 2)
		sum += word_at(b, i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

TEST(packets_say_what_they_are_asked_to_with_right_sums)
{
	static const struct {
		uint8_t proto;
		bool pseudo; /* the sum counts addresses, protocol and length, too */
	} kinds[] = {{IPPROTO_TCP, true}, {IPPROTO_UDP, true}, {IPPROTO_ICMP, false}};
	struct probe_flow flow = {.src = ip_v4(0xac126803), .dst = ip_v4(0xac126702), 40001, 80};

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		AUTO_BUF struct buf b = {0}, body = {0};
		const struct probe probe = {.proto = kinds[i].proto, .id = 7, .token = 0xabcd1234};
		size_t at = 20 + probe_token_offset(probe.proto);
		uint16_t more[] = {htobe16(probe.proto), 0};

		probe_packet(&b, &probe, &flow);
		assert_int_equal(word_at(&b, 2), b.len);
		assert_int_equal(word_at(&b, 4), 7);
		assert_int_equal(summed(&b, 0, 20), 0xffff);
		assert_int_equal((uint32_t)word_at(&b, at) << 16 | word_at(&b, at + 2), 0xabcd1234);
		buf_add(&body, b.data + 20, b.len - 20);
		more[1] = htobe16((uint16_t)(b.len - 20));
		if (kinds[i].pseudo) {
			buf_add(&body, b.data + 12, 8);
			buf_add(&body, more, sizeof(more));
		}
		assert_int_equal(summed(&body, 0, body.len), 0xffff);
	}
}

/* RFC 8200 §8.1: in IPv6 all of them count addresses, length and protocol. */
TEST(packets_of_ipv6_have_right_sums_and_say_who_they_are)
{
	static const uint8_t kinds[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6};
	struct probe_flow flow = {.sport = 40001, .dport = 80};

	assert_true(ip_parse(&flow.src, "fd18:104::3") && ip_parse(&flow.dst, "2001:db8::103:2"));
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		AUTO_BUF struct buf b = {0}, body = {0};
		const struct probe probe = {
			.family = 6, .proto = kinds[i], .id = 0x1234, .token = 0xabcd1234};
		size_t at = 40 + probe_token_offset(probe.proto);
		uint16_t more[] = {0, 0, 0, htobe16(probe.proto)};

		probe_packet(&b, &probe, &flow);
		assert_int_equal(word_at(&b, 0), 0x6000);
		assert_int_equal(word_at(&b, 2), 0x1234);
		assert_int_equal(word_at(&b, 4), b.len - 40);
		assert_int_equal(b.data[6], kinds[i]);
		assert_memory_equal(b.data + 8, flow.src.bytes, 16);
		assert_memory_equal(b.data + 24, flow.dst.bytes, 16);
		assert_int_equal((uint32_t)word_at(&b, at) << 16 | word_at(&b, at + 2), 0xabcd1234);
		buf_add(&body, b.data + 8, b.len - 8);
		more[1] = htobe16((uint16_t)(b.len - 40));
		buf_add(&body, more, sizeof(more));
		assert_int_equal(summed(&body, 0, body.len), 0xffff);
	}
}

/* As the kernel tells of a packet in one of our chains: with its headers. */
static void tell(struct buf *out, const struct probe *probe, const struct probe_flow *flow,
		 const char *chain)
{
	AUTO_BUF struct buf packet = {0};
	size_t header = probe->family == 6 ? 40 : 20,
	       message = nlmsg_begin(out, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE, 0, 0,
				     NFPROTO_INET, 0);

	probe_packet(&packet, probe, flow);
	nla_be32(out, NFTA_TRACE_TYPE, NFT_TRACETYPE_POLICY);
	nla_be32(out, NFTA_TRACE_ID, 7);
	nla_text(out, NFTA_TRACE_TABLE, "harborwall_trace1");
	nla_text(out, NFTA_TRACE_CHAIN, chain);
	nla_bytes(out, NFTA_TRACE_NETWORK_HEADER, packet.data, header);
	nla_bytes(out, NFTA_TRACE_TRANSPORT_HEADER, packet.data + header, 12);
	nlmsg_end(out, message);
}

TEST(a_packet_of_ipv6_is_known_by_its_label_and_token_in_its_own_family_alone)
{
	AUTO_RELEASE struct arena a = {0};
	struct probe_flow flow = {.sport = 7, .dport = 0};
	const struct probe probe = {.table = "harborwall_trace1",
				    .family = 6,
				    .proto = IPPROTO_ICMPV6,
				    .id = 0x1234,
				    .token = 5},
			   others[] = {{"harborwall_trace1", 6, IPPROTO_ICMPV6, 0x1235, 5},
				       {"harborwall_trace1", 6, IPPROTO_ICMPV6, 0x1234, 6},
				       {"harborwall_trace1", 6, IPPROTO_UDP, 0x1234, 5},
				       {"harborwall_trace1", 4, IPPROTO_ICMPV6, 0x1234, 5}};
	AUTO_BUF struct buf told = {0};
	struct trace t = {0};

	assert_true(ip_parse(&flow.src, "fd18:104::3") && ip_parse(&flow.dst, "fd18:103::2"));
	tell(&told, &probe, &flow, "postrouting-end");
	for (size_t i = 0; i < COUNT_OF(others); i++)
		trace_take(&t, &a, &others[i], told.data);
	assert_int_equal(t.place, TRACE_NOWHERE);
	trace_take(&t, &a, &probe, told.data);
	assert_int_equal(t.place, TRACE_LEFT);
	assert_string_equal(ip_format(t.src).s, "fd18:104::3");
	assert_string_equal(ip_format(t.dst).s, "fd18:103::2");
	assert_int_equal(t.port, 0);
}

/* The sum was made by another program (RFC 9260, CRC32c). */
TEST(the_sum_of_an_init_is_the_one_that_others_make)
{
	AUTO_BUF struct buf b = {0};
	const struct probe probe = {.proto = IPPROTO_SCTP, .id = 1, .token = 0x01020304};
	const struct probe_flow flow = {ip_v4(0x0a000001), ip_v4(0x0a000002), 40001, 3868};
	const uint8_t sum[] = {0xbf, 0xe7, 0x21, 0xd6};

	probe_packet(&b, &probe, &flow);
	assert_int_equal(b.len, 52);
	assert_memory_equal(b.data + 28, sum, sizeof(sum));
}

static struct trace ended(struct arena *a, enum trace_place place, enum trace_verdict verdict)
{
	struct trace t = {.place = place};

	*list_add(a, &t.steps) =
		(struct trace_step){NFPROTO_IPV4, "filter", "FORWARD", 1, verdict, NULL};
	return t;
}

TEST(a_packet_passed_if_it_came_to_the_end_and_the_prediction_is_about_the_host)
{
	AUTO_RELEASE struct arena a = {0};
	struct reach_path path = {.allowed = true};
	struct traced t = {.sender = "a"};

	*list_add(&a, &path.hops) = (struct hop){.kind = HOP_ADMITS};
	*list_add(&a, &path.hops) = (struct hop){.kind = HOP_TRANSLATES, .container = "b"};
	*list_add(&a, &path.hops) = (struct hop){.kind = HOP_STOPS}; /* not for this packet */
	assert_int_equal(traced_expected(&path), TRACED_PASSED);

	t.trace = ended(&a, TRACE_LEFT, TRACE_ACCEPTS);
	assert_int_equal(traced_verdict(&t), TRACED_PASSED);
	assert_true(traced_agrees(&t, &path, true));
	t.trace = ended(&a, TRACE_FORWARD, TRACE_DROPS);
	assert_int_equal(traced_verdict(&t), TRACED_STOPPED);
	assert_false(traced_agrees(&t, &path, true));
	assert_true(traced_agrees(&t, &path, false));
	t.trace = ended(&a, TRACE_FORWARD, TRACE_TAKEN);
	assert_int_equal(traced_verdict(&t), TRACED_UNKNOWN);
	assert_false(traced_agrees(&t, &path, false));
	t.trace = ended(&a, TRACE_FORWARD, TRACE_ACCEPTS); /* and then nothing */
	assert_int_equal(traced_verdict(&t), TRACED_STOPPED);
	t.trace = ended(&a, TRACE_LEFT, TRACE_ACCEPTS);
	t.unsent = "nobody could";
	assert_int_equal(traced_verdict(&t), TRACED_UNKNOWN);

	path.hops.items[0].kind = HOP_STOPS;
	assert_int_equal(traced_expected(&path), TRACED_STOPPED);
}

static const char *last_line(struct arena *a, const struct traced *t)
{
	AUTO_BUF struct buf out = {0};
	const struct reach_path path = {0};
	char *end, *line;

	traced_print(&out, t, &path, false);
	end = strstr(buf_text(&out), "\n\nthe kernel's answer");
	assert_non_null(end);
	*end = '\0';
	line = strrchr(buf_text(&out), '\n');
	return arena_strdup(a, line + 1);
}

TEST(where_a_packet_is_lost_is_said_by_the_last_place_that_saw_it)
{
	AUTO_RELEASE struct arena a = {0};
	struct traced t = {.sender = "a", .in = "", .out = ""};

	assert_string_equal(
		last_line(&a, &t),
		"  it never reached this host: its own namespace dropped it, or no next "
		"hop answered");
	t.refused = "its own namespace has no route there";
	assert_string_equal(last_line(&a, &t),
			    "  it never came out: its own namespace has no route there");
	t.refused = NULL;
	t.trace.place = TRACE_ENTERED;
	assert_string_equal(last_line(&a, &t),
			    "  lost in prerouting; nf_tables reports no rule for it");
	t.trace.place = TRACE_PREROUTED;
	assert_string_equal(
		last_line(&a, &t),
		"  lost between two hooks: there is no route, or the kernel refuses its "
		"source (rp_filter) or to forward it");
	t.trace.place = TRACE_FORWARD;
	t.legacy = true;
	assert_string_equal(
		last_line(&a, &t),
		"  dropped in forward by a rule of iptables-legacy, which the kernel does "
		"not trace");
}

/* Of a chain with two rules: handles 5 and 6. */
static struct ruleset two_rules(struct arena *a)
{
	struct ruleset table = {.exists = true};
	struct chain *chain = list_add(a, &table.chains);

	*chain = (struct chain){.name = "FORWARD"};
	list_add(a, &chain->rules)->handle = 5;
	list_add(a, &chain->rules)->handle = 6;
	return table;
}

TEST(a_rule_of_iptables_is_the_line_that_stands_where_its_handle_does)
{
	static const char save[] = "*nat\n-A FORWARD -j OTHER\n*filter\n-A FORWARD2 -j NO\n"
				   "-A FORWARD -j ONE\n-A FORWARD -m new -j TWO\nCOMMIT\n";
	AUTO_RELEASE struct arena a = {0};
	struct ruleset table = two_rules(&a);
	struct trace_step step = {NFPROTO_IPV4, "filter", "FORWARD", 6, TRACE_DROPS, NULL};

	assert_string_equal(traced_rule(&a, &table, &step, NULL, save).text,
			    "-A FORWARD -m new -j TWO");
	step.handle = 5;
	assert_string_equal(traced_rule(&a, &table, &step, NULL, save).text, "-A FORWARD -j ONE");
	/* another number of lines: they may be other rules */
	list_add(&a, &table.chains.items[0].rules)->handle = 7;
	assert_string_equal(traced_rule(&a, &table, &step, NULL, save).text, "-A FORWARD");
	step.handle = 8;
	assert_null(traced_rule(&a, &table, &step, NULL, save).text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_the_kernel_says_of_a_packet_is_its_way_to_the_rule_that_drops_it),
		cmocka_unit_test(what_is_said_of_other_packets_counts_for_nothing),
		cmocka_unit_test(a_message_that_ends_anywhere_or_lies_is_no_harm),
		cmocka_unit_test(packets_say_what_they_are_asked_to_with_right_sums),
		cmocka_unit_test(packets_of_ipv6_have_right_sums_and_say_who_they_are),
		cmocka_unit_test(
			a_packet_of_ipv6_is_known_by_its_label_and_token_in_its_own_family_alone),
		cmocka_unit_test(the_sum_of_an_init_is_the_one_that_others_make),
		cmocka_unit_test(
			a_packet_passed_if_it_came_to_the_end_and_the_prediction_is_about_the_host),
		cmocka_unit_test(where_a_packet_is_lost_is_said_by_the_last_place_that_saw_it),
		cmocka_unit_test(a_rule_of_iptables_is_the_line_that_stands_where_its_handle_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
