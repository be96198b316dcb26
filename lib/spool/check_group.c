/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups: their places in a topic, what was acknowledged above them, members that died. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/name.h"
#include "base/parse.h"
#include "log/cursor.h"
#include "spool/acks_file.h"
#include "spool/check_internal.h"
#include "spool/dirs.h"
#include "sys/sys.h"

struct place {
	struct mq_check *c;
	struct mq_topic *t;
	const uint64_t *end;
	char where[512]; /* "groups/billing/topics/orders" */
	int dir;
	unsigned seen;
};

static const char *const files[] = {"locks", "offsets", "owners", "bell", "offsets.failed"};
enum { LOCKS, OFFSETS, OWNERS, BELL, FAILED, N_FILES };

static int config(struct place *g, const char *name, uint64_t position, uint64_t length, const char *text)
{
	return mq_check_tell(g->c, MQ_CHECK_CONFIG, g->where, name, &(struct mq_check_place){.position = position, .length = length},
	                     mq_check_not(g->c, "nobody can know what it said; mq-group seek sets a place by hand"), "%s", text);
}

static int cannot(struct place *g, int rc, const char *name)
{
	return mq_err_sys(g->c->err, rc, "%s: cannot read %s", g->where, name);
}

/* ---- offsets ---- */
static uint64_t decode(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret)
{
	return mq_commit_decode(raw, block, ret);
}

/* The end as it is now: the group may have been quicker than the check. */
static uint64_t end_now(struct place *g, uint32_t p)
{
	struct mq_cursor cursor;
	uint64_t end = 0;
	int dir = mq_partition_dir(g->t, p, NULL);

	if (dir < 0)
		return 0;
	if (mq_cursor_open(&cursor, dir, g->t->name, g->t->conf.id, p, NULL) == 0) {
		if (mq_cursor_refresh(&cursor, NULL) == 0)
			end = cursor.written_offset;
		mq_cursor_release(&cursor);
	}
	(void)mq_sys->close(dir);
	return end;
}

static int committed(struct place *g, uint32_t p, const struct mq_commit *v, uint64_t at)
{
	uint64_t end = g->end[p], now;

	if (memcmp(v->topic_id, g->t->conf.id, 16) != 0)
		return mq_check_tell(g->c, MQ_CHECK_DEAD, g->where, "offsets", &(struct mq_check_place){.position = at, .length = MQ_SLOT_LEN},
		                     mq_check_not(g->c, "the group writes over it"), "a place in a former topic of this name");
	if (end == UINT64_MAX || v->offset <= end)
		return 0;
	now = end_now(g, p);
	if (v->offset <= now)
		return 0;
	return mq_check_tell(g->c, MQ_CHECK_CONFIG, g->where, "offsets", &(struct mq_check_place){at, MQ_SLOT_LEN, end, v->offset},
	                     mq_check_not(g->c, "records it has read are gone; mq-group seek sets a place by hand"),
	                     "the group has committed %llu of partition %u, whose log ends at %llu", (unsigned long long)v->offset, p,
	                     (unsigned long long)end);
}

static bool is_there(uint32_t block, uint64_t size)
{
	return (uint64_t)block * MQ_SLOT_BLOCK + MQ_SLOT_LEN <= size;
}

/* whole: bytes of the file of which nothing is cut off; what lies behind that was told. */
static int slots_of(struct place *g, int fd, uint32_t p, uint64_t whole)
{
	uint64_t seq[2], bad;
	struct mq_commit v[2];
	int rc, got[2];

	for (uint32_t i = 0; i < 2; i++) {
		got[i] = is_there(2 * p + i, whole) ? mq_check_slot(fd, 2 * p + i, decode, &v[i], &seq[i]) : MQ_EDAMAGE;
		if (got[i] < 0 && got[i] != MQ_EDAMAGE)
			return cannot(g, got[i], "offsets");
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t at = (uint64_t)(2 * p + i) * MQ_SLOT_BLOCK;

		if (i == 0 && got[0] == MQ_EDAMAGE && got[1] == 0) {
			rc = mq_check_tell(g->c, MQ_CHECK_TORN, g->where, "offsets", &(struct mq_check_place){.position = at, .length = MQ_SLOT_LEN},
			                   mq_check_not(g->c, "the next member of the group writes over it"),
			                   "the first place does not verify: torn, or a flipped bit; nothing was committed yet");
			if (rc != 0)
				return rc;
		} else if (got[i] == MQ_EDAMAGE && is_there(2 * p + i, whole)) {
			rc = config(g, "offsets", at, MQ_SLOT_LEN,
			            got[1 - i] == 1 ? "a slot of a place does not verify; the other one counts, and may be older"
			                            : "no slot of a place verifies");
			if (rc != 0)
				return rc;
		}
		rc = mq_check_zeros(fd, at + MQ_SLOT_LEN, MQ_SLOT_BLOCK - MQ_SLOT_LEN, &bad);
		if (rc < 0)
			return cannot(g, rc, "offsets");
		rc = bad == UINT64_MAX ? 0 : config(g, "offsets", bad, 1, "a byte that belongs to nothing is not zero");
		if (rc != 0)
			return rc;
	}
	if (got[0] != 1 && got[1] != 1)
		return 0;
	{
		uint32_t best = got[1] == 1 && (got[0] != 1 || seq[1] > seq[0]) ? 1 : 0;

		return committed(g, p, &v[best], (uint64_t)(2 * p + best) * MQ_SLOT_BLOCK);
	}
}

/* Made with room for the partitions that there were; a place of a later one ends in its slot, or its pair. */
static bool offsets_whole(const struct mq_topic *t, uint64_t size)
{
	uint64_t least = (uint64_t)t->conf.generations[0].partitions * 2 * MQ_SLOT_BLOCK;

	return size >= least && (size % MQ_SLOT_BLOCK == 0 || (size > least && size % MQ_SLOT_BLOCK == MQ_SLOT_LEN));
}

/* The bell is made last, and its name alone need not last: without it nothing was promised but what is whole. */
static int unfinished(struct place *g, const char *name, uint64_t size)
{
	return mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, name, &(struct mq_check_place){.position = size},
	                     mq_check_not(g->c, "the next member of the group makes it"), "it was not made to the end");
}

/* Who reads a place behind the cut is told that nobody can know it.  One slot of a pair is enough. */
static int cut_short(struct place *g, int fd, uint64_t size)
{
	uint32_t made = g->t->conf.generations[0].partitions, left = (uint32_t)(size / (2 * MQ_SLOT_BLOCK));
	struct mq_commit v;
	uint64_t seq;
	char text[160];

	for (uint32_t block = 2 * left; block < 2 * left + 2 && is_there(block, size); block++)
		if (mq_check_slot(fd, block, decode, &v, &seq) == 1) {
			left++;
			break;
		}
	if (left < made)
		snprintf(text, sizeof text, "it was cut short: the places of partitions %u to %u are gone", left, made - 1);
	else
		snprintf(text, sizeof text, "it was cut short: a slot of the last place is gone; the other one counts, and may be older");
	return config(g, "offsets", size, 0, text);
}

static int offsets(struct place *g, int fd, uint64_t size)
{
	struct mq_stat st;
	int64_t only = g->c->opt->partition;
	bool whole = offsets_whole(g->t, size), made = mq_sys->statat(g->dir, "bell", &st) != -ENOENT;
	int rc = whole ? 0 : made ? cut_short(g, fd, size) : unfinished(g, "offsets", size);

	for (uint32_t p = 0; p < g->t->conf.partitions && rc == 0; p++)
		if (only < 0 || only == p)
			rc = slots_of(g, fd, p, whole || !made ? UINT64_MAX : size);
	return rc;
}

/* ---- owners: "PID MEMBER\n" and zeros, for people ---- */
static bool owner_line(const char *p)
{
	size_t len = strnlen(p, MQ_GROUP_OWNER_LEN), used;
	const char *name;
	uint64_t pid;

	for (size_t i = len; i < MQ_GROUP_OWNER_LEN; i++)
		if (p[i])
			return false;
	if (len == 0)
		return true;
	if (mq_to_u64_prefix(p, len, &pid, &used) < 0 || used + 3 > len || p[used] != ' ' || p[len - 1] != '\n')
		return false;
	name = p + used + 1;
	return mq_name_ok(name, (size_t)(p + len - 1 - name));
}

static int owners(struct place *g, int fd, uint64_t size)
{
	struct mq_check_remedy remedy = mq_check_not(g->c, "the next owner writes over it");
	char line[MQ_GROUP_OWNER_LEN];

	for (uint64_t at = 0; at < size; at += sizeof line) {
		ssize_t n = mq_check_read(fd, line, sizeof line, at);
		int rc = 0;

		if (n < 0)
			return cannot(g, (int)n, "owners");
		if (n < (ssize_t)sizeof line || !owner_line(line))
			rc = mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, "owners", &(struct mq_check_place){.position = at, .length = (uint64_t)n},
			                   remedy, "this is no line of an owner");
		if (rc != 0)
			return rc;
	}
	if (size < (uint64_t)g->t->conf.generations[0].partitions * sizeof line)
		return mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, "owners", &(struct mq_check_place){.position = size}, remedy,
		                     "it was cut short");
	return 0;
}

/* ---- acked.P: entries of 24 bytes, zero or the checksum of the first 20 seeded with their position (acks_file.h) ---- */
enum { ACK_LEN = MQ_ACK_LEN };

/* The zero byte behind a file that was made anew: who acknowledges next evens it out. */
static bool made_anew(int fd, uint64_t size)
{
	uint8_t last;

	return size % ACK_LEN == 1 && size > MQ_ACKS_ROOM - ACK_LEN && mq_check_read(fd, &last, 1, size - 1) == 1 && last == 0;
}

static int acked(struct place *g, const char *name, int fd, uint64_t size)
{
	static const uint8_t zero[ACK_LEN];
	uint8_t e[ACK_LEN], pos[8];

	for (uint64_t at = 0; at + ACK_LEN <= size; at += ACK_LEN) {
		ssize_t n = mq_check_read(fd, e, sizeof e, at);
		int rc;

		if (n < 0)
			return cannot(g, (int)n, name);
		mq_put_le64(pos, at);
		if (n == ACK_LEN && memcmp(e, zero, sizeof e) == 0)
			continue;
		if (n == ACK_LEN && mq_get_le32(e + 20) == mq_crc32c(mq_crc32c(0, pos, sizeof pos), e, ACK_LEN - 4))
			continue;
		rc = mq_check_tell(g->c, MQ_CHECK_CONFIG, g->where, name, &(struct mq_check_place){.position = at, .length = ACK_LEN},
		                   mq_check_not(g->c, "its record is given out again"), "an acknowledgement does not verify");
		if (rc != 0)
			return rc;
	}
	if (made_anew(fd, size))
		return 0;
	if (size % ACK_LEN == 0)
		return size >= MQ_ACKS_ROOM
		           ? 0
		           : mq_check_tell(g->c, MQ_CHECK_TORN, g->where, name,
		                           &(struct mq_check_place){.position = size, .length = MQ_ACKS_ROOM - size},
		                           mq_check_not(g->c, "it grows by what is acknowledged"),
		                           "its room was cut short, or a full disk had none when it was made");
	return mq_check_tell(g->c, MQ_CHECK_TORN, g->where, name,
	                     &(struct mq_check_place){.position = size - size % ACK_LEN, .length = size % ACK_LEN},
	                     mq_check_not(g->c, "the next acknowledgement is written over it"), "half an acknowledgement, promised to nobody");
}

/* ---- */
static int bell(struct place *g, int fd, uint64_t size)
{
	uint64_t bad;
	int rc = mq_check_zeros(fd, 0, size, &bad);

	if (rc < 0)
		return cannot(g, rc, "bell");
	return bad == UINT64_MAX ? 0
	                         : mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, "bell", &(struct mq_check_place){.position = bad, .length = 1},
	                                         mq_check_not(g->c, "it does no harm"), "something was written into it");
}

static int contents(struct place *g, const char *name, size_t which, uint64_t size)
{
	int rc, fd;

	if (which == LOCKS)
		return 0; /* for who takes them; nothing is ever read from it */
	if (which == FAILED)
		return mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, name, NULL, mq_check_not(g->c, "the next member of the group does it"),
		                     "a sync of offsets failed, and the file is to be replaced");
	fd = mq_sys->openat(g->dir, name, O_RDONLY, 0);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return cannot(g, fd, name);
	rc = which == OFFSETS  ? offsets(g, fd, size)
	     : which == OWNERS ? owners(g, fd, size)
	     : which == BELL   ? bell(g, fd, size)
	                       : acked(g, name, fd, size);
	(void)mq_sys->close(fd);
	return rc;
}

static int file_of(void *arg, const char *name, const struct mq_stat *st)
{
	struct place *g = arg;
	uint64_t p;
	size_t used, len = strlen(name);

	for (size_t i = 0; i < N_FILES; i++)
		if (strcmp(name, files[i]) == 0) {
			g->seen |= 1u << i;
			return contents(g, name, i, st->size);
		}
	if (strncmp(name, "acked.", 6) == 0 && mq_to_u64_prefix(name + 6, len - 6, &p, &used) == 0 && used == len - 6 &&
	    p < g->t->conf.partitions)
		return g->c->opt->partition < 0 || g->c->opt->partition == (int64_t)p ? contents(g, name, N_FILES, st->size) : 0;
	if (mq_check_is_temporary(name))
		return mq_check_stray(g->c, g->dir, g->where, name, st);
	return mq_check_stranger(g->c, g->where, name);
}

static int group_of(void *arg, const char *group)
{
	struct place *g = arg;
	char path[MQ_NAME_MAX + 16];
	int rc, topics;

	snprintf(path, sizeof path, "%s/topics", group);
	topics = mq_dir_open(g->c->spool->groups, path, NULL);
	if (topics < 0)
		return 0; /* told with what is in groups/ */
	g->dir = mq_dir_open(topics, g->t->name, NULL);
	(void)mq_sys->close(topics);
	if (g->dir < 0)
		return g->dir == -ENOENT ? 0 : mq_err_sys(g->c->err, g->dir, "cannot open groups/%s/topics/%s", group, g->t->name);
	snprintf(g->where, sizeof g->where, "groups/%s/topics/%s", group, g->t->name);
	g->seen = 0;
	rc = mq_check_each(g->c, g->dir, g->where, file_of, g);
	/* The bell is made last: where it is, all are. */
	if (rc == 0 && g->seen & 1u << BELL)
		for (size_t i = 0; i < BELL && rc == 0; i++)
			if (!(g->seen & 1u << i))
				rc = config(g, files[i], 0, 0, "it is missing");
	if (rc == 0 && !(g->seen & 1u << BELL) && g->seen == (1u << LOCKS | 1u << OFFSETS | 1u << OWNERS))
		rc = unfinished(g, "bell", 0);
	(void)mq_sys->close(g->dir);
	return rc;
}

int mq_check_groups(struct mq_check *c, struct mq_topic *t, const uint64_t *end)
{
	struct place g = {.c = c, .t = t, .end = end};

	return c->spool->groups < 0 ? 0 : mq_group_each(c->spool, group_of, &g, c->err); /* told once, by mq_check_members */
}
