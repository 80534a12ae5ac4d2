/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon: when a pass is due, and which file is in force. daemon.c is the loop (the verb run).
 *
 * In this room:
 *     daemon.h      this table of contents
 *     triggers.h    why a pass is due: signals, the file, events, time
 *     pace.h        when the next pass may be made
 *     closing.h     networks closed before the engine can be asked
 *     source.h      the file in force, and whether a new one is taken
 *     trial.h       a file that is tried for some time (apply --confirm)
 *     flows_told.h  what a new file opens and closes, in the log
 *     logbook.h     logged connections, as lines of the log
 *     auditor.h     what egress deny would stop, over restarts
 *     zones.h       bridges in firewalld's zone
 *     ask.h         how verbs talk to a running daemon and wait for its lock
 */
#pragma once
