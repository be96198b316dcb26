/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has what, and who will. */
#include "mq-rebalance.h"

#include <string.h>

/* ---- JSON ---- */
static void print_name(const struct shares *s, const char *field, int member)
{
	printf(",\"%s\":", field);
	if (member < 0)
		printf("null");
	else
		cli_json_string(stdout, s->members[member].name);
}

static void print_member(const struct shares *s, const struct mq_member_info *m)
{
	static const char *const states[] = {"alive", "running", "stopped"};

	printf("{\"v\":1,\"group\":\"%s\",\"member\":\"%s\"", s->group, m->name);
	if (m->pid >= 0)
		printf(",\"pid\":%lld", (long long)m->pid);
	if (*m->host)
		printf(",\"host\":\"%s\"", m->host);
	if (*m->room) {
		printf(",\"room\":");
		cli_json_string(stdout, m->room);
	}
	printf(",\"state\":\"%s\",\"counts\":%s}\n", states[m->state], m->counts ? "true" : "false");
}

void shares_print_json(const struct shares *s, const struct mq_rebalance_report *report)
{
	printf("{\"v\":1,\"group\":\"%s\",\"strategy\":\"%s\",\"within\":\"%s\",\"changed\":%s}\n", s->group, report->strategy,
	       report->within, report->changed ? "true" : "false");
	for (size_t i = 0; i < s->n_members; i++)
		print_member(s, &s->members[i]);
	for (size_t i = 0; i < s->n_parts; i++) {
		printf("{\"v\":1,\"group\":\"%s\",\"topic\":\"%s\",\"partition\":%u", s->group, s->parts[i].topic,
		       (unsigned)s->parts[i].partition);
		print_name(s, "member", s->parts[i].now);
		print_name(s, "next", s->parts[i].next);
		printf("%s}\n", s->parts[i].now == TOGETHER ? ",\"shared\":true" : "");
	}
}

/* ---- a table ---- */
static const char *name_of(const struct shares *s, int member)
{
	return member >= 0 ? s->members[member].name : member == TOGETHER ? "(shared)" : "(nobody)";
}

static void cell_member(struct cli_table *t, const struct shares *s, int member)
{
	const struct mq_member_info *m = member < 0 ? NULL : &s->members[member];

	cli_cell(t, "%s", name_of(s, member));
	if (m && m->pid >= 0)
		cli_cell(t, "%lld", (long long)m->pid);
	else
		cli_cell(t, "-");
	cli_cell(t, "%s", m && *m->host ? m->host : "-");
	cli_cell(t, "%s", m && *m->room ? m->room : "-");
}

static void cell_list(struct cli_table *t, const char *list)
{
	cli_cell(t, "%s", *list ? list : "-");
}

/* A row for each topic of which it has something, or will have. */
static void rows_of(struct cli_table *t, const struct shares *s, int member)
{
	bool any = false;

	for (size_t i = 0, end; i < s->n_parts; i = end) {
		bool has = *shares_list(s, i, false, member, &end), will = *shares_list(s, i, true, member, &end);

		if (!has && !(s->sets && will))
			continue;
		any = true;
		cell_member(t, s, member);
		cli_cell(t, "%s", s->parts[i].topic);
		cell_list(t, shares_list(s, i, false, member, &end));
		if (s->sets)
			cell_list(t, shares_list(s, i, true, member, &end));
	}
	if (any || member < 0)
		return;
	cell_member(t, s, member);
	for (int i = 0; i < (s->sets ? 3 : 2); i++)
		cli_cell(t, "-");
}

/* "orders:2-3: A -> B", for each two between whom something of a topic moves. */
static void print_moves(const struct shares *s)
{
	for (size_t i = 0; i < s->n_parts; i++) {
		const struct share_part *p = &s->parts[i];
		size_t end = i;

		while (end + 1 < s->n_parts && s->parts[end + 1].topic == p->topic && s->parts[end + 1].now == p->now &&
		       s->parts[end + 1].next == p->next)
			end++;
		if (p->now != p->next && p->next >= 0) { /* who will have nothing is told in a line of its own */
			printf("%s:%u", p->topic, (unsigned)p->partition);
			if (end > i)
				printf("-%u", (unsigned)s->parts[end].partition);
			printf(": %s -> %s\n", name_of(s, p->now), name_of(s, p->next));
		}
		i = end;
	}
}

void shares_print_table(const struct shares *s, const struct mq_rebalance_report *report)
{
	static const char *const heads[] = {"MEMBER", ">PID", "HOST", "ROOM", "TOPIC", "PARTITIONS", NULL};
	static const char *const both[] = {"MEMBER", ">PID", "HOST", "ROOM", "TOPIC", "NOW", "THEN", NULL};
	bool within = strcmp(report->strategy, "room") == 0 || strcmp(report->strategy, "nearby") == 0;
	struct cli_table t;

	printf("strategy %s%s%s\n", report->strategy, within ? ", within a room " : "", within ? report->within : "");
	cli_table_init(&t, s->sets ? both : heads);
	for (int m = 0; m < (int)s->n_members; m++)
		rows_of(&t, s, m);
	rows_of(&t, s, TOGETHER);
	rows_of(&t, s, NOBODY);
	cli_table_print(&t);
	if (s->sets)
		print_moves(s);
}
