/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The figures for people, for programs, and for Prometheus. */
#include "mq-stat.h"

/* "3s", "14m", "2d": of one that was published in the future, 0s. */
static void cell_age(struct cli_table *t, const struct rows *r, int64_t us)
{
	int64_t s = us == NO_TIME || us > r->now_us ? 0 : (r->now_us - us) / 1000000;

	if (us == NO_TIME)
		cli_cell(t, "-");
	else if (s < 120)
		cli_cell(t, "%llds", (long long)s);
	else if (s < 7200)
		cli_cell(t, "%lldm", (long long)(s / 60));
	else if (s < 172800)
		cli_cell(t, "%lldh", (long long)(s / 3600));
	else
		cli_cell(t, "%lldd", (long long)(s / 86400));
}

static void cell_rate(struct cli_table *t, double rate)
{
	if (rate >= 0)
		cli_cell(t, "%.1f", rate);
	else
		cli_cell(t, "-");
}

static void topic_table(const struct args *a, const struct rows *r)
{
	static const char *const heads[] = {"TOPIC", ">PARTITIONS", ">SEGMENTS", ">RECORDS", ">BYTES", ">DEAD", ">DELAYED", ">OLDEST", NULL};
	static const char *const rated[] = {"TOPIC", ">PARTITIONS", ">SEGMENTS", ">RECORDS", ">BYTES", ">DEAD", ">DELAYED", ">OLDEST",
	                                    ">IN/s", NULL};
	struct cli_table t;

	cli_table_init(&t, a->interval_ns ? rated : heads);
	for (size_t i = 0; i < r->n_topics; i++) {
		const struct topic_row *row = &r->topics[i];
		cli_cell(&t, "%s", row->topic);
		cli_cell(&t, "%u", (unsigned)row->partitions);
		cli_cell(&t, "%llu", llu(row->segments));
		cli_cell(&t, "%llu", llu(row->records));
		cli_cell(&t, "%llu", llu(row->bytes));
		cli_cell(&t, "%llu", llu(row->dead));
		cli_cell(&t, "%llu", llu(row->delayed));
		cell_age(&t, r, row->oldest_us);
		if (a->interval_ns)
			cell_rate(&t, row->rate);
	}
	cli_table_print(&t);
}

static void group_table(const struct args *a, const struct rows *r)
{
	struct cli_table t;

	const char *heads[16] = {"GROUP", "TOPIC", ">MEMBERS", ">STOPPED", ">OWNED", ">LAG", ">IN-FLIGHT", ">LOST", ">EXPIRED", ">OLDEST"};
	size_t n = 10;

	if (a->parked)
		heads[n++] = ">PARKED";
	if (a->interval_ns)
		heads[n++] = ">DONE/s";
	cli_table_init(&t, heads);
	for (size_t i = 0; i < r->n_groups; i++) {
		const struct group_row *row = &r->groups[i];
		cli_cell(&t, "%s", row->group);
		cli_cell(&t, "%s", row->topic);
		cli_cell(&t, "%u", row->members);
		cli_cell(&t, "%u", row->stopped);
		cli_cell(&t, "%u/%u", (unsigned)row->owned, (unsigned)row->partitions);
		cli_cell(&t, "%llu", llu(row->lag));
		cli_cell(&t, "%llu", llu(row->in_flight));
		cli_cell(&t, "%llu", llu(row->lost));
		cli_cell(&t, "%llu", llu(row->expired));
		cell_age(&t, r, row->oldest_us);
		if (a->parked)
			cli_cell(&t, "%llu", llu(row->parked));
		if (a->interval_ns)
			cell_rate(&t, row->rate);
	}
	cli_table_print(&t);
}

void stat_tables(const struct args *a, const struct rows *r)
{
	if (!a->group)
		topic_table(a, r);
	if (!a->group && r->n_groups)
		putchar('\n');
	if (a->group || r->n_groups)
		group_table(a, r);
}

/* --- objects -------------------------------------------------------------------------------- */

/* Seconds since 1970, or null. */
static void json_time(const char *name, int64_t us)
{
	if (us == NO_TIME)
		printf(",\"%s\":null", name);
	else
		printf(",\"%s\":%lld.%06lld", name, (long long)(us / 1000000 - (us % 1000000 < 0)),
		       (long long)((us % 1000000 + 1000000) % 1000000));
}

static void json_rate(const struct args *a, double rate)
{
	if (a->interval_ns && rate >= 0)
		printf(",\"rate\":%.1f", rate);
	else if (a->interval_ns)
		printf(",\"rate\":null");
}

void stat_json(const struct args *a, const struct rows *r)
{
	for (size_t i = 0; i < r->n_topics && !a->group && !ferror(stdout); i++) {
		const struct topic_row *row = &r->topics[i];
		printf("{\"v\":1,\"topic\":\"%s\",\"partitions\":%u,\"segments\":%llu,\"records\":%llu,\"bytes\":%llu,\"end\":%llu,\"dead\":%llu,"
		       "\"delayed\":%llu", row->topic, (unsigned)row->partitions, llu(row->segments), llu(row->records), llu(row->bytes),
		       llu(row->end), llu(row->dead), llu(row->delayed));
		json_time("oldest", row->oldest_us);
		json_rate(a, row->rate);
		printf("}\n");
	}
	for (size_t i = 0; i < r->n_groups && !ferror(stdout); i++) {
		const struct group_row *row = &r->groups[i];
		printf("{\"v\":1,\"group\":\"%s\",\"topic\":\"%s\",\"members\":%u,\"stopped\":%u,\"partitions\":%u,\"owned\":%u,\"committed\":%llu,"
		       "\"lag\":%llu,\"in_flight\":%llu,\"lost\":%llu,\"expired\":%llu",
		       row->group, row->topic, row->members, row->stopped, (unsigned)row->partitions, (unsigned)row->owned, llu(row->committed),
		       llu(row->lag), llu(row->in_flight), llu(row->lost), llu(row->expired));
		if (a->parked)
			printf(",\"parked\":%llu", llu(row->parked));
		json_time("oldest_unread", row->oldest_us);
		json_rate(a, row->rate);
		printf("}\n");
	}
}

/* --- metrics -------------------------------------------------------------------------------- */

/* Names of topics and groups need no escaping: none of their characters does. */
static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void seconds(int64_t us)
{
	printf(" %.6f\n", (double)us / 1e6);
}

static void topic_metric(const struct rows *r, const char *name, const char *type, const char *help,
                         uint64_t (*value)(const struct topic_row *row))
{
	if (r->n_topics)
		head(name, type, help);
	for (size_t i = 0; i < r->n_topics; i++)
		if (!r->topics[i].unread)
			printf("%s{topic=\"%s\"} %llu\n", name, r->topics[i].topic, llu(value(&r->topics[i])));
}

static void group_metric(const struct rows *r, const char *name, const char *type, const char *help,
                         uint64_t (*value)(const struct group_row *row))
{
	if (r->n_groups)
		head(name, type, help);
	for (size_t i = 0; i < r->n_groups; i++)
		if (!r->groups[i].unread)
			printf("%s{group=\"%s\",topic=\"%s\"} %llu\n", name, r->groups[i].group, r->groups[i].topic, llu(value(&r->groups[i])));
}

static uint64_t partitions(const struct topic_row *row) { return row->partitions; }
static uint64_t segments(const struct topic_row *row) { return row->segments; }
static uint64_t records(const struct topic_row *row) { return row->records; }
static uint64_t bytes(const struct topic_row *row) { return row->bytes; }
static uint64_t end(const struct topic_row *row) { return row->end; }
static uint64_t dead(const struct topic_row *row) { return row->dead; }
static uint64_t delayed(const struct topic_row *row) { return row->delayed; }
static uint64_t members(const struct group_row *row) { return row->members; }
static uint64_t stopped(const struct group_row *row) { return row->stopped; }
static uint64_t owned(const struct group_row *row) { return row->owned; }
static uint64_t committed(const struct group_row *row) { return row->committed; }
static uint64_t lag(const struct group_row *row) { return row->lag; }
static uint64_t in_flight(const struct group_row *row) { return row->in_flight; }
static uint64_t lost(const struct group_row *row) { return row->lost; }
static uint64_t expired(const struct group_row *row) { return row->expired; }
static uint64_t parked(const struct group_row *row) { return row->parked; }

void stat_metrics(const struct args *a, const struct rows *r)
{
	struct rows topics = {.topics = r->topics, .n_topics = a->group ? 0 : r->n_topics};

	topic_metric(&topics, "mq_topic_partitions", "gauge", "Partitions of the topic.", partitions);
	topic_metric(&topics, "mq_topic_segments", "gauge", "Segment files of the topic.", segments);
	topic_metric(&topics, "mq_topic_records", "gauge", "Records held.", records);
	topic_metric(&topics, "mq_topic_bytes", "gauge", "Bytes of segment files.", bytes);
	topic_metric(&topics, "mq_topic_dead_records", "gauge", "Dead letters held, in TOPIC.dead.", dead);
	topic_metric(&topics, "mq_topic_delayed_records", "gauge", "Records that wait for their time, or to be tried again.", delayed);
	topic_metric(&topics, "mq_topic_end_total", "counter", "Ends of all partitions, summed: records that ever came.", end);
	if (topics.n_topics)
		head("mq_topic_oldest_timestamp_seconds", "gauge", "When the oldest record held was published.");
	for (size_t i = 0; i < topics.n_topics; i++)
		if (r->topics[i].oldest_us != NO_TIME) {
			printf("mq_topic_oldest_timestamp_seconds{topic=\"%s\"}", r->topics[i].topic);
			seconds(r->topics[i].oldest_us);
		}
	group_metric(r, "mq_group_members", "gauge", "Members of the group that live.", members);
	group_metric(r, "mq_group_stopped_members", "gauge", "Members of the group whose process is stopped.", stopped);
	group_metric(r, "mq_group_owned_partitions", "gauge", "Partitions of the topic that a member has.", owned);
	group_metric(r, "mq_group_committed_total", "counter", "Committed offsets of all partitions, summed.", committed);
	group_metric(r, "mq_group_lag", "gauge", "Records that the group has not done.", lag);
	group_metric(r, "mq_group_in_flight", "gauge", "Records that members who share them are at work on.", in_flight);
	group_metric(r, "mq_group_lost_total", "counter", "Records lost to damage or to a topic's limit, that the group has passed.", lost);
	group_metric(r, "mq_group_expired_total", "counter", "Records that the group has passed since they had expired.", expired);
	if (a->parked)
		group_metric(r, "mq_group_parked_records", "gauge", "Records of the group that wait to be tried again.", parked);
	if (r->n_groups)
		head("mq_group_oldest_unread_timestamp_seconds", "gauge", "When the oldest record that the group has not done was published.");
	for (size_t i = 0; i < r->n_groups; i++)
		if (r->groups[i].oldest_us != NO_TIME) {
			printf("mq_group_oldest_unread_timestamp_seconds{group=\"%s\",topic=\"%s\"}", r->groups[i].group, r->groups[i].topic);
			seconds(r->groups[i].oldest_us);
		}
}
