/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event stream: one endless answer on a connection of its own, driven by curl's multi socket
 * interface. curl's descriptors are in an epoll of ours, which the caller's loop waits for; nothing
 * here blocks. Any error ends the stream; the caller starts it again and reads the lists.
 */
#include "edge/docker/impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	ANSWER_TIMEOUT_MS = 10000, /* for the headers; the stream itself has no end */
	MAX_LINE = 1 << 20,
	MAX_WAITING = 16 << 20, /* bytes of lines that the caller has not read */
	MAX_READY = 8,
};

/* {"type":["container","network","daemon"]} */
static const char query[] =
	"/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%2C%22daemon%22%5D%7D";

/* curl asks to watch fd for `what`, or to stop. */
static int watch(CURL *easy UNUSED, curl_socket_t fd, int what, void *docker, void *unused UNUSED)
{
	static const uint32_t events[] = {[CURL_POLL_NONE] = 0,
					  [CURL_POLL_IN] = EPOLLIN,
					  [CURL_POLL_OUT] = EPOLLOUT,
					  [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT};
	struct docker *d = docker;
	struct epoll_event event = {.data.fd = fd};

	if (what == CURL_POLL_REMOVE) { /* it may be closed already: then epoll has removed it */
		(void)epoll_ctl(d->events.epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events = events[what & CURL_POLL_INOUT];
	if (epoll_ctl(d->events.epoll, EPOLL_CTL_MOD, fd, &event) &&
	    epoll_ctl(d->events.epoll, EPOLL_CTL_ADD, fd, &event))
		error_set(&d->events.broken, errno, "watch the event stream");
	return 0;
}

static int set_timer(CURLM *multi UNUSED, long timeout_ms, void *docker)
{
	struct docker *d = docker;

	d->events.timer_ms = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
	return 0;
}

/* The blank line after the headers. From a status 200 on, no event is missed. */
static size_t take_header(char *bytes, size_t size, size_t n, void *docker)
{
	struct docker_stream_state *s = &((struct docker *)docker)->events;
	long status = 0;

	if (n > 2 || bytes[0] == ' ')
		return size * n;
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200) {
		s->answer_by_ms = -1;
		s->ok = status == 200;
	}
	return size * n;
}

static size_t since_newline(const struct buf *b, size_t from)
{
	const char *last = b->len > from ? memrchr(b->data + from, '\n', b->len - from) : NULL;

	return last ? b->len - (size_t)(last + 1 - b->data) : b->len - from;
}

/* Receives lines, or the body of an error. Returning less than came ends the transfer. */
static size_t take_bytes(char *bytes, size_t size, size_t n, void *docker)
{
	struct docker_stream_state *s = &((struct docker *)docker)->events;

	buf_add(&s->lines, bytes, size * n);
	if (since_newline(&s->lines, s->taken) > MAX_LINE)
		error_set(&s->broken, -1, "event stream: a line longer than %d bytes", MAX_LINE);
	else if (s->lines.len - s->taken > MAX_WAITING)
		error_set(&s->broken, -1, "event stream: more events than can be read in time");
	return s->broken.code ? 0 : size * n;
}

bool docker_events_init(struct docker *d, struct error *err)
{
	struct docker_stream_state *s = &d->events;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->multi = curl_multi_init();
	if (s->epoll < 0 || !s->multi)
		return error_set(err, s->epoll < 0 ? errno : ENOMEM, "prepare the event stream");
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, watch);
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, d);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, d);
	return true;
}

static void docker_events_stop(struct docker *d)
{
	struct docker_stream_state *s = &d->events;

	if (s->easy) {
		curl_multi_remove_handle(s->multi, s->easy);
		curl_easy_cleanup(s->easy);
	}
	s->easy = NULL;
	s->timer_ms = -1;
	s->answer_by_ms = -1;
	s->ok = false;
	s->taken = 0;
	s->broken = (struct error){0};
	buf_free(&s->lines);
}

void docker_events_free(struct docker *d)
{
	docker_events_stop(d);
	curl_multi_cleanup(d->events.multi);
	if (d->events.epoll >= 0)
		close(d->events.epoll);
}

bool docker_events_start(struct docker *d, struct error *err)
{
	struct docker_stream_state *s = &d->events;
	AUTO_BUF struct buf path = {0};

	docker_events_stop(d);
	s->easy = curl_easy_init();
	if (!s->easy)
		return error_set(err, ENOMEM, "start the event stream");
	/*
	 * A path without a version gets the engine's newest API: nothing must be negotiated first.
	 */
	if (d->address.api_version)
		buf_printf(&path, "/v%s",
			   d->address.api_version + (d->address.api_version[0] == 'v'));
	buf_puts(&path, query);
	docker_prepare(d, s->easy, buf_text(&path), s->why);
	curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, d);
	curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, d);
	curl_easy_setopt(s->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(s->easy, CURLOPT_FORBID_REUSE, 1L);
	s->answer_by_ms =
		clock_ms() + (d->address.timeout_ms ? d->address.timeout_ms : ANSWER_TIMEOUT_MS);
	if (curl_multi_add_handle(s->multi, s->easy)) {
		docker_events_stop(d);
		return error_set(err, -1, "start the event stream");
	}
	return true;
}

int docker_events_fd(const struct docker *d)
{
	return d->events.epoll;
}

int docker_events_timeout_ms(const struct docker *d)
{
	const struct docker_stream_state *s = &d->events;
	int64_t at = s->timer_ms, left;

	if (!s->easy)
		return -1;
	if (s->broken.code)
		return 0;
	if (s->answer_by_ms >= 0 && (at < 0 || s->answer_by_ms < at))
		at = s->answer_by_ms;
	if (at < 0)
		return -1;
	left = at - clock_ms();
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* Lets curl do what it can do now. */
static void drive(struct docker_stream_state *s)
{
	struct epoll_event ready[MAX_READY];
	int running, n = epoll_wait(s->epoll, ready, MAX_READY, 0);

	for (int i = 0; i < n; i++) {
		int what = (ready[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (ready[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (ready[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		curl_multi_socket_action(s->multi, ready[i].data.fd, what, &running);
	}
	if (s->timer_ms < 0 || s->timer_ms > clock_ms())
		return;
	s->timer_ms = -1; /* fires once: curl sets it again if necessary */
	curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

/* The transfer ended: with an error status, by itself, or broken. */
static void note_end(struct docker *d, CURLcode code, struct error *err)
{
	struct docker_stream_state *s = &d->events;
	long status = 0;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (s->broken.code)
		*err = s->broken;
	else if (code)
		docker_transfer_error(d, s->easy, code, s->why, err);
	else if (!s->ok)
		engine_decode_error(err, (int)status, buf_text(&s->lines), s->lines.len);
	else
		error_set(err, ECONNRESET, "Docker engine at %s", d->address.shown);
	error_wrap(err, "event stream");
}

/* True if the stream is over; err says why. */
static bool has_ended(struct docker *d, struct error *err)
{
	struct docker_stream_state *s = &d->events;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(s->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		note_end(d, message->data.result, err);
		return true;
	}
	if (!s->broken.code && s->answer_by_ms >= 0 && s->answer_by_ms <= clock_ms())
		error_set(&s->broken, ETIMEDOUT, "Docker engine at %s", d->address.shown);
	if (s->broken.code)
		note_end(d, CURLE_OK, err);
	return s->broken.code;
}

enum docker_stream docker_events_run(struct docker *d, struct error *err)
{
	struct docker_stream_state *s = &d->events;

	if (!s->easy)
		return STREAM_DOWN;
	drive(s);
	if (has_ended(d, err)) {
		docker_events_stop(d);
		return STREAM_DOWN;
	}
	return s->ok ? STREAM_UP : STREAM_CONNECTING;
}

/* The next whole line without its end; NULL: none yet. */
static const char *next_line(struct docker_stream_state *s, size_t *len)
{
	const char *start = buf_text(&s->lines) + s->taken;
	const char *end = s->ok ? memchr(start, '\n', s->lines.len - s->taken) : NULL;

	if (!end)
		return NULL;
	*len = (size_t)(end - start);
	s->taken += *len + 1;
	return start;
}

/* Drops lines that were read, but not after every single line. */
static void compact(struct docker_stream_state *s)
{
	struct buf rest = {0};

	if (!s->taken)
		return;
	if (s->taken < s->lines.len)
		buf_add(&rest, s->lines.data + s->taken, s->lines.len - s->taken);
	buf_free(&s->lines);
	s->lines = rest;
	s->taken = 0;
}

bool docker_events_next(struct docker *d, struct engine_event *event, struct arena *a)
{
	struct docker_stream_state *s = &d->events;
	const char *line;
	size_t len;

	while (!s->broken.code && (line = next_line(s, &len))) {
		if (strspn(line, " \r\n") >= len)
			continue;
		return engine_decode_event(event, a, line, len, &s->broken);
	}
	compact(s);
	return false;
}
