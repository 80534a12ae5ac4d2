/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells the service manager our state (sd_notify(3)): datagrams to NOTIFY_SOCKET; without it
 * nothing.
 */
#pragma once

/* "READY=1", "STATUS=…", "WATCHDOG=1", "STOPPING=1"; may contain several lines. Never fails. */
void notify_send(const char *text);
/* How often to send WATCHDOG=1, in ms: half of WATCHDOG_USEC; 0: never. */
int notify_watchdog_ms(void);
