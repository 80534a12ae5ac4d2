/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes policies. The kind of a policy says which of its fields have an effect. */
#include "core/config/fields.h"

#include <string.h>

/* A policy while it is read, and what is only needed until it is complete. */
struct draft {
	struct policy policy;
	struct json_string selector, container_name, service_name, comment; /* all-zero if absent */
	range_list ports; /* valid until the next policy */
	range_list to_ports;
	bool log;
};

enum { IN_ACTION = IN_ALLOW | IN_EGRESS | IN_DNAT | IN_MASQUERADE };
enum { SERVICE_NAME, CONTAINER_NAME, SELECTOR, FROM, NAT, TO };

/* The three names of the subject are always allowed: people use the others as notes. */
static const struct field policy_fields[] = {
	[SERVICE_NAME] = FIELD(draft, service_name, decode_subject, EVERYWHERE),
	[CONTAINER_NAME] = FIELD(draft, container_name, decode_subject, EVERYWHERE),
	[SELECTOR] = FIELD(draft, selector, decode_subject, EVERYWHERE),
	[FROM] =
		NAMED(draft, "from", policy.from, decode_peers, IN_ALLOW | IN_DNAT | IN_MASQUERADE),
	[NAT] = NAMED(draft, "nat", policy.nat, decode_nat, EVERYWHERE),
	[TO] = NAMED(draft, "to", policy.to, decode_peers, IN_EGRESS | IN_DNAT | IN_MASQUERADE),
	NAMED(draft, "port", ports, decode_port_list, IN_ACTION),
	NAMED(draft, "proto", policy.protos, decode_protos, IN_ACTION),
	FIELD(draft, comment, decode_comment, EVERYWHERE),
	NAMED(draft, "name", policy.name, decode_number, IN_DNAT | IN_MASQUERADE),
	NAMED(draft, "iface", policy.iface, decode_ifnumber, IN_ALLOW | IN_DNAT | IN_MASQUERADE),
	NAMED(draft, "to_port", to_ports, decode_port_list, IN_DNAT),
	NAMED(draft, "masquerade", policy.masquerade, decode_masquerade, IN_DNAT),
	FIELD(draft, log, decode_bool, IN_ACTION),
};

static const struct kind policy_kind = {policy_fields, COUNT_OF(policy_fields)};

const char *const subject_fields[] = {
	[SUBJECT_NONE] = "service_name",
	[SUBJECT_SERVICE] = "service_name",
	[SUBJECT_CONTAINER] = "container_name",
	[SUBJECT_SELECTOR] = "selector",
};

static void put_subject(struct decoder *d, struct policy *p, enum subject kind,
			struct json_string name)
{
	p->kind = kind & 3;
	p->subject = keep_name(d, name.text, name.len)->number;
}

static void put_comment(struct decoder *d, struct policy *p, struct json_string comment)
{
	char *copy;

	if (!d->comments.len)
		buf_add(&d->comments, "", 1); /* offset 0 means "no comment" */
	p->comment = (uint32_t)d->comments.len;
	copy = buf_take(&d->comments, comment.len + 1);
	memcpy(copy, comment.text, comment.len);
	copy[comment.len] = '\0';
}

/* Without proto: tcp for what is admitted or translated, every protocol for masquerading. */
static uint8_t usual_protos(const struct policy *p)
{
	return p->nat == NAT_MASQUERADE && !p->n_ports ? PROTO_ANY : PROTO_TCP;
}

/* The kind of the policy. */
static uint8_t kind_of_policy(const struct policy *p, const struct reading *r)
{
	if (p->nat == NAT_DNAT)
		return IN_DNAT;
	if (p->nat == NAT_MASQUERADE)
		return IN_MASQUERADE;
	if (is_given(r, FROM))
		return IN_ALLOW;
	return is_given(r, TO) ? IN_EGRESS : IN_NOTHING;
}

static void check_fields(struct decoder *d, const struct policy *p, const struct reading *r,
			 uint32_t node)
{
	uint8_t where = kind_of_policy(p, r);

	if (is_given(r, TO) && where == IN_ALLOW) {
		wrong_key(d, json_member(json_of(d), node, "to"),
			  "from and to without nat: from says who may reach the subject, to whom "
			  "it may reach; write two policies");
		return;
	}
	refuse_without_effect(d, r, node, where,
			      where == IN_MASQUERADE ? "on masquerade; leave it out"
			      : where & (IN_ALLOW | IN_EGRESS)
				      ? "without nat; leave it out"
				      : "without from, to or nat; write one of them");
}

/* Masquerading admits nothing that could be logged. */
static void put_log(struct decoder *d, struct config *config, struct policy *p, bool log,
		    uint32_t node)
{
	p->log = log;
	config->logs |= log;
	if (log && p->nat == NAT_MASQUERADE)
		diag_at(d->diags, SEVERITY_WARNING, d->text, json_member(json_of(d), node, "log"),
			"masquerading admits nothing, so nothing of it is logged; write \"log\" on "
			"the policies that admit these connections");
}

void decode_policy(struct decoder *d, struct config *config, uint32_t node)
{
	struct draft draft = {.ports = {.items = d->ports.items, .cap = d->ports.cap}};
	struct policy *p = &draft.policy;
	uint32_t errors = d->diags->n_errors;
	struct reading r = {.kind = &policy_kind};

	/* an invalid policy keeps its number, so that the numbers of all others are right */
	decode_object(d, &r, node, &draft);
	p->line = json_of(d)->nodes[node].line;
	if (draft.selector.text)
		put_subject(d, p, SUBJECT_SELECTOR, draft.selector);
	else if (draft.container_name.text)
		put_subject(d, p, SUBJECT_CONTAINER, draft.container_name);
	else if (draft.service_name.text)
		put_subject(d, p, SUBJECT_SERVICE, draft.service_name);
	if (d->diags->n_errors == errors)
		put_ports(d, config, p, &draft.ports, &draft.to_ports, node);
	d->ports = draft.ports;
	if (draft.comment.text)
		put_comment(d, p, draft.comment);
	p->protos = p->protos ? p->protos : usual_protos(p);
	if (d->diags->n_errors == errors)
		check_fields(d, p, &r, node);
	put_log(d, config, p, draft.log, node);
	p->broken = d->diags->n_errors > errors;
	*list_add(d->a, &config->policies) = *p;
}
