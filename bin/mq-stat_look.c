/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The figures, summed over partitions.  A session answers one question at a time, so what is asked of each place is kept first. */
#include "mq-stat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct place {
	size_t row;
	uint32_t partition;
	uint64_t offset;
};

/* Of what waits in a topic to be tried again. */
struct parked {
	const char *topic, *group;
	uint64_t n;
};

struct look {
	struct args *a;
	struct rows *rows;
	struct place *places;  /* of which the age is wanted */
	size_t n_places, cap_places;
	struct parked *parked;
	size_t n_parked, cap_parked;
	const char *topic;     /* the one at hand */
	size_t group_at;       /* the first row of the group at hand */
	const char *group;
	unsigned members, stopped;
	struct cli_texts names;
};

/* Room for one more of `size` bytes behind n; false: none, and said. */
static bool make_room(struct look *l, void *array, size_t n, size_t *cap, size_t size)
{
	void **v = array;
	size_t wanted = *cap ? 2 * *cap : 64;

	if (n < *cap)
		return true;
	void *more = realloc(*v, wanted * size);
	if (!more) {
		l->a->status = cli_error(&l->a->cli, MQ_EXIT_IO, "out of memory");
		return false;
	}
	*v = more;
	*cap = wanted;
	return true;
}

static int failed(struct look *l)
{
	struct args *a = l->a;
	int status = cli_fail(&a->cli);

	if (!a->status)
		snprintf(a->why, sizeof a->why, "%s", mq_why(a->cli.mq));
	a->status = a->status ? a->status : status;
	return 0;
}

static char *keep_text(struct look *l, const char *text)
{
	char *copy = cli_keep(&l->a->cli, strlen(text) + 1);

	return copy ? strcpy(copy, text) : NULL;
}

static int keep_name(void *arg, const char *name)
{
	struct look *l = arg;
	char *copy = keep_text(l, name);

	return !copy || cli_add_text(&l->a->cli, &l->names, copy) != CLI_GO;
}

static int keep_place(struct look *l, size_t row, uint32_t partition, uint64_t offset)
{
	if (!make_room(l, &l->places, l->n_places, &l->cap_places, sizeof *l->places))
		return 1;
	l->places[l->n_places++] = (struct place){row, partition, offset};
	return 0;
}

/* The oldest of those that were kept, each into the row it is of. */
static void find_ages(struct look *l, const char *topic, size_t from)
{
	for (size_t i = from; i < l->n_places; i++) {
		struct place *p = &l->places[i];
		int64_t *oldest_us = topic ? &l->rows->topics[p->row].oldest_us : &l->rows->groups[p->row].oldest_us, us;

		if (mq_topic_time(l->a->cli.mq, topic ? topic : l->rows->groups[p->row].topic, p->partition, p->offset, &us) < 0)
			failed(l);
		else if (us != NO_TIME && (*oldest_us == NO_TIME || us < *oldest_us))
			*oldest_us = us;
	}
	l->n_places = from;
}

/* --- topics --------------------------------------------------------------------------------- */

static int add_partition(void *arg, const struct mq_partition_info *p)
{
	struct look *l = arg;
	struct topic_row *row = &l->rows->topics[l->rows->n_topics - 1];

	row->partitions++;
	row->records += p->visible - p->log_start;
	row->bytes += p->bytes;
	row->segments += p->segments;
	row->end += p->visible;
	return p->visible > p->log_start ? keep_place(l, l->rows->n_topics - 1, p->partition, p->log_start) : 0;
}

/* Its dead letters lie in a topic beside it, where there are any. */
static void count_dead(struct look *l, struct topic_row *row)
{
	struct mq *mq = l->a->cli.mq;
	struct mq_topic_info info;
	char name[256];

	if (snprintf(name, sizeof name, "%s.dead", row->topic) >= (int)sizeof name)
		return;
	if (mq_topic_show(mq, name, &info) == 0)
		row->dead = info.records;
	else if (mq_status(mq) != MQ_EXIT_NOTOPIC && mq_status(mq) != MQ_EXIT_USAGE) /* a name too long is none */
		failed(l);
}

static int count_parked(void *arg, const struct mq_delayed_info *d)
{
	struct look *l = arg;
	struct parked *p = l->parked;

	if (!d->group)
		return 0;
	for (size_t i = 0; i < l->n_parked; i++, p++)
		if (strcmp(p->topic, l->topic) == 0 && strlen(p->group) == d->group_len && memcmp(p->group, d->group, d->group_len) == 0) {
			p->n++;
			return 0;
		}
	char *group = cli_keep(&l->a->cli, d->group_len + 1);
	if (!group || !make_room(l, &l->parked, l->n_parked, &l->cap_parked, sizeof *l->parked))
		return 1;
	snprintf(group, d->group_len + 1, "%.*s", (int)d->group_len, d->group);
	l->parked[l->n_parked++] = (struct parked){l->topic, group, 1};
	return 0;
}

/* What waits is known by short lists of when and where; whose it is stands in the records alone. */
static int count_delayed(struct look *l, struct topic_row *row)
{
	struct mq *mq = l->a->cli.mq;
	struct mq_delayed_sum sum;

	if (mq_topic_delayed(mq, row->topic, 0, NULL, NULL, &sum) < 0)
		return mq_status(mq) == MQ_EXIT_NOTOPIC ? 0 : failed(l); /* deleted meanwhile */
	row->delayed = sum.records;
	l->topic = row->topic;
	int rc = l->a->parked && sum.records ? mq_topic_delayed(mq, row->topic, 0, count_parked, l, NULL) : 0;
	return rc < 0 ? failed(l) : rc;
}

static int look_at_topic(struct look *l, const char *topic, bool ages)
{
	struct rows *r = l->rows;

	if (!make_room(l, &r->topics, r->n_topics, &r->cap_topics, sizeof *r->topics))
		return 1;
	struct topic_row *row = &r->topics[r->n_topics++];
	*row = (struct topic_row){.topic = topic, .oldest_us = NO_TIME, .rate = -1};
	int rc = mq_topic_partitions(l->a->cli.mq, topic, add_partition, l);
	if (rc > 0)
		return rc;
	row->unread = rc < 0;
	if (rc < 0 && mq_status(l->a->cli.mq) == MQ_EXIT_NOTOPIC)
		r->n_topics--; /* deleted meanwhile, or never there */
	if (rc < 0 && (l->a->wanted.n || mq_status(l->a->cli.mq) != MQ_EXIT_NOTOPIC))
		failed(l);
	if (rc == 0)
		count_dead(l, row);
	if (rc == 0 && ages && count_delayed(l, row) != 0)
		return 1;
	if (ages && rc == 0)
		find_ages(l, topic, 0);
	l->n_places = 0;
	return 0;
}

static int look_at_topics(struct look *l, bool ages)
{
	struct args *a = l->a;
	const struct cli_texts *topics = a->wanted.n ? &a->wanted : &l->names;
	int rc = a->wanted.n ? 0 : mq_topic_list(a->cli.mq, keep_name, l);

	if (rc < 0)
		return cli_fail(&a->cli);
	for (size_t i = 0; i < topics->n && rc == 0 && !cli_stopped(); i++)
		rc = look_at_topic(l, topics->v[i], ages);
	return rc;
}

/* --- groups --------------------------------------------------------------------------------- */

static int count_member(void *arg, const struct mq_member_info *m)
{
	struct look *l = arg;

	l->members++;
	l->stopped += m->state == MQ_MEMBER_IS_STOPPED;
	return 0;
}

static bool is_wanted(const struct args *a, const char *topic)
{
	for (size_t i = 0; i < a->wanted.n; i++)
		if (strcmp(a->wanted.v[i], topic) == 0)
			return true;
	return a->wanted.n == 0;
}

/* Partitions come topic by topic. */
static struct group_row *find_row(struct look *l, const char *topic)
{
	struct rows *r = l->rows;

	if (r->n_groups > l->group_at && strcmp(r->groups[r->n_groups - 1].topic, topic) == 0)
		return &r->groups[r->n_groups - 1];
	if (!make_room(l, &r->groups, r->n_groups, &r->cap_groups, sizeof *r->groups))
		return NULL;
	const char *copy = keep_text(l, topic);
	if (!copy)
		return NULL;
	struct group_row *row = &r->groups[r->n_groups++];
	*row = (struct group_row){
		.group = l->group, .topic = copy, .members = l->members, .stopped = l->stopped, .oldest_us = NO_TIME, .rate = -1};
	return row;
}

static int add_place(void *arg, const struct mq_group_info *g)
{
	struct look *l = arg;
	struct group_row *row = is_wanted(l->a, g->topic) ? find_row(l, g->topic) : NULL;

	if (!is_wanted(l->a, g->topic))
		return 0;
	if (!row)
		return 1;
	row->partitions++;
	if (g->why) {
		row->unread++;
		if (!l->a->status)
			snprintf(l->a->why, sizeof l->a->why, "group %s, %s:%u: %s", g->group, g->topic, (unsigned)g->partition, g->why);
		l->a->status = l->a->status ? l->a->status : MQ_EXIT_IO;
		cli_error(&l->a->cli, 0, "group %s, %s:%u: %s", g->group, g->topic, (unsigned)g->partition, g->why);
		return 0;
	}
	row->owned += g->owned;
	row->committed += g->committed;
	row->lag += g->lag;
	row->lost += g->lost;
	row->expired += g->expired;
	row->in_flight += g->in_flight;
	return g->lag ? keep_place(l, l->rows->n_groups - 1, g->partition, g->end - g->lag) : 0;
}

/* Into the rows of the group at hand. */
static void take_parked(struct look *l)
{
	for (size_t i = l->group_at; i < l->rows->n_groups; i++) {
		struct group_row *row = &l->rows->groups[i];
		for (size_t k = 0; k < l->n_parked; k++)
			if (strcmp(l->parked[k].topic, row->topic) == 0 && strcmp(l->parked[k].group, row->group) == 0)
				row->parked = l->parked[k].n;
	}
}

static int look_at_group(struct look *l, const char *group, bool ages)
{
	struct args *a = l->a;

	l->group = group;
	l->group_at = l->rows->n_groups;
	l->members = l->stopped = 0;
	(void)mq_group_members(a->cli.mq, group, count_member, l); /* who may not look sees the rest */
	int rc = mq_group_show(a->cli.mq, group, NULL, add_place, l);
	bool told = rc < 0 && l->rows->n_groups > l->group_at && l->rows->groups[l->rows->n_groups - 1].unread;
	if (rc > 0)
		return rc;
	if (rc < 0 && !told && (a->group || mq_status(a->cli.mq) != MQ_EXIT_NOTOPIC))
		failed(l);
	if (ages)
		find_ages(l, NULL, 0);
	take_parked(l);
	l->n_places = 0;
	return 0;
}

static int look_at_groups(struct look *l, bool ages)
{
	struct args *a = l->a;
	int rc;

	if (a->group)
		return look_at_group(l, a->group, ages);
	l->names = (struct cli_texts){0};
	rc = mq_group_list(a->cli.mq, keep_name, l);
	if (rc < 0)
		return cli_fail(&a->cli);
	for (size_t i = 0; i < l->names.n && rc == 0 && !cli_stopped(); i++)
		rc = look_at_group(l, l->names.v[i], ages);
	return rc;
}

int stat_look(struct args *a, bool ages, struct rows *ret)
{
	struct look l = {.a = a, .rows = ret};
	struct timespec t = {0}, now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* they have no way to fail */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct rows){
		.at_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec, .now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000};
	int rc = look_at_topics(&l, ages);
	if (rc == 0)
		rc = look_at_groups(&l, ages);
	free(l.places);
	free(l.parked);
	return rc && !a->status ? rc : rc ? a->status : 0;
}

/* --- rates ---------------------------------------------------------------------------------- */

static double per_second(uint64_t before, uint64_t after, int64_t took_ns)
{
	return after < before || took_ns <= 0 ? -1 : (double)(after - before) * 1e9 / (double)took_ns;
}

/* Both looks go the same way, so the next one is near. */
void stat_rates(const struct rows *first, struct rows *second)
{
	int64_t took_ns = second->at_ns - first->at_ns;

	for (size_t i = 0, j = 0; i < second->n_topics; i++) {
		struct topic_row *row = &second->topics[i];
		for (size_t k = 0; k < first->n_topics; k++) {
			const struct topic_row *was = &first->topics[(j + k) % first->n_topics];
			if (strcmp(was->topic, row->topic) != 0)
				continue;
			j += k + 1;
			row->rate = was->unread || row->unread ? -1 : per_second(was->end, row->end, took_ns);
			break;
		}
	}
	for (size_t i = 0, j = 0; i < second->n_groups; i++) {
		struct group_row *row = &second->groups[i];
		for (size_t k = 0; k < first->n_groups; k++) {
			const struct group_row *was = &first->groups[(j + k) % first->n_groups];
			if (strcmp(was->topic, row->topic) != 0 || strcmp(was->group, row->group) != 0)
				continue;
			j += k + 1;
			row->rate = was->unread || row->unread ? -1 : per_second(was->committed, row->committed, took_ns);
			break;
		}
	}
}

void stat_release(struct rows *r)
{
	free(r->topics);
	free(r->groups);
	*r = (struct rows){0};
}
