/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a policy's fields mean together, and conflicts between dnat policies. */
#include "core/config/impl.h"

#include <stdlib.h>
#include <string.h>

struct checker {
	const struct config *config;
	struct config_text *text;
	struct diags *diags;
	struct arena *a;
};

#define error_at(c, i, field, ...)                                                                 \
	diag_at((c)->diags, SEVERITY_ERROR, (c)->text, node_of_policy((c)->text, i, field),        \
		__VA_ARGS__)

/* "any" is every protocol, those without ports among them. */
static bool takes_ports(const struct policy *p)
{
	return !(p->protos & PROTO_ANY) && p->protos & (uint8_t)~PROTOS_OF_ICMP;
}

/* Then a translation lives on the host, without an interface. */
static bool names_host(const struct config *config, uint32_t from)
{
	const struct member_list *list = config_list(config, from);

	if (!list)
		return from && !strcmp(config_name(config, from), "host");
	list_each (member, &list->names)
		if (!strcmp(config_name(config, member->name), "host"))
			return true;
	return false;
}

/* Each mapped port costs a rule or an element, for each source in a list. */
static void check_mapping(const struct checker *c, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	const struct port_range *ports = policy_ports(c->config, p);
	const struct member_list *from = config_list(c->config, p->from);
	uint32_t n = 0;

	for (uint32_t r = 0; r < p->n_ports; r++)
		if (policy_target_port(c->config, p, r, ports[r].low) != ports[r].low)
			n += ports[r].high - ports[r].low + 1u;
	if (n > CONFIG_MAX_MAPPED)
		error_at(c, i, "to_port",
			 "maps %u ports one to one, %d is the most; write fewer, or leave to_port "
			 "out where the ports may be the same at the target",
			 n, CONFIG_MAX_MAPPED);
	else if (from && (uint64_t)n * from->nets.n > CONFIG_MAX_MAPPED_OF_LIST)
		error_at(c, i, "to_port",
			 "maps %u ports one to one for each of %u sources, %d together is the "
			 "most; write fewer of either",
			 n, from->nets.n, CONFIG_MAX_MAPPED_OF_LIST);
}

static void check_policy(const struct checker *c, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	bool has_subject = p->kind != SUBJECT_NONE;

	if (p->nat == NAT_NO && (p->from || p->to) && !has_subject)
		error_at(c, i, NULL, "no subject; add selector, container_name or service_name");
	if (p->nat == NAT_DNAT && !p->to)
		error_at(c, i, "nat", "dnat without a target; write \"to\"");
	if (p->nat != NAT_NO && !p->name && !p->iface && !has_subject &&
	    !(p->nat == NAT_DNAT && names_host(c->config, p->from)))
		error_at(c, i, "nat",
			 "no place for the translation; add iface (on the host), or name or "
			 "selector (in that container)");
	if (p->nat == NAT_DNAT && p->iface && !p->name && !p->n_ports &&
	    p->protos & (uint8_t)~PROTOS_OF_ICMP)
		error_at(c, i, NULL,
			 "dnat of every port of the host's \"%s\" would take its own ssh; write "
			 "\"port\" (\"1-65535\" if you mean it)",
			 config_name(c->config, p->iface));
	if (p->n_ports && !takes_ports(p))
		error_at(c, i, "port", "icmp and any have no ports; leave port or proto out");
	if (p->to_port && !takes_ports(p))
		error_at(c, i, "to_port", "icmp and any have no ports; leave to_port or proto out");
	if (p->mapped)
		check_mapping(c, i);
	if (p->nat == NAT_NO && !p->from && !p->to)
		diag_at(c->diags, SEVERITY_WARNING, c->text, node_of_policy(c->text, i, NULL),
			"no effect: the policy has neither from, to nor nat");
}

/* The packets that a dnat takes, and their target: one record per protocol and port range. */
struct taking {
	const char *key; /* place, interface, source, protocol */
	uint16_t low, high;
	const char *target;
	uint32_t policy;
};

static int by_taking(const void *left, const void *right)
{
	const struct taking *a = left, *b = right;
	int order = strcmp(a->key, b->key);

	if (order)
		return order;
	if (a->low != b->low)
		return a->low - b->low;
	return (a->policy > b->policy) - (a->policy < b->policy);
}

typedef LIST(struct taking) taking_list;

static const char *name_or_empty(const struct checker *c, uint32_t name)
{
	return name ? config_name(c->config, name) : "";
}

/* The target of one of the policy's ranges, with its port, or how far the ports are moved. */
static const char *there(const struct checker *c, const struct policy *p, uint32_t r,
			 const char *target)
{
	const struct port_range *range = policy_ports(c->config, p) + r;
	uint16_t port;

	if (!p->mapped)
		return arena_printf(c->a, "%s:%u", target, p->to_port);
	port = policy_target_port(c->config, p, r, range->low);
	return range->low == range->high ? arena_printf(c->a, "%s:%u", target, port)
					 : arena_printf(c->a, "%s:%+d", target, port - range->low);
}

static void add_takings(const struct checker *c, taking_list *list, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	const char *subject = name_or_empty(c, p->name || p->iface ? 0 : p->subject);
	const char *target = config_name(c->config, p->to);
	static const struct port_range every = {0, UINT16_MAX};

	for (uint32_t proto = PROTO_TCP; proto < PROTO_END; proto <<= 1) {
		const bool echo = proto == PROTO_ECHO; /* one type of icmp */
		const char *key;

		if (!(p->protos & proto))
			continue;
		/* the list's number: different lists may have the same label */
		key = arena_printf(c->a, "%s\n%s\n%s\n%u\n%u", name_or_empty(c, p->name), subject,
				   name_or_empty(c, p->iface), p->from,
				   echo ? (uint32_t)PROTO_ICMP : proto);
		for (uint32_t r = 0; r < (p->n_ports ? p->n_ports : 1); r++) {
			struct port_range range = echo	       ? (struct port_range){8, 8}
						  : p->n_ports ? policy_ports(c->config, p)[r]
							       : every;

			*list_add(c->a, list) = (struct taking){key, range.low, range.high,
								there(c, p, r, target), i};
		}
	}
}

enum { PLACES = 20 }; /* finding a place costs more, the later it is in the file */

static const char *place_of(const struct checker *c, uint32_t policy, uint32_t n_before)
{
	return n_before < PLACES ? place_of_policy(c->a, c->config->file, c->text, policy)
				 : arena_printf(c->a, "policies[%u]", policy);
}

/* Two dnat policies that take the same packets must send them to the same target. */
static void check_dnats(const struct checker *c)
{
	const struct taking *widest = NULL;
	taking_list list = {0};
	uint32_t said = NONE, n = 0;

	for (uint32_t i = 0; i < c->config->policies.n; i++)
		if (c->config->policies.items[i].nat == NAT_DNAT &&
		    c->config->policies.items[i].to && !c->config->policies.items[i].broken)
			add_takings(c, &list, i);
	if (list.n)
		qsort(list.items, list.n, sizeof(*list.items), by_taking);
	list_each (t, &list) {
		bool same_key = widest && !strcmp(widest->key, t->key);

		if (same_key && t->low <= widest->high && strcmp(t->target, widest->target) != 0) {
			uint32_t later = t->policy > widest->policy ? t->policy : widest->policy;
			uint32_t first = t->policy > widest->policy ? widest->policy : t->policy;

			if (later != said)
				error_at(c, later, "to",
					 "%s sends the same packets to \"%s\"; remove one of the "
					 "two",
					 place_of(c, first, n++),
					 config_name(c->config,
						     c->config->policies.items[first].to));
			said = later;
		}
		if (!same_key || t->high > widest->high)
			widest = t;
	}
}

void config_check_policies(struct config *config, struct config_text *text, struct diags *diags,
			   struct arena *a)
{
	const struct checker c = {.config = config, .text = text, .diags = diags, .a = a};

	for (uint32_t i = 0; i < config->policies.n; i++) {
		struct policy *p = &config->policies.items[i];
		uint32_t errors = diags->n_errors;

		if (p->broken)
			continue;
		check_policy(&c, i);
		p->broken = diags->n_errors > errors;
	}
	check_dnats(&c);
}
