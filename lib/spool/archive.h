/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive: parts of one topic's log in a tar.zst file, the bytes as they are on disk, readable by plain tar.
 *
 *   manifest.json          first: which topic, which offsets of which partitions, and each file that follows, with its checksum
 *   TOPIC/P/BASE20.ID8.seg a segment up to where it counts; by partition, and of each the oldest first
 *
 * Written under a temporary name, synced, renamed without replacing, the directory synced: what has the name is whole and durable.
 * killed before the rename: a stray file; after it: whoever comes finds it, and takes what is in it for archived.
 *
 * Read as a stream, in the memory of one batch and the manifest.  Nothing is believed: a member is the one that the manifest lists there,
 * or the archive is refused; no name in it is ever opened; a batch is what its checksums, which are sealed with its place, say.
 */
#ifndef MQ_SPOOL_ARCHIVE_H
#define MQ_SPOOL_ARCHIVE_H

#include "base/name.h"
#include "base/tar.h"
#include "segment/segment.h"
#include "spool/topic.h"

enum {
	MQ_ARCHIVE_MANIFEST_MAX = 16 << 20, /* bytes */
	MQ_ARCHIVE_BATCH_MAX = 64 << 20,    /* of one batch, stored or not: what a reader has memory for */
	MQ_ARCHIVE_NAME_MAX = MQ_NAME_MAX + 64,
};

/* ---- what it says of itself (archive_manifest.c) ---- */
struct mq_archive_segment {
	uint32_t partition;
	struct mq_segment_id id;  /* the first four bytes are known, the rest is 0 */
	uint64_t base, end;       /* offsets */
	uint64_t bytes;
	uint32_t crc;
};
struct mq_archive_range {
	uint32_t partition;
	uint64_t from, to;        /* offsets: what of its segments is meant */
};
struct mq_manifest {
	char topic[MQ_NAME_MAX + 1];
	char group[MQ_NAME_MAX + 1]; /* whose backlog it was; empty: nobody's */
	uint8_t topic_id[16];
	struct mq_archive_range *range;     /* owned; partitions ascend */
	size_t n_ranges;
	struct mq_archive_segment *segment; /* owned; in the order of the members */
	size_t n_segments;
};
void mq_manifest_release(struct mq_manifest *m);
int mq_manifest_print(const struct mq_manifest *m, struct mq_buf *out, struct mq_err *err);
/* MQ_EINPUT: it is none, or claims what cannot be. */
int mq_manifest_parse(struct mq_manifest *ret, const char *text, size_t len, struct mq_err *err);
/* The name of a segment's member. */
void mq_archive_member(const struct mq_manifest *m, const struct mq_archive_segment *s, char ret[MQ_ARCHIVE_NAME_MAX]);

/* ---- writing (archive_write.c) ---- */
/* Into dir, as `name`: -EEXIST where something has that name.  Segments are read whole first: what does not verify is MQ_EDAMAGE, and
 * nothing is made. */
int mq_archive_write(struct mq_topic *t, const char *group, const struct mq_archive_range *range, size_t n, int dir, const char *name,
                     struct mq_err *err);

/* 1: what the log holds of this range is, byte for byte, in the archive of that manifest; 0: not all of it.  A spool that came back from
 * a backup has the topic's id and its offsets, and other records at them than an archive that was made before. */
int mq_archive_holds(struct mq_topic *t, const struct mq_manifest *m, const struct mq_archive_range *range, struct mq_err *err);

/* archive_keep.c.  In the directory `path`: the offsets from `from` up to *to, whole segments, are in an archive there, durably.  One that
 * is there already is taken for what it holds, where that is what the log holds, and *to lowered to its end; to `from` where it holds more. */
int mq_archive_keep(struct mq_topic *t, uint32_t p, uint64_t from, uint64_t *to, const char *path, struct mq_err *err);

/* archive_backlog.c.  What a group has before it of some partitions (rising; `from` where it stands, `to` behind it) is in an archive at
 * `path`, durably: a file, or a directory that holds several.  One that holds some of it already is taken for that: each `to` is lowered to
 * where this ends, to `from` where it holds nothing of it.  *ret_last: what is left cannot go there any more. */
int mq_archive_backlog(struct mq_topic *t, const char *group, struct mq_archive_range *range, size_t n, const char *path, bool *ret_last,
                       struct mq_err *err);

/* All, for who may or may not be linked with what they stand on: NULL until mq_use_archives() (archiver.c). */
struct mq_archiver {
	int (*write)(struct mq_topic *t, const char *group, const struct mq_archive_range *range, size_t n, int dir, const char *name,
	             struct mq_err *err);
	int (*keep)(struct mq_topic *t, uint32_t p, uint64_t from, uint64_t *to, const char *path, struct mq_err *err);
	int (*backlog)(struct mq_topic *t, const char *group, struct mq_archive_range *range, size_t n, const char *path, bool *ret_last,
	               struct mq_err *err);
};
extern const struct mq_archiver *mq_archiver;

/* ---- reading (archive_read.c) ---- */
struct mq_archive;
struct mq_archive_view {
	struct mq_batch batch;
	const uint8_t *body;      /* until the next call */
};
/* fd: borrowed, read from its beginning by pread, so that others may read it, too. */
int mq_archive_open(struct mq_archive **ret, int fd, const char *label, struct mq_err *err);
void mq_archive_release(struct mq_archive *a); /* NULL, too */
const struct mq_manifest *mq_archive_manifest(const struct mq_archive *a);
/* Which of the manifest's segments comes next, or is being read. */
size_t mq_archive_at(const struct mq_archive *a);
/* The first one that can be read from its beginning. */
size_t mq_archive_ahead(const struct mq_archive *a);
/* Pass over segments up to that one, and begin with it; not behind what is being read. */
int mq_archive_go(struct mq_archive *a, size_t segment, struct mq_err *err);
/* The next batch of the segment that was gone to: 1; 0: its end; MQ_EDAMAGE, MQ_EINPUT: nothing more can be read of this archive. */
int mq_archive_next(struct mq_archive *a, struct mq_archive_view *ret, struct mq_err *err);

#endif
