/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/answers/packet.h"

#include "app/world/known.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"
#include "edge/netlink/probe.h"

#include <linux/netfilter.h>
#include <string.h>

struct trying {
	struct traced *traced;
	struct arena *a;
	const struct world *world;
	const struct pass *pass;
	const struct reach *reach;
	const struct reach_flow *flow;
	const struct ns *from;
	struct ip borrower; /* family 0: the source is the sender's own */
};

/* --- who sends it --- */

static bool has_address(const struct engine_container *c, const struct engine *engine, struct ip ip)
{
	list_each (e, &c->endpoints) {
		const struct engine_network *network = engine_find_network(engine, e->network);

		/* macvlan and the like do not pass this host */
		if ((ip_equal(e->ip, ip) || ip_equal(e->ip6, ip)) && network && network->bridge)
			return true;
	}
	return false;
}

static const struct engine_container *container_at(const struct engine *engine, struct ip ip)
{
	list_each (c, &engine->containers)
		if (c->running && ip.family && has_address(c, engine, ip))
			return c;
	return NULL;
}

static uint32_t network_of(const struct trying *t, struct ip ip)
{
	return ip.family ? config_network_of(t->reach->config, prefix_of(ip)) : NONE;
}

/* From another interface this address would count as borrowed. */
static bool is_at_home(const struct trying *t)
{
	uint32_t network = network_of(t, t->flow->src);
	const char *bridge = network == NONE ? NULL : t->reach->bridges[network];

	return !bridge || reach_interface(t->reach->pool, bridge) == t->flow->in;
}

/* Who sits on the bridge that it shall come in by may say that he has the address. */
static const struct engine_container *borrower(struct trying *t)
{
	const struct engine *engine = &t->pass->view.engine;
	const struct reach_pool *pool = t->reach->pool;
	const char *in = t->flow->in < REACH_N_IN
				 ? ""
				 : pool->interfaces.items[t->flow->in - REACH_N_IN].name;

	list_each (c, &engine->containers)
		list_each (e, &c->endpoints) {
			const struct engine_network *n = engine_find_network(engine, e->network);
			struct ip own = t->flow->src.family == 6 ? e->ip6 : e->ip;

			if (c->running && own.family && n && n->bridge && !strcmp(n->bridge, in)) {
				t->borrower = own;
				return c;
			}
		}
	return NULL;
}

static void find_borrower(struct trying *t)
{
	const struct engine_container *c = borrower(t);

	if (c) {
		t->traced->sender = c->name;
		t->from = known_namespace(t->world, c->name);
	}
	if (!t->from)
		t->traced->unsent =
			arena_printf(t->a,
				     "no running container with an address of IPv%u sits on that "
				     "interface, or its namespace can't be entered",
				     t->flow->src.family);
}

static void find_sender(struct trying *t)
{
	const struct engine_container *c = container_at(&t->pass->view.engine, t->flow->src);
	struct ip_text src = ip_format(t->flow->src);

	if (t->flow->in == REACH_IN_LOCAL) {
		t->from = &t->world->host;
		return;
	}
	if (!t->flow->src.family || !c || !is_at_home(t)) {
		t->traced->unsent = arena_printf(
			t->a,
			"%s%s%s; name a running container or host, or connect from there yourself",
			t->flow->src.family ? src.s : "the source",
			c ? " is at home on another interface"
			  : " is not the address of a running container on a bridge",
			c ? "" : ", and from outside it can't be sent from here");
		return;
	}
	t->traced->sender = c->name;
	t->from = known_namespace(t->world, c->name);
	if (!t->from)
		t->traced->unsent = arena_printf(t->a,
						 "the namespace of container %s can't be entered; "
						 "harborwall doctor says why",
						 c->name);
}

/* --- what it is --- */

/* Of the host's addresses, the one that is the sender's gateway. */
static struct ip destination(const struct trying *t)
{
	uint32_t network = network_of(t, t->flow->src);

	if (t->flow->dst.family || network == NONE)
		return t->flow->dst;
	return t->reach->config->networks.items[network].ipam[ip_family(t->flow->src)].gateway;
}

/* Both ends sit on one network: the packet may stay within its bridge. */
static bool share_network(const struct engine *engine, struct ip src, struct ip dst)
{
	list_each (network, &engine->networks)
		list_each (subnet, &network->subnets)
			if (prefix_contains(*subnet, src) && prefix_contains(*subnet, dst))
				return true;
	return false;
}

static bool send_it(struct trying *t, struct error *err)
{
	struct traced *traced = t->traced;
	struct probing p = {
		.from = t->from,
		.probe.proto = t->flow->proto,
		.flow = {.src = t->flow->src, .dst = destination(t), .dport = t->flow->port},
		.borrower = t->borrower};

	if (!p.flow.dst.family || !probe_token_offset(p.probe.proto)) {
		traced->unsent =
			"it needs a destination with an address, and tcp, udp, sctp or icmp";
		return true;
	}
	p.within = share_network(&t->pass->view.engine, p.flow.src, p.flow.dst);
	if (!probe_run(&traced->trace, t->a, &p, err))
		return false;
	traced->sent = p.flow;
	traced->refused = *p.refused ? arena_strdup(t->a, p.refused) : NULL;
	traced->goes_otherwise = p.goes_otherwise;
	traced->in = arena_strdup(t->a, p.in);
	traced->out = arena_strdup(t->a, p.out);
	return true;
}

/* --- the rules that it met --- */

static bool same_table(const struct trace_step *a, const struct trace_step *b)
{
	return a->family == b->family && !strcmp(a->table, b->table);
}

/* iptables-nft's tables, and those of ip6tables, have the names of iptables' tables. */
static bool is_of_iptables(const struct trace_step *step)
{
	static const char *const names[] = {"filter", "nat", "mangle", "raw", "security"};
	bool may_be = step->family == NFPROTO_IPV4 || step->family == NFPROTO_IPV6;

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (may_be && !strcmp(step->table, names[i]))
			return true;
	return false;
}

static bool is_listed(const name_list *names, const char *name)
{
	list_each (listed, names)
		if (!strcmp(*listed, name))
			return true;
	return false;
}

static bool read_table(struct ruleset *table, struct trying *t, const struct trace_step *step,
		       struct error *err)
{
	name_list names = {0};

	list_each (other, &t->traced->trace.steps)
		if (same_table(other, step) && !is_listed(&names, other->chain))
			*list_add(t->a, &names) = other->chain;
	*list_add(t->a, &names) = NULL;
	return fw_nft_read_chains(table, t->a, &t->world->host, step->family, step->table,
				  names.items, err);
}

/* Prints every step in the table of this step. */
static bool read_rules(struct trying *t, struct traced_rule *rules, const struct trace_step *step,
		       const char *save, struct error *err)
{
	const struct trace_step *first = t->traced->trace.steps.items;
	bool ours = step->family == NFPROTO_INET && !strcmp(step->table, TABLE_NAME);
	struct ruleset table = {0};

	if (!read_table(&table, t, step, err))
		return false;
	list_each (other, &t->traced->trace.steps)
		if (same_table(other, step))
			rules[other - first] =
				traced_rule(t->a, &table, other,
					    ours ? &t->pass->want.spaces.items[0].ruleset : NULL,
					    is_of_iptables(step) ? save : NULL);
	return true;
}

static bool is_first_of_table(const struct trace *trace, const struct trace_step *step)
{
	list_each (other, &trace->steps) {
		if (other == step)
			return true;
		if (same_table(other, step))
			return false;
	}
	return true;
}

/* The save tool may be missing or slow. Without it, print the rules as far as we decode them. */
static const char *saved_rules(struct trying *t)
{
	struct error none = {0};
	AUTO_BUF struct buf save = {0};

	list_each (step, &t->traced->trace.steps)
		if (is_of_iptables(step))
			return iptables_save(&save, &t->world->host, VARIANT_NFT,
					     step->family == NFPROTO_IPV6 ? 6 : 4, &none)
				       ? arena_strdup(t->a, buf_text(&save))
				       : NULL;
	return NULL;
}

static bool read_all_rules(struct trying *t, struct error *err)
{
	const struct trace *trace = &t->traced->trace;
	struct traced_rule *rules = arena_array(t->a, struct traced_rule, trace->steps.n + 1);
	const char *save = saved_rules(t);

	for (uint32_t i = 0; i < trace->steps.n; i++)
		rules[i].policy = NONE;
	t->traced->rules = rules;
	list_each (step, &trace->steps)
		if (is_first_of_table(trace, step) && !read_rules(t, rules, step, save, err))
			return false;
	return true;
}

bool packet_is_possible(const struct look *look, const char *option, struct error *err)
{
	return look->live ||
	       error_set(err, -1, "%s asks this host's kernel: %s", option,
			 look->options->engine ? "remove --engine"
					       : "run as root, on a host whose state can be read");
}

static bool has_legacy_rules(const struct view *view, uint8_t family)
{
	return family == 6 ? *view->save6 || *view->save6_raw : *view->save || *view->save_raw;
}

static struct trying trying_of(struct traced *traced, struct look *look)
{
	return (struct trying){.traced = traced,
			       .a = &look->a,
			       .world = &look->world,
			       .pass = &look->pass,
			       .reach = &look->reach};
}

bool packet_send(struct traced *traced, struct look *look, const struct reach_flow *flow,
		 bool borrowed, struct error *err)
{
	const struct view *view = &look->pass.view;
	struct trying t = trying_of(traced, look);

	*traced = (struct traced){.legacy = has_legacy_rules(view, flow->dst.family),
				  .drifted = look->pass.plan.steps.n > 0};
	t.flow = flow;
	if (borrowed)
		find_borrower(&t);
	else
		find_sender(&t);
	return traced->unsent || send_it(&t, err);
}

bool packet_read_rules(struct traced *traced, struct look *look, struct error *err)
{
	struct trying t = trying_of(traced, look);

	return traced->unsent || read_all_rules(&t, err);
}
