/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What core decides, without a kernel and without an engine: names, engine answers, and the laws of
 * difference over every golden file: what is sent reads back as what was wanted. */
#include "core/compile/compile.h"
#include "core/config/impl.h"
#include "core/foreign/handoff.h"
#include "core/json/locate.h"
#include "core/nft/nft.h"
#include "core/plan/plan.h"
#include "core/resolve/resolve.h"
#include "unit/test.h"

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

struct example {
	struct arena arena;
	struct diags diags;
	struct config config;
	struct resolution resolution;
	struct engine engine;
	struct facts facts;
	struct findings findings;
	struct state want;
};

static void load(struct example *x, const char *name)
{
	const char *path =
		arena_printf(&x->arena, "%s/golden/rules/%s.json", getenv("TESTS"), name);
	char text[1 << 16];
	FILE *f = fopen(path, "r");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = 0;
	fclose(f);
	x->diags.arena = &x->arena;
	x->facts = (struct facts){.variant = VARIANT_NFT,
				  .docker_user = true,
				  .docker_drops = true,
				  .ip_forward = 1,
				  .mark_accept = 0x2000000,
				  .mark_raw = 0x1000000};
	assert_true(config_decode(&x->config, &x->diags, &x->arena, name, text, len));
	resolve(&x->resolution, &x->diags, &x->arena, &x->config);
	compile(&x->want, &x->findings, &x->arena, &x->config, &x->resolution, &x->engine,
		&x->facts);
	list_each (space, &x->want.spaces)
		nft_encode_ruleset(&space->ruleset, &x->arena);
}

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

		load(&x, files[i]);
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

		load(&x, files[i]);
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

		handoff_view_text(&view, &a,
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
	struct config config;
	bool ok = config_decode(&config, &diags, &a, "f", text, strlen(text));

	*n_policies = config.policies.n;
	assert_int_equal(ok, !diags.n_errors);
	arena_release(&a);
	return ok;
}

/* A sound file is read piece by piece, any other as a whole: both must say the same of it. */
TEST(a_file_in_pieces_is_as_strict_as_one_that_is_read_whole)
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

TEST(a_section_that_is_missing_is_an_error_however_the_file_is_read)
{
	static const char *const sections[] = {"\"networks\":{}", "\"ips\":{}", "\"policies\":[]"};
	/* plain; with what only the library reads; with what is read as a whole, to say why */
	static const char *const more[] = {"", ",\"x-\":\"\\u0041\"",
					   ",\"zebra\":{\"a\":1,\"a\":1}"};

	for (unsigned set = 0; set < 8; set++)
		for (size_t i = 0; i < COUNT_OF(more); i++) {
			AUTO_RELEASE struct arena a = {0};
			struct diags diags = {.arena = &a};
			const char *text = "\"_\":0";
			uint32_t missing = 0;
			struct config config;

			for (unsigned k = 0; k < 3; k++)
				if (set >> k & 1)
					text = arena_printf(&a, "%s,%s", text, sections[k]);
			text = arena_printf(&a, "{%s%s}", text, more[i]);
			assert_int_equal(
				config_decode(&config, &diags, &a, "f", text, strlen(text)),
				set == 7 && i < 2);
			list_each (diag, &diags.list)
				missing += strstr(diag->message, "section is missing") != NULL;
			assert_int_equal(missing, 3 - __builtin_popcount(set));
		}
}

/* How many policies there will be is guessed from those that were read: here wrongly, both ways. */
TEST(policies_of_very_different_length_are_all_kept)
{
	enum { N = 3000 };
	AUTO_BUF struct buf text = {0};

	for (int order = 0; order < 2; order++) {
		AUTO_RELEASE struct arena a = {0};
		struct diags diags = {.arena = &a};
		struct config config;

		text.len = 0;
		buf_puts(&text, "{\"networks\":{},\"ips\":{},\"policies\": [");
		for (int i = 0; i < N; i++)
			buf_printf(&text,
				   "%s{\"selector\":\"s\",\"nat\":\"masquerade\",\"port\":%d,%*s"
				   "\"comment\":\"number %d\"}",
				   i ? "," : "", i + 1, (i < N / 2) == order ? 1 : 700, "", i);
		buf_puts(&text, "]}");
		assert_true(config_decode(&config, &diags, &a, "f", text.data, text.len));
		assert_int_equal(config.policies.n, N);
		for (int i = 0; i < N; i++) {
			const struct policy *p = &config.policies.items[i];

			assert_int_equal(policy_ports(&config, p)->low, i + 1);
			assert_string_equal(policy_comment(&config, p),
					    arena_printf(&a, "number %d", i));
		}
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

/* For the sanitized build: nothing is read behind the end of the place that was sought. */
TEST(a_place_is_compared_no_further_than_it_goes)
{
	static const char text[] = "{\"zaaaaaaaaaaaaaaaaaaaa\": {}}";
	AUTO_RELEASE struct arena a = {0};
	struct diags diags = {.arena = &a};
	char *place = xmalloc(4);

	memcpy(place, "/zz", 4);
	diag_add(&diags, SEVERITY_NOTE, "", "", "%s", "sought")->pointer = place;
	diags_locate(&diags, text, sizeof(text) - 1);
	assert_int_equal(diags.list.items[0].line, 1);
	free(place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_is_compared_no_further_than_it_goes),
		cmocka_unit_test(policies_of_very_different_length_are_all_kept),
		cmocka_unit_test(control_characters_are_found_wherever_they_stand),
		cmocka_unit_test(a_prefix_of_a_name_ends_at_a_boundary),
		cmocka_unit_test(the_newest_api_that_both_speak_is_chosen),
		cmocka_unit_test(an_answer_that_is_no_list_is_no_empty_list),
		cmocka_unit_test(a_mark_that_inspect_tells_makes_no_other_engine),
		cmocka_unit_test(a_refusal_is_quoted_on_one_line),
		cmocka_unit_test(what_is_sent_reads_back_as_what_was_wanted),
		cmocka_unit_test(a_state_compared_with_itself_plans_nothing_for_its_namespaces),
		cmocka_unit_test(a_docker_user_behind_the_isolation_comes_too_late),
		cmocka_unit_test(a_file_in_pieces_is_as_strict_as_one_that_is_read_whole),
		cmocka_unit_test(a_section_that_is_missing_is_an_error_however_the_file_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
