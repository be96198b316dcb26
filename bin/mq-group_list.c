/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-group list: which groups there are, in few numbers. */
#include "mq-group.h"

#include <string.h>

/* Names are borrowed until the next call on the session, and show makes one for each. */
int group_keep(void *arg, const char *group)
{
	struct args *a = arg;
	char *copy = cli_keep(&a->cli, strlen(group) + 1);

	return !copy || cli_add_text(&a->cli, &a->groups, strcpy(copy, group)) != CLI_GO;
}

static int list_json(const struct mq_group_sum *g)
{
	printf("{\"v\":1,\"group\":\"%s\"", g->group);
	if (!g->members_unknown)
		printf(",\"members\":%u,\"stopped\":%u", (unsigned)g->members, (unsigned)g->stopped);
	printf(",\"topics\":%u,\"partitions\":%llu,\"owned\":", (unsigned)g->topics, llu(g->partitions));
	printf(g->owners_unknown ? "null" : "%llu", llu(g->owned));
	printf(",\"lag\":%llu}\n", llu(g->lag));
	return ferror(stdout);
}

static int list_one(void *arg, const struct mq_group_sum *g)
{
	struct args *a = arg;
	struct cli_table *t = &a->table;

	if (g->why)
		cli_error(&a->cli, 0, "group %s: %s", g->group, g->why);
	a->unread += g->why != NULL;
	if (a->json)
		return g->why ? 0 : list_json(g);
	cli_cell(t, "%s", g->group);
	if (g->why || g->members_unknown)
		cli_cell(t, "?");
	else if (g->stopped)
		cli_cell(t, "%u (%u stopped)", (unsigned)g->members, (unsigned)g->stopped);
	else
		cli_cell(t, "%u", (unsigned)g->members);
	for (int i = 0; g->why && i < 3; i++)
		cli_cell(t, "?");
	if (g->why)
		return 0;
	cli_cell(t, "%u", (unsigned)g->topics);
	if (g->owners_unknown)
		cli_cell(t, "?/%llu", llu(g->partitions));
	else
		cli_cell(t, "%llu/%llu", llu(g->owned), llu(g->partitions));
	cli_cell(t, "%llu", llu(g->lag));
	return 0;
}

int group_list(struct args *a)
{
	static const char *const heads[] = {"GROUP", ">MEMBERS", ">TOPICS", ">OWNED", ">LAG", NULL};
	int rc;

	cli_table_init(&a->table, heads);
	if (!a->cli.quiet) {
		rc = mq_group_sums(a->cli.mq, list_one, a);
		if (!a->json)
			cli_table_print(&a->table);
		return rc >= 0 ? 0 : a->unread ? mq_status(a->cli.mq) : cli_fail(&a->cli);
	}
	if (mq_group_list(a->cli.mq, group_keep, a) < 0)
		return cli_fail(&a->cli);
	for (size_t i = 0; i < a->groups.n && !ferror(stdout); i++)
		printf(a->json ? "{\"v\":1,\"group\":\"%s\"}\n" : "%s\n", a->groups.v[i]);
	return 0;
}
