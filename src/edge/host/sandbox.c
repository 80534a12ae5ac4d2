/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/host/sandbox.h"

#include "edge/host/sandbox_calls.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

/* Capabilities and why they are kept, if they were given. */
static const struct {
	unsigned int number;
	const char *name;
} wanted[] = {
	{CAP_NET_ADMIN, "NET_ADMIN"},		  /* rules, routes, forwarding */
	{CAP_SYS_ADMIN, "SYS_ADMIN"},		  /* setns, a procfs that can be written */
	{CAP_SYS_PTRACE, "SYS_PTRACE"},		  /* namespaces of containers of other users */
	{CAP_NET_RAW, "NET_RAW"},		  /* the tools of iptables-legacy demand it */
	{CAP_DAC_READ_SEARCH, "DAC_READ_SEARCH"}, /* a file that belongs to a user */
};

static bool drop_capabilities(struct buf *kept, struct error *err)
{
	bool had[COUNT_OF(wanted)];
	capng_select_t what;

	capng_get_caps_process();
	/*
	 * Without SYS_PTRACE the kernel lets us open a container's namespace only if our effective
	 * set includes the container's (cap_ptrace_access_check): then keep all that were given.
	 */
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_PTRACE)) {
		buf_puts(kept, "all that were given, for want of SYS_PTRACE");
		return true;
	}
	/*
	 * changing the bounding set needs SETPCAP, which a container or unit may lack: then skip it
	 */
	what = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) ? CAPNG_SELECT_BOTH
								   : CAPNG_SELECT_CAPS;
	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, wanted[i].number);
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		if (!had[i])
			continue;
		capng_update(CAPNG_ADD,
			     (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET),
			     wanted[i].number);
		buf_printf(kept, "%s%s", kept->len ? " " : "", wanted[i].name);
	}
	if (capng_apply(what))
		return error_set(err, EPERM, "drop capabilities");
	return true;
}

bool sandbox_enter(struct buf *kept, struct error *err)
{
	if (!drop_capabilities(kept, err))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "no_new_privs");
	return sandbox_filter_calls(err);
}
