/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal, what it says, and the locks. */
#include "engine_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/murmur2.h"
#include "sys/hold.h"
#include "sys/sys.h"

void *mem_grow(void *array_at, size_t *n, size_t size)
{
	char **array = array_at;
	if ((*n & (*n - 1)) == 0) /* doubles at powers of two */
		*array = realloc(*array, (*n ? 2 * *n : 1) * size);
	if (!*array)
		abort();
	return memset(*array + size * (*n)++, 0, size);
}

/* --- the journal ---------------------------------------------------------------------------- */

struct head {
	uint32_t kind, len;
};

static void apply_topic(struct mem_store *s, const struct mem_key *k, const void *bytes, size_t n)
{
	struct mem_topic *t = mem_grow(&s->topics, &s->topics_n, sizeof *t);
	memcpy(t->name, k->name, sizeof t->name);
	mq_topic_conf_init(&t->conf, NULL);
	if (mq_topic_conf_parse(&t->conf, bytes, n, NULL) < 0)
		abort();
	t->partitions = calloc(t->conf.partitions, sizeof *t->partitions);
}

static void apply_batch(struct mem_partition *p, const struct mq_batch *b, uint64_t body_at)
{
	*(struct mem_batch *)mem_grow(&p->batches, &p->batches_n, sizeof(struct mem_batch)) = (struct mem_batch){*b, body_at};
	p->next = b->next_offset;
	p->bytes += mq_batch_len(b);
	for (size_t i = 0; i < p->producers_n && b->who.kind == MQ_WHO_PRODUCER; i++)
		if (p->producers[i].id == b->who.id) {
			p->producers[i].number = b->who.number;
			p->producers[i].last_base = b->base_offset;
		}
}

static void apply_start(struct mem_partition *p, uint64_t start)
{
	p->start = start;
	p->bytes = 0;
	for (size_t i = 0; i < p->batches_n; i++)
		if (p->batches[i].b.next_offset > start)
			p->bytes += mq_batch_len(&p->batches[i].b);
}

static void apply(struct mem_store *s, const struct head *h, const char *bytes, uint64_t at)
{
	const struct mem_key *k = (const struct mem_key *)(const void *)bytes;
	const char *more = bytes + sizeof *k;
	size_t n = h->len - sizeof *k;
	struct mem_topic *t = k->topic < s->topics_n ? &s->topics[k->topic] : NULL;
	struct mem_producer *producer;

	switch ((enum mem_kind)h->kind) {
	case MEM_TOPIC: apply_topic(s, k, more, n); break;
	case MEM_CONF: mq_topic_conf_set_pair(&t->conf, more, NULL); break;
	case MEM_TOPIC_GONE: t->gone = true; break;
	case MEM_START: apply_start(&t->partitions[k->partition], *(const uint64_t *)(const void *)more); break;
	case MEM_BATCH:
		apply_batch(&t->partitions[k->partition], (const void *)more,
		            at + sizeof *h + sizeof *k + sizeof(struct mq_batch));
		break;
	case MEM_PRODUCER:
		producer = mem_grow(&t->partitions[k->partition].producers, &t->partitions[k->partition].producers_n,
		                    sizeof *producer);
		memcpy(producer->name, k->name, sizeof producer->name);
		producer->id = at;
		producer->last_base = MQ_NO_OFFSET;
		break;
	default: mem_apply_place(s, h->kind, k, more, n);
	}
}

static int catch_up(struct mem_store *s, struct mq_err *err)
{
	struct head h;
	char *bytes = NULL;
	int rc;

	while ((rc = (int)mq_sys->pread(s->fd, &h, sizeof h, s->read_to)) == sizeof h) {
		/* Of a batch its head is enough; the body is read when it is wanted. */
		size_t n = h.kind == MEM_BATCH ? sizeof(struct mem_key) + sizeof(struct mq_batch) : h.len;
		bytes = realloc(bytes, n + 1);
		rc = (int)mq_sys->pread(s->fd, bytes, n, s->read_to + sizeof h);
		if (rc != (int)n)
			break;
		bytes[n] = 0;
		apply(s, &h, bytes, s->read_to);
		s->read_to += sizeof h + h.len;
	}
	free(bytes);
	return rc == 0 ? 0 : mq_err_set(err, MQ_EBROKEN, "%s: cannot be read", s->path);
}

int mem_begin(struct mem_store *s, struct mq_err *err)
{
	mq_hold_signals();
	int rc = mq_sys->lock(s->fd, MQ_LOCK_WRITE, 0, 1, true);
	if (rc == 0)
		rc = catch_up(s, err);
	else
		mq_err_sys(err, rc, "%s: cannot be locked", s->path);
	if (rc < 0)
		mem_end(s);
	return rc;
}

void mem_end(struct mem_store *s)
{
	mq_sys->lock(s->fd, MQ_LOCK_NONE, 0, 1, false);
	mq_unhold_signals();
}

int mem_write(struct mem_store *s, enum mem_kind kind, const struct mem_key *key, const void *more, size_t n,
              const void *yet_more, size_t yet_n, struct mq_err *err)
{
	struct head h = {kind, (uint32_t)(sizeof *key + n + yet_n)};
	struct iovec iov[] = {{&h, sizeof h}, {(void *)(uintptr_t)key, sizeof *key}, {(void *)(uintptr_t)more, n},
	                      {(void *)(uintptr_t)yet_more, yet_n}};
	ssize_t wrote = mq_sys->pwritev(s->fd, iov, 4, s->read_to);
	if (wrote < 0)
		return mq_err_sys(err, (int)wrote, "%s: cannot be written", s->path);
	if ((size_t)wrote != sizeof h + h.len)
		return mq_err_set(err, -ENOSPC, "%s: no space left", s->path);
	return catch_up(s, err);
}

/* --- locks ---------------------------------------------------------------------------------- */

static uint64_t byte_of(const char *what, const struct mem_key *k)
{
	char text[300];
	int n = snprintf(text, sizeof text, "%s/%s/%u/%u", what, k->name, k->topic, k->partition);
	return mq_murmur2(text, (size_t)n);
}

int mem_lock(struct mem_store *s, const char *what, const struct mem_key *key, enum mq_lock_kind kind, struct mq_err *err)
{
	char path[300];
	snprintf(path, sizeof path, "%s.locks", s->path);
	int fd = mq_sys->open_path(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot open %s", path);
	int rc = mq_sys->lock(fd, kind, byte_of(what, key), 1, false);
	if (rc == 0)
		return fd;
	mq_sys->close(fd);
	return rc;
}

bool mem_locked(struct mem_store *s, const char *what, const struct mem_key *key)
{
	return mq_sys->lock_test(s->locks_fd, MQ_LOCK_WRITE, byte_of(what, key), 1) == 1;
}
