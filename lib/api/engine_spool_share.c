/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: one descriptor a topic, however many of its partitions are read. */
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "sys/sys.h"

/* The same directory: not one that came by its name later. */
static bool is_same(const struct mq_topic *a, const struct mq_topic *b)
{
	struct mq_stat of_a, of_b;

	return strcmp(a->name, b->name) == 0 && memcmp(a->conf.id, b->conf.id, sizeof a->conf.id) == 0 && mq_sys->stat(a->dir, &of_a) == 0 && mq_sys->stat(b->dir, &of_b) == 0 &&
	       of_a.ino == of_b.ino && of_a.mnt_id == of_b.mnt_id;
}

void mq_engine_spool_topic_read(struct store *s, struct mq_topic *t)
{
	for (struct shared_topic *there = s->topics; there; there = there->next)
		if (there->t.conf.partitions < t->conf.partitions && is_same(&there->t, t)) {
			struct mq_topic_conf old = there->t.conf;

			there->t.conf = t->conf;
			t->conf = old;
			return;
		}
}

int mq_engine_spool_share_topic(struct store *s, const char *name, struct shared_topic **ret, struct mq_err *err)
{
	struct shared_topic *t = calloc(1, sizeof *t);
	int rc;

	if (!t)
		return mq_engine_no_memory(err);
	rc = mq_topic_open(&t->t, &s->spool, name, err);
	if (rc < 0) {
		free(t);
		return rc;
	}
	for (struct shared_topic *there = s->topics; there; there = there->next)
		if (is_same(&there->t, &t->t)) {
			mq_engine_spool_topic_read(s, &t->t);
			mq_topic_release(&t->t);
			free(t);
			there->users++;
			*ret = there;
			return 0;
		}
	t->users = 1;
	t->next = s->topics;
	s->topics = t;
	*ret = t;
	return 0;
}

void mq_engine_spool_leave_topic(struct store *s, struct shared_topic *t)
{
	struct shared_topic **at = &s->topics;

	if (--t->users > 0)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	mq_topic_release(&t->t);
	free(t);
}
