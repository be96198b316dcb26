/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of topics, groups, producers, exchanges: [A-Za-z0-9._-]{1,200}, not "." or "..". */
#ifndef MQ_BASE_NAME_H
#define MQ_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { MQ_NAME_MAX = 200 };

bool mq_name_ok(const char *name, size_t len);

/* 0, or MQ_EUSAGE with what is wrong.  what: "topic", "group", …, for the reason. */
int mq_name_check(const char *name, const char *what, struct mq_err *err);

#endif
