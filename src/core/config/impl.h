/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the config decoder share: decoder.c (what is wrong, names), value.c and words.c
 * (values), list.c (lists), list_file.c (files of them), fields.c (objects by tables), object.c and
 * policy.c (the tables), ports.c (ports and to_port), config.c (the text), check.c and
 * check_policies.c (what fields mean together). Values are nodes of the text's tree.
 */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "base/hash_index.h"
#include "base/nearest.h"
#include "core/config/config.h"
#include "core/config/place.h"

struct name {
	const char *text;
	uint64_t hash;
	uint32_t len, number; /* of config->names */
};

typedef LIST(struct port_range) range_list;

/* The lists so far. */
struct lists {
	LIST(struct member_list) list;
	struct hash_index by_hash;
	LIST(uint64_t) hashes;
	const list_files *files;
	struct file_nets {
		bool parsed;
		uint32_t n;	 /* before sorting; doubles count */
		uint32_t number; /* of the list that has only this file as a member */
		LIST(struct prefix) nets;
	} * of_file; /* by file */
	uint32_t n_listed;
};

struct decoder {
	struct arena *a, *scratch; /* scratch: gone when the file is decoded */
	struct diags *diags;
	struct config_text *text;
	uint32_t sections;  /* the sections in the text, misspelled ones too, a bit for each */
	struct name *table; /* of names, open hash table */
	uint32_t cap_table;
	name_list names;     /* by number */
	range_list ports;    /* of the policy at hand */
	struct buf comments; /* of policies */
	struct lists lists;
};

#define wrong(d, node, ...) diag_at((d)->diags, SEVERITY_ERROR, (d)->text, (node), __VA_ARGS__)
/* At the key of a member whose value this is. 0: its key is misspelled, and told already. */
#define wrong_key(d, node, ...)                                                                    \
	do {                                                                                       \
		uint32_t value_ = (node);                                                          \
                                                                                                   \
		if (value_)                                                                        \
			wrong(d, node_of_key(value_), __VA_ARGS__);                                \
	} while (0)

static inline const struct json *json_of(const struct decoder *d)
{
	return &d->text->json;
}

static inline struct json_string string_of(struct decoder *d, uint32_t node)
{
	return json_string_of(json_of(d), node, d->scratch);
}

/* The members of an object that count: of those with one key the first. */
#define each_member(key, d, object)                                                                \
	json_each_member (key, json_of(d), object)                                                 \
		if (!json_of(d)->nodes[key].doubled)

/* Both report keys that stand twice in what is not decoded. */
void wrong_type(struct decoder *d, uint32_t node, const char *expected);
void pass_over(struct decoder *d, uint32_t node);
/* An error for each key that stands twice in the object. */
void refuse_doubled(struct decoder *d, uint32_t object);

/*
 * Policies name the same few things over and over: each name is kept once. find_name: NULL where it
 * has not been kept yet.
 */
const struct name *find_name(struct decoder *d, const char *text, size_t len);
const struct name *keep_name(struct decoder *d, const char *text, size_t len);

/* Text without control characters, maybe an empty one. NULL, and said, where it is wrong. */
const char *take_text(struct decoder *d, uint32_t node);
/* False, and said: it can be nobody's name. */
bool is_name(struct decoder *d, uint32_t node, struct json_string s);
bool has_control(const char *text, size_t len);
bool is_docker_name(const char *text);
bool is_ifname(const char *text);

/*
 * Each writes *target if the value is right and says what is wrong if not. target: const char *,
 * bool, uint32_t, struct ip, struct prefix, a list, an enum in a byte (isolation, egress: an enum),
 * as its name says; of decode_number, decode_ifnumber and decode_peers a name's number, of
 * decode_subject and decode_comment the struct json_string. An empty text, an empty list and null
 * are wrong.
 */
void decode_comment(struct decoder *d, uint32_t node, void *target);
void decode_name(struct decoder *d, uint32_t node, void *target);
void decode_subject(struct decoder *d, uint32_t node, void *target);
void decode_number(struct decoder *d, uint32_t node, void *target);
void decode_docker_name(struct decoder *d, uint32_t node, void *target);
void decode_ifname(struct decoder *d, uint32_t node, void *target);
void decode_ifnumber(struct decoder *d, uint32_t node, void *target);
void decode_bool(struct decoder *d, uint32_t node, void *target);
void decode_mtu(struct decoder *d, uint32_t node, void *target);
void decode_ip(struct decoder *d, uint32_t node, void *target); /* of either family */
void decode_ip4(struct decoder *d, uint32_t node, void *target);
void decode_ip6(struct decoder *d, uint32_t node, void *target);
void decode_prefix4(struct decoder *d, uint32_t node, void *target);
void decode_prefix6(struct decoder *d, uint32_t node, void *target);
void decode_pairs(struct decoder *d, uint32_t node, void *target);
void decode_nat(struct decoder *d, uint32_t node, void *target);
void decode_masquerade(struct decoder *d, uint32_t node, void *target);
void decode_isolation(struct decoder *d, uint32_t node, void *target);
void decode_egress(struct decoder *d, uint32_t node, void *target);
void decode_expect(struct decoder *d, uint32_t node, void *target);
void decode_protos(struct decoder *d, uint32_t node, void *target);
void decode_peers(struct decoder *d, uint32_t node, void *target);
/* A value, or a list of such. */
void decode_each(struct decoder *d, uint32_t node, void *target,
		 void (*decode)(struct decoder *d, uint32_t node, void *target));
/* files are those of config_list_files. */
void lists_begin(struct decoder *d, const list_files *files);
/* What "@FILE" stands for. NULL: the file can't be used; a diagnostic says why. */
struct file_nets *nets_of_file(struct decoder *d, uint32_t node, struct json_string s);
/* An error where all lists together have too many prefixes. */
void count_listed(struct decoder *d, uint32_t node, uint32_t n);
void decode_ports(struct decoder *d, uint32_t node, void *target);
/* In their order, as written. */
void decode_port_list(struct decoder *d, uint32_t node, void *target);
/* Sorts the ranges, and joins those that touch or overlap. */
void join_ports(range_list *ports);
/* The ports of a policy without errors so far, and what to_port makes of them. */
void put_ports(struct decoder *d, struct config *config, struct policy *p, range_list *ports,
	       const range_list *to_ports, uint32_t policy);

/* A policy; it is added even where it is no object, so that all others keep their numbers. */
void decode_policy(struct decoder *d, struct config *config, uint32_t node);
void decode_test(struct decoder *d, struct config *config, uint32_t node);
void decode_config(struct decoder *d, struct config *config);
void refuse_missing_sections(struct decoder *d);

/*
 * Networks alone and against each other; gateways, bridge names. False: something is wrong about
 * one, and nobody can say that an address lies in none.
 */
bool config_check_networks(struct config *config, struct config_text *text, struct diags *diags,
			   struct arena *a);
/* The diagnostic is about something in there: "networks", "policies[". */
bool is_within(const struct diag *diag, const char *section);
/* Pools of dynamic addresses for networks that declare none, when addresses are sorted. */
void config_choose_pools(struct config *config);
/* Everything that takes more than one field to see; fills what is derived. */
void config_check(struct config *config, struct config_text *text, struct diags *diags,
		  struct arena *a);
/* The policies' part of it. */
void config_check_policies(struct config *config, struct config_text *text, struct diags *diags,
			   struct arena *a);
