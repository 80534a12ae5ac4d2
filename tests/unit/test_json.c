/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON reader: what it takes, what it refuses and where, and the values it gives. */
#include "base/buf.h"
#include "core/json/builder.h"
#include "core/json/path.h"
#include "unit/test.h"

static bool parses(const char *text)
{
	AUTO_RELEASE struct arena a = {0};
	struct json json;
	struct json_error wrong;

	return json_parse(&json, &a, text, strlen(text), JSON_MAX_DEPTH, &wrong);
}

TEST(every_kind_of_value_is_read_with_its_place_and_its_length)
{
	static const char text[] = " {\"a\": [1, \"x\\ny\", null], \"b\": {}, \"c\": true}";
	AUTO_RELEASE struct arena a = {0};
	struct json json;
	struct json_error wrong;
	struct json_string s;
	uint32_t list, n = 0;
	int64_t one;

	assert_true(json_parse(&json, &a, text, strlen(text), JSON_MAX_DEPTH, &wrong));
	assert_int_equal(json_type_of(&json, JSON_ROOT), JSON_TYPE_OBJECT);
	assert_int_equal(json.nodes[JSON_ROOT].at, 1);
	assert_int_equal(json_count(&json, JSON_ROOT), 3);
	list = json_member(&json, JSON_ROOT, "a");
	assert_int_equal(json_type_of(&json, list), JSON_TYPE_LIST);
	assert_int_equal(json_count(&json, list), 3);
	json_each (item, &json, list)
		n++;
	assert_int_equal(n, 3);
	assert_true(json_integer_of(&one, &json, list + 1) && one == 1);
	s = json_string_of(&json, list + 2, &a);
	assert_true(s.len == 3 && !memcmp(s.text, "x\ny", 3));
	assert_int_equal(json.nodes[list + 2].at, (uint32_t)(strchr(text, 'x') - 1 - text));
	assert_int_equal(json_type_of(&json, json_member(&json, JSON_ROOT, "c")), JSON_TYPE_TRUE);
	assert_int_equal(json_member(&json, JSON_ROOT, "d"), 0);
	assert_int_equal(json_member(&json, list, "a"), 0);
}

TEST(numbers_are_those_of_the_standard)
{
	static const char *const good[] = {"0", "-0", "10", "-1.5", "1e5", "1E+5", "0.0e-0"};
	static const char *const bad[] = {"01",	 "+1", ".5",  "1.",  "1e",
					  "0x1", "-",  "1_0", "NaN", "Infinity"};

	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(parses(good[i]));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(parses(bad[i]));
}

TEST(integers_reach_to_the_ends_of_64_bits_and_no_further)
{
	static const struct {
		const char *text;
		bool fits;
		int64_t value;
	} cases[] = {
		{"9223372036854775807", true, INT64_MAX},
		{"-9223372036854775808", true, INT64_MIN},
		{"9223372036854775808", false, 0},
		{"-9223372036854775809", false, 0},
		{"1.0", false, 0},
		{"1e1", false, 0},
		{"-0", true, 0},
		{"\"1\"", false, 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct json json;
		struct json_error wrong;
		int64_t value = 0;

		assert_true(json_parse(&json, &a, cases[i].text, strlen(cases[i].text), 1, &wrong));
		assert_int_equal(json_integer_of(&value, &json, JSON_ROOT), cases[i].fits);
		assert_true(value == cases[i].value);
	}
}

TEST(strings_are_utf_8_and_their_escapes_are_characters)
{
	static const struct {
		const char *text, *means; /* NULL: refused */
	} cases[] = {
		{"\"\\u00e9\\ud83d\\ude00\\/\"", "\xc3\xa9\xf0\x9f\x98\x80/"},
		{"\"\xc3\xa9 0123456789\"", "\xc3\xa9 0123456789"},
		{"\"\\ud83d\"", NULL},
		{"\"\\ude00\\ud83d\"", NULL},
		{"\"\\x41\"", NULL},
		{"\"\\u12g4\"", NULL},
		{"\"\xc0\xaf\"", NULL},		/* overlong */
		{"\"\xed\xa0\x80\"", NULL},	/* half of a pair */
		{"\"\xf4\x90\x80\x80\"", NULL}, /* above U+10FFFF */
		{"\"\xe2\x82\"", NULL},
		{"\"\x80\"", NULL},
		{"\"a\tb\"", NULL},
		{"\"01234567\x01\"", NULL},
		{"\"\x7f\"", "\x7f"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct json json;
		struct json_error wrong;
		bool ok = json_parse(&json, &a, cases[i].text, strlen(cases[i].text), 1, &wrong);

		assert_int_equal(ok, cases[i].means != NULL);
		if (ok)
			assert_true(json_string_is(&json, JSON_ROOT, cases[i].means,
						   strlen(cases[i].means)));
	}
}

TEST(what_is_wrong_is_said_where_it_stands)
{
	static const struct {
		const char *text;
		size_t at;
		const char *what; /* how it begins */
	} cases[] = {
		{"", 0, "the text is empty"},
		{"{\"a\": 1,}", 7, "trailing comma"},
		{"[1, 2,\n]", 5, "trailing comma"},
		{"{\"a\": 1 // why\n}", 8, "JSON has no comments"},
		{"# top\n{}", 0, "JSON has no comments"},
		{"{'a': 1}", 1, "single quote"},
		{"{\"a\": 'b'}", 6, "single quote"},
		{"{a: 1}", 1, "unquoted key"},
		{"{\"a\": True}", 6, "unquoted word"},
		{"{\"a\": 08}", 6, "not a valid number"},
		{"{\"a\" 1}", 5, "expected a colon"},
		{"{\"a\": 1 \"b\": 2}", 8, "expected a comma or a closing bracket"},
		{"[1}", 2, "expected \"]\""},
		{"{\"a\": 1]", 7, "expected \"}\""},
		{"{} {}", 3, "text after the end"},
		{"{\"a\": \"b", 8, "unterminated string"},
		{"{\"a\": \"b\n\"}", 8, "line break in a string"},
		{"{\"a\": [1", 8, "the text ends too early"},
		{"{,}", 1, "expected a key"},
		{"[,]", 1, "expected a value"},
		{"[[[]]]", 2, "nested too deep"},
		{"\xef\xbb\xbf{}", 0, "the file begins with a byte order mark"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct json json;
		struct json_error wrong;

		assert_false(
			json_parse(&json, &a, cases[i].text, strlen(cases[i].text), 2, &wrong));
		assert_memory_equal(wrong.what, cases[i].what, strlen(cases[i].what));
		assert_int_equal(wrong.at, cases[i].at);
	}
}

TEST(a_text_that_ends_too_early_names_the_bracket_that_is_open)
{
	static const char text[] = "{\"a\": {}, \"b\": [1 \n ";
	AUTO_RELEASE struct arena a = {0};
	struct json json;
	struct json_error wrong;

	assert_false(json_parse(&json, &a, text, strlen(text), 8, &wrong));
	assert_int_equal(wrong.opened, (size_t)(strchr(text, '[') - text));
	assert_int_equal(wrong.at, (size_t)(strchr(text, '1') + 1 - text));
}

TEST(a_key_twice_in_an_object_is_found_however_it_is_spelled_and_how_many_there_are)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf text = {0};

	buf_puts(&text, "{\"x\": {\"n\": 1}, \"y\": {\"n\": 2, \"\\u006e\": 3}, \"big\": {");
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "\"k%d\": %d, ", i % 999, i);
	buf_puts(&text, "\"z\": 0}}");
	struct json json;
	struct json_error wrong;
	json_duplicate_list found = {0};

	assert_true(json_parse(&json, &a, text.data, text.len, 8, &wrong));
	for (uint32_t i = 0; i < json.n; i++)
		if (json_type_of(&json, i) == JSON_TYPE_OBJECT)
			json_find_duplicates(&found, &a, &json, i);
	assert_int_equal(found.n, 2);
	assert_true(json_string_is(&json, found.items[0].key, "n", 1));
	assert_true(json_string_is(&json, found.items[1].key, "k0", 2));
	for (uint32_t i = 0; i < found.n; i++) {
		assert_true(found.items[i].first < found.items[i].key);
		assert_true(json.nodes[found.items[i].key].doubled);
		assert_false(json.nodes[found.items[i].first].doubled);
	}
}

TEST(where_a_key_stands_twice_the_last_one_is_found_and_once_that_is_known_the_first)
{
	static const char text[] = "{\"a\": 1, \"b\": 2, \"a\": 3}";
	AUTO_RELEASE struct arena a = {0};
	json_duplicate_list found = {0};
	struct json json;
	struct json_error wrong;
	int64_t value;

	assert_true(json_parse(&json, &a, text, strlen(text), 8, &wrong));
	assert_true(json_integer_of(&value, &json, json_member(&json, JSON_ROOT, "a")));
	assert_int_equal(value, 3);
	json_find_duplicates(&found, &a, &json, JSON_ROOT);
	assert_true(json_integer_of(&value, &json, json_member(&json, JSON_ROOT, "a")));
	assert_int_equal(value, 1);
}

TEST(texts_with_many_values_on_few_bytes_are_read_to_their_end)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf text = {0};
	struct json json;
	struct json_error wrong;
	int64_t value;

	buf_puts(&text, "[1");
	for (int i = 0; i < 5000; i++)
		buf_puts(&text, ",1");
	buf_puts(&text, ",7]");
	assert_true(json_parse(&json, &a, text.data, text.len, 8, &wrong));
	assert_int_equal(json.n, 5003);
	assert_true(json_integer_of(&value, &json, 5002) && value == 7);
}

TEST(every_value_has_its_line_however_it_is_indented)
{
	for (int indent = 0; indent < 40; indent++) {
		AUTO_RELEASE struct arena a = {0};
		AUTO_BUF struct buf text = {0};
		struct json json;
		struct json_error wrong;

		buf_puts(&text, "\n[");
		for (int i = 0; i < 20; i++)
			buf_printf(&text, "%s%*s%s%*s\"\\n\"", i ? "," : "", indent, "",
				   i % 3 ? "\r\n" : "\t\n \n", indent % 9, "");
		buf_puts(&text, "\n]");
		assert_true(json_parse(&json, &a, text.data, text.len, 2, &wrong));
		assert_int_equal(json.nodes[JSON_ROOT].line, 2);
		assert_int_equal(json.n, 21);
		for (uint32_t i = 1; i < json.n; i++) {
			uint32_t lines = 1;

			for (uint32_t at = 0; at < json.nodes[i].at; at++)
				lines += text.data[at] == '\n';
			assert_int_equal(json.nodes[i].line, lines);
		}
	}
}

TEST(what_is_taken_over_and_written_again_keeps_its_spelling)
{
	static const char text[] = "{ \"a\" : [ 1e999 , \"\\u00e9\\u0000\" , { } ] ,\n"
				   "  \"b\\u0000\" : 18446744073709551616, \"c\": null }";
	AUTO_RELEASE struct arena a = {0};
	struct json json;
	struct json_error wrong;

	assert_true(json_parse(&json, &a, text, strlen(text), 8, &wrong));
	assert_string_equal(json_text(&a, &json, JSON_ROOT),
			    "{\"a\":[1e999,\"\\u00e9\\u0000\",{}],"
			    "\"b\\u0000\":18446744073709551616,\"c\":null}");
	assert_string_equal(json_text(&a, &json, json_member(&json, JSON_ROOT, "c")), "null");
}

TEST(a_draft_changes_what_it_names_and_nothing_else)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf out = {0};
	struct json_builder draft = json_builder_of(
		&a, "{\"x\": 1, \"\\u0079\": {\"z\": [2]}, \"x\": 3, \"\\u0000\": 4}");
	struct json_builder inner = json_builder_of(&a, json_builder_get(&draft, "y"));

	assert_string_equal(json_builder_get(&draft, "x"), "3");
	assert_null(json_builder_get(&draft, "z"));
	json_builder_set_string(&inner, "quote \"", "\\");
	json_builder_set_object(&draft, "y", &inner);
	json_builder_set(&draft, "x", "true");
	json_builder_remove(&draft, "w");
	json_builder_write(&out, &draft);
	assert_string_equal(buf_text(&out),
			    "{\"\\u0000\":4,\"y\":{\"z\":[2],\"quote \\\"\":\"\\\\\"},"
			    "\"x\":true}");
	json_builder_remove(&inner, "z");
	json_builder_remove(&inner, "quote \"");
	buf_clear(&out);
	json_builder_write(&out, &inner);
	assert_string_equal(buf_text(&out), "{}");
	draft = json_builder_of(&a, "[1]");
	assert_int_equal(draft.members.n, 0);
	draft = json_builder_of(&a, NULL);
	assert_int_equal(draft.members.n, 0);
}

TEST(every_node_has_a_path)
{
	static const char text[] = "{\"a\": [1, {\"b-c\": 2, \"10.0.0.1\": {\"\\n\": 3}}]}";
	static const struct {
		uint32_t node;
		const char *path;
	} cases[] = {{0, ""},
		     {1, "a"},
		     {2, "a"},
		     {3, "a[0]"},
		     {4, "a[1]"},
		     {6, "a[1].b-c"},
		     {8, "a[1][\"10.0.0.1\"]"},
		     {10, "a[1][\"10.0.0.1\"][\"\\u000a\"]"}};
	AUTO_RELEASE struct arena a = {0};
	struct json_step steps[9] = {0};
	struct json json;
	struct json_error wrong;

	assert_true(json_parse(&json, &a, text, strlen(text), 8, &wrong));
	assert_int_equal(json.n, 11);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF struct buf path = {0};

		json_path_way(&path, &json, steps, JSON_ROOT, cases[i].node);
		assert_string_equal(buf_text(&path), cases[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_is_read_with_its_place_and_its_length),
		cmocka_unit_test(numbers_are_those_of_the_standard),
		cmocka_unit_test(integers_reach_to_the_ends_of_64_bits_and_no_further),
		cmocka_unit_test(strings_are_utf_8_and_their_escapes_are_characters),
		cmocka_unit_test(what_is_wrong_is_said_where_it_stands),
		cmocka_unit_test(what_is_taken_over_and_written_again_keeps_its_spelling),
		cmocka_unit_test(a_draft_changes_what_it_names_and_nothing_else),
		cmocka_unit_test(every_node_has_a_path),
		cmocka_unit_test(every_value_has_its_line_however_it_is_indented),
		cmocka_unit_test(texts_with_many_values_on_few_bytes_are_read_to_their_end),
		cmocka_unit_test(
			where_a_key_stands_twice_the_last_one_is_found_and_once_that_is_known_the_first),
		cmocka_unit_test(a_text_that_ends_too_early_names_the_bracket_that_is_open),
		cmocka_unit_test(
			a_key_twice_in_an_object_is_found_however_it_is_spelled_and_how_many_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
