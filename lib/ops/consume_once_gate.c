/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --once: locks of ids, from the look to the mark. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/consume_once.h"
#include "sys/sys.h"

static const int64_t PAUSE_MIN_NS = 1000000, PAUSE_MAX_NS = 1000000000, TELL_NS = 1000000000;

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* ---- locks ---- */
static struct mq_once_rec **bucket(struct mq_consume *c, uint64_t key)
{
	return &c->once->held[key % MQ_ONCE_BUCKETS];
}

static bool is_held_here(struct mq_consume *c, uint64_t key)
{
	struct mq_once_rec *r = *bucket(c, key);
	while (r && r->key != key)
		r = r->next_held;
	return r != NULL;
}

static int compare(const void *a, const void *b)
{
	const struct mq_once_rec *x = *(struct mq_once_rec *const *)a, *y = *(struct mq_once_rec *const *)b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Its records with ids, by their keys: the order in which everybody locks. */
static int sort(struct mq_consume *c, struct mq_task *t)
{
	size_t n = 0;
	if (t->by_key)
		return 0;
	t->by_key = malloc(t->locks_n * sizeof *t->by_key);
	if (!t->by_key)
		return mq_consume_no_memory(c);
	for (size_t i = 0; i < t->recs_n; i++)
		if (t->recs[i].has_id)
			t->by_key[n++] = &t->recs[i];
	qsort(t->by_key, n, sizeof *t->by_key, compare);
	return 0;
}

static size_t held_of(const struct mq_task *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->locks_n && t->by_key; i++)
		n += t->by_key[i]->held;
	return n;
}

void mq_once_let_go(struct mq_consume *c, struct mq_task *t)
{
	size_t held = held_of(t), n = 0;
	uint64_t keys[64];
	if (held == 0)
		return;
	bool all = held == t->feed->once->held_n; /* nobody else here has one: a call lets all go */
	t->feed->once->held_n -= held;
	for (size_t i = 0; i < t->locks_n && t->by_key; i++) {
		struct mq_once_rec *r = t->by_key[i], **at = bucket(c, r->key);
		if (!r->held)
			continue;
		while (*at != r)
			at = &(*at)->next_held;
		*at = r->next_held;
		r->held = false;
		if (all)
			continue;
		keys[n++] = r->key;
		if (n == sizeof keys / sizeof *keys) {
			c->engine->once_unlock(t->feed->once->ids, keys, n);
			n = 0;
		}
	}
	if (n || all)
		c->engine->once_unlock(t->feed->once->ids, all ? NULL : keys, all ? held : n);
}

/* Does a handler live of a member that was killed at one of these ids? */
static int is_handled(struct mq_consume *c, struct mq_task *t)
{
	uint64_t keys[256];
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; i < t->locks_n && rc == 0; i++) {
		keys[n] = t->by_key[i]->key;
		n += t->by_key[i]->held;
		if (n == sizeof keys / sizeof *keys || (n > 0 && i + 1 == t->locks_n)) {
			rc = c->engine->once_handled(t->feed->once->ids, keys, n, c->err);
			n = 0;
		}
	}
	return rc;
}

/* All, or none.  *ret_other: it is another member that has one. */
static int lock_all(struct mq_consume *c, struct mq_task *t, bool *ret_other)
{
	int rc = 1;
	*ret_other = false;
	for (size_t i = 0; i < t->locks_n && rc > 0; i++) {
		struct mq_once_rec *r = t->by_key[i];
		if (i > 0 && t->by_key[i - 1]->key == r->key)
			continue; /* one lock serves both */
		rc = is_held_here(c, r->key) ? 0 : c->engine->once_lock(t->feed->once->ids, r->key, c->err);
		*ret_other = rc == 0 && !is_held_here(c, r->key);
		if (rc > 0) {
			r->held = true;
			r->next_held = *bucket(c, r->key);
			*bucket(c, r->key) = r;
			t->feed->once->held_n++;
		}
	}
	if (rc > 0) {
		int handled = is_handled(c, t);
		*ret_other = handled > 0;
		rc = handled < 0 ? handled : !handled;
	}
	if (rc <= 0)
		mq_once_let_go(c, t);
	return rc;
}

/* ---- waiting ---- */
static void tell_wanted(struct mq_consume *c, const struct mq_task *t)
{
	if (c->once->told_wanted || now_ns() - c->once->wanted_ns < TELL_NS)
		return;
	c->once->told_wanted = true;
	mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ":%" PRIu64 ": waiting for a record of the same id that another member, or what it left running, is at",
	              t->feed->topic, t->feed->partition, t->offset);
}

/* Another member is at it: 1 where it has ended just now. */
static int await(struct mq_consume *c, struct mq_task *t)
{
	struct mq_once_topic *o = t->feed->once;
	bool other;
	int rc = 0;

	o->wanted = true;
	if (!o->awaits) {
		rc = c->engine->once_await(o->ids, true, c->err);
		o->awaits = rc == 0;
		rc = rc < 0 ? rc : lock_all(c, t, &other);
	}
	if (rc != 0)
		return rc;
	if (!c->once->wanted_ns)
		c->once->wanted_ns = now_ns();
	tell_wanted(c, t);
	return 0;
}

int mq_once_looked(struct mq_consume *c)
{
	int64_t now = now_ns();
	bool wanted = false;
	int rc = 0;

	for (struct mq_once_topic *o = c->once->topics; o && rc == 0; o = o->next) {
		if (o->awaits && !o->wanted)
			rc = c->engine->once_await(o->ids, false, c->err);
		o->awaits = o->awaits && o->wanted;
		wanted |= o->wanted;
		o->wanted = false;
		o->stale = true;
	}
	if (!wanted) {
		c->once->again_ns = c->once->pause_ns = c->once->wanted_ns = 0;
	} else if (now >= c->once->again_ns) {
		int64_t pause = 2 * c->once->pause_ns;
		c->once->pause_ns = pause < PAUSE_MIN_NS ? PAUSE_MIN_NS : pause > PAUSE_MAX_NS ? PAUSE_MAX_NS : pause;
		c->once->again_ns = now + c->once->pause_ns;
	}
	return rc;
}

/* Who was killed rings for nobody, and its locks go a little later than the event of its end. */
void mq_once_stir(struct mq_consume *c)
{
	if (c->once && c->once->again_ns)
		c->once->again_ns = c->once->pause_ns = 1;
}

void mq_once_arm(struct mq_consume *c, int64_t *deadline_ns)
{
	int64_t at = c->once ? c->once->again_ns : 0;
	if (at && (*deadline_ns < 0 || at < *deadline_ns))
		*deadline_ns = at;
}

/* ---- the look ---- */
/* Take records out that were done since they were taken. */
static int take_out(struct mq_consume *c, struct mq_task *t)
{
	size_t from = 0, to = 0;
	uint64_t before = t->offset;
	const struct mq_once_rec *first = NULL;

	for (size_t i = 0; i < t->recs_n; i++) {
		struct mq_once_rec *r = &t->recs[i];
		size_t len = r->input_end - from;
		if (!r->done) {
			memmove(t->input.p + to, t->input.p + from, len);
			to += len;
			first = first ? first : r;
		} else {
			t->count--;
			t->bytes -= r->bytes;
		}
		from = r->input_end;
		r->input_end = to;
	}
	c->handlers->waiting_bytes -= t->input.len - to;
	t->input.len = to;
	/* A batch's environment tells of its first record; the place stays before all of them. */
	if (!first || first->offset == before)
		return 0;
	const struct mq_rec r = {.offset = first->offset, .time_us = first->time_us, .attempts = first->attempts};
	mq_buf_clear(&t->env);
	return mq_env_record(&t->env, t->feed, &r, c->req->batch) < 0 ? mq_consume_no_memory(c) : 0;
}

/* Of two of one id in a task the first alone is handled. */
static uint32_t find_twins(struct mq_task *t)
{
	uint32_t out = 0;
	for (size_t i = 1; i < t->locks_n; i++) {
		struct mq_once_rec *r = t->by_key[i];
		for (size_t j = i; j-- > 0 && t->by_key[j]->key == r->key && !r->done;) {
			const struct mq_once_rec *e = t->by_key[j];
			r->done = e->id_len == r->id_len && memcmp(t->ids.p + e->id_at, t->ids.p + r->id_at, r->id_len) == 0;
			out += r->done;
		}
	}
	return out;
}

static int look_all(struct mq_consume *c, struct mq_task *t)
{
	uint32_t out = find_twins(t);
	bool fresh = true; /* of all at once: nobody marks one whose lock we have */
	for (size_t i = 0; i < t->recs_n; i++) {
		struct mq_once_rec *r = &t->recs[i];
		if (!r->has_id || r->done)
			continue;
		int rc = c->engine->once_look(t->feed->once->ids, t->ids.p + r->id_at, r->id_len, fresh, &r->seen, c->err);
		if (rc < 0)
			return rc;
		fresh = false;
		r->done = rc > 0;
		out += rc > 0;
	}
	if (!out)
		return MQ_ONCE_GO;
	c->report.skipped_once += out;
	if (!c->ended && c->left_count != UINT64_MAX)
		c->left_count += out;
	int rc = take_out(c, t);
	return rc < 0 ? rc : t->count ? MQ_ONCE_GO : MQ_ONCE_SKIP;
}

int mq_once_gate(struct mq_consume *c, struct mq_task *t)
{
	bool other;
	if (!c->once || !t->locks_n)
		return MQ_ONCE_GO;
	int rc = sort(c, t);
	if (rc == 0)
		rc = lock_all(c, t, &other);
	if (rc == 0 && other)
		rc = await(c, t);
	if (rc <= 0)
		return rc < 0 ? rc : MQ_ONCE_WAIT;
	rc = look_all(c, t);
	if (rc != MQ_ONCE_GO)
		mq_once_let_go(c, t);
	return rc;
}

int mq_once_hold(struct mq_consume *c, struct mq_task *t, int fd, bool on)
{
	int rc = 0;
	for (size_t i = 0; c->once && fd >= 0 && i < t->locks_n && rc == 0; i++)
		rc = c->engine->once_handler(t->feed->once->ids, fd, t->by_key[i]->key, on, c->err);
	return rc;
}
