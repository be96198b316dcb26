/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "spool/areas.h"
#include "spool/dirs.h"
#include "spool/offsets.h"
#include "sys/sys.h"

/* A line of text for people; none: who was here has let go. */
static void write_owner(struct mq_ownership *o, const char *text)
{
	char line[MQ_GROUP_OWNER_LEN] = {0}, before = 'x', name[24];
	uint64_t at = (uint64_t)o->partition * MQ_GROUP_OWNER_LEN;
	int fd;

	mq_group_owners_name(o->area, name);
	fd = mq_sys->openat(o->g->dir, name, O_RDWR, 0);
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

/* The generation that counts, and its bytes. */
static int find_area(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_offsets_follow(o->g, err);

	if (rc >= 0)
		rc = mq_group_topic_peek(o->g, o->partition, &c, &which, &seq, err);
	if (rc < 0) {
		o->share->gone = rc == MQ_ENOTOPIC;
		return rc == MQ_ENOTOPIC ? -ESTALE : rc;
	}
	o->area = c.area;
	o->generation = c.generation;
	return 0;
}

static int lock_area(struct mq_ownership *o, bool sharing, struct mq_err *err)
{
	int rc = mq_group_try_byte(o->g->locks, mq_group_owner_byte(o->area, o->partition));

	o->locked = rc == 0;
	/* Only the owner starts handlers: once the byte is ours, those of a killed one only become fewer. */
	if (rc == 0)
		rc = mq_sys->lock_test(o->g->locks, MQ_LOCK_WRITE, mq_group_handler_byte(o->area, o->partition), 1);
	if (rc == 0 && !sharing) /* who shares knows of each record whether it is handled */
		rc = mq_sys->lock_test(o->g->locks, MQ_LOCK_WRITE, mq_group_shared_byte(o->area, o->partition, 0), MQ_GROUP_SHARED_LEN);
	if (rc == -EAGAIN || rc == 1)
		return 0;
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot lock partition %u", o->g->label, o->partition) : 1;
}

/* 1: the byte is ours.  0: somebody has it, or a handler of a killed owner.  -ESTALE: the group was deleted meanwhile. */
static int take_lock(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, int attempt, struct mq_err *err)
{
	int rc = find_share(o, m, t, err);

	if (rc < 0)
		return (rc == -ENOENT || rc == MQ_ECONFIG) && was_deleted(m, t, attempt) ? -ESTALE : rc;
	if (o->g->locks < 0)
		return was_deleted(m, t, attempt) ? -ESTALE : mq_err_set(err, MQ_EDENIED, "%s: locks cannot be opened", o->g->label);
	rc = find_area(o, err);
	if (rc == 0)
		rc = lock_area(o, m->sharing, err);
	if (rc <= 0)
		return rc;
	rc = still_named(o, err);
	o->share->gone = rc == 0;
	return rc == 0 ? -ESTALE : rc;
}

int mq_ownership_named(struct mq_ownership *o, struct mq_err *err)
{
	int rc = still_named(o, err);

	return rc == 0 ? mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", o->g->label) : rc < 0 ? rc : 0;
}

int mq_ownership_holds(struct mq_ownership *o, struct mq_err *err)
{
	int rc = mq_ownership_look(o, err);

	return rc < 0 ? rc : mq_ownership_named(o, err);
}

/* The same, and its place is at hand.  -ESTALE: or its owner was evicted between two calls. */
static int try_take(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, uint64_t start_offset, int attempt,
                    struct mq_err *err)
{
	char line[MQ_GROUP_OWNER_LEN];
	int rc = take_lock(o, m, t, attempt, err);

	if (rc <= 0)
		return rc;
	if (err) /* of a group that went away while it was opened */
		err->code = 0, err->text[0] = 0;
	snprintf(line, sizeof line, "%lld %s\n", (long long)mq_sys->pid(), m->name[0] ? m->name : "-");
	write_owner(o, line);
	rc = mq_ownership_begin(o, start_offset, err);
	return rc < 0 ? rc : 1;
}

int mq_ownership_take(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, uint32_t p,
                      uint64_t start_offset, struct mq_err *err)
{
	enum { ATTEMPTS = 100 };
	int rc = -ESTALE;

	init(o, p);
	for (int i = 0; i < ATTEMPTS && rc == -ESTALE; i++) {
		mq_ownership_release(o);
		rc = try_take(o, m, t, start_offset, i, err);
	}
	if (rc == -ESTALE)
		rc = mq_err_set(err, MQ_EAGAIN, "group %s, %s: it is being deleted, or its owners evicted, again and again", m->group, t->name);
	o->taken = rc > 0;
	if (rc <= 0)
		mq_ownership_release(o);
	return rc;
}

int mq_ownership_share(struct mq_ownership *o, struct mq_err *err)
{
	int rc = mq_ownership_sync(o, err);

	if (rc < 0)
		return rc;
	write_owner(o, ""); /* nobody has it alone */
	rc = mq_sys->lock(o->g->locks, MQ_LOCK_READ, mq_group_owner_byte(o->area, o->partition), 1, false);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot share partition %u", o->g->label, o->partition) : 0;
}

/* 1: the byte is ours with others.  0: somebody has it alone, or nobody has it: then the first makes whole what is there, when the
 * handlers of a killed owner are gone. */
static int join_area(struct mq_ownership *o, struct mq_err *err)
{
	uint32_t area = o->area;
	uint64_t seq, byte = mq_group_owner_byte(area, o->partition);
	int which, rc = mq_sys->lock(o->g->locks, MQ_LOCK_READ, byte, 1, false);

	o->locked = rc == 0;
	if (rc == -EAGAIN || rc == -EACCES)
		return 0;
	if (rc == 0)
		rc = mq_sys->lock_test(o->g->locks, MQ_LOCK_WRITE, byte, 1);
	if (rc < 0)
		return mq_err_sys(err, rc, "%s: cannot share partition %u", o->g->label, o->partition);
	if (rc == 0)
		return 0;
	rc = still_named(o, err);
	if (rc <= 0)
		return rc;
	rc = mq_group_topic_peek(o->g, o->partition, &o->commit, &which, &seq, err);
	return rc < 0 ? rc : which >= 0 && o->commit.area == area && o->commit.generation == o->generation;
}

/* One at a time: of two who come at once neither is to take the other for one who shares it already. */
static int join(struct mq_ownership *o, struct mq_err *err)
{
	uint64_t byte = MQ_GROUP_ACKED_BYTE + o->partition;
	int rc = mq_group_lock(o->g, MQ_LOCK_WRITE, byte, "claims", err);

	if (rc < 0)
		return rc;
	rc = find_area(o, err);
	if (rc == 0)
		rc = join_area(o, err);
	if (rc <= 0 && o->locked)
		(void)mq_sys->lock(o->g->locks, MQ_LOCK_NONE, mq_group_owner_byte(o->area, o->partition), 1, false);
	o->locked = o->locked && rc > 0;
	mq_group_unlock(o->g, byte);
	return rc;
}

int mq_ownership_join(struct mq_ownership *o, struct mq_membership *m, struct mq_topic *t, uint32_t p, struct mq_err *err)
{
	int rc;

	init(o, p);
	rc = find_share(o, m, t, err);
	if (rc < 0)
		return rc == -ENOENT || rc == MQ_ECONFIG ? 0 : rc; /* deleted meanwhile: to be taken anew */
	rc = o->g->locks < 0 ? -ESTALE : join(o, err);
	if (rc <= 0)
		mq_ownership_release(o);
	return rc == -ESTALE ? 0 : rc;
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
		(void)mq_sys->lock(o->g->locks, MQ_LOCK_NONE, mq_group_owner_byte(o->area, o->partition), 1, false);
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
	rc = mq_sys->lock(fd, MQ_LOCK_READ, mq_group_handler_byte(o->area, o->partition), 1, false);
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
