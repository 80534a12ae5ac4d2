/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that core does for a file, stage by stage, without kernel and engine:
 *     stages NETWORKS_JSON ENGINE_NETWORKS ENGINE_CONTAINERS [ROUNDS]
 * prints "stage WALL CPU" (ms) for every round; under callgrind, every stage is a dump of its own,
 * named so. The engine's files are its answers to GET /networks and GET /containers/json.
 */
#include "bench/load.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

enum { ENGINE_MAJOR = 28 }; /* with raw drops: the longest way */

static struct clocks started;

static void begin(void)
{
	started = clocks_now();
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
}

static void end(const char *stage)
{
	CALLGRIND_DUMP_STATS_AT(stage);
	CALLGRIND_STOP_INSTRUMENTATION;
	clocks_print(stage, started, 1);
}

static struct arena tree; /* of the library, whose hooks have no argument for it */

static void *take(size_t size)
{
	return arena_take(&tree, size);
}

static void give_back(void *block UNUSED)
{
}

/* What a JSON library takes for the file, in memory as we give it: the yardstick. */
static void read_json(const struct buf *text)
{
	json_set_alloc_funcs(take, give_back);
	begin();
	json_decref(json_loadb(buf_text(text), text->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
			       NULL));
	end("json");
	arena_release(&tree);
}

static void read_engine(struct engine *engine, struct arena *a, const struct buf *networks,
			const struct buf *containers)
{
	struct error err = {0};

	*engine = (struct engine){
		.up = true, .version = "28.5.2", .major = ENGINE_MAJOR, .api = "1.51"};
	begin();
	if (!engine_decode_networks(engine, a, buf_text(networks), networks->len, &err) ||
	    !engine_decode_containers(engine, a, buf_text(containers), containers->len, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	end("engine");
	list_each (c, &engine->containers)
		list_each (e, &c->endpoints)
			e->managed = e->configured.family != 0;
}

static void compile_file(struct loaded *l, const struct engine *engine, const struct facts *facts)
{
	begin();
	load_compile(l, engine, facts);
	end("compile");
	begin();
	load_encode(l);
	end("encode");
}

/* Steps that are expected, or the bench measures something else than it says. */
static void compare(struct plan *plan, struct loaded *l, const struct observed *seen,
		    const char *stage, bool changes)
{
	begin();
	plan_diff(plan, &l->arena, &l->want, seen, &l->config);
	end(stage);
	if ((plan->steps.n != 0) == changes)
		return;
	fprintf(stderr, "bench: %s plans %u steps: %s\n", stage, plan->steps.n,
		plan->steps.n ? plan->steps.items[0].text : "");
	exit(1);
}

static void decode(struct state *have, struct loaded *l, const struct plan *plan)
{
	begin();
	load_commit(have, &l->arena, &l->want, plan);
	end("decode");
}

static void run(const struct buf *text, const struct buf *networks, const struct buf *containers)
{
	struct facts facts = load_facts(ENGINE_MAJOR);
	struct loaded first = {0}, second = {0};
	struct plan plans[3] = {0};
	struct engine engine;
	struct observed seen = {.engine = &engine, .facts = &facts};

	read_json(text);
	begin();
	load_parse(&first, text);
	end("parse");
	begin();
	load_resolve(&first);
	end("resolve");
	read_engine(&engine, &first.arena, networks, containers);
	compile_file(&first, &engine, &facts);
	load_empty(&seen.have, &first.arena, &first.want);
	compare(&plans[0], &first, &seen, "first", true);
	seen.have = (struct state){0};
	decode(&seen.have, &first, &plans[0]);
	compare(&plans[1], &first, &seen, "same", false);

	load_parse(&second, text);
	load_change_one(&second);
	load_resolve(&second);
	load_compile(&second, &engine, &facts);
	load_encode(&second);
	compare(&plans[2], &second, &seen, "one", true);
	for (size_t i = 0; i < COUNT_OF(plans); i++)
		plan_free(&plans[i]);
	arena_release(&first.arena);
	arena_release(&second.arena);
}

int main(int argc, char **argv)
{
	AUTO_BUF struct buf text = {0}, networks = {0}, containers = {0};
	int rounds = argc > 4 ? atoi(argv[4]) : 1;

	if (argc < 4) {
		fprintf(stderr,
			"usage: %s NETWORKS_JSON ENGINE_NETWORKS ENGINE_CONTAINERS "
			"[ROUNDS]\n",
			argv[0]);
		return 64;
	}
	load_file(&text, argv[1]);
	load_file(&networks, argv[2]);
	load_file(&containers, argv[3]);
	for (int i = 0; i < rounds; i++)
		run(&text, &networks, &containers);
	return 0;
}
