/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/daemon/logbook.h"

#include "app/report/drops.h"
#include "base/log.h"
#include "core/ruleset/ruleset.h"
#include "edge/netlink/nflog.h"

#include <string.h>

/* Whose connection it is, as the file in force knows it: no name is looked up anywhere. */
static void tell(const struct generation *g, const struct journal_entry *entry)
{
	AUTO_RELEASE struct arena a = {0};
	const struct logged *l = &entry->flow;
	bool dropped = l->why == LOGGED_DROPPED, again = entry->count;
	const char *from = logged_name(&a, &g->config, l->src);
	const char *to = logged_name(&a, &g->config, l->dst);
	const char *port = l->port ? arena_printf(&a, "%u", l->port) : NULL;
	char iface[IF_NAMESIZE];
	uint32_t policy;

	nflog_iface(iface, l->in);
	policy = dropped ? NONE : logged_policy(&g->config, &g->resolution, l, iface);
	log_info(dropped ? "dropped" : "connection", "policy",
		 policy == NONE ? NULL : arena_printf(&a, "policies[%u]", policy), "from", from,
		 "to", to, "src", arena_strdup(&a, ip_format(l->src).s), "dst",
		 arena_strdup(&a, ip_format(l->dst).s), "proto", logged_protocol(&a, l), "#port",
		 port, "#count",
		 again ? arena_printf(&a, "%llu", (unsigned long long)entry->count) : NULL, "first",
		 again ? log_time(&a, entry->first) : NULL, "last",
		 again ? log_time(&a, entry->last) : NULL, "text",
		 dropped ? drop_text(&a, &g->config, l) : NULL);
}

/* --- the kernel's reports --- */

struct taking {
	struct logbook *l;
	const struct generation *g;
	int64_t now_ms;
	time_t now;
};

/*
 * The kernel sends a bounded number of reports a second. If that many came, it has dropped others.
 * Audited packets are limited in shares, each by itself: if one share's number came, the reports
 * may be incomplete.
 */
static void count_report(struct logbook *l, enum logged_why why, int64_t now_ms)
{
	const bool audited = why >= LOGGED_AUDIT_ASKED;

	if (now_ms - l->busy_ms >= 1000) {
		l->busy_ms = now_ms;
		memset(l->n_reports, 0, sizeof(l->n_reports));
	}
	if (++l->n_reports[why] < LOG_A_SECOND / (audited ? AUDIT_SHARES : 1))
		return;
	if (audited)
		l->audit->incomplete = true;
	else
		l->crowded = true;
}

static void take(void *context, const struct logged *logged)
{
	struct taking *t = context;

	count_report(t->l, logged->why, t->now_ms);
	if (logged->why >= LOGGED_AUDIT_ASKED)
		audit_note(t->l->audit, &t->g->config, &t->g->resolution, logged, t->now);
	else if (journal_note(&t->l->journal, logged, t->now_ms, t->now))
		tell(t->g, &(struct journal_entry){.flow = *logged});
}

static void read_reports(struct logbook *l, const struct generation *g)
{
	struct taking t = {l, g, clock_ms(), time(NULL)};

	if (!nflog_read(l->fd, take, &t)) {
		l->lost = true;
		l->audit->incomplete |= l->audits;
	}
	if ((l->lost || l->crowded) && !l->loss_due_ms)
		l->loss_due_ms = t.now_ms + JOURNAL_EVERY_MS;
}

/* --- lines that are due --- */

static void tell_losses(struct logbook *l, int64_t now_ms)
{
	AUTO_RELEASE struct arena a = {0};
	uint64_t unlisted = journal_unlisted(&l->journal, now_ms);

	if (unlisted)
		log_warn("connections not listed", "#count",
			 arena_printf(&a, "%llu", (unsigned long long)unlisted), "text",
			 "they are of more sources, targets and ports than the log lists");
	if (!l->loss_due_ms || now_ms < l->loss_due_ms)
		return;
	log_warn("connections not counted", "text",
		 l->crowded ? arena_printf(&a, "more than %d began in a second", LOG_A_SECOND)
			    : "the kernel had no room for its reports");
	l->lost = l->crowded = false;
	l->loss_due_ms = 0;
}

static void tell_due(struct logbook *l, const struct generation *g, int64_t now_ms)
{
	struct journal_entry due;

	while (journal_due(&due, &l->journal, now_ms))
		tell(g, &due);
	tell_losses(l, now_ms);
}

void logbook_run(struct logbook *l, const struct generation *g, struct triggers *t)
{
	int64_t now_ms = clock_ms();

	if (t->logged && l->fd >= 0 && g)
		read_reports(l, g);
	t->logged = false;
	if (t->log_at != FOREVER && now_ms >= t->log_at && g)
		tell_due(l, g, now_ms);
	t->log_at = journal_next_ms(&l->journal);
	if (l->loss_due_ms && (t->log_at == FOREVER || l->loss_due_ms < t->log_at))
		t->log_at = l->loss_due_ms;
}

/* --- whether anybody listens --- */

void logbook_close(struct logbook *l)
{
	close_at_exit_of_scope(&l->fd);
	l->fd = -1;
}

static void listen_to_rules(struct logbook *l, bool audits, struct triggers *t)
{
	struct error err = {0};

	l->audits = audits;
	l->fd = nflog_open(audits, &err);
	if (l->fd >= 0 && triggers_hear_log(t, l->fd, &err)) {
		l->told = false;
		return;
	}
	logbook_close(l);
	log_event(l->told ? LOG_DEBUG_LEVEL : LOG_WARN_LEVEL, "connections are not logged", "error",
		  err.text, NULL);
	l->told = true;
}

void logbook_follow(struct logbook *l, const struct generation *g, struct triggers *t)
{
	bool audits = g && (g->config.audits || g->config.watches);
	bool logs = g && (g->config.logs || g->config.denies || g->config.stricts || audits);

	if (l->fd >= 0 && (!logs || audits != l->audits))
		logbook_close(l);
	if (logs && l->fd < 0)
		listen_to_rules(l, audits, t);
}
