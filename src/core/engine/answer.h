/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records out of an answer's JSON by table. A member of the wrong type is an error with its byte
 * and its path; one that is absent or null is zero. What no table names is only parsed: whatever
 * labels or numbers a container brings along, its list stays readable. Private to core/engine.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/ip.h"
#include "core/json/json.h"

struct answer {
	struct json json;
	struct arena tree; /* of the nodes; release it with AUTO_ANSWER */
	struct arena *a;   /* of the records, their texts too */
	struct error *err;
};
void answer_release(struct answer *answer);
#define AUTO_ANSWER __attribute__((cleanup(answer_release)))

enum answer_kind {
	ANSWER_TEXT,	/* const char *, "" if absent */
	ANSWER_FLAG,	/* bool */
	ANSWER_PID,	/* int */
	ANSWER_BITS,	/* uint8_t, a prefix length */
	ANSWER_ADDRESS, /* struct ip */
	ANSWER_PREFIX,	/* struct prefix, canonical */
};

struct answer_field {
	const char *path; /* members on the way, "State.Pid" */
	enum answer_kind kind;
	size_t offset;
};

/* False with the error set unless the text is one JSON value of that type: a list, an object. */
MUST_CHECK bool answer_parse(struct answer *answer, struct arena *a, const char *text, size_t len,
			     enum json_type type, struct error *err);
/* Returns false, so that failing is one line: "byte 517: [3].Driver: …". */
bool answer_wrong(const struct answer *answer, uint32_t node, const char *format, ...)
	PRINTF_LIKE(3, 4);
/*
 * *found is what stands at the path "A.B" below the object, a list or an object; JSON_ROOT where it
 * or anything on the way is absent or null. False if it is of another type, or the way leads
 * through what is no object.
 */
MUST_CHECK bool answer_find(uint32_t *found, const struct answer *answer, uint32_t object,
			    const char *path, enum json_type type);
/* A string, of a key too, as a C string. False if it is no string or has a NUL in it. */
MUST_CHECK bool answer_text(const char **text, const struct answer *answer, uint32_t node);

/* Into a record that is all-zero: what is absent is left as it is, but texts become "". */
MUST_CHECK bool answer_decode_fields(void *record, const struct answer *answer, uint32_t object,
				     const struct answer_field *fields, size_t n);
#define ANSWER_DECODE(record, answer, object, fields)                                              \
	answer_decode_fields((record), (answer), (object), (fields), COUNT_OF(fields))
