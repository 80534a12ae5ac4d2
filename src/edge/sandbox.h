/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon gives up before its first pass: every capability but those it can use (where
 * SYS_PTRACE is among these: else it takes all to enter containers), the way to new ones, and
 * system calls that no part of it needs and that would own the host. Its children (the tools of
 * iptables) inherit all of it. No landlock: a landlocked process can't enter namespaces.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Appends the names of what was kept: "NET_ADMIN SYS_ADMIN …". */
MUST_CHECK bool sandbox_enter(struct buf *kept, struct error *err);
