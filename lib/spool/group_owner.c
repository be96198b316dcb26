/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who owns a partition: whoever holds the byte of the area that counts. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "spool/areas.h"
#include "sys/sys.h"

void mq_group_owners_name(uint32_t area, char ret[24])
{
	if (area)
		snprintf(ret, 24, "owners.%u", area);
	else
		snprintf(ret, 24, "owners");
}

int mq_group_owner_in(struct mq_group_topic *g, uint32_t area, uint32_t p, char ret_line[MQ_GROUP_OWNER_LEN], bool *ret_handler,
                      struct mq_err *err)
{
	int fd, owned = 0, handler = 0;
	char name[24];

	memset(ret_line, 0, MQ_GROUP_OWNER_LEN);
	*ret_handler = false;
	if (g->locks < 0)
		return mq_err_set(err, MQ_EDENIED, "%s: locks cannot be opened, so nobody can tell who owns what", g->label);
	owned = mq_sys->lock_test(g->locks, MQ_LOCK_WRITE, mq_group_owner_byte(area, p), 1);
	handler = mq_sys->lock_test(g->locks, MQ_LOCK_WRITE, mq_group_handler_byte(area, p), 1);
	if (handler == 0)
		handler = mq_sys->lock_test(g->locks, MQ_LOCK_WRITE, mq_group_shared_byte(area, p, 0), MQ_GROUP_SHARED_LEN);
	if (owned < 0 || handler < 0)
		return mq_err_sys(err, owned < 0 ? owned : handler, "%s: cannot ask for locks", g->label);
	*ret_handler = handler == 1;
	mq_group_owners_name(area, name);
	fd = mq_sys->openat(g->dir, name, O_RDONLY, 0);
	if (fd >= 0) {
		(void)mq_sys->pread(fd, ret_line, MQ_GROUP_OWNER_LEN - 1, (uint64_t)p * MQ_GROUP_OWNER_LEN);
		(void)mq_sys->close(fd);
	}
	return owned;
}

/* Where nobody can know which area counts: whoever has any of them. */
static int owner_in_any(struct mq_group_topic *g, uint32_t p, char ret_line[MQ_GROUP_OWNER_LEN], bool *ret_handler,
                        struct mq_err *err)
{
	int rc = 0;

	*ret_handler = false;
	for (uint32_t a = 0; a < MQ_SLOT_AREAS && rc == 0 && !*ret_handler; a++)
		rc = mq_group_owner_in(g, a, p, ret_line, ret_handler, err);
	return rc;
}

int mq_group_owner(struct mq_group_topic *g, uint32_t p, char ret_line[MQ_GROUP_OWNER_LEN], bool *ret_handler,
                   struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_group_topic_peek(g, p, &c, &which, &seq, NULL);

	return rc < 0 ? owner_in_any(g, p, ret_line, ret_handler, err) : mq_group_owner_in(g, c.area, p, ret_line, ret_handler, err);
}

/* Who shares it has a read lock, which another read lock does not meet. */
int mq_group_is_shared(struct mq_group_topic *g, uint32_t p, struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq, byte;
	int which, owned, alone, rc = mq_group_topic_peek(g, p, &c, &which, &seq, err);

	if (rc < 0 || g->locks < 0)
		return rc < 0 ? rc : 0;
	byte = mq_group_owner_byte(c.area, p);
	owned = mq_sys->lock_test(g->locks, MQ_LOCK_WRITE, byte, 1);
	alone = owned == 1 ? mq_sys->lock_test(g->locks, MQ_LOCK_READ, byte, 1) : owned;
	if (owned < 0 || alone < 0)
		return mq_err_sys(err, owned < 0 ? owned : alone, "%s: cannot ask for locks", g->label);
	return owned && !alone;
}
