/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups: their places in a topic, what was acknowledged above them, members that died. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/name.h"
#include "base/parse.h"
#include "spool/acks_file.h"
#include "spool/check_internal.h"
#include "spool/dirs.h"
#include "sys/sys.h"

static const char *const files[] = {"locks", "offsets", "owners", "bell", "offsets.failed"};
enum { LOCKS, OFFSETS, OWNERS, BELL, FAILED, N_FILES };

int mq_check_group_bad(struct mq_check_group *g, const char *name, uint64_t position, uint64_t length, const char *text)
{
	return mq_check_tell(g->c, MQ_CHECK_CONFIG, g->where, name, &(struct mq_check_place){.position = position, .length = length},
	                     mq_check_not(g->c, "nobody can know what it said; mq-group seek sets a place by hand"), "%s", text);
}

int mq_check_group_cannot(struct mq_check_group *g, int rc, const char *name)
{
	return mq_err_sys(g->c->err, rc, "%s: cannot read %s", g->where, name);
}

/* The bell is made last, and its name alone need not last: without it nothing was promised but what is whole. */
int mq_check_group_unfinished(struct mq_check_group *g, const char *name, uint64_t size)
{
	return mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, name, &(struct mq_check_place){.position = size},
	                     mq_check_not(g->c, "the next member of the group makes it"), "it was not made to the end");
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

static int owners(struct mq_check_group *g, const char *name, int fd, uint64_t size)
{
	struct mq_check_remedy remedy = mq_check_not(g->c, "the next owner writes over it");
	char line[MQ_GROUP_OWNER_LEN];

	for (uint64_t at = 0; at < size; at += sizeof line) {
		ssize_t n = mq_check_read(fd, line, sizeof line, at);
		int rc = 0;

		if (n < 0)
			return mq_check_group_cannot(g, (int)n, name);
		if (n < (ssize_t)sizeof line || !owner_line(line))
			rc = mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, name, &(struct mq_check_place){.position = at, .length = (uint64_t)n},
			                   remedy, "this is no line of an owner");
		if (rc != 0)
			return rc;
	}
	if (size < (uint64_t)g->t->conf.generations[0].partitions * sizeof line)
		return mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, name, &(struct mq_check_place){.position = size}, remedy,
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

static int acked(struct mq_check_group *g, const char *name, int fd, uint64_t size)
{
	static const uint8_t zero[ACK_LEN];
	uint8_t e[ACK_LEN], pos[8];

	for (uint64_t at = 0; at + ACK_LEN <= size; at += ACK_LEN) {
		ssize_t n = mq_check_read(fd, e, sizeof e, at);
		int rc;

		if (n < 0)
			return mq_check_group_cannot(g, (int)n, name);
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
static int bell(struct mq_check_group *g, int fd, uint64_t size)
{
	uint64_t bad;
	int rc = mq_check_zeros(fd, 0, size, &bad);

	if (rc < 0)
		return mq_check_group_cannot(g, rc, "bell");
	return bad == UINT64_MAX ? 0
	                         : mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, "bell", &(struct mq_check_place){.position = bad, .length = 1},
	                                         mq_check_not(g->c, "it does no harm"), "something was written into it");
}

static int contents(struct mq_check_group *g, const char *name, size_t which, uint64_t size)
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
		return mq_check_group_cannot(g, fd, name);
	rc = which == OFFSETS  ? mq_check_offsets(g, fd, size)
	     : which == OWNERS ? owners(g, name, fd, size)
	     : which == BELL   ? bell(g, fd, size)
	                       : acked(g, name, fd, size);
	(void)mq_sys->close(fd);
	return rc;
}

/* owners.A: of who was given it by an eviction. */
static bool is_of_area(const char *name)
{
	return strncmp(name, "owners.", 7) == 0 && name[7] > '0' && name[7] < '0' + MQ_SLOT_AREAS && !name[8];
}

/* "claimed.P", or "claimed.P.failed". */
static int claimed(struct mq_check_group *g, const char *name, const char *behind, uint32_t p, uint64_t size)
{
	uint64_t end = g->end[p];
	int rc, fd;

	if (strcmp(behind, ".failed") == 0)
		return mq_check_tell(g->c, MQ_CHECK_CACHE, g->where, name, NULL, mq_check_not(g->c, "the next member that shares does it"),
		                     "a sync of what members that share have done failed, and the file is to be replaced");
	if (*behind)
		return mq_check_stranger(g->c, g->where, name);
	fd = mq_sys->openat(g->dir, name, O_RDONLY, 0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : mq_check_group_cannot(g, fd, name);
	if (end != UINT64_MAX && mq_check_group_end(g, p) > end)
		end = mq_check_group_end(g, p);
	rc = mq_check_claims(g->c, g->where, name, fd, size, g->t->conf.id, end);
	(void)mq_sys->close(fd);
	return rc;
}

static int file_of(void *arg, const char *name, const struct mq_stat *st)
{
	struct mq_check_group *g = arg;
	uint64_t p;
	size_t used, len = strlen(name);

	for (size_t i = 0; i < N_FILES; i++)
		if (strcmp(name, files[i]) == 0) {
			g->seen |= 1u << i;
			return contents(g, name, i, st->size);
		}
	if (is_of_area(name))
		return contents(g, name, OWNERS, st->size);
	if (strncmp(name, "acked.", 6) == 0 && mq_to_u64_prefix(name + 6, len - 6, &p, &used) == 0 && used == len - 6 &&
	    p < g->t->conf.partitions)
		return g->c->opt->partition < 0 || g->c->opt->partition == (int64_t)p ? contents(g, name, N_FILES, st->size) : 0;
	if (strncmp(name, "claimed.", 8) == 0 && mq_to_u64_prefix(name + 8, len - 8, &p, &used) == 0 && p < g->t->conf.partitions)
		return g->c->opt->partition < 0 || g->c->opt->partition == (int64_t)p ? claimed(g, name, name + 8 + used, (uint32_t)p, st->size) : 0;
	if (mq_check_is_temporary(name))
		return mq_check_stray(g->c, g->dir, g->where, name, st);
	return mq_check_stranger(g->c, g->where, name);
}

static int group_of(void *arg, const char *group)
{
	struct mq_check_group *g = arg;
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
				rc = mq_check_group_bad(g, files[i], 0, 0, "it is missing");
	if (rc == 0 && !(g->seen & 1u << BELL) && g->seen == (1u << LOCKS | 1u << OFFSETS | 1u << OWNERS))
		rc = mq_check_group_unfinished(g, "bell", 0);
	(void)mq_sys->close(g->dir);
	return rc;
}

int mq_check_groups(struct mq_check *c, struct mq_topic *t, const uint64_t *end)
{
	struct mq_check_group g = {.c = c, .t = t, .end = end};

	return c->spool->groups < 0 ? 0 : mq_group_each(c->spool, group_of, &g, c->err); /* told once, by mq_check_members */
}
