/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things stand in a JSON text (RFC 8259). The JSON library keeps no positions, so the text is
 * read once more, and only when there is something to say about it. Pure.
 */
#pragma once

#include "base/diag.h"

struct position {
	uint32_t line, column; /* from 1; columns count code points */
};

struct position locate_offset(const char *text, size_t len, size_t offset);

/* Where the token begins that ends at (or holds) the byte before `end`. */
size_t locate_token(const char *text, size_t len, size_t end);

/* Offset of the first bracket that nests deeper than max; SIZE_MAX if none does. */
size_t locate_nesting(const char *text, size_t len, uint32_t max);

/*
 * Gives every diagnostic without a position the one of its JSON pointer: of a value its first
 * character, of a pointer that ends in "#" the quote that opens the member's key. A pointer that
 * leads nowhere gets the innermost object that is there. Sorts. The text must be JSON.
 */
void diags_locate(struct diags *diags, const char *text, size_t len);

/* Every member whose key stands before it in the same object already: an error each. */
void diags_add_duplicates(struct diags *diags, const char *text, size_t len);
