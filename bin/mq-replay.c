/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-replay: a range of a topic once more. */
#include "mq-replay.h"
#include "reading.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct args {
	struct cli cli;
	struct mq_consume_request req;
	struct reading reading;
	const char *speed;
	bool dry_run;
	bool archive, dead_letters, back;
	const char *group;
	const char *archived; /* the topic of the one that is open */
	struct mq_consume_report sum;
	struct which which;  /* of a dry run */
};
#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "Which records", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'o', "offset", "RANGE", "START..END, END excluded; each an offset, beginning, end, -N (from the end) or @TIME "
	 "(@-1h, @15:00, @2026-01-31T12:00:00Z)", CLI_TEXT, AT(req.range), NULL, 0},
	{0, "archive", NULL, "the operands are archives of mq-retain or mq-drain, read in place", CLI_FLAG, AT(archive), NULL, 0},
	{0, "dead-letters", NULL, "of TOPIC.dead, back into TOPIC: each to the partition that it came from, for the group that gave up on it alone",
	 CLI_FLAG, AT(dead_letters), NULL, 0},
	{0, "back", NULL, "with --archive: into the topic and partition that it came from, for the group whose backlog it was alone", CLI_FLAG,
	 AT(back), NULL, 0},
	{'g', "group", "GROUP", "with --dead-letters: those of this group only; with --archive --back: for this group", CLI_TEXT, AT(group), "group",
	 0},
	{'p', "partition", "N", "this partition only", CLI_PARTITION, AT(reading.partition), NULL, 0},
	{'n', "count", "N", "at most N records", CLI_COUNT, AT(req.count), NULL, 0},
	{'e', "exit", NULL, "end at the end as it was at the start: what this tool does, accepted for kcat's sake", CLI_ACCEPTED, 0, NULL, 0},
	{'k', "key", "KEY", "only with this key", CLI_TEXT, AT(req.key), NULL, 0},
	{'H', "header", "N=V", "only with this header; may be given again, all must hold", CLI_PAIRS, AT(reading.headers), NULL, 0},
	{'T', "tag", "TAGS", "only with this tag, or one of several: 'paid || refunded'", CLI_TEXT, AT(req.tag), NULL, 0},
	{0, "skip-tag", "TAGS", "only without this tag, or any of several", CLI_TEXT, AT(req.skip_tag), NULL, 0},
	{0, "id", "ID", "only with this message id", CLI_TEXT, AT(req.id), NULL, 0},
	{0, "expired", NULL, "those that have expired, and no others; --to, --json and --frame leave out their times",
	 CLI_FLAG, AT(req.expired), NULL, 0},
	{0, "where", "EXPR", "only where it holds: 'amount > 10 && tag != \"test\"'", CLI_TEXT, AT(req.where), NULL, 0},

	{0, "How fast", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "speed", "Nx", "keep the distances at which they were published, so many times as fast: 1x 2x 0.5x", CLI_TEXT, AT(speed), NULL, 0},
	{0, "rate", "N/s", "at most so many: 500/s 10/m", CLI_RATE, AT(req.rate), NULL, 0},
	{0, "dry-run", NULL, "read them, and say only which they are, and how many; with -v every run of them", CLI_FLAG, AT(dry_run), NULL, 0},

	{0, "Where they go", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "to", "TOPIC", "copy them there instead of printing them: once, however often that is killed and asked for again", CLI_TEXT,
	 AT(req.to), NULL, 0},

	{0, "How they are printed", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'D', "delimiter", "S", "each payload ends in S instead of a newline; one that holds S is refused", CLI_BYTES,
	 AT(reading.delimiter), NULL, 0},
	{'0', "null", NULL, "each payload ends in a NUL byte", CLI_FLAG, AT(reading.null), NULL, 0},
	{'K', "key-delimiter", "S", "print KEY S PAYLOAD", CLI_BYTES, AT(reading.key_delimiter), NULL, 0},
	{'J', "json", NULL, "a JSON object a line", CLI_FLAG, AT(reading.json), NULL, 0},
	{0, "frame", NULL, "frames, for mq-publish --frame: any bytes, nothing lost", CLI_FLAG, AT(reading.frame), NULL, 0},
	{0, "format", "FORMAT", "as mq-consume(1)", CLI_TEXT, AT(req.format), NULL, 0},
	{0, "raw", NULL, "on a terminal, do not make control bytes visible", CLI_FLAG, AT(reading.raw), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-replay",
	.usage = (const char *const[]){"[-o RANGE] [OPTION ...] TOPIC[:PARTITION[:OFFSET]] ...",
	                               "--dead-letters [-g GROUP] [OPTION ...] TOPIC",
	                               "--archive [-o RANGE] [OPTION ...] FILE ...",
	                               "--archive --back [-g GROUP] [OPTION ...] FILE ...", NULL},
	.purpose = "Print a range of a topic once more, as it was published: as fast as it goes, at a rate, or at the distances that the "
	           "records had. No group is moved by it; mq-group seek moves one. With --to they are copied to another topic.",
	.options = options,
	.examples = (const char *const[]){
		"mq-replay -o @15:00..@16:00 --speed 2x orders | ./simulate",
		"mq-replay -o @-1h -T paid --dry-run orders     # how many would come",
		"mq-replay --dead-letters -g billing orders     # to be handled again",
		"mq-replay --expired --to orders orders         # back, for good",
		"mq-replay -o @-1h --rate 100/s --to orders.again orders",
		"mq-replay --archive /srv/archive/orders.*.tar.zst | grep 4711",
		"mq-replay --archive --back backlog.tar.zst     # what mq-drain --discard --archive put there",
		NULL},
	.timeout = "how long --to waits for space in a full topic (without it until there is some)",
	.operands = "topic",
	.quiet_pipe = true,
	.library_writes = true,
};

static int check(struct args *a)
{
	struct cli *cli = &a->cli;
	bool prints = reading_prints(&a->reading, &a->req, !a->dry_run);

	if (a->back && (!a->archive || a->req.to))
		return cli_usage(cli, "--back puts back what is in archives, where it came from: %s", a->archive ? "no --to" : "--archive is missing");
	if (a->group && !a->dead_letters && !a->back)
		return cli_usage(cli, "-g names whose dead letters go back (--dead-letters), or for whom an archive does (--archive --back); "
		                      "a group is moved by mq-group seek");
	if (a->dead_letters && (a->req.to || a->archive || a->req.expired))
		return cli_usage(cli, "--dead-letters go back where they came from: no --to, --archive or --expired");
	if (a->dead_letters && prints)
		return cli_usage(cli, "--dead-letters prints nothing: mq-consume %s.dead shows them", cli->n_operands ? cli->operands[0] : "TOPIC");
	if ((a->req.to || a->back) && a->archive && a->speed)
		return cli_usage(cli, "--speed is of archives that are printed: --rate says how fast they go elsewhere");
	if ((a->req.to || a->back) && prints)
		return cli_usage(cli, "--%s prints nothing: how it is printed has no part in that", a->back ? "back" : "to");
	return reading_check(cli, &a->reading, &a->req);
}

/* "2x", "0.5x", "2". */
static int take_speed(struct args *a)
{
	char *end;

	if (!a->speed)
		return 0;
	a->req.speed = strtod(a->speed, &end);
	if (end == a->speed || (*end && strcmp(end, "x") != 0) || !(a->req.speed >= 1e-6 && a->req.speed <= 1e6))
		return cli_usage(&a->cli, "--speed %s: so many times as fast is wanted, as 1x, 2x or 0.5x", a->speed);
	if (a->req.expired)
		return cli_usage(&a->cli, "--expired: their times are over, so --speed has nothing to go by");
	if (a->dry_run)
		return cli_usage(&a->cli, "--dry-run only counts: --speed has no part in that");
	return 0;
}

/* They are those of TOPIC.dead, and go to TOPIC. */
static int take_letters(struct args *a)
{
	struct cli *cli = &a->cli;
	const char **topic = cli_keep(cli, sizeof *topic);
	char *dead;
	size_t n;

	if (!a->dead_letters)
		return 0;
	if (a->req.n_topics != 1)
		return cli_usage(cli, "the dead letters of one topic at a time");
	if (a->req.partitions[0] >= 0 && !cli_given(cli, "partition"))
		return cli_usage(cli, "--dead-letters go back to all partitions: -p names one of %s.dead", a->req.topics[0]);
	n = strlen(a->req.topics[0]);
	if (n > 5 && strcmp(a->req.topics[0] + n - 5, ".dead") == 0)
		return cli_usage(cli, "%s holds the letters: the topic that they go back to is wanted, %.*s", a->req.topics[0], (int)n - 5,
		                 a->req.topics[0]);
	dead = cli_keep(cli, n + sizeof ".dead");
	if (!topic || !dead)
		return MQ_EXIT_IO;
	strcat(strcpy(dead, a->req.topics[0]), ".dead");
	*topic = dead;
	a->req.to = a->req.letters_of = a->req.topics[0];
	a->req.letters_group = a->group;
	a->req.topics = topic;
	return 0;
}

/* Without its dead letters a topic is no topic that might be made. */
static int look_for_letters(struct args *a)
{
	struct mq *mq = a->cli.mq;
	struct mq_topic_info info;

	if (!a->dead_letters)
		return 0;
	if (mq_topic_show(mq, a->req.letters_of, &info) < 0)
		return cli_fail(&a->cli);
	if (mq_topic_show(mq, a->req.topics[0], &info) == 0)
		return 0;
	if (mq_status(mq) != MQ_EXIT_NOTOPIC)
		return cli_fail(&a->cli);
	return cli_error(&a->cli, MQ_EXIT_NOTOPIC, "%s has no dead letters: there is no topic %s", a->req.letters_of, a->req.topics[0]);
}

static int fill_request(struct args *a)
{
	struct mq_consume_request *r = &a->req;

	r->timeout_ns = a->cli.timeout_ns;
	reading_fill(&a->reading, r);
	if (a->dry_run) {
		r->to = NULL;
		r->told = which_told;
		r->told_arg = &a->which;
		a->which.runs = a->cli.verbose && !a->reading.json;
	}
	r->replay = r->to != NULL;
	if (!a->dry_run && !r->to)
		return 0;
	r->out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return r->out_fd < 0 ? cli_error(&a->cli, MQ_EXIT_IO, "/dev/null cannot be opened") : 0;
}

static int report(struct args *a, int status, const struct mq_consume_report *r)
{
	struct cli *cli = &a->cli;

	if (r->damage)
		cli_say(cli, "%llu damaged places passed, %llu records lost in them (mq-check tells where)", llu(r->damage), llu(r->damage_records));
	if (a->dry_run && !status && !which_print(&a->which, a->reading.json))
		status = cli_error(cli, MQ_EXIT_IO, "out of memory");
	if (a->dry_run && !status && a->reading.json)
		printf("{\"v\":1,\"records\":%llu,\"bytes\":%llu,\"not_selected\":%llu,\"expired\":%llu}\n", llu(r->records), llu(r->bytes),
		       llu(r->skipped_filter), llu(r->skipped_expired));
	else if (a->dry_run && !status)
		printf("%llu records, %llu bytes\n", llu(r->records), llu(r->bytes));
	else if (cli->verbose)
		cli_say(cli, "%llu records, %llu bytes; %llu not selected, %llu expired", llu(r->records), llu(r->bytes), llu(r->skipped_filter),
		        llu(r->skipped_expired));
	else if (a->dead_letters && !status && !r->records)
		cli_say(cli, "nothing went back this time: mq-consume --json %s shows which letters there are", a->req.topics[0]);
	return status ? status : r->damage ? MQ_EXIT_DAMAGE : MQ_EXIT_DONE;
}

/* --- archives ------------------------------------------------------------------------------- */

static int keep_topic(void *arg, const char *topic)
{
	struct args *a = arg;
	char *copy = cli_keep(&a->cli, strlen(topic) + 1);

	if (!copy)
		return 1;
	a->archived = strcpy(copy, topic);
	return 0;
}

/* One, as a spool of one topic. */
static int run_archive(struct args *a, const char *file)
{
	struct mq_consume_report r = {0};
	const struct mq_consume_request all = a->req;
	int status = 0;

	if (mq_open_archive(a->cli.mq, file) < 0 || mq_topic_list(a->cli.mq, keep_topic, a) < 0)
		return cli_fail(&a->cli);
	if (a->cli.topic && strcmp(a->cli.topic, a->archived) != 0)
		return 0; /* not the one that is wanted */
	if (a->req.count)
		a->req.count -= a->sum.records;
	if (mq_consume(a->cli.mq, &a->req, &r) < 0)
		status = cli_fail(&a->cli);
	a->req = all;
	a->sum.records += r.records;
	a->sum.bytes += r.bytes;
	a->sum.skipped_filter += r.skipped_filter;
	a->sum.skipped_expired += r.skipped_expired;
	a->sum.damage += r.damage;
	a->sum.damage_records += r.damage_records;
	return status;
}

/* Into a topic. */
static int restore(struct args *a)
{
	struct mq_consume_request *r = &a->req;
	struct mq_consume_report done = {0};
	int status = cli_open(&a->cli, MQ_OPEN_CREATE);

	if (status)
		return status;
	r->timeout_ns = a->cli.timeout_ns;
	r->headers = a->reading.headers.v;
	r->n_headers = a->reading.headers.n;
	r->group = a->group;
	r->archives = (const char *const *)a->cli.operands;
	r->n_archives = a->cli.n_operands;
	r->topics = &a->cli.topic;
	r->n_topics = a->cli.topic != NULL;
	r->partitions = cli_given(&a->cli, "partition") ? &a->reading.partition : NULL;
	if (!(cli_given(&a->cli, "count") && r->count == 0) && mq_restore(a->cli.mq, r, &done) < 0)
		status = cli_fail(&a->cli);
	if (done.skipped_expired && !a->cli.verbose)
		cli_say(&a->cli, "%llu records had expired and were left out (--expired takes those)", llu(done.skipped_expired));
	return report(a, status, &done);
}

/* mq-retain and mq-drain were given the directory. */
static int check_files(struct args *a)
{
	struct cli *cli = &a->cli;
	struct stat st;

	if (cli->n_operands == 0)
		return cli_usage(cli, "which archives?");
	for (size_t i = 0; i < cli->n_operands; i++)
		if (stat(cli->operands[i], &st) == 0 && S_ISDIR(st.st_mode))
			return cli_usage(cli, "%s is a directory: name the archives in it, as %s/*.tar.zst", cli->operands[i], cli->operands[i]);
	return 0;
}

static int run_archives(struct args *a)
{
	int status = check_files(a);

	if (status)
		return status;
	if ((a->req.to || a->back) && !a->dry_run)
		return restore(a);
	status = fill_request(a);
	a->req.topics = &a->archived;
	a->req.n_topics = 1;
	a->req.partitions = &a->reading.partition;
	if (!cli_given(&a->cli, "partition"))
		a->reading.partition = -1;
	for (size_t i = 0; !status && i < a->cli.n_operands; i++)
		if (!cli_given(&a->cli, "count") || a->req.count > a->sum.records)
			status = run_archive(a, a->cli.operands[i]);
	return status == MQ_EXIT_USAGE ? status : report(a, status, &a->sum);
}

static int run(struct args *a)
{
	struct mq_consume_report r = {0};
	int status = check(a);

	if (!status)
		status = take_speed(a);
	if (!status && a->archive)
		return run_archives(a);
	if (!status)
		status = reading_operands(&a->cli, &a->reading, NULL, &a->req);
	if (!status)
		status = take_letters(a);
	if (!status)
		status = cli_open(&a->cli, 0);
	if (!status)
		status = look_for_letters(a);
	if (!status)
		status = fill_request(a);
	if (status)
		return status;
	/* To the library a count of 0 means all; to a script that computed it, none. */
	if (!(cli_given(&a->cli, "count") && a->req.count == 0) && mq_consume(a->cli.mq, &a->req, &r) < 0)
		status = cli_fail(&a->cli);
	return report(a, status, &r);
}

int main(int argc, char **argv)
{
	struct args a = {.req = MQ_CONSUME_REQUEST_INIT};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
