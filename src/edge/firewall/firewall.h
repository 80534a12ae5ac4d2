/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes firewall rules. Core decides what they say and encodes them; this room sends the
 * bytes and hands back what the kernel or a tool answered.
 *
 * In this room:
 *     firewall.h   this table of contents
 *     nft.h        nf_tables over netlink: our table, and a look at other people's
 *     iptables.h   our chains in iptables, through iptables-save and iptables-restore
 *     handoff.h    our rules in DOCKER-USER, FORWARD and raw PREROUTING
 *     walls.h      a look at other people's rules that our flows pass
 *     firewalld.h  firewalld on the system bus
 *     lock.h       one process changes a host at a time
 */
#pragma once
