/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit as text, a line for each network, source and flow. */
#include "core/logged/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char head[] = "harborwall-audit 1";
/* What lines begin with that are about egress, and about isolation. */
static const char *const network_words[] = {"network", "closed"};
static const char *const source_words[] = {"source", "target"};

void audit_save(struct buf *out, const struct audit *audit)
{
	buf_printf(out, "%s %016" PRIx64 " %" PRIu64 " %d\n", head, audit->digest, audit->borrowed,
		   audit->incomplete);
	list_each (network, &audit->networks)
		buf_printf(out, "%s %" PRId64 " %" PRId64 " %s\n", network_words[network->into],
			   (int64_t)network->since, (int64_t)network->last, network->key);
	list_each (source, &audit->sources) {
		buf_printf(out, "%s %s %" PRIu64 "\n", source_words[source->into],
			   source->ip.family ? ip_format(source->ip).s : "-", source->left_out);
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
	audit_count(audit, source, &flow);
	return true;
}

/* The rest of a line that begins with one of the two words: which of them; NULL: with neither. */
static const char *behind_word(bool *into, const char *line, const char *const words[2])
{
	for (int i = 0; i < 2; i++) {
		size_t len = strlen(words[i]);

		*into = i;
		if (!strncmp(line, words[i], len) && line[len] == ' ')
			return line + len;
	}
	return NULL;
}

static bool load_network(struct audit *audit, const char *line, bool into)
{
	int64_t since, last;
	int key = 0;

	if (sscanf(line, "%" SCNd64 " %" SCNd64 " %n", &since, &last, &key) != 2 || !key)
		return false;
	*list_add(&audit->a, &audit->networks) =
		(struct audit_network){.key = arena_strdup(&audit->a, line + key),
				       .into = into,
				       .since = (time_t)since,
				       .last = (time_t)last};
	return true;
}

static bool load_source(struct audit *audit, struct audit_source **source, const char *line,
			bool into)
{
	char text[IP_TEXT_LEN];
	struct ip ip = {0};
	uint64_t left_out;

	if (sscanf(line, "%49s %" SCNu64, text, &left_out) != 2 ||
	    !(ip_parse(&ip, text) || (into && !strcmp(text, "-"))))
		return false;
	*source = audit_source_at(audit, ip, into);
	(*source)->left_out = left_out;
	return true;
}

static bool load_line(struct audit *audit, struct audit_source **source, const char *line)
{
	const char *rest;
	bool into;

	if ((rest = behind_word(&into, line, network_words)))
		return load_network(audit, rest, into);
	if ((rest = behind_word(&into, line, source_words)))
		return load_source(audit, source, rest, into);
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
