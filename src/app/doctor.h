/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the verb doctor share: doctor.c, doctor_ipv6.c, doctor_strict.c. */
#pragma once

#include "app/pass/pass.h"

struct doctor {
	const struct options *options;
	struct world world;
	struct generation generation;
	bool valid;	     /* the file is valid */
	struct error unread; /* why the file can't be read */
	struct pass pass;
	bool planned;
	struct error err;
	struct buf out;
	uint32_t n_findings, n_lines;
};

/* A line of the report. fine false: it is a finding, and has a remedy. */
PRINTF_LIKE(4, 5)
void doctor_say(struct doctor *d, bool fine, const char *what, const char *format, ...);

/* IPv6 of the networks that the file declares, and of others. */
void doctor_check_ipv6(struct doctor *d, const struct facts *f);
void doctor_check_others_ipv6(struct doctor *d, const struct facts *f);
/* Strict networks of the file; nothing where there is none. */
void doctor_check_strict(struct doctor *d);

/* br_netfilter: what a bridge passes between its ports goes by the forward hook. */
bool doctor_bridges_are_filtered(void);
bool doctor_finds_daemon(const struct doctor *d);
