/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the check ask of each other.
 *
 *   check.c            the spool and its topics: configuration, which directories there are
 *   check_tell.c       findings, progress
 *   check_files.c      files that are no part of anything, padding that must be zero
 *   check_partition.c  one partition, from its state to its segments
 *   check_chain.c      which files are the log
 *   check_stand.c      which of them stand for others
 *   check_segment.c    the batches of one segment
 *   check_batch.c      what one batch holds
 *   check_index.c      its index
 *   check_ids.c        sorted files beside a log: of ids
 *   check_room.c       of what waits
 *   check_state.c      state, start, producers
 *   check_group.c      groups: their files in a topic, acknowledgements
 *   check_offsets.c    their places
 *   check_members.c    what else is in groups/
 *   check_mend.c       what changes something
 *
 * Functions return 0 to go on, a negative code with c->err filled, or what found() answered.
 */
#ifndef MQ_SPOOL_CHECK_INTERNAL_H
#define MQ_SPOOL_CHECK_INTERNAL_H

#include <sys/types.h>

#include "base/buf.h"
#include "format/ids.h"
#include "format/index.h"
#include "format/record.h"
#include "format/zip.h"
#include "segment/scan.h"
#include "spool/check.h"
#include "spool/group.h"
#include "spool/once_file.h"
#include "spool/topic.h"

enum { MQ_CHECK_PATH_MAX = 1024, MQ_CHECK_STRAY_AFTER_S = 60 };

struct mq_stat;
struct mq_waiting_room;

struct mq_check {
	struct mq_spool *spool;
	const struct mq_check_options *opt;
	struct mq_check_sums sums;
	uint64_t bytes_all, bytes_done, bytes_told;
	struct mq_err *err;
	struct mq_err late;   /* something was not mended, since a lock was not to be had in time (--timeout) */
	struct mq_zip zip;
	struct mq_buf raw; /* a body, decompressed */
};

/* A segment file, as its header says, or, where that does not verify, as others tell of it. */
struct mq_check_file {
	uint64_t base;
	uint8_t id4[4];
	int header;                 /* 0: verifies; MQ_EDAMAGE, MQ_ECONFIG, a kernel's error */
	bool known;                 /* h.id and h.base_offset can be relied on */
	bool reached;               /* part of the log */
	bool joined;                /* reached over one that is missing: perhaps this and what lies behind are of two logs */
	uint64_t size;
	struct mq_segment_header h;
};

/* Where a segment of the log ends. */
struct mq_check_end {
	uint64_t pos;               /* UINT64_MAX: where `offset` is reached */
	uint64_t offset;            /* UINT64_MAX: not known */
	bool open;                  /* the head, and no trusted tail: it ends where nothing verifies and nobody was promised anything */
	bool tail;                  /* the head, by its trusted tail */
};

struct mq_check_partition {
	struct mq_check *c;
	struct mq_topic *t;         /* borrowed */
	uint32_t number;
	int dir;                    /* owned */
	char where[256];            /* "topics/orders/3" */
	struct mq_check_file *file; /* owned; by base */
	size_t n, cap;
	size_t *chain;              /* owned; indices into file, oldest first */
	size_t n_chain;
	struct mq_state_file state;
	struct mq_tail tail;
	uint64_t tail_seq;
	bool trusted;
	struct mq_marks marks;
	uint64_t log_start;
	bool have_start;
	uint64_t end_offset;        /* of what verified, at its end */
	bool damaged;               /* something in the log does not verify: state, its witness, is not to be thrown away */
	bool torn;                  /* its end is, and the next publisher steps past it */
	bool state_bad, producers_bad, start_bad;
	struct mq_scan scan;
	struct mq_check_pending *pending; /* owned: told when it is known what could be mended */
	size_t n_pending;
	struct mq_waiting_room *known; /* owned: of a room, what waits no more; NULL: nothing can be said of that */
	bool asked;                 /* for what is known */
};

struct mq_check_pending {
	enum mq_check_kind kind;
	char name[MQ_SEGMENT_NAME_MAX];
	const char *why_not;        /* it cannot be mended; NULL: mq_mend_log does it */
	uint64_t position, length;
	char text[160];
};

/* Places of a finding; the zero value is the whole file. */
struct mq_check_place {
	uint64_t position, length, from, to;
};

enum { MQ_CHECK_PENDING_MAX = 32 };

enum mq_remedy { MQ_REMEDY_NONE, MQ_REMEDY_DONE, MQ_REMEDY_WOULD, MQ_REMEDY_NOT };

/* check_tell.c.  where/name is the path (where "" or name NULL: one of them alone).  remedy: what was done about it, or would
 * be; why: of MQ_REMEDY_NOT, "…" as in "not mended: …". */
struct mq_check_remedy {
	enum mq_remedy what;
	const char *why;
};
int mq_check_tell(struct mq_check *c, enum mq_check_kind kind, const char *where, const char *name,
                  const struct mq_check_place *at, struct mq_check_remedy remedy, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
/* Not mended, and why: nothing without --mend. */
struct mq_check_remedy mq_check_not(const struct mq_check *c, const char *why);
/* What to say of something that mq_check_may_mend() allows and mend() (0, negative) did. */
struct mq_check_remedy mq_check_did(const struct mq_check *c, int rc);
static inline bool mq_check_mends(const struct mq_check *c)
{
	return c->opt->mend && !c->opt->dry_run;
}
void mq_check_progress(struct mq_check *c, uint64_t bytes);

/* check_files.c */
/* Entries of dir: fn(arg, name, stat) for each; what vanished meanwhile is passed over. */
int mq_check_each(struct mq_check *c, int dir, const char *where, int (*fn)(void *arg, const char *name, const struct mq_stat *st),
                  void *arg);
/* A name that nothing of the format has: told as dead. */
int mq_check_stranger(struct mq_check *c, const char *where, const char *name);

/* check_conf.c: lines of a configuration file that mean nothing; is it as mq wrote it; and the whole of a group's. */
int mq_check_unknown_keys(struct mq_check *c, const char *where, const char *name, const struct mq_buf *kept);
int mq_check_seal(struct mq_check *c, int dir, const char *where, const char *name,
                  int (*print)(const void *conf, struct mq_buf *out), const void *conf);
int mq_check_group_conf(struct mq_check *c, int dir, const char *group, const char *where);
/* A temporary file or directory that nobody has touched for a while: told, removed with mend. */
int mq_check_stray(struct mq_check *c, int dir, const char *where, const char *name, const struct mq_stat *st);
/* Is it a name that temporary files have? */
bool mq_check_is_temporary(const char *name);
/* Bytes [at, at + len) of fd must be zero (beyond the file's end they are): 0 and *ret_bad = UINT64_MAX, or the first that is not. */
int mq_check_zeros(int fd, uint64_t at, uint64_t len, uint64_t *ret_bad);
/* Read len bytes; the number read; negative. */
ssize_t mq_check_read(int fd, void *buf, size_t len, uint64_t at);
/* check_claims.c: claimed.P of a group; end: of its partition's log, UINT64_MAX: unknown. */
int mq_check_claims(struct mq_check *c, const char *where, const char *name, int fd, uint64_t size, const uint8_t topic_id[16],
                    uint64_t end);
/* A slot of a file: 1 verifies, 0 never written, MQ_EDAMAGE: bad, and not because somebody is writing it just now. */
typedef uint64_t mq_check_slot_fn(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret);
int mq_check_slot(int fd, uint32_t block, mq_check_slot_fn *decode, void *ret, uint64_t *ret_seq);

/* check_partition.c */
int mq_check_partition(struct mq_check *c, struct mq_topic *t, uint32_t p, uint64_t *ret_end);
/* A finding about a file of the partition, told at its end. */
void mq_check_later(struct mq_check_partition *part, enum mq_check_kind kind, const char *name, uint64_t position, uint64_t length,
                    const char *why_not, const char *fmt, ...) __attribute__((format(printf, 7, 8)));
/* 1: somebody holds the append lock; 0: nobody; -1: this user cannot tell. */
int mq_check_writer(const struct mq_check_partition *part);

/* check_chain.c */
int mq_check_list(struct mq_check_partition *part);
/* Is the tail's segment the head by listing? */
bool mq_check_tail_is_head(struct mq_check_partition *part);
int mq_check_chain(struct mq_check_partition *part);
void mq_check_segment_name(const struct mq_check_file *f, const char *suffix, char ret[MQ_SEGMENT_NAME_MAX]);
/* check_stand.c.  Does its header say that it is of this partition?  Else somebody copied it here: it is none of the log. */
bool mq_check_own(const struct mq_check_partition *part, const struct mq_check_file *f);
/* Of two the later by epoch, then by base. */
int mq_check_rank(const struct mq_segment_header *a, const struct mq_segment_header *b);
/* Indices into part->file, n where there is none: the one that stands for what f names by compaction; the nearest below f. */
size_t mq_check_compacted(const struct mq_check_partition *part, const struct mq_check_file *f);
size_t mq_check_guess(const struct mq_check_partition *part, const struct mq_check_file *f);
/* Does one of the log stand for it? */
bool mq_check_is_replaced(const struct mq_check_partition *part, const struct mq_check_file *f);

/* check_chain.c.  The file's end within the log: i is an index into part->chain. */
struct mq_check_end mq_check_end_of(const struct mq_check_partition *part, size_t i);

/* check_segment.c */
int mq_check_segment(struct mq_check_partition *part, size_t i);

/* check_index.c */
struct mq_check_index {
	struct mq_check_partition *part;
	const struct mq_check_file *f;
	int fd;                     /* -1: there is none */
	uint64_t n, entries;        /* the next one; how many there are */
	struct mq_index_entry e;    /* entry n, where have */
	bool have;
	uint64_t count, last_pos;   /* entries that lead to a batch; its place */
	uint64_t bad, bad_at;       /* entries that do not; the first */
	const char *bad_why;
	uint64_t missing_pos;       /* the first batch that should have one; 0 */
	uint64_t trailing;          /* bytes behind the last whole entry */
	int64_t max_time_us;
	bool any;                   /* batches that want an index */
};
void mq_check_index_open(struct mq_check_index *ix, struct mq_check_partition *part, const struct mq_check_file *f);
void mq_check_index_batch(struct mq_check_index *ix, uint64_t pos, const struct mq_batch *b);
/* Batches in [from, to) cannot be read: what leads there is not the index's fault. */
void mq_check_index_skip(struct mq_check_index *ix, uint64_t from, uint64_t to);
int mq_check_index_close(struct mq_check_index *ix, const struct mq_segment *s, uint64_t limit, bool head);

/* check_batch.c: what a batch that verifies says and holds. */
int mq_check_batch(struct mq_check_partition *part, const struct mq_segment *s, uint64_t pos, const struct mq_batch *b,
                   const uint8_t *body);

/* check_ids.c */
bool mq_check_is_room(const struct mq_topic *t);
bool mq_check_holds_ids(const struct mq_topic *t);
int mq_check_ids(struct mq_check_partition *part);
/* A multiset of entries, in short: the sum of what is drawn for each. */
struct mq_check_sum {
	uint64_t n, sum;
};
void mq_check_add(struct mq_check_sum *s, const struct mq_ids_entry *e);
static inline bool mq_check_same(const struct mq_check_sum *a, const struct mq_check_sum *b)
{
	return a->n == b->n && a->sum == b->sum;
}
/* Where what can be compared with the log begins. */
uint64_t mq_check_ids_from(const struct mq_check_partition *part, const struct mq_once_file *f);
/* fn for each entry of a file, which is looked at as a whole; what is negative ends it.  MQ_EDAMAGE with *why. */
int mq_check_ids_walk(struct mq_once_file *f, int (*fn)(void *arg, const struct mq_ids_entry *e), void *arg, struct mq_err *why);
/* And for the records of the batches in [from, to), UINT64_MAX: to the visible end; the first and the last may reach beyond.
 * 1; 0: not all of it can be read, or it is not held any more, so nothing can be said. */
typedef int mq_check_rec_fn(void *arg, const struct mq_rec *r);
int mq_check_ids_log(struct mq_check_partition *part, uint64_t from, uint64_t to, mq_check_rec_fn *fn, void *arg, struct mq_err *err);

/* check_room.c: a sorted file of a waiting room; MQ_EDAMAGE with *why. */
int mq_check_room(struct mq_check_partition *part, struct mq_once_file *f, struct mq_err *why);
void mq_check_room_forget(struct mq_check_partition *part);

/* check_state.c */
int mq_check_state(struct mq_check_partition *part);
int mq_check_start(struct mq_check_partition *part);
int mq_check_producers(struct mq_check_partition *part);

/* check_group.c.  end: of each partition of t, UINT64_MAX where it was not looked at. */
int mq_check_groups(struct mq_check *c, struct mq_topic *t, const uint64_t *end);

/* check_members.c: what is in groups/ and is no topic's. */
int mq_check_members(struct mq_check *c);

/* check_mend.c */
/* Make state, producers and a torn end good, as far as they are bad: 0, negative with *why. */
int mq_mend_log(struct mq_check_partition *part, struct mq_err *why);
/* The log start, as it was found; where it was not, the first offset held. */
int mq_mend_start(struct mq_check_partition *part, struct mq_err *why);
int mq_mend_index(struct mq_check_index *ix, const struct mq_segment *s, uint64_t limit, bool head, struct mq_err *why);
/* Remove a file of a partition under its append lock. */
int mq_mend_remove(struct mq_check_partition *part, const char *name, struct mq_err *why);

/* check_group.c: a group's directory in a topic. */
struct mq_check_group {
	struct mq_check *c;
	struct mq_topic *t;
	const uint64_t *end;
	char where[512];       /* "groups/billing/topics/orders" */
	int dir;
	unsigned seen;
};
int mq_check_group_bad(struct mq_check_group *g, const char *name, uint64_t position, uint64_t length, const char *text);
/* Where the log of p ends now. */
uint64_t mq_check_group_end(struct mq_check_group *g, uint32_t p);
int mq_check_group_cannot(struct mq_check_group *g, int rc, const char *name);
int mq_check_group_unfinished(struct mq_check_group *g, const char *name, uint64_t size);

/* check_offsets.c */
int mq_check_offsets(struct mq_check_group *g, int fd, uint64_t size);

#endif
