/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-group show: who holds something of a partition beside its owner. */
#include "mq-group.h"

/* The numbers of the processes of that kind, a text in between; how many. */
static size_t pids_of(const struct mq_group_info *g, enum mq_hold what, char *to, size_t cap, const char *between)
{
	size_t n = 0, len = 0;

	*to = '\0';
	for (size_t i = 0; i < g->n_holders; i++) {
		const struct mq_group_holder *h = &g->holders[i];
		int more;

		if (h->what != what || h->pid < 0)
			continue;
		more = snprintf(to + len, cap - len, "%s%lld", n ? between : "", (long long)h->pid);
		if (more < 0 || len + (size_t)more >= cap)
			break;
		len += (size_t)more;
		n++;
	}
	return n;
}

void group_cell_handlers(struct cli_table *t, const struct mq_group_info *g)
{
	char pids[300];
	size_t n = pids_of(g, MQ_HOLD_HANDLER, pids, sizeof pids, ", ");

	cli_cell(t, "(a killed member's handler lives on%s%s)", n ? ": pid " : "", pids);
}

/* A row of its own, with nothing of what the owner has done. */
static void begin_row(struct args *a, const struct mq_group_info *g)
{
	cli_cell(&a->table, "%s", g->group);
	cli_cell(&a->table, "%s", g->topic);
	cli_cell(&a->table, "%u", (unsigned)g->partition);
	for (int i = 0; i < (a->interval_ns ? 6 : 5); i++)
		cli_cell(&a->table, "-");
}

void group_show_holders(struct args *a, const struct mq_group_info *g)
{
	for (size_t i = 0; i < g->n_holders; i++) {
		const struct mq_group_holder *h = &g->holders[i];
		const char *stopped = h->stopped ? ", stopped" : "";

		if (h->what == MQ_HOLD_HANDLER)
			continue;
		begin_row(a, g);
		if (h->what == MQ_HOLD_LOCK)
			cli_cell(&a->table, "(pid %lld%s, holds a lock that the owner waits for)", (long long)h->pid, stopped);
		else if (h->pid < 0)
			cli_cell(&a->table, "%s (evicted)", *h->member ? h->member : "?");
		else
			cli_cell(&a->table, "%s pid %lld (evicted%s)", *h->member ? h->member : "?", (long long)h->pid, stopped);
	}
}

static void json_evicted(const struct mq_group_info *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_holders; i++) {
		const struct mq_group_holder *h = &g->holders[i];

		if (h->what != MQ_HOLD_EVICTED)
			continue;
		printf(n++ ? ",{\"member\":" : ",\"evicted\":[{\"member\":");
		if (*h->member)
			cli_json_string(stdout, h->member);
		else
			printf("null");
		if (h->pid >= 0)
			printf(",\"pid\":%lld", (long long)h->pid);
		printf(",\"state\":\"evicted\",\"stopped\":%s,\"generation\":%u}", h->stopped ? "true" : "false", (unsigned)h->generation);
	}
	if (n)
		putchar(']');
}

void group_json_holders(const struct mq_group_info *g)
{
	char pids[1000];

	json_evicted(g);
	if (pids_of(g, MQ_HOLD_HANDLER, pids, sizeof pids, ","))
		printf(",\"handler_pids\":[%s]", pids);
	if (pids_of(g, MQ_HOLD_LOCK, pids, sizeof pids, ","))
		printf(",\"waits_for\":[%s]", pids);
}
