/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of the faulting filling as text (fault.h says how) and as struct. */
#ifndef MQ_SYS_FAULT_RULES_H
#define MQ_SYS_FAULT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/calls.h"

enum { FAULT_RULES_MAX = 64, FAULT_TEXT_MAX = 160, FAULT_PATH_MAX = 80 };

enum fault_action { FAIL, SHORT, KILL_BEFORE, KILL_AFTER, STOP_BEFORE, STOP_AFTER };

struct fault_rule {
	char text[FAULT_TEXT_MAX]; /* as it was given */
	int call;                  /* -1: any */
	uint64_t nth;
	char path[FAULT_PATH_MAX]; /* empty: any */
	enum fault_action action;
	int error;    /* negative, for FAIL */
	size_t bytes; /* for SHORT */
	bool ever;
	uint64_t met, fired;
};

extern const char *const fault_call_name[CALLS_N];

int fault_call_by_name(const char *name); /* -1: none */
bool fault_can_be_short(int call);

/* Returns how many rules there are, or a negative code with its reason. */
int fault_parse(struct fault_rule rules[FAULT_RULES_MAX], const char *text, struct mq_err *err);

#endif
