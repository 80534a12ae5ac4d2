/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies that firewalld's own table rejects, whatever we admit (core/foreign/firewalld.h). Pure.
 */
#pragma once

#include "core/compile/findings.h"
#include "core/compile/trust.h"

void compile_firewalld(struct findings *findings, struct arena *a, const struct trusting *in);
