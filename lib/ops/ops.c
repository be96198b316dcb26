/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

int mq_ops_begin(struct mq *mq)
{
	mq->err = (struct mq_err){0};
	if (!mq->store && mq->awaited)
		return mq_err_set(&mq->err, MQ_ENOTOPIC, "no spool at %s yet", mq->awaited);
	return mq->store ? 0 : mq_err_set(&mq->err, MQ_EUSAGE, "no spool is open");
}

int mq_ops_look(struct mq *mq)
{
	int rc = mq_ops_begin(mq);

	if (rc == 0)
		mq->store->looks = true;
	return rc;
}

int mq_ops_looked(struct mq *mq, int rc)
{
	if (mq->store)
		mq->store->looks = false;
	return rc;
}

void mq_ops_notice(struct mq *mq, int level, const char *fmt, ...)
{
	char text[MQ_ERR_TEXT_MAX];
	va_list ap;

	if (!mq->notice)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	mq->notice(mq->notice_arg, level, text);
}

int mq_ops_partitions(struct mq *mq, const char *topic, int64_t partition, uint32_t *ret_from, uint32_t *ret_to)
{
	struct mq_topic_facts facts;
	int rc = mq->store->engine->topic_facts(mq->store, topic, &facts, &mq->err);
	if (rc < 0)
		return rc;
	if (partition >= facts.partitions)
		return mq_err_set(&mq->err, MQ_ENOTOPIC, "%s:%" PRId64 ": no such partition: there are %" PRIu32, topic, partition,
		                  facts.partitions);
	*ret_from = partition < 0 ? 0 : (uint32_t)partition;
	*ret_to = partition < 0 ? facts.partitions : (uint32_t)partition + 1;
	return 0;
}

int mq_ops_settle_point(struct mq *mq, struct mq_point *point)
{
	if (point->kind != MQ_POINT_DATE)
		return 0;
	int rc = mq_ask_date(mq, point->text, &point->time_us);
	if (rc == 0)
		point->kind = MQ_POINT_TIME;
	return rc;
}

int mq_ops_range(struct mq *mq, const char *text, struct mq_range *ret)
{
	int rc = mq_to_range(text, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, ret, &mq->err);

	if (rc == 0)
		rc = mq_ops_settle_point(mq, &ret->start);
	if (rc == 0)
		rc = mq_ops_settle_point(mq, &ret->end);
	if (rc == 0 && ret->start.kind == MQ_POINT_TIME && ret->end.kind == MQ_POINT_TIME && ret->end.time_us < ret->start.time_us)
		rc = mq_err_set(&mq->err, MQ_EUSAGE, "the range %s ends before its start", text);
	return rc;
}

int mq_ops_point(struct mq *mq, const struct mq_point *point, struct mq_source *source, const struct mq_bounds *bounds,
                 const uint64_t *stored, uint64_t *ret)
{
	switch (point->kind) {
	case MQ_POINT_OFFSET: *ret = point->n; return 0;
	case MQ_POINT_BEGINNING: *ret = bounds->log_start; return 0;
	case MQ_POINT_END: *ret = bounds->visible; return 0;
	case MQ_POINT_STORED:
		if (!stored)
			return mq_err_set(&mq->err, MQ_EUSAGE, "'stored' is where a group stands: -g GROUP is missing");
		*ret = *stored;
		return 0;
	case MQ_POINT_FROM_END:
		*ret = bounds->visible - bounds->log_start > point->n ? bounds->visible - point->n : bounds->log_start;
		return 0;
	default: return source->engine->source_find_time(source, point->time_us, ret, &mq->err);
	}
}

int mq_ops_place(struct mq *mq, const char *topic, uint32_t p, const char *text, const uint64_t *stored, uint64_t *ret,
                 struct mq_bounds *ret_bounds)
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_source *source;
	struct mq_point point;
	int rc = mq_to_point(text, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, &point, &mq->err);

	if (rc == 0)
		rc = mq_ops_settle_point(mq, &point);
	if (rc == 0)
		rc = e->source_open(mq->store, topic, p, &source, &mq->err);
	if (rc < 0)
		return rc;
	rc = e->source_bounds(source, ret_bounds, &mq->err);
	if (rc == 0)
		rc = mq_ops_point(mq, &point, source, ret_bounds, stored, ret);
	e->source_close(source);
	return rc;
}

int mq_ops_keep_name(void *arg, const char *name)
{
	struct mq_ops_names *names = arg;
	int rc = mq_buf_add(&names->buf, name, strlen(name) + 1);
	return rc < 0 ? mq_err_set(names->err, rc, "out of memory") : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int mq_ops_sort_names(struct mq_ops_names *names)
{
	const struct mq_buf *in = &names->buf;
	struct mq_buf sorted = MQ_BUF_INIT;
	const char **list;
	size_t n = 0;
	int rc = 0;

	for (size_t at = 0; at < in->len; at++)
		n += in->p[at] == 0;
	list = malloc((n + 1) * sizeof *list);
	if (!list)
		return mq_err_set(names->err, -ENOMEM, "out of memory");
	n = 0;
	for (size_t at = 0; at < in->len; at += strlen(in->p + at) + 1)
		list[n++] = in->p + at;
	qsort(list, n, sizeof *list, by_name);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = mq_buf_add(&sorted, list[i], strlen(list[i]) + 1);
	free(list);
	if (rc < 0) {
		mq_buf_release(&sorted);
		return mq_err_set(names->err, rc, "out of memory");
	}
	mq_buf_release(&names->buf);
	names->buf = sorted;
	return 0;
}

int mq_ops_output_failed(struct mq_err *err, int code)
{
	mq_err_sys(err, code, "cannot write the output");
	if (err)
		err->code = MQ_EBROKEN;
	return MQ_EBROKEN;
}

bool mq_ops_is_full(int rc)
{
	return rc == MQ_EAGAIN || rc == -ENOSPC || rc == -EDQUOT;
}
