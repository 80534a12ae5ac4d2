/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handles of struct world: opened, listened to, closed. */
#include "app/world/known.h"
#include "app/world/world.h"
#include "app/world/written.h"
#include "base/hash.h"
#include "base/log.h"
#include "edge/firewall/iptables.h"
#include "edge/netlink/ports.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Of what nobody reports, to be compared with a later one; 0: can't be told. */
static uint64_t legacy_hash(const struct world *w)
{
	uint64_t hash = iptables_legacy_hash(w->legacy, 4);

	if (hash && w->legacy6_stands)
		hash = hash_word(hash, iptables_legacy_hash(w->legacy6, 6)) | 1;
	return hash;
}

void world_note_legacy(struct world *w)
{
	if (w->legacy_hash)
		w->legacy_hash = legacy_hash(w);
}

enum { LEGACY_POLL_MS = 500 };

void world_watch_legacy(struct world *w, bool on)
{
	const struct itimerspec often = {.it_value.tv_nsec = LEGACY_POLL_MS * 1000000L,
					 .it_interval.tv_nsec = LEGACY_POLL_MS * 1000000L};
	const struct itimerspec never = {0};

	if (on == (w->legacy_hash != 0))
		return;
	w->legacy_hash = on ? legacy_hash(w) : 0;
	timerfd_settime(w->legacy_timer, 0, w->legacy_hash ? &often : &never, NULL);
}

/* The legacy filter has changed since it was last read. */
static bool world_legacy_changed(struct world *w)
{
	uint64_t times, now;

	if (read(w->legacy_timer, &times, sizeof(times)) != sizeof(times))
		return false;
	now = legacy_hash(w);
	if (now == w->legacy_hash)
		return false;
	w->legacy_hash = now;
	return true;
}

/* Closing a descriptor removes it from the epoll. */
void world_listen_to(struct world *w, const struct ns *ns)
{
	const int fds[] = {ns->nf_event_fd, ns->route_event_fd};

	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		struct epoll_event event = {.events = EPOLLIN};

		if (fds[i] >= 0)
			epoll_ctl(w->events, EPOLL_CTL_ADD, fds[i], &event);
	}
}

/* The kernel announces flags and entries, and not switches and addresses that it answers for. */
enum { PORTS_POLL_MS = 80 };

void world_watch_ports(struct world *w, bool on)
{
	const struct itimerspec often = {.it_value.tv_nsec = PORTS_POLL_MS * 1000000L,
					 .it_interval.tv_nsec = PORTS_POLL_MS * 1000000L};

	if (on == (w->host.ports != NULL))
		return;
	ns_watch_ports(&w->host, on ? &w->ports : NULL);
	timerfd_settime(w->ports_timer, 0, on ? &often : &(struct itimerspec){0}, NULL);
}

static bool world_ports_changed(struct world *w)
{
	uint64_t times;

	return read(w->ports_timer, &times, sizeof(times)) == sizeof(times) &&
	       ports_differ(&w->ports.expected, &w->host);
}

/*
 * The pass that lets a container in may wait for the engine, which starts containers before it
 * answers. A port takes no time to close.
 */
static void close_new_ports(struct world *w)
{
	for (uint32_t i = 0; i < w->ports.n_opened; i++) {
		const struct port port = {.name = "of a container that starts",
					  .index = w->ports.opened[i],
					  .isolated = true,
					  .locked = true};
		struct error err = {0};

		if (!ports_set_flags(&w->host, &port, &err))
			log_warn("a new port of a strict network is open until the next pass",
				 "error", err.text);
	}
	w->ports.n_opened = 0;
}

bool world_heard_host(struct world *w)
{
	bool heard = ns_heard_changes(&w->host);

	close_new_ports(w);
	return heard;
}

bool world_heard_changes(struct world *w)
{
	bool host = world_heard_host(w), legacy = world_legacy_changed(w);
	bool ports = world_ports_changed(w);

	return known_heard_changes(w) || host || legacy || ports;
}

static const struct world closed_world = {.host = NS_INIT,
					  .events = -1,
					  .legacy = -1,
					  .legacy6 = -1,
					  .legacy_timer = -1,
					  .ports_timer = -1};

bool world_open(struct world *w, const struct options *options, struct error *err)
{
	struct docker_options docker = docker_options_from_environment();

	*w = closed_world;
	w->options = options;
	w->saved.path = options->state;
	w->engine_is_asked_for = docker.host != NULL;
	w->legacy = iptables_open_legacy(4);
	w->legacy6 = iptables_open_legacy(6);
	w->legacy_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->ports_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->docker = docker_new(&docker, err);
	w->events = epoll_create1(EPOLL_CLOEXEC);
	if (w->events < 0)
		return error_set(err, errno, "epoll");
	if (!w->docker || !ns_open_host(&w->host, err))
		return false;
	world_listen_to(w, &w->host);
	epoll_ctl(w->events, EPOLL_CTL_ADD, w->legacy_timer,
		  &(struct epoll_event){.events = EPOLLIN});
	epoll_ctl(w->events, EPOLL_CTL_ADD, w->ports_timer,
		  &(struct epoll_event){.events = EPOLLIN});
	return true;
}

void world_close(struct world *w)
{
	known_forget_all(w);
	arena_release(&w->memory.arena);
	arena_release(&w->debt.arena);
	port_watch_release(&w->ports);
	written_release(w);
	arena_release(&w->converged.arena);
	arena_release(&w->engine.arena);
	saved_release(&w->saved);
	refusals_forget(w);
	ns_close(&w->host);
	close_at_exit_of_scope(&w->events);
	close_at_exit_of_scope(&w->legacy_timer);
	close_at_exit_of_scope(&w->ports_timer);
	close_at_exit_of_scope(&w->legacy);
	close_at_exit_of_scope(&w->legacy6);
	docker_free(w->docker);
	*w = closed_world;
}

/* --- containers that ended just now --- */

void world_note_ended(struct world *w, const char *container)
{
	w->ended[w->n_ended++ % MOST_ENDED] =
		(struct ended){hash_text(container), clock_ms() + ENDED_MS};
}

void world_forget_ended(struct world *w, const char *container)
{
	for (size_t i = 0; i < MOST_ENDED; i++)
		if (!container || w->ended[i].name == hash_text(container))
			w->ended[i] = (struct ended){0};
}

bool world_has_ended(const struct world *w, const char *container)
{
	for (size_t i = 0; i < MOST_ENDED; i++)
		if (w->ended[i].name == hash_text(container) && w->ended[i].until > clock_ms())
			return true;
	return false;
}

/* --- connections that the engine refused --- */

void refusals_forget(struct world *w)
{
	arena_release(&w->of_refusals);
	memset(&w->refusals, 0, sizeof(w->refusals));
}

void refusals_expire(struct world *w)
{
	uint32_t n = 0;

	list_each (r, &w->refusals)
		if (r->until_ms > clock_ms())
			w->refusals.items[n++] = *r;
	w->refusals.n = n;
	if (!n)
		refusals_forget(w);
}
