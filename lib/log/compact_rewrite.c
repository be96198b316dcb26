/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second half of a run: each closed segment that begins below where the table ends is written anew. */
#include <errno.h>
#include <string.h>

#include "log/compact_internal.h"

enum { AS_IT_IS_BYTES = 64 << 10 }; /* a batch of which all stays and that is so large is not taken apart */

/* ---- records ---- */
static bool is_tombstone(const struct mq_rec *r)
{
	return r->payload_len == 0;
}

/* What could not be read when its key was looked for may be there again: an older record with it. */
static bool may_hide(const struct mq_compacting *k)
{
	const struct mq_segment_header *h = &k->in.part->h;

	return !k->whole || (h->reason == MQ_SEGMENT_COMPACT && (h->ignore & MQ_SEGMENT_BESIDE_DAMAGE));
}

static bool stays(const struct mq_compacting *k, const struct mq_batch *b, const struct mq_rec *r)
{
	uint64_t last;

	if (r->offset < k->c->log_start)
		return false;
	if (!r->key || r->group)
		return true;
	if (mq_keys_last(&k->keys, r->key, r->key_len, &last) && last > r->offset)
		return false;
	if (r->offset >= k->map_to) /* nobody has looked yet for what it hides */
		return true;
	return !(is_tombstone(r) && !may_hide(k) && k->opt->tombstones_us >= 0 && k->now_us - b->base_time_us > k->opt->tombstones_us);
}

/* How many of the batch stay; k->keep says which. */
static int choose(struct mq_compacting *k, const struct mq_batch *b, const uint8_t *body, uint32_t *ret)
{
	struct mq_walk w;
	struct mq_rec r;
	int rc = mq_compact_read_walk(&k->in, b, body, &w, k->err);

	*ret = 0;
	mq_buf_clear(&k->keep);
	if (rc == 0 && mq_buf_reserve(&k->keep, b->count) < 0)
		rc = mq_err_set(k->err, -ENOMEM, "no memory for a batch of %u records", b->count);
	while (rc == 0 && (rc = mq_walk_next(&w, &r)) > 0) {
		bool yes = stays(k, b, &r);

		k->keep.p[k->keep.len++] = yes;
		*ret += yes;
		rc = 0;
	}
	if (rc == MQ_EDAMAGE && !k->err->code)
		mq_err_set(k->err, rc, "segment %s: the batch at offset %llu contradicts itself", k->in.seg.name, (unsigned long long)b->base_offset);
	return rc;
}

static bool is_plain(const struct mq_compacting *k, const struct mq_batch *b)
{
	return b->kind == MQ_BATCH_LINES && b->base_offset >= k->c->log_start && b->stored_len >= AS_IT_IS_BYTES;
}

static int put_records(struct mq_compacting *k, const struct mq_batch *b, const uint8_t *body)
{
	struct mq_walk w;
	struct mq_rec r;
	uint32_t n = b->count;
	int rc = is_plain(k, b) ? 0 : choose(k, b, body, &n);

	if (rc < 0)
		return rc;
	k->sum->records += b->count - n;
	if (n == 0) {
		mq_compact_out_pass(&k->out, b);
		return 0;
	}
	if (n == b->count && b->stored_len >= AS_IT_IS_BYTES)
		return mq_compact_out_batch(&k->out, b, body, k->err);
	rc = mq_compact_read_walk(&k->in, b, body, &w, k->err);
	for (uint32_t i = 0; rc == 0 && i < b->count; i++) {
		rc = mq_walk_next(&w, &r) == 1 ? 0 : mq_err_set(k->err, MQ_EDAMAGE, "a batch reads otherwise than a moment ago");
		if (rc == 0 && k->keep.p[i])
			rc = mq_compact_out_record(&k->out, b, &r, k->err);
	}
	return rc;
}

/* ---- segments ---- */
/* first: of what is written, which begins as that one began. */
static int put_batch(struct mq_compacting *k, const struct mq_batch *b, const uint8_t *body, bool first)
{
	switch (b->control) {
	case MQ_CONTROL_DATA:
		return put_records(k, b, body);
	case MQ_CONTROL_COMPACTED:
		mq_compact_out_pass(&k->out, b);
		return 0;
	case MQ_CONTROL_SNAPSHOT:
		return first ? mq_compact_out_batch(&k->out, b, body, k->err) : 0;
	default:
		return mq_compact_out_batch(&k->out, b, body, k->err);
	}
}

static int put_part(struct mq_compacting *k, const struct mq_compact_part *p, bool first)
{
	const uint8_t *body;
	struct mq_batch b;
	int rc = mq_compact_read_begin(&k->in, k->c, p, k->err);

	while (rc == 0 && (rc = mq_compact_read_next(&k->in, &b, &body, k->err)) == 1)
		rc = k->opt->stopping && k->opt->stopping(k->opt->arg) ? mq_err_set(k->err, -EINTR, "stopped") : put_batch(k, &b, body, first);
	mq_compact_read_end(&k->in);
	return rc;
}

/* Would anything go of one that was compacted before?  1, 0.  What does not verify shows here, too. */
static int changes(struct mq_compacting *k, const struct mq_compact_part *p)
{
	const uint8_t *body;
	struct mq_batch b;
	bool found = false;
	int rc = mq_compact_read_begin(&k->in, k->c, p, k->err);

	while (rc == 0 && (rc = mq_compact_read_next(&k->in, &b, &body, k->err)) == 1) {
		uint32_t n = b.count;

		rc = b.kind == MQ_BATCH_CONTROL || found ? 0 : choose(k, &b, body, &n);
		found |= n < b.count;
	}
	mq_compact_read_end(&k->in);
	return rc < 0 ? rc : found;
}

static bool was_compacted(const struct mq_compact_part *p)
{
	return p->h.reason == MQ_SEGMENT_COMPACT && p->h.clean_offset >= p->end_offset;
}

/* 1: it may be written anew; 0: it is damaged, and stays.  *ret_changes: something of it goes, or nobody has looked yet. */
static int examine(struct mq_compacting *k, struct mq_compact_part *p, bool *ret_changes)
{
	int rc = 0;

	*ret_changes = true;
	/* Of the others the table's making has read all. */
	if (!p->bad && (was_compacted(p) || p->h.base_offset < k->map_from || p->end_offset > k->map_to)) {
		rc = changes(k, p);
		*ret_changes = rc == 1 || !was_compacted(p);
		p->bad = mq_compact_is_damage(rc);
	}
	if (p->bad) {
		*k->err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	return rc < 0 ? rc : 1;
}

/* How many from i on go into one. */
static int extent(struct mq_compacting *k, size_t i, size_t *ret, bool *ret_changes)
{
	uint64_t bytes = k->part[i].end_pos;
	size_t n = 1;

	for (; i + n < k->n; n++) {
		struct mq_compact_part *p = &k->part[i + n];
		bool more = false, good = !p->bad && p->joined && p->h.base_offset < k->map_to && bytes + p->end_pos <= k->opt->segment_bytes;

		good &= k->map_from < k->map_to || was_compacted(p); /* keys of others were not noted: none are joined */
		int rc = good ? examine(k, p, &more) : 0;

		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		*ret_changes = true; /* joining is worth it */
		bytes += p->end_pos;
	}
	*ret = n;
	return 0;
}

static int write_anew(struct mq_compacting *k, size_t i, size_t n)
{
	const struct mq_compact_part *first = &k->part[i], *last = &k->part[i + n - 1];
	uint64_t records = k->sum->records;
	bool beside_damage = !k->whole && k->map_from < k->map_to; /* what is joined was written before */
	int rc = last->end_offset > first->h.base_offset ? mq_compact_out_begin(&k->out, first, last, beside_damage, k->err) : 1;

	for (const struct mq_compact_part *p = first; p <= last && rc == 0; p++)
		rc = put_part(k, p, p == first);
	if (rc == 0)
		rc = mq_compact_out_end(&k->out, last, k->map_to, k->err);
	if (rc != 0) {
		if (k->out.seg.fd >= 0)
			mq_segment_abandon(&k->out.seg, k->c->dir);
		k->sum->records = records;
		return rc < 0 ? rc : 0;
	}
	for (const struct mq_compact_part *p = first; p <= last; p++)
		k->sum->bytes += p->end_pos;
	k->sum->segments += n;
	k->sum->made++;
	k->sum->made_bytes += k->out.made_bytes;
	return 0;
}

int mq_compact_rewrite(struct mq_compacting *k)
{
	int rc = 0;

	k->whole = true;
	for (size_t i = 0, n; i < k->n && k->part[i].h.base_offset < k->map_to && rc >= 0; i += n) {
		bool more;

		n = 1;
		k->whole &= i == 0 || k->part[i].joined;
		rc = examine(k, &k->part[i], &more);
		k->sum->damaged += rc == 0;
		k->whole &= rc != 0;
		if (rc <= 0)
			continue;
		rc = more || k->part[i].end_pos <= k->opt->segment_bytes / 2 ? extent(k, i, &n, &more) : 0;
		if (rc == 0 && more)
			rc = write_anew(k, i, n);
	}
	return rc < 0 ? rc : 0;
}

int mq_compact_join(struct mq_compacting *k)
{
	struct mq_compacted before = *k->sum;
	uint64_t bytes, made;
	int rc = 0;

	k->whole = false; /* what else may go the next run finds */
	for (size_t i = 0, n; i < k->n && rc >= 0; i += n) {
		bool more = false;

		n = 1;
		if (k->part[i].bad || !was_compacted(&k->part[i]))
			continue;
		rc = extent(k, i, &n, &more);
		if (rc == 0 && more && (rc = examine(k, &k->part[i], &more)) == 1)
			rc = write_anew(k, i, n);
		n = k->part[i].bad ? 1 : n;
	}
	if (rc < 0 || k->sum->made == before.made)
		return rc;
	bytes = k->sum->bytes - before.bytes;
	made = k->sum->made_bytes - before.made_bytes;
	if (bytes <= before.made_bytes) { /* of this run: what it made first was not there before */
		before.made_bytes += made - bytes;
		*k->sum = before;
	}
	return 1;
}
