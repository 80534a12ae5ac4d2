/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words to the service manager (sd_notify(3)): datagrams to NOTIFY_SOCKET, nothing without it. */
#pragma once

/* "READY=1", "STATUS=…", "WATCHDOG=1", "STOPPING=1"; several lines in one. Never fails. */
void notify_send(const char *text);
/* Half of WATCHDOG_USEC in ms: how often to send WATCHDOG=1; 0: not asked for. */
int notify_watchdog_ms(void);
