/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-group: where groups stand, and moving them. */
#include "cli.h"

#include <string.h>
#include <unistd.h>

enum verb { LIST, SHOW, SEEK, COMMIT, DELETE };
#define ON(verb) (1u << (verb))

struct member {
	struct mq_member_info info;
	unsigned partitions; /* that it was shown to own */
	struct member *next;
};

struct args {
	struct cli cli;
	struct member *members; /* of the group that is shown, by name from the last */
	const char *group, *offset;
	int64_t partition;
	bool json, dry_run, force;
	struct cli_table table;
	struct cli_texts groups;
	int64_t only;     /* the partition shown; -1: all */
	unsigned shown;   /* partitions */
	unsigned unread;  /* of these */
};
#define AT(member) offsetof(struct args, member)

static const struct cli_option options[] = {
	{0, "Options", NULL, NULL, CLI_HEADING, 0, NULL, 0},
	{'g', "group", "GROUP", "the group; show without it shows all of them", CLI_TEXT, AT(group), "group",
	 ON(SHOW) | ON(SEEK) | ON(COMMIT) | ON(DELETE)},
	{'p', "partition", "N", "show, seek: this partition only", CLI_PARTITION, AT(partition), NULL, ON(SHOW) | ON(SEEK)},
	{'o', "offset", "X", "seek: to where: an offset, beginning, end, -N (from the end) or @TIME (@-1h)", CLI_TEXT, AT(offset),
	 NULL, ON(SEEK)},
	{'J', "json", NULL, "list, show, seek: an object a line", CLI_FLAG, AT(json), NULL, ON(LIST) | ON(SHOW) | ON(SEEK)},
	{0, "force", NULL, "seek, delete: though a member is at work", CLI_FLAG, AT(force), NULL, ON(SEEK) | ON(DELETE)},
	{0, "dry-run", NULL, "check and say what would be done", CLI_FLAG, AT(dry_run), NULL, ON(SEEK) | ON(DELETE)},
	{0},
};

static const struct cli_tool tool = {
	.name = "mq-group",
	.usage = (const char *const[]){
		"list [--json] [OPTION ...]",
		"show [-g GROUP] [--json] [OPTION ...] [TOPIC[:PARTITION]]",
		"seek -g GROUP -o X [--dry-run] [--force] [OPTION ...] TOPIC[:PARTITION[:OFFSET]]",
		"commit -g GROUP [OPTION ...] < POSITIONS",
		"delete -g GROUP [--dry-run] [--force] [OPTION ...] [TOPIC]", NULL},
	.purpose = "Show where consumer groups stand and how far behind they are; move them; tell what is done of what "
	           "mq-consume --manual printed. A group comes into being when mq-consume -g first reads as it.",
	.options = options,
	.examples = (const char *const[]){
		"mq-group show -g billing",
		"mq-group seek -g billing -o @-1h --dry-run orders",
		"mq-consume --manual -g billing orders | ./worker | mq-group commit -g billing",
		NULL},
	.verbs = (const char *const[]){"list", "show", "seek", "commit", "delete", NULL},
	.operands = "topic",
	.timeout = "commit, seek: how long to wait for a lock that another process holds and does not let go, a second at least "
	           "(without it as long as it takes): 300ms 10s 5m 2h 7d",
	.quiet_pipe = true,
};

/* Names are borrowed until the next call on the session, and show makes one for each. */
static int keep_group(void *arg, const char *group)
{
	struct args *a = arg;
	char *copy = cli_keep(&a->cli, strlen(group) + 1);

	return !copy || cli_add_text(&a->cli, &a->groups, strcpy(copy, group)) != CLI_GO;
}

static int list(struct args *a)
{
	if (mq_group_list(a->cli.mq, keep_group, a) < 0)
		return cli_fail(&a->cli);
	for (size_t i = 0; i < a->groups.n && !ferror(stdout); i++)
		printf(a->json ? "{\"v\":1,\"group\":\"%s\"}\n" : "%s\n", a->groups.v[i]);
	return 0;
}

static int keep_member(void *arg, const struct mq_member_info *info)
{
	struct args *a = arg;
	struct member *m = cli_keep(&a->cli, sizeof *m);

	if (!m)
		return 1;
	*m = (struct member){.info = *info, .next = a->members};
	a->members = m;
	return 0;
}

static struct member *find_member(struct args *a, const char *name)
{
	struct member *m = a->members;

	while (m && name && strcmp(m->info.name, name) != 0)
		m = m->next;
	return name ? m : NULL;
}

static const char *state_of(const struct member *m)
{
	return m->info.state == MQ_MEMBER_IS_STOPPED ? "stopped" : m->info.state == MQ_MEMBER_IS_RUNNING ? "running" : "alive";
}

static void json_place(const struct member *m)
{
	if (*m->info.host)
		printf(",\"host\":\"%s\"", m->info.host);
	printf(",\"state\":\"%s\"", state_of(m));
}

static void show_json(const struct mq_group_info *g, const struct member *m)
{
	printf("{\"v\":1,\"group\":\"%s\",\"topic\":\"%s\",\"partition\":%u,\"committed\":", g->group, g->topic,
	       (unsigned)g->partition);
	printf(g->has_committed ? "%llu" : "null", llu(g->committed));
	printf(",\"end\":%llu,\"lag\":%llu,\"lost\":%llu,\"acked_above\":%llu,\"owned\":%s", llu(g->end), llu(g->lag), llu(g->lost),
	       llu(g->acked_above), g->owner_unknown ? "null" : g->owned ? "true" : "false");
	if (g->owned && g->owner_pid >= 0)
		printf(",\"pid\":%lld", (long long)g->owner_pid);
	if (g->member) {
		printf(",\"member\":");
		cli_json_string(stdout, g->member);
	}
	if (m)
		json_place(m);
	printf(",\"handler_left\":%s}\n", g->handler_left ? "true" : "false");
}

static void cell_member(struct cli_table *t, const struct member *m)
{
	const char *on = *m->info.host ? " on " : "", *stopped = m->info.state == MQ_MEMBER_IS_STOPPED ? " (stopped)" : "";

	if (m->info.pid >= 0)
		cli_cell(t, "%s pid %lld%s%s%s", m->info.name, (long long)m->info.pid, on, m->info.host, stopped);
	else
		cli_cell(t, "%s%s", m->info.name, stopped);
}

/* Members that own nothing of what was shown. */
static void show_idle(struct args *a, const char *group)
{
	for (const struct member *m = a->members; m; m = m->next) {
		if (m->partitions > 0)
			continue;
		a->shown++;
		if (a->json) {
			printf("{\"v\":1,\"group\":\"%s\",\"member\":\"%s\"", group, m->info.name);
			if (m->info.pid >= 0)
				printf(",\"pid\":%lld", (long long)m->info.pid);
			json_place(m);
			printf("}\n");
			continue;
		}
		cli_cell(&a->table, "%s", group);
		for (int i = 0; i < 6; i++)
			cli_cell(&a->table, "-");
		cell_member(&a->table, m);
	}
}

static int show_one(void *arg, const struct mq_group_info *g)
{
	struct args *a = arg;
	struct cli_table *t = &a->table;
	struct member *m = g->owned ? find_member(a, g->member) : NULL;

	if (m)
		m->partitions++;
	if (a->only >= 0 && (int64_t)g->partition != a->only)
		return 0;
	a->shown++;
	if (g->why) {
		a->unread++;
		cli_error(&a->cli, 0, "group %s, %s:%u: %s", g->group, g->topic, (unsigned)g->partition, g->why);
		return 0;
	}
	if (a->json) {
		show_json(g, m);
		return ferror(stdout);
	}
	cli_cell(t, "%s", g->group);
	cli_cell(t, "%s", g->topic);
	cli_cell(t, "%u", (unsigned)g->partition);
	if (g->has_committed)
		cli_cell(t, "%llu", llu(g->committed));
	else
		cli_cell(t, "-");
	cli_cell(t, "%llu", llu(g->end));
	cli_cell(t, "%llu", llu(g->lag));
	cli_cell(t, "%llu", llu(g->lost));
	if (g->handler_left)
		cli_cell(t, "(a killed member's handler lives on)");
	else if (g->owner_unknown)
		cli_cell(t, "?");
	else if (!g->owned)
		cli_cell(t, "-");
	else if (m)
		cell_member(t, m);
	else if (g->owner_pid >= 0)
		cli_cell(t, "%s pid %lld", g->member ? g->member : "?", (long long)g->owner_pid);
	else
		cli_cell(t, "%s", g->member ? g->member : "?");
	return 0;
}

/* Nothing was found of what was named. */
static int nothing_shown(struct args *a, const struct mq_operand *topic)
{
	struct mq_topic_info info;

	if (!topic->topic)
		return 0;
	for (size_t i = 0; i < a->groups.n && !a->group; i++)
		if (strcmp(a->groups.v[i], topic->topic) == 0 && mq_topic_show(a->cli.mq, topic->topic, &info) < 0)
			return cli_usage(&a->cli, "%s is a group, and no topic: show -g %s", topic->topic, topic->topic);
	if (mq_topic_show(a->cli.mq, topic->topic, &info) < 0)
		return cli_fail(&a->cli);
	if (a->only >= (int64_t)info.partitions)
		return cli_error(&a->cli, MQ_EXIT_NOTOPIC, "%s:%lld: no such partition: there are %u", topic->topic, (long long)a->only,
		                 (unsigned)info.partitions);
	return cli_error(&a->cli, MQ_EXIT_NOTOPIC, "no group has read topic %s", topic->topic);
}

static int show_group(struct args *a, const char *group, const char *topic)
{
	unsigned unread = a->unread;

	a->members = NULL;
	(void)mq_group_members(a->cli.mq, group, keep_member, a); /* who may not look sees the rest */
	if (mq_group_show(a->cli.mq, group, topic, show_one, a) >= 0) {
		if (!topic)
			show_idle(a, group);
		return 0;
	}
	/* Of all groups, those that never read this topic are no news. */
	if (!a->group && mq_status(a->cli.mq) == MQ_EXIT_NOTOPIC)
		return 0;
	return a->unread > unread ? mq_status(a->cli.mq) : cli_fail(&a->cli); /* told already, each place by itself */
}

static int show(struct args *a, const struct mq_operand *topic)
{
	static const char *const heads[] = {"GROUP", "TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG", ">LOST", "OWNER", NULL};
	struct cli *cli = &a->cli;
	int status = 0;

	if (a->group)
		keep_group(a, a->group);
	else if (mq_group_list(cli->mq, keep_group, a) < 0)
		return cli_fail(cli);
	a->only = cli_given(cli, "partition") ? a->partition : topic->partition;
	cli_table_init(&a->table, heads);
	for (size_t i = 0; i < a->groups.n && !ferror(stdout); i++) {
		int one = show_group(a, a->groups.v[i], topic->topic);
		status = status ? status : one;
	}
	if (!status && !a->shown)
		status = nothing_shown(a, topic);
	if (a->table.cells || (!a->json && !status))
		cli_table_print(&a->table);
	return status;
}

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
	case LIST: return list(a);
	case SHOW: return show(a, &topic);
	case SEEK: return seek(a, &topic);
	case COMMIT: return commit(a);
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
