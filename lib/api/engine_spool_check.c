/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: checking.  mq.h's structs and spool/check.h's say the same. */
#include "api/engine_spool_private.h"
#include "api/mq.h"
#include "spool/check.h"

_Static_assert((int)MQ_FINDING_DAMAGE == (int)MQ_CHECK_DAMAGE && (int)MQ_FINDING_NEWER == (int)MQ_CHECK_NEWER, "one order");

static int pass_finding(void *arg, const struct mq_check_finding *f)
{
	const struct mq_check_request *req = arg;
	struct mq_finding out = {.kind = (enum mq_finding_kind)f->kind,
	                         .what = f->what,
	                         .position = f->position,
	                         .length = f->length,
	                         .offset_from = f->offset_from,
	                         .offset_to = f->offset_to,
	                         .mended = f->mended,
	                         .text = f->text};

	return req->found ? req->found(req->arg, &out) : 0;
}

static void pass_progress(void *arg, uint64_t done, uint64_t all)
{
	const struct mq_check_request *req = arg;

	req->progress(req->arg, done, all);
}

int mq_engine_spool_check(struct mq_store *s, const void *check_request, void *check_report, struct mq_err *err)
{
	struct mq_check_request req = *(const struct mq_check_request *)check_request;
	struct mq_check_report *rep = check_report;
	struct mq_check_options opt = {.topic = req.topic,
	                               .partition = req.partition,
	                               .mend = req.mend,
	                               .dry_run = req.dry_run,
	                               .found = pass_finding,
	                               .progress = req.progress ? pass_progress : NULL,
	                               .arg = &req};
	struct mq_check_sums sums;
	int rc = mq_spool_check(mq_engine_spool_of(s), &opt, &sums, err);

	if (rc < 0)
		return rc;
	*rep = (struct mq_check_report){.topics = sums.topics,
	                                .partitions = sums.partitions,
	                                .segments = sums.segments,
	                                .batches = sums.batches,
	                                .records = sums.records,
	                                .bytes = sums.bytes,
	                                .damage = sums.found[MQ_CHECK_DAMAGE],
	                                .torn = sums.found[MQ_CHECK_TORN],
	                                .dead = sums.found[MQ_CHECK_DEAD],
	                                .cache = sums.found[MQ_CHECK_CACHE],
	                                .config = sums.found[MQ_CHECK_CONFIG],
	                                .lost = sums.found[MQ_CHECK_LOST],
	                                .newer = sums.found[MQ_CHECK_NEWER],
	                                .left = sums.found[MQ_CHECK_LEFT],
	                                .mended = sums.mended};
	return rc;
}
