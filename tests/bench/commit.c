/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One transaction, by us and by the kernel alone, in turns, in the namespace it is started in:
 *     commit NETWORKS_JSON ROUNDS [port|drop|none]
 * prints, every round, wall and CPU milliseconds of, each behind a compilation, as in a pass,
 *     kernel  prebuilt bytes sent and acknowledged, nobody listening: nobody can be faster
 *     ours    rules made from the compiled state, messages built, sent and acknowledged, with all
 *             the sockets open that the program has
 *     change, change_kernel  the same for one policy whose port changes, there and back, or that
 *             goes and comes back; of a file with a list a member of it
 */
#include "base/hash.h"
#include "bench/load.h"
#include "edge/firewall/nft.h"
#include "edge/netlink/netlink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENGINE_MAJOR = 20, ANSWER_BYTES = 256 << 10, CHANGES = 50, PATIENCE_MS = 10000 };

struct bench {
	struct buf text;
	struct loaded one, other; /* other: one policy changed */
	struct ruleset *want, *changed;
	struct nft_batch prebuilt;
	uint64_t hash; /* of its bytes */
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static _Noreturn void refused(const struct nlmsghdr *message)
{
	fprintf(stderr, "bench: the kernel refuses message %u: error %d\n", message->nlmsg_seq,
		-((const struct nlmsgerr *)NLMSG_DATA(message))->error);
	exit(1);
}

/* Bytes out, the acknowledgement in: the least that anybody has to do. */
static void replay(int fd, const struct nft_batch *batch)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
	const struct nlmsghdr *message = (const void *)answer;

	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint32_t n = 0;

	if (send(fd, batch->bytes.data, batch->bytes.len, 0) != (ssize_t)batch->bytes.len)
		fail("the kernel does not take the bytes");
	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail("the acknowledgement does not come");
	/* a batch may have several: what is left unread would fill the socket */
	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) >=
	       (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
		if (message->nlmsg_type == NLMSG_ERROR &&
		    ((const struct nlmsgerr *)NLMSG_DATA(message))->error)
			refused(message);
		n++;
	}
	if (!n)
		fail(strerror(errno));
}

static void build(struct nft_batch *batch, struct arena *a, const struct ruleset *want,
		  const struct ruleset *have)
{
	nft_changes changes = {0};

	nft_batch_begin(batch, a, 1);
	nft_diff(batch, &changes, a, want, have);
	nft_batch_end(batch, a);
}

static void commit(const struct ns *ns, const struct nft_batch *batch)
{
	struct error err = {0};
	uint32_t origin;

	if (!fw_nft_commit(ns, batch, &origin, &err))
		fail(err.text);
}

/* The kernel frees what was deleted behind our back: let it finish. */
static void clear(const struct ns *ns, const struct ruleset *have)
{
	static const struct ruleset nothing;
	AUTO_RELEASE struct arena a = {0};
	struct nft_batch batch = {0};

	build(&batch, &a, &nothing, have);
	commit(ns, &batch);
	buf_free(&batch.bytes);
	usleep(20000);
}

static void open_namespace(struct ns *ns)
{
	struct error err = {0};

	if (!ns_open_host(ns, &err))
		fail(err.text);
}

/* Without ears: the kernel tells a listener of every element. */
static void deafen(struct ns *ns)
{
	close_at_exit_of_scope(&ns->nf_event_fd);
	ns->nf_event_fd = -1;
}

static void compiled(struct loaded *l, const struct buf *text, void (*change)(struct loaded *l))
{
	static const struct engine no_engine;
	struct facts facts = load_facts(ENGINE_MAJOR);

	load_parse(l, text);
	if (change)
		change(l);
	load_resolve(l);
	load_compile(l, &no_engine, &facts);
}

static struct ruleset *host_of(struct loaded *l)
{
	return &l->want.spaces.items[0].ruleset;
}

static void kernel_alone(const struct bench *b)
{
	struct loaded before = {0};
	struct clocks start;
	struct ns ns;

	open_namespace(&ns);
	deafen(&ns);
	compiled(&before, &b->text, NULL);
	/* in the cache, as what was just built */
	if (hash_large(buf_text(&b->prebuilt.bytes), b->prebuilt.bytes.len) != b->hash)
		fail("the bytes changed");
	start = clocks_now();
	replay(ns.nf_fd, &b->prebuilt);
	clocks_print("kernel", start, 1);
	clear(&ns, b->want);
	ns_close(&ns);
	arena_release(&before.arena);
}

static void ours(const struct bench *b, bool told)
{
	static const struct ruleset nothing;
	struct nft_batch batch = {0};
	struct loaded fresh = {0};
	struct clocks start;
	struct ns ns;

	open_namespace(&ns);
	compiled(&fresh, &b->text, NULL);
	start = clocks_now();
	nft_encode_ruleset(host_of(&fresh), &fresh.arena);
	build(&batch, &fresh.arena, host_of(&fresh), &nothing);
	if (told)
		clocks_print("ours_build", start, 1);
	commit(&ns, &batch);
	if (told)
		clocks_print("ours", start, 1);
	buf_free(&batch.bytes);
	clear(&ns, b->want);
	ns_close(&ns);
	arena_release(&fresh.arena);
}

/* The first hook of a host and the first pages of a process cost whoever comes first. */
static void warm_up(const struct bench *b)
{
	struct ns ns;

	open_namespace(&ns);
	replay(ns.nf_fd, &b->prebuilt);
	clear(&ns, b->want);
	ns_close(&ns);
	ours(b, false);
}

static void one_change(const struct bench *b)
{
	AUTO_RELEASE struct arena arena = {0};
	struct nft_batch there = {0}, back = {0};
	struct clocks start;
	struct ns ns;

	open_namespace(&ns);
	replay(ns.nf_fd, &b->prebuilt);
	build(&there, &arena, b->changed, b->want);
	build(&back, &arena, b->want, b->changed);
	start = clocks_now();
	for (int i = 0; i < CHANGES; i++) {
		commit(&ns, &there);
		commit(&ns, &back);
	}
	clocks_print("change", start, 2 * CHANGES);
	deafen(&ns);
	start = clocks_now();
	for (int i = 0; i < CHANGES; i++) {
		replay(ns.nf_fd, &there);
		replay(ns.nf_fd, &back);
	}
	clocks_print("change_kernel", start, 2 * CHANGES);
	clear(&ns, b->want);
	buf_free(&there.bytes);
	buf_free(&back.bytes);
	ns_close(&ns);
}

static bool is_equal(const struct ruleset *a, const struct ruleset *b)
{
	AUTO_RELEASE struct arena arena = {0};
	struct nft_batch batch = {0};
	bool equal;

	build(&batch, &arena, a, b);
	equal = nft_batch_is_empty(&batch);
	buf_free(&batch.bytes);
	return equal;
}

static void (*change_of(const char *what))(struct loaded *l)
{
	if (!strcmp(what, "none"))
		return NULL;
	return !strcmp(what, "drop") ? load_drop_one : load_change_one;
}

int main(int argc, char **argv)
{
	static const struct ruleset nothing;
	const char *what = argc > 3 ? argv[3] : "port";
	struct bench b = {0};

	if (argc < 3) {
		fprintf(stderr, "usage: %s NETWORKS_JSON ROUNDS [port|drop|none]\n", argv[0]);
		return 64;
	}
	load_file(&b.text, argv[1]);
	compiled(&b.one, &b.text, NULL);
	load_encode(&b.one);
	do { /* what lies within another policy's source changes nothing */
		arena_release(&b.other.arena);
		b.other = (struct loaded){0};
		compiled(&b.other, &b.text, change_of(what));
		load_encode(&b.other);
	} while (change_of(what) && is_equal(host_of(&b.other), host_of(&b.one)));
	b.want = host_of(&b.one);
	b.changed = strcmp(what, "none") != 0 ? host_of(&b.other) : NULL;
	build(&b.prebuilt, &b.one.arena, b.want, &nothing);
	b.hash = hash_large(buf_text(&b.prebuilt.bytes), b.prebuilt.bytes.len);
	printf("bytes %zu 0\n", b.prebuilt.bytes.len);
	warm_up(&b);
	for (int i = 0; i < atoi(argv[2]); i++) {
		if (i % 2)
			kernel_alone(&b);
		ours(&b, true);
		if (i % 2 == 0)
			kernel_alone(&b);
		if (b.changed)
			one_change(&b);
	}
	buf_free(&b.prebuilt.bytes);
	buf_free(&b.text);
	arena_release(&b.one.arena);
	arena_release(&b.other.arena);
	return 0;
}
