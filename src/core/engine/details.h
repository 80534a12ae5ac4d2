/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a pass does not need of containers, and a draft of a file does (GET /containers/json, Docker
 * Engine API 1.40 on). What is not as it should be is left out.
 */
#pragma once

#include "core/engine/engine.h"

struct engine_port {
	const char *address; /* of the host, "" if any */
	uint32_t host, own;  /* ports; host 0: it is not published */
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
/* "" for one that is not known. */
const char *engine_service(const struct engine_details *details, const char *id);
