/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the policy that would have admitted a flow if it were a little different. */
#include "core/answers/nearest.h"

#include "base/buf.h"
#include "base/foreign.h"
#include "core/answers/words.h"

#include <string.h>

/* How near a policy is; the nearest last. */
enum nearness { NOT_NEAR, WAITS, OTHER_SOURCE, OTHER_TRAFFIC, OTHER_INTERFACE, N_NEARNESS };

/* Our name for the IP protocol of a flow; 0: policies have none. */
static uint8_t protocol_bit(const struct reach_flow *flow)
{
	for (unsigned bit = PROTO_TCP; bit < PROTO_ANY; bit <<= 1)
		if (protocol_in_family(proto_number((enum proto)bit), flow->dst.family) ==
		    flow->proto)
			return (uint8_t)bit;
	return 0;
}

static bool admits_traffic(const struct reach *reach, const struct policy *p,
			   const struct reach_flow *flow)
{
	const struct port_range *ports = policy_ports(reach->config, p);

	const uint8_t bit = protocol_bit(flow);
	const bool echo =
		bit == PROTO_ICMP &&
		flow->port == traffic_in_family(traffic_of(PROTO_ECHO), flow->dst.family).low;

	if (!(p->protos & (PROTO_ANY | bit)) && !(echo && p->protos & PROTO_ECHO))
		return false;
	for (uint32_t i = 0; i < p->n_ports; i++)
		if (flow->port >= ports[i].low && flow->port <= ports[i].high)
			return true;
	return !p->n_ports;
}

static bool is_source(const struct peers *peers, const struct reach_flow *flow)
{
	return flow->in == REACH_IN_LOCAL ? peers->has_host : peers_hold(peers, flow->src);
}

static enum nearness nearness(const struct reach *reach, const struct policy *p,
			      const struct resolved *r, const struct reach_flow *flow)
{
	bool traffic = admits_traffic(reach, p, flow);

	if (p->nat || p->broken || (!p->from && !p->to))
		return NOT_NEAR;
	if (r->waiting) /* one end is unknown, the other one matches */
		return traffic && (peers_hold(r->target, flow->dst) || is_source(r->source, flow))
			       ? WAITS
			       : NOT_NEAR;
	if (!(reach_is_hosts(reach, flow->dst) ? r->target->has_host
					       : peers_hold(r->target, flow->dst)))
		return NOT_NEAR;
	if (is_source(r->source, flow))
		return !traffic ? OTHER_TRAFFIC : p->iface ? OTHER_INTERFACE : NOT_NEAR;
	return traffic ? OTHER_SOURCE : NOT_NEAR;
}

static const char *why(struct arena *a, const struct reach *reach, const struct policy *p,
		       const struct resolved *r, enum nearness near)
{
	AUTO_BUF struct buf text = {0};

	if (near == WAITS) {
		buf_printf(&text, "it waits: nothing is named \"%s\" (%s)", r->missing, r->waiting);
	} else if (near == OTHER_INTERFACE) {
		buf_printf(&text, "it is for what comes in by %s",
			   config_name(reach->config, p->iface));
	} else if (near == OTHER_SOURCE) {
		buf_printf(&text, "it is for \"%s\"",
			   config_name(reach->config, p->to ? p->subject : p->from));
	} else {
		buf_puts(&text, "it is for ");
		print_policy_traffic(&text, reach->config, p);
	}
	return arena_strdup(a, buf_text(&text));
}

struct nearest reach_nearest(struct arena *a, const struct reach *reach,
			     const struct reach_flow *flow)
{
	struct nearest nearest = {NONE, NULL};
	enum nearness best = NOT_NEAR;

	for (uint32_t i = 0; i < reach->config->policies.n; i++) {
		const struct policy *p = &reach->config->policies.items[i];
		struct resolved r;
		enum nearness near;

		if (p->broken)
			continue;
		r = resolved_policy(reach->resolution, reach->config, p);
		near = nearness(reach, p, &r, flow);
		if (near <= best)
			continue;
		best = near;
		nearest = (struct nearest){i, why(a, reach, p, &r, near)};
	}
	return nearest;
}

/* --- what would open it --- */

/* The field and name of the subject; without a name its address. */
static void print_subject(struct buf *out, const struct reach *reach, struct ip ip)
{
	uint32_t i = config_address_of(reach->config, ip);
	const struct address *address = i == NONE ? NULL : &reach->config->addresses.items[i];
	const char *container =
			   address ? config_name(reach->config, address->container_name) : NULL,
		   *selector = address ? config_name(reach->config, address->selector) : NULL;

	buf_puts(out, container ? "\"container_name\": " : "\"selector\": ");
	buf_json_string(out, container ? container : selector ? selector : ip_format(ip).s);
}

const char *reach_remedy(struct arena *a, const struct reach *reach, const struct reach_flow *flow)
{
	AUTO_BUF struct buf text = {0};
	uint32_t from = config_address_of(reach->config, flow->src);
	const char *name =
		flow->in == REACH_IN_LOCAL ? "host"
		: from == NONE
			? NULL
			: config_name(reach->config,
				      address_container(&reach->config->addresses.items[from]));

	buf_puts(&text, "{");
	if (reach_network_of(reach, flow->dst) != NONE && !reach_is_hosts(reach, flow->dst)) {
		print_subject(&text, reach, flow->dst);
		buf_puts(&text, ", \"from\": ");
		buf_json_string(&text, name ? name : ip_format(flow->src).s);
	} else {
		print_subject(&text, reach, flow->src);
		buf_puts(&text, ", \"to\": ");
		buf_json_string(&text,
				reach_is_hosts(reach, flow->dst) ? "host" : ip_format(flow->dst).s);
	}
	if (flow->port && protocol_has_ports(flow->proto))
		buf_printf(&text, ", \"port\": %u", flow->port);
	if (protocol_bit(flow) != PROTO_TCP)
		buf_printf(&text, ", \"proto\": \"%s\"", protocol_common_name(flow->proto));
	buf_puts(&text, "}");
	return arena_strdup(a, buf_text(&text));
}
