/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-stat: figures of a spool. */
#include "mq-stat.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "Options", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'g', "group", "GROUP", "of groups only this one", CLI_TEXT, AT(group), "group", 0},
	{0, "interval", "TIME", "look twice, so long apart, and tell how many records a second came and were done", CLI_DURATION,
	 AT(interval_ns), NULL, 0},
	{0, "parked", NULL, "count for each group what of it waits to be tried again: each such record is read", CLI_FLAG, AT(parked), NULL, 0},
	{'J', "json", NULL, "an object a line", CLI_FLAG, AT(json), NULL, 0},
	{0, "prometheus", NULL, "metrics in the text format of Prometheus", CLI_FLAG, AT(prometheus), NULL, 0},
	{0, "check", "NAME=LIMIT", "one line, and the status of a Nagios plug-in: NAME=CRITICAL or NAME=WARNING,CRITICAL, where NAME is "
	 "lag, age, lost, expired, in-flight, stopped, records, bytes, dead or delayed; may be given again", CLI_TEXTS, AT(checks), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-stat",
	.usage = (const char *const[]){
		"[-g GROUP] [--interval TIME] [--parked] [--json | --prometheus] [OPTION ...] [TOPIC ...]",
		"--check NAME=LIMIT [--check NAME=LIMIT ...] [-g GROUP] [OPTION ...] [TOPIC ...]", NULL},
	.purpose = "Print what a spool holds and how far behind its groups are: a line a topic, and a line for each topic that a group "
	           "reads. Or compare that with limits, for a monitor.",
	.options = options,
	.examples = (const char *const[]){
		"mq-stat",
		"mq-stat --interval 5s orders                  # with rates",
		"mq-stat --check lag=1000,10000 --check age=5m -g billing",
		"mq-stat --check dead=0 --check delayed=10000 --check age=1h",
		"mq-stat --prometheus > mq.prom.tmp && mv mq.prom.tmp mq.prom",
		NULL},
	.operands = "topic",
	.quiet_pipe = true,
};

/* The pause between two looks. */
static void pause_for(int64_t ns)
{
	struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	while (!cli_stopped() && nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int look(struct args *a, struct rows *ret)
{
	struct rows first = {0};
	int status = a->interval_ns ? stat_look(a, false, &first) : 0;

	a->status = 0; /* what fails there fails again, and is told then, too */
	if (!status && a->interval_ns)
		pause_for(a->interval_ns);
	if (!status)
		status = stat_look(a, true, ret);
	if (!status && a->interval_ns)
		stat_rates(&first, ret);
	stat_release(&first);
	return status;
}

static int tell(struct args *a, const struct rows *r)
{
	if (a->checks.n)
		return stat_check(a, r);
	if (a->json)
		stat_json(a, r);
	else if (a->prometheus)
		stat_metrics(a, r);
	else
		stat_tables(a, r);
	return a->status;
}

static int run(struct args *a)
{
	struct cli *cli = &a->cli;
	struct mq_operand topic;
	struct rows r = {0};
	int status = 0;

	if (a->json + a->prometheus + (a->checks.n > 0) > 1)
		return cli_usage(cli, "--json, --prometheus and --check are three ways to tell it: one at a time");
	if (cli->topic && cli_add_text(cli, &a->wanted, cli->topic) != CLI_GO)
		return MQ_EXIT_IO;
	for (size_t i = 0; i < cli->n_operands; i++) {
		if (mq_parse_operand(cli->mq, cli->operands[i], &topic) < 0)
			return cli_fail(cli);
		if (topic.partition >= 0)
			return cli_usage(cli, "%s: figures are of whole topics; mq-topic show has partitions", cli->operands[i]);
		if (cli_add_text(cli, &a->wanted, cli->operands[i]) != CLI_GO)
			return MQ_EXIT_IO;
	}
	status = stat_check_parse(a);
	if (status)
		return status;
	status = cli_open(cli, 0);
	if (!status)
		status = look(a, &r);
	if (!status)
		status = tell(a, &r);
	else if (a->checks.n) /* to a monitor a failure is "unknown", whatever it is */
		status = stat_unknown(a);
	stat_release(&r);
	return status;
}

int main(int argc, char **argv)
{
	struct args a = {0};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
