/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our chains in the tables of iptables, through its own save and restore tools (edge/host/proc.h).
 */
#pragma once

#include "core/iptables/iptables.h"
#include "core/plan/tally.h"
#include "edge/netlink/netns.h"

/*
 * Adds our chains of a variant, in both families. Runs a tool only if the kernel says that there
 * may be some; never creates a table by looking.
 */
MUST_CHECK bool iptables_read(ipt_chains *chains, struct arena *a, const struct ns *ns,
			      enum variant variant, struct error *err);
/* All rules of the variant as its save tool (family 6: of ip6tables) prints them; "": none. */
MUST_CHECK bool iptables_save(struct buf *text, const struct ns *ns, enum variant variant,
			      uint8_t family, struct error *err);
/* Adds the counters of the rules in the wanted chains. */
MUST_CHECK bool iptables_tally(struct tally *tally, const struct ns *ns, const ipt_chains *want,
			       struct error *err);
/* One table of the legacy variant; family: 4, or 6 for ip6tables. */
MUST_CHECK bool iptables_save_legacy(struct buf *text, bool *exists, const struct ns *ns,
				     uint8_t family, const char *table, struct error *err);
/*
 * Nobody tells of changes to a legacy table: a hash of the filter table's rules (beyond 1 MB of
 * them of its size and layout), to be compared with a later one. fd: iptables_open_legacy() of the
 * same family. Only where that table stands, for asking makes it. 0: can't be told.
 */
int iptables_open_legacy(uint8_t family);
uint64_t iptables_legacy_hash(int fd, uint8_t family);
/*
 * Whether the variant's tool and the kernel have what logging takes: the tool reads such rules and
 * writes none. It is not asked where that would make a legacy table. False: err has its words.
 */
MUST_CHECK bool iptables_logs(const struct ns *ns, enum variant variant, struct error *err);
/* One restore: each table of it is one transaction. */
MUST_CHECK bool iptables_restore(const struct ns *ns, enum variant variant, uint8_t family,
				 const char *text, struct error *err);
