/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb doctor: checks everything that can make rules silently ineffective or a host silently
 * open, and names a remedy for each. Changes nothing.
 */
#include "app/doctor.h"

#include "app/console/say.h"
#include "app/console/verbs.h"
#include "app/daemon/ask.h"
#include "app/pass/pass.h"
#include "base/foreign.h"
#include "core/compile/nodes.h"
#include "core/foreign/openings.h"
#include "core/plan/checkup.h"
#include "core/plan/choose.h"
#include "edge/firewall/iptables.h"
#include "edge/firewall/nft.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FINDINGS = 2, MAX_LINE = 4096 };

void doctor_say(struct doctor *d, bool fine, const char *what, const char *format, ...)
{
	AUTO_RELEASE struct arena a = {0};
	const char *text;
	va_list args;

	va_start(args, format);
	text = arena_vprintf(&a, format, args);
	va_end(args);
	d->n_findings += !fine;
	if (d->options->json) {
		buf_printf(&d->out, "%s    {\"ok\": %s", d->n_lines ? ",\n" : "\n",
			   fine ? "true" : "false");
		buf_json_member(&d->out, ", ", "check", what);
		buf_json_member(&d->out, ", ", "text", text);
		buf_puts(&d->out, "}");
	} else if (!fine || !d->options->quiet) {
		buf_line(&d->out, "%-8s %-13s %s", fine ? "ok" : "FINDING", what, text);
	}
	d->n_lines++;
}

/* A number in a file of /proc; -1 if there is none. */
static long number_in(const char *path)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	return file_read(&text, path, MAX_LINE, &err) ? strtol(buf_text(&text), NULL, 10) : -1;
}

bool doctor_bridges_are_filtered(void)
{
	return number_in("/proc/sys/net/bridge/bridge-nf-call-iptables") == 1;
}

/*
 * Whether iptables-legacy is in use. Without NET_RAW its save tool fails, and with it the plan that
 * would know the variant. Then only the kernel's list of loaded tables is left.
 */
static bool legacy_is_used(const struct doctor *d)
{
	AUTO_BUF struct buf names = {0};
	struct error err = {0};

	if (d->planned)
		return d->pass.view.facts.variant == VARIANT_LEGACY;
	return file_read(&names, "/proc/self/net/ip_tables_names", MAX_LINE, &err) && names.len > 0;
}

/* --- the checks, in the order in which they are printed --- */

static void check_capabilities(struct doctor *d)
{
	static const struct {
		const char *name, *why;
		int number;
		bool legacy_only;
	} needed[] = {
		{"NET_ADMIN", "to change rules and routes", CAP_NET_ADMIN, false},
		{"SYS_ADMIN", "to enter containers' namespaces", CAP_SYS_ADMIN, false},
		{"SYS_PTRACE", "to enter those of containers of other users", CAP_SYS_PTRACE,
		 false},
		{"NET_RAW", "which the tools of iptables-legacy demand", CAP_NET_RAW, true},
	};
	AUTO_BUF struct buf text = {0};
	struct error err = {0};
	const char *line;
	unsigned long long effective;

	if (!file_read(&text, "/proc/self/status", MAX_LINE * 4, &err))
		return;
	line = strstr(buf_text(&text), "CapEff:");
	effective = line ? strtoull(line + 7, NULL, 16) : 0;
	for (size_t i = 0; i < COUNT_OF(needed); i++) {
		if (needed[i].legacy_only && !legacy_is_used(d))
			continue;
		if (!(effective & 1ull << needed[i].number))
			doctor_say(d, false, "capabilities", "%s is missing, %s; add --cap-add %s",
				   needed[i].name, needed[i].why, needed[i].name);
		else
			doctor_say(d, true, "capabilities", "%s", needed[i].name);
	}
}

static void check_kernel(struct doctor *d)
{
	struct error err = {0};
	uint32_t generation;

	if (fw_nft_generation(&generation, &d->world.host, &err))
		doctor_say(d, true, "nf_tables", "works");
	else if (nf_tables_is_absent(err.code))
		doctor_say(d, false, "nf_tables",
			   "this kernel has none: iptables-legacy is used instead; load the module "
			   "nf_tables if there is one");
	else
		doctor_say(d, false, "nf_tables", "%s", err.text);
	doctor_say(d, true, "br_netfilter", "%s",
		   doctor_bridges_are_filtered()
			   ? "is on: traffic within one network passes iptables, too"
			   : "is off: traffic within one network does not pass iptables");
}

/* On any bridge that packets of containers with several networks may come from. */
static void check_rp_filter(struct doctor *d)
{
	AUTO_RELEASE struct arena a = {0};
	long all = number_in("/proc/sys/net/ipv4/conf/all/rp_filter");
	const char *strict = "";

	list_each (n, &d->pass.view.engine.networks)
		if (n->bridge &&
		    checkup_is_strict(
			    all, number_in(arena_printf(&a, "/proc/sys/net/ipv4/conf/%s/rp_filter",
							n->bridge))))
			strict = arena_printf(&a, "%s%s%s", strict, *strict ? ", " : "", n->bridge);
	if (checkup_is_strict(all, 0) || *strict)
		doctor_say(d, false, "rp_filter",
			   "is strict (%s): packets of containers on several networks may be "
			   "dropped; sysctl net.ipv4.conf.all.rp_filter=2",
			   checkup_is_strict(all, 0) ? "everywhere" : strict);
	else
		doctor_say(d, true, "rp_filter", "is not strict");
}

static bool says_overlap(struct doctor *d, const struct engine_network *network, enum family f,
			 bool dead)
{
	struct prefix subnet = network->ipam[f].subnet;
	const struct host_prefix *taken;

	if (!network->bridge || !subnet.ip.family || (f == FAMILY_6 && !network->ipv6))
		return false;
	taken = checkup_find_overlap(&d->pass.view.seen, subnet, network->bridge, "", dead);
	if (!taken)
		return false;
	doctor_say(d, false, "overlap",
		   "network \"%s\" is %s, and %s leads to %s: packets for its containers go there; "
		   "remove that route or address, or choose another subnet",
		   network->name, prefix_format(subnet).s, prefix_format(taken->prefix).s,
		   taken->dead ? taken->dead : taken->device);
	return true;
}

static void check_overlaps(struct doctor *d)
{
	uint32_t n = 0;

	if (!d->planned)
		return;
	list_each (network, &d->pass.view.engine.networks)
		for (int dead = 0; dead <= 1; dead++)
			for (enum family f = 0; f < N_FAMILIES; f++)
				n += says_overlap(d, network, f, dead);
	if (!n)
		doctor_say(d, true, "overlap", "no route or address diverts a network's packets");
}

static void check_engine(struct doctor *d)
{
	const struct engine *e = &d->pass.view.engine;

	if (!d->planned) {
		doctor_say(d, false, "engine", "%s", d->err.text);
		return;
	}
	if (e->up)
		doctor_say(d, true, "engine", "Docker %s, API %s", e->version, e->api);
	else
		doctor_say(d, false, "engine", "%s", d->pass.view.facts.no_engine);
	list_each (c, &e->containers)
		if (checkup_is_network_go(c))
			doctor_say(d, false, "network-go",
				   "container \"%s\" is running and writes rules of its own; stop "
				   "it: docker rm -f %s",
				   c->name, c->name);
}

static void check_docker_user(struct doctor *d, const struct facts *f)
{
	AUTO_BUF struct buf text = {0};
	bool lost = f->docker_drops && !f->docker_user;

	facts_print(&text, &d->pass.view.engine, f);
	if (!lost)
		doctor_say(d, true, "firewall", "%s", buf_text(&text));
	else if (f->docker_user_late)
		doctor_say(d, false, "DOCKER-USER",
			   "stands behind Docker's own rules (Docker 20 does that when it starts "
			   "again with --live-restore): our rule is at the top of FORWARD instead, "
			   "where others' come before it sooner or later; restart dockerd without "
			   "--live-restore");
	else
		doctor_say(d, false, "DOCKER-USER",
			   "is not there, or FORWARD does not jump to it: our rule is at the top "
			   "of FORWARD instead, where others' come before it sooner or later; "
			   "restart dockerd, which makes it");
}

static void check_bridges(struct doctor *d, const struct facts *f)
{
	doctor_say(d, f->takes_mark, "firewall",
		   f->takes_mark ? "Docker's nftables backend takes our mark"
				 : "Docker's nftables backend takes no mark; start dockerd with "
				   "--bridge-accept-fwmark=0x%x/0x%x",
		   f->mark_accept, f->mark_accept);
	if (f->direct == DIRECT_OPEN)
		doctor_say(d, true, "direct access",
			   "Docker drops nothing that comes directly to containers' addresses: "
			   "dockerd has --allow-direct-routing, or chain raw-PREROUTING of table "
			   "ip docker-bridges was flushed (then restart dockerd)");
	if (f->six.direct == DIRECT_OPEN)
		doctor_say(d, true, "direct access",
			   "Docker drops nothing that comes directly to containers' addresses of "
			   "IPv6: dockerd has --allow-direct-routing, or chain raw-PREROUTING of "
			   "table ip6 docker-bridges was flushed (then restart dockerd)");
}

static bool daemon_runs(const struct doctor *d, char holder[LOCK_TEXT])
{
	struct error err = {0};

	return ask_holder(holder, &d->world, &err) && *holder && !lock_is_passing(holder);
}

bool doctor_finds_daemon(const struct doctor *d)
{
	char holder[LOCK_TEXT] = "";

	return daemon_runs(d, holder);
}

/* A reload flushes every iptables rule, and somebody must restore ours. */
static void check_firewalld(struct doctor *d)
{
	if (!d->planned || !d->pass.view.facts.firewalld.stands)
		return;
	if (doctor_finds_daemon(d))
		doctor_say(d, true, "firewalld",
			   "is running; the daemon restores what its reloads flush");
	else
		doctor_say(d, false, "firewalld",
			   "is running, its reloads flush our rules, and no daemon restores them; "
			   "start harborwall run");
}

/* What a name is asked for no rule of ours sees: the question may carry anything out. */
static void check_egress(struct doctor *d)
{
	enum { ASKS_FROM_HOST = 28 };
	const char *networks = "";
	AUTO_RELEASE struct arena a = {0};

	list_each (n, &d->generation.config.networks)
		if (n->egress == EGRESS_DENY)
			networks = arena_printf(&a, "%s%s%s", networks, *networks ? ", " : "",
						n->name);
	if (*networks && d->pass.view.engine.major >= ASKS_FROM_HOST)
		doctor_say(d, true, "egress",
			   "denied to %s, but for Docker's DNS: what containers ask it for leaves "
			   "from the host's namespace, where no policy is asked",
			   networks);
	else if (*networks)
		doctor_say(d, true, "egress",
			   "denied to %s; of Docker's DNS only where the host's resolver is on "
			   "loopback does what containers ask it for leave past it, else a policy "
			   "must let them reach the resolver",
			   networks);
}

static void check_firewall(struct doctor *d)
{
	const struct facts *f = &d->pass.view.facts;

	if (!d->planned)
		return;
	if (f->docker_nftables)
		check_bridges(d, f);
	else
		check_docker_user(d, f);
	if (f->mixed)
		doctor_say(d, false, "variants",
			   "Docker's chains stand in iptables-nft and in iptables-legacy: a packet "
			   "must pass both; remove the stale ones (update-alternatives --display "
			   "iptables shows what dockerd uses)");
	doctor_say(d, f->docker_drops, "isolation", "%s",
		   f->docker_drops ? "Docker closes its networks" : f->open_why);
	doctor_say(d, f->ip_forward == 1, "forwarding", "%s",
		   f->ip_forward == 1
			   ? "net.ipv4.ip_forward is 1"
			   : "net.ipv4.ip_forward is 0: nothing is routed; apply turns it on");
	if (d->generation.config.has_ipv6)
		doctor_check_ipv6(d, f);
	check_egress(d);
	if (!f->six.docker_drops)
		doctor_check_others_ipv6(d, f);
}

static void find_managed(struct managed *managed, struct arena *a, const struct doctor *d,
			 enum family f)
{
	const struct engine *engine = &d->pass.view.engine;

	list_each (n, &d->generation.config.networks) {
		const char *bridge = network_bridge(n, engine);

		if (!n->ipam[f].subnet.ip.family)
			continue;
		*list_add(a, &managed->subnets) = n->ipam[f].subnet;
		if (bridge)
			*list_add(a, &managed->bridges) = bridge;
	}
	list_each (e, &engine->networks)
		if (e->bridge)
			*list_add(a, &managed->docker) = e->bridge;
	interfaces_sort(&managed->bridges);
	interfaces_sort(&managed->docker);
}

/* Rules that duplicate a policy are reported with the findings. */
static bool is_leftover(const struct doctor *d, const struct opening *o)
{
	list_each (l, &d->pass.view.seen.have.spaces.items[0].leftovers)
		if (l->variant == o->variant && l->family == o->family &&
		    !strcmp(l->table, o->table) && !strcmp(l->rule, o->rule))
			return true;
	return false;
}

static void find_openings(struct doctor *d, opening_list *found, struct arena *a, uint8_t family)
{
	struct managed managed = {.closed = family == 6 && !d->pass.view.facts.six.docker_drops};

	find_managed(&managed, a, d, family == 6 ? FAMILY_6 : FAMILY_4);
	for (enum variant v = d->pass.view.facts.no_nf_tables ? VARIANT_LEGACY : VARIANT_NFT;
	     v <= VARIANT_LEGACY; v++) {
		AUTO_BUF struct buf save = {0};
		struct error err = {0};

		if (iptables_save(&save, &d->world.host, v, family, &err))
			openings_find(found, a, v, family, buf_text(&save), &managed);
		else
			doctor_say(d, false, "unmanaged", "%s", err.text);
	}
}

/* Unmanaged rules that admit what no policy admits. */
static void check_unmanaged(struct doctor *d)
{
	AUTO_RELEASE struct arena a = {0};
	opening_list found = {0};
	uint32_t n = 0;

	if (!d->planned || !d->valid || !d->generation.config.networks.n)
		return;
	find_openings(d, &found, &a, 4);
	if (d->generation.config.has_ipv6)
		find_openings(d, &found, &a, 6);
	list_each (o, &found) {
		if (is_leftover(d, o))
			continue;
		n++;
		doctor_say(d, false, "unmanaged",
			   "an unmanaged rule opens managed networks: %s -t %s %s; remove it (-D), "
			   "or replace it by a policy",
			   variant_tool(o->variant, o->family), o->table, o->rule);
	}
	if (!n)
		doctor_say(d, true, "unmanaged", "no unmanaged rule opens managed networks");
}

static void check_config(struct doctor *d)
{
	const char *file = d->options->config;

	if (d->valid)
		doctor_say(d, true, "config", "%s: %u policies", file,
			   d->generation.config.policies.n);
	else if (d->unread.text[0])
		doctor_say(d, false, "config", "%s", d->unread.text);
	else
		doctor_say(d, false, "config", "%s can't be enforced; harborwall check says why",
			   file);
}

static void check_findings(struct doctor *d)
{
	if (!d->planned)
		return;
	list_each (f, &d->pass.plan.findings.list)
		doctor_say(d, f->kind == FINDING_WAITING || f->kind == FINDING_NOTE,
			   finding_names[f->kind], "%s: %s", f->subject, f->text);
}

static void check_namespaces(struct doctor *d)
{
	uint32_t n = 0;

	if (!d->planned)
		return;
	list_each (space, &d->pass.view.seen.have.spaces) {
		n += space->reachable;
		if (space->container && space->obstacle)
			doctor_say(d, false, "namespace", "%s: %s", space->container,
				   space->obstacle);
	}
	doctor_say(d, true, "namespaces", "%u can be entered", n);
}

static void check_daemon(struct doctor *d)
{
	char holder[LOCK_TEXT] = "";

	if (daemon_runs(d, holder))
		doctor_say(d, true, "daemon", "runs (%s)", holder);
	else
		doctor_say(d, true, "daemon", "does not run");
}

static void (*const checks[])(struct doctor *) = {
	check_capabilities,  check_kernel,    check_rp_filter, check_engine, check_firewall,
	doctor_check_strict, check_firewalld, check_overlaps,  check_config, check_daemon,
	check_namespaces,    check_unmanaged, check_findings,
};

static void look(struct doctor *d)
{
	AUTO_TEXTS struct texts text = {0};
	struct error err = {0};
	static const struct generation nothing;

	d->valid = texts_read(&text, d->options->config, TEXTS_PIPE_MS, &d->unread) &&
		   generation_load(&d->generation, d->options->config, &text, &err);
	d->world.look_for_leftovers = true;
	d->world.keep_networks = true;
	d->planned = pass_plan(&d->pass, &d->world, d->valid ? &d->generation : &nothing, &d->err);
}

int verb_doctor(const struct options *options)
{
	struct doctor d = {.options = options};
	int status;

	if (!world_open(&d.world, options, &d.err)) {
		say_error("%s", d.err.text);
		world_close(&d.world);
		return EXIT_FAILED;
	}
	look(&d);
	if (options->json)
		buf_puts(&d.out, "{\n  \"checks\": [");
	for (size_t i = 0; i < COUNT_OF(checks); i++)
		checks[i](&d);
	if (options->json)
		buf_printf(&d.out, "\n  ],\n  \"findings\": %u\n}\n", d.n_findings);
	say_page(stdout, &d.out);
	status = d.n_findings ? EXIT_FINDINGS : EXIT_FINE;
	buf_free(&d.out);
	pass_release(&d.pass);
	generation_release(&d.generation);
	world_close(&d.world);
	return status;
}
