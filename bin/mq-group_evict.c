/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-group: members evicted. */
#include "mq-group.h"

static void print_json(const struct args *a, const struct mq_evict_move *m)
{
	printf("{\"v\":1,\"group\":\"%s\"", a->group);
	if (m->topic)
		printf(",\"topic\":\"%s\",\"partition\":%u", m->topic, (unsigned)m->partition);
	if (m->member) {
		printf(",\"member\":");
		cli_json_string(stdout, m->member);
	}
	if (m->pid >= 0)
		printf(",\"pid\":%lld", (long long)m->pid);
	if (m->topic)
		printf(",\"handler_left\":%s,\"generation\":%u", m->handler_left ? "true" : "false", (unsigned)m->generation);
	printf("}\n");
}

static int print_one(void *arg, const struct mq_evict_move *m)
{
	struct args *a = arg;
	const char *dry = a->dry_run ? " (dry run)" : "";

	a->shown++;
	if (a->json) {
		print_json(a, m);
		return ferror(stdout);
	}
	if (m->topic)
		printf("%s:%u: %s%s", m->topic, (unsigned)m->partition, m->handler_left ? "a killed member's handler, of " : "",
		       m->member ? m->member : "?");
	else
		printf("%s: %s", a->group, m->member ? m->member : "?");
	if (m->pid >= 0)
		printf(" pid %lld", (long long)m->pid);
	if (m->topic)
		printf(" evicted, generation %u%s\n", (unsigned)m->generation, dry);
	else
		printf(" is no member any more%s\n", dry);
	return ferror(stdout);
}

int group_evict(struct args *a, const struct mq_operand *topic)
{
	struct cli *cli = &a->cli;
	int64_t partition = cli_given(cli, "partition") ? a->partition : topic->partition;

	if (topic->partition >= 0 && cli_given(cli, "partition"))
		return cli_usage(cli, "the partition is given twice");
	if (topic->offset)
		return cli_usage(cli, "%s:%lld: an owner is evicted from a partition, not from an offset", topic->topic,
		                 (long long)topic->partition);
	if (!topic->topic && partition >= 0)
		return cli_usage(cli, "partition %lld of which topic?", (long long)partition);
	if (mq_group_evict(cli->mq, a->group, topic->topic, partition, a->member, a->dry_run, print_one, a) < 0)
		return cli_fail(cli);
	if (!a->shown && a->member)
		cli_say(cli, "%s: %s owns nothing there", a->group, a->member);
	else if (!a->shown)
		cli_say(cli, "%s: nobody owns it", a->group);
	return 0;
}
