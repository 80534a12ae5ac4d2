/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What doctor finds, and what plan, status and doctor tell of a host. */
#include "core/plan/checkup.h"
#include "core/plan/interfaces.h"
#include "core/state/facts.h"
#include "unit/test.h"

#include <stdio.h>

static struct prefix net(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(&p, text));
	return p;
}

TEST(a_route_within_a_networks_subnet_that_leads_elsewhere_overlaps_it)
{
	static const struct {
		const char *prefix, *device, *dead;
		bool overlaps, drops;
	} cases[] = {
		{"172.18.103.0/24", "br-a", NULL, false, false},
		{"172.18.103.1/32", "br-a", NULL, false, false},
		{"172.18.103.0/24", "tun0", NULL, true, false},
		{"172.18.103.128/25", "tun0", NULL, true, false},
		{"172.18.103.0/24", "interface 0", "blackhole", false, true},
		{"172.18.103.128/25", "interface 0", "throw", false, true},
		{"172.18.0.0/16", "tun0", NULL, false, false},
		{"172.16.0.0/12", "interface 0", "blackhole", false, false},
		{"10.0.0.0/8", "tun0", NULL, false, false},
	};
	const struct prefix subnet = net("172.18.103.0/24");

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct observed seen = {0};

		*list_add(&a, &seen.host_prefixes) = (struct host_prefix){
			net(cases[i].prefix), cases[i].device, cases[i].dead, false};
		assert_int_equal(checkup_find_overlap(&seen, subnet, "br-a", "", false) != NULL,
				 cases[i].overlaps);
		assert_int_equal(checkup_find_overlap(&seen, subnet, "br-a", "", true) != NULL,
				 cases[i].drops);
	}
}

TEST(the_larger_switch_decides_whether_rp_filter_is_strict)
{
	assert_true(checkup_is_strict(1, 0) && checkup_is_strict(0, 1) && checkup_is_strict(1, 1));
	assert_false(checkup_is_strict(0, 0) || checkup_is_strict(2, 1) || checkup_is_strict(1, 2));
	assert_false(checkup_is_strict(-1, -1)); /* no such file */
}

TEST(a_network_go_that_runs_is_known_by_its_name)
{
	assert_true(checkup_is_network_go(
		&(struct engine_container){.name = "infra-network-go-1", .running = true}));
	assert_false(checkup_is_network_go(
		&(struct engine_container){.name = "network-go", .running = false}));
	assert_false(checkup_is_network_go(
		&(struct engine_container){.name = "networking", .running = true}));
}

TEST(an_interface_that_is_not_there_is_noted_once_with_its_first_policy)
{
	AUTO_RELEASE struct arena a = {0};
	struct flows host = {0}, inside = {0};
	struct findings findings = {0};
	struct observed seen = {0};
	struct state want = {0};
	name_list names = {0};

	*list_add(&a, &host.translations) = (struct translation){.iface = "eth0", .origin = 0};
	*list_add(&a, &host.translations) = (struct translation){.iface = "eht0", .origin = 4};
	*list_add(&a, &host.translations) = (struct translation){.iface = "eht0", .origin = 4};
	*list_add(&a, &host.masquerades) = (struct masquerading){.oface = "eht0", .origin = 2};
	*list_add(&a, &host.masquerades) = (struct masquerading){.origin = 3};
	*list_add(&a, &inside.translations) = (struct translation){.iface = "wg0", .origin = 5};
	*list_add(&a, &want.spaces) = (struct space){.flows = &host};
	*list_add(&a, &want.spaces) = (struct space){.container = "vpn", .flows = &inside};
	interfaces_named(&names, &a, &host);
	assert_int_equal(names.n, 2);
	*list_add(&a, &seen.interfaces) = (struct named_interface){.name = "eth0", .there = true};
	*list_add(&a, &seen.interfaces) = (struct named_interface){.name = "eht0"};
	*list_add(&a, &seen.interfaces) = (struct named_interface){"vpn", "wg0", false};
	interfaces_note(&findings, &a, &want, &seen);
	assert_int_equal(findings.list.n, 2);
	assert_int_equal(findings.list.items[0].origin, 2);
	assert_string_equal(findings.list.items[0].text,
			    "there is no interface \"eht0\" on the host: inactive until it "
			    "exists (2 policies name it)");
	assert_string_equal(findings.list.items[1].subject, "policies[5]");
	assert_string_equal(
		findings.list.items[1].text,
		"there is no interface \"wg0\" in container vpn: inactive until it exists");
}

TEST(the_facts_of_a_host_are_one_line)
{
	static const struct engine docker = {.up = true, .version = "28.5.2", .api = "1.51"};
	static const struct {
		struct engine engine;
		struct facts facts;
		const char *line;
	} cases[] = {
		{{.up = true, .version = "28.5.2", .api = "1.51"},
		 {.variant = VARIANT_NFT,
		  .docker_user = true,
		  .raw_drops = true,
		  .docker_drops = true},
		 "Docker 28.5.2, API 1.51; firewall iptables-nft: DOCKER-USER, raw drops; backend "
		 "nftables"},
		{{0},
		 {.variant = VARIANT_LEGACY, .backend = BACKEND_IPTABLES, .no_nf_tables = true},
		 "no engine; firewall iptables-legacy: Docker's drops do not close; backend "
		 "iptables-legacy, no nf_tables in this kernel"},
		{{.up = true, .version = "29", .api = "1.52", .firewall = DOCKER_FIREWALL_NFTABLES},
		 {.docker_nftables = true, .takes_mark = true, .docker_drops = true},
		 "Docker 29, API 1.52; firewall nftables: takes our mark; backend nftables"},
		{{.up = true, .version = "20", .api = "1.41"},
		 {.variant = VARIANT_NFT,
		  .docker_user_late = true,
		  .mixed = true,
		  .docker_drops = true,
		  .firewalld.stands = true},
		 "Docker 20, API 1.41; firewall iptables-nft: DOCKER-USER too late, firewalld, "
		 "stale "
		 "rules of the other variant; backend nftables"},
	};
	AUTO_BUF struct buf json = {0};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF struct buf out = {0};

		facts_print(&out, &cases[i].engine, &cases[i].facts);
		assert_string_equal(buf_text(&out), cases[i].line);
	}
	facts_print_json(&json, &docker, &cases[0].facts, "");
	assert_string_equal(
		buf_text(&json),
		"\"engine\": \"28.5.2\",\n\"api\": \"1.51\",\n\"firewall\": "
		"\"iptables-nft\",\n\"backend\": \"nftables\",\n\"docker_user\": "
		"\"first\",\n\"nf_tables\": true,\n\"raw_drops\": true,\n\"takes_mark\": "
		"false,\n\"firewalld\": false,\n\"stale_variant\": "
		"false,\n\"docker_drops\": true,\n\"ip_forward\": false\n");
}

TEST(a_strict_filter_of_sources_in_ip6tables_is_seen)
{
	assert_true(checkup_filters_sources(
		"*mangle\n-A PREROUTING -m rpfilter --validmark --invert -j DROP\nCOMMIT\n"));
	assert_false(checkup_filters_sources(
		"*mangle\n-A PREROUTING -m rpfilter --loose --validmark --invert -j DROP\n"));
	assert_false(checkup_filters_sources("-A PREROUTING -m rpfilter --invert -j LOG\n"));
	assert_false(checkup_filters_sources("-A PREROUTING -m rpfilter -j ACCEPT\n"));
	assert_false(checkup_filters_sources(""));
}

TEST(forward_of_ip6tables_drops_what_no_rule_of_it_accepts)
{
	static const struct {
		const char *rules;
		bool drops;
	} cases[] = {
		{":FORWARD ACCEPT [0:0]\n", false},
		{":FORWARD DROP [0:0]\n", true},
		{":FORWARD DROP [0:0]\n-A FORWARD -i vm0 -o eth0 -j ACCEPT\n", false},
		{":FORWARD DROP [0:0]\n-A FORWARD -i vm1 -j ACCEPT\n", true},
		{":FORWARD DROP [0:0]\n-A FORWARD -s 2001:db8:50::/64 -j ACCEPT\n", false},
		{":FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j "
		 "ACCEPT\n",
		 true},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char save[256];
		struct prefix from;

		assert_true(prefix_parse(&from, "2001:db8:50::/64"));
		snprintf(save, sizeof(save), "*filter\n%sCOMMIT\n", cases[i].rules);
		if (checkup_forward_drops(save, from, "vm0", "eth0") != cases[i].drops)
			fail_msg("%s", cases[i].rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_strict_filter_of_sources_in_ip6tables_is_seen),
		cmocka_unit_test(forward_of_ip6tables_drops_what_no_rule_of_it_accepts),
		cmocka_unit_test(a_route_within_a_networks_subnet_that_leads_elsewhere_overlaps_it),
		cmocka_unit_test(the_larger_switch_decides_whether_rp_filter_is_strict),
		cmocka_unit_test(a_network_go_that_runs_is_known_by_its_name),
		cmocka_unit_test(
			an_interface_that_is_not_there_is_noted_once_with_its_first_policy),
		cmocka_unit_test(the_facts_of_a_host_are_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
