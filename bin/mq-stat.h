/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What mq-stat knows: a row a topic, and a row for each topic that a group reads.
 *
 *   mq-stat         options, and which of the ways to tell it
 *   mq-stat_look    the rows: two looks, where a rate is wanted
 *   mq-stat_print   as tables, objects, or metrics
 *   mq-stat_check   against limits
 */
#ifndef MQ_BIN_STAT_H
#define MQ_BIN_STAT_H

#include "cli.h"

#define NO_TIME INT64_MIN /* there is no such record */

struct topic_row {
	const char *topic;
	uint32_t partitions;
	uint64_t records, bytes, segments;
	uint64_t dead;          /* records held in TOPIC.dead */
	uint64_t delayed;       /* that wait for their time, or to be tried again */
	uint64_t end;           /* the ends of all partitions, which only rise */
	int64_t oldest_us;      /* when the oldest record that is held was published */
	double rate;            /* records that came, a second; negative: not known */
	bool unread;            /* it could not be looked at, and that was told */
};

struct group_row {
	const char *group, *topic;
	unsigned members, stopped; /* of the whole group */
	uint32_t partitions, owned, unread; /* unread: that could not be looked at, and that was told */
	uint64_t committed, lag, lost, expired, in_flight;
	uint64_t parked;        /* of the topic's delayed: this group's, to be tried again; with args.parked */
	int64_t oldest_us;      /* when the oldest record that it has not read was published */
	double rate;            /* records done, a second; negative: not known */
};

struct rows {
	struct topic_row *topics;
	size_t n_topics, cap_topics;
	struct group_row *groups;
	size_t n_groups, cap_groups;
	int64_t at_ns, now_us;  /* when they were looked at: on the monotonic clock, and as people know it */
};

struct args {
	struct cli cli;
	const char *group;
	int64_t interval_ns;
	struct cli_texts checks, wanted; /* wanted: topics; none: all */
	bool json, prometheus, parked;
	struct check *limits;   /* one for each of checks */
	int status;             /* the first failure of a look, */
	char why[512];          /* and its reason */
};

/* A status.  What cannot be looked at is told, counted in its row, and does not hide the rest: args.status.  ages: with what
 * costs most. */
int stat_look(struct args *a, bool ages, struct rows *ret);
/* Rates of the second look by the first one. */
void stat_rates(const struct rows *first, struct rows *second);
void stat_release(struct rows *r);

void stat_tables(const struct args *a, const struct rows *r);
void stat_json(const struct args *a, const struct rows *r);
void stat_metrics(const struct args *a, const struct rows *r);

/* Which limits there are is checked before anything is looked at: 0, or a status. */
int stat_check_parse(struct args *a);
/* One line, and the status of a Nagios plug-in. */
int stat_check(struct args *a, const struct rows *r);
int stat_unknown(const struct args *a);

#endif
