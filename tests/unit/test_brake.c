/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which new file takes too much of what stands, at each boundary. */
#include "base/buf.h"
#include "core/plan/brake.h"
#include "unit/test.h"

#include <stdio.h>

/* A file, resolved. */
struct file {
	struct arena arena;
	struct diags diags;
	struct config config;
	struct resolution resolution;
	struct declared declared;
};

static void load(struct file *f, const char *text)
{
	AUTO_CONFIG_TEXT struct config_text kept = {0};

	*f = (struct file){0};
	f->diags.arena = &f->arena;
	assert_true(config_decode(&f->config, &kept, &f->diags, &f->arena, "networks.json", text,
				  strlen(text)));
	resolve(&f->resolution, &f->diags, &f->arena, &f->config, &kept);
	f->declared = (struct declared){&f->config, &f->resolution};
}

static void release(struct file *f)
{
	arena_release(&f->arena);
}

/* What a generated file says; all-zero: three empty sections. */
struct shape {
	unsigned networks, containers, policies;   /* so many, the first ones */
	unsigned first_policy;			   /* … of these, from here on */
	const char *network_name, *container_name; /* beginnings of names */
	unsigned subnet, host;			   /* beginnings of addresses */
	const char *port;			   /* of every policy */
	const char *proto;
	bool backwards; /* policies */
};

static const struct shape usual = {.networks = 1,
				   .network_name = "net",
				   .container_name = "box",
				   .subnet = 10,
				   .host = 10,
				   .port = "80",
				   .proto = "\"tcp\""};

static void add_policy(struct buf *b, const struct shape *s, unsigned n)
{
	buf_printf(b,
		   "{\"selector\": \"%s%u\", \"from\": \"192.0.2.%u\", \"port\": %s, \"proto\": "
		   "%s}",
		   s->container_name, n % (s->containers ? s->containers : 1), n, s->port,
		   s->proto);
}

static void write_file(struct buf *b, const struct shape *s)
{
	buf_puts(b, "{\"networks\": {");
	for (unsigned i = 0; i < s->networks; i++)
		buf_printf(b, "%s\"%s%u\": {\"subnet\": \"10.%u.%u.0/24\"}", i ? "," : "",
			   s->network_name, i, s->subnet, i);
	buf_puts(b, "}, \"ips\": {");
	for (unsigned i = 0; i < s->containers; i++)
		buf_printf(b, "%s\"10.%u.0.%u\": {\"container_name\": \"%s%u\"}", i ? "," : "",
			   s->subnet, s->host + i, s->container_name, i);
	buf_puts(b, "}, \"policies\": [");
	for (unsigned i = 0; i < s->policies; i++) {
		unsigned n = s->backwards ? s->policies - 1 - i : i;

		buf_puts(b, i ? "," : "");
		add_policy(b, s, s->first_policy + n);
	}
	buf_puts(b, "]}");
}

static void make(struct file *f, struct shape shape)
{
	AUTO_BUF struct buf text = {0};

	write_file(&text, &shape);
	load(f, buf_text(&text));
}

/* An engine on which all of a file stands, with our marks. */
static struct engine engine_of(struct arena *a, const struct file *f)
{
	struct engine e = {.up = true};

	list_each (n, &f->config.networks) {
		struct engine_network *network = list_add(a, &e.networks);

		network->name = n->name;
		network->subnet = n->subnet;
		network->managed = true;
	}
	list_each (address, &f->config.addresses) {
		struct engine_container *c = list_add(a, &e.containers);
		struct engine_endpoint *endpoint = list_add(a, &c->endpoints);

		c->name = config_name(&f->config, address_container(address));
		endpoint->network = f->config.networks.items[address->network].name;
		endpoint->managed = true;
	}
	return e;
}

static bool is_held(struct shape before, struct shape after, enum lost kind, uint32_t go)
{
	AUTO_RELEASE struct arena a = {0};
	struct file old, new;
	struct engine engine;
	struct brake brake;
	bool held;

	make(&old, before);
	make(&new, after);
	engine = engine_of(&a, &old);
	brake_look(&brake, &a, &engine, &old.declared, &new.declared);
	held = brake_holds(&brake);
	if (go != NONE)
		assert_int_equal(brake.losses[kind].go, go);
	release(&old);
	release(&new);
	return held;
}

static struct shape containers(unsigned n)
{
	struct shape s = usual;

	s.containers = n;
	return s;
}

static struct shape networks(unsigned n)
{
	struct shape s = usual;

	s.networks = n;
	return s;
}

static struct shape policies(unsigned n)
{
	struct shape s = containers(2);

	s.policies = n;
	return s;
}

TEST(more_than_half_of_the_containers_and_at_least_four_hold_a_file)
{
	static const struct {
		unsigned before, after;
		bool held;
	} cases[] = {{3, 0, false},   {4, 0, true},  {6, 3, false}, {7, 4, false}, {7, 3, true},
		     {8, 4, false},   {8, 3, true},  {9, 5, false}, {9, 4, true},  {100, 50, false},
		     {100, 49, true}, {8, 8, false}, {8, 20, false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(is_held(containers(cases[i].before), containers(cases[i].after),
					 LOST_CONNECTIONS, NONE),
				 cases[i].held);
}

TEST(more_than_half_of_the_networks_and_at_least_four_hold_a_file)
{
	static const struct {
		unsigned before, after;
		bool held;
	} cases[] = {{3, 0, false}, {4, 0, true}, {7, 4, false}, {7, 3, true},
		     {8, 4, false}, {8, 3, true}, {8, 9, false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(is_held(networks(cases[i].before), networks(cases[i].after),
					 LOST_NETWORKS, NONE),
				 cases[i].held);
}

TEST(more_than_half_of_the_policies_and_at_least_twenty_hold_a_file)
{
	static const struct {
		unsigned before, after;
		bool held;
	} cases[] = {{19, 0, false},  {20, 0, true},   {39, 20, false},
		     {39, 19, true},  {40, 20, false}, {40, 19, true},
		     {41, 21, false}, {41, 20, true},  {40, 60, false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(is_held(policies(cases[i].before), policies(cases[i].after),
					 LOST_POLICIES, NONE),
				 cases[i].held);
}

TEST(what_goes_from_the_front_of_a_file_counts_as_what_goes_from_its_end)
{
	struct shape after = policies(20);

	after.first_policy = 20;
	assert_false(is_held(policies(40), after, LOST_POLICIES, NONE));
	after.policies = 19;
	after.first_policy = 21;
	assert_true(is_held(policies(40), after, LOST_POLICIES, 21));
}

TEST(an_order_is_nothing_to_lose)
{
	struct shape after = policies(40);

	after.backwards = true;
	assert_false(is_held(policies(40), after, LOST_POLICIES, 0));
}

TEST(other_names_for_the_same_addresses_lose_nothing)
{
	struct shape before = policies(40), after;

	before.networks = 8;
	after = before;
	after.network_name = "lan";
	assert_false(is_held(before, after, LOST_NETWORKS, 0));
	/* the containers of the old names are disconnected, though; the policies go on */
	after.container_name = "pod";
	assert_false(is_held(before, after, LOST_POLICIES, 0));
	before.containers = after.containers = 4;
	assert_true(is_held(before, after, LOST_CONNECTIONS, 4));
}

TEST(other_addresses_under_the_same_names_lose_nothing)
{
	struct shape before = policies(40), after;

	before.networks = 8;
	before.containers = 8;
	after = before;
	after.host = 60;
	assert_false(is_held(before, after, LOST_CONNECTIONS, 0));
	after.subnet = 20;
	assert_false(is_held(before, after, LOST_NETWORKS, 0));
	assert_false(is_held(before, after, LOST_POLICIES, 0));
}

TEST(ports_and_protocols_in_common_keep_a_policy)
{
	static const struct {
		const char *port, *proto, *new_port, *new_proto;
		bool held;
	} cases[] = {
		{"80", "\"tcp\"", "[80, 443]", "\"tcp\"", false},
		{"[80, 443]", "\"tcp\"", "443", "\"tcp\"", false},
		{"\"8000-8010\"", "\"tcp\"", "\"8010-8020\"", "\"tcp\"", false},
		{"\"8000-8010\"", "\"tcp\"", "\"8011-8020\"", "\"tcp\"", true},
		{"80", "\"tcp\"", "8080", "\"tcp\"", true},
		{"80", "\"tcp\"", "80", "\"udp\"", true},
		{"80", "\"tcp\"", "80", "[\"udp\", \"tcp\"]", false},
		{"80", "\"tcp\"", "\"1-65535\"", "\"tcp\"", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct shape before = policies(40), after = policies(40);

		before.port = cases[i].port;
		before.proto = cases[i].proto;
		after.port = cases[i].new_port;
		after.proto = cases[i].new_proto;
		assert_int_equal(is_held(before, after, LOST_POLICIES, NONE), cases[i].held);
	}
}

/* 20 policies of one port each become one with a list, and the other way round. */
TEST(policies_that_are_put_together_or_taken_apart_lose_nothing)
{
	AUTO_BUF struct buf apart = {0}, together = {0};
	AUTO_RELEASE struct arena a = {0};
	static const char head[] = "{\"networks\": {\"net\": {\"subnet\": \"10.1.0.0/24\"}}, "
				   "\"ips\": {\"10.1.0.2\": {\"container_name\": \"box\"}}, "
				   "\"policies\": [";
	const struct engine engine = {.up = true};
	struct file one, many;
	struct brake brake;

	buf_puts(&apart, head);
	buf_printf(&together, "%s{\"selector\": \"box\", \"from\": \"any\", \"port\": [", head);
	for (unsigned i = 0; i < 24; i++) {
		buf_printf(&apart, "%s{\"selector\": \"box\", \"from\": \"any\", \"port\": %u}",
			   i ? "," : "", 1000 + 2 * i);
		buf_printf(&together, "%s%u", i ? "," : "", 1000 + 2 * i);
	}
	buf_puts(&apart, "]}");
	buf_puts(&together, "]}]}");
	load(&many, buf_text(&apart));
	load(&one, buf_text(&together));
	brake_look(&brake, &a, &engine, &many.declared, &one.declared);
	assert_int_equal(brake.losses[LOST_POLICIES].go, 0);
	assert_int_equal(brake.losses[LOST_POLICIES].stand, 24);
	release(&one);
	release(&many);
}

/* The names are there, and mean nothing any more. */
TEST(policies_that_only_wait_are_gone)
{
	AUTO_BUF struct buf text = {0};
	AUTO_RELEASE struct arena a = {0};
	const struct engine engine = {.up = true};
	struct file before, after;
	struct brake brake;

	make(&before, policies(40));
	write_file(&text, &(struct shape){.network_name = "net",
					  .container_name = "box",
					  .policies = 40,
					  .port = "80",
					  .proto = "\"tcp\""});
	load(&after, buf_text(&text));
	brake_look(&brake, &a, &engine, &before.declared, &after.declared);
	assert_int_equal(brake.losses[LOST_POLICIES].go, 40);
	assert_true(brake_holds(&brake));
	/* and what waited before is nothing to lose */
	brake_look(&brake, &a, &engine, &after.declared,
		   &(struct declared){&before.config, &before.resolution});
	assert_int_equal(brake.losses[LOST_POLICIES].go, 0);
	brake_look(&brake, &a, &engine, &after.declared, &after.declared);
	assert_int_equal(brake.losses[LOST_POLICIES].stand, 0);
	release(&before);
	release(&after);
}

TEST(half_of_a_file_that_waits_does_not_count_as_half_that_stays)
{
	AUTO_BUF struct buf old_text = {0}, new_text = {0};
	AUTO_RELEASE struct arena a = {0};
	static const char head[] = "{\"networks\": {\"net\": {\"subnet\": \"10.1.0.0/24\"}}, "
				   "\"ips\": {\"10.1.0.2\": {\"container_name\": \"box\"}}, "
				   "\"policies\": [";
	const struct engine engine = {.up = true};
	struct file before, after;
	struct brake brake;

	buf_puts(&old_text, head);
	buf_puts(&new_text, head);
	for (unsigned i = 0; i < 60; i++) {
		AUTO_BUF struct buf policy = {0};

		buf_printf(&policy, "%s{\"selector\": \"%s\", \"from\": \"any\", \"port\": %u}",
			   i ? "," : "", i < 35 ? "nobody" : "box", 100 + i);
		buf_puts(&old_text, buf_text(&policy));
		if (i < 36)
			buf_puts(&new_text, buf_text(&policy));
	}
	buf_puts(&old_text, "]}");
	buf_puts(&new_text, "]}");
	load(&before, buf_text(&old_text));
	load(&after, buf_text(&new_text));
	brake_look(&brake, &a, &engine, &before.declared, &after.declared);
	assert_int_equal(brake.losses[LOST_POLICIES].stand, 25);
	assert_int_equal(brake.losses[LOST_POLICIES].go, 24);
	assert_true(brake_holds(&brake));
	release(&before);
	release(&after);
}

TEST(a_container_that_keeps_as_many_connections_loses_none_and_one_fewer_counts)
{
	static const char two[] = "{\"networks\": {\"a\": {\"subnet\": \"10.1.0.0/24\"}, \"b\": "
				  "{\"subnet\": \"10.2.0.0/24\"}, \"c\": {\"subnet\": "
				  "\"10.3.0.0/24\"}}, \"ips\": {%s}, \"policies\": []}";
	static const struct {
		const char *ips;
		uint32_t go;
	} cases[] = {
		{"\"10.1.0.2\": {\"container_name\": \"box\"}, \"10.2.0.2\": {\"container_name\": "
		 "\"box\"}",
		 0},
		{"\"10.1.0.2\": {\"container_name\": \"box\"}, \"10.3.0.2\": {\"container_name\": "
		 "\"box\"}",
		 0},
		{"\"10.1.0.2\": {\"container_name\": \"box\"}", 1},
		{"", 1},
	};
	AUTO_RELEASE struct arena a = {0};
	struct engine engine = {.up = true};
	struct engine_container *c = list_add(&a, &engine.containers);

	c->name = "box";
	*list_add(&a, &c->endpoints) = (struct engine_endpoint){.network = "a", .managed = true};
	*list_add(&a, &c->endpoints) = (struct engine_endpoint){.network = "b", .managed = true};
	*list_add(&a, &c->endpoints) = (struct engine_endpoint){.network = "bridge"};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF struct buf text = {0};
		struct file f;
		struct brake brake;

		buf_printf(&text, "%.*s%s%s", (int)(strstr(two, "%s") - two), two, cases[i].ips,
			   strstr(two, "%s") + 2);
		load(&f, buf_text(&text));
		brake_look(&brake, &a, &engine, &(struct declared){0}, &f.declared);
		assert_int_equal(brake.losses[LOST_CONNECTIONS].stand, 1);
		assert_int_equal(brake.losses[LOST_CONNECTIONS].go, cases[i].go);
		release(&f);
	}
}

TEST(without_an_engine_what_the_file_in_force_declares_counts)
{
	AUTO_RELEASE struct arena a = {0};
	const struct engine unknown = {0};
	struct file before, after;
	struct brake brake;

	make(&before, containers(8));
	make(&after, containers(3));
	brake_look(&brake, &a, &unknown, &before.declared, &after.declared);
	assert_int_equal(brake.losses[LOST_CONNECTIONS].stand, 8);
	assert_true(brake_holds(&brake));
	brake_look(&brake, &a, &unknown, &(struct declared){0}, &after.declared);
	assert_false(brake_holds(&brake));
	release(&before);
	release(&after);
}

/* A network that waits until it is empty would else hold every file that follows. */
TEST(what_the_file_in_force_does_not_want_either_is_nothing_to_lose)
{
	AUTO_RELEASE struct arena a = {0};
	struct file earlier, before, after;
	struct engine engine;
	struct brake brake;

	make(&earlier, networks(9));
	engine = engine_of(&a, &earlier);
	make(&before, networks(4));
	make(&after, networks(3));
	brake_look(&brake, &a, &engine, &before.declared, &after.declared);
	assert_int_equal(brake.losses[LOST_NETWORKS].stand, 4);
	assert_int_equal(brake.losses[LOST_NETWORKS].go, 1);
	brake_look(&brake, &a, &engine, &(struct declared){0}, &after.declared);
	assert_int_equal(brake.losses[LOST_NETWORKS].stand, 9);
	assert_true(brake_holds(&brake));
	release(&earlier);
	release(&before);
	release(&after);
}

TEST(what_others_made_is_nothing_to_lose)
{
	AUTO_RELEASE struct arena a = {0};
	struct file before, after;
	struct engine engine;
	struct brake brake;

	make(&before, containers(8));
	make(&after, (struct shape){0});
	engine = engine_of(&a, &before);
	list_each (n, &engine.networks)
		n->managed = false;
	list_each (c, &engine.containers)
		c->endpoints.items[0].managed = false;
	brake_look(&brake, &a, &engine, &before.declared, &after.declared);
	assert_int_equal(brake.losses[LOST_CONNECTIONS].stand, 0);
	assert_int_equal(brake.losses[LOST_NETWORKS].stand, 0);
	release(&before);
	release(&after);
}

TEST(a_loss_is_told_with_its_first_names)
{
	AUTO_RELEASE struct arena a = {0};
	struct file before, after;
	struct engine engine;
	struct brake brake;

	make(&before, containers(6));
	make(&after, containers(1));
	engine = engine_of(&a, &before);
	brake_look(&brake, &a, &engine, &before.declared, &after.declared);
	assert_string_equal(
		brake_text(&brake, &a),
		"5 of 6 containers would be disconnected (box1, box2, box3 and 2 more)");
	release(&before);
	release(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_half_of_the_containers_and_at_least_four_hold_a_file),
		cmocka_unit_test(more_than_half_of_the_networks_and_at_least_four_hold_a_file),
		cmocka_unit_test(more_than_half_of_the_policies_and_at_least_twenty_hold_a_file),
		cmocka_unit_test(
			what_goes_from_the_front_of_a_file_counts_as_what_goes_from_its_end),
		cmocka_unit_test(an_order_is_nothing_to_lose),
		cmocka_unit_test(other_names_for_the_same_addresses_lose_nothing),
		cmocka_unit_test(other_addresses_under_the_same_names_lose_nothing),
		cmocka_unit_test(ports_and_protocols_in_common_keep_a_policy),
		cmocka_unit_test(policies_that_are_put_together_or_taken_apart_lose_nothing),
		cmocka_unit_test(policies_that_only_wait_are_gone),
		cmocka_unit_test(half_of_a_file_that_waits_does_not_count_as_half_that_stays),
		cmocka_unit_test(
			a_container_that_keeps_as_many_connections_loses_none_and_one_fewer_counts),
		cmocka_unit_test(without_an_engine_what_the_file_in_force_declares_counts),
		cmocka_unit_test(what_the_file_in_force_does_not_want_either_is_nothing_to_lose),
		cmocka_unit_test(what_others_made_is_nothing_to_lose),
		cmocka_unit_test(a_loss_is_told_with_its_first_names),
	};

	return cmocka_run_group_tests_name("brake", tests, NULL, NULL);
}
