/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/ask.h"

#include "app/console/say.h"
#include "app/console/verbs.h"
#include "base/foreign.h"
#include "base/log.h"
#include "core/plan/choose.h"
#include "edge/host/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	EXIT_DEGRADED = 2,
	EXIT_REFUSED = 2, /* egress deny would refuse something */
	WAIT_MS = 30000,  /* for another harborwall that is changing the host */
	SAY_AFTER_MS = 500,
	POLL_MS = 50,
};

static bool somebody_answers(const char *listen)
{
	AUTO_BUF struct buf body = {0};
	struct error err = {0};
	long code;

	return status_ask(&body, &code, listen, "/status", false, &err);
}

/* Without nf_tables there is no lock, so ask the status socket who is running. */
bool ask_holder(char holder[LOCK_TEXT], const struct world *w, struct error *err)
{
	if (lock_holder(holder, &w->host, err))
		return true;
	if (!nf_tables_is_absent(err->code))
		return false;
	*err = (struct error){0};
	snprintf(holder, LOCK_TEXT, "%s", somebody_answers(w->options->listen) ? "it answers" : "");
	return true;
}

static void say_waiting(const char *verb, const char *holder)
{
	if (!strcmp(verb, "run"))
		log_info("waiting for another harborwall", "holder", holder);
	else
		say_error("waiting for another harborwall (%s)", holder);
}

int ask_for_lock(const char *verb, struct error *err)
{
	int64_t begin = clock_ms(), patience = begin + SAY_AFTER_MS;

	for (;;) {
		char holder[LOCK_TEXT] = "";
		int fd = lock_take(holder, verb, err);

		if (fd >= 0 || err->code != EBUSY || (*holder && !lock_is_passing(holder)))
			return fd;
		*err = (struct error){0};
		if (clock_ms() >= begin + WAIT_MS) {
			error_set(err, -1,
				  "another harborwall is still changing this host (%s); try again "
				  "later",
				  *holder ? holder : "unknown");
			return -1;
		}
		if (*holder && clock_ms() >= patience) {
			say_waiting(verb, holder);
			patience = INT64_MAX;
		}
		usleep(POLL_MS * 1000);
	}
}

/* A daemon with one file and an apply with another would undo each other for ever. */
bool ask_is_its_file(const struct options *o)
{
	AUTO_BUF struct buf json = {0}, expected = {0};
	struct error err = {0};
	long code = 0;

	buf_json_member(&expected, "", "config", o->config);
	if (status_ask(&json, &code, o->listen, "/status", false, &err) &&
	    strstr(buf_text(&json), buf_text(&expected)))
		return true;
	say_error("%s%s", err.text[0] ? "a daemon runs, but " : "",
		  err.text[0] ? err.text
			      : "the running daemon uses another file; change that one, or stop "
				"the daemon");
	return false;
}

int ask_for_pass(const struct options *o, uint64_t accept)
{
	AUTO_BUF struct buf body = {0}, path = {0}, page = {0};
	struct error err = {0};
	long code = 0;

	buf_puts(&path, "/pass");
	if (accept)
		buf_printf(&path, "?accept=%016llx", (unsigned long long)accept);
	if (!status_ask(&body, &code, o->listen, buf_text(&path), true, &err)) {
		say_error("a daemon runs, but %s", err.text);
		return EXIT_FAILED;
	}
	buf_puts(&page, "the running daemon: ");
	buf_puts(&page, buf_text(&body));
	if (!o->quiet || code != 200)
		say_page(code == 200 ? stdout : stderr, &page);
	return code == 200 ? EXIT_FINE : EXIT_FAILED;
}

/* False: nobody answers; the reason is printed. */
static bool ask_for_page(struct buf *page, const struct options *o, const char *path)
{
	struct error err = {0};
	long code = 0;

	if (status_ask(page, &code, o->listen, path, false, &err) && code == 200)
		return true;
	if (*o->listen == '/' && access(o->listen, W_OK) < 0 && errno == EACCES)
		say_error("%s must run as root to use %s", o->verb, o->listen);
	else if (*o->listen == '/' && access(o->listen, F_OK) < 0 && !o->quiet)
		say_error("no daemon is running: there is no %s", o->listen);
	else if (!o->quiet)
		say_error("%s", err.text[0]
					? err.text
					: "the daemon has no such page: it is of another version");
	return false;
}

int verb_audit(const struct options *o)
{
	AUTO_BUF struct buf page = {0};
	bool blind, nothing;

	if (!ask_for_page(&page, o, o->json ? "/audit" : "/audit.txt"))
		return EXIT_FAILED;
	blind = o->json ? strstr(buf_text(&page), "\"state\": \"blind\"") != NULL
			: !strncmp(buf_text(&page), "blind", strlen("blind"));
	nothing = o->json ? strstr(buf_text(&page), "\"state\": \"nothing\"") != NULL
			  : !strncmp(buf_text(&page), "nothing", strlen("nothing"));
	if (!o->quiet)
		say_page(blind && !o->json ? stderr : stdout, &page);
	return blind ? EXIT_FAILED : nothing ? EXIT_FINE : EXIT_REFUSED;
}

int verb_status(const struct options *o)
{
	AUTO_BUF struct buf page = {0};
	bool healthy;

	if (!ask_for_page(&page, o, o->json ? "/status" : "/status.txt"))
		return EXIT_FAILED;
	healthy = o->json ? strstr(buf_text(&page), "\"healthy\": true") != NULL
			  : !strncmp(buf_text(&page), "healthy", strlen("healthy"));
	if (!o->quiet)
		say_page(stdout, &page);
	return healthy ? EXIT_FINE : EXIT_DEGRADED;
}
