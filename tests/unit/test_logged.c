/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logged connections: what the kernel reports, read whatever it is; which of them are said, and
 * when. */
#include "core/logged/journal.h"

#include "core/nft/nlattr.h"
#include "core/ruleset/ruleset.h"
#include "unit/test.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdlib.h>

/* --- the kernel's reports --- */

static bool decode(struct logged *logged, const char *prefix, const uint8_t *packet, size_t len)
{
	AUTO_BUF struct buf b = {0};
	size_t at =
		nlmsg_begin(&b, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET, 0, 0, NFPROTO_IPV4, 0);
	void *own;
	bool ok;

	nla_text(&b, NFULA_PREFIX, prefix);
	nla_be32(&b, NFULA_IFINDEX_INDEV, 7);
	nla_bytes(&b, NFULA_PAYLOAD, packet, len);
	nlmsg_end(&b, at);
	own = malloc(b.len); /* of its own size, so that the sanitizer sees who reads behind it */
	memcpy(own, b.data, b.len);
	ok = logged_decode(logged, own);
	free(own);
	return ok;
}

static const uint8_t tcp4[28] = {0x45, [9] = 6, [12] = 172, 18, 103,	     2,
				 172,  18,	104,	    3,	[22] = 0x1f, 0x90};

TEST(a_report_is_read_with_its_ends_its_port_and_why)
{
	struct logged l;

	assert_true(decode(&l, LOG_ALLOWED, tcp4, sizeof(tcp4)));
	assert_true(l.why == LOGGED_ALLOWED && l.proto == 6 && l.port == 8080 && l.in == 7);
	assert_string_equal(ip_format(l.src).s, "172.18.103.2");
	assert_string_equal(ip_format(l.dst).s, "172.18.104.3");
	assert_true(decode(&l, LOG_TRANSLATED, tcp4, sizeof(tcp4)) && l.why == LOGGED_TRANSLATED);
	assert_true(decode(&l, LOG_DROPPED, tcp4, sizeof(tcp4)) && l.why == LOGGED_DROPPED);
	assert_false(decode(&l, "somebody's", tcp4, sizeof(tcp4)));
}

TEST(a_packet_that_is_cut_off_anywhere_is_refused_or_has_no_port)
{
	struct logged l;

	for (size_t len = 0; len < 20; len++)
		assert_false(decode(&l, LOG_ALLOWED, tcp4, len));
	for (size_t len = 20; len < 24; len++)
		assert_true(decode(&l, LOG_ALLOWED, tcp4, len) && !l.port);
}

TEST(options_of_ipv4_stand_before_the_port_and_later_fragments_have_none)
{
	uint8_t packet[32] = {0x46, [9] = 17, [12] = 10, [16] = 10, [26] = 0, 53};
	struct logged l;

	assert_true(decode(&l, LOG_ALLOWED, packet, sizeof(packet)) && l.port == 53);
	packet[7] = 1;
	assert_true(decode(&l, LOG_ALLOWED, packet, sizeof(packet)) && !l.port);
	packet[0] = 0x44; /* a header that is shorter than one */
	assert_false(decode(&l, LOG_ALLOWED, packet, sizeof(packet)));
	packet[0] = 0x75;
	assert_false(decode(&l, LOG_ALLOWED, packet, sizeof(packet)));
}

TEST(extension_headers_of_ipv6_are_passed_over_and_never_without_end)
{
	uint8_t packet[128] = {0x60, [6] = 0,	[8] = 0xfd, [24] = 0xfd, [40] = 60,
			       1,    [56] = 17, [66] = 0,   53};
	struct logged l;

	assert_true(decode(&l, LOG_ALLOWED, packet, sizeof(packet)) && l.proto == 17 &&
		    l.port == 53);
	assert_true(decode(&l, LOG_ALLOWED, packet, 50) && !l.port); /* cut off within the first */
	memset(packet + 40, 0, sizeof(packet) - 40);		     /* one after the other */
	assert_true(decode(&l, LOG_ALLOWED, packet, sizeof(packet)) && !l.port);
	packet[6] = 58; /* each family's own ICMP is icmp */
	assert_true(decode(&l, LOG_ALLOWED, packet, sizeof(packet)) && l.proto == 1 && !l.port);
	packet[6] = 44; /* a later fragment */
	packet[40] = 6, packet[43] = 8, packet[51] = 80;
	assert_true(decode(&l, LOG_ALLOWED, packet, sizeof(packet)) && l.proto == 6 && !l.port);
}

/* --- which are said, and when --- */

static struct logged flow(uint32_t src, uint16_t port, enum logged_why why)
{
	return (struct logged){
		.why = why, .src = ip_v4(src), .dst = ip_v4(0x0a000001), .proto = 6, .port = port};
}

static bool note(struct journal *j, uint32_t src, uint16_t port, int64_t now_ms)
{
	struct logged l = flow(src, port, LOGGED_ALLOWED);

	return journal_note(j, &l, now_ms, (time_t)(now_ms / 1000));
}

TEST(the_first_of_a_flow_is_said_at_once_and_the_rest_as_one_count)
{
	struct journal j = {0};
	struct journal_entry due;

	assert_true(journal_next_ms(&j) == -1);
	assert_true(note(&j, 1, 80, 0));
	assert_true(note(&j, 1, 81, 5000)); /* another flow */
	for (int64_t ms = 1000; ms <= 3000; ms += 1000)
		assert_false(note(&j, 1, 80, ms));
	assert_true(journal_next_ms(&j) == JOURNAL_EVERY_MS);
	assert_false(journal_due(&due, &j, JOURNAL_EVERY_MS - 1));
	assert_true(journal_due(&due, &j, JOURNAL_EVERY_MS));
	assert_true(due.count == 3 && due.first == 1 && due.last == 3 && due.flow.port == 80);
	assert_false(journal_due(&due, &j, JOURNAL_EVERY_MS));
	/* without news a flow is forgotten, and then it is new again */
	assert_false(journal_due(&due, &j, 3 * JOURNAL_EVERY_MS));
	assert_true(j.n == 0 && journal_next_ms(&j) == -1);
	assert_true(note(&j, 1, 80, 3 * JOURNAL_EVERY_MS));
}

TEST(more_flows_than_there_is_room_for_are_a_number)
{
	struct journal j = {0};
	uint32_t said = 0;

	for (uint16_t port = 1; port <= 1000; port++) /* one source: its share */
		said += note(&j, 1, port, 0);
	assert_true(said == JOURNAL_OF_SOURCE);
	for (uint32_t src = 2; src <= 1000; src++)
		said += note(&j, src, 80, 0);
	assert_true(said == JOURNAL_FLOWS && j.n == JOURNAL_FLOWS);
	assert_true(journal_unlisted(&j, JOURNAL_EVERY_MS - 1) == 0);
	assert_true(journal_unlisted(&j, JOURNAL_EVERY_MS) == 1999 - JOURNAL_FLOWS);
	assert_true(journal_unlisted(&j, 2 * JOURNAL_EVERY_MS) == 0);
	assert_true(note(&j, 2, 80, 0) == false); /* one that has room is counted as ever */
}

TEST(the_last_drops_are_kept_the_newest_first_and_each_flow_once)
{
	struct journal j = {0};

	for (uint16_t port = 1; port <= 30; port++) {
		struct logged l = flow(1, port, LOGGED_DROPPED);

		journal_note(&j, &l, 0, port);
	}
	assert_true(j.n_drops == JOURNAL_DROPS);
	assert_true(j.drops[0].flow.port == 30 && j.drops[JOURNAL_DROPS - 1].flow.port == 11);
	for (int i = 0; i < 3; i++) {
		struct logged l = flow(1, 15, LOGGED_DROPPED);

		journal_note(&j, &l, 0, 100 + i);
	}
	assert_true(j.n_drops == JOURNAL_DROPS && j.drops[1].flow.port == 30);
	assert_true(j.drops[0].flow.port == 15 && j.drops[0].count == 4);
	assert_true(j.drops[0].first == 15 && j.drops[0].last == 102);
	assert_true(note(&j, 1, 7, 0) && j.drops[0].flow.port == 15); /* what is admitted is none */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_is_read_with_its_ends_its_port_and_why),
		cmocka_unit_test(a_packet_that_is_cut_off_anywhere_is_refused_or_has_no_port),
		cmocka_unit_test(
			options_of_ipv4_stand_before_the_port_and_later_fragments_have_none),
		cmocka_unit_test(extension_headers_of_ipv6_are_passed_over_and_never_without_end),
		cmocka_unit_test(the_first_of_a_flow_is_said_at_once_and_the_rest_as_one_count),
		cmocka_unit_test(more_flows_than_there_is_room_for_are_a_number),
		cmocka_unit_test(the_last_drops_are_kept_the_newest_first_and_each_flow_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
