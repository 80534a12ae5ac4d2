/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/connections.h"

#include "app/pass/last_good.h"
#include "base/log.h"
#include "edge/host/file.h"
#include "edge/netlink/conntrack.h"

#include <string.h>
#include <unistd.h>

static bool is_rules(const struct step *step)
{
	return step->kind == STEP_FIREWALL || step->kind == STEP_IPTABLES ||
	       step->kind == STEP_REMOVE_IPTABLES;
}

/* Steps that change a namespace's rules: how many succeeded, how many did not. */
struct changes {
	uint32_t done, undone;
};

static struct changes changes_of(const struct pass *p, uint32_t space)
{
	struct changes c = {0};

	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		if (p->plan.steps.items[i].have_space != space ||
		    !is_rules(&p->plan.steps.items[i]))
			continue;
		c.done += p->outcomes[i].kind == OUTCOME_DONE;
		c.undone += p->outcomes[i].kind != OUTCOME_DONE;
	}
	return c;
}

static bool has_rules(const struct space *space)
{
	return space && (space->ruleset.exists || space->chains.n);
}

static const struct space *wanted_space(const struct pass *p, const char *container)
{
	uint32_t i = container ? state_find_space(&p->want, container) : 0;

	return i == NONE ? NULL : &p->want.spaces.items[i];
}

/* NULL: we do not manage this namespace. */
static struct debt *debt_of(const struct pass *p, struct world *w, uint32_t space)
{
	struct known *k = p->view.places.items[space].known;

	if (!space)
		return &w->debt;
	return k && p->view.seen.have.spaces.items[space].reachable ? &k->debt : NULL;
}

/* --- saved for the next process, if this one is killed --- */

static const char *note_path(const struct world *w, struct arena *a)
{
	return beside_state(a, w->options, "revoking");
}

void connections_doubt(const struct world *w)
{
	AUTO_RELEASE struct arena a = {0};
	struct error err = {0};

	if (!file_replace(note_path(w, &a), "", 0, 0600, &err))
		log_warn("the connections to end are not saved", "error", err.text);
}

static bool found_note(const struct world *w)
{
	AUTO_RELEASE struct arena a = {0};

	return access(note_path(w, &a), F_OK) == 0;
}

static void take_note_away(const struct world *w)
{
	AUTO_RELEASE struct arena a = {0};

	unlink(note_path(w, &a));
}

/* --- before and after the steps --- */

/*
 * The host's rules are missing, so what they admitted is unknown. The exception: they are wanted as
 * they were when nothing was owed. A killed process may have left them so.
 */
static bool is_blind(const struct pass *p, const struct world *w)
{
	bool stood = has_rules(&p->view.seen.have.spaces.items[0]);

	if (!has_rules(&p->want.spaces.items[0]))
		return false;
	return w->debt.began ? !stood && w->debt.settled_for != p->file : !stood || found_note(w);
}

/* iptables chains are replaced whole: any change may remove something. */
static bool takes_away(const struct step *step)
{
	if (step->kind != STEP_FIREWALL || step->sign != '~')
		return true;
	list_each (change, &step->changes)
		if (change->sign == '-')
			return true;
	return false;
}

/* Names of chains from core/program/nat.c. */
static bool is_about_translations(const struct nft_change *change)
{
	return change->object == NFT_TABLE ||
	       (change->set && (!strcmp(change->set->name, "translations") ||
				!strcmp(change->set->name, "translations6"))) ||
	       (change->chain && (!strcmp(change->chain->name, "prerouting") ||
				  !strcmp(change->chain->name, "output")));
}

static bool brings_translations(const struct step *step)
{
	if (step->kind != STEP_FIREWALL || step->sign != '~')
		return true;
	list_each (change, &step->changes)
		if (change->sign == '+' && is_about_translations(change))
			return true;
	return false;
}

/* These steps remove rules from a namespace, or add translations to it. */
static void owe(struct debt *d, const struct pass *p, uint32_t space)
{
	const struct space *have = &p->view.seen.have.spaces.items[space];
	const struct space *want = wanted_space(p, have->container);
	bool less = false, anew = false, denies = false;

	list_each (step, &p->plan.steps) {
		if (step->have_space != space || !is_rules(step))
			continue;
		less |= has_rules(have) && takes_away(step);
		anew |= want && (want->flows->translations.n || want->flows->own.n) &&
			brings_translations(step);
		denies |= want && (want->flows->denied.n || want->flows->sealed.n);
	}
	if (!less && !anew && !denies)
		return;
	if (less)
		admit_rules(&d->earlier, &d->arena, have);
	d->translates |= anew;
	d->only_now = !d->owed;
	d->owed = true;
}

void connections_note(struct pass *p, struct world *w)
{
	for (uint32_t i = 0; i < p->view.seen.have.spaces.n; i++) {
		struct debt *d = debt_of(p, w, i);

		if (i && !d) /* the host's are always kept */
			continue;
		d->only_now = false;
		owe(d, p, i);
		if (!i && is_blind(p, w))
			d->owed = d->blind = true;
		d->began = true;
	}
	if (w->debt.owed)
		connections_doubt(w);
}

static void settled(struct debt *d)
{
	arena_release(&d->arena);
	*d = (struct debt){.began = true, .settled_for = d->settled_for};
}

typedef LIST(struct ip) ip_list;

/* Collects the addresses of a namespace. */
static ip_list own_addresses(const struct pass *p, uint32_t space, struct arena *a)
{
	const struct facts *f = &p->view.facts;
	ip_list own = {0};

	for (uint32_t i = 0; !space && i < f->n_routed; i++)
		if (prefix_is_single(f->routed[i].prefix))
			*list_add(a, &own) = f->routed[i].prefix.ip;
	for (enum family family = 0; family < N_FAMILIES; family++)
		list_each (path, &p->view.seen.have.spaces.items[space].routing[family].paths)
			if (path->type == PATH_LOCAL && prefix_is_single(path->dst))
				*list_add(a, &own) = path->dst.ip;
	return own;
}

/* A failure in one namespace does not delay the others. */
static void settle(struct pass *p, struct debt *d, uint32_t space)
{
	static const struct flows nothing;
	AUTO_RELEASE struct arena a = {0};
	struct admission now = {0}, lifted = {0};
	const ip_list own = own_addresses(p, space, &a);
	struct hooks hooks = facts_hooks(&p->view.facts);
	const struct space *want = wanted_space(p, p->view.seen.have.spaces.items[space].container);
	struct revocation r = {.flows = want ? want->flows : &nothing,
			       .now = &now,
			       .earlier = &d->earlier,
			       .blind = d->blind,
			       .mutes = !space && has_rules(want),
			       .admitted = hooks.accept,
			       .between = hooks.between,
			       .muted = hooks.revoked,
			       .translates = d->translates,
			       .own = own.items,
			       .n_own = own.n};
	uint32_t n = 0;

	if (want) {
		admit_rules(&now, &a, want);
		admit_grants(&lifted, &a, want->flows->lifts.items, want->flows->lifts.n);
		r.lifted = want->flows->denied.n ? &lifted : NULL;
	}
	if (conntrack_revoke(&n, p->view.places.items[space].ns, &r, &p->trouble))
		settled(d);
	p->n_revoked += n;
}

void connections_settle(struct pass *p, struct world *w)
{
	bool noted = w->debt.owed;

	if (!p->view.engine.up && !p->view.facts.no_engine)
		return;
	for (uint32_t i = 0; i < p->view.seen.have.spaces.n; i++) {
		struct debt *d = debt_of(p, w, i);
		const struct changes changes = changes_of(p, i);

		if (d && d->only_now && !changes.done && !d->blind)
			settled(d); /* refused or held: the rules are unchanged */
		else if (d && d->owed && !changes.undone)
			settle(p, d, i);
	}
	if (w->debt.owed)
		return;
	if (!changes_of(p, 0).undone)
		w->debt.settled_for = p->file;
	if (noted)
		take_note_away(w);
}
