/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/metrics.h"

#include "app/report/policies.h"

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP harborwall_%s %s\n# TYPE harborwall_%s %s\n", name, help, name,
		   type);
}

static void number(struct buf *out, const char *name, const char *labels, uint64_t value)
{
	buf_printf(out, "harborwall_%s%s %llu\n", name, labels, (unsigned long long)value);
}

static void durations(struct buf *out, const struct report *r)
{
	uint64_t n = 0;

	family(out, "reconcile_duration_seconds", "histogram", "How long passes took.");
	for (size_t i = 0; i < N_DURATIONS; i++) {
		n += r->durations[i];
		buf_printf(out, "harborwall_reconcile_duration_seconds_bucket{le=\"%g\"} %llu\n",
			   (double)duration_bounds_us[i] / 1e6, (unsigned long long)n);
	}
	n += r->durations[N_DURATIONS];
	number(out, "reconcile_duration_seconds_bucket", "{le=\"+Inf\"}", n);
	buf_printf(out, "harborwall_reconcile_duration_seconds_sum %.6f\n",
		   (double)r->duration_sum_us / 1e6);
	number(out, "reconcile_duration_seconds_count", "", n);
}

static void fought(struct buf *out, const struct report *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->fights->n; i++)
		n += fight_is_on(&r->fights->items[i]);
	family(out, "fought_objects", "gauge", "Objects that another program keeps undoing.");
	number(out, "fought_objects", "", n);
}

void metrics_print(struct buf *out, const struct report *r, const struct generation *g)
{
	AUTO_RELEASE struct arena a = {0};
	struct fates fates = policies_fates(&a, r, g);

	family(out, "build_info", "gauge", "The program's version.");
	number(out, "build_info", "{version=\"" VERSION "\"}", 1);
	family(out, "config_last_reload_successful", "gauge", "The file as it is was accepted.");
	number(out, "config_last_reload_successful", "", !r->trouble[0] && !r->held);
	family(out, "config_last_reload_timestamp_seconds", "gauge",
	       "When a file was accepted last.");
	number(out, "config_last_reload_timestamp_seconds", "", (uint64_t)r->loaded_at);
	family(out, "trial_seconds_left", "gauge",
	       "Time left to confirm the file that is on trial; 0: none is.");
	number(out, "trial_seconds_left", "", r->tried_left_s);
	durations(out, r);
	family(out, "reconcile_total", "counter", "Passes by their result.");
	number(out, "reconcile_total", "{result=\"ok\"}", r->n_passes - r->n_passes_failed);
	number(out, "reconcile_total", "{result=\"error\"}", r->n_passes_failed);
	family(out, "drift_repaired_total", "counter", "What others undid and was put right.");
	for (size_t i = 0; i < N_DRIFT_OBJECTS; i++)
		buf_printf(out, "harborwall_drift_repaired_total{object=\"%s\"} %llu\n",
			   drift_objects[i], (unsigned long long)r->repaired[i]);
	fought(out, r);
	family(out, "connections_revoked_total", "counter",
	       "Live connections that were ended because no policy admits them any more.");
	number(out, "connections_revoked_total", "", r->n_revoked);
	family(out, "policies", "gauge", "Policies of the file by their state.");
	for (size_t i = 0; i < N_POLICY_STATES; i++)
		number(out, "policies", arena_printf(&a, "{state=\"%s\"}", policy_states[i]),
		       fates.in[i]);
	policies_print_metrics(out, r, g);
	family(out, "docker_up", "gauge", "The engine's events are being followed.");
	number(out, "docker_up", "", r->engine_up);
}
