/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An owner's place: written, synced, and kept when the file cannot be synced. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "spool/offsets.h"
#include "spool/owner.h"
#include "sys/sys.h"

static int open_state(struct mq_ownership *o)
{
	int rc, dir = mq_partition_dir(o->g->topic, o->partition, NULL);

	if (dir < 0)
		return dir;
	rc = mq_state_file_open(&o->state, dir, false, NULL);
	(void)mq_sys->close(dir);
	return rc;
}

/* The log's durable mark as it stands: written beside the offset, it witnesses what was promised. */
static int read_mark(struct mq_ownership *o, struct mq_commit *c, struct mq_err *err)
{
	struct mq_tail t;
	uint64_t seq = 0, pos, offset;
	int rc = 0;

	if (o->state.fd < 0)
		rc = open_state(o);
	if (rc == 0)
		rc = mq_state_tail_read(&o->state, &t, &seq, NULL);
	if (rc < 0 || seq == 0)
		return 0; /* no state, no witness: the commit holds without */
	rc = mq_state_durable(&o->state, MQ_STATE_MARKS, &t.segment, &pos, &offset, NULL, err);
	if (rc == 0 && pos > 0) {
		c->mark_segment = t.segment;
		c->mark_pos = pos;
		c->mark_offset = offset;
	}
	return rc;
}

/* The pair in a file of which all is durable. */
static void take_synced(struct mq_ownership *o, int which, uint64_t seq)
{
	mq_slots_take(&o->slots, o->g->offsets, o->partition * 2, which < -1 ? -2 - which : which, seq);
	o->slots.known = true;
	o->slots.dirty = false;
	o->offsets_no = o->g->offsets_no;
}

/* The file may have been replaced: 1, go on in the new one, where the place may be an older one of ours.  A higher seek
 * count there: this owner has been passed over. */
static int follow(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	int which, rc;

	rc = o->passed_over ? 1 : mq_offsets_follow(o->g, err);
	if (rc == 0 && o->offsets_no != o->g->offsets_no)
		rc = 1; /* another owner has followed already */
	if (rc == 1 && !o->passed_over) {
		rc = mq_group_topic_read(o->g, o->partition, &c, &which, &seq, err);
		if (rc < 0)
			return rc;
		o->passed_over = c.seeks > o->commit.seeks || c.generation > o->commit.generation;
		take_synced(o, which, seq);
		rc = 1;
	}
	if (o->passed_over)
		return mq_err_set(err, MQ_EAGAIN, "%s: the place in partition %u was set by hand meanwhile (mq-group seek --force): run again",
		                  o->g->label, o->partition);
	return rc;
}

/* Another owner's write or sync through the same descriptor failed, and the file was not replaced: what this one wrote may be
 * lost with it, and its own sync would not be told. */
static int share_failure(struct mq_ownership *o, struct mq_err *err)
{
	if (!o->g->offsets_failed || o->slots.failed)
		return 0;
	o->slots.failed = true;
	return mq_err_set(err, -EIO, "%s: a sync of offsets failed before", o->g->label);
}

static int write_slot(struct mq_ownership *o, const struct mq_commit *c, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_LEN];
	uint32_t block;
	uint64_t seq;
	int rc = mq_slots_prepare(&o->slots, &block, &seq, o->g->label, err);

	if (rc < 0)
		return rc;
	mq_commit_encode(c, seq, block, raw);
	rc = mq_slots_write(&o->slots, block, seq, raw, o->g->label, err);
	if (rc == 0)
		o->commit = *c;
	return rc;
}

static int replace_locked(struct mq_ownership *o, const struct mq_commit *c, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_LEN];
	int latest = o->slots.latest < 0 ? 0 : o->slots.latest;
	uint64_t seq = o->slots.seq + 1;
	int rc = follow(o, err);

	if (rc < 0)
		return rc;
	if (rc == 1) { /* somebody else was quicker */
		rc = write_slot(o, c, err);
		return rc < 0 ? rc : mq_slots_sync(&o->slots, o->g->label, err);
	}
	mq_commit_encode(c, seq, o->partition * 2 + (uint32_t)latest, raw);
	rc = mq_offsets_replace(o->g, o->partition * 2 + (uint32_t)latest, raw, err);
	if (rc < 0)
		return rc;
	o->commit = *c;
	take_synced(o, latest, seq);
	return 0;
}

/* A write or sync failed, as *err says: the file is replaced, with this place in it.  Where that fails too the reason of
 * the first stands, and the next owner does it. */
static int replace(struct mq_ownership *o, const struct mq_commit *c, struct mq_err *err)
{
	struct mq_spool *s = o->g->topic->spool;
	struct mq_err why = MQ_ERR_INIT;
	char told[MQ_ERR_TEXT_MAX + 64];
	int rc, first = err->code;

	o->g->offsets_failed = true;
	mq_offsets_note_failed(o->g);
	rc = mq_offsets_lock(o->g, true, &why);
	if (rc < 0)
		return first;
	rc = replace_locked(o, c, &why);
	mq_offsets_unlock(o->g);
	if (rc < 0) {
		o->slots.failed = true;
		return o->passed_over ? mq_err_set(err, rc, "%s", why.text) : first;
	}
	snprintf(told, sizeof told, "%s; the file was replaced, and nothing is lost", err->text);
	if (s->notice)
		s->notice(s->notice_arg, told);
	*err = (struct mq_err)MQ_ERR_INIT;
	return 0;
}

/* A former owner died at its work, perhaps with the news of a failed sync: the same bytes once more, so that the sync has
 * something to do. */
static int write_again(struct mq_ownership *o, struct mq_err *err)
{
	uint64_t at = (uint64_t)(o->slots.block + (uint32_t)o->slots.latest) * MQ_SLOT_BLOCK;
	uint8_t raw[MQ_SLOT_LEN];
	ssize_t n = mq_sys->pread(o->g->offsets, raw, sizeof raw, at);

	if (n == MQ_SLOT_LEN)
		n = mq_sys->pwrite(o->g->offsets, raw, sizeof raw, at);
	return n == MQ_SLOT_LEN ? 0 : mq_err_sys(err, n < 0 ? (int)n : -EIO, "%s: cannot write offsets", o->g->label);
}

static int sync_locked(struct mq_ownership *o, struct mq_err *err)
{
	int rc = follow(o, err);

	if (rc == 0)
		rc = share_failure(o, err);
	if (rc == 1)
		rc = write_slot(o, &o->commit, err);
	else if (rc == 0 && !o->slots.known && o->slots.latest >= 0 && o->died_before)
		rc = write_again(o, err);
	return rc < 0 ? rc : mq_slots_sync(&o->slots, o->g->label, err);
}

int mq_ownership_sync(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	bool sound = !o->slots.failed;
	int rc;

	if (sound && !o->slots.dirty && o->slots.known)
		return 0;
	rc = mq_offsets_lock(o->g, false, &why);
	if (rc == 0) {
		rc = sync_locked(o, &why);
		mq_offsets_unlock(o->g);
		if (rc < 0 && sound && o->slots.failed)
			rc = replace(o, &o->commit, &why);
	}
	return rc < 0 ? mq_err_set(err, rc, "%s", why.text) : 0;
}

/* Written, not synced. */
static int write_commit(struct mq_ownership *o, struct mq_commit *c, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	bool sound = !o->slots.failed;
	int rc = follow(o, &why);

	if (rc >= 0 && !o->slots.known)
		rc = mq_ownership_sync(o, &why);
	if (rc >= 0) {
		c->time_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
		rc = share_failure(o, &why);
		if (rc == 0)
			rc = write_slot(o, c, &why);
		if (rc < 0 && sound && o->slots.failed)
			rc = replace(o, c, &why);
	}
	return rc < 0 ? mq_err_set(err, rc, "%s", why.text) : 0;
}

int mq_ownership_begin(struct mq_ownership *o, uint64_t start_offset, struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_group_topic_read(o->g, o->partition, &c, &which, &seq, err);

	if (rc < 0)
		return rc;
	mq_slots_take(&o->slots, o->g->offsets, o->partition * 2, which < -1 ? -2 - which : which, seq);
	o->offsets_no = o->g->offsets_no;
	if (which >= 0)
		o->commit = c;
	if (o->g->offsets_failed || mq_offsets_failed(o->g)) {
		struct mq_err why = MQ_ERR_INIT;

		mq_err_set(&why, -EIO, "%s: a sync of offsets failed before", o->g->label);
		if (which < 0) {
			memcpy(c.topic_id, o->g->topic->conf.id, 16);
			c.offset = start_offset;
		}
		rc = replace(o, &c, &why);
		return rc < 0 ? mq_err_set(err, rc, "%s, and it cannot be replaced", why.text) : 0;
	}
	if (which >= 0)
		return 0;
	memcpy(c.topic_id, o->g->topic->conf.id, 16);
	c.offset = start_offset;
	rc = write_commit(o, &c, err);
	return rc < 0 ? rc : mq_ownership_sync(o, err);
}

int mq_ownership_look(struct mq_ownership *o, struct mq_err *err)
{
	int rc = follow(o, err);

	return rc == 1 ? write_slot(o, &o->commit, err) : rc;
}

int mq_ownership_commit(struct mq_ownership *o, uint64_t offset, uint64_t lost_more, struct mq_err *err)
{
	struct mq_commit c = o->commit;
	int rc;

	c.offset = offset;
	c.lost += lost_more;
	rc = read_mark(o, &c, err);
	return rc < 0 ? rc : write_commit(o, &c, err);
}

int mq_ownership_seek(struct mq_ownership *o, uint64_t offset, struct mq_err *err)
{
	struct mq_commit c = o->commit;
	int rc;

	c.offset = offset;
	c.seeks++;
	rc = write_commit(o, &c, err);
	return rc < 0 ? rc : mq_ownership_sync(o, err);
}
