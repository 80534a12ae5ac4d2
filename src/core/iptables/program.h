/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same program in the other language: chains of one variant of iptables. Pure. */
#pragma once

#include "core/iptables/rules.h"
#include "core/ruleset/program.h"

void ipt_program_host(ipt_chains *chains, struct arena *a, enum variant variant,
		      const struct flows *flows, const struct hooks *hooks);
void ipt_program_container(ipt_chains *chains, struct arena *a, enum variant variant,
			   const struct flows *flows, const struct hooks *hooks);
