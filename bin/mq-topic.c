/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-topic: create, list, show, set, purge, delete; what waits in one: delayed, cancel (mq-topic_delayed.c). */
#include "mq-topic.h"

#include <string.h>

enum verb { CREATE, LIST, SHOW, SET, PURGE, DELETE, DELAYED, CANCEL };
#define ON(verb) (1u << (verb))

struct args {
	struct cli cli;
	struct cli_pairs set;
	const char *offset, *id;
	uint64_t count;
	int64_t partition;
	uint32_t partitions;
	bool json, dry_run, force;
	struct cli_texts topics;
};
#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "Options", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "partitions", "N", "create: how many partitions", CLI_COUNT32, AT(partitions), NULL, ON(CREATE)},
	{'X', "set", "KEY=VALUE", "create, set: a configuration key, as KEY=VALUE behind the topic; may be given again", CLI_PAIRS,
	 AT(set), CLI_TOPIC_KEYS, ON(CREATE) | ON(SET)},
	{'p', "partition", "N", "purge: this partition only", CLI_PARTITION, AT(partition), NULL, ON(PURGE)},
	{'o', "offset", "X", "purge: up to here: an offset, end (the default), -N (all but the last N) or @TIME", CLI_TEXT,
	 AT(offset), NULL, ON(PURGE)},
	{'n', "count", "N", "delayed: the first N; the sum tells of all", CLI_COUNT, AT(count), NULL, ON(DELAYED)},
	{0, "id", "ID", "cancel: of the records that wait, those of this id", CLI_TEXT, AT(id), NULL, ON(CANCEL)},
	{'J', "json", NULL, "list, show, delayed: an object a line", CLI_FLAG, AT(json), NULL, ON(LIST) | ON(SHOW) | ON(DELAYED)},
	{0, "force", NULL, "purge: over what groups have not read yet; delete: though a member of a group, or its handler, is at work", CLI_FLAG, AT(force), NULL, ON(PURGE) | ON(DELETE)},
	{0, "dry-run", NULL, "check and say what would be done", CLI_FLAG, AT(dry_run), NULL,
	 ON(CREATE) | ON(SET) | ON(PURGE) | ON(DELETE) | ON(CANCEL)},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-topic",
	.usage = (const char *const[]){
		"create [--partitions N] [--dry-run] [OPTION ...] TOPIC [KEY=VALUE ...]",
		"list [-v] [--json] [OPTION ...]",
		"show [--json] [OPTION ...] TOPIC",
		"set [--dry-run] [OPTION ...] TOPIC KEY=VALUE ...",
		"purge [--dry-run] [--force] [-o X] [OPTION ...] TOPIC[:PARTITION[:OFFSET]]",
		"delete [--dry-run] [--force] [OPTION ...] TOPIC",
		"delayed [--json] [-n N] [OPTION ...] TOPIC",
		"cancel [--dry-run] --id ID [OPTION ...] TOPIC", NULL},
	.purpose = "Create topics, list them, show and change their configuration, drop their records, delete them; list what waits until it is due, and cancel it. A topic need not "
	           "be created: the first publish does it, with one partition.",
	.options = options,
	.examples = (const char *const[]){
		"mq-topic create orders --partitions 8",
		"mq-topic list -v",
		"mq-topic set orders max.bytes=1G compression.type=zstd",
		"mq-topic purge orders -o @-7d --dry-run",
		"mq-topic delayed -n 10 orders",
		NULL},
	.verbs = (const char *const[]){"create", "list", "show", "set", "purge", "delete", "delayed", "cancel", NULL},
	.operands = "topic",
	.timeout = "purge, delete, cancel: how long to wait for a partition's lock that another process holds (without it as long as it "
	           "takes): 300ms 10s 5m 2h 7d",
	.quiet_pipe = true,
};

/* KEY=VALUE operands, behind those of -X. */
static int take_pairs(struct args *a)
{
	struct cli *cli = &a->cli;
	struct mq_pair *all = cli_keep(cli, (a->set.n + cli->n_operands + 1) * sizeof *all);

	if (!all)
		return MQ_EXIT_IO;
	if (a->set.n)
		memcpy(all, a->set.v, a->set.n * sizeof *all);
	for (size_t i = 0; i < cli->n_operands; i++) {
		char *equals = strchr(cli->operands[i], '=');
		if (!equals || equals == cli->operands[i])
			return cli_usage(cli, "%s: KEY=VALUE is wanted", cli->operands[i]);
		*equals = '\0';
		all[a->set.n++] = (struct mq_pair){cli->operands[i], equals + 1};
	}
	a->set.v = all;
	return 0;
}

/* Names are borrowed until the next call on the session, and there is one for each. */
static int keep_topic(void *arg, const char *topic)
{
	struct args *a = arg;
	char *copy = cli_keep(&a->cli, strlen(topic) + 1);

	return !copy || cli_add_text(&a->cli, &a->topics, strcpy(copy, topic)) != CLI_GO;
}

static void print_json(const struct mq_topic_info *t)
{
	printf("{\"v\":1,\"topic\":\"%s\",\"id\":\"%s\",\"partitions\":%u,\"records\":%llu,\"bytes\":%llu}\n", t->name, t->id,
	       (unsigned)t->partitions, llu(t->records), llu(t->bytes));
}

/* One that cannot be looked at does not hide the others. */
static int list_one(struct args *a, struct cli_table *table, const char *topic)
{
	struct mq_topic_info t;
	int status = 0;

	if (mq_topic_show(a->cli.mq, topic, &t) < 0) {
		if (mq_status(a->cli.mq) == MQ_EXIT_NOTOPIC)
			return 0; /* deleted meanwhile */
		status = cli_fail(&a->cli);
	}
	if (a->json) {
		if (!status)
			print_json(&t);
		return status;
	}
	cli_cell(table, "%s", topic);
	if (status) {
		for (int i = 0; i < 3; i++)
			cli_cell(table, "?");
		return status;
	}
	cli_cell(table, "%u", (unsigned)t.partitions);
	cli_cell(table, "%llu", llu(t.records));
	cli_cell(table, "%llu", llu(t.bytes));
	return 0;
}

static int list(struct args *a)
{
	static const char *const heads[] = {"TOPIC", ">PARTITIONS", ">RECORDS", ">BYTES", NULL};
	bool look = a->json || a->cli.verbose;
	struct cli_table table;
	int status = 0;

	if (a->cli.n_operands)
		return cli_usage(&a->cli, "list takes no topic; show does");
	if (mq_topic_list(a->cli.mq, keep_topic, a) < 0)
		return cli_fail(&a->cli);
	cli_table_init(&table, heads);
	for (size_t i = 0; i < a->topics.n && !ferror(stdout); i++) {
		int one = look ? list_one(a, &table, a->topics.v[i]) : 0;
		status = status ? status : one;
		if (!look)
			puts(a->topics.v[i]);
	}
	if (look && !a->json)
		cli_table_print(&table);
	return status;
}

static int show_partition(void *arg, const struct mq_partition_info *p)
{
	struct cli_table *table = arg;

	if (!table) {
		printf("{\"v\":1,\"partition\":%u,\"log_start\":%llu,\"stored\":%llu,\"visible\":%llu,\"durable\":%llu,\"written\":%llu,"
		       "\"bytes\":%llu,\"segments\":%u,\"epoch\":[%u,%u]}\n", (unsigned)p->partition, llu(p->log_start),
		       llu(p->stored), llu(p->visible), llu(p->durable), llu(p->written), llu(p->bytes), (unsigned)p->segments,
		       (unsigned)p->epoch_election, (unsigned)p->epoch_incarnation);
		return ferror(stdout);
	}
	cli_cell(table, "%u", (unsigned)p->partition);
	cli_cell(table, "%llu", llu(p->log_start));
	cli_cell(table, "%llu", llu(p->visible));
	cli_cell(table, "%llu", llu(p->durable));
	cli_cell(table, "%llu", llu(p->written));
	cli_cell(table, "%llu", llu(p->bytes));
	cli_cell(table, "%u", (unsigned)p->segments);
	return 0;
}

static int show_key(void *arg, const char *key, const char *value, bool is_default)
{
	const struct args *a = arg;

	if (a->json) {
		printf("{\"v\":1,\"key\":");
		cli_json_string(stdout, key);
		printf(",\"value\":");
		cli_json_string(stdout, value);
		printf(",\"default\":%s}\n", is_default ? "true" : "false");
	} else {
		char visible[1024];
		printf("  %s=%s%s\n", key, cli_visible(visible, sizeof visible, value), is_default ? "  (default)" : "");
	}
	return ferror(stdout);
}

static int show(struct args *a, const char *topic)
{
	static const char *const heads[] = {">PARTITION", ">LOG-START", ">VISIBLE", ">DURABLE", ">WRITTEN", ">BYTES", ">SEGMENTS", NULL};
	struct cli_table table;
	struct mq_topic_info t;
	struct mq *mq = a->cli.mq;

	if (mq_topic_show(mq, topic, &t) < 0)
		return cli_fail(&a->cli);
	if (a->json) {
		print_json(&t);
		if (mq_topic_partitions(mq, topic, show_partition, NULL) < 0 || mq_topic_conf(mq, topic, show_key, a) < 0)
			return cli_fail(&a->cli);
		return 0;
	}
	printf("%s: %u partitions, %llu records, %llu bytes, id %s\n\n", topic, (unsigned)t.partitions, llu(t.records),
	       llu(t.bytes), t.id);
	cli_table_init(&table, heads);
	if (mq_topic_partitions(mq, topic, show_partition, &table) < 0) {
		int status = cli_fail(&a->cli);
		cli_table_print(&table);
		return status;
	}
	cli_table_print(&table);
	printf("\nconfiguration\n");
	return mq_topic_conf(mq, topic, show_key, a) < 0 ? cli_fail(&a->cli) : 0;
}

static int purge(struct args *a, const struct mq_operand *topic)
{
	struct cli *cli = &a->cli;
	const char *offset = topic->offset ? topic->offset : a->offset ? a->offset : "end";
	int64_t partition = cli_given(cli, "partition") ? a->partition : topic->partition;
	uint64_t records = 0;

	if (topic->offset && a->offset)
		return cli_usage(cli, "the offset is given twice");
	if (topic->partition >= 0 && cli_given(cli, "partition"))
		return cli_usage(cli, "the partition is given twice");
	if (mq_topic_purge(cli->mq, topic->topic, partition, offset, a->force, a->dry_run, &records) < 0)
		return cli_fail(cli);
	if (a->dry_run || cli->verbose)
		cli_say(cli, "%s: %llu records %s", topic->topic, llu(records), a->dry_run ? "would be dropped" : "dropped");
	return 0;
}

static int run(struct args *a)
{
	struct cli *cli = &a->cli;
	struct mq_operand topic = {.partition = -1};
	int status = 0, done = 0;

	if (cli->verb != LIST)
		status = cli_topic(cli, &topic);
	if (!status && (cli->verb == CREATE || cli->verb == SET))
		status = take_pairs(a);
	else if (!status && cli->n_operands && cli->verb != LIST)
		status = cli_usage(cli, "%s: one topic at a time", cli->operands[0]);
	if (!status && cli->verb != PURGE && topic.partition >= 0)
		status = cli_usage(cli, "%s:%lld: a topic is wanted, not a partition", topic.topic, (long long)topic.partition);
	if (!status && cli->verb == SET && a->set.n == 0)
		status = cli_usage(cli, "set what? KEY=VALUE is missing");
	if (!status && cli->verb == CANCEL && !a->id)
		status = cli_usage(cli, "cancel which? --id ID is missing");
	if (!status)
		status = cli_open(cli, cli->verb == CREATE && !a->dry_run ? MQ_OPEN_CREATE : 0);
	if (status)
		return status;
	switch ((enum verb)cli->verb) {
	case LIST: return list(a);
	case SHOW: return show(a, topic.topic);
	case PURGE: return purge(a, &topic);
	case CREATE: done = mq_topic_create(cli->mq, topic.topic, a->partitions, a->set.v, a->set.n, a->dry_run); break;
	case SET: done = mq_topic_set(cli->mq, topic.topic, a->set.v, a->set.n, a->dry_run); break;
	case DELAYED: return topic_delayed(cli, topic.topic, cli_given(cli, "count"), a->count, a->json);
	case CANCEL: return topic_cancel(cli, topic.topic, a->id, a->dry_run);
	case DELETE: done = mq_topic_delete(cli->mq, topic.topic, a->force, a->dry_run); break;
	}
	if (done < 0)
		return cli_fail(cli);
	if (a->dry_run || cli->verbose)
		cli_say(cli, "%s: %s %s", topic.topic, tool.verbs[cli->verb], a->dry_run ? "would be done" : "done");
	return 0;
}

int main(int argc, char **argv)
{
	struct args a = {0};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
