/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pass reports to people, beside its steps. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum finding_kind { FINDING_WAITING, FINDING_CONFLICT, FINDING_WARNING, FINDING_NOTE };

/* What a warning means for its policy, and for the daemon's status. */
enum effect { NO_EFFECT, POLICY_MAY_BE_VOID, POLICY_IS_VOID };

struct finding {
	enum finding_kind kind;
	uint32_t origin;     /* policy index, or NONE */
	const char *subject; /* "policies[3]", "networks.web", "ips[\"10.0.0.2\"]" */
	const char *text;
	enum effect effect;
};

struct findings {
	LIST(struct finding) list;
};

extern const char *const finding_names[];

struct finding *finding_add(struct findings *f, struct arena *a, enum finding_kind kind,
			    uint32_t origin, const char *subject, const char *format, ...)
	PRINTF_LIKE(6, 7);

/* Appended, with all texts. */
void findings_copy(struct findings *to, struct arena *a, const struct findings *from);

/* How a conflict begins that only another backend, kernel or engine could end. */
#define CANNOT "cannot be enforced: "
bool finding_cannot(const struct finding *f);

/* "conflict: networks.web: …", a line. */
void finding_print(struct buf *out, const struct finding *f);

#define finding_of_policy(findings, a, kind, i, ...)                                               \
	finding_add(findings, a, kind, i, arena_printf(a, "policies[%u]", i), __VA_ARGS__)
