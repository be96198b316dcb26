/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: members of groups, what they own, where they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "api/mq.h"
#include "base/name.h"
#include "spool/offsets.h"
#include "spool/owner.h"
#include "sys/sys.h"

struct member {
	struct mq_member base;
	struct store *store;      /* borrowed */
	struct mq_membership m;
};

struct owner {
	struct mq_owner base;
	struct store *store;      /* borrowed */
	struct shared_topic *topic;
	struct mq_ownership o;
	struct mq_handle handle;  /* of what it alone has open */
};

enum { OWNER_FDS = 1 };

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
	int rc = mq_topic_open(&ret->t, mq_engine_spool_of(s), topic, err);

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
		*ret = (struct mq_place){c.offset, true, c.generation, c.seeks, c.lost, 0};
		rc = mq_acks_count(&h.g, p, &c, &ret->acked_above, err);
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
	return t->fn(t->arg, &m);
}

int mq_engine_spool_group_members(struct mq_store *s, const char *group, int (*fn)(void *arg, const struct mq_member_info *m),
                                  void *arg, struct mq_err *err)
{
	struct tell t = {fn, arg};

	return mq_member_each(mq_engine_spool_of(s), group, tell_member, &t, err);
}

int mq_engine_spool_member_join(struct mq_store *s, const char *group, struct mq_member **ret, struct mq_err *err)
{
	struct member *m = calloc(1, sizeof *m);
	int rc;

	if (!m)
		return mq_engine_no_memory(err);
	m->store = (struct store *)s;
	rc = mq_membership_join(&m->m, mq_engine_spool_of(s), group, err);
	if (rc < 0) {
		free(m);
		return rc;
	}
	m->base.engine = &mq_engine_file;
	*ret = &m->base;
	return 0;
}

void mq_engine_spool_member_leave(struct mq_member *mp)
{
	struct member *m = (struct member *)mp;

	mq_membership_leave(&m->m);
	free(m);
}

int mq_engine_spool_member_arm(struct mq_member *mp, struct mq_wait *w, struct mq_err *err)
{
	struct member *m = (struct member *)mp;
	int rc = mq_wait_watch(w, m->m.dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE, m->m.spool->events);

	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the members") : 0;
}

/* Where a group begins that has no place. */
static int find_start(struct mq_topic *t, uint32_t p, const uint64_t *asked, uint64_t *ret, struct mq_err *err)
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

static void rest(struct mq_handle *h)
{
	mq_ownership_rest(&MQ_HANDLE_OF(h, struct owner, handle)->o);
}

/* What it commits opens what it needs; others are closed before. */
static struct mq_ownership *at_work(struct mq_owner *op)
{
	struct owner *o = (struct owner *)op;

	mq_handles_use(&o->store->handles, &o->handle);
	return &o->o;
}

int mq_engine_spool_owner_take(struct mq_member *mp, const char *topic, uint32_t p, const uint64_t *asked, struct mq_owner **ret,
                               struct mq_err *err)
{
	struct member *m = (struct member *)mp;
	struct owner *o = calloc(1, sizeof *o);
	uint64_t start;
	int rc;

	if (!o)
		return mq_engine_no_memory(err);
	o->store = m->store;
	rc = mq_engine_spool_share_topic(o->store, topic, &o->topic, err);
	if (rc < 0)
		goto free;
	rc = find_start(&o->topic->t, p, asked, &start, err);
	if (rc == 0)
		rc = mq_ownership_take(&o->o, &m->m, &o->topic->t, p, start, err);
	if (rc <= 0)
		goto topic;
	mq_handles_add(&o->store->handles, &o->handle, OWNER_FDS, rest);
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
	const struct mq_commit *c = &((struct owner *)op)->o.commit;

	(void)err;
	*ret = (struct mq_place){c->offset, true, c->generation, c->seeks, c->lost, 0};
	return 0;
}

int mq_engine_spool_owner_merge_acks(struct mq_owner *op, struct mq_place *ret, struct mq_err *err)
{
	int rc = mq_acks_merge(at_work(op), err);

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

	return whole ? mq_ownership_holds(o, err) : mq_ownership_look(o, err);
}

int mq_engine_spool_owner_commit(struct mq_owner *op, uint64_t offset, uint64_t lost_more, struct mq_err *err)
{
	return mq_ownership_commit(at_work(op), offset, lost_more, err);
}

int mq_engine_spool_owner_sync(struct mq_owner *op, struct mq_err *err)
{
	return mq_ownership_sync(&((struct owner *)op)->o, err);
}

int mq_engine_spool_owner_handler_fd(struct mq_owner *op, struct mq_err *err)
{
	return mq_ownership_handler_fd(&((struct owner *)op)->o, err);
}

void mq_engine_spool_owner_release(struct mq_owner *op)
{
	struct owner *o = (struct owner *)op;
	struct mq_err ignored;

	(void)mq_ownership_sync(&o->o, &ignored); /* who must know has synced before */
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
		rc = mq_topic_open(&t, mq_engine_spool_of(s), topic, err);
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
		mq_ownership_release(&o);
	}
	mq_topic_release(&t);
	return rc;
}
