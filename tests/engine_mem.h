/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest engine that does what api/engine.h asks: "mem:NAME" is a journal in /dev/shm that every
 * process reads to its end, under a lock, before it does anything, and appends to when it did.
 * Linked into a tool it registers itself, and the tests of the tools run on it as on a spool: what they
 * need that it does not have is no part of the boundary.
 *
 * An entry of the journal is u32 kind, u32 length, then the bytes; structs are written as they lie in
 * memory, since nothing here outlives a test.  Locks lie in a file of their own, NAME.locks, a byte a thing,
 * found by a hash of its name.  All that is written is visible and called durable.
 */
#ifndef MQ_TESTS_ENGINE_MEM_H
#define MQ_TESTS_ENGINE_MEM_H

#include "api/engine.h"
#include "format/conf_topic.h"
#include "sys/sys.h"

enum mem_kind {
	MEM_TOPIC = 1, MEM_CONF, MEM_TOPIC_GONE, MEM_BATCH, MEM_START, MEM_PRODUCER, MEM_PLACE, MEM_ACK, MEM_GROUP_GONE,
};

struct mem_key { /* what an entry is about; what follows depends on its kind */
	uint32_t topic, partition;
	char name[208]; /* of a topic, producer or group */
};

struct mem_batch {
	struct mq_batch b;
	uint64_t body_at;
};

struct mem_producer {
	char name[208];
	uint64_t id, number, last_base;
};

struct mem_partition {
	struct mem_batch *batches;
	size_t batches_n, producers_n;
	struct mem_producer *producers;
	uint64_t start, next, bytes;
};

struct mem_topic {
	char name[208];
	bool gone;
	struct mq_topic_conf conf;
	struct mem_partition *partitions;
};

struct mem_place {
	struct mem_key key;
	struct mq_place place;
	bool gone;
	uint64_t *acks;
	size_t acks_n;
};

struct mem_store {
	struct mq_store base;
	int fd, locks_fd;
	char path[256];
	uint64_t read_to;
	struct mem_topic *topics;
	size_t topics_n;
	struct mem_place *places;
	size_t places_n;
	int *held; /* producers' locks */
	size_t held_n;
};

/* Lock and read what others wrote; every change lies between these two.  */
int mem_begin(struct mem_store *s, struct mq_err *err);
void mem_end(struct mem_store *s);
int mem_write(struct mem_store *s, enum mem_kind kind, const struct mem_key *key, const void *more, size_t n,
              const void *yet_more, size_t yet_n, struct mq_err *err);
int mem_find(struct mem_store *s, const char *topic, uint32_t *ret, struct mq_err *err);
int mem_find_partition(struct mem_store *s, const char *topic, uint32_t p, uint32_t *ret, struct mq_err *err);

/* A lock of its own on the byte of this name: its descriptor, -EAGAIN. */
int mem_lock(struct mem_store *s, const char *what, const struct mem_key *key, enum mq_lock_kind kind, struct mq_err *err);
bool mem_locked(struct mem_store *s, const char *what, const struct mem_key *key);

/* engine_mem_group.c */
void mem_apply_place(struct mem_store *s, enum mem_kind kind, const struct mem_key *key, const void *bytes, size_t n);
extern const struct mq_engine mem_groups; /* its group functions */

/* engine_mem_part.c: fill in the functions that write and read. */
void mem_parts(struct mq_engine *e);

/* Grow an array by one, zeroed; the tests do not run out of memory. */
void *mem_grow(void *array_at, size_t *n, size_t size);

#endif
