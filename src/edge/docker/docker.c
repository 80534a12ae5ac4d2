/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls of the Docker Engine API: one connection kept alive, a deadline and a size limit for every
 * answer. The API version is negotiated again whenever another engine may be answering.
 */
#include "edge/docker/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	READ_TIMEOUT_MS = 10000,
	WRITE_TIMEOUT_MS = 60000, /* a disconnect waits for the container's lock */
	TICK_MS = 1000,
	MAX_LIST = 256 << 20,
	MAX_ANSWER = 1 << 20,
	/* minor API version from which engines always check for duplicates */
	CHECK_DUPLICATE_BELOW = 44,
};

enum method { GET, POST, DELETE };

static const char *const method_names[] = {[GET] = "GET", [POST] = "POST", [DELETE] = "DELETE"};

struct request {
	enum method method;
	const char *path;	/* after the version */
	const struct buf *body; /* of a POST */
	size_t max;		/* most bytes of the answer */
	bool unversioned;
};

static size_t take_answer(char *bytes, size_t size, size_t n, void *docker)
{
	struct docker *d = docker;

	if (size * n > d->max_answer - d->answer.len)
		return 0; /* fewer than given: CURLE_WRITE_ERROR */
	buf_add(&d->answer, bytes, size * n);
	return size * n;
}

static void set_up(struct docker *d, const struct request *q)
{
	AUTO_BUF struct buf path = {0};
	int timeout = q->method == GET ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS;

	if (!q->unversioned)
		buf_printf(&path, "/v%s", d->engine.api);
	buf_puts(&path, q->path);
	docker_prepare(d, d->easy, buf_text(&path), d->why);
	if (d->address.timeout_ms)
		timeout = d->address.timeout_ms;
	curl_easy_setopt(d->easy, CURLOPT_TIMEOUT_MS, (long)timeout);
	curl_easy_setopt(d->easy, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(d->easy, CURLOPT_WRITEDATA, d);
	if (q->method == POST) {
		curl_easy_setopt(d->easy, CURLOPT_POSTFIELDS, buf_text(q->body));
		curl_easy_setopt(d->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body->len);
		curl_easy_setopt(d->easy, CURLOPT_HTTPHEADER, d->json_header);
	}
	curl_easy_setopt(d->easy, CURLOPT_CUSTOMREQUEST, method_names[q->method]);
}

/* Forget what was negotiated: another engine may come back. */
static void forget(struct docker *d)
{
	arena_release(&d->engine_arena);
	d->engine = (struct engine){0};
}

void docker_set_meanwhile(struct docker *d, const struct docker_meanwhile *meanwhile)
{
	d->meanwhile = *meanwhile;
}

static CURLcode result_of(struct docker *d)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(d->calls, &left)))
		if (message->msg == CURLMSG_DONE)
			return message->data.result;
	return CURLE_ABORTED_BY_CALLBACK; /* cancelled by the caller */
}

/* curl_easy_perform, but the caller can do other things meanwhile. */
static CURLcode transfer(struct docker *d, enum method method)
{
	const struct docker_meanwhile *m = &d->meanwhile;
	struct curl_waitfd fds[] = {{.fd = m->fds[0], .events = CURL_WAIT_POLLIN},
				    {.fd = m->fds[1], .events = CURL_WAIT_POLLIN},
				    {.fd = m->fds[2], .events = CURL_WAIT_POLLIN}};
	bool wanted = true;
	int running = 1;
	CURLcode code;

	curl_multi_add_handle(d->calls, d->easy);
	while (running && wanted && !curl_multi_perform(d->calls, &running)) {
		if (!running ||
		    curl_multi_poll(d->calls, fds, m->take ? COUNT_OF(fds) : 0, TICK_MS, NULL))
			break;
		if (m->take)
			wanted = m->take(m->context) || method != GET;
	}
	code = result_of(d);
	curl_multi_remove_handle(d->calls, d->easy);
	return code;
}

static bool perform(struct docker *d, const struct request *q, struct error *err)
{
	long status = 0, connects = 0;
	CURLcode code;

	buf_free(&d->answer);
	d->max_answer = q->max;
	set_up(d, q);
	code = transfer(d, q->method);
	curl_easy_getinfo(d->easy, CURLINFO_NUM_CONNECTS, &connects);
	curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
	if (connects)
		d->reconnected = true;
	if (code) {
		forget(d);
		return docker_transfer_error(d, d->easy, code, d->why, err);
	}
	if (status < 200 || status > 299)
		return engine_decode_error(err, (int)status, buf_text(&d->answer), d->answer.len);
	return true;
}

static bool refuse_podman(const struct docker *d, const char *server, struct error *err)
{
	return error_set(err, -1,
			 "%s is Podman (%.40s), which is not supported: it ignores fixed addresses "
			 "and marks; use Docker",
			 d->address.shown, server);
}

/* Once per connection. The result is kept in d->engine. */
static bool negotiate(struct docker *d, struct error *err)
{
	static const struct request version = {GET, "/version", NULL, MAX_ANSWER, true};
	struct curl_header *header = NULL;
	const char *server;

	if (d->engine.api && !d->reconnected)
		return true;
	forget(d);
	if (!perform(d, &version, err))
		return err->code < 200 ? false : error_wrap(err, "read the engine's version");
	curl_easy_header(d->easy, "Server", 0, CURLH_HEADER, -1, &header);
	server = header ? header->value : "";
	if (!engine_decode_version(&d->engine, &d->engine_arena, buf_text(&d->answer),
				   d->answer.len, server, err))
		return error_wrap(err, "Docker engine at %s", d->address.shown);
	if (d->engine.libpod)
		return refuse_podman(d, server, err);
	if (!engine_choose_api(&d->engine, &d->engine_arena, d->address.api_version, err))
		return error_wrap(err, "Docker engine at %s", d->address.shown);
	d->reconnected = false;
	return true;
}

static bool call(struct docker *d, const struct request *q, struct error *err)
{
	return negotiate(d, err) && perform(d, q, err);
}

static void copy_version(struct engine *e, struct arena *a, const struct engine *from)
{
	*e = (struct engine){.version = arena_strdup(a, from->version),
			     .api = arena_strdup(a, from->api),
			     .api_min = arena_strdup(a, from->api_min),
			     .api_max = arena_strdup(a, from->api_max),
			     .major = from->major,
			     .minor = from->minor};
}

typedef bool decoder(struct engine *e, struct arena *a, const char *json, size_t len,
		     struct error *err);

static const struct reading {
	const char *doing;
	struct request request;
	decoder *decode;
} readings[] = {
	{"read the engine's info", {GET, "/info", NULL, MAX_ANSWER, false}, engine_decode_info},
	{"list networks", {GET, "/networks", NULL, MAX_LIST, false}, engine_decode_networks},
	{"list containers",
	 {GET, "/containers/json?all=1", NULL, MAX_LIST, false},
	 engine_decode_containers},
};

/* A proxy may refuse /info and let the rest through. That says nothing about the engine. */
static bool is_forbidden(int code)
{
	return code == 401 || code == 403 || code == 404 || code == 405 || code == 501;
}

static bool read_part(struct docker *d, const struct reading *reading, struct engine *e,
		      struct arena *a, struct error *err)
{
	if (perform(d, &reading->request, err))
		return reading->decode(e, a, buf_text(&d->answer), d->answer.len, err);
	if (reading->decode != engine_decode_info || !is_forbidden(err->code))
		return false;
	e->info_refused = arena_strdup(a, err->text);
	*err = (struct error){0};
	return true;
}

static bool read_once(struct docker *d, struct engine *e, struct arena *a, struct error *err)
{
	if (!negotiate(d, err))
		return false;
	copy_version(e, a, &d->engine);
	for (size_t i = 0; i < COUNT_OF(readings); i++)
		if (!read_part(d, &readings[i], e, a, err))
			return error_wrap(err, "%s", readings[i].doing);
	return true;
}

bool docker_read(struct docker *d, struct engine *e, struct arena *a, struct error *err)
{
	bool ok = true;

	/*
	 * The connection was renewed half way: the lists may be of two engines, so read them again.
	 */
	for (int attempt = 0; attempt < 2 && ok && (!attempt || d->reconnected); attempt++)
		ok = read_once(d, e, a, err);
	buf_free(&d->answer);
	e->up = ok;
	if (!ok)
		*e = (struct engine){.libpod = d->engine.libpod};
	return ok;
}

bool docker_read_details(struct docker *d, struct engine_details *details, struct arena *a,
			 struct error *err)
{
	const struct request request = {GET, "/containers/json?all=1", NULL, MAX_LIST, false};
	bool ok = perform(d, &request, err) &&
		  engine_decode_details(details, a, buf_text(&d->answer), d->answer.len, err);

	buf_free(&d->answer);
	return ok || error_wrap(err, "list containers");
}

/* Shortens ids as Docker does; names are not shortened. */
static int shown_len(const char *id)
{
	return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64 ? 12 : 64;
}

/* "/networks/" name "/connect", with the name URL-encoded. */
static void add_path(struct buf *path, struct docker *d, const char *before, const char *name,
		     const char *after)
{
	char *escaped = curl_easy_escape(d->easy, name, 0);

	buf_puts(path, before);
	buf_puts(path, escaped ? escaped : "");
	buf_puts(path, after);
	curl_free(escaped);
}

bool docker_inspect(struct docker *d, struct engine_container *c, struct arena *a,
		    struct error *err)
{
	AUTO_BUF struct buf path = {0};
	bool ok;

	add_path(&path, d, "/containers/", c->id, "/json");
	ok = call(d, &(struct request){.path = buf_text(&path), .max = MAX_ANSWER}, err) &&
	     engine_decode_inspect(c, a, buf_text(&d->answer), d->answer.len, err);
	buf_free(&d->answer);
	return ok ? true
		  : error_wrap(err, "inspect container %.*s", c->name ? 64 : shown_len(c->id),
			       c->name ? c->name : c->id);
}

/* A request that changes something: "POST /networks/web/connect: 403 Address already in use". */
static bool change(struct docker *d, enum method method, const char *path, const struct buf *body,
		   struct error *err)
{
	struct request q = {method, path, body, MAX_ANSWER, false};

	return call(d, &q, err)
		       ? true
		       : error_wrap(err, "%s %s", method == POST ? "POST" : "DELETE", path);
}

bool docker_network_settings(struct docker *d, struct kept_network *was, const char *id,
			     struct arena *a, struct error *err)
{
	AUTO_BUF struct buf path = {0};
	bool ok;

	add_path(&path, d, "/networks/", id, "");
	ok = call(d, &(struct request){.path = buf_text(&path), .max = MAX_LIST}, err) &&
	     engine_decode_network_settings(&was->settings, a, buf_text(&d->answer), d->answer.len,
					    err);
	buf_free(&d->answer);
	return ok || error_wrap(err, "inspect network %s", was->name);
}

bool docker_create_network(struct docker *d, const struct network *network,
			   const struct kept_network *was, struct error *err)
{
	AUTO_BUF struct buf body = {0};

	if (!negotiate(d, err))
		return false;
	engine_encode_network(&body, network, was, atoi(d->engine.api + 2) < CHECK_DUPLICATE_BELOW);
	return change(d, POST, "/networks/create", &body, err);
}

bool docker_remove_network(struct docker *d, const char *id, struct error *err)
{
	AUTO_BUF struct buf path = {0};

	add_path(&path, d, "/networks/", id, "");
	return change(d, DELETE, buf_text(&path), NULL, err);
}

bool docker_connect(struct docker *d, const char *network, const char *container_id,
		    const struct connecting *how, struct error *err)
{
	AUTO_BUF struct buf path = {0}, body = {0};

	add_path(&path, d, "/networks/", network, "/connect");
	engine_encode_connect(&body, container_id, how);
	return change(d, POST, buf_text(&path), &body, err);
}

bool docker_disconnect(struct docker *d, const char *network, const char *container_id, bool force,
		       struct error *err)
{
	AUTO_BUF struct buf path = {0}, body = {0};

	add_path(&path, d, "/networks/", network, "/disconnect");
	engine_encode_disconnect(&body, container_id, force);
	return change(d, POST, buf_text(&path), &body, err);
}

struct docker *docker_new(const struct docker_options *options, struct error *err)
{
	struct docker *d = xmalloc(sizeof(*d));

	*d = (struct docker){.events.epoll = -1, .events.timer_ms = -1};
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		error_set(err, -1, "cannot start libcurl");
	d->easy = curl_easy_init();
	d->calls = curl_multi_init();
	d->json_header = curl_slist_append(NULL, "Content-Type: application/json");
	/*
	 * with a body over 1 MiB curl would wait a second for 100 Continue, which dockerd may not
	 * send
	 */
	d->json_header = curl_slist_append(d->json_header, "Expect:");
	if (d->easy && d->calls && d->json_header && !err->code &&
	    docker_address_parse(&d->address, &d->arena, options, err) &&
	    docker_events_init(d, err))
		return d;
	error_set(err, -1, "cannot start libcurl");
	docker_free(d);
	return NULL;
}

bool docker_is_remote(const struct docker *d)
{
	return d->address.remote;
}

void docker_free(struct docker *d)
{
	if (!d)
		return;
	docker_events_free(d);
	curl_easy_cleanup(d->easy);
	curl_multi_cleanup(d->calls);
	curl_slist_free_all(d->json_header);
	buf_free(&d->answer);
	arena_release(&d->engine_arena);
	arena_release(&d->arena);
	free(d);
	curl_global_cleanup();
}
