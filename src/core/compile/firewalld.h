/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that firewalld's own table rejects, whatever we admit (core/foreign/firewalld.h). Pure.
 */
#pragma once

#include "core/compile/trust.h"
#include "core/state/findings.h"

void compile_firewalld(struct findings *findings, struct arena *a, const struct trusting *in);
