/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the three parts of the config decoder share: config_value.c (values), config.c (objects),
 * config_check.c (what fields mean together).
 */
#pragma once

#include "core/config.h"
#include "core/place.h"

#include <jansson.h>

struct decoder {
	struct arena *a;
	struct diags *diags;
	struct buf pointer; /* to what is being decoded */
};

#define wrong(d, ...) diag_at((d)->diags, SEVERITY_ERROR, buf_text(&(d)->pointer), __VA_ARGS__)

void wrong_type(struct decoder *d, const json_t *json, const char *expected);
/* " (did you mean …?)" if one of the n words is near, else "". */
const char *suggestion(struct decoder *d, const char *word, const char *(*name)(size_t), size_t n);
/* Takes the pointer back to its first len bytes. */
void cut(struct decoder *d, size_t len);
bool has_control(const char *text);
bool is_docker_name(const char *text);

/*
 * Each writes *target if the value is right and says what is wrong if not. target: const char *,
 * bool, uint32_t, struct ip, struct prefix, a list, an enum, as its name says. An empty text is an
 * absent one.
 */
void decode_comment(struct decoder *d, const json_t *json, void *target);
void decode_name(struct decoder *d, const json_t *json, void *target);
void decode_docker_name(struct decoder *d, const json_t *json, void *target);
void decode_ifname(struct decoder *d, const json_t *json, void *target);
void decode_bool(struct decoder *d, const json_t *json, void *target);
void decode_log(struct decoder *d, const json_t *json, void *target);
void decode_mtu(struct decoder *d, const json_t *json, void *target);
void decode_ip(struct decoder *d, const json_t *json, void *target);
void decode_prefix(struct decoder *d, const json_t *json, void *target);
void decode_pairs(struct decoder *d, const json_t *json, void *target);
void decode_nat(struct decoder *d, const json_t *json, void *target);
void decode_masquerade(struct decoder *d, const json_t *json, void *target);
void decode_isolation(struct decoder *d, const json_t *json, void *target);
void decode_protos(struct decoder *d, const json_t *json, void *target);
void decode_targets(struct decoder *d, const json_t *json, void *target);
void decode_ports(struct decoder *d, const json_t *json, void *target);
void decode_to_port(struct decoder *d, const json_t *json, void *target);

/* Everything that takes more than one field to see; fills what is derived. */
void config_check(struct config *config, struct diags *diags, struct arena *a);
