/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading what the recording filling wrote (lib/sys/record.h has the format).  Strict: what is not
 * understood ends the program. */
#ifndef MQ_TESTS_CRASH_TRACE_H
#define MQ_TESTS_CRASH_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct trace_entry {
	int pid;
	const char *call;
	const char *args;   /* KEY=VALUE, each ended by NUL */
	size_t n_args;
	int64_t result;
	const uint8_t *data;
	size_t len;
};

struct trace {
	struct trace_entry *e;
	size_t n;
	char *text;
};

void trace_read(struct trace *ret, const char *path);
void trace_free(struct trace *t);

/* A value; NULL where the entry has no such key. */
const char *trace_get(const struct trace_entry *e, const char *key);
/* A number; it must be there. */
uint64_t trace_number(const struct trace_entry *e, const char *key);

/* Say what is wrong and end the program with status 2. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);
void *must(void *allocated);

#endif
