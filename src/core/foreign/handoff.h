/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What we must understand of the iptables filter that Docker uses, and the rules of ours in it:
 *     -m mark --mark BITS/BITS -m comment --comment "harborwall: …" -j ACCEPT
 * In two languages: nf_tables expressions as iptables-nft writes them, and iptables-save text.
 * Pure; edge/firewall/handoff.h reads and sends.
 */
#pragma once

#include "base/buf.h"
#include "core/engine/engine.h"
#include "core/flows/interfaces.h"
#include "core/foreign/variant.h"
#include "core/foreign/walls.h"
#include "core/nft/nft.h"

/*
 * One rule of ours in a foreign chain, which hands the verdict of our table over to the packet
 * filter that Docker (or nobody) uses: "-m mark --mark BITS/BITS -j ACCEPT". It stands at the top
 * of the chain, or behind the foreign rules in it: before the RETURN at the end of DOCKER-USER,
 * before Docker's own drops in raw PREROUTING.
 */
struct handoff {
	uint8_t family; /* 4 or 6 */
	enum variant variant;
	const char *table, *chain; /* filter DOCKER-USER, filter FORWARD, raw PREROUTING */
	bool behind;		   /* after the foreign rules */
	uint32_t bits;
	bool present;  /* of an actual one: our rule exists */
	bool in_place; /* at its wanted place, and only once */
};

/* What is in a variant's filter and raw tables. */
struct filter_view {
	bool exists;	       /* the variant has a filter table with a FORWARD chain */
	bool docker_user;      /* chain DOCKER-USER exists and FORWARD jumps to it */
	bool user_first;       /* before it jumps to Docker's own chains */
	bool docker_isolation; /* FORWARD jumps to DOCKER-ISOLATION-STAGE-1 or DOCKER-FORWARD */
	bool drops_by_bridge;  /* it jumps to DOCKER-FORWARD (>= 28), whose drops do not need
				  FORWARD's policy */
	bool raw_drops;	       /* raw PREROUTING drops what does not come from an interface */
	bool forward_drop;     /* policy of FORWARD */
	bool firewalld;	       /* FORWARD asks the zones of firewalld's iptables backend */
	interfaces from;       /* bridges that DOCKER-ISOLATION-STAGE-1 names as source */
	interfaces to;	       /* bridges that DOCKER drops packets to */
	uint32_t user_end;     /* number of rules of DOCKER-USER before the RETURN at its end */
	uint32_t raw_end;   /* number of rules of raw PREROUTING before Docker's drops; NONE: all */
	uint32_t n_foreign; /* other people's rules in the chains that may contain ours */
	/* our rules that were found, one entry per chain and place */
	LIST(struct handoff) handoffs;
	uint8_t family;	 /* of ip6tables: 6, of iptables: 4 */
	wall_list walls; /* nft variant: foreign rules before ours */
	/* legacy variant: text of the tables filter and raw; "": missing */
	const char *save, *save_raw;
};

void handoff_view_nft(struct filter_view *view, struct arena *a, uint8_t family,
		      const struct ruleset *filter, const struct ruleset *raw);
/* Tables as iptables-save prints them; NULL: not there. They are kept: walls are made of them only
 * if somebody asks (walls_of_save). */
void handoff_view_text(struct filter_view *view, struct arena *a, uint8_t family,
		       const char *filter, const char *raw);

/*
 * NULL where what stands closes bridges to other bridges and to the outside; else what is missing.
 * Up to 27 that takes the policy of FORWARD, which Docker sets only if it turned forwarding on
 * itself, and every bridge named in the isolation chain; from 28 on a drop to every bridge. After a
 * reload of firewalld Docker 20, 26 and at times 28 leave bridges out.
 */
const char *handoff_view_opens(const struct filter_view *view, const struct engine *engine,
			       struct arena *a);
/* Docker writes rules of IPv6 unless it is told not to; before only with --ip6tables. */
enum { FIRST_WITH_IP6TABLES = 27 };
/* handoff_view_opens for ip6tables, for networks that have IPv6. */
const char *handoff_view_opens_ipv6(const struct filter_view *view, const struct engine *engine,
				    struct arena *a);

/* The rules of a table without their counters. */
uint64_t handoff_hash_text(const char *save);
/* A line of iptables-save: our rules at the end of the foreign ones belong before this line. */
bool handoff_line_ends(const char *table, const char *line, size_t len);

/*
 * Removes every copy of this one from the chain, and puts one where it is wanted if `put`. Table
 * and base chain are made where they are absent. table is what was read of handoff->table.
 */
void handoff_encode_nft(struct nft_batch *batch, struct arena *a, const struct ruleset *table,
			const struct handoff *handoff, bool put);
/* The same as input for iptables-restore --noflush; save is what iptables-save said, or "". */
void handoff_encode_text(struct buf *out, const char *save, const struct handoff *handoff,
			 bool put);
