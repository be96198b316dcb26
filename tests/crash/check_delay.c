/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Delayed records after a power cut: each waits, or has come, or was cancelled; when its time is there it comes, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_parts.h"
#include "ops/room.h"

enum { SERIALS_MAX = 8192 };
static const int64_t HOUR_NS = 3600 * INT64_C(1000000000);

/* By serial number; 0: of all that have that one. */
struct fate {
	bool promised, to_cancel, cancelled, waits, came;
};

static struct fate fates[SERIALS_MAX];

static struct fate *fate_of(uint64_t serial)
{
	if (serial >= SERIALS_MAX)
		die("the scenario has more records than the check has room for");
	return &fates[serial];
}

static void promises(const struct checking *k, const struct story *y)
{
	memset(fates, 0, sizeof fates);
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		for (uint64_t i = 0; f->kind == FACT_DELAYED && i < f->offset; i++)
			fate_of(f->partition + i)->promised = true;
		if (f->kind == FACT_CANCELS)
			fate_of(f->partition)->to_cancel = true;
		if (f->kind == FACT_CANCELLED)
			fate_of(f->partition)->cancelled = true;
	}
}

static int take_waiting(void *arg, const struct mq_delayed_info *info)
{
	struct checking *k = arg;
	char id[24];
	struct fate *f;

	if (!info->id || info->id_len < 2 || info->id_len >= sizeof id || info->id[0] != '#')
		return wrong(k, "what waits at %llu was never published", (unsigned long long)info->offset);
	snprintf(id, sizeof id, "%.*s", (int)info->id_len, info->id);
	f = fate_of(strtoul(id + 1, NULL, 10));
	if (f->waits && f != &fates[0])
		return wrong(k, "%s waits twice", id);
	f->waits = true;
	return 0;
}

static int look(struct checking *k, const struct story *y, struct mq *mq, struct mq_topic *t, const char *when)
{
	struct reading now = {0};
	struct mq_delayed_sum sum;
	int rc = read_all(k, y, t, &now, when);

	for (int i = 0; i < SERIALS_MAX; i++)
		fates[i].waits = fates[i].came = false;
	for (size_t i = 0; i < now.n; i++)
		if (now.r[i].serial < SERIALS_MAX)
			fate_of(now.r[i].serial)->came = true;
	reading_free(&now);
	k->why[0] = rc < 0 ? k->why[0] : 0;
	if (rc == 0 && mq_topic_delayed(mq, y->name, 0, take_waiting, k, &sum) < 0)
		return k->why[0] ? -1 : wrong(k, "%s: %s: what waits cannot be listed: %s", y->name, when, mq_why(mq));
	return rc;
}

/* last: nothing may wait any more. */
static int judge(struct checking *k, const struct story *y, const char *when, bool last)
{
	for (int i = 0; i < SERIALS_MAX; i++) {
		const struct fate *f = &fates[i];
		const char *what = f->came && f->waits                                       ? "has come and waits"
		                   : f->cancelled && f->came                                 ? "was cancelled and came"
		                   : f->cancelled && f->waits                                ? "was cancelled and waits"
		                   : f->promised && !f->came && !f->waits && !f->to_cancel ? "neither came nor waits"
		                   : last && f->waits                                        ? "did not come"
		                                                                             : NULL;
		if (what)
			return wrong(k, "%s: %s: record %d %s", y->name, when, i, what);
	}
	return 0;
}

static int pass(struct checking *k, const struct story *y, struct mq *mq)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_rooms *r;
	int rc = mq_rooms_open(&r, mq, y->name, &err);

	for (int i = 0; rc >= 0 && r && i < 100 && (rc = mq_rooms_deliver(r, &err)) == 1; i++)
		;
	if (rc >= 0)
		mq_rooms_empty(mq, y->name);
	if (rc >= 0)
		mq_rooms_close(r);
	return rc < 0 ? wrong(k, "%s: what is due cannot be delivered: %s", y->name, err.text) : 0;
}

static int hold(struct checking *k, const struct story *y, struct mq *mq, struct mq_topic *t)
{
	static const struct {
		int64_t hours;
		const char *when;
	} turns[] = {{0, "what was begun is delivered"}, {3, "three hours later"}, {2 * 366 * 24, "two years later"}};
	int rc = 0;

	promises(k, y);
	for (size_t i = 0; rc == 0 && i < sizeof turns / sizeof turns[0]; i++) {
		world_later(turns[i].hours * HOUR_NS);
		rc = pass(k, y, mq);
		if (rc == 0)
			rc = look(k, y, mq, t, turns[i].when);
		if (rc == 0)
			rc = judge(k, y, turns[i].when, i == 2);
	}
	world_later(0);
	return rc;
}

int check_delays(struct checking *k)
{
	struct mq_err err = MQ_ERR_INIT;
	const struct fact *any = NULL;
	struct story y;
	struct mq *mq;
	int rc;

	for (size_t i = 0, n = facts_known(k->s->facts, k->s->cut); i < n; i++)
		if (k->s->facts->f[i].kind == FACT_DELAYS)
			any = &k->s->facts->f[i];
	if (!any || k->s->rotten)
		return 0;
	y = story_of(k->s, any->topic);
	mq = mq_new();
	if (!mq || mq_open(mq, k->path, 0) < 0)
		return wrong(k, "the spool cannot be opened once more");
	rc = mq_topic_open(&k->topic, k->spool, y.name, &err);
	if (rc == 0) {
		rc = hold(k, &y, mq, &k->topic);
		mq_topic_release(&k->topic);
	}
	mq_free(mq);
	return rc;
}
