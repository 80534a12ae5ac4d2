/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main, the table of verbs and options, and the verbs that run once. check, plan and rules are in
 * verbs.c; apply, clear and doctor have sources of their own; answers/ and daemon/ hold the others.
 *
 * In this room:
 *     app.h      this table of contents
 *     cli.h      verbs and options: parsing, help, completions
 *     change.h   changing the host once, as apply and clear do
 *     confirm.h  a trial of a file: apply --confirm
 *     doctor.h   what the sources of doctor share
 */
#pragma once
