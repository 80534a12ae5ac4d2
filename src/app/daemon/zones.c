/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/zones.h"

#include "base/log.h"

#include <string.h>

/* Docker adds bridges wherever it writes filter rules. */
void zones_note(struct zones *z, const struct pass *p, const struct generation *g)
{
	const struct engine *engine = &p->view.engine;

	if (!p->view.facts.firewalld.stands)
		return;
	firewalld_bus_follow(z->bus);
	if (!engine->up || !p->view.facts.docker_drops)
		return;
	buf_clear(&z->bridges);
	list_each (wanted, &g->config.networks) {
		const struct engine_network *network = engine_find_network(engine, wanted->name);

		if (network && network->bridge)
			buf_add(&z->bridges, network->bridge, strlen(network->bridge) + 1);
	}
}

void zones_restore(const struct zones *z)
{
	const char *name = buf_text(&z->bridges), *end = name + z->bridges.len;

	if (z->bridges.len)
		log_info("firewalld reloaded: moving bridges back into its zone docker");
	for (; name < end; name += strlen(name) + 1)
		firewalld_bus_add_interface(z->bus, "docker", name);
}

void zones_close(struct zones *z)
{
	firewalld_bus_close(z->bus);
	buf_free(&z->bridges);
}
