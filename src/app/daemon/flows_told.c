/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/flows_told.h"

#include "app/answers/changes.h"
#include "base/log.h"

enum {
	TOLD = 5,	  /* of what opens, and of what closes */
	MOST_SIZE = 2000, /* policies and listed prefixes: some 20 ms for a file */
};

static size_t size_of(const struct generation *g)
{
	size_t size = g->config.policies.n;

	list_each (list, &g->config.lists)
		size += list->nets.n;
	return size;
}

static void log_changes(const struct flow_changes *changes)
{
	AUTO_BUF struct buf opens = {0}, closes = {0};

	changes_put_words(&opens, changes, true, TOLD);
	changes_put_words(&closes, changes, false, TOLD);
	if (changes->list.n)
		log_info("flows changed", "opens", opens.len ? buf_text(&opens) : NULL, "closes",
			 closes.len ? buf_text(&closes) : NULL);
	else
		log_info("the same flows");
}

void flows_told(const struct generation *before, const struct generation *after,
		const struct pass *p)
{
	AUTO_RELEASE struct arena a = {0};
	struct findings findings = {0};
	struct state want = {0};
	struct flow_changes changes;

	if (size_of(before) > MOST_SIZE || size_of(after) > MOST_SIZE) {
		log_info("flows not compared: the file is large, harborwall diff compares it");
		return;
	}
	compile(&want, &findings, &a, &before->config, &before->resolution, &p->view.engine,
		&p->view.facts);
	changes_find(&changes, before, &want, after, &p->want);
	log_changes(&changes);
	changes_release(&changes);
}
