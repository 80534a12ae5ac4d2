/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a policy of the file allows what was counted, or would with egress deny and strict. */
#include "core/logged/audit.h"

/* A container without a name is allowed by policies for its whole network. */
static bool has_source(const struct peers *peers, const struct config *config, struct ip ip)
{
	uint32_t network = config_network_of(config, prefix_of(ip));

	if (config_address_of(config, ip) != NONE)
		return peers_hold(peers, ip);
	for (uint32_t i = 0; i < peers->n; i++)
		if (prefix_covers(peers->items[i].net,
				  config->networks.items[network].ipam[ip_family(ip)].subnet))
			return true;
	return false;
}

/* Of many addresses only some may be allowed now: those that are not come again. */
static bool has_target(const struct peers *peers, const struct audit_flow *flow)
{
	bool outside = false;

	if (flow->target == AUDIT_HOST)
		return peers->has_host;
	if (flow->target != AUDIT_ANY)
		return peers_hold(peers, flow->dst);
	for (uint32_t i = 0; i < peers->n; i++)
		outside |= peers->items[i].network == NONE && peers->items[i].net.ip.family;
	return outside;
}

/* No policy is about a container that has no name. */
static bool lets_in(const struct resolved *r, const struct config *config, struct ip container,
		    const struct audit_flow *flow)
{
	return container.family && config_address_of(config, container) != NONE &&
	       peers_hold(r->target, container) && has_target(r->source, flow);
}

bool audit_allowed(const struct config *config, const struct resolution *resolution,
		   const struct audit_source *source, const struct audit_flow *flow)
{
	list_each (p, &config->policies) {
		struct resolved r;

		if (p->nat != NAT_NO || p->iface || !policy_has_proto(p, flow->proto) ||
		    !policy_has_port(config, p, flow->proto, flow->port))
			continue;
		r = resolved_policy(resolution, config, p);
		if (r.waiting)
			continue;
		if (source->into ? lets_in(&r, config, source->ip, flow)
				 : has_source(r.source, config, source->ip) &&
					   has_target(r.target, flow))
			return true;
	}
	return false;
}
