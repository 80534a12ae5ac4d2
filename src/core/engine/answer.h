/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decodes an answer's JSON into records, by tables. A member of a wrong type is an error with its
 * offset and path; a missing one or null is zero. Members that no table names are only parsed, so
 * unusual labels or numbers never make a list unreadable. Private to core/engine.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/ip.h"
#include "core/json/json.h"

struct answer {
	struct json json;
	struct arena tree; /* contains the nodes; AUTO_ANSWER releases it */
	struct arena *a;   /* contains the records and their texts */
	struct error *err;
};
void answer_release(struct answer *answer);
#define AUTO_ANSWER __attribute__((cleanup(answer_release)))

enum answer_kind {
	ANSWER_TEXT,	/* const char *, "" if absent */
	ANSWER_FLAG,	/* bool */
	ANSWER_PID,	/* int */
	ANSWER_PORT,	/* uint16_t */
	ANSWER_ADDRESS, /* struct ip */
	ANSWER_PREFIX,	/* struct prefix, canonical */
};

struct answer_field {
	const char *path; /* path of the member: "State.Pid" */
	enum answer_kind kind;
	size_t offset;
};

/* False, with an error, unless the text is a JSON list or object, as wanted. */
MUST_CHECK bool answer_parse(struct answer *answer, struct arena *a, const char *text, size_t len,
			     enum json_type type, struct error *err);
/* Returns false, so that failing is one line: "byte 517: [3].Driver: …". */
bool answer_wrong(const struct answer *answer, uint32_t node, const char *format, ...)
	PRINTF_LIKE(3, 4);
/*
 * *found is the list or object at the path "A.B" below the object; JSON_ROOT if it or anything on
 * the path is missing or null. False: it is of another type, or something on the path is not an
 * object.
 */
MUST_CHECK bool answer_find(uint32_t *found, const struct answer *answer, uint32_t object,
			    const char *path, enum json_type type);
/* A string (or key) as a C string. False: not a string, or it contains a NUL. */
MUST_CHECK bool answer_text(const char **text, const struct answer *answer, uint32_t node);

/* The record must be all-zero. What is missing stays so, except that texts become "". */
MUST_CHECK bool answer_decode_fields(void *record, const struct answer *answer, uint32_t object,
				     const struct answer_field *fields, size_t n);
#define ANSWER_DECODE(record, answer, object, fields)                                              \
	answer_decode_fields((record), (answer), (object), (fields), COUNT_OF(fields))
