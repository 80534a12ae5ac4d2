/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the config decoder share: decoder.c (places, names), value.c and words.c
 * (values), fields.c (objects by tables), object.c and policy.c (the tables), config.c (the text),
 * check.c and check_policies.c (what fields mean together).
 */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "base/nearest.h"
#include "core/config/config.h"
#include "core/config/place.h"
#include "core/json/json_value.h"

enum { MAX_PATH = 8 }; /* networks, KEY, labels, NAME is the deepest that is decoded */

struct step_in {
	const char *key; /* of an object; NULL: the index-th of a list */
	uint32_t index;
};

struct name {
	const char *text;
	uint64_t hash;
	uint32_t len, number; /* of config->names */
};

typedef LIST(struct port_range) range_list;

struct decoder {
	struct arena *a, *scratch; /* scratch: gone when the file is decoded */
	struct diags *diags;
	struct step_in path[MAX_PATH]; /* to what is being decoded */
	uint32_t depth;
	uint32_t sections;  /* that were there, misspelt ones too: a bit for each */
	bool odd;	    /* something stands where it is not expected: who knows how deep */
	struct name *table; /* of names, open hash table */
	uint32_t cap_table;
	name_list names;	     /* by number */
	range_list ports;	     /* of the policy at hand */
	struct buf comments;	     /* of policies */
	const char *policies_at;     /* in the text, where it is read by pieces */
	const struct policy *placed; /* policies that need not be moved any more */
};

static inline void enter_key(struct decoder *d, const char *key)
{
	d->path[d->depth++].key = key;
}

static inline void enter_index(struct decoder *d, uint32_t index)
{
	d->path[d->depth++] = (struct step_in){.index = index};
}

static inline void leave(struct decoder *d)
{
	d->depth--;
}

/* Of what is being decoded, and of its key where it is a member. */
const char *place_here(const struct decoder *d);
const char *place_of_key_here(const struct decoder *d);

#define wrong(d, ...)	  diag_at((d)->diags, SEVERITY_ERROR, place_here(d), __VA_ARGS__)
#define wrong_key(d, ...) diag_at((d)->diags, SEVERITY_ERROR, place_of_key_here(d), __VA_ARGS__)

void wrong_type(struct decoder *d, const struct json_value *json, const char *expected);

/*
 * Policies name the same few things over and over: each name is kept once. find_name: NULL where it
 * has not been kept yet.
 */
const struct name *find_name(struct decoder *d, const char *text, size_t len);
const struct name *keep_name(struct decoder *d, const char *text, size_t len);

/* Text without control characters, maybe an empty one. NULL, and said, where it is wrong. */
const char *take_text(struct decoder *d, const struct json_value *json);
bool has_control(const char *text, size_t len);
bool is_docker_name(const char *text);
bool is_ifname(const char *text);

/*
 * Each writes *target if the value is right and says what is wrong if not. target: const char *,
 * bool, uint32_t, struct ip, struct prefix, a list, an enum in a byte (isolation: an enum), as its
 * name says; of decode_number, decode_ifnumber and decode_peers a name's number, of decode_subject
 * the text as it was read. An empty text, an empty list and null are wrong.
 */
void decode_comment(struct decoder *d, const struct json_value *json, void *target);
void decode_name(struct decoder *d, const struct json_value *json, void *target);
void decode_subject(struct decoder *d, const struct json_value *json, void *target);
void decode_number(struct decoder *d, const struct json_value *json, void *target);
void decode_docker_name(struct decoder *d, const struct json_value *json, void *target);
void decode_ifname(struct decoder *d, const struct json_value *json, void *target);
void decode_ifnumber(struct decoder *d, const struct json_value *json, void *target);
void decode_bool(struct decoder *d, const struct json_value *json, void *target);
void decode_log(struct decoder *d, const struct json_value *json, void *target);
void decode_mtu(struct decoder *d, const struct json_value *json, void *target);
void decode_ip(struct decoder *d, const struct json_value *json, void *target);
void decode_prefix(struct decoder *d, const struct json_value *json, void *target);
void decode_pairs(struct decoder *d, const struct json_value *json, void *target);
void decode_nat(struct decoder *d, const struct json_value *json, void *target);
void decode_masquerade(struct decoder *d, const struct json_value *json, void *target);
void decode_isolation(struct decoder *d, const struct json_value *json, void *target);
void decode_protos(struct decoder *d, const struct json_value *json, void *target);
void decode_peers(struct decoder *d, const struct json_value *json, void *target);
void decode_ports(struct decoder *d, const struct json_value *json, void *target);
void decode_to_port(struct decoder *d, const struct json_value *json, void *target);

/* A policy; it is added even where it is no object, so that all others keep their numbers. */
void decode_policy(struct decoder *d, struct config *config, const struct json_value *json);

enum section { SECTION_NETWORKS, SECTION_IPS, SECTION_POLICIES };

struct kind; /* of objects: which fields they have */

/* By section. */
extern const struct named_objects {
	const char *member; /* of the file */
	uint32_t most;
	void (*decode)(struct decoder *d, struct config *config, const char *key,
		       const struct json_value *json);
	const struct kind *kind;
} named_objects[SECTION_IPS + 1];

/* One of them; is added to the config. */
void decode_named_object(struct decoder *d, struct config *config, const char *key,
			 const struct json_value *json, const struct named_objects *all);

/* The file's members. */
void decode_config_member(struct decoder *d, const struct json_member *member,
			  struct config *config);
void decode_config(struct decoder *d, const struct json_value *json, struct config *config);
void refuse_missing_sections(struct decoder *d);

/* Everything that takes more than one field to see; fills what is derived. */
void config_check(struct config *config, struct diags *diags, struct arena *a);
/* The policies' part of it. */
void config_check_policies(struct config *config, struct diags *diags, struct arena *a);
