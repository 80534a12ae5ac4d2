/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects of the file, by tables: which fields a kind of object has, how each is decoded, where it
 * goes and where it has an effect. Tables stand in object.c and policy.c.
 */
#pragma once

#include "core/config/impl.h"

/* Where a field has an effect. Anywhere else it is an error: its author meant something by it. */
enum {
	IN_BRIDGE = 1 << 0, /* networks that are created … */
	IN_OTHER = 1 << 1,  /* … or only attached to */

	IN_NOTHING = 1 << 0, /* policies without from and nat */
	IN_ALLOW = 1 << 1,   /* with from alone */
	IN_DNAT = 1 << 2,
	IN_MASQUERADE = 1 << 3,

	EVERYWHERE = UINT8_MAX,
};

struct field {
	const char *name; /* first: nearest */
	uint8_t len;	  /* of the name */
	uint8_t effect;	  /* where it has one */
	void (*decode)(struct decoder *d, uint32_t node, void *target);
	size_t offset;
};

#define NAMED(type, name, member, decode, effect)                                                  \
	{                                                                                          \
		name, sizeof(name) - 1, effect, decode, offsetof(struct type, member)              \
	}
#define FIELD(type, member, decode, effect) NAMED(type, #member, member, decode, effect)
/* Part of the format, and not built yet. */
#define LATER(name)                                                                                \
	{                                                                                          \
		name, sizeof(name) - 1, EVERYWHERE, decode_later, 0                                \
	}

/* Of IPv6. */
#if CONFIG_TAKES_IPV6
#define FIELD6(type, member, decode, effect) FIELD(type, member, decode, effect)
#else
#define FIELD6(type, member, decode, effect) LATER(#member)
#endif

struct kind {
	const struct field *fields;
	uint32_t n;
};

/* An object, as far as it is read. */
struct reading {
	const struct kind *kind;
	uint32_t next;	/* the field that is expected next */
	uint32_t given; /* which fields were there, misspelt ones too: a bit for each */
	uint8_t idle;	/* where one of them has no effect */
	bool looked;	/* for keys that stand twice */
};

static inline bool is_given(const struct reading *r, unsigned field)
{
	return r->given >> field & 1;
}

/* These keys are never ours, wherever they stand: comments, notes of other tools. */
bool is_users_key(struct json_string key);
void decode_later(struct decoder *d, uint32_t node, void *target);
/* False, with a diagnostic, where it is no object. */
bool decode_object(struct decoder *d, struct reading *r, uint32_t node, void *record);
/* An error for each field that was given and has no effect there. */
void refuse_without_effect(struct decoder *d, const struct reading *r, uint32_t object,
			   uint8_t where, const char *why);
