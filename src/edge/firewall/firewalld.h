/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * firewalld on the system bus: org.fedoraproject.FirewallD1 as described in firewalld.dbus(5),
 * through sd-bus(3). When firewalld reloads, it removes every interface from its zone that is not
 * permanently there. dockerd adds its bridges again one by one, each after some dozen rules that go
 * through firewalld, too; a request of ours is served in between. Without a bus or without
 * firewalld, nothing happens.
 */
#pragma once

#include "base/error.h"

struct firewalld_bus;

/* Does not connect. NULL with err. */
struct firewalld_bus *firewalld_bus_open(struct error *err);
void firewalld_bus_close(struct firewalld_bus *b);
/* Connects, unless connected. Call it when the rules show a firewalld. */
void firewalld_bus_follow(struct firewalld_bus *b);
int firewalld_bus_fd(const struct firewalld_bus *b); /* readable: firewalld_bus_run has work */
/* Reads what came, never blocks. True: firewalld has started or reloaded. */
bool firewalld_bus_run(struct firewalld_bus *b);
/* Adds an interface to the zone unless it is in another one. */
void firewalld_bus_add_interface(struct firewalld_bus *b, const char *zone, const char *interface);
