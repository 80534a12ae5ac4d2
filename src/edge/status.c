/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/status.h"

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
};

struct status_server {
	struct MHD_Daemon *http;
	char *path; /* of a unix socket, to be removed */
	struct buf page[N_STATUS_PAGES];
	struct MHD_Connection *waiting[MAX_CONNECTIONS];
	uint32_t n_waiting;
	bool asked;	   /* somebody came to wait since the last status_run */
	unsigned int code; /* the answer to those who waited */
	struct buf answer;
};

static enum MHD_Result reply(struct MHD_Connection *c, unsigned int code, const char *type,
			     const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	MHD_add_response_header(r, "Content-Type", type);
	result = MHD_queue_response(c, code, r);
	MHD_destroy_response(r);
	return result;
}

/* Called a second time, with *seen set, when the pass is over. */
static enum MHD_Result wait_for_pass(struct status_server *s, struct MHD_Connection *c, void **seen)
{
	if (*seen)
		return reply(c, s->code, "text/plain; charset=utf-8", buf_text(&s->answer));
	if (s->n_waiting == MAX_CONNECTIONS)
		return reply(c, 503, "text/plain", "too many wait already\n");
	*seen = c;
	s->waiting[s->n_waiting++] = c;
	s->asked = true;
	MHD_suspend_connection(c);
	return MHD_YES;
}

static enum MHD_Result handle(void *server, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **seen)
{
	struct status_server *s = server;

	(void)version;
	(void)upload;
	if (*upload_len) { /* nothing that is sent is wanted */
		*upload_len = 0;
		return MHD_YES;
	}
	if (!strcmp(url, "/pass"))
		return strcmp(method, "POST") == 0 ? wait_for_pass(s, c, seen)
						   : reply(c, 405, "text/plain", "POST it\n");
	if (strcmp(method, "GET") != 0)
		return reply(c, 405, "text/plain", "read only\n");
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		if (!strcmp(url, pages[i].path))
			return reply(c, 200, pages[i].type, buf_text(&s->page[i]));
	return reply(c, 404, "text/plain", "/status /status.txt /metrics\n");
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
				   MHD_OPTION_END);
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
	status_answer(s, false, "the daemon ends\n");
	if (s->http)
		MHD_stop_daemon(s->http);
	if (s->path)
		unlink(s->path);
	for (size_t i = 0; i < N_STATUS_PAGES; i++)
		buf_free(&s->page[i]);
	buf_free(&s->answer);
	free(s->path);
	free(s);
}

int status_fd(const struct status_server *s)
{
	return MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

bool status_run(struct status_server *s)
{
	bool asked;

	MHD_run(s->http);
	asked = s->asked;
	s->asked = false;
	return asked;
}

void status_publish(struct status_server *s, enum status_page page, const char *text)
{
	buf_clear(&s->page[page]);
	buf_puts(&s->page[page], text);
}

void status_answer(struct status_server *s, bool ok, const char *text)
{
	uint32_t n = s->n_waiting;

	if (!n)
		return;
	s->code = ok ? 200 : 500;
	buf_clear(&s->answer);
	buf_puts(&s->answer, text);
	s->n_waiting = 0;
	for (uint32_t i = 0; i < n; i++)
		MHD_resume_connection(s->waiting[i]);
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
