/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST_WORD = 31 }; /* longer words are not compared */

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters (case ignored) are wrong, missing, extra, or swapped with the next one. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][LONGEST_WORD + 1], n = strlen(b);

	if (strlen(a) > LONGEST_WORD || n > LONGEST_WORD)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		rows[0][j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *second = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			row[j] = above[j - 1] + !same_letter(a[i - 1], b[j - 1]);
			row[j] = least(row[j], least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
			    same_letter(a[i - 2], b[j - 1]))
				row[j] = least(row[j], second[j - 2] + 1);
		}
	}
	return rows[strlen(a) % 3][n];
}

uint32_t nearest(const char *word, const void *records, size_t stride, size_t n)
{
	uint32_t found = NONE;
	size_t best = 3;

	for (uint32_t i = 0; i < n; i++) {
		const char *name = *(const char *const *)((const char *)records + i * stride);
		bool begins = strlen(word) > 2 && !strncmp(name, word, strlen(word));
		size_t edits = begins ? 1 : distance(word, name);

		/* in a short word half of the letters must be right */
		if (edits < best && 2 * edits <= strlen(name)) {
			best = edits;
			found = i;
		}
	}
	return found;
}
