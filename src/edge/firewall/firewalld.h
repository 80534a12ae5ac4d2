/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * firewalld on the system bus: org.fedoraproject.FirewallD1 as firewalld.dbus(5) has it, through
 * sd-bus(3). A reload takes every interface that no zone has for good out of its zone. dockerd puts
 * its bridges back one by one, each behind some dozen rules that go through firewalld as well; who
 * asks at once is served in between. Where there is no bus, or no firewalld, nothing happens.
 */
#pragma once

#include "base/error.h"

struct firewalld_bus;

/* Not connected yet. NULL with err. */
struct firewalld_bus *firewalld_bus_open(struct error *err);
void firewalld_bus_close(struct firewalld_bus *b);
/* Connects, unless it is. For whoever knows that a firewalld stands here. */
void firewalld_bus_follow(struct firewalld_bus *b);
int firewalld_bus_fd(const struct firewalld_bus *b); /* readable: firewalld_bus_run has work */
/* Takes what came, never blocks. True: firewalld came up, or has reloaded. */
bool firewalld_bus_run(struct firewalld_bus *b);
/* Asks for one that no zone has; firewalld leaves an interface of another zone where it is. */
void firewalld_bus_add_interface(struct firewalld_bus *b, const char *zone, const char *interface);
