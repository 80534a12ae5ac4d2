/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile/firewalld.h"

/* Docker puts a bridge into a zone when it makes it: before that there is nothing to say. */
static bool is_to_be_made(const struct trusting *in, struct place place)
{
	return in->engine->up && place.network && !engine_find_network(in->engine, place.network);
}

static void say_refused(struct findings *findings, struct arena *a, const struct allow *flow,
			const char *in, const char *out)
{
	struct finding *f;

	if (in)
		f = finding_of_policy(
			findings, a, FINDING_WARNING, flow->origin,
			"firewalld refuses what comes in by %s; firewall-cmd --permanent "
			"--zone=trusted --add-interface=%s && firewall-cmd --reload",
			in, in);
	else
		f = finding_of_policy(
			findings, a, FINDING_WARNING, flow->origin,
			"firewalld refuses what comes from outside to %s; give it a "
			"policy from ANY to that bridge's zone with target ACCEPT, as "
			"Docker does from 23 on (harborwall.8, FIREWALLD)",
			out ? out : prefix_format(flow->dst).s);
	f->effect = POLICY_IS_VOID;
}

/* Said once a policy. */
void compile_firewalld(struct findings *findings, struct arena *a, const struct trusting *in)
{
	uint32_t said = NONE;

	if (!in->facts->firewalld.refuses)
		return;
	list_each (flow, &in->flows->allows) {
		struct place src = trusting_place(in, flow->src, flow->src_network);
		struct place dst = trusting_place(in, flow->dst, flow->dst_network);

		if (flow->origin == said || is_to_be_made(in, src) || is_to_be_made(in, dst) ||
		    firewalld_forwards(&in->facts->firewalld, src.bridge, dst.bridge))
			continue;
		said = flow->origin;
		say_refused(findings, a, flow, src.bridge, dst.bridge);
	}
}
