/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program at the status socket's address need not be the daemon: while the daemon does not run,
 * anybody can use its loopback port. So we check the peer, and trust only root and ourselves.
 */
#include "edge/host/status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_PAGE = 64 << 20, ASK_MS = 10000, PASS_MS = 120000 };

static bool is_trusted(uid_t uid, const char *listen, struct error *err)
{
	if (uid == 0 || uid == geteuid())
		return true;
	return error_set(err, -1, "user %u answers at %s, not root's daemon", uid, listen);
}

/* --- a unix socket --- */

static bool connect_unix(int fd, const char *path, struct error *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (strlen(path) >= sizeof(at.sun_path))
		return error_set(err, ENAMETOOLONG, "status socket %s", path);
	memcpy(at.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return error_set(err, errno, "no daemon answers on %s", path);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return error_set(err, errno, "who answers on %s", path);
	return is_trusted(peer.uid, path, err);
}

/* --- a port --- */

/* The owner of the socket that listens at this loopback address, from /proc/net/tcp. */
static bool find_listener(uid_t *uid, const struct sockaddr_in *at)
{
	FILE *f = fopen("/proc/self/net/tcp", "re");
	unsigned int ip, port, state;
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, " %*u: %8X:%4X %*8X:%*4X %2X %*8X:%*8X %*2X:%*8X %*8X %u", &ip,
			       &port, &state, uid) == 4 &&
			state == 0x0a && port == ntohs(at->sin_port) &&
			(ip == at->sin_addr.s_addr || !ip);
	if (f)
		fclose(f);
	return found;
}

static bool connect_port(int fd, const char *listen, struct error *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	const char *colon = strchr(listen, ':');
	char ip[16] = "";
	uid_t uid;

	if (colon && (size_t)(colon - listen) < sizeof(ip)) {
		memcpy(ip, listen, (size_t)(colon - listen));
		at.sin_port = htons((uint16_t)atoi(colon + 1));
	}
	if (inet_pton(AF_INET, ip, &at.sin_addr) != 1 || !at.sin_port)
		return error_set(err, EINVAL,
				 "HARBORWALL_LISTEN \"%s\" is neither a path nor 127.0.0.1:PORT",
				 listen);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return error_set(err, errno, "no daemon answers on %s", listen);
	if (!find_listener(&uid, &at))
		return error_set(err, -1, "the owner of the socket on %s is unknown", listen);
	return is_trusted(uid, listen, err);
}

/* -1 with err. */
static int connect_to(const char *listen, struct error *err)
{
	/* if the backlog is full, connect waits */
	struct timeval patience = {.tv_sec = ASK_MS / 1000};
	bool is_path = *listen == '/';
	int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) &&
	    (is_path ? connect_unix(fd, listen, err) : connect_port(fd, listen, err)))
		return fd;
	error_set(err, errno, "ask on %s", listen);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- the request --- */

/* HTTP/1.0: the answer ends when the connection is closed. */
static bool send_request(int fd, const char *path, bool post, struct error *err)
{
	AUTO_BUF struct buf request = {0};

	buf_printf(&request, "%s %s HTTP/1.0\r\nHost: harborwall\r\n%s\r\n", post ? "POST" : "GET",
		   path, post ? "Content-Length: 0\r\n" : "");
	if (send(fd, request.data, request.len, MSG_NOSIGNAL) == (ssize_t)request.len)
		return true;
	return error_set(err, errno, "ask for %s", path);
}

static bool read_answer(int fd, struct buf *answer, int64_t until_ms, struct error *err)
{
	static char part[64 << 10];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = until_ms - clock_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return error_set(err, ETIMEDOUT, "the answer is incomplete");
		n = recv(fd, part, sizeof(part), MSG_DONTWAIT);
		if (!n)
			return true;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_set(err, errno, "the answer broke off");
		if (n > 0 && (size_t)n > MAX_PAGE - answer->len)
			return error_set(err, -1, "the answer is too large");
		if (n > 0)
			buf_add(answer, part, (size_t)n);
	}
}

/* "HTTP/1.1 200 OK", header lines, an empty line, the body. */
static bool split_answer(struct buf *body, long *code, const struct buf *answer, struct error *err)
{
	const char *text = buf_text(answer), *end = strstr(text, "\r\n\r\n"), *length;
	size_t len;

	*code = !strncmp(text, "HTTP/1.", 7) && strchr(text, ' ') ? atol(strchr(text, ' ')) : 0;
	if (!*code || !end)
		return error_set(err, -1, "the answer is not HTTP");
	end += 4;
	len = answer->len - (size_t)(end - text);
	length = strcasestr(text, "\r\nContent-Length:");
	if (length && length < end && strtoull(strchr(length, ':') + 1, NULL, 10) != len)
		return error_set(err, -1, "the answer broke off");
	buf_add(body, end, len);
	return true;
}

bool status_ask(struct buf *body, long *code, const char *listen, const char *path, bool post,
		struct error *err)
{
	AUTO_CLOSE int fd = connect_to(listen, err);
	AUTO_BUF struct buf answer = {0};

	if (fd < 0)
		return false;
	if (send_request(fd, path, post, err) &&
	    read_answer(fd, &answer, clock_ms() + (post ? PASS_MS : ASK_MS), err) &&
	    split_answer(body, code, &answer, err))
		return true;
	return error_wrap(err, "ask the daemon on %s", listen);
}
