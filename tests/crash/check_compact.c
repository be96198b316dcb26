/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compaction after a power cut: of each key the last record is there, and no record that a tombstone hid. */
#include <stdio.h>

#include "api/mq.h"
#include "check_parts.h"
#include "payload.h"

static const int64_t TWO_DAYS_NS = 2 * 86400ll * 1000000000;

bool is_compacted(const struct checking *k, const struct story *y)
{
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));)
		if (f->kind == FACT_COMPACTS)
			return true;
	return false;
}

/* The last record of the key of which it was promised that it stays; NULL. */
static const struct fact_record *last_of(const struct checking *k, const struct story *y, char key)
{
	const struct fact_record *last = NULL;

	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));)
		for (uint64_t i = 0; f->kind == FACT_DURABLE && i < f->count; i++) {
			const struct fact_record *r = facts_at(k->s->facts, y->name, f->partition, f->offset + i, f->at);

			if (r && compact_key(r->serial) == key && (!last || r->offset > last->offset))
				last = r;
		}
	return last;
}

bool is_overtaken(const struct checking *k, const struct story *y, const struct reading *r, const struct fact_record *want)
{
	char key = compact_key(want->serial);
	const struct fact_record *last;

	if (!is_compacted(k, y) || !key)
		return false;
	for (size_t i = 0; i < r->n; i++)
		if (r->r[i].offset > want->offset && compact_key(r->r[i].serial) == key)
			return true;
	last = last_of(k, y, key); /* nothing of its key is left behind it: then it ended with a tombstone, which went */
	return last && last->len == 0 && last->offset >= want->offset;
}

int expect_no_ghosts(struct checking *k, const struct story *y, const struct reading *r, const char *when)
{
	if (!is_compacted(k, y) || k->s->rotten)
		return 0;
	for (size_t i = 0; i < r->n; i++) {
		char key = compact_key(r->r[i].serial);
		const struct fact_record *last = key ? last_of(k, y, key) : NULL;

		if (last && last->len == 0 && r->r[i].offset < last->offset && !reading_at(r, last->offset))
			return wrong(k, "%s: %s: the record at %llu has come to light, which the tombstone at %llu hid", y->name, when,
			             (unsigned long long)r->r[i].offset, (unsigned long long)last->offset);
	}
	return 0;
}

/* mq-retain, two days later: what was begun is finished or begun anew, and what was replaced goes. */
static int retain(struct checking *k, const struct story *y)
{
	struct mq_retain_request req = {.topics = &y->name, .n_topics = 1, .force = true};
	struct mq_retain_report report;
	struct mq *mq = mq_new();
	int rc;

	if (!mq || mq_open(mq, k->path, 0) < 0)
		return wrong(k, "the spool cannot be opened once more");
	world_later(TWO_DAYS_NS);
	rc = mq_retain(mq, &req, &report);
	world_later(0);
	if (rc < 0)
		rc = wrong(k, "%s: mq-retain fails: %s", y->name, mq_why(mq));
	mq_free(mq);
	return rc;
}

int check_compacted(struct checking *k, const struct story *y, struct mq_topic *t)
{
	struct reading now = {0};
	int rc;

	if (!is_compacted(k, y) || k->s->rotten)
		return 0;
	rc = retain(k, y);
	if (rc == 0)
		rc = read_all(k, y, t, &now, "after one more compaction");
	reading_free(&now);
	return rc;
}
