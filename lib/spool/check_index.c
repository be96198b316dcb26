/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A segment's index, beside the batches as they come: each entry verifies, leads to a batch, tells its offset and no
 * lesser time than came before; and where the writer makes an entry there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "segment/index.h"
#include "spool/check_internal.h"
#include "sys/sys.h"

static void bad(struct mq_check_index *ix, const char *why)
{
	if (ix->bad++ == 0) {
		ix->bad_at = ix->n * MQ_INDEX_ENTRY_LEN;
		ix->bad_why = why;
	}
}

/* Have entry n, passing over those that do not verify. */
static void load(struct mq_check_index *ix)
{
	while (!ix->have && ix->n < ix->entries) {
		uint8_t raw[MQ_INDEX_ENTRY_LEN];
		uint64_t at = ix->n * MQ_INDEX_ENTRY_LEN;

		ix->have = mq_check_read(ix->fd, raw, sizeof raw, at) == (ssize_t)sizeof raw &&
		           mq_index_entry_decode(raw, &ix->f->h.id, at, &ix->e);
		if (!ix->have) {
			bad(ix, "an entry does not verify");
			ix->n++;
		}
	}
}

static void next(struct mq_check_index *ix)
{
	ix->have = false;
	ix->n++;
	load(ix);
}

void mq_check_index_open(struct mq_check_index *ix, struct mq_check_partition *part, const struct mq_check_file *f)
{
	char name[MQ_SEGMENT_NAME_MAX];
	struct mq_stat st;

	*ix = (struct mq_check_index){.part = part, .f = f};
	mq_check_segment_name(f, "idx", name);
	ix->fd = mq_sys->openat(part->dir, name, O_RDONLY, 0);
	if (ix->fd < 0 || mq_sys->stat(ix->fd, &st) < 0)
		return;
	ix->entries = st.size / MQ_INDEX_ENTRY_LEN;
	ix->trailing = st.size % MQ_INDEX_ENTRY_LEN;
	load(ix);
}

void mq_check_index_skip(struct mq_check_index *ix, uint64_t from, uint64_t to)
{
	while (ix->have && ix->e.pos < from) {
		bad(ix, "an entry leads to no batch");
		next(ix);
	}
	while (ix->have && ix->e.pos < to) {
		ix->last_pos = ix->e.pos;
		ix->count++;
		next(ix);
	}
}

void mq_check_index_batch(struct mq_check_index *ix, uint64_t pos, const struct mq_batch *b)
{
	mq_check_index_skip(ix, pos, pos);
	if (ix->have && ix->e.pos == pos) {
		if (ix->e.offset != b->base_offset)
			bad(ix, "an entry tells another offset than its batch");
		else if (ix->e.max_time_us < ix->max_time_us)
			bad(ix, "an entry tells a lesser time than came before it");
		ix->last_pos = pos;
		ix->count++;
		next(ix);
	} else if (pos >= ix->f->h.born_end_pos && ix->f->header == 0 && ix->missing_pos == 0 &&
	           (ix->count == 0 || pos - ix->last_pos >= MQ_INDEX_INTERVAL)) {
		ix->missing_pos = pos;
	}
	if (pos >= ix->f->h.born_end_pos)
		ix->any = true;
	if (b->max_time_us > ix->max_time_us)
		ix->max_time_us = b->max_time_us;
}

/* Entries behind the end: of the head one may be there for a batch that is not published yet. */
static void beyond(struct mq_check_index *ix, uint64_t limit, bool head)
{
	while (ix->have) {
		if (!head || ix->e.pos < limit)
			bad(ix, ix->e.pos < limit ? "an entry leads to no batch" : "an entry leads behind the segment's end");
		next(ix);
	}
	if (ix->trailing)
		bad(ix, "its last entry is cut short");
}

int mq_check_index_close(struct mq_check_index *ix, const struct mq_segment *s, uint64_t limit, bool head)
{
	struct mq_check *c = ix->part->c;
	struct mq_check_remedy remedy = mq_check_did(c, 0);
	struct mq_check_place at = {0};
	struct mq_err why = MQ_ERR_INIT;
	char name[MQ_SEGMENT_NAME_MAX], text[128] = "";
	int rc = 0;

	mq_check_segment_name(ix->f, "idx", name);
	if (ix->fd < 0 && ix->fd != -ENOENT) {
		rc = mq_err_sys(c->err, ix->fd, "%s: cannot open %s", ix->part->where, name);
		return rc;
	}
	beyond(ix, limit, head);
	if (ix->fd < 0 && ix->any)
		snprintf(text, sizeof text, "it is missing");
	else if (ix->bad > 0) {
		at = (struct mq_check_place){.position = ix->bad_at, .length = MQ_INDEX_ENTRY_LEN};
		snprintf(text, sizeof text, "%s%s", ix->bad_why, ix->bad > 1 ? ", and it is not the only one" : "");
	} else if (ix->missing_pos > 0 && ix->fd >= 0)
		snprintf(text, sizeof text, "it has no entry for the batch at %llu", (unsigned long long)ix->missing_pos);
	if (text[0]) {
		if (mq_check_mends(c) && mq_mend_index(ix, s, limit, head, &why) < 0)
			remedy = mq_check_not(c, why.text);
		rc = mq_check_tell(c, MQ_CHECK_CACHE, ix->part->where, name, &at, remedy, "%s", text);
	}
	if (ix->fd >= 0)
		(void)mq_sys->close(ix->fd);
	ix->fd = -1;
	return rc;
}
