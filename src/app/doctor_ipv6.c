/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What doctor says of IPv6. */
#include "app/doctor.h"

#include "core/plan/checkup.h"
#include "edge/firewall/iptables.h"

#include <string.h>
#include <unistd.h>

static bool is_of_the_file(const struct doctor *d, const char *network)
{
	list_each (n, &d->generation.config.networks)
		if (!strcmp(n->name, network))
			return true;
	return false;
}

/* Of networks that are not of the file nobody closes what Docker leaves open. */
void doctor_check_others_ipv6(struct doctor *d, const struct facts *f)
{
	list_each (n, &d->pass.view.engine.networks)
		if (n->bridge && n->ipv6 && !is_of_the_file(d, n->name) &&
		    !engine_network_is_open(n, 6))
			doctor_say(d, false, "isolation6",
				   "network \"%s\" has IPv6 (%s), and nobody closes it: %s; start "
				   "dockerd with %s, or declare the network in the file",
				   n->name, prefix_format(n->subnet6).s, f->six.open_why,
				   d->pass.view.engine.major >= FIRST_WITH_IP6TABLES
					   ? "--ip6tables"
					   : "--experimental --ip6tables");
}

/* All that ip6tables of both variants holds. */
static void save_ip6tables(struct doctor *d, struct buf *save)
{
	static const char *const tables[] = {"mangle", "raw", "filter"};
	struct error err = {0};
	bool exists;

	if (!d->pass.view.facts.no_nf_tables &&
	    !iptables_save(save, &d->world.host, VARIANT_NFT, 6, &err))
		doctor_say(d, false, "ip6tables", "%s", err.text);
	for (size_t i = 0; i < COUNT_OF(tables); i++)
		if (!iptables_save_legacy(save, &exists, &d->world.host, 6, tables[i], &err))
			doctor_say(d, false, "ip6tables", "%s", err.text);
}

/* Docker's answers are asymmetric where a container stands on several networks. */
static const char *on_several_networks(const struct engine *engine)
{
	list_each (c, &engine->containers) {
		uint32_t n = 0;

		list_each (endpoint, &c->endpoints)
			n += endpoint->ip6.family != 0;
		if (n > 1)
			return c->name;
	}
	return NULL;
}

static void check_rp_filter6(struct doctor *d, const struct facts *f, const char *save)
{
	const char *container = on_several_networks(&d->pass.view.engine);
	bool strict = f->firewalld.filters_sources6 || checkup_filters_sources(save);

	if (strict && container)
		doctor_say(d, false, "rp_filter6",
			   "%s drops answers of IPv6 that leave by another network than the one "
			   "they would be asked by: container \"%s\" stands on several; %s",
			   f->firewalld.stands ? "firewalld (IPv6_rpfilter)"
					       : "ip6tables (-m rpfilter)",
			   container,
			   f->firewalld.stands
				   ? "set IPv6_rpfilter=no in /etc/firewalld/firewalld.conf and "
				     "firewall-cmd --reload"
				   : "remove that rule");
	else
		doctor_say(d, true, "rp_filter6",
			   strict ? "is strict, and no container stands on several networks"
				  : "is not strict");
}

static bool is_bridge(const char *device)
{
	AUTO_RELEASE struct arena a = {0};

	return access(arena_printf(&a, "/sys/class/net/%s/bridge", device), F_OK) == 0;
}

static bool is_of_engine(const struct doctor *d, const char *device)
{
	list_each (n, &d->pass.view.engine.networks)
		if (n->bridge && !strcmp(n->bridge, device))
			return true;
	return false;
}

/*
 * From 28 on Docker sets FORWARD's policy to DROP when it turns forwarding of IPv6 on, which a
 * network of the file makes it do: what others route over bridges of theirs is lost.
 */
static void check_others_bridges(struct doctor *d, const char *save)
{
	const struct observed *seen = &d->pass.view.seen;
	const char *out = seen->default_device6;

	list_each (p, &seen->host_prefixes)
		if (p->prefix.ip.family == 6 && !prefix_is_single(p->prefix) && !p->dead &&
		    is_bridge(p->device) && !is_of_engine(d, p->device) &&
		    checkup_forward_drops(save, p->prefix, p->device, out))
			doctor_say(d, false, "forward6",
				   "ip6tables drops what bridge %s routes (%s), which is not "
				   "Docker's: ip6tables -I FORWARD -i %s -o %s -j ACCEPT; "
				   "ip6tables -I FORWARD -o %s -m conntrack --ctstate "
				   "RELATED,ESTABLISHED -j ACCEPT",
				   p->device, prefix_format(p->prefix).s, p->device,
				   out ? out : "UPLINK", p->device);
}

/* Engines before 27 leave IPv6 open by default, and our chain closes it: that is no finding. */
void doctor_check_ipv6(struct doctor *d, const struct facts *f)
{
	AUTO_BUF struct buf save = {0};
	bool forwards = d->pass.view.seen.have.spaces.items[0].forward6;

	bool due = f->docker_nftables || d->pass.view.engine.major >= FIRST_WITH_IP6TABLES;

	if (f->six.docker_drops)
		doctor_say(d, true, "isolation6", "Docker closes IPv6 of its networks");
	else
		doctor_say(d, !due, "isolation6", "%s; harborwall closes those of the file",
			   f->six.open_why);
	if (f->no_forward6)
		doctor_say(d, false, "forwarding6", "%s", f->no_forward6);
	else
		doctor_say(d, forwards, "forwarding6", "%s",
			   forwards ? "net.ipv6.conf.all.forwarding is 1"
				    : "net.ipv6.conf.all.forwarding is 0: nothing of IPv6 is "
				      "routed; apply turns it on");
	save_ip6tables(d, &save);
	check_rp_filter6(d, f, buf_text(&save));
	check_others_bridges(d, buf_text(&save));
}
