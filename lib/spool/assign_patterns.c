/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/assign_internal.h"

/* '*' is any text, '?' any byte.  Not fnmatch(3): what that finds is a matter of each member's locale. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *again = NULL;

	while (*text)
		if (*pattern == '*') {
			star = pattern++;
			again = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++again;
		} else {
			return false;
		}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static int32_t first_member(const struct mq_assign_case *c, const char *pattern)
{
	for (uint32_t m = 0; m < c->n_members; m++)
		if (matches(pattern, c->members[m].host) || matches(pattern, c->members[m].name))
			return (int32_t)m;
	return -1;
}

static void give(struct mq_assign_case *c, const struct mq_assign_set *set, int32_t m)
{
	uint32_t first = 0;

	for (uint32_t t = 0; t < c->n_topics; first += c->topics[t++].partitions)
		for (uint32_t p = 0; p < c->topics[t].partitions; p++)
			if (mq_assign_set_has(set, p) && (c->owner[first + p] < 0 || m < c->owner[first + p]))
				c->owner[first + p] = m;
}

void mq_assign_patterns(struct mq_assign_case *c)
{
	for (size_t i = 0; i < c->conf->assigns.n; i++) {
		const struct mq_assign_rule *rule = &c->conf->assigns.v[i];
		int32_t m = first_member(c, rule->pattern);
		if (m >= 0)
			give(c, &rule->set, m);
	}
}
