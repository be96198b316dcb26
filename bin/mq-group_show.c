/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-group show: where groups stand, and who is at work in them. */
#include "mq-group.h"

#include <string.h>

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

const char *group_state(const struct member *m)
{
	return m->evicted ? "evicted" : m->info.state == MQ_MEMBER_IS_STOPPED ? "stopped" : m->info.state == MQ_MEMBER_IS_RUNNING ? "running" : "alive";
}

void group_json_place(const struct member *m)
{
	if (*m->info.host)
		printf(",\"host\":\"%s\"", m->info.host);
	if (*m->info.room) {
		printf(",\"room\":");
		cli_json_string(stdout, m->info.room);
	}
	printf(",\"state\":\"%s\"", group_state(m));
}

static void show_json(const struct args *a, const struct mq_group_info *g, const struct member *m, double rate)
{
	printf("{\"v\":1,\"group\":\"%s\",\"topic\":\"%s\",\"partition\":%u,\"committed\":", g->group, g->topic,
	       (unsigned)g->partition);
	printf(g->has_committed ? "%llu" : "null", llu(g->committed));
	printf(",\"end\":%llu,\"lag\":%llu,\"lost\":%llu,\"expired\":%llu,\"acked_above\":%llu,\"owned\":%s", llu(g->end), llu(g->lag),
	       llu(g->lost), llu(g->expired), llu(g->acked_above), g->owner_unknown ? "null" : g->owned ? "true" : "false");
	if (a->interval_ns && rate >= 0)
		printf(",\"rate\":%.1f", rate);
	else if (a->interval_ns)
		printf(",\"rate\":null");
	if (g->owned && g->owner_pid >= 0)
		printf(",\"pid\":%lld", (long long)g->owner_pid);
	if (g->member) {
		printf(",\"member\":");
		cli_json_string(stdout, g->member);
	}
	if (m)
		group_json_place(m);
	if (g->has_shared)
		printf(",\"shared\":%s,\"ready\":%llu,\"in_flight\":%llu,\"done_above\":%llu", g->shared ? "true" : "false", llu(g->ready),
		       llu(g->in_flight), llu(g->done_above));
	group_json_holders(g);
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
			group_json_place(m);
			printf("}\n");
			continue;
		}
		cli_cell(&a->table, "%s", group);
		for (int i = 0; i < (a->interval_ns ? 8 : 7); i++)
			cli_cell(&a->table, "-");
		cell_member(&a->table, m);
	}
}

/* Of who was evicted from the group nothing is left but what it held. */
static void keep_evicted(struct args *a, const struct mq_group_info *g)
{
	for (size_t i = 0; i < g->n_holders; i++) {
		const struct mq_group_holder *h = &g->holders[i];
		struct mq_member_info info = {.pid = h->pid, .state = MQ_MEMBER_IS_ALIVE};

		if (h->what != MQ_HOLD_EVICTED || !*h->member || find_member(a, h->member))
			continue;
		snprintf(info.name, sizeof info.name, "%s", h->member);
		if (keep_member(a, &info) == 0)
			a->members->evicted = true;
	}
}

static int show_one(void *arg, const struct mq_group_info *g)
{
	struct args *a = arg;
	struct cli_table *t = &a->table;
	struct member *m = g->owned ? find_member(a, g->member) : NULL;
	double rate = a->interval_ns && !g->why ? group_rate(a, g) : 0;

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
	if (g->share_why) {
		a->unread++;
		cli_error(&a->cli, 0, "%s", g->share_why);
	}
	if (a->by_member)
		keep_evicted(a, g);
	if (a->by_member)
		return group_add_to_member(a, g, m ? m : g->shared ? &a->sharers : &a->nobody, rate);
	if (a->json) {
		show_json(a, g, m, rate);
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
	cli_cell(t, "%llu", llu(g->expired));
	if (a->interval_ns && rate >= 0)
		cli_cell(t, "%.1f", rate);
	else if (a->interval_ns)
		cli_cell(t, "-");
	if (g->handler_left && !g->shared) /* of those who share it some may live */
		group_cell_handlers(t, g);
	else if (g->owner_unknown)
		cli_cell(t, "?");
	else if (g->share_why)
		cli_cell(t, "%s: unknown", g->shared ? "shared" : "was shared");
	else if (g->has_shared && (g->shared || g->in_flight || g->done_above))
		cli_cell(t, "%s: %llu ready, %llu in flight, %llu done above", g->shared ? "shared" : "was shared", llu(g->ready),
		         llu(g->in_flight), llu(g->done_above));
	else if (!g->owned)
		cli_cell(t, "-");
	else if (m)
		cell_member(t, m);
	else if (g->owner_pid >= 0)
		cli_cell(t, "%s pid %lld", g->member ? g->member : "?", (long long)g->owner_pid);
	else
		cli_cell(t, "%s", g->member ? g->member : "?");
	group_show_holders(a, g);
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
	a->nobody = (struct member){.info = {.name = "(nobody)", .pid = -1}};
	a->sharers = (struct member){.info = {.name = "(shared)", .pid = -1}};
	(void)mq_group_members(a->cli.mq, group, keep_member, a); /* who may not look sees the rest */
	int rc = mq_group_show(a->cli.mq, group, topic, show_one, a);
	if (a->by_member)
		group_print_members(a, group);
	if (rc >= 0) {
		if (!topic && !a->by_member)
			show_idle(a, group);
		return 0;
	}
	/* Of all groups, those that never read this topic are no news. */
	if (!a->group && mq_status(a->cli.mq) == MQ_EXIT_NOTOPIC)
		return 0;
	return a->unread > unread ? mq_status(a->cli.mq) : cli_fail(&a->cli); /* told already, each place by itself */
}

int group_show(struct args *a, const struct mq_operand *topic)
{
	static const char *const heads[] = {"GROUP", "TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG", ">LOST", ">EXPIRED", "OWNER", NULL};
	static const char *const rated[] = {"GROUP", "TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG", ">LOST", ">EXPIRED", ">RATE", "OWNER", NULL};
	static const char *const members[] = {"GROUP", "MEMBER", ">PID", "HOST", "ROOM", "STATE", ">LAG", "PARTITIONS", NULL};
	static const char *const rated_members[] = {"GROUP", "MEMBER", ">PID", "HOST", "ROOM", "STATE", ">LAG", ">RATE", "PARTITIONS", NULL};
	struct cli *cli = &a->cli;
	int status = 0;

	if (a->group)
		group_keep(a, a->group);
	else if (mq_group_list(cli->mq, group_keep, a) < 0)
		return cli_fail(cli);
	a->only = cli_given(cli, "partition") ? a->partition : topic->partition;
	if (a->interval_ns)
		status = group_first_look(a, topic->topic);
	if (status)
		return status;
	if (a->by_member)
		cli_table_init(&a->table, a->interval_ns ? rated_members : members);
	else
		cli_table_init(&a->table, a->interval_ns ? rated : heads);
	for (size_t i = 0; i < a->groups.n && !ferror(stdout); i++) {
		int one = show_group(a, a->groups.v[i], topic->topic);
		status = status ? status : one;
	}
	if (!status && !a->shown)
		status = nothing_shown(a, topic);
	if (a->table.cells || (!a->json && !status))
		cli_table_print(&a->table);
	group_forget_looks(a);
	return status;
}
