/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A drain to nobody: places move, and nothing is read; or all that is passed is in an archive before.
 *
 * The archive of a topic is made when every partition of it is this member's, or needs to be waited for no more: so what others are at
 * work on is theirs, and one archive holds the rest.  killed before it has its name: nothing happened; after: the places stand where
 * they stood, and whoever is asked for the same finds the archive, and moves them (spool/archive_backlog.c).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/consume.h"

/* --- what is archived ----------------------------------------------------------------------- */

/* 1: nothing is to be waited for. */
static bool is_settled(const struct mq_consume *c, const char *topic)
{
	for (size_t i = 0; i < c->feeds_n; i++) {
		const struct mq_feed *f = c->feeds[i];
		if (strcmp(f->topic, topic) == 0 && !f->left && (!f->owner || f->leaving))
			return false;
	}
	return true;
}

static bool is_ours(const struct mq_feed *f, const char *topic)
{
	return strcmp(f->topic, topic) == 0 && f->owner && !f->left && f->next < f->end;
}

/* Of partitions that rise. */
static size_t gather(const struct mq_consume *c, const char *topic, struct mq_part_span *spans)
{
	size_t n = 0;

	for (size_t i = 0; i < c->feeds_n; i++) {
		const struct mq_feed *f = c->feeds[i];
		size_t at = n;

		if (!is_ours(f, topic))
			continue;
		while (at > 0 && spans[at - 1].partition > f->partition)
			at--;
		memmove(spans + at + 1, spans + at, (n - at) * sizeof *spans);
		spans[at] = (struct mq_part_span){f->partition, f->next, f->end};
		n++;
	}
	return n;
}

static uint64_t end_of(const struct mq_part_span *spans, size_t n, const struct mq_feed *f)
{
	for (size_t i = 0; i < n; i++)
		if (spans[i].partition == f->partition)
			return spans[i].to;
	return f->next;
}

/* What the archive holds is kept; last: and that is the end. */
static void adopt(struct mq_consume *c, const char *topic, const struct mq_part_span *spans, size_t n, bool last)
{
	uint64_t kept = 0, later = 0;

	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];

		if (!is_ours(f, topic))
			continue;
		f->kept = end_of(spans, n, f);
		kept += f->kept - f->next;
		if (last) {
			later += f->end - f->kept;
			f->end = f->kept;
		}
	}
	mq_ops_notice(c->mq, last ? 0 : 1, "%s: %" PRIu64 " record%s of group %s %s %s%s", topic, kept, kept == 1 ? "" : "s", c->req->group,
	              kept == 1 ? "is" : "are", last ? "held by an archive that was made before, and done now: " : "archived in ", c->req->archive);
	if (later)
		mq_ops_notice(c->mq, 0, "%s: %" PRIu64 " record%s came later and %s left: name another archive", topic, later, later == 1 ? "" : "s",
		              later == 1 ? "is" : "are");
}

static int archive(struct mq_consume *c, const char *topic)
{
	struct mq_part_span *spans;
	bool last = false;

	if (!c->engine->archive_backlog)
		return mq_err_set(c->err, MQ_EUSAGE, "%s: this store makes no archives", c->engine->scheme);
	if (!(spans = calloc(c->feeds_n + 1, sizeof *spans)))
		return mq_consume_no_memory(c);
	size_t n = gather(c, topic, spans);
	int rc = c->engine->archive_backlog(c->store, topic, c->req->group, spans, n, c->req->archive, &last, c->err);
	if (rc == 0)
		adopt(c, topic, spans, n, last);
	free(spans);
	return rc;
}

/* --- what is done --------------------------------------------------------------------------- */

int mq_drain_discard(struct mq_consume *c, struct mq_feed *f)
{
	int rc = 0;

	if (f->next >= f->end)
		return 0;
	if (c->req->archive && f->kept <= f->next) {
		if (!is_settled(c, f->topic))
			return 0;
		rc = archive(c, f->topic);
	}
	uint64_t to = c->req->archive && f->kept < f->end ? f->kept : f->end;
	if (rc < 0 || to <= f->next)
		return rc < 0 ? rc : 1;
	c->report.records += to - f->next;
	rc = mq_feed_seek(c, f, to);
	f->given = f->done = f->next;
	if (rc == 0)
		rc = mq_group_commit_feed(c, f);
	return rc < 0 ? rc : 1;
}
