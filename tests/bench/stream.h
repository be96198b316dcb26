/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of stream share.  Whatever fails ends the program. */
#ifndef MQ_TESTS_BENCH_STREAM_H
#define MQ_TESTS_BENCH_STREAM_H

#include <stddef.h>

enum { LINE = 100, WARM = 10 };

double now(void); /* seconds */
_Noreturn void die(const char *what);
/* Line i, LINE bytes. */
void fill_line(char *line, size_t i);
void wait_for_start(int go);
/* Seconds of each of n, which are sorted; and of all of them. */
void report(double *lat, size_t n, double seconds);

/* stream_mq.c: programs on mq.h.  argv[0]: the spool. */
void publish(char **argv, size_t n, double *lat, int go);
void batches(const char *spool, size_t n);
void topics(const char *spool, size_t topics, size_t times);

#endif
