/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program in the daemon's sandbox, for test_sandbox.py:
 *     sandboxed call NAME [ARGUMENT…]  the system call of that name, as the errno it gave
 *     sandboxed run PROGRAM…           a program as the daemon runs its tools
 *     sandboxed status                 /proc/self/status
 */
#include "edge/host/file.h"
#include "edge/host/proc.h"
#include "edge/host/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int call(int argc, char **argv)
{
	int number = seccomp_syscall_resolve_name(argv[0]);
	long arguments[6] = {0};

	for (int i = 1; i < argc && i < 7; i++)
		arguments[i - 1] = strtol(argv[i], NULL, 0);
	/* twice: said once */
	for (int i = 0; i < 2; i++) {
		long result = syscall(number, arguments[0], arguments[1], arguments[2],
				      arguments[3], arguments[4], arguments[5]);

		printf("%s\n", result < 0 ? strerrorname_np(errno) : "done");
	}
	return 0;
}

static int run(char **argv)
{
	AUTO_BUF struct buf output = {0};
	struct error err = {0};
	bool ok = proc_run((const char *const *)(uintptr_t)argv, NULL, &output, 5000, &err);

	puts(ok ? buf_text(&output) : err.text);
	return !ok;
}

static int status(void)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	if (!file_read(&text, "/proc/self/status", 1 << 16, &err))
		return 1;
	puts(buf_text(&text));
	return 0;
}

int main(int argc, char **argv)
{
	AUTO_BUF struct buf kept = {0};
	struct error err = {0};

	if (argc < 2 || !sandbox_enter(&kept, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (!strcmp(argv[1], "call") && argc > 2)
		return call(argc - 2, argv + 2);
	if (!strcmp(argv[1], "run") && argc > 2)
		return run(argv + 2);
	return status();
}
