/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An owner's place: written, synced, and kept when the file cannot be synced. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log/start.h"
#include "spool/areas.h"
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

static void take_slots(struct mq_ownership *o, int which, uint64_t seq)
{
	mq_slots_take(&o->slots, o->g->offsets, mq_slot_number(o->partition * 2, o->area), which < -1 ? -2 - which : which, seq);
	o->offsets_no = o->g->offsets_no;
}

/* The pair in a file of which all is durable. */
static void take_synced(struct mq_ownership *o, int which, uint64_t seq)
{
	take_slots(o, which, seq);
	o->slots.known = true;
	o->slots.dirty = false;
}

static int tell_passed_over(const struct mq_ownership *o, struct mq_err *err)
{
	if (o->evicted)
		return mq_err_set(err, MQ_EAGAIN, "%s: this member was evicted from partition %u (mq-group evict): what it had in hand may be handled again",
		                  o->g->label, o->partition);
	return mq_err_set(err, MQ_EAGAIN, "%s: the place in partition %u was set by hand meanwhile (mq-group seek --force): run again",
	                  o->g->label, o->partition);
}

/* The file may have been replaced: 1, go on in the new one, where the place may be an older one of ours.  Another generation or
 * a higher seek count there: this owner has been passed over. */
static int follow(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	int which, rc, replaced;

	if (o->passed_over)
		return tell_passed_over(o, err);
	replaced = mq_offsets_follow(o->g, err);
	if (replaced < 0)
		return replaced;
	rc = mq_group_topic_peek(o->g, o->partition, &c, &which, &seq, err);
	if (rc < 0)
		return rc;
	o->passed_over = c.generation != o->generation || c.area != o->area || c.seeks != o->commit.seeks;
	o->evicted = o->passed_over && c.seeks == o->commit.seeks;
	if (o->passed_over)
		return tell_passed_over(o, err);
	if (o->offsets_no == o->g->offsets_no) /* else another owner has followed, perhaps */
		return 0;
	take_synced(o, which, seq);
	return 1;
}

/* Whoever evicts reads the place under this lock before he writes it elsewhere.  So what was written before, when then nobody holds
 * it and the generation is still ours, is in the place of all who come. */
static int fence(struct mq_ownership *o, struct mq_err *err)
{
	uint64_t byte = MQ_GROUP_ACKED_BYTE + o->partition;
	int rc = mq_sys->lock_test(o->g->locks, MQ_LOCK_READ, byte, 1);

	if (rc == 1) {
		rc = mq_group_lock(o->g, MQ_LOCK_READ, byte, "acknowledgements", err);
		if (rc == 0)
			mq_group_unlock(o->g, byte);
	} else if (rc < 0) {
		return mq_err_sys(err, rc, "%s: cannot ask for locks", o->g->label);
	}
	return rc < 0 ? rc : mq_ownership_look(o, err);
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
	assert(c->generation == o->generation);
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
	uint32_t slot;
	uint64_t seq = o->slots.seq + 1;
	int rc = follow(o, err);

	if (rc < 0)
		return rc;
	if (rc == 1) { /* somebody else was quicker */
		rc = write_slot(o, c, err);
		return rc < 0 ? rc : mq_slots_sync(&o->slots, o->g->label, err);
	}
	slot = mq_slot_number(o->partition * 2 + (uint32_t)latest, o->area);
	mq_commit_encode(c, seq, slot, raw);
	rc = mq_offsets_replace(o->g, slot, raw, false, err);
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
	uint64_t at = mq_slot_at(o->slots.block + (uint32_t)o->slots.latest);
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

static int sync_place(struct mq_ownership *o, struct mq_err *err)
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

int mq_ownership_sync(struct mq_ownership *o, struct mq_err *err)
{
	int rc = sync_place(o, err);

	return rc < 0 ? rc : fence(o, err);
}

/* Written, not synced. */
static int write_commit(struct mq_ownership *o, struct mq_commit *c, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	bool sound = !o->slots.failed;
	int rc = follow(o, &why);

	if (rc >= 0 && !o->slots.known)
		rc = sync_place(o, &why);
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

/* Whoever evicted the owner before may have died before it was durable: this generation must not come again. */
static int settle(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_areas areas;
	int rc = o->generation == 0 ? 0 : mq_group_topic_areas(o->g, o->partition, &areas, err);

	return rc < 0 || o->generation == 0 || areas.area[o->area].whole ? rc : mq_ownership_sync(o, err);
}

/* Where the log starts, while retention waits: it raises that under the topic's lock, when it has seen all groups' places.  -1: who
 * may not lock the topic goes by what he has seen. */
static int hold_start(const struct mq_ownership *o, uint64_t *at_least, struct mq_err *err)
{
	struct mq_topic t;
	uint64_t start = 0;
	int dir = -1, lock, rc = mq_topic_open(&t, o->g->topic->spool, o->g->topic->name, err);

	if (rc < 0)
		return rc;
	rc = lock = mq_topic_hold(&t, true, err);
	if (rc >= 0)
		rc = dir = mq_partition_dir(&t, o->partition, err);
	if (rc >= 0)
		rc = mq_start_read(dir, t.conf.id, &start, err);
	if (dir >= 0)
		(void)mq_sys->close(dir);
	mq_topic_release(&t);
	if (rc == 0 && *at_least < start)
		*at_least = start;
	if (rc < 0 && lock >= 0)
		(void)mq_sys->close(lock);
	if (rc != -EACCES && rc != -EPERM && rc != -EROFS)
		return rc < 0 ? rc : lock;
	if (err)
		*err = (struct mq_err)MQ_ERR_INIT;
	return -1;
}

/* The group's first place. */
static int register_at(struct mq_ownership *o, struct mq_commit *c, struct mq_err *err)
{
	int lock = hold_start(o, &c->offset, err), rc = lock < -1 ? lock : 0;

	if (rc == 0)
		rc = mq_group_topic_widen(o->g, err);
	if (rc == 0)
		rc = write_commit(o, c, err);
	if (rc == 0)
		rc = mq_ownership_sync(o, err);
	if (lock >= 0)
		(void)mq_sys->close(lock);
	return rc;
}

int mq_ownership_begin(struct mq_ownership *o, uint64_t start_offset, struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_group_topic_read(o->g, o->partition, &c, &which, &seq, err);

	if (rc < 0)
		return rc;
	if (c.generation != o->generation || c.area != o->area)
		return -ESTALE;
	take_slots(o, which, seq);
	if (which >= 0) {
		o->commit = c;
	} else {
		memcpy(c.topic_id, o->g->topic->conf.id, 16);
		c.offset = start_offset;
		c.began = mq_topic_conf_generation(&o->g->topic->conf);
	}
	if (o->g->offsets_failed || mq_offsets_failed(o->g)) {
		struct mq_err why = MQ_ERR_INIT;

		mq_err_set(&why, -EIO, "%s: a sync of offsets failed before", o->g->label);
		rc = replace(o, &c, &why);
		return rc < 0 ? mq_err_set(err, rc, "%s, and it cannot be replaced", why.text) : 0;
	}
	if (which >= 0)
		return settle(o, err);
	return register_at(o, &c, err);
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
	c.expired += o->expired_more;
	rc = read_mark(o, &c, err);
	if (rc >= 0)
		rc = write_commit(o, &c, err);
	if (rc >= 0)
		o->expired_more = 0;
	return rc;
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
