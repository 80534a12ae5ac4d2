/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs one program to its end: writes its input, reads its output, and never waits longer than the
 * deadline. The program inherits only three descriptors, PATH and LC_ALL.
 */
#include "edge/host/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MAX_OUTPUT = 256 << 20, /* iptables-save of a big host has tens of MiB */
	MAX_COMPLAINT = 64 << 10,
	CHUNK = 64 << 10,
};

enum { IN, OUT, ERR, ENDED, N_WAITS };

struct run {
	pid_t pid;
	int fd[N_WAITS]; /* our ends, -1 once closed; the last is a pidfd */
	int failure;	 /* receives the errno of a failed exec, or its end */
	const char *input;
	size_t left;
	struct buf *output; /* NULL: discarded */
	struct buf complaint;
	int64_t deadline_ms;
	int status;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void reset_signals(void)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int n = 1; n < NSIG; n++)
		sigaction(n, &plain, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: only calls that are safe after fork. */
static _Noreturn void become(const char *const argv[], const char *const environment[], int ends[4])
{
	int failure;

	reset_signals();
	setpgid(0, 0); /* its own group: to kill with its children, and safe from a Ctrl-C during a
			  restore */
	/* move them above 0 to 2, which may be closed in our process */
	for (int i = 0; i < 4; i++) {
		ends[i] = fcntl(ends[i], F_DUPFD, 4);
		if (ends[i] < 0)
			_exit(127);
	}
	if (dup2(ends[0], 0) < 0 || dup2(ends[1], 1) < 0 || dup2(ends[2], 2) < 0 ||
	    dup3(ends[3], 3, O_CLOEXEC) < 0)
		_exit(127);
	close_range(4, ~0U, 0);
	execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	failure = errno;
	(void)!write(3, &failure, sizeof(failure));
	_exit(127);
}

/* Forks with all signals blocked, so that no handler of ours runs in the child. */
static pid_t start(const char *const argv[], int ends[4])
{
	AUTO_BUF struct buf path = {0};
	const char *inherited = getenv("PATH");
	const char *environment[] = {NULL, "LC_ALL=C", NULL};
	sigset_t all, before;
	pid_t pid;

	buf_printf(&path, "PATH=%s",
		   inherited ? inherited : "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin");
	environment[0] = buf_text(&path);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid)
		become(argv, environment, ends);
	if (pid > 0)
		setpgid(pid, pid);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static bool launch(struct run *r, const char *const argv[], struct error *err)
{
	int pipes[4][2], ends[4] = {-1, -1, -1, -1};
	int n = 0, code = 0;

	for (; n < 4; n++)
		if (pipe2(pipes[n], O_CLOEXEC))
			break;
	if (n == 4) {
		memcpy(ends, (int[]){pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][1]},
		       sizeof(ends));
		r->pid = start(argv, ends);
	}
	if (n < 4 || r->pid < 0)
		code = errno;
	for (int i = 0; i < n; i++) {
		int ours = i == 0 ? 1 : 0;

		close(pipes[i][!ours]);
		fcntl(pipes[i][ours], F_SETFL, O_NONBLOCK);
		*(i < 3 ? &r->fd[i] : &r->failure) = pipes[i][ours];
	}
	if (!code && (r->fd[ENDED] = pidfd_open(r->pid, 0)) < 0)
		code = errno;
	return code ? error_set(err, code, "start %s", argv[0]) : true;
}

/* A program may close its input before it has read all of it. */
static void feed(struct run *r)
{
	ssize_t n = r->left ? write(r->fd[IN], r->input, r->left) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		r->input += n;
		r->left -= (size_t)n;
	}
	if (n < 0 || !r->left)
		close_fd(&r->fd[IN]);
}

/* Reads what there is. False: more than max. */
static bool drain(int *fd, struct buf *to, size_t max)
{
	char chunk[CHUNK];

	while (*fd >= 0) {
		ssize_t n = read(*fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			close_fd(fd);
		else if (to && to->len + (size_t)n > max)
			return false;
		else if (to)
			buf_add(to, chunk, (size_t)n);
	}
	return true;
}

/* Keeps the beginning of a long error message, which says what is wrong. */
static void drain_complaint(struct run *r)
{
	struct buf *to = r->complaint.len < MAX_COMPLAINT ? &r->complaint : NULL;

	(void)drain(&r->fd[ERR], to, MAX_COMPLAINT + CHUNK);
}

/* Until the program has ended and its pipes are empty. */
static bool attend(struct run *r, const char *name, struct error *err)
{
	struct pollfd p[N_WAITS];

	for (;;) {
		int64_t left = r->deadline_ms - clock_ms();

		for (int i = 0; i < N_WAITS; i++)
			p[i] = (struct pollfd){r->fd[i], i == IN ? POLLOUT : POLLIN, 0};
		if (left <= 0)
			return error_set(err, ETIMEDOUT, "%s", name);
		if (poll(p, N_WAITS, (int)left) < 0 && errno != EINTR)
			return error_set(err, errno, "wait for %s", name);
		if (p[IN].revents)
			feed(r);
		drain_complaint(r);
		if (!drain(&r->fd[OUT], r->output, MAX_OUTPUT))
			return error_set(err, -1, "%s: more than %d MiB of output", name,
					 MAX_OUTPUT >> 20);
		if (p[ENDED].revents)
			return true;
	}
}

static void reap(struct run *r, bool kill_first)
{
	if (r->pid <= 0)
		return;
	if (kill_first && kill(-r->pid, SIGKILL))
		kill(r->pid, SIGKILL);
	while (waitpid(r->pid, &r->status, 0) < 0 && errno == EINTR)
		;
}

/* On one line: "line one; line two". */
static const char *complaint(struct buf *b)
{
	while (b->len && (unsigned char)b->data[b->len - 1] <= ' ')
		b->data[--b->len] = '\0';
	for (size_t i = 0; i < b->len; i++)
		if ((unsigned char)b->data[i] < ' ')
			b->data[i] = b->data[i] == '\n' ? ';' : ' ';
	return b->len ? b->data : "it gave no reason";
}

static bool judge(struct run *r, const char *name, struct error *err)
{
	int failure;

	if (read(r->failure, &failure, sizeof(failure)) == sizeof(failure))
		return error_set(err, failure, "start %s", name);
	if (WIFSIGNALED(r->status))
		return error_set(err, -1, "%s: killed by signal %d", name, WTERMSIG(r->status));
	if (WEXITSTATUS(r->status))
		return error_set(err, -1, "%s: exit status %d: %s", name, WEXITSTATUS(r->status),
				 complaint(&r->complaint));
	return true;
}

bool proc_run(const char *const argv[], const char *input, struct buf *output, int timeout_ms,
	      struct error *err)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	struct run r = {.fd = {-1, -1, -1, -1},
			.failure = -1,
			.input = input,
			.left = input ? strlen(input) : 0,
			.output = output,
			.deadline_ms = clock_ms() + timeout_ms};
	bool ok;

	sigaction(SIGPIPE, &ignore, &before);
	ok = launch(&r, argv, err) && attend(&r, argv[0], err);
	reap(&r, !ok);
	ok = ok && judge(&r, argv[0], err);
	for (int i = 0; i < N_WAITS; i++)
		close_fd(&r.fd[i]);
	close_fd(&r.failure);
	buf_free(&r.complaint);
	sigaction(SIGPIPE, &before, NULL);
	return ok;
}
