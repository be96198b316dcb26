/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a task leaves: records, kept until its place passes it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/consume_move.h"

enum {
	ROW_BYTES = 64,           /* what a record costs beside its bytes: as the transfer counts */
	TASKS_BYTES = 64 << 20,   /* of tasks that wait for others */
};

struct target {
	const char *topic; /* a parcel's; of copies the request's */
	uint32_t partition;
};

size_t mq_move_size_of(const struct mq_rec *r)
{
	return (size_t)r->payload_len + r->key_len + r->headers_len + r->id_len + r->tag_len + ROW_BYTES;
}

static const char *keep(char **at, const char *p, size_t n)
{
	char *begin = *at;

	if (!p)
		return NULL;
	memcpy(begin, p, n);
	*at += n;
	return begin;
}

static struct mq_parcel *pack(const char *topic, uint32_t partition, const struct mq_rec *r)
{
	struct mq_parcel *p = malloc(sizeof *p + mq_move_size_of(r) + r->group_len + strlen(topic) + 1);
	if (!p)
		return NULL;
	char *at = p->bytes;
	p->next = NULL;
	p->topic = keep(&at, topic, strlen(topic) + 1);
	p->partition = partition;
	p->r = *r;
	p->r.payload = keep(&at, r->payload, r->payload_len);
	p->r.key = keep(&at, r->key, r->key_len);
	p->r.headers = keep(&at, r->headers, r->headers_len);
	p->r.id = keep(&at, r->id, r->id_len);
	p->r.tag = keep(&at, r->tag, r->tag_len);
	p->r.group = keep(&at, r->group, r->group_len);
	return p;
}

/* Another partition, of those that the task has: how many are they? */
static unsigned count_targets(const struct mq_task *t, const char *topic, uint32_t partition)
{
	struct target seen[MQ_TRANSFER_TARGETS_MAX + 1] = {{topic, partition}};
	unsigned n = 1;

	for (const struct mq_parcel *p = t->parcels; p && n <= MQ_TRANSFER_TARGETS_MAX; p = p->next) {
		unsigned i = 0;
		while (i < n && !(seen[i].partition == p->partition && strcmp(seen[i].topic, p->topic) == 0))
			i++;
		if (i == n)
			seen[n++] = (struct target){p->topic, p->partition};
	}
	return n;
}

int mq_move_leave(struct mq_consume *c, struct mq_task *t, const char *topic, uint32_t partition, const struct mq_rec *r)
{
	size_t size = mq_move_size_of(r);

	if (t->parcels_bytes + size > MQ_TRANSFER_BYTES_MAX || t->parcels_n == MQ_TRANSFER_RECORDS_MAX)
		return mq_err_set(c->err, MQ_EINPUT, "more is to be put into %s than goes at once (%d MiB, %d records)", topic,
		                  MQ_TRANSFER_BYTES_MAX >> 20, MQ_TRANSFER_RECORDS_MAX);
	bool other = !t->last_parcel || t->last_parcel->partition != partition || strcmp(t->last_parcel->topic, topic) != 0;
	if (other && count_targets(t, topic, partition) > MQ_TRANSFER_TARGETS_MAX)
		return mq_err_set(c->err, MQ_EINPUT, "more is to be put into %s than goes at once (%d partitions)", topic,
		                  MQ_TRANSFER_TARGETS_MAX);
	struct mq_parcel *p = pack(topic, partition, r);
	if (!p)
		return mq_consume_no_memory(c);
	*(t->parcels ? &t->last_parcel->next : &t->parcels) = p;
	t->last_parcel = p;
	t->parcels_bytes += size;
	t->parcels_n++;
	c->moves.left_bytes += size;
	return 0;
}

void mq_move_forget(struct mq_consume *c, struct mq_task *t)
{
	while (t->parcels) {
		struct mq_parcel *p = t->parcels;
		t->parcels = p->next;
		free(p);
	}
	c->moves.left_bytes -= t->parcels_bytes;
	t->last_parcel = NULL;
	t->parcels_bytes = t->parcels_n = 0;
}

void mq_put_add(struct mq_put *p, const struct mq_task *t)
{
	p->dead += t->dead ? t->parcels_n : 0;
	p->parked += t->parked ? t->parcels_n : 0;
}

void mq_put_tell(struct mq_consume *c, struct mq_put *p)
{
	c->report.dead += p->dead;
	c->report.parked += p->parked;
	*p = (struct mq_put){0};
}

bool mq_move_is_much(const struct mq_consume *c)
{
	return c->moves.left_bytes >= TASKS_BYTES;
}
