/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/netlink/netlink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 64 << 20, /* a transaction is one skb */
	EAR_BYTES = 1 << 20, /* of each listener; if more comes, some is lost, and then everything
				is read */
	SHARE = 256,	     /* datagrams that a listener reads at a time */
	ANSWER_BYTES = 256 << 10, /* the kernel fills at most 32 KiB of a dump at once */
	DEADLINE_MS = 5000,
	ATTR_HEADER = sizeof(struct nlattr),
};

/* The forced sizes need CAP_NET_ADMIN; without it, what is allowed. */
static void size_buffer(int fd, int forced, int plain, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

int netlink_open(int protocol, struct error *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), on = 1;
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};

	if (fd < 0) {
		error_set(err, errno, "open a netlink socket");
		return -1;
	}
	size_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, BUFFER_BYTES);
	size_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, BUFFER_BYTES);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		error_set(err, errno, "bind a netlink socket");
		close(fd);
		return -1;
	}
	return fd;
}

uint32_t netlink_port(int fd)
{
	struct sockaddr_nl name = {0};
	socklen_t len = sizeof(name);

	return fd >= 0 && !getsockname(fd, (struct sockaddr *)&name, &len) ? name.nl_pid : 0;
}

int netlink_listen(int protocol, const int groups[], struct error *err)
{
	int fd = netlink_open(protocol, err);

	if (fd < 0)
		return -1;
	size_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, EAR_BYTES);
	for (; *groups; groups++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, groups, sizeof(*groups)) <
		    0) {
			error_set(err, errno, "listen to netlink group %d", *groups);
			close(fd);
			return -1;
		}
	return fd;
}

void netlink_hear_group(int fd, int group, bool on)
{
	if (fd >= 0)
		setsockopt(fd, SOL_NETLINK, on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP,
			   &group, sizeof(group));
}

enum heard netlink_hear(int fd, bool (*is_news)(void *context, const struct nlmsghdr *message),
			void *context)
{
	static _Alignas(struct nlmsghdr) char bytes[64 << 10];
	enum heard heard = HEARD_NOTHING;

	for (int i = 0; i < SHARE; i++) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
		const char *at = bytes;

		if (n < 0 && errno != ENOBUFS)
			return heard;
		if (n < 0 || n > (ssize_t)sizeof(bytes)) { /* some messages were lost or cut off */
			heard = HEARD_SOMETHING;
			continue;
		}
		while (n >= (ssize_t)sizeof(struct nlmsghdr)) {
			const struct nlmsghdr *message = (const void *)at;
			ssize_t step = (ssize_t)NLMSG_ALIGN(message->nlmsg_len);

			if (message->nlmsg_len < sizeof(*message) || message->nlmsg_len > n)
				break;
			if (is_news(context, message))
				heard = HEARD_SOMETHING;
			at += step;
			n -= step;
		}
	}
	return HEARD_TOO_MUCH;
}

void netlink_forget(int fd)
{
	char byte;

	/* no more than its buffer holds: nobody writes into it any more */
	for (int i = 0; i < EAR_BYTES / ATTR_HEADER; i++)
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) < 0 && errno != ENOBUFS)
			return;
}

/* One exchange: what is asked for, and how far its answer has come. */
struct exchange {
	int fd;
	uint32_t seq_first, n_messages;
	uint32_t failed_seq;
	bool dump, done, interrupted;
	netlink_reader reader;
	void *context;
	int64_t deadline_ms;
	char *answer;
	struct error *err;
};

/*
 * What is left of an answer that was given up: a dump goes on while it is read. That takes long
 * where it was given up for its length (the kernel begins a large set anew for every part of it).
 */
static void drain(const struct exchange *x)
{
	int64_t until = clock_ms() + DEADLINE_MS;

	while (x->err->code != E2BIG && clock_ms() < until &&
	       recv(x->fd, x->answer, ANSWER_BYTES, MSG_DONTWAIT) > 0)
		;
}

static bool send_all(const struct exchange *x, const void *bytes, size_t len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	for (;;) {
		ssize_t n =
			sendto(x->fd, bytes, len, 0, (struct sockaddr *)&kernel, sizeof(kernel));

		if (n == (ssize_t)len)
			return true;
		if (n >= 0 || errno != EINTR)
			return error_set(x->err, n < 0 ? errno : EMSGSIZE,
					 "send %zu bytes to netlink", len);
	}
}

/* The kernel's own words for a refusal (NLMSGERR_ATTR_MSG), in the attributes at `at` of a message.
 */
static const char *text_at(const struct nlmsghdr *message, size_t at)
{
	const char *payload = NLMSG_DATA(message);
	size_t len = NLMSG_PAYLOAD(message, 0);

	while (message->nlmsg_flags & NLM_F_ACK_TLVS && at + ATTR_HEADER <= len) {
		const struct nlattr *attr = (const void *)(payload + at);
		size_t size = attr->nla_len;

		if (size < ATTR_HEADER || at + size > len)
			return NULL;
		if ((attr->nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG && size > ATTR_HEADER &&
		    payload[at + size - 1] == 0)
			return payload + at + ATTR_HEADER;
		at += (size + 3) & ~(size_t)3;
	}
	return NULL;
}

/* They stand behind the message that is refused, or its header. */
static const char *text_of_refusal(const struct nlmsghdr *message)
{
	const struct nlmsgerr *e = NLMSG_DATA(message);
	size_t at = sizeof(*e);

	if (!(message->nlmsg_flags & NLM_F_CAPPED))
		at += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof(e->msg);
	return text_at(message, at);
}

static void refuse(struct exchange *x, const struct nlmsghdr *message, int code, const char *text)
{
	if (x->err->code)
		return;
	x->failed_seq = message->nlmsg_seq;
	if (text)
		error_set(x->err, -1, "%s: %s", text, strerror(code));
	else
		error_set(x->err, -1, "%s", strerror(code));
	x->err->code = code;
}

/* A dump that went wrong after it began says so where it ends. */
static void take_end(struct exchange *x, const struct nlmsghdr *message)
{
	int code = 0;

	if (NLMSG_PAYLOAD(message, 0) >= sizeof(code))
		memcpy(&code, NLMSG_DATA(message), sizeof(code));
	if (code < 0)
		refuse(x, message, -code, text_at(message, NLMSG_ALIGN(sizeof(code))));
	x->done = true;
}

/* False ends the exchange with an error. */
static bool take_message(struct exchange *x, const struct nlmsghdr *message)
{
	const struct nlmsgerr *e = NLMSG_DATA(message);

	x->interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
	if (message->nlmsg_type == NLMSG_DONE) {
		take_end(x, message);
	} else if (message->nlmsg_type == NLMSG_ERROR) {
		if (NLMSG_PAYLOAD(message, 0) < sizeof(*e))
			return error_set(x->err, EBADMSG, "netlink answer");
		if (e->error)
			refuse(x, message, -e->error, text_of_refusal(message));
		else
			x->done = true;
	} else if (x->reader && message->nlmsg_type >= NLMSG_MIN_TYPE) {
		if (!x->reader(x->context, message, x->err))
			return false;
		x->done |= !x->dump;
	}
	return true;
}

/* Answers to an earlier request on this socket that was given up are skipped. */
static bool is_ours(const struct exchange *x, const struct nlmsghdr *message)
{
	return message->nlmsg_seq - x->seq_first < x->n_messages;
}

static bool take_answer(struct exchange *x, size_t len)
{
	size_t at = 0;

	while (at + sizeof(struct nlmsghdr) <= len) {
		const struct nlmsghdr *message = (const void *)(x->answer + at);

		if (message->nlmsg_len < sizeof(*message) || message->nlmsg_len > len - at)
			return error_set(x->err, EBADMSG, "netlink answer");
		if (is_ours(x, message) && !take_message(x, message))
			return false;
		at += NLMSG_ALIGN(message->nlmsg_len);
	}
	return true;
}

static bool wait_for_answer(const struct exchange *x)
{
	struct pollfd p = {.fd = x->fd, .events = POLLIN};
	int64_t left = x->deadline_ms - clock_ms();

	if (left <= 0 || poll(&p, 1, (int)left) == 0)
		return error_set(x->err, ETIMEDOUT, "the kernel does not answer on netlink");
	return true;
}

/* The deadline counts only while no answer comes. */
static bool is_late(const struct exchange *x)
{
	return clock_ms() > x->deadline_ms;
}

/*
 * Reads until the answer is complete. After a refusal, only what is there already: nf_tables has
 * put everything that it says of a batch into the socket when sendto() returns.
 */
static bool read_answer(struct exchange *x)
{
	while (!x->done && !is_late(x)) {
		ssize_t len = recv(x->fd, x->answer, ANSWER_BYTES, MSG_DONTWAIT | MSG_TRUNC);

		if (len > ANSWER_BYTES)
			return error_set(x->err, EMSGSIZE, "netlink answer of %zd bytes", len);
		if (len > 0 && !take_answer(x, (size_t)len))
			return false;
		if (len >= 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return error_set(x->err, errno, "read from netlink");
		if (x->err->code || !wait_for_answer(x))
			return false;
	}
	if (!x->done)
		return error_set(x->err, ETIMEDOUT, "netlink answers without end");
	return !x->err->code;
}

static bool exchange_run(struct exchange *x, const void *bytes, size_t len)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER_BYTES]; /* readers don't exchange */

	if (x->err->code)
		return false;
	x->answer = answer;
	if (!send_all(x, bytes, len))
		return false;
	x->deadline_ms = clock_ms() + DEADLINE_MS; /* the kernel may have worked long on it */
	if (!read_answer(x)) {
		drain(x);
		return false;
	}
	if (x->interrupted)
		return error_set(x->err, EINTR, "the kernel's tables changed while they were read");
	return true;
}

static bool ask(int fd, const void *request, size_t len, uint32_t seq, bool dump,
		netlink_reader reader, void *context, struct error *err)
{
	struct exchange x = {.fd = fd,
			     .seq_first = seq,
			     .n_messages = 1,
			     .dump = dump,
			     .reader = reader,
			     .context = context,
			     .err = err};

	return exchange_run(&x, request, len);
}

bool netlink_dump(int fd, const void *request, size_t len, uint32_t seq, netlink_reader reader,
		  void *context, struct error *err)
{
	return ask(fd, request, len, seq, true, reader, context, err);
}

bool netlink_get(int fd, const void *request, size_t len, uint32_t seq, netlink_reader reader,
		 void *context, struct error *err)
{
	return ask(fd, request, len, seq, false, reader, context, err);
}

bool netlink_talk(int fd, const void *messages, size_t len, uint32_t seq_first, uint32_t n_messages,
		  uint32_t *failed_seq, struct error *err)
{
	struct exchange x = {
		.fd = fd, .seq_first = seq_first, .n_messages = n_messages, .err = err};
	bool ok = exchange_run(&x, messages, len);

	if (failed_seq)
		*failed_seq = x.failed_seq;
	return ok;
}
