/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive as an engine: one topic, to be read.
 *
 * A source reads its partition's segments as a stream; who reads one partition after the other passes the stream on, so
 * all of it is read once.  Who reads several at once has as many, at most STREAMS_MAX.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine.h"
#include "api/mq.h"
#include "spool/archive.h"
#include "sys/sys.h"

static const char SCHEME[] = "archive";
enum { STREAMS_MAX = 8 };

struct archive_store {
	struct mq_store base;
	char *path;
	int fd;
	struct mq_archive *first; /* for what the manifest says */
	struct mq_archive *spare; /* a stream that nobody reads; may be `first` */
	unsigned streams;         /* at work */
};

struct archive_source {
	struct mq_source base;
	struct archive_store *store;
	struct mq_archive_range range;
	struct mq_archive *stream; /* NULL: none at work */
	uint64_t want;             /* the next offset to be given */
	bool told;                 /* that it cannot be read on */
};

static const struct mq_engine engine;

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory");
}

/* ---- store ---- */
static void store_close(struct mq_store *sp)
{
	struct archive_store *s = (struct archive_store *)sp;

	if (s->spare != s->first)
		mq_archive_release(s->spare);
	mq_archive_release(s->first);
	if (s->fd >= 0)
		(void)mq_sys->close(s->fd);
	free(s->path);
	free(s);
}

static int store_open(struct mq_store **ret, const char *where, bool create, struct mq_err *err)
{
	struct archive_store *s = calloc(1, sizeof *s);
	int rc;

	(void)create;
	if (!s)
		return no_memory(err);
	s->base = (struct mq_store){.engine = &engine, .patience = {.ns = -1}};
	s->fd = -1;
	s->path = strdup(where + sizeof SCHEME);
	rc = s->path ? 0 : no_memory(err);
	if (rc == 0) {
		rc = s->fd = mq_sys->open_path(s->path, O_RDONLY, 0);
		if (rc < 0)
			mq_err_sys(err, rc, "cannot open the archive %s", s->path);
		if (rc == -ENOENT)
			rc = mq_err_set(err, MQ_ENOTOPIC, "no archive %s", s->path);
	}
	if (rc >= 0)
		rc = mq_archive_open(&s->first, s->fd, s->path, err);
	if (rc < 0) {
		store_close(&s->base);
		return rc;
	}
	s->spare = s->first;
	*ret = &s->base;
	return 0;
}

static const struct mq_manifest *manifest_of(struct mq_store *s)
{
	return mq_archive_manifest(((struct archive_store *)s)->first);
}

static int topic_list(struct mq_store *s, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	(void)err;
	return fn(arg, manifest_of(s)->topic);
}

static int topic_facts(struct mq_store *s, const char *topic, struct mq_topic_facts *ret, struct mq_err *err)
{
	const struct mq_manifest *m = manifest_of(s);

	if (strcmp(topic, m->topic) != 0)
		return mq_err_set(err, MQ_ENOTOPIC, "%s holds topic %s, not %s", ((struct archive_store *)s)->path, m->topic, topic);
	*ret = (struct mq_topic_facts){.partitions = m->n_ranges ? m->range[m->n_ranges - 1].partition + 1 : 0, .n_generations = 1};
	ret->generations[0].partitions = ret->partitions;
	ret->retention_us = ret->retention_bytes = -1;
	memcpy(ret->id, m->topic_id, sizeof ret->id);
	return 0;
}

/* A partition that it does not hold is empty. */
static struct mq_archive_range range_of(struct mq_store *s, uint32_t p)
{
	const struct mq_manifest *m = manifest_of(s);

	for (size_t i = 0; i < m->n_ranges; i++)
		if (m->range[i].partition == p)
			return m->range[i];
	return (struct mq_archive_range){.partition = p};
}

static int fill_bounds(struct mq_store *s, uint32_t p, struct mq_bounds *ret)
{
	const struct mq_manifest *m = manifest_of(s);
	struct mq_archive_range r = range_of(s, p);

	*ret = (struct mq_bounds){.log_start = r.from, .stored = r.from, .visible = r.to, .durable = r.to, .written = r.to};
	for (size_t i = 0; i < m->n_segments; i++)
		if (m->segment[i].partition == p) {
			ret->bytes += m->segment[i].bytes;
			ret->segments++;
		}
	return 0;
}

static int bounds(struct mq_store *s, const char *topic, uint32_t p, struct mq_bounds *ret, struct mq_err *err)
{
	struct mq_topic_facts facts;
	int rc = topic_facts(s, topic, &facts, err);

	return rc < 0 ? rc : fill_bounds(s, p, ret);
}

static int group_list(struct mq_store *s, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err)
{
	const struct mq_manifest *m = manifest_of(s);

	(void)err;
	return m->group[0] ? fn(arg, m->group) : 0;
}

/* ---- streams ---- */
static void give_back(struct archive_source *r)
{
	struct archive_store *s = r->store;

	if (!r->stream)
		return;
	s->streams--;
	if (s->spare && s->spare != s->first)
		mq_archive_release(s->spare);
	s->spare = r->stream;
	r->stream = NULL;
}

/* One that has not passed the segment; a new one else. */
static int take_stream(struct archive_source *r, size_t segment, struct mq_err *err)
{
	struct archive_store *s = r->store;
	int rc = 0;

	if (r->stream && mq_archive_at(r->stream) <= segment)
		return 0;
	give_back(r);
	if (s->streams == STREAMS_MAX)
		return mq_err_set(err, MQ_EUSAGE, "%s: more than %d partitions at once cannot be read from an archive: name one with -p", s->path,
		                  STREAMS_MAX);
	if (s->spare && mq_archive_ahead(s->spare) <= segment)
		r->stream = s->spare;
	else
		rc = mq_archive_open(&r->stream, s->fd, s->path, err);
	if (r->stream == s->spare)
		s->spare = NULL;
	if (rc == 0)
		s->streams++;
	return rc;
}

/* The first segment that holds what is wanted, or comes after: n_segments: none. */
static size_t find_segment(const struct archive_source *r)
{
	const struct mq_manifest *m = manifest_of(&r->store->base);
	size_t i = 0;

	while (i < m->n_segments && (m->segment[i].partition != r->range.partition || m->segment[i].end <= r->want))
		i++;
	return i;
}

/* ---- sources ---- */
static int source_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err)
{
	struct mq_topic_facts facts;
	struct archive_source *r;
	int rc = topic_facts(s, topic, &facts, err);

	if (rc < 0)
		return rc;
	r = calloc(1, sizeof *r);
	if (!r)
		return no_memory(err);
	r->base.engine = &engine;
	r->store = (struct archive_store *)s;
	r->range = range_of(s, p);
	r->want = r->range.from;
	*ret = &r->base;
	return 0;
}

static void source_close(struct mq_source *sp)
{
	give_back((struct archive_source *)sp);
	free(sp);
}

static int source_seek(struct mq_source *sp, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err)
{
	struct archive_source *r = (struct archive_source *)sp;

	(void)err;
	if (ret_lost)
		*ret_lost = offset < r->range.from ? (struct mq_loss){.from = offset, .to = r->range.from} : (struct mq_loss){0};
	offset = offset < r->range.from ? r->range.from : offset;
	if (r->stream && offset < r->want) /* what was passed does not come again */
		give_back(r);
	r->want = offset;
	r->told = false;
	return 0;
}

/* 1: the next batch with data that is wanted; 0: the end. */
static int next_batch(struct archive_source *r, struct mq_archive_view *ret, struct mq_err *err)
{
	const struct mq_manifest *m = manifest_of(&r->store->base);
	size_t i;
	int rc;

	while (r->want < r->range.to && (i = find_segment(r)) < m->n_segments) {
		rc = take_stream(r, i, err);
		if (rc == 0)
			rc = mq_archive_go(r->stream, i, err);
		while (rc == 0 && (rc = mq_archive_next(r->stream, ret, err)) == 1) {
			if (ret->batch.kind != MQ_BATCH_CONTROL && ret->batch.next_offset > r->want && ret->batch.base_offset < r->range.to)
				return 1;
			rc = 0;
		}
		if (rc < 0)
			return rc;
		r->want = m->segment[i].end > r->want ? m->segment[i].end : r->want;
	}
	give_back(r);
	return 0;
}

static int source_next(struct mq_source *sp, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err)
{
	struct archive_source *r = (struct archive_source *)sp;
	struct mq_archive_view v;
	int rc = r->told ? 0 : next_batch(r, &v, err);

	if (rc == MQ_EDAMAGE) { /* a stream that is damaged ends there */
		*ret_loss = (struct mq_loss){.from = r->want, .to = r->range.to, .damage = true};
		snprintf(ret_loss->where, sizeof ret_loss->where, "%s", r->store->path);
		r->told = true;
		r->want = r->range.to;
		give_back(r);
		return rc;
	}
	if (rc <= 0)
		return rc;
	*ret = (struct mq_view){.batch = v.batch, .body = v.body, .first_offset = r->want};
	r->want = v.batch.next_offset;
	return 1;
}

static int source_find_time(struct mq_source *sp, int64_t time_us, uint64_t *ret, struct mq_err *err)
{
	struct archive_source *r = (struct archive_source *)sp, look = {.base = r->base, .store = r->store, .range = r->range, .want = r->range.from};
	struct mq_archive_view v;
	int rc;

	while ((rc = next_batch(&look, &v, err)) == 1 && v.batch.max_time_us < time_us)
		look.want = v.batch.next_offset;
	*ret = rc == 1 ? v.batch.base_offset : r->range.to;
	give_back(&look);
	return rc < 0 ? rc : 0;
}

static int source_bounds(struct mq_source *sp, struct mq_bounds *ret, struct mq_err *err)
{
	struct archive_source *r = (struct archive_source *)sp;

	(void)err;
	return fill_bounds(&r->store->base, r->range.partition, ret);
}

static int source_arm(struct mq_source *sp, struct mq_wait *w, struct mq_err *err)
{
	(void)sp;
	(void)w;
	return mq_err_set(err, MQ_EUSAGE, "an archive cannot be followed");
}

static void source_disarm(struct mq_source *sp)
{
	(void)sp;
}

static const struct mq_engine engine = {
    .scheme = SCHEME,
    .store_open = store_open,
    .store_close = store_close,
    .topic_list = topic_list,
    .topic_facts = topic_facts,
    .bounds = bounds,
    .source_open = source_open,
    .source_close = source_close,
    .source_seek = source_seek,
    .source_find_time = source_find_time,
    .source_next = source_next,
    .source_bounds = source_bounds,
    .source_arm = source_arm,
    .source_disarm = source_disarm,
    .group_list = group_list,
};

static const struct mq_archiver archiver = {mq_archive_write, mq_archive_keep, mq_archive_backlog};

void mq_use_archives(void)
{
	mq_archiver = &archiver;
}

int mq_open_archive(struct mq *mq, const char *file)
{
	static bool registered;
	size_t len = sizeof SCHEME + strlen(file) + 1;
	char *where = malloc(len);
	int rc;

	mq->err = (struct mq_err){0};
	if (!where)
		return no_memory(&mq->err);
	if (!registered)
		mq_engine_register(&engine);
	registered = true;
	snprintf(where, len, "%s:%s", SCHEME, file);
	rc = mq_open(mq, where, 0);
	free(where);
	return rc;
}
