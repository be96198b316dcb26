/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-retain: what is too old, too much, or read by all, goes. */
#include "cli.h"

#include <sys/stat.h>

struct args {
	struct cli cli;
	struct mq_retain_request req;
	bool json;
};
#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "What goes", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "consumed", NULL, "what all registered groups have read goes, too, however young", CLI_FLAG, AT(req.consumed), NULL, 0},
	{0, "unread", NULL, "do not keep what groups have not read yet", CLI_FLAG, AT(req.unread), NULL, 0},
	{0, "archive", "DIR", "put what goes into archives in this directory first (tar.zst; mq-replay --archive reads them)", CLI_TEXT,
	 AT(req.archive), "dir", 0},
	{0, "force", NULL, "go on though the clock jumped since the last run", CLI_FLAG, AT(req.force), NULL, 0},
	{0, "dry-run", NULL, "say only what would go", CLI_FLAG, AT(req.dry_run), NULL, 0},
	{'J', "json", NULL, "an object a line of what went", CLI_FLAG, AT(json), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-retain",
	.usage = (const char *const[]){"[OPTION ...] [TOPIC ...]", NULL},
	.purpose = "Remove what is older than retention.ms or too much for retention.bytes, from cron: whole segments, the oldest first, and "
	           "nothing that a group has not read. Of topics with cleanup.policy=compact, of each key all but the last record. Without a "
	           "TOPIC of all.",
	.options = options,
	.examples = (const char *const[]){
		"mq-topic set orders retention.ms=7d segment.ms=1d; mq-retain",
		"mq-retain --dry-run                            # what would go",
		"mq-retain --consumed jobs                      # what all groups have read",
		"mq-retain --archive /srv/archive orders        # not lost, but elsewhere",
		NULL},
	.operands = "topic",
	.timeout = "how long to wait for a lock on a topic or partition (without it as long as it takes): 300ms 10s 5m 2h 7d",
	.quiet_pipe = true,
};

/* What went, and then what was made smaller. */
static int show(void *arg, const struct mq_retained *r)
{
	struct args *a = arg;

	if (a->json)
		printf("{\"v\":1,\"topic\":\"%s\",\"partition\":%u,\"log_start\":%llu,\"records\":%llu,\"segments\":%llu,\"bytes\":%llu,\"dead\":%llu,"
		       "\"dead_bytes\":%llu,\"compacted\":%llu,\"compacted_bytes\":%llu,\"compacted_into\":%llu,\"compacted_records\":%llu,"
		       "\"dry_run\":%s}\n", r->topic, (unsigned)r->partition, llu(r->log_start), llu(r->records),
		       llu(r->parts), llu(r->bytes), llu(r->dead), llu(r->dead_bytes), llu(r->compacted), llu(r->compacted_bytes),
		       llu(r->compacted_into), llu(r->compacted_records), a->req.dry_run ? "true" : "false");
	else if ((a->req.dry_run || a->cli.verbose) && (r->parts || r->dead || r->records))
		printf("%s:%u: %s %llu segments with %llu bytes, %llu records up to %llu%s\n", r->topic, (unsigned)r->partition,
		       a->req.dry_run ? "would remove" : "removed", llu(r->parts + r->dead), llu(r->bytes + r->dead_bytes), llu(r->records),
		       llu(r->log_start), r->dead ? " (some of no log any more)" : "");
	if (!a->json && r->compacted && a->req.dry_run)
		printf("%s:%u: would compact %llu segments with %llu bytes\n", r->topic, (unsigned)r->partition, llu(r->compacted),
		       llu(r->compacted_bytes));
	else if (!a->json && r->compacted && a->cli.verbose)
		printf("%s:%u: compacted %llu segments with %llu bytes into %llu, without %llu records\n", r->topic, (unsigned)r->partition,
		       llu(r->compacted), llu(r->compacted_bytes), llu(r->compacted_into), llu(r->compacted_records));
	return ferror(stdout);
}

static int take_operands(struct args *a)
{
	struct cli *cli = &a->cli;
	struct mq_operand operand;

	if (cli->topic && cli->n_operands)
		return cli_usage(cli, "%s: -t stands in place of the operands", cli->operands[0]);
	a->req.topics = cli->topic ? &cli->topic : (const char *const *)cli->operands;
	a->req.n_topics = cli->topic ? 1 : cli->n_operands;
	for (size_t i = 0; i < a->req.n_topics; i++) {
		if (mq_parse_operand(cli->mq, a->req.topics[i], &operand) < 0)
			return cli_fail(cli);
		if (operand.partition >= 0)
			return cli_usage(cli, "%s: a topic is wanted, not a partition", a->req.topics[i]);
	}
	return 0;
}

static int run(struct args *a)
{
	struct mq_retain_report r;
	struct stat st;
	int status = take_operands(a);

	/* Said before there is anything for it. */
	if (!status && a->req.archive && (stat(a->req.archive, &st) < 0 || !S_ISDIR(st.st_mode)))
		status = cli_usage(&a->cli, "no directory %s for archives: make it", a->req.archive);
	if (!status)
		status = cli_open(&a->cli, 0);
	if (status)
		return status;
	mq_use_archives();
	a->req.retained = show;
	a->req.arg = a;
	if (mq_retain(a->cli.mq, &a->req, &r) >= 0)
		return MQ_EXIT_DONE;
	return r.failed ? mq_status(a->cli.mq) : cli_fail(&a->cli); /* each was said */
}

int main(int argc, char **argv)
{
	struct args a = {0};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
