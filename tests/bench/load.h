/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the benches' programs share: a file, loaded and compiled as the program does it, and the
 * kernel's and the engine's side of it made up. What goes wrong here ends the program.
 */
#pragma once

#include "base/buf.h"
#include "core/compile/compile.h"
#include "core/nft/nft.h"
#include "core/plan/plan.h"
#include "core/resolve/resolve.h"

struct loaded {
	struct arena arena;
	struct diags diags;
	struct config config;
	struct config_text text; /* until it is resolved */
	struct resolution resolution;
	struct findings findings;
	struct state want;
};

void load_file(struct buf *text, const char *path);
void load_parse(struct loaded *l, const struct buf *text);
void load_resolve(struct loaded *l);
void load_compile(struct loaded *l, const struct engine *engine, const struct facts *facts);
/* Rules in the kernel's language, as the program makes them before it compares. */
void load_encode(struct loaded *l);
/* One policy in the middle opens another port. */
void load_change_one(struct loaded *l);
/* Of one in the middle: it is gone. The next call takes the next one. */
void load_drop_one(struct loaded *l);

/* Of a host whose Docker of this version writes its drops with iptables-nft. */
struct facts load_facts(uint32_t major);

/* Namespaces as they are wanted, with nothing in them yet. */
void load_empty(struct state *have, struct arena *a, const struct state *want);
/* What dumps would answer after the plan's transactions; all else stands as it is wanted. */
void load_commit(struct state *have, struct arena *a, const struct state *want,
		 const struct plan *plan);

/* ms of the clock and of this thread on a processor. */
struct clocks {
	double wall, cpu;
};
struct clocks clocks_now(void);
/* "name WALL CPU" on stdout: since then, divided by parts. */
void clocks_print(const char *name, struct clocks since, double parts);
