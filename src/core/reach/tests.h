/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file's own tests: what its author expects of connections, compared with what the file does.
 * Pure.
 */
#pragma once

#include "core/reach/path.h"
#include "core/reach/query.h"

struct test_result {
	bool holds;
	const char *what; /* "web -> db 5432/tcp" */
	const char *why; /* why it fails: "web (…) -> db (…) 5432/tcp is open: …"; "": it holds */
};

/* engine, seen: what is known of the host; NULL: use the file alone. */
void reach_test(struct test_result *result, struct arena *a, const struct reach *reach,
		const struct facts *facts, const struct engine *engine, const struct observed *seen,
		const struct flow_test *test);
