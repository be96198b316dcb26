/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acknowledgements from outside: added, counted, and taken into the place.  acks_file.h says how they are stored. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "spool/acks_file.h"
#include "spool/areas.h"
#include "spool/offsets.h"
#include "spool/owner.h"
#include "sys/sys.h"

static int lock_acks(struct mq_group_topic *g, uint32_t p, struct mq_err *err)
{
	return mq_group_lock(g, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + p, "acknowledgements", err);
}

static void unlock_acks(struct mq_group_topic *g, uint32_t p)
{
	mq_group_unlock(g, MQ_GROUP_ACKED_BYTE + p);
}

/* The room's entries that the place has passed are free again.  The place must be durable before that. */
static int clear_room(struct mq_ownership *o, uint64_t size, struct mq_err *err)
{
	struct mq_acks_room r;
	int rc, fd = mq_acks_open(o->g, o->partition);

	rc = fd < 0 ? fd : mq_acks_room_read(&r, fd, size);
	if (rc == 0 && mq_acks_room_clear(&r, &o->commit) >= MQ_ACKS_KEPT) {
		rc = mq_ownership_sync(o, err);
		if (rc == 0)
			rc = mq_acks_room_write(&r, fd);
	}
	if (fd >= 0)
		(void)mq_sys->close(fd);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot write acked.%u", o->g->label, o->partition) : 0;
}

/* More than the room holds, and most of it lies below the place, or counts for nothing: the file is made anew. */
static int tidy(struct mq_ownership *o, const uint64_t *left, size_t n_left, const struct mq_acks *a, struct mq_err *err)
{
	int rc = -ENOSPC;

	if (a->size > MQ_ACKS_ROOM && n_left <= a->size / MQ_ACK_LEN / 2) {
		rc = mq_ownership_sync(o, err);
		if (rc == 0)
			rc = mq_acks_rewrite(o->g, o->partition, &o->commit, left, n_left, err);
		if (rc == -ENOSPC || rc == -EDQUOT) { /* the old one holds them as well: consuming needs no space */
			if (err)
				err->code = 0, err->text[0] = 0;
			rc = -ENOSPC;
		}
	}
	return rc == -ENOSPC && a->used >= MQ_ACKS_SLOTS - MQ_ACKS_KEPT ? clear_room(o, a->size, err) : rc == -ENOSPC ? 0 : rc;
}

/* So that there is room when the disk is full: what fails here, whoever acknowledges is told. */
static void make_room(struct mq_ownership *o)
{
	int fd = mq_acks_open(o->g, o->partition);

	if (fd >= 0)
		(void)mq_sys->close(fd);
}

/* Under the lock.  1: the place would move, and what is there must be durable first. */
static int merge(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_acks a;
	uint64_t place = o->commit.offset;
	size_t i;
	int rc = mq_ownership_look(o, err);

	if (rc >= 0)
		rc = mq_acks_read(o->g, o->partition, &o->commit, &a, err);
	if (rc < 0)
		return rc;
	for (i = 0; i < a.n && a.offset[i] == place; i++)
		place++;
	if (place > o->commit.offset && !o->slots.known)
		rc = 1;
	else if (place > o->commit.offset)
		rc = mq_ownership_commit(o, place, 0, err);
	if (rc == 0)
		rc = tidy(o, a.offset + i, a.n - i, &a, err);
	if (a.size == 0)
		make_room(o);
	mq_acks_release(&a);
	return rc;
}

static int lock_and_merge(struct mq_ownership *o, struct mq_err *err)
{
	int rc = lock_acks(o->g, o->partition, err);

	if (rc < 0)
		return rc;
	rc = merge(o, err);
	unlock_acks(o->g, o->partition);
	return rc;
}

/* The sync that comes before a first commit may wait for a lock: not with this one in hand, nor with signals held off. */
int mq_acks_merge(struct mq_ownership *o, struct mq_err *err)
{
	int rc = lock_and_merge(o, err);

	if (rc != 1)
		return rc;
	rc = mq_ownership_sync(o, err);
	return rc < 0 ? rc : lock_and_merge(o, err);
}

int mq_acks_count(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, uint64_t *ret, struct mq_err *err)
{
	struct mq_acks a;
	int rc = mq_acks_read(g, p, now, &a, err);

	if (rc < 0)
		return rc;
	*ret = a.n;
	mq_acks_release(&a);
	return 0;
}

void mq_group_ring(int dir)
{
	int fd = mq_sys->openat(dir, "bell", O_WRONLY, 0);

	if (fd < 0)
		return; /* the owner's poll covers it */
	(void)mq_sys->pwrite(fd, "", 1, 0);
	(void)mq_sys->close(fd);
}

/* Under the lock, under which owners are evicted: is `was` what still counts?  Then *ret is the place as it is now. */
static int still_counts(struct mq_group_topic *g, uint32_t p, const struct mq_commit *was, struct mq_commit *ret, struct mq_err *err)
{
	uint64_t seq;
	int which, rc = mq_offsets_follow(g, err);

	if (rc >= 0)
		rc = mq_group_topic_peek(g, p, ret, &which, &seq, err);
	if (rc < 0)
		return rc;
	if (ret->generation == was->generation && ret->seeks == was->seeks && memcmp(ret->topic_id, was->topic_id, 16) == 0)
		return 0;
	return mq_err_set(err, MQ_EDENIED, "%s: the owner of partition %u was evicted, or its place set by hand, meanwhile: not taken",
	                  g->label, p);
}

int mq_acks_add(struct mq_group_topic *g, uint32_t p, const struct mq_commit *was, const uint64_t *offsets, size_t n,
                size_t *ret_done, struct mq_err *err)
{
	struct mq_commit now;
	int rc = lock_acks(g, p, err);

	*ret_done = 0;
	if (rc < 0)
		return rc;
	rc = still_counts(g, p, was, &now, err);
	if (rc == 0)
		rc = mq_acks_append(g, p, &now, offsets, n, ret_done, err);
	unlock_acks(g, p);
	if (rc == 0 || rc == MQ_EAGAIN || rc == -ENOSPC || rc == -EDQUOT) /* there may be something to tidy */
		mq_group_ring(g->dir);
	return rc;
}
