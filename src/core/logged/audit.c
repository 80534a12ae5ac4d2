/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/logged/audit.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t ip_hash(struct ip ip)
{
	return hash_more(HASH_START, &ip, sizeof(ip));
}

static struct audit_source *source_at(struct audit *audit, struct ip ip)
{
	uint32_t i = hash_index_find(&audit->by_ip, ip_hash(ip), k,
				     ip_equal(audit->sources.items[k].ip, ip));
	struct audit_source *source;

	if (i != NONE)
		return &audit->sources.items[i];
	source = list_add(&audit->a, &audit->sources);
	*source = (struct audit_source){.ip = ip};
	hash_index_grow(&audit->by_ip, &audit->a, &audit->sources, k,
			ip_hash(audit->sources.items[k].ip));
	return source;
}

static uint32_t network_of(const struct config *config, struct ip ip)
{
	return config_network_of(config, prefix_of(ip));
}

static bool is_audited(const struct config *config, uint32_t network)
{
	return network != NONE && config->networks.items[network].egress == EGRESS_AUDIT;
}

static struct audit_network *find_network(struct audit *audit, const char *key)
{
	list_each (network, &audit->networks)
		if (!strcmp(network->key, key))
			return network;
	return NULL;
}

/* --- one connection --- */

static bool is_same(const struct audit_flow *a, const struct audit_flow *b)
{
	return a->port == b->port && a->proto == b->proto && a->target == b->target &&
	       ip_equal(a->dst, b->dst);
}

static struct audit_flow *find_flow(struct audit_source *source, const struct audit_flow *flow)
{
	list_each (known, &source->flows)
		if (is_same(known, flow))
			return known;
	return NULL;
}

/* All addresses of the outside that are asked for this port become one. */
static struct audit_flow *put_together(struct audit_source *source, const struct audit_flow *flow)
{
	struct audit_flow any = {.target = AUDIT_ANY, .proto = flow->proto, .port = flow->port};
	uint32_t n = 0;

	list_each (known, &source->flows) {
		if (known->target != AUDIT_OUTSIDE || known->proto != any.proto ||
		    known->port != any.port) {
			source->flows.items[n++] = *known;
			continue;
		}
		any.first = !any.count || known->first < any.first ? known->first : any.first;
		any.last = known->last > any.last ? known->last : any.last;
		any.count += known->count;
	}
	source->flows.n = n;
	source->flows.items[source->flows.n++] = any; /* at least two made room */
	return &source->flows.items[n];
}

static struct audit_flow *outside_flow(struct audit_source *source, const struct audit_flow *flow)
{
	struct audit_flow any = {.target = AUDIT_ANY, .proto = flow->proto, .port = flow->port};
	struct audit_flow *known = find_flow(source, &any);
	uint32_t n = 0;

	if (known)
		return known;
	list_each (other, &source->flows)
		n += other->target == AUDIT_OUTSIDE && other->proto == flow->proto &&
		     other->port == flow->port;
	return n >= AUDIT_ADDRESSES ? put_together(source, flow) : NULL;
}

/* True: it is new. */
static bool count_flow(struct audit *audit, struct audit_source *source,
		       const struct audit_flow *flow)
{
	struct audit_flow *known = find_flow(source, flow);

	if (!known && flow->target == AUDIT_OUTSIDE)
		known = outside_flow(source, flow);
	if (known) {
		known->count += flow->count;
		known->last = flow->last > known->last ? flow->last : known->last;
		known->first = flow->first < known->first ? flow->first : known->first;
		return false;
	}
	if (source->flows.n >= AUDIT_FLOWS) {
		source->left_out += flow->count;
		return false;
	}
	*list_add(&audit->a, &source->flows) = *flow;
	return true;
}

static void note_asked(struct audit *audit, const struct logged *l)
{
	audit->asked[audit->n_asked++ % AUDIT_ASKED] =
		(struct audit_asked){l->src, l->proto, l->sport, l->port};
}

/* The latest of them; NULL: it was for no address of this host, or is forgotten. */
static const struct audit_asked *find_asked(const struct audit *audit, const struct logged *l)
{
	for (uint32_t i = 1; i <= AUDIT_ASKED && i <= audit->n_asked; i++) {
		const struct audit_asked *asked = &audit->asked[(audit->n_asked - i) % AUDIT_ASKED];

		if (asked->sport == l->sport && asked->proto == l->proto &&
		    ip_equal(asked->src, l->src))
			return asked;
	}
	return NULL;
}

static void set_target(struct audit_flow *flow, const struct config *config, const struct logged *l,
		       const struct audit_asked *asked)
{
	if (asked)
		flow->port = asked->port;
	if (asked || l->why == LOGGED_AUDIT_HOST)
		flow->target = AUDIT_HOST;
	else
		flow->target = network_of(config, l->dst) == NONE ? AUDIT_OUTSIDE : AUDIT_NETWORK;
	if (flow->target == AUDIT_HOST)
		flow->dst = (struct ip){0};
}

void audit_note(struct audit *audit, const struct config *config, const struct logged *l,
		time_t now)
{
	uint32_t network = network_of(config, l->src);
	struct audit_flow flow = {.proto = l->proto,
				  .port = l->port,
				  .dst = l->dst,
				  .count = 1,
				  .first = now,
				  .last = now};
	const struct audit_asked *asked = NULL;
	struct audit_network *known;
	struct ip source = l->src;

	if (l->why == LOGGED_AUDIT_ASKED) {
		note_asked(audit, l);
		return;
	}
	audit->changed = true;
	if (l->why == LOGGED_AUDIT_BORROWED || !is_audited(config, network)) {
		audit->borrowed++;
		return;
	}
	if (config_address_of(config, source) == NONE)
		source = config->networks.items[network].ipam[ip_family(source)].subnet.ip;
	if (l->why == LOGGED_AUDIT_DNAT && !(asked = find_asked(audit, l))) {
		source_at(audit, source)->left_out++;
		return;
	}
	set_target(&flow, config, l, asked);
	known = find_network(audit, config->networks.items[network].key);
	if (count_flow(audit, source_at(audit, source), &flow) && known)
		known->last = now;
}

bool audit_is_empty(const struct audit *audit)
{
	list_each (source, &audit->sources)
		if (source->flows.n || source->left_out)
			return false;
	return !audit->borrowed;
}

/* --- a new file --- */

/* Who has no name is asked for by his network. */
static bool has_source(const struct peers *peers, const struct config *config, struct ip ip)
{
	uint32_t network = network_of(config, ip);

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
		return peers_have_host(peers);
	if (flow->target != AUDIT_ANY)
		return peers_hold(peers, flow->dst);
	for (uint32_t i = 0; i < peers->n; i++)
		outside |= peers->items[i].network == NONE && peers->items[i].net.ip.family;
	return outside;
}

static bool has_port(const struct config *config, const struct policy *p, uint16_t port)
{
	const struct port_range *ports = policy_ports(config, p);

	for (uint32_t i = 0; i < p->n_ports; i++)
		if (ports[i].low <= port && port <= ports[i].high)
			return true;
	return !p->n_ports;
}

static bool is_allowed(const struct config *config, const struct resolution *resolution,
		       struct ip source, const struct audit_flow *flow)
{
	list_each (p, &config->policies) {
		struct resolved r;

		if (p->nat != NAT_NO || p->iface || !policy_has_proto(p, flow->proto) ||
		    (protocol_has_ports(flow->proto) && !has_port(config, p, flow->port)))
			continue;
		r = resolved_policy(resolution, config, p);
		if (!r.waiting && has_source(r.source, config, source) &&
		    has_target(r.target, flow))
			return true;
	}
	return false;
}

/* A container that has lost its name, or got one, begins again. */
static bool is_source(const struct config *config, struct ip ip)
{
	uint32_t network = network_of(config, ip);

	return is_audited(config, network) &&
	       (config_address_of(config, ip) != NONE ||
		ip_equal(config->networks.items[network].ipam[ip_family(ip)].subnet.ip, ip));
}

static void follow_networks(struct audit *now, struct audit *before, const struct config *config,
			    time_t at)
{
	list_each (network, &config->networks) {
		struct audit_network *known = find_network(before, network->key);

		if (network->egress != EGRESS_AUDIT)
			continue;
		*list_add(&now->a, &now->networks) =
			(struct audit_network){.key = arena_strdup(&now->a, network->key),
					       .since = known ? known->since : at,
					       .last = known ? known->last : 0};
	}
}

void audit_follow(struct audit *audit, const struct config *config,
		  const struct resolution *resolution, time_t now)
{
	struct audit before = *audit;

	if (before.digest == config->digest)
		return;
	*audit = (struct audit){.digest = config->digest,
				.changed = config->audits || before.networks.n};
	follow_networks(audit, &before, config, now);
	list_each (source, &before.sources) {
		if (!is_source(config, source->ip))
			continue;
		list_each (flow, &source->flows)
			if (!is_allowed(config, resolution, source->ip, flow))
				*list_add(&audit->a, &source_at(audit, source->ip)->flows) = *flow;
	}
	audit_release(&before);
}

void audit_release(struct audit *audit)
{
	arena_release(&audit->a);
	*audit = (struct audit){0};
}

/* --- a file --- */

static const char head[] = "harborwall-audit 1";

void audit_save(struct buf *out, const struct audit *audit)
{
	buf_printf(out, "%s %016" PRIx64 " %" PRIu64 " %d\n", head, audit->digest, audit->borrowed,
		   audit->incomplete);
	list_each (network, &audit->networks)
		buf_printf(out, "network %" PRId64 " %" PRId64 " %s\n", (int64_t)network->since,
			   (int64_t)network->last, network->key);
	list_each (source, &audit->sources) {
		buf_printf(out, "source %s %" PRIu64 "\n", ip_format(source->ip).s,
			   source->left_out);
		list_each (flow, &source->flows)
			buf_printf(out, "flow %d %s %u %u %" PRIu64 " %" PRId64 " %" PRId64 "\n",
				   flow->target, flow->dst.family ? ip_format(flow->dst).s : "-",
				   flow->proto, flow->port, flow->count, (int64_t)flow->first,
				   (int64_t)flow->last);
	}
}

static bool load_flow(struct audit *audit, struct audit_source *source, const char *line)
{
	unsigned target, proto, port;
	char dst[IP_TEXT_LEN];
	struct audit_flow flow = {0};
	int64_t first, last;

	if (!source || sscanf(line, "flow %u %49s %u %u %" SCNu64 " %" SCNd64 " %" SCNd64, &target,
			      dst, &proto, &port, &flow.count, &first, &last) != 7)
		return false;
	if (target >= N_AUDIT_TARGETS || proto > UINT8_MAX || port > UINT16_MAX ||
	    (strcmp(dst, "-") != 0 && !ip_parse(&flow.dst, dst)) ||
	    !flow.dst.family != (target == AUDIT_HOST || target == AUDIT_ANY))
		return false;
	flow.target = (enum audit_target)target;
	flow.proto = (uint8_t)proto;
	flow.port = (uint16_t)port;
	flow.first = (time_t)first;
	flow.last = (time_t)last;
	count_flow(audit, source, &flow);
	return true;
}

static bool load_line(struct audit *audit, struct audit_source **source, const char *line)
{
	struct audit_network network = {0};
	char text[IP_TEXT_LEN];
	int64_t since, last;
	uint64_t left_out;
	struct ip ip;
	int key = 0;

	if (sscanf(line, "network %" SCNd64 " %" SCNd64 " %n", &since, &last, &key) == 2 && key) {
		network.key = arena_strdup(&audit->a, line + key);
		network.since = (time_t)since;
		network.last = (time_t)last;
		*list_add(&audit->a, &audit->networks) = network;
		return true;
	}
	if (sscanf(line, "source %49s %" SCNu64, text, &left_out) == 2 && ip_parse(&ip, text)) {
		*source = source_at(audit, ip);
		(*source)->left_out = left_out;
		return true;
	}
	return load_flow(audit, *source, line);
}

bool audit_load(struct audit *audit, const char *text)
{
	struct audit_source *source = NULL;
	bool begun = false;

	while (*text) {
		AUTO_RELEASE struct arena scratch = {0};
		size_t len = strcspn(text, "\n");
		const char *line = arena_strndup(&scratch, text, len);
		int incomplete;

		if (!begun) {
			if (strncmp(line, head, sizeof(head) - 1) != 0 ||
			    sscanf(line + sizeof(head) - 1, "%" SCNx64 " %" SCNu64 " %d",
				   &audit->digest, &audit->borrowed, &incomplete) != 3)
				return false;
			audit->incomplete = incomplete;
			begun = true;
		} else if (!load_line(audit, &source, line)) {
			audit->digest = 0; /* compare what there is with any file */
			return false;
		}
		text += len + (text[len] == '\n');
	}
	return begun;
}
