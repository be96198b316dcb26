/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A group's place in a partition as it is read: from two slots, of which one may be torn.  The file was made with room for the
 * partitions that the topic began with, and is never shortened, so what lies behind its end is no slot that was never written:
 * it was cut off, and nobody can know what it said.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log/slots.h"
#include "spool/group.h"
#include "sys/sys.h"

static uint64_t decode(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret)
{
	return mq_commit_decode(raw, block, ret);
}

uint32_t mq_group_made_for(const struct mq_group_topic *g)
{
	const struct mq_topic_conf *c = &g->topic->conf;

	return c->n_generations > 0 ? c->generations[0].partitions : c->partitions;
}

/* Without a bell nothing was promised but what is whole. */
static bool is_unfinished(const struct mq_group_topic *g)
{
	struct mq_stat st;

	return mq_sys->statat(g->dir, "bell", &st) == -ENOENT;
}

/* A later partition's place may lie behind the end; then what the file was made for must be there, or who writes that place
 * would make the rest look like one that was never written.  Looked at twice: it may just be being made. */
static int check_size(const struct mq_group_topic *g, struct mq_err *err)
{
	struct mq_stat st;

	for (int i = 0; i < 2; i++) {
		int rc = mq_sys->stat(g->offsets, &st);

		if (rc < 0)
			return mq_err_sys(err, rc, "offsets: cannot look at it");
		if (st.size >= (uint64_t)mq_group_made_for(g) * 2 * MQ_SLOT_BLOCK || is_unfinished(g))
			return 0;
	}
	return mq_err_set(err, MQ_EDAMAGE, "offsets: it was cut short; restore it, or set the place with mq-group seek");
}

static int read_pair(const struct mq_group_topic *g, uint32_t p, bool made, struct mq_commit *ret, int *ret_which,
                     uint64_t *ret_seq, struct mq_err *err)
{
	int rc = mq_slots_read(g->offsets, p * 2, made, decode, ret, sizeof *ret, ret_which, ret_seq, "offsets", err);

	if (rc == MQ_EDAMAGE)
		mq_err_suffix(err, "; restore it, or set the place with mq-group seek");
	return rc;
}

/* 1: what counts is all that a cut has left of it. */
static int read_place(const struct mq_group_topic *g, uint32_t p, struct mq_commit *ret, int *ret_which, uint64_t *ret_seq,
                      struct mq_err *err)
{
	bool made = p < mq_group_made_for(g);
	int rc = made ? 0 : check_size(g, err);

	if (rc < 0)
		return rc;
	rc = read_pair(g, p, made, ret, ret_which, ret_seq, NULL);
	if (rc != 0) /* or it was just being made */
		rc = read_pair(g, p, made && !is_unfinished(g), ret, ret_which, ret_seq, err);
	return rc;
}

/* The first slot alone was ever written, and is bad.  The first commit goes to the second one, when the place that a group
 * begins at is durable in the first: so none was made, whether the write was torn or a bit has flipped since. */
static bool nothing_committed(const struct mq_group_topic *g, uint32_t p)
{
	uint8_t raw[MQ_SLOT_LEN];
	ssize_t n = mq_sys->pread(g->offsets, raw, sizeof raw, (uint64_t)(2 * p + 1) * MQ_SLOT_BLOCK);

	if (n < 0 || (n < MQ_SLOT_LEN && (p < mq_group_made_for(g) || check_size(g, NULL) < 0)))
		return false; /* or it is not there any more */
	memset(raw + n, 0, sizeof raw - (size_t)n);
	return mq_slot_empty(raw);
}

__attribute__((format(printf, 2, 3))) static void tell(struct mq_group_topic *g, const char *fmt, ...)
{
	struct mq_spool *s = g->topic->spool;
	char text[MQ_ERR_TEXT_MAX];
	int n = snprintf(text, sizeof text, "%s: ", g->label);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
	va_end(ap);
	if (s->notice)
		s->notice(s->notice_arg, text);
}

int mq_group_topic_read(struct mq_group_topic *g, uint32_t p, struct mq_commit *ret, int *ret_which, uint64_t *ret_seq,
                        struct mq_err *err)
{
	int rc;

	memset(ret, 0, sizeof *ret);
	rc = read_place(g, p, ret, ret_which, ret_seq, err);
	if (rc == 1)
		tell(g, "offsets was cut short, and of the place in partition %u one slot is left, which may be the older one", p);
	if (rc == MQ_EDAMAGE && nothing_committed(g, p)) {
		tell(g, "the first place in partition %u does not verify: torn, or a flipped bit; nothing was committed yet", p);
		if (err)
			*err = (struct mq_err)MQ_ERR_INIT;
		*ret_which = -1;
		*ret_seq = 0;
		rc = 0;
	}
	if (rc < 0) {
		mq_err_prefix(err, "%s", g->label);
		return rc;
	}
	if (*ret_which >= 0 && memcmp(ret->topic_id, g->topic->conf.id, 16) != 0) {
		memset(ret, 0, sizeof *ret); /* another topic of that name */
		*ret_which = -1 - *ret_which - 1; /* -2, -3: the slot it stands in, for whoever writes on */
	}
	return 0;
}
