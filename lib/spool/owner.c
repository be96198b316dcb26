/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "spool/dirs.h"
#include "sys/sys.h"

static int64_t now_us(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
}

static int take_byte(int fd, uint64_t byte)
{
	int rc;

	do
		rc = mq_sys->lock(fd, MQ_LOCK_WRITE, byte, 1, false);
	while (rc == -EINTR);
	return rc == -EACCES ? -EAGAIN : rc;
}

/* This process in one line, for people: the pid as it sees itself. */
static void write_owner(struct mq_ownership *o, const struct mq_membership *m)
{
	char line[MQ_GROUP_OWNER_LEN] = {0};
	int fd = mq_sys->openat(o->g.dir, "owners", O_WRONLY, 0);

	if (fd < 0)
		return; /* shown as unknown */
	snprintf(line, sizeof line, "%lld %s\n", (long long)mq_sys->pid(), m ? m->name : "-");
	(void)mq_sys->pwrite(fd, line, sizeof line, (uint64_t)o->partition * MQ_GROUP_OWNER_LEN);
	(void)mq_sys->close(fd);
}

static int write_commit(struct mq_ownership *o, struct mq_commit *c, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_LEN];
	uint32_t block;
	uint64_t seq;
	int rc = mq_slots_prepare(&o->slots, &block, &seq, o->g.label, err);

	if (rc < 0)
		return rc;
	c->time_us = now_us();
	mq_commit_encode(c, seq, block, raw);
	rc = mq_slots_write(&o->slots, block, seq, raw, o->g.label, err);
	if (rc == 0)
		o->commit = *c;
	return rc;
}

/* The log's durable mark as it stands: written beside the offset, it witnesses what was promised. */
static int read_mark(struct mq_ownership *o, struct mq_commit *c, struct mq_err *err)
{
	struct mq_tail t;
	uint64_t seq = 0, pos, offset;
	int rc = 0;

	if (o->state.fd < 0)
		rc = mq_state_file_open(&o->state, o->partition_dir, false, NULL);
	if (rc == 0)
		rc = mq_state_tail_read(&o->state, &t, &seq, err);
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

static int read_place(struct mq_ownership *o, uint64_t start_offset, struct mq_err *err)
{
	struct mq_topic *t = o->g.topic;
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_group_topic_read(&o->g, o->partition, &c, &which, &seq, err);

	if (rc < 0)
		return rc;
	mq_slots_take(&o->slots, o->g.offsets, o->partition * 2, which < -1 ? -2 - which : which, seq);
	if (which >= 0) {
		o->commit = c;
		return 0;
	}
	memcpy(c.topic_id, t->conf.id, 16);
	c.offset = start_offset;
	rc = write_commit(o, &c, err);
	return rc < 0 ? rc : mq_slots_sync(&o->slots, o->g.label, err);
}

static void init(struct mq_ownership *o, uint32_t p)
{
	memset(o, 0, sizeof *o);
	o->g.dir = o->g.locks = o->g.offsets = -1;
	o->partition = p;
	o->partition_dir = o->bell = -1;
	mq_state_file_init(&o->state);
}

int mq_ownership_take(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, uint32_t p,
                      uint64_t start_offset, struct mq_err *err)
{
	int rc;

	init(o, p);
	rc = mq_group_topic_open(&o->g, t, m->group, true, err);
	if (rc < 0)
		return rc;
	rc = take_byte(o->g.locks, p);
	/* Only the owner starts handlers: once the byte is ours, those of a killed one only become fewer. */
	if (rc == 0)
		rc = mq_sys->lock_test(o->g.locks, MQ_LOCK_WRITE, MQ_GROUP_HANDLER_BYTE + p, 1);
	if (rc == -EAGAIN || rc == 1) {
		mq_ownership_release(o);
		return 0;
	}
	if (rc < 0) {
		mq_err_sys(err, rc, "%s: cannot lock partition %u", o->g.label, p);
		goto fail;
	}
	rc = o->partition_dir = mq_partition_dir(t, p, err);
	if (rc >= 0)
		rc = read_place(o, start_offset, err);
	if (rc < 0)
		goto fail;
	write_owner(o, m);
	return 1;
fail:
	mq_ownership_release(o);
	return rc;
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
	return rc < 0 ? rc : mq_slots_sync(&o->slots, o->g.label, err);
}

int mq_ownership_sync(struct mq_ownership *o, struct mq_err *err)
{
	return mq_slots_sync(&o->slots, o->g.label, err);
}

void mq_ownership_release(struct mq_ownership *o)
{
	const int fds[] = {o->partition_dir, o->bell};

	for (size_t i = 0; i < 2; i++)
		if (fds[i] >= 0)
			(void)mq_sys->close(fds[i]);
	mq_state_file_release(&o->state);
	mq_group_topic_release(&o->g);
	init(o, o->partition);
}

int mq_ownership_handler_fd(struct mq_ownership *o, struct mq_err *err)
{
	int fd = mq_sys->openat(o->g.dir, "locks", O_RDWR, 0), rc;

	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open locks", o->g.label);
	rc = mq_sys->lock(fd, MQ_LOCK_READ, MQ_GROUP_HANDLER_BYTE + o->partition, 1, false);
	if (rc < 0) {
		(void)mq_sys->close(fd);
		return mq_err_sys(err, rc, "%s: cannot lock partition %u for its handler", o->g.label, o->partition);
	}
	return fd;
}

void mq_ownership_token(const struct mq_commit *c, char ret[40])
{
	snprintf(ret, 40, "%02x%02x%02x%02x%02x%02x.%u.%u", c->topic_id[0], c->topic_id[1], c->topic_id[2], c->topic_id[3],
	         c->topic_id[4], c->topic_id[5], c->generation, c->seeks);
}

/* ---- membership ---- */
int mq_membership_join(struct mq_membership *m, struct mq_spool *s, const char *group, struct mq_err *err)
{
	char tmp[40];
	int g, rc;

	memset(m, 0, sizeof *m);
	m->spool = s;
	m->file = m->dir = -1;
	snprintf(m->group, sizeof m->group, "%s", group);
	if (s->groups < 0)
		return mq_groups_closed(s, err);
	rc = mq_name_check(group, "group", err);
	if (rc < 0)
		return rc;
	g = mq_dir_make(s->groups, group, s->dir_mode, err);
	if (g < 0) {
		mq_err_prefix(err, "groups");
		return g;
	}
	m->dir = mq_dir_make(g, "members", s->dir_mode, err);
	(void)mq_sys->close(g);
	if (m->dir < 0) {
		mq_err_prefix(err, "groups/%s", group);
		return m->dir;
	}
	rc = mq_random_name("", m->name, err);
	if (rc == 0) {
		snprintf(tmp, sizeof tmp, ".%s", m->name);
		m->file = mq_sys->openat(m->dir, tmp, O_RDWR | O_CREAT | O_EXCL, s->file_mode);
		rc = m->file < 0 ? m->file : take_byte(m->file, 0);
		/* Locked before it has its name: nobody ever sees a member that is not alive yet. */
		if (rc == 0)
			rc = mq_sys->renameat(m->dir, tmp, m->dir, m->name, false);
		if (rc < 0)
			mq_err_sys(err, rc, "group %s: cannot join", group);
	}
	if (rc < 0)
		mq_membership_leave(m);
	return rc < 0 ? rc : 0;
}

void mq_membership_leave(struct mq_membership *m)
{
	if (m->file >= 0) {
		(void)mq_sys->unlinkat(m->dir, m->name, false); /* one that stays is seen to be unlocked */
		(void)mq_sys->close(m->file);
	}
	if (m->dir >= 0)
		(void)mq_sys->close(m->dir);
	m->file = m->dir = -1;
}
