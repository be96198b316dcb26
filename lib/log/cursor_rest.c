/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cursor between two looks: asleep, or without descriptors. */
#include <errno.h>
#include <fcntl.h>

#include "log/cursor.h"
#include "log/start.h"
#include "sys/sys.h"

static void give_back(int *fd)
{
	if (*fd >= 0)
		(void)mq_sys->close(*fd);
	*fd = -1;
}

void mq_cursor_rest(struct mq_cursor *c)
{
	struct mq_segment_header h = c->seg.h; /* the place in it stays */

	mq_state_file_release(&c->state);
	mq_segment_release(&c->seg);
	c->seg.h = h;
	if (!c->given) {
		mq_scan_release(&c->scan);
		mq_scan_reset(&c->scan, &c->seg);
	}
	give_back(&c->bell);
	give_back(&c->dir);
	give_back(&c->start);
}

int mq_cursor_resume(struct mq_cursor *c, int dir, struct mq_err *err)
{
	c->dir = dir;
	c->start = mq_start_open(dir, err);
	if (c->start >= 0)
		return 0;
	int rc = c->start;
	mq_err_prefix(err, "%s", c->label);
	mq_cursor_rest(c);
	return rc;
}

int mq_cursor_arm(struct mq_cursor *c, struct mq_err *err)
{
	int rc;

	if (c->bell < 0) {
		rc = c->bell = mq_sys->openat(c->dir, "bell", O_RDONLY, 0);
		if (rc < 0)
			return mq_err_sys(err, rc, "%s: cannot open bell", c->label);
	}
	rc = mq_sys->lock(c->bell, MQ_LOCK_READ, 0, 1, false);
	if (rc < 0)
		return mq_err_sys(err, rc, "%s: cannot lock the bell", c->label);
	c->sleeping = true;
	c->looked = false;
	return 0;
}

int mq_cursor_arm_unheld(struct mq_cursor *c, int *ret_fd, struct mq_err *err)
{
	int rc;

	mq_state_file_release(&c->state); /* the one that has the name now */
	rc = mq_state_file_open(&c->state, c->dir, false, NULL);
	if (rc < 0 && rc != -ENOENT && rc != MQ_EDAMAGE)
		return mq_err_sys(err, rc, "%s: cannot open state", c->label);
	*ret_fd = c->state.fd;
	c->sleeping = true;
	c->looked = false;
	return 0;
}

bool mq_cursor_is_idle(const struct mq_cursor *c)
{
	return c->looked && c->positioned && !c->hole && c->at + 1 == c->chain.n && c->pos >= c->visible_pos;
}

void mq_cursor_heard(struct mq_cursor *c)
{
	c->looked = false;
}

void mq_cursor_disarm(struct mq_cursor *c)
{
	if (c->sleeping && c->bell >= 0)
		(void)mq_sys->lock(c->bell, MQ_LOCK_NONE, 0, 1, false);
	c->sleeping = c->looked = false;
}

bool mq_cursor_sees_invisible(const struct mq_cursor *c)
{
	return c->written_offset > c->visible_offset;
}
