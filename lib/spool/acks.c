/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acknowledgements from outside: added, counted, and taken into the place.  acks_file.h says how they are stored. */
#include <errno.h>
#include <fcntl.h>

#include "spool/acks_file.h"
#include "spool/owner.h"
#include "sys/sys.h"

/* Below this it is not worth while to make the file anew, or to remove it. */
enum { ACKS_KEEP = 4096 };

static int lock_acks(struct mq_group_topic *g, uint32_t p, struct mq_err *err)
{
	return mq_group_lock(g, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + p, "acknowledgements", err);
}

static void unlock_acks(struct mq_group_topic *g, uint32_t p)
{
	mq_group_unlock(g, MQ_GROUP_ACKED_BYTE + p);
}

/* Most entries lie below the place, or count for nothing: they go.  The place must be durable before that. */
static int tidy(struct mq_ownership *o, const uint64_t *left, size_t n_left, uint64_t size, struct mq_err *err)
{
	int rc;

	if (size <= ACKS_KEEP || n_left > size / MQ_ACK_LEN / 2)
		return 0;
	rc = mq_ownership_sync(o, err);
	if (rc < 0)
		return rc;
	if (n_left == 0)
		return mq_acks_remove(&o->g, o->partition, err);
	rc = mq_acks_rewrite(&o->g, o->partition, &o->commit, left, n_left, err);
	if (rc == -ENOSPC || rc == -EDQUOT) { /* the old one holds them as well: consuming needs no space */
		if (err)
			err->code = 0, err->text[0] = 0;
		rc = 0;
	}
	return rc;
}

/* Under the lock.  1: the place would move, and what is there must be durable first. */
static int merge(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_acks a;
	uint64_t place = o->commit.offset;
	size_t i;
	int rc = mq_ownership_look(o, err);

	if (rc >= 0)
		rc = mq_acks_read(&o->g, o->partition, &o->commit, &a, err);
	if (rc < 0)
		return rc;
	for (i = 0; i < a.n && a.offset[i] == place; i++)
		place++;
	if (place > o->commit.offset && !o->slots.known)
		rc = 1;
	else if (place > o->commit.offset)
		rc = mq_ownership_commit(o, place, 0, err);
	if (rc == 0)
		rc = tidy(o, a.offset + i, a.n - i, a.size, err);
	mq_acks_release(&a);
	return rc;
}

static int lock_and_merge(struct mq_ownership *o, struct mq_err *err)
{
	int rc = lock_acks(&o->g, o->partition, err);

	if (rc < 0)
		return rc;
	rc = merge(o, err);
	unlock_acks(&o->g, o->partition);
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

int mq_acks_add(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                struct mq_err *err)
{
	int rc = lock_acks(g, p, err);

	if (rc < 0)
		return rc;
	rc = mq_acks_append(g, p, now, offsets, n, err);
	unlock_acks(g, p);
	if (rc == 0 || rc == MQ_EAGAIN) /* there may be something to tidy */
		mq_group_ring(g->dir);
	return rc;
}
