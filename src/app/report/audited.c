/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/audited.h"

#include "base/foreign.h"
#include "base/log.h"
#include "core/logged/advice.h"

#include <string.h>

static const char *state_of(const struct audit *audit, const char *blind)
{
	if (blind || !audit->networks.n)
		return "blind";
	return audit_is_empty(audit) ? "nothing" : "refused";
}

static const char *why_blind(const char *blind)
{
	return blind ? blind : "no network of the file has \"egress\" or \"isolation\" \"audit\"";
}

static const char *service(struct arena *a, const struct audit_flow *flow)
{
	const struct logged logged = {.proto = flow->proto};
	const char *proto = logged_protocol(a, &logged);

	return protocol_has_ports(flow->proto) ? arena_printf(a, "%u/%s", flow->port, proto)
					       : proto;
}

static const char *peer(struct arena *a, const struct config *config, const struct audit_flow *flow)
{
	return flow->target == AUDIT_ANY ? "many addresses of the outside"
					 : audit_target_name(a, config, flow);
}

static uint64_t left_out(const struct audit *audit)
{
	uint64_t n = 0;

	list_each (source, &audit->sources)
		n += source->left_out;
	return n;
}

/* --- for people --- */

static const char *times(struct arena *a, uint64_t n)
{
	return arena_printf(a, "%llu time%s", (unsigned long long)n, n == 1 ? "" : "s");
}

static void print_networks(struct buf *out, struct arena *a, const struct audit *audit)
{
	list_each (network, &audit->networks)
		buf_line(out, "network %s: %saudited since %s, %s%s", network->key,
			 network->into ? "isolation " : "", log_time(a, network->since),
			 network->last ? "something new last at " : "nothing seen",
			 network->last ? log_time(a, network->last) : "");
}

static void print_flow(struct buf *out, struct arena *a, const struct config *config,
		       const struct audit_source *source, const struct audit_flow *flow)
{
	const char *why_not = audit_without_policy(config, source, flow);
	const char *name = audit_source_name(a, config, source->ip);

	buf_line(out, "  %s -> %s %s  %s, last at %s%s",
		 source->into ? peer(a, config, flow) : name,
		 source->into ? name : peer(a, config, flow), service(a, flow),
		 times(a, flow->count), log_time(a, flow->last),
		 why_not ? arena_printf(a, "  (%s)", why_not) : "");
}

static void print_flows(struct buf *out, struct arena *a, const struct audit *audit,
			const struct config *config, bool into)
{
	if (audit_refuses(audit, into))
		buf_line(out, "refused by %s would be:",
			 into ? "\"isolation\": \"strict\"" : "\"egress\": \"deny\"");
	list_each (source, &audit->sources) {
		const char *name = audit_source_name(a, config, source->ip);

		if (source->into != into)
			continue;
		list_each (flow, &source->flows)
			print_flow(out, a, config, source, flow);
		if (source->left_out)
			buf_line(out,
				 into ? "  more sources and ports than are listed -> %s  %s"
				      : "  %s -> more targets and ports than are listed  %s",
				 name, times(a, source->left_out));
	}
}

static void print_borrowed(struct buf *out, struct arena *a, const struct audit *audit)
{
	if (audit->borrowed)
		buf_line(out, "  from addresses that no policy can name (borrowed, link-local)  %s",
			 times(a, audit->borrowed));
}

void audited_print(struct buf *out, const struct audit *audit, const struct config *config,
		   const char *blind)
{
	AUTO_RELEASE struct arena a = {0};
	const char *state = state_of(audit, blind);
	advice_list advice = {0};

	if (!strcmp(state, "blind")) {
		buf_line(out, "blind: %s", why_blind(blind));
		return;
	}
	if (!strcmp(state, "nothing"))
		buf_line(out, "nothing would be refused");
	for (int into = 0; into < 2; into++)
		print_flows(out, &a, audit, config, into);
	print_borrowed(out, &a, audit);
	print_networks(out, &a, audit);
	if (audit->incomplete)
		buf_line(out, "perhaps not complete: more began in a second than the kernel "
			      "reports of every source");
	advice_make(&advice, &a, audit, config);
	if (!advice.n)
		return;
	buf_puts(out, "\nto allow it, add to \"policies\" what shall stay:\n");
	advice_print(out, &advice, "    ");
	buf_puts(out, "\n");
}

/* --- for programs --- */

/* By into. */
static const char *const audited_words[] = {"egress", "isolation"};

static void json_networks(struct buf *out, struct arena *a, const struct audit *audit)
{
	buf_puts(out, ",\n  \"networks\": [");
	list_each (network, &audit->networks) {
		buf_puts(out, network == audit->networks.items ? "\n    " : ",\n    ");
		buf_json_member(out, "{", "network", network->key);
		buf_json_member(out, ", ", "audited", audited_words[network->into]);
		buf_json_member(out, ", ", "since", log_time(a, network->since));
		if (network->last)
			buf_json_member(out, ", ", "last_new", log_time(a, network->last));
		buf_puts(out, "}");
	}
	buf_puts(out, audit->networks.n ? "\n  ]" : "]");
}

static void json_flow(struct buf *out, struct arena *a, const struct config *config,
		      const struct audit_source *source, const struct audit_flow *flow)
{
	static const char *const kinds[] = {[AUDIT_NETWORK] = "network",
					    [AUDIT_HOST] = "host",
					    [AUDIT_OUTSIDE] = "outside",
					    [AUDIT_ANY] = "outside"};

	const char *name = audit_source_name(a, config, source->ip);
	const char *other = audit_target_name(a, config, flow);
	struct ip address = source->into ? flow->dst : source->ip;

	buf_json_member(out, "    {", "refused_by", audited_words[source->into]);
	buf_json_member(out, ", ", "source", source->into ? other : name);
	if (address.family)
		buf_json_member(out, ", ", "address", ip_format(address).s);
	buf_json_member(out, ", ", "destination", source->into ? name : other);
	buf_json_member(out, ", ", "kind", kinds[flow->target]);
	buf_json_member(out, ", ", "protocol",
			logged_protocol(a, &(struct logged){.proto = flow->proto}));
	buf_printf(out, ", \"port\": %u, \"count\": %llu", flow->port,
		   (unsigned long long)flow->count);
	buf_json_member(out, ", ", "first", log_time(a, flow->first));
	buf_json_member(out, ", ", "last", log_time(a, flow->last));
	buf_puts(out, "}");
}

static void json_flows(struct buf *out, struct arena *a, const struct audit *audit,
		       const struct config *config)
{
	const char *comma = "\n";

	buf_puts(out, ",\n  \"flows\": [");
	list_each (source, &audit->sources)
		list_each (flow, &source->flows) {
			buf_puts(out, comma);
			json_flow(out, a, config, source, flow);
			comma = ",\n";
		}
	buf_puts(out, *comma == ',' ? "\n  ]" : "]");
}

void audited_print_json(struct buf *out, const struct audit *audit, const struct config *config,
			const char *blind)
{
	AUTO_RELEASE struct arena a = {0};
	const char *state = state_of(audit, blind);
	advice_list advice = {0};

	buf_printf(out, "{\n  \"state\": \"%s\"", state);
	if (!strcmp(state, "blind"))
		buf_json_member(out, ",\n  ", "error", why_blind(blind));
	json_networks(out, &a, audit);
	json_flows(out, &a, audit, config);
	buf_printf(out, ",\n  \"left_out\": %llu,\n  \"borrowed\": %llu,\n  \"complete\": %s",
		   (unsigned long long)left_out(audit), (unsigned long long)audit->borrowed,
		   audit->incomplete ? "false" : "true");
	advice_make(&advice, &a, audit, config);
	buf_puts(out, advice.n ? ",\n  \"policies\": [\n" : ",\n  \"policies\": [");
	advice_print(out, &advice, "    ");
	buf_puts(out, advice.n ? "\n  ]\n}\n" : "]\n}\n");
}
