/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the program needs of the machine itself, apart from the network: files, processes, the
 * service manager. Errors are struct error; nothing here knows what a policy is.
 *
 * In this room:
 *     host.h           this table of contents
 *     file.h           whole files, read and replaced
 *     texts.h          a configuration together with the lists that it names
 *     watch.h          when a file may have changed
 *     proc.h           one program run to its end: the only fork
 *     status.h         the status socket, and a client of it
 *     notify.h         what the service manager is told
 *     sandbox.h        capabilities and system calls that the daemon gives up
 *     sandbox_calls.h  the list of system calls that it keeps
 */
#pragma once
