/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/retain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/name.h"
#include "base/parse.h"
#include "log/start.h"
#include "spool/dirs.h"
#include "sys/sys.h"

static const char LOCK[] = "retain.lock", SEEN[] = "retain.seen";
enum { SEEN_MAX = 16 << 20, KEY_MAX = MQ_NAME_MAX + 8 };

/* ---- one at a time ---- */
static int take_lock(struct mq_retain *r, struct mq_err *err)
{
	int rc = mq_file_ensure(r->spool->root, LOCK, r->spool->file_mode, 0, err);

	if (rc == -ENOSPC || rc == -EDQUOT) { /* who makes room must not need any, and two at once do no harm */
		*err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	if (rc < 0)
		return rc;
	r->lock = mq_sys->openat(r->spool->root, LOCK, O_RDWR, 0);
	if (r->lock < 0)
		return mq_err_sys(err, r->lock, "cannot open %s", LOCK);
	rc = mq_sys->lock(r->lock, MQ_LOCK_WRITE, 0, 1, false);
	if (rc == -EAGAIN || rc == -EACCES)
		return mq_err_set(err, MQ_EAGAIN, "another mq-retain is at work in this spool");
	return rc < 0 ? mq_err_sys(err, rc, "cannot lock %s", LOCK) : 0;
}

/* ---- the clock ---- */
static bool number(const struct mq_retain *r, const char *key, int64_t *ret)
{
	struct mq_conf_item item;
	uint64_t n;
	size_t used;

	if (mq_conf_get(r->seen.p, r->seen.len, key, &item, NULL) != 1 || mq_to_u64_prefix(item.value, item.value_len, &n, &used) < 0 ||
	    used != item.value_len || n > INT64_MAX)
		return false;
	*ret = (int64_t)n;
	return true;
}

struct clocks {
	char boot[33];
	int64_t real_us, up_us;
};

static int read_clocks(struct clocks *ret, struct mq_err *err)
{
	uint8_t id[16];
	int rc = mq_state_boot_id(id, err);

	if (rc < 0)
		return rc;
	mq_hex(id, sizeof id, ret->boot);
	ret->real_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	ret->up_us = mq_sys->clock_ns(MQ_CLOCK_BOOT) / 1000;
	return 0;
}

/* What adjtime and two looks one after the other may differ by: ten seconds, and a thousandth of what has passed. */
static int64_t jump_of(const struct mq_retain *r, const struct clocks *now)
{
	struct mq_conf_item boot;
	int64_t real, up, passed, off;

	if (!number(r, "real", &real) || !number(r, "up", &up) || mq_conf_get(r->seen.p, r->seen.len, "boot", &boot, NULL) != 1)
		return 0;
	passed = now->up_us - up;
	off = now->real_us - real - passed;
	if (!mq_conf_value_is(&boot, now->boot)) { /* how long it was off nobody can tell, but time does not go back */
		off = now->real_us - real;
		return off < -INT64_C(10000000) ? off : 0;
	}
	return llabs(off) > INT64_C(10000000) + llabs(passed) / 1000 ? off : 0;
}

static int check_clock(struct mq_retain *r, bool force, struct mq_err *err)
{
	struct clocks now;
	char text[32];
	int64_t jump;
	int rc = read_clocks(&now, err);

	if (rc < 0)
		return rc;
	jump = jump_of(r, &now);
	if (jump != 0 && !force)
		return mq_err_set(err, MQ_EAGAIN, "the clock jumped by %+.0f s since the last look, so nobody knows how old anything is, and nothing "
		                  "was removed: when the clock is right, run once with --force", (double)jump / 1e6);
	rc = mq_conf_set(&r->seen, "boot", now.boot, err);
	snprintf(text, sizeof text, "%" PRId64, now.real_us);
	if (rc == 0)
		rc = mq_conf_set(&r->seen, "real", text, err);
	snprintf(text, sizeof text, "%" PRId64, now.up_us);
	return rc < 0 ? rc : mq_conf_set(&r->seen, "up", text, err);
}

/* ---- what is kept ---- */
static int read_seen(struct mq_retain *r, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	struct mq_conf_item item;
	int rc = mq_file_read(r->spool->root, SEEN, SEEN_MAX, &r->seen, &why);

	if (rc == 0 && mq_conf_get(r->seen.p, r->seen.len, "boot", &item, NULL) < 0)
		mq_buf_clear(&r->seen); /* no text of ours: as good as none */
	return rc < 0 && rc != -ENOENT ? mq_err_set(err, rc, "%s: %s", SEEN, why.text) : 0;
}

int mq_retain_begin(struct mq_retain *r, struct mq_spool *s, bool force, bool looks, struct mq_err *err)
{
	int rc;

	*r = (struct mq_retain){.spool = s, .lock = -1, .looks = looks};
	rc = looks ? 0 : take_lock(r, err);
	if (rc == 0)
		rc = read_seen(r, err);
	if (rc == 0)
		rc = check_clock(r, force, err);
	if (rc < 0) {
		r->looks = true;
		(void)mq_retain_end(r, NULL);
	}
	return rc;
}

static void key_of(char ret[KEY_MAX], const char *what, const char *group)
{
	snprintf(ret, KEY_MAX, "%s.%s", what, group);
}

int64_t mq_retain_noted(const struct mq_retain *r, const char *what, const char *group)
{
	char key[KEY_MAX];
	int64_t us = 0;

	key_of(key, what, group);
	return number(r, key, &us) ? us : 0;
}

int mq_retain_note(struct mq_retain *r, const char *what, const char *group, int64_t time_us, struct mq_err *err)
{
	char key[KEY_MAX], text[32];

	key_of(key, what, group);
	snprintf(text, sizeof text, "%" PRId64, time_us);
	return mq_conf_set(&r->seen, key, text, err);
}

/* Of a group that is no more nothing is kept. */
static bool is_of_the_gone(const struct mq_retain *r, const struct mq_conf_item *item)
{
	char group[MQ_NAME_MAX + 1];
	struct mq_stat st;

	if (item->key_len < 6 || item->key_len - 5 > MQ_NAME_MAX || (memcmp(item->key, "seen.", 5) != 0 && memcmp(item->key, "told.", 5) != 0))
		return false;
	snprintf(group, sizeof group, "%.*s", (int)(item->key_len - 5), item->key + 5);
	return mq_sys->statat(r->spool->groups, group, &st) == -ENOENT;
}

static int put_seen(struct mq_retain *r, struct mq_err *err)
{
	struct mq_conf_scan scan = MQ_CONF_SCAN(r->seen.p, r->seen.len);
	struct mq_buf out = MQ_BUF_INIT;
	struct mq_conf_item item;
	int rc;

	while ((rc = mq_conf_next(&scan, &item, err)) > 0)
		if (!is_of_the_gone(r, &item) && mq_buf_printf(&out, "%.*s\n", (int)item.line_len, item.line) < 0) {
			rc = mq_err_set(err, -ENOMEM, "no memory");
			break;
		}
	if (rc == 0)
		rc = mq_file_put(r->spool->root, SEEN, r->spool->file_mode, out.p, out.len, true, err);
	mq_buf_release(&out);
	return rc;
}

int mq_retain_end(struct mq_retain *r, struct mq_err *err)
{
	int rc = r->looks ? 0 : put_seen(r, err);

	mq_buf_release(&r->seen);
	if (r->lock >= 0)
		(void)mq_sys->close(r->lock);
	r->lock = -1;
	return rc;
}

/* ---- the act ---- */
int mq_retain_raise(struct mq_topic *t, uint32_t p, uint64_t *offset, int (*settle)(void *arg, uint64_t *offset, struct mq_err *err),
                    void *arg, struct mq_err *err)
{
	int rc, lock = mq_topic_hold(t, true, err);

	if (lock < 0)
		return lock;
	rc = settle(arg, offset, err);
	if (rc == 0)
		rc = mq_partition_purge(t, p, *offset, err);
	(void)mq_sys->close(lock);
	return rc;
}
