/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups: listing, showing, moving, deleting.  Committing from outside is group_commit.c. */
#include <inttypes.h>
#include <string.h>

#include "base/name.h"
#include "ops/group_walk.h"
#include "ops/transfer.h"

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
	const char *group, *topic;
	int (*fn)(void *arg, const struct mq_group_info *g);
	void *arg;
	struct mq_err first; /* failure: one bad place does not hide the others */
};

/* What those who share it have done is ahead of the place.  Where that cannot be known the place alone is shown. */
static void take_share(struct mq_group_info *info, const struct mq_share_facts *s, uint64_t end, uint64_t start)
{
	info->shared = s->now;
	if (!info->has_committed || info->share_why)
		return;
	if (s->ever && s->base > info->committed)
		info->committed = s->base;
	uint64_t from = info->committed > start ? info->committed : start;
	info->in_flight = s->in_flight;
	info->done_above = s->done_above;
	info->ready = end > from + s->in_flight + s->done_above ? end - from - s->in_flight - s->done_above : 0;
	info->has_shared = s->ever;
}

static void take_facts(struct mq_group_info *info, const struct mq_part_facts *f, const struct mq_bounds *b)
{
	info->has_committed = f->place.set;
	info->committed = f->place.offset;
	info->lost = f->place.lost;
	info->expired = f->place.expired;
	info->acked_above = f->place.acked_above;
	info->owned = f->owned;
	info->owner_unknown = f->owner_unknown;
	info->owner_pid = f->pid;
	info->member = *f->member ? f->member : NULL;
	info->handler_left = f->handler_left;
	info->holders = f->holders;
	info->n_holders = f->n_holders;
	info->share_why = f->share_why.code ? f->share_why.text : NULL;
	take_share(info, &f->share, b->visible, b->log_start);
	uint64_t from = info->has_committed && info->committed > b->log_start ? info->committed : b->log_start;
	info->end = b->visible;
	info->lag = b->visible > from ? b->visible - from : 0;
}

/* What was not read is told in place of it. */
static int tell_failure(struct show *s, uint32_t p, const struct mq_err *of)
{
	struct mq_group_info info = {.group = s->group, .topic = s->topic, .partition = p, .owner_pid = -1};
	struct mq_err why = *of;

	info.why = why.text;
	if (!s->first.code)
		s->first = why;
	return s->fn(s->arg, &info);
}

static int show_part(void *arg, uint32_t p, const struct mq_part_facts *facts, const struct mq_err *why)
{
	struct show *s = arg;
	struct mq_group_info info = {.group = s->group, .topic = s->topic, .partition = p, .owner_pid = -1};
	struct mq_bounds b;
	int rc = facts ? s->mq->store->engine->bounds(s->mq->store, s->topic, p, &b, &s->mq->err) : why->code;

	if (rc == MQ_ENOTOPIC)
		return rc; /* deleted meanwhile */
	if (rc < 0)
		return tell_failure(s, p, facts ? &s->mq->err : why);
	take_facts(&info, facts, &b);
	if (facts->share_why.code && !s->first.code)
		s->first = facts->share_why;
	return s->fn(s->arg, &info);
}

/* asked: the topic was named, so that it must be there. */
static int show_topic(struct show *s, const char *topic, bool asked)
{
	uint32_t from = 0, to = 0;
	int rc = mq_ops_partitions(s->mq, topic, -1, &from, &to);

	s->topic = topic;
	if (rc < 0 && rc != MQ_ENOTOPIC)
		return tell_failure(s, 0, &s->mq->err);
	if (rc == 0)
		rc = mq_ops_group_walk(s->mq, s->group, topic, from, to, false, show_part, s);
	if (rc == MQ_ENOTOPIC && !asked)
		return mq_ops_begin(s->mq); /* the topic was deleted, the place in it was not; or it joined and never read */
	return rc < 0 && rc != MQ_ENOTOPIC ? tell_failure(s, 0, &s->mq->err) : rc;
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
	if (rc > 0 && pid < 0)
		return mq_err_set(&mq->err, MQ_EAGAIN, "group %s: %s:%" PRIu32 " is shared by %s; stop them first, or use --force", group, topic, p,
		                  *member ? member : "members at work");
	if (rc > 0)
		return mq_err_set(&mq->err, MQ_EAGAIN, "group %s: %s:%" PRIu32 " is owned by %s, pid %" PRId64 "; stop it first, or use --force", group,
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

struct deletion {
	struct mq *mq;
	const char *group;
};

static int refuse_topic(void *arg, const char *topic)
{
	const struct deletion *d = arg;

	return mq_transfer_refuse(d->mq, topic, d->group, &d->mq->err);
}

/* What is half done would stay so. */
static int refuse_unfinished(struct mq *mq, const char *group, const char *topic)
{
	struct deletion d = {mq, group};

	if (topic)
		return refuse_topic(&d, topic);
	int rc = mq->store->engine->group_topics(mq->store, group, refuse_topic, &d, &mq->err);
	return rc == MQ_ENOTOPIC ? mq_ops_begin(mq) : rc; /* it is told by who deletes */
}

int mq_group_delete(struct mq *mq, const char *group, const char *topic, bool force, bool dry_run)
{
	int rc = mq_ops_begin(mq);
	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	if (rc == 0 && !force)
		rc = refuse_unfinished(mq, group, topic);
	return rc < 0 ? rc : mq->store->engine->group_delete(mq->store, group, topic, force, dry_run, &mq->err);
}
