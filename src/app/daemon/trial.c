/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/trial.h"

#include "app/pass/last_good.h"
#include "base/log.h"
#include "edge/host/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	BOOT_LEN = 36, /* of a boot's id, as text */
	HEAD_MAX = 8192,
	SLACK_MS = 1000,
};

static const char running[] = "trial", taken[] = "trial.taken", over[] = "trial.over";

/* "" if it can't be read: no trial is of this boot then. */
static void read_boot(char boot[BOOT_LEN + 1])
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	boot[0] = '\0';
	if (file_read(&text, "/proc/sys/kernel/random/boot_id", 64, &err))
		snprintf(boot, BOOT_LEN + 1, "%s", buf_text(&text));
}

/* --- the record --- */

/* One line of numbers, one with the configuration's path, and the texts. */
static void print_trial(struct buf *out, const struct trial *t, const char *boot)
{
	buf_printf(out,
		   "harborwall-trial 1 %s %" PRId64 " %" PRIu32 " %016" PRIx64 " %016" PRIx64
		   "\n%s\n",
		   boot, t->until_ms, t->seconds, t->digest, t->base, t->config);
	buf_add(out, buf_text(&t->texts.bytes), t->texts.bytes.len);
}

static bool decode(struct trial *t, char boot[BOOT_LEN + 1], const struct buf *text)
{
	const char *line = memchr(buf_text(text), '\n', text->len), *end;
	int len = 0;

	if (!line ||
	    sscanf(buf_text(text),
		   "harborwall-trial 1 %36s %" SCNd64 " %" SCNu32 " %" SCNx64 " %" SCNx64 "%n",
		   boot, &t->until_ms, &t->seconds, &t->digest, &t->base, &len) != 5)
		return false;
	if (buf_text(text) + len != line)
		return false;
	line++;
	end = memchr(line, '\n', text->len - (size_t)(line - buf_text(text)));
	if (!end)
		return false;
	t->config = arena_strndup(&t->arena, line, (size_t)(end - line));
	end++;
	buf_add(&t->texts.bytes, end, text->len - (size_t)(end - buf_text(text)));
	texts_split(&t->texts);
	return t->digest != 0;
}

/* False: there is no such file. One that can't be read is an empty trial: its digest is 0. */
static bool read_trial(struct trial *t, char boot[BOOT_LEN + 1], const struct options *o,
		       const char *name)
{
	AUTO_BUF struct buf text = {0};
	struct error err = {0};

	*t = (struct trial){0};
	boot[0] = '\0';
	if (!file_read(&text, beside_state(&t->arena, o, name), TEXTS_MAX_BYTES + HEAD_MAX, &err)) {
		if (err.code == ENOENT)
			return false;
		log_warn("trial", "error", err.text);
	} else if (!decode(t, boot, &text)) {
		t->digest = 0;
	}
	return true;
}

void trial_release(struct trial *t)
{
	texts_free(&t->texts);
	arena_release(&t->arena);
	*t = (struct trial){0};
}

/* --- decisions --- */

static bool finish_taking(const struct options *o, struct error *err)
{
	AUTO_TRIAL struct trial t = {0};
	char boot[BOOT_LEN + 1];

	if (!read_trial(&t, boot, o, taken))
		return true;
	if (t.digest && (!last_good_propose(o, &t.texts, err) || !last_good_accept(o, err)))
		return false;
	/* the same file may have been tried in vain before */
	unlink(beside_state(&t.arena, o, over));
	unlink(beside_state(&t.arena, o, taken));
	return true;
}

static bool decide(const struct options *o, const char *name, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	const char *from = beside_state(&a, o, running);

	return !rename(from, beside_state(&a, o, name)) || error_set(err, errno, "rename %s", from);
}

bool trial_take(const struct options *o, struct error *err)
{
	return decide(o, taken, err) && finish_taking(o, err);
}

bool trial_end(const struct options *o)
{
	struct error err = {0};

	return decide(o, over, &err);
}

static enum trial_state read_state(struct trial *t, const struct options *o)
{
	char boot[BOOT_LEN + 1], now[BOOT_LEN + 1];
	int64_t left;

	if (!read_trial(t, boot, o, running))
		return TRIAL_NONE;
	read_boot(now);
	left = t->until_ms - clock_boot_ms();
	/* more time than it had to begin with: that is not this clock */
	if (!t->digest || !*now || strcmp(boot, now) != 0 || left <= 0 ||
	    left > t->seconds * INT64_C(1000) + SLACK_MS)
		return TRIAL_OVER;
	return TRIAL_RUNS;
}

enum trial_state trial_look(struct trial *t, const struct options *o)
{
	struct error err = {0};

	if (!finish_taking(o, &err))
		log_error("the confirmed file is not kept", "error", err.text);
	return read_state(t, o);
}

bool trial_runs(struct trial *t, const struct options *o)
{
	return read_state(t, o) == TRIAL_RUNS;
}

uint32_t trial_left_s(int64_t until_ms)
{
	int64_t left = until_ms - clock_boot_ms();

	return left > 0 ? (uint32_t)((left + 999) / 1000) : 0;
}

bool trial_begin(const struct trial *t, const struct options *o, struct error *err)
{
	AUTO_RELEASE struct arena a = {0};
	AUTO_BUF struct buf text = {0};
	struct trial begun = *t;
	char boot[BOOT_LEN + 1];

	read_boot(boot);
	if (!*boot)
		return error_set(err, -1, "/proc/sys/kernel/random/boot_id can't be read");
	begun.until_ms = clock_boot_ms() + t->seconds * INT64_C(1000);
	print_trial(&text, &begun, boot);
	return file_create(beside_state(&a, o, running), buf_text(&text), text.len, 0600, err);
}

/* --- what nobody confirmed --- */

uint64_t trial_rejected(const struct options *o)
{
	AUTO_TRIAL struct trial t = {0};
	char boot[BOOT_LEN + 1];

	return read_trial(&t, boot, o, over) ? t.digest : 0;
}

static void forget(const struct options *o, const char *name)
{
	AUTO_RELEASE struct arena a = {0};

	unlink(beside_state(&a, o, name));
}

void trial_forget_rejected(const struct options *o)
{
	forget(o, over);
}

void trial_forget(const struct options *o)
{
	forget(o, running);
	forget(o, taken);
	forget(o, over);
}
