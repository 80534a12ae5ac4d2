/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/host/status.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 16, CONNECTION_S = 90, BACKLOG = 16 };

static const struct {
	const char *path, *type;
} pages[] = {
	[STATUS_JSON] = {"/status", "application/json"},
	[STATUS_TEXT] = {"/status.txt", "text/plain; charset=utf-8"},
	[STATUS_METRICS] = {"/metrics", "text/plain; version=0.0.4"},
	[STATUS_PASS] = {"/pass", "text/plain; charset=utf-8"},
};

/* Somebody who waits, and then his answer. */
struct guest {
	struct MHD_Connection *connection; /* NULL: the place is free */
	enum status_page page;
	uint64_t accepts; /* with a pass: the digest of a file; 0: none */
	struct MHD_Response *answer;
	unsigned int code;
};

struct status_server {
	struct MHD_Daemon *http;
	char *path; /* of a unix socket, to be removed */
	struct guest guests[MAX_CONNECTIONS];
};

static struct MHD_Response *response(const char *type, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

	MHD_add_response_header(r, "Content-Type", type);
	return r;
}

static enum MHD_Result reply(struct MHD_Connection *c, unsigned int code, const char *text)
{
	struct MHD_Response *r = response("text/plain", text);
	enum MHD_Result result = MHD_queue_response(c, code, r);

	MHD_destroy_response(r);
	return result;
}

static uint64_t digest_of(struct MHD_Connection *c)
{
	const char *text = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "accept");

	return text ? strtoull(text, NULL, 16) : 0;
}

static enum MHD_Result let_wait(struct status_server *s, struct MHD_Connection *c,
				enum status_page page, void **seen)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (!s->guests[i].connection) {
			s->guests[i] = (struct guest){
				.connection = c, .page = page, .accepts = digest_of(c)};
			*seen = &s->guests[i];
			MHD_suspend_connection(c);
			return MHD_YES;
		}
	return reply(c, 503, "too many wait already\n");
}

static void forget_guest(void *server UNUSED, struct MHD_Connection *c UNUSED, void **seen,
			 enum MHD_RequestTerminationCode why UNUSED)
{
	struct guest *guest = *seen;

	if (!guest)
		return;
	if (guest->answer)
		MHD_destroy_response(guest->answer);
	*guest = (struct guest){0};
}

static enum MHD_Result handle(void *server, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **seen)
{
	struct status_server *s = server;
	const struct guest *guest = *seen;

	(void)version;
	(void)upload;
	if (*upload_len) { /* nothing that is sent is wanted */
		*upload_len = 0;
		return MHD_YES;
	}
	if (guest) /* called again: the answer is there */
		return MHD_queue_response(c, guest->code, guest->answer);
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		bool posts = i == STATUS_PASS;

		if (strcmp(url, pages[i].path) != 0)
			continue;
		if (strcmp(method, posts ? "POST" : "GET") != 0)
			return reply(c, 405, posts ? "POST it\n" : "read only\n");
		return let_wait(s, c, (enum status_page)i, seen);
	}
	if (strcmp(method, "GET") != 0)
		return reply(c, 405, "read only\n");
	return reply(c, 404, "/status /status.txt /metrics\n");
}

/* --- the socket --- */

static int listen_unix(const char *path, struct error *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	mode_t before;
	int fd, bound;

	if (strlen(path) >= sizeof(at.sun_path)) {
		error_set(err, ENAMETOOLONG, "status socket %s", path);
		return -1;
	}
	memcpy(at.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path); /* of one that is gone: the lock says that we are the only one */
	before = umask(0177);
	bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&at, sizeof(at));
	umask(before);
	if (bound == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error_set(err, errno, "status socket %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

static int listen_loopback(const char *text, struct error *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	const char *colon = strchr(text, ':');
	char ip[16] = "";
	int fd, on = 1;

	if (colon && (size_t)(colon - text) < sizeof(ip)) {
		memcpy(ip, text, (size_t)(colon - text));
		at.sin_port = htons((uint16_t)atoi(colon + 1));
	}
	if (inet_pton(AF_INET, ip, &at.sin_addr) != 1 || !at.sin_port ||
	    ntohl(at.sin_addr.s_addr) >> 24 != 127) {
		error_set(err, EINVAL,
			  "HARBORWALL_LISTEN \"%s\" is neither a path nor 127.0.0.1:PORT", text);
		return -1;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error_set(err, errno, "listen on %s", text);
	if (fd >= 0)
		close(fd);
	return -1;
}

struct status_server *status_open(const char *listen, struct error *err)
{
	bool is_path = *listen == '/';
	int fd = is_path ? listen_unix(listen, err) : listen_loopback(listen, err);
	struct status_server *s;

	if (fd < 0)
		return NULL;
	s = xmalloc(sizeof(*s));
	*s = (struct status_server){.path = is_path ? strdup(listen) : NULL};
	s->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle,
				   s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				   MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_S,
				   MHD_OPTION_NOTIFY_COMPLETED, forget_guest, NULL, MHD_OPTION_END);
	if (s->http)
		return s;
	error_set(err, -1, "start the status server on %s", listen);
	close(fd);
	status_close(s);
	return NULL;
}

void status_close(struct status_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->http && i < COUNT_OF(pages); i++)
		status_answer(s, (enum status_page)i, false, "the daemon ends\n");
	if (s->http)
		MHD_stop_daemon(s->http);
	if (s->path)
		unlink(s->path);
	free(s->path);
	free(s);
}

int status_fd(const struct status_server *s)
{
	return MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void status_run(struct status_server *s)
{
	MHD_run(s->http);
}

static bool waits_for(const struct guest *guest, enum status_page page)
{
	return guest->connection && !guest->answer && guest->page == page;
}

bool status_is_asked(const struct status_server *s, enum status_page page)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (waits_for(&s->guests[i], page))
			return true;
	return false;
}

uint64_t status_accepts(const struct status_server *s)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (waits_for(&s->guests[i], STATUS_PASS) && s->guests[i].accepts)
			return s->guests[i].accepts;
	return 0;
}

void status_answer(struct status_server *s, enum status_page page, bool ok, const char *text)
{
	bool any = false;

	for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
		struct guest *guest = &s->guests[i];

		if (!waits_for(guest, page))
			continue;
		guest->code = ok ? 200 : 500;
		guest->answer = response(pages[page].type, text);
		MHD_resume_connection(guest->connection);
		any = true;
	}
	if (any)
		MHD_run(s->http);
}

/* --- the client --- */

static size_t take(char *bytes, size_t size, size_t n, void *body)
{
	buf_add(body, bytes, size * n);
	return size * n;
}

bool status_ask(struct buf *body, long *code, const char *listen, const char *path, bool post,
		struct error *err)
{
	AUTO_BUF struct buf url = {0};
	CURL *easy = curl_easy_init();
	CURLcode result;

	if (!easy)
		return error_set(err, -1, "cannot start libcurl");
	buf_printf(&url, "http://%s%s", *listen == '/' ? "harborwall" : listen, path);
	if (*listen == '/')
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, listen);
	curl_easy_setopt(easy, CURLOPT_URL, buf_text(&url));
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, post ? 120000L : 10000L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
	if (post)
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
	result = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, code);
	curl_easy_cleanup(easy);
	return result == CURLE_OK || error_set(err, ECONNREFUSED, "no daemon answers on %s (%s)",
					       listen, curl_easy_strerror(result));
}
