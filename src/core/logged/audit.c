/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/logged/audit.h"

#include "base/hash.h"

#include <string.h>

static uint64_t source_hash(struct ip ip, bool into)
{
	return hash_word(hash_more(HASH_START, &ip, sizeof(ip)), into);
}

struct audit_source *audit_source_at(struct audit *audit, struct ip ip, bool into)
{
	const struct audit_source *all = audit->sources.items;
	uint32_t i = hash_index_find(&audit->by_ip, source_hash(ip, into), k,
				     all[k].into == into && ip_equal(all[k].ip, ip));
	struct audit_source *source;

	if (i != NONE)
		return &audit->sources.items[i];
	source = list_add(&audit->a, &audit->sources);
	*source = (struct audit_source){.ip = ip, .into = into};
	hash_index_grow(&audit->by_ip, &audit->a, &audit->sources, k,
			source_hash(audit->sources.items[k].ip, audit->sources.items[k].into));
	return source;
}

static uint32_t network_of(const struct config *config, struct ip ip)
{
	return config_network_of(config, prefix_of(ip));
}

static bool is_audited(const struct config *config, uint32_t network, bool into)
{
	const struct network *n = network == NONE ? NULL : &config->networks.items[network];

	return n && (into ? n->isolation == ISOLATION_AUDIT : n->egress == EGRESS_AUDIT);
}

static struct audit_network *find_network(struct audit *audit, const char *key, bool into)
{
	list_each (network, &audit->networks)
		if (network->into == into && !strcmp(network->key, key))
			return network;
	return NULL;
}

/* Who has no name goes by the network. */
static struct ip entry_of(const struct config *config, struct ip ip)
{
	if (config_address_of(config, ip) != NONE)
		return ip;
	return config->networks.items[network_of(config, ip)].ipam[ip_family(ip)].subnet.ip;
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

static bool has_room(const struct audit_source *source, const struct audit_flow *flow)
{
	uint32_t n = 0;

	if (!source->into)
		return source->flows.n < AUDIT_FLOWS;
	list_each (other, &source->flows)
		n += other->target == flow->target && ip_equal(other->dst, flow->dst);
	return n < AUDIT_OF_PEER && source->flows.n < AUDIT_FLOWS_INTO;
}

bool audit_count(struct audit *audit, struct audit_source *source, const struct audit_flow *flow)
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
	if (!has_room(source, flow)) {
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

static struct audit_flow flow_of(const struct logged *l, time_t now)
{
	return (struct audit_flow){.proto = l->proto,
				   .port = l->port,
				   .dst = l->dst,
				   .count = 1,
				   .first = now,
				   .last = now};
}

static void count_new(struct audit *audit, const char *network, struct ip ip, bool into,
		      const struct audit_flow *flow)
{
	struct audit_network *known = find_network(audit, network, into);

	if (audit_count(audit, audit_source_at(audit, ip, into), flow) && known)
		known->last = flow->last;
}

/* --- what gets in --- */

/*
 * Between networks the kernel knows what policies admit. Of what stays in one it does not, because
 * there no policy is needed before the network is strict.
 */
static bool is_refused(struct audit *audit, const struct config *config,
		       const struct resolution *resolution, const struct logged *l,
		       const struct audit_source *container, const struct audit_flow *flow)
{
	if (frames_were_allowed(audit->frames, l))
		return false;
	if (find_flow(audit_source_at(audit, container->ip, true), flow))
		return true;
	if (!frames_may_check(audit->frames, l, config->policies.n, flow->last)) {
		audit->incomplete = true;
		return false;
	}
	if (!audit_allowed(config, resolution, container, flow))
		return true;
	frames_note_allowed(audit->frames, l);
	return false;
}

static bool is_frame(const struct logged *l)
{
	return l->why == LOGGED_AUDIT_FRAME || l->why == LOGGED_AUDIT_SAMPLE;
}

/* A fragment does not say whose it is. */
static bool begins_talk(struct audit *audit, struct logged *l, time_t now)
{
	if (l->why == LOGGED_AUDIT_FRAME)
		return true;
	return (!protocol_has_ports(l->proto) || l->port || l->sport) &&
	       frames_begin(audit->frames, l, now);
}

static void note_into(struct audit *audit, const struct config *config,
		      const struct resolution *resolution, struct logged l, time_t now)
{
	uint32_t from, there;
	struct audit_source asked = {.into = true};
	struct audit_flow flow;

	if (!audit->frames)
		audit->frames = arena_array(&audit->a, struct frames, 1);
	if (is_frame(&l) && !begins_talk(audit, &l, now))
		return;
	from = network_of(config, l.src);
	there = network_of(config, l.dst);
	flow = flow_of(&l, now);
	flow.target = from == NONE ? AUDIT_OUTSIDE : AUDIT_NETWORK;
	flow.dst = l.src;
	if (l.why == LOGGED_AUDIT_SERVED) {
		audit->changed = true;
		audit_count(audit, audit_source_at(audit, asked.ip, true), &flow);
		return;
	}
	if (!is_audited(config, there, true) || (is_frame(&l) && from != there)) {
		audit->changed = true;
		audit->borrowed++;
		return;
	}
	asked.ip = entry_of(config, l.dst);
	if (l.why == LOGGED_AUDIT_BY_HOST) {
		flow.target = AUDIT_HOST;
		flow.dst = (struct ip){0};
	}
	if (from == there && flow.target != AUDIT_HOST &&
	    !is_refused(audit, config, resolution, &l, &asked, &flow))
		return;
	audit->changed = true;
	count_new(audit, config->networks.items[there].key, asked.ip, true, &flow);
}

/* --- what goes out --- */

static void note_out(struct audit *audit, const struct config *config, const struct logged *l,
		     time_t now)
{
	uint32_t network = network_of(config, l->src);
	struct audit_flow flow = flow_of(l, now);
	const struct audit_asked *asked = NULL;
	struct ip source;

	audit->changed = true;
	if (l->why == LOGGED_AUDIT_BORROWED || !is_audited(config, network, false)) {
		audit->borrowed++;
		return;
	}
	source = entry_of(config, l->src);
	if (l->why == LOGGED_AUDIT_DNAT && !(asked = find_asked(audit, l))) {
		audit_source_at(audit, source, false)->left_out++;
		return;
	}
	set_target(&flow, config, l, asked);
	count_new(audit, config->networks.items[network].key, source, false, &flow);
}

void audit_note(struct audit *audit, const struct config *config,
		const struct resolution *resolution, const struct logged *logged, time_t now)
{
	if (logged->why == LOGGED_AUDIT_ASKED)
		note_asked(audit, logged);
	else if (logged->why >= LOGGED_AUDIT_INTO)
		note_into(audit, config, resolution, *logged, now);
	else
		note_out(audit, config, logged, now);
}

bool audit_refuses(const struct audit *audit, bool into)
{
	list_each (source, &audit->sources)
		if (source->into == into && (source->flows.n || source->left_out))
			return true;
	return false;
}

bool audit_is_empty(const struct audit *audit)
{
	return !audit_refuses(audit, false) && !audit_refuses(audit, true) && !audit->borrowed;
}

/* --- a new file --- */

/* A container that has lost its name, or got one, begins again. */
static bool is_source(const struct config *config, const struct audit_source *source)
{
	if (!source->ip.family)
		return config->watches;
	return is_audited(config, network_of(config, source->ip), source->into) &&
	       ip_equal(entry_of(config, source->ip), source->ip);
}

static void follow_network(struct audit *now, struct audit *before, const char *key, bool into,
			   time_t at)
{
	struct audit_network *known = find_network(before, key, into);

	*list_add(&now->a, &now->networks) =
		(struct audit_network){.key = arena_strdup(&now->a, key),
				       .into = into,
				       .since = known ? known->since : at,
				       .last = known ? known->last : 0};
}

static void follow_networks(struct audit *now, struct audit *before, const struct config *config,
			    time_t at)
{
	for (uint32_t i = 0; i < config->networks.n; i++)
		for (int into = 0; into < 2; into++)
			if (is_audited(config, i, into))
				follow_network(now, before, config->networks.items[i].key, into,
					       at);
}

void audit_follow(struct audit *audit, const struct config *config,
		  const struct resolution *resolution, time_t now)
{
	struct audit before = *audit;

	if (before.digest == config->digest)
		return;
	*audit = (struct audit){.digest = config->digest,
				.changed = config->audits || config->watches || before.networks.n};
	follow_networks(audit, &before, config, now);
	list_each (source, &before.sources) {
		if (!is_source(config, source))
			continue;
		list_each (flow, &source->flows)
			if (!audit_allowed(config, resolution, source, flow))
				*list_add(
					&audit->a,
					&audit_source_at(audit, source->ip, source->into)->flows) =
					*flow;
	}
	audit_release(&before);
}

void audit_release(struct audit *audit)
{
	arena_release(&audit->a);
	*audit = (struct audit){0};
}
