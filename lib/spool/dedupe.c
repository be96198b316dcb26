/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/dedupe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "spool/dirs.h"
#include "sys/sys.h"

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory for ids");
}

/* ---- the lock ---- */
static int open_lock(struct mq_dedupe_ids *d, struct mq_err *err)
{
	const struct mq_spool *s = d->topic.spool;
	unsigned mode = s->file_mode & 0020 ? s->file_mode : s->file_mode & ~0040u;
	int rc = mq_file_ensure(d->topic.dir, "producers.lock", mode, 0, err);

	if (rc < 0)
		return mq_topic_lacks(&d->topic, rc, err);
	rc = d->lock = mq_sys->openat(d->topic.dir, "producers.lock", O_RDWR, 0);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot open producers.lock", d->topic.name) : 0;
}

int mq_dedupe_lock(struct mq_dedupe_ids *d, struct mq_err *err)
{
	const struct mq_patience *p = d->topic.spool->patience;
	int rc = mq_patience_lock(p, mq_patience_end(p), d->lock, MQ_LOCK_WRITE, MQ_DEDUPE_BYTE, 1);

	if (rc == -ETIMEDOUT)
		return mq_err_set(err, rc, "%s: another publisher is between the look for its ids and the append, and did not end within %g s (--timeout)",
		                  d->topic.name, (double)p->ns / 1e9);
	if (rc == -EINTR)
		return mq_err_set(err, rc, "%s: stopped while another publisher stores records with ids", d->topic.name);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot lock producers.lock", d->topic.name) : 0;
}

void mq_dedupe_unlock(struct mq_dedupe_ids *d)
{
	(void)mq_sys->lock(d->lock, MQ_LOCK_NONE, MQ_DEDUPE_BYTE, 1, false); /* cannot fail on an open file */
}

/* ---- partitions ---- */
static int open_part(struct mq_dedupe_ids *d, uint32_t p, struct mq_err *err)
{
	const struct mq_topic_conf *c = &d->topic.conf;
	const struct mq_ids_window window = {
	    .us = c->dedupe_ms > 0 ? c->dedupe_ms * 1000 : 0,
	    .count = c->dedupe_count > 0 ? (uint64_t)c->dedupe_count : 0,
	    .written = true,
	    .unit_log2 = MQ_DEDUPE_UNIT_LOG2,
	    .level_max = MQ_DEDUPE_LEVEL_MAX,
	    .lost = "records of the same ids may be stored again",
	};
	struct mq_ids_look *o = malloc(sizeof *o);
	int rc = o ? mq_ids_look_open(o, &d->topic, p, &window, err) : no_memory(err);

	if (rc < 0) {
		free(o);
		return rc;
	}
	d->parts[p] = o;
	d->n_parts = p + 1;
	return 0;
}

static int open_parts(struct mq_dedupe_ids *d, uint32_t n, struct mq_err *err)
{
	struct mq_ids_look **parts;
	int rc = d->topic.conf.partitions < n ? mq_topic_reread(&d->topic, err) : 0;

	if (rc < 0)
		return rc;
	n = d->topic.conf.partitions;
	parts = realloc(d->parts, n * sizeof *parts);
	if (!parts)
		return no_memory(err);
	d->parts = parts;
	while (rc == 0 && d->n_parts < n) {
		rc = open_part(d, d->n_parts, err);
		if (rc == 0 && n > MQ_DEDUPE_OPEN_MAX)
			mq_ids_look_rest(d->parts[d->n_parts - 1]);
	}
	return rc;
}

int mq_dedupe_catch_up(struct mq_dedupe_ids *d, uint32_t partitions, struct mq_err *err)
{
	int rc = d->n_parts < partitions ? open_parts(d, partitions, err) : 0;

	for (uint32_t p = 0; p < d->n_parts && rc == 0; p++) {
		rc = mq_ids_look_catch_up(d->parts[p], err);
		if (d->n_parts > MQ_DEDUPE_OPEN_MAX)
			mq_ids_look_rest(d->parts[p]);
	}
	return rc;
}

/* ---- the look ---- */
static int is_durable(struct mq_ids_look *o, uint64_t offset, bool *ret, struct mq_err *err)
{
	uint64_t durable = 0;
	int rc = mq_cursor_durable(&o->cursor, &durable, err);

	*ret = rc == 0 && offset < durable;
	return rc;
}

int mq_dedupe_find(struct mq_dedupe_ids *d, const void *id, size_t len, uint32_t *ret_partition, uint64_t *ret_offset,
                   bool *ret_durable, struct mq_err *err)
{
	int rc = 0;

	for (uint32_t p = 0; p < d->n_parts && rc == 0; p++) {
		struct mq_ids_look *o = d->parts[p];
		uint64_t seen = 0;

		rc = mq_ids_look_find(o, id, len, &seen, ret_offset, err);
		if (rc > 0) {
			int known = is_durable(o, *ret_offset, ret_durable, err);

			*ret_partition = p;
			rc = known < 0 ? known : 1;
		}
		if (d->n_parts > MQ_DEDUPE_OPEN_MAX)
			mq_ids_look_rest(o);
	}
	return rc;
}

int mq_dedupe_await(struct mq_dedupe_ids *d, uint32_t partition, enum mq_ack level, struct mq_err *err)
{
	struct mq_partition part;
	struct mq_log log;
	int rc = mq_partition_log(&part, &d->topic, partition, &log, err);

	if (rc < 0)
		return rc;
	rc = mq_log_settle(&log, err);
	if (rc == 0) {
		struct mq_log_ticket t = {.segment = log.tail.segment, .end_pos = log.tail.pos, .base_offset = log.tail.next_offset,
		                          .next_offset = log.tail.next_offset};

		rc = mq_log_wait(&log, &t, level, err);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", part.label);
	mq_log_release(&log);
	return rc;
}

/* ---- opening ---- */
int mq_dedupe_open(struct mq_dedupe_ids *d, struct mq_spool *s, const char *topic, struct mq_err *err)
{
	int rc;

	memset(d, 0, sizeof *d);
	d->lock = -1;
	rc = mq_topic_open(&d->topic, s, topic, err);
	if (rc < 0)
		return rc;
	rc = mq_topic_settle(&d->topic, err);
	if (rc == 0)
		rc = open_lock(d, err);
	if (rc == 0)
		rc = open_parts(d, d->topic.conf.partitions, err);
	if (rc < 0)
		mq_dedupe_release(d);
	return rc;
}

void mq_dedupe_release(struct mq_dedupe_ids *d)
{
	while (d->n_parts > 0) {
		mq_ids_look_release(d->parts[--d->n_parts]);
		free(d->parts[d->n_parts]);
	}
	free(d->parts);
	d->parts = NULL;
	if (d->lock >= 0)
		(void)mq_sys->close(d->lock);
	d->lock = -1;
	mq_topic_release(&d->topic);
}
