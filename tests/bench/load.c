/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/load.h"

#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_WITH_RAW_DROPS = 28 };

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

void load_file(struct buf *text, const char *path)
{
	FILE *f = fopen(path, "r");
	char part[1 << 16];
	size_t n;

	if (!f)
		fail(path, "can't be opened");
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(text, part, n);
	fclose(f);
}

void load_parse(struct loaded *l, const struct buf *text)
{
	l->diags.arena = &l->arena;
	if (!config_decode(&l->config, &l->text, &l->diags, &l->arena, "bench", buf_text(text),
			   text->len))
		fail("networks.json", l->diags.list.n ? l->diags.list.items[0].message : "?");
}

void load_resolve(struct loaded *l)
{
	resolve(&l->resolution, &l->diags, &l->arena, &l->config, &l->text);
	config_text_release(&l->text);
}

void load_compile(struct loaded *l, const struct engine *engine, const struct facts *facts)
{
	compile(&l->want, &l->findings, &l->arena, &l->config, &l->resolution, engine, facts);
}

void load_encode(struct loaded *l)
{
	list_each (space, &l->want.spaces)
		nft_encode_ruleset(&space->ruleset, &l->arena);
}

void load_change_one(struct loaded *l)
{
	uint32_t i = l->config.policies.n / 2;

	for (; i < l->config.policies.n; i++) {
		struct policy *p = &l->config.policies.items[i];

		if (p->nat || !p->from || p->n_ports != 1 ||
		    p->ports.port.low != p->ports.port.high)
			continue;
		/* below what the generators use */
		p->ports.port.low = p->ports.port.high = 7;
		return;
	}
	fail("networks.json", "has no policy of one port to change");
}

/* Of a file that is one list a member, else a policy. */
static void drop_member(struct member_list *list, uint32_t i)
{
	struct prefix *net = &list->nets.items[i];

	if (i >= list->nets.n)
		fail("networks.json", "has no member whose loss changes anything");
	memmove(net, net + 1, (--list->nets.n - i) * sizeof(*net));
}

static void drop_policy(struct loaded *l, uint32_t i)
{
	struct policy *p = &l->config.policies.items[i];

	if (i >= l->config.policies.n)
		fail("networks.json", "has no policy whose loss changes anything");
	memmove(p, p + 1, (--l->config.policies.n - i) * sizeof(*p));
}

void load_drop_one(struct loaded *l)
{
	static uint32_t times;

	if (l->config.lists.n) {
		drop_member(l->config.lists.items, l->config.lists.items->nets.n / 2 + times++);
		return;
	}
	drop_policy(l, l->config.policies.n / 2 + times++);
}

struct facts load_facts(uint32_t major)
{
	return (struct facts){.variant = VARIANT_NFT,
			      .docker_user = true,
			      .docker_drops = true,
			      .raw_drops = major >= FIRST_WITH_RAW_DROPS,
			      .ip_forward = 1,
			      .mark_accept = 0x2000000,
			      .mark_raw = 0x1000000};
}

void load_empty(struct state *have, struct arena *a, const struct state *want)
{
	list_each (space, &want->spaces)
		*list_add(a, &have->spaces) = (struct space){.container = space->container,
							     .container_id = space->container_id,
							     .pid = 1,
							     .reachable = true};
}

static void take_batch(struct ruleset *have, struct arena *a, const struct nft_batch *batch)
{
	const char *at = buf_text(&batch->bytes), *end = at + batch->bytes.len;
	AUTO_RELEASE struct arena loose = {0};
	struct error err = {0};

	while (at < end) {
		const struct nlmsghdr *message = (const void *)at;

		if (message->nlmsg_type >= NLMSG_MIN_TYPE + 16 &&
		    !nft_decode_message(have, a, &loose, message, &err))
			fail("decode", err.text);
		at += NLMSG_ALIGN(message->nlmsg_len);
	}
	nft_decode_finish(have, a);
}

void load_commit(struct state *have, struct arena *a, const struct state *want,
		 const struct plan *plan)
{
	load_empty(have, a, want);
	for (uint32_t i = 0; i < want->spaces.n; i++) {
		const struct space *from = &want->spaces.items[i];
		struct space *to = &have->spaces.items[i];

		memcpy(&to->routes, &from->routes, sizeof(to->routes));
		memcpy(&to->handoffs, &from->handoffs, sizeof(to->handoffs));
		to->forward = from->forward;
		to->forward6 = from->forward6;
		list_each (handoff, &to->handoffs)
			handoff->present = handoff->in_place = true;
	}
	list_each (step, &plan->steps)
		if (step->kind == STEP_FIREWALL)
			take_batch(&have->spaces.items[step->space].ruleset, a, &step->send->batch);
}

static double ms_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct clocks clocks_now(void)
{
	return (struct clocks){ms_of(CLOCK_MONOTONIC), ms_of(CLOCK_THREAD_CPUTIME_ID)};
}

void clocks_print(const char *name, struct clocks since, double parts)
{
	struct clocks now = clocks_now();

	printf("%s %.5f %.5f\n", name, (now.wall - since.wall) / parts,
	       (now.cpu - since.cpu) / parts);
}
