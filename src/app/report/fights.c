/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/fights.h"

#include "base/hash.h"
#include "base/log.h"
#include "core/flows/flows.h"
#include "core/state/facts.h"

#include <stdio.h>
#include <string.h>

enum {
	FREE = 3,	     /* undone this often in a row, it is still repaired at once */
	LASTS_MS = 5000,     /* for this long: dockerd may move ours down once for every network */
	FIRST_HOLD_MS = 200, /* then the repair waits, twice as long each time */
	MAX_HOLD_MS = 60000, /* but no longer than this */
	MAX_OPEN_MS = 1000,  /* or this, if nothing else closes the networks */
	IN_A_ROW_MS = 3000,  /* what lasted longer than this, and than twice its wait, is no longer
				contested */
};

static int64_t hold_ms(const struct fight *f)
{
	int64_t most = f->closes ? MAX_OPEN_MS : MAX_HOLD_MS, ms = FIRST_HOLD_MS;

	if (!f->strikes)
		return 0;
	for (uint32_t i = 1; i < f->strikes && ms < most; i++)
		ms *= 2;
	return ms < most ? ms : most;
}

static int64_t peace_at(const struct fight *f)
{
	return f->done_ms + IN_A_ROW_MS + 2 * hold_ms(f);
}

bool fight_is_on(const struct fight *f)
{
	return f->strikes;
}

bool fights_are_on(const struct fights *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (fight_is_on(&f->items[i]))
			return true;
	return false;
}

const char *fight_opponent(struct arena *a, const struct fight *f)
{
	const char *parent =
		f->by.parent[0] ? arena_printf(a, ", started by %s", f->by.parent) : "";

	if (!f->by.pid)
		return "another program (the kernel does not say which)";
	return arena_printf(a, "%s (pid %d%s)", f->by.name[0] ? f->by.name : "a process", f->by.pid,
			    parent);
}

/* --- which object --- */

/* The step's text without what changes from time to time: "table inet harborwall (3 changes)". */
static int stable_len(const char *text)
{
	const char *tail = strstr(text, " (");

	return tail ? (int)(tail - text) : (int)strlen(text);
}

/* A restarted container has a new namespace: nothing was undone there. */
static uint64_t key_of(const struct pass *p, const struct step *step)
{
	uint64_t hash = hash_word(HASH_START, step->kind);

	if (step->have_space != NONE)
		hash = hash_word(hash,
				 (uint64_t)p->view.seen.have.spaces.items[step->have_space].pid);
	return hash_more(hash, step->text, (size_t)stable_len(step->text));
}

static struct fight *find(struct fights *f, uint64_t key)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->items[i].key == key)
			return &f->items[i];
	return NULL;
}

/* If the list is full, forget the object that was repaired longest ago. */
static struct fight *add(struct fights *f, uint64_t key, const struct step *step)
{
	struct fight *slot = &f->items[0];

	if (f->n < MAX_FIGHTS)
		slot = &f->items[f->n++];
	else
		for (uint32_t i = 1; i < f->n; i++)
			if (f->items[i].done_ms < slot->done_ms)
				slot = &f->items[i];
	*slot = (struct fight){.key = key};
	snprintf(slot->object, sizeof(slot->object), "%s %.*s", step->object,
		 stable_len(step->text), step->text);
	return slot;
}

static bool keeps_closed(const struct pass *p, const struct step *step)
{
	const struct flows *host = p->want.spaces.n ? p->want.spaces.items[0].flows : NULL;

	if (step->kind == STEP_PORTS)
		return true;
	return step->have_space == 0 && host && (host->closed.n || host->sealed.n) &&
	       step_is_rules(step);
}

static bool depends_on_facts(const struct step *step)
{
	return step->have_space == 0 && (step_is_rules(step) || step->kind == STEP_ADD_HANDOFF);
}

static struct author author_of(const struct pass *p, const struct step *step)
{
	const struct ns *ns =
		step->have_space == NONE ? NULL : p->view.places.items[step->have_space].ns;

	if (!ns)
		return (struct author){0};
	return step->kind == STEP_ADD_ROUTES || step->kind == STEP_REMOVE_ROUTES ? ns->routes_by
										 : ns->rules_by;
}

/* --- what happens to it --- */

static void tell(struct fight *f)
{
	AUTO_RELEASE struct arena a = {0};

	f->told = true;
	log_warn("another program keeps undoing our change", "object", f->object, "by",
		 fight_opponent(&a, f), "#times", arena_printf(&a, "%u", f->undone),
		 "#next_repair_in_ms", arena_printf(&a, "%lld", (long long)hold_ms(f)));
}

static void end(struct fights *f, struct fight *fight)
{
	if (fight->told)
		log_info("our change is no longer undone", "object", fight->object);
	*fight = f->items[--f->n];
}

static void make_peace(struct fights *f, int64_t now_ms)
{
	for (uint32_t i = f->n; i-- > 0;)
		if (!f->items[i].owed && now_ms >= peace_at(&f->items[i]))
			end(f, &f->items[i]);
}

static void take_facts(struct fights *f, const struct facts *facts)
{
	uint64_t digest = facts_digest(facts);

	for (uint32_t i = f->n; digest != f->facts && i-- > 0;)
		if (f->items[i].of_facts)
			end(f, &f->items[i]);
	f->facts = digest;
}

void fights_forget(struct fights *f)
{
	f->n = 0;
}

void fights_hold_back(struct fights *f, struct pass *p, int64_t now_ms)
{
	make_peace(f, now_ms);
	take_facts(f, &p->view.facts);
	for (uint32_t i = 0; i < f->n; i++)
		f->items[i].owed = false;
	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *step = &p->plan.steps.items[i];
		struct fight *fight = find(f, key_of(p, step));

		if (!fight)
			continue;
		fight->by = author_of(p, step);
		fight->owed = now_ms < fight->hold_until_ms;
		if (!fight->owed)
			continue;
		if (!p->held)
			p->held = arena_array(&p->arena, bool, p->plan.steps.n);
		p->held[i] = true;
	}
}

static void count(struct fight *fight, int64_t now_ms)
{
	if (!fight->undone++)
		fight->first_ms = now_ms;
	if (fight->undone > FREE && now_ms - fight->first_ms >= LASTS_MS)
		fight->strikes++;
}

/*
 * Somebody who adds a rule (a ban) moves ours but undoes nothing. Somebody who only reorders rules
 * undoes it.
 */
static bool was_only_moved(const struct fight *fight, const struct step *step,
			   const struct facts *facts)
{
	return step->moves && facts->n_foreign > fight->n_foreign;
}

/* The first time does not count: only what was undone after our repair does. */
void fights_note(struct fights *f, const struct pass *p, bool looks, int64_t now_ms)
{
	take_facts(f, &p->view.facts);
	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *step = &p->plan.steps.items[i];
		uint64_t key = key_of(p, step);
		struct fight *fight = find(f, key);

		if (p->outcomes[i].kind != OUTCOME_DONE)
			continue;
		if (!fight)
			fight = add(f, key, step);
		else if (looks && !was_only_moved(fight, step, &p->view.facts))
			count(fight, now_ms);
		fight->n_foreign = p->view.facts.n_foreign;
		fight->closes = keeps_closed(p, step);
		fight->of_facts = depends_on_facts(step);
		fight->owed = false;
		fight->done_ms = now_ms;
		fight->hold_until_ms = now_ms + hold_ms(fight);
		if (fight_is_on(fight))
			tell(fight);
	}
}

int64_t fights_next_ms(const struct fights *f, int64_t now_ms)
{
	int64_t next = -1;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct fight *fight = &f->items[i];
		int64_t at = fight->owed ? fight->hold_until_ms : peace_at(fight);

		if (!fight_is_on(fight))
			continue;
		/* it could not be repaired: the retry takes care of it */
		if (!fight->owed && at < now_ms)
			at = now_ms + MAX_OPEN_MS;
		if (next < 0 || at < next)
			next = at;
	}
	return next;
}
