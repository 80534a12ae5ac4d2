/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/ask.h"

#include "app/say.h"
#include "app/verbs.h"
#include "core/foreign/choose.h"
#include "edge/host/lock.h"
#include "edge/host/status.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_DEGRADED = 2 };

static bool somebody_answers(const char *listen)
{
	AUTO_BUF struct buf body = {0};
	struct error err = {0};
	long code;

	return status_ask(&body, &code, listen, "/status", false, &err);
}

/* Where there is no nf_tables there is no lock: who answers the status socket is asked for. */
bool ask_holder(char *text, size_t size, const struct world *w, struct error *err)
{
	if (lock_holder(text, size, &w->host, err))
		return true;
	if (!nf_tables_is_absent(err->code))
		return false;
	*err = (struct error){0};
	snprintf(text, size, "%s", somebody_answers(w->options->listen) ? "it answers" : "");
	return true;
}

/* Two files on one host would undo each other for ever. */
static bool is_its_file(const struct options *o)
{
	AUTO_BUF struct buf json = {0}, expected = {0};
	struct error err = {0};
	long code = 0;

	buf_puts(&expected, "\"config\": ");
	buf_json_string(&expected, o->config);
	if (status_ask(&json, &code, o->listen, "/status", false, &err) &&
	    strstr(buf_text(&json), buf_text(&expected)))
		return true;
	say_error("%s%s", err.text[0] ? "a daemon runs, but " : "",
		  err.text[0]
			  ? err.text
			  : "the running daemon keeps another file; change that one, or end it");
	return false;
}

static const char *without_newline(struct buf *body)
{
	buf_cut(body, strcspn(buf_text(body), "\n"));
	return buf_text(body);
}

int ask_for_pass(const struct options *o)
{
	AUTO_BUF struct buf body = {0};
	struct error err = {0};
	long code = 0;

	if (!is_its_file(o))
		return EXIT_FAILED;
	if (!status_ask(&body, &code, o->listen, "/pass", true, &err)) {
		say_error("a daemon runs, but %s", err.text);
		return EXIT_FAILED;
	}
	if (!o->quiet || code != 200)
		say_line(code == 200 ? stdout : stderr, "the running daemon: %s",
			 without_newline(&body));
	return code == 200 ? EXIT_FINE : EXIT_FAILED;
}

int verb_status(const struct options *o)
{
	AUTO_BUF struct buf page = {0};
	struct error err = {0};
	long code = 0;
	bool healthy;

	if (!status_ask(&page, &code, o->listen, o->json ? "/status" : "/status.txt", false,
			&err) ||
	    code != 200) {
		if (!o->quiet)
			say_error("%s", err.text[0] ? err.text : "no status");
		return EXIT_FAILED;
	}
	healthy = o->json ? strstr(buf_text(&page), "\"healthy\": true") != NULL
			  : !strncmp(buf_text(&page), "healthy", strlen("healthy"));
	if (!o->quiet)
		say_page(stdout, &page);
	return healthy ? EXIT_FINE : EXIT_DEGRADED;
}
