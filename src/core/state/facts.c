/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/state/facts.h"

#include "base/foreign.h"
#include "base/hash.h"

#include <string.h>

/* Who writes Docker's rules, and with what. */
static const char *firewall_of(const struct facts *f)
{
	static const char *const words[] = {[VARIANT_NONE] = "none",
					    [VARIANT_NFT] = "iptables-nft",
					    [VARIANT_LEGACY] = "iptables-legacy"};

	return f->docker_nftables ? "nftables" : words[f->variant];
}

static const char *backend_of(const struct facts *f)
{
	return f->backend == BACKEND_NFTABLES ? "nftables"
	       : f->variant == VARIANT_LEGACY ? "iptables-legacy"
					      : "iptables-nft";
}

static const char *docker_user_of(const struct facts *f)
{
	return f->docker_user ? "first" : f->docker_user_late ? "late" : "none";
}

/* Before anything else, what comes directly to a container. */
static bool drops_raw(const struct facts *f)
{
	return f->raw_drops || f->direct == DIRECT_DROPPED;
}

void facts_print(struct buf *out, const struct engine *engine, const struct facts *f)
{
	const char *comma = ": ";
	const struct {
		bool holds;
		const char *words;
	} parts[] = {
		{f->docker_user, "DOCKER-USER"},
		{f->docker_user_late, "DOCKER-USER too late"},
		{drops_raw(f), "raw drops"},
		{f->takes_mark, "takes our mark"},
		{f->firewalld.stands, "firewalld"},
		{f->mixed, "stale rules of the other variant"},
		{!f->docker_drops, "Docker's drops do not close"},
	};

	if (engine->up)
		buf_printf(out, "Docker %s, API %s; ", engine->version, engine->api);
	else
		buf_puts(out, "no engine; ");
	buf_printf(out, "firewall %s", firewall_of(f));
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		if (!parts[i].holds)
			continue;
		buf_printf(out, "%s%s", comma, parts[i].words);
		comma = ", ";
	}
	buf_printf(out, "; backend %s%s", backend_of(f),
		   f->no_nf_tables ? ", no nf_tables in this kernel" : "");
}

void facts_print_json(struct buf *out, const struct engine *engine, const struct facts *f,
		      const char *indent)
{
	const struct {
		const char *name, *text;
	} texts[] = {
		{"engine", engine->up ? engine->version : ""},
		{"api", engine->up ? engine->api : ""},
		{"firewall", firewall_of(f)},
		{"backend", backend_of(f)},
		{"docker_user", docker_user_of(f)},
	};
	const struct {
		const char *name;
		bool holds;
	} bits[] = {
		{"nf_tables", !f->no_nf_tables},    {"raw_drops", drops_raw(f)},
		{"takes_mark", f->takes_mark},	    {"firewalld", f->firewalld.stands},
		{"stale_variant", f->mixed},	    {"docker_drops", f->docker_drops},
		{"ip_forward", f->ip_forward == 1},
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		buf_puts(out, i ? ",\n" : "");
		buf_json_member(out, indent, texts[i].name, texts[i].text);
	}
	for (size_t i = 0; i < COUNT_OF(bits); i++)
		buf_printf(out, ",\n%s\"%s\": %s", indent, bits[i].name,
			   bits[i].holds ? "true" : "false");
	buf_puts(out, "\n");
}

uint64_t facts_digest(const struct facts *f)
{
	const bool bits[] = {f->docker_user,	   f->docker_nftables,	  f->mixed,
			     f->takes_mark,	   f->docker_drops,	  f->raw_drops,
			     f->forward_drop,	   f->ip_forward == 1,	  f->no_engine != NULL,
			     f->no_nf_tables,	   f->no_filter,	  f->handoff_top,
			     f->elsewhere != NULL, f->bridges_unfiltered, f->direct_lost,
			     f->drops_lost,	   f->six.exists,	  f->six.docker_user,
			     f->six.docker_drops,  f->six.raw_drops,	  f->no_forward6 != NULL,
			     f->six.direct_lost};
	uint64_t hash = hash_more(HASH_START, bits, sizeof(bits));

	for (uint32_t i = 0; f->were_containers && i < f->were_containers->n; i++)
		hash = hash_word(hash, hash_text(f->were_containers->items[i]));
	hash = hash_word(hash, f->forgotten != NULL);
	list_each (route, &f->routes)
		if (!route->to.len) /* the others are among the host's prefixes */
			hash = hash_more(hash, route->device, strlen(route->device));
	hash = hash_word(hash, (uint64_t)f->variant << 32 | (uint64_t)f->direct << 16 |
				       (uint64_t)f->backend);
	hash = hash_word(hash, (uint64_t)f->six.direct << 16 | (uint64_t)f->six.variant);
	return hash_word(hash, (uint64_t)f->mark_accept << 32 | f->mark_raw);
}

struct hooks facts_hooks(const struct facts *f)
{
	/*
	 * Docker's nftables backend may compare the whole mark, so the second bit must not be set
	 */
	uint32_t second = f->docker_nftables ? 0 : f->mark_raw;

	return (struct hooks){
		.accept = f->mark_accept,
		.between = f->mark_accept | second,
		.raw = f->mark_raw,
		/* a number that others hardly write by chance, and that never says "admitted" */
		.revoked = 0x48575256 & ~(f->mark_accept | f->mark_raw),
		.raw_drops = f->raw_drops,
		.docker_user = f->docker_user,
		.top = f->handoff_top,
		.user_end = f->user_end,
		.raw_end = f->raw_end,
		.unlogged = f->unlogged != NULL,
	};
}

struct hooks facts_hooks6(const struct facts *f)
{
	struct hooks hooks = facts_hooks(f);

	hooks.raw_drops = f->six.raw_drops;
	hooks.docker_user = f->six.docker_user;
	hooks.user_end = f->six.user_end;
	hooks.raw_end = f->six.raw_end;
	return hooks;
}

enum variant facts_variant(const struct facts *f, uint8_t family)
{
	return family == 6 && f->six.variant != VARIANT_NONE ? f->six.variant : f->variant;
}
