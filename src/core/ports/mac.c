/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/ports/ports.h"

#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mac_parse(struct mac *mac, const char *text)
{
	*mac = (struct mac){0};
	if (!text || strlen(text) != 3 * sizeof(mac->bytes) - 1)
		return false;
	for (size_t i = 0; i < sizeof(mac->bytes); i++, text += 3) {
		int high = digit(text[0]), low = digit(text[1]);

		if (high < 0 || low < 0 || (text[2] && text[2] != ':'))
			return false;
		mac->bytes[i] = (uint8_t)(high << 4 | low);
	}
	/* an address of one interface: not a group's, and not none */
	return !(mac->bytes[0] & 1) && memcmp(mac, &(struct mac){0}, sizeof(*mac)) != 0;
}
