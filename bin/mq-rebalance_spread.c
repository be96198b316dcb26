/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-rebalance --spread: what a group has not read, evenly over the partitions. */
#include "mq-rebalance.h"

#include <unistd.h>

struct spread {
	struct args *a;
	struct cli_table table;
	const char *topic;
	bool progress;
};

static int tell(void *arg, const struct mq_spread_share *x)
{
	struct spread *s = arg;
	const struct cli *cli = &s->a->cli;

	if (s->a->json) {
		printf("{\"v\":1,\"group\":\"%s\",\"topic\":\"%s\",\"partition\":%u,\"before\":%llu,\"after\":%llu}\n", s->a->group, s->topic,
		       (unsigned)x->partition, llu(x->before), llu(x->after));
		return ferror(stdout);
	}
	if (!s->a->dry_run && !cli->verbose)
		return 0;
	cli_cell(&s->table, "%s", s->topic);
	cli_cell(&s->table, "%u", (unsigned)x->partition);
	cli_cell(&s->table, "%llu", llu(x->before));
	cli_cell(&s->table, "%llu", llu(x->after));
	return 0;
}

static void progress(void *arg, uint64_t done, uint64_t all)
{
	(void)arg;
	fprintf(stderr, "\r%llu of %llu records moved\033[K", llu(done), llu(all));
}

/* What is given up is said; that there was nothing to do is no news to cron. */
static void say(struct args *a, const struct mq_spread_report *r)
{
	struct cli *cli = &a->cli;

	if (a->json)
		return;
	if (r->all == 0 && (a->dry_run || cli->verbose))
		cli_say(cli, "nothing to move: every partition has its share");
	else if (r->all && a->dry_run)
		cli_say(cli, "%llu records would be moved; records of a key would not stay in order", llu(r->all));
	else if (r->all)
		cli_say(cli, "%llu records moved in %llu transfers; records of a key are not in order any more", llu(r->records),
		        llu(r->transfers));
}

int rebalance_spread(struct args *a)
{
	static const char *const heads[] = {"TOPIC", ">PARTITION", ">BEFORE", ">AFTER", NULL};
	struct cli *cli = &a->cli;
	struct spread s = {.a = a, .progress = isatty(STDERR_FILENO) && !cli->quiet && !a->json && !a->dry_run};
	struct mq_spread_report report;
	struct mq_operand topic = {.partition = -1};
	int status = cli_topic(cli, &topic);

	if (!status && (cli->n_operands || topic.offset || topic.partition >= 0))
		status = cli_usage(cli, "--spread is of one whole topic");
	if (!status)
		status = cli_open(cli, 0);
	if (status)
		return status;
	s.topic = topic.topic;
	const struct mq_spread_request req = {.group = a->group, .topic = topic.topic, .dry_run = a->dry_run, .share = tell,
	                                      .progress = s.progress ? progress : NULL, .arg = &s};
	cli_table_init(&s.table, heads);
	status = mq_spread(cli->mq, &req, &report) < 0 ? cli_fail(cli) : 0;
	if (s.progress)
		fputs("\r\033[K", stderr);
	if (s.table.cells)
		cli_table_print(&s.table);
	if (!status)
		say(a, &report);
	return status;
}
