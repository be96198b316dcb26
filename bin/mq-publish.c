/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-publish: from lines, files, frames or JSON into a topic. */
#include "cli.h"

#include <string.h>

struct args {
	struct cli cli;
	struct mq_publish_request req;
	struct cli_texts messages;
	struct cli_pairs headers, set;
	struct cli_bytes delimiter, key_delimiter;
	int64_t partition;
	int ack;
	const char *at;
	bool lines, one, json, frame, null, confirm;
};
#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "What is published", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'m', "message", "S", "this payload; may be given again", CLI_TEXTS, AT(messages), NULL, 0},
	{'l', "lines", NULL, "files hold a record a line (without it a file is one record; stdin always holds lines)", CLI_FLAG,
	 AT(lines), NULL, 0},
	{0, "one", NULL, "all of stdin is one record", CLI_FLAG, AT(one), NULL, 0},
	{'D', "delimiter", "S", "records end in S instead of a newline; \\n \\t \\r \\0 \\xHH are understood", CLI_BYTES,
	 AT(delimiter), NULL, 0},
	{'0', "null", NULL, "records end in a NUL byte", CLI_FLAG, AT(null), NULL, 0},
	{'K', "key-delimiter", "S", "a line is KEY S PAYLOAD; a line without S is refused", CLI_BYTES, AT(key_delimiter), NULL, 0},
	{'J', "json", NULL, "a JSON object a line, as mq-consume --json prints them", CLI_FLAG, AT(json), NULL, 0},
	{0, "frame", NULL, "frames, as mq-consume --frame prints them: any bytes, nothing lost", CLI_FLAG, AT(frame), NULL, 0},
	{0, "What each record carries", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'k', "key", "KEY", "the key: equal keys go to one partition and stay in order", CLI_TEXT, AT(req.key), NULL, 0},
	{'H', "header", "N=V", "a header; may be given again", CLI_PAIRS, AT(headers), NULL, 0},
	{'T', "tag", "TAG", "the tag: mq-consume -T selects by it", CLI_TEXT, AT(req.tag), NULL, 0},
	{0, "id", "ID", "the message id: mq-consume --id finds it", CLI_TEXT, AT(req.id), NULL, 0},
	{0, "id-field", "N", "the Nth field of a line is its id", CLI_COUNT32, AT(req.id_field), NULL, 0},
	{0, "id-delimiter", "S", "between fields; blanks without it", CLI_TEXT, AT(req.id_delimiter), NULL, 0},
	{0, "ttl", "TIME", "consumers skip the record when it is older: 10s 5m 2h 7d", CLI_DURATION, AT(req.ttl_ns), NULL, 0},
	{0, "When it comes", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "delay", "TIME", "records come so long after they were read: 300ms 10s 5m 2h 7d", CLI_DURATION, AT(req.delay_ns), NULL, 0},
	{0, "at", "TIME", "records come at this time: RFC 3339, 18:00, 'tomorrow 9am', or what else date -d takes", CLI_TEXT, AT(at),
	 NULL, 0},
	{0, "Where and how safely", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'p', "partition", "N", "this partition, whatever the key", CLI_PARTITION, AT(partition), NULL, 0},
	{0, "ack", "LEVEL", "none, written (survives any process), durable (survives power loss; the default) or all (on every "
	 "replica); Kafka's 0, 1 and all mean none, written and all", CLI_CHOICE, AT(ack), "none/0 written/1 durable all", 0},
	{0, "confirm", NULL, "print for each record, when it is as safe as --ack says, its position; or - and the reason; or = for one held already", CLI_FLAG,
	 AT(confirm), NULL, 0},
	{0, "producer", "NAME", "a name that makes a second run continue after what is stored instead of doubling it", CLI_TEXT,
	 AT(req.producer), NULL, 0},
	{0, "seq", "N", "the first record is the producer's Nth; what is held already is skipped", CLI_COUNT, AT(req.seq), NULL, 0},
	{0, "rate", "N/s", "at most so many records: 500/s 10/m", CLI_RATE, AT(req.rate), NULL, 0},
	{'X', "set", "KEY=VALUE", "configuration of the topic, if this run makes it", CLI_PAIRS, AT(set), CLI_TOPIC_KEYS, 0},
	{0, "dry-run", NULL, "read and check the input, store nothing", CLI_FLAG, AT(req.dry_run), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-publish",
	.usage = (const char *const[]){"[OPTION ...] TOPIC[:PARTITION] [FILE ...]", "[OPTION ...] -m MESSAGE ... TOPIC[:PARTITION]",
	                               NULL},
	.purpose = "Publish records to a topic: lines of stdin, whole files, or messages given by -m. The topic and the spool come "
	           "into being at the first record. Exit 0 means that every record is stored as safely as --ack says.",
	.options = options,
	.examples = (const char *const[]){
		"printf '%s\\n' one two three | mq-publish orders",
		"mq-publish -k customer-7 -H trace=12 -T paid -m '{\"amount\": 20}' orders",
		"mq-publish --producer import --seq 1 -l users /etc/passwd  # twice changes nothing",
		NULL},
	.operands = "topic file",
	.timeout = "how long to wait for space in a full topic, for a partition's lock that another process holds (without it as "
	           "long as it takes), and for a producer's name in use (without it not at all): 300ms 10s 5m 2h 7d",
};

/* A line a record.  Told only when it is true, so it must also leave at once, unless more follows. */
static void print_confirmation(void *arg, const struct mq_confirmation *c)
{
	char why[1024];

	(void)arg;
	if (c->why)
		cli_visible(why, sizeof why, c->why);
	for (uint64_t i = 0; i < c->count; i++) {
		if (c->why)
			printf("-\t%s\n", why);
		else if (c->placed)
			printf("=\t%s:%u:%llu\n", c->topic, (unsigned)c->partition, llu(c->offset));
		else if (c->skipped)
			puts("=\talready held");
		else
			printf("%s:%u:%llu\n", c->topic, (unsigned)c->partition, llu(c->offset + i));
	}
	if (!c->more)
		fflush(stdout);
}

static int check_forms(struct args *a)
{
	struct mq_publish_request *r = &a->req;
	struct cli *cli = &a->cli;

	if (a->one + a->json + a->frame > 1)
		return cli_usage(cli, "--one, --json and --frame exclude each other");
	if (a->one && a->lines)
		return cli_usage(cli, "--one and --lines exclude each other: one record, or one a line");
	if (a->messages.n && (cli->n_operands || a->one || a->json || a->frame || a->lines))
		return cli_usage(cli, "-m gives the payload: no files and no form of input beside it");
	if ((a->one || a->json || a->frame) && (a->delimiter.data || a->null || a->key_delimiter.data))
		return cli_usage(cli, "delimiters go with lines, not with --one, --json or --frame");
	if (a->delimiter.data && a->null)
		return cli_usage(cli, "-D and -0 exclude each other");
	if (a->key_delimiter.data && r->key)
		return cli_usage(cli, "-k and -K exclude each other");
	if (a->key_delimiter.data && strlen(a->key_delimiter.data) != a->key_delimiter.len)
		return cli_usage(cli, "-K cannot hold a NUL byte");
	if (cli_given(cli, "seq") && !r->producer)
		return cli_usage(cli, "--seq numbers a producer's records: --producer NAME is missing");
	if (cli_given(cli, "seq") && r->seq == 0)
		return cli_usage(cli, "--seq counts from 1");
	if (a->at && cli_given(cli, "delay"))
		return cli_usage(cli, "--delay and --at exclude each other");
	if (a->at && mq_parse_time(cli->mq, a->at, &r->due_us) < 0)
		return cli_usage(cli, "--at: %s", mq_why(cli->mq));
	if (a->at && r->due_us <= 0)
		return cli_usage(cli, "--at %s: a time after 1970 is wanted", a->at);
	if (r->id && r->id_field)
		return cli_usage(cli, "--id and --id-field exclude each other");
	if (r->id_delimiter && !r->id_field)
		return cli_usage(cli, "--id-delimiter needs --id-field");
	return 0;
}

static void fill_request(struct args *a)
{
	struct mq_publish_request *r = &a->req;

	r->messages = a->messages.v;
	r->n_messages = a->messages.n;
	r->files = (const char *const *)a->cli.operands;
	r->n_files = a->cli.n_operands;
	r->form = a->one ? MQ_IN_ONE : a->json ? MQ_IN_JSON : a->frame ? MQ_IN_FRAMES : MQ_IN_LINES;
	r->file_form = a->lines ? MQ_IN_LINES : r->form == MQ_IN_LINES ? MQ_IN_ONE : r->form;
	r->delimiter = a->null ? "" : a->delimiter.data;
	r->delimiter_len = a->null ? 1 : a->delimiter.len;
	r->key_delimiter = a->key_delimiter.data;
	r->headers = a->headers.v;
	r->n_headers = a->headers.n;
	r->timeout_ns = a->cli.timeout_ns;
	if (cli_given(&a->cli, "ack"))
		r->ack = (enum mq_ack_level)a->ack;
	if (a->confirm)
		r->confirm = print_confirmation;
}

/* -X: a topic that is there keeps its configuration; one that is not is made with this. */
static int make_topic(struct args *a)
{
	struct mq_topic_info info;

	if (a->set.n == 0)
		return 0;
	if (mq_topic_show(a->cli.mq, a->req.topic, &info) == 0) {
		cli_say(&a->cli, "%s is there already: its configuration stays (mq-topic set changes it)", a->req.topic);
		return 0;
	}
	if (mq_status(a->cli.mq) != MQ_EXIT_NOTOPIC ||
	    mq_topic_create(a->cli.mq, a->req.topic, 0, a->set.v, a->set.n, a->req.dry_run) < 0)
		return cli_fail(&a->cli);
	return 0;
}

static int run(struct args *a)
{
	struct cli *cli = &a->cli;
	struct mq_publish_report report = {0};
	struct mq_operand topic;
	int status = cli_topic(cli, &topic);

	if (status)
		return status;
	if (topic.offset)
		return cli_usage(cli, "%s:%lld:%s: records are published at the end, not at an offset", topic.topic,
		                 (long long)topic.partition, topic.offset);
	if (topic.partition >= 0 && cli_given(cli, "partition"))
		return cli_usage(cli, "the partition is given twice");
	status = check_forms(a);
	if (status)
		return status;
	fill_request(a);
	a->req.topic = topic.topic;
	a->req.partition = cli_given(cli, "partition") ? a->partition : topic.partition;
	/* A spool that is not there has no such partition, and is not made to say so. */
	status = cli_open(cli, a->req.dry_run || a->req.partition > 0 ? 0 : MQ_OPEN_CREATE);
	if (!status)
		status = make_topic(a);
	if (status)
		return status;
	if (mq_publish(cli->mq, &a->req, &report) < 0)
		status = cli_fail(cli);
	if (report.skipped)
		cli_say(cli, "%llu record%s held already and skipped", llu(report.skipped), report.skipped == 1 ? " was" : "s were");
	if (status == MQ_EXIT_AGAIN && !cli->verbose && !a->confirm && report.records && !a->req.producer)
		cli_say(cli, "%llu record%s stored before that (--confirm tells which)", llu(report.records), report.records == 1 ? " was" : "s were");
	if (a->req.dry_run) /* in how many batches nobody knows before */
		cli_say(cli, "%llu records, %llu bytes would be stored", llu(report.records), llu(report.bytes));
	else if (cli->verbose)
		cli_say(cli, "%llu records, %llu bytes, %llu batches", llu(report.records), llu(report.bytes), llu(report.batches));
	return status;
}

int main(int argc, char **argv)
{
	struct args a = {.req = MQ_PUBLISH_REQUEST_INIT};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
