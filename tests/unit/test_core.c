/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What core decides, without a kernel and without an engine: names, engine answers, and the laws of
 * difference over every golden file: what is sent reads back as what was wanted. */
#include "core/compile/compile.h"
#include "core/config/impl.h"
#include "core/config/place.h"
#include "core/foreign/handoff.h"
#include "core/nft/nft.h"
#include "core/plan/plan.h"
#include "core/ports/ports.h"
#include "core/resolve/resolve.h"
#include "unit/example.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEST(a_prefix_of_a_name_ends_at_a_boundary)
{
	assert_true(name_has_prefix("smarthostbackend-1", "smarthostbackend"));
	assert_true(name_has_prefix("web_1", "web"));
	assert_true(name_has_prefix("web.a", "web"));
	assert_true(name_has_prefix("web1", "web"));
	assert_false(name_has_prefix("webhook", "web"));
	assert_false(name_has_prefix("we", "web"));
	assert_false(name_has_prefix("web", ""));
}

TEST(the_newest_api_that_both_speak_is_chosen)
{
	static const char answer[] = "{\"Version\": \"20.10.24\", \"ApiVersion\": \"1.41\", "
				     "\"MinAPIVersion\": \"1.12\"}";
	AUTO_RELEASE struct arena a = {0};
	struct engine e = {0};
	struct error err = {0};

	assert_true(engine_decode_version(&e, &a, answer, sizeof(answer) - 1, NULL, &err));
	assert_true(engine_choose_api(&e, &a, NULL, &err));
	assert_string_equal(e.api, "1.41");
	assert_int_equal(e.major, 20);
	assert_false(engine_choose_api(&e, &a, "1.45", &err));
	assert_non_null(strstr(err.text, "1.45"));
}

TEST(an_answer_that_is_no_list_is_no_empty_list)
{
	static const char *const answers[] = {"", "{}", "null", "[1]", "[{\"Id\": 1}]", "[{}]"};
	AUTO_RELEASE struct arena a = {0};

	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		struct engine e = {0};
		struct error err = {0};

		assert_false(engine_decode_networks(&e, &a, answers[i], strlen(answers[i]), &err));
		assert_true(err.text[0]);
	}
}

TEST(what_is_wrong_with_an_answer_is_said_with_its_byte_and_its_path)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"", "byte 0 of the answer: not JSON: the text is empty"},
		{"[{\"Id\": \"1\",}]",
		 "byte 11 of the answer: not JSON: trailing comma; remove it"},
		{"[{\"Id\": \"\xff\"}]", "byte 9 of the answer: not JSON: not UTF-8"},
		{"[{\"Id\": \"\\ud800\"}]", "byte 9 of the answer: not JSON: unknown escape"},
		{"{}", "byte 0 of the answer: expected a list, found an object"},
		{"[null]", "byte 1 of the answer: [0]: expected an object, found null"},
		{"[{\"Id\": 1}]",
		 "byte 8 of the answer: [0].Id: expected a string, found a number"},
		{"[{\"Name\": \"a\"}]", "byte 1 of the answer: [0]: no Id"},
		{"[{\"Id\": \"a\\u0000b\"}]", "byte 8 of the answer: [0].Id: a NUL character"},
		{"[{\"Id\": \"1\", \"Name\": \"a\", \"Internal\": \"no\"}]",
		 "byte 38 of the answer: [0].Internal: expected true or false, found a string"},
		{"[{\"Id\": \"1\", \"Name\": \"a\", \"IPAM\": []}]",
		 "byte 34 of the answer: [0].IPAM: expected an object, found a list"},
		{"[{\"Id\": \"1\", \"Name\": \"a\", \"IPAM\": {\"Config\": [{}, {\"Subnet\": "
		 "4}]}}]",
		 "byte 61 of the answer: [0].IPAM.Config[1].Subnet: expected a subnet, found a "
		 "number"},
		{"[{\"Id\": \"1\", \"Name\": \"a\", \"Labels\": {\"x.y\": 18446744073709551616}}]",
		 "byte 44 of the answer: [0].Labels[\"x.y\"]: expected a string, found a number "
		 "that "
		 "is too large"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct engine e = {0};
		struct error err = {0};

		assert_false(
			engine_decode_networks(&e, &a, cases[i].text, strlen(cases[i].text), &err));
		assert_memory_equal(err.text, cases[i].said, strlen(cases[i].said));
	}
}

/* An image brings its labels along: none of them may hide the containers of a host. */
TEST(what_an_answer_says_and_nobody_asks_for_hides_nothing)
{
	static const char text[] = "[{\"Id\": \"1\", \"Names\": [\"/web\"], \"State\": \"running\","
				   " \"Labels\": {\"a\\u0000b\": \"\\u0000\", \"n\": 1e999, \"n\": "
				   "18446744073709551616,"
				   " \"deep\": [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]},"
				   " \"NetworkSettings\": {\"Networks\": {\"\\u006eet\": "
				   "{\"IPAddress\": \"10.0.0.2\\u0000\","
				   " \"Gateway\": \"10.0.0.\\u0031\", \"DriverOpts\": "
				   "{\"io.harborwall.managed\": \"1\"}}}}}]";
	AUTO_RELEASE struct arena a = {0};
	struct engine e = {0};
	struct error err = {0};
	const struct engine_container *web;
	const struct engine_endpoint *net;

	assert_true(engine_decode_containers(&e, &a, text, sizeof(text) - 1, &err));
	web = engine_find_container(&e, "web");
	assert_true(web && web->running);
	net = engine_find_endpoint(web, "net");
	assert_true(net && net->managed);
	assert_int_equal(net->ip.family, 0); /* it is no address, not one that is cut short */
	assert_string_equal(ip_format(net->gateway).s, "10.0.0.1");
}

TEST(the_list_tells_the_mac_address_of_what_runs)
{
	static const char text[] = "[{\"Id\": \"1\", \"Names\": [\"/web\"], \"State\": \"running\","
				   " \"NetworkSettings\": {\"Networks\": {\"a\": {\"MacAddress\": "
				   "\"02:42:aC:12:67:02\"},"
				   " \"b\": {\"MacAddress\": \"\"}}}}]";
	static const char *const none[] = {"02:42:ac:12:67",	"02:42:ac:12:67:02:03",
					   "02-42-ac-12-67-02", "02:42:ac:12:67:0g",
					   "03:42:ac:12:67:02", "00:00:00:00:00:00"};
	static const struct mac expected = {{2, 0x42, 0xac, 0x12, 0x67, 2}};
	AUTO_RELEASE struct arena a = {0};
	struct engine e = {.up = true};
	struct error err = {0};
	struct engine_endpoint *end;
	struct mac mac;
	uint64_t digest;

	assert_true(engine_decode_containers(&e, &a, text, sizeof(text) - 1, &err));
	end = engine_find_endpoint(engine_find_container(&e, "web"), "a");
	assert_true(mac_parse(&mac, end->mac));
	assert_memory_equal(&mac, &expected, sizeof(mac));
	assert_false(
		mac_parse(&mac, engine_find_endpoint(engine_find_container(&e, "web"), "b")->mac));
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(mac_parse(&mac, none[i]));
	/* a container with another one is compared again */
	digest = engine_digest(&e);
	end->mac = "02:42:ac:12:67:03";
	assert_int_not_equal(engine_digest(&e), digest);
}

TEST(the_list_tells_which_ports_of_the_host_lead_to_a_container)
{
	static const char text[] =
		"[{\"Id\": \"1\", \"Names\": [\"/web\"], \"State\": \"running\", \"Ports\": ["
		"{\"IP\": \"0.0.0.0\", \"PrivatePort\": 80, \"PublicPort\": 8081, \"Type\": "
		"\"tcp\"}, {\"PrivatePort\": 443, \"Type\": \"tcp\"}, {\"IP\": \"::\", "
		"\"PrivatePort\": 53, \"PublicPort\": 53, \"Type\": \"udp\"}]}]";
	static const char wrong[] =
		"[{\"Id\": \"1\", \"Ports\": [{\"PublicPort\": 65536, \"Type\": \"tcp\"}]}]";
	AUTO_RELEASE struct arena a = {0};
	struct engine e = {.up = true}, other = {0};
	struct error err = {0};
	struct engine_container *web;
	uint64_t digest;

	assert_true(engine_decode_containers(&e, &a, text, sizeof(text) - 1, &err));
	web = &e.containers.items[0];
	assert_int_equal(web->published.n, 2);
	assert_int_equal(web->published.items[0].port, 8081);
	assert_int_equal(web->published.items[0].proto, 6);
	assert_int_equal(web->published.items[1].port, 53);
	assert_int_equal(web->published.items[1].proto, 17);
	digest = engine_digest(&e); /* what strict networks close follows them */
	web->published.items[1].port = 54;
	assert_int_not_equal(engine_digest(&e), digest);
	assert_false(engine_decode_containers(&other, &a, wrong, sizeof(wrong) - 1, &err));
}

TEST(a_refusal_is_quoted_on_one_line)
{
	static const char body[] = "{\"message\": \"Pool overlaps\\nwith other one\"}";
	struct error err = {0};

	assert_false(engine_decode_error(&err, 403, body, sizeof(body) - 1));
	assert_int_equal(err.code, 403);
	assert_null(strchr(err.text, '\n'));
	assert_non_null(strstr(err.text, "403 Pool overlaps"));
}

/* Inspect tells them, and they are put into the lists behind the digest of the pass. */
TEST(a_mark_that_inspect_tells_makes_no_other_engine)
{
	struct engine_endpoint endpoint = {.network = "web"};
	struct engine_container container = {
		.id = "a", .name = "api", .endpoints = {&endpoint, 1, 1}};
	const struct engine engine = {.up = true, .containers = {&container, 1, 1}};
	uint64_t listed = engine_digest(&engine);

	endpoint.managed = true;
	assert_int_equal(engine_digest(&engine), listed);
	container.running = true;
	assert_int_not_equal(engine_digest(&engine), listed);
}

/* --- the laws, over the golden files --- */

static const char *const files[] = {"example", "every_field", "service_without_container",
				    "source_address_wins"};

/* As a kernel would answer a dump after the transaction. */
static void commit(struct ruleset *have, struct arena *a, const struct nft_batch *batch)
{
	const char *at = buf_text(&batch->bytes), *end = at + batch->bytes.len;
	AUTO_RELEASE struct arena loose = {0};
	struct error err = {0};

	while (at < end) {
		const struct nlmsghdr *message = (const void *)at;

		if (message->nlmsg_type >= NLMSG_MIN_TYPE + 16)
			assert_true(nft_decode_message(have, a, &loose, message, &err));
		at += NLMSG_ALIGN(message->nlmsg_len);
	}
	nft_decode_finish(have, a);
}

/* The kernel says once that a transaction stands, and what it refuses without being asked. */
static void assert_one_ack(const struct nft_batch *batch)
{
	const char *at = buf_text(&batch->bytes), *end = at + batch->bytes.len;
	uint32_t i = 0;

	for (; at < end; i++) {
		const struct nlmsghdr *message = (const void *)at;

		assert_int_equal(!!(message->nlmsg_flags & NLM_F_ACK), i == batch->n_messages - 2);
		at += NLMSG_ALIGN(message->nlmsg_len);
	}
	assert_int_equal(i, batch->n_messages);
}

TEST(what_is_sent_reads_back_as_what_was_wanted)
{
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct example x = {0};

		load(&x, files[i], BACKEND_NFTABLES);
		list_each (space, &x.want.spaces) {
			struct nft_batch first = {0}, second = {0};
			nft_changes changes = {0};
			struct ruleset have = {0};

			if (!space->ruleset.exists)
				continue;
			nft_batch_begin(&first, &x.arena, 1);
			nft_diff(&first, &changes, &x.arena, &space->ruleset, &have);
			nft_batch_end(&first, &x.arena);
			assert_false(nft_batch_is_empty(&first));
			assert_one_ack(&first);
			commit(&have, &x.arena, &first);
			nft_batch_begin(&second, &x.arena, 1);
			nft_diff(&second, &changes, &x.arena, &space->ruleset, &have);
			nft_batch_end(&second, &x.arena);
			assert_true(nft_batch_is_empty(&second));
			buf_free(&first.bytes);
			buf_free(&second.bytes);
		}
		arena_release(&x.arena);
	}
}

TEST(a_state_compared_with_itself_plans_nothing_for_its_namespaces)
{
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct example x = {0};
		struct plan plan = {0};
		struct observed seen = {.engine = &x.engine, .facts = &x.facts};

		load(&x, files[i], BACKEND_NFTABLES);
		list_each (space, &x.want.spaces) {
			space->container_id = space->container;
			space->reachable = true;
			list_each (handoff, &space->handoffs)
				handoff->present = handoff->in_place = true;
			*list_add(&x.arena, &seen.have.spaces) = *space;
		}
		plan_diff(&plan, &x.arena, &x.want, &seen, &x.config);
		assert_int_equal(plan.steps.n, 0);
		plan_free(&plan);
		arena_release(&x.arena);
	}
}

/* Docker 20.10 puts its jumps so when it starts again over running containers (--live-restore). */
TEST(a_docker_user_behind_the_isolation_comes_too_late)
{
	static const char *const jumps[] = {
		"-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n",
		"-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n-A FORWARD -j DOCKER-USER\n",
	};

	for (size_t i = 0; i < COUNT_OF(jumps); i++) {
		struct arena a = {0};
		struct filter_view view = {0};

		handoff_view_text(&view, &a, 4,
				  arena_printf(&a,
					       "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - "
					       "[0:0]\n%sCOMMIT\n",
					       jumps[i]),
				  "");
		assert_true(view.docker_user && view.docker_isolation);
		assert_int_equal(view.user_first, i != 1);
		arena_release(&a);
	}
}

static bool decodes(const char *text, uint32_t *n_policies)
{
	struct arena a = {0};
	struct diags diags = {.arena = &a};
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	struct config config;
	bool ok = config_decode(&config, &kept, &diags, &a, "f", text, strlen(text));

	*n_policies = config.policies.n;
	assert_int_equal(ok, !diags.n_errors);
	arena_release(&a);
	return ok;
}

TEST(a_file_is_read_strictly)
{
#define REST "\"networks\":{},\"ips\":{}"
#define A    "\"selector\":\"a\",\"from\":\"c\""
#define B    "\"selector\":\"b\",\"from\":\"c\""
	static const char *const good[] = {
		" { " REST " , \"policies\" : [ {" A ",\"port\":1} , {" B "} ] } ",
		"{\"policies\":[{" A "},\n{\"selector\":\"]}\",\"from\":\"c\"}]," REST "}",
	};
	static const char *const bad[] = {
		"{" REST ",\"policies\":[{" A "},]}",
		"{" REST ",\"policies\":[{" A "} {" B "}]}",
		"{" REST ",\"policies\":[,{" A "}]}",
		"{" REST ",\"policies\":[{" A "}]}}",
		"{" REST ",\"policies\":[{" A "}]",
		"{" REST ",\"policies\":[{" A "," B "}]}",
		"{" REST ",\"policies\":[],\"policies\":[]}",
		"{\"ips\":{\"x\":{\"ip\":\"10.0.0.2\"},\"x\":{\"ip\":\"10.0.0.3\"}},"
		"\"networks\":{\"a\":{\"subnet\":\"10.0.0.0/24\"}},\"policies\":[]}",
		"{" REST ",\"policies\":[1x]}",
		"{" REST ",\"policies\":[{" A ",\"port\":080}]}",
		"{" REST ",\"policies\":[{" A ",\"port\":8e}]}",
		"{" REST ",\"policies\":[{" A ",\"name\":\"a\n 1234567\"}]}        ",
		"{" REST ",\"policies\":[{" A " \"port\":8}]}",
		"{" REST ",\"policies\":[{" A ",}]}",
		"{" REST ",\"policies\":[{," A "}]}",
		"{" REST ",\"policies\":[{selector:\"a\"}]}",
		"{" REST ",\"policies\":[],}",
		"{" REST ",\"policies\" []}",
		"{" REST ",\"polic\\u0000ies\":[]}x",
		"[]",
	};
	uint32_t n;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_true(decodes(good[i], &n));
		assert_int_equal(n, 2);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(decodes(bad[i], &n));
#undef REST
#undef A
#undef B
}

TEST(a_section_that_is_missing_is_an_error)
{
	static const char *const sections[] = {"\"networks\":{}", "\"ips\":{}", "\"policies\":[]"};
	static const char *const more[] = {"", ",\"x-\":\"\\u0041\"",
					   ",\"zebra\":{\"a\":1,\"a\":1}"};

	for (unsigned set = 0; set < 8; set++)
		for (size_t i = 0; i < COUNT_OF(more); i++) {
			AUTO_RELEASE struct arena a = {0};
			struct diags diags = {.arena = &a};
			const char *text = "\"_\":0";
			AUTO_CONFIG_TEXT struct config_text kept = {0};
			uint32_t missing = 0;
			struct config config;

			for (unsigned k = 0; k < 3; k++)
				if (set >> k & 1)
					text = arena_printf(&a, "%s,%s", text, sections[k]);
			text = arena_printf(&a, "{%s%s}", text, more[i]);
			assert_int_equal(
				config_decode(&config, &kept, &diags, &a, "f", text, strlen(text)),
				set == 7 && i < 2);
			list_each (diag, &diags.list)
				missing += strstr(diag->message, "section is missing") != NULL;
			assert_int_equal(missing, 3 - __builtin_popcount(set));
		}
}

TEST(policies_of_very_different_length_are_all_kept)
{
	enum { N = 3000 };
	AUTO_BUF struct buf text = {0};

	for (int order = 0; order < 2; order++) {
		AUTO_RELEASE struct arena a = {0};
		struct diags diags = {.arena = &a};
		AUTO_CONFIG_TEXT struct config_text kept = {0};
		struct config config;

		text.len = 0;
		buf_puts(&text, "{\"networks\":{},\"ips\":{},\"policies\": [");
		for (int i = 0; i < N; i++)
			buf_printf(&text,
				   "%s{\"selector\":\"s\",\"nat\":\"masquerade\",\"port\":%d,%*s"
				   "\"comment\":\"number %d\"}",
				   i ? "," : "", i + 1, (i < N / 2) == order ? 1 : 700, "", i);
		buf_puts(&text, "]}");
		assert_true(config_decode(&config, &kept, &diags, &a, "f", text.data, text.len));
		assert_int_equal(config.policies.n, N);
		for (int i = 0; i < N; i++) {
			const struct policy *p = &config.policies.items[i];

			assert_int_equal(policy_ports(&config, p)->low, i + 1);
			assert_string_equal(policy_comment(&config, p),
					    arena_printf(&a, "number %d", i));
		}
	}
}

/* What core/flows/share.c says of its seeds. */
TEST(neighbouring_clients_are_parted_evenly_and_each_is_of_one_part)
{
	enum { CLIENTS = 1000 };
	static const uint32_t networks[] = {0x0a000000, 0xac120000, 0xc0a80000};

	for (size_t n = 0; n < COUNT_OF(networks); n++)
		for (uint8_t of = 2; of <= 5; of++)
			for (uint8_t division = 0; division < 2; division++) {
				uint32_t has[5] = {0}, all = 0;

				for (uint32_t i = 0; i < CLIENTS; i++)
					for (uint8_t part = 0; part < of; part++)
						has[part] += share_has(
							(struct share){part, of, division, false},
							ip_v4(networks[n] + i));
				for (uint8_t part = 0; part < of; part++) {
					assert_in_range(has[part], CLIENTS * 9 / of / 10,
							CLIENTS * 11 / of / 10);
					all += has[part];
				}
				assert_int_equal(all, CLIENTS);
			}
}

TEST(control_characters_are_found_wherever_they_stand)
{
	char text[21];

	for (size_t len = 1; len < sizeof(text); len++)
		for (size_t at = 0; at < len; at++)
			for (int c = 0; c < 256; c++) {
				memset(text, 'a', sizeof(text));
				text[len] = '\n'; /* behind its end */
				text[at] = (char)c;
				assert_int_equal(has_control(text, len), c < ' ' || c == 0x7f);
			}
}

static const struct diag *decode_wrong(struct diags *diags, const char *text, size_t len)
{
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	struct config config;

	assert_false(config_decode(&config, &kept, diags, diags->arena, "f", text, len));
	diags_place(diags, text, len);
	return diags->list.items;
}

TEST(a_diagnostic_stands_at_its_value_and_its_path_leads_there)
{
	static const struct {
		const char *text, *path;
		uint32_t line, column;
	} cases[] = {
		{"{\n \"é\": 1}", "[\"é\"]", 2, 2},
		{"{\"policies\": [{}, {\"port\": [1,\n \t0]}]}", "policies[1].port[1]", 2, 3},
		{"{\"networks\": {\"a b\": {\"labels\": {\"1\": 2}}}}",
		 "networks[\"a b\"].labels[\"1\"]", 1, 39},
		{"{\"x-\": {\"a\": [[0], {\"b\": 0, \"b\": 1}]}}", "x-.a[1].b", 1, 29},
		{"{\"ips\": {\"x-\": {\"k\": 0, \"k\": 1}}}", "ips.x-.k", 1, 25},
		{"{\"ips\": {\"x-\": 0, \"_\": 1, \"\": {}}}", "ips[\"\"]", 1, 27},
		{"[]", "", 1, 1},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct diags diags = {.arena = &a};
		bool found = false;

		decode_wrong(&diags, cases[i].text, strlen(cases[i].text));
		list_each (d, &diags.list)
			found |= d->line == cases[i].line && d->column == cases[i].column &&
				 !strcmp(d->path, cases[i].path);
		if (!found)
			list_each (d, &diags.list)
				print_error("%s\n", diag_format(&a, "f", d));
		assert_true(found);
	}
}

TEST(of_a_key_that_stands_twice_the_first_counts_and_its_line_is_named)
{
	static const char text[] = "{\"networks\": {}, \"ips\": {},\n\"policies\": [],\n"
				   "\"policies\": 7, \"policies\": 8, \"x-\": 1, \"x-\": 2}";
	AUTO_RELEASE struct arena a = {0};
	struct diags diags = {.arena = &a};

	decode_wrong(&diags, text, sizeof(text) - 1);
	assert_int_equal(diags.list.n, 3); /* and none that 7 is no list */
	for (int i = 0; i < 2; i++)
		assert_string_equal(diags.list.items[i].message,
				    "duplicate key, first on line 2; remove one of the two");
	assert_string_equal(diags.list.items[2].path, "x-");
}

/* On one line, so that no place may be counted from its beginning. */
TEST(many_diagnostics_in_a_large_file_take_no_longer_each)
{
	enum { MANY = 200000, MOST_MS = 5000 };
	static const struct {
		const char *before, *item, *behind;
	} cases[] = {
		{"{\"port\":[", "0", "]}"},
		{"{\"port\":[", "[1]", "]}"},
		{"{", "\"a\":{\"b\":0,\"b\":1}", "}"},
		{"", "{\"from\":0}", ""},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		AUTO_BUF struct buf text = {0};
		struct diags diags = {.arena = &a};
		int64_t start = clock_ms();

		buf_puts(&text, "{\"networks\":{},\"ips\":{},\"policies\":[");
		buf_puts(&text, cases[i].before);
		for (int n = 0; n < MANY; n++) {
			buf_puts(&text, n ? "," : "");
			buf_puts(&text, cases[i].item);
		}
		buf_puts(&text, cases[i].behind);
		buf_puts(&text, "]}");
		decode_wrong(&diags, text.data, text.len);
		assert_true(diags.list.n >= MANY);
		assert_in_range(clock_ms() - start, 0, MOST_MS);
	}
}

TEST(the_line_of_every_policy_is_known)
{
	static const char text[] = "{\"networks\": {}, \"ips\": {}, \"policies\": [\n\n"
				   "{\"x-\": \"\\n\"}, {\n}, {}\n,\n{}]}";
	static const uint32_t lines[] = {3, 3, 4, 6};
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	AUTO_RELEASE struct arena a = {0};
	struct diags diags = {.arena = &a};
	struct config config;

	assert_true(config_decode(&config, &kept, &diags, &a, "f", text, sizeof(text) - 1));
	assert_int_equal(config.policies.n, COUNT_OF(lines));
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		assert_int_equal(config.policies.items[i].line, lines[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_diagnostic_stands_at_its_value_and_its_path_leads_there),
		cmocka_unit_test(of_a_key_that_stands_twice_the_first_counts_and_its_line_is_named),
		cmocka_unit_test(many_diagnostics_in_a_large_file_take_no_longer_each),
		cmocka_unit_test(the_line_of_every_policy_is_known),
		cmocka_unit_test(policies_of_very_different_length_are_all_kept),
		cmocka_unit_test(neighbouring_clients_are_parted_evenly_and_each_is_of_one_part),
		cmocka_unit_test(control_characters_are_found_wherever_they_stand),
		cmocka_unit_test(a_prefix_of_a_name_ends_at_a_boundary),
		cmocka_unit_test(the_newest_api_that_both_speak_is_chosen),
		cmocka_unit_test(an_answer_that_is_no_list_is_no_empty_list),
		cmocka_unit_test(a_mark_that_inspect_tells_makes_no_other_engine),
		cmocka_unit_test(what_is_wrong_with_an_answer_is_said_with_its_byte_and_its_path),
		cmocka_unit_test(what_an_answer_says_and_nobody_asks_for_hides_nothing),
		cmocka_unit_test(the_list_tells_the_mac_address_of_what_runs),
		cmocka_unit_test(the_list_tells_which_ports_of_the_host_lead_to_a_container),
		cmocka_unit_test(a_refusal_is_quoted_on_one_line),
		cmocka_unit_test(what_is_sent_reads_back_as_what_was_wanted),
		cmocka_unit_test(a_state_compared_with_itself_plans_nothing_for_its_namespaces),
		cmocka_unit_test(a_docker_user_behind_the_isolation_comes_too_late),
		cmocka_unit_test(a_file_is_read_strictly),
		cmocka_unit_test(a_section_that_is_missing_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
