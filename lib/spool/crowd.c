/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/crowd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

enum { MEMBERS_MAX = 10000, PINS_MAX = 100000 };

static int no_memory(struct mq_crowd *c)
{
	return mq_err_set(c->err, -ENOMEM, "no memory for the members of a group");
}

/* ---- what a member reads ---- */
struct piece {
	const char *text;
	size_t len;
};

static int by_piece(const void *key, const void *topic)
{
	const struct piece *p = key;
	const char *name = *(const char *const *)topic;
	int cmp = strncmp(p->text, name, p->len);

	return cmp ? cmp : name[p->len] ? -1 : 0;
}

static const char *const *find_topic(const struct mq_crowd *c, struct piece name)
{
	return bsearch(&name, c->topics, c->n_topics, sizeof *c->topics, by_piece);
}

static int add_pin(struct mq_crowd *c, size_t row, size_t topic, const char *number, size_t len)
{
	uint64_t p;
	size_t used, cap = c->cap_pins ? 2 * c->cap_pins : 16;
	struct mq_crowd_pin *pins;

	if (mq_to_u64_prefix(number, len, &p, &used) < 0 || used != len || p > UINT32_MAX || c->n_pins == PINS_MAX)
		return 0; /* not of this version, or nobody's work */
	if (c->n_pins == c->cap_pins) {
		pins = realloc(c->pins, cap * sizeof *pins);
		if (!pins)
			return no_memory(c);
		c->pins = pins;
		c->cap_pins = cap;
	}
	c->pins[c->n_pins++] = (struct mq_crowd_pin){topic, row, (uint32_t)p};
	return 1;
}

/* "TOPIC" or "TOPIC:P".  1: it is one of those that are looked at. */
static int add_reading(struct mq_crowd *c, size_t row, struct piece one)
{
	const char *colon = memchr(one.text, ':', one.len);
	const char *const *topic = find_topic(c, (struct piece){one.text, colon ? (size_t)(colon - one.text) : one.len});
	size_t t;

	if (!topic)
		return 0;
	t = (size_t)(topic - c->topics);
	if (colon)
		return add_pin(c, row, t, colon + 1, one.len - (size_t)(colon + 1 - one.text));
	c->reads[row * c->words + t / 64] |= UINT64_C(1) << t % 64;
	return 1;
}

static int make_room(struct mq_crowd *c)
{
	size_t cap = c->cap ? 2 * c->cap : 16;
	struct mq_crowd_member *v;
	uint64_t *reads;

	if (c->n < c->cap)
		return 0;
	if (c->n == MEMBERS_MAX)
		return mq_err_set(c->err, MQ_ECONFIG, "a group of more than %d members", MEMBERS_MAX);
	v = realloc(c->v, cap * sizeof *v);
	if (!v)
		return no_memory(c);
	c->v = v;
	reads = realloc(c->reads, cap * c->words * sizeof *reads);
	if (!reads)
		return no_memory(c);
	c->reads = reads;
	c->cap = cap;
	return 0;
}

static int add(void *arg, const struct mq_member_facts *f)
{
	struct mq_crowd *c = arg;
	bool counts = f->counts || c->who == MQ_CROWD_ALONE, reads = !counts;
	const char *at = counts ? f->topics : NULL, *end = at ? at + f->topics_len : NULL;
	int rc = 0;

	if (c->who == MQ_CROWD_ALONE ? strcmp(f->name, c->one) != 0 : !counts && c->who == MQ_CROWD_COUNTED)
		return 0;
	rc = make_room(c);
	if (rc < 0)
		return rc;
	memset(c->reads + c->n * c->words, 0, c->words * sizeof *c->reads);
	while (at && at < end && rc >= 0) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t len = (size_t)((comma ? comma : end) - at);

		rc = add_reading(c, c->n, (struct piece){at, len});
		reads |= rc > 0;
		at += len + 1;
	}
	if (rc < 0 || !reads)
		return rc < 0 ? rc : 0;
	struct mq_crowd_member *m = &c->v[c->n];
	memcpy(m->name, f->name, sizeof m->name);
	memcpy(m->host, f->host, sizeof m->host);
	memcpy(m->room, f->room, sizeof m->room);
	m->row = c->n++;
	return 0;
}

/* ---- all of them ---- */
static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mq_crowd_member *)a)->name, ((const struct mq_crowd_member *)b)->name);
}

int mq_crowd_gather(struct mq_crowd *c, struct mq_spool *s, const char *group, const char *const *topics, size_t n_topics,
                    enum mq_crowd_who who, const char *one, struct mq_err *err)
{
	int rc;

	*c = (struct mq_crowd){
		.topics = topics, .n_topics = n_topics, .words = n_topics / 64 + 1, .who = who, .one = one, .err = err,
	};
	rc = mq_member_each(s, group, MQ_MEMBER_WISHES, add, c, err);
	if (rc == 0 && c->n)
		qsort(c->v, c->n, sizeof *c->v, by_name);
	return rc;
}

void mq_crowd_release(struct mq_crowd *c)
{
	free(c->v);
	free(c->reads);
	free(c->pins);
	*c = (struct mq_crowd){0};
}

int32_t mq_crowd_find(const struct mq_crowd *c, const char *name)
{
	struct mq_crowd_member key = {.name = ""};
	const struct mq_crowd_member *m;

	snprintf(key.name, sizeof key.name, "%s", name);
	m = c->n ? bsearch(&key, c->v, c->n, sizeof key, by_name) : NULL;
	return m ? (int32_t)(m - c->v) : -1;
}
