/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One segment file: header, then batches.  Knows how a file comes into being and how a batch is
 * written at a place; not which place, nor which segment follows which (log/).
 *
 * Coming into being, each step's crash leaving a legal directory:
 *
 *   mq_segment_begin      a temporary name ".BASE.ID.tmp" with room for the header   (a stray file)
 *   mq_segment_put …      batches that the newcomer starts with                      (a stray file)
 *   mq_segment_bear       header with the born end, fdatasync                        (a stray file)
 *   mq_segment_name_it    rename without replacing, fsync of the directory           (the head)
 *
 * A write that fails leaves the struct refusing further work: release it.
 */
#ifndef MQ_SEGMENT_SEGMENT_H
#define MQ_SEGMENT_SEGMENT_H

#include "base/err.h"
#include "format/segment_header.h"

struct mq_segment {
	int fd;        /* -1: none */
	int idx;       /* the index, opened on first use; -1 */
	bool writable, unreadable; /* unreadable: this user may write it alone */
	bool failed;   /* a write or sync failed: nothing more through this descriptor */
	uint64_t end;  /* while being born: where the next batch goes */
	uint64_t end_offset;
	struct mq_segment_header h;
	char name[MQ_SEGMENT_NAME_MAX];
};

void mq_segment_init(struct mq_segment *s);
void mq_segment_release(struct mq_segment *s); /* takes an init'ed or half-made one too */

/* Open by base and the first four bytes of the id; the header is read and verified, and must show
 * that base.  -ENOENT where no such file is. */
int mq_segment_open(struct mq_segment *ret, int dir, uint64_t base, const uint8_t id4[4], bool writable,
                    struct mq_err *err);

/* Open one whose header does not verify, by what others tell of it: its batches may verify all the same. */
int mq_segment_open_blind(struct mq_segment *ret, int dir, const struct mq_segment_header *told, bool writable,
                          struct mq_err *err);

/* Open the one that state vouches for, to append to it: where this user may write it and not read it, by what is told, blind;
 * reading it then gives -EBUSY. */
int mq_segment_open_to_append(struct mq_segment *ret, int dir, const struct mq_segment_header *told, struct mq_err *err);

/* h: all but born_end, which mq_segment_bear fills in.  mode: of the file. */
int mq_segment_begin(struct mq_segment *ret, int dir, const struct mq_segment_header *h, unsigned mode,
                     struct mq_err *err);
int mq_segment_put(struct mq_segment *s, const struct mq_batch *b, const void *body, struct mq_err *err);
int mq_segment_bear(struct mq_segment *s, struct mq_err *err);
int mq_segment_name_it(struct mq_segment *s, int dir, struct mq_err *err);
/* Remove the temporary file of one that was begun and not named. */
void mq_segment_abandon(struct mq_segment *s, int dir);

/* remove.c: the segment of that header and its index, durably.  Not there: done. */
int mq_segment_remove(const struct mq_segment_header *h, int dir, struct mq_err *err);

/* Write header (its checksum seeded for this place) and body at pos, whole.  On failure bytes may stand
 * behind pos that nobody was promised. */
int mq_segment_write(struct mq_segment *s, uint64_t pos, const struct mq_batch *b, const void *body,
                     struct mq_err *err);

int mq_segment_sync(struct mq_segment *s, struct mq_err *err); /* fdatasync; failure marks it failed */
int mq_segment_size(const struct mq_segment *s, uint64_t *ret, struct mq_err *err);

#endif
