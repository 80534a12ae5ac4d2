/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a packet leaves a namespace: what we conclude from its routes and rules is what this kernel
 * does with them. Random ones, the seed printed; ROUTING_SEED repeats it.
 */
#include "edge/netlink/routing.h"
#include "unit/test.h"

#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 120, MOST_LINES = 16 };

/* What is laid at random, in each family. */
static const struct world {
	uint8_t family;
	const char *tool, *setup, *reset;
	const char *sources[3], *destinations[7], *prefixes[9], *outlets[8], *selectors[14];
} worlds[] = {
	{.family = 4,
	 .tool = "ip",
	 .setup = "ip addr add 10.1.0.1/24 dev e0; ip addr add 10.2.0.1/24 dev e1;"
		  "ip addr add 10.3.0.1/24 dev wg0",
	 .reset = "for t in main 100 51820; do ip route flush table $t 2>/dev/null; done;"
		  "ip rule flush; ip rule add pref 32766 table main; ip rule add pref 32767 "
		  "table default;"
		  "for n in 0:1 1:2; do ip addr flush dev e${n%:*}; ip addr add "
		  "10.${n#*:}.0.1/24 dev e${n%:*}; done;"
		  "ip addr flush dev wg0; ip addr add 10.3.0.1/24 dev wg0",
	 .sources = {NULL, "10.1.0.1", "10.2.0.1"},
	 .destinations = {"10.2.0.9", "10.3.0.9", "172.18.5.9", "172.18.5.8", "172.18.9.1",
			  "192.0.2.2", "8.8.8.8"},
	 .prefixes = {"default", "0.0.0.0/1", "128.0.0.0/1", "172.16.0.0/12", "172.18.0.0/16",
		      "172.18.5.0/24", "172.18.5.9/32", "192.0.2.0/24", "10.2.0.0/24"},
	 .outlets = {"dev wg0", "dev wg0", "via 10.1.0.254 dev e0", "via 10.2.0.254 dev e1",
		     "dev e1", "blackhole", "unreachable", "throw"},
	 .selectors = {"from all", "not fwmark 51820", "fwmark 51820", "from 10.1.0.1",
		       "not from 10.1.0.0/24", "to 172.18.0.0/16", "iif lo", "iif wg0", "oif e1",
		       "ipproto tcp", "ipproto udp", "ipproto tcp sport 80", "not sport 80",
		       "not sport 80"}},
	{.family = 6,
	 .tool = "ip -6",
	 .setup = "ip addr add fd10:1::1/64 dev e0 nodad; ip addr add fd10:2::1/64 dev e1 nodad;"
		  "ip addr add fd10:3::1/64 dev wg0 nodad",
	 .reset = "for t in main 100 51820; do ip -6 route flush table $t 2>/dev/null; done;"
		  "ip -6 rule flush; ip -6 rule add pref 32766 table main;"
		  "for n in 0:1 1:2; do ip -6 addr flush dev e${n%:*}; ip addr add "
		  "fd10:${n#*:}::1/64 dev e${n%:*} nodad; done;"
		  "ip -6 addr flush dev wg0; ip addr add fd10:3::1/64 dev wg0 nodad",
	 .sources = {NULL, "fd10:1::1", "fd10:2::1"},
	 .destinations = {"fd10:2::9", "fd10:3::9", "fd18:5::9", "fd18:5::8", "fd18:9::1",
			  "2001:db8:2::2", "2001:4860:4860::8888"},
	 .prefixes = {"default", "::/1", "8000::/1", "fd00::/8", "fd18::/16", "fd18:5::/64",
		      "fd18:5::9/128", "2001:db8:2::/48", "fd10:2::/64"},
	 .outlets = {"dev wg0", "dev wg0", "via fd10:1::fe dev e0", "via fd10:2::fe dev e1",
		     "dev e1", "blackhole", "unreachable", "throw"},
	 .selectors = {"from all", "not fwmark 51820", "fwmark 51820", "from fd10:1::1",
		       "not from fd10:1::/64", "to fd18::/16", "iif lo", "iif wg0", "oif e1",
		       "ipproto tcp", "ipproto udp", "ipproto tcp sport 80", "not sport 80",
		       "not sport 80"}},
};

static const char links[] =
	"ip link set lo up;"
	"ip link add e0 type veth peer name e0p; ip link add e1 type veth peer name "
	"e1p; ip link add wg0 type veth peer name wg0p;"
	"for d in e0 e1 wg0 e0p e1p wg0p; do ip link set $d up; done";

static const char *const tables[] = {"main", "100", "51820"};
static const char *const actions[] = {"table 100",
				      "table 51820",
				      "table main",
				      "table main suppress_prefixlength 0",
				      "table 100 suppress_prefixlength 12",
				      "goto 32766",
				      "prohibit",
				      "unreachable"};

#define one_of(list) (list[(size_t)rand() % COUNT_OF(list)])

static void run(const char *script)
{
	assert_int_equal(system(script), 0);
}

/* What is refused (a route twice) is passed over. */
static void write_at_random(const struct world *w)
{
	char command[64];
	FILE *ip;

	snprintf(command, sizeof(command), "%s -force -batch - >/dev/null 2>&1", w->tool);
	ip = popen(command, "w");

	assert_non_null(ip);
	for (int i = rand() % MOST_LINES; i-- > 0;) {
		const char *outlet = one_of(w->outlets);
		bool refuses = strncmp(outlet, "via", 3) != 0 && strncmp(outlet, "dev", 3) != 0;

		fprintf(ip, "route add %s %s %s table %s metric %d\n", refuses ? outlet : "",
			one_of(w->prefixes), refuses ? "" : outlet, one_of(tables), rand() % 3 * 5);
	}
	for (int i = rand() % 6; i-- > 0;)
		fprintf(ip, "rule add pref %d %s %s\n", 10 + rand() % 50, one_of(w->selectors),
			one_of(actions));
	pclose(ip);
}

/* The device's name, or "-". */
static void ask_kernel(char name[32], const struct world *w, const char *destination,
		       const char *source)
{
	char command[160], answer[512] = "";
	FILE *ip;
	char *dev;

	snprintf(command, sizeof(command),
		 "%s -o route get %s %s%s ipproto tcp sport 80 dport 40000 2>/dev/null", w->tool,
		 destination, source ? "from " : "", source ? source : "");
	ip = popen(command, "r");
	assert_non_null(ip);
	if (!fgets(answer, sizeof(answer), ip))
		answer[0] = 0;
	pclose(ip);
	dev = strstr(answer, " dev ");
	/* of IPv6 a refusal is printed as a route by lo */
	if (!dev || !strncmp(dev, " dev lo", 7) || sscanf(dev, " dev %31s", name) != 1)
		strcpy(name, "-");
}

static const char *conclude(const struct routing *r, const char *destination, const char *source)
{
	struct leaving packet = {.proto = IPPROTO_TCP, .sport = 80, .dport = 40000};
	struct ip_outlet outlet;

	assert_true(ip_parse(&packet.dst, destination));
	if (source)
		assert_true(ip_parse(&packet.src, source));
	outlet = routing_find(r, &packet, NULL, 0);
	return outlet.path && outlet.path->type == PATH_LEAVES
		       ? routing_device_name(r, outlet.path->device)
		       : "-";
}

static void compare(const struct ns *ns, const struct world *w, unsigned seed)
{
	struct arena a = {0};
	struct routing r = {0};
	struct error err = {0};

	assert_true(routing_read(&r, &a, ns, w->family, &err));
	for (size_t d = 0; d < COUNT_OF(w->destinations); d++)
		for (size_t s = 0; s < COUNT_OF(w->sources); s++) {
			char wanted[32];
			const char *found = conclude(&r, w->destinations[d], w->sources[s]);

			ask_kernel(wanted, w, w->destinations[d], w->sources[s]);
			if (strcmp(found, wanted) == 0 || r.only_device)
				continue;
			run("ip rule >&2; ip route show table all >&2; ip -6 rule >&2; ip -6 route "
			    "show table all >&2");
			fail_msg("seed %u: %s from %s leaves by %s, the kernel says %s", seed,
				 w->destinations[d], w->sources[s] ? w->sources[s] : "any", found,
				 wanted);
		}
	arena_release(&a);
}

TEST(what_is_concluded_is_what_the_kernel_does)
{
	const char *given = getenv("ROUTING_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	struct error err = {0};
	struct ns ns;

	if (geteuid() != 0)
		skip();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run(links);
	for (size_t i = 0; i < COUNT_OF(worlds); i++)
		run(worlds[i].setup);
	assert_true(ns_open_host(&ns, &err));
	for (int i = 0; i < ROUNDS; i++, seed++) {
		const struct world *w = &worlds[i % (int)COUNT_OF(worlds)];

		srand(seed);
		run(w->reset);
		write_at_random(w);
		compare(&ns, w, seed);
	}
	ns_close(&ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_concluded_is_what_the_kernel_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
