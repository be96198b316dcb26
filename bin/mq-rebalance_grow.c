/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-rebalance TOPIC --partitions: more partitions. */
#include "mq-rebalance.h"

#include <inttypes.h>

static void tell_json(const char *topic, const struct mq_growth_report *r, const struct args *a)
{
	printf("{\"v\":1,\"topic\":\"%s\",\"before\":%" PRIu32 ",\"partitions\":%" PRIu32 ",\"barrier\":%s,\"dry_run\":%s}\n", topic, r->before,
	       r->after, a->no_barrier ? "false" : "true", a->dry_run ? "true" : "false");
	for (uint32_t p = 0; p < r->after && r->begins; p++)
		printf("{\"v\":1,\"topic\":\"%s\",\"partition\":%" PRIu32 ",\"offset\":%" PRIu64 "}\n", topic, p, r->begins[p]);
}

/* What is worth knowing before it is done, and cannot be taken back. */
static void advise(struct args *a, const char *topic, const struct mq_growth_report *r)
{
	if (r->multiple)
		cli_say(&a->cli, "%" PRIu32 " is no multiple of %" PRIu32 ": every partition waits until groups have finished what all the others "
		        "hold; of %" PRIu32 " only the new ones %s, each for one", r->after, r->before, r->multiple,
		        a->dry_run ? "would wait" : "would have waited");
	if (a->dry_run && !a->no_barrier)
		cli_say(&a->cli, "%s: each key's records stay in order; groups reach new records when they are done with those from before",
		        topic);
	if (a->no_barrier)
		cli_say(&a->cli, "%s: the order of a key's records is not kept between those from before and those from now on", topic);
}

int rebalance_grow(struct args *a)
{
	struct mq_growth_report r;
	struct mq_operand topic;
	int status;

	if (a->group || a->spread || cli_given(&a->cli, "strategy") || cli_given(&a->cli, "set") || a->assign)
		return cli_usage(&a->cli, "--partitions is about a topic, whatever groups read it: without -g and what goes with it");
	status = cli_topic(&a->cli, &topic);
	if (status)
		return status;
	if (topic.partition >= 0)
		return cli_usage(&a->cli, "%s:%" PRId64 ": the whole topic gets more partitions", topic.topic, topic.partition);
	if (a->cli.n_operands)
		return cli_usage(&a->cli, "%s: one topic at a time", a->cli.operands[0]);
	status = cli_open(&a->cli, 0);
	if (status)
		return status;
	if (mq_topic_grow(a->cli.mq, topic.topic, a->partitions, a->no_barrier, a->dry_run, &r) < 0)
		return cli_fail(&a->cli);
	advise(a, topic.topic, &r);
	if (a->json)
		tell_json(topic.topic, &r, a);
	else
		cli_say(&a->cli, "%s: %" PRIu32 " partitions, %s%" PRIu32, topic.topic, r.before, a->dry_run ? "would become " : "now ", r.after);
	return 0;
}
