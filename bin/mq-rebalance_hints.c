/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who idles, what nobody gets, and what to do about it. */
#include "mq-rebalance.h"

#include <string.h>

/* The topics that are given out together with that of part i: their number, and which of them is the widest. */
static unsigned topics_of_sort(const struct shares *s, size_t i, const struct share_part **ret_widest, uint32_t *ret_width)
{
	unsigned n = 0;

	*ret_width = 0;
	for (size_t k = 0, end; k < s->n_parts; k = end) {
		for (end = k + 1; end < s->n_parts && s->parts[end].topic == s->parts[k].topic;)
			end++;
		if (s->parts[k].sort != s->parts[i].sort)
			continue;
		n++;
		if (end - k > *ret_width) {
			*ret_width = (uint32_t)(end - k);
			*ret_widest = &s->parts[k];
		}
	}
	return n;
}

static bool is_first_of_sort(const struct shares *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (s->parts[k].sort == s->parts[i].sort)
			return false;
	return true;
}

/* More members than partitions: the next multiple that has one for each, since a multiple moves the fewest keys. */
static bool hint_growth(const struct shares *s)
{
	bool some = false;

	for (size_t i = 0; i < s->n_parts; i++) {
		const struct share_part *p = &s->parts[i], *widest = p;
		uint32_t width, times, lack;
		unsigned topics;

		if (p->readers <= p->shared || (i > 0 && s->parts[i - 1].topic == p->topic) || !is_first_of_sort(s, i))
			continue;
		topics = topics_of_sort(s, i, &widest, &width);
		lack = p->readers - p->shared;
		times = (width + lack + width - 1) / width;
		some = true;
		cli_say(s->cli, "%u members read %s%s, with %u partition%s%s: %u of them idle%s; for one each: mq-rebalance %s --partitions %u",
		        (unsigned)p->readers, widest->topic, topics > 1 ? " and the like" : "", (unsigned)p->shared, p->shared == 1 ? "" : "s",
		        topics > 1 ? " in all" : "", (unsigned)lack, lack == 1 ? "s" : "", widest->topic, (unsigned)(width * times));
	}
	return some;
}

static void hint_idle(const struct shares *s)
{
	unsigned idle = 0;
	int first = 0;

	for (int m = (int)s->n_members - 1; m >= 0; m--) {
		bool has = !s->members[m].counts;

		for (size_t i = 0; i < s->n_parts && !has; i++)
			has = s->parts[i].next == m;
		if (has)
			continue;
		idle++;
		first = m;
	}
	if (idle == 1)
		cli_say(s->cli, "%s gets nothing by this strategy", s->members[first].name);
	else if (idle > 1)
		cli_say(s->cli, "%u members get nothing by this strategy, %s and others", idle, s->members[first].name);
}

static void hint_nobody(const struct shares *s, const struct mq_rebalance_report *report)
{
	for (size_t i = 0, end; i < s->n_parts; i = end) {
		const char *list = shares_list(s, i, true, NOBODY, &end);

		if (*list && s->parts[i].readers)
			cli_say(s->cli, "%s:%s: nobody gets %s: %s", s->parts[i].topic, list, strpbrk(list, ",-") ? "them" : "it",
			        strcmp(report->strategy, "config") == 0 ? "no member is of a pattern that they are assigned to"
			                                                : "no member is in their room (-X room.NAME=LIST; mq-consume -X client.rack=NAME)");
	}
}

static bool hint_shared(const struct shares *s)
{
	bool some = false;

	for (size_t i = 0, end; i < s->n_parts; i = end) {
		const char *list = shares_list(s, i, false, TOGETHER, &end);

		if (*list)
			cli_say(s->cli, "%s shares %s:%s record by record (--share): no strategy is about that, nor the number of partitions",
			        s->group, s->parts[i].topic, list);
		some |= *list != '\0';
	}
	return some;
}

/* One that does nothing and gives nothing up: who waits for its partitions waits for ever. */
static void hint_stopped(const struct shares *s)
{
	for (size_t m = 0; m < s->n_members; m++) {
		const struct mq_member_info *member = &s->members[m];
		bool has = false;

		for (size_t i = 0; i < s->n_parts && !has; i++)
			has = s->parts[i].now == (int)m;
		if (has && member->state == MQ_MEMBER_IS_STOPPED)
			cli_say(s->cli, "%s was stopped and lets go of nothing: kill -CONT %lld, or mq-group evict -g %s --member %s",
			        member->name, (long long)member->pid, s->group, member->name);
	}
}

/* Why there is no assignment. */
static void hint_none_counts(const struct shares *s)
{
	if (!s->n_members)
		cli_say(s->cli, "%s has no member now: its strategy holds from the first one on", s->group);
	else
		cli_say(s->cli, "%s has no member that counts, as one does that has been there for 200 ms and shares nothing (--share)", s->group);
}

void shares_hint(const struct shares *s, const struct mq_rebalance_report *report)
{
	uint32_t counting = 0, moving = 0;

	for (size_t m = 0; m < s->n_members; m++)
		counting += s->members[m].counts;
	for (size_t i = 0; i < s->n_parts; i++)
		moving += s->parts[i].next != s->parts[i].now;
	if (!hint_shared(s) && !counting)
		hint_none_counts(s);
	if (counting && !hint_growth(s))
		hint_idle(s);
	if (counting)
		hint_nobody(s, report);
	hint_stopped(s);
	if (s->sets || moving)
		cli_say(s->cli, "%u of %zu partitions %smove", (unsigned)moving, s->n_parts, s->dry_run ? "would " : "");
}
