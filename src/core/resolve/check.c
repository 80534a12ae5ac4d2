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
		families |= 1u << ip_family(peers->items[i].net.ip);
	return families;
}

/* Whom the packets are sent to in the end, and which field says so. */
static const struct peers *destination(const struct policy *p, const struct resolved *out,
				       const char **field)
{
	bool has_target = p->nat != NAT_NO;

	*field = has_target ? "to" : subject_fields[p->kind];
	return has_target ? out->to : out->subject;
}

/* A packet has a source and a destination of one family, and keeps it where it is translated. */
static void warn_of_families(const struct checker *c, const struct resolved *out, uint32_t i)
{
	const char *field;
	const struct peers *to = destination(&c->config->policies.items[i], out, &field);
	unsigned from = families_of(out->from), there = families_of(to);

	if (!from || !there || from & there)
		return;
	diag_at(c->diags, SEVERITY_WARNING, c->text, node_of_policy(c->text, i, NULL),
		"from has only %s addresses, %s only %s: the two share no family, and the policy "
		"changes nothing%s",
		from & 1u << FAMILY_6 ? "IPv6" : "IPv4", field,
		there & 1u << FAMILY_6 ? "IPv6" : "IPv4",
		field[0] == 't' ? " (IPv6 is not translated to IPv4, nor IPv4 to IPv6)" : "");
}

/* Containers of one network reach each other anyway, unless Docker keeps them apart. */
static void warn_of_neighbours(struct checker *c, const struct resolved *out, uint32_t i)
{
	uint32_t network = out->from->network;
	const struct network *n;

	if (network == NONE || out->subject->network != network ||
	    c->config->policies.items[i].nat != NAT_NO || c->beside[network])
		return;
	n = &c->config->networks.items[network];
	if (options_keep_apart(n->options.items, n->options.n))
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
	uint32_t whom = p->nat == NAT_NO ? out->subject->network : out->to->network;
	uint32_t who = out->from->network, beside = NONE;
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
	}
	warn_of_contradictions(diags, config, text, resolution);
}
