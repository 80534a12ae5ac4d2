/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/firewall/firewalld.h"

#include "base/base.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-bus.h>

#define FIREWALLD      "org.fedoraproject.FirewallD1"
#define FIREWALLD_PATH "/org/fedoraproject/FirewallD1"

struct firewalld_bus {
	int epoll; /* contains the bus's descriptor while connected */
	sd_bus *bus;
	bool reloaded;
};

struct firewalld_bus *firewalld_bus_open(struct error *err)
{
	struct firewalld_bus *b = xmalloc(sizeof(*b));

	*b = (struct firewalld_bus){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	if (b->epoll >= 0)
		return b;
	error_set(err, errno, "epoll");
	free(b);
	return NULL;
}

static void hang_up(struct firewalld_bus *b)
{
	if (b->bus) /* closing its descriptor removes it from the epoll */
		sd_bus_close_unref(b->bus);
	b->bus = NULL;
}

void firewalld_bus_close(struct firewalld_bus *b)
{
	if (!b)
		return;
	hang_up(b);
	close_at_exit_of_scope(&b->epoll);
	free(b);
}

int firewalld_bus_fd(const struct firewalld_bus *b)
{
	return b->epoll;
}

/* The events for poll(2) that the bus waits for. While it logs in it also writes. */
static void listen_for_what_is_due(struct firewalld_bus *b, int operation)
{
	struct epoll_event event = {0};
	int due = sd_bus_get_events(b->bus);

	event.events = due > 0 ? (uint32_t)due : EPOLLIN;
	if (epoll_ctl(b->epoll, operation, sd_bus_get_fd(b->bus), &event) < 0)
		hang_up(b);
}

static int take_reload(sd_bus_message *m UNUSED, void *bus, sd_bus_error *e UNUSED)
{
	((struct firewalld_bus *)bus)->reloaded = true;
	return 0;
}

/* firewalld took its bus name: it started, with empty zones. An empty owner: it stopped. */
static int take_owner(sd_bus_message *m, void *bus, sd_bus_error *e UNUSED)
{
	const char *name, *old, *new;

	if (sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && *new)
		((struct firewalld_bus *)bus)->reloaded = true;
	return 0;
}

static const struct {
	const char *rule;
	sd_bus_message_handler_t take;
} signals[] = {
	{"type='signal',sender='" FIREWALLD "',path='" FIREWALLD_PATH "',interface='" FIREWALLD
	 "',member='Reloaded'",
	 take_reload},
	{"type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/"
	 "DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" FIREWALLD "'",
	 take_owner},
};

void firewalld_bus_follow(struct firewalld_bus *b)
{
	int code;

	if (b->bus)
		return;
	code = sd_bus_open_system(&b->bus);
	for (size_t i = 0; i < COUNT_OF(signals) && code >= 0; i++)
		code = sd_bus_add_match_async(b->bus, NULL, signals[i].rule, signals[i].take, NULL,
					      b);
	if (code < 0) {
		log_debug("firewalld is not followed on the bus", "error", strerror(-code));
		hang_up(b);
		return;
	}
	listen_for_what_is_due(b, EPOLL_CTL_ADD);
}

bool firewalld_bus_run(struct firewalld_bus *b)
{
	bool reloaded;
	int code = 1;

	while (b->bus && code > 0)
		code = sd_bus_process(b->bus, NULL);
	if (code < 0)
		hang_up(b);
	else if (b->bus)
		listen_for_what_is_due(b, EPOLL_CTL_MOD);
	reloaded = b->reloaded;
	b->reloaded = false;
	return reloaded;
}

void firewalld_bus_add_interface(struct firewalld_bus *b, const char *zone, const char *interface)
{
	sd_bus_message *m = NULL;
	int code;

	if (!b->bus)
		return;
	code = sd_bus_message_new_method_call(b->bus, &m, FIREWALLD, FIREWALLD_PATH,
					      FIREWALLD ".zone", "addInterface");
	if (code >= 0)
		code = sd_bus_message_append(m, "ss", zone, interface);
	if (code >= 0) /* do not start a firewalld that has gone */
		code = sd_bus_message_set_auto_start(m, 0);
	if (code >= 0)
		code = sd_bus_message_set_expect_reply(m, 0);
	if (code >= 0)
		code = sd_bus_send(b->bus, m, NULL);
	if (code < 0)
		log_debug("firewalld was not asked", "interface", interface, "error",
			  strerror(-code));
	sd_bus_message_unref(m);
	listen_for_what_is_due(b, EPOLL_CTL_MOD);
}
