/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The values that stand in networks.json, one decoder for each kind. */
#include "core/config/impl.h"

#include <string.h>

enum { MAX_NAME = 253, MAX_IFNAME = 15, MIN_MTU = 68, MAX_MTU = 65535 };

/* Of eight bytes: a bit is set if one of them is less than a blank, or DEL. */
static uint64_t controls_in(const char *text)
{
	const uint64_t ones = UINT64_MAX / UINT8_MAX, tops = ones << 7;
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return ((word - ones * ' ') | ((word & ~tops) + ones)) & ~word & tops;
}

bool has_control(const char *text, size_t len)
{
	enum { WORD = sizeof(uint64_t) };
	uint64_t found = 0;

	for (size_t at = 0; at + WORD <= len; at += WORD)
		found |= controls_in(text + at);
	if (len >= WORD)
		return found | controls_in(text + len - WORD);
	for (; len; text++, len--)
		found |= (unsigned char)*text < ' ' || *text == 0x7f;
	return found;
}

const char *take_text(struct decoder *d, const struct json_value *json)
{
	const char *text = json->text;

	if (!text) {
		wrong_type(d, json, "a text in quotes");
		return NULL;
	}
	if (json->json && has_control(text, json->len)) { /* no plain text has any */
		wrong(d, "a control character in a name; remove it");
		return NULL;
	}
	return text;
}

void decode_comment(struct decoder *d, const struct json_value *json, void *target)
{
	const char *text = json->text;

	if (!text)
		wrong_type(d, json, "a text in quotes");
	else if (!json->len)
		wrong(d, "an empty text; write one, or leave the field out");
	else if (strlen(text) < json->len)
		wrong(d, "a NUL character; remove it");
	else
		*(const char **)target = text;
}

static bool is_name(struct decoder *d, size_t len)
{
	if (!len)
		wrong(d, "an empty name; write one, or leave the field out");
	else if (len > MAX_NAME)
		wrong(d, "longer than %d bytes; shorten it", MAX_NAME);
	return len && len <= MAX_NAME;
}

/* NULL: there is none, or it is wrong. What was kept was right when it came first. */
static const struct name *take_name(struct decoder *d, const struct json_value *json)
{
	size_t len = json->len;
	const struct name *known = len ? find_name(d, json->text, len) : NULL;
	const char *text = known ? NULL : take_text(d, json);

	if (known)
		return known;
	return text && is_name(d, len) ? keep_name(d, text, len) : NULL;
}

/* Of a policy's three names one is looked up: the others only have to be right. */
void decode_subject(struct decoder *d, const struct json_value *json, void *target)
{
	if (take_text(d, json) && is_name(d, json->len))
		*(struct json_value *)target = *json;
}

void decode_name(struct decoder *d, const struct json_value *json, void *target)
{
	const struct name *name = take_name(d, json);

	if (name)
		*(const char **)target = name->text;
}

void decode_number(struct decoder *d, const struct json_value *json, void *target)
{
	const struct name *name = take_name(d, json);

	if (name)
		*(uint32_t *)target = name->number;
}

static const char name_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.-";

static bool has_only_name_letters(const char *text)
{
	return strspn(text, name_letters) == strlen(text);
}

/* As Docker names networks and containers. */
bool is_docker_name(const char *text)
{
	return *text && has_only_name_letters(text) && !strchr("_.-", *text);
}

void decode_docker_name(struct decoder *d, const struct json_value *json, void *target)
{
	const char *text = take_text(d, json);

	if (!text)
		return;
	if (!is_docker_name(text))
		wrong(d,
		      "\"%s\" is no name for Docker; use letters, digits, \"_\", \".\" and "
		      "\"-\", a letter or digit first",
		      text);
	else
		decode_name(d, json, target);
}

/*
 * The kernel takes more, but what else takes it differs: in iptables "wg+" is every interface that
 * begins so, and one quote makes a whole restore fail; nft has "*", the kernel "%d" for a number.
 */
bool is_ifname(const char *text)
{
	bool reserved = !strcmp(text, ".") || !strcmp(text, "..");

	return *text && strlen(text) <= MAX_IFNAME && has_only_name_letters(text) && !reserved;
}

static const struct name *take_ifname(struct decoder *d, const struct json_value *json)
{
	const char *text = take_text(d, json);

	if (!text)
		return NULL;
	if (is_ifname(text))
		return keep_name(d, text, strlen(text));
	wrong(d,
	      "\"%s\" is no name of one interface; use 1 to %d letters, digits, \"_\", \".\" and "
	      "\"-\"",
	      text, MAX_IFNAME);
	return NULL;
}

void decode_ifname(struct decoder *d, const struct json_value *json, void *target)
{
	const struct name *name = take_ifname(d, json);

	if (name)
		*(const char **)target = name->text;
}

void decode_ifnumber(struct decoder *d, const struct json_value *json, void *target)
{
	const struct name *name = take_ifname(d, json);

	if (name)
		*(uint32_t *)target = name->number;
}

void decode_bool(struct decoder *d, const struct json_value *json, void *target)
{
	const char *text = json->text;

	if (json_is_boolean(json->json))
		*(bool *)target = json_is_true(json->json);
	else if (text && (!strcmp(text, "true") || !strcmp(text, "false")))
		*(bool *)target = !strcmp(text, "true");
	else
		wrong_type(d, json, "true or false");
}

void decode_log(struct decoder *d, const struct json_value *json, void *target)
{
	decode_bool(d, json, target);
	if (*(bool *)target)
		diag_at(d->diags, SEVERITY_WARNING, place_here(d),
			"logging comes in a later version; nothing is logged");
}

void decode_mtu(struct decoder *d, const struct json_value *json, void *target)
{
	json_int_t mtu;

	if (!json_value_integer(&mtu, json))
		wrong_type(d, json, "a number");
	else if (mtu < MIN_MTU || mtu > MAX_MTU)
		wrong(d, "%lld is no MTU (%d-%d)", (long long)mtu, MIN_MTU, MAX_MTU);
	else
		*(uint32_t *)target = (uint32_t)mtu;
}

void decode_ip(struct decoder *d, const struct json_value *json, void *target)
{
	const char *text = take_text(d, json);
	struct ip ip;

	if (!text)
		return;
	if (!ip_parse(&ip, text))
		wrong(d,
		      "\"%s\" is not an IPv4 address; write four numbers 0-255 without leading "
		      "zeros",
		      text);
	else if (ip.family != 4)
		wrong(d, "IPv6 is not built yet; use an IPv4 address");
	else
		*(struct ip *)target = ip;
}

void decode_prefix(struct decoder *d, const struct json_value *json, void *target)
{
	const char *text = take_text(d, json);
	struct prefix prefix;

	if (!text)
		return;
	if (!prefix_parse(&prefix, text))
		wrong(d, "\"%s\" is not a subnet; write it as 172.18.103.0/24", text);
	else if (prefix.ip.family != 4)
		wrong(d, "IPv6 is not built yet; use an IPv4 subnet");
	else if (!prefix_is_canonical(prefix))
		wrong(d, "%s has host bits; write %s", text,
		      prefix_format_full(prefix_canonical(prefix)).s);
	else
		*(struct prefix *)target = prefix;
}

typedef LIST(struct pair) pair_list;

/* What it says is Docker's business, and it may be empty, but it must get there whole. */
static void decode_pair(struct decoder *d, const struct json_member *member, pair_list *pairs)
{
	const char *key = arena_strndup(d->a, member->key, member->len);
	struct json_value value = member->value;

	enter_key(d, key);
	if (!member->len)
		wrong_key(d, "an empty name; write one");
	else if (!value.text)
		wrong_type(d, &value, "a text in quotes");
	else if (strlen(key) < member->len || strlen(value.text) < value.len)
		wrong(d, "a NUL character; remove it");
	else
		*list_add(d->a, pairs) = (struct pair){key, arena_strdup(d->a, value.text)};
	leave(d);
}

void decode_pairs(struct decoder *d, const struct json_value *json, void *target)
{
	struct json_members members = {.object = json};
	const struct json_member *member;

	if (json_value_type(json) != JSON_OBJECT)
		wrong_type(d, json, "an object of texts");
	else
		while ((member = json_members_next(&members)))
			decode_pair(d, member, target);
}
