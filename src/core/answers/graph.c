/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/answers/graph.h"

#include "base/foreign.h"
#include "core/answers/words.h"

#include <string.h>

enum node_kind {
	NODE_ADDRESS,
	NODE_NETWORK,
	NODE_GROUP,
	NODE_OUTSIDE,
	NODE_INTERFACE,
	NODE_UNKNOWN
};

struct graph_node {
	enum node_kind kind;
	const char *name;    /* its label */
	const char *details; /* the address or the members; "" */
	uint32_t network;    /* the network it is drawn in, or NONE */
};

enum edge_kind { EDGE_ALLOWS, EDGE_TRANSLATES, EDGE_MASQUERADES };

struct graph_edge {
	enum edge_kind kind;
	uint32_t from, to, policy;
	const char *text;
	bool waits;
};

struct graph {
	struct arena *a;
	const struct config *config;
	LIST(struct graph_node) nodes;
	LIST(struct graph_edge) edges;
};

static const char *const node_kinds[] = {
	[NODE_ADDRESS] = "container", [NODE_NETWORK] = "network",     [NODE_GROUP] = "group",
	[NODE_OUTSIDE] = "outside",   [NODE_INTERFACE] = "interface", [NODE_UNKNOWN] = "unknown"};
static const char *const edge_kinds[] = {[EDGE_ALLOWS] = "allows",
					 [EDGE_TRANSLATES] = "translates",
					 [EDGE_MASQUERADES] = "masquerades"};

/* --- nodes --- */

static uint32_t node(struct graph *g, enum node_kind kind, const char *name, const char *details,
		     uint32_t network)
{
	list_each (n, &g->nodes)
		if (n->kind == kind && !strcmp(n->name, name) && !strcmp(n->details, details))
			return (uint32_t)(n - g->nodes.items);
	*list_add(g->a, &g->nodes) = (struct graph_node){kind, name, details, network};
	return g->nodes.n - 1;
}

static uint32_t address_node(struct graph *g, const struct address *at)
{
	const char *name = config_name(g->config, address_container(at));

	return node(g, NODE_ADDRESS, name ? name : at->key, arena_strdup(g->a, ip_format(at->ip).s),
		    at->network);
}

enum { NAMED = 3 }; /* members of a group that are named */

static const char *members(struct graph *g, const struct peers *peers)
{
	const char *text = "";

	for (uint32_t i = 0; i < peers->n && i < NAMED; i++) {
		const struct peer *peer = &peers->items[i];
		const struct address *at =
			peer->address == NONE ? NULL : &g->config->addresses.items[peer->address];
		const char *name = at ? config_name(g->config, address_container(at)) : NULL;

		text = arena_printf(g->a, "%s%s%s", text, i ? ", " : "",
				    name		  ? name
				    : peer->net.ip.family ? prefix_format(peer->net).s
							  : "host");
	}
	return peers->n > NAMED ? arena_printf(g->a, "%s and %u more", text, peers->n - NAMED)
				: text;
}

static const char *prefix_text(struct graph *g, struct prefix net)
{
	return arena_strdup(g->a, prefix_format(net).s);
}

/* The node for one end of a policy. name: as in the file. */
static uint32_t peers_node(struct graph *g, const struct peers *peers, const char *name)
{
	const struct peer *first = peers->items;

	if (!peers->n)
		return node(g, NODE_UNKNOWN, name ? name : "nobody", "", NONE);
	if (peers->match == MATCH_HOST)
		return node(g, NODE_INTERFACE, "host", "", NONE);
	if (peers->match == MATCH_ANY)
		return node(g, NODE_OUTSIDE, "any", "", NONE);
	if (peers->n == 1 && first->address != NONE)
		return address_node(g, &g->config->addresses.items[first->address]);
	if (peers->match == MATCH_NETWORK)
		return node(g, NODE_NETWORK, g->config->networks.items[first->network].name,
			    prefix_text(g, first->net), first->network);
	if (peers->n == 1)
		return node(g, NODE_OUTSIDE, prefix_text(g, first->net), "", first->network);
	return node(g, NODE_GROUP, name, members(g, peers), peers->network);
}

/* Where a translation is: an interface of the host, the container of `name`, or those of the
 * subject. */
static uint32_t place_node(struct graph *g, const struct policy *p, const struct resolved *r)
{
	const char *iface = config_name(g->config, p->iface);
	const char *details = iface ? iface : "";

	if (!r->container && (p->iface || r->from->has_host))
		return node(g, NODE_INTERFACE, "host", details, NONE);
	if (!r->container)
		return peers_node(g, r->subject, config_name(g->config, p->subject));
	list_each (at, &g->config->addresses) {
		const char *name = config_name(g->config, address_container(at));

		if (name && !strcmp(name, r->container))
			return address_node(g, at);
	}
	return node(g, NODE_INTERFACE, r->container, details, NONE);
}

/* --- edges --- */

/* by: an interface to print as well; NULL: none. */
static void add_edge(struct graph *g, enum edge_kind kind, uint32_t from, uint32_t to,
		     const struct policy *p, const struct resolved *r, const char *by)
{
	AUTO_BUF struct buf text = {0};

	if (kind == EDGE_MASQUERADES && by)
		buf_puts(&text, "masquerade");
	else
		print_policy_traffic(&text, g->config, p);
	if (by)
		buf_printf(&text, " by %s", by);
	*list_add(g->a, &g->edges) =
		(struct graph_edge){.kind = kind,
				    .from = from,
				    .to = to,
				    .policy = (uint32_t)(p - g->config->policies.items),
				    .text = arena_strdup(g->a, buf_text(&text)),
				    .waits = r->waiting != NULL};
}

/* Nodes are numbered in the order of their first use. */
static void add_policy(struct graph *g, const struct policy *p, const struct resolved *r)
{
	const char *by = config_name(g->config, p->iface);
	uint32_t from = NONE, to;

	if (p->nat == NAT_DNAT) {
		uint32_t place = place_node(g, p, r);

		to = peers_node(g, r->to, config_name(g->config, p->to));
		add_edge(g, EDGE_TRANSLATES, place, to, p, r, by);
		if (!p->from)
			return;
		from = peers_node(g, r->from, config_name(g->config, p->from));
		if (from != place)
			add_edge(g, EDGE_ALLOWS, from, place, p, r, NULL);
		return;
	}
	if (p->from)
		from = peers_node(g, r->from, config_name(g->config, p->from));
	if (p->nat == NAT_MASQUERADE && from == NONE)
		from = peers_node(g, r->subject, config_name(g->config, p->subject));
	if (p->nat == NAT_NO && p->to)
		from = peers_node(g, r->subject, config_name(g->config, p->subject));
	if (p->nat == NAT_NO && !p->to)
		to = peers_node(g, r->subject, config_name(g->config, p->subject));
	else if (p->to)
		to = peers_node(g, r->to, config_name(g->config, p->to));
	else
		to = node(g, NODE_OUTSIDE, "outside", "", NONE);
	if (from != NONE)
		add_edge(g, p->nat ? EDGE_MASQUERADES : EDGE_ALLOWS, from, to, p, r, by);
}

static void build(struct graph *g, const struct resolution *resolution)
{
	list_each (at, &g->config->addresses)
		address_node(g, at);
	list_each (p, &g->config->policies) {
		struct resolved r;

		if (p->broken)
			continue;
		r = resolved_policy(resolution, g->config, p);
		add_policy(g, p, &r);
	}
}

/* --- dot --- */

/* A quoted label for Graphviz or Mermaid; both accept HTML entities for special characters. */
static void print_label(struct buf *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '"':
			buf_puts(out, "&quot;");
			break;
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '\\':
			buf_puts(out, "&#92;");
			break;
		default:
			buf_add(out, text, 1);
		}
}

static const char *const dot_shapes[] = {
	[NODE_ADDRESS] = "box",	    [NODE_NETWORK] = "plaintext",
	[NODE_GROUP] = "box3d",	    [NODE_OUTSIDE] = "ellipse",
	[NODE_INTERFACE] = "house", [NODE_UNKNOWN] = "box, style=dashed"};
static const char *const dot_styles[] = {[EDGE_ALLOWS] = "",
					 [EDGE_TRANSLATES] = ", color=blue",
					 [EDGE_MASQUERADES] = ", color=gray"};

static void print_dot_node(struct buf *out, const struct graph *g, const struct graph_node *n)
{
	buf_printf(out, "%sn%u [shape=%s, label=\"", n->network == NONE ? "  " : "    ",
		   (unsigned)(n - g->nodes.items), dot_shapes[n->kind]);
	print_label(out, n->name);
	buf_puts(out, *n->details ? "\\n" : "");
	print_label(out, n->details);
	buf_puts(out, "\"];\n");
}

static void print_dot_edge(struct buf *out, const struct graph_edge *e)
{
	buf_printf(out, "  n%u -> n%u [label=\"", e->from, e->to);
	print_label(out, e->text);
	buf_printf(out, " (%u)\"%s%s];\n", e->policy, dot_styles[e->kind],
		   e->waits ? ", style=dashed" : "");
}

/* --- mermaid --- */

static const char *const mermaid_shapes[][2] = {
	[NODE_ADDRESS] = {"[\"", "\"]"},     [NODE_NETWORK] = {"([\"", "\"])"},
	[NODE_GROUP] = {"[[\"", "\"]]"},     [NODE_OUTSIDE] = {"((\"", "\"))"},
	[NODE_INTERFACE] = {"{{\"", "\"}}"}, [NODE_UNKNOWN] = {"[\"", "?\"]"}};

static void print_mermaid_node(struct buf *out, const struct graph *g, const struct graph_node *n)
{
	buf_printf(out, "%sn%u%s", n->network == NONE ? "  " : "    ",
		   (unsigned)(n - g->nodes.items), mermaid_shapes[n->kind][0]);
	print_label(out, n->name);
	buf_puts(out, *n->details ? "<br/>" : "");
	print_label(out, n->details);
	buf_printf(out, "%s\n", mermaid_shapes[n->kind][1]);
}

static const char *mermaid_arrow(const struct graph_edge *e)
{
	return e->waits ? "-.->" : e->kind == EDGE_ALLOWS ? "-->" : "==>";
}

static void print_mermaid_edge(struct buf *out, const struct graph_edge *e)
{
	buf_printf(out, "  n%u %s|\"", e->from, mermaid_arrow(e));
	print_label(out, e->text);
	buf_printf(out, " (%u)\"| n%u\n", e->policy, e->to);
}

/* --- a drawing in either language --- */

static const struct language {
	const char *begin, *end;
	/* printed around a network's number and name */
	const char *cluster, *title, *title_end, *cluster_end;
	void (*print_node)(struct buf *out, const struct graph *g, const struct graph_node *n);
	void (*print_edge)(struct buf *out, const struct graph_edge *e);
} dot = {"digraph harborwall {\n  rankdir=LR;\n",
	 "}\n",
	 "cluster_",
	 " {\n    label=\"",
	 "\";\n",
	 "  }\n",
	 print_dot_node,
	 print_dot_edge},
  mermaid = {"flowchart LR\n",	"", "net", "[\"", "\"]\n", "  end\n", print_mermaid_node,
	     print_mermaid_edge};

static const char *const isolation_titles[] = {[ISOLATION_DOCKER] = "",
					       [ISOLATION_OPEN] = "",
					       [ISOLATION_STRICT] = " strict",
					       [ISOLATION_AUDIT] = " strict audited"};
static const char *const egress_titles[] = {
	[EGRESS_OPEN] = "", [EGRESS_DENY] = " egress denied", [EGRESS_AUDIT] = " egress audited"};

static void print_drawing(struct buf *out, const struct graph *g, const struct language *l)
{
	buf_puts(out, l->begin);
	list_each (network, &g->config->networks) {
		uint32_t i = (uint32_t)(network - g->config->networks.items);

		buf_printf(out, "  subgraph %s%u%s", l->cluster, i, l->title);
		print_label(out, network->name);
		for (enum family f = 0; f < N_FAMILIES; f++)
			if (network->ipam[f].subnet.ip.family)
				buf_printf(out, " %s", prefix_format(network->ipam[f].subnet).s);
		buf_printf(out, "%s%s%s%s", network->internal ? " internal" : "",
			   isolation_titles[network->isolation], egress_titles[network->egress],
			   l->title_end);
		list_each (n, &g->nodes)
			if (n->network == i)
				l->print_node(out, g, n);
		buf_puts(out, l->cluster_end);
	}
	list_each (n, &g->nodes)
		if (n->network == NONE)
			l->print_node(out, g, n);
	list_each (e, &g->edges)
		l->print_edge(out, e);
	buf_puts(out, l->end);
}

/* --- JSON --- */

static void print_json(struct buf *out, const struct graph *g)
{
	const char *comma = "\n";

	buf_puts(out, "{\n  \"networks\": [");
	list_each (network, &g->config->networks) {
		buf_puts(out, comma);
		buf_json_member(out, "    {", "name", network->name);
		for (enum family f = 0; f < N_FAMILIES; f++)
			if (network->ipam[f].subnet.ip.family)
				buf_json_member(out, ", ", f == FAMILY_6 ? "subnet6" : "subnet",
						prefix_format(network->ipam[f].subnet).s);
		buf_printf(out, ", \"internal\": %s, \"strict\": %s, \"egress\": \"%s\"}",
			   network->internal ? "true" : "false",
			   network->isolation == ISOLATION_STRICT ? "true" : "false",
			   egress_name(network->egress));
		comma = ",\n";
	}
	buf_puts(out, "\n  ],\n  \"nodes\": [");
	comma = "\n";
	list_each (n, &g->nodes) {
		buf_puts(out, comma);
		buf_json_member(out, "    {", "kind", node_kinds[n->kind]);
		buf_json_member(out, ", ", "name", n->name);
		buf_json_member(out, ", ", "details", n->details);
		if (n->network != NONE)
			buf_json_member(out, ", ", "network",
					g->config->networks.items[n->network].name);
		buf_puts(out, "}");
		comma = ",\n";
	}
	buf_puts(out, "\n  ],\n  \"edges\": [");
	comma = "\n";
	list_each (e, &g->edges) {
		buf_puts(out, comma);
		buf_json_member(out, "    {", "kind", edge_kinds[e->kind]);
		buf_printf(out, ", \"from\": %u, \"to\": %u, \"policy\": %u", e->from, e->to,
			   e->policy);
		buf_json_member(out, ", ", "text", e->text);
		buf_printf(out, ", \"waits\": %s}", e->waits ? "true" : "false");
		comma = ",\n";
	}
	buf_puts(out, "\n  ]\n}\n");
}

void graph_print(struct buf *out, const struct config *config, const struct resolution *resolution,
		 enum graph_format format)
{
	AUTO_RELEASE struct arena a = {0};
	struct graph g = {.a = &a, .config = config};

	build(&g, resolution);
	if (format == GRAPH_JSON)
		print_json(out, &g);
	else
		print_drawing(out, &g, format == GRAPH_DOT ? &dot : &mermaid);
}
