/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where our rules meet those of Docker's, and the bits of the mark that hand a verdict over. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct hooks {
	uint32_t accept;  /* what we admit bears it, and so does its connection */
	uint32_t between; /* … what goes from one container to another bears these */
	uint32_t raw;	  /* lifts Docker's drops in raw PREROUTING */
	uint32_t revoked; /* the whole connection mark of what was admitted and is no more */
	bool raw_drops;	  /* Docker drops there, so what we admit must pass there, too */
	bool docker_user; /* of the iptables backends: DOCKER-USER holds our chains, else FORWARD */
	bool top;	  /* … before every foreign rule, also for what comes from outside */
	bool unlogged;	  /* … their tools can't log */
	uint32_t user_end,
		raw_end; /* how many foreign rules come before ours, as in struct filter_view */
};
