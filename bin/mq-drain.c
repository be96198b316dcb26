/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-drain: a group's backlog to its end. */
#include "cli.h"
#include "reading.h"
#include "to.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct args {
	struct cli cli;
	struct mq_consume_request req;
	struct reading reading;
	struct cli_pairs set;
	int order;
	const char *older_than;
	bool coproc, dry_run, fail_dead;
	struct cli_progress progress;
	struct cli_table table;
	const char *topic;      /* of the dry run */
	int64_t only;
};
#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "Which backlog", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'g', "group", "GROUP", "the group", CLI_TEXT, AT(req.group), "group", 0},
	{'p', "partition", "N", "this partition only", CLI_PARTITION, AT(reading.partition), NULL, 0},
	{'o', "offset", "..END", "to there only, END excluded: an offset, -N (from the end) or @TIME", CLI_TEXT, AT(req.range), NULL, 0},
	{'n', "count", "N", "at most N records, then end", CLI_COUNT, AT(req.count), NULL, 0},
	{'e', "exit", NULL, "end at the end as it was at the start: what this tool does, accepted for kcat's sake", CLI_ACCEPTED, 0, NULL, 0},
	{0, "older-than", "TIME", "only what was published longer ago than that: 5m 2h 7d", CLI_TEXT, AT(older_than), NULL, 0},
	{0, "skip-tag", "TAGS", "what has this tag, or one of several ('debug || trace'), counts as done and is not given out", CLI_TEXT,
	 AT(req.skip_tag), NULL, 0},
	{'k', "key", "KEY", "give out only what has this key; the rest counts as done", CLI_TEXT, AT(req.key), NULL, 0},
	{'H', "header", "N=V", "the same of a header; may be given again, all must hold", CLI_PAIRS, AT(reading.headers), NULL, 0},
	{'T', "tag", "TAGS", "the same of a tag, or one of several", CLI_TEXT, AT(req.tag), NULL, 0},
	{0, "id", "ID", "the same of a message id", CLI_TEXT, AT(req.id), NULL, 0},
	{0, "where", "EXPR", "the same of an expression: 'amount > 10 && tag != \"test\"'", CLI_TEXT, AT(req.where), NULL, 0},
	{0, "rate", "N/s", "at most so many: 500/s 10/m", CLI_RATE, AT(req.rate), NULL, 0},
	{0, "dry-run", NULL, "say only what is there to be done", CLI_FLAG, AT(dry_run), NULL, 0},

	{0, "How it is printed", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'D', "delimiter", "S", "each payload ends in S instead of a newline; one that holds S is refused", CLI_BYTES,
	 AT(reading.delimiter), NULL, 0},
	{'0', "null", NULL, "each payload ends in a NUL byte", CLI_FLAG, AT(reading.null), NULL, 0},
	{'K', "key-delimiter", "S", "print KEY S PAYLOAD", CLI_BYTES, AT(reading.key_delimiter), NULL, 0},
	{'J', "json", NULL, "a JSON object a line", CLI_FLAG, AT(reading.json), NULL, 0},
	{0, "frame", NULL, "frames, for mq-publish --frame: any bytes, nothing lost", CLI_FLAG, AT(reading.frame), NULL, 0},
	{0, "format", "FORMAT", "as mq-consume(1)", CLI_TEXT, AT(req.format), NULL, 0},
	{0, "raw", NULL, "on a terminal, do not make control bytes visible", CLI_FLAG, AT(reading.raw), NULL, 0},

	{0, "To another topic", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "to", "TOPIC", "with the group's place, once each: the records as they are, or with a command what that prints; made at need",
	 CLI_TEXT, AT(req.to), "topic", 0},
	{0, "partitions", "N", "how many partitions it is made with", CLI_COUNT32, AT(req.to_partitions), NULL, 0},
	{0, "one", NULL, "all that a command prints is one record, not one a line", CLI_FLAG, AT(req.to_one), NULL, 0},
	{0, "discard", NULL, "to nobody: all of it counts as done, and is not read", CLI_FLAG, AT(req.discard), NULL, 0},
	{0, "archive", "PATH", "with --discard: into an archive first, a file, or in a directory one a topic",
	 CLI_TEXT, AT(req.archive), "file", 0},

	{0, "A handler: -- COMMAND [ARGUMENT ...], run without a shell, payload on its stdin", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "batch", "N", "up to N records on one handler's stdin", CLI_COUNT32, AT(req.batch), NULL, 0},
	{0, "coproc", NULL, "keep one handler: a record in, an answer line out, as mq-consume(1) says", CLI_FLAG, AT(coproc), NULL, 0},
	{'j', "jobs", "N", "so many handlers at once; with --order partition no more than there are partitions", CLI_COUNT32, AT(req.jobs), NULL, 0},
	{0, "order", "AMONG", "what stays in order among them: partition (the default), key, or none", CLI_CHOICE, AT(order),
	 "partition key none", 0},
	{0, "time-limit", "TIME", "a handler that takes longer is killed and has failed", CLI_DURATION, AT(req.time_limit_ns), NULL, 0},
	{0, "retries", "N", "handle what failed again, up to N times, and go on meanwhile; then it is put into TOPIC.dead", CLI_COUNT,
	 AT(req.retries), NULL, 0},
	{0, "wait-retries", NULL, "do not end before what failed is done, or dead", CLI_FLAG, AT(req.wait_retries), NULL, 0},
	{0, "backoff", "TIMES", "how long after: MIN..MAX, doubled each time, or levels as 1s,10s,1m (1s..1h)", CLI_TEXT, AT(req.backoff), NULL, 0},
	{0, "fail-dead", NULL, "exit 65 when records were put into TOPIC.dead", CLI_FLAG, AT(fail_dead), NULL, 0},
	{0, "prefetch", "N", "at most N records given out at once", CLI_COUNT32, AT(req.prefetch), NULL, 0},
	{'X', "set", "K=V", "client.rack=NAME: the room this member is in, for mq-rebalance --strategy room and nearby; else $MQ_ROOM tells",
	 CLI_PAIRS, AT(set), "client.rack=", 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-drain",
	.usage = (const char *const[]){"-g GROUP [OPTION ...] TOPIC[:PARTITION] ...", "-g GROUP [OPTION ...] TOPIC ... -- COMMAND [ARGUMENT ...]",
	                               "-g GROUP [OPTION ...] --to TOPIC TOPIC ... [-- COMMAND [ARGUMENT ...]]",
	                               "-g GROUP [OPTION ...] --discard [--archive PATH] TOPIC[:PARTITION] ...", NULL},
	.purpose = "Work off a group's backlog, to the end as it stood at the start, and end: to stdout, or with a command behind -- to a "
	           "handler for each record. What other members have is waited for.",
	.options = options,
	.examples = (const char *const[]){
		"mq-drain -g billing -j 8 orders -- ./bill      # eight at once, then it is done",
		"mq-drain -g billing --dry-run orders           # how much is there",
		"mq-drain -g audit --skip-tag 'debug || trace' orders > backlog",
		"mq-drain -g billing --older-than 1h orders -- ./bill",
		"mq-drain -g billing --to orders.wide --partitions 80 orders",
		"mq-drain -g billing --discard --archive orders.tar.zst orders",
		NULL},
	.operands = "topic",
	.timeout = "how long to wait for partitions that other members hold (without it until they are done): 300ms 10s 5m 2h 7d",
	.takes_command = true,
	.quiet_pipe = true,
	.library_writes = true,
};

/* None of it is read, so nothing can be chosen by what it is. */
static int check_discard(struct args *a)
{
	static const char *const others[] = {"to", "skip-tag", "key", "header", "tag", "id", "where", "count", "rate", "delimiter", "null", "key-delimiter",
	                                     "frame", "format", "raw"};
	struct cli *cli = &a->cli;

	if (cli->command)
		return cli_usage(cli, "--discard gives records to nobody: no command goes with it");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (cli_given(cli, others[i]))
			return cli_usage(cli, "--discard reads none of the records: --%s does not go with it%s", others[i],
			                 a->req.archive ? " (mq-replay --archive takes it)" : "");
	if (a->reading.json && !a->dry_run)
		return cli_usage(cli, "--discard reads none of the records: --json does not go with it");
	return 0;
}

static int check(struct args *a)
{
	static const char *const handling[] = {"batch", "coproc", "jobs", "order", "time-limit", "prefetch", "retries", "wait-retries", "backoff", "fail-dead"};
	static const char *const printing[] = {"delimiter", "null", "key-delimiter", "json", "frame", "format", "raw"};
	struct cli *cli = &a->cli;

	if (!a->req.group)
		return cli_usage(cli, "whose backlog? -g GROUP is missing");
	if (reading_check(cli, &a->reading, &a->req))
		return MQ_EXIT_USAGE;
	if (cli->command && !cli->command[0])
		return cli_usage(cli, "a command is wanted after --");
	for (size_t i = 0; !cli->command && i < sizeof handling / sizeof *handling; i++)
		if (cli_given(cli, handling[i]))
			return cli_usage(cli, "--%s is about handlers: -- COMMAND is missing", handling[i]);
	for (size_t i = 0; cli->command && !a->coproc && !a->req.batch && !a->req.to && i < sizeof printing / sizeof *printing; i++)
		if (cli_given(cli, printing[i]))
			return cli_usage(cli, "--%s: a handler of one record gets its payload as it is, the rest in its environment; "
			                      "with --batch N (1, too) or --coproc records are printed", printing[i]);
	if (a->req.wait_retries && !cli_given(cli, "retries"))
		return cli_usage(cli, "--wait-retries waits for what failed and is tried again: --retries N is missing");
	if (cli_given(cli, "backoff") && !cli_given(cli, "retries"))
		return cli_usage(cli, "--backoff says when what failed is handled again: --retries N is missing");
	if (a->coproc && a->req.batch)
		return cli_usage(cli, "--coproc and --batch exclude each other");
	if (a->req.archive && !a->req.discard)
		return cli_usage(cli, "--archive keeps what is discarded: --discard is missing");
	if (a->req.discard && check_discard(a))
		return MQ_EXIT_USAGE;
	return to_check(cli, &a->req, a->coproc);
}

/* "..@-1h": from the group's place to there. */
static int take_end(struct args *a)
{
	char *range;
	int64_t ns;

	if (a->req.range && a->older_than)
		return cli_usage(&a->cli, "-o and --older-than both say where it ends: one of them is wanted");
	if (a->req.range && strncmp(a->req.range, "..", 2) != 0)
		return cli_usage(&a->cli, "-o %s: ..END is wanted: a backlog begins where the group stands, and mq-group seek moves that", a->req.range);
	if (!a->older_than)
		return 0;
	if (mq_parse_duration(a->cli.mq, a->older_than, &ns) < 0)
		return cli_fail(&a->cli);
	range = cli_keep(&a->cli, strlen(a->older_than) + 6);
	if (!range)
		return MQ_EXIT_IO;
	/* A number alone is seconds; behind @ it might be an offset, and wants its unit. */
	sprintf(range, "..@-%s%s", a->older_than, a->older_than[strspn(a->older_than, "0123456789.")] ? "" : "s");
	a->req.range = range;
	return 0;
}

static void tell_progress(void *arg, uint64_t done, uint64_t all)
{
	cli_progress_tell(&((struct args *)arg)->progress, done, all);
}

static void fill_request(struct args *a)
{
	struct mq_consume_request *r = &a->req;

	r->drain = true;
	r->timeout_ns = a->cli.timeout_ns;
	r->order = (enum mq_order)a->order;
	r->order_asked = cli_given(&a->cli, "order");
	r->retry = cli_given(&a->cli, "retries");
	if (a->cli.command) {
		r->handler = a->coproc ? MQ_HANDLER_COPROC : r->batch ? MQ_HANDLER_BATCH : MQ_HANDLER_RECORD;
		r->argv = a->cli.command;
		r->envp = environ;
	}
	reading_fill(&a->reading, r);
	/* Records that go to this terminal and a bar would lie over each other. */
	cli_progress_init(&a->progress, &a->cli, a->cli.command || !isatty(STDOUT_FILENO));
	r->progress = a->progress.shown ? tell_progress : NULL;
	r->progress_arg = a;
}

/* --- the dry run ---------------------------------------------------------------------------- */

static void show(struct args *a, uint32_t partition, uint64_t from, uint64_t end)
{
	if (a->only >= 0 && (int64_t)partition != a->only)
		return;
	if (a->reading.json) {
		printf("{\"v\":1,\"group\":\"%s\",\"topic\":\"%s\",\"partition\":%u,\"from\":%llu,\"end\":%llu,\"records\":%llu}\n",
		       a->req.group, a->topic, (unsigned)partition, llu(from), llu(end), llu(end - from));
		return;
	}
	cli_cell(&a->table, "%s", a->topic);
	cli_cell(&a->table, "%u", (unsigned)partition);
	cli_cell(&a->table, "%llu", llu(from));
	cli_cell(&a->table, "%llu", llu(end));
	cli_cell(&a->table, "%llu", llu(end - from));
}

static int show_place(void *arg, const struct mq_group_info *g)
{
	struct args *a = arg;

	if (g->why)
		return cli_error(&a->cli, MQ_EXIT_IO, "group %s, %s:%u: %s", g->group, g->topic, (unsigned)g->partition, g->why);
	show(a, g->partition, g->end - g->lag, g->end);
	return 0;
}

/* Of a group that never read the topic. */
static int show_whole(void *arg, const struct mq_partition_info *p)
{
	show(arg, p->partition, p->log_start, p->visible);
	return 0;
}

static int dry_run_of(struct args *a, size_t i)
{
	struct mq *mq = a->cli.mq;
	int rc;

	a->topic = a->req.topics[i];
	a->only = a->req.partitions[i];
	rc = mq_group_show(mq, a->req.group, a->topic, show_place, a);
	if (rc < 0 && mq_status(mq) == MQ_EXIT_NOTOPIC) {
		rc = mq_topic_partitions(mq, a->topic, show_whole, a);
		if (rc == 0) /* it may be a slip in the name */
			cli_say(&a->cli, "group %s never read %s: all of it is its backlog (mq-group list names the groups)", a->req.group, a->topic);
	}
	return rc < 0 ? cli_fail(&a->cli) : rc;
}

static int dry_run(struct args *a)
{
	static const char *const heads[] = {"TOPIC", ">PARTITION", ">FROM", ">END", ">RECORDS", NULL};
	int status = 0;

	if (a->req.range || a->req.skip_tag || a->req.key || a->req.tag || a->req.id || a->req.where || a->reading.headers.n || a->req.count)
		return cli_usage(&a->cli, "--dry-run tells how much there is, of which nothing is read: no filter goes with it, "
		                           "and mq-replay --dry-run counts what one selects");
	cli_table_init(&a->table, heads);
	for (size_t i = 0; i < a->req.n_topics && !status; i++)
		status = dry_run_of(a, i);
	if (!a->reading.json)
		cli_table_print(&a->table);
	return status;
}

/* --- */
static int report(struct args *a, int status, const struct mq_consume_report *r)
{
	struct cli *cli = &a->cli;

	if (r->damage)
		cli_say(cli, "%llu damaged places passed, %llu records lost in them (mq-check tells where)", llu(r->damage), llu(r->damage_records));
	if (cli->verbose)
		cli_say(cli, "%llu records given out here, %llu bytes; %llu not selected, %llu expired", llu(r->records), llu(r->bytes),
		        llu(r->skipped_filter), llu(r->skipped_expired));
	if (cli->verbose && cli->command)
		cli_say(cli, "handlers: %llu done, %llu failed, %llu rejected, %llu released", llu(r->done), llu(r->failed), llu(r->rejected),
		        llu(r->released));
	if (r->parked)
		cli_say(cli, "%llu failed record%s put aside, to be tried again when %s time has come", llu(r->parked),
		        r->parked == 1 ? " was" : "s were", r->parked == 1 ? "its" : "their");
	if (r->dead)
		cli_say(cli, "%llu record%s put into %s.dead (mq-consume --json %s.dead tells why)", llu(r->dead), r->dead == 1 ? " was" : "s were",
		        a->req.n_topics == 1 ? a->req.topics[0] : "TOPIC", a->req.n_topics == 1 ? a->req.topics[0] : "TOPIC");
	if (status)
		return status;
	if (r->damage)
		return MQ_EXIT_DAMAGE;
	if (r->left)
		return cli_error(cli, MQ_EXIT_AGAIN, "%u partitions were not free in time: run again", (unsigned)r->left);
	return a->fail_dead && r->dead ? MQ_EXIT_INPUT : MQ_EXIT_DONE;
}

/* One file is one topic's. */
static int check_archive(struct args *a)
{
	const char *slash = strrchr(a->req.archive, '/');
	char *parent = slash ? cli_keep(&a->cli, (size_t)(slash - a->req.archive) + 2) : NULL;
	struct stat st;

	mq_use_archives();
	if (slash && !parent)
		return MQ_EXIT_IO;
	if (slash) { /* said before there is anything for it */
		memcpy(parent, a->req.archive, (size_t)(slash - a->req.archive) + 1);
		parent[slash - a->req.archive + 1] = '\0';
		if (stat(parent, &st) < 0 || !S_ISDIR(st.st_mode))
			return cli_usage(&a->cli, "no directory %s for the archive: make it", parent);
	}
	if (a->req.n_topics > 1 && (stat(a->req.archive, &st) < 0 || !S_ISDIR(st.st_mode)))
		return cli_usage(&a->cli, "--archive %s: the backlogs of several topics go into a file each: name a directory that is there",
		                 a->req.archive);
	return 0;
}

static int run(struct args *a)
{
	struct mq_consume_report r = {0};
	int status = check(a);

	if (!status)
		status = take_end(a);
	if (!status)
		status = reading_room(&a->cli, &a->set, &a->req);
	if (!status)
		status = reading_operands(&a->cli, &a->reading, "a backlog begins where the group stands: mq-group seek moves that", &a->req);
	if (status)
		return status;
	fill_request(a);
	if (a->req.archive && (status = check_archive(a)) != 0)
		return status;
	status = cli_open(&a->cli, 0);
	if (status || a->dry_run)
		return status ? status : dry_run(a);
	/* To the library a count of 0 means all; to a script that computed it, none. */
	if (!(cli_given(&a->cli, "count") && a->req.count == 0) && mq_consume(a->cli.mq, &a->req, &r) < 0) {
		cli_progress_end(&a->progress);
		status = cli_fail(&a->cli);
	}
	cli_progress_end(&a->progress);
	return report(a, status, &r);
}

int main(int argc, char **argv)
{
	struct args a = {.req = MQ_CONSUME_REQUEST_INIT};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
