/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mq-topic.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct listing {
	struct cli *cli;
	const char *topic;
	struct cli_table table;
	bool json;
};

static const char *time_text(int64_t us, char ret[48])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	char day[32];

	if (!gmtime_r(&seconds, &tm) || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(ret, 48, "%" PRId64, us);
	else
		snprintf(ret, 48, "%s.%03dZ", day, (int)(us / 1000 % 1000));
	return ret;
}

/* Up to a NUL: such bytes are no text. */
static char *copy(const char *bytes, size_t len)
{
	char *text = malloc(len + 1);

	if (text)
		snprintf(text, len + 1, "%.*s", (int)len, bytes);
	return text;
}

static void json_text(const char *name, const char *bytes, size_t len)
{
	char *text = bytes ? copy(bytes, len) : NULL;

	if (text) {
		printf(",\"%s\":", name);
		cli_json_string(stdout, text);
	}
	free(text);
}

static void cell(struct cli_table *table, const char *bytes, size_t len)
{
	char visible[256], *text = bytes ? copy(bytes, len) : NULL;

	cli_cell(table, "%s", text ? cli_visible(visible, sizeof visible, text) : "-");
	free(text);
}

static int print_one(void *arg, const struct mq_delayed_info *d)
{
	struct listing *l = arg;
	char due[48];

	time_text(d->due_us, due);
	if (!l->json) {
		cli_cell(&l->table, "%s", due);
		cli_cell(&l->table, "%u", (unsigned)d->partition);
		cell(&l->table, d->id, d->id_len);
		cell(&l->table, d->key, d->key_len);
		cell(&l->table, d->group, d->group_len);
		cli_cell(&l->table, "%llu", llu(d->bytes));
		return 0;
	}
	printf("{\"v\":1,\"topic\":\"%s\",\"partition\":%u,\"due\":\"%s\",\"due_us\":%" PRId64 ",\"bytes\":%llu", l->topic,
	       (unsigned)d->partition, due, d->due_us, llu(d->bytes));
	json_text("id", d->id, d->id_len);
	json_text("key", d->key, d->key_len);
	json_text("tag", d->tag, d->tag_len);
	json_text("group", d->group, d->group_len);
	if (d->attempts)
		printf(",\"attempts\":%u", (unsigned)d->attempts);
	puts("}");
	return ferror(stdout);
}

static void print_sum(const struct listing *l, const struct mq_delayed_sum *sum)
{
	char due[48];

	if (l->json) {
		printf("{\"v\":1,\"topic\":\"%s\",\"delayed\":%llu", l->topic, llu(sum->records));
		if (sum->records)
			printf(",\"next\":\"%s\",\"next_us\":%" PRId64, time_text(sum->next_us, due), sum->next_us);
		puts("}");
	} else if (sum->records) {
		printf("%s: %llu delayed, the next %s\n", l->topic, llu(sum->records), time_text(sum->next_us, due));
	} else {
		printf("%s: nothing is delayed\n", l->topic);
	}
}

int topic_delayed(struct cli *cli, const char *topic, bool limited, uint64_t count, bool json)
{
	static const char *const heads[] = {"DUE", ">PARTITION", "ID", "KEY", "GROUP", ">BYTES", NULL};
	struct listing l = {.cli = cli, .topic = topic, .json = json};
	struct mq_delayed_sum sum;

	if (mq_topic_delayed(cli->mq, topic, 0, NULL, NULL, &sum) < 0)
		return cli_fail(cli);
	print_sum(&l, &sum);
	if (sum.records == 0 || (limited && count == 0))
		return 0;
	if (!json) {
		putchar('\n');
		cli_table_init(&l.table, heads);
	}
	int status = mq_topic_delayed(cli->mq, topic, count, print_one, &l, NULL) < 0 ? cli_fail(cli) : 0;
	if (!json)
		cli_table_print(&l.table);
	return status;
}

int topic_cancel(struct cli *cli, const char *topic, const char *id, bool dry_run)
{
	uint64_t n = 0;

	if (mq_topic_cancel(cli->mq, topic, id, dry_run, &n) < 0)
		return cli_fail(cli);
	if (n == 0) {
		cli_say(cli, "%s: nothing waits with the id %s: it has come already, or was cancelled, or never waited", topic, id);
		return MQ_EXIT_NOTHING;
	}
	if (dry_run || cli->verbose)
		cli_say(cli, "%s: %llu records %s", topic, llu(n), dry_run ? "would be cancelled" : "cancelled");
	return 0;
}
