/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tar archive, compressed with zstd, as a stream of bytes.  By libarchive; plain `tar --zstd` reads what this writes (pax).
 *
 * Writing:  mq_tar_create(&w, sink, arg, err); mq_tar_begin(w, name, size, time, err), mq_tar_put(w, bytes, n, err) … of each
 *           member; mq_tar_finish(w, err)
 * Reading:  mq_tar_open(&r, source, arg, err); while ((rc = mq_tar_next(r, &m, err)) > 0)
 *                   while ((n = mq_tar_take(r, bytes, sizeof bytes, err)) > 0) …
 *           mq_tar_release(r)
 *
 * Neither touches a file: where bytes come from and go to is the caller's.  A name that is read is text that somebody wrote: to
 * be compared, never to be opened.  A size that is read is what somebody claims: what comes may be less (MQ_EDAMAGE) and is never
 * more; a kilobyte may hold a gigabyte, so the caller bounds what he takes.  Memory: zstd's window, at most 128 MiB (a stream that
 * asks for more is refused), and a block of each.
 */
#ifndef MQ_BASE_TAR_H
#define MQ_BASE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { MQ_TAR_NAME_MAX = 1000 };

/* ---- writing ---- */
struct mq_tar_writer;
/* All n bytes, or a negative code, and err says why. */
typedef int mq_tar_sink(void *arg, const void *bytes, size_t n, struct mq_err *err);

/* err is used by the sink, too, until mq_tar_finish or mq_tar_abandon. */
int mq_tar_create(struct mq_tar_writer **ret, mq_tar_sink *sink, void *arg, struct mq_err *err);
/* A regular file of just that many bytes; the one before has all of its own.  MQ_EUSAGE: it has not, or the name is too long. */
int mq_tar_begin(struct mq_tar_writer *w, const char *name, uint64_t size, int64_t time_us, struct mq_err *err);
int mq_tar_put(struct mq_tar_writer *w, const void *bytes, size_t n, struct mq_err *err);
/* The end is given to the sink, and w freed in any case. */
int mq_tar_finish(struct mq_tar_writer *w, struct mq_err *err);
void mq_tar_abandon(struct mq_tar_writer *w); /* NULL, too */

/* ---- reading ---- */
struct mq_tar_reader;
/* At most n bytes into buf: how many, 0 at the end, or a negative code, and err says why. */
typedef ssize_t mq_tar_source(void *arg, void *buf, size_t n, struct mq_err *err);

struct mq_tar_member {
	const char *name;  /* valid until the next call */
	uint64_t size;     /* as it claims */
	bool regular;      /* a file of its own: no link, directory, device … */
};

/* Compressed with zstd or not at all.  MQ_EINPUT: it is no tar archive. */
int mq_tar_open(struct mq_tar_reader **ret, mq_tar_source *source, void *arg, struct mq_err *err);
/* 1 and the next member, what is left of the one before is passed over; 0: the end; MQ_EDAMAGE: what it holds does not hold, or ends
 * too early; a code of the source. */
int mq_tar_next(struct mq_tar_reader *r, struct mq_tar_member *ret, struct mq_err *err);
/* Bytes of the member; 0 at its end; as mq_tar_next. */
ssize_t mq_tar_take(struct mq_tar_reader *r, void *buf, size_t n, struct mq_err *err);
void mq_tar_release(struct mq_tar_reader *r); /* NULL, too */

#endif
