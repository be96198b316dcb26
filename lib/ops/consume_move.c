/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A place that moves by transfers. */
#include "ops/consume_move.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/dead.h"
#include "ops/transfer.h"
#include "sys/sys.h"

enum {
	PENDING_BYTES = 32 << 20,   /* of all partitions together */
	PAUSE_TIMES = 3,            /* so often the time of a transfer lies between two of a partition that has more and more */
};
static const int64_t PAUSE_MAX_NS = 200000000;
static const int64_t ROOM_MIN_NS = 10000000, ROOM_MAX_NS = 500000000; /* how long a full topic is left alone */
static const int64_t TELL_NS = 1000000000;

struct mq_move {
	struct mq_transfer *t;
	struct mq_transfer_source from;
	bool pending, failed;
	bool copies;                 /* what is pending */
	size_t bytes, records;
	struct mq_put put;
	unsigned acts;               /* transfers so far */
	char topics[MQ_TRANSFER_TARGETS_MAX][201];
	uint32_t partitions[MQ_TRANSFER_TARGETS_MAX];
	size_t n_targets;
};

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* --- room ----------------------------------------------------------------------------------- */

/* Does one of them rather fail than wait? */
static bool fails_when_full(struct mq_consume *c, const struct mq_move_wait *w)
{
	struct mq_topic_facts facts;
	struct mq_err why = MQ_ERR_INIT; /* what is the matter shows by the next try */

	for (size_t i = 0; i < w->n_topics; i++) {
		bool again = i > 0 && strcmp(w->topics[i], w->topics[i - 1]) == 0;
		if (!again && c->engine->topic_facts(c->store, w->topics[i], &facts, &why) == 0 && facts.when_full == MQ_FULL_FAIL)
			return true;
	}
	return false;
}

int mq_move_nap(struct mq_consume *c, int64_t ns)
{
	struct pollfd stop = {.fd = mq_stop_fd(c->mq), .events = POLLIN};
	int rc = mq_stopping(c->mq) ? 0 : mq_sys->poll(&stop, 1, ns);
	return rc < 0 && rc != -EINTR ? mq_err_sys(c->err, rc, "cannot wait") : 0;
}

int mq_move_await_room(struct mq_consume *c, struct mq_feed *f, int rc, struct mq_move_wait *w)
{
	int64_t timeout_ns = c->req->timeout_ns, now = now_ns();
	struct mq_err why = *c->err;

	if (!mq_ops_is_full(rc))
		return rc;
	/* That somebody else has the partition now says MQ_EAGAIN, too. */
	int owns = c->engine->owner_look(f->owner, false, c->err);
	if (owns < 0)
		return owns;
	*c->err = why;
	if (!w->since_ns) {
		w->since_ns = now;
		w->pause_ns = ROOM_MIN_NS;
		if (fails_when_full(c, w))
			return rc;
	}
	if (mq_stopping(c->mq))
		return mq_err_set(c->err, MQ_EAGAIN, "%s; stopped while waiting for space: what was not moved is given out again", why.text);
	if (timeout_ns >= 0 && now - w->since_ns >= timeout_ns)
		return mq_err_set(c->err, MQ_EAGAIN, "%s; no space came in time (--timeout)", why.text);
	if (!w->told && now - w->since_ns >= TELL_NS) {
		w->told = true;
		mq_ops_notice(c->mq, 0, "%s; waiting for space%s", why.text, timeout_ns < 0 ? " (--timeout bounds the wait)" : "");
	}
	int64_t left_ns = timeout_ns < 0 ? INT64_MAX : w->since_ns + timeout_ns - now;
	rc = mq_move_nap(c, left_ns < w->pause_ns ? left_ns : w->pause_ns);
	w->pause_ns = 2 * w->pause_ns < ROOM_MAX_NS ? 2 * w->pause_ns : ROOM_MAX_NS;
	if (rc == 0)
		*c->err = (struct mq_err){0};
	return rc;
}

static struct mq_move_wait wait_of(const struct mq_move *m)
{
	return (struct mq_move_wait){.topics = m ? m->topics : NULL, .n_topics = m ? m->n_targets : 0};
}

/* --- the transfer --------------------------------------------------------------------------- */

static struct mq_transfer_source source_of(const struct mq_consume *c, const struct mq_feed *f)
{
	return (struct mq_transfer_source){
	    .group = c->req->group, .topic = f->topic, .partition = f->partition, .owner = f->owner, .as_is = true};
}

/* A target of what was begun may be full: the one that is asked for now, most likely. */
static int open_patiently(struct mq_consume *c, struct mq_feed *f, const struct mq_transfer_source *from, bool create,
                          struct mq_transfer **ret)
{
	struct mq_move_wait wait = wait_of(f->move);
	char likely[1][201];
	int rc;

	if (!wait.n_topics && (c->req->to ? snprintf(likely[0], sizeof likely[0], "%s", c->req->to) > 0 : mq_dead_topic(f->topic, likely[0]))) {
		wait.topics = likely;
		wait.n_topics = 1;
	}
	do {
		rc = mq_transfer_open(ret, c->mq, from, create, c->err);
		rc = rc < 0 ? mq_move_await_room(c, f, rc, &wait) : 1;
	} while (rc == 0);
	return rc < 0 ? rc : 0;
}

int mq_move_finish(struct mq_consume *c, struct mq_feed *f)
{
	const struct mq_transfer_source from = source_of(c, f);
	struct mq_transfer *t;
	int rc = open_patiently(c, f, &from, false, &t);

	if (rc == 0)
		mq_transfer_close(t);
	return rc;
}

static int open_transfer(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_move *m = f->move;

	m->from = source_of(c, f);
	int rc = open_patiently(c, f, &m->from, true, &m->t);
	if (rc < 0)
		return rc;
	if (mq_transfer_place(m->t) != f->committed)
		return mq_err_set(c->err, MQ_EAGAIN, "%s:%" PRIu32 ": the place of group %s was moved meanwhile: run again", f->topic, f->partition,
		                  c->req->group);
	mq_transfer_begin(m->t);
	return 0;
}

/* f->move, with its transfer open. */
static int need(struct mq_consume *c, struct mq_feed *f)
{
	if (!f->move && !(f->move = calloc(1, sizeof *f->move)))
		return mq_consume_no_memory(c);
	struct mq_move *m = f->move;
	if (m->failed)
		return mq_err_set(c->err, MQ_EBROKEN, "%s:%" PRIu32 ": an earlier transfer failed", f->topic, f->partition);
	int rc = m->t ? 0 : open_transfer(c, f);
	m->failed = rc < 0;
	return rc;
}

static void forget_pending(struct mq_consume *c, struct mq_move *m)
{
	if (m->pending)
		c->moves.pending--;
	c->moves.bytes -= m->bytes;
	m->pending = false;
	m->bytes = m->records = m->n_targets = 0;
	m->put = (struct mq_put){0};
}

static bool is_target(const struct mq_move *m, const char *topic, uint32_t partition)
{
	for (size_t i = 0; i < m->n_targets; i++)
		if (m->partitions[i] == partition && strcmp(m->topics[i], topic) == 0)
			return true;
	return false;
}

static void note(struct mq_consume *c, struct mq_move *m, const char *topic, uint32_t partition, size_t size)
{
	if (!is_target(m, topic, partition)) {
		strncpy(m->topics[m->n_targets], topic, sizeof m->topics[0] - 1);
		m->partitions[m->n_targets++] = partition;
	}
	m->bytes += size;
	m->records++;
	c->moves.bytes += size;
	if (m->pending)
		return;
	m->pending = true;
	if (c->moves.pending++ == 0)
		c->moves.due_ns = c->moves.last_ns + c->moves.pause_ns;
}

/* All of these beside what is pending? */
static bool has_room(const struct mq_move *m, const struct mq_task *t)
{
	size_t more = 0;

	if (m->pending && (m->copies || m->bytes + t->parcels_bytes > MQ_TRANSFER_BYTES_MAX ||
	                   m->records + t->parcels_n > MQ_TRANSFER_RECORDS_MAX))
		return false;
	/* At most: two of the same count twice. */
	for (const struct mq_parcel *p = t->parcels; p && more <= MQ_TRANSFER_TARGETS_MAX; p = p->next)
		more += !is_target(m, p->topic, p->partition);
	return !m->pending || m->n_targets + more <= MQ_TRANSFER_TARGETS_MAX;
}

static void fail(struct mq_consume *c, struct mq_move *m)
{
	if (!m)
		return;
	m->failed = true;
	forget_pending(c, m);
}

int mq_move_task(struct mq_consume *c, struct mq_feed *f, const struct mq_task *t)
{
	int rc = need(c, f);

	if (rc == 0 && !has_room(f->move, t)) {
		f->done = t->offset > f->done ? t->offset : f->done;
		rc = mq_group_commit_feed(c, f);
	}
	for (const struct mq_parcel *p = t->parcels; p && rc == 0; p = p->next) {
		rc = mq_transfer_put(f->move->t, p->topic, p->partition, &p->r, c->err);
		if (rc > 0)
			rc = mq_err_set(c->err, MQ_EBROKEN, "%s:%" PRIu32 ":%" PRIu64 ": what it leaves does not go at once", f->topic,
			                f->partition, t->offset);
		if (rc == 0)
			note(c, f->move, p->topic, p->partition, mq_move_size_of(&p->r));
	}
	if (rc != 0) {
		fail(c, f->move); /* half of a task may be put: nothing of this may be committed */
		return rc;
	}
	f->move->copies = false;
	mq_put_add(&f->move->put, t);
	return 0;
}

/* What was put back for this group alone is for everybody where it goes to; a copy would keep that. */
static int put_copy(struct mq_move *m, const char *topic, uint32_t partition, const struct mq_rec *r, struct mq_err *err)
{
	struct mq_rec plain = *r;

	if (!r->group)
		return mq_transfer_copy(m->t, topic, partition, r, err);
	plain.group = NULL;
	plain.group_len = 0;
	return mq_transfer_put(m->t, topic, partition, &plain, err);
}

int mq_move_copy(struct mq_consume *c, struct mq_feed *f, const char *topic, uint32_t partition, const struct mq_rec *r)
{
	int rc = need(c, f);
	struct mq_move *m = f->move;

	if (rc == 0)
		rc = m->pending && m->copies != !r->group ? 1 : put_copy(m, topic, partition, r, c->err);
	if (rc > 0) {
		f->done = r->offset;
		rc = mq_group_commit_feed(c, f);
		if (rc == 0)
			rc = put_copy(m, topic, partition, r, c->err);
	}
	if (rc != 0)
		fail(c, m);
	if (rc != 0)
		return rc;
	m->copies = !r->group;
	note(c, m, topic, partition, mq_move_size_of(r));
	return 0;
}

int mq_move_lines(struct mq_consume *c, struct mq_feed *f, const char *topic, uint32_t partition, const struct mq_transfer_lines *l,
                  uint64_t begin)
{
	int rc = need(c, f);
	struct mq_move *m = f->move;
	struct mq_move_wait wait = wait_of(m);

	for (bool again = rc == 0; again;) {
		rc = mq_transfer_lines(m->t, topic, partition, l, c->err);
		again = rc == MQ_TRANSFER_FULL;
		if (again) {
			f->done = begin;
			rc = mq_group_commit_feed(c, f);
		} else if (rc < 0) {
			rc = mq_move_await_room(c, f, rc, &wait);
			again = rc == 0;
		}
		again &= rc == 0;
	}
	if (rc < 0)
		fail(c, m);
	if (rc != 0)
		return rc < 0 ? rc : 1;
	m->copies = true;
	bool first = !c->moves.pending;
	note(c, m, topic, partition, 0); /* nothing of them is kept here … */
	if (first)
		c->moves.due_ns = c->moves.last_ns + PAUSE_MAX_NS; /* … and they are synced all the while: the place alone waits */
	return 0;
}

bool mq_move_is_first(const struct mq_feed *f)
{
	return mq_move_is_pending(f) && f->move->acts < 2;
}

bool mq_move_is_pending(const struct mq_feed *f)
{
	return f->move && f->move->pending;
}

void mq_move_took(struct mq_consume *c, int64_t began_ns)
{
	int64_t took_ns = now_ns() - began_ns;

	c->moves.last_ns = now_ns();
	c->moves.pause_ns = PAUSE_TIMES * took_ns < PAUSE_MAX_NS ? PAUSE_TIMES * took_ns : PAUSE_MAX_NS;
}

/* --- the act -------------------------------------------------------------------------------- */

int mq_move_commit(struct mq_consume *c, struct mq_feed *f, uint64_t end, uint64_t lost)
{
	struct mq_move *m = f->move;
	struct mq_move_wait wait = wait_of(m);
	int64_t began_ns = now_ns();
	int rc;

	if (m->failed)
		return mq_err_set(c->err, MQ_EBROKEN, "%s:%" PRIu32 ": an earlier transfer failed", f->topic, f->partition);
	mq_transfer_lose(m->t, 0, lost);
	do {
		rc = mq_transfer_commit(m->t, end, c->err);
		rc = rc < 0 ? mq_move_await_room(c, f, rc, &wait) : 1;
	} while (rc == 0);
	m->failed = rc < 0;
	m->acts += rc >= 0 && m->pending;
	if (rc >= 0)
		mq_put_tell(c, &m->put);
	if (m->pending)
		mq_move_took(c, began_ns);
	forget_pending(c, m);
	return rc < 0 ? rc : 0;
}

int mq_move_flush(struct mq_consume *c, struct mq_feed *only)
{
	int rc = 0;

	if (c->req->share)
		return mq_share_move_all(c, true);
	for (size_t i = 0; i < c->feeds_n && rc == 0 && c->moves.pending; i++) {
		struct mq_feed *f = c->feeds[i];
		if ((!only || f == only) && mq_move_is_pending(f) && !f->move->failed)
			rc = mq_group_commit_feed(c, f);
	}
	return rc;
}

int mq_move_step(struct mq_consume *c, bool idle)
{
	bool at_work = c->handlers && c->handlers->running;

	if (!c->moves.pending || now_ns() < c->moves.busy_ns)
		return 0;
	if (c->moves.bytes < PENDING_BYTES && !(idle && !at_work) && now_ns() < c->moves.due_ns)
		return 0;
	return c->req->share ? mq_share_move_all(c, false) : mq_move_flush(c, NULL);
}

int64_t mq_move_due(const struct mq_consume *c)
{
	if (!c->moves.pending)
		return -1;
	return c->moves.due_ns > c->moves.busy_ns ? c->moves.due_ns : c->moves.busy_ns;
}

void mq_move_close(struct mq_consume *c, struct mq_feed *f)
{
	if (!f->move)
		return;
	mq_transfer_close(f->move->t);
	forget_pending(c, f->move);
	free(f->move);
	f->move = NULL;
}
