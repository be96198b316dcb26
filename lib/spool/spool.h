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
#include "sys/patience.h"
#include "sys/wait.h"

enum { MQ_SPOOL_HELD_MAX = 64 };

struct mq_spool {
	int root, topics, groups;     /* owned; groups < 0: why it could not be opened */
	struct mq_spool_conf conf;
	unsigned file_mode, dir_mode; /* 0640 and 0750, or 0660 and 0770 */
	bool events;                  /* the file system tells inotify and locks meet */
	bool copied;                  /* spool.conf names another inode: a copy, which witnesses nothing of its own */
	int held[MQ_SPOOL_HELD_MAX];  /* files whose locks are held until the end (producer names) */
	int n_held;
	const struct mq_patience *patience; /* for locks of others; borrowed; NULL: for ever */
	const bool *looks;            /* nothing is to be written; borrowed; NULL: something may be */
	uint8_t lasting[16]; /* id of the last topic whose name is known to be durable */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
};

/* create: make it where nothing is there, or an empty directory. */
int mq_spool_open(struct mq_spool *ret, const char *path, bool create, struct mq_err *err);
void mq_spool_release(struct mq_spool *s);

/* await.c.  1: no spool is there, one may come, and w has what tells of a change; *ret_dir is the caller's to close when he has
 * released w.  0: something is there, or in the way: mq_spool_open says what.  Not everything that may change the way to it
 * is told (a directory above it is moved, or mounted over): look again now and then, too. */
int mq_spool_await(const char *path, struct mq_wait *w, int *ret_dir, struct mq_err *err);

/* 1: nothing but what a spool is begun with is in this directory. */
int mq_spool_is_fresh(int dir, struct mq_err *err);
/* A file system on which the locks of all processes meet, and inotify tells of every change: statfs(2)'s f_type. */
bool mq_spool_fs_is_local(uint64_t magic);

#endif
