/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/state/findings.h"

#include "base/foreign.h"

#include <stdarg.h>
#include <string.h>

const char *const finding_names[] = {
	[FINDING_WAITING] = "waiting",
	[FINDING_CONFLICT] = "conflict",
	[FINDING_WARNING] = "warning",
	[FINDING_NOTE] = "note",
};

struct finding *finding_add(struct findings *f, struct arena *a, enum finding_kind kind,
			    uint32_t origin, const char *subject, const char *format, ...)
{
	struct finding *finding = list_add(a, &f->list);
	va_list args;

	finding->kind = kind;
	finding->origin = origin;
	finding->subject = subject;
	va_start(args, format);
	finding->text = arena_vprintf(a, format, args);
	va_end(args);
	return finding;
}

void finding_print(struct buf *out, const struct finding *f)
{
	buf_line(out, "%s: %s: %s", finding_names[f->kind], f->subject, f->text);
}

bool finding_cannot(const struct finding *f)
{
	return f->kind == FINDING_CONFLICT && !strncmp(f->text, CANNOT, strlen(CANNOT));
}

void findings_copy(struct findings *to, struct arena *a, const struct findings *from)
{
	list_each (f, &from->list)
		finding_add(to, a, f->kind, f->origin, arena_strdup(a, f->subject), "%s", f->text)
			->effect = f->effect;
}
