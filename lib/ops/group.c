/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups: listing, showing, moving, deleting.  Committing from outside is group_commit.c. */
#include <inttypes.h>
#include <string.h>

#include "base/name.h"
#include "ops/ops.h"

int mq_group_list(struct mq *mq, int (*fn)(void *arg, const char *group), void *arg)
{
	struct mq_ops_names groups = {MQ_BUF_INIT, &mq->err};
	int rc = mq_ops_look(mq);

	if (rc == 0)
		rc = mq->store->engine->group_list(mq->store, mq_ops_keep_name, &groups, &mq->err);
	if (rc == 0)
		rc = mq_ops_sort_names(&groups);
	for (size_t at = 0; at < groups.buf.len && rc == 0; at += strlen(groups.buf.p + at) + 1)
		rc = fn(arg, groups.buf.p + at);
	mq_buf_release(&groups.buf);
	return mq_ops_looked(mq, rc);
}

/* --- showing -------------------------------------------------------------------------------- */

struct show {
	struct mq *mq;
	const char *group;
	int (*fn)(void *arg, const struct mq_group_info *g);
	void *arg;
	struct mq_err first; /* failure: one bad place does not hide the others */
};

/* Who owns it is not for everybody to ask; 0 then, too. */
static int find_owner(struct mq *mq, struct mq_group_info *info, char member[64])
{
	const struct mq_engine *e = mq->store->engine;
	int rc = e->group_owner(mq->store, info->group, info->topic, info->partition, &info->owner_pid, member,
	                        &info->handler_left, &mq->err);
	if (rc == MQ_EDENIED) {
		info->owner_unknown = true;
		return mq_ops_begin(mq);
	}
	info->owned = rc > 0;
	info->member = *member ? member : NULL;
	return rc < 0 ? rc : 0;
}

static int look(struct mq *mq, struct mq_group_info *info, char member[64])
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_bounds b;
	struct mq_place place;
	int rc = e->bounds(mq->store, info->topic, info->partition, &b, &mq->err);

	if (rc == 0)
		rc = e->group_place(mq->store, info->group, info->topic, info->partition, &place, &mq->err);
	if (rc == 0)
		rc = find_owner(mq, info, member);
	if (rc < 0)
		return rc;
	uint64_t from = place.set && place.offset > b.log_start ? place.offset : b.log_start;
	info->has_committed = place.set;
	info->committed = place.offset;
	info->lost = place.lost;
	info->acked_above = place.acked_above;
	info->end = b.visible;
	info->lag = b.visible > from ? b.visible - from : 0;
	return 0;
}

/* What was not read is told in place of it. */
static int tell_failure(struct show *s, const char *topic, uint32_t p)
{
	struct mq_group_info info = {.group = s->group, .topic = topic, .partition = p, .owner_pid = -1};
	struct mq_err why = s->mq->err;

	info.why = why.text;
	if (!s->first.code)
		s->first = why;
	return s->fn(s->arg, &info);
}

/* asked: the topic was named, so that it must be there. */
static int show_topic(struct show *s, const char *topic, bool asked)
{
	uint32_t from = 0, to = 0;
	int rc = mq_ops_partitions(s->mq, topic, -1, &from, &to);

	if (rc == MQ_ENOTOPIC && !asked)
		return mq_ops_begin(s->mq); /* the topic was deleted, the place in it was not */
	if (rc < 0)
		return rc == MQ_ENOTOPIC ? rc : tell_failure(s, topic, 0);
	for (uint32_t p = from; p < to && rc == 0; p++) {
		struct mq_group_info info = {.group = s->group, .topic = topic, .partition = p, .owner_pid = -1};
		char member[64] = "";

		rc = look(s->mq, &info, member);
		if (rc == 0)
			rc = s->fn(s->arg, &info);
		else if (rc != MQ_ENOTOPIC)
			rc = tell_failure(s, topic, p);
		else if (!asked)
			rc = mq_ops_begin(s->mq); /* it joined and never read */
	}
	return rc;
}

int mq_group_show(struct mq *mq, const char *group, const char *topic, int (*fn)(void *arg, const struct mq_group_info *g),
                  void *arg)
{
	struct mq_ops_names topics = {MQ_BUF_INIT, &mq->err};
	struct show s = {.mq = mq, .group = group, .fn = fn, .arg = arg};
	int rc = mq_ops_look(mq);

	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	if (rc == 0 && topic)
		rc = show_topic(&s, topic, true);
	else if (rc == 0)
		rc = mq->store->engine->group_topics(mq->store, group, mq_ops_keep_name, &topics, &mq->err);
	if (rc == 0)
		rc = mq_ops_sort_names(&topics);
	for (size_t at = 0; at < topics.buf.len && rc == 0; at += strlen(topics.buf.p + at) + 1)
		rc = show_topic(&s, topics.buf.p + at, false);
	mq_buf_release(&topics.buf);
	mq_ops_looked(mq, rc);
	if (rc != 0 || !s.first.code)
		return rc;
	mq->err = s.first;
	return s.first.code;
}

int mq_group_members(struct mq *mq, const char *group, int (*fn)(void *arg, const struct mq_member_info *m), void *arg)
{
	int rc = mq_ops_look(mq);

	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	if (rc == 0 && mq->store->engine->group_members)
		rc = mq->store->engine->group_members(mq->store, group, fn, arg, &mq->err);
	return mq_ops_looked(mq, rc);
}

/* --- moving --------------------------------------------------------------------------------- */

/* Where a partition's place goes. */
static int seek_to(struct mq *mq, const char *group, const char *topic, uint32_t p, const char *to,
                   struct mq_seek_move *ret)
{
	struct mq_bounds b;
	struct mq_place place;
	int rc = mq->store->engine->group_place(mq->store, group, topic, p, &place, &mq->err);
	/* A group that never read this topic has no place, and gets one; so does one whose place cannot be known any more. */
	if (rc == MQ_ENOTOPIC || (rc == MQ_EDAMAGE && strcmp(to, "stored") != 0)) {
		mq->err = (struct mq_err){0};
		place = (struct mq_place){0};
		rc = 0;
	}
	if (rc < 0)
		return rc;
	uint64_t offset, stored = place.set ? place.offset : 0;
	rc = mq_ops_place(mq, topic, p, to, &stored, &offset, &b);
	if (rc < 0)
		return rc;
	if (offset < b.log_start)
		offset = b.log_start;
	if (offset > b.visible)
		return mq_err_set(&mq->err, MQ_EUSAGE, "%s:%" PRIu32 ": %" PRIu64 " lies behind the end, %" PRIu64, topic, p, offset,
		                  b.visible);
	*ret = (struct mq_seek_move){.partition = p, .before = place.offset, .after = offset, .had_before = place.set};
	return 0;
}

/* Who is at work keeps the place; asked beforehand, so that a dry run says what the real one would. */
static int ask_owner(struct mq *mq, const char *group, const char *topic, uint32_t p)
{
	int64_t pid = -1;
	char member[64] = "";
	bool handler_left = false;
	int rc = mq->store->engine->group_owner(mq->store, group, topic, p, &pid, member, &handler_left, &mq->err);

	if (rc == MQ_ENOTOPIC)
		return mq_ops_begin(mq); /* it never read here: nobody is at work */
	if (rc > 0)
		return mq_err_set(&mq->err, MQ_EAGAIN, "group %s: %s:%" PRIu32 " is owned by %s, pid %" PRId64 "; stop it first", group,
		                  topic, p, *member ? member : "a member", pid);
	if (rc == 0 && handler_left)
		return mq_err_set(&mq->err, MQ_EAGAIN, "group %s: %s:%" PRIu32 ": a killed member's handler lives on; stop it first", group,
		                  topic, p);
	return rc;
}

int mq_group_seek(struct mq *mq, const char *group, const char *topic, int64_t partition, const char *to, bool force,
                  bool dry_run, int (*fn)(void *arg, const struct mq_seek_move *m), void *arg)
{
	uint32_t from = 0, end = 0;
	int rc = dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);

	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	if (rc == 0)
		rc = mq_ops_partitions(mq, topic, partition, &from, &end);
	/* All are looked at before the first one moves. */
	for (int act = 0; act < 2 && rc == 0; act++)
		for (uint32_t p = from; p < end && rc == 0; p++) {
			struct mq_seek_move move;
			rc = seek_to(mq, group, topic, p, to, &move);
			if (rc == 0 && !act && !force)
				rc = ask_owner(mq, group, topic, p);
			if (rc < 0 || !act)
				continue;
			if (!dry_run)
				rc = mq->store->engine->group_seek(mq->store, group, topic, p, move.after, force, &mq->err);
			if (rc == 0 && fn)
				rc = fn(arg, &move);
		}
	return mq_ops_looked(mq, rc);
}

/* --- deleting ------------------------------------------------------------------------------- */

int mq_group_delete(struct mq *mq, const char *group, const char *topic, bool force, bool dry_run)
{
	int rc = mq_ops_begin(mq);
	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	return rc < 0 ? rc : mq->store->engine->group_delete(mq->store, group, topic, force, dry_run, &mq->err);
}
