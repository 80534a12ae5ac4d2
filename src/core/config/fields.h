/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decodes objects by tables: which fields a kind of object has, how each is decoded, where the
 * value goes, and where the field has an effect. The tables are in object.c and policy.c.
 */
#pragma once

#include "core/config/impl.h"

/* Where a field has an effect. Elsewhere it is an error, because its author expected one. */
enum {
	IN_BRIDGE = 1 << 0, /* networks that we create */
	IN_OTHER = 1 << 1,  /* networks that we only attach to */

	IN_NOTHING = 1 << 0, /* policies without from and nat */
	IN_ALLOW = 1 << 1,   /* with from, without nat */
	IN_DNAT = 1 << 2,
	IN_MASQUERADE = 1 << 3,
	IN_EGRESS = 1 << 4, /* with to, without nat */

	EVERYWHERE = UINT8_MAX,
};

struct field {
	const char *name; /* first: nearest_name reads it */
	uint8_t len;	  /* of the name */
	uint8_t effect;	  /* where it has an effect */
	void (*decode)(struct decoder *d, uint32_t node, void *target);
	size_t offset;
};

#define NAMED(type, name, member, decode, effect)                                                  \
	{                                                                                          \
		name, sizeof(name) - 1, effect, decode, offsetof(struct type, member)              \
	}
#define FIELD(type, member, decode, effect) NAMED(type, #member, member, decode, effect)

struct kind {
	const struct field *fields;
	uint32_t n;
};

/* An object while it is read. */
struct reading {
	const struct kind *kind;
	uint32_t next;	/* the field expected next */
	uint32_t given; /* bit i: field i was there, maybe misspelt */
	uint8_t idle;	/* where one of the given fields has no effect */
	bool looked;	/* duplicate keys were looked for */
};

static inline bool is_given(const struct reading *r, unsigned field)
{
	return r->given >> field & 1;
}

/* Keys that are never ours, in any object: "x-…" and "_…", for comments and other tools. */
bool is_users_key(struct json_string key);
/* False, with a diagnostic, if the node is not an object. */
bool decode_object(struct decoder *d, struct reading *r, uint32_t node, void *record);
/* Reports each given field that has no effect here. */
void refuse_without_effect(struct decoder *d, const struct reading *r, uint32_t object,
			   uint8_t where, const char *why);
