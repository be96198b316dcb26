/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/name.h"
#include "sys/sys.h"

int mq_dir_open(int dir, const char *name, struct mq_err *err)
{
	int fd = mq_sys->openat(dir, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd == -EACCES)
		return mq_err_set(err, fd, "cannot open directory %s: permission to list it is needed", name);
	return fd < 0 ? mq_err_sys(err, fd, "cannot open directory %s", name) : fd;
}

/* Whatever the umask; but the group that comes from the directory above goes on to those below. */
static int set_dir_mode(int fd, unsigned mode)
{
	struct mq_stat st;
	int rc = mq_sys->stat(fd, &st);

	return rc < 0 ? rc : mq_sys->fchmod(fd, mode | (st.mode & S_ISGID));
}

int mq_dir_make(int dir, const char *name, unsigned mode, struct mq_err *err)
{
	int rc = mq_sys->mkdirat(dir, name, mode), fd;
	bool made = rc == 0;

	if (rc < 0 && rc != -EEXIST)
		return mq_err_sys(err, rc, "cannot make directory %s", name);
	fd = mq_dir_open(dir, name, err);
	if (fd >= 0 && made) {
		rc = set_dir_mode(fd, mode);
		if (rc < 0) {
			(void)mq_sys->close(fd);
			return mq_err_sys(err, rc, "cannot set the mode of directory %s", name);
		}
	}
	return fd;
}

int mq_dir_sync(int dir, const char *name, struct mq_err *err)
{
	int rc = mq_sys->fsync(dir);

	return rc < 0 ? mq_err_sys(err, rc, "cannot sync directory %s", name) : 0;
}

struct linux_dirent {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

int mq_dir_each(int dir, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	_Alignas(8) char buf[16384];
	int fd = mq_dir_open(dir, ".", err), rc = 0;

	if (fd < 0)
		return fd;
	while (rc == 0) {
		ssize_t n = mq_sys->getdents(fd, buf, sizeof buf);

		if (n < 0)
			rc = mq_err_sys(err, (int)n, "cannot list a directory");
		if (n <= 0)
			break;
		for (ssize_t at = 0; at < n && rc == 0;) {
			const struct linux_dirent *d = (const void *)(buf + at);

			if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
				rc = fn(arg, d->d_name);
			at += d->d_reclen;
		}
	}
	(void)mq_sys->close(fd);
	return rc;
}

struct each {
	int (*fn)(void *arg, const char *name);
	void *arg;
};

static int named(void *arg, const char *name)
{
	const struct each *e = arg;

	return name[0] == '.' || !mq_name_ok(name, strlen(name)) ? 0 : e->fn(e->arg, name);
}

int mq_dir_each_name(int dir, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err)
{
	struct each e = {fn, arg};

	return mq_dir_each(dir, named, &e, err);
}

struct removal {
	int dir, depth;
	struct mq_err *err;
};

static int remove_one(void *arg, const char *name)
{
	const struct removal *r = arg;
	struct mq_stat st;
	int rc = mq_sys->statat(r->dir, name, &st);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return mq_err_sys(r->err, rc, "cannot look at %s", name);
	if (S_ISDIR(st.mode))
		return mq_dir_remove(r->dir, name, r->depth - 1, r->err);
	rc = mq_sys->unlinkat(r->dir, name, false);
	return rc < 0 && rc != -ENOENT ? mq_err_sys(r->err, rc, "cannot remove %s", name) : 0;
}

int mq_dir_remove(int dir, const char *name, int depth, struct mq_err *err)
{
	struct removal r = {.depth = depth, .err = err};
	int rc;

	if (depth < 0)
		return mq_err_set(err, MQ_ECONFIG, "%s holds directories that mq never makes: remove it by hand", name);
	r.dir = mq_dir_open(dir, name, err);
	if (r.dir < 0)
		return r.dir;
	rc = mq_dir_each(r.dir, remove_one, &r, err);
	(void)mq_sys->close(r.dir);
	if (rc < 0)
		return rc;
	rc = mq_sys->unlinkat(dir, name, true);
	return rc < 0 ? mq_err_sys(err, rc, "cannot remove directory %s", name) : 0;
}

int mq_file_read(int dir, const char *name, size_t max, struct mq_buf *ret, struct mq_err *err)
{
	int fd = mq_sys->openat(dir, name, O_RDONLY, 0), rc = 0;

	if (fd < 0)
		return mq_err_sys(err, fd, "cannot open %s", name);
	mq_buf_clear(ret);
	for (;;) {
		ssize_t n;

		rc = mq_buf_reserve(ret, 4096);
		if (rc < 0)
			break;
		n = mq_sys->read(fd, ret->p + ret->len, ret->cap - ret->len - 1);
		if (n == -EINTR)
			continue;
		if (n <= 0) {
			rc = (int)n;
			break;
		}
		ret->len += (size_t)n;
		if (ret->len > max) {
			(void)mq_sys->close(fd);
			return mq_err_set(err, MQ_ECONFIG, "%s is larger than %zu bytes", name, max);
		}
	}
	(void)mq_sys->close(fd);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot read %s", name);
	ret->p[ret->len] = 0;
	return 0;
}

int mq_random_name(const char *prefix, char ret[32], struct mq_err *err)
{
	uint64_t r;
	int rc = mq_sys->random(&r, sizeof r);

	if (rc < 0)
		return mq_err_sys(err, rc, "cannot draw a random name");
	snprintf(ret, 32, "%.12s%016llx", prefix, (unsigned long long)r);
	return 0;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = mq_sys->write(fd, p, len);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int mq_file_put(int dir, const char *name, unsigned mode, const void *bytes, size_t len, bool replace, struct mq_err *err)
{
	return mq_file_put_from(dir, dir, name, mode, bytes, len, replace, err);
}

int mq_file_put_from(int from, int dir, const char *name, unsigned mode, const void *bytes, size_t len, bool replace,
                     struct mq_err *err)
{
	char tmp[32];
	int rc = mq_random_name(".tmp-", tmp, err), fd;

	if (rc < 0)
		return rc;
	fd = mq_sys->openat(from, tmp, O_WRONLY | O_CREAT | O_EXCL, mode);
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot create %s", name);
	rc = mq_sys->fchmod(fd, mode);
	if (rc == 0)
		rc = write_all(fd, bytes, len);
	if (rc == 0)
		rc = mq_sys->fdatasync(fd);
	if (rc == 0)
		rc = mq_sys->renameat(from, tmp, dir, name, replace);
	(void)mq_sys->close(fd);
	if (rc < 0) {
		(void)mq_sys->unlinkat(from, tmp, false);
		return mq_err_sys(err, rc, "cannot write %s", name);
	}
	return mq_dir_sync(dir, name, err);
}

int mq_file_ensure(int dir, const char *name, unsigned mode, size_t allocate, struct mq_err *err)
{
	int rc, fd = mq_sys->openat(dir, name, O_RDWR | O_CREAT | O_EXCL, mode);

	bool made = fd >= 0;

	if (fd == -EEXIST && allocate == 0)
		return 0;
	if (fd == -EEXIST) /* whoever made it may have died before it had its room */
		fd = mq_sys->openat(dir, name, O_RDWR, 0);
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot create %s", name);
	rc = made ? mq_sys->fchmod(fd, mode) : 0;
	if (rc == 0 && allocate > 0)
		rc = mq_sys->fallocate(fd, 0, allocate);
	if (rc == 0)
		rc = mq_sys->fsync(fd);
	(void)mq_sys->close(fd);
	return rc < 0 ? mq_err_sys(err, rc, "cannot make %s", name) : 0;
}
