/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-rebalance: partitions over members. */
#include "mq-rebalance.h"

#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "The members of a group", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'g', "group", "GROUP", "the group whose members' partitions it is about", CLI_TEXT, AT(group), "group", 0},
	{0, "strategy", "NAME", "how its partitions go to its members from now on: average, circle, sticky (as it is at first), hash, "
	 "room, nearby, config", CLI_CHOICE, AT(strategy), "average circle sticky hash room nearby config", 0},
	{'X', "set", "K=V", "what a strategy needs: room.NAME=0-3,8 strategy.within=STRATEGY virtual.nodes=N "
	 "assign.NAME=PATTERN:0-3; without a value room. and assign. lines go", CLI_TEXTS, AT(set), "room. assign. strategy.within= virtual.nodes=", 0},
	{0, "assign", "FILE", "for config: lines of a pattern of members' hosts or names and their partitions, in place of those there "
	 "are; - is stdin", CLI_TEXT, AT(assign), "file", 0},
	{0, "The records of a group", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "spread", NULL, "move what the group has not read of the topic evenly over its partitions; key order is given up", CLI_FLAG,
	 AT(spread), NULL, 0},
	{0, "The partitions of a topic", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "partitions", "N", "so many the topic is to have: more than it has, best a multiple", CLI_COUNT32, AT(partitions), NULL, 0},
	{0, "no-barrier", NULL, "with --partitions: groups do not wait, and the order of keys is not kept across it", CLI_FLAG,
	 AT(no_barrier), NULL, 0},
	{0, "Options", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{0, "dry-run", NULL, "say who would have what, what would be moved, or how many partitions; change nothing", CLI_FLAG, AT(dry_run), NULL, 0},
	{'J', "json", NULL, "an object a line", CLI_FLAG, AT(json), NULL, 0},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-rebalance",
	.usage = (const char *const[]){
		"-g GROUP [--json] [OPTION ...] [TOPIC ...]",
		"-g GROUP [--strategy NAME] [-X K=V ...] [--assign FILE] [--dry-run] [--json] [OPTION ...] [TOPIC ...]",
		"--spread -g GROUP [--dry-run] [--json] [OPTION ...] TOPIC",
		"--partitions N [--no-barrier] [--dry-run] [--json] [OPTION ...] TOPIC", NULL},
	.purpose = "Show which member of a consumer group has which partitions; set how they are given out, while the members work; "
	           "move what the group has not read evenly over them; or give a topic more of them, while it is in use.",
	.options = options,
	.examples = (const char *const[]){
		"mq-rebalance -g billing                              # who has what",
		"mq-rebalance -g billing --strategy circle --dry-run  # what would move",
		"mq-rebalance -g billing --strategy nearby -X room.east=0-3 -X room.west=4-7",
		"mq-rebalance --spread -g billing --dry-run orders",
		"mq-rebalance orders --partitions 8                   # twice the 4 that it has, while it is in use",
		NULL},
	.operands = "topic",
	.timeout = "how long to wait for another process that sets the same group's strategy, or holds a lock that --partitions needs, "
	           "and does not end, a second at least (without it as long as it takes): 300ms 10s 5m 2h 7d",
	.quiet_pipe = true,
};

static int run(struct args *a)
{
	struct cli *cli = &a->cli;
	int status;

	if (a->partitions)
		return rebalance_grow(a);
	if (a->no_barrier)
		return cli_usage(cli, "--no-barrier goes with --partitions");
	if (!a->group)
		return cli_usage(cli, "which group? -g GROUP is missing%s", a->spread ? "" : " (or --partitions N, for a topic to have more)");
	if (a->spread && (cli_given(cli, "strategy") || cli_given(cli, "set") || a->assign))
		return cli_usage(cli, "--spread moves records; a strategy gives out partitions: one at a time");
	if (a->spread)
		return rebalance_spread(a);
	if (cli->topic && cli->n_operands)
		return cli_usage(cli, "%s: -t stands in place of the operands", cli->operands[0]);
	status = cli_open(cli, 0);
	return status ? status : rebalance_group(a);
}

int main(int argc, char **argv)
{
	struct args a = {0};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
