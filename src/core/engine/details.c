/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/engine/details.h"

#include "core/engine/answer.h"

#include <string.h>

#define COMPOSE_SERVICE "com.docker.compose.service"

static const char *text_of(const struct answer *answer, uint32_t object, const char *key)
{
	uint32_t node = json_member(&answer->json, object, key);
	struct json_string text;

	if (!node || json_type_of(&answer->json, node) != JSON_TYPE_STRING)
		return "";
	text = json_string_of(&answer->json, node, answer->a);
	return arena_strndup(answer->a, text.text, text.len);
}

static uint32_t number_of(const struct answer *answer, uint32_t object, const char *key)
{
	uint32_t node = json_member(&answer->json, object, key);
	int64_t number;

	return node && json_integer_of(&number, &answer->json, node) && number > 0 &&
			       number <= UINT16_MAX
		       ? (uint32_t)number
		       : 0;
}

static void add_ports(struct engine_detail *d, const struct answer *answer, uint32_t container)
{
	uint32_t ports = json_member(&answer->json, container, "Ports");

	if (!ports || json_type_of(&answer->json, ports) != JSON_TYPE_LIST)
		return;
	json_each (port, &answer->json, ports)
		if (json_type_of(&answer->json, port) == JSON_TYPE_OBJECT)
			*list_add(answer->a, &d->ports) =
				(struct engine_port){.address = text_of(answer, port, "IP"),
						     .host = number_of(answer, port, "PublicPort"),
						     .own = number_of(answer, port, "PrivatePort"),
						     .proto = text_of(answer, port, "Type")};
}

bool engine_decode_details(struct engine_details *details, struct arena *a, const char *json,
			   size_t len, struct error *err)
{
	AUTO_ANSWER struct answer answer;

	if (!answer_parse(&answer, a, json, len, JSON_TYPE_LIST, err))
		return false;
	json_each (item, &answer.json, JSON_ROOT) {
		struct engine_detail *d;
		uint32_t labels;

		if (json_type_of(&answer.json, item) != JSON_TYPE_OBJECT)
			continue;
		d = list_add(a, &details->list);
		labels = json_member(&answer.json, item, "Labels");
		*d = (struct engine_detail){.id = text_of(&answer, item, "Id"), .service = ""};
		if (labels && json_type_of(&answer.json, labels) == JSON_TYPE_OBJECT)
			d->service = text_of(&answer, labels, COMPOSE_SERVICE);
		add_ports(d, &answer, item);
	}
	return true;
}

const char *engine_service(const struct engine_details *details, const char *id)
{
	list_each (d, &details->list)
		if (!strcmp(d->id, id))
			return d->service;
	return "";
}
