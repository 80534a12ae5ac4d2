/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/telling.h"

#include "base/hash.h"
#include "base/log.h"

void tell_outcomes(const struct pass *p)
{
	static const char *const words[] = {[OUTCOME_DONE] = "done",
					    [OUTCOME_FAILED] = "failed",
					    [OUTCOME_SKIPPED] = "skipped"};
	static const enum log_level levels[] = {[OUTCOME_DONE] = LOG_INFO_LEVEL,
						[OUTCOME_FAILED] = LOG_ERROR_LEVEL,
						[OUTCOME_SKIPPED] = LOG_WARN_LEVEL};

	for (uint32_t i = 0; i < p->plan.steps.n; i++) {
		const struct step *step = &p->plan.steps.items[i];
		const struct outcome *o = &p->outcomes[i];
		const char sign[] = {step->sign, 0};
		bool held = p->held && p->held[i];

		log_event(held ? LOG_DEBUG_LEVEL : levels[o->kind], "step", "action", sign,
			  "object", step->object, "text", step->text, "policy",
			  *step->why ? step->why : NULL, "outcome",
			  held			    ? "left for now"
			  : o->kind == OUTCOME_DONE ? NULL
						    : words[o->kind],
			  "error", o->why, NULL);
	}
}

void tell_findings(uint64_t *said, const struct pass *p)
{
	static const enum log_level levels[] = {[FINDING_WAITING] = LOG_INFO_LEVEL,
						[FINDING_CONFLICT] = LOG_ERROR_LEVEL,
						[FINDING_WARNING] = LOG_WARN_LEVEL,
						[FINDING_NOTE] = LOG_DEBUG_LEVEL};
	uint64_t hash = HASH_START;

	list_each (f, &p->plan.findings.list)
		hash = hash_more(hash, f->text, strlen(f->text));
	if (hash == *said)
		return;
	*said = hash;
	list_each (f, &p->plan.findings.list)
		log_event(levels[f->kind], finding_names[f->kind], "subject", f->subject, "text",
			  f->text, NULL);
}
