/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/record.h"
#include "payload.h"
#include "sys/sys.h"

struct taking {
	struct reading *r;
	struct mq_topic *t;
	uint32_t partition;
	const struct facts *f;
	size_t from, cut;
	char *why;
	size_t len;
};

static int wrong(struct taking *k, const char *what, uint64_t offset)
{
	snprintf(k->why, k->len, "%s/%u: the record at %llu %s", k->t->name, k->partition, (unsigned long long)offset, what);
	return -1;
}

static int take(struct taking *k, uint64_t offset, uint32_t serial, const struct mq_batch *b)
{
	struct reading *r = k->r;

	for (size_t i = 0; i < r->n; i++)
		if (r->r[i].serial == serial || r->r[i].offset >= offset)
			return wrong(k, "comes twice or out of order", offset);
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->r = must(realloc(r->r, r->cap * sizeof *r->r));
	}
	r->r[r->n++] = (struct seen){offset, serial, b->who.kind ? b->who.id : 0, b->who.number};
	return 0;
}

static int take_record(struct taking *k, const struct mq_rec *rec, const struct mq_batch *b)
{
	static char text[PAYLOAD_MAX + 1];
	const struct fact_record *known;
	uint32_t serial;

	known = rec->payload_len == 0 ? facts_at(k->f, k->t->name, k->partition, rec->offset, k->cut) : NULL;
	if (known && known->len == 0) /* a tombstone says no number */
		return take(k, rec->offset, known->serial, b);
	if (rec->payload_len < PAYLOAD_MIN || rec->payload[0] != '#')
		return wrong(k, "was never published", rec->offset);
	serial = (uint32_t)strtoul(rec->payload + 1, NULL, 10);
	if (serial >= 90000000) { /* the check's own */
		known = NULL;
	} else {
		known = facts_record(k->f, serial);
		if (!known || known->tried_at >= k->cut || known->tried_at < k->from || strcmp(known->topic, k->t->name) != 0)
			return wrong(k, "was never published here", rec->offset);
		payload_make(serial, known->len, known->binary, text);
		if (rec->payload_len != known->len || memcmp(rec->payload, text, known->len) != 0)
			return wrong(k, "has other bytes than were published", rec->offset);
		if (known->offset != UINT64_MAX && known->offset != rec->offset)
			return wrong(k, "was published at another offset", rec->offset);
	}
	return take(k, rec->offset, serial, b);
}

static int take_batch(struct taking *k, const struct mq_cursor_view *v)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_walk w;
	struct mq_rec rec;
	int rc = mq_walk_init(&w, &v->batch, v->body, &err);

	while (rc >= 0 && (rc = mq_walk_next(&w, &rec)) > 0)
		if (rec.offset >= v->first_offset && take_record(k, &rec, &v->batch) < 0)
			return -1;
	return rc < 0 ? wrong(k, "stands in a body that contradicts itself", v->batch.base_offset) : 0;
}

static void take_loss(struct reading *r, const struct mq_cursor_loss *loss)
{
	if (r->n_lost == r->cap_lost) {
		r->cap_lost = r->cap_lost ? r->cap_lost * 2 : 8;
		r->lost = must(realloc(r->lost, r->cap_lost * sizeof *r->lost));
	}
	r->lost[r->n_lost++] = *loss;
}

static int take_all(struct taking *k, struct mq_cursor *c, struct mq_err *err)
{
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	int rc = mq_cursor_seek(c, 0, err);

	while (rc >= 0 && (rc = mq_cursor_next(c, &v, &loss, err)) != 0) {
		if (rc == MQ_EDAMAGE) {
			take_loss(k->r, &loss);
			rc = 0;
			if (k->r->n_lost > 1000) {
				snprintf(k->why, k->len, "damage without end");
				return -1;
			}
		} else if (rc == 1 && take_batch(k, &v) < 0) {
			return -1;
		}
	}
	if (rc < 0) {
		snprintf(k->why, k->len, "%s (%d)", err->text, rc);
		return -1;
	}
	k->r->end = c->visible_offset;
	k->r->log_start = c->log_start;
	return 0;
}

int reading_take(struct reading *r, struct mq_topic *t, uint32_t partition, const struct facts *f, size_t from,
                 size_t cut, char *why, size_t len)
{
	struct taking k = {r, t, partition, f, from, cut, why, len};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_cursor c;
	int rc, dir = mq_partition_dir(t, partition, &err);

	memset(r, 0, sizeof *r);
	rc = dir < 0 ? dir : mq_cursor_open(&c, dir, t->name, t->conf.id, partition, &err);
	if (dir >= 0)
		(void)mq_sys->close(dir);
	if (rc < 0) {
		snprintf(why, len, "%s (%d)", err.text, rc);
		return -1;
	}
	rc = take_all(&k, &c, &err);
	mq_cursor_release(&c);
	return rc;
}

void reading_free(struct reading *r)
{
	free(r->r);
	free(r->lost);
	memset(r, 0, sizeof *r);
}

const struct seen *reading_at(const struct reading *r, uint64_t offset)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->r[i].offset == offset)
			return &r->r[i];
	return NULL;
}
