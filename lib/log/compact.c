/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/compact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/compact_internal.h"
#include "log/internal.h"
#include "sys/sys.h"

/* ---- the table ---- */
/* -ENOBUFS: the table is full, and k->map_to is the offset that it has no room for. */
static int note_batch(struct mq_compacting *k, const struct mq_batch *b, const uint8_t *body)
{
	struct mq_walk w;
	struct mq_rec r;
	int rc;

	if (b->kind != MQ_BATCH_RECORDS || b->next_offset <= k->map_from) /* lines have no keys */
		return 0;
	rc = mq_compact_read_walk(&k->in, b, body, &w, k->err);
	while (rc == 0 && (rc = mq_walk_next(&w, &r)) > 0) {
		rc = 0;
		if (!r.key || r.group || r.offset < k->map_from || mq_keys_note(&k->keys, r.key, r.key_len, r.offset))
			continue;
		k->map_to = r.offset;
		return -ENOBUFS;
	}
	return rc;
}

static int note_part(struct mq_compacting *k, const struct mq_compact_part *p)
{
	const uint8_t *body;
	struct mq_batch b;
	int rc = mq_compact_read_begin(&k->in, k->c, p, k->err);

	while (rc == 0 && (rc = mq_compact_read_next(&k->in, &b, &body, k->err)) == 1)
		rc = k->opt->stopping && k->opt->stopping(k->opt->arg) ? mq_err_set(k->err, -EINTR, "stopped") : note_batch(k, &b, body);
	mq_compact_read_end(&k->in);
	return rc;
}

/* Keys from map_from on, as far as there is room.  A segment that turns out to be damaged counts for nothing: all anew without it. */
static int fill(struct mq_compacting *k)
{
	bool first = true;

	mq_keys_clear(&k->keys);
	k->map_to = k->map_from;
	for (size_t i = 0; i < k->n; i++) {
		struct mq_compact_part *p = &k->part[i];
		int rc;

		if (p->bad || p->end_offset <= k->map_from)
			continue;
		rc = note_part(k, p);
		if (mq_compact_is_damage(rc)) {
			*k->err = (struct mq_err)MQ_ERR_INIT;
			p->bad = true;
			return 1;
		}
		if (rc == -ENOBUFS) {
			if (!first) /* whole segments, but for one that alone is too much */
				k->map_to = p->h.base_offset;
			return 0;
		}
		if (rc < 0)
			return rc;
		k->map_to = p->end_offset;
		first = false;
	}
	return 0;
}

/* ---- what a killed run left ---- */
struct strays {
	int dir;
};

static int remove_stray(void *arg, const char *name)
{
	const struct strays *s = arg;
	uint64_t base;
	uint8_t id4[4];

	if (name[0] == '.' && mq_segment_name_parse(name + 1, "tmp", &base, id4) && mq_segment_id_marked(id4))
		(void)mq_sys->unlinkat(s->dir, name, false); /* what stays is told by mq-check */
	return 0;
}

/* ---- runs ---- */
static int one_run(struct mq_compacting *k)
{
	int rc;

	do
		rc = fill(k);
	while (rc == 1);
	if (rc == 0 && k->map_to > k->map_from)
		rc = mq_compact_rewrite(k);
	return rc;
}

static uint64_t end_of(const struct mq_compacting *k)
{
	return k->n ? k->part[k->n - 1].end_offset : 0;
}

/* What has become small, into one; what that makes may be small, too. */
static int join(struct mq_compacting *k)
{
	int rc;

	k->map_from = k->map_to = end_of(k);
	do
		rc = mq_compact_join(k);
	while (rc == 1 && (rc = mq_compact_survey(k)) == 0);
	return rc;
}

static int runs(struct mq_compacting *k)
{
	size_t bytes = k->opt->table_bytes ? k->opt->table_bytes : MQ_COMPACT_TABLE_BYTES;
	int rc = mq_keys_make(&k->keys, end_of(k) - k->map_from, bytes, k->err);

	while (rc == 0) {
		uint64_t from = k->map_from;

		rc = one_run(k);
		if (rc < 0 || k->map_to <= from)
			break;
		from = k->map_to;
		rc = mq_compact_survey(k);
		k->map_from = from;
		if (from >= end_of(k))
			return rc < 0 ? rc : join(k);
	}
	return rc;
}

static void count(struct mq_compacting *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (!k->part[i].bad) {
			k->sum->segments++;
			k->sum->bytes += k->part[i].end_pos;
		}
}

int mq_cursor_compact(struct mq_cursor *c, const struct mq_compact_options *opt, struct mq_compacted *sum, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	struct mq_compacting k = {.c = c, .opt = opt, .sum = sum, .err = &why, .now_us = mq_log_now_us()};
	struct strays s = {c->dir};
	int rc;

	mq_segment_init(&k.in.seg);
	mq_compact_out_init(&k.out, opt, c->dir);
	rc = opt->dry_run ? 0 : mq_chain_each_file(c->dir, remove_stray, &s, &why);
	if (rc == 0)
		rc = mq_compact_survey(&k);
	if (rc == 0 && mq_compact_due(&k)) {
		if (opt->dry_run)
			count(&k);
		else
			rc = runs(&k);
	}
	mq_compact_read_release(&k.in);
	mq_compact_out_release(&k.out);
	mq_keys_release(&k.keys);
	mq_buf_release(&k.keep);
	free(k.part);
	return rc < 0 ? mq_err_set(err, rc, "%s: %s", c->label, why.text) : 0;
}
