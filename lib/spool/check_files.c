/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the check needs of files as files: lists, strangers, padding that must be zero, slots. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "spool/check_internal.h"
#include "spool/dirs.h"
#include "sys/sys.h"

struct each {
	struct mq_check *c;
	int dir;
	const char *where;
	int (*fn)(void *arg, const char *name, const struct mq_stat *st);
	void *arg;
};

static int look(void *arg, const char *name)
{
	const struct each *e = arg;
	struct mq_stat st;
	int rc = mq_sys->statat(e->dir, name, &st);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return mq_err_sys(e->c->err, rc, "cannot look at %s/%s", e->where, name);
	return e->fn(e->arg, name, &st);
}

int mq_check_each(struct mq_check *c, int dir, const char *where, int (*fn)(void *arg, const char *name, const struct mq_stat *st),
                  void *arg)
{
	struct each e = {c, dir, where, fn, arg};
	int rc = mq_dir_each(dir, look, &e, c->err);

	if (rc < 0)
		mq_err_prefix(c->err, "%s", *where ? where : "the spool");
	return rc;
}

int mq_check_stranger(struct mq_check *c, const char *where, const char *name)
{
	return mq_check_tell(c, MQ_CHECK_DEAD, where, name, NULL, mq_check_not(c, "mq did not make it: remove it by hand"),
	                     "no file of the format has this name");
}

bool mq_check_is_temporary(const char *name)
{
	size_t len = strlen(name);

	return name[0] == '.' && (strncmp(name, ".tmp-", 5) == 0 || strncmp(name, ".new-", 5) == 0 ||
	                          strncmp(name, ".gone-", 6) == 0 || (len > 5 && strcmp(name + len - 4, ".tmp") == 0));
}

/* One that is being made now has a maker; a suspended maker of a topic must not give its name to half of one, so that is
 * renamed first. */
static int remove_stray(int dir, const char *name, bool directory, struct mq_err *why)
{
	char gone[32];
	int rc;

	if (!directory) {
		rc = mq_sys->unlinkat(dir, name, false);
		return rc < 0 && rc != -ENOENT ? mq_err_sys(why, rc, "cannot remove it") : 0;
	}
	rc = mq_random_name(".gone-", gone, why);
	if (rc < 0)
		return rc;
	rc = mq_sys->renameat(dir, name, dir, gone, false);
	return rc < 0 ? mq_err_sys(why, rc, "cannot rename it") : mq_dir_remove(dir, gone, 1, why);
}

int mq_check_stray(struct mq_check *c, int dir, const char *where, const char *name, const struct mq_stat *st)
{
	int64_t age_ns = mq_sys->clock_ns(MQ_CLOCK_REAL) - st->mtime_ns;
	struct mq_check_remedy remedy = mq_check_did(c, 0);
	struct mq_err why = MQ_ERR_INIT;

	if (age_ns >= 0 && age_ns < MQ_CHECK_STRAY_AFTER_S * INT64_C(1000000000))
		return 0; /* somebody may be at it */
	if (mq_check_mends(c) && remove_stray(dir, name, S_ISDIR(st->mode), &why) < 0)
		remedy = mq_check_not(c, why.text);
	return mq_check_tell(c, MQ_CHECK_LEFT, where, name, &(struct mq_check_place){.length = S_ISDIR(st->mode) ? 0 : st->size},
	                     remedy, "a temporary %s whose maker was killed", S_ISDIR(st->mode) ? "directory" : "file");
}

ssize_t mq_check_read(int fd, void *buf, size_t len, uint64_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = mq_sys->pread(fd, (char *)buf + done, len - done, at + done);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int mq_check_zeros(int fd, uint64_t at, uint64_t len, uint64_t *ret_bad)
{
	uint8_t buf[MQ_SLOT_BLOCK];

	*ret_bad = UINT64_MAX;
	while (len > 0) {
		size_t want = len < sizeof buf ? (size_t)len : sizeof buf;
		ssize_t n = mq_check_read(fd, buf, want, at);

		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i]) {
				*ret_bad = at + (uint64_t)i;
				return 0;
			}
		if ((size_t)n < want)
			return 0;
		at += want;
		len -= want;
	}
	return 0;
}

int mq_check_slot(int fd, uint32_t block, mq_check_slot_fn *decode, void *ret, uint64_t *ret_seq)
{
	uint8_t raw[MQ_SLOT_LEN];

	for (int attempt = 0;; attempt++) {
		ssize_t n = mq_check_read(fd, raw, sizeof raw, (uint64_t)block * MQ_SLOT_BLOCK);

		if (n < 0)
			return (int)n;
		memset(raw + n, 0, sizeof raw - (size_t)n);
		*ret_seq = decode(raw, block, ret);
		if (*ret_seq > 0)
			return 1;
		if (mq_slot_empty(raw))
			return 0;
		if (attempt == 4)
			return MQ_EDAMAGE;
		(void)mq_sys->poll(NULL, 0, 100000); /* seen half written, perhaps */
	}
}
