/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bridge's ports (rtnetlink; linux/if_link.h, IFLA_BRPORT_*), its forwarding table and switches.
 */
#pragma once

#include "core/ports/ports.h"
#include "edge/netlink/netns.h"

/* What stands at this bridge of the host; index 0: there is no bridge of that name. */
MUST_CHECK bool ports_read(struct bridge_ports *ports, struct arena *a, const struct ns *host,
			   const char *bridge, struct error *err);
/* Switches and proxies, whose changes the kernel does not announce, are not as it is expected. */
bool ports_differ(const bridge_ports_list *expected, const struct ns *host);
/* Names of bridges that bear our mark, whatever the file says now. */
MUST_CHECK bool ports_find_marked(name_list *bridges, struct arena *a, const struct ns *host,
				  struct error *err);
/* The number by which the host knows a container's namespace; NO_NSID: no interface leads there. */
MUST_CHECK bool ports_find_nsid(int32_t *nsid, const struct ns *host, const struct ns *container,
				struct error *err);

/*
 * What is gone, with its container or its bridge, is no error. Flags that the kernel does not know
 * are left out by it: read back.
 */
MUST_CHECK bool ports_set_flags(const struct ns *host, const struct port *port, struct error *err);
MUST_CHECK bool ports_set_entry(const struct ns *host, const struct port_entry *entry, bool there,
				struct error *err);
MUST_CHECK bool ports_set_proxy(const struct ns *host, uint32_t bridge, struct ip ip, bool there,
				struct error *err);
MUST_CHECK bool ports_set_switch(const struct ns *host, const char *bridge, enum port_switch which,
				 int value, struct error *err);
