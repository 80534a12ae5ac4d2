/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ports of a strict network's bridge. They are isolated from each other, so that neighbours
 * reach each other only by the host's forward hook, where policies decide. A port takes frames only
 * from the address of its container. The host answers ARP and neighbour discovery in the
 * neighbours' place. Pure.
 *
 * In this room:
 *     ports.h   what holds at the ports of one bridge, and what shall hold there
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"
#include "core/engine/engine.h"

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
	bool flooded;	/* gets frames for addresses that the forwarding table does not have */
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

struct bridge_ports {
	const char *bridge;
	uint32_t index; /* 0: there is no such bridge */
	bool can_lock;	/* the kernel knows the flag (5.16); where there is no port, not known */
	LIST(struct port) ports;	 /* sorted by index */
	LIST(struct port_entry) entries; /* static ones; sorted */
	/*
	 * The host answers neighbour discovery for them; with our protocol number; sorted. The
	 * gateways among them change nothing: they are the mark by which a bridge that we closed is
	 * found again.
	 */
	LIST(struct ip) proxies;
	int switches[N_PORT_SWITCHES]; /* -1: not in this kernel */
};
typedef LIST(struct bridge_ports) bridge_ports_list;

/* A running container at a strict network. */
struct resident {
	const char *container;
	struct mac mac;
};

/* A strict network, by its bridge on this host. */
struct strict {
	const char *key, *bridge;
	LIST(struct resident) residents; /* sorted by container; no two of one address */
	LIST(struct ip) proxies;	 /* sorted */
};
typedef LIST(struct strict) strict_list;

/* The file's strict networks; bridges: of each declared network, NULL where it has none. */
void strict_networks(strict_list *list, struct arena *a, const struct config *config,
		     const char *const *bridges, const struct engine *engine);

/* What shall hold at the ports that are there. nsids: of each resident, NO_NSID if it is not known.
 */
void ports_want(struct bridge_ports *want, struct arena *a, const struct strict *strict,
		const struct bridge_ports *have, const int32_t *nsids);
/* As Docker and the kernel leave a bridge. */
void ports_want_open(struct bridge_ports *want, struct arena *a, const struct bridge_ports *have);

enum port_change_kind { PORT_FLAGS, PORT_ENTRY, PORT_PROXY, PORT_SWITCH };

struct port_change {
	enum port_change_kind kind;
	char sign;		 /* '+' '-' '~' */
	struct port port;	 /* flags, as they shall be; of an entry: where */
	struct port_entry entry; /* of it */
	struct ip proxy;
	enum port_switch which;
	int value;
};
typedef LIST(struct port_change) port_changes;

/* In the order in which they are made: a bridge that has any of them has the mark. */
void ports_diff(port_changes *changes, struct arena *a, const struct bridge_ports *want,
		const struct bridge_ports *have);
/* All of it, in this arena. */
void ports_copy(struct bridge_ports *copy, struct arena *a, const struct bridge_ports *ports);
/* For qsort: of struct port_entry. */
int port_entry_order(const void *left, const void *right);
bool ports_have_entry(const struct bridge_ports *ports, const struct port_entry *entry);
/* "port veth1a2b: isolated, locked" */
void port_change_print(struct buf *out, const struct port_change *change, const char *bridge);
/* "net.ipv4.conf.br0.proxy_arp_pvlan": below /proc/sys with '/' for '.', as between says. */
void port_switch_print(struct buf *out, const char *bridge, enum port_switch which, char between);
/* Of everything that is compared. */
uint64_t ports_digest(uint64_t hash, const struct bridge_ports *ports);
