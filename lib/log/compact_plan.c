/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What compaction finds: the closed segments, each as its own file says, and which of them nobody compacted yet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/compact_internal.h"
#include "sys/sys.h"

/* What the chain tells of segment i, where its file cannot be read. */
static void describe(const struct mq_chain *chain, size_t i, struct mq_compact_part *ret)
{
	*ret = (struct mq_compact_part){.h = chain->seg[i],
	                                .stands_id = chain->seg[i].id,
	                                .stands_end_pos = mq_chain_end_pos(chain, i),
	                                .end_pos = mq_chain_end_pos(chain, i),
	                                .end_offset = mq_chain_end_offset(chain, i),
	                                .bad = true};
}

static int look_at(struct mq_compacting *k, size_t i, const struct mq_segment_header *before, struct mq_compact_part *ret)
{
	const struct mq_chain *chain = &k->c->chain;
	struct mq_segment s;
	struct mq_stat st;
	int rc;

	describe(chain, i, ret);
	if (chain->seg[i].blind)
		return 0;
	rc = mq_segment_open(&s, k->c->dir, ret->h.base_offset, ret->h.id.b, false, k->err);
	if (mq_compact_is_damage(rc)) {
		*k->err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	if (rc < 0)
		return rc;
	rc = mq_sys->stat(s.fd, &st);
	if (rc < 0)
		mq_err_sys(k->err, rc, "cannot look at segment %s", s.name);
	ret->joined = before && mq_chain_joins(before, &s.h);
	ret->h = s.h; /* its predecessor as it was named */
	ret->bad = st.size < ret->end_pos;
	ret->written_us = s.h.reason == MQ_SEGMENT_COMPACT ? s.h.written_us : st.mtime_ns / 1000;
	if (s.h.reason == MQ_SEGMENT_COMPACT) {
		ret->stands_id = s.h.stands_id;
		ret->stands_end_pos = s.h.stands_end_pos;
	}
	mq_segment_release(&s);
	return rc;
}

static int survey_parts(struct mq_compacting *k)
{
	const struct mq_chain *chain = &k->c->chain;
	uint64_t start = k->c->log_start > k->opt->below ? k->c->log_start : k->opt->below;
	int rc = 0;

	k->n = 0;
	free(k->part);
	k->part = calloc(chain->n, sizeof *k->part);
	if (!k->part)
		return mq_err_set(k->err, -ENOMEM, "no memory for %zu segments", chain->n);
	for (size_t i = 0; i + 1 < chain->n && rc == 0; i++) {
		if (chain->seg[i + 1].base_offset <= start)
			continue; /* it goes anyway */
		rc = look_at(k, i, k->n ? &k->part[k->n - 1].h : NULL, &k->part[k->n]);
		k->n++;
	}
	return rc;
}

/* What comes behind each must name it: what is written instead is found by that alone. */
static int survey_links(struct mq_compacting *k)
{
	const struct mq_chain *chain = &k->c->chain;
	const struct mq_segment_header *head = &chain->seg[chain->n - 1];
	struct mq_segment s;
	int rc;

	for (size_t i = 0; i + 1 < k->n; i++)
		k->part[i].bad |= !k->part[i + 1].joined;
	if (k->n == 0)
		return 0;
	if (head->blind) {
		k->part[k->n - 1].bad = true;
		return 0;
	}
	rc = mq_segment_open(&s, k->c->dir, head->base_offset, head->id.b, false, k->err);
	if (rc < 0)
		return rc;
	k->part[k->n - 1].bad |= !mq_chain_joins(&k->part[k->n - 1].h, &s.h);
	mq_segment_release(&s);
	return 0;
}

int mq_compact_survey(struct mq_compacting *k)
{
	int rc;

	mq_chain_release(&k->c->chain); /* its links are of the time before what stands there now */
	rc = mq_cursor_refresh(k->c, k->err);
	if (rc == 0)
		rc = mq_chain_extend_all(&k->c->chain, k->c->dir, k->err);
	if (rc == 0)
		rc = survey_parts(k);
	return rc < 0 ? rc : survey_links(k);
}

static bool is_clean(const struct mq_compact_part *p)
{
	return p->h.reason == MQ_SEGMENT_COMPACT && p->h.clean_offset >= p->end_offset;
}

bool mq_compact_due(struct mq_compacting *k)
{
	uint64_t all = 0, dirty = 0;

	for (size_t i = 0; i < k->n; i++) {
		const struct mq_compact_part *p = &k->part[i];

		all += p->end_pos;
		if (p->bad || (dirty == 0 && is_clean(p)))
			continue;
		if (dirty == 0)
			k->map_from = p->h.reason == MQ_SEGMENT_COMPACT ? p->h.clean_offset : p->h.base_offset;
		dirty += p->end_pos;
	}
	return dirty > 0 && (double)dirty * 1e6 >= (double)all * k->opt->dirty_millionths;
}
