/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A spool: a directory with spool.conf, topics/ and groups/.  spool.conf is the last thing made, by a rename,
 * so a directory with it is whole, and one without it is none.
 */
#ifndef MQ_SPOOL_SPOOL_H
#define MQ_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "format/conf_spool.h"

enum { MQ_SPOOL_HELD_MAX = 64 };

struct mq_spool {
	int root, topics, groups;     /* owned; groups < 0: why it could not be opened */
	struct mq_spool_conf conf;
	unsigned file_mode, dir_mode; /* 0640 and 0750, or 0660 and 0770 */
	bool events;                  /* the file system tells inotify and locks meet */
	bool copied;                  /* spool.conf names another inode: a copy, which witnesses nothing of its own */
	int held[MQ_SPOOL_HELD_MAX];  /* files whose locks are held until the end (producer names) */
	int n_held;
	uint8_t lasting[16]; /* id of the last topic whose name is known to be durable */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
};

/* create: make it where nothing is there, or an empty directory. */
int mq_spool_open(struct mq_spool *ret, const char *path, bool create, struct mq_err *err);
void mq_spool_release(struct mq_spool *s);

#endif
