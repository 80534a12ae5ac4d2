/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/auditor.h"

#include "app/pass/last_good.h"
#include "base/log.h"
#include "edge/host/file.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { SAVE_EVERY_MS = 60000, FILE_MAX = 256 << 20 };

static const char file_name[] = "audit";

void auditor_load(struct auditor *auditor, const struct options *options)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	if (!file_read(&text, beside_state(&a, options, file_name), FILE_MAX, &err)) {
		if (err.code != ENOENT)
			log_warn("what was audited before is lost", "error", err.text);
		return;
	}
	if (!audit_load(&auditor->audit, buf_text(&text)))
		log_warn("what was audited before is lost in part", "error",
			 "its file is not what was written");
}

void auditor_follow(struct auditor *auditor, const struct generation *g)
{
	if (g)
		audit_follow(&auditor->audit, &g->config, &g->resolution, time(NULL));
}

static void save(struct auditor *auditor, const struct options *options)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf text = {0};
	const char *path = beside_state(&a, options, file_name);
	struct error err = {0};

	auditor->audit.changed = false;
	if (!auditor->audit.networks.n) {
		unlink(path);
		return;
	}
	audit_save(&text, &auditor->audit);
	if (!file_replace(path, buf_text(&text), text.len, 0600, &err))
		log_warn("what was audited is not saved", "error", err.text);
}

int64_t auditor_run(struct auditor *auditor, const struct options *options)
{
	int64_t now_ms = clock_ms();

	if (auditor->audit.changed && !auditor->save_ms)
		auditor->save_ms = now_ms + SAVE_EVERY_MS;
	if (auditor->save_ms && now_ms >= auditor->save_ms) {
		auditor->save_ms = 0;
		save(auditor, options);
	}
	return auditor->save_ms ? auditor->save_ms : -1;
}

void auditor_close(struct auditor *auditor, const struct options *options)
{
	if (auditor->audit.changed)
		save(auditor, options);
	audit_release(&auditor->audit);
}
