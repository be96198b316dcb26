/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-rebalance -g: who has what, and how it is given out. */
#include "mq-rebalance.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(struct shares *s)
{
	return cli_error(s->cli, MQ_EXIT_IO, "out of memory");
}

static int keep_member(void *arg, const struct mq_member_info *info)
{
	struct shares *s = arg;

	if (s->n_members == s->cap_members) {
		size_t cap = s->cap_members ? 2 * s->cap_members : 16;
		struct mq_member_info *members = realloc(s->members, cap * sizeof *members);

		if (!members)
			return no_memory(s);
		s->members = members;
		s->cap_members = cap;
	}
	s->members[s->n_members++] = *info;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mq_member_info *)a)->name, ((const struct mq_member_info *)b)->name);
}

/* Members that share a partition take no part in giving it out: it is no one's, and not free. */
static int mark_shared(void *arg, const struct mq_group_info *g)
{
	struct shares *s = arg;

	for (size_t i = 0; g->shared && i < s->n_parts; i++) {
		struct share_part *p = &s->parts[i];

		if (p->partition != g->partition || strcmp(p->topic, g->topic) != 0)
			continue;
		p->now = p->now == NOBODY ? TOGETHER : p->now;
		p->next = p->next == NOBODY ? TOGETHER : p->next;
		break;
	}
	return 0;
}

/* Where all members count, none shares.  What cannot be looked at is not marked. */
static void find_shared(struct shares *s, const struct args *a)
{
	bool all_count = true;

	for (size_t m = 0; m < s->n_members; m++)
		all_count &= s->members[m].counts;
	for (size_t i = 0; !all_count && i < s->n_parts; i++)
		if (i == 0 || s->parts[i - 1].topic != s->parts[i].topic)
			(void)mq_group_show(a->cli.mq, a->group, s->parts[i].topic, mark_shared, s);
}

/* One that has just come, or gone, is nobody here. */
static int find_member(const struct shares *s, const char *name)
{
	struct mq_member_info key = {.pid = -1};
	const struct mq_member_info *m;

	if (!name || !s->n_members)
		return NOBODY;
	snprintf(key.name, sizeof key.name, "%s", name);
	m = bsearch(&key, s->members, s->n_members, sizeof key, by_name);
	return m ? (int)(m - s->members) : NOBODY;
}

static int keep_part(void *arg, const struct mq_assignment *a)
{
	struct shares *s = arg;
	const char *topic = s->n_parts ? s->parts[s->n_parts - 1].topic : NULL;

	if (s->n_parts == s->cap_parts) {
		size_t cap = s->cap_parts ? 2 * s->cap_parts : 64;
		struct share_part *parts = realloc(s->parts, cap * sizeof *parts);

		if (!parts)
			return no_memory(s);
		s->parts = parts;
		s->cap_parts = cap;
	}
	if (!topic || strcmp(topic, a->topic) != 0) {
		char *copy = cli_keep(s->cli, strlen(a->topic) + 1);

		if (!copy)
			return MQ_EXIT_IO;
		topic = strcpy(copy, a->topic);
	}
	s->parts[s->n_parts++] = (struct share_part){
		.topic = topic, .partition = a->partition, .now = find_member(s, a->now), .next = find_member(s, a->next),
		.sort = a->sort, .readers = a->readers, .shared = a->shared,
	};
	return 0;
}

const char *shares_list(const struct shares *s, size_t i, bool next, int member, size_t *ret_end)
{
	static char text[65536]; /* of 10,000 partitions no list of ranges is longer */
	const char *topic = s->parts[i].topic;
	size_t len = 0;
	int64_t first = -1;

	*text = '\0';
	for (;; i++) {
		bool of_topic = i < s->n_parts && s->parts[i].topic == topic;
		bool is = of_topic && (next ? s->parts[i].next : s->parts[i].now) == member;
		long long last = i ? s->parts[i - 1].partition : 0;

		if (is && first < 0)
			first = s->parts[i].partition;
		if (!is && first >= 0) {
			int n = snprintf(text + len, sizeof text - len, last > first ? "%s%lld-%lld" : "%s%lld", len ? "," : "", (long long)first, last);

			len += n > 0 && len + (size_t)n < sizeof text ? (size_t)n : 0;
			first = -1;
		}
		if (!of_topic)
			break;
	}
	*ret_end = i;
	return text;
}

/* What is to be set, of --strategy, -X and --assign. */
static int take_set(struct args *a, struct mq_rebalance_request *req)
{
	static const char *const words[] = {"average", "circle", "sticky", "hash", "room", "nearby", "config"};
	struct cli_texts all = {0};
	char *text = cli_keep(&a->cli, 40);
	int status = 0;

	if (!text)
		return MQ_EXIT_IO;
	if (a->assign) {
		req->forget_assigns = true;
		status = rebalance_read_assign(a, &all);
	}
	if (!status && cli_given(&a->cli, "strategy")) {
		snprintf(text, 40, "strategy=%s", words[a->strategy]);
		status = cli_add_text(&a->cli, &all, text) == CLI_GO ? 0 : MQ_EXIT_IO;
	}
	for (size_t i = 0; i < a->set.n && !status; i++)
		status = cli_add_text(&a->cli, &all, a->set.v[i]) == CLI_GO ? 0 : MQ_EXIT_IO;
	req->set = all.v;
	req->n_set = all.n;
	return status;
}

static void tell_done(struct args *a, const struct mq_rebalance_report *report)
{
	if (report->made)
		cli_say(&a->cli, "group %s %s made: nobody has read as it yet", a->group, a->dry_run ? "would be" : "was");
	if (!report->changed)
		cli_say(&a->cli, "%s: it is so already", a->group);
}

static int work(struct args *a, struct shares *s)
{
	struct cli *cli = &a->cli;
	const char *const *topics = cli->topic ? &cli->topic : (const char *const *)cli->operands;
	struct mq_rebalance_request req = {
		.group = a->group, .topics = topics, .n_topics = cli->topic ? 1 : cli->n_operands,
		.dry_run = a->dry_run, .assignment = keep_part, .arg = s,
	};
	struct mq_rebalance_report report;
	int rc, status = take_set(a, &req);

	if (status)
		return status;
	s->sets = a->dry_run || req.n_set || req.forget_assigns;
	s->dry_run = a->dry_run;
	(void)mq_group_members(cli->mq, a->group, keep_member, s); /* who may not look has the rest */
	if (s->n_members)
		qsort(s->members, s->n_members, sizeof *s->members, by_name);
	rc = mq_rebalance(cli->mq, &req, &report);
	if (rc != 0)
		return rc < 0 ? cli_fail(cli) : rc;
	find_shared(s, a);
	if (a->json)
		shares_print_json(s, &report);
	else
		shares_print_table(s, &report);
	if (req.n_set || req.forget_assigns)
		tell_done(a, &report);
	shares_hint(s, &report);
	return 0;
}

int rebalance_group(struct args *a)
{
	struct shares s = {.cli = &a->cli, .group = a->group};
	int status = work(a, &s);

	free(s.members);
	free(s.parts);
	return status;
}
