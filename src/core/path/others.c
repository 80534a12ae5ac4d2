/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Docker, and other people's rules, do with a connection. */
#include "core/path/impl.h"

#include "core/compile/trust.h"

#include <string.h>

static bool is_ipv6(const struct walker *w)
{
	return w->now.dst.family == 6;
}

struct docker_filter docker_filter(const struct walker *w)
{
	const struct facts *f = w->facts;

	if (is_ipv6(w))
		return (struct docker_filter){f->six.docker_user, f->six.docker_drops,
					      f->six.raw_drops};
	return (struct docker_filter){f->docker_user, f->docker_drops, f->raw_drops};
}

const char *iptables_stage(const struct walker *w, const char *stage)
{
	return is_ipv6(w) ? arena_printf(w->a, "ip6 %s", stage) : stage;
}

const char *docker_stage(const struct walker *w)
{
	if (w->facts->docker_nftables)
		return is_ipv6(w) ? "ip6 docker-bridges" : "ip docker-bridges";
	return iptables_stage(w, "filter FORWARD");
}

/* Docker >= 28 lets a bridge in that it was told to trust when it made the network. */
static bool is_trusted(const struct walker *w, uint32_t network)
{
	const struct engine_network *there =
		w->seen ? engine_find_network(w->seen->engine, network_name(w, network)) : NULL;
	const char *trusted = there ? engine_network_option(there, TRUSTED)
				    : w->reach->trusted[network],
		   *in = w->now.in >= REACH_N_IN ? interface_name(w) : NULL;

	for (size_t len; in && *trusted; trusted += len + (trusted[len] == ':')) {
		len = strcspn(trusted, ":");
		if (len == strlen(in) && !memcmp(trusted, in, len))
			return true;
	}
	return false;
}

bool drops_in_raw(const struct walker *w)
{
	uint32_t there = network_to(w);

	if (there != NONE && w->now.in >= REACH_N_IN &&
	    !strcmp(interface_name(w), w->reach->bridges[there]))
		return false; /* it comes by the network's own bridge */
	return docker_filter(w).raw && (there == NONE || !is_trusted(w, there));
}

/*
 * By which interface it comes in. Where the file asks for none, it is the one that the host's
 * routes lead back by: other people's rules may ask for it.
 */
static const char *entrance(const struct walker *w)
{
	const char *otherwise = is_ipv6(w) ? w->seen->default_device6 : w->seen->default_device;
	const struct host_prefix *best = NULL;

	if (w->now.in != REACH_IN_OTHER)
		return interface_name(w);
	list_each (p, &w->seen->host_prefixes)
		if (!p->dead && prefix_contains(p->prefix, w->now.src) &&
		    (!best || p->prefix.len > best->prefix.len))
			best = p;
	if (best)
		return best->device;
	return otherwise ? otherwise : interface_name(w);
}

/* By a bridge of another network, which the engine may know alone. */
static bool comes_by_bridge(const struct walker *w)
{
	const char *in = w->seen ? entrance(w) : "";

	if (network_from(w) != NONE)
		return true;
	if (w->seen)
		list_each (network, &w->seen->engine->networks)
			if (network->bridge && !strcmp(network->bridge, in))
				return !network->internal;
	return false;
}

/* Internal networks have other drops of Docker's before these. */
static bool is_internal(const struct walker *w, uint32_t network)
{
	return network != NONE && w->reach->config->networks.items[network].internal;
}

/* Where Docker drops what one bridge sends to another. */
static const char *stage_between(const struct walker *w)
{
	uint32_t from = network_from(w), to = network_to(w);

	if (w->facts->docker_nftables || to == NONE || from == to || !comes_by_bridge(w) ||
	    is_internal(w, from) || is_internal(w, to))
		return docker_stage(w);
	return iptables_stage(w, "filter DOCKER-ISOLATION-STAGE-2");
}

void dropped_by_docker(struct walker *w)
{
	bool drops = docker_filter(w).drops;

	if (!drops && network_to(w) == NONE)
		stops(w, "forward", "nothing lets it through");
	else if (!drops)
		stops(w, "inet harborwall forward",
		      "nobody else closes network %s: harborwall drops it",
		      network_name(w, network_to(w)));
	else if (drops_in_raw(w))
		stops(w, iptables_stage(w, "raw PREROUTING"),
		      "Docker drops what comes to %s by another interface than its own bridge",
		      ip_format(w->now.dst).s);
	else
		stops(w, stage_between(w),
		      "Docker drops what comes from another network or from outside");
}

void handed_over(struct walker *w)
{
	const struct facts *f = w->facts;
	struct docker_filter filter = docker_filter(w);
	bool split = filter.user && !f->handoff_top;
	bool between = network_from(w) != NONE && network_to(w) != NONE;

	if (f->docker_nftables)
		goes_on(w, docker_stage(w), "Docker accepts the mark 0x%x", f->mark_accept);
	else if (filter.drops)
		goes_on(w, iptables_stage(w, filter.user ? "filter DOCKER-USER" : "filter FORWARD"),
			"accepts the mark 0x%x%s",
			split && between ? facts_hooks(f).between : f->mark_accept,
			split && !between ? ", behind foreign rules" : "");
}

bool past_walls(struct walker *w, bool dnat)
{
	uint32_t there = network_to(w);
	struct packet first = {.src = prefix_of(w->now.src),
			       .dst = prefix_of(w->now.dst),
			       .proto = w->now.proto,
			       .dports = {w->now.port, w->now.port},
			       .dnat = dnat};
	const char *text;

	if (!w->seen || there == NONE || w->now.in < REACH_IN_OTHER)
		return true;
	first.in = entrance(w);
	first.out = w->reach->bridges[there];
	text = walls_stop(w->a, w->reach->config, w->seen, &first);
	if (!text)
		return true;
	stops(w, "forward", "%s", text);
	return false;
}
