/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile/firewalld.h"

/* Docker puts a bridge into a zone when it makes it: before that there is nothing to say. */
static bool is_to_be_made(const struct trusting *in, struct place place)
{
	return in->engine->up && place.network && !engine_find_network(in->engine, place.network);
}

static void say_refused(struct findings *findings, struct arena *a, const struct grant *grant,
			const char *in, const char *out)
{
	struct finding *f;

	if (in)
		f = finding_of_policy(
			findings, a, FINDING_WARNING, grant->origin,
			"firewalld refuses what comes in by %s; firewall-cmd --permanent "
			"--zone=trusted --add-interface=%s && firewall-cmd --reload",
			in, in);
	else
		f = finding_of_policy(findings, a, FINDING_WARNING, grant->origin,
				      "firewalld refuses what comes from outside to %s; give it a "
				      "policy from ANY to that bridge's zone with target ACCEPT, "
				      "as Docker does from 23 on (harborwall.8, FIREWALLD)",
				      out ? out : prefix_format(grant->to->items[0].net).s);
	f->effect = POLICY_IS_VOID;
}

/* The first pair of places that it does not let through. False: it lets all through. */
static bool is_refused(const struct trusting *in, struct arena *a, const struct grant *grant,
		       struct place *src, struct place *dst)
{
	place_list from = trusting_places(in, a, grant->from);
	place_list to = trusting_places(in, a, grant->to);

	list_each (s, &from)
		list_each (d, &to) {
			*src = *s;
			*dst = *d;
			if (!is_to_be_made(in, *s) && !is_to_be_made(in, *d) &&
			    !firewalld_forwards(&in->facts->firewalld, s->bridge, d->bridge))
				return true;
		}
	return false;
}

/* Said once a policy. */
void compile_firewalld(struct findings *findings, struct arena *a, const struct trusting *in)
{
	AUTO_RELEASE struct arena scratch = {0};
	uint32_t said = NONE;
	struct place src, dst;

	if (!in->facts->firewalld.refuses)
		return;
	list_each (grant, &in->flows->grants) {
		arena_reset(&scratch);
		if (grant->origin == said || !is_refused(in, &scratch, grant, &src, &dst))
			continue;
		said = grant->origin;
		say_refused(findings, a, grant, src.bridge, dst.bridge);
	}
}
