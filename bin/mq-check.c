/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-check: verify every byte, name what is wrong, mend what can be mended. */
#include "cli.h"

#include <unistd.h>

struct args {
	struct cli cli;
	struct mq_check_request req;
	struct cli_table table;
	int64_t partition;
	uint64_t unmended; /* what exit status 2 is about */
	bool json, progress;
};
#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "Options", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'p', "partition", "N", "this partition only", CLI_PARTITION, AT(partition), NULL, 0},
	{0, "mend", NULL, "mend what can be mended: make caches anew, step past torn ends, set a log start that was lost", CLI_FLAG, AT(req.mend), NULL, 0},
	{0, "dry-run", NULL, "with --mend: say what would be mended", CLI_FLAG, AT(req.dry_run), NULL, 0},
	{'J', "json", NULL, "findings as objects, one a line, and the sums at the end", CLI_FLAG, AT(json), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-check",
	.usage = (const char *const[]){"[--mend] [--dry-run] [--json] [OPTION ...] [TOPIC[:PARTITION]]", NULL},
	.purpose = "Read a spool, a topic or a partition whole, verify every checksum, and print what is not as it was written. "
	           "Silent, with exit 0, when all is well; exit 2 when acknowledged records are damaged.",
	.options = options,
	.examples = (const char *const[]){
		"mq-check && echo all well",
		"mq-check -v orders",
		"mq-check --mend --dry-run",
		NULL},
	.operands = "topic",
	.timeout = "with --mend: how long to wait for a partition's lock that another process holds (without it as long as it "
	           "takes): 300ms 10s 5m 2h 7d",
	.quiet_pipe = true,
};

static const char *const kinds[] = {
	[MQ_FINDING_DAMAGE] = "damage", [MQ_FINDING_TORN] = "torn", [MQ_FINDING_DEAD] = "dead",
	[MQ_FINDING_CACHE] = "cache", [MQ_FINDING_CONFIG] = "config", [MQ_FINDING_LOST] = "lost",
	[MQ_FINDING_NEWER] = "newer", [MQ_FINDING_LEFT] = "left",
};

static void found_json(const struct mq_finding *f)
{
	printf("{\"v\":1,\"kind\":\"%s\",\"what\":", kinds[f->kind]);
	cli_json_string(stdout, f->what ? f->what : "");
	printf(",\"position\":%llu,\"length\":%llu,\"offset_from\":%llu,\"offset_to\":%llu,\"mended\":%s,\"text\":", llu(f->position),
	       llu(f->length), llu(f->offset_from), llu(f->offset_to), f->mended ? "true" : "false");
	cli_json_string(stdout, f->text ? f->text : "");
	printf("}\n");
}

/* Only damage and a broken configuration are news that something acknowledged is not as it should be. */
static int found(void *arg, const struct mq_finding *f)
{
	struct args *a = arg;
	struct cli_table *t = &a->table;

	if (!f->mended && (f->kind == MQ_FINDING_DAMAGE || f->kind == MQ_FINDING_CONFIG))
		a->unmended++;
	if (a->json) {
		found_json(f);
		return ferror(stdout);
	}
	if (f->kind == MQ_FINDING_LEFT && !f->mended && !a->cli.verbose)
		return 0;
	cli_cell(t, "%s%s", kinds[f->kind], f->mended ? " (mended)" : "");
	cli_cell(t, "%s", f->what ? f->what : "-");
	cli_cell(t, "%llu", llu(f->position));
	cli_cell(t, "%llu", llu(f->length));
	if (f->offset_from || f->offset_to)
		cli_cell(t, "%llu..%llu", llu(f->offset_from), llu(f->offset_to));
	else
		cli_cell(t, "-");
	cli_cell(t, "%s", f->text ? f->text : "");
	return 0;
}

static void progress(void *arg, uint64_t done, uint64_t all)
{
	(void)arg;
	fprintf(stderr, "\r%llu of %llu MiB\033[K", llu(done >> 20), llu(all >> 20));
}

static void print_sums(const struct args *a, const struct mq_check_report *r)
{
	if (a->json)
		printf("{\"v\":1,\"kind\":\"sums\",\"topics\":%llu,\"partitions\":%llu,\"segments\":%llu,\"batches\":%llu,"
		       "\"records\":%llu,\"bytes\":%llu,\"damage\":%llu,\"torn\":%llu,\"dead\":%llu,\"cache\":%llu,\"config\":%llu,"
		       "\"lost\":%llu,\"newer\":%llu,\"left\":%llu,\"mended\":%llu}\n", llu(r->topics), llu(r->partitions), llu(r->segments), llu(r->batches),
		       llu(r->records), llu(r->bytes), llu(r->damage), llu(r->torn), llu(r->dead), llu(r->cache), llu(r->config),
		       llu(r->lost), llu(r->newer), llu(r->left), llu(r->mended));
	else if (a->cli.verbose)
		printf("%llu topics, %llu partitions, %llu segments, %llu batches, %llu records, %llu bytes verified\n",
		       llu(r->topics), llu(r->partitions), llu(r->segments), llu(r->batches), llu(r->records), llu(r->bytes));
}

static int run(struct args *a)
{
	static const char *const heads[] = {"KIND", "FILE", ">POSITION", ">LENGTH", "OFFSETS", "WHAT", NULL};
	struct cli *cli = &a->cli;
	struct mq_check_report report = {0};
	struct mq_operand topic = {.partition = -1};
	int status = 0;

	if (cli->topic || cli->n_operands)
		status = cli_topic(cli, &topic);
	if (!status && (cli->n_operands || topic.offset))
		status = cli_usage(cli, "one topic or one partition at a time, or all");
	if (!status && a->req.dry_run && !a->req.mend)
		status = cli_usage(cli, "without --mend nothing is changed: --dry-run goes with --mend");
	if (!status && cli_given(cli, "partition") && (!topic.topic || topic.partition >= 0))
		status = cli_usage(cli, "-p wants a topic, and no partition beside it");
	if (!status)
		status = cli_open(cli, 0);
	if (status)
		return status;
	a->progress = isatty(STDERR_FILENO) && !cli->quiet && !a->json;
	a->req.topic = topic.topic;
	a->req.partition = cli_given(cli, "partition") ? a->partition : topic.partition;
	a->req.found = found;
	a->req.progress = a->progress ? progress : NULL;
	a->req.arg = a;
	cli_table_init(&a->table, heads);
	status = mq_check(cli->mq, &a->req, &report) < 0 ? -1 : 0;
	if (a->progress)
		fputs("\r\033[K", stderr);
	if (a->table.cells)
		cli_table_print(&a->table);
	if (status)
		return cli_fail(cli);
	print_sums(a, &report);
	return a->unmended ? MQ_EXIT_DAMAGE : report.newer ? MQ_EXIT_CONFIG : MQ_EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct args a = {0};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
