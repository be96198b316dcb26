/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/old.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sys/sys.h"

static int load(struct mq_cursor *c, struct mq_err *err)
{
	int rc = mq_cursor_refresh(c, err);

	if (rc == 0)
		rc = mq_chain_extend_all(&c->chain, c->dir, err);
	if (rc < 0)
		mq_err_prefix(err, "%s", c->label);
	return rc;
}

/* ---- what there is ---- */
/* When the last batch below `end` was written.  Damage has no time. */
static int find_time(struct mq_cursor *c, const struct mq_old *o, int64_t *ret, struct mq_err *err)
{
	struct mq_cursor_loss loss;
	struct mq_cursor_view v;
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq_cursor_seek(c, o->end - 1, &why);

	*ret = INT64_MIN;
	if (rc == 0)
		rc = mq_cursor_next(c, &v, &loss, &why);
	if (rc == 1 && v.batch.base_offset < o->end)
		*ret = v.batch.base_time_us;
	return rc >= 0 || rc == MQ_EDAMAGE ? 0 : mq_err_set(err, rc, "%s", why.text);
}

/* 0: it is there no more. */
static int look_at(const struct mq_cursor *c, size_t i, struct mq_old *ret, struct mq_err *err)
{
	const struct mq_segment_header *h = &c->chain.seg[i];
	char name[MQ_SEGMENT_NAME_MAX];
	struct mq_stat st;
	int rc;

	mq_segment_name(h->base_offset, &h->id, "seg", name);
	rc = mq_sys->statat(c->dir, name, &st);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return mq_err_sys(err, rc, "%s: cannot look at %s", c->label, name);
	*ret = (struct mq_old){.base = h->base_offset, .end = mq_chain_end_offset(&c->chain, i), .bytes = mq_chain_end_pos(&c->chain, i),
	                       .batch_us = INT64_MIN, .file_us = st.mtime_ns / 1000};
	if (h->reason == MQ_SEGMENT_COMPACT)
		ret->file_us = h->written_us;
	if (st.size < ret->bytes) /* a stand-in's end is told by offsets alone */
		ret->bytes = st.size;
	return 1;
}

/* A list of its own: to find a time the cursor moves. */
static int list(const struct mq_cursor *c, struct mq_buf *ret, struct mq_err *err)
{
	int rc = 0;

	for (size_t i = 0; i + 1 < c->chain.n && rc >= 0; i++) {
		struct mq_old o;

		rc = look_at(c, i, &o, err);
		if (rc == 1 && mq_buf_add(ret, &o, sizeof o) < 0)
			rc = mq_err_set(err, -ENOMEM, "no memory for a list of segments");
	}
	return rc < 0 ? rc : 0;
}

int mq_cursor_each_old(struct mq_cursor *c, bool timed, int (*fn)(void *arg, const struct mq_old *o), void *arg, struct mq_err *err)
{
	struct mq_buf buf = MQ_BUF_INIT;
	int rc = load(c, err);

	if (rc == 0)
		rc = list(c, &buf, err);
	for (size_t at = 0; at < buf.len && rc == 0; at += sizeof(struct mq_old)) {
		struct mq_old o;

		memcpy(&o, buf.p + at, sizeof o);
		if (timed && o.end > c->log_start)
			rc = find_time(c, &o, &o.batch_us, err);
		if (rc == 0)
			rc = fn(arg, &o);
	}
	mq_buf_release(&buf);
	return rc;
}

/* ---- what goes ---- */
int mq_cursor_remove_old(struct mq_cursor *c, uint64_t below, struct mq_removed *sum, struct mq_err *err)
{
	int rc = load(c, err);

	for (size_t i = 0; rc == 0 && i + 1 < c->chain.n && c->chain.seg[i + 1].base_offset <= below; i++) {
		struct mq_old o;

		rc = look_at(c, i, &o, err);
		if (rc == 0)
			continue;
		if (rc == 1)
			rc = mq_segment_remove(&c->chain.seg[i], c->dir, err);
		if (rc < 0)
			mq_err_prefix(err, "%s", c->label);
		else
			*sum = (struct mq_removed){sum->segments + 1, sum->bytes + o.bytes};
	}
	return rc < 0 ? rc : 0;
}

/* ---- what is dead ---- */
struct dead {
	const struct mq_cursor *c;
	int64_t before_ns;
	bool dry_run;
	struct mq_buf stand_ins; /* struct stand_in */
	struct mq_removed *sum;
	struct mq_err *err;
};

static bool in_chain(const struct mq_chain *chain, uint64_t base, const uint8_t id4[4])
{
	for (size_t i = 0; i < chain->n; i++)
		if (chain->seg[i].base_offset == base && memcmp(chain->seg[i].id.b, id4, 4) == 0)
			return true;
	return false;
}

/* Each link as its file's own header tells it: a file that merely stands in for a missing one is no link. */
static int is_sound(const struct mq_cursor *c, struct mq_err *err)
{
	const struct mq_chain *chain = &c->chain;
	struct mq_segment s;
	int rc = 1;

	for (size_t i = 0; i < chain->n && rc == 1; i++) {
		const struct mq_segment_header *h = &chain->seg[i];

		if (h->blind)
			return 0;
		rc = mq_segment_open(&s, c->dir, h->base_offset, h->id.b, false, err);
		if (rc < 0)
			return rc == -ENOENT || rc == MQ_EDAMAGE ? 0 : rc;
		rc = mq_segment_id_equal(&s.h.id, &h->id) && (i > 0 ? mq_chain_joins(&chain->seg[i - 1], &s.h)
		                                                   : mq_segment_id_none(&s.h.pred_id) || c->log_start >= h->base_offset);
		mq_segment_release(&s);
	}
	return rc;
}

/* Below it by epoch and base: not one that came after this look at the chain, and is its head by now. */
static bool is_below(const struct mq_segment_header *a, const struct mq_segment_header *head)
{
	if (a->epoch.election != head->epoch.election)
		return a->epoch.election < head->epoch.election;
	if (a->epoch.incarnation != head->epoch.incarnation)
		return a->epoch.incarnation < head->epoch.incarnation;
	return a->base_offset < head->base_offset;
}

/* Every segment that stands for others, whether something stands for it in turn or not. */
struct stand_in {
	struct mq_segment_header h;
	int64_t since_ns;
};

static int keep_stand_in(void *arg, const char *name)
{
	struct dead *d = arg;
	struct stand_in one;
	struct mq_segment s;
	struct mq_stat st;
	uint64_t base;
	uint8_t id4[4];
	int rc;

	if (!mq_segment_name_parse(name, "seg", &base, id4) || !mq_segment_id_marked(id4) ||
	    mq_segment_open(&s, d->c->dir, base, id4, false, NULL) < 0)
		return 0;
	rc = mq_sys->stat(s.fd, &st);
	one = (struct stand_in){s.h, st.mtime_ns};
	mq_segment_release(&s);
	if (rc < 0)
		return mq_err_sys(d->err, rc, "%s: cannot look at %s", d->c->label, name);
	return mq_buf_add(&d->stand_ins, &one, sizeof one) < 0 ? mq_err_set(d->err, -ENOMEM, "no memory for a list of segments") : 0;
}

/* Since when it is dead though nobody has written it for long: since the first came that stands for it.  Not since the last, or
 * where compaction comes more often than what is dead goes, nothing would ever go. */
static int64_t replaced_ns(const struct dead *d, const struct mq_segment_header *h)
{
	int64_t ns = INT64_MAX;

	for (size_t at = 0; at < d->stand_ins.len; at += sizeof(struct stand_in)) {
		struct stand_in one;

		memcpy(&one, d->stand_ins.p + at, sizeof one);
		if (mq_chain_replaces(&one.h, h) && one.since_ns < ns)
			ns = one.since_ns;
	}
	return ns == INT64_MAX ? INT64_MIN : ns;
}

/* 1: of this partition, not in the log, and older than that.  What does not verify is left for people to look at. */
static int is_dead(const struct dead *d, const char *name, struct mq_segment_header *ret, uint64_t *ret_size)
{
	const struct mq_segment_header *head = &d->c->chain.seg[d->c->chain.n - 1];
	struct mq_segment s;
	struct mq_stat st;
	uint64_t base;
	uint8_t id4[4];
	int rc;

	if (!mq_segment_name_parse(name, "seg", &base, id4) || in_chain(&d->c->chain, base, id4))
		return 0;
	rc = mq_segment_open(&s, d->c->dir, base, id4, false, d->err);
	if (rc < 0)
		return rc == -ENOENT || rc == MQ_EDAMAGE || rc == MQ_ECONFIG ? 0 : rc;
	rc = mq_sys->stat(s.fd, &st);
	*ret = s.h;
	mq_segment_release(&s);
	if (rc < 0)
		return mq_err_sys(d->err, rc, "%s: cannot look at %s", d->c->label, name);
	*ret_size = st.size;
	return st.mtime_ns < d->before_ns && mq_chain_siblings(ret, head) && is_below(ret, head) && replaced_ns(d, ret) < d->before_ns;
}

static int remove_dead(void *arg, const char *name)
{
	struct dead *d = arg;
	struct mq_segment_header h;
	uint64_t size = 0;
	int rc = is_dead(d, name, &h, &size);

	if (rc == 1 && !d->dry_run)
		rc = mq_segment_remove(&h, d->c->dir, d->err) < 0 ? d->err->code : 1;
	if (rc == 1)
		*d->sum = (struct mq_removed){d->sum->segments + 1, d->sum->bytes + size};
	return rc < 0 ? rc : 0;
}

/* Whoever named a segment that stands for others may have been killed before its name was durable.  1. */
static int names_last(const struct mq_cursor *c, struct mq_err *err)
{
	for (size_t i = 0; i < c->chain.n; i++)
		if (c->chain.seg[i].reason == MQ_SEGMENT_COMPACT) {
			int rc = mq_sys->fsync(c->dir);

			return rc < 0 ? mq_err_sys(err, rc, "cannot sync the directory") : 1;
		}
	return 1;
}

int mq_cursor_remove_dead(struct mq_cursor *c, int64_t before_ns, bool dry_run, struct mq_removed *sum, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	struct dead d = {.c = c, .before_ns = before_ns, .dry_run = dry_run, .sum = sum, .err = &why};
	int rc = load(c, err);

	if (rc == 0)
		rc = is_sound(c, &why);
	if (rc == 1 && !dry_run)
		rc = names_last(c, &why);
	if (rc == 1)
		rc = mq_chain_each_file(c->dir, keep_stand_in, &d, &why) < 0 ? why.code : 1;
	if (rc == 1)
		rc = mq_chain_each_file(c->dir, remove_dead, &d, &why);
	mq_buf_release(&d.stand_ins);
	return rc < 0 && !err->code ? mq_err_set(err, rc, "%s: %s", c->label, why.text) : rc;
}
