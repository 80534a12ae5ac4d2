/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random files: what core/reach says of a flow against a reading of the compiled flows one by one,
 * and what it says of two files against what it says of each.
 */
#include "base/buf.h"
#include "core/answers/changes.h"
#include "core/compile/compile.h"
#include "core/foreign/walls.h"
#include "core/path/path.h"
#include "core/reach/diff.h"
#include "unit/random.h"
#include "unit/test.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 2000, SAMPLES = 500, POLICIES = 8 };

#define one_of(list) ((list)[below(COUNT_OF(list))])

/* --- files --- */

static const char *const subjects[] = {"a1", "a2", "b1", "b2", "sa", "sb", "na", "nb"};
static const char *const sources[] = {"a1",
				      "a2",
				      "b1",
				      "c1",
				      "sa",
				      "sb",
				      "nb",
				      "any",
				      "10.0.0.0/8",
				      "10.1.0.0/16",
				      "10.1.2.3",
				      "172.18.1.0/24",
				      "2001:db8::/32",
				      "2001:db8:1::3",
				      "fd18:1::/64"};
enum { N_SOURCES = COUNT_OF(sources) };
static const char *const ports[] = {"", ", \"port\": 80", ", \"port\": \"80-90\"",
				    ", \"port\": [80, 443]", ", \"port\": \"85-100\""};
static const char *const protos[] = {"", ", \"proto\": \"udp\"", ", \"proto\": [\"tcp\", \"udp\"]",
				     ", \"proto\": \"any\""};
static const char *const uplinks[] = {"ext0", "wg0"};
static const char *const callers[] = {"", "", ", \"from\": \"10.0.0.0/8\"",
				      ", \"from\": \"10.1.0.0/16\""};
static const char *const entrances[] = {"ext0", "wg0", "ext0", "br-a"};

/* A policy as text; those of another kind are other numbers. */
static const char *random_policy(struct arena *a)
{
	uint32_t kind = below(8);

	if (kind == 0)
		return arena_printf(a,
				    "{\"service_name\": \"sa\", \"nat\": \"dnat\", \"iface\": "
				    "\"%s\", \"port\": %u, \"to\": \"%s\"%s}",
				    one_of(uplinks), 8000 + below(3), below(2) ? "a1" : "b1",
				    one_of(callers));
	if (kind == 4 && below(2))
		return arena_printf(a,
				    "{\"service_name\": \"sa\", \"nat\": \"dnat\", \"iface\": "
				    "\"%s\", \"port\": %u, \"to\": [\"a1\", \"b1\"%s]%s}",
				    one_of(uplinks), 8000 + below(3), below(2) ? "" : ", \"b2\"",
				    one_of(callers));
	if (kind == 1)
		return arena_printf(a,
				    "{\"selector\": \"%s\", \"nat\": \"masquerade\", \"iface\": "
				    "\"%s\"}",
				    below(2) ? "a1" : "b1", one_of(uplinks));
	if (kind == 2)
		return arena_printf(a,
				    "{\"selector\": \"%s\", \"nat\": \"dnat\", \"port\": %u, "
				    "\"to\": \"b2\"%s}",
				    below(2) ? "a1" : "c1", 8000 + below(2),
				    below(2) ? ", \"from\": \"10.0.0.0/8\"" : "");
	if (kind == 4 && below(2))
		return arena_printf(a, "{\"selector\": \"%s\", \"to\": %s%s%s}", one_of(subjects),
				    below(3) ? arena_printf(a, "\"%s\"", sources[below(N_SOURCES)])
					     : "[\"host\", \"10.1.0.0/16\", \"b1\"]",
				    one_of(ports), one_of(protos));
	return arena_printf(a, "{\"selector\": \"%s\", \"from\": \"%s\"%s%s%s}", one_of(subjects),
			    sources[below(N_SOURCES)],
			    below(4) ? ""
				     : arena_printf(a, ", \"iface\": \"%s\"", one_of(entrances)),
			    kind == 3 ? "" : one_of(ports),
			    kind == 3 ? ", \"proto\": \"any\"" : one_of(protos));
}

struct file {
	const char *policies[POLICIES];
	uint32_t n;
	bool internal, apart, without_c, dual, denied;
};

static void random_file(struct file *f, struct arena *a)
{
	f->n = 1 + below(POLICIES);
	for (uint32_t i = 0; i < f->n; i++)
		f->policies[i] = random_policy(a);
	f->internal = !below(4);
	f->apart = !below(4);
	f->without_c = !below(6);
	f->dual = below(2);
	f->denied = below(2);
}

/* One thing is another, or nothing is. */
static void edit(struct file *f, struct arena *a)
{
	uint32_t i = below(f->n), k = below(f->n);
	const char *other = f->policies[i];

	switch (below(11)) {
	case 0:
		f->internal = !f->internal;
		break;
	case 1:
		f->apart = !f->apart;
		break;
	case 2:
		f->without_c = !f->without_c;
		break;
	case 3:
		f->policies[below(f->n)] = random_policy(a);
		break;
	case 4: /* the order */
		f->policies[f->n - 1] = f->policies[below(f->n)];
		break;
	case 5:
		f->n -= f->n > 1;
		break;
	case 6: /* the order alone */
		f->policies[i] = f->policies[k];
		f->policies[k] = other;
		break;
	case 7: /* one stands twice */
		if (f->n < POLICIES)
			f->policies[f->n++] = other;
		break;
	case 8:
		f->dual = !f->dual;
		break;
	case 9:
		f->denied = !f->denied;
		break;
	default:
		break;
	}
}

static const struct declared {
	const char *ip, *name, *service, *ip6;
} containers[] = {
	{"1.2", "a1", "sa", "fd18:1::2"},
	{"1.3", "a2", "sa", "fd18:1::3"},
	{"2.2", "b1", "sb", "fd18:2::2"},
	{"2.3", "b2", "sb", NULL},
};

static void print_file(struct buf *out, const struct file *f)
{
	buf_printf(out,
		   "{\"networks\": {\n"
		   "\"na\": {\"subnet\": \"172.18.1.0/24\", \"bridge_name\": \"br-a\"%s, "
		   "\"internal\": %s, \"egress\": \"%s\"},\n"
		   "\"nb\": {\"subnet\": \"172.18.2.0/24\"%s%s}%s},\n\"ips\": {\n",
		   f->dual ? ", \"subnet6\": \"fd18:1::/64\"" : "", f->internal ? "true" : "false",
		   f->denied ? "deny" : "open", f->dual ? ", \"subnet6\": \"fd18:2::/64\"" : "",
		   f->apart ? ", \"options\": {\"com.docker.network.bridge.enable_icc\": "
			      "\"false\"}"
			    : "",
		   f->without_c ? "" : ",\n\"nc\": {\"subnet\": \"172.18.3.0/24\"}");
	for (size_t i = 0; i < COUNT_OF(containers); i++) {
		const struct declared *c = &containers[i];

		buf_printf(out, "%s\"172.18.%s\": {\"selector\": \"%s\", \"service_name\": \"%s\"",
			   i ? ",\n" : "", c->ip, c->name, c->service);
		if (f->dual && c->ip6)
			buf_printf(out, ", \"ip6\": \"%s\"", c->ip6);
		buf_puts(out, "}");
	}
	if (!f->without_c)
		buf_puts(out, ",\n\"172.18.3.2\": {\"selector\": \"c1\"}");
	buf_puts(out, "},\n\"policies\": [");
	for (uint32_t i = 0; i < f->n; i++)
		buf_printf(out, "%s\n%s", i ? "," : "", f->policies[i]);
	buf_puts(out, "]}\n");
}

/* --- a file, compiled --- */

struct compiled {
	struct config config;
	struct resolution resolution;
	struct diags diags;
	struct findings findings;
	struct state want;
	struct reach reach;
};

static const struct flows *host_of(const struct compiled *c)
{
	return c->want.spaces.items[0].flows;
}

/* False: it is none. */
static bool load_text(struct compiled *c, struct arena *a, struct reach_pool *pool,
		      const char *text)
{
	AUTO_CONFIG_TEXT struct config_text kept = {0};
	static const struct facts facts = {.docker_drops = true, .mark_accept = 1, .mark_raw = 2};
	static const struct engine engine;

	*c = (struct compiled){.diags.arena = a};
	if (!config_decode(&c->config, &kept, &c->diags, a, "f", text, strlen(text)))
		return false;
	resolve(&c->resolution, &c->diags, a, &c->config, &kept);
	if (c->diags.n_errors)
		return false;
	compile(&c->want, &c->findings, a, &c->config, &c->resolution, &engine, &facts);
	reach_build(&c->reach, pool, &c->config, &c->resolution, &c->want);
	return true;
}

static bool load(struct compiled *c, struct arena *a, struct reach_pool *pool,
		 const struct file *file)
{
	AUTO_BUF struct buf text = {0};

	print_file(&text, file);
	return load_text(c, a, pool, buf_text(&text));
}

/* --- flows --- */

static const char *const addresses[] = {"172.18.1.2", "172.18.1.3", "172.18.2.2", "172.18.2.3",
					"172.18.3.2", "10.1.2.3",   "10.1.9.9",	  "10.9.9.9",
					"192.0.2.1",  "172.18.1.1", "172.18.2.1", "172.18.1.77",
					"172.18.2.77"};
static const char *const addresses6[] = {"fd18:1::2",	  "fd18:1::3",	   "fd18:2::2", "fd18:2::3",
					 "2001:db8:1::3", "2001:db8:9::9", "fd99::1",	"fd18:1::1",
					 "fd18:2::1",	  "fd18:1::77"};

static struct ip random_address(bool is_v6)
{
	const char *text = is_v6 ? one_of(addresses6) : one_of(addresses);
	struct ip ip;

	assert_true(ip_parse(&ip, text));
	return ip;
}

static const uint16_t some_ports[] = {0, 80, 85, 95, 443, 8000, 8001, 8002, 9};
static const uint8_t some_protos[] = {6, 17, 1, 132};

static struct reach_flow random_flow(const struct compiled *c)
{
	struct reach_flow flow = {.port = one_of(some_ports), .proto = one_of(some_protos)};
	bool is_v6 = c->config.has_ipv6 && below(2);

	flow.src = random_address(is_v6);
	if (below(5))
		flow.dst = random_address(is_v6);
	flow.in = below(REACH_N_IN + c->reach.pool->interfaces.n);
	for (uint32_t i = 0; below(3) && i < c->config.networks.n; i++) /* mostly where it is */
		if (config_network_of(&c->config, prefix_of(flow.src)) == i)
			flow.in = reach_interface(c->reach.pool, c->reach.bridges[i]);
	return flow;
}

/* --- the same, read one by one --- */

static bool matches(struct traffic match, const struct reach_flow *flow)
{
	return (!match.proto || match.proto == flow->proto) && flow->port >= match.low &&
	       flow->port <= match.high;
}

static bool holds(const struct peers *peers, struct ip ip)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (prefix_contains(peers->items[i].net, ip))
			return true;
	return false;
}

static uint32_t network_of_interface(const struct compiled *c, uint32_t in)
{
	for (uint32_t i = 0; i < c->config.networks.n; i++)
		if (reach_interface(c->reach.pool, c->reach.bridges[i]) == in)
			return i;
	return NONE;
}

/* The first of them that is about it; NULL in `to`: this host. */
static uint32_t granted(const struct compiled *c, const struct grant *grants, uint32_t n,
			const struct reach_flow *flow)
{
	for (const struct grant *grant = grants; grant < grants + n; grant++)
		for (uint32_t m = 0; m < grant->n_matches; m++)
			if ((!grant->iface ||
			     reach_interface(c->reach.pool, grant->iface) == flow->in) &&
			    matches(grant->matches[m], flow) && holds(grant->from, flow->src) &&
			    (!grant->to || holds(grant->to, flow->dst)))
				return REACH_POLICY + grant->origin;
	return REACH_CLOSED;
}

static bool is_to_host(const struct compiled *c, struct ip dst)
{
	list_each (network, &c->config.networks)
		if (dst.family && ip_equal(network->ipam[ip_family(dst)].gateway, dst))
			return true;
	return !dst.family;
}

static uint32_t expected(const struct compiled *c, const struct reach_flow *flow)
{
	uint32_t src = config_network_of(&c->config, prefix_of(flow->src)),
		 dst = config_network_of(&c->config, prefix_of(flow->dst)),
		 in = network_of_interface(c, flow->in);

	bool denied = in != NONE && c->config.networks.items[in].egress == EGRESS_DENY;

	if (is_to_host(c, flow->dst) && denied)
		return src == in
			       ? granted(c, host_of(c)->to_host.items, host_of(c)->to_host.n, flow)
			       : REACH_CLOSED;
	if (is_to_host(c, flow->dst))
		return REACH_TO_HOST;
	if (dst == NONE && in == NONE)
		return REACH_ELSEWHERE;
	if (dst != NONE && flow->in == REACH_IN_LOCAL)
		return REACH_FROM_HOST;
	if (src != in || flow->in == REACH_IN_LOCAL)
		return REACH_CLOSED; /* borrowed */
	if (dst == NONE)
		return c->config.networks.items[in].internal ? REACH_CLOSED
		       : denied ? granted(c, host_of(c)->lifts.items, host_of(c)->lifts.n, flow)
				: REACH_EGRESS;
	if (src == dst && !host_of(c)->apart[src])
		return REACH_WITHIN;
	return granted(c, host_of(c)->grants.items, host_of(c)->grants.n, flow);
}

/* Chains ask for a source first, then the map of single ports, then whatever is left. */
static int place_in_chain(const struct translation *t)
{
	if (t->from.ip.family)
		return 0;
	return t->iface && t->match.low == t->match.high ? 1 : 2;
}

static uint32_t expected_door(const struct compiled *c, const struct flows *flows, bool host,
			      const struct reach_flow *flow)
{
	uint32_t src = config_network_of(&c->config, prefix_of(flow->src)),
		 in = network_of_interface(c, flow->in);

	if (flow->dst.family || (host && (src != in || flow->in == REACH_IN_LOCAL)))
		return 0;
	for (int place = 0; place < 3; place++)
		list_each (t, &flows->translations)
			if (place_in_chain(t) == place && matches(t->match, flow) &&
			    t->to.family == flow->src.family &&
			    (!t->from.ip.family || prefix_contains(t->from, flow->src)) &&
			    (!t->iface || reach_interface(c->reach.pool, t->iface) == flow->in))
				return REACH_POLICY + t->origin;
	return 0;
}

static void check_flow(const struct compiled *c, const struct reach_flow *flow)
{
	assert_int_equal(reach_ask(&c->reach, c->reach.open, flow), expected(c, flow));
	list_each (space, &c->reach.spaces)
		assert_int_equal(reach_ask(&c->reach, space->doors, flow),
				 expected_door(c, space->flows, !space->container, flow));
}

TEST(every_flow_is_what_the_first_of_the_compiled_flows_says)
{
	uint32_t by_policy = 0, by_door = 0, loaded = 0;

	seed = 230;
	for (int round = 0; round < ROUNDS; round++) {
		AUTO_RELEASE struct arena a = {0};
		struct reach_pool pool;
		struct compiled c;
		struct file file;

		reach_pool_init(&pool, &a);
		random_file(&file, &a);
		if (!load(&c, &a, &pool, &file))
			continue;
		loaded++;
		for (int i = 0; i < SAMPLES; i++) {
			struct reach_flow flow = random_flow(&c);

			check_flow(&c, &flow);
			by_policy += expected(&c, &flow) >= REACH_POLICY;
			by_door += expected_door(&c, host_of(&c), true, &flow) != 0;
		}
	}
	assert_true(loaded > ROUNDS / 2);
	assert_true(by_policy > 1000 && by_door > 50);
}

/* --- two files --- */

static struct ip address_in(const struct flow_ranges *ranges)
{
	flow_value value = ranges->items[below(ranges->n)].low;

	return value == REACH_SELF ? (struct ip){0} : flow_value_to_ip(value);
}

static bool in_ranges(const struct flow_ranges *ranges, flow_value value)
{
	for (uint32_t i = 0; i < ranges->n; i++)
		if (value >= ranges->items[i].low && value <= ranges->items[i].high)
			return true;
	return false;
}

static const struct reach_space *space_of(const struct reach *reach, const char *container)
{
	list_each (space, &reach->spaces)
		if (container ? space->container && !strcmp(container, space->container)
			      : !space->container)
			return space;
	return NULL;
}

static uint32_t target_of(const struct reach *reach, const char *container,
			  const struct reach_flow *flow)
{
	const struct reach_space *space = space_of(reach, container);
	uint32_t leaf = space ? reach_ask(reach, space->doors, flow) : 0, target = 0;

	if (!leaf)
		return 0;
	list_each (t, &space->flows->translations) {
		if (t->origin != leaf - REACH_POLICY)
			continue;
		target = 1 + reach_target(reach->pool, t, target);
		if (!t->share.of || t->share.part + 1 == t->share.of)
			return target;
	}
	return NONE;
}

/* Of the flows that the change names, one that is at home where it comes in has changed. */
static void check_change(const struct change *change, const struct reach *before,
			 const struct reach *after)
{
	const struct reach *with = change->opens ? after : before;
	const struct reach *without = change->opens ? before : after;
	const struct flow_block *b = &change->block;
	struct reach_flow flow = {0};

	if (change->kind == CHANGE_NETWORK || change->kind == CHANGE_MASQUERADE)
		return;
	flow.src = address_in(&b->fields[FLOW_SRC]);
	flow.dst = address_in(&b->fields[FLOW_DST]);
	flow.proto = (uint8_t)b->fields[FLOW_PROTO].items[0].low;
	flow.port = (uint16_t)b->fields[FLOW_PORT].items[0].low;
	for (flow.in = 0; flow.in < REACH_N_IN + with->pool->interfaces.n; flow.in++) {
		bool genuine = reach_ask(with, with->genuine, &flow);

		if (!in_ranges(&b->fields[FLOW_IN], flow.in))
			continue;
		if (change->kind == CHANGE_FLOWS && genuine &&
		    !reach_ask(with, with->free, &flow) &&
		    !reach_ask(without, without->free, &flow) &&
		    reach_ask(with, with->open, &flow)) {
			assert_false(reach_ask(without, without->open, &flow));
			return;
		}
		if (change->kind == CHANGE_TRANSLATION && (change->container || genuine) &&
		    target_of(with, change->container, &flow) !=
			    target_of(without, change->container, &flow))
			return;
	}
	/* what nobody asks about was filled in here: another address of it would have shown */
}

/* A network that this file has and the other one has not. */
static bool only_here(const struct reach *here, const struct reach *there, struct ip ip)
{
	return reach_network_of(here, ip) != NONE && reach_network_of(there, ip) == NONE;
}

/*
 * It gets there by one file, from a source that counts, and not by the other one. A network that
 * the other one has not is nowhere there, whatever is open towards unknown addresses.
 */
static bool opens(const struct reach *with, const struct reach *without,
		  const struct reach_flow *flow)
{
	bool counts = flow->in == REACH_IN_LOCAL || reach_ask(with, with->genuine, flow);

	return counts && reach_ask(with, with->open, flow) &&
	       (only_here(with, without, flow->dst) || !reach_ask(without, without->open, flow));
}

static bool is_masqueraded(const struct reach *reach, const char *container,
			   const struct reach_flow *flow)
{
	const struct reach_space *space = space_of(reach, container);

	return space && reach_ask(reach, space->masquerades, flow);
}

static bool same_in_spaces(const struct reach *these, const struct reach *others,
			   const struct reach_flow *flow)
{
	list_each (space, &these->spaces)
		if (target_of(these, space->container, flow) !=
			    target_of(others, space->container, flow) ||
		    is_masqueraded(these, space->container, flow) !=
			    is_masqueraded(others, space->container, flow))
			return false;
	return true;
}

static bool agree(const struct reach *before, const struct reach *after,
		  const struct reach_flow *flow)
{
	return !opens(after, before, flow) && !opens(before, after, flow) &&
	       same_in_spaces(before, after, flow) && same_in_spaces(after, before, flow);
}

enum { N_ADDRESSES = COUNT_OF(addresses) + COUNT_OF(addresses6) };

static bool address_number(struct ip *ip, uint32_t n)
{
	uint32_t n4 = COUNT_OF(addresses);

	return n < N_ADDRESSES && ip_parse(ip, n < n4 ? addresses[n] : addresses6[n - n4]);
}

/* Every flow of the small world: the n-th of them. False: there are no more. */
static bool flow_number(struct reach_flow *flow, const struct reach_pool *pool, uint32_t n)
{
	uint32_t in = REACH_N_IN + pool->interfaces.n, of_dst = N_ADDRESSES + 1;
	bool known;

	*flow = (struct reach_flow){.port = some_ports[n % COUNT_OF(some_ports)]};
	n /= COUNT_OF(some_ports);
	flow->proto = some_protos[n % COUNT_OF(some_protos)];
	n /= COUNT_OF(some_protos);
	flow->in = n % in;
	n /= in;
	known = n % of_dst == 0 || address_number(&flow->dst, n % of_dst - 1);
	n /= of_dst;
	return address_number(&flow->src, n) && known;
}

static bool some_flow_differs(const struct reach *before, const struct reach *after)
{
	struct reach_flow flow;

	for (uint32_t n = 0; flow_number(&flow, before->pool, n); n++)
		if (!agree(before, after, &flow))
			return true;
	return false;
}

static uint32_t number_of(const char *name, uint32_t otherwise)
{
	const char *text = getenv(name);

	return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static void print_pair(const struct file *file, const struct file *edited,
		       const struct reach *before, const struct reach *after,
		       const change_list *changes)
{
	AUTO_BUF struct buf out = {0};

	print_file(&out, file);
	buf_puts(&out, "edited:\n");
	print_file(&out, edited);
	list_each (change, changes) {
		print_change(&out, change->opens ? after : before, change);
		buf_puts(&out, "\n");
	}
	fputs(buf_text(&out), stderr);
}

struct pairs {
	uint32_t differ, same;
	uint64_t samples;
};

/* Of the changes that are told some flow is one; where none is told, no flow that is tried is. */
static void compare_files(struct pairs *pairs, const struct file *file, const struct file *edited,
			  uint32_t samples)
{
	AUTO_RELEASE struct arena a = {0};
	struct reach_pool pool;
	struct compiled before, after;
	change_list changes = {0};

	reach_pool_init(&pool, &a);
	if (!load(&before, &a, &pool, file) || !load(&after, &a, &pool, edited))
		return;
	assert_true(reach_diff(&changes, &a, &before.reach, &after.reach));
	list_each (change, &changes)
		check_change(change, &before.reach, &after.reach);
	if (changes.n) {
		pairs->differ++;
		if (!some_flow_differs(&before.reach, &after.reach)) {
			print_pair(file, edited, &before.reach, &after.reach, &changes);
			fail_msg("changes are told, and no flow differs");
		}
		return;
	}
	pairs->same++;
	for (uint32_t i = 0; i < samples; i++, pairs->samples++) {
		struct reach_flow flow = random_flow(below(2) ? &before : &after);

		if (!agree(&before.reach, &after.reach, &flow)) {
			print_pair(file, edited, &before.reach, &after.reach, &changes);
			fail_msg("no change is told, and a flow differs");
		}
	}
}

/* More with REACH_PAIRS, REACH_SAMPLES of each pair, others with REACH_SEED. */
TEST(two_files_differ_exactly_if_some_flow_does)
{
	uint32_t n = number_of("REACH_PAIRS", ROUNDS),
		 samples = number_of("REACH_SAMPLES", SAMPLES);
	struct pairs pairs = {0};

	seed = number_of("REACH_SEED", 1);
	for (uint32_t round = 0; round < n; round++) {
		AUTO_RELEASE struct arena a = {0};
		struct file file, edited;

		random_file(&file, &a);
		edited = file;
		edit(&edited, &a);
		compare_files(&pairs, &file, &edited, samples);
	}
	print_message("# figures: diff: %u pairs differ, %u are the same, %llu flows of these\n",
		      pairs.differ, pairs.same, (unsigned long long)pairs.samples);
	assert_true(pairs.differ > n / 20 && pairs.same > n / 20);
}

/* --- policies that change nothing --- */

static bool same_flows(struct arena *a, struct reach_pool *pool, const struct compiled *before,
		       const struct file *file)
{
	struct compiled after;
	change_list changes = {0};

	assert_true(load(&after, a, pool, file));
	assert_true(reach_diff(&changes, a, &before->reach, &after.reach));
	return !changes.n;
}

static struct file without(const struct file *file, uint32_t policy)
{
	struct file rest = *file;

	rest.n--;
	for (uint32_t i = policy; i < rest.n; i++)
		rest.policies[i] = file->policies[i + 1];
	return rest;
}

/* It adds something to the policies before it. */
static bool adds(struct arena *a, struct reach_pool *pool, const struct file *file, uint32_t policy)
{
	struct file with = *file, rest = *file;
	struct compiled c;

	with.n = policy + 1;
	rest.n = policy;
	assert_true(load(&c, a, pool, &with));
	return !same_flows(a, pool, &c, &rest);
}

struct idles {
	uint32_t told[IDLE_NEVER + 1], useful, covered_by_later;
};

static void find_idle(struct idle_list *idle, struct arena *a, const struct compiled *c)
{
	idle->found = arena_array(a, bool, POLICIES);
	reach_idle(idle, a, &c->reach);
	resolve_idle(idle, a, &c->config, &c->resolution);
}

/*
 * Of those that are left each is of use, but for those that later ones have, too: of these only the
 * ones with the same ends are told.
 */
static void check_useful(struct idles *idles, const struct file *file)
{
	for (uint32_t i = 0; i < file->n; i++) {
		AUTO_RELEASE struct arena a = {0};
		struct reach_pool pool;
		struct compiled c;
		struct file rest = without(file, i);
		const struct policy *p;

		reach_pool_init(&pool, &a);
		assert_true(load(&c, &a, &pool, file));
		p = &c.config.policies.items[i];
		if (!same_flows(&a, &pool, &c, &rest))
			idles->useful++;
		else if (resolved_policy(&c.resolution, &c.config, p).waiting)
			continue;
		else if (p->nat == NAT_DNAT || adds(&a, &pool, file, i))
			idles->covered_by_later++;
		else
			fail_msg("policies[%u] is of no use, and not told: %s", i,
				 file->policies[i]);
	}
}

static void check_idle(struct idles *idles, const struct file *file)
{
	AUTO_RELEASE struct arena a = {0};
	struct reach_pool pool;
	struct compiled c;
	struct idle_list idle = {0};
	struct file rest = *file;

	reach_pool_init(&pool, &a);
	if (!load(&c, &a, &pool, file))
		return;
	find_idle(&idle, &a, &c);
	list_each (i, &idle.list) {
		idles->told[i->kind]++;
		if (i->kind == IDLE_TAKEN) /* its target may get something all the same */
			idle.found[i->policy] = false;
	}
	rest.n = 0;
	for (uint32_t i = 0; i < file->n; i++)
		if (!idle.found[i])
			rest.policies[rest.n++] = file->policies[i];
	if (!same_flows(&a, &pool, &c, &rest)) {
		AUTO_BUF struct buf out = {0};

		print_file(&out, file);
		list_each (i, &idle.list)
			buf_printf(&out, "told: policies[%u], by %u others, policies[%u]\n",
				   i->policy, i->n_by, i->by[0]);
		fputs(buf_text(&out), stderr);
		fail_msg("without those that are told, a flow differs");
	}
	check_useful(idles, &rest);
}

TEST(without_the_policies_that_are_told_every_flow_is_the_same)
{
	uint32_t n = number_of("REACH_PAIRS", ROUNDS);
	struct idles idles = {0};

	seed = number_of("REACH_SEED", 7);
	for (uint32_t round = 0; round < n; round++) {
		AUTO_RELEASE struct arena a = {0};
		struct file file;

		random_file(&file, &a);
		check_idle(&idles, &file);
	}
	print_message("# figures: idle: %u the same, %u covered, %u taken, %u never; of the others "
		      "%u are of use, %u are covered by later ones\n",
		      idles.told[IDLE_SAME], idles.told[IDLE_COVERED], idles.told[IDLE_TAKEN],
		      idles.told[IDLE_NEVER], idles.useful, idles.covered_by_later);
	assert_true(idles.told[IDLE_SAME] && idles.told[IDLE_COVERED] && idles.told[IDLE_NEVER]);
	assert_true(idles.told[IDLE_TAKEN] || n < ROUNDS); /* one in a thousand files */
	assert_true(idles.covered_by_later * 20 < idles.useful);
}

/* --- words --- */

static const char *words(struct arena *a, struct file *before, struct file *after)
{
	AUTO_BUF struct buf out = {0};
	struct reach_pool pool;
	struct compiled old, new;
	change_list changes = {0};

	reach_pool_init(&pool, a);
	assert_true(load(&old, a, &pool, before) && load(&new, a, &pool, after));
	assert_true(reach_diff(&changes, a, &old.reach, &new.reach));
	list_each (change, &changes) {
		print_change(&out, change->opens ? &new.reach : &old.reach, change);
		buf_puts(&out, "\n");
	}
	return arena_strdup(a, buf_text(&out));
}

TEST(what_opens_and_closes_is_said_as_the_file_calls_it)
{
	AUTO_RELEASE struct arena a = {0};
	struct file one = {.policies = {"{\"selector\": \"b1\", \"from\": \"sa\", \"port\": 80}"},
			   .n = 1};
	struct file wide = {
		.policies = {"{\"service_name\": \"sb\", \"from\": \"any\", \"port\": [80, 443]}"},
		.n = 1};

	assert_string_equal(words(&a, &one, &one), "");
	assert_string_equal(words(&a, &one, &wide),
			    "opens   any but a1, a2 -> b1 80,443/tcp  (policies[0], f:12)\n"
			    "opens   a1, a2 -> b1 443/tcp  (policies[0], f:12)\n"
			    "opens   any -> b2 80,443/tcp  (policies[0], f:12)\n");
}

TEST(containers_that_are_kept_apart_and_let_through_by_policies_are_no_difference)
{
	AUTO_RELEASE struct arena a = {0};
	struct file together = {
		.policies = {"{\"selector\": \"nb\", \"from\": \"nb\", \"proto\": \"any\"}"},
		.n = 1};
	struct file apart = together;

	apart.apart = true;
	assert_string_equal(words(&a, &together, &apart), "");
	assert_string_equal(words(&a, &apart, &together), "");
	apart.policies[0] = "{\"selector\": \"nb\", \"from\": \"nb\"}";
	assert_string_equal(words(&a, &together, &apart),
			    "closes  network nb: its containers reach each other\n");
}

/* Others' rules may ask for the interface of the default route, and each family has its own. */
TEST(what_comes_from_outside_comes_in_by_the_default_route_of_its_family)
{
	static const char text[] =
		"{\"networks\": {\"web\": {\"subnet\": \"172.18.1.0/24\", \"subnet6\": "
		"\"fd18:1::/64\"}},"
		" \"ips\": {\"172.18.1.2\": {\"container_name\": \"shop\", \"ip6\": "
		"\"fd18:1::2\"}},"
		" \"policies\": [{\"container_name\": \"shop\", \"from\": \"any\", \"port\": 80}]}";
	static const char save[] =
		"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i wg0 -j DROP\nCOMMIT\n";
	static const char *const defaults[] = {"wg0", "eth0"};
	static const struct engine engine;
	static const struct facts facts = {.variant = VARIANT_NFT, .six.variant = VARIANT_NFT};

	each_family (family)
		for (size_t i = 0; i < COUNT_OF(defaults); i++) {
			AUTO_RELEASE struct arena a = {0};
			struct observed seen = {.engine = &engine, .facts = &facts};
			struct space *host = list_add(&a, &seen.have.spaces);
			struct reach_flow flow = {
				.in = REACH_IN_OTHER, .proto = IPPROTO_TCP, .port = 80};
			struct reach_path path;
			struct reach_pool pool;
			struct compiled c;

			assert_true(ip_parse(&flow.src, family == 6 ? "2001:db8::1" : "192.0.2.1"));
			assert_true(ip_parse(&flow.dst, family == 6 ? "fd18:1::2" : "172.18.1.2"));
			*(family == 6 ? &seen.default_device6 : &seen.default_device) = defaults[i];
			walls_of_save(&host->walls, VARIANT_LEGACY, family, &a, save, "");
			reach_pool_init(&pool, &a);
			assert_true(load_text(&c, &a, &pool, text));
			reach_walk(&path, &a, &c.reach, &facts, &seen, &flow);
			assert_int_equal(path.allowed, i);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flow_is_what_the_first_of_the_compiled_flows_says),
		cmocka_unit_test(two_files_differ_exactly_if_some_flow_does),
		cmocka_unit_test(without_the_policies_that_are_told_every_flow_is_the_same),
		cmocka_unit_test(what_opens_and_closes_is_said_as_the_file_calls_it),
		cmocka_unit_test(
			containers_that_are_kept_apart_and_let_through_by_policies_are_no_difference),
		cmocka_unit_test(
			what_comes_from_outside_comes_in_by_the_default_route_of_its_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
