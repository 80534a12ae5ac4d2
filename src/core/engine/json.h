/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records out of JSON objects by table: a member of the wrong type is an error that names its path,
 * an absent or null one is zero. Private to core/engine.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/ip.h"
#include "core/engine/engine.h"

#include <jansson.h>

enum json_kind {
	JSON_KIND_TEXT,	   /* const char *, "" if absent */
	JSON_KIND_FLAG,	   /* bool */
	JSON_KIND_PID,	   /* int */
	JSON_KIND_BITS,	   /* uint8_t, a prefix length */
	JSON_KIND_ADDRESS, /* struct ip */
	JSON_KIND_PREFIX,  /* struct prefix, canonical */
};

struct json_field {
	const char *path; /* members on the way, "State.Pid" */
	enum json_kind kind;
	size_t offset;
};

/* NULL with err set unless the bytes are one JSON value of that type. It lives in the arena. */
json_t *json_read(struct arena *a, const char *text, size_t len, json_type type, struct error *err);
/* What is at the path "A.B", NULL where it is absent or null. False if A is no object. */
MUST_CHECK bool json_look_up(json_t **found, json_t *object, const char *path, struct error *err);
/* The same for an array or object, and false if it is of another type. */
MUST_CHECK bool json_find(json_t **found, json_t *object, const char *path, json_type type,
			  struct error *err);
/* "" for NULL; false if it is no text. */
MUST_CHECK bool json_store_text(const char **text, struct arena *a, const json_t *value);

MUST_CHECK bool json_decode_fields(void *record, struct arena *a, json_t *object,
				   const struct json_field *fields, size_t n, struct error *err);
/* What an endpoint was made with: a member of inspect's NetworkSettings.Networks (settings.c). */
const char *settings_of_endpoint(struct arena *a, const json_t *endpoint, const char *network,
				 const struct engine_container *c);

#define JSON_DECODE(record, a, object, fields, err)                                                \
	json_decode_fields((record), (a), (object), (fields), COUNT_OF(fields), (err))
