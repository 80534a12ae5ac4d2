/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/answers/changes.h"

#include "base/hash.h"
#include "base/hash_set.h"
#include "core/answers/changes.h"

void changes_find(struct flow_changes *c, const struct generation *before,
		  const struct state *before_want, const struct generation *after,
		  const struct state *after_want)
{
	*c = (struct flow_changes){0};
	reach_pool_init(&c->pool, &c->a);
	reach_build(&c->sides[0], &c->pool, &before->config, &before->resolution, before_want);
	reach_build(&c->sides[1], &c->pool, &after->config, &after->resolution, after_want);
	c->all = reach_diff(&c->list, &c->a, &c->sides[0], &c->sides[1]);
}

void changes_release(struct flow_changes *c)
{
	arena_release(&c->a);
}

/* What both families say in the same words is said once. */
void changes_print(struct buf *out, const struct flow_changes *c, uint32_t most)
{
	AUTO_RELEASE struct arena a = {0};
	struct hash_set said = {0};
	uint32_t n = 0, shown;

	if (!c->list.n)
		buf_puts(out, "the same flows\n");
	list_each (change, &c->list) {
		AUTO_BUF struct buf line = {0};

		print_change(&line, &c->sides[change->opens], change);
		if (hash_set_has_or_add(&said, &a, hash_text(buf_text(&line))))
			continue;
		if (n++ < most)
			buf_printf(out, "%s\n", buf_text(&line));
	}
	shown = n < most ? n : most;
	if (!c->all)
		buf_printf(out, "… and more: only the first %u are listed\n", shown);
	else if (shown < n)
		buf_printf(out, "… and %u more (-v shows all)\n", n - shown);
}

void changes_put_words(struct buf *out, const struct flow_changes *c, bool opens, uint32_t most)
{
	AUTO_RELEASE struct arena a = {0};
	struct hash_set said = {0};
	uint32_t n = 0;

	list_each (change, &c->list) {
		AUTO_BUF struct buf line = {0};

		if (change->opens != opens)
			continue;
		print_change_words(&line, &c->sides[opens], change);
		if (!hash_set_has_or_add(&said, &a, hash_text(buf_text(&line))) && n++ < most)
			buf_printf(out, "%s%s", n > 1 ? "; " : "", buf_text(&line));
	}
	if (n > most)
		buf_printf(out, "; and %u more", n - most);
}

void changes_print_json(struct buf *out, const struct flow_changes *c)
{
	const char *comma = "\n";

	buf_printf(out, "  \"same\": %s,\n  \"complete\": %s,\n  \"changes\": [",
		   c->list.n ? "false" : "true", c->all ? "true" : "false");
	list_each (change, &c->list) {
		buf_puts(out, comma);
		buf_puts(out, "    ");
		print_change_json(out, &c->sides[change->opens], change);
		comma = ",\n";
	}
	buf_puts(out, "\n  ]");
}
