/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/group_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/name.h"
#include "spool/dirs.h"
#include "spool/group.h"
#include "sys/hold.h"
#include "sys/sys.h"

enum { CONF_MAX = 1 << 20 };
static const char NAME[] = "group.conf";

/* What is there in a group's directory; nothing: the defaults. */
static int read_in(int dir, const char *group, struct mq_assign_conf *c, struct mq_err *err)
{
	struct mq_buf text = MQ_BUF_INIT;
	struct mq_err why = {0};
	int rc = mq_file_read(dir, NAME, CONF_MAX, &text, &why);

	if (rc == 0)
		rc = mq_assign_conf_parse(c, text.p, text.len, &why);
	mq_buf_release(&text);
	if (rc == 0 || rc == -ENOENT)
		return 0;
	mq_err_prefix(&why, "groups/%s/%s", group, NAME);
	if (err)
		*err = why;
	return rc;
}

int mq_group_conf_read(struct mq_spool *s, const char *group, struct mq_assign_conf *c, struct mq_err *err)
{
	int rc, dir = s->groups < 0 ? mq_groups_closed(s, err) : mq_dir_open(s->groups, group, NULL);

	if (s->groups < 0)
		return dir;
	if (dir < 0)
		return dir == -ENOENT ? 0 : mq_err_sys(err, dir, "groups/%s: cannot be opened", group);
	rc = read_in(dir, group, c, err);
	(void)mq_sys->close(dir);
	return rc;
}

/* ---- changing ---- */
static int set_pair(struct mq_assign_conf *c, const char *pair, struct mq_err *err)
{
	const char *equals = strchr(pair, '=');
	char key[2 * MQ_NAME_MAX];
	size_t n = equals ? (size_t)(equals - pair) : 0;

	if (!equals || n >= sizeof key)
		return mq_err_set(err, MQ_EUSAGE, "'%.200s' is not KEY=VALUE", pair);
	memcpy(key, pair, n);
	key[n] = 0;
	return mq_assign_conf_set(c, key, equals + 1, err);
}

/* In memory; the new text goes to out. */
static int change_in(int dir, const char *group, const struct mq_group_conf_change *change, struct mq_assign_conf *c,
                     struct mq_buf *out, bool *ret_changed, struct mq_err *err)
{
	struct mq_buf before = MQ_BUF_INIT;
	int rc = dir < 0 ? 0 : read_in(dir, group, c, err);

	if (rc == 0 && mq_assign_conf_print(c, &before) < 0)
		rc = mq_err_set(err, -ENOMEM, "no memory for a configuration");
	if (rc == 0 && change->forget_assigns)
		c->assigns.n = 0;
	for (size_t i = 0; i < change->n && rc == 0; i++)
		rc = set_pair(c, change->set[i], err);
	if (rc == 0 && mq_assign_conf_print(c, out) < 0)
		rc = mq_err_set(err, -ENOMEM, "no memory for a configuration");
	*ret_changed = rc == 0 && (before.len != out->len || memcmp(before.p, out->p, out->len) != 0);
	mq_buf_release(&before);
	return rc;
}

/* ---- the lock of who changes it: byte 0 of the file itself, as long as that has the name ---- */
static int lock_file(const struct mq_spool *s, int fd, const char *group, struct mq_err *err)
{
	struct mq_patience p = mq_patience_at_least(s->patience, INT64_C(1000000000));
	int rc = mq_sys->lock(fd, MQ_LOCK_WRITE, 0, 1, false);

	if (rc == -EAGAIN || rc == -EACCES || rc == -EINTR) {
		mq_hold_wait_begins();
		rc = mq_patience_lock(&p, mq_patience_end(&p), fd, MQ_LOCK_WRITE, 0, 1);
		mq_hold_wait_ends();
	}
	if (rc == -ETIMEDOUT)
		return mq_err_set(err, rc, "groups/%s/%s: another process changes it, and did not end (--timeout)", group, NAME);
	return rc < 0 ? mq_err_sys(err, rc, "groups/%s/%s: cannot be locked", group, NAME) : 0;
}

/* For whoever changes it to lock, and as good as none. */
static int make_file(const struct mq_spool *s, int dir, const char *group, struct mq_err *err)
{
	struct mq_assign_conf c;
	struct mq_buf text = MQ_BUF_INIT;
	int rc;

	mq_assign_conf_init(&c);
	rc = mq_assign_conf_print(&c, &text) < 0 ? mq_err_set(err, -ENOMEM, "no memory for a configuration")
	                                         : mq_file_put(dir, NAME, s->file_mode, text.p, text.len, false, err);
	mq_assign_conf_release(&c);
	mq_buf_release(&text);
	if (rc < 0 && rc != -EEXIST)
		mq_err_prefix(err, "groups/%s", group);
	return rc == -EEXIST ? 0 : rc;
}

/* The file that has the name, locked. */
static int open_locked(const struct mq_spool *s, int dir, const char *group, struct mq_err *err)
{
	struct mq_stat of_fd, named;

	for (;;) {
		int rc, fd = mq_sys->openat(dir, NAME, O_RDWR, 0);

		if (fd == -ENOENT) {
			rc = make_file(s, dir, group, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (fd < 0)
			return mq_err_sys(err, fd, "groups/%s/%s: cannot be opened", group, NAME);
		rc = lock_file(s, fd, group, err);
		if (rc < 0) {
			(void)mq_sys->close(fd);
			return rc;
		}
		rc = mq_sys->stat(fd, &of_fd);
		if (rc == 0)
			rc = mq_sys->statat(dir, NAME, &named);
		if (rc == 0 && of_fd.ino == named.ino)
			return fd;
		(void)mq_sys->close(fd);
		if (rc < 0 && rc != -ENOENT)
			return mq_err_sys(err, rc, "groups/%s/%s: cannot be locked", group, NAME);
	}
}

/* Written beside the members, who watch that directory: the rename that makes it count is heard by them, so whoever is killed has
 * changed nothing, or has told it. */
static int put_heard(const struct mq_spool *s, int dir, const char *group, const struct mq_buf *text, struct mq_err *err)
{
	int rc, members = mq_dir_make(dir, "members", s->dir_mode, err);

	rc = members < 0 ? members : mq_file_put_from(members, dir, NAME, s->file_mode, text->p, text->len, true, err);
	if (members >= 0)
		(void)mq_sys->close(members);
	if (rc < 0)
		mq_err_prefix(err, "groups/%s", group);
	return rc;
}

static int change_file(struct mq_spool *s, int dir, const char *group, const struct mq_group_conf_change *change,
                       struct mq_assign_conf *c, bool *ret_changed, struct mq_err *err)
{
	struct mq_buf text = MQ_BUF_INIT;
	int rc, fd;

	mq_hold_signals();
	fd = open_locked(s, dir, group, err);
	rc = fd < 0 ? fd : change_in(dir, group, change, c, &text, ret_changed, err);
	if (rc == 0 && *ret_changed)
		rc = put_heard(s, dir, group, &text, err);
	if (fd >= 0)
		(void)mq_sys->close(fd);
	mq_unhold_signals();
	mq_buf_release(&text);
	return rc;
}

int mq_group_conf_change(struct mq_spool *s, const char *group, const struct mq_group_conf_change *change, bool dry_run,
                         struct mq_assign_conf *c, bool *ret_changed, struct mq_err *err)
{
	struct mq_buf text = MQ_BUF_INIT;
	int rc = s->groups < 0 ? mq_groups_closed(s, err) : mq_name_check(group, "group", err), dir;

	if (rc < 0)
		return rc;
	dir = dry_run ? mq_dir_open(s->groups, group, NULL) : mq_dir_make(s->groups, group, s->dir_mode, err);
	if (dir < 0 && !dry_run)
		mq_err_prefix(err, "groups");
	else if (dir < 0 && dir != -ENOENT)
		mq_err_sys(err, dir, "groups/%s: cannot be opened", group);
	if (dir < 0 && !(dry_run && dir == -ENOENT))
		return dir;
	if (dry_run)
		rc = change_in(dir, group, change, c, &text, ret_changed, err);
	else
		rc = change_file(s, dir, group, change, c, ret_changed, err);
	if (rc == 0 && !dry_run)
		rc = mq_dir_sync(s->groups, "groups", err);
	if (dir >= 0)
		(void)mq_sys->close(dir);
	mq_buf_release(&text);
	return rc;
}
