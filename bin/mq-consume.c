/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-consume: from topics to stdout or to handlers, alone or in a group. */
#include "cli.h"
#include "reading.h"
#include "to.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct args {
	struct cli cli;
	struct mq_consume_request req;
	struct reading reading;
	struct cli_pairs set;
	int commit, order;
	bool manual, coproc, fail_empty;
};
#define AT(member) offsetof(struct args, member)

enum { COMMIT_AFTER, COMMIT_BEFORE };
static const int64_t manual_timeout_ns = 30 * INT64_C(1000000000); /* for the last acknowledgements */

static const struct cli_option options[] = {
	{0, "Which records", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'o', "offset", "RANGE", "START or START..END, END excluded; each an offset, beginning, end, stored, -N (from the end) "
	 "or @TIME (@-1h, @2026-01-31T12:00:00Z); a group that has a place starts there", CLI_TEXT, AT(req.range), NULL, 0},
	{'p', "partition", "N", "this partition only", CLI_PARTITION, AT(reading.partition), NULL, 0},
	{'n', "count", "N", "at most N records, then end", CLI_COUNT, AT(req.count), NULL, 0},
	{'f', "follow", NULL, "go on at the end: wait for new records, and for a topic or a spool that is not there yet", CLI_FLAG,
	 AT(req.follow), NULL, 0},
	{'e', "exit", NULL, "end at the end as it was at the start: the default, accepted for kcat's sake", CLI_ACCEPTED, 0, NULL, 0},
	{0, "until-idle", "TIME", "with -f: end when nothing came for so long", CLI_DURATION, AT(req.until_idle_ns), NULL, 0},
	{0, "fail-empty", NULL, "exit 1 when there was no record", CLI_FLAG, AT(fail_empty), NULL, 0},
	{'k', "key", "KEY", "only with this key", CLI_TEXT, AT(req.key), NULL, 0},
	{'H', "header", "N=V", "only with this header; may be given again, all must hold", CLI_PAIRS, AT(reading.headers), NULL, 0},
	{'T', "tag", "TAGS", "only with this tag, or one of several: 'paid || refunded'", CLI_TEXT, AT(req.tag), NULL, 0},
	{0, "id", "ID", "only with this message id", CLI_TEXT, AT(req.id), NULL, 0},
	{0, "where", "EXPR", "only where it holds, for fields, headers and members of JSON payloads: 'amount > 10 && tag != \"test\"'", CLI_TEXT, AT(req.where), NULL, 0},
	{0, "rate", "N/s", "at most so many: 500/s 10/m", CLI_RATE, AT(req.rate), NULL, 0},

	{0, "How they are printed", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'D', "delimiter", "S", "each payload ends in S instead of a newline; one that holds S is refused", CLI_BYTES,
	 AT(reading.delimiter), NULL, 0},
	{'0', "null", NULL, "each payload ends in a NUL byte", CLI_FLAG, AT(reading.null), NULL, 0},
	{'K', "key-delimiter", "S", "print KEY S PAYLOAD", CLI_BYTES, AT(reading.key_delimiter), NULL, 0},
	{'J', "json", NULL, "a JSON object a line", CLI_FLAG, AT(reading.json), NULL, 0},
	{0, "frame", NULL, "frames, for mq-publish --frame: any bytes, nothing lost", CLI_FLAG, AT(reading.frame), NULL, 0},
	{0, "format", "FORMAT", "as kcat -f: %t topic %p partition %o offset %k key %s payload %S its length %K the key's length "
	 "%T time %h headers; \\n \\t", CLI_TEXT, AT(req.format), NULL, 0},
	{0, "raw", NULL, "on a terminal, do not make control bytes visible", CLI_FLAG, AT(reading.raw), NULL, 0},

	{0, "Keeping the place", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'g', "group", "GROUP", "read as a member of the group: each record goes to one member, and the group's place is kept",
	 CLI_TEXT, AT(req.group), "group", 0},
	{0, "manual", NULL, "print POSITION TAB PAYLOAD; done is what mq-group commit is told", CLI_FLAG, AT(manual), NULL, 0},
	{0, "share", NULL, "share partitions with other members, record by record: a work queue, without order", CLI_FLAG, AT(req.share), NULL, 0},
	{0, "once", NULL, "a record whose id the group has done before counts as done, also after a restart and in another partition; with a handler",
	 CLI_FLAG, AT(req.once), NULL, 0},
	{0, "once-window", "TIME", "for so long ids are remembered (7d)", CLI_DURATION, AT(req.once_window_ns), NULL, 0},
	{'X', "set", "K=V", "client.rack=NAME: the room this member is in, for mq-rebalance --strategy room and nearby; else "
	 "$MQ_ROOM tells", CLI_PAIRS, AT(set), "client.rack=", 0},
	{0, "commit", "WHEN", "after (the default: at least once) or before (at most once) the work", CLI_CHOICE, AT(commit),
	 "after before", 0},

	{0, "To another topic", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "to", "TOPIC", "with the group's place, once each: the records as they are, or with a command what that prints; made at need",
	 CLI_TEXT, AT(req.to), "topic", 0},
	{0, "partitions", "N", "how many partitions it is made with", CLI_COUNT32, AT(req.to_partitions), NULL, 0},
	{0, "one", NULL, "all that a command prints is one record, not one a line", CLI_FLAG, AT(req.to_one), NULL, 0},

	{0, "A handler: -- COMMAND [ARGUMENT ...], run without a shell, payload on its stdin", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "batch", "N", "up to N records on one handler's stdin", CLI_COUNT32, AT(req.batch), NULL, 0},
	{0, "coproc", NULL, "keep one handler: a record in, a line out that begins with ok, fail, reject, release, stop or an exit status", CLI_FLAG, AT(coproc), NULL, 0},
	{'j', "jobs", "N", "so many handlers at once; with --order partition no more than there are partitions", CLI_COUNT32, AT(req.jobs), NULL, 0},
	{0, "order", "AMONG", "what stays in order among them: partition (the default), key, or none", CLI_CHOICE, AT(order),
	 "partition key none", 0},
	{0, "time-limit", "TIME", "a handler that takes longer is killed and has failed", CLI_DURATION, AT(req.time_limit_ns), NULL, 0},
	{0, "retries", "N", "handle what failed again, up to N times, and go on meanwhile; then it is put into TOPIC.dead", CLI_COUNT,
	 AT(req.retries), NULL, 0},
	{0, "wait-retries", NULL, "do not end before what failed is done, or dead", CLI_FLAG, AT(req.wait_retries), NULL, 0},
	{0, "backoff", "TIMES", "how long after: MIN..MAX, doubled each time, or levels as 1s,10s,1m (1s..1h)", CLI_TEXT, AT(req.backoff), NULL, 0},
	{0, "prefetch", "N", "at most N records given out at once, all partitions together; with --share: taken beyond those at work, 0 unless said", CLI_COUNT32, AT(req.prefetch), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-consume",
	.usage = (const char *const[]){"[OPTION ...] TOPIC[:PARTITION[:OFFSET]] ...",
	                               "[OPTION ...] -g GROUP TOPIC ... -- COMMAND [ARGUMENT ...]",
	                               "[OPTION ...] -g GROUP --to TOPIC TOPIC ... [-- COMMAND [ARGUMENT ...]]", NULL},
	.purpose = "Read records: print what there is and end, as cat does; with -f go on, as tail -f does; with -g keep the place "
	           "for the next run; with a command behind -- run it for each record, which is done when the command exits 0.",
	.options = options,
	.examples = (const char *const[]){
		"mq-consume orders                     # all there is; takes nothing away",
		"mq-consume -f -o end orders           # only what comes from now on",
		"mq-consume -g billing orders -- ./bill # each record once, on the handler's stdin",
		"mq-consume -o @-1h -T 'paid || refunded' --json orders",
		"mq-consume -f -g enrich --to orders.full orders -- ./enrich",
		NULL},
	.operands = "topic",
	.timeout = "how long to wait for partitions that other members hold (without it not at all; with -f for ever), or with "
	           "--manual for the last acknowledgements (without it 30s): 300ms 10s 5m 2h 7d",
	.takes_command = true,
	.quiet_pipe = true,
	.library_writes = true,
};

static int check_forms(struct args *a)
{
	struct cli *cli = &a->cli;
	if (a->manual && (a->reading.json || a->reading.frame || a->req.format))
		return cli_usage(cli, "--json, --frame, --format and --manual exclude each other");
	if (reading_check(cli, &a->reading, &a->req))
		return MQ_EXIT_USAGE;
	if (cli_given(cli, "until-idle") && !a->req.follow)
		return cli_usage(cli, "--until-idle ends a run that follows: -f is missing");
	if (cli_given(cli, "until-idle") && a->req.until_idle_ns == 0)
		return cli_usage(cli, "--until-idle 0: a time is wanted (without -f a run ends at the end)");
	return 0;
}

/* One record on a handler's stdin is the payload, byte for byte. */
static int check_one_record(struct args *a)
{
	static const char *const printing[] = {"delimiter", "null", "key-delimiter", "json", "frame", "format", "raw"};
	struct cli *cli = &a->cli;

	if (!cli->command || a->coproc || a->req.batch || a->req.to)
		return 0;
	for (size_t i = 0; i < sizeof printing / sizeof *printing; i++)
		if (cli_given(cli, printing[i]))
			return cli_usage(cli, "--%s: a handler of one record gets its payload as it is, the rest in its environment; "
			                      "with --batch N (1, too) or --coproc records are printed", printing[i]);
	return 0;
}

/* Done is known of one record only by what a handler said of it. */
static int check_once(struct args *a)
{
	struct cli *cli = &a->cli;

	if (cli_given(cli, "once-window") && !a->req.once)
		return cli_usage(cli, "--once-window says for how long --once remembers: that is missing");
	if (cli_given(cli, "once-window") && a->req.once_window_ns < 1000000)
		return cli_usage(cli, "--once-window: 1ms at least is wanted");
	if (!a->req.once)
		return 0;
	if (!a->req.group)
		return cli_usage(cli, "--once is about what a group has done: -g GROUP is missing");
	if (!cli->command)
		return cli_usage(cli, "--once: only a handler tells of each record that it is done: -- COMMAND is missing");
	if (a->commit == COMMIT_BEFORE)
		return cli_usage(cli, "--once and --commit=before exclude each other: what is committed before the work is not known to be done");
	return 0;
}

static int check_retries(struct args *a)
{
	struct cli *cli = &a->cli;
	bool retries = cli_given(cli, "retries");

	if (a->req.wait_retries && !retries)
		return cli_usage(cli, "--wait-retries waits for what failed and is tried again: --retries N is missing");
	if (cli_given(cli, "backoff") && !retries)
		return cli_usage(cli, "--backoff says when what failed is handled again: --retries N is missing");
	if (retries && !a->req.group)
		return cli_usage(cli, "--retries is about what a group is not done with: -g GROUP is missing");
	if (retries && a->commit == COMMIT_BEFORE)
		return cli_usage(cli, "--retries and --commit=before exclude each other: what is committed before the work is not handled again");
	return 0;
}

static int check_sharing(struct args *a)
{
	struct cli *cli = &a->cli;

	if (!a->req.group)
		return cli_usage(cli, "--share is about a group: -g GROUP is missing");
	if (a->manual)
		return cli_usage(cli, "--share and --manual exclude each other: a shared record is done when its handler is, or its reader has it");
	if (a->commit == COMMIT_BEFORE)
		return cli_usage(cli, "--share and --commit=before exclude each other: a shared record is free again until it is done");
	if (cli_given(cli, "order") && a->order != MQ_ORDER_NONE)
		return cli_usage(cli, "--share gives records to whoever has time: there is no --order but none");
	return check_one_record(a);
}

static int check_handling(struct args *a)
{
	struct cli *cli = &a->cli;
	static const char *const handling[] = {"batch", "coproc", "jobs", "order", "time-limit", "prefetch", "retries", "wait-retries", "backoff"};

	if (cli->command && !cli->command[0])
		return cli_usage(cli, "a command is wanted after --");
	for (size_t i = 0; !cli->command && i < sizeof handling / sizeof *handling; i++)
		if (cli_given(cli, handling[i]))
			return cli_usage(cli, "--%s is about handlers: -- COMMAND is missing", handling[i]);
	if (a->coproc && a->req.batch)
		return cli_usage(cli, "--coproc and --batch exclude each other");
	if (a->manual && cli->command)
		return cli_usage(cli, "--manual prints positions; with a handler its exit status tells what is done");
	if (!a->req.group && (a->manual || cli_given(cli, "commit")))
		return cli_usage(cli, "--%s is about a group's place: -g GROUP is missing", a->manual ? "manual" : "commit");
	if (check_once(a) || check_retries(a) || to_check(cli, &a->req, a->coproc))
		return MQ_EXIT_USAGE;
	if (a->req.share)
		return check_sharing(a);
	if (a->manual && a->commit == COMMIT_BEFORE)
		return cli_usage(cli, "--commit=before and --manual exclude each other: done is what mq-group commit is told");
	return check_one_record(a);
}

static void fill_request(struct args *a)
{
	struct mq_consume_request *r = &a->req;

	r->wait_topic = r->follow;
	r->timeout_ns = a->manual && !cli_given(&a->cli, "timeout") ? manual_timeout_ns : a->cli.timeout_ns;
	r->commit_before = a->commit == COMMIT_BEFORE;
	r->order = r->share ? MQ_ORDER_NONE : (enum mq_order)a->order;
	r->order_asked = cli_given(&a->cli, "order");
	r->retry = cli_given(&a->cli, "retries");
	if (a->cli.command) {
		r->handler = a->coproc ? MQ_HANDLER_COPROC : r->batch ? MQ_HANDLER_BATCH : MQ_HANDLER_RECORD;
		r->argv = a->cli.command;
		r->envp = environ;
	}
	reading_fill(&a->reading, r);
	if (a->manual)
		r->form = MQ_OUT_POSITIONS;
}

/* What counts, the gravest first: a failure, damage that was stepped around, nothing there. */
static int report_status(struct args *a, int status, const struct mq_consume_report *report)
{
	struct cli *cli = &a->cli;

	if (report->damage)
		cli_say(cli, "%llu damaged places passed, %llu records lost in them (mq-check tells where)",
		        llu(report->damage), llu(report->damage_records));
	if (cli->verbose)
		cli_say(cli, "%llu records, %llu bytes; %llu not selected, %llu expired", llu(report->records),
		        llu(report->bytes), llu(report->skipped_filter),
		        llu(report->skipped_expired));
	if (report->skipped_once)
		cli_say(cli, "%llu record%s done before and skipped (--once)", llu(report->skipped_once),
		        report->skipped_once == 1 ? " was" : "s were");
	if (cli->verbose && report->without_id)
		cli_say(cli, "%llu records had no id and were handled (--once)", llu(report->without_id));
	if (cli->verbose && cli->command)
		cli_say(cli, "handlers: %llu done, %llu failed, %llu rejected, %llu released", llu(report->done),
		        llu(report->failed), llu(report->rejected),
		        llu(report->released));
	if (report->parked)
		cli_say(cli, "%llu failed record%s put aside, to be tried again when %s time has come", llu(report->parked),
		        report->parked == 1 ? " was" : "s were", report->parked == 1 ? "its" : "their");
	if (report->dead)
		cli_say(cli, "%llu record%s put into %s.dead (mq-consume --json %s.dead tells why)", llu(report->dead),
		        report->dead == 1 ? " was" : "s were", a->req.n_topics == 1 ? a->req.topics[0] : "TOPIC",
		        a->req.n_topics == 1 ? a->req.topics[0] : "TOPIC");
	if (status)
		return status;
	if (report->damage)
		return MQ_EXIT_DAMAGE;
	if (report->left)
		return cli_error(cli, MQ_EXIT_AGAIN, "%u partition%s not free in time: run again", (unsigned)report->left,
		                 report->left == 1 ? " was" : "s were");
	return a->fail_empty && report->records == 0 ? MQ_EXIT_NOTHING : MQ_EXIT_DONE;
}

static int run(struct args *a)
{
	struct mq_consume_report report = {0};
	int status = check_forms(a);

	if (!status)
		status = check_handling(a);
	if (!status)
		status = reading_room(&a->cli, &a->set, &a->req);
	if (!status)
		status = reading_operands(&a->cli, &a->reading, NULL, &a->req);
	if (status)
		return status;
	fill_request(a);
	status = cli_open(&a->cli, a->req.wait_topic ? MQ_OPEN_AWAIT : 0);
	if (status)
		return status;
	/* To the library a count of 0 means all; to a script that computed it, none. */
	if (!(cli_given(&a->cli, "count") && a->req.count == 0) && mq_consume(a->cli.mq, &a->req, &report) < 0) {
		status = cli_fail(&a->cli);
		if (status == MQ_EXIT_NOTOPIC && a->cli.n_operands > 1 && !a->cli.command)
			cli_say(&a->cli, "a handler's command stands behind --");
	}
	return report_status(a, status, &report);
}

int main(int argc, char **argv)
{
	struct args a = {.req = MQ_CONSUME_REQUEST_INIT};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
