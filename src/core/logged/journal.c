/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/logged/journal.h"

#include <string.h>

/* The interface is not asked: it is one flow, whichever way its packets come. */
static bool is_same(const struct logged *a, const struct logged *b)
{
	return a->port == b->port && a->proto == b->proto && a->why == b->why &&
	       ip_equal(a->src, b->src) && ip_equal(a->dst, b->dst);
}

static struct journal_entry *find(struct journal_entry *entries, uint32_t n,
				  const struct logged *logged)
{
	for (uint32_t i = 0; i < n; i++)
		if (is_same(&entries[i].flow, logged))
			return &entries[i];
	return NULL;
}

static bool has_room(const struct journal *j, const struct logged *logged)
{
	uint32_t of_source = 0;

	for (uint32_t i = 0; i < j->n; i++)
		of_source += ip_equal(j->entries[i].flow.src, logged->src);
	return j->n < JOURNAL_FLOWS && of_source < JOURNAL_OF_SOURCE;
}

/* To the front, whether it is there or not; the oldest makes room. */
static void note_drop(struct journal *j, const struct logged *logged, time_t now)
{
	struct journal_entry *known = find(j->drops, j->n_drops, logged);
	struct journal_entry entry = {.flow = *logged, .first = now};

	if (known)
		entry = *known;
	else if (j->n_drops < JOURNAL_DROPS)
		known = &j->drops[j->n_drops++];
	else
		known = &j->drops[JOURNAL_DROPS - 1];
	entry.count++;
	entry.last = now;
	memmove(j->drops + 1, j->drops, (size_t)(known - j->drops) * sizeof(entry));
	j->drops[0] = entry;
}

bool journal_note(struct journal *j, const struct logged *logged, int64_t now_ms, time_t now)
{
	struct journal_entry *entry = find(j->entries, j->n, logged);

	if (logged->why == LOGGED_DROPPED)
		note_drop(j, logged, now);
	if (entry) {
		entry->first = entry->count++ ? entry->first : now;
		entry->last = now;
		return false;
	}
	if (!has_room(j, logged)) {
		j->unlisted_due_ms = j->unlisted++ ? j->unlisted_due_ms : now_ms + JOURNAL_EVERY_MS;
		return false;
	}
	j->entries[j->n++] =
		(struct journal_entry){.flow = *logged, .due_ms = now_ms + JOURNAL_EVERY_MS};
	return true;
}

bool journal_due(struct journal_entry *due, struct journal *j, int64_t now_ms)
{
	for (uint32_t i = 0; i < j->n;) {
		struct journal_entry *entry = &j->entries[i];

		if (now_ms < entry->due_ms) {
			i++;
		} else if (entry->count) {
			*due = *entry;
			entry->count = 0;
			entry->due_ms = now_ms + JOURNAL_EVERY_MS;
			return true;
		} else {
			*entry = j->entries[--j->n];
		}
	}
	return false;
}

uint64_t journal_unlisted(struct journal *j, int64_t now_ms)
{
	uint64_t n = j->unlisted;

	if (!n || now_ms < j->unlisted_due_ms)
		return 0;
	j->unlisted = 0;
	return n;
}

int64_t journal_next_ms(const struct journal *j)
{
	int64_t next = j->unlisted ? j->unlisted_due_ms : -1;

	for (uint32_t i = 0; i < j->n; i++)
		if (next < 0 || j->entries[i].due_ms < next)
			next = j->entries[i].due_ms;
	return next;
}
