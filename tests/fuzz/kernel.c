/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of our table, with any bytes of it changed: decoded or refused, and compared
 * with what is wanted; the same as if it was Docker's. And what it says of a packet that is traced,
 * and of one that is logged.
 * The input is a list of changes: two bytes of place, one that is put there.
 */
#include "fuzz.h"

#include "bench/load.h"
#include "core/foreign/bridges.h"
#include "core/foreign/walls.h"
#include "core/logged/logged.h"
#include "core/nft/nlattr.h"
#include "core/nft/probe.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

static const char config[] =
	"{\"networks\": {\"web\": {\"subnet\": \"10.0.0.0/24\"},"
	"               \"api\": {\"subnet\": \"10.0.1.0/24\"}},"
	" \"ips\": {\"10.0.0.2\": {\"container_name\": \"front\"},"
	"          \"10.0.1.2\": {\"container_name\": \"back\"}},"
	" \"policies\": [{\"selector\": \"back\", \"from\": \"front\", \"port\": [80, \"90-99\"], "
	"\"comment\": \"a\"},"
	"               {\"selector\": \"back\", \"from\": \"192.0.2.0/24\", \"proto\": \"any\"},"
	"               {\"iface\": \"eth0\", \"nat\": \"dnat\", \"selector\": \"front\", "
	"\"port\": 8080, \"to\": \"front\"},"
	"               {\"selector\": \"front\", \"nat\": \"masquerade\", \"from\": \"any\"}]}";

static struct loaded loaded; /* what is wanted, once */
static struct engine engine;
static struct buf sent, told, reported;
static const struct probe probe = {
	.table = TRACE_TABLE "1", .family = 4, .proto = IPPROTO_TCP, .id = 1, .token = 0x01020304};

/* One message: a rule of somebody's that sends the packet into another chain. */
static void tell_of_packet(struct buf *out)
{
	const struct probe_flow flow = {ip_v4(0x0a000002), ip_v4(0x0a000102), 40000, 80};
	struct buf packet = {0};
	size_t message = nlmsg_begin(out, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE, 0, 0,
				     NFPROTO_INET, 0),
	       verdict;

	probe_packet(&packet, &probe, &flow);
	nla_be32(out, NFTA_TRACE_TYPE, NFT_TRACETYPE_RULE);
	nla_be32(out, NFTA_TRACE_ID, 7);
	nla_text(out, NFTA_TRACE_TABLE, "filter");
	nla_text(out, NFTA_TRACE_CHAIN, "FORWARD");
	nla_be64(out, NFTA_TRACE_RULE_HANDLE, 8);
	verdict = nla_begin(out, NFTA_TRACE_VERDICT);
	nla_be32(out, NFTA_VERDICT_CODE, (uint32_t)NFT_JUMP);
	nla_text(out, NFTA_VERDICT_CHAIN, "DOCKER");
	nla_end(out, verdict);
	nla_be32(out, NFTA_TRACE_IIF, 2);
	nla_bytes(out, NFTA_TRACE_NETWORK_HEADER, packet.data, 20);
	nla_bytes(out, NFTA_TRACE_TRANSPORT_HEADER, packet.data + 20, 20);
	nlmsg_end(out, message);
	buf_free(&packet);
}

/* One packet that is logged: IPv6 with two headers before its protocol. */
static void report_packet(struct buf *out)
{
	const uint8_t packet[64] = {
		0x60, [5] = 24, [6] = 0, [8] = 0xfd, [24] = 0xfd, [40] = 44, [48] = 6, [59] = 80};
	size_t message =
		nlmsg_begin(out, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET, 0, 0, NFPROTO_INET, 0);

	nla_text(out, NFULA_PREFIX, LOG_ALLOWED);
	nla_be32(out, NFULA_IFINDEX_INDEV, 2);
	nla_bytes(out, NFULA_PAYLOAD, packet, sizeof(packet));
	nlmsg_end(out, message);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct facts facts = load_facts(28);
	struct buf text = {0};
	struct nft_batch batch = {0};
	struct ruleset nothing = {0};
	nft_changes changes = {0};

	(void)argc;
	(void)argv;
	buf_puts(&text, config);
	load_parse(&loaded, &text);
	buf_free(&text);
	load_resolve(&loaded);
	load_compile(&loaded, &engine, &facts);
	load_encode(&loaded);
	nft_batch_begin(&batch, &loaded.arena, 1);
	nft_diff(&batch, &changes, &loaded.arena, &loaded.want.spaces.items[0].ruleset, &nothing);
	nft_batch_end(&batch, &loaded.arena);
	sent = batch.bytes;
	claim(sent.len > 1000);
	tell_of_packet(&told);
	report_packet(&reported);
	return 0;
}

/* As at somebody else's rules. */
static void look_through(const struct ruleset *have, struct arena *a)
{
	const struct packet packet = {.proto = 6, .dports = {80, 80}};

	list_each (chain, &have->chains) {
		const struct listed_chain listed = {.table = "mine", .name = chain->name};
		struct wall wall = wall_of_chain(&listed, a, have);

		wall_lets_pass(&wall, &packet);
		list_each (rule, &wall.rules)
			claim(*plain_text(rule, chain->name, a));
	}
}

static void compare(const struct ruleset *have)
{
	struct arena a = {0};
	struct nft_batch batch = {0};
	nft_changes changes = {0};

	nft_batch_begin(&batch, &a, 1);
	nft_diff(&batch, &changes, &a, &loaded.want.spaces.items[0].ruleset, have);
	nft_batch_end(&batch, &a);
	look_through(have, &a);
	buf_free(&batch.bytes);
	arena_release(&a);
}

static void look_as_at_dockers(struct ruleset *have, struct arena *a)
{
	static const char *const chains[] = {"filter-FORWARD", "raw-PREROUTING",
					     "filter-forward-in__br", "filter-forward-out__br"};
	struct bridges_view view;

	for (uint32_t i = 0; i < have->chains.n; i++)
		have->chains.items[i].name = chains[i % COUNT_OF(chains)];
	for (uint32_t i = 0; i < have->sets.n; i++)
		have->sets.items[i].name = "filter-forward-in-jumps";
	bridges_view(&view, a, have, 0x2000000);
	claim(bridges_lack(&view, a, "none", true) != NULL);
}

/* Each in memory of its own, so that the sanitizer sees who reads behind it. */
static bool take(struct ruleset *have, struct arena *a, struct arena *loose, const char *at,
		 size_t len)
{
	char *message = own_copy((const uint8_t *)at, len);
	struct error err = {0};
	bool ok = nft_decode_message(have, a, loose, message, &err);

	claim(ok || err.text[0]);
	free(message);
	return ok;
}

static void read_all(const char *at, size_t len)
{
	struct arena a = {0}, loose = {0};
	struct ruleset have = {0};
	const char *end = at + len;
	bool ok = true;

	while (ok && (size_t)(end - at) >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr header;

		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > (size_t)(end - at))
			break; /* the kernel's frame is checked by who receives it */
		if (header.nlmsg_type >= NLMSG_MIN_TYPE + 16)
			ok = take(&have, &a, &loose, at, header.nlmsg_len);
		if (NLMSG_ALIGN(header.nlmsg_len) > (size_t)(end - at))
			break;
		at += NLMSG_ALIGN(header.nlmsg_len);
	}
	if (ok) {
		nft_decode_finish(&have, &a);
		compare(&have);
		look_as_at_dockers(&have, &a);
	}
	arena_release(&loose);
	arena_release(&a);
}

/* The kernel's frame is checked by who receives it. */
static void follow_packet(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct trace t = {0};
	char *bytes = own_copy((const uint8_t *)told.data, told.len);

	for (size_t i = 0; i + 2 < size; i += 3)
		bytes[sizeof(uint32_t) + (data[i] << 8 | data[i + 1]) %
						 (told.len - sizeof(uint32_t))] = (char)data[i + 2];
	trace_take(&t, &a, &probe, bytes);
	trace_take(&t, &a, &probe, told.data);
	claim(size || (t.steps.n == 2 && !trace_is_over(&t)));
	free(bytes);
	arena_release(&a);
}

static void read_report(const uint8_t *data, size_t size)
{
	struct logged logged;
	char *bytes = own_copy((const uint8_t *)reported.data, reported.len);

	for (size_t i = 0; i + 2 < size; i += 3)
		bytes[sizeof(uint32_t) +
		      (data[i] << 8 | data[i + 1]) % (reported.len - sizeof(uint32_t))] =
			(char)data[i + 2];
	if (logged_decode(&logged, (const void *)bytes))
		claim(logged.src.family && logged.src.family == logged.dst.family);
	claim(logged_decode(&logged, (const void *)reported.data) && logged.port == 80);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = own_copy((const uint8_t *)sent.data, sent.len);

	for (size_t i = 0; i + 2 < size; i += 3)
		bytes[(data[i] << 8 | data[i + 1]) % sent.len] = (char)data[i + 2];
	read_all(bytes, sent.len);
	free(bytes);
	follow_packet(data, size);
	read_report(data, size);
	return 0;
}
