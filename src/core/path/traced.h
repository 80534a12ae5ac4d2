/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel did with one packet (core/nft/trace.h), compared with the prediction. Pure. */
#pragma once

#include "core/nft/probe.h"
#include "core/path/path.h"

/* A rule as text; NULL: we can't decode it. */
struct traced_rule {
	const char *text;
	uint32_t policy; /* the policy that the rule belongs to, or NONE */
};

struct traced {
	const char *unsent; /* why no packet was sent, and a remedy; NULL: one was sent */
	const char *sender; /* the container that sent it; NULL: this host */
	struct probe_flow sent;
	const char *refused;  /* why the sender's own namespace kept it; NULL: it did not */
	bool goes_otherwise;  /* … for what it sends there has another source */
	const char *in, *out; /* interfaces where it came and would leave; "": not seen */
	bool legacy;	      /* iptables-legacy has rules there: nobody tells of these */
	bool drifted;	      /* the host is not as the file says */
	struct trace trace;
	const struct traced_rule *rules; /* of each of its steps; NULL: not read yet */
};

enum traced_verdict { TRACED_UNKNOWN, TRACED_PASSED, TRACED_STOPPED };
extern const char *const traced_verdicts[]; /* "unknown", "passed", "stopped" */

enum traced_verdict traced_verdict(const struct traced *t);
/* What a path predicts for the host alone: the packet never enters a container. */
enum traced_verdict traced_expected(const struct reach_path *path);
/* The kernel's verdict is known, and agrees with the prediction, if there is one. */
bool traced_agrees(const struct traced *t, const struct reach_path *path, bool predicted);

/* What ended it, or where it came to, in words. Rules are told by their text if they were read. */
const char *traced_end(struct arena *a, const struct traced *t);

/*
 * The rule of a chain by its handle. table: as it was read. want: for table harborwall the compiled
 * one, otherwise NULL. save: for an iptables table the output of iptables-save, otherwise NULL.
 */
struct traced_rule traced_rule(struct arena *a, const struct ruleset *table,
			       const struct trace_step *step, const struct ruleset *want,
			       const char *save);

void traced_print(struct buf *out, const struct traced *t, const struct reach_path *path,
		  bool predicted);
/* Prints a member "packet" of an object, with a comma after it. */
void traced_print_json(struct buf *out, const struct traced *t, const struct reach_path *path,
		       bool predicted);
