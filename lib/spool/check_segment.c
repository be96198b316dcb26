/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The batches of one segment, from its header to where it ends.
 *
 * The end of all but the head is told by the successor, that of the head by a trusted tail: what does not verify
 * before it is damage.  A head without such a tail ends where nothing verifies any more, unless something that was
 * itself written after a sync says that more was durable: its born end, a mark, a group's commit, a watermark in a
 * batch further on.  So does recovery see it (log/recover.c), and for it a header that verifies over a body that does
 * not is no exception: a power cut may keep the sector of the one and lose that of the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "log/start.h"
#include "spool/check_internal.h"
#include "sys/sys.h"

struct run {
	struct mq_check_partition *part;
	const struct mq_check_file *f;
	struct mq_segment s;
	struct mq_check_end end;
	struct mq_check_index index;
	uint64_t limit;    /* nothing of the log at or behind it */
	uint64_t pos, offset;
	uint64_t original; /* of a copy: up to where it was durable on another disk, behind the end of this file */
	bool torn;
};

static int damage(struct run *r, uint64_t to_pos, uint64_t to_offset, const char *text)
{
	struct mq_check_place at = {r->pos, to_pos - r->pos, r->offset, to_offset};
	struct mq_check_partition *part = r->part;

	if (to_offset <= r->offset)
		at.from = at.to = 0;
	mq_check_index_skip(&r->index, r->pos, to_pos);
	if (at.to > 0 && part->have_start && at.to <= part->log_start)
		return mq_check_tell(part->c, MQ_CHECK_LEFT, part->where, r->s.name, &at,
		                     mq_check_not(part->c, "it lies below the log start, and goes with its segment"), "%s", text);
	part->damaged = true;
	return mq_check_tell(part->c, MQ_CHECK_DAMAGE, part->where, r->s.name, &at,
	                     mq_check_not(part->c, "segments are never touched"), "%s", text);
}

/* The header or a mark says: durable up to pos.  A copy witnesses nothing beyond what its file holds. */
static void was_durable(struct run *r, uint64_t pos, uint64_t *promised)
{
	uint64_t *to = r->part->c->spool->copied && pos > r->f->size ? &r->original : promised;

	if (pos > *to)
		*to = pos;
}

/* The highest position of the head that was promised. */
static int witness(struct run *r, uint64_t *ret)
{
	struct mq_check_partition *part = r->part;
	uint64_t pos = 0, offset = 0, committed = 0, at = r->pos;
	struct mq_batch b;

	*ret = 0;
	was_durable(r, r->f->h.born_end_pos, ret);
	for (int m = 0; m < MQ_STATE_MARKS; m++)
		if (part->marks.seq[m] > 0 && mq_segment_id_equal(&part->marks.mark[m].segment, &r->s.h.id))
			was_durable(r, part->marks.mark[m].pos, ret);
	if (!part->c->spool->copied && mq_group_witness(part->t, part->number, &r->s.h.id, &pos, &offset, &committed) == 0 && pos > *ret)
		*ret = pos;
	while (at < r->limit) {
		int rc = mq_scan_resync(&part->scan, at + 1, r->limit, &at, part->c->err);

		if (rc > 0)
			rc = mq_scan_header(&part->scan, at, r->limit, &b, NULL);
		if (rc <= 0)
			return rc == MQ_EDAMAGE ? 0 : rc;
		if (b.durable_pos > *ret && b.durable_pos <= at)
			*ret = b.durable_pos;
		at += mq_batch_len(&b) - 1;
	}
	return 0;
}

static int torn(struct run *r)
{
	r->torn = true;
	if (mq_check_writer(r->part) == 1)
		return 0; /* somebody is writing it, or settling what is there */
	r->part->torn = true;
	mq_check_later(r->part, MQ_CHECK_TORN, r->s.name, r->pos, r->limit - r->pos, NULL,
	               "an end that nobody was promised; the next publisher passes it");
	return 0;
}

/* The batch at pos does not verify; known: its header does. */
static int bad_place(struct run *r, int rc, const struct mq_batch *b, const char *why)
{
	bool known = rc == MQ_EDAMAGE && b->stored_len > 0 && r->pos + mq_batch_len(b) <= r->limit;
	uint64_t next, promised, to = r->end.offset;
	struct mq_batch behind;

	if (r->end.open && rc != MQ_ECONFIG) {
		int told = witness(r, &promised);

		if (told < 0)
			return told;
		if (r->pos >= promised)
			return torn(r);
	}
	if (known) {
		next = r->pos + mq_batch_len(b);
		to = b->next_offset;
	} else {
		int found = mq_scan_resync(&r->part->scan, r->pos + 1, r->limit, &next, r->part->c->err);

		if (found > 0 && mq_scan_header(&r->part->scan, next, r->limit, &behind, NULL) == 1)
			to = behind.base_offset;
		if (found < 0)
			return found;
		if (found == 0)
			next = r->limit;
	}
	if (rc == MQ_ECONFIG) {
		r->part->damaged = true;
		rc = mq_check_tell(r->part->c, MQ_CHECK_NEWER, r->part->where, r->s.name, &(struct mq_check_place){r->pos, next - r->pos, 0, 0},
		                   mq_check_not(r->part->c, "it is of a newer mq"), "%s", why);
	} else {
		rc = damage(r, next, to == UINT64_MAX ? 0 : to, known ? "the body of a batch does not verify" : "no batch verifies here");
	}
	mq_check_progress(r->part->c, next - r->pos);
	r->pos = next;
	if (to != UINT64_MAX && to > r->offset)
		r->offset = to;
	return rc;
}

/* The batch at pos verifies: does it stand where it should? */
static int good_place(struct run *r, const struct mq_batch *b, const uint8_t *body)
{
	const struct mq_segment_header *h = &r->s.h;
	uint64_t end = r->pos + mq_batch_len(b), promised;
	int rc = 0;

	if (b->base_offset < r->offset && r->end.open) {
		rc = witness(r, &promised);
		if (rc < 0)
			return rc;
		if (r->pos >= promised)
			return torn(r); /* a former life of these bytes */
	}
	if (b->base_offset > r->offset)
		rc = damage(r, r->pos, b->base_offset, "offsets are missing here, and nothing tells why");
	else if (b->base_offset < r->offset)
		rc = damage(r, end, 0, "a batch stands here a second time");
	else if (r->f->header == 0 && (r->pos == h->born_end_pos ? r->offset != h->born_end_offset
	                                                         : r->pos < h->born_end_pos && end > h->born_end_pos))
		rc = damage(r, end, 0, "the header tells of another first batch here");
	if (rc == 0)
		rc = mq_check_batch(r->part, &r->s, r->pos, b, body);
	mq_check_index_batch(&r->index, r->pos, b);
	r->part->c->sums.batches++;
	r->part->c->sums.records += b->count;
	r->part->c->sums.bytes += mq_batch_len(b);
	mq_check_progress(r->part->c, mq_batch_len(b));
	r->pos = end;
	if (b->next_offset > r->offset)
		r->offset = b->next_offset;
	return rc;
}

static int batches(struct run *r)
{
	while (!r->torn && r->pos < r->limit && !(r->end.pos == UINT64_MAX && r->offset >= r->end.offset)) {
		struct mq_err why = MQ_ERR_INIT;
		struct mq_batch b;
		const uint8_t *body;
		int rc = mq_scan_batch(&r->part->scan, r->pos, r->limit, &b, &body, &why);

		if (rc == 1) {
			rc = good_place(r, &b, body);
		} else if (rc == 0 || rc == MQ_EDAMAGE || rc == MQ_ECONFIG) {
			rc = bad_place(r, rc, &b, why.text);
		} else if (rc == -ENOMEM) {
			return mq_err_set(r->part->c->err, rc, "%s", why.text);
		} else {
			rc = damage(r, r->limit, r->end.offset == UINT64_MAX ? 0 : r->end.offset, why.text);
			r->pos = r->limit;
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Bytes behind the head's tail: of a publisher that was killed, unless one is at it now. */
static int behind_tail(struct run *r)
{
	struct mq_tail now;
	uint64_t seq;

	if (r->f->size <= r->end.pos || mq_check_writer(r->part) != 0)
		return 0;
	if (mq_state_tail_read(&r->part->state, &now, &seq, NULL) == 0 && seq == r->part->tail_seq)
		mq_check_later(r->part, MQ_CHECK_TORN, r->s.name, r->end.pos, r->f->size - r->end.pos, "the next batch is written over them",
		               "bytes of a publisher that died, promised to nobody");
	return 0;
}

/* What the end says of itself. */
static int the_end(struct run *r)
{
	struct mq_check_partition *part = r->part;
	uint64_t promised;
	int rc;

	if (r->torn)
		return 0;
	if (r->end.open) {
		rc = witness(r, &promised);
		if (rc < 0)
			return rc;
		if (promised > r->pos)
			return damage(r, promised, 0, "the file ends before what was durable");
		if (r->original > 0)
			mq_check_later(part, MQ_CHECK_TORN, r->s.name, r->pos, r->original - r->pos, NULL, "the copy ends before its original did");
		part->torn |= r->original > 0;
		return 0;
	}
	if (r->end.pos != UINT64_MAX && r->f->size < r->end.pos)
		return damage(r, r->end.pos, r->end.offset, "the file ends before the segment does");
	if (r->offset != r->end.offset) {
		const char *text = r->end.tail                ? "the log ends here at another offset than state tells"
		                   : r->end.pos == UINT64_MAX ? "no file holds these offsets"
		                                              : "the segment ends at another offset than its successor tells";

		return damage(r, r->pos, r->end.offset, text);
	}
	if (r->end.tail)
		return behind_tail(r);
	if (r->f->size <= r->pos)
		return 0;
	mq_check_progress(part->c, r->f->size - r->pos);
	return mq_check_tell(part->c, MQ_CHECK_LEFT, part->where, r->s.name,
	                     &(struct mq_check_place){r->pos, r->f->size - r->pos, 0, 0},
	                     mq_check_not(part->c, "segments are never touched"), "bytes behind the segment's end");
}

int mq_check_segment(struct mq_check_partition *part, size_t i)
{
	struct run r = {.part = part, .f = &part->file[part->chain[i]], .end = mq_check_end_of(part, i)};
	bool head = i + 1 == part->n_chain;
	uint64_t start;
	int rc;

	mq_segment_init(&r.s);
	mq_check_segment_name(r.f, "seg", r.s.name);
	r.s.h = r.f->h;
	r.s.fd = mq_sys->openat(part->dir, r.s.name, O_RDONLY, 0);
	if (r.s.fd == -ENOENT && mq_start_read(part->dir, part->t->conf.id, &start, NULL) == 0 && start > r.f->base)
		return 0; /* retention was quicker */
	if (r.s.fd < 0)
		return mq_err_sys(part->c->err, r.s.fd, "%s: cannot open segment %s", part->where, r.s.name);
	r.limit = r.end.pos < r.f->size ? r.end.pos : r.f->size;
	r.pos = MQ_SEGMENT_HEADER_LEN;
	r.offset = r.f->base;
	mq_scan_reset(&part->scan, &r.s);
	mq_check_index_open(&r.index, part, r.f);
	mq_check_progress(part->c, r.pos);
	part->c->sums.segments++;
	rc = batches(&r);
	if (rc == 0)
		rc = the_end(&r);
	if (rc == 0)
		rc = mq_check_index_close(&r.index, &r.s, r.pos, head);
	if (head)
		part->end_offset = r.offset;
	mq_segment_release(&r.s);
	return rc;
}
