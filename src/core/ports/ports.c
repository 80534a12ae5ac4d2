/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ports/ports.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* Of the kernel: tenths of a second, in units of USER_HZ. */
enum { DEFAULT_DELAY = 80 };

static const struct {
	const char *folder, *name;
	int closed, open;
} switches[] = {
	[SWITCH_PROXY_ARP] = {"ipv4/conf", "proxy_arp_pvlan", 1, 0},
	[SWITCH_ARP_DELAY] = {"ipv4/neigh", "proxy_delay", 0, DEFAULT_DELAY},
	[SWITCH_PROXY_ND] = {"ipv6/conf", "proxy_ndp", 1, 0},
	[SWITCH_ND_DELAY] = {"ipv6/neigh", "proxy_delay", 0, DEFAULT_DELAY},
};

/* --- the file's networks --- */

static void add_proxy(struct strict *strict, struct arena *a, struct ip ip)
{
	if (ip.family)
		*list_add(a, &strict->proxies) = ip;
}

static void finish_proxies(struct strict *strict)
{
	uint32_t n = 0;

	if (strict->proxies.n)
		qsort(strict->proxies.items, strict->proxies.n, sizeof(struct ip), ip_order);
	for (uint32_t i = 0; i < strict->proxies.n; i++)
		if (!n || !ip_equal(strict->proxies.items[n - 1], strict->proxies.items[i]))
			strict->proxies.items[n++] = strict->proxies.items[i];
	strict->proxies.n = n;
}

static bool is_taken(const struct strict *strict, struct mac mac)
{
	list_each (resident, &strict->residents)
		if (!memcmp(&resident->mac, &mac, sizeof(mac)))
			return true;
	return false;
}

/* The forwarding table has an address once: of two containers that share one, the first gets it. */
static void add_resident(struct strict *strict, struct arena *a, const struct engine_container *c,
			 const struct engine_endpoint *e)
{
	struct mac mac;

	add_proxy(strict, a, e->ip6);
	if (mac_parse(&mac, e->mac) && !is_taken(strict, mac))
		*list_add(a, &strict->residents) = (struct resident){c->name, mac};
}

static void fill(struct strict *strict, struct arena *a, const struct config *config, uint32_t i,
		 const struct engine *engine)
{
	const struct network *n = &config->networks.items[i];

	list_each (c, &engine->containers) {
		const struct engine_endpoint *e =
			c->running ? engine_find_endpoint(c, n->name) : NULL;

		if (e)
			add_resident(strict, a, c, e);
	}
	for (enum family f = 0; f < N_FAMILIES; f++)
		add_proxy(strict, a, n->ipam[f].gateway);
	list_each (address, &config->addresses)
		if (address->network == i && address->ip.family == 6)
			add_proxy(strict, a, address->ip);
	finish_proxies(strict);
}

void strict_networks(strict_list *list, struct arena *a, const struct config *config,
		     const char *const *bridges, const struct engine *engine)
{
	for (uint32_t i = 0; i < config->networks.n; i++) {
		const struct network *n = &config->networks.items[i];
		struct strict *strict;

		if (n->isolation != ISOLATION_STRICT || !bridges[i])
			continue;
		strict = list_add(a, list);
		*strict = (struct strict){.key = n->key, .bridge = bridges[i]};
		fill(strict, a, config, i, engine);
	}
}

/* --- what shall hold --- */

int port_entry_order(const void *left, const void *right)
{
	const struct port_entry *a = left, *b = right;

	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return memcmp(a->mac.bytes, b->mac.bytes, sizeof(a->mac.bytes));
}

static void want_flags(struct bridge_ports *want, struct arena *a, const struct bridge_ports *have,
		       bool closed)
{
	list_each (port, &have->ports) {
		struct port *p = list_add(a, &want->ports);

		*p = *port;
		p->isolated = closed;
		p->locked = have->can_lock && closed;
		p->learning = !closed;
		p->flooded = !closed;
	}
}

static void want_switches(struct bridge_ports *want, const struct bridge_ports *have, bool closed)
{
	for (enum port_switch s = 0; s < N_PORT_SWITCHES; s++)
		want->switches[s] = have->switches[s] < 0 ? -1
				    : closed		  ? switches[s].closed
							  : switches[s].open;
}

/* The port whose other end is in the namespace; NULL: none. */
static const struct port *port_to(const struct bridge_ports *ports, int32_t nsid)
{
	list_each (port, &ports->ports)
		if (nsid != NO_NSID && port->nsid == nsid)
			return port;
	return NULL;
}

/* A container that could not be looked at now keeps what it has. */
static void keep_entries(struct bridge_ports *want, struct arena *a,
			 const struct bridge_ports *have, struct mac mac)
{
	list_each (entry, &have->entries)
		if (!memcmp(&entry->mac, &mac, sizeof(mac)))
			*list_add(a, &want->entries) = *entry;
}

void ports_want(struct bridge_ports *want, struct arena *a, const struct strict *strict,
		const struct bridge_ports *have, const int32_t *nsids)
{
	*want = (struct bridge_ports){
		.bridge = have->bridge, .index = have->index, .can_lock = have->can_lock};
	want_flags(want, a, have, true);
	for (uint32_t i = 0; i < strict->residents.n; i++) {
		const struct mac mac = strict->residents.items[i].mac;
		const struct port *port = port_to(have, nsids[i]);

		if (port)
			*list_add(a, &want->entries) = (struct port_entry){port->index, mac};
		else if (nsids[i] == NO_NSID)
			keep_entries(want, a, have, mac);
	}
	if (want->entries.n)
		qsort(want->entries.items, want->entries.n, sizeof(struct port_entry),
		      port_entry_order);
	list_each (ip, &strict->proxies)
		*list_add(a, &want->proxies) = *ip;
	want_switches(want, have, true);
}

void ports_want_open(struct bridge_ports *want, struct arena *a, const struct bridge_ports *have)
{
	*want = (struct bridge_ports){
		.bridge = have->bridge, .index = have->index, .can_lock = have->can_lock};
	want_flags(want, a, have, false);
	want_switches(want, have, false);
}

/* --- the difference --- */

static struct port_change *add_change(port_changes *changes, struct arena *a,
				      enum port_change_kind kind, char sign)
{
	struct port_change *change = list_add(a, changes);

	*change = (struct port_change){.kind = kind, .sign = sign};
	return change;
}

static bool has_proxy(const struct bridge_ports *ports, const struct ip *ip)
{
	return ports->proxies.n &&
	       bsearch(ip, ports->proxies.items, ports->proxies.n, sizeof(*ip), ip_order) != NULL;
}

static void diff_proxies(port_changes *changes, struct arena *a, const struct bridge_ports *from,
			 const struct bridge_ports *other, char sign)
{
	list_each (ip, &from->proxies)
		if (!has_proxy(other, ip))
			add_change(changes, a, PORT_PROXY, sign)->proxy = *ip;
}

static const struct port *port_at(const struct bridge_ports *ports, uint32_t index)
{
	list_each (port, &ports->ports)
		if (port->index == index)
			return port;
	return NULL;
}

bool ports_have_entry(const struct bridge_ports *ports, const struct port_entry *entry)
{
	return ports->entries.n && bsearch(entry, ports->entries.items, ports->entries.n,
					   sizeof(*entry), port_entry_order) != NULL;
}

static void diff_entries(port_changes *changes, struct arena *a, const struct bridge_ports *from,
			 const struct bridge_ports *other, char sign)
{
	list_each (entry, &from->entries) {
		const struct port *port = port_at(from, entry->port);
		struct port_change *change;

		/* one of the bridge itself is not of a port */
		if (!port || ports_have_entry(other, entry))
			continue;
		change = add_change(changes, a, PORT_ENTRY, sign);
		change->entry = *entry;
		change->port = *port;
	}
}

/* want has the ports of have, in their order. */
static void diff_flags(port_changes *changes, struct arena *a, const struct bridge_ports *want,
		       const struct bridge_ports *have)
{
	for (uint32_t i = 0; i < want->ports.n; i++) {
		const struct port *w = &want->ports.items[i], *h = &have->ports.items[i];

		if (w->isolated != h->isolated || w->locked != h->locked ||
		    w->learning != h->learning || w->flooded != h->flooded)
			add_change(changes, a, PORT_FLAGS, '~')->port = *w;
	}
}

static void diff_switches(port_changes *changes, struct arena *a, const struct bridge_ports *want,
			  const struct bridge_ports *have)
{
	for (enum port_switch s = 0; s < N_PORT_SWITCHES; s++) {
		struct port_change *change;

		if (want->switches[s] == have->switches[s])
			continue;
		change = add_change(changes, a, PORT_SWITCH, '~');
		change->which = s;
		change->value = want->switches[s];
	}
}

/* An address is let in before its port is locked, and is let out of the table behind that. */
void ports_diff(port_changes *changes, struct arena *a, const struct bridge_ports *want,
		const struct bridge_ports *have)
{
	diff_proxies(changes, a, want, have, '+');
	diff_entries(changes, a, want, have, '+');
	diff_flags(changes, a, want, have);
	diff_entries(changes, a, have, want, '-');
	diff_switches(changes, a, want, have);
	diff_proxies(changes, a, have, want, '-');
}

/* --- printing --- */

void port_switch_print(struct buf *out, const char *bridge, enum port_switch which, char between)
{
	const char *folder = switches[which].folder;

	buf_printf(out, "net%c%.4s%c%s%c%s%c%s", between, folder, between, folder + 5, between,
		   bridge, between, switches[which].name);
}

static void print_flags(struct buf *out, const struct port *port)
{
	buf_printf(out, "port %s: %s", port->name,
		   port->isolated ? "isolated, no learning, no flooding"
				  : "not isolated, learning, flooding");
	if (port->locked)
		buf_puts(out, ", locked");
}

void port_change_print(struct buf *out, const struct port_change *change, const char *bridge)
{
	const uint8_t *mac = change->entry.mac.bytes;

	switch (change->kind) {
	case PORT_FLAGS:
		print_flags(out, &change->port);
		break;
	case PORT_ENTRY:
		buf_printf(out, "port %s: address %02x:%02x:%02x:%02x:%02x:%02x", change->port.name,
			   mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
		break;
	case PORT_PROXY:
		buf_printf(out, "bridge %s: answers for %s", bridge, ip_format(change->proxy).s);
		break;
	case PORT_SWITCH:
		port_switch_print(out, bridge, change->which, '.');
		buf_printf(out, " = %d", change->value);
		break;
	}
}

void ports_copy(struct bridge_ports *copy, struct arena *a, const struct bridge_ports *ports)
{
	*copy = *ports;
	copy->bridge = arena_strdup(a, ports->bridge);
	memset(&copy->ports, 0, sizeof(copy->ports));
	memset(&copy->entries, 0, sizeof(copy->entries));
	memset(&copy->proxies, 0, sizeof(copy->proxies));
	list_each (port, &ports->ports) {
		struct port *p = list_add(a, &copy->ports);

		*p = *port;
		p->name = arena_strdup(a, port->name);
	}
	list_each (entry, &ports->entries)
		*list_add(a, &copy->entries) = *entry;
	list_each (ip, &ports->proxies)
		*list_add(a, &copy->proxies) = *ip;
}

uint64_t ports_digest(uint64_t hash, const struct bridge_ports *ports)
{
	hash = hash_word(hash, ports->index);
	list_each (p, &ports->ports) {
		hash = hash_word(hash, (uint64_t)p->index << 32 | (uint32_t)p->nsid);
		hash = hash_word(hash, (uint64_t)p->isolated | (uint64_t)p->locked << 1 |
					       (uint64_t)p->learning << 2 |
					       (uint64_t)p->flooded << 3);
	}
	list_each (e, &ports->entries)
		hash = hash_more(hash_word(hash, e->port), e->mac.bytes, sizeof(e->mac.bytes));
	list_each (ip, &ports->proxies)
		hash = hash_more(hash, ip, sizeof(*ip));
	return hash_more(hash, ports->switches, sizeof(ports->switches));
}
