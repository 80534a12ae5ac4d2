/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Warnings that need resolved names: policies without effect, and those that contradict. */
#include "core/config/drivers.h"
#include "core/resolve/idle.h"

#include <string.h>

struct checker {
	struct arena *a, *scratch;
	struct diags *diags;
	const struct config *config;
	struct config_text *text;
	const struct resolution *resolution;
	const bool *beside; /* of each network: its packets do not pass this host */
};

/* --- policies without effect --- */

static unsigned families_of(const struct peers *peers)
{
	unsigned families = 0;

	for (uint32_t i = 0; i < peers->n; i++)
		families |= peers->items[i].net.ip.family
				    ? 1u << ip_family(peers->items[i].net.ip)
				    : 1u << FAMILY_4 | 1u << FAMILY_6; /* this host has both */
	return families;
}

/* Whom the packets are sent to in the end, and which field says so. */
static const struct peers *destination(const struct policy *p, const struct resolved *out,
				       const char **field)
{
	bool has_target = p->nat != NAT_NO || p->to;

	*field = has_target ? "to" : subject_fields[p->kind];
	return has_target ? out->to : out->subject;
}

/* A packet has a source and a destination of one family, and keeps it where it is translated. */
static void warn_of_families(const struct checker *c, const struct resolved *out, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	const char *field;
	const struct peers *to = destination(p, out, &field);
	unsigned from = families_of(out->source), there = families_of(to);

	if (!from || !there || from & there)
		return;
	diag_at(c->diags, SEVERITY_WARNING, c->text, node_of_policy(c->text, i, NULL),
		"%s has only %s addresses, %s only %s: the two share no family, and the policy "
		"changes nothing%s",
		p->nat == NAT_NO && p->to ? subject_fields[p->kind] : "from",
		from & 1u << FAMILY_6 ? "IPv6" : "IPv4", field,
		there & 1u << FAMILY_6 ? "IPv6" : "IPv4",
		field[0] == 't' ? " (IPv6 is not translated to IPv4, nor IPv4 to IPv6)" : "");
}

/* Containers of one network reach each other anyway, unless Docker keeps them apart. */
static void warn_of_neighbours(struct checker *c, const struct resolved *out, uint32_t i)
{
	uint32_t network = out->source->network;
	const struct network *n;

	if (network == NONE || out->target->network != network ||
	    c->config->policies.items[i].nat != NAT_NO || c->beside[network])
		return;
	n = &c->config->networks.items[network];
	if (n->isolation == ISOLATION_STRICT || n->isolation == ISOLATION_AUDIT ||
	    options_keep_apart(&n->options))
		return;
	diag_at(c->diags, SEVERITY_WARNING, c->text, node_of_policy(c->text, i, NULL),
		"both ends are on %s, whose containers reach each other anyway; this policy "
		"changes nothing (unless that network stands with enable_icc=false)",
		n->name);
}

/* Networks whose packets do not pass this host: nothing here opens or closes them. */
static void warn_of_passers_by(struct checker *c, const struct resolved *out, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	uint32_t whom = p->nat == NAT_NO ? out->target->network : out->to->network;
	uint32_t who = out->source->network, beside = NONE;
	const char *what;

	if (whom != NONE && c->beside[whom]) {
		beside = whom;
		what = p->nat == NAT_NO ? "what goes there does not pass this host, and the policy "
					  "neither opens nor closes anything"
					: "this host reaches its containers only over another "
					  "interface than its parent";
	} else if (who != NONE && c->beside[who]) {
		beside = who;
		what = "what comes from there does not pass this host, unless a router outside "
		       "sends it here";
	}
	if (beside != NONE && (p->nat == NAT_NO || (p->iface && !p->name)))
		diag_at(c->diags, SEVERITY_WARNING, c->text, node_of_policy(c->text, i, NULL),
			"%s has driver %s: %s", c->config->networks.items[beside].name,
			c->config->networks.items[beside].driver, what);
}

/* What `to` without nat opens nobody closes, but where egress is deny or another network is the
 * target.
 */
static void warn_of_open_egress(const struct checker *c, const struct resolved *out, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];
	bool inside = false, closed = false;

	if (p->nat != NAT_NO || !p->to || out->waiting)
		return;
	for (uint32_t k = 0; k < out->target->n; k++) {
		uint32_t network = out->target->items[k].network;

		inside |= network != NONE && !c->beside[network];
	}
	for (uint32_t k = 0; k < out->source->n; k++) {
		uint32_t network = out->source->items[k].network;

		closed |=
			network != NONE && c->config->networks.items[network].egress != EGRESS_OPEN;
	}
	if (!inside && !closed)
		diag_at(c->diags, SEVERITY_WARNING, c->text, node_of_policy(c->text, i, NULL),
			"no network of \"%s\" has \"egress\": \"deny\": nothing here keeps it from "
			"there, and the policy changes nothing",
			config_label(c->config, p->subject));
}

/* What this host begins only strict networks close, with "host": false. */
static void warn_of_open_host(const struct checker *c, const struct resolved *out, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];

	if (p->nat != NAT_NO || !p->from || out->waiting || !out->source->has_host)
		return;
	for (uint32_t k = 0; k < out->target->n; k++) {
		uint32_t network = out->target->items[k].network;

		if (network != NONE && network_minds_host(&c->config->networks.items[network]))
			return;
	}
	diag_at(c->diags, SEVERITY_WARNING, c->text,
		node_of_policy(c->text, i, out->source->n > 1 ? "from" : NULL),
		"nothing keeps this host from \"%s\", whose network has no \"host\": false; %s",
		config_label(c->config, p->subject),
		out->source->n > 1 ? "\"host\" changes nothing here"
				   : "the policy changes nothing");
}

/* What goes to a gateway goes to this host, which only "host" opens. */
static void warn_of_gateways(const struct checker *c, const struct resolved *out, uint32_t i)
{
	const struct policy *p = &c->config->policies.items[i];

	for (uint32_t k = 0; p->nat == NAT_NO && p->to && k < out->target->n; k++) {
		const struct peer *peer = &out->target->items[k];
		enum family f = ip_family(peer->net.ip);

		if (peer->network != NONE && prefix_is_single(peer->net) &&
		    ip_equal(peer->net.ip,
			     c->config->networks.items[peer->network].ipam[f].gateway))
			diag_at(c->diags, SEVERITY_WARNING, c->text,
				node_of_policy(c->text, i, "to"),
				"%s is this host's own address there, which this does not open; "
				"write \"host\"",
				ip_format(peer->net.ip).s);
	}
}

static const bool *find_beside(struct arena *scratch, const struct config *config)
{
	bool *beside = arena_array(scratch, bool, config->networks.n);

	for (uint32_t i = 0; i < config->networks.n; i++)
		beside[i] = driver_passes_by(config->networks.items[i].driver);
	return beside;
}

void resolve_check(const struct resolution *resolution, struct diags *diags, struct arena *a,
		   const struct config *config, struct config_text *text)
{
	AUTO_RELEASE struct arena scratch = {0};
	uint32_t n = config->policies.n;
	struct checker c = {.a = a,
			    .scratch = &scratch,
			    .diags = diags,
			    .config = config,
			    .text = text,
			    .resolution = resolution,
			    .beside = find_beside(&scratch, config)};

	for (uint32_t i = 0; i < n; i++) {
		const struct policy *p = &config->policies.items[i];
		struct resolved r;

		if (p->broken)
			continue;
		r = resolved_policy(resolution, config, p);
		warn_of_families(&c, &r, i);
		warn_of_neighbours(&c, &r, i);
		warn_of_passers_by(&c, &r, i);
		warn_of_open_egress(&c, &r, i);
		warn_of_open_host(&c, &r, i);
		warn_of_gateways(&c, &r, i);
	}
	warn_of_contradictions(diags, config, text, resolution);
}
