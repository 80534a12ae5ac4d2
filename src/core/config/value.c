/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The values that stand in networks.json, one decoder for each kind. */
#include "core/config/impl.h"

#include <string.h>

enum { MAX_NAME = 253, MAX_IFNAME = 15, MIN_MTU = 68, MAX_MTU = 65535 };

/* Looks at eight bytes at a time. Not 0: one of them is a control character. */
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

const char *take_text(struct decoder *d, uint32_t node)
{
	struct json_string s = string_of(d, node);

	if (!s.text) {
		wrong_type(d, node, "a string");
		return NULL;
	}
	if (has_control(s.text, s.len)) {
		wrong(d, node, "a control character in a name; remove it");
		return NULL;
	}
	return arena_strndup(d->scratch, s.text, s.len);
}

void decode_comment(struct decoder *d, uint32_t node, void *target)
{
	struct json_string s = string_of(d, node);

	if (!s.text)
		wrong_type(d, node, "a string");
	else if (!s.len)
		wrong(d, node, "an empty text; write one, or leave the field out");
	else if (json_of(d)->nodes[node].escaped && memchr(s.text, '\0', s.len))
		wrong(d, node, "a NUL character; remove it");
	else
		*(struct json_string *)target = s;
}

bool is_name(struct decoder *d, uint32_t node, struct json_string s)
{
	if (!s.text)
		wrong_type(d, node, "a string");
	else if (!s.len)
		wrong(d, node, "an empty name; write one, or leave the field out");
	else if (has_control(s.text, s.len))
		wrong(d, node, "a control character in a name; remove it");
	else if (s.len > MAX_NAME)
		wrong(d, node, "longer than %d bytes; shorten it", MAX_NAME);
	else
		return true;
	return false;
}

/* NULL: it is not a name; a diagnostic says why. A name that is kept already was checked then. */
static const struct name *take_name(struct decoder *d, uint32_t node)
{
	struct json_string s = string_of(d, node);
	const struct name *known = s.len ? find_name(d, s.text, s.len) : NULL;

	if (known)
		return known;
	return is_name(d, node, s) ? keep_name(d, s.text, s.len) : NULL;
}

/* A policy looks up only one of its three names; the others are checked and not kept. */
void decode_subject(struct decoder *d, uint32_t node, void *target)
{
	struct json_string s = string_of(d, node);

	if (is_name(d, node, s))
		*(struct json_string *)target = s;
}

void decode_name(struct decoder *d, uint32_t node, void *target)
{
	const struct name *name = take_name(d, node);

	if (name)
		*(const char **)target = name->text;
}

void decode_number(struct decoder *d, uint32_t node, void *target)
{
	const struct name *name = take_name(d, node);

	if (name)
		*(uint32_t *)target = name->number;
}

static const char name_letters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

static bool has_only_name_letters(const char *text)
{
	return strspn(text, name_letters) == strlen(text);
}

/* Docker takes it as the name of a network or container. */
bool is_docker_name(const char *text)
{
	return *text && has_only_name_letters(text) && !strchr("_.-", *text);
}

void decode_docker_name(struct decoder *d, uint32_t node, void *target)
{
	const char *text = take_text(d, node);

	if (!text)
		return;
	if (!is_docker_name(text))
		wrong(d, node,
		      "\"%s\" is not a name that Docker takes; use letters, digits, \"_\", \".\" "
		      "and \"-\", a letter or digit first",
		      text);
	else
		decode_name(d, node, target);
}

/*
 * Stricter than the kernel, because other tools read some characters otherwise: in iptables "wg+"
 * is every interface that begins with wg, and one quote makes a whole restore fail; nft has "*",
 * and the kernel itself replaces "%d" by a number.
 */
bool is_ifname(const char *text)
{
	bool reserved = !strcmp(text, ".") || !strcmp(text, "..");

	return *text && strlen(text) <= MAX_IFNAME && has_only_name_letters(text) && !reserved;
}

static const struct name *take_ifname(struct decoder *d, uint32_t node)
{
	const char *text = take_text(d, node);

	if (!text)
		return NULL;
	if (is_ifname(text))
		return keep_name(d, text, strlen(text));
	wrong(d, node,
	      "\"%s\" is not the name of one interface; use 1 to %d letters, digits, \"_\", \".\" "
	      "and \"-\"",
	      text, MAX_IFNAME);
	return NULL;
}

void decode_ifname(struct decoder *d, uint32_t node, void *target)
{
	const struct name *name = take_ifname(d, node);

	if (name)
		*(const char **)target = name->text;
}

void decode_ifnumber(struct decoder *d, uint32_t node, void *target)
{
	const struct name *name = take_ifname(d, node);

	if (name)
		*(uint32_t *)target = name->number;
}

void decode_bool(struct decoder *d, uint32_t node, void *target)
{
	enum json_type type = json_type_of(json_of(d), node);

	if (type == JSON_TYPE_TRUE || json_string_is(json_of(d), node, "true", 4))
		*(bool *)target = true;
	else if (type == JSON_TYPE_FALSE || json_string_is(json_of(d), node, "false", 5))
		*(bool *)target = false;
	else
		wrong_type(d, node, "true or false");
}

void decode_mtu(struct decoder *d, uint32_t node, void *target)
{
	int64_t mtu;

	if (!json_integer_of(&mtu, json_of(d), node))
		wrong_type(d, node, "a number");
	else if (mtu < MIN_MTU || mtu > MAX_MTU)
		wrong(d, node, "%lld is not an MTU (%d-%d)", (long long)mtu, MIN_MTU, MAX_MTU);
	else
		*(uint32_t *)target = (uint32_t)mtu;
}

/* What messages tell of how a family writes addresses and subnets. */
static const struct writing {
	uint8_t family;
	const char *name, *ip, *subnet;
} writings[N_FAMILIES] = {
	[FAMILY_4] = {4, "IPv4", "write four numbers 0-255 without leading zeros",
		      "172.18.103.0/24"},
	[FAMILY_6] = {6, "IPv6", "write it as fd00:103::2", "fd00:103::/64"},
};

/* The field of the other family has the same name with or without a 6. */
static void wrong_family(struct decoder *d, uint32_t node, const char *text, const char *what)
{
	struct json_string field = string_of(d, node_of_key(node));
	bool is_6 = strchr(text, ':');

	wrong(d, node, "%s is an %s %s; write it as %.*s%s", text,
	      writings[is_6 ? FAMILY_6 : FAMILY_4].name, what, (int)field.len - !is_6, field.text,
	      is_6 ? "6" : "");
}

/* either: an address of the other family is right, too. */
static void take_ip(struct decoder *d, uint32_t node, struct ip *target, enum family family,
		    bool either)
{
	const char *text = take_text(d, node);
	const struct writing *writing = &writings[family];
	struct ip ip;

	if (!text)
		return;
	if (strchr(text, ':') && either)
		writing = &writings[FAMILY_6];
	if (!ip_parse(&ip, text))
		wrong(d, node, "\"%s\" is not an %s address; %s", text, writing->name, writing->ip);
	else if (ip.family != writing->family)
		wrong_family(d, node, text, "address");
	else
		*target = ip;
}

void decode_ip(struct decoder *d, uint32_t node, void *target)
{
	take_ip(d, node, target, FAMILY_4, true);
}

void decode_ip4(struct decoder *d, uint32_t node, void *target)
{
	take_ip(d, node, target, FAMILY_4, false);
}

void decode_ip6(struct decoder *d, uint32_t node, void *target)
{
	take_ip(d, node, target, FAMILY_6, false);
}

static void take_prefix(struct decoder *d, uint32_t node, struct prefix *target, enum family family)
{
	const char *text = take_text(d, node);
	const struct writing *writing = &writings[family];
	struct prefix prefix;

	if (!text)
		return;
	if (!prefix_parse(&prefix, text))
		wrong(d, node, "\"%s\" is not a subnet; write it as %s", text, writing->subnet);
	else if (prefix.ip.family != writing->family)
		wrong_family(d, node, text, "subnet");
	else if (!prefix_is_canonical(prefix))
		wrong(d, node, "%s has host bits; write %s", text,
		      prefix_format_full(prefix_canonical(prefix)).s);
	else
		*target = prefix;
}

void decode_prefix4(struct decoder *d, uint32_t node, void *target)
{
	take_prefix(d, node, target, FAMILY_4);
}

void decode_prefix6(struct decoder *d, uint32_t node, void *target)
{
	take_prefix(d, node, target, FAMILY_6);
}

static bool has_nul(struct json_string s)
{
	return memchr(s.text, '\0', s.len);
}

/* Docker gets it as it is: any text without a NUL. */
static void decode_pair(struct decoder *d, uint32_t key, pair_list *pairs)
{
	struct json_string name = string_of(d, key), value = string_of(d, key + 1);

	if (!name.len)
		wrong(d, key, "an empty name; write one");
	else if (!value.text)
		wrong_type(d, key + 1, "a string");
	else if (has_nul(name) || has_nul(value))
		wrong(d, key + 1, "a NUL character; remove it");
	else
		*list_add(d->a, pairs) = (struct pair){arena_strndup(d->a, name.text, name.len),
						       arena_strndup(d->a, value.text, value.len)};
}

void decode_pairs(struct decoder *d, uint32_t node, void *target)
{
	if (json_type_of(json_of(d), node) != JSON_TYPE_OBJECT) {
		wrong_type(d, node, "an object of strings");
		return;
	}
	refuse_doubled(d, node);
	each_member (key, d, node)
		decode_pair(d, key, target);
}
