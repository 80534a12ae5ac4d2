/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lists were made by strace over the tests (every backend, both variants, the engine over a
 * socket, tcp and TLS) and widened by what other versions of the same libraries call for the same
 * thing. Names are resolved at run time: one that libseccomp or the machine does not know is left
 * out.
 */
#include "edge/host/sandbox_calls.h"

#include "base/log.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <ucontext.h>

static const char *const allowed[] = {
	/* memory */
	"brk", "mmap", "mmap2", "munmap", "mprotect", "mremap", "madvise",
	/* the C library's start, its threads (curl's resolver is one), their end */
	"arch_prctl", "set_tid_address", "set_robust_list", "get_robust_list", "rseq", "futex",
	"futex_time64", "futex_waitv", "futex_wait", "futex_wake", "membarrier", "sched_yield",
	"sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu", "getrandom",
	"prlimit64", "getrlimit", "ugetrlimit", "sysinfo", "uname", "prctl", "exit", "exit_group",
	"restart_syscall", "cacheflush", "set_tls", "set_thread_area", "riscv_flush_icache",
	"riscv_hwprobe",
	/* signals */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "rt_sigpending",
	"rt_sigtimedwait", "rt_sigtimedwait_time64", "sigaltstack", "signalfd", "signalfd4", "kill",
	"tkill", "tgkill", "pause",
	/* time */
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "gettimeofday",
	"time", "times", "alarm", "setitimer", "nanosleep", "clock_nanosleep",
	"clock_nanosleep_time64", "timerfd_create", "timerfd_settime", "timerfd_settime64",
	"timerfd_gettime", "timerfd_gettime64",
	/* who we are */
	"getpid", "getppid", "gettid", "getpgid", "getpgrp", "getsid", "setpgid", "setsid",
	"getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32",
	"getresuid", "getresuid32", "getresgid", "getresgid32", "getgroups", "getgroups32",
	"capget", "capset",
	/* files: the config, the state, /proc, libraries */
	"open", "openat", "openat2", "creat", "close", "close_range", "read", "readv", "pread64",
	"preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek",
	"_llseek", "stat", "stat64", "fstat", "fstat64", "lstat", "lstat64", "newfstatat",
	"fstatat64", "statx", "statfs", "statfs64", "fstatfs", "fstatfs64", "access", "faccessat",
	"faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir",
	"fchdir", "mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2",
	"chmod", "fchmod", "fchmodat", "fchmodat2", "umask", "ftruncate", "ftruncate64", "fsync",
	"fdatasync", "flock", "fadvise64", "fadvise64_64", "copy_file_range", "sendfile",
	"sendfile64", "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
	/* descriptors and waiting for them */
	"dup", "dup2", "dup3", "fcntl", "fcntl64", "ioctl", "pipe", "pipe2", "eventfd", "eventfd2",
	"poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	/* the engine, netlink, the status socket, the service manager: families are below */
	"socketpair", "connect", "bind", "listen", "accept", "accept4", "shutdown", "getsockname",
	"getpeername", "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv",
	"recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64",
	/*
	 * The iptables tools. A host can change to legacy rules while we run, so this does not
	 * depend on the backend at the start.
	 */
	"fork", "vfork", "execve", "wait4", "waitid", "waitpid", "pidfd_open", "pidfd_send_signal",
	/* a procfs of our own where /proc/sys is read-only (edge/netlink/netns.c): mounted nowhere
	 */
	"fsopen", "fsconfig", "fsmount"};

/* Neither we nor our libraries call these, and each would give away the host. */
static const char *const deadly[] = {
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"reboot",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"open_by_handle_at",
	"process_vm_readv",
	"process_vm_writev",
	"kcmp",
	"pidfd_getfd",
	"keyctl",
	"add_key",
	"request_key",
	"mount",
	"umount",
	"umount2",
	"move_mount",
	"open_tree",
	"mount_setattr",
	"pivot_root",
	"chroot",
	"swapon",
	"swapoff",
	"acct",
	"quotactl",
	"quotactl_fd",
	"settimeofday",
	"clock_settime",
	"clock_settime64",
	"stime",
	"sethostname",
	"setdomainname",
	"iopl",
	"ioperm",
	"modify_ldt",
#if !defined(__SANITIZE_ADDRESS__)
	"ptrace", /* a sanitized build looks for leaks with it */
#endif
};

/* Allowed if an argument, under a mask, has a value. */
static const struct {
	const char *name;
	unsigned int argument;
	uint64_t mask, value;
} narrow[] = {
	{"socket", 0, UINT32_MAX, AF_UNIX},
	{"socket", 0, UINT32_MAX, AF_NETLINK},
	{"socket", 0, UINT32_MAX, AF_INET},
	{"socket", 0, UINT32_MAX, AF_INET6},
	{"setns", 1, UINT32_MAX, CLONE_NEWNET},
	/* no new namespaces; only setns */
	{"clone",
#ifdef __s390__
	 1,
#else
	 0,
#endif
	 CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		 CLONE_NEWPID | CLONE_NEWNET,
	 0},
};

/*
 * Returns an error from the refused call in the interrupted thread. On other machines the kernel
 * refuses it, and only the kernel's log has the line.
 */
#if defined(__x86_64__)
#define SET_RESULT(context, value) ((context)->uc_mcontext.gregs[REG_RAX] = (value))
#elif defined(__aarch64__)
#define SET_RESULT(context, value)                                                                 \
	((context)->uc_mcontext.regs[0] = (unsigned long long)(long long)(value))
#endif

#ifdef SET_RESULT
enum { REFUSE = SCMP_ACT_TRAP, MAX_CALL = 1024 };

/*
 * This signal does not interrupt just anywhere: it comes from a call that is not on the list. So it
 * never interrupts malloc or the log, whose calls are all on it.
 */
static void take_refused(int signal, siginfo_t *info, void *context)
{
	static bool said[MAX_CALL];
	unsigned int call = (unsigned int)info->si_syscall;
	int before = errno;

	(void)signal;
	if (call >= MAX_CALL || !said[call]) {
		char *name = seccomp_syscall_resolve_num_arch(info->si_arch, info->si_syscall);

		log_error("system call refused", "call", name ? name : "unknown", "error",
			  "it is not on the list of the sandbox");
		free(name);
	}
	if (call < MAX_CALL)
		said[call] = true;
	SET_RESULT((ucontext_t *)context, -EPERM);
	errno = before;
}

static bool catch_refused(struct error *err)
{
	struct sigaction take = {.sa_sigaction = take_refused, .sa_flags = SA_SIGINFO | SA_NODEFER};

	return !sigaction(SIGSYS, &take, NULL) || error_set(err, errno, "sigaction");
}
#else
enum { REFUSE = SCMP_ACT_ERRNO(EPERM) };

static bool catch_refused(struct error *err)
{
	(void)err;
	return true;
}
#endif

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t n)
{
	int code = 0;

	for (size_t i = 0; i < n && !code; i++) {
		int call = seccomp_syscall_resolve_name(names[i]);

		if (call != __NR_SCMP_ERROR)
			code = seccomp_rule_add(filter, action, call, 0);
	}
	return code;
}

static int add_rules(scmp_filter_ctx filter)
{
	int code = add_names(filter, SCMP_ACT_ALLOW, allowed, COUNT_OF(allowed));

	if (!code)
		code = add_names(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT_OF(deadly));
	for (size_t i = 0; i < COUNT_OF(narrow) && !code; i++)
		code = seccomp_rule_add(filter, SCMP_ACT_ALLOW,
					seccomp_syscall_resolve_name(narrow[i].name), 1,
					SCMP_CMP(narrow[i].argument, SCMP_CMP_MASKED_EQ,
						 narrow[i].mask, narrow[i].value));
	/* its flags are in memory, which a filter can't read: the C library falls back to clone */
	if (!code)
		code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return code;
}

bool sandbox_filter_calls(struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(REFUSE);
	int code = filter ? 0 : -ENOMEM;

	if (!catch_refused(err)) {
		seccomp_release(filter);
		return false;
	}
	/* If possible, the kernel's log names what was trapped and killed, also in the tools. */
	if (!code)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	/* a tree, because the list is long and is searched at every call */
	code = code ? code : seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	code = code ? code : add_rules(filter);
	code = code ? code : seccomp_load(filter);
	seccomp_release(filter);
	return !code || error_set(err, -code, "seccomp");
}
