/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A group's place in a partition as it is read (areas.h: from which slot).  The file was made with room for the
 * partitions that the topic began with, and is never shortened, so what lies behind its end is no slot that was never written:
 * it was cut off, and nobody can know what it said.  One that was made for a former topic of that name may be shorter: it has room
 * for this one before the first place in this one is written, so until then it says nothing of it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spool/areas.h"
#include "spool/group.h"
#include "sys/sys.h"

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

/* Asked only where the file is too short, which is seldom. */
bool mq_group_topic_former(const struct mq_group_topic *g)
{
	static const uint8_t none[16]; /* evicted before it had a place */
	struct mq_areas areas;
	struct mq_stat st;
	bool former = false;

	if (mq_sys->stat(g->offsets, &st) < 0)
		return false;
	for (uint32_t p = 0; (uint64_t)p * 2 * MQ_SLOT_BLOCK < st.size; p++) {
		if (mq_areas_read(g, p, false, &areas, NULL) < 0)
			return false;
		for (int a = 0; a < MQ_SLOT_AREAS; a++) {
			const uint8_t *id = areas.area[a].commit.topic_id;

			if (areas.area[a].which < 0 || memcmp(id, none, sizeof none) == 0)
				continue;
			if (memcmp(id, g->topic->conf.id, sizeof none) == 0)
				return false;
			former = true;
		}
	}
	return former;
}

int mq_group_topic_widen(const struct mq_group_topic *g, struct mq_err *err)
{
	uint64_t size = (uint64_t)mq_group_made_for(g) * 2 * MQ_SLOT_BLOCK;
	struct mq_stat st;
	int rc = mq_sys->stat(g->offsets, &st);

	if (rc == 0 && (st.size >= size || !mq_group_topic_former(g)))
		return 0;
	if (rc == 0)
		rc = mq_sys->fallocate(g->offsets, 0, size);
	if (rc == 0) /* or a power cut may keep the place, and not the room behind it */
		rc = mq_sys->fdatasync(g->offsets);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot make room in offsets", g->label) : 0;
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
		if (st.size >= (uint64_t)mq_group_made_for(g) * 2 * MQ_SLOT_BLOCK || is_unfinished(g) || mq_group_topic_former(g))
			return 0;
	}
	return mq_err_set(err, MQ_EDAMAGE, "offsets: it was cut short; restore it, or set the place with mq-group seek");
}

/* All areas of it, as far as they were made. */
int mq_group_topic_areas(const struct mq_group_topic *g, uint32_t p, struct mq_areas *ret, struct mq_err *err)
{
	bool made = p < mq_group_made_for(g);
	int rc = mq_areas_read(g, p, made, ret, NULL);

	if (rc < 0 || ret->cut) /* or it was just being made, or widened */
		rc = mq_areas_read(g, p, made && !is_unfinished(g) && !mq_group_topic_former(g), ret, err);
	return rc < 0 || made ? rc : check_size(g, err);
}

/* Of another topic of that name there is no place, but generations rise. */
static void take_place(const struct mq_group_topic *g, const struct mq_areas *areas, struct mq_commit *ret, int *ret_which,
                       uint64_t *ret_seq)
{
	const struct mq_area *a = areas->counts < 0 ? NULL : &areas->area[areas->counts];

	*ret = (struct mq_commit){0};
	*ret_which = a ? a->which : -1;
	*ret_seq = a ? a->seq : 0;
	if (a && memcmp(a->commit.topic_id, g->topic->conf.id, 16) == 0) {
		*ret = a->commit;
	} else if (a) {
		ret->generation = a->commit.generation;
		ret->area = a->commit.area;
		*ret_which = -2 - a->which; /* the slot it stands in, for whoever writes on */
	}
}

int mq_group_topic_peek(const struct mq_group_topic *g, uint32_t p, struct mq_commit *ret, int *ret_which, uint64_t *ret_seq,
                        struct mq_err *err)
{
	struct mq_areas areas;
	int rc = mq_group_topic_areas(g, p, &areas, err);

	if (rc < 0) {
		mq_err_prefix(err, "%s", g->label);
		return rc;
	}
	take_place(g, &areas, ret, ret_which, ret_seq);
	return 0;
}

int mq_group_topic_grown(const struct mq_group_topic *g, uint32_t p, bool *ret, struct mq_err *err)
{
	const struct mq_topic_conf *conf = &g->topic->conf;
	uint32_t came = 0; /* the generation that p came with */
	struct mq_commit c;
	uint64_t seq;
	int which = -1, rc = 0;

	for (uint32_t i = conf->n_generations; i-- > 1 && which < 0 && rc == 0;) {
		uint32_t before = conf->generations[i - 1].partitions;

		if (p < before)
			continue;
		came = came ? came : conf->generations[i].number;
		p %= before;
		rc = mq_group_topic_peek(g, p, &c, &which, &seq, err);
	}
	*ret = rc == 0 && which >= 0 && c.began < came;
	return rc;
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
	struct mq_areas areas;
	int rc = mq_group_topic_areas(g, p, &areas, err);

	memset(ret, 0, sizeof *ret);
	if (rc < 0) {
		mq_err_prefix(err, "%s", g->label);
		return rc;
	}
	if (areas.cut)
		tell(g, "offsets was cut short, and of the place in partition %u one slot is left, which may be the older one", p);
	if (areas.torn)
		tell(g, "the first place in partition %u does not verify: torn, or a flipped bit; nothing was committed yet", p);
	take_place(g, &areas, ret, ret_which, ret_seq);
	return 0;
}
