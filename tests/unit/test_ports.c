/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports of a bridge of this kernel, in a network namespace of their own: with frames. */
#include "base/buf.h"
#include "edge/netlink/ports.h"
#include "unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A bridge br0 of the host with three neighbours 10.9.0.2 … 4, fd09::2 … 4. */
enum { FIRST = 2, N_NEIGHBOURS = 3, SOON_MS = 1000, SILENCE_MS = 150, TRIAL = 0x88b5 };

struct example {
	struct arena arena;
	struct ns host;
	struct ns neighbours[N_NEIGHBOURS];
	struct bridge_ports ports;
	struct error err;
};

PRINTF_LIKE(1, 2)
static void shell(const char *format, ...)
{
	char *line = NULL;
	va_list args;

	va_start(args, format);
	assert_true(vasprintf(&line, format, args) > 0);
	va_end(args);
	if (system(line) != 0)
		fail_msg("%s", line);
	free(line);
}

static void go_into(const struct ns *ns)
{
	assert_int_equal(setns(ns->ns_fd, CLONE_NEWNET), 0);
}

static void make_neighbour(struct example *x, int i)
{
	struct ns *ns = &x->neighbours[i];
	int n = FIRST + i;

	*ns = (struct ns)NS_INIT;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ns->ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(ns->ns_fd >= 0);
	go_into(&x->host);
	shell("ip link add v%d type veth peer name e0 address 02:00:00:00:00:0%d netns "
	      "/proc/%d/fd/%d && ip link set v%d master br0 up",
	      n, n, getpid(), ns->ns_fd, n);
	go_into(ns);
	shell("ip link set lo up; ip link set e0 up && ip addr add 10.9.0.%d/24 dev e0 && "
	      "ip addr add fd09::%d/64 dev e0 nodad && ip route add default via 10.9.0.1",
	      n, n);
	go_into(&x->host);
}

static void look(struct example *x)
{
	if (!ports_read(&x->ports, &x->arena, &x->host, "br0", &x->err))
		fail_msg("%s", x->err.text);
}

static void begin(struct example *x)
{
	*x = (struct example){.host = NS_INIT};
	assert_int_equal(unshare(CLONE_NEWNET), 0); /* whatever a failed test left is not here */
	assert_true(ns_open_host(&x->host, &x->err));
	/* br_netfilter and snooping drop what is no packet; a new link-local address is deaf for a
	 * second
	 */
	shell("cd /proc/sys/net; for f in bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 > $f; "
	      "done; echo 0 > ipv6/conf/default/accept_dad");
	shell("ip link set lo up; ip link add br0 type bridge mcast_snooping 0 && ip link set br0 "
	      "up && "
	      "ip addr add 10.9.0.1/24 dev br0 && ip addr add fd09::1/64 dev br0 nodad");
	assert_true(ns_set_forward(&x->host, 4, 1, &x->err));
	assert_true(ns_set_forward(&x->host, 6, 1, &x->err));
	for (int i = 0; i < N_NEIGHBOURS; i++)
		make_neighbour(x, i);
	look(x);
	assert_int_equal(x->ports.ports.n, N_NEIGHBOURS);
}

static void end(struct example *x)
{
	for (int i = 0; i < N_NEIGHBOURS; i++)
		ns_close(&x->neighbours[i]);
	ns_close(&x->host);
	arena_release(&x->arena);
}

static struct mac mac_of(int i)
{
	return (struct mac){{2, 0, 0, 0, 0, (uint8_t)(FIRST + i)}};
}

/* The ports come in the order in which they were made. */
static void set_flags(struct example *x, bool on)
{
	list_each (port, &x->ports.ports) {
		port->isolated = port->locked = on;
		port->learning = port->flooded = !on;
		assert_true(ports_set_flags(&x->host, port, &x->err));
	}
}

static void set_entries(struct example *x, bool on)
{
	for (int i = 0; i < N_NEIGHBOURS; i++)
		assert_true(ports_set_entry(
			&x->host, &(struct port_entry){x->ports.ports.items[i].index, mac_of(i)},
			on, &x->err));
}

static void set_proxies(struct example *x, bool on)
{
	for (int i = 0; i < N_NEIGHBOURS; i++) {
		struct ip ip;

		assert_true(ip_parse(&ip, "fd09::2"));
		assert_true(ports_set_proxy(&x->host, x->ports.index, ip_plus(ip, (uint32_t)i), on,
					    &x->err));
	}
	for (enum port_switch which = 0; which < N_PORT_SWITCHES; which++) {
		bool delay = which == SWITCH_ARP_DELAY || which == SWITCH_ND_DELAY;

		assert_true(ports_set_switch(&x->host, "br0", which, delay ? (on ? 0 : 80) : on,
					     &x->err));
	}
}

/* --- frames --- */

/* A socket in a namespace, on an interface there. */
static int open_tap(const struct ns *ns, const struct ns *home, const char *interface)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd;

	go_into(ns);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(fd >= 0);
	at.sll_ifindex = (int)if_nametoindex(interface);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	go_into(home);
	return fd;
}

struct frame {
	struct mac dst, src;
	uint8_t rest[60 - 12];
} __attribute__((packed));

static struct frame frame_between(struct mac src, struct mac dst, uint16_t type)
{
	static uint8_t number;
	struct frame frame = {.dst = dst, .src = src};

	frame.rest[0] = (uint8_t)(type >> 8);
	frame.rest[1] = (uint8_t)type;
	memcpy(frame.rest + 10, "harborwall", 10);
	frame.rest[20] = ++number;
	return frame;
}

/* It was sent by the one and is heard by the other. */
static bool passes(int from, int to, struct frame frame, int patience_ms)
{
	int64_t until = clock_ms() + patience_ms;
	uint8_t got[2048];

	assert_int_equal(send(from, &frame, sizeof(frame), 0), sizeof(frame));
	while (clock_ms() < until) {
		struct pollfd p = {.fd = to, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(until - clock_ms())) < 1)
			return false;
		n = recv(to, got, sizeof(got), MSG_DONTWAIT);
		/* a VLAN tag is taken out of what a packet socket shows */
		if (n > 20 && memmem(got, (size_t)n, frame.rest + 10, 11))
			return true;
	}
	return false;
}

static bool arrives(int from, int to, struct frame frame)
{
	return passes(from, to, frame, SOON_MS);
}

static bool is_stopped(int from, int to, struct frame frame)
{
	return !passes(from, to, frame, SILENCE_MS);
}

/* Any address that is at no port. */
static const struct mac host_mac = {{2, 1}};
static const struct mac everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const struct mac all_routers = {{0x33, 0x33, 0, 0, 0, 2}};

TEST(what_is_set_is_read_back_and_taken_back)
{
	struct example x;

	begin(&x);
	for (int round = 0; round < 2; round++) {
		bool on = !round;

		set_flags(&x, on);
		set_entries(&x, on);
		set_proxies(&x, on);
		look(&x);
		assert_true(x.ports.can_lock);
		list_each (port, &x.ports.ports) {
			assert_int_equal(port->isolated, on);
			assert_int_equal(port->locked, on);
			assert_int_equal(port->learning, !on);
		}
		assert_int_equal(x.ports.entries.n, on ? N_NEIGHBOURS : 0);
		assert_int_equal(x.ports.proxies.n, on ? N_NEIGHBOURS : 0);
		for (uint32_t i = 0; on && i < N_NEIGHBOURS; i++) {
			struct mac mac = mac_of((int)i);

			assert_int_equal(x.ports.entries.items[i].port,
					 x.ports.ports.items[i].index);
			assert_memory_equal(&x.ports.entries.items[i].mac, &mac, sizeof(mac));
			assert_int_equal(x.ports.proxies.items[i].bytes[15], FIRST + i);
		}
		assert_int_equal(x.ports.switches[SWITCH_PROXY_ARP], on);
		assert_int_equal(x.ports.switches[SWITCH_PROXY_ND], on);
		assert_int_equal(x.ports.switches[SWITCH_ARP_DELAY], on ? 0 : 80);
		assert_int_equal(x.ports.switches[SWITCH_ND_DELAY], on ? 0 : 80);
	}
	end(&x);
}

TEST(a_port_is_known_by_the_namespace_at_its_other_end)
{
	struct example x;
	struct ns stranger = NS_INIT;
	int32_t nsid;

	begin(&x);
	for (int i = 0; i < N_NEIGHBOURS; i++) {
		assert_true(ports_find_nsid(&nsid, &x.host, &x.neighbours[i], &x.err));
		assert_true(nsid >= 0);
		assert_int_equal(nsid, x.ports.ports.items[i].nsid);
	}
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	stranger.ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	go_into(&x.host);
	assert_true(ports_find_nsid(&nsid, &x.host, &stranger, &x.err));
	assert_int_equal(nsid, NO_NSID);
	ns_close(&stranger);
	end(&x);
}

/* Other people's: entries that they proxy stay out of what is read, so nobody removes them. */
TEST(what_others_answer_for_is_not_ours)
{
	struct example x;

	begin(&x);
	shell("ip -6 neigh add proxy fd09::9 dev br0");
	look(&x);
	assert_int_equal(x.ports.proxies.n, 0);
	end(&x);
}

TEST(what_is_gone_or_no_bridge_is_no_error)
{
	struct example x;
	struct port gone = {.name = "gone", .index = 99999};

	begin(&x);
	assert_true(ports_set_flags(&x.host, &gone, &x.err));
	assert_true(ports_set_entry(&x.host, &(struct port_entry){99999, mac_of(0)}, true, &x.err));
	assert_true(
		ports_set_entry(&x.host, &(struct port_entry){99999, mac_of(0)}, false, &x.err));
	set_proxies(&x, false);
	assert_true(ports_read(&x.ports, &x.arena, &x.host, "absent", &x.err));
	assert_int_equal(x.ports.index, 0);
	assert_true(ports_read(&x.ports, &x.arena, &x.host, "v2", &x.err));
	assert_int_equal(x.ports.index, 0);
	end(&x);
}

/* Whatever is in them: IPv4, ARP, IPv6, a VLAN tag, a protocol that nobody knows. */
TEST(no_frame_goes_from_an_isolated_port_to_another)
{
	static const uint16_t types[] = {ETH_P_IP, ETH_P_ARP, ETH_P_IPV6, ETH_P_8021Q, TRIAL};
	const struct mac to[] = {mac_of(1), everybody, all_routers};
	struct example x;
	int taps[2], host;

	begin(&x);
	for (int i = 0; i < 2; i++)
		taps[i] = open_tap(&x.neighbours[i], &x.host, "e0");
	host = open_tap(&x.host, &x.host, "br0");
	for (int isolated = 0; isolated < 2; isolated++) {
		set_flags(&x, isolated);
		set_entries(&x, isolated);
		for (size_t i = 0; i < COUNT_OF(types); i++)
			for (size_t k = 0; k < COUNT_OF(to); k++) {
				struct frame frame = frame_between(mac_of(0), to[k], types[i]);

				if (isolated)
					assert_true(is_stopped(taps[0], taps[1], frame));
				else
					assert_true(arrives(taps[0], taps[1], frame));
			}
		/* the host is reached as before */
		assert_true(arrives(taps[0], host, frame_between(mac_of(0), everybody, TRIAL)));
	}
	close(host);
	close(taps[0]);
	close(taps[1]);
	end(&x);
}

TEST(a_locked_port_takes_frames_from_its_own_address_only)
{
	struct example x;
	int taps[2], host;

	begin(&x);
	set_flags(&x, true);
	for (int i = 0; i < 2; i++)
		taps[i] = open_tap(&x.neighbours[i], &x.host, "e0");
	host = open_tap(&x.host, &x.host, "br0");
	/* not yet known: closed */
	assert_true(is_stopped(taps[0], host, frame_between(mac_of(0), everybody, TRIAL)));
	set_entries(&x, true);
	assert_true(arrives(taps[0], host, frame_between(mac_of(0), everybody, TRIAL)));
	assert_true(is_stopped(taps[0], host, frame_between(mac_of(1), everybody, TRIAL)));
	assert_true(
		is_stopped(taps[0], host, frame_between((struct mac){{2, 9}}, everybody, TRIAL)));
	/* and the table is as it was: the host's frames still go to the neighbour alone */
	look(&x);
	assert_int_equal(x.ports.entries.n, N_NEIGHBOURS);
	assert_true(arrives(host, taps[1], frame_between(host_mac, mac_of(1), TRIAL)));
	assert_true(is_stopped(host, taps[0], frame_between(host_mac, mac_of(1), TRIAL)));
	close(host);
	close(taps[0]);
	close(taps[1]);
	end(&x);
}

/* --- packets --- */

static int open_socket(const struct ns *ns, const struct ns *home, int domain)
{
	int fd;

	go_into(ns);
	fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	go_into(home);
	assert_true(fd >= 0);
	return fd;
}

/* A datagram from the first neighbour to the second one; its source is kept. */
static bool datagram_arrives(struct example *x, int domain, int patience_ms)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	struct sockaddr *any = domain == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t len = domain == AF_INET ? sizeof(v4) : sizeof(v6);
	int from = open_socket(&x->neighbours[0], &x->host, domain);
	int to = open_socket(&x->neighbours[1], &x->host, domain);
	struct pollfd p = {.fd = to, .events = POLLIN};
	bool arrived;

	inet_pton(AF_INET, "10.9.0.3", &v4.sin_addr);
	inet_pton(AF_INET6, "fd09::3", &v6.sin6_addr);
	assert_int_equal(bind(to, any, len), 0);
	assert_int_equal(sendto(from, "x", 1, 0, any, len), 1);
	arrived = poll(&p, 1, patience_ms) == 1;
	if (arrived) {
		assert_int_equal(recvfrom(to, &(char){0}, 1, 0, any, &len), 1);
		if (domain == AF_INET)
			assert_int_equal(ntohl(v4.sin_addr.s_addr) & 0xff, FIRST);
		else
			assert_int_equal(v6.sin6_addr.s6_addr[15], FIRST);
	}
	close(from);
	close(to);
	return arrived;
}

static void forget_neighbours(struct example *x)
{
	for (int i = 0; i < N_NEIGHBOURS; i++) {
		go_into(&x->neighbours[i]);
		shell("ip neigh flush dev e0; ip -6 neigh flush dev e0");
	}
	go_into(&x->host);
}

/* Twenty times, because the kernel's own delay is by chance: 100 ms are too few for most. */
TEST(isolated_neighbours_talk_by_the_forward_hook_and_at_once)
{
	static const int domains[] = {AF_INET, AF_INET6};
	struct example x;

	begin(&x);
	set_flags(&x, true);
	set_entries(&x, true);
	set_proxies(&x, true);
	for (size_t i = 0; i < COUNT_OF(domains); i++) {
		uint8_t family = domains[i] == AF_INET ? 4 : 6;

		for (int round = 0; round < 20; round++) {
			forget_neighbours(&x);
			if (!datagram_arrives(&x, domains[i], 100))
				fail_msg("IPv%d, round %d", family, round);
		}
		assert_true(ns_set_forward(&x.host, family, 0, &x.err));
		assert_false(datagram_arrives(&x, domains[i], SILENCE_MS));
		assert_true(ns_set_forward(&x.host, family, 1, &x.err));
	}
	end(&x);
}

/* --- what others change --- */

static bool is_heard(struct example *x)
{
	bool heard = false;

	for (int i = 0; i < 20; i++) {
		heard |= ns_heard_changes(&x->host);
		poll(NULL, 0, 1);
	}
	return heard;
}

/* Closed, by ourselves, and watched. */
static void watch(struct example *x, struct port_watch *w)
{
	bridge_ports_list expected = {0};

	set_flags(x, true);
	set_entries(x, true);
	set_proxies(x, true);
	look(x);
	*list_add(&x->arena, &expected) = x->ports;
	port_watch_expect(w, &expected);
	ns_watch_ports(&x->host, w);
	(void)is_heard(x);
}

TEST(what_others_change_at_a_port_is_heard_and_what_we_put_right_is_not)
{
	static const char *const changes[] = {
		"bridge link set dev v2 isolated off",
		"bridge link set dev v2 locked off",
		"bridge link set dev v2 learning on",
		"bridge link set dev v2 flood on",
		"bridge fdb del 02:00:00:00:00:02 dev v2 master",
		"bridge fdb add 02:00:00:00:00:77 dev v3 master static",
		"bridge fdb replace 02:00:00:00:00:02 dev v3 master static",
		"ip link add new0 type veth peer name new1 && ip link set new0 master br0",
	};
	struct port_watch w = {0};
	struct example x;

	begin(&x);
	watch(&x, &w);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		shell("%s", changes[i]);
		if (!is_heard(&x))
			fail_msg("not heard: %s", changes[i]);
		shell("bridge fdb del 02:00:00:00:00:77 dev v3 master 2>/dev/null; "
		      "ip link del new0 2>/dev/null; true");
		(void)is_heard(&x);
		set_flags(&x, true);
		set_entries(&x, true);
		if (is_heard(&x))
			fail_msg("we hear ourselves after: %s", changes[i]);
	}
	ns_watch_ports(&x.host, NULL);
	port_watch_release(&w);
	end(&x);
}

/* Their containers send before a pass is made. Of one that the last pass knew, the pass tells. */
TEST(ports_that_are_new_are_noted_also_at_a_bridge_that_is_new)
{
	static const char *const changes[] = {
		"ip link add new0 type veth peer name new1 && ip link set new0 master br0",
		"ip link del br0 && ip link add br0 type bridge && ip link set new0 master br0",
	};
	struct port_watch w = {0};
	struct example x;

	begin(&x);
	watch(&x, &w);
	shell("bridge link set dev v2 isolated off");
	assert_true(is_heard(&x));
	assert_int_equal(w.n_opened, 0);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		shell("%s", changes[i]);
		assert_true(is_heard(&x));
		assert_true(w.n_opened > 0);
		assert_int_equal(w.opened[0], if_nametoindex("new0"));
		w.n_opened = 0;
	}
	port_watch_release(&w);
	end(&x);
}

/* On a busy host most links and neighbours are none of ours. */
TEST(what_happens_elsewhere_wakes_nobody)
{
	struct port_watch w = {0};
	struct example x;

	begin(&x);
	watch(&x, &w);
	shell("ip link add br7 type bridge && ip link set br7 up && ip link add a0 type veth peer "
	      "name a1 && ip link set a0 master br7 up && ip link set a1 up && "
	      "bridge link set dev a0 isolated on && "
	      "bridge fdb add 02:00:00:00:00:78 dev a0 master static && "
	      "for i in 1 2 3 4 5 6 7 8 9; do ip neigh replace 10.9.0.$i lladdr 02:00:00:00:07:0$i "
	      "dev br7; done; ip neigh flush dev br7; ip link set v2 alias somebodys; "
	      "ip link set br0 mtu 1400");
	assert_false(is_heard(&x));
	port_watch_release(&w);
	assert_false(is_heard(&x));
	end(&x);
}

TEST(what_the_kernel_does_not_announce_is_seen_by_a_look)
{
	static const char *const changes[] = {
		"echo 0 > /proc/sys/net/ipv4/conf/br0/proxy_arp_pvlan",
		"echo 80 > /proc/sys/net/ipv4/neigh/br0/proxy_delay",
		"echo 0 > /proc/sys/net/ipv6/conf/br0/proxy_ndp",
		"echo 80 > /proc/sys/net/ipv6/neigh/br0/proxy_delay",
		"ip -6 neigh del proxy fd09::2 dev br0",
	};
	struct port_watch w = {0};
	struct example x;

	begin(&x);
	watch(&x, &w);
	assert_false(ports_differ(&w.expected, &x.host));
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		shell("%s", changes[i]);
		if (!ports_differ(&w.expected, &x.host))
			fail_msg("not seen: %s", changes[i]);
		set_proxies(&x, true);
		assert_false(ports_differ(&w.expected, &x.host));
	}
	shell("ip -6 neigh add proxy fd09::9 dev br0; ip link del br0");
	assert_false(ports_differ(&w.expected, &x.host));
	port_watch_release(&w);
	end(&x);
}

/* A bridge is found again by what only we put there. */
TEST(a_bridge_that_we_closed_is_found_by_its_mark)
{
	name_list marked = {0};
	struct example x;
	struct ip gateway;

	begin(&x);
	shell("ip neigh add proxy 10.9.0.9 dev br0");
	assert_true(ports_find_marked(&marked, &x.arena, &x.host, &x.err));
	assert_int_equal(marked.n, 0);
	assert_true(ip_parse(&gateway, "10.9.0.1"));
	assert_true(ports_set_proxy(&x.host, x.ports.index, gateway, true, &x.err));
	assert_true(ports_find_marked(&marked, &x.arena, &x.host, &x.err));
	assert_int_equal(marked.n, 1);
	assert_string_equal(marked.items[0], "br0");
	look(&x);
	assert_int_equal(x.ports.proxies.n, 1);
	assert_true(ip_equal(x.ports.proxies.items[0], gateway));
	end(&x);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_set_is_read_back_and_taken_back),
		cmocka_unit_test(a_port_is_known_by_the_namespace_at_its_other_end),
		cmocka_unit_test(what_others_answer_for_is_not_ours),
		cmocka_unit_test(what_is_gone_or_no_bridge_is_no_error),
		cmocka_unit_test(no_frame_goes_from_an_isolated_port_to_another),
		cmocka_unit_test(a_locked_port_takes_frames_from_its_own_address_only),
		cmocka_unit_test(
			what_others_change_at_a_port_is_heard_and_what_we_put_right_is_not),
		cmocka_unit_test(ports_that_are_new_are_noted_also_at_a_bridge_that_is_new),
		cmocka_unit_test(what_happens_elsewhere_wakes_nobody),
		cmocka_unit_test(what_the_kernel_does_not_announce_is_seen_by_a_look),
		cmocka_unit_test(a_bridge_that_we_closed_is_found_by_its_mark),
		cmocka_unit_test(isolated_neighbours_talk_by_the_forward_hook_and_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
