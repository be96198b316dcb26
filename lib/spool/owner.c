/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "spool/dirs.h"
#include "sys/sys.h"

/* A line of text for people; none: who was here has let go. */
static void write_owner(struct mq_ownership *o, const char *text)
{
	char line[MQ_GROUP_OWNER_LEN] = {0}, before = 'x';
	uint64_t at = (uint64_t)o->partition * MQ_GROUP_OWNER_LEN;
	int fd = mq_sys->openat(o->g->dir, "owners", O_RDWR, 0);

	if (fd >= 0 && *text && mq_sys->pread(fd, &before, 1, at) == 0)
		before = 0; /* of a partition that came later */
	if (*text)
		o->died_before = before != 0;
	if (fd < 0)
		return; /* shown as unknown */
	snprintf(line, sizeof line, "%s", text);
	(void)mq_sys->pwrite(fd, line, sizeof line, at);
	(void)mq_sys->close(fd);
}

static void init(struct mq_ownership *o, uint32_t p)
{
	memset(o, 0, sizeof *o);
	o->partition = p;
	mq_state_file_init(&o->state);
}

/* ---- what a member's owners in a topic share ---- */
static void take_share(struct mq_ownership *o, struct mq_group_share *s)
{
	s->owners++;
	o->share = s;
	o->g = &s->g;
}

static void drop_share(struct mq_ownership *o)
{
	struct mq_group_share *s = o->share, **at;

	o->share = NULL;
	o->g = NULL;
	if (!s || --s->owners > 0)
		return;
	for (at = &s->m->shares; *at != s;)
		at = &(*at)->next;
	*at = s->next;
	if (s->bell >= 0)
		(void)mq_sys->close(s->bell);
	mq_group_topic_release(&s->g);
	free(s);
}

static int find_share(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, struct mq_err *err)
{
	struct mq_group_share *s;
	int rc;

	for (s = m->shares; s; s = s->next)
		if (s->g.topic == t && !s->gone) {
			take_share(o, s);
			return 0;
		}
	s = calloc(1, sizeof *s);
	if (!s)
		return mq_err_set(err, -ENOMEM, "no memory");
	rc = mq_group_topic_open(&s->g, t, m->group, !m->makes_none, err);
	if (rc < 0) {
		free(s);
		return rc;
	}
	s->m = m;
	s->bell = -1;
	s->next = m->shares;
	m->shares = s;
	take_share(o, s);
	return 0;
}

int mq_ownership_bell(struct mq_ownership *o)
{
	if (o->share->bell < 0)
		o->share->bell = mq_sys->openat(o->g->dir, "bell", O_RDONLY, 0);
	return o->share->bell;
}

/* The bytes are ours; but do the files still have their names?  A group that is deleted goes with its locks held. */
static int still_named(struct mq_ownership *o, struct mq_err *err)
{
	const struct mq_topic *t = o->g->topic;
	char path[2 * MQ_NAME_MAX + 16];
	struct mq_stat locks, offsets, dir, named;
	int rc = mq_sys->stat(o->g->locks, &locks);

	if (rc == 0)
		rc = mq_sys->stat(o->g->offsets, &offsets);
	if (rc == 0)
		rc = mq_sys->stat(o->g->dir, &dir);
	snprintf(path, sizeof path, "%s/topics/%s", o->g->group, t->name);
	if (rc == 0)
		rc = mq_sys->statat(t->spool->groups, path, &named);
	if (rc < 0 && rc != -ENOENT)
		return mq_err_sys(err, rc, "%s: cannot look at its files", o->g->label);
	return rc == 0 && locks.nlink > 0 && offsets.nlink > 0 && dir.ino == named.ino;
}

/* A file was not there: deleted between two calls, and the group is made anew; or it lacks it for good. */
static bool was_deleted(const struct mq_membership *m, const struct mq_topic *t, int attempt)
{
	char path[2 * MQ_NAME_MAX + 32];
	struct mq_stat st;

	snprintf(path, sizeof path, "%s/topics/%s/bell", m->group, t->name);
	return attempt < 3 || mq_sys->statat(m->spool->groups, path, &st) == -ENOENT;
}

/* 1: the byte is ours.  0: somebody has it, or a handler of a killed owner.  -ESTALE: the group was deleted meanwhile. */
static int take_lock(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, int attempt, struct mq_err *err)
{
	int rc = find_share(o, m, t, err);

	if (rc < 0)
		return (rc == -ENOENT || rc == MQ_ECONFIG) && was_deleted(m, t, attempt) ? -ESTALE : rc;
	if (o->g->locks < 0)
		return was_deleted(m, t, attempt) ? -ESTALE : mq_err_set(err, MQ_EDENIED, "%s: locks cannot be opened", o->g->label);
	rc = mq_group_try_byte(o->g->locks, o->partition);
	o->locked = rc == 0;
	/* Only the owner starts handlers: once the byte is ours, those of a killed one only become fewer. */
	if (rc == 0)
		rc = mq_sys->lock_test(o->g->locks, MQ_LOCK_WRITE, MQ_GROUP_HANDLER_BYTE + o->partition, 1);
	if (rc == -EAGAIN || rc == 1)
		return 0;
	if (rc < 0)
		return mq_err_sys(err, rc, "%s: cannot lock partition %u", o->g->label, o->partition);
	rc = still_named(o, err);
	o->share->gone = rc == 0;
	return rc == 0 ? -ESTALE : rc;
}

int mq_ownership_holds(struct mq_ownership *o, struct mq_err *err)
{
	int rc = mq_ownership_look(o, err);

	if (rc < 0)
		return rc;
	rc = still_named(o, err);
	return rc == 0 ? mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", o->g->label) : rc < 0 ? rc : 0;
}

int mq_ownership_take(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, uint32_t p,
                      uint64_t start_offset, struct mq_err *err)
{
	enum { ATTEMPTS = 100 };
	char line[MQ_GROUP_OWNER_LEN];
	int rc = -ESTALE;

	init(o, p);
	for (int i = 0; i < ATTEMPTS && rc == -ESTALE; i++) {
		mq_ownership_release(o);
		rc = take_lock(o, m, t, i, err);
	}
	if (rc == -ESTALE)
		rc = mq_err_set(err, MQ_EAGAIN, "group %s, %s: it is being deleted again and again", m->group, t->name);
	if (rc <= 0)
		goto fail;
	if (err) /* of a group that went away while it was opened */
		err->code = 0, err->text[0] = 0;
	snprintf(line, sizeof line, "%lld %s\n", (long long)mq_sys->pid(), m->name[0] ? m->name : "-");
	write_owner(o, line);
	rc = mq_ownership_begin(o, start_offset, err);
	if (rc < 0)
		goto fail;
	o->taken = true;
	return 1;
fail:
	mq_ownership_release(o);
	return rc;
}

void mq_ownership_rest(struct mq_ownership *o)
{
	mq_state_file_release(&o->state);
}

void mq_ownership_release(struct mq_ownership *o)
{
	if (o->taken && !o->passed_over && !o->slots.failed && (o->slots.known ? !o->slots.dirty : !o->died_before))
		write_owner(o, "");
	mq_ownership_rest(o);
	if (o->locked)
		(void)mq_sys->lock(o->g->locks, MQ_LOCK_NONE, o->partition, 1, false);
	drop_share(o);
	init(o, o->partition);
}

int mq_ownership_handler_fd(struct mq_ownership *o, struct mq_err *err)
{
	int fd = mq_sys->openat(o->g->dir, "locks", O_RDWR, 0), rc;

	if (fd == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", o->g->label);
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open locks", o->g->label);
	rc = mq_sys->lock(fd, MQ_LOCK_READ, MQ_GROUP_HANDLER_BYTE + o->partition, 1, false);
	if (rc < 0) {
		(void)mq_sys->close(fd);
		return mq_err_sys(err, rc, "%s: cannot lock partition %u for its handler", o->g->label, o->partition);
	}
	return fd;
}

/* The topic's id with the group mixed in: a position is no use to another group. */
void mq_ownership_token(const struct mq_group_topic *g, const struct mq_commit *c, char ret[40])
{
	const uint8_t *id = c->topic_id;
	uint32_t sum = g->group_sum;

	snprintf(ret, 40, "%02x%02x%02x%02x%02x%02x.%u.%u", id[0] ^ (sum & 0xff), id[1] ^ (sum >> 8 & 0xff), id[2] ^ (sum >> 16 & 0xff),
	         id[3] ^ (sum >> 24), id[4], id[5], c->generation, c->seeks);
}
