/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sorted files, beside the log that they are a cache of: each block verifies, entries are in order, and they are those
 * of the records in the file's range, no more and no fewer.  Of ids: a missing one would let a record be handled, or stored,
 * twice.  A topic that is compacted may have lost records that a file still leads to: there no more than its form is looked at.
 * Those of a waiting room: check_room.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/siphash.h"
#include "format/record.h"
#include "format/zip.h"
#include "log/cursor.h"
#include "spool/check_internal.h"
#include "spool/once_file.h"
#include "sys/sys.h"

bool mq_check_is_room(const struct mq_topic *t)
{
	return strncmp(t->conf.internal, "wait@", 5) == 0;
}

bool mq_check_holds_ids(const struct mq_topic *t)
{
	return t->conf.internal[0] == 0 || strncmp(t->conf.internal, "once@", 5) == 0 || mq_check_is_room(t);
}

void mq_check_add(struct mq_check_sum *s, const struct mq_ids_entry *e)
{
	uint64_t v = e->hash ^ (e->offset + 1) * UINT64_C(0x9e3779b97f4a7c15);

	v = (v ^ v >> 33) * UINT64_C(0xff51afd7ed558ccd);
	v = (v ^ v >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	s->sum += v ^ v >> 33;
	s->n++;
}

int mq_check_ids_walk(struct mq_once_file *f, int (*fn)(void *arg, const struct mq_ids_entry *e), void *arg, struct mq_err *why)
{
	struct mq_once_walk w = {.f = f};
	struct mq_ids_entry e, before = {0, 0};
	struct mq_stat st;
	uint64_t n = 0;
	int rc = mq_sys->stat(f->fd, &st);

	if (rc < 0)
		return mq_err_sys(why, rc, "cannot look at it");
	if (st.size != (mq_ids_blocks(&f->h) + 1) * MQ_IDS_BLOCK_LEN)
		return mq_err_set(why, MQ_EDAMAGE, "it is not as long as its header says");
	while ((rc = mq_once_walk_next(&w, &e, why)) > 0) {
		if (n++ > 0 && mq_ids_order(&before, &e) >= 0)
			return mq_err_set(why, MQ_EDAMAGE, "its entries are not in order");
		before = e;
		rc = fn(arg, &e);
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && n != f->h.count)
		return mq_err_set(why, MQ_EDAMAGE, "it does not hold as many entries as its header says");
	return rc;
}

/* ---- the log ---- */
static int each_of_batch(const struct mq_cursor_view *v, mq_check_rec_fn *fn, void *arg, struct mq_err *err)
{
	struct mq_zip zip = MQ_ZIP_INIT;
	struct mq_buf raw = MQ_BUF_INIT;
	const uint8_t *body = v->body;
	struct mq_walk w;
	struct mq_rec r;
	int rc = 0;

	if (v->batch.kind == MQ_BATCH_LINES)
		return 0;
	if (v->batch.zip != MQ_BATCH_PLAIN) {
		rc = mq_zip_unpack(&zip, v->body, v->batch.stored_len, v->batch.raw_len, &raw, err);
		body = (const uint8_t *)raw.p;
	}
	if (rc == 0)
		rc = mq_walk_init(&w, &v->batch, body, err);
	while (rc >= 0 && (rc = mq_walk_next(&w, &r)) > 0)
		rc = fn(arg, &r);
	mq_zip_release(&zip);
	mq_buf_release(&raw);
	return rc;
}

int mq_check_ids_log(struct mq_check_partition *part, uint64_t from, uint64_t to, mq_check_rec_fn *fn, void *arg, struct mq_err *err)
{
	struct mq_cursor c;
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	int rc = mq_cursor_open(&c, part->dir, part->where, part->t->conf.id, part->number, err);

	if (rc < 0)
		return rc;
	rc = mq_cursor_seek(&c, from, err);
	while (rc >= 0 && (rc = mq_cursor_next(&c, &v, &loss, err)) > 0 && v.batch.base_offset < to) {
		rc = each_of_batch(&v, fn, arg, err);
		if (rc < 0 || v.batch.next_offset >= to)
			break;
	}
	rc = rc == MQ_EDAMAGE || c.log_start > from || (to != UINT64_MAX && c.visible_offset < to) ? 0 : rc < 0 ? rc : 1;
	mq_cursor_release(&c);
	return rc;
}

/* ---- ids ---- */
struct ids {
	const uint8_t *key;
	uint64_t from, to;
	struct mq_check_sum of_file, of_log;
};

static int add_entry(void *arg, const struct mq_ids_entry *e)
{
	struct ids *ids = arg;

	if (e->offset >= ids->from)
		mq_check_add(&ids->of_file, e);
	return 0;
}

static int add_record(void *arg, const struct mq_rec *r)
{
	struct ids *ids = arg;

	if (r->id && r->offset >= ids->from && r->offset < ids->to)
		mq_check_add(&ids->of_log, &(struct mq_ids_entry){mq_siphash(ids->key, r->id, r->id_len), r->offset});
	return 0;
}

uint64_t mq_check_ids_from(const struct mq_check_partition *part, const struct mq_once_file *f)
{
	return part->have_start && part->log_start > f->h.start ? part->log_start : f->h.start;
}

static int compare(struct mq_check_partition *part, struct mq_once_file *f, struct mq_err *why)
{
	struct ids ids = {.key = part->t->conf.id, .from = mq_check_ids_from(part, f), .to = f->h.end};
	int rc = mq_check_ids_walk(f, add_entry, &ids, why);

	if (rc < 0 || ids.from >= ids.to || part->t->conf.cleanup != MQ_CLEANUP_DELETE)
		return rc;
	rc = mq_check_ids_log(part, ids.from, ids.to, add_record, &ids, why);
	if (rc <= 0)
		return rc;
	if (!mq_check_same(&ids.of_file, &ids.of_log))
		return mq_err_set(why, MQ_EDAMAGE, "its entries are not those of the log");
	return 0;
}

/* ---- one after the other ---- */
static int check_one(struct mq_check_partition *part, const char *name, const struct mq_ids_header *expected)
{
	struct mq_check_remedy remedy = mq_check_did(part->c, 0);
	struct mq_err why = MQ_ERR_INIT, not_removed = MQ_ERR_INIT;
	struct mq_once_file f;
	int rc = mq_once_file_open(&f, part->dir, expected, &why);

	if (rc == 0) {
		rc = mq_check_is_room(part->t) ? mq_check_room(part, &f, &why) : compare(part, &f, &why);
		mq_once_file_release(&f);
	}
	if (rc == 0 || rc == -ENOENT)
		return 0; /* the second: it has become part of another one */
	if (rc == MQ_ECONFIG)
		return mq_check_tell(part->c, MQ_CHECK_NEWER, part->where, name, NULL, mq_check_not(part->c, "it needs a newer mq"), "%s", why.text);
	if (rc != MQ_EDAMAGE)
		return mq_err_set(part->c->err, rc, "%s/%s: %s", part->where, name, why.text);
	if (mq_check_mends(part->c) && mq_mend_remove(part, name, &not_removed) < 0)
		remedy = mq_check_not(part->c, not_removed.text);
	return mq_check_tell(part->c, MQ_CHECK_CACHE, part->where, name, NULL, remedy, "%s: it is made anew from the log", why.text);
}

static int look(void *arg, const char *name, const struct mq_stat *st)
{
	struct mq_check_partition *part = arg;
	struct mq_ids_header expected = {.partition = part->number};

	(void)st;
	if (!mq_ids_name_parse(name, &expected.start, &expected.end))
		return 0;
	memcpy(expected.topic_id, part->t->conf.id, sizeof expected.topic_id);
	return check_one(part, name, &expected);
}

int mq_check_ids(struct mq_check_partition *part)
{
	return mq_check_holds_ids(part->t) ? mq_check_each(part->c, part->dir, part->where, look, part) : 0;
}
