/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file, and what it means on this host: what answers to questions are made of. */
#pragma once

#include "app/pass/pass.h"
#include "core/reach/query.h"

struct look {
	const struct options *options;
	struct arena a;
	struct generation generation;
	bool opened; /* world is open */
	struct world world;
	struct pass pass;
	bool live; /* the host was read; otherwise answers come from the file alone */
	struct reach_pool pool;
	struct reach reach;
};

/*
 * As root, reads the host, unless --engine is given. If the host can't be read, prints why and goes
 * on with the file alone. False: the file is refused; the reason is printed.
 */
MUST_CHECK bool look_open(struct look *look, const struct options *options);
/* The same; the file's tests are not run. */
MUST_CHECK bool look_open_untested(struct look *look, const struct options *options);
void look_close(struct look *look);
/* The file names it, or the host, if it was looked at, has it. */
bool look_has_interface(struct look *look, const char *name);
/* Finds the end of a connection that a name means. */
MUST_CHECK bool look_end(struct look *look, struct reach_end *end, const char *text,
			 struct error *err);
