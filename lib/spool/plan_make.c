/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/plan_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/areas.h"
#include "spool/assign.h"
#include "sys/sys.h"

/* ---- who owns what now ---- */
enum { AT_ONCE = 64 };

struct lines { /* of owners, of area 0: of nearly all partitions, so they are read many at once */
	int fd;
	size_t have;
	char text[AT_ONCE * MQ_GROUP_OWNER_LEN];
};

static void read_lines(struct lines *l, uint32_t p)
{
	ssize_t n = l->fd < 0 ? 0 : mq_sys->pread(l->fd, l->text, sizeof l->text, (uint64_t)p * MQ_GROUP_OWNER_LEN);

	l->have = n > 0 ? (size_t)n / MQ_GROUP_OWNER_LEN : 0;
}

/* The line names who took it last; that somebody has it is the lock's to say.  1: somebody has it. */
static int find_owner(struct mq_group_topic *g, struct lines *l, uint32_t p, char line[MQ_GROUP_OWNER_LEN], uint8_t *ret_area,
                      struct mq_err *err)
{
	struct mq_commit c;
	uint64_t seq;
	bool handler;
	int which, rc = mq_group_topic_peek(g, p, &c, &which, &seq, NULL);

	*ret_area = rc < 0 ? 0 : (uint8_t)c.area;
	if (rc < 0 || c.area)
		return mq_group_owner(g, p, line, &handler, err);
	rc = mq_sys->lock_test(g->locks, MQ_LOCK_WRITE, mq_group_owner_byte(0, p), 1);
	line[0] = 0;
	if (p % AT_ONCE < l->have)
		memcpy(line, l->text + p % AT_ONCE * MQ_GROUP_OWNER_LEN, MQ_GROUP_OWNER_LEN);
	line[MQ_GROUP_OWNER_LEN - 1] = 0;
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot ask for locks", g->label) : rc;
}

int mq_plan_owners(struct mq_group_topic *g, const struct mq_crowd *c, struct mq_plan_part *ret, struct mq_err *err)
{
	char line[MQ_GROUP_OWNER_LEN], name[64];
	uint8_t area;
	struct lines lines = {.fd = mq_sys->openat(g->dir, "owners", O_RDONLY, 0)};
	int rc = 0;

	for (uint32_t p = 0; p < ret->n && rc >= 0; p++) {
		ret->now[p] = -1;
		if (p % AT_ONCE == 0)
			read_lines(&lines, p);
		rc = find_owner(g, &lines, p, line, &area, err);
		if (ret->area)
			ret->area[p] = rc == 0 ? area | MQ_PLAN_PART_FREE : area;
		if (rc == 1 && sscanf(line, "%*d %63s", name) == 1)
			ret->now[p] = mq_crowd_find(c, name);
	}
	if (lines.fd >= 0)
		(void)mq_sys->close(lines.fd);
	return rc < 0 ? rc : 0;
}

/* ---- sorts of topics ---- */
struct sort {
	uint64_t sum;   /* of who reads it */
	size_t topic;
};

struct job {
	const struct mq_assign_conf *conf;
	const struct mq_crowd *c;
	struct mq_plan_part *parts;
	struct sort *order;              /* by sum, then by name */
	struct mq_assign_topic *topics;  /* of the sort at hand, and what follows */
	struct mq_assign_member *members;
	int32_t *place, *member;         /* in the crowd to in the sort, and back */
	int32_t *now, *owner;
	struct mq_err *err;
};

/* Of the names, so that it is the same whoever else there is. */
static uint64_t sum_readers(const struct mq_crowd *c, size_t topic, size_t *ret_readers)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	*ret_readers = 0;
	for (size_t m = 0; m < c->n; m++) {
		if (!mq_crowd_reads(c, m, topic))
			continue;
		++*ret_readers;
		for (const char *at = c->v[m].name; *at; at++)
			sum = (sum ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
		sum = (sum ^ ',') * UINT64_C(0x100000001b3);
	}
	return sum;
}

static int by_sum(const void *a, const void *b)
{
	const struct sort *x = a, *y = b;

	if (x->sum != y->sum)
		return x->sum < y->sum ? -1 : 1;
	return (x->topic > y->topic) - (x->topic < y->topic);
}

static bool same_readers(const struct mq_crowd *c, size_t a, size_t b)
{
	for (size_t m = 0; m < c->n; m++)
		if (mq_crowd_reads(c, m, a) != mq_crowd_reads(c, m, b))
			return false;
	return true;
}

/* Whose p is before anything is given out: of its first member by name that reads it alone, and takes no part in the rest. */
static int32_t pinned(const struct mq_crowd *c, size_t topic, uint32_t p)
{
	int32_t first = -1;

	for (size_t i = 0; i < c->n_pins; i++) {
		const struct mq_crowd_pin *pin = &c->pins[i];

		if (pin->topic != topic || pin->partition != p)
			continue;
		for (size_t m = 0; m < c->n && (first < 0 || m < (size_t)first); m++)
			if (c->v[m].row == pin->row && !mq_crowd_reads(c, m, topic))
				first = (int32_t)m;
	}
	return first;
}

static size_t find_members(struct job *j, size_t topic)
{
	const struct mq_crowd *c = j->c;
	size_t n = 0;

	for (size_t m = 0; m < c->n; m++) {
		j->place[m] = -1;
		if (!mq_crowd_reads(c, m, topic))
			continue;
		j->members[n] = (struct mq_assign_member){c->v[m].name, c->v[m].host, c->v[m].room};
		j->member[n] = (int32_t)m;
		j->place[m] = (int32_t)n++;
	}
	return n;
}

static void take_answer(struct job *j, size_t from, size_t to, uint32_t shared)
{
	size_t at = 0;

	for (size_t i = from; i < to; i++) {
		struct mq_plan_part *part = &j->parts[j->order[i].topic];

		part->sort = (uint32_t)from;
		part->shared = shared;
		for (uint32_t p = 0; p < part->n; p++, at++) {
			int32_t pin = j->c->n_pins ? pinned(j->c, j->order[i].topic, p) : -1;

			part->owner[p] = pin >= 0 ? pin : j->owner[at] < 0 ? -1 : j->member[j->owner[at]];
		}
	}
}

/* Topics order[from] to order[to - 1], which the same members read. */
static int give_sort(struct job *j, size_t from, size_t to)
{
	size_t members = find_members(j, j->order[from].topic), at = 0;
	int rc;

	for (size_t i = from; i < to; i++) {
		const struct mq_plan_part *part = &j->parts[j->order[i].topic];

		j->topics[i - from] = (struct mq_assign_topic){j->c->topics[j->order[i].topic], part->n};
		for (uint32_t p = 0; p < part->n; p++) {
			bool of_them = part->now[p] >= 0 && (!j->c->n_pins || pinned(j->c, j->order[i].topic, p) < 0);

			j->now[at++] = of_them ? j->place[part->now[p]] : -1;
		}
	}
	rc = mq_assign(j->conf, j->topics, to - from, j->members, members, j->now, j->owner, j->err);
	if (rc == 0)
		take_answer(j, from, to, (uint32_t)at);
	return rc;
}

static int give_all(struct job *j)
{
	size_t n = j->c->n_topics;
	int rc = 0;

	for (size_t t = 0; t < n; t++)
		j->order[t] = (struct sort){sum_readers(j->c, t, &j->parts[t].readers), t};
	qsort(j->order, n, sizeof *j->order, by_sum);
	for (size_t from = 0, to; from < n && rc == 0; from = to) {
		for (to = from + 1; to < n && j->order[to].sum == j->order[from].sum &&
		                    same_readers(j->c, j->order[from].topic, j->order[to].topic);)
			to++;
		rc = give_sort(j, from, to);
	}
	return rc;
}

int mq_plan_give_out(const struct mq_assign_conf *conf, const struct mq_crowd *c, struct mq_plan_part *parts, struct mq_err *err)
{
	struct job j = {.conf = conf, .c = c, .parts = parts, .err = err};
	size_t partitions = 0;
	int rc = -ENOMEM;

	for (size_t t = 0; t < c->n_topics; t++)
		partitions += parts[t].n;
	j.order = calloc(c->n_topics + 1, sizeof *j.order);
	j.topics = calloc(c->n_topics + 1, sizeof *j.topics);
	j.members = calloc(c->n + 1, sizeof *j.members);
	j.place = calloc(2 * (c->n + 1), sizeof *j.place);
	j.now = calloc(2 * (partitions + 1), sizeof *j.now);
	if (j.order && j.topics && j.members && j.place && j.now) {
		j.member = j.place + c->n + 1;
		j.owner = j.now + partitions + 1;
		rc = give_all(&j);
	} else {
		mq_err_set(err, rc, "no memory for a plan");
	}
	free(j.order);
	free(j.topics);
	free(j.members);
	free(j.place);
	free(j.now);
	return rc;
}
