/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status socket: HTTP (libmicrohttpd) on a unix socket, or on loopback for scrapers, driven by
 * the caller's loop. Whoever asks waits until the caller has the answer: nothing is read or printed
 * for nobody.
 *     GET /status (JSON)   GET /status.txt   GET /metrics   POST /pass (answered after it)
 * POST /pass?accept=DIGEST: the file with this digest is to be taken, whatever it takes away.
 * Whoever may open the socket may ask: mode 0600.
 * Whoever may open the socket may ask: mode 0600. Who does not ask within 10 s, or does not read
 * what he asked for, is shown out.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

struct status_server;

enum status_page { STATUS_JSON, STATUS_TEXT, STATUS_METRICS, STATUS_PASS };

/* "/run/harborwall.sock" or "127.0.0.1:9123". NULL with err. */
struct status_server *status_open(const char *listen, struct error *err);
void status_close(struct status_server *s);
int status_fd(const struct status_server *s); /* readable: status_run has work … */
/* … or so much time has passed; -1: there is no time that matters. */
int status_timeout_ms(const struct status_server *s);
/* Takes what came in, and sends answers on. */
void status_run(struct status_server *s);
bool status_is_asked(const struct status_server *s, enum status_page page);
/* The digest that somebody who waits for a pass accepts; 0: nobody accepts any. */
uint64_t status_accepts(const struct status_server *s);
/* To everybody who waits for it: 200, or 500. */
/* The answer for who waits by now is being made: who asks from now on waits for the next one. */
void status_serve(struct status_server *s, enum status_page page);
/* To everybody whom it was made for: 200, or 500. */
void status_answer(struct status_server *s, enum status_page page, bool ok, const char *text);

/*
 * One request as a client: the body, of no more than 64 MiB, into *body; *code is the HTTP status.
 * False: nobody answers, or somebody who is neither root nor the same user.
 */
MUST_CHECK bool status_ask(struct buf *body, long *code, const char *listen, const char *path,
			   bool post, struct error *err);
