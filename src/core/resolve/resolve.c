/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resolves the names of policies. Answers are kept by the name's number, because many policies name
 * the same few things.
 */
#include "core/resolve/impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct peers nobody = {.network = NONE};

/* --- answers that are kept --- */

static const struct peers *ask(struct resolver *r, uint32_t name, enum question question)
{
	const struct peers **known = &r->answers->peers[question][name];

	if (!*known)
		*known = names_find(r, name, config_name(r->config, name), question);
	return *known;
}

/* A prefix match is a guess: say once what it found. A container's addresses are side by side. */
static void note_prefix(struct resolver *r, uint32_t name, enum question question, uint32_t node)
{
	enum { SHOWN = 8 };
	const struct peers *peers = r->answers->peers[question][name];
	const char *found = "";
	uint32_t n = 0, last = 0;

	if (r->noted[question][name])
		return;
	r->noted[question][name] = true;
	for (uint32_t p = 0; p < peers->n && n <= SHOWN; p++) {
		const struct address *at = &r->config->addresses.items[peers->items[p].address];
		uint32_t container = address_container(at);

		if (container != last && n++ < SHOWN)
			found = arena_printf(r->a, "%s%s%s", found, n > 1 ? ", " : "",
					     config_name(r->config, container));
		last = container;
	}
	diag_at(r->diags, SEVERITY_NOTE, r->text, node, "\"%s\" is the beginning of %s%s",
		config_name(r->config, name), found, n > SHOWN ? " and others" : "");
}

/* --- policies --- */

/* Names of containers have neither "/" nor ":", and are seldom of digits and dots alone. */
static bool looks_like_address(const char *text)
{
	return strpbrk(text, "./:") &&
	       strspn(text, "0123456789abcdefABCDEF./:[]") == strlen(text) &&
	       (strchr(text, ':') || strspn(text, "0123456789./") == strlen(text));
}

/* What is wrong with a text that can only be meant as an address; NULL if it may be a name. */
static const char *why_no_address(struct resolver *r, const char *text)
{
	struct prefix prefix;

	if (!prefix_parse_any(&prefix, text))
		return looks_like_address(text)
			       ? arena_printf(r->a, "\"%s\" is not an address; write it as %s",
					      text,
					      strchr(text, ':') ? "fd00:103::2 or fd00:103::/64"
								: "172.18.103.2 or 172.18.103.0/24")
			       : NULL;
	return prefix_is_usable(prefix) ? NULL : prefix_why_unusable(r->a, prefix, text);
}

/* A name of the DNS: "api.example.com". */
static bool looks_like_domain(const char *text)
{
	const char *last = strrchr(text, '.');

	return last && last != text && strlen(last) > 2 &&
	       strspn(last + 1, "abcdefghijklmnopqrstuvwxyz") == strlen(last + 1) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(text);
}

static void say_nobody(struct resolver *r, uint32_t node, enum question question, const char *text,
		       const char *then)
{
	const char *wrong = why_no_address(r, text);

	if (wrong)
		diag_at(r->diags, SEVERITY_ERROR, r->text, node, "%s", wrong);
	else if (question == ASK_TARGETS && looks_like_domain(text))
		diag_at(r->diags, SEVERITY_ERROR, r->text, node,
			"\"%s\": names of the outside world are not looked up; write its addresses "
			"or prefixes, maybe as a list in a file (\"@FILE\")",
			text);
	else if (!strcmp(text, "host"))
		diag_at(r->diags, SEVERITY_WARNING, r->text, node,
			"\"host\" can not be named here: only in \"from\" (but of masquerade) and "
			"in \"to\" without nat; %s",
			then);
	else
		diag_at(r->diags, SEVERITY_WARNING, r->text, node,
			"nothing in this file is named \"%s\"; %s", text, then);
}

static void look_up_at(struct resolver *r, uint32_t node, uint32_t name, enum question question,
		       const char *then)
{
	const struct peers *peers = ask(r, name, question);

	if (!peers->n)
		say_nobody(r, node, question, config_name(r->config, name), then);
	if (peers->match == MATCH_PREFIX)
		note_prefix(r, name, question, node);
}

/* Of its names, each where it stands; once for all policies that name the list. */
static void look_up_members(struct resolver *r, uint32_t name, const struct member_list *list,
			    enum question question)
{
	const struct peers *peers = ask(r, name, question);

	if (r->noted[question][name])
		return;
	r->noted[question][name] = true;
	list_each (member, &list->names)
		look_up_at(r, member->node, member->name, question,
			   peers->n ? "the rest of the list counts" : "the policy waits");
}

static void look_up(struct resolver *r, uint32_t i, const char *field, uint32_t name,
		    enum question question)
{
	const struct member_list *list = config_list(r->config, name);
	const struct peers *peers = ask(r, name, question);

	if (list)
		look_up_members(r, name, list, question);
	else if (!peers->n || peers->match == MATCH_PREFIX) /* only these need a place */
		look_up_at(r, node_of_policy(r->text, i, field), name, question,
			   "the policy waits");
}

static bool has_target(const struct policy *p)
{
	return p->nat == NAT_DNAT || p->to;
}

enum question question_of_source(const struct policy *p)
{
	return p->nat == NAT_MASQUERADE ? ASK_PEERS : ASK_CLIENTS;
}

/* As what its `to` is looked up. */
static enum question question_of_target(const struct policy *p)
{
	return p->nat == NAT_NO ? ASK_TARGETS : ASK_PEERS;
}

static const char *container_of(const struct resolver *r, const struct peers *peers)
{
	const struct address *addresses = r->config->addresses.items;
	uint32_t found = address_container(&addresses[peers->items[0].address]);

	for (uint32_t k = 1; k < peers->n; k++)
		if (found != address_container(&addresses[peers->items[k].address]))
			return NULL; /* several containers: the engine's word decides */
	return config_name(r->config, found);
}

/* `name` is a container: one of the file if possible, otherwise one of the engine. */
static void resolve_name(struct resolver *r, uint32_t name, uint32_t i)
{
	const struct peers *peers = ask(r, name, ASK_CONTAINER);
	const char *found = peers->n ? container_of(r, peers) : NULL;

	r->answers->containers[name] = found ? found : config_name(r->config, name);
	if (found && peers->match == MATCH_PREFIX)
		note_prefix(r, name, ASK_CONTAINER, node_of_policy(r->text, i, "name"));
}

/* What is wrong with the targets of a translation; NULL: nothing. Each family has its own. */
static const char *why_no_targets(struct resolver *r, const struct peers *to, uint32_t name)
{
	uint32_t n[N_FAMILIES] = {0};

	for (uint32_t i = 0; i < to->n; i++) {
		const struct prefix net = to->items[i].net;

		if (!prefix_is_single(net))
			return arena_printf(r->a, "\"%s\" is not a single address",
					    config_list(r->config, name)
						    ? prefix_format(net).s
						    : config_name(r->config, name));
		if (++n[ip_family(net.ip)] > CONFIG_MAX_TARGETS)
			return arena_printf(r->a,
					    "\"%s\" is more than %d addresses: a translation has "
					    "at most so many targets",
					    config_name(r->config, name), CONFIG_MAX_TARGETS);
	}
	return NULL;
}

static void note_shared(struct resolver *r, const struct policy *p)
{
	const struct peers *to = r->answers->peers[ASK_PEERS][p->to];

	for (uint32_t i = 0; to->n > 1 && i < to->n; i++) {
		uint32_t address = to->items[i].address, name = 0;

		if (address != NONE)
			name = address_container(&r->config->addresses.items[address]);
		if (name)
			*list_add(r->a, &r->answers->shared) = config_name(r->config, name);
	}
}

static void resolve_target(struct resolver *r, const struct policy *p, uint32_t i)
{
	const char *wrong;

	look_up(r, i, "to", p->to, question_of_target(p));
	if (p->nat != NAT_DNAT)
		return;
	wrong = why_no_targets(r, r->answers->peers[ASK_PEERS][p->to], p->to);
	if (wrong)
		diag_at(r->diags, SEVERITY_ERROR, r->text, node_of_policy(r->text, i, "to"), "%s",
			wrong);
	else
		note_shared(r, p);
}

/* This host is a source of translations that live on it, and comes in by no interface. */
static void resolve_own(struct resolver *r, const struct policy *p, uint32_t i)
{
	const struct peers *from = r->answers->peers[ASK_CLIENTS][p->from];
	const char *field = NULL, *wrong = NULL;

	if (!from->has_host)
		return;
	if (p->name) {
		field = "name";
		wrong = "what the host itself begins is translated on the host; take \"name\" or "
			"\"host\" out";
	} else if (p->iface && from->n == 1) {
		field = "iface";
		wrong = "what the host itself begins comes in by no interface; leave iface out";
	} else if (!p->iface && from->n > 1) {
		field = "from";
		wrong = "by which interface do the others come in? write \"iface\", or \"from\": "
			"\"host\" alone";
	} else if (!p->n_ports && p->protos & (uint8_t)~PROTOS_OF_ICMP) {
		wrong = "dnat of every port of the host would take all that it asks itself for; "
			"write \"port\" (\"1-65535\" if you mean it)";
	}
	if (wrong)
		diag_at(r->diags, SEVERITY_ERROR, r->text, node_of_policy(r->text, i, field), "%s",
			wrong);
	else if (p->log)
		diag_at(r->diags, SEVERITY_WARNING, r->text, node_of_policy(r->text, i, "log"),
			"what the host itself begins is not logged%s",
			from->n > 1 ? "; what others begin is" : "");
}

/* This host is a source of its own connections: they come in by no interface. */
static void resolve_begun_here(struct resolver *r, const struct policy *p, uint32_t i)
{
	const struct peers *from = r->answers->peers[ASK_CLIENTS][p->from];

	if (!from->has_host)
		return;
	if (p->iface)
		diag_at(r->diags, SEVERITY_ERROR, r->text, node_of_policy(r->text, i, "iface"),
			"what the host itself begins comes in by no interface; take iface or "
			"\"host\" out");
	else if (p->log)
		diag_at(r->diags, SEVERITY_WARNING, r->text, node_of_policy(r->text, i, "log"),
			"what the host itself begins is not logged%s",
			from->n > 1 ? "; what others begin is" : "");
}

static void resolve_policy(struct resolver *r, const struct policy *p, uint32_t i)
{
	if (p->from)
		look_up(r, i, "from", p->from, question_of_source(p));
	if (p->from && p->nat == NAT_DNAT)
		resolve_own(r, p, i);
	else if (p->from && p->nat == NAT_NO)
		resolve_begun_here(r, p, i);
	if (has_target(p))
		resolve_target(r, p, i);
	if (p->subject)
		look_up(r, i, subject_fields[p->kind], p->subject, ASK_SUBJECT);
	if (p->name)
		resolve_name(r, p->name, i);
}

static void wait_for(struct resolved *out, const struct config *config, const char *field,
		     uint32_t name)
{
	if (out->waiting)
		return;
	out->waiting = field;
	out->missing = config_name(config, name);
}

struct resolved resolved_policy(const struct resolution *resolution, const struct config *config,
				const struct policy *p)
{
	struct resolved out = {.subject = &nobody, .from = &nobody, .to = &nobody};

	if (p->from)
		out.from = resolution->peers[question_of_source(p)][p->from];
	if (has_target(p))
		out.to = resolution->peers[question_of_target(p)][p->to];
	if (p->subject)
		out.subject = resolution->peers[ASK_SUBJECT][p->subject];
	if (p->name)
		out.container = resolution->containers[p->name];
	out.source = p->nat == NAT_NO && p->to ? out.subject : out.from;
	out.target = has_target(p) ? out.to : out.subject;
	if (p->from && !out.from->n)
		wait_for(&out, config, "from", p->from);
	if (has_target(p) && !out.to->n)
		wait_for(&out, config, "to", p->to);
	if (p->subject && !out.subject->n)
		wait_for(&out, config, subject_fields[p->kind], p->subject);
	return out;
}

static void sort_shared(name_list *names)
{
	uint32_t n = 0;

	if (names->n)
		qsort(names->items, names->n, sizeof(*names->items), text_order);
	for (uint32_t i = 0; i < names->n; i++)
		if (!n || strcmp(names->items[n - 1], names->items[i]) != 0)
			names->items[n++] = names->items[i];
	names->n = n;
}

void resolve(struct resolution *resolution, struct diags *diags, struct arena *a,
	     const struct config *config, struct config_text *text)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct resolver r = {.a = a,
			     .scratch = &scratch,
			     .diags = diags,
			     .config = config,
			     .text = text,
			     .answers = resolution};

	names_index(&r);
	for (int question = 0; question < N_QUESTIONS; question++) {
		r.noted[question] = arena_array(&scratch, bool, config->names.n);
		resolution->peers[question] = arena_array(a, const struct peers *, config->names.n);
	}
	resolution->containers = arena_array(a, const char *, config->names.n);
	for (uint32_t i = 0; i < config->policies.n; i++)
		if (!config->policies.items[i].broken)
			resolve_policy(&r, &config->policies.items[i], i);
	sort_shared(&resolution->shared);
	resolve_check(resolution, diags, a, config, text);
}

const struct peers *resolve_peers(struct arena *a, const struct config *config, const char *text)
{
	AUTO_RELEASE struct arena scratch = {0};
	struct resolver r = {.a = a, .scratch = &scratch, .config = config};
	uint32_t name = 0;

	list_each (known, &config->names)
		if (*known && !strcmp(*known, text))
			name = (uint32_t)(known - config->names.items);
	names_index(&r);
	return names_find(&r, name, text, ASK_PEERS);
}

bool same_peers(const struct peers *a, const struct peers *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->hash != b->hash || a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (prefix_compare(a->items[i].net, b->items[i].net) != 0)
			return false;
	return true;
}

bool peers_hold(const struct peers *peers, struct ip ip)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (prefix_contains(peers->items[i].net, ip))
			return true;
	return false;
}
