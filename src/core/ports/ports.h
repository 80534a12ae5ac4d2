/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ports of a strict network's bridge. They are isolated from each other, so that neighbours
 * reach each other only by the host's forward hook, where policies decide. A port takes frames only
 * from the address of its container. The host answers ARP and neighbour discovery in the
 * neighbours' place. Pure.
 *
 * In this room:
 *     ports.h   what holds at the ports of one bridge
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"

struct mac {
	uint8_t bytes[6];
};

/* "02:42:ac:12:67:02". False: not the address of one interface, or NULL. */
bool mac_parse(struct mac *mac, const char *text);

struct port {
	const char *name;
	uint32_t index; /* of the interface on the host */
	int32_t nsid;	/* the host's number of the namespace at the other end; NO_NSID: none */
	bool isolated;	/* no frame goes from here to another isolated port */
	bool locked;	/* frames come in only from addresses that the forwarding table has here */
	bool learning;	/* source addresses of frames go into the forwarding table */
};

enum { NO_NSID = -1 };

/* In the bridge's forwarding table, until somebody removes it. */
struct port_entry {
	uint32_t port; /* index of its interface */
	struct mac mac;
};

/* Numbers below /proc/sys/net/, of the bridge. */
enum port_switch {
	SWITCH_PROXY_ARP, /* answer ARP for addresses of the same bridge */
	SWITCH_ARP_DELAY, /* at once: the kernel's default is up to 0.8 s later */
	SWITCH_PROXY_ND,  /* answer neighbour discovery for the addresses in `proxies` */
	SWITCH_ND_DELAY,
	N_PORT_SWITCHES
};

struct ports {
	const char *bridge;
	uint32_t index; /* 0: there is no such bridge */
	bool can_lock;	/* the kernel knows the flag (5.16); where there is no port, not known */
	LIST(struct port) ports;	 /* sorted by index */
	LIST(struct port_entry) entries; /* static ones; sorted */
	LIST(struct ip) proxies;	 /* IPv6, with our protocol number; sorted */
	int switches[N_PORT_SWITCHES];	 /* -1: not in this kernel */
};
