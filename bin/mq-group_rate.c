/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast a group is: two looks at its committed places, and the monotonic clock beside each.  No file holds a rate: a commit
 * carries the time at which it was written, but a group that has nothing to do writes none, and one that does writes it every
 * few records or every few thousand.
 */
#include "mq-group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct first_look {
	const char *group; /* as in a->groups */
	const char *topic;
	uint32_t partition;
	bool has_committed;
	uint64_t committed;
	int64_t at_ns;
};

static int64_t now_ns(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* it has no way to fail */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int note(void *arg, const struct mq_group_info *g)
{
	struct args *a = arg;
	struct first_look *last = a->n_looks ? &a->looks[a->n_looks - 1] : NULL;
	const char *topic = last && strcmp(last->topic, g->topic) == 0 ? last->topic : NULL;

	if (g->why)
		return 0; /* the second look tells */
	if (a->n_looks == a->cap_looks) {
		size_t cap = a->cap_looks ? 2 * a->cap_looks : 64;
		struct first_look *looks = realloc(a->looks, cap * sizeof *looks);

		if (!looks)
			return cli_error(&a->cli, MQ_EXIT_IO, "out of memory");
		a->looks = looks;
		a->cap_looks = cap;
	}
	if (!topic) {
		char *copy = cli_keep(&a->cli, strlen(g->topic) + 1);

		if (!copy)
			return MQ_EXIT_IO;
		topic = strcpy(copy, g->topic);
	}
	a->looks[a->n_looks++] = (struct first_look){
		.group = a->groups.v[a->at_look], .topic = topic, .partition = g->partition, .has_committed = g->has_committed,
		.committed = g->committed, .at_ns = now_ns(),
	};
	return 0;
}

/* What fails here fails in the second look, and is told there. */
int group_first_look(struct args *a, const char *topic)
{
	struct timespec left = {.tv_sec = a->interval_ns / 1000000000, .tv_nsec = a->interval_ns % 1000000000};

	for (a->at_look = 0; a->at_look < a->groups.n; a->at_look++) {
		int rc = mq_group_show(a->cli.mq, a->groups.v[a->at_look], topic, note, a);
		if (rc > 0)
			return rc;
	}
	a->at_look = 0;
	while (!cli_stopped() && nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	return 0;
}

double group_rate(struct args *a, const struct mq_group_info *g)
{
	/* Both looks go the same way, so it is the next one, or near. */
	for (size_t i = 0; i < a->n_looks; i++) {
		const struct first_look *l = &a->looks[(a->at_look + i) % a->n_looks];

		if (l->partition != g->partition || strcmp(l->topic, g->topic) != 0 || strcmp(l->group, g->group) != 0)
			continue;
		a->at_look = (size_t)(l - a->looks) + 1;
		if (!l->has_committed || !g->has_committed || g->committed < l->committed)
			return -1;
		int64_t took_ns = now_ns() - l->at_ns;
		return took_ns > 0 ? (double)(g->committed - l->committed) * 1e9 / (double)took_ns : -1;
	}
	return -1;
}

void group_forget_looks(struct args *a)
{
	free(a->looks);
	a->looks = NULL;
	a->n_looks = a->cap_looks = 0;
}
