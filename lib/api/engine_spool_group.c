/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: members of groups, what they own, where they are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "api/mq.h"
#include "base/name.h"
#include "spool/offsets.h"
#include "spool/owner.h"
#include "sys/sys.h"

int mq_engine_spool_group_list(struct mq_store *s, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err)
{
	return mq_group_each(mq_engine_spool_of(s), fn, arg, err);
}

int mq_engine_spool_group_topics(struct mq_store *s, const char *group, int (*fn)(void *arg, const char *topic), void *arg,
                                 struct mq_err *err)
{
	return mq_group_each_topic(mq_engine_spool_of(s), group, fn, arg, err);
}

int mq_engine_spool_group_delete(struct mq_store *s, const char *group, const char *topic, bool force, bool dry_run,
                                 struct mq_err *err)
{
	return mq_group_remove(mq_engine_spool_of(s), group, topic, force, dry_run, err);
}

int mq_engine_spool_group_open(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct group_handle *ret,
                               struct mq_err *err)
{
	int rc = mq_engine_spool_open_users(&ret->t, s, topic, err);

	if (rc < 0)
		return rc;
	if (p >= ret->t.conf.partitions)
		rc = mq_err_set(err, MQ_ENOTOPIC, "topic %s has no partition %u", topic, p);
	if (rc == 0)
		rc = mq_group_topic_open(&ret->g, &ret->t, group, false, err);
	if (rc < 0)
		mq_topic_release(&ret->t);
	return rc;
}

void mq_engine_spool_group_close(struct group_handle *h)
{
	mq_group_topic_release(&h->g);
	mq_topic_release(&h->t);
}

int mq_engine_spool_group_place(struct mq_store *s, const char *group, const char *topic, uint32_t p, struct mq_place *ret,
                                struct mq_err *err)
{
	struct group_handle h;
	struct mq_commit c;
	uint64_t seq;
	int which, rc = mq_engine_spool_group_open(s, group, topic, p, &h, err);

	memset(ret, 0, sizeof *ret);
	if (rc < 0)
		return rc;
	rc = mq_group_topic_read(&h.g, p, &c, &which, &seq, err);
	if (rc == 0 && which >= 0) {
		*ret = (struct mq_place){c.offset, true, c.generation, c.seeks, c.lost, c.expired, 0, c.time_us, false};
		rc = mq_acks_count(&h.g, p, &c, &ret->acked_above, err);
	} else if (rc == 0) {
		rc = mq_group_topic_grown(&h.g, p, &ret->grown, err);
	}
	mq_engine_spool_group_close(&h);
	return rc;
}

int mq_engine_spool_group_owner(struct mq_store *s, const char *group, const char *topic, uint32_t p, int64_t *ret_pid,
                                char ret_member[64], bool *ret_handler_left, struct mq_err *err)
{
	char line[MQ_GROUP_OWNER_LEN];
	struct group_handle h;
	long long pid = -1;
	bool handler = false;
	int rc = mq_engine_spool_group_open(s, group, topic, p, &h, err);

	if (rc < 0)
		return rc;
	rc = mq_group_owner(&h.g, p, line, &handler, err);
	mq_engine_spool_group_close(&h);
	if (rc < 0)
		return rc;
	ret_member[0] = 0;
	if (rc == 1)
		(void)sscanf(line, "%lld %63s", &pid, ret_member);
	if (strcmp(ret_member, "-") == 0 || !mq_name_ok(ret_member, strlen(ret_member)))
		ret_member[0] = 0; /* of one without a name, or not written by a member at all */
	*ret_pid = pid;
	*ret_handler_left = handler && rc == 0;
	return rc;
}

struct tell {
	int (*fn)(void *arg, const struct mq_member_info *m);
	void *arg;
};

static int tell_member(void *arg, const struct mq_member_facts *f)
{
	static const int states[] = {
		[MQ_MEMBER_ALIVE] = MQ_MEMBER_IS_ALIVE, [MQ_MEMBER_RUNNING] = MQ_MEMBER_IS_RUNNING, [MQ_MEMBER_STOPPED] = MQ_MEMBER_IS_STOPPED,
	};
	const struct tell *t = arg;
	struct mq_member_info m = {.pid = f->pid, .state = (enum mq_member_is)states[f->state]};

	snprintf(m.name, sizeof m.name, "%s", f->name);
	snprintf(m.host, sizeof m.host, "%s", f->host);
	snprintf(m.room, sizeof m.room, "%s", f->room);
	m.counts = f->counts;
	return t->fn(t->arg, &m);
}

int mq_engine_spool_group_members(struct mq_store *s, const char *group, int (*fn)(void *arg, const struct mq_member_info *m),
                                  void *arg, struct mq_err *err)
{
	struct tell t = {fn, arg};

	return mq_member_each(mq_engine_spool_of(s), group, MQ_MEMBER_WHOLE, tell_member, &t, err);
}

/* The names of topics alone. */
static char *copy_topics(const struct mq_wish *wish)
{
	size_t len = 1;
	char *copy, *at;

	for (size_t i = 0; i < wish->n_topics; i++)
		len += strlen(wish->topics[i]) + 1;
	at = copy = calloc(len, 1);
	for (size_t i = 0; i < wish->n_topics && copy; i++) {
		size_t n = strcspn(wish->topics[i], ":");

		memcpy(at, wish->topics[i], n);
		at += n + 1;
	}
	return copy;
}

int mq_engine_spool_group_drain_fd(struct mq_store *s, const char *group, const char *topic, struct mq_err *err)
{
	struct mq_group_topic g;
	struct mq_topic t;
	int fd, rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);

	if (rc < 0)
		return rc;
	rc = mq_group_topic_open(&g, &t, group, true, err);
	if (rc == 0) {
		fd = g.locks;
		g.locks = -1;
		rc = fd < 0 ? -EACCES : mq_sys->lock(fd, MQ_LOCK_WRITE, MQ_GROUP_DRAIN_BYTE, 1, false);
		if (rc == -EAGAIN)
			rc = mq_err_set(err, MQ_EAGAIN, "%s: another one drains it", g.label);
		else if (rc < 0)
			mq_err_sys(err, rc, "%s: locks cannot be locked", g.label);
		if (rc < 0 && fd >= 0)
			(void)mq_sys->close(fd);
		mq_group_topic_release(&g);
		rc = rc < 0 ? rc : fd;
	}
	mq_topic_release(&t);
	return rc;
}

int mq_engine_spool_member_join(struct mq_store *s, const char *group, const struct mq_wish *w, struct mq_member **ret,
                                struct mq_err *err)
{
	const struct mq_member_wish wish = {.topics = w->topics, .n_topics = w->n_topics, .room = w->room};
	struct spool_member *m = calloc(1, sizeof *m);
	int rc;

	if (!m)
		return mq_engine_no_memory(err);
	m->store = (struct store *)s;
	m->topics = copy_topics(w);
	rc = m->topics ? mq_membership_join(&m->m, mq_engine_spool_of(s), group, &wish, err) : mq_engine_no_memory(err);
	if (rc < 0) {
		free(m->topics);
		free(m);
		return rc;
	}
	m->base.engine = &mq_engine_file;
	*ret = &m->base;
	return 0;
}

void mq_engine_spool_member_leave(struct mq_member *mp)
{
	struct spool_member *m = (struct spool_member *)mp;

	mq_engine_spool_forget_plan(m);
	mq_membership_leave(&m->m);
	free(m->topics);
	free(m);
}

int mq_engine_spool_member_arm(struct mq_member *mp, struct mq_wait *w, struct mq_err *err)
{
	struct spool_member *m = (struct spool_member *)mp;
	int rc = mq_wait_watch(w, m->m.dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE, m->m.spool->events);

	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the members") : 0;
}

/* Where a group begins that has no place. */
int mq_engine_spool_find_start(struct mq_topic *t, uint32_t p, const uint64_t *asked, uint64_t *ret, struct mq_err *err)
{
	struct mq_cursor c;
	int rc = mq_partition_cursor(t, p, &c, err);

	if (rc < 0)
		return rc;
	rc = mq_cursor_refresh(&c, err);
	if (rc == 0 && asked && *asked > c.visible_offset)
		rc = mq_err_set(err, MQ_EINPUT, "%s:%u:%llu lies behind the end, %llu", t->name, p, (unsigned long long)*asked,
		                (unsigned long long)c.visible_offset);
	if (rc == 0)
		*ret = asked && *asked > c.log_start ? *asked : c.log_start;
	mq_cursor_release(&c);
	return rc;
}

void mq_engine_spool_owner_rest(struct mq_handle *h)
{
	mq_ownership_rest(&MQ_HANDLE_OF(h, struct owner, handle)->o);
}

/* What it commits opens what it needs; others are closed before. */
struct mq_ownership *mq_engine_spool_owner_at_work(struct mq_owner *op)
{
	struct owner *o = (struct owner *)op;

	mq_handles_use(&o->store->handles, &o->handle);
	return &o->o;
}

int mq_engine_spool_owner_take(struct mq_member *mp, const char *topic, uint32_t p, const uint64_t *asked, struct mq_owner **ret,
                               struct mq_err *err)
{
	struct spool_member *m = (struct spool_member *)mp;
	struct owner *o = calloc(1, sizeof *o);
	uint64_t start;
	int rc;

	if (!o)
		return mq_engine_no_memory(err);
	o->store = m->store;
	rc = mq_engine_spool_share_topic(o->store, topic, &o->topic, err);
	if (rc < 0)
		goto free;
	rc = mq_engine_spool_find_start(&o->topic->t, p, asked, &start, err);
	if (rc == 0)
		rc = mq_ownership_take(&o->o, &m->m, &o->topic->t, p, start, err);
	if (rc > 0 && mq_claims_fold(&o->o, err) < 0) { /* it may have been shared before */
		mq_ownership_release(&o->o);
		rc = err->code;
	}
	if (rc <= 0)
		goto topic;
	mq_handles_add(&o->store->handles, &o->handle, MQ_ENGINE_OWNER_FDS, mq_engine_spool_owner_rest);
	o->base.engine = &mq_engine_file;
	*ret = &o->base;
	return 1;
topic:
	mq_engine_spool_leave_topic(o->store, o->topic);
free:
	free(o);
	return rc;
}

int mq_engine_spool_owner_place(struct mq_owner *op, struct mq_place *ret, struct mq_err *err)
{
	struct mq_commit c = ((struct owner *)op)->o.commit;
	int rc = 0;

	if (mq_engine_spool_claims_of(op)) /* others move it, too */
		rc = mq_claims_now(mq_engine_spool_claims_of(op), &c, err);
	*ret = (struct mq_place){c.offset, true, c.generation, c.seeks, c.lost, c.expired, 0, c.time_us, false};
	return rc;
}

int mq_engine_spool_owner_merge_acks(struct mq_owner *op, struct mq_place *ret, struct mq_err *err)
{
	int rc = mq_acks_merge(mq_engine_spool_owner_at_work(op), err);

	return rc < 0 ? rc : mq_engine_spool_owner_place(op, ret, err);
}

int mq_engine_spool_owner_arm(struct mq_owner *op, struct mq_wait *w, struct mq_err *err)
{
	struct mq_ownership *o = &((struct owner *)op)->o;
	int rc = mq_ownership_bell(o);

	if (rc >= 0)
		rc = mq_wait_watch(w, rc, IN_MODIFY | IN_CLOSE_WRITE, o->g->topic->spool->events);
	if (rc == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", o->g->label);
	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the group's place") : 0;
}

int mq_engine_spool_owner_look(struct mq_owner *op, bool whole, struct mq_err *err)
{
	struct mq_ownership *o = &((struct owner *)op)->o;

	if (mq_engine_spool_claims_of(op))
		return mq_claims_holds(mq_engine_spool_claims_of(op), err);
	return whole ? mq_ownership_holds(o, err) : mq_ownership_look(o, err);
}

int mq_engine_spool_owner_commit(struct mq_owner *op, uint64_t offset, uint64_t lost_more, struct mq_err *err)
{
	struct mq_claims *c = mq_engine_spool_claims_of(op);

	if (c) { /* the place follows what is done, whoever did it */
		c->lost += lost_more;
		return mq_claims_moved(c, c->r.base, offset, err);
	}
	return mq_ownership_commit(mq_engine_spool_owner_at_work(op), offset, lost_more, err);
}

void mq_engine_spool_owner_expired(struct mq_owner *op, uint64_t n)
{
	((struct owner *)op)->o.expired_more += n;
}

int mq_engine_spool_owner_sync(struct mq_owner *op, struct mq_err *err)
{
	if (mq_engine_spool_claims_of(op))
		return mq_engine_spool_share_sync(op, err);
	return mq_ownership_sync(&((struct owner *)op)->o, err);
}

void mq_engine_spool_owner_ring(struct mq_owner *op)
{
	mq_group_ring(((struct owner *)op)->o.g->dir);
}

int mq_engine_spool_owner_handler_fd(struct mq_owner *op, struct mq_err *err)
{
	return mq_ownership_handler_fd(&((struct owner *)op)->o, err);
}

void mq_engine_spool_owner_release(struct mq_owner *op)
{
	struct owner *o = (struct owner *)op;
	struct mq_err ignored;

	if (o->claims.o)
		(void)mq_claims_place(&o->claims, true, &ignored); /* what claimed.P says holds without */
	else
		(void)mq_ownership_sync(&o->o, &ignored); /* who must know has synced before */
	mq_claims_release(&o->claims);
	mq_handles_remove(&o->store->handles, &o->handle);
	mq_ownership_release(&o->o);
	mq_engine_spool_leave_topic(o->store, o->topic);
	free(o);
}

int mq_engine_spool_owner_token(struct mq_owner *op, char ret_token[40], struct mq_err *err)
{
	const struct mq_ownership *o = &((struct owner *)op)->o;

	(void)err;
	mq_ownership_token(o->g, &o->commit, ret_token);
	return 0;
}

/* Whoever owns it, which then ends, and whatever it said. */
static int force_seek(struct mq_topic *t, const char *group, uint32_t p, uint64_t offset, struct mq_err *err)
{
	struct mq_group_topic g;
	int rc = mq_group_topic_open(&g, t, group, true, err);

	if (rc < 0)
		return rc;
	rc = mq_offsets_force_seek(&g, p, offset, err);
	mq_group_topic_release(&g);
	return rc;
}

int mq_engine_spool_group_seek(struct mq_store *s, const char *group, const char *topic, uint32_t p, uint64_t offset,
                               bool force, struct mq_err *err)
{
	struct mq_membership nobody = {.spool = mq_engine_spool_of(s), .file = -1, .dir = -1};
	struct mq_ownership o;
	struct mq_topic t;
	struct mq_bounds b;
	int rc = mq_name_check(group, "group", err);

	if (rc == 0)
		rc = mq_engine_spool_bounds(s, topic, p, &b, err);
	if (rc == 0 && offset > b.visible)
		rc = mq_err_set(err, MQ_EINPUT, "%s:%u:%llu lies behind the end, %llu", topic, p, (unsigned long long)offset,
		                (unsigned long long)b.visible);
	if (rc == 0)
		rc = mq_engine_spool_open_users(&t, s, topic, err);
	if (rc < 0)
		return rc;
	snprintf(nobody.group, sizeof nobody.group, "%s", group);
	rc = mq_ownership_take(&o, &nobody, &t, p, offset, err);
	if (rc == MQ_EDAMAGE) /* nobody can take it */
		*err = (struct mq_err)MQ_ERR_INIT;
	if (rc == MQ_EDAMAGE || (rc == 0 && force))
		rc = force_seek(&t, group, p, offset, err);
	else if (rc == 0)
		rc = mq_err_set(err, MQ_EAGAIN, "group %s: %s:%u has an owner at work; stop it first, or use --force", group, topic, p);
	if (rc == 1) {
		rc = mq_ownership_seek(&o, offset, err);
		if (rc == 0)
			mq_group_ring(o.g->dir); /* what has grown may wait for it */
		mq_ownership_release(&o);
	}
	mq_topic_release(&t);
	return rc;
}
