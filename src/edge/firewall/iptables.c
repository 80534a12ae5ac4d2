/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/firewall/iptables.h"

#include "base/hash.h"
#include "core/nft/nlattr.h"
#include "edge/firewall/nft.h"
#include "edge/host/file.h"
#include "edge/host/proc.h"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	TOOL_MS = 20000,
	CONTAINER_SAVE_MS = 2000, /* in a namespace that its owner may have filled */
	CONTAINER_RESTORE_MS = 5000,
	MAX_NAMES = 4096,
	MOST_RULES = 1 << 20, /* bytes of a table whose rules are hashed, not only their layout */
};

static const char *const tables[] = {"raw", "nat", "filter"};

static int patience_ms(const struct ns *ns)
{
	return ns->pidfd < 0 ? TOOL_MS : CONTAINER_SAVE_MS;
}

/*
 * The kernel lists the tables that are loaded in this namespace; the save tool would load a missing
 * one.
 */
static bool save_legacy_table(struct buf *text, bool *exists, uint8_t family, const char *table,
			      bool counters, int timeout_ms, struct error *err)
{
	const char *path = family == 6 ? "/proc/thread-self/net/ip6_tables_names"
				       : "/proc/thread-self/net/ip_tables_names";
	const char *const argv[] = {family == 6 ? "ip6tables-legacy-save" : "iptables-legacy-save",
				    "-t", table, counters ? "-c" : NULL, NULL};
	AUTO_BUF struct buf names = {0};

	/* a kernel without x_tables has no such file */
	if (access(path, F_OK) == 0 && !file_read(&names, path, MAX_NAMES, err))
		return false;
	*exists = text_lists(buf_text(&names), '\n', table);
	return !*exists || proc_run(argv, NULL, text, timeout_ms, err);
}

bool iptables_save_legacy(struct buf *text, bool *exists, const struct ns *ns, uint8_t family,
			  const char *table, struct error *err)
{
	int home;
	bool ok;

	if (!ns_enter(&home, ns, err))
		return false;
	ok = save_legacy_table(text, exists, family, table, false, patience_ms(ns), err);
	ns_leave(home);
	return ok;
}

static bool save_legacy(struct buf *text, uint8_t family, bool counters, int timeout_ms,
			struct error *err)
{
	bool exists;

	for (size_t i = 0; i < COUNT_OF(tables); i++)
		if (!save_legacy_table(text, &exists, family, tables[i], counters, timeout_ms, err))
			return false;
	return true;
}

static bool save_nft(struct buf *text, uint8_t family, bool counters, int timeout_ms,
		     struct error *err)
{
	const char *const argv[] = {family == 6 ? "ip6tables-nft-save" : "iptables-nft-save",
				    counters ? "-c" : NULL, NULL};

	return proc_run(argv, NULL, text, timeout_ms, err);
}

static bool save(struct buf *text, const struct ns *ns, enum variant variant, uint8_t family,
		 bool counters, struct error *err)
{
	int home;
	bool ok;

	if (!ns_enter(&home, ns, err))
		return false;
	ok = variant == VARIANT_NFT ? save_nft(text, family, counters, patience_ms(ns), err)
				    : save_legacy(text, family, counters, patience_ms(ns), err);
	ns_leave(home);
	return ok;
}

bool iptables_save(struct buf *text, const struct ns *ns, enum variant variant, uint8_t family,
		   struct error *err)
{
	return save(text, ns, variant, family, false, err);
}

bool iptables_tally(struct tally *tally, const struct ns *ns, const ipt_chains *want,
		    struct error *err)
{
	for (enum variant v = VARIANT_NFT; v <= VARIANT_LEGACY; v++)
		each_family (family) {
			AUTO_BUF struct buf text = {0};

			if (!ipt_has(want, v, family))
				continue;
			if (!save(&text, ns, v, family, true, err))
				return error_wrap(err, "read the counters of %s",
						  variant_tool(v, family));
			tally_save(tally, want, v, family, buf_text(&text));
		}
	return true;
}

/* Listing chains over netlink is a hundred times cheaper than running the tool. */
static bool may_have_chains(bool *may, struct arena *a, const struct ns *ns, uint8_t family,
			    struct error *err)
{
	static const char *const no_rules[] = {NULL};

	for (size_t i = 0; i < COUNT_OF(tables); i++) {
		struct ruleset table;

		if (!fw_nft_read_chains(&table, a, ns, nfproto(family), tables[i], no_rules, err))
			return false;
		list_each (chain, &table.chains)
			*may |= !strncmp(chain->name, IPT_PREFIX, strlen(IPT_PREFIX));
	}
	return true;
}

bool iptables_read(ipt_chains *chains, struct arena *a, const struct ns *ns, enum variant variant,
		   struct error *err)
{
	each_family (family) {
		AUTO_BUF struct buf text = {0};
		bool may = variant == VARIANT_LEGACY;

		if (!may && !may_have_chains(&may, a, ns, family, err))
			return false;
		if (may && !iptables_save(&text, ns, variant, family, err))
			return false;
		ipt_decode(chains, a, variant, family, buf_text(&text));
	}
	return true;
}

/* --- what nobody tells of --- */

/* The two families' requests differ in these alone; their answers begin with the same members. */
static const struct layout {
	int domain, level, info, entries;
	size_t next, counters, elems; /* offsets in the struct of a rule */
} layouts[N_FAMILIES] = {
	[FAMILY_4] = {AF_INET, IPPROTO_IP, IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES,
		      offsetof(struct ipt_entry, next_offset), offsetof(struct ipt_entry, counters),
		      offsetof(struct ipt_entry, elems)},
	[FAMILY_6] = {AF_INET6, IPPROTO_IPV6, IP6T_SO_GET_INFO, IP6T_SO_GET_ENTRIES,
		      offsetof(struct ip6t_entry, next_offset),
		      offsetof(struct ip6t_entry, counters), offsetof(struct ip6t_entry, elems)},
};
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo) &&
		       sizeof(struct ipt_get_entries) == sizeof(struct ip6t_get_entries),
	       "one type is used for both families");

static const struct layout *layout_of(uint8_t family)
{
	return &layouts[family == 6 ? FAMILY_6 : FAMILY_4];
}

int iptables_open_legacy(uint8_t family)
{
	return socket(layout_of(family)->domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
}

/* Hashes every rule without its counters. */
static uint64_t hash_rules(uint64_t hash, const struct ipt_get_entries *rules,
			   const struct layout *l)
{
	const unsigned char *bytes = (const void *)rules->entrytable;
	uint16_t len;

	for (uint32_t at = 0; rules->size - at >= l->elems; at += len) {
		memcpy(&len, bytes + at + l->next, sizeof(len));
		if (len < l->elems || len > rules->size - at)
			break;
		hash = hash_more(hash, bytes + at, l->counters);
		hash = hash_more(hash, bytes + at + l->elems, len - l->elems);
	}
	return hash;
}

uint64_t iptables_legacy_hash(int fd, uint8_t family)
{
	const struct layout *l = layout_of(family);
	struct ipt_getinfo info = {.name = "filter"};
	AUTO_FREE struct ipt_get_entries *rules = NULL;
	socklen_t len = sizeof(info);
	uint64_t hash;

	if (fd < 0 || getsockopt(fd, l->level, l->info, &info, &len) < 0)
		return 0;
	hash = hash_bytes(&info, sizeof(info));
	if (info.size > MOST_RULES)
		return hash;
	len = sizeof(*rules) + info.size;
	rules = xmalloc(len);
	*rules = (struct ipt_get_entries){.name = "filter", .size = info.size};
	/* the kernel refuses if the size has changed: the next look tells */
	if (getsockopt(fd, l->level, l->entries, rules, &len) < 0)
		return hash;
	return hash_rules(hash, rules, l);
}

static const char *const restore_tools[][N_FAMILIES] = {
	[VARIANT_NFT] = {"iptables-nft-restore", "ip6tables-nft-restore"},
	[VARIANT_LEGACY] = {"iptables-legacy-restore", "ip6tables-legacy-restore"}};

static bool has_legacy_filter(void)
{
	AUTO_BUF struct buf names = {0};
	struct error err = {0};

	return file_read(&names, "/proc/thread-self/net/ip_tables_names", MAX_NAMES, &err) &&
	       text_lists(buf_text(&names), '\n', "filter");
}

bool iptables_logs(const struct ns *ns, enum variant variant, struct error *err)
{
	static const char rules[] =
		"*filter\n"
		":" IPT_PREFIX "-TRY - [0:0]\n"
		"-A " IPT_PREFIX "-TRY -j MARK --set-xmark 0x0/0x1\n"
		"-A " IPT_PREFIX "-TRY -m mark --mark 0x1/0x1 -m limit --limit 1/sec -j NFLOG "
		"--nflog-prefix x --nflog-group 1\n"
		"COMMIT\n";
	const char *const argv[] = {
		restore_tools[variant][FAMILY_4], "--noflush", "--test", "-w", "5", NULL};
	int home;
	bool ok;

	if (!ns_enter(&home, ns, err))
		return false;
	ok = (variant == VARIANT_LEGACY && !has_legacy_filter()) ||
	     proc_run(argv, rules, NULL, TOOL_MS, err);
	ns_leave(home);
	return ok;
}

bool iptables_restore(const struct ns *ns, enum variant variant, uint8_t family, const char *text,
		      struct error *err)
{
	const char *const argv[] = {restore_tools[variant][family == 6 ? FAMILY_6 : FAMILY_4],
				    "--noflush", "-w", "5", NULL};
	int home;
	bool ok, muted;

	if (!ns_enter(&home, ns, err))
		return false;
	muted = ns_mute_events(ns, variant == VARIANT_NFT ? strlen(text) : 0);
	ok = proc_run(argv, text, NULL, ns->pidfd < 0 ? TOOL_MS : CONTAINER_RESTORE_MS, err);
	ns_unmute_events(ns, muted);
	ns_leave(home);
	return ok;
}
