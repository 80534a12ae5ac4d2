/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fixed amount of traffic from one network namespace to another, by one thread that plays both
 * ends, so that the packets' whole way through the kernel is on its account:
 *     packets CLIENT_PID SERVER_PID SERVER_ADDRESS PORT CONNECTIONS ROUND_TRIPS
 * prints wall and CPU microseconds of a new TCP connection ("new") and of a packet of one that is
 * established ("established").
 */
#include "bench/load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKLOG = 16, PATIENCE_S = 5 };

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void enter(const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail(path);
	close(fd);
}

/* Ends in a reset: no address stays taken, whatever the number of connections. */
static int stream(void)
{
	static const struct linger at_once = {.l_onoff = 1};
	static const struct timeval patience = {.tv_sec = PATIENCE_S};
	static const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		fail("socket");
	return fd;
}

static int listener(const struct sockaddr_in *address)
{
	int fd = stream();

	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		fail("listen");
	return fd;
}

static void connect_to(int ends[2], int server, const struct sockaddr_in *address)
{
	ends[0] = stream();
	if (connect(ends[0], (const struct sockaddr *)address, sizeof(*address)) < 0)
		fail("connect");
	ends[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	if (ends[1] < 0)
		fail("accept");
}

static void hang_up(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static void pass_byte(int from, int to)
{
	char byte = 0;

	if (send(from, &byte, 1, 0) != 1 || recv(to, &byte, 1, 0) != 1)
		fail("send a byte");
}

static void make_connections(int server, const struct sockaddr_in *address, int n)
{
	struct clocks start = clocks_now();
	int ends[2];

	for (int i = 0; i < n; i++) {
		connect_to(ends, server, address);
		hang_up(ends);
	}
	clocks_print("new", start, n / 1e3);
}

static void make_round_trips(int server, const struct sockaddr_in *address, int n)
{
	struct clocks start;
	int ends[2];

	connect_to(ends, server, address);
	start = clocks_now();
	for (int i = 0; i < n; i++) {
		pass_byte(ends[0], ends[1]);
		pass_byte(ends[1], ends[0]);
	}
	clocks_print("established", start, n / 1e3 * 2);
	hang_up(ends);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int server;

	if (argc != 7 || inet_pton(AF_INET, argv[3], &address.sin_addr) != 1) {
		fprintf(stderr,
			"usage: %s CLIENT_PID SERVER_PID SERVER_ADDRESS PORT CONNECTIONS "
			"ROUND_TRIPS\n",
			argv[0]);
		return 64;
	}
	address.sin_port = htons((uint16_t)atoi(argv[4]));
	enter(argv[2]);
	server = listener(&address);
	enter(argv[1]);
	make_connections(server, &address, atoi(argv[5]));
	make_round_trips(server, &address, atoi(argv[6]));
	close(server);
	return 0;
}
