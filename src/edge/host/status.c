/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/host/status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	MAX_CONNECTIONS = 32,
	PATIENCE_MS = 10000, /* for a request to arrive, or an answer to be read */
	BACKLOG = 16,
};

static const struct {
	const char *path, *type;
} pages[] = {
	[STATUS_JSON] = {"/status", "application/json"},
	[STATUS_TEXT] = {"/status.txt", "text/plain; charset=utf-8"},
	[STATUS_METRICS] = {"/metrics", "text/plain; version=0.0.4"},
	[STATUS_AUDIT_JSON] = {"/audit", "application/json"},
	[STATUS_AUDIT_TEXT] = {"/audit.txt", "text/plain; charset=utf-8"},
	[STATUS_PASS] = {"/pass", "text/plain; charset=utf-8"},
};

enum { FOREVER = -1 };

/* A connection while it is open. */
struct client {
	struct MHD_Connection *connection; /* NULL: the slot is free */
	bool waits;  /* the request waits until the caller has made the page */
	bool served; /* that answer is being made */
	enum status_page page;
	uint64_t accepts; /* digest that a POST /pass accepts; 0: none */
	struct MHD_Response *answer;
	unsigned int code;
	int64_t until_ms; /* closed then; FOREVER: it waits for us */
};

struct status_server {
	struct MHD_Daemon *http;
	char *path;  /* of a unix socket, to remove at the end */
	ino_t inode; /* if it is still this one */
	struct client clients[MAX_CONNECTIONS];
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

static void forget_answer(struct client *client)
{
	if (client->answer)
		MHD_destroy_response(client->answer);
	client->answer = NULL;
	client->waits = client->served = false;
	client->accepts = 0;
}

/* The library accepts no more connections than there are slots. */
static void greet(void *server, struct MHD_Connection *c, void **client_of_connection,
		  enum MHD_ConnectionNotificationCode what)
{
	struct status_server *s = server;
	struct client *client = *client_of_connection;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED && client) {
		forget_answer(client);
		*client = (struct client){0};
	}
	for (size_t i = 0; what == MHD_CONNECTION_NOTIFY_STARTED && i < MAX_CONNECTIONS; i++)
		if (!s->clients[i].connection) {
			s->clients[i] = (struct client){.connection = c,
							.until_ms = clock_ms() + PATIENCE_MS};
			*client_of_connection = &s->clients[i];
			return;
		}
}

/* The client may send another request on this connection. */
static void end_request(void *server UNUSED, struct MHD_Connection *c UNUSED, void **seen,
			enum MHD_RequestTerminationCode why UNUSED)
{
	struct client *client = *seen;

	if (!client)
		return;
	forget_answer(client);
	client->until_ms = clock_ms() + PATIENCE_MS;
}

static enum MHD_Result let_wait(struct MHD_Connection *c, enum status_page page, void **seen)
{
	struct client *client =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	if (!client)
		return MHD_NO;
	client->waits = true;
	client->page = page;
	client->accepts = digest_of(c);
	client->until_ms = FOREVER;
	*seen = client;
	MHD_suspend_connection(c);
	return MHD_YES;
}

static enum MHD_Result handle(void *server UNUSED, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version UNUSED,
			      const char *upload UNUSED, size_t *upload_len, void **seen)
{
	const struct client *client = *seen;

	if (*upload_len) { /* request bodies are ignored */
		*upload_len = 0;
		return MHD_YES;
	}
	if (client) /* called again: the answer is ready */
		return MHD_queue_response(c, client->code, client->answer);
	for (size_t i = 0; i < COUNT_OF(pages); i++) {
		bool posts = i == STATUS_PASS;

		if (strcmp(url, pages[i].path) != 0)
			continue;
		if (strcmp(method, posts ? "POST" : "GET") != 0)
			return reply(c, 405, posts ? "POST it\n" : "read only\n");
		return let_wait(c, (enum status_page)i, seen);
	}
	if (strcmp(method, "GET") != 0)
		return reply(c, 405, "read only\n");
	return reply(c, 404, "/status /status.txt /metrics /audit /audit.txt\n");
}

/* --- the socket --- */

/* Left by a daemon that was killed: nobody listens there. Anything else is not ours. */
static bool remove_stale(const char *path, const struct sockaddr_un *at, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT || error_set(err, errno, "status socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -1, "status socket: %s exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, errno, "status socket %s", path);
	if (!connect(fd, (const struct sockaddr *)at, sizeof(*at)) || errno != ECONNREFUSED)
		return error_set(err, -1, "status socket: somebody listens at %s", path);
	return !unlink(path) || error_set(err, errno, "remove %s", path);
}

static bool bind_unix(int fd, const char *path, struct error *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	mode_t before;
	int bound;

	if (strlen(path) >= sizeof(at.sun_path))
		return error_set(err, ENAMETOOLONG, "status socket %s", path);
	memcpy(at.sun_path, path, strlen(path));
	if (!remove_stale(path, &at, err))
		return false;
	before = umask(0177);
	bound = bind(fd, (struct sockaddr *)&at, sizeof(at));
	umask(before);
	return !bound || error_set(err, errno, "status socket %s", path);
}

static int listen_unix(const char *path, struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind_unix(fd, path, err) && listen(fd, BACKLOG) == 0)
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

static ino_t inode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_ino;
}

struct status_server *status_open(const char *listen, struct error *err)
{
	bool is_path = *listen == '/';
	int fd = is_path ? listen_unix(listen, err) : listen_loopback(listen, err);
	struct status_server *s;

	if (fd < 0)
		return NULL;
	s = xmalloc(sizeof(*s));
	*s = (struct status_server){.path = is_path ? strdup(listen) : NULL,
				    .inode = is_path ? inode_of(listen) : 0};
	s->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle,
				   s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				   MAX_CONNECTIONS, MHD_OPTION_NOTIFY_CONNECTION, greet, s,
				   MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_END);
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
	for (size_t i = 0; s->http && i < COUNT_OF(pages); i++) {
		status_serve(s, (enum status_page)i);
		status_answer(s, (enum status_page)i, false, "the daemon ends\n");
	}
	if (s->http)
		MHD_stop_daemon(s->http);
	if (s->path && inode_of(s->path) == s->inode)
		unlink(s->path);
	free(s->path);
	free(s);
}

int status_fd(const struct status_server *s)
{
	return MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

/* Closes connections that send or read nothing, to make room. */
static void close_idle(struct status_server *s)
{
	int64_t now = clock_ms();

	for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
		struct client *client = &s->clients[i];

		if (!client->connection || client->until_ms == FOREVER || now < client->until_ms)
			continue;
		shutdown(MHD_get_connection_info(client->connection,
						 MHD_CONNECTION_INFO_CONNECTION_FD)
				 ->connect_fd,
			 SHUT_RDWR);
		client->until_ms = FOREVER;
	}
}

static bool is_full(const struct status_server *s)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (!s->clients[i].connection)
			return false;
	return true;
}

/* After it was full, the library accepts the next connections only when it is called again. */
static void run(struct status_server *s)
{
	bool full = is_full(s);

	MHD_run(s->http);
	if (full && !is_full(s))
		MHD_run(s->http);
}

void status_run(struct status_server *s)
{
	close_idle(s);
	run(s);
}

int status_timeout_ms(const struct status_server *s)
{
	MHD_UNSIGNED_LONG_LONG of_library;
	int64_t now = clock_ms(), left = INT32_MAX;

	if (MHD_get_timeout(s->http, &of_library) == MHD_YES && of_library < INT32_MAX)
		left = (int64_t)of_library;
	for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
		const struct client *client = &s->clients[i];

		if (client->connection && client->until_ms != FOREVER &&
		    client->until_ms - now < left)
			left = client->until_ms > now ? client->until_ms - now : 0;
	}
	return left == INT32_MAX ? -1 : (int)left;
}

static bool waits_for(const struct client *client, enum status_page page)
{
	return client->connection && client->waits && client->page == page;
}

void status_serve(struct status_server *s, enum status_page page)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		s->clients[i].served |= waits_for(&s->clients[i], page);
}

bool status_is_asked(const struct status_server *s, enum status_page page)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (waits_for(&s->clients[i], page) && !s->clients[i].served)
			return true;
	return false;
}

uint64_t status_accepts(const struct status_server *s)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (waits_for(&s->clients[i], STATUS_PASS) && s->clients[i].served &&
		    s->clients[i].accepts)
			return s->clients[i].accepts;
	return 0;
}

void status_answer(struct status_server *s, enum status_page page, bool ok, const char *text)
{
	bool any = false;

	for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
		struct client *client = &s->clients[i];

		if (!waits_for(client, page) || !client->served)
			continue;
		client->waits = client->served = false;
		client->accepts = 0;
		client->code = ok ? 200 : 500;
		client->answer = response(pages[page].type, text);
		client->until_ms = clock_ms() + PATIENCE_MS;
		MHD_resume_connection(client->connection);
		any = true;
	}
	if (any)
		run(s);
}
