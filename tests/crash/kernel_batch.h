/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the crash tests publish and what they remember of it: a batch whose size, records and bytes all follow
 * from a number, and a report of what became of it, kept outside the file system that is made to fail.
 */
#ifndef TESTS_CRASH_KERNEL_BATCH_H
#define TESTS_CRASH_KERNEL_BATCH_H

#include "log/log.h"

enum {
	KERNEL_BODY_MAX = 256 * 1024,
	KERNEL_WRITERS_MAX = 16,
	KERNEL_ROUND_AFTER = 0x7fffff, /* of what is published by the check */
};

/* A batch's number: the round (one load between two crashes), the writer in it, its count.  It travels as the base
 * time, so that even a batch of one byte can be told from every other. */
static inline uint64_t kernel_id(uint64_t round, uint64_t writer, uint64_t n)
{
	return (round << 32 | writer << 24 | n) + 1;
}

static inline uint64_t kernel_id_round(uint64_t id)
{
	return (id - 1) >> 32;
}

/* Fill body (KERNEL_BODY_MAX bytes): the same id makes the same batch.  Every 256 bytes it says "mqKernel", so that
 * the disk below can tell a segment's blocks from the file system's own. */
void kernel_batch_make(uint64_t id, struct mq_batch *ret, uint8_t *body);

enum kernel_what {
	KERNEL_TRIED = 'T',   /* about to be appended */
	KERNEL_WRITTEN = 'W', /* acknowledged as written */
	KERNEL_DURABLE = 'D', /* acknowledged as durable */
	KERNEL_READ = 'R',    /* a reader got it, and its publisher had asked for durable */
	KERNEL_FAILED = 'F',  /* append or wait failed with `code` */
};

struct kernel_report {
	uint64_t what;
	uint64_t id;
	uint64_t offset, next;  /* of W, D, R */
	uint64_t producer;      /* 1 + the writer's number where it publishes under a name, else 0 */
	uint64_t number;        /* its number as a producer */
	int64_t code;
	int64_t at_ns;          /* CLOCK_MONOTONIC */
};

struct mq_log_options kernel_options(void);

/*
 * Recover the partition and hold it against the reports.  0, or 1 with the reasons on stderr.  what the disk did:
 *   ""         it crashed: what was synced is there
 *   "failing"  and failed before that: what was only written may be lost, and told
 *   "lying"    said "done" and was not: what is not there is told as damage
 *   "full"     crashed and has no room: publishing may say so, all else works
 */
int kernel_verify(int dir, const char *reports, const char *what);

#endif
