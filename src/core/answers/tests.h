/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file's own tests: what its author expects of connections, compared with what the file does.
 * Pure.
 */
#pragma once

#include "core/path/traced.h"
#include "core/reach/query.h"

struct test_result {
	bool holds;
	const char *what; /* "web -> db 5432/tcp" */
	const char *why; /* why it fails: "web (…) -> db (…) 5432/tcp is open: …"; "": it holds */
};

/* By the file alone, on a host that is unknown. */
void reach_test(struct test_result *result, struct arena *a, const struct reach *reach,
		const struct facts *facts, const struct flow_test *test);

/* One flow of a test that was tried on a host. */
struct test_try {
	struct reach_flow flow;
	struct reach_path path; /* the prediction from all that is known of the host */
	struct traced traced;	/* by the kernel */
};

/* The flows of a test that this host can try (core/reach/query.h). */
bool reach_test_tries(flow_list *flows, struct arena *a, const struct reach *reach,
		      const struct engine *engine, const struct flow_test *test);
/* One flow of it, that speaks against it if there is such. False: it has none. */
bool reach_test_example(struct reach_flow *flow, struct arena *a, const struct reach *reach,
			const struct engine *engine, const struct flow_test *test);
/* What speaks against the test; NULL: nothing. */
const char *reach_test_refuted(struct arena *a, const struct reach *reach,
			       const struct flow_test *test, const struct test_try *try);
/* The kernel told, and what it told is not what the path predicts. */
bool reach_test_differs(const struct test_try *try);
/* "web (172.18.0.2) -> db (172.18.1.2) 5432/tcp" */
const char *reach_flow_text(struct arena *a, const struct reach *reach,
			    const struct reach_flow *flow);
