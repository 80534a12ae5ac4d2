/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/pass/saved.h"

#include "core/iptables/iptables.h"
#include "edge/host/file.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 20 };

static void decode(struct saved *saved, const json_t *root)
{
	const json_t *before = json_object_get(root, "before");
	const json_t *forward = json_object_get(before, "ip_forward");
	const char *policy = json_string_value(json_object_get(before, "forward_policy"));
	const char *variant = json_string_value(json_object_get(before, "variant"));

	saved->forwarding_was_off = json_is_integer(forward) && !json_integer_value(forward);
	for (size_t i = VARIANT_NFT; variant && i <= VARIANT_LEGACY; i++)
		if (!strcmp(variant, variant_names[i]))
			saved->variant = (enum variant)i;
	saved->policy_was_accept = policy && !strcmp(policy, "ACCEPT") && saved->variant;
}

bool saved_read(struct saved *saved, const char *path, struct error *err)
{
	AUTO_BUF struct buf text = {0};
	json_error_t where;
	json_t *root;

	*saved = (struct saved){0};
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return true;
	if (!file_read(&text, path, MAX_BYTES, err))
		return false;
	root = json_loadb(buf_text(&text), text.len, 0, &where);
	if (!root)
		return error_set(err, -1,
				 "%s:%d:%d: %s; it only holds what the host had before "
				 "harborwall, remove it to go on without",
				 path, where.line, where.column, where.text);
	decode(saved, root);
	json_decref(root);
	return true;
}

static bool save(const struct saved *saved, const char *path, struct error *err)
{
	AUTO_BUF struct buf text = {0};
	const char *comma = "";

	buf_puts(&text, "{\"version\": 1, \"before\": {");
	if (saved->forwarding_was_off) {
		buf_puts(&text, "\"ip_forward\": 0");
		comma = ", ";
	}
	if (saved->policy_was_accept)
		buf_printf(&text, "%s\"forward_policy\": \"ACCEPT\", \"variant\": \"%s\"", comma,
			   variant_names[saved->variant]);
	buf_puts(&text, "}}\n");
	return file_replace(path, text.data, text.len, 0600, err);
}

bool saved_remember_forwarding(const char *path, struct error *err)
{
	struct saved saved;

	if (!saved_read(&saved, path, err))
		return false;
	if (saved.forwarding_was_off)
		return true;
	saved.forwarding_was_off = true;
	return save(&saved, path, err);
}

bool saved_remember_policy(const char *path, enum variant variant, struct error *err)
{
	struct saved saved;

	if (!saved_read(&saved, path, err))
		return false;
	if (saved.policy_was_accept)
		return true;
	saved.policy_was_accept = true;
	saved.variant = variant;
	return save(&saved, path, err);
}

bool saved_forget(const char *path, struct error *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(err, errno, "remove %s", path);
	return true;
}
