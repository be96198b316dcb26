/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lock of an id, from look to mark. */
#include <errno.h>

#include "spool/once.h"

#define LOW_40_BITS ((UINT64_C(1) << 40) - 1)

uint64_t mq_once_ids_key(const struct mq_once_ids *o, const void *id, size_t len)
{
	return mq_once_ids_hash(o, id, len) & LOW_40_BITS;
}

static uint64_t byte_of(uint64_t key)
{
	return MQ_GROUP_ONCE_BYTE + key;
}

static uint64_t handler_byte_of(uint64_t key)
{
	return MQ_GROUP_ONCE_HANDLER_BYTE + key;
}

int mq_once_ids_try(struct mq_once_ids *o, uint64_t key, struct mq_err *err)
{
	int rc = mq_group_try_byte(o->group.locks, byte_of(key));

	if (rc == -EAGAIN)
		return 0;
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot lock an id", o->group.label) : 1;
}

static int is_handled(struct mq_once_ids *o, uint64_t key, uint64_t n, struct mq_err *err)
{
	int rc = mq_sys->lock_test(o->group.locks, MQ_LOCK_WRITE, handler_byte_of(key), n);

	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot look for handlers of an id", o->group.label) : rc;
}

/* Only who holds the id's byte starts a handler of it: once it is ours, those of a killed member only become fewer.  Where no
 * handler of anybody lives one call tells of all. */
int mq_once_ids_handled(struct mq_once_ids *o, const uint64_t *keys, size_t n, struct mq_err *err)
{
	int rc = n > 1 ? is_handled(o, 0, LOW_40_BITS + 1, err) : 1;

	if (rc <= 0)
		return rc;
	rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = is_handled(o, keys[i], 1, err);
	return rc;
}

int mq_once_ids_lock(struct mq_once_ids *o, uint64_t key, struct mq_err *err)
{
	int rc = mq_once_ids_try(o, key, err);

	if (rc <= 0)
		return rc;
	rc = is_handled(o, key, 1, err);
	if (rc != 0)
		mq_once_ids_unlock(o, key);
	return rc < 0 ? rc : !rc;
}

void mq_once_ids_unlock(struct mq_once_ids *o, uint64_t key)
{
	(void)mq_sys->lock(o->group.locks, MQ_LOCK_NONE, byte_of(key), 1, false);
}

void mq_once_ids_unlock_all(struct mq_once_ids *o)
{
	(void)mq_sys->lock(o->group.locks, MQ_LOCK_NONE, byte_of(0), LOW_40_BITS + 1, false);
}

void mq_once_ids_ring(struct mq_once_ids *o)
{
	if (mq_sys->lock_test(o->group.locks, MQ_LOCK_WRITE, MQ_GROUP_ONCE_WAITS_BYTE, 1) != 0)
		mq_group_ring(o->group.dir);
}

int mq_once_ids_await(struct mq_once_ids *o, bool on, struct mq_err *err)
{
	int rc = mq_sys->lock(o->group.locks, on ? MQ_LOCK_READ : MQ_LOCK_NONE, MQ_GROUP_ONCE_WAITS_BYTE, 1, false);

	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot say that an id is waited for", o->group.label) : 0;
}

int mq_once_ids_handler(struct mq_once_ids *o, int fd, uint64_t key, bool on, struct mq_err *err)
{
	int rc = mq_sys->lock(fd, on ? MQ_LOCK_READ : MQ_LOCK_NONE, handler_byte_of(key), 1, false);

	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot lock an id for its handler", o->group.label) : 0;
}
