/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What archives hold, into a topic: a run (replay_run.h) over all of them, file after file, of each partition after partition.
 *
 * Its place is how far it is in that sequence, counted in offsets, so one mover does it: partition 0 of the topic that it goes to.  Intents
 * hold the records themselves, since the files may be gone when one is finished.  What is known of the run is in restores@TOPIC@, and
 * how far it is in intents@TOPIC@@restore, apart from the runs out of that topic.
 */
#ifndef MQ_OPS_RESTORE_H
#define MQ_OPS_RESTORE_H

#include "ops/body.h"
#include "ops/filter.h"
#include "ops/ops.h"
#include "ops/pace.h"
#include "ops/replay_run.h"

struct mq_restore_part { /* of a partition in a file */
	size_t file;
	uint32_t partition;
	uint64_t from, to;   /* what is asked for of it */
	uint64_t begin, end; /* what the file holds */
	uint64_t place;      /* of its beginning */
};
struct mq_restore_file {
	const char *path;
	char topic[201], group[201]; /* group "": nobody's backlog */
	uint8_t topic_id[16];
	uint32_t partitions;
};

struct mq_restoring {
	struct mq *mq;
	const struct mq_consume_request *req;
	struct mq_err *err;
	struct mq *archive;           /* the session of the file that is open */
	struct mq_restore_file *file;
	size_t n_files;
	struct mq_restore_part *part;
	size_t n_parts, cap;
	const char *to;
	struct mq_run_hold *run;
	struct mq_transfer *transfer;
	struct mq_topic_facts out;    /* of the topic that it goes to */
	uint32_t robin;
	bool pending;                 /* something was put since the last commit */
	struct mq_pace pace;
	uint64_t left;                /* records that are still counted off; mq_restore_count */
	struct mq_filter filter;
	struct mq_body body;
	struct mq_buf headers;
	struct mq_consume_report report;
};

/* restore_begin.c: files are looked at, ranges resolved, and the run is there. */
int mq_restore_begin(struct mq_restoring *r);
int mq_restore_open_file(struct mq_restoring *r, size_t file);

/* restore.c: the parts end where the request's count is reached. */
int mq_restore_count(struct mq_restoring *r);

#endif
