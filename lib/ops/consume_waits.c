/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of the topics that wait until they are due: a consumer delivers them as it begins, and one that follows whenever the
 * first is due or something is parked.  A topic in which nothing ever waited costs a look for its room, and a watch on where
 * rooms are made; no message costs anything.
 */
#include <stdlib.h>
#include <string.h>

#include "ops/consume.h"
#include "ops/room.h"
#include "sys/sys.h"

struct mq_waits {
	struct mq_rooms **rooms; /* by topic of the request; NULL: it has none */
	bool look;               /* something may have been parked */
	int64_t next_ns;         /* the first is due; -1: there is no room */
};

static bool is_named_before(const struct mq_consume_request *req, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(req->topics[k], req->topics[i]) == 0)
			return true;
	return false;
}

/* --- beginning and end ---------------------------------------------------------------------- */

int mq_waits_begin(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;

	for (size_t i = 0; i < req->n_topics; i++)
		if (!is_named_before(req, i))
			mq_rooms_pass(c->mq, req->topics[i]);
	if (!req->follow || !c->engine->room_open)
		return 0;
	c->waits = calloc(1, sizeof *c->waits);
	if (c->waits)
		c->waits->rooms = calloc(req->n_topics, sizeof(struct mq_rooms *));
	if (!c->waits || !c->waits->rooms)
		return mq_consume_no_memory(c);
	c->waits->next_ns = -1;
	return 0;
}

void mq_waits_end(struct mq_consume *c)
{
	if (!c->waits)
		return;
	for (size_t i = 0; i < c->req->n_topics && c->waits->rooms; i++)
		mq_rooms_close(c->waits->rooms[i]);
	free(c->waits->rooms);
	free(c->waits);
	c->waits = NULL;
}

/* --- rooms ---------------------------------------------------------------------------------- */

/* 1: there is one that was not there before. */
static int find(struct mq_consume *c)
{
	int found = 0;

	for (size_t i = 0; i < c->req->n_topics; i++) {
		struct mq_err why = {0};
		if (c->waits->rooms[i] || is_named_before(c->req, i))
			continue;
		int rc = mq_rooms_open(&c->waits->rooms[i], c->mq, c->req->topics[i], &why);
		mq_rooms_told(c->mq, c->req->topics[i], rc, &why);
		found |= rc == 0 && c->waits->rooms[i];
	}
	return found;
}

int mq_waits_listen(struct mq_consume *c)
{
	bool lacks = false;
	int rc = 0;

	if (!c->waits)
		return 0;
	find(c);
	for (size_t i = 0; i < c->req->n_topics && rc == 0; i++) {
		lacks |= !c->waits->rooms[i] && !is_named_before(c->req, i);
		if (c->waits->rooms[i])
			rc = mq_rooms_arm(c->waits->rooms[i], &c->wait, c->err);
	}
	if (rc == 0 && lacks)
		rc = c->engine->store_arm(c->store, &c->wait, c->err);
	c->waits->look = true; /* what came before is looked for */
	return rc < 0 ? rc : 0;
}

/* Before what they watch is given up. */
void mq_waits_deaf(struct mq_consume *c)
{
	for (size_t i = 0; c->waits && i < c->req->n_topics; i++)
		if (c->waits->rooms[i])
			mq_rooms_disarm(c->waits->rooms[i]);
}

void mq_waits_heard(struct mq_consume *c)
{
	if (c->waits)
		c->waits->look = true;
}

int64_t mq_waits_due(const struct mq_consume *c)
{
	return c->waits ? c->waits->next_ns : -1;
}

/* --- delivering ----------------------------------------------------------------------------- */

static int deliver(struct mq_consume *c)
{
	struct mq_waits *w = c->waits;
	int some = 0;

	w->next_ns = -1;
	for (size_t i = 0; i < c->req->n_topics; i++) {
		struct mq_err why = {0};
		if (!w->rooms[i])
			continue;
		int rc = mq_rooms_deliver(w->rooms[i], &why);
		mq_rooms_told(c->mq, c->req->topics[i], rc, &why);
		if (rc == MQ_ENOTOPIC) { /* the topic was deleted, perhaps made again */
			mq_rooms_close(w->rooms[i]);
			w->rooms[i] = NULL;
			continue;
		}
		int64_t next_ns = mq_rooms_next_ns(w->rooms[i]);
		w->next_ns = w->next_ns < 0 || next_ns < w->next_ns ? next_ns : w->next_ns;
		some |= rc > 0;
	}
	return some;
}

int mq_waits_step(struct mq_consume *c)
{
	struct mq_waits *w = c->waits;

	if (!w || c->ended || (!w->look && (w->next_ns < 0 || mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) < w->next_ns)))
		return 0;
	w->look = false;
	int found = find(c), some = deliver(c);
	if (found) {
		int rc = mq_sleep_listen_anew(c);
		if (rc < 0)
			return rc;
	}
	return some || found;
}
