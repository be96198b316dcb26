/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/name.h"
#include "log/slots.h"
#include "spool/acks_file.h"
#include "spool/areas.h"
#include "spool/claims.h"
#include "spool/dirs.h"
#include "spool/internal.h"
#include "sys/sys.h"

int mq_groups_closed(const struct mq_spool *s, struct mq_err *err)
{
	if (s->groups == -EACCES || s->groups == -EPERM)
		return mq_err_set(err, MQ_EDENIED, "the directory of groups cannot be opened: ask for permission, or read without -g");
	mq_err_sys(err, s->groups, "cannot open directory groups");
	return s->groups == -ENOENT ? mq_err_lacks(err) : s->groups;
}

/* groups/GROUP/topics; members/ beside it.  What it makes is not synced. */
static int group_dir(struct mq_spool *s, const char *group, bool create, struct mq_err *err)
{
	int g, topics, members;

	if (s->groups < 0)
		return mq_groups_closed(s, err);
	g = create ? mq_dir_make(s->groups, group, s->dir_mode, err) : mq_dir_open(s->groups, group, err);
	if (g == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "no group %s: see mq-group list", group);
	if (g < 0) {
		mq_err_prefix(err, "groups");
		return g;
	}
	topics = create ? mq_dir_make(g, "topics", s->dir_mode, err) : mq_dir_open(g, "topics", err);
	if (topics == -ENOENT) /* somebody joined, or died while making it */
		topics = mq_err_set(err, MQ_ENOTOPIC, "group %s has not read any topic", group);
	if (topics >= 0 && create) {
		members = mq_dir_make(g, "members", s->dir_mode, err);
		if (members >= 0)
			(void)mq_sys->close(members);
	}
	(void)mq_sys->close(g);
	if (topics < 0 && topics != MQ_ENOTOPIC)
		mq_err_prefix(err, "groups/%s", group);
	return topics;
}

/* The names from dir up to groups/ are durable. */
static int sync_up(const struct mq_topic *t, const char *group, int topics, int dir, struct mq_err *err)
{
	int rc = mq_dir_sync(dir, t->name, err), g;

	if (rc == 0)
		rc = mq_dir_sync(topics, "topics", err);
	if (rc < 0)
		return rc;
	g = mq_dir_open(t->spool->groups, group, err);
	if (g < 0)
		return g;
	rc = mq_dir_sync(g, group, err);
	(void)mq_sys->close(g);
	return rc < 0 ? rc : mq_dir_sync(t->spool->groups, "groups", err);
}

/* The bell comes last, when all other names are durable: whoever finds it need not sync what another process made,
 * perhaps one that was killed before it could.  Its own name need not last. */
static int make_files(const struct mq_topic *t, const char *group, int topics, int dir, struct mq_err *err)
{
	unsigned mode = t->spool->file_mode;
	size_t n = t->conf.partitions;
	struct mq_stat st;
	int rc;

	if (mq_sys->statat(dir, "bell", &st) == 0)
		return 0;
	rc = mq_file_ensure(dir, "locks", mode & 0020 ? mode : mode & ~0040u, 0, err);

	if (rc == 0)
		rc = mq_file_ensure(dir, "offsets", mode, n * 2 * MQ_SLOT_BLOCK, err);
	if (rc == 0)
		rc = mq_file_ensure(dir, "owners", mode, n * MQ_GROUP_OWNER_LEN, err);
	if (rc == 0)
		rc = sync_up(t, group, topics, dir, err);
	return rc < 0 ? rc : mq_file_ensure(dir, "bell", mode, 0, err);
}

static int open_files(struct mq_group_topic *g, bool create, struct mq_err *err)
{
	g->offsets = mq_sys->openat(g->dir, "offsets", O_RDWR, 0);
	if (g->offsets == -EACCES || g->offsets == -EROFS)
		g->offsets = mq_sys->openat(g->dir, "offsets", O_RDONLY, 0);
	if (g->offsets == -ENOENT && !create)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: nothing committed yet", g->label);
	if (g->offsets < 0) {
		mq_err_sys(err, g->offsets, "%s: cannot open offsets", g->label);
		return g->offsets == -ENOENT ? mq_err_lacks(err) : g->offsets;
	}
	g->locks = mq_sys->openat(g->dir, "locks", O_RDWR, 0);
	if (g->locks < 0 && create) {
		mq_err_sys(err, g->locks, "%s: cannot open locks", g->label);
		return g->locks == -ENOENT ? mq_err_lacks(err) : g->locks;
	}
	if (g->locks < 0)
		g->locks = -1;
	return 0;
}

int mq_group_topic_open(struct mq_group_topic *g, struct mq_topic *t, const char *group, bool create, struct mq_err *err)
{
	int topics, rc = mq_name_check(group, "group", err);

	memset(g, 0, sizeof *g);
	g->topic = t;
	g->group_sum = mq_crc32c(0, group, strlen(group));
	g->dir = g->locks = g->offsets = -1;
	if (rc < 0)
		return rc;
	snprintf(g->group, sizeof g->group, "%s", group);
	snprintf(g->label, sizeof g->label, "group %s, %s", group, t->name);
	topics = group_dir(t->spool, group, create, err);
	if (topics < 0)
		return topics;
	g->dir = mq_dir_open(topics, t->name, NULL);
	if (g->dir == -ENOENT && create)
		rc = g->dir = mq_dir_make(topics, t->name, t->spool->dir_mode, err);
	else if (g->dir == -ENOENT)
		rc = mq_err_set(err, MQ_ENOTOPIC, "%s: the group has not read this topic", g->label);
	else if (g->dir < 0)
		rc = mq_err_sys(err, g->dir, "%s: cannot open its directory", g->label);
	if (rc >= 0 && create)
		rc = make_files(t, group, topics, g->dir, err);
	(void)mq_sys->close(topics);
	if (rc == 0)
		rc = open_files(g, create, err);
	if (rc < 0)
		mq_group_topic_release(g);
	return rc;
}

void mq_group_topic_release(struct mq_group_topic *g)
{
	const int fds[] = {g->offsets, g->locks, g->dir};

	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)mq_sys->close(fds[i]);
	g->dir = g->locks = g->offsets = -1;
}

int mq_group_each(struct mq_spool *s, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err)
{
	if (s->groups < 0) /* that there are none is not to be told to who cannot look */
		return s->groups == -ENOENT ? 0 : mq_groups_closed(s, err);
	return mq_dir_each_name(s->groups, fn, arg, err);
}

int mq_group_each_topic(struct mq_spool *s, const char *group, int (*fn)(void *arg, const char *topic), void *arg,
                        struct mq_err *err)
{
	int rc = mq_name_check(group, "group", err), topics;

	if (rc < 0)
		return rc;
	topics = group_dir(s, group, false, err);
	if (topics < 0)
		return topics;
	rc = mq_dir_each_name(topics, fn, arg, err);
	(void)mq_sys->close(topics);
	return rc;
}

/* ---- removal ---- */
struct removal {
	struct mq_spool *s;
	const char *group;
	bool force, dry_run;
	int topics;
	struct mq_err *err;
};

/* Its name first: a member that comes meanwhile makes another, and does not put files into this one.  Then its owners, if there
 * are any, are told, who might sleep on. */
static int take_away(struct removal *r, const char *topic, int dir)
{
	char gone[32];
	int rc = mq_random_name(".gone-", gone, r->err);

	if (rc < 0)
		return rc;
	rc = mq_sys->renameat(r->topics, topic, r->topics, gone, false);
	if (rc == -ENOENT)
		return 0; /* somebody else does it */
	if (rc < 0)
		return mq_err_sys(r->err, rc, "group %s: cannot remove its place in %s", r->group, topic);
	mq_group_ring(dir);
	rc = mq_dir_sync(r->topics, "topics", r->err);
	return rc < 0 ? rc : mq_dir_remove(r->topics, gone, 0, r->err);
}

/* Who was evicted owns nothing, and is told when it wakes.  As lock_out: of each partition the bytes that count. */
static int lock_out_owners(const struct removal *r, const char *topic, int locks)
{
	struct mq_group_topic g;
	struct mq_topic t;
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_topic_open(&t, r->s, topic, NULL);

	if (rc < 0)
		return -EAGAIN;
	rc = mq_group_topic_open(&g, &t, r->group, false, NULL);
	for (uint32_t p = 0; p < t.conf.partitions && rc == 0; p++) {
		rc = mq_group_topic_peek(&g, p, &c, &which, &seq, NULL);
		if (rc == 0)
			rc = mq_group_try_byte(locks, mq_group_owner_byte(c.area, p));
		if (rc == 0)
			rc = mq_sys->lock_test(locks, MQ_LOCK_WRITE, mq_group_handler_byte(c.area, p), 1);
		if (rc == 0)
			rc = mq_sys->lock_test(locks, MQ_LOCK_WRITE, mq_group_shared_byte(c.area, p, 0), MQ_GROUP_SHARED_LEN);
	}
	mq_group_topic_release(&g);
	mq_topic_release(&t);
	return rc < 0 ? -EAGAIN : rc;
}

/* All owner bytes at once: nobody takes a partition while its files go.  Nor while a killed owner's handler is at work. */
static int lock_out(const struct removal *r, const char *topic, int locks)
{
	const uint64_t handlers = MQ_GROUP_ACKED_BYTE - MQ_GROUP_HANDLER_BYTE;
	int rc = mq_sys->lock(locks, MQ_LOCK_WRITE, 0, MQ_GROUP_HANDLER_BYTE, false);

	if (rc == 0)
		rc = mq_sys->lock_test(locks, MQ_LOCK_WRITE, MQ_GROUP_HANDLER_BYTE, handlers);
	if (rc == 0)
		rc = mq_sys->lock_test(locks, MQ_LOCK_WRITE, MQ_GROUP_SHARED_BYTE, MQ_GROUP_SHARED_BYTE);
	if (rc == 1 || rc == -EAGAIN || rc == -EACCES)
		rc = lock_out_owners(r, topic, locks);
	if (rc == 1)
		return mq_err_set(r->err, MQ_EAGAIN, "group %s, %s: a killed member's handler lives on; stop it, or use --force", r->group,
		                  topic);
	if (rc == -EAGAIN || rc == -EACCES)
		return mq_err_set(r->err, MQ_EAGAIN, "group %s, %s: members are at work; stop them, or use --force", r->group, topic);
	return rc < 0 ? mq_err_sys(r->err, rc, "group %s, %s: cannot lock it", r->group, topic) : 0;
}

static int remove_topic(void *arg, const char *topic)
{
	struct removal *r = arg;
	int dir = mq_dir_open(r->topics, topic, r->err), locks, rc = 0;

	if (dir == -ENOENT)
		return mq_err_set(r->err, MQ_ENOTOPIC, "group %s has not read topic %s", r->group, topic);
	if (dir < 0)
		return dir;
	locks = mq_sys->openat(dir, "locks", O_RDWR, 0);
	if (locks < 0 && locks != -ENOENT)
		rc = mq_err_sys(r->err, locks, "group %s, %s: cannot open locks", r->group, topic);
	if (locks >= 0 && !r->force)
		rc = lock_out(r, topic, locks);
	if (rc == 0 && !r->dry_run)
		rc = mq_internal_remove(r->s, NULL, topic, r->group, r->err);
	if (rc == 0 && !r->dry_run)
		rc = take_away(r, topic, dir);
	if (locks >= 0)
		(void)mq_sys->close(locks);
	(void)mq_sys->close(dir);
	return rc;
}

/* All are looked at before the first one goes. */
static int remove_topics(struct removal *r)
{
	struct removal look = *r;
	int rc;

	look.dry_run = true;
	rc = mq_dir_each_name(r->topics, remove_topic, &look, r->err);
	return rc < 0 || r->dry_run ? rc : mq_dir_each_name(r->topics, remove_topic, r, r->err);
}

int mq_group_remove(struct mq_spool *s, const char *group, const char *topic, bool force, bool dry_run, struct mq_err *err)
{
	struct removal r = {s, group, force, dry_run, -1, err};
	struct mq_stat st;
	int rc = mq_name_check(group, "group", err);

	if (rc == 0 && topic)
		rc = mq_name_check(topic, "topic", err);
	if (rc < 0)
		return rc;
	r.topics = group_dir(s, group, false, err);
	if (r.topics < 0 && (topic || r.topics != MQ_ENOTOPIC || mq_sys->statat(s->groups, group, &st) < 0))
		return r.topics;
	if (topic) {
		rc = remove_topic(&r, topic);
	} else {
		rc = r.topics < 0 ? 0 : remove_topics(&r); /* none: it only ever joined */
		if (rc == 0 && !dry_run)
			rc = mq_dir_remove(s->groups, group, 2, err);
		if (rc == 0 && !dry_run)
			rc = mq_dir_sync(s->groups, "groups", err);
	}
	if (r.topics >= 0)
		(void)mq_sys->close(r.topics);
	return rc;
}

/* ---- witness ---- */
struct search {
	struct mq_topic *t;
	uint32_t p;
	const struct mq_segment_id *segment;
	uint64_t *pos, *offset, *committed;
};

/* The place, and what was acknowledged or given out above it: of that, too, something is said that must not come to be said of
 * another record.  1: there is a place. */
static int read_committed(struct mq_group_topic *g, uint32_t p, struct mq_commit *ret, uint64_t *committed)
{
	struct mq_claims_numbers claims;
	struct mq_acks acks;
	uint64_t seq;
	int which, rc = mq_group_topic_read(g, p, ret, &which, &seq, NULL);

	if (rc < 0 || which < 0)
		return rc;
	rc = mq_acks_read(g, p, ret, &acks, NULL);
	if (rc < 0)
		return rc;
	if (ret->offset > *committed)
		*committed = ret->offset;
	if (acks.n > 0 && acks.offset[acks.n - 1] >= *committed)
		*committed = acks.offset[acks.n - 1] + 1;
	mq_acks_release(&acks);
	rc = mq_claims_count(g, p, ret, -1, &claims, NULL);
	if (rc == 0 && claims.top > *committed) /* given out; of some it says that they are done, of others how often they failed */
		*committed = claims.top;
	return rc < 0 && rc != MQ_EDAMAGE ? rc : 1;
}

static int ask_group(void *arg, const char *group)
{
	const struct search *q = arg;
	struct mq_group_topic g;
	struct mq_commit c;
	int rc = mq_group_topic_open(&g, q->t, group, false, NULL);

	if (rc == MQ_ENOTOPIC)
		return 0;
	if (rc < 0)
		return rc;
	rc = read_committed(&g, q->p, &c, q->committed);
	mq_group_topic_release(&g);
	if (rc == MQ_EDAMAGE)
		return 0; /* it is told to the group itself; it witnesses nothing */
	if (rc <= 0)
		return rc;
	if (mq_segment_id_equal(&c.mark_segment, q->segment) && c.mark_pos > *q->pos) {
		*q->pos = c.mark_pos;
		*q->offset = c.mark_offset;
	}
	return 0;
}

int mq_group_witness(struct mq_topic *t, uint32_t p, const struct mq_segment_id *segment, uint64_t *pos, uint64_t *offset,
                     uint64_t *committed)
{
	struct search q = {t, p, segment, pos, offset, committed};

	struct mq_stat st;
	int rc;

	if (t->spool->groups < 0) /* one who may only write cannot look, and must not guess */
		return mq_sys->statat(t->spool->root, "groups", &st) == -ENOENT ? 0 : -EBUSY;
	rc = mq_group_each(t->spool, ask_group, &q, NULL);
	return rc == -EACCES || rc == -EPERM || rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM ? -EBUSY : rc;
}
