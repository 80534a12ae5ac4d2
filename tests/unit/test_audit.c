/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What egress deny would stop: counted within bounds, forgotten once it is allowed, kept as text.
 */
#include "core/logged/advice.h"

#include "unit/test.h"

static const char text[] =
	"{\"networks\": {\"web\": {\"subnet\": \"10.1.0.0/24\", \"egress\": \"%s\"},"
	" \"back\": {\"subnet\": \"10.2.0.0/24\"}},"
	" \"ips\": {\"10.1.0.2\": {\"container_name\": \"shop\"}, \"10.1.0.3\": "
	"{\"container_name\": "
	"\"till\"}, \"10.2.0.2\": {\"container_name\": \"db\"}},"
	" \"policies\": [%s]}";

struct file {
	struct arena a;
	struct diags diags;
	struct config config;
	struct resolution resolution;
};

static void load(struct file *f, const char *egress, const char *policies)
{
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	const char *json;

	*f = (struct file){0};
	f->diags.arena = &f->a;
	json = arena_printf(&f->a, text, egress, policies);
	assert_true(config_decode(&f->config, &kept, &f->diags, &f->a, "networks.json", json,
				  strlen(json)));
	resolve(&f->resolution, &f->diags, &f->a, &f->config, &kept);
	/* as another file has another one */
	f->config.digest = hash_text(json);
}

static void begin(struct audit *audit, struct file *f, const char *egress)
{
	load(f, egress, "");
	audit_follow(audit, &f->config, &f->resolution, 1);
}

static struct ip ip(const char *address)
{
	struct ip ip;

	assert_true(ip_parse(&ip, address));
	return ip;
}

static void note(struct audit *audit, const struct file *f, enum logged_why why, const char *src,
		 const char *dst, uint16_t port)
{
	const struct logged l = {.why = why,
				 .src = ip(src),
				 .dst = ip(dst),
				 .proto = 6,
				 .sport = 4000,
				 .port = port};

	audit_note(audit, &f->config, &f->resolution, &l, 1000);
}

static const char *policies(struct file *f, const struct audit *audit)
{
	AUTO_BUF struct buf out = {0};
	advice_list list = {0};

	advice_make(&list, &f->a, audit, &f->config);
	advice_print(&out, &list, "");
	return arena_strdup(&f->a, buf_text(&out));
}

TEST(who_asks_for_every_port_takes_no_room_from_others)
{
	struct audit audit = {0};
	struct file f;

	begin(&audit, &f, "audit");
	for (uint16_t port = 1; port <= 1000; port++)
		note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "192.0.2.1", port);
	/* addresses without a name are one source, however many there are */
	for (uint32_t i = 10; i < 200; i++)
		note(&audit, &f, LOGGED_AUDIT, ip_format(ip_v4(0x0a010000 + i)).s, "192.0.2.1",
		     (uint16_t)i);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.3", "192.0.2.1", 80);
	assert_int_equal(audit.sources.n, 3);
	assert_true(audit.sources.items[0].flows.n == AUDIT_FLOWS);
	assert_true(audit.sources.items[0].left_out == 1000 - AUDIT_FLOWS);
	assert_true(audit.sources.items[1].flows.n == AUDIT_FLOWS);
	assert_true(audit.sources.items[2].flows.n == 1 && !audit.sources.items[2].left_out);
	assert_non_null(strstr(policies(&f, &audit), "\"container_name\": \"web\""));
	audit_release(&audit);
	arena_release(&f.a);
}

TEST(ports_of_a_target_and_addresses_of_a_port_are_one_policy)
{
	struct audit audit = {0};
	struct file f;

	load(&f, "audit", "");
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "10.2.0.2", 443);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "10.2.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "192.0.2.2", 25);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "192.0.2.1", 25);
	note(&audit, &f, LOGGED_AUDIT_HOST, "10.1.0.2", "10.1.0.1", 53);
	note(&audit, &f, LOGGED_AUDIT_HOST, "10.1.0.2", "10.2.0.1", 53);
	assert_string_equal(
		policies(&f, &audit),
		"{\"container_name\": \"shop\", \"to\": \"db\", \"port\": [80, 443], \"comment\": "
		"\"seen 2 times\"},\n"
		"{\"container_name\": \"shop\", \"to\": \"host\", \"port\": 53, \"comment\": "
		"\"seen 2 times\"},\n"
		"{\"container_name\": \"shop\", \"to\": [\"192.0.2.1\", \"192.0.2.2\"], \"port\": "
		"25, \"comment\": \"seen 2 times\"}");
	for (uint32_t i = 10; i < 100; i++)
		note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", ip_format(ip_v4(0xc0000200 + i)).s, 25);
	assert_non_null(strstr(policies(&f, &audit),
			       "\"to\": \"any\", \"port\": 25, \"comment\": \"seen 92 times, at "
			       "more than 8 addresses\"}"));
	audit_release(&audit);
	arena_release(&f.a);
}

TEST(what_was_translated_is_the_port_that_was_asked_for)
{
	struct audit audit = {0};
	struct file f;

	load(&f, "audit", "");
	note(&audit, &f, LOGGED_AUDIT_ASKED, "10.1.0.2", "192.0.2.9", 8080);
	assert_true(audit_is_empty(&audit));
	note(&audit, &f, LOGGED_AUDIT_DNAT, "10.1.0.2", "10.2.0.2", 80);
	assert_string_equal(policies(&f, &audit),
			    "{\"container_name\": \"shop\", \"to\": \"host\", \"port\": 8080, "
			    "\"comment\": \"seen 1 time\"}");
	/* nobody knows what this one asked for */
	note(&audit, &f, LOGGED_AUDIT_DNAT, "10.1.0.3", "10.2.0.2", 80);
	assert_true(audit.sources.items[1].left_out == 1 && !audit.sources.items[1].flows.n);
	audit_release(&audit);
	arena_release(&f.a);
}

TEST(what_the_file_allows_or_no_longer_audits_is_forgotten)
{
	struct audit audit = {0};
	struct file f, more, network, denied;

	load(&f, "audit", "");
	load(&more, "audit",
	     "{\"selector\": \"shop\", \"to\": \"db\", \"port\": \"400-500\"}, {\"selector\": "
	     "\"till\", \"to\": \"host\"}");
	load(&denied, "deny", "");
	audit_follow(&audit, &f.config, &f.resolution, 1);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "10.2.0.2", 443);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "10.2.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT_HOST, "10.1.0.3", "10.1.0.1", 53);
	audit_follow(&audit, &more.config, &more.resolution, 2);
	assert_string_equal(policies(&more, &audit),
			    "{\"container_name\": \"shop\", \"to\": \"db\", \"port\": 80, "
			    "\"comment\": \"seen 1 time\"}");
	assert_true(audit.networks.n == 1 && audit.networks.items[0].since == 1);
	/* who has no name is allowed by the policy that is proposed for him: of his network */
	note(&audit, &more, LOGGED_AUDIT, "10.1.0.77", "192.0.2.1", 80);
	assert_int_equal(audit.sources.n, 2);
	load(&network, "audit", policies(&more, &audit));
	audit_follow(&audit, &network.config, &network.resolution, 3);
	assert_true(audit_is_empty(&audit) && audit.networks.n == 1);
	audit_follow(&audit, &denied.config, &denied.resolution, 4);
	assert_true(audit_is_empty(&audit) && !audit.networks.n);
	audit_release(&audit);
	arena_release(&f.a);
	arena_release(&more.a);
	arena_release(&network.a);
	arena_release(&denied.a);
}

TEST(a_borrowed_source_is_counted_and_blamed_on_nobody)
{
	struct audit audit = {0};
	struct file f;

	load(&f, "audit", "");
	note(&audit, &f, LOGGED_AUDIT_BORROWED, "10.1.0.2", "192.0.2.1", 80);
	note(&audit, &f, LOGGED_AUDIT, "10.9.0.2", "192.0.2.1", 80);
	assert_true(audit.borrowed == 2 && !audit.sources.n && !audit_is_empty(&audit));
	audit_release(&audit);
	arena_release(&f.a);
}

TEST(as_text_it_is_the_same_and_a_text_that_is_cut_off_is_no_harm)
{
	AUTO_BUF struct buf saved = {0}, again = {0};
	struct audit audit = {0}, read = {0};
	struct file f;

	begin(&audit, &f, "audit\", \"isolation\": \"audit");
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "10.2.0.2", 443);
	note(&audit, &f, LOGGED_AUDIT_HOST, "10.1.0.3", "10.1.0.1", 53);
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.2.0.2", "10.1.0.2", 443);
	note(&audit, &f, LOGGED_AUDIT_SERVED, "10.1.0.3", "10.1.0.1", 8081);
	audit_save(&saved, &audit);
	assert_true(audit_load(&read, buf_text(&saved)));
	audit_save(&again, &read);
	assert_string_equal(buf_text(&saved), buf_text(&again));
	for (size_t len = 0; len < saved.len; len++) {
		struct audit part = {0};

		audit_load(&part, arena_strndup(&f.a, buf_text(&saved), len));
		audit_release(&part);
	}
	assert_false(audit_load(&read, "harborwall-audit 1 0 0 0\nflow 9 - 6 80 1 1 1\n"));
	assert_false(audit_load(&read, "harborwall-audit 1 0 0 0\nsource - 0\n"));
	assert_false(audit_load(&read, "something else\n"));
	audit_release(&audit);
	audit_release(&read);
	arena_release(&f.a);
}

/* --- isolation --- */

#define WATCHED "open\", \"isolation\": \"audit"

static void note_from(struct audit *audit, const struct file *f, enum logged_why why,
		      const char *src, uint16_t sport, const char *dst, uint16_t port)
{
	const struct logged l = {.why = why,
				 .src = ip(src),
				 .dst = ip(dst),
				 .proto = why == LOGGED_AUDIT_SAMPLE ? 17 : 6,
				 .sport = sport,
				 .port = port};

	audit_note(audit, &f->config, &f->resolution, &l, 1000);
}

TEST(what_gets_in_is_listed_by_who_is_asked)
{
	struct audit audit = {0};
	struct file f;

	begin(&audit, &f, WATCHED);
	assert_true(audit.networks.n == 1 && audit.networks.items[0].into);
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.2.0.2", "10.1.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.1.0.3", "10.1.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT_INTO, "192.0.2.1", "10.1.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT_INTO, "192.0.2.2", "10.1.0.2", 80);
	assert_string_equal(
		policies(&f, &audit),
		"{\"container_name\": \"shop\", \"from\": \"db\", \"port\": 80, \"comment\": "
		"\"seen 1 time\"},\n"
		"{\"container_name\": \"shop\", \"from\": \"till\", \"port\": 80, \"comment\": "
		"\"seen 1 time\"},\n"
		"{\"container_name\": \"shop\", \"from\": [\"192.0.2.1\", \"192.0.2.2\"], "
		"\"port\": "
		"80, \"comment\": \"seen 2 times\"}");
	/* whoever asks from wherever takes no more room than one entry */
	for (uint32_t i = 0; i < 1000; i++)
		note(&audit, &f, LOGGED_AUDIT_INTO, ip_format(ip_v4(0xc6336400 + i)).s, "10.1.0.2",
		     80);
	assert_true(audit.sources.n == 1 && audit.sources.items[0].flows.n == 3);
	assert_non_null(strstr(policies(&f, &audit), "\"from\": \"any\""));
	assert_true(audit.networks.items[0].last == 1000 && !audit_refuses(&audit, false));
	for (uint16_t port = 1000; port < 3000; port++)
		note(&audit, &f, LOGGED_AUDIT_INTO, "10.2.0.2", "10.1.0.3", port);
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.1.0.2", "10.1.0.3", 443);
	assert_non_null(strstr(policies(&f, &audit), "\"from\": \"shop\", \"port\": 443"));
	assert_int_equal(audit.sources.items[1].left_out, 2000 - AUDIT_OF_PEER);
	audit_release(&audit);
	arena_release(&f.a);
}

TEST(what_no_policy_lets_in_is_listed_without_one)
{
	struct audit audit = {0};
	struct file f;

	begin(&audit, &f, WATCHED);
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.1.0.2", "10.1.0.77", 80);
	note(&audit, &f, LOGGED_AUDIT_BY_HOST, "10.1.0.1", "10.1.0.77", 80);
	note(&audit, &f, LOGGED_AUDIT_SERVED, "10.1.0.3", "10.1.0.1", 8081);
	assert_true(audit.sources.n == 2 && audit_refuses(&audit, true));
	list_each (source, &audit.sources)
		assert_non_null(audit_without_policy(&f.config, source, &source->flows.items[0]));
	assert_string_equal(policies(&f, &audit), "");
	note(&audit, &f, LOGGED_AUDIT_BY_HOST, "10.1.0.1", "10.1.0.2", 80);
	assert_non_null(strstr(policies(&f, &audit), "\"from\": \"host\", \"port\": 80"));
	/* a network that is not audited, and a frame whose ends are on two */
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.1.0.2", "10.2.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT_FRAME, "10.2.0.2", "10.1.0.2", 80);
	assert_int_equal(audit.borrowed, 2);
	audit_release(&audit);
	arena_release(&f.a);
}

TEST(a_reply_is_no_connection_where_nobody_tracks_them)
{
	struct audit audit = {0};
	struct file f;

	begin(&audit, &f, WATCHED);
	for (int i = 0; i < 3; i++) { /* who was seen first has begun it */
		note_from(&audit, &f, LOGGED_AUDIT_SAMPLE, "10.1.0.2", 4000, "10.1.0.3", 5000);
		note_from(&audit, &f, LOGGED_AUDIT_SAMPLE, "10.1.0.3", 5000, "10.1.0.2", 4000);
	}
	assert_string_equal(policies(&f, &audit),
			    "{\"container_name\": \"till\", \"from\": \"shop\", \"port\": 5000, "
			    "\"proto\": \"udp\", \"comment\": \"seen 1 time\"}");
	/* the beginning was not seen */
	note_from(&audit, &f, LOGGED_AUDIT_SAMPLE, "10.1.0.2", 53, "10.1.0.3", 40000);
	note_from(&audit, &f, LOGGED_AUDIT_SAMPLE, "10.1.0.3", 40000, "10.1.0.2", 53);
	assert_non_null(strstr(policies(&f, &audit),
			       "{\"container_name\": \"shop\", \"from\": \"till\", \"port\": 53, "
			       "\"proto\": \"udp\", \"comment\": \"seen 1 time\"}"));
	/* a later fragment has no port */
	note_from(&audit, &f, LOGGED_AUDIT_SAMPLE, "10.1.0.2", 0, "10.1.0.3", 0);
	assert_int_equal(audit.sources.n, 2);
	audit_release(&audit);
	arena_release(&f.a);
}

TEST(what_a_policy_lets_in_between_neighbours_is_not_listed)
{
	struct audit audit = {0};
	struct file f, more;

	begin(&audit, &f, WATCHED);
	note_from(&audit, &f, LOGGED_AUDIT_FRAME, "10.1.0.3", 40000, "10.1.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT_INTO, "192.0.2.1", "10.1.0.2", 443);
	load(&more, WATCHED, policies(&f, &audit));
	audit_follow(&audit, &more.config, &more.resolution, 2);
	assert_true(audit_is_empty(&audit) && audit.networks.items[0].since == 1);
	for (uint16_t i = 0; i < 2; i++) {
		note_from(&audit, &more, LOGGED_AUDIT_FRAME, "10.1.0.3", 40000, "10.1.0.2", 80);
		note_from(&audit, &more, LOGGED_AUDIT_INTO, "10.1.0.3", 40000, "10.1.0.2", 80);
	}
	assert_true(audit_is_empty(&audit));
	note_from(&audit, &more, LOGGED_AUDIT_FRAME, "10.1.0.3", 40000, "10.1.0.2", 81);
	assert_true(audit_refuses(&audit, true) && !audit.incomplete);
	/* who asks for every port of everybody does not make us look at policies all day */
	for (uint32_t i = 0; i < 30000; i++)
		note_from(&audit, &more, LOGGED_AUDIT_FRAME, "10.1.0.3", 40000, "10.1.0.2",
			  (uint16_t)(100 + i));
	assert_true(audit.incomplete);
	audit_release(&audit);
	arena_release(&f.a);
	arena_release(&more.a);
}

TEST(what_both_audits_refuse_is_one_policy)
{
	struct audit audit = {0};
	struct file f;

	begin(&audit, &f, "audit\", \"isolation\": \"audit");
	assert_int_equal(audit.networks.n, 2);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.2", "10.2.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.1.0.2", "10.2.0.2", 80); /* which is not audited */
	note(&audit, &f, LOGGED_AUDIT_INTO, "10.1.0.3", "10.1.0.2", 80);
	note(&audit, &f, LOGGED_AUDIT, "10.1.0.3", "10.1.0.2", 80);
	assert_string_equal(policies(&f, &audit),
			    "{\"container_name\": \"shop\", \"to\": \"db\", \"port\": 80, "
			    "\"comment\": \"seen 1 time\"},\n"
			    "{\"container_name\": \"till\", \"to\": \"shop\", \"port\": 80, "
			    "\"comment\": \"seen 1 time\"}");
	audit_release(&audit);
	arena_release(&f.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asks_for_every_port_takes_no_room_from_others),
		cmocka_unit_test(ports_of_a_target_and_addresses_of_a_port_are_one_policy),
		cmocka_unit_test(what_was_translated_is_the_port_that_was_asked_for),
		cmocka_unit_test(what_the_file_allows_or_no_longer_audits_is_forgotten),
		cmocka_unit_test(a_borrowed_source_is_counted_and_blamed_on_nobody),
		cmocka_unit_test(what_gets_in_is_listed_by_who_is_asked),
		cmocka_unit_test(what_no_policy_lets_in_is_listed_without_one),
		cmocka_unit_test(a_reply_is_no_connection_where_nobody_tracks_them),
		cmocka_unit_test(what_a_policy_lets_in_between_neighbours_is_not_listed),
		cmocka_unit_test(what_both_audits_refuse_is_one_policy),
		cmocka_unit_test(as_text_it_is_the_same_and_a_text_that_is_cut_off_is_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
