/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/buf.h"
#include "base/diag.h"
#include "base/error.h"
#include "base/foreign.h"
#include "base/ip.h"
#include "base/order.h"
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

TEST(addresses_are_parsed_strictly)
{
	static const char *const bad[] = {"",	       "1.2.3",	    "1.2.3.4.5",
					  "01.2.3.4",  "256.1.1.1", "1.2.3.4 ",
					  "0x1.2.3.4", "::g",	    "1.2.3.4/24"};
	struct ip ip;

	assert_true(ip_parse(&ip, "172.18.103.2"));
	assert_string_equal(ip_format(ip).s, "172.18.103.2");
	assert_true(ip_parse(&ip, "2001:db8::1"));
	assert_string_equal(ip_format(ip).s, "2001:db8::1");
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(ip_parse(&ip, bad[i]));
}

TEST(prefixes_know_their_bounds)
{
	struct prefix p, q;
	struct ip ip;

	assert_true(prefix_parse(&p, "172.18.103.0/25"));
	assert_string_equal(ip_format(prefix_last(p)).s, "172.18.103.127");
	assert_true(ip_parse(&ip, "172.18.103.127"));
	assert_true(prefix_contains(p, ip));
	assert_false(prefix_contains(p, ip_plus(ip, 1)));
	assert_true(prefix_parse(&q, "172.18.103.1/24"));
	assert_false(prefix_is_canonical(q));
	assert_true(prefix_overlaps(p, q));
	assert_false(prefix_parse(&p, "1.2.3.4/33"));
	assert_false(prefix_parse(&p, "1.2.3.4/"));
	assert_false(prefix_parse(&p, "1.2.3.4/08"));
}

TEST(the_first_error_wins_and_is_wrapped)
{
	struct error err = {0};

	assert_false(error_set(&err, ENOENT, "open %s", "x"));
	assert_false(error_set(&err, EPERM, "second"));
	assert_false(error_wrap(&err, "apply"));
	assert_string_equal(err.text, "apply: open x: No such file or directory");
}

/* As RFC 3629 writes it, on its own. */
static size_t utf8_of(char out[5], uint32_t rune)
{
	size_t len = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
	static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = len; i-- > 1; rune >>= 6)
		out[i] = (char)(0x80 | (rune & 0x3f));
	out[0] = (char)(first[len == 1 ? 0 : len] | rune);
	out[len] = '\0';
	return len;
}

static bool is_dangerous(uint32_t rune)
{
	return rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || rune == 0x61c || rune == 0x200e ||
	       rune == 0x200f || (rune >= 0x2028 && rune <= 0x202e) ||
	       (rune >= 0x2066 && rune <= 0x2069);
}

TEST(of_all_characters_those_that_a_terminal_obeys_are_escaped)
{
	struct buf b = {0}, json = {0};

	for (uint32_t rune = 1; rune < 0x110000; rune++) {
		char text[5], escaped[16];

		if (rune >= 0xd800 && rune < 0xe000)
			continue; /* no characters: tested below */
		utf8_of(text, rune);
		buf_clear(&b);
		buf_foreign(&b, text);
		snprintf(escaped, sizeof(escaped), "\\u%04x", rune);
		assert_string_equal(buf_text(&b), is_dangerous(rune) ? escaped : text);
		if (rune == '"' || rune == '\\')
			continue;
		buf_clear(&json);
		buf_json_string(&json, text);
		assert_memory_equal(buf_text(&json) + 1, buf_text(&b), b.len);
	}
	buf_free(&b);
	buf_free(&json);
}

TEST(what_is_no_utf8_is_escaped_byte_by_byte)
{
	static const char *const broken[][2] = {
		{"\x80", "\\x80"},
		{"\xc3", "\\xc3"},
		{"\xc0\xaf", "\\xc0\\xaf"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"a\xff\x1b[31mb\xe2\x80", "a\\xff\\u001b[31mb\\xe2\\x80"},
	};
	struct buf b = {0};

	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		buf_clear(&b);
		buf_foreign(&b, broken[i][0]);
		assert_string_equal(buf_text(&b), broken[i][1]);
	}
	buf_clear(&b);
	buf_foreign_page(&b, "a\n\tb\rc\0d", 8);
	assert_string_equal(buf_text(&b), "a\n\tb\\u000dc\\x00d");
	buf_free(&b);
}

TEST(a_line_that_needs_no_escaping_is_the_text_itself)
{
	struct arena a = {0};
	static const char plain[] = "caf\xc3\xa9";

	assert_ptr_equal(foreign_line(&a, plain), plain);
	assert_string_equal(foreign_line(&a, "a\nb"), "a\\u000ab");
	arena_release(&a);
}

TEST(json_strings_never_break_out)
{
	struct buf b = {0};

	buf_json_string(&b, "a\"\\\n\xff\xc3\xa9");
	assert_string_equal(buf_text(&b), "\"a\\\"\\\\\\u000a\\ufffd\xc3\xa9\"");
	buf_free(&b);
}

TEST(diagnostics_get_their_places_and_are_sorted_by_them)
{
	static const char text[] = "one\nt\xc3\xa9o\nthree";
	struct arena a = {0};
	struct diags d = {.arena = &a};

	diag_add(&d, SEVERITY_ERROR, 7, "b", "second");
	diag_add(&d, SEVERITY_WARNING, 0, "a", "first");
	diag_add(&d, SEVERITY_ERROR, 7, "c", "third");
	diag_add(&d, SEVERITY_ERROR, 1000, "", "behind the end");
	diags_place(&d, text, sizeof(text) - 1);
	assert_string_equal(diag_format(&a, "f", &d.list.items[0]), "f:1:1: warning: a: first");
	assert_string_equal(diag_format(&a, "f", &d.list.items[1]), "f:2:3: error: b: second");
	assert_string_equal(d.list.items[2].message, "third");
	assert_string_equal(diag_format(&a, "f", &d.list.items[3]), "f:3:6: error: behind the end");
	assert_int_equal(d.n_errors, 3);
	arena_release(&a);
}

TEST(a_place_is_quoted_with_a_caret_below_it)
{
	static const struct {
		const char *text;
		size_t at;
		const char *quote;
	} cases[] = {
		{"{\n\t\"a\": 1,\r\n}", 9, "  \t\"a\": 1,\n  \t      ^\n"},
		{"\xc3\xa9\xc3\xa9!", 4, "  \xc3\xa9\xc3\xa9!\n    ^\n"},
		{"a\x1b[31m\x7f", 7, "  a?[31m?\n         ^\n"},
		{"\xff\xe2\x80\xae!", 4, "  ?\?!\n    ^\n"},
		{"one\n", 4, "  \n  ^\n"},
		{"", 0, "  \n  ^\n"},
	};
	struct arena a = {0};
	AUTO_BUF struct buf line = {0};
	const char *quote;

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(
			quote_place(&a, cases[i].text, strlen(cases[i].text), cases[i].at),
			cases[i].quote);
	for (int i = 0; i < 1000; i++)
		buf_puts(&line, "\xc3\xa9");
	for (size_t at = 0; at <= line.len; at += 2) { /* long lines are cut between characters */
		quote = quote_place(&a, line.data, line.len, at);
		assert_true(strlen(quote) < 300);
		assert_int_equal(quote[2] & 0xff, 0xc3);
	}
	arena_release(&a);
}

TEST(an_arena_gives_zeroed_memory_and_lists_grow)
{
	struct arena a = {0};
	LIST(uint32_t) list = {0};

	for (uint32_t i = 0; i < 10000; i++) {
		uint32_t *item = list_add(&a, &list);

		assert_int_equal(*item, 0);
		*item = i;
	}
	for (uint32_t i = 0; i < 10000; i++)
		assert_int_equal(list.items[i], i);
	arena_release(&a);
	assert_null(a.blocks);
}

static bool all_zero(const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

TEST(an_arena_that_is_reset_gives_zeroed_memory)
{
	struct arena a = {0};

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			unsigned char *bytes = arena_alloc(&a, 10000);

			assert_true(all_zero(bytes, 10000));
			memset(bytes, 0xff, 10000);
		}
		arena_reset(&a);
	}
	arena_release(&a);
}

TEST(addresses_compare_as_their_bytes_do)
{
	static const char *const sorted[] = {"0.0.0.0", "10.0.0.255", "10.0.1.0",     "255.0.0.0",
					     "::1",	"2001:db8::", "2001:db8::1:0"};
	struct ip ips[COUNT_OF(sorted)];
	struct prefix net;

	for (size_t i = 0; i < COUNT_OF(sorted); i++)
		assert_true(ip_parse(&ips[i], sorted[i]));
	for (size_t i = 0; i < COUNT_OF(sorted); i++)
		for (size_t j = 0; j < COUNT_OF(sorted); j++) {
			assert_int_equal(ip_compare(ips[i], ips[j]), (i > j) - (i < j));
			assert_int_equal(ip_equal(ips[i], ips[j]), i == j);
		}
	assert_true(prefix_parse(&net, "2001:db8::/96"));
	assert_true(prefix_contains(net, ips[6]));
	assert_false(prefix_contains(net, ips[4]));
	assert_true(prefix_parse(&net, "0.0.0.0/0"));
	assert_true(prefix_contains(net, ips[3]));
	assert_false(prefix_contains(net, ips[4]));
}

enum { N_RECORDS = 10000, STRIDE = 20 };

static void assert_ordered(struct arena *a, uint8_t (*records)[STRIDE], uint32_t n, size_t len)
{
	const uint32_t *order = order_by_bytes(a, records, n, STRIDE, len);

	for (uint32_t i = 1; i < n; i++) {
		int known = memcmp(records[order[i - 1]], records[order[i]], len);

		assert_true(known < 0 || (!known && order[i - 1] < order[i]));
	}
}

/* Few and many, shorter and longer than a word; a byte that is the same in all, one that takes
 * every value. */
TEST(records_are_ordered_by_their_bytes_and_equal_ones_stay)
{
	static const size_t lens[] = {1, 5, 8, 12, 19, STRIDE};
	AUTO_RELEASE struct arena a = {0};
	uint8_t(*records)[STRIDE] = arena_alloc(&a, (size_t)N_RECORDS * STRIDE);
	uint32_t random = 1;

	for (uint32_t i = 0; i < N_RECORDS; i++)
		for (uint32_t k = 0; k < STRIDE; k++) {
			random = random * 1103515245 + 12345;
			records[i][k] = k == 7 ? 9 : (uint8_t)(random >> 16 & (k < 18 ? 1 : 255));
		}
	for (uint32_t i = 0; i + 2 < N_RECORDS; i += 3) /* doubles, but for the last byte */
		memcpy(records[i + 2], records[i], STRIDE - 1);
	for (size_t k = 0; k < COUNT_OF(lens); k++)
		for (uint32_t n = 0; n <= N_RECORDS; n = n ? n * 10 : 1)
			assert_ordered(&a, records, n, lens[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_parsed_strictly),
		cmocka_unit_test(prefixes_know_their_bounds),
		cmocka_unit_test(the_first_error_wins_and_is_wrapped),
		cmocka_unit_test(json_strings_never_break_out),
		cmocka_unit_test(diagnostics_get_their_places_and_are_sorted_by_them),
		cmocka_unit_test(a_place_is_quoted_with_a_caret_below_it),
		cmocka_unit_test(of_all_characters_those_that_a_terminal_obeys_are_escaped),
		cmocka_unit_test(what_is_no_utf8_is_escaped_byte_by_byte),
		cmocka_unit_test(a_line_that_needs_no_escaping_is_the_text_itself),
		cmocka_unit_test(an_arena_gives_zeroed_memory_and_lists_grow),
		cmocka_unit_test(an_arena_that_is_reset_gives_zeroed_memory),
		cmocka_unit_test(addresses_compare_as_their_bytes_do),
		cmocka_unit_test(records_are_ordered_by_their_bytes_and_equal_ones_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
