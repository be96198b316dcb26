/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be restored, as it is settled when its run begins. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "ops/restore.h"
#include "sys/sys.h"

static int no_memory(struct mq_restoring *r)
{
	return mq_err_set(r->err, -ENOMEM, "out of memory");
}

/* --- files ---------------------------------------------------------------------------------- */

static int keep_name(void *arg, const char *name)
{
	snprintf(arg, 201, "%s", name);
	return 0;
}

int mq_restore_open_file(struct mq_restoring *r, size_t file)
{
	int rc = mq_open_archive(r->archive, r->file[file].path);

	if (rc < 0)
		*r->err = r->archive->err;
	return rc;
}

static int look_at(struct mq_restoring *r, size_t file)
{
	struct mq_restore_file *f = &r->file[file];
	struct mq_topic_facts facts;
	int rc = mq_restore_open_file(r, file);
	struct mq_store *s = r->archive->store;

	if (rc == 0)
		rc = s->engine->topic_list(s, keep_name, f->topic, r->err);
	if (rc == 0)
		rc = s->engine->group_list(s, keep_name, f->group, r->err);
	if (rc == 0)
		rc = s->engine->topic_facts(s, f->topic, &facts, r->err);
	if (rc < 0)
		return rc;
	f->partitions = facts.partitions;
	memcpy(f->topic_id, facts.id, sizeof f->topic_id);
	return 0;
}

/* --- ranges --------------------------------------------------------------------------------- */

static int find_point(struct mq_restoring *r, const char *topic, uint32_t p, const struct mq_point *point, const struct mq_bounds *b,
                      uint64_t *ret)
{
	struct mq_store *s = r->archive->store;
	struct mq_source *source = NULL;
	int rc = point->kind == MQ_POINT_TIME ? s->engine->source_open(s, topic, p, &source, r->err) : 0;

	if (rc == 0)
		rc = mq_ops_point(r->archive, point, source, b, NULL, ret);
	if (rc < 0 && !r->err->code)
		*r->err = r->archive->err;
	if (source)
		s->engine->source_close(source);
	return rc;
}

static int add_part(struct mq_restoring *r, size_t file, uint32_t p, const struct mq_range *range)
{
	struct mq_store *s = r->archive->store;
	struct mq_restore_part *more, part = {.file = file, .partition = p};
	struct mq_bounds b;
	int rc = s->engine->bounds(s, r->file[file].topic, p, &b, r->err);

	if (rc < 0 || b.visible <= b.log_start)
		return rc;
	part.from = part.begin = b.log_start;
	part.to = part.end = b.visible;
	if (range && (rc = find_point(r, r->file[file].topic, p, &range->start, &b, &part.from)) < 0)
		return rc;
	if (range && range->has_end && (rc = find_point(r, r->file[file].topic, p, &range->end, &b, &part.to)) < 0)
		return rc;
	part.from = part.from > b.log_start ? part.from : b.log_start;
	part.to = part.to < b.visible ? part.to : b.visible;
	part.to = part.to > part.from ? part.to : part.from;
	if (r->n_parts == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 16;
		if (!(more = realloc(r->part, r->cap * sizeof *more)))
			return no_memory(r);
		r->part = more;
	}
	r->part[r->n_parts++] = part;
	return 0;
}

static int look_at_all(struct mq_restoring *r)
{
	const struct mq_consume_request *q = r->req;
	int64_t only = q->partitions ? q->partitions[0] : -1;
	struct mq_range range;
	int rc = q->range ? mq_ops_range(r->mq, q->range, &range) : 0;

	for (size_t i = 0; i < r->n_files && rc == 0; i++) {
		struct mq_restore_file *f = &r->file[i];

		f->path = q->archives[i];
		rc = look_at(r, i);
		if (rc == 0 && q->n_topics && strcmp(q->topics[0], f->topic) != 0)
			continue; /* not one that is wanted */
		if (rc == 0 && !q->to && !f->group[0] && !q->group)
			rc = mq_err_set(r->err, MQ_EUSAGE, "%s is no group's backlog: -g GROUP says for whom it goes back", f->path);
		if (rc == 0 && !q->to && r->to && strcmp(r->to, f->topic) != 0)
			rc = mq_err_set(r->err, MQ_EUSAGE, "%s is of topic %s, not of %s: archives of one topic at a time go back (-t TOPIC)", f->path,
			                f->topic, r->to);
		if (rc == 0 && !q->to)
			r->to = f->topic;
		for (uint32_t p = 0; p < f->partitions && rc == 0; p++)
			if (only < 0 || p == only)
				rc = add_part(r, i, p, q->range ? &range : NULL);
	}
	return rc;
}

/* --- what is asked for ---------------------------------------------------------------------- */

static int add_text(struct mq_buf *b, const char *text)
{
	return text ? mq_buf_add(b, text, strlen(text) + 1) : mq_buf_add(b, "\001", 1);
}

/* An offset of a topic's id never comes to mean another record, so a file is what it holds, by whatever name; but a range is as it was
 * written, since its times would mean others later. */
static int hash_of(struct mq_restoring *r, uint64_t *ret)
{
	static const uint8_t key[16];
	const struct mq_consume_request *q = r->req;
	const char *const texts[] = {q->to, q->group, q->range, q->key, q->id, q->tag, q->skip_tag, q->where};
	struct mq_buf b = MQ_BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < sizeof texts / sizeof *texts && rc == 0; i++)
		rc = add_text(&b, texts[i]);
	if (rc == 0 && (q->count || q->expired))
		rc = mq_buf_printf(&b, "%llu%s", (unsigned long long)q->count, q->expired ? " expired" : "");
	for (size_t i = 0; i < q->n_headers && rc == 0; i++) {
		rc = add_text(&b, q->headers[i].name);
		if (rc == 0)
			rc = add_text(&b, q->headers[i].value);
	}
	for (size_t i = 0; i < r->n_parts && rc == 0; i++) {
		const struct mq_restore_part *part = &r->part[i];

		rc = mq_buf_add(&b, r->file[part->file].topic_id, sizeof r->file[part->file].topic_id);
		if (rc == 0)
			rc = mq_buf_printf(&b, "%zu %lu %llu %llu ", part->file, (unsigned long)part->partition, (unsigned long long)part->begin,
			                   (unsigned long long)part->end);
	}
	*ret = rc == 0 ? mq_siphash(key, b.p, b.len) : 0;
	mq_buf_release(&b);
	return rc < 0 ? no_memory(r) : 0;
}

/* Where it stands is counted through all of them; of one that goes on they are what they were when it began. */
static int open_run(struct mq_restoring *r)
{
	struct mq_run_range *ranges = calloc(r->n_parts + 1, sizeof *ranges);
	uint64_t asked = 0, place = 0;
	int rc = ranges ? hash_of(r, &asked) : no_memory(r);

	for (size_t i = 0; i < r->n_parts && ranges; i++)
		ranges[i] = (struct mq_run_range){(uint32_t)i, r->part[i].from, r->part[i].to};
	if (rc == 0)
		rc = mq_run_open_restore(&r->run, r->mq, r->to, asked, ranges, (uint32_t)r->n_parts, r->err);
	free(ranges);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r->n_parts; i++) {
		struct mq_run_range was = mq_run_range(r->run, (uint32_t)i);

		r->part[i].from = was.start;
		r->part[i].to = was.end;
		r->part[i].place = place;
		place += was.end - was.start;
	}
	return 0;
}

int mq_restore_begin(struct mq_restoring *r)
{
	const struct mq_consume_request *q = r->req;
	struct mq_store *s = r->mq->store;
	uint32_t partitions = 0;
	int rc;

	r->to = q->to;
	r->n_files = q->n_archives;
	r->file = calloc(r->n_files + 1, sizeof *r->file);
	r->archive = mq_new();
	if (!r->file || !r->archive)
		return no_memory(r);
	rc = mq_filter_init(&r->filter, q, r->err);
	if (rc == 0)
		rc = look_at_all(r);
	if (rc < 0 || !r->n_parts)
		return rc;
	for (size_t i = 0; i < r->n_parts && !q->to; i++)
		partitions = r->file[r->part[i].file].partitions > partitions ? r->file[r->part[i].file].partitions : partitions;
	rc = s->engine->topic_auto_create(s, r->to, q->to ? q->to_partitions : partitions, r->err);
	if (rc == 0)
		rc = s->engine->topic_facts(s, r->to, &r->out, r->err);
	if (rc == 0 && q->count)
		rc = mq_restore_count(r);
	mq_pace_init(&r->pace, q->rate);
	return rc < 0 ? rc : open_run(r);
}
