/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answer to "would this connection pass, and why", as text and as JSON. Pure. */
#pragma once

#include "base/buf.h"
#include "core/answers/nearest.h"
#include "core/path/path.h"
#include "core/path/traced.h"
#include "core/reach/query.h"

enum answer {
	ANSWER_ALLOWED,
	ANSWER_DENIED,
	ANSWER_PARTLY,
	ANSWER_LEFT, /* the host's own firewall decides; no policy applies */
};
extern const char *const answer_names[]; /* "allowed", "denied", "partly", "left to the host" */

/* What was asked, in one family. */
struct explained {
	uint8_t family;
	struct reach_answer answer;
	enum answer verdict;
	struct reach_flow flow; /* an example of it: a denied flow if there is one */
	struct reach_path path;
	struct nearest nearest;	     /* for a denied flow */
	const char *remedy;	     /* a policy that would admit it; NULL: none could */
	const struct traced *traced; /* the kernel's answer; NULL: it was not asked */
};

struct explanation {
	const struct reach *reach;
	const struct reach_query *query;
	enum answer verdict; /* of everything that was asked about */
	/* In the families that both ends have; one that does not pass comes first. */
	struct explained parts[N_FAMILIES];
	uint32_t n;
};

/* False: the question matches no flow at all. */
bool explain(struct explanation *x, struct arena *a, const struct reach *reach,
	     const struct facts *facts, const struct observed *seen,
	     const struct reach_query *query);
/* All of it passes. Where no policy decides, the kernel's answer counts, if it was asked. */
bool explain_passes(const struct explanation *x);
/* The kernel was asked and answered differently, or not at all. */
bool explain_is_refuted(const struct explanation *x);
void explain_print(struct buf *out, const struct explanation *x);
void explain_print_json(struct buf *out, const struct explanation *x);
