/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `state`: the published tail, the durable marks and the futex word of one partition.
 *
 * The tail is written only under the append lock and holds only for the boot and mounts it names and
 * for this very file (inode and birth time): rule 9.  A mark is a true lower bound for ever: it is
 * written after the fdatasync that it tells of, under its own sync byte.  Neither shares a block with
 * the other, so a torn block never takes both.
 */
#ifndef MQ_LOG_STATE_FILE_H
#define MQ_LOG_STATE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/state.h"

struct mq_state_file {
	int fd;
	bool writable;
	uint64_t ino;
	int64_t btime_ns;
	uint64_t mount;
	uint8_t boot_id[16];
	uint32_t *futex; /* mapped on first use; NULL */
};

void mq_state_file_init(struct mq_state_file *s);
/* -ENOENT where there is none; MQ_ECONFIG for a newer one.  A head block that does not verify is MQ_EDAMAGE:
 * a writer then makes the file anew. */
int mq_state_file_open(struct mq_state_file *s, int dir, bool writable, struct mq_err *err);
/* Make it under a temporary name, allocated whole (recovery never needs space), and put it in place of
 * whatever is there.  Under the append lock.  Synced, so that a crash never makes another necessary; what is written to it
 * afterwards is not: it is a cache. */
int mq_state_file_create(int dir, unsigned mode, struct mq_err *err);
void mq_state_file_release(struct mq_state_file *s);

/* The newest valid tail; its sequence in *ret_seq, 0 where there is none.  Where the other slot does not verify, it may have
 * been the newer one: then the tail is of no boot, so not trusted, and the log is verified from its durable mark on. */
int mq_state_tail_read(struct mq_state_file *s, struct mq_tail *ret, uint64_t *ret_seq, struct mq_err *err);
/* seq: the one to write, the last read plus one. */
int mq_state_tail_publish(struct mq_state_file *s, const struct mq_tail *t, uint64_t seq, struct mq_err *err);
/* Does the tail speak of this file, this boot and this mount? */
bool mq_state_tail_trusted(const struct mq_state_file *s, const struct mq_tail *t);
/* The same but for the mount: bytes may have been lost with an earlier mount, never added. */
bool mq_state_tail_same_boot(const struct mq_state_file *s, const struct mq_tail *t);
/* Make it speak of this file, boot and mount, remembering the mounts it held for. */
void mq_state_tail_adopt(const struct mq_state_file *s, struct mq_tail *t);

/* The kernel's id of this boot. */
int mq_state_boot_id(uint8_t ret[16], struct mq_err *err);

struct mq_marks {
	struct mq_mark mark[MQ_STATE_MARKS];
	uint64_t seq[MQ_STATE_MARKS]; /* 0: never written, or does not verify */
};
/* Read the first n marks, in one call. */
int mq_state_marks_read(struct mq_state_file *s, int n, struct mq_marks *ret, struct mq_err *err);
int mq_state_mark_write(struct mq_state_file *s, int m, const struct mq_mark *v, uint64_t seq, struct mq_err *err);
/* The highest mark of a segment among the first n: position and offset, 0 and 0 where no mark is of it.  The first alone is a
 * lower bound as true as any, and enough while no leader stalls. */
int mq_state_durable(struct mq_state_file *s, int n, const struct mq_segment_id *segment, uint64_t *ret_pos,
                     uint64_t *ret_offset, uint64_t *ret_sync_ns, struct mq_err *err);

/* A word that counts what there was to wake for.  Only the kernel touches it, for mq_sys->futex_wait and futex_wake, and
 * it is read with a call: a page of a file system that shut itself down, touched by this process, is SIGBUS.  NULL with *err. */
uint32_t *mq_state_futex(struct mq_state_file *s, struct mq_err *err);
int mq_state_futex_read(struct mq_state_file *s, uint32_t *ret, struct mq_err *err);

#endif
