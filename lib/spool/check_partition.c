/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One partition: its small files, which segments are its log, and each of those. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ids.h"
#include "spool/check_internal.h"
#include "spool/dirs.h"
#include "sys/sys.h"

void mq_check_later(struct mq_check_partition *part, enum mq_check_kind kind, const char *name, uint64_t position, uint64_t length,
                    const char *why_not, const char *fmt, ...)
{
	struct mq_check_pending *p;
	va_list ap;

	if (part->n_pending == MQ_CHECK_PENDING_MAX)
		return; /* so much was told of it already */
	p = &part->pending[part->n_pending++];
	*p = (struct mq_check_pending){.kind = kind, .why_not = why_not, .position = position, .length = length};
	snprintf(p->name, sizeof p->name, "%s", name);
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof p->text, fmt, ap);
	va_end(ap);
}

int mq_check_writer(const struct mq_check_partition *part)
{
	int rc, fd = mq_sys->openat(part->dir, "lock", O_RDONLY, 0);

	if (fd < 0)
		return -1;
	rc = mq_sys->lock_test(fd, MQ_LOCK_WRITE, MQ_LOG_APPEND_BYTE, 1);
	(void)mq_sys->close(fd);
	return rc < 0 ? -1 : rc;
}

/* ---- which files there are ---- */
struct names {
	struct mq_check_partition *part;
	unsigned seen;
};

static const char *const wanted[] = {"lock", "bell", "start"};

/* An index without a segment: retention removes the index last. */
static int lone_index(struct mq_check_partition *part, const char *name, uint64_t base, const uint8_t id4[4])
{
	struct mq_check_remedy remedy = mq_check_did(part->c, 0);
	struct mq_err why = MQ_ERR_INIT;
	char segment[MQ_SEGMENT_NAME_MAX];
	struct mq_segment_id id = {{0}};
	struct mq_stat st;

	memcpy(id.b, id4, 4);
	mq_segment_name(base, &id, "seg", segment);
	if (mq_sys->statat(part->dir, segment, &st) == 0)
		return 0;
	if (mq_check_mends(part->c) && mq_mend_remove(part, name, &why) < 0)
		remedy = mq_check_not(part->c, why.text);
	return mq_check_tell(part->c, MQ_CHECK_DEAD, part->where, name, NULL, remedy, "the index of a segment that is not there");
}

static int stray(struct mq_check_partition *part, const char *name, const struct mq_stat *st)
{
	struct mq_check_remedy remedy = mq_check_did(part->c, 0);
	struct mq_err why = MQ_ERR_INIT;
	struct mq_stat again;

	if (mq_check_writer(part) == 1 || mq_sys->statat(part->dir, name, &again) < 0)
		return 0; /* being made, under the append lock */
	if (mq_check_mends(part->c) && mq_mend_remove(part, name, &why) < 0)
		remedy = mq_check_not(part->c, why.text);
	return mq_check_tell(part->c, MQ_CHECK_LEFT, part->where, name, &(struct mq_check_place){.length = st->size}, remedy,
	                     "a temporary file whose maker was killed");
}

static int name_of(void *arg, const char *name, const struct mq_stat *st)
{
	static const char *const others[] = {"state", "producers"};
	struct names *n = arg;
	uint8_t id4[4];
	uint64_t base, end;

	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		if (strcmp(name, wanted[i]) == 0) {
			n->seen |= 1u << i;
			return 0;
		}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strcmp(name, others[i]) == 0)
			return 0;
	if (mq_segment_name_parse(name, "seg", &base, id4))
		return 0;
	if (mq_segment_name_parse(name, "idx", &base, id4))
		return lone_index(n->part, name, base, id4);
	if (mq_check_holds_ids(n->part->t) && mq_ids_name_parse(name, &base, &end))
		return 0;
	if (mq_check_holds_ids(n->part->t) && strncmp(name, ".tmp-", 5) == 0) /* made without a lock */
		return mq_check_stray(n->part->c, n->part->dir, n->part->where, name, st);
	if (mq_check_is_temporary(name))
		return stray(n->part, name, st);
	return mq_check_stranger(n->part->c, n->part->where, name);
}

static int names(struct mq_check_partition *part)
{
	struct names n = {part, 0};
	int rc = mq_check_each(part->c, part->dir, part->where, name_of, &n);

	/* start is told with what it should hold */
	for (size_t i = 0; i < 2 && rc == 0; i++)
		if (!(n.seen & 1u << i))
			rc = mq_check_tell(part->c, MQ_CHECK_CONFIG, part->where, wanted[i], NULL,
			                   mq_check_not(part->c, "make it again, empty, while nobody is at work"), "it is missing");
	return rc;
}

/* lock and bell hold nothing; a bell that rang has a zero in it. */
static int empty_files(struct mq_check_partition *part)
{
	int rc = 0;

	for (size_t i = 0; i < 2 && rc == 0; i++) {
		struct mq_stat st;
		uint64_t bad = UINT64_MAX;
		int fd = mq_sys->openat(part->dir, wanted[i], O_RDONLY, 0);

		if (fd < 0)
			continue; /* lock is for writers; what is missing was told */
		rc = mq_sys->stat(fd, &st);
		if (rc == 0)
			rc = mq_check_zeros(fd, 0, st.size, &bad);
		(void)mq_sys->close(fd);
		if (rc < 0)
			return mq_err_sys(part->c->err, rc, "%s: cannot read %s", part->where, wanted[i]);
		if (bad != UINT64_MAX || st.size > i)
			rc = mq_check_tell(part->c, MQ_CHECK_CACHE, part->where, wanted[i], &(struct mq_check_place){.length = st.size},
			                   mq_check_not(part->c, "it does no harm"), "something was written into it");
	}
	return rc;
}

/* ---- */
/* The segments as the state that is trusted sees them: looked at again while a roll is under way. */
static int view(struct mq_check_partition *part)
{
	struct mq_tail now;
	uint64_t seq;
	int rc = mq_check_state(part);

	for (int attempt = 0; rc == 0; attempt++) {
		rc = mq_check_list(part);
		if (rc != 0 || !part->trusted || mq_check_tail_is_head(part))
			return rc;
		if (attempt == 50)
			break;
		(void)mq_sys->poll(NULL, 0, 2000000);
		rc = mq_state_tail_read(&part->state, &now, &seq, part->c->err);
		if (rc == 0 && seq == part->tail_seq && mq_check_writer(part) != 1)
			break; /* and nobody is about to change it */
		part->tail = now;
		part->tail_seq = seq;
	}
	if (rc < 0)
		return rc;
	part->trusted = false;
	if (part->tail.flags & MQ_TAIL_ROLLING)
		return 0; /* a roll was cut short: the next publisher goes on in the newer segment */
	part->state_bad = true;
	mq_check_later(part, MQ_CHECK_CACHE, "state", MQ_STATE_TAIL_BLOCK * MQ_SLOT_BLOCK, 0, NULL,
	               "its tail is of a segment that is not the log's head");
	return 0;
}

static int tell_one(struct mq_check_partition *part, const struct mq_check_pending *p, struct mq_check_remedy remedy)
{
	struct mq_check_place at = {.position = p->position, .length = p->length};
	bool lost = strcmp(p->name, "start") == 0 && !part->have_start && part->n_chain > 0;

	if (p->why_not)
		remedy = mq_check_not(part->c, p->why_not);
	if (lost)
		return mq_check_tell(part->c, p->kind, part->where, p->name, &at, remedy, "%s; the first record held is %llu", p->text,
		                     (unsigned long long)part->file[part->chain[0]].base);
	return mq_check_tell(part->c, p->kind, part->where, p->name, &at, remedy, "%s", p->text);
}

/* What waited for the end: by now it is known what can be mended.  The log start first, without which nothing else is. */
static int tell_pending(struct mq_check_partition *part)
{
	struct mq_check *c = part->c;
	struct mq_check_remedy remedy = mq_check_did(c, 0), of_start = remedy;
	struct mq_err why = MQ_ERR_INIT, why_start = MQ_ERR_INIT;
	int rc = 0;

	if (part->start_bad && mq_check_mends(c) && mq_mend_start(part, &why_start) < 0)
		of_start = mq_check_not(c, why_start.text);
	if (part->damaged) {
		remedy = mq_check_not(c, "the log is damaged, and this is a witness of what it held");
	} else if (mq_check_mends(c) && mq_mend_log(part, &why) < 0) {
		remedy = mq_check_not(c, why.text);
		if (part->n_pending == 0)
			mq_check_later(part, MQ_CHECK_CACHE, "state", 0, 0, NULL, "the log is to be looked at before the next record comes");
	}
	for (size_t i = 0; i < part->n_pending && rc == 0; i++)
		rc = tell_one(part, &part->pending[i], strcmp(part->pending[i].name, "start") == 0 ? of_start : remedy);
	return rc;
}

static int run(struct mq_check_partition *part)
{
	int rc = names(part);

	if (rc == 0)
		rc = empty_files(part);
	if (rc == 0)
		rc = mq_check_start(part);
	if (rc == 0)
		rc = view(part);
	if (rc == 0 && part->tail_seq > 0 && (part->tail.flags & MQ_TAIL_GONE))
		return 0; /* the topic is being deleted */
	if (rc == 0)
		rc = mq_check_chain(part);
	for (size_t i = 0; i < part->n_chain && rc == 0; i++)
		rc = mq_check_segment(part, i);
	/* After a power loss it may be ahead of a log that nobody has recovered: a gap will lead up to it. */
	if (rc == 0 && part->have_start && part->n_chain > 0 && part->log_start > part->end_offset && part->trusted)
		rc = mq_check_tell(part->c, MQ_CHECK_CONFIG, part->where, "start", &(struct mq_check_place){.length = MQ_SLOT_LEN},
		                   mq_check_not(part->c, "nobody can know what it said: remove it, and it is set to the first record held"), "the log start, %llu, lies behind the end, %llu",
		                   (unsigned long long)part->log_start, (unsigned long long)part->end_offset);
	if (rc == 0)
		rc = mq_check_producers(part);
	if (rc == 0)
		rc = mq_check_ids(part);
	return rc == 0 ? tell_pending(part) : rc;
}

int mq_check_partition(struct mq_check *c, struct mq_topic *t, uint32_t p, uint64_t *ret_end)
{
	struct mq_check_pending pending[MQ_CHECK_PENDING_MAX];
	struct mq_check_partition part = {.c = c, .t = t, .number = p, .pending = pending};
	int rc;

	*ret_end = UINT64_MAX;
	mq_state_file_init(&part.state);
	mq_scan_init(&part.scan);
	snprintf(part.where, sizeof part.where, "topics/%s/%u", t->name, p);
	part.dir = mq_partition_dir(t, p, c->err);
	if (part.dir == -ENOENT || part.dir == -ENOTDIR)
		return mq_check_tell(c, MQ_CHECK_DAMAGE, part.where, NULL, NULL, mq_check_not(c, "restore it from a backup"),
		                     "the partition's directory is missing");
	if (part.dir < 0)
		return part.dir;
	c->sums.partitions++;
	rc = run(&part);
	if (part.n_chain > 0)
		*ret_end = part.end_offset;
	mq_check_room_forget(&part);
	mq_state_file_release(&part.state);
	mq_scan_release(&part.scan);
	free(part.file);
	free(part.chain);
	(void)mq_sys->close(part.dir);
	return rc;
}
