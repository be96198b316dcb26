/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-group show --members: a line a member, however many partitions it has. */
#include "mq-group.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAX = 300 };

static int add_text(struct args *a, struct member *m, const char *text)
{
	size_t n = strlen(text);

	if (m->len + n + 1 > m->room) {
		size_t room = 2 * m->room + n + 64;
		char *has = realloc(m->has, room);

		if (!has)
			return cli_error(&a->cli, MQ_EXIT_IO, "out of memory");
		m->has = has;
		m->room = room;
	}
	memcpy(m->has + m->len, text, n + 1);
	m->len += n;
	return 0;
}

/* The range at hand has ended. */
static int end_range(struct args *a, struct member *m)
{
	char text[32] = "";

	if (!m->len)
		return 0;
	if (m->last > m->first)
		snprintf(text, sizeof text, "-%u", (unsigned)m->last);
	return add_text(a, m, text);
}

int group_add_to_member(struct args *a, const struct mq_group_info *g, struct member *m, double rate)
{
	char text[ENTRY_MAX];
	bool same = m->len && strcmp(m->topic, g->topic) == 0, next = same && g->partition == m->last + 1;
	int status = 0;

	m->lag += g->lag;
	m->rate += rate > 0 ? rate : 0;
	if (!next) {
		status = end_range(a, m);
		if (same)
			snprintf(text, sizeof text, ",%u", (unsigned)g->partition);
		else
			snprintf(text, sizeof text, "%s%s:%u", m->len ? " " : "", g->topic, (unsigned)g->partition);
		if (!status)
			status = add_text(a, m, text);
		m->first = g->partition;
	}
	m->last = g->partition;
	snprintf(m->topic, sizeof m->topic, "%s", g->topic);
	return status;
}

static bool is_one(const struct args *a, const struct member *m)
{
	return m != &a->nobody && m != &a->sharers;
}

static void print_json(const struct args *a, const char *group, const struct member *m)
{
	const char *gap = "";

	printf("{\"v\":1,\"group\":\"%s\",\"member\":", group);
	if (is_one(a, m))
		cli_json_string(stdout, m->info.name);
	else
		printf(m == &a->sharers ? "null,\"shared\":true" : "null");
	if (m->info.pid >= 0)
		printf(",\"pid\":%lld", (long long)m->info.pid);
	if (is_one(a, m))
		group_json_place(m);
	printf(",\"lag\":%llu", llu(m->lag));
	if (a->interval_ns)
		printf(",\"rate\":%.1f", m->rate);
	printf(",\"partitions\":[");
	for (const char *at = m->has; at && *at; gap = ",") {
		size_t n = strcspn(at, " ");

		printf("%s\"%.*s\"", gap, (int)n, at);
		at += n + (at[n] == ' ');
	}
	printf("]}\n");
}

static void print_row(struct args *a, const char *group, const struct member *m)
{
	struct cli_table *t = &a->table;

	cli_cell(t, "%s", group);
	cli_cell(t, "%s", m->info.name);
	if (m->info.pid >= 0)
		cli_cell(t, "%lld", (long long)m->info.pid);
	else
		cli_cell(t, "-");
	cli_cell(t, "%s", *m->info.host ? m->info.host : "-");
	cli_cell(t, "%s", *m->info.room ? m->info.room : "-");
	cli_cell(t, "%s", is_one(a, m) ? group_state(m) : "-");
	cli_cell(t, "%llu", llu(m->lag));
	if (a->interval_ns)
		cli_cell(t, "%.1f", m->rate);
	cli_cell(t, "%s", m->has ? m->has : "-");
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct member *const *)a)->info.name, (*(struct member *const *)b)->info.name);
}

static void print_one(struct args *a, const char *group, struct member *m)
{
	if (end_range(a, m) == 0 && a->json)
		print_json(a, group, m);
	else if (!a->json)
		print_row(a, group, m);
	a->shown++;
	free(m->has);
	m->has = NULL;
}

void group_print_members(struct args *a, const char *group)
{
	struct member **v;
	size_t n = 0, i = 0;

	for (struct member *m = a->members; m; m = m->next)
		n++;
	v = cli_keep(&a->cli, (n + 1) * sizeof *v);
	if (!v)
		return;
	for (struct member *m = a->members; m; m = m->next)
		v[i++] = m;
	qsort(v, n, sizeof *v, by_name);
	for (i = 0; i < n; i++)
		print_one(a, group, v[i]);
	if (a->sharers.has)
		print_one(a, group, &a->sharers);
	if (a->nobody.has)
		print_one(a, group, &a->nobody);
}
