/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the verb init needs to know about containers and a pass does not (GET /containers/json,
 * Docker Engine API 1.40 and later). Invalid parts are skipped.
 */
#pragma once

#include "core/engine/engine.h"

struct engine_port {
	const char *address; /* on the host, "" for all addresses */
	uint32_t host, own;  /* host 0: not published */
	const char *proto;   /* "tcp" */
};

struct engine_detail {
	const char *id;
	const char *service; /* of Docker Compose; "": none */
	LIST(struct engine_port) ports;
};

struct engine_details {
	LIST(struct engine_detail) list;
};

MUST_CHECK bool engine_decode_details(struct engine_details *details, struct arena *a,
				      const char *json, size_t len, struct error *err);
/* "" if the container is unknown. */
const char *engine_service(const struct engine_details *details, const char *id);
