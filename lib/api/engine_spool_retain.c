/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: what retention asks. */
#include "api/engine_spool_private.h"

#include <errno.h>
#include <stdlib.h>

#include "log/compact.h"
#include "log/old.h"
#include "spool/archive.h"
#include "spool/internal.h"
#include "spool/retain.h"
#include "sys/sys.h"

/* Of no log any more: a reader that was at work on it has ended by then, and people had a day to look at it. */
static const int64_t DEAD_AFTER_NS = INT64_C(86400) * 1000000000;

int mq_engine_spool_retain_begin(struct mq_store *s, bool force, struct mq_retain **ret, struct mq_err *err)
{
	struct mq_retain *r = malloc(sizeof *r);
	int rc = r ? mq_retain_begin(r, mq_engine_spool_of(s), force, s->looks, err) : mq_engine_no_memory(err);

	if (rc < 0)
		free(r);
	else
		*ret = r;
	return rc;
}

int mq_engine_spool_retain_end(struct mq_retain *r, struct mq_err *err)
{
	int rc = mq_retain_end(r, err);

	free(r);
	return rc;
}

int64_t mq_engine_spool_retain_patience_us(const struct mq_retain *r)
{
	return r->spool->conf.offsets_minutes * 60 * 1000000;
}

int mq_engine_spool_internal_list(struct mq_store *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	return mq_internal_each(mq_engine_spool_of(s), fn, arg, err);
}

struct pass {
	int (*fn)(void *arg, const struct mq_old_part *o);
	void *arg;
};

static int pass_part(void *arg, const struct mq_old *o)
{
	const struct pass *p = arg;

	return p->fn(p->arg, &(struct mq_old_part){o->base, o->end, o->bytes, o->batch_us, o->file_us});
}

/* A cursor of a partition, and its topic, which must outlive it. */
static int open_partition(struct mq_topic *t, struct mq_cursor *c, struct mq_store *s, const char *topic, uint32_t p, struct mq_err *err)
{
	int rc = mq_topic_open(t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_alive(t, err);
	if (rc == 0)
		rc = mq_partition_cursor(t, p, c, err);
	if (rc < 0)
		mq_topic_release(t);
	return rc;
}

int mq_engine_spool_old_parts(struct mq_store *s, const char *topic, uint32_t p, bool timed,
                              int (*fn)(void *arg, const struct mq_old_part *o), void *arg, struct mq_err *err)
{
	struct pass pass = {fn, arg};
	struct mq_cursor c;
	struct mq_topic t;
	int rc = open_partition(&t, &c, s, topic, p, err);

	if (rc < 0)
		return rc;
	rc = mq_cursor_each_old(&c, timed, pass_part, &pass, err);
	mq_cursor_release(&c);
	mq_topic_release(&t);
	return rc;
}

int mq_engine_spool_archive(struct mq_store *s, const char *topic, uint32_t p, uint64_t from, uint64_t *to, const char *dir,
                            struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_archiver ? mq_topic_open(&t, mq_engine_spool_of(s), topic, err)
	                     : mq_err_set(err, MQ_EUSAGE, "this program makes no archives");

	if (rc < 0)
		return rc;
	rc = mq_archiver->keep(&t, p, from, to, dir, err);
	mq_topic_release(&t);
	return rc;
}

int mq_engine_spool_archive_backlog(struct mq_store *s, const char *topic, const char *group, struct mq_part_span *span, size_t n,
                                    const char *path, bool *ret_last, struct mq_err *err)
{
	struct mq_archive_range *range = calloc(n + 1, sizeof *range);
	struct mq_topic t;
	int rc = !range         ? mq_engine_no_memory(err)
	         : mq_archiver ? mq_topic_open(&t, mq_engine_spool_of(s), topic, err)
	                        : mq_err_set(err, MQ_EUSAGE, "this program makes no archives");

	if (rc == 0) {
		for (size_t i = 0; i < n; i++)
			range[i] = (struct mq_archive_range){span[i].partition, span[i].from, span[i].to};
		rc = mq_archiver->backlog(&t, group, range, n, path, ret_last, err);
		for (size_t i = 0; i < n && rc == 0; i++)
			span[i].to = range[i].to;
		mq_topic_release(&t);
	}
	free(range);
	return rc;
}

int mq_engine_spool_raise_log_start(struct mq_store *s, const char *topic, uint32_t p, uint64_t *offset,
                                    int (*settle)(void *arg, uint64_t *offset, struct mq_err *err), void *arg, struct mq_err *err)
{
	struct mq_topic t;
	int rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_retain_raise(&t, p, offset, settle, arg, err);
	mq_topic_release(&t);
	return rc;
}

int mq_engine_spool_remove_old(struct mq_store *s, const char *topic, uint32_t p, uint64_t below, struct mq_gone *sum,
                               struct mq_err *err)
{
	int64_t before_ns = mq_sys->clock_ns(MQ_CLOCK_REAL) - DEAD_AFTER_NS;
	struct mq_removed old = {0}, dead = {0};
	struct mq_cursor c;
	struct mq_topic t;
	int rc = open_partition(&t, &c, s, topic, p, err);

	if (rc < 0)
		return rc;
	if (!s->looks)
		rc = mq_cursor_remove_old(&c, below, &old, err);
	if (rc == 0)
		rc = mq_cursor_remove_dead(&c, before_ns, s->looks, &dead, err);
	sum->parts += old.segments;
	sum->bytes += old.bytes;
	sum->dead += dead.segments;
	sum->dead_bytes += dead.bytes;
	mq_cursor_release(&c);
	mq_topic_release(&t);
	return rc;
}

int mq_engine_spool_compact(struct mq_store *s, struct mq_retain *r, const char *topic, uint32_t p, uint64_t below,
                            bool (*stopping)(void *arg), void *arg, struct mq_compacted_parts *sum, struct mq_err *err)
{
	struct mq_compact_options opt = {.below = below, .dry_run = s->looks, .stopping = stopping, .arg = arg};
	struct mq_compacted done = {0};
	struct mq_cursor c;
	struct mq_topic t;
	int rc;

	if (!s->looks && r->lock < 0) /* two at once would do the same work twice, and there is no room for either */
		return mq_err_set(err, -ENOSPC, "%s:%u: not compacted: there is no space even for a lock", topic, p);
	rc = open_partition(&t, &c, s, topic, p, err);
	if (rc < 0)
		return rc;
	opt.segment_bytes = mq_topic_conf_segment_bytes(&t.conf);
	opt.dirty_millionths = (uint32_t)t.conf.dirty_millionths;
	/* A key that moved with a growth may have an older record in another partition, which a tombstone here hides. */
	opt.tombstones_us = t.conf.delete_retention_ms < 0 || t.conf.n_generations > 1 ? -1 : t.conf.delete_retention_ms * 1000;
	opt.zip = (enum mq_batch_zip)t.conf.compression;
	opt.mode = t.spool->file_mode;
	rc = mq_cursor_compact(&c, &opt, &done, err);
	sum->parts += done.segments;
	sum->bytes += done.bytes;
	sum->made_bytes += done.made_bytes;
	sum->records += done.records;
	sum->damaged += done.damaged;
	mq_cursor_release(&c);
	mq_topic_release(&t);
	return rc;
}
