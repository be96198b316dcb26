/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/syncer.h"

#include <errno.h>
#include <stdlib.h>

int mq_syncer_add(struct mq_syncer *s, struct mq_appender *a, const struct mq_ticket *t, void *arg)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 8;
		struct mq_await *p = realloc(s->list, cap * sizeof *p);
		if (!p)
			return -ENOMEM;
		s->list = p;
		s->cap = cap;
	}
	s->list[s->n++] = (struct mq_await){.appender = a, .ticket = *t, .arg = arg};
	return 0;
}

/* The first failure ends it: of what comes after nothing is said. */
int mq_syncer_run(struct mq_syncer *s, const struct mq_engine *engine, enum mq_ack level, struct mq_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct mq_await *a = &s->list[i];
		a->rc = rc < 0 ? rc : engine->wait_durable(a->appender, &a->ticket, level, err);
		rc = a->rc;
	}
	return rc;
}

static void *run(void *arg)
{
	struct mq_syncer *s = arg;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		while (!s->quit && (!s->busy || s->ready))
			pthread_cond_wait(&s->changed, &s->mutex);
		if (s->quit)
			break;
		pthread_mutex_unlock(&s->mutex);
		(void)mq_syncer_run(s, s->engine, s->level, &s->err); /* each has its rc */
		pthread_mutex_lock(&s->mutex);
		s->ready = true;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

static int make_thread(struct mq_syncer *s)
{
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->changed, NULL);
	int rc = mq_thread_start(&s->thread, run, s);
	s->there = rc == 0;
	if (rc < 0) {
		pthread_cond_destroy(&s->changed);
		pthread_mutex_destroy(&s->mutex);
	}
	return rc;
}

int mq_syncer_start(struct mq_syncer *s, const struct mq_engine *engine, enum mq_ack level)
{
	int rc = s->there ? 0 : make_thread(s);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&s->mutex);
	s->engine = engine;
	s->level = level;
	s->busy = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mutex);
	return 0;
}

int mq_syncer_fetch(struct mq_syncer *s, bool wait)
{
	if (!s->busy)
		return 0;
	pthread_mutex_lock(&s->mutex);
	while (wait && !s->ready)
		pthread_cond_wait(&s->changed, &s->mutex);
	bool ready = s->ready;
	if (ready)
		s->busy = s->ready = false;
	pthread_mutex_unlock(&s->mutex);
	return ready;
}

void mq_syncer_release(struct mq_syncer *s)
{
	if (s->there) {
		pthread_mutex_lock(&s->mutex);
		s->quit = true;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->mutex);
		mq_thread_join(s->thread);
		pthread_cond_destroy(&s->changed);
		pthread_mutex_destroy(&s->mutex);
	}
	free(s->list);
	*s = (struct mq_syncer){0};
}
