/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status socket: HTTP (libmicrohttpd) on a unix socket, or on loopback for scrapers, driven by
 * the caller's loop. An answer is made only when somebody asked for it.
 *     GET /status (JSON)   GET /status.txt   GET /metrics
 *     GET /audit (JSON)    GET /audit.txt
 *     POST /pass                   makes a pass, and answers after it
 *     POST /pass?accept=DIGEST     also accepts the held file with this digest
 * The unix socket has mode 0600. A client that sends no request within 10 s, or does not read its
 * answer, is disconnected.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

struct status_server;

enum status_page {
	STATUS_JSON,
	STATUS_TEXT,
	STATUS_METRICS,
	STATUS_AUDIT_JSON,
	STATUS_AUDIT_TEXT,
	STATUS_PASS
};

/* "/run/harborwall.sock" or "127.0.0.1:9123". NULL with err. */
struct status_server *status_open(const char *listen, struct error *err);
void status_close(struct status_server *s);
int status_fd(const struct status_server *s); /* readable: call status_run */
/* or after this time; -1: no deadline */
int status_timeout_ms(const struct status_server *s);
/* Reads requests and sends answers. */
void status_run(struct status_server *s);
bool status_is_asked(const struct status_server *s, enum status_page page);
/* The digest that somebody who waits for a pass accepts; 0: none. */
uint64_t status_accepts(const struct status_server *s);
/* Answers everybody who waits for this page: 200, or 500. */
/* Begins an answer for those who wait now. Later requests wait for the next one. */
void status_serve(struct status_server *s, enum status_page page);
/* Sends the answer to those it was made for: 200, or 500. */
void status_answer(struct status_server *s, enum status_page page, bool ok, const char *text);

/*
 * Sends one request as a client: the body (at most 64 MiB) into *body; *code is the HTTP status.
 * False: nobody answers, or somebody who is neither root nor the same user.
 */
MUST_CHECK bool status_ask(struct buf *body, long *code, const char *listen, const char *path,
			   bool post, struct error *err);
