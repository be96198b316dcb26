/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dead letters and runs after a power cut: each record is where it belongs as often as it was sent there. */
#include <string.h>

#include "check_parts.h"
#include "ops/ops.h"
#include "requests.h"

static const int64_t HOUR_NS = 3600 * INT64_C(1000000000);
static struct moved_pile source, target;

static int take(struct checking *k, struct mq *mq, const char *topic)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc = pile_take(mq, "t", &source, &err);

	target.n = 0;
	if (rc == 0)
		rc = pile_take(mq, topic, &target, &err);
	if (rc == MQ_ENOTOPIC)
		rc = 0;
	return rc < 0 ? wrong(k, "t and %s cannot be read: %s", topic, err.text) : 0;
}

/* As the next who stores something there does: on another mount of the same boot only that shows all that is durable. */
static int recover(struct checking *k, struct mq *mq, const char *topic)
{
	struct mq_err err = MQ_ERR_INIT;
	const struct mq_engine *e = mq->store->engine;
	struct mq_appender *a;
	struct mq_ticket end;
	int rc = e->appender_open(mq->store, topic, 0, &a, &err);

	if (rc == MQ_ENOTOPIC)
		return 0;
	if (rc == 0) {
		rc = e->appender_mark(a, &end, &err);
		e->appender_close(a);
	}
	return rc < 0 ? wrong(k, "%s cannot be recovered: %s", topic, err.text) : 0;
}

/* ---- dead letters ---------------------------------------------------------------------------------- */

static int compare_letters(struct checking *k, uint64_t place)
{
	for (unsigned i = 0; i < source.n; i++) {
		unsigned there = pile_count(&target, source.payload[i]);

		if (there != (source.offset[i] < place))
			return wrong(k, "g stands at %llu, and the record at %llu is %u times among the dead letters", (unsigned long long)place,
			             (unsigned long long)source.offset[i], there);
	}
	return 0;
}

static int hold_letters(struct checking *k, struct mq *mq, uint64_t promised)
{
	struct mq_err err = MQ_ERR_INIT;
	uint64_t place = 0;

	if (pile_place(mq, &place, &err) < 0)
		return wrong(k, "what was being moved is not finished: %s", err.text);
	if (place < promised)
		return wrong(k, "g stands at %llu, %llu was acknowledged", (unsigned long long)place, (unsigned long long)promised);
	if (recover(k, mq, "t.dead") < 0 || take(k, mq, "t.dead") < 0 || compare_letters(k, place) < 0)
		return -1;
	if (request_letters(mq, 0) < 0)
		return wrong(k, "the rest does not die: %s", mq_why(mq));
	return take(k, mq, "t.dead") < 0 ? -1 : compare_letters(k, UINT64_MAX);
}

/* ---- retries that wait ----------------------------------------------------------------------------- */

/* What g has passed waits, or is a letter. */
static int compare_waiting(struct checking *k, struct mq *mq, uint64_t place)
{
	struct mq_delayed_sum waiting;
	unsigned passed = 0;

	if (mq_topic_delayed(mq, "t", 0, NULL, NULL, &waiting) < 0)
		return wrong(k, "what waits cannot be counted: %s", mq_why(mq));
	for (unsigned i = 0; i < source.n; i++)
		passed += source.offset[i] < place;
	if (waiting.records + target.n != passed)
		return wrong(k, "g stands at %llu, has passed %u records, of which %llu wait and %u are dead letters", (unsigned long long)place,
		             passed, (unsigned long long)waiting.records, target.n);
	return 0;
}

/* An hour later each has failed again; what failed for the first time then, after one more. */
static int retry_all(struct checking *k, struct mq *mq)
{
	int rc = 0;

	for (int turn = 0; turn < 3 && rc == 0; turn++) {
		world_later(2 * turn * HOUR_NS);
		if (request_retries(mq, 0, 1) < 0)
			rc = wrong(k, "the rest does not die: %s", mq_why(mq));
	}
	world_later(0);
	return rc;
}

static int hold_retries(struct checking *k, struct mq *mq, uint64_t promised)
{
	struct mq_err err = MQ_ERR_INIT;
	uint64_t place = 0;

	if (pile_place(mq, &place, &err) < 0)
		return wrong(k, "what was being put aside is not finished: %s", err.text);
	if (place < promised)
		return wrong(k, "g stands at %llu, %llu was acknowledged", (unsigned long long)place, (unsigned long long)promised);
	if (recover(k, mq, "wait@t@") < 0 || recover(k, mq, "t.dead") < 0 || take(k, mq, "t.dead") < 0)
		return -1;
	if (compare_waiting(k, mq, place) < 0 || retry_all(k, mq) < 0)
		return -1;
	return take(k, mq, "t.dead") < 0 ? -1 : compare_letters(k, UINT64_MAX);
}

/* ---- a run ----------------------------------------------------------------------------------------- */

/* Of each record of the scenario's so many copies: 1; 0: of some fewer; -1. */
static int compare_copies(struct checking *k, unsigned least, unsigned most)
{
	bool all = true;

	for (unsigned i = 0; i < source.n; i++) {
		unsigned there = pile_count(&target, source.payload[i]);

		if (strncmp(source.payload[i], "#9", 2) == 0) /* the check's own */
			continue;
		if (there < least || there > most)
			return wrong(k, "%u runs ended, %u began, and there are %u copies of the record at %llu", least, most, there,
			             (unsigned long long)source.offset[i]);
		all &= there == most;
	}
	return all;
}

/* A run that was broken off goes on; of one that has ended a new one begins. */
static int hold_copies(struct checking *k, struct mq *mq, unsigned ended, unsigned begun)
{
	int rc = take(k, mq, "u");

	if (rc == 0)
		rc = compare_copies(k, ended, begun);
	if (rc < 0 || (rc == 1 && ended < begun)) /* it may have ended, too */
		return rc < 0 ? rc : 0;
	begun += ended == begun;
	if (request_copies(mq) < 0)
		return wrong(k, "the run does not go on: %s", mq_why(mq));
	rc = take(k, mq, "u");
	return rc < 0 ? rc : compare_copies(k, begun, begun) < 0 ? -1 : 0;
}

int check_letters(struct checking *k)
{
	unsigned begun = 0, ended = 0;
	uint64_t promised = 0;
	bool any = false, retries = false;
	struct mq *mq;
	int rc = 0;

	for (size_t i = 0, n = facts_known(k->s->facts, k->s->cut); i < n; i++) {
		const struct fact *f = &k->s->facts->f[i];

		any |= f->kind == FACT_DIES;
		retries |= f->kind == FACT_RETRIES;
		if (f->kind == FACT_DIED)
			promised = f->offset;
		begun += f->kind == FACT_COPIES;
		ended += f->kind == FACT_COPIED;
	}
	if ((!any && !retries && !begun) || k->s->rotten)
		return 0;
	mq = mq_new();
	if (!mq || mq_open(mq, k->path, 0) < 0)
		return wrong(k, "the spool cannot be opened once more");
	if (begun)
		rc = hold_copies(k, mq, ended, begun);
	if (rc == 0 && any)
		rc = hold_letters(k, mq, promised);
	if (rc == 0 && retries)
		rc = hold_retries(k, mq, promised);
	mq_free(mq);
	return rc;
}
