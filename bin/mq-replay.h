/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of mq-replay share. */
#ifndef MQ_BIN_REPLAY_H
#define MQ_BIN_REPLAY_H

#include "cli.h"

/* mq-replay_which.c: of a dry run, which records they are. */
struct which {
	struct which_part {
		char *topic;
		uint32_t partition;
		uint64_t first, end, records; /* from, to, and how many of those */
		uint64_t begin;               /* of the last that follow one another without a gap; they go to end */
	} *part;
	size_t n, room, at;
	bool runs;                      /* each such run is told as it ends, as an operand of mq-replay */
	bool failed;                    /* no memory: it is not whole */
};

/* As mq_consume_request's told. */
void which_told(void *which, const char *topic, uint32_t partition, uint64_t offset, uint64_t n);
/* A line a partition, as a table or as objects; then it is released.  False: no memory. */
bool which_print(struct which *w, bool json);

#endif
