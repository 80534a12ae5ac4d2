/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What doctor says of strict networks: what this kernel can do for them, and what they cost. */
#include "app/doctor.h"

#include "core/compile/nodes.h"
#include "core/nft/nft.h"
#include "edge/firewall/nft.h"

#include <linux/netfilter.h>
#include <string.h>

static const struct bridge_ports *ports_of(const struct doctor *d, const struct network *n)
{
	const char *bridge = network_bridge(n, &d->pass.view.engine);

	list_each (ports, &d->pass.view.seen.have.ports)
		if (bridge && ports->index && !strcmp(ports->bridge, bridge))
			return ports;
	return NULL;
}

static bool is_closed(const struct port *port)
{
	return port->isolated && port->locked && !port->learning && !port->flooded;
}

/* A kernel that can't lock ports is among the findings of the pass. */
static void say_ports(struct doctor *d, const struct network *n)
{
	const struct bridge_ports *ports = ports_of(d, n);
	const char *open = NULL;
	uint32_t n_open = 0;

	if (!ports || !ports->ports.n) {
		doctor_say(d, true, "strict",
			   "network \"%s\": no container is there; whether this kernel can lock "
			   "ports (Linux 5.16) is seen when one is",
			   n->name);
		return;
	}
	list_each (port, &ports->ports)
		if (!is_closed(port)) {
			open = open ? open : port->name;
			n_open++;
		}
	if (!n_open)
		doctor_say(d, true, "strict", "network \"%s\": %u ports, all isolated and locked",
			   n->name, ports->ports.n);
	else if (ports->can_lock)
		doctor_say(d, false, "strict",
			   "network \"%s\": %u of %u ports are not isolated and locked, such as "
			   "%s; harborwall apply closes them",
			   n->name, n_open, ports->ports.n, open);
}

/* The kernel looks at the whole transaction, and makes nothing of it. */
static bool can_make_table(struct doctor *d, struct error *err)
{
	static const struct ruleset nothing;
	struct nft_batch batch = {0};
	nft_changes changes = {0};
	bool ok;

	nft_batch_begin(&batch, &d->pass.arena, 1);
	nft_batch_other_family(&batch, NFPROTO_BRIDGE);
	nft_diff(&batch, &changes, &d->pass.arena, &d->pass.want.spaces.items[0].bridge, &nothing);
	nft_batch_end(&batch, &d->pass.arena);
	ok = fw_nft_try(&d->world.host, &batch, err);
	buf_free(&batch.bytes);
	return ok;
}

static void say_table(struct doctor *d)
{
	struct error err = {0};

	if (d->pass.view.seen.have.spaces.items[0].bridge.exists)
		doctor_say(d, true, "strict", "table bridge harborwall stands");
	else if (can_make_table(d, &err))
		doctor_say(d, true, "strict", "table bridge harborwall can be made");
	else
		doctor_say(d, false, "strict",
			   "table bridge harborwall can't be made (%s), and without it a strict "
			   "network is refused; a kernel with CONFIG_NF_TABLES_BRIDGE has what it "
			   "takes, or write isolation \"docker\"",
			   err.text);
}

static void say_cost(struct doctor *d)
{
	doctor_say(d, true, "strict", "what policies let through between neighbours costs %s",
		   doctor_bridges_are_filtered()
			   ? "at most about a tenth more than a plain bridge: br_netfilter is on"
			   : "about 1.5 times a plain bridge for a connection and 1.6 times for a "
			     "packet: br_netfilter is off");
}

static void say_limits(struct doctor *d)
{
	if (doctor_finds_daemon(d))
		doctor_say(
			d, true, "strict",
			"the daemon closes ports that are new; until it has heard of two of them, "
			"raw EtherTypes, VLAN frames and link-local IPv6 pass between these two");
	else
		doctor_say(d, false, "strict",
			   "no daemon runs: a container that starts is reached by nobody until the "
			   "next apply, and between two such raw EtherTypes, VLAN frames and "
			   "link-local IPv6 pass; start harborwall run");
}

void doctor_check_strict(struct doctor *d)
{
	if (!d->generation.config.stricts)
		return;
	if (d->world.no_nf_tables) {
		doctor_say(d, false, "strict",
			   "this kernel has no nf_tables: a file with a strict network is refused, "
			   "and at a boot nothing closes that network; load the module nf_tables "
			   "if there is one, or write isolation \"docker\"");
		return;
	}
	if (!d->planned)
		return;
	list_each (n, &d->generation.config.networks)
		if (n->isolation == ISOLATION_STRICT)
			say_ports(d, n);
	say_table(d);
	say_cost(d);
	say_limits(d);
}
