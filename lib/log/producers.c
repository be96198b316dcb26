/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/producers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
/* uthash would end the process without memory; it tells instead. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) (out_of_memory = true)
#include <uthash.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "sys/sys.h"

/* What it stored under one generation of the partition count. */
struct span {
	uint32_t generation;
	uint64_t number, last_base;
};

struct mq_producer_entry {
	struct mq_producer p;
	struct span *spans;  /* owned; by generation, the last one is that of p; none while there is but generation 0 */
	uint32_t n_spans;
	uint64_t registered; /* in this segment: the offset there, plus 1; else 0 */
	unsigned order;      /* how many were known before it */
	UT_hash_handle hh;
};

void mq_producers_init(struct mq_producers *p)
{
	memset(p, 0, sizeof *p);
}

void mq_producers_release(struct mq_producers *p)
{
	struct mq_producer_entry *e, *next;

	HASH_ITER(hh, p->by_id, e, next) {
		HASH_DEL(p->by_id, e);
		free(e->spans);
		free(e);
	}
	mq_producers_init(p);
}

const struct mq_producer *mq_producers_get(const struct mq_producers *p, uint64_t id)
{
	struct mq_producer_entry *e;

	HASH_FIND(hh, p->by_id, &id, sizeof id, e);
	return e ? &e->p : NULL;
}

const struct mq_producer *mq_producers_find(const struct mq_producers *p, enum mq_who_kind kind, const char *name)
{
	for (const struct mq_producer_entry *e = p->by_id; e; e = e->hh.next)
		if (e->p.kind == kind && strcmp(e->p.name, name) == 0)
			return &e->p;
	return NULL;
}

/* ---- generations of the partition count ---- */
static int add_span(struct mq_producer_entry *e, uint32_t generation, uint64_t number, uint64_t last_base)
{
	struct span *v = realloc(e->spans, (e->n_spans + 1) * sizeof *v);

	if (!v)
		return -ENOMEM;
	e->spans = v;
	v[e->n_spans++] = (struct span){generation, number, last_base};
	return 0;
}

/* p is about to be what a batch of this generation says. */
static int note_span(struct mq_producer_entry *e, uint32_t generation, uint64_t number, uint64_t last_base)
{
	struct span *last = e->n_spans ? &e->spans[e->n_spans - 1] : NULL;
	int rc = 0;

	if (e->p.kind != MQ_WHO_PRODUCER || (!last && generation == 0))
		return 0;
	if (last && generation <= last->generation) {
		*last = (struct span){last->generation, number, last_base};
		return 0;
	}
	if (!last && e->p.number > 0)
		rc = add_span(e, 0, e->p.number, e->p.last_base);
	return rc < 0 ? rc : add_span(e, generation, number, last_base);
}

static struct span find_span(const struct mq_producers *p, const struct mq_producer *who, uint32_t generation)
{
	const struct mq_producer_entry *e;

	HASH_FIND(hh, p->by_id, &who->id, sizeof who->id, e);
	if (!e || e->p.kind != MQ_WHO_PRODUCER || (e->n_spans == 0 && generation == 0))
		return (struct span){generation, who->number, who->last_base};
	for (uint32_t i = 0; i < e->n_spans; i++)
		if (e->spans[i].generation == generation)
			return e->spans[i];
	return (struct span){generation, 0, MQ_NO_OFFSET};
}

uint64_t mq_producers_number(const struct mq_producers *p, const struct mq_producer *who, uint32_t generation)
{
	return find_span(p, who, generation).number;
}

uint64_t mq_producers_last_base(const struct mq_producers *p, const struct mq_producer *who, uint32_t generation)
{
	return find_span(p, who, generation).last_base;
}

/* An entry, and behind it what it stored under which generation. */
static int append_entry(struct mq_buf *body, const struct mq_producer_entry *e)
{
	int rc = mq_producer_append(body, &e->p);

	for (uint32_t i = 0; i < e->n_spans && rc == 0; i++) {
		const struct span *s = &e->spans[i];
		struct mq_producer v = {.kind = MQ_WHO_PRODUCER, .in_generation = true, .id = e->p.id,
		                        .generation = s->generation, .number = s->number, .last_base = s->last_base};

		rc = mq_producer_append(body, &v);
	}
	return rc;
}

/* ---- the table ---- */
static int put(struct mq_producers *p, const struct mq_producer *v, uint64_t registered)
{
	struct mq_producer_entry *e;
	bool out_of_memory = false;

	HASH_FIND(hh, p->by_id, &v->id, sizeof v->id, e);
	if (v->in_generation)
		return e ? add_span(e, v->generation, v->number, v->last_base) : 0;
	if (!e) {
		e = calloc(1, sizeof *e);
		if (!e)
			return -ENOMEM;
		e->p = *v;
		e->order = HASH_COUNT(p->by_id);
		HASH_ADD(hh, p->by_id, p.id, sizeof e->p.id, e);
		if (out_of_memory) {
			free(e);
			return -ENOMEM;
		}
	}
	e->p = *v;
	e->n_spans = 0;
	e->registered = registered;
	return 0;
}

static int take_in(struct mq_producers *p, const struct mq_batch *b, const uint8_t *body)
{
	if (b->control == MQ_CONTROL_SNAPSHOT || b->control == MQ_CONTROL_REGISTER) {
		const uint8_t *at = body, *end = body + b->stored_len;
		uint64_t registered = b->control == MQ_CONTROL_REGISTER ? b->base_offset + 1 : 0;
		struct mq_producer v;
		int rc;

		while ((rc = mq_producer_next(&at, end, &v)) > 0)
			if ((rc = put(p, &v, registered)) < 0)
				return rc;
		return rc;
	}
	if (b->who.kind != MQ_WHO_NOBODY) {
		struct mq_producer_entry *e;

		HASH_FIND(hh, p->by_id, &b->who.id, sizeof b->who.id, e);
		if (e) {
			int rc = e->p.kind == MQ_WHO_PRODUCER ? note_span(e, b->topic_generation, b->who.number, b->base_offset) : 0;

			if (rc < 0)
				return rc;
			e->p.generation = b->who.generation;
			e->p.number = b->who.number;
			e->p.last_base = b->base_offset;
		}
	}
	return 0;
}

int mq_producers_learn(struct mq_producers *p, const struct mq_batch *b, const uint8_t *body, uint64_t pos, uint64_t end)
{
	int rc;

	if (p->pos != pos)
		return 0; /* not caught up: it will be read from the log */
	rc = take_in(p, b, body);
	if (rc == 0)
		p->pos = end;
	return rc;
}

/* ---- the cache file: 16 bytes segment id, u64 position, u32 length, u32 CRC32C seeded for that place, entries ---- */
enum { CACHE_HEAD = 32, CACHE_MAX = 64 << 20 };

static uint32_t cache_crc(const struct mq_segment_id *id, uint64_t pos, const void *body, size_t len)
{
	return mq_crc32c(mq_batch_seed(id->b, pos), body, len);
}

static int load_cache(struct mq_producers *p, int dir, const struct mq_segment *seg, uint64_t to)
{
	uint8_t head[CACHE_HEAD];
	uint8_t *body = NULL;
	const uint8_t *at;
	struct mq_producer v;
	uint64_t pos, len;
	int rc = 0, fd = mq_sys->openat(dir, "producers", O_RDONLY, 0);

	if (fd < 0)
		return 0;
	if (mq_sys->read(fd, head, sizeof head) != (ssize_t)CACHE_HEAD || memcmp(head, seg->h.id.b, 16) != 0)
		goto out;
	pos = mq_get_le64(head + 16);
	len = mq_get_le32(head + 24);
	if (pos > to || pos < MQ_SEGMENT_HEADER_LEN || len > CACHE_MAX)
		goto out;
	body = malloc(len + 1);
	if (!body) {
		rc = -ENOMEM;
		goto out;
	}
	if (mq_sys->read(fd, body, len) != (ssize_t)len || cache_crc(&seg->h.id, pos, body, len) != mq_get_le32(head + 28))
		goto out;
	at = body;
	while ((rc = mq_producer_next(&at, body + len, &v)) > 0)
		if ((rc = put(p, &v, 0)) < 0)
			goto out;
	if (rc == 0)
		p->pos = pos;
	rc = 0;
out:
	free(body);
	(void)mq_sys->close(fd);
	return rc;
}

int mq_producers_save(const struct mq_producers *p, int dir, unsigned mode, struct mq_err *err)
{
	static const char tmp[] = ".producers.tmp";
	struct mq_buf b;
	uint8_t head[CACHE_HEAD] = {0};
	int rc = 0, fd = -1;

	mq_buf_init(&b);
	rc = mq_buf_add(&b, head, sizeof head);
	for (const struct mq_producer_entry *e = p->by_id; e && rc == 0; e = e->hh.next)
		rc = append_entry(&b, e);
	if (rc < 0)
		goto out;
	memcpy(b.p, p->segment.b, 16);
	mq_put_le64((uint8_t *)b.p + 16, p->pos);
	mq_put_le32((uint8_t *)b.p + 24, (uint32_t)(b.len - CACHE_HEAD));
	mq_put_le32((uint8_t *)b.p + 28, cache_crc(&p->segment, p->pos, b.p + CACHE_HEAD, b.len - CACHE_HEAD));
	(void)mq_sys->unlinkat(dir, tmp, false);
	fd = rc = mq_sys->openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL, mode);
	if (rc < 0)
		goto out;
	rc = mq_sys->fchmod(fd, mode);
	if (rc == 0 && mq_sys->pwrite(fd, b.p, b.len, 0) != (ssize_t)b.len)
		rc = -ENOSPC;
	if (rc == 0)
		rc = mq_sys->renameat(dir, tmp, dir, "producers", true);
out:
	if (fd >= 0)
		(void)mq_sys->close(fd);
	mq_buf_release(&b);
	return rc < 0 ? mq_err_sys(err, rc, "cannot write the producer cache") : 0;
}

int mq_producers_catch_up(struct mq_producers *p, int dir, struct mq_scan *scan, const struct mq_segment *seg,
                          uint64_t to, struct mq_err *err)
{
	int rc = 0;

	if (!mq_segment_id_equal(&p->segment, &seg->h.id) || p->pos > to) {
		mq_producers_release(p);
		p->segment = seg->h.id;
		p->pos = MQ_SEGMENT_HEADER_LEN;
		rc = load_cache(p, dir, seg, to);
		if (rc < 0)
			return mq_err_sys(err, rc, "cannot read the producer cache");
	}
	mq_scan_reset(scan, seg);
	while (p->pos < to) {
		struct mq_batch b;
		const uint8_t *body = NULL;

		rc = mq_scan_header(scan, p->pos, to, &b, err);
		if (rc == 1 && b.kind == MQ_BATCH_CONTROL)
			rc = mq_scan_batch(scan, p->pos, to, &b, &body, err);
		if (rc == MQ_EDAMAGE) {
			uint64_t next;

			rc = mq_scan_resync(scan, p->pos + 1, to, &next, err);
			if (rc < 0)
				break;
			p->pos = rc == 1 ? next : to;
			continue;
		}
		if (rc <= 0)
			break;
		rc = take_in(p, &b, body);
		if (rc < 0)
			break;
		p->pos += mq_batch_len(&b);
	}
	mq_scan_reset(scan, seg);
	return rc < 0 ? rc : 0;
}

/* A newcomer counts as used where it was registered: its first batch may be the one that rolls.  One that wrote nothing
 * since an earlier segment goes first. */
static uint64_t last_used(const struct mq_producer_entry *e)
{
	return e->p.last_base == MQ_NO_OFFSET ? e->registered : e->p.last_base + 1;
}

static int newest_first(const void *a, const void *b)
{
	const struct mq_producer_entry *x = *(const struct mq_producer_entry *const *)a;
	const struct mq_producer_entry *y = *(const struct mq_producer_entry *const *)b;
	uint64_t u = last_used(x), v = last_used(y);

	if (u == v)
		return x->order < y->order ? 1 : x->order > y->order ? -1 : 0;
	return u < v ? 1 : -1;
}

int mq_producers_snapshot(const struct mq_producers *p, struct mq_buf *body, uint32_t *ret_dropped)
{
	size_t n = HASH_COUNT(p->by_id), i = 0;
	const struct mq_producer_entry **all;
	int rc = 0;

	*ret_dropped = 0;
	if (n == 0)
		return 0;
	all = malloc(n * sizeof *all);
	if (!all)
		return -ENOMEM;
	for (const struct mq_producer_entry *e = p->by_id; e; e = e->hh.next)
		all[i++] = e;
	qsort(all, n, sizeof *all, newest_first);
	for (i = 0; i < n && rc == 0; i++) {
		size_t before = body->len;

		rc = append_entry(body, all[i]);
		if (rc == 0 && body->len > MQ_PRODUCERS_SNAPSHOT_MAX) {
			body->len = before;
			*ret_dropped = (uint32_t)(n - i);
			break;
		}
	}
	free(all);
	return rc;
}
