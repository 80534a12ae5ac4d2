/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What holds at the ports of a strict network's bridge, and how it gets there. */
#include "base/hash.h"
#include "core/config/config.h"
#include "core/config/place.h"
#include "core/ports/ports.h"
#include "unit/test.h"

#include <string.h>

enum { SHOP_NSID = 4, TILL_NSID = 7 };

static struct mac mac_of(uint8_t last)
{
	return (struct mac){{2, 0, 0, 0, 0, last}};
}

static struct ip ip_of(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(&ip, text));
	return ip;
}

struct example {
	struct arena a;
	struct strict strict;
	struct bridge_ports have, want;
	port_changes changes;
};

static struct port *add_port(struct example *x, const char *name, uint32_t index, int32_t nsid)
{
	struct port *port = list_add(&x->a, &x->have.ports);

	*port = (struct port){
		.name = name, .index = index, .nsid = nsid, .learning = true, .flooded = true};
	return port;
}

/* Three ports of which two are residents', on a bridge that nobody touched. */
static void begin(struct example *x)
{
	*x = (struct example){
		.have = {.bridge = "br0", .index = 9, .can_lock = true, .switches = {0, 80, 0, 80}},
		.strict = {.key = "web", .bridge = "br0"}};
	add_port(x, "v1", 11, SHOP_NSID);
	add_port(x, "v2", 12, TILL_NSID);
	add_port(x, "v3", 13, NO_NSID);
	*list_add(&x->a, &x->strict.residents) = (struct resident){"shop", mac_of(1)};
	*list_add(&x->a, &x->strict.residents) = (struct resident){"till", mac_of(2)};
	*list_add(&x->a, &x->strict.proxies) = ip_of("10.9.0.1");
	*list_add(&x->a, &x->strict.proxies) = ip_of("fd09::2");
}

static void want(struct example *x, int32_t shop, int32_t till)
{
	const int32_t nsids[] = {shop, till};

	ports_want(&x->want, &x->a, &x->strict, &x->have, nsids);
	x->changes.n = 0;
	ports_diff(&x->changes, &x->a, &x->want, &x->have);
}

static uint32_t count(const struct example *x, enum port_change_kind kind, char sign)
{
	uint32_t n = 0;

	list_each (change, &x->changes)
		n += change->kind == kind && change->sign == sign;
	return n;
}

TEST(a_port_of_a_resident_takes_its_address_and_one_of_nobody_takes_none)
{
	struct example x;

	begin(&x);
	want(&x, SHOP_NSID, TILL_NSID);
	list_each (port, &x.want.ports)
		assert_true(port->isolated && port->locked && !port->learning && !port->flooded);
	assert_int_equal(x.want.entries.n, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct mac mac = mac_of((uint8_t)(i + 1));

		assert_int_equal(x.want.entries.items[i].port, 11 + i);
		assert_memory_equal(&x.want.entries.items[i].mac, &mac, sizeof(mac));
	}
	assert_int_equal(count(&x, PORT_FLAGS, '~'), 3);
	assert_int_equal(count(&x, PORT_ENTRY, '+'), 2);
	assert_int_equal(count(&x, PORT_PROXY, '+'), 2);
	assert_int_equal(count(&x, PORT_SWITCH, '~'), 4);
	assert_int_equal(x.changes.n, 11);
	/* the mark comes first, and an address is let in before its port is locked */
	assert_int_equal(x.changes.items[0].kind, PORT_PROXY);
	assert_int_equal(x.changes.items[2].kind, PORT_ENTRY);
	assert_int_equal(x.changes.items[4].kind, PORT_FLAGS);
	arena_release(&x.a);
}

TEST(each_thing_that_somebody_changes_is_one_change_and_another_digest)
{
	struct example x;
	struct bridge_ports right;
	uint64_t digest;

	begin(&x);
	want(&x, SHOP_NSID, TILL_NSID);
	right = x.want;
	digest = ports_digest(HASH_START, &right);
	for (int what = 0; what < 12; what++) {
		struct port ports[3];
		struct port_entry entries[3] = {
			right.entries.items[0], right.entries.items[1], {13, mac_of(9)}};
		struct ip proxies[] = {right.proxies.items[0], right.proxies.items[1],
				       ip_of("fd09::9")};

		memcpy(ports, right.ports.items, sizeof(ports));
		x.have = right;
		x.have.ports.items = ports;
		x.have.entries.items = entries;
		x.have.proxies.items = proxies;
		if (what < 4)
			*(bool *[]){&ports[1].isolated, &ports[1].locked, &ports[1].learning,
				    &ports[1].flooded}[what] ^= true;
		else if (what < 8)
			x.have.switches[what - 4]++;
		else if (what < 10)
			*(uint32_t *[]){&x.have.entries.n, &x.have.proxies.n}[what - 8] += 1;
		else
			*(uint32_t *[]){&x.have.entries.n, &x.have.proxies.n}[what - 10] -= 1;
		assert_int_not_equal(ports_digest(HASH_START, &x.have), digest);
		want(&x, SHOP_NSID, TILL_NSID);
		assert_int_equal(x.changes.n, 1);
		assert_int_equal(ports_digest(HASH_START, &x.want), digest);
	}
	x.have = right;
	want(&x, SHOP_NSID, TILL_NSID);
	assert_int_equal(x.changes.n, 0);
	arena_release(&x.a);
}

TEST(a_resident_that_could_not_be_looked_at_keeps_its_entry_and_one_that_moved_does_not)
{
	struct example x;

	begin(&x);
	want(&x, SHOP_NSID, TILL_NSID);
	x.have = x.want;
	want(&x, NO_NSID, TILL_NSID);
	assert_int_equal(x.changes.n, 0);
	want(&x, 99, TILL_NSID);
	assert_int_equal(x.changes.n, 1);
	assert_int_equal(count(&x, PORT_ENTRY, '-'), 1);
	arena_release(&x.a);
}

TEST(leaving_gives_back_what_the_kernel_had)
{
	struct example x;
	struct bridge_ports before;

	begin(&x);
	before = x.have;
	want(&x, SHOP_NSID, TILL_NSID);
	x.have = x.want;
	ports_want_open(&x.want, &x.a, &x.have);
	assert_int_equal(ports_digest(HASH_START, &x.want), ports_digest(HASH_START, &before));
	x.changes.n = 0;
	ports_diff(&x.changes, &x.a, &x.want, &x.have);
	assert_int_equal(x.changes.n, 11);
	/* the mark goes last: what is killed before that is found again */
	assert_int_equal(x.changes.items[x.changes.n - 1].kind, PORT_PROXY);
	assert_int_equal(x.changes.items[x.changes.n - 1].sign, '-');
	arena_release(&x.a);
}

TEST(what_a_kernel_does_not_know_is_not_wanted_of_it)
{
	struct example x;

	begin(&x);
	x.have.can_lock = false;
	x.have.switches[SWITCH_PROXY_ND] = x.have.switches[SWITCH_ND_DELAY] = -1;
	want(&x, SHOP_NSID, TILL_NSID);
	x.have = x.want;
	want(&x, SHOP_NSID, TILL_NSID);
	assert_int_equal(x.changes.n, 0);
	assert_false(x.want.ports.items[0].locked);
	assert_int_equal(x.want.switches[SWITCH_PROXY_ND], -1);
	arena_release(&x.a);
}

static void add_container(struct engine *e, struct arena *a, const char *name, bool running,
			  const char *network, const char *mac, const char *ip6)
{
	struct engine_container *c = list_add(a, &e->containers);
	struct engine_endpoint *end;

	*c = (struct engine_container){.id = name, .name = name, .running = running};
	end = list_add(a, &c->endpoints);
	*end = (struct engine_endpoint){.network = network, .mac = mac};
	if (ip6)
		end->ip6 = ip_of(ip6);
}

TEST(residents_are_what_runs_there_and_an_address_is_the_first_ones)
{
	static const char text[] =
		"{\"networks\": {\"open\": {\"subnet\": \"10.8.0.0/24\"},"
		" \"web\": {\"subnet\": \"10.9.0.0/24\", \"subnet6\": \"fd09::/64\"}},"
		" \"ips\": {\"10.9.0.2\": {\"ip6\": \"fd09::2\", \"container_name\": \"shop\"}},"
		" \"policies\": []}";
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	AUTO_RELEASE struct arena a = {0};
	struct diags diags = {.arena = &a};
	struct config config;
	struct engine engine = {.up = true};
	const char *bridges[] = {"br8", "br9"};
	strict_list list = {0};

	assert_true(config_decode(&config, &kept, &diags, &a, "f", text, sizeof(text) - 1));
	add_container(&engine, &a, "elsewhere", true, "open", "02:00:00:00:00:07", NULL);
	add_container(&engine, &a, "shop", true, "web", "02:00:00:00:00:01", "fd09::2");
	add_container(&engine, &a, "stopped", false, "web", "", NULL);
	add_container(&engine, &a, "thief", true, "web", "02:00:00:00:00:01", "fd09::5");
	add_container(&engine, &a, "young", true, "web", "", NULL);
	strict_networks(&list, &a, &config, bridges, &engine);
	assert_int_equal(list.n, 0);
	list_each (n, &config.networks)
		if (!strcmp(n->key, "web"))
			n->isolation = ISOLATION_STRICT;
	if (strcmp(config.networks.items[0].key, "open") != 0)
		bridges[0] = "br9";
	strict_networks(&list, &a, &config, bridges, &engine);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.items[0].bridge, "br9");
	assert_int_equal(list.items[0].residents.n, 1);
	assert_string_equal(list.items[0].residents.items[0].container, "shop");
	/* 10.9.0.1, fd09::1, fd09::2, fd09::5, each once */
	assert_int_equal(list.items[0].proxies.n, 4);
	assert_string_equal(ip_format(list.items[0].proxies.items[0]).s, "10.9.0.1");
	assert_string_equal(ip_format(list.items[0].proxies.items[3]).s, "fd09::5");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_port_of_a_resident_takes_its_address_and_one_of_nobody_takes_none),
		cmocka_unit_test(each_thing_that_somebody_changes_is_one_change_and_another_digest),
		cmocka_unit_test(
			a_resident_that_could_not_be_looked_at_keeps_its_entry_and_one_that_moved_does_not),
		cmocka_unit_test(leaving_gives_back_what_the_kernel_had),
		cmocka_unit_test(what_a_kernel_does_not_know_is_not_wanted_of_it),
		cmocka_unit_test(residents_are_what_runs_there_and_an_address_is_the_first_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
