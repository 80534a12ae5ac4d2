/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that rules log (nfnetlink_log), in the network namespace that the thread is in. */
#pragma once

#include "base/error.h"
#include "core/logged/logged.h"

#include <net/if.h>

/*
 * Listens to LOG_GROUP and, if asked, to AUDIT_GROUP; never blocks. -1 with err: only one program
 * can listen to them.
 */
int nflog_open(bool audits, struct error *err);
/*
 * Reads what waits, but no more than a listener's share of one wake. False: the kernel had no room,
 * and reports are lost.
 */
bool nflog_read(int fd, void (*take)(void *context, const struct logged *logged), void *context);
/* Of an interface by its index; "" if it is gone. */
void nflog_iface(char name[IF_NAMESIZE], uint32_t index);
