/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-group: where groups stand, and moving them. */
#include "mq-group.h"

#include <string.h>
#include <unistd.h>

enum verb { LIST, SHOW, SEEK, COMMIT, EVICT, DELETE };
#define ON(verb) (1u << (verb))

#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "Options", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'g', "group", "GROUP", "the group; show without it shows all of them", CLI_TEXT, AT(group), "group",
	 ON(SHOW) | ON(SEEK) | ON(COMMIT) | ON(EVICT) | ON(DELETE)},
	{0, "member", "NAME", "evict: this member, by its name or the number of its process", CLI_TEXT, AT(member), NULL, ON(EVICT)},
	{'p', "partition", "N", "show, seek, evict: this partition only", CLI_PARTITION, AT(partition), NULL,
	 ON(SHOW) | ON(SEEK) | ON(EVICT)},
	{'o', "offset", "X", "seek: to where: an offset, beginning, end, -N (from the end) or @TIME (@-1h)", CLI_TEXT, AT(offset),
	 NULL, ON(SEEK)},
	{0, "members", NULL, "show: a line a member: what it has, how far behind that is", CLI_FLAG, AT(by_member), NULL, ON(SHOW)},
	{0, "interval", "TIME", "show: look twice, so long apart, and tell how many records a second were done", CLI_DURATION,
	 AT(interval_ns), NULL, ON(SHOW)},
	{'J', "json", NULL, "list, show, seek, evict: an object a line", CLI_FLAG, AT(json), NULL,
	 ON(LIST) | ON(SHOW) | ON(SEEK) | ON(EVICT)},
	{0, "force", NULL, "seek, delete: though a member is at work", CLI_FLAG, AT(force), NULL, ON(SEEK) | ON(DELETE)},
	{0, "dry-run", NULL, "check and say what would be done", CLI_FLAG, AT(dry_run), NULL,
	 ON(SEEK) | ON(EVICT) | ON(DELETE)},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-group",
	.usage = (const char *const[]){
		"list [-q] [--json] [OPTION ...]",
		"show [-g GROUP] [--members] [--interval TIME] [--json] [OPTION ...] [TOPIC[:PARTITION]]",
		"seek -g GROUP -o X [--dry-run] [--force] [OPTION ...] TOPIC[:PARTITION[:OFFSET]]",
		"commit -g GROUP [OPTION ...] < POSITIONS",
		"evict -g GROUP [--member NAME] [--dry-run] [--json] [OPTION ...] [TOPIC[:PARTITION]]",
		"delete -g GROUP [--dry-run] [--force] [OPTION ...] [TOPIC]", NULL},
	.purpose = "Show where consumer groups stand and how far behind they are; move them; take from a member that hangs what it owns; tell what is done of what "
	           "mq-consume --manual printed. A group comes into being when mq-consume -g first reads as it.",
	.options = options,
	.examples = (const char *const[]){
		"mq-group list",
		"mq-group show -g billing",
		"mq-group show -g billing --members --interval 5s   # who does how much",
		"mq-group seek -g billing -o @-1h --dry-run orders",
		"mq-group evict -g billing orders:3",
		"mq-consume --manual -g billing orders | ./worker | mq-group commit -g billing",
		NULL},
	.verbs = (const char *const[]){"list", "show", "seek", "commit", "evict", "delete", NULL},
	.operands = "topic",
	.timeout = "commit, seek, evict: how long to wait for a lock that another process holds and does not let go, a second at least "
	           "(without it as long as it takes): 300ms 10s 5m 2h 7d",
	.quiet_pipe = true,
};

static int print_move(void *arg, const struct mq_seek_move *m)
{
	struct args *a = arg;

	if (a->json) {
		printf("{\"v\":1,\"group\":\"%s\",\"topic\":\"%s\",\"partition\":%u,\"before\":", a->group, a->cli.topic,
		       (unsigned)m->partition);
		printf(m->had_before ? "%llu" : "null", llu(m->before));
		printf(",\"after\":%llu}\n", llu(m->after));
	} else {
		printf("%s:%u: ", a->cli.topic, (unsigned)m->partition);
		printf(m->had_before ? "%llu" : "-", llu(m->before));
		printf(" -> %llu%s\n", llu(m->after), a->dry_run ? " (dry run)" : "");
	}
	return 0;
}

/* Offsets mean something in their own partition; all have a 0. */
static bool is_offset(const char *to)
{
	return strspn(to, "0123456789") == strlen(to) && strspn(to, "0") < strlen(to);
}

static bool several(struct cli *cli, const char *topic)
{
	struct mq_topic_info info;

	return mq_topic_show(cli->mq, topic, &info) == 0 && info.partitions > 1; /* that it is not there is told by the seek */
}

static int seek(struct args *a, const struct mq_operand *topic)
{
	struct cli *cli = &a->cli;
	const char *to = topic->offset ? topic->offset : a->offset;
	int64_t partition = cli_given(cli, "partition") ? a->partition : topic->partition;

	if (topic->offset && a->offset)
		return cli_usage(cli, "the offset is given twice");
	if (topic->partition >= 0 && cli_given(cli, "partition"))
		return cli_usage(cli, "the partition is given twice");
	cli->topic = topic->topic;
	if (partition < 0 && !a->force && is_offset(to) && several(cli, topic->topic))
		return cli_usage(cli, "%s would be the place in every partition: name one (%s:0, -p 0), or --force", to, topic->topic);
	if (mq_group_seek(cli->mq, a->group, topic->topic, partition, to, a->force, a->dry_run, print_move, a) < 0)
		return cli_fail(cli);
	return 0;
}

static int commit(struct args *a)
{
	uint64_t count = 0;
	int status = 0;

	if (mq_group_commit(a->cli.mq, a->group, STDIN_FILENO, &count) < 0)
		status = cli_fail(&a->cli);
	if (a->cli.verbose)
		cli_say(&a->cli, "%s: %llu positions committed", a->group, llu(count));
	return status;
}

/* What each verb wants of the command line. */
static int check(struct args *a, struct mq_operand *topic)
{
	struct cli *cli = &a->cli;
	bool any = cli->topic || cli->n_operands;
	int status = 0;

	if ((cli->verb == LIST || cli->verb == COMMIT) && any)
		return cli_usage(cli, "%s takes no topic", tool.verbs[cli->verb]);
	if (!a->group && cli->verb != LIST && cli->verb != SHOW)
		return cli_usage(cli, "which group? -g GROUP is missing");
	if (any || cli->verb == SEEK)
		status = cli_topic(cli, topic);
	if (!status && cli->n_operands)
		status = cli_usage(cli, "%s: one topic at a time (the group is -g GROUP)", cli->operands[0]);
	if (!status && cli->verb == SEEK && !topic->offset && !a->offset)
		status = cli_usage(cli, "seek to where? -o is missing");
	if (!status && cli->verb == EVICT && !any && !a->member)
		status = cli_usage(cli, "evict whom? TOPIC:PARTITION, or --member");
	if (!status && topic->partition >= 0 && cli->verb == DELETE)
		status = cli_usage(cli, "%s: a group is deleted from a topic, not from a partition", topic->topic);
	return status;
}

static int run(struct args *a)
{
	struct mq_operand topic = {.partition = -1};
	int status = check(a, &topic);

	if (!status)
		status = cli_open(&a->cli, 0);
	if (status)
		return status;
	switch ((enum verb)a->cli.verb) {
	case LIST: return group_list(a);
	case SHOW: return group_show(a, &topic);
	case SEEK: return seek(a, &topic);
	case COMMIT: return commit(a);
	case EVICT: return group_evict(a, &topic);
	case DELETE: break;
	}
	if (mq_group_delete(a->cli.mq, a->group, topic.topic, a->force, a->dry_run) < 0)
		return cli_fail(&a->cli);
	if ((a->dry_run || a->cli.verbose) && topic.topic)
		cli_say(&a->cli, "%s: its place in %s %s", a->group, topic.topic, a->dry_run ? "would be deleted" : "was deleted");
	else if (a->dry_run || a->cli.verbose)
		cli_say(&a->cli, "%s: %s", a->group, a->dry_run ? "would be deleted" : "deleted");
	return 0;
}

int main(int argc, char **argv)
{
	struct args a = {0};
	int status = cli_start(&a.cli, &tool, argc, argv);

	return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
}
