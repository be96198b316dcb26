/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "spool/dirs.h"
#include "sys/sys.h"

enum { CONF_MAX = 64 * 1024 };

/* File systems where OFD locks of all processes meet and inotify tells: statfs(2)'s f_type. */
static const struct {
	uint64_t magic;
	const char *name;
} local_fs[] = {
    {0xEF53, "ext4"},        {0x58465342, "xfs"},      {0x9123683E, "btrfs"}, {0x01021994, "tmpfs"},
    {0x794c7630, "overlay"}, {0xF2F52010, "f2fs"},     {0x2fc12fc1, "zfs"},   {0xca451a4e, "bcachefs"},
    {0x3153464a, "jfs"},     {0x52654973, "reiserfs"}, {0x858458f6, "ramfs"},
};

bool mq_spool_fs_is_local(uint64_t magic)
{
	for (size_t i = 0; i < sizeof local_fs / sizeof local_fs[0]; i++)
		if (local_fs[i].magic == magic)
			return true;
	return false;
}

/* spool.conf: another process was quicker. */
static int other_entry(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "spool.conf") == 0 || strcmp(name, "topics") == 0 || strcmp(name, "groups") == 0 || strncmp(name, ".tmp-", 5) == 0 ||
	    strcmp(name, "lost+found") == 0)
		return 0;
	return 1;
}

int mq_spool_is_fresh(int dir, struct mq_err *err)
{
	int rc = mq_dir_each(dir, other_entry, NULL, err);

	return rc < 0 ? rc : rc == 0;
}

/* The directories above the spool: whoever made one of them may have been killed before it was durable.  One that this user
 * cannot open was made by another one, before all this. */
static int sync_parents(const char *path, struct mq_err *err)
{
	char *copy = strdup(path);
	size_t len = copy ? strlen(copy) : 0;
	int rc = copy ? 0 : mq_err_set(err, -ENOMEM, "no memory");

	for (bool more = true; rc == 0 && more;) {
		int fd;

		while (len > 0 && copy[len - 1] == '/')
			len--;
		more = len > 0;
		while (len > 0 && copy[len - 1] != '/')
			len--;
		if (!more)
			break;
		copy[len] = 0;
		fd = mq_sys->open_path(len ? copy : ".", O_RDONLY | O_DIRECTORY, 0);
		rc = fd < 0 ? fd : mq_sys->fsync(fd);
		if (fd >= 0)
			(void)mq_sys->close(fd);
		if (rc == -EIO)
			mq_err_sys(err, rc, "cannot sync the directory %s", len ? copy : ".");
		else
			rc = 0;
	}
	free(copy);
	return rc;
}

/* mkdir -p.  Only the last one is the spool and has its mode. */
static int make_path(const char *path, struct mq_err *err)
{
	char *copy = strdup(path);
	int rc = copy ? 0 : -ENOMEM;

	for (char *p = copy; rc >= 0 && p && *p;) {
		char *slash = strchr(p + 1, '/');

		if (slash)
			*slash = 0;
		rc = mq_sys->mkdir_path(copy, slash ? 0777 : 0750);
		if (rc == -EEXIST || (rc == -EACCES && slash) || (rc == -EROFS && slash))
			rc = 0; /* there, or told by the next one */
		else if (rc < 0)
			mq_err_sys(err, rc, "cannot make directory %s", copy);
		if (slash)
			*slash = '/';
		p = slash;
	}
	free(copy);
	return rc;
}

/* An empty directory that somebody has made for a group, setgid and writable by it, becomes a spool of that group. */
static bool is_shared(const struct mq_stat *root)
{
	return (root->mode & S_ISGID) && (root->mode & S_IWGRP);
}

/* root: as it was found. */
static int write_conf(struct mq_spool *s, const struct mq_stat *root, struct mq_err *err)
{
	struct mq_spool_conf conf;
	struct mq_buf text = MQ_BUF_INIT;
	int rc;

	mq_spool_conf_init(&conf);
	rc = mq_sys->random(conf.id, sizeof conf.id);
	if (rc < 0)
		mq_err_sys(err, rc, "cannot make spool.conf");
	conf.inode = root->ino; /* of the spool's directory: a copy has another */
	if (rc == 0 && is_shared(root))
		rc = mq_spool_conf_set(&conf, "mode", "0660", err);
	if (rc == 0)
		rc = mq_spool_conf_print(&conf, &text);
	if (rc == 0)
		rc = mq_file_put(s->root, "spool.conf", 0640, text.p, text.len, false, err);
	if (rc == -EEXIST) {
		rc = 0; /* another process was quicker */
		if (err)
			err->code = 0, err->text[0] = 0;
	}
	mq_buf_release(&text);
	mq_spool_conf_release(&conf);
	return rc;
}

static int is_name(void *arg, const char *name)
{
	(void)arg;
	return *name != '.';
}

/* Whoever made the directories was not killed: it was a spool. */
static int has_topics(struct mq_spool *s, struct mq_err *err)
{
	int dir = mq_dir_open(s->root, "topics", NULL), rc;

	if (dir < 0)
		return dir == -ENOENT ? 0 : mq_err_sys(err, dir, "cannot open topics");
	rc = mq_dir_each(dir, is_name, NULL, err);
	(void)mq_sys->close(dir);
	return rc;
}

static int populate(struct mq_spool *s, const char *path, struct mq_err *err)
{
	static const char *const dirs[] = {"topics", "groups"};
	struct mq_stat root;
	int rc = mq_spool_is_fresh(s->root, err);

	if (rc == 0)
		return mq_err_set(err, MQ_ECONFIG, "%s is not a spool and not empty: name another directory with -S", path);
	if (rc == 1)
		rc = has_topics(s, err);
	if (rc == 1 && mq_sys->statat(s->root, "spool.conf", &root) == -ENOENT) /* else another process was quicker with both */
		return mq_err_set(err, MQ_ECONFIG, "%s: spool.conf is missing, and there are topics: restore it, or copy one from a new "
		                  "spool, without its line inode=, and run mq-check --mend", path);
	if (rc < 0)
		return rc;
	rc = mq_sys->stat(s->root, &root);
	if (rc == 0 && !is_shared(&root))
		rc = mq_sys->fchmod(s->root, 0750);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot set the mode of %s", path);
	for (size_t i = 0; i < 2; i++) {
		int fd = mq_dir_make(s->root, dirs[i], is_shared(&root) ? 0770 : 0750, err);

		if (fd < 0)
			return fd;
		(void)mq_sys->close(fd);
	}
	rc = mq_dir_sync(s->root, path, err);
	if (rc == 0)
		rc = sync_parents(path, err);
	return rc < 0 ? rc : write_conf(s, &root, err);
}

static int read_conf(struct mq_spool *s, struct mq_err *err)
{
	struct mq_buf text = MQ_BUF_INIT;
	struct mq_stat st;
	int rc = mq_file_read(s->root, "spool.conf", CONF_MAX, &text, err);

	if (rc == 0) {
		rc = mq_spool_conf_parse(&s->conf, text.p, text.len, err);
		if (rc < 0)
			mq_err_prefix(err, "spool.conf");
	}
	if (rc == 0) {
		rc = mq_sys->stat(s->root, &st);
		if (rc < 0)
			mq_err_sys(err, rc, "cannot look at the spool");
	}
	if (rc == 0) {
		s->copied = s->conf.inode != 0 && s->conf.inode != st.ino;
		s->file_mode = (unsigned)s->conf.mode;
		s->dir_mode = (s->file_mode & 0020) ? 0770 : 0750;
	}
	mq_buf_release(&text);
	return rc;
}

static int check_fs(struct mq_spool *s, const char *path, struct mq_err *err)
{
	uint64_t magic;
	int rc = mq_sys->fs_magic(s->root, &magic);

	if (rc < 0)
		return mq_err_sys(err, rc, "%s: cannot tell its file system", path);
	s->events = mq_spool_fs_is_local(magic);
	if (!s->events && !s->conf.any_filesystem)
		return mq_err_set(err, MQ_ECONFIG,
		                  "%s lies on a file system (type 0x%llx) where locks of different hosts may not meet: move the "
		                  "spool to a local disk, or set allow.any.filesystem=true in its spool.conf",
		                  path, (unsigned long long)magic);
	return 0;
}

static int open_root(struct mq_spool *s, const char *path, bool create, struct mq_err *err)
{
	int rc;

	s->root = mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);
	if (s->root == -ENOENT && create) {
		rc = make_path(path, err);
		if (rc < 0)
			return rc;
		s->root = mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);
	}
	if (s->root == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "no spool at %s: publish something first, or name one with -S or MQ_SPOOL", path);
	if (s->root == -ENOTDIR)
		return mq_err_set(err, MQ_ECONFIG, "%s is not a directory: a spool is one; name another with -S", path);
	if (s->root < 0)
		return mq_err_sys(err, s->root, "cannot open the spool %s", path);
	return 0;
}

int mq_spool_open(struct mq_spool *s, const char *path, bool create, struct mq_err *err)
{
	struct mq_stat st;
	int rc;

	memset(s, 0, sizeof *s);
	s->root = s->topics = s->groups = -1;
	mq_spool_conf_init(&s->conf);
	rc = open_root(s, path, create, err);
	if (rc == 0) {
		rc = mq_sys->statat(s->root, "spool.conf", &st);
		if (rc == -ENOENT && create) {
			rc = check_fs(s, path, err); /* before anything is written */
			if (rc == 0)
				rc = populate(s, path, err);
		} else if (rc == -ENOENT)
			rc = mq_err_set(err, MQ_ECONFIG, "%s is not a spool (it has no spool.conf)", path);
		else if (rc < 0)
			mq_err_sys(err, rc, "cannot look into the spool %s", path);
	}
	if (rc == 0 && (rc = read_conf(s, err)) < 0)
		mq_err_prefix(err, "%s", path);
	if (rc == 0)
		rc = check_fs(s, path, err);
	if (rc == 0 && (rc = s->topics = mq_dir_open(s->root, "topics", err)) < 0) {
		mq_err_prefix(err, "%s", path);
		rc = rc == -ENOENT ? mq_err_lacks(err) : rc;
	}
	if (rc >= 0)
		s->groups = mq_dir_open(s->root, "groups", NULL); /* one who may only write has no business there */
	if (rc < 0) {
		mq_spool_release(s);
		return rc;
	}
	return 0;
}

void mq_spool_release(struct mq_spool *s)
{
	const int fds[] = {s->root, s->topics, s->groups};

	for (int i = 0; i < s->n_held; i++)
		(void)mq_sys->close(s->held[i]);
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)mq_sys->close(fds[i]);
	mq_spool_conf_release(&s->conf);
	s->root = s->topics = s->groups = -1;
	s->n_held = 0;
}
