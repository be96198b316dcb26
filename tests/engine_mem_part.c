/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing to a partition and reading from it. */
#include "engine_mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

/* --- writing -------------------------------------------------------------------------------- */

struct mem_appender {
	struct mq_appender base;
	struct mem_store *s;
	uint32_t topic, partition;
	struct mq_room room;
};

static struct mem_partition *part_of(struct mem_store *s, uint32_t topic, uint32_t partition)
{
	return &s->topics[topic].partitions[partition];
}

static int appender_open(struct mq_store *store, const char *topic, uint32_t p, struct mq_appender **ret, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	uint32_t t;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = mem_find_partition(s, topic, p, &t, err);
	mem_end(s);
	if (rc < 0)
		return rc;
	struct mem_appender *a = calloc(1, sizeof *a);
	*a = (struct mem_appender){.base = {store->engine}, .s = s, .topic = t, .partition = p};
	*ret = &a->base;
	return 0;
}

static void appender_close(struct mq_appender *a)
{
	free(a);
}

static bool is_full(const struct mem_topic *t, const struct mem_partition *p, const struct mq_batch *b)
{
	return (t->conf.max_bytes > 0 && p->bytes + mq_batch_len(b) > (uint64_t)t->conf.max_bytes) ||
	       (t->conf.max_messages > 0 && p->next - p->start + b->count > (uint64_t)t->conf.max_messages);
}

static int advance(struct mem_appender *a, const uint64_t *start, struct mq_err *err)
{
	struct mem_key key = {.topic = a->topic, .partition = a->partition};
	return mem_write(a->s, MEM_START, &key, start, sizeof *start, NULL, 0, err);
}

static int in_parts(struct mem_appender *a, uint64_t records, uint64_t bytes, struct mq_err *err)
{
	a->room = (struct mq_room){records, bytes};
	return mq_err_set(err, -E2BIG, "only in parts");
}

/* Only a part of it could ever come at once. */
static int check_parts(struct mem_appender *a, const struct mq_batch *b, bool drop, uint64_t bytes, uint64_t most, uint64_t left,
                       struct mq_err *err)
{
	uint64_t eighth = bytes / 8 < 4096 ? 4096 : bytes / 8, let_in = drop ? most : left;
	if (b->count == 1 && mq_batch_len(b) > bytes)
		return mq_err_set(err, MQ_EINPUT, "the record never fits max.bytes=%llu", (unsigned long long)bytes);
	if (b->count > 1 && mq_batch_len(b) > eighth)
		return in_parts(a, b->count, eighth - MQ_BATCH_HEADER_LEN, err);
	return b->count > let_in && let_in ? in_parts(a, let_in, UINT64_MAX, err) : 0;
}

/* By messages the start moves to where it fits, by bytes behind whole batches. */
static int make_space(struct mem_appender *a, const struct mq_batch *b, struct mq_err *err)
{
	struct mem_topic *t = &a->s->topics[a->topic];
	struct mem_partition *p = part_of(a->s, a->topic, a->partition);
	bool drop = t->conf.when_full == MQ_WHEN_FULL_DROP_OLDEST;
	uint64_t bytes = t->conf.max_bytes > 0 ? (uint64_t)t->conf.max_bytes : UINT64_MAX;
	uint64_t most = t->conf.max_messages > 0 ? (uint64_t)t->conf.max_messages : UINT64_MAX;
	uint64_t left = p->next - p->start < most ? most - (p->next - p->start) : 0, start = p->next + b->count - most;
	int rc = check_parts(a, b, drop, bytes, most, left, err);
	if (rc == 0 && drop && b->count > left)
		rc = advance(a, &start, err);
	for (size_t i = 0; rc == 0 && is_full(t, p, b); i++) {
		if (!drop && b->count > 1 && b->count <= left && p->bytes + MQ_BATCH_HEADER_LEN < bytes)
			return in_parts(a, b->count, bytes - p->bytes - MQ_BATCH_HEADER_LEN, err);
		if (i == p->batches_n || !drop)
			return mq_err_set(err, MQ_EAGAIN, "%s:%u: the topic is full", t->name, a->partition);
		if (p->batches[i].b.next_offset > p->start)
			rc = advance(a, &p->batches[i].b.next_offset, err);
	}
	return rc;
}

static int append_locked(struct mem_appender *a, const struct mq_batch *given, const void *body, struct mq_ticket *ret,
                         struct mq_err *err)
{
	struct mem_partition *p = part_of(a->s, a->topic, a->partition);
	struct mem_key key = {.topic = a->topic, .partition = a->partition};
	struct mq_batch b = *given;

	if (a->s->topics[a->topic].gone)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: the topic was deleted", a->s->topics[a->topic].name);
	for (size_t i = 0; i < p->producers_n && b.who.kind == MQ_WHO_PRODUCER; i++)
		if (p->producers[i].id == b.who.id && p->producers[i].number >= b.who.number)
			return mq_err_set(err, -EEXIST, "the producer's number is held already");
	int rc = make_space(a, &b, err);
	if (rc < 0)
		return rc;
	b.base_offset = p->next;
	b.next_offset = p->next + b.count;
	rc = mem_write(a->s, MEM_BATCH, &key, &b, sizeof b, body, b.stored_len, err);
	if (rc == 0)
		*ret = (struct mq_ticket){
		    .end_pos = a->s->read_to,
		    .base_offset = b.base_offset,
		    .next_offset = b.next_offset,
		    .durable_already = b.ack <= MQ_ACK_WRITTEN,
		};
	return rc;
}

static int append(struct mq_appender *appender, const struct mq_batch *b, const void *body, struct mq_ticket *ret,
                  struct mq_err *err)
{
	struct mem_appender *a = (struct mem_appender *)appender;
	int rc = mem_begin(a->s, err);
	if (rc < 0)
		return rc;
	rc = append_locked(a, b, body, ret, err);
	mem_end(a->s);
	return rc;
}

static void append_room(struct mq_appender *a, struct mq_room *ret)
{
	*ret = ((struct mem_appender *)a)->room;
}

/* Memory is as durable here as it gets. */
static int wait_durable(struct mq_appender *a, const struct mq_ticket *t, enum mq_ack level, struct mq_err *err)
{
	(void)a, (void)t, (void)level, (void)err;
	return 0;
}

static int appender_mark(struct mq_appender *a, struct mq_ticket *ret, struct mq_err *err)
{
	(void)a, (void)err;
	*ret = (struct mq_ticket){0};
	return 0;
}

static int wait_space(struct mq_appender *a, int64_t deadline_ns, struct mq_err *err)
{
	struct mq_wait w;
	mq_wait_init(&w);
	mq_wait_watch(&w, ((struct mem_appender *)a)->s->fd, IN_MODIFY, true);
	/* Others may have freed some before the watch: look again in a while whatever happens. */
	int64_t soon = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + MQ_WAIT_POLL_NS;
	bool last = deadline_ns >= 0 && deadline_ns < soon;
	int reasons = mq_wait_for(&w, last ? deadline_ns : soon);
	mq_wait_release(&w);
	if (reasons < 0)
		return mq_err_sys(err, reasons, "cannot wait for space");
	return last && reasons == MQ_WAIT_DEADLINE ? mq_err_set(err, MQ_EAGAIN, "the topic stayed full") : 0;
}

static int producer_hold(struct mq_store *store, const char *topic, const char *name, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mem_key key = {0};
	snprintf(key.name, sizeof key.name, "%.100s/%.100s", topic, name);
	int fd = mem_lock(s, "producer", &key, MQ_LOCK_WRITE, err);
	if (fd == -EAGAIN)
		return mq_err_set(err, MQ_EAGAIN, "%s: producer %s is at work in another process", topic, name);
	if (fd >= 0)
		*(int *)mem_grow(&s->held, &s->held_n, sizeof(int)) = fd;
	return fd < 0 ? fd : 0;
}

static struct mem_producer *find_producer(struct mem_appender *a, const char *name)
{
	struct mem_partition *p = part_of(a->s, a->topic, a->partition);
	for (size_t i = 0; i < p->producers_n; i++)
		if (strcmp(p->producers[i].name, name) == 0)
			return &p->producers[i];
	return NULL;
}

static int producer_find(struct mq_appender *appender, const char *name, struct mq_who *ret, struct mq_err *err)
{
	struct mem_appender *a = (struct mem_appender *)appender;
	struct mem_key key = {.topic = a->topic, .partition = a->partition};
	int rc = mem_begin(a->s, err);
	if (rc < 0)
		return rc;
	snprintf(key.name, sizeof key.name, "%s", name);
	if (!find_producer(a, name))
		rc = mem_write(a->s, MEM_PRODUCER, &key, NULL, 0, NULL, 0, err);
	mem_end(a->s);
	if (rc < 0)
		return rc;
	const struct mem_producer *p = find_producer(a, name);
	*ret = (struct mq_who){.kind = MQ_WHO_PRODUCER, .id = p->id, .number = p->number, .source_start = p->last_base};
	return 0;
}

/* --- reading -------------------------------------------------------------------------------- */

struct mem_source {
	struct mq_source base;
	struct mem_store *s;
	uint32_t topic, partition;
	uint64_t at;
	struct mq_buf body;
	int slot;
};

static int look(struct mem_source *r, struct mq_err *err)
{
	int rc = mem_begin(r->s, err);
	if (rc < 0)
		return rc;
	mem_end(r->s);
	if (r->s->topics[r->topic].gone)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: the topic was deleted", r->s->topics[r->topic].name);
	return 0;
}

static int source_open(struct mq_store *store, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	uint32_t t;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = mem_find_partition(s, topic, p, &t, err);
	mem_end(s);
	if (rc < 0)
		return rc;
	struct mem_source *r = calloc(1, sizeof *r);
	*r = (struct mem_source){{store->engine}, s, t, p, 0, MQ_BUF_INIT, -1};
	*ret = &r->base;
	return 0;
}

static void source_close(struct mq_source *source)
{
	struct mem_source *r = (struct mem_source *)source;
	if (r)
		mq_buf_release(&r->body);
	free(r);
}

static int source_seek(struct mq_source *source, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err)
{
	struct mem_source *r = (struct mem_source *)source;
	int rc = look(r, err);
	if (rc < 0)
		return rc;
	uint64_t start = part_of(r->s, r->topic, r->partition)->start;
	*ret_lost = (struct mq_loss){0};
	if (offset < start)
		*ret_lost = (struct mq_loss){.from = offset, .to = start};
	r->at = offset < start ? start : offset;
	return 0;
}

static int source_find_time(struct mq_source *source, int64_t time_us, uint64_t *ret_offset, struct mq_err *err)
{
	struct mem_source *r = (struct mem_source *)source;
	int rc = look(r, err);
	if (rc < 0)
		return rc;
	const struct mem_partition *p = part_of(r->s, r->topic, r->partition);
	*ret_offset = p->next;
	for (size_t i = p->batches_n; i-- && p->batches[i].b.max_time_us >= time_us;)
		*ret_offset = p->batches[i].b.base_offset; /* to the batch: a test's engine */
	return 0;
}

static int source_next(struct mq_source *source, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err)
{
	struct mem_source *r = (struct mem_source *)source;
	(void)ret_loss;
	int rc = look(r, err);
	if (rc < 0)
		return rc;
	const struct mem_partition *p = part_of(r->s, r->topic, r->partition);
	if (r->at < p->start)
		r->at = p->start;
	size_t low = 0, high = p->batches_n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (p->batches[middle].b.next_offset <= r->at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == p->batches_n)
		return 0;
	const struct mem_batch *b = &p->batches[low];
	mq_buf_clear(&r->body);
	mq_buf_reserve(&r->body, b->b.stored_len + 1);
	if (mq_sys->pread(r->s->fd, r->body.p, b->b.stored_len, b->body_at) != (ssize_t)b->b.stored_len ||
	    !mq_batch_body_ok(&b->b, r->body.p))
		return mq_err_set(err, MQ_EBROKEN, "%s: cannot be read", r->s->path);
	*ret = (struct mq_view){.batch = b->b, .body = (const uint8_t *)r->body.p, .first_offset = r->at > b->b.base_offset ? r->at : b->b.base_offset};
	r->at = b->b.next_offset;
	return 1;
}

static int source_bounds(struct mq_source *source, struct mq_bounds *ret, struct mq_err *err)
{
	struct mem_source *r = (struct mem_source *)source;
	return r->base.engine->bounds(&r->s->base, r->s->topics[r->topic].name, r->partition, ret, err);
}

static int source_arm(struct mq_source *source, struct mq_wait *w, struct mq_err *err)
{
	struct mem_source *r = (struct mem_source *)source;
	if (r->slot < 0)
		r->slot = mq_wait_watch(w, r->s->fd, IN_MODIFY, true);
	return r->slot < 0 ? mq_err_sys(err, r->slot, "cannot watch") : 0;
}

static void source_disarm(struct mq_source *r)
{
	(void)r; /* the watch stays: nobody pays for it here */
}

void mem_parts(struct mq_engine *e)
{
	e->appender_open = appender_open;
	e->appender_close = appender_close;
	e->append = append;
	e->append_room = append_room;
	e->wait_durable = wait_durable;
	e->appender_mark = appender_mark;
	e->wait_space = wait_space;
	e->producer_hold = producer_hold;
	e->producer_find = producer_find;
	e->source_open = source_open;
	e->source_close = source_close;
	e->source_seek = source_seek;
	e->source_find_time = source_find_time;
	e->source_next = source_next;
	e->source_bounds = source_bounds;
	e->source_arm = source_arm;
	e->source_disarm = source_disarm;
}
