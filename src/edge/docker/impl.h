/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What docker.c and events.c share: where the engine is and how to reach it. */
#pragma once

#include "base/buf.h"
#include "edge/docker/docker.h"

#include <curl/curl.h>

/* Copies of the options, checked once. */
struct docker_address {
	const char *shown;  /* as in messages: unix:///var/run/docker.sock */
	const char *socket; /* path of the unix socket; NULL for tcp */
	const char *base;   /* http://docker, https://host:2376 */
	bool remote;	    /* tcp, and not to this machine */
	const char *api_version;
	const char *ca, *cert, *key; /* NULL: none */
	bool verify;
	int timeout_ms;
};

struct docker_stream_state {
	CURLM *multi;
	CURL *easy; /* NULL while DOWN */
	int epoll;
	int64_t timer_ms;     /* curl's timer; -1: none */
	int64_t answer_by_ms; /* deadline of the headers; -1: they are complete */
	bool ok;	      /* status 200: the body is event lines */
	struct buf lines;     /* received bytes, from `taken` on not yet read */
	size_t taken;
	struct error broken; /* set by a callback or a line; returned by the next run */
	char why[CURL_ERROR_SIZE];
};

struct docker {
	struct arena arena;
	struct docker_address address;
	CURL *easy;
	CURLM *calls; /* calls run in it, so that its connection is kept */
	struct docker_meanwhile meanwhile;
	struct curl_slist *json_header;
	struct engine engine; /* version and API only; api NULL: not negotiated yet */
	struct arena engine_arena;
	bool reconnected; /* since the negotiation: it may be another engine */
	struct buf answer;
	size_t max_answer;
	char server[64]; /* the Server header */
	char why[CURL_ERROR_SIZE];
	struct docker_stream_state events;
};

MUST_CHECK bool docker_address_parse(struct docker_address *at, struct arena *a,
				     const struct docker_options *options, struct error *err);
/* Sets the address, TLS, and what every request needs. */
void docker_prepare(const struct docker *d, CURL *easy, const char *path, char *why);
/* Turns a failed transfer into an error with a remedy. */
bool docker_transfer_error(const struct docker *d, CURL *easy, CURLcode code, const char *why,
			   struct error *err);
MUST_CHECK bool docker_events_init(struct docker *d, struct error *err);
void docker_events_free(struct docker *d);
