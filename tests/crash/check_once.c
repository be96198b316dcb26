/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --once after a power cut: what lies below the place is remembered as done, and what no handler had is not. */
#include <stdio.h>
#include <string.h>

#include "check_parts.h"
#include "spool/once.h"

static const int64_t WINDOW_US = INT64_C(7) * 86400 * 1000000;

static bool remembers(const struct checking *k, const struct story *y, const char *group, uint64_t *ret_tried)
{
	bool yes = false;

	*ret_tried = 0;
	for (const struct fact *f = NULL; (f = fact_next(k->s, y, f));) {
		if (strcmp(f->name, group) != 0)
			continue;
		yes |= f->kind == FACT_ONCE_TRY;
		if (f->kind == FACT_COMMIT_TRY && f->offset > *ret_tried)
			*ret_tried = f->offset;
	}
	return yes;
}

static int look(struct checking *k, const struct story *y, struct mq_once_ids *o, uint64_t place, uint64_t tried, uint64_t end,
                struct mq_err *err)
{
	for (uint64_t at = 0; at < end; at++) {
		const struct fact_record *r = facts_at(k->s->facts, y->name, 0, at, k->s->cut);
		uint64_t seen = 0;
		char id[16];
		int rc;

		if (!r)
			continue;
		snprintf(id, sizeof id, "#%08u", r->serial);
		rc = mq_once_ids_look(o, id, strlen(id), &seen, err);
		if (rc < 0)
			return rc;
		if (rc == 0 && at < place)
			return wrong(k, "%s: the place is %llu, and the id of the record at %llu is not marked", y->name, (unsigned long long)place,
			             (unsigned long long)at);
		if (rc == 1 && at >= tried)
			return wrong(k, "%s: the id of the record at %llu is marked, and no handler had it", y->name, (unsigned long long)at);
	}
	return 0;
}

int check_once(struct checking *k, const struct story *y, struct mq_topic *t, const char *group, uint64_t end)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_group_topic g;
	struct mq_once_ids o;
	struct mq_commit c;
	uint64_t seq, tried;
	int which = -1, rc;

	if (!remembers(k, y, group, &tried) || k->s->rotten)
		return 0;
	rc = mq_group_topic_open(&g, t, group, false, &err);
	if (rc == MQ_ENOTOPIC)
		return 0;
	if (rc == 0) {
		rc = mq_group_topic_read(&g, 0, &c, &which, &seq, &err);
		mq_group_topic_release(&g);
	}
	if (rc == 0)
		rc = mq_once_ids_open(&o, t, group, WINDOW_US, MQ_ONCE_UNIT_LOG2, &err);
	if (rc == 0) {
		rc = look(k, y, &o, which >= 0 ? c.offset : 0, tried, end, &err);
		mq_once_ids_release(&o);
	}
	return rc < 0 && err.code ? wrong(k, "group %s: looking for ids fails: %s", group, err.text) : rc;
}
