/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon gives up before its first pass: every capability but those it can use (where
 * SYS_PTRACE is among these: else it takes all to enter containers), the way to new ones, and
 * every system call that is not on the list of sandbox_calls.c. Its children (the tools of
 * iptables) inherit all of it. No landlock: a landlocked process can't enter namespaces.
 *
 * A call off the list is refused with EPERM and said in the log, once for each; the dangerous ones
 * end the process. The kernel can refuse or trap, but its own log is out of a container's sight:
 * so it traps, and the handler says which call it was. A child has no such handler: there the
 * trap ends the tool, which the pass reports, and the kernel logs the call.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Appends the names of the capabilities that were kept: "NET_ADMIN SYS_ADMIN …". */
MUST_CHECK bool sandbox_enter(struct buf *kept, struct error *err);
