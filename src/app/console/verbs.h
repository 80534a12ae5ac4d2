/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One function per verb: runs it, writes its output, returns its exit code (spec: options.h). */
#pragma once

#include "app/console/options.h"

int verb_run(const struct options *options);
int verb_check(const struct options *options);
int verb_plan(const struct options *options);
int verb_apply(const struct options *options);
int verb_diff(const struct options *options);
int verb_explain(const struct options *options);
int verb_flows(const struct options *options);
int verb_graph(const struct options *options);
int verb_test(const struct options *options);
int verb_init(const struct options *options);
int verb_rules(const struct options *options);
int verb_audit(const struct options *options);
int verb_status(const struct options *options);
int verb_doctor(const struct options *options);
int verb_clear(const struct options *options);
int verb_help(const struct options *options);
