/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real filling: names, bytes, durability, facts about files. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/real.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

/* openat2 gives EAGAIN when a rename or a mount happened anywhere while it looked for "..": so
 * often that it is worth trying again, and never for ever. */
enum { OPENAT2_TRIES_MAX = 32 };

/* Reading a file of the spool leaves its access time alone: with relatime the first read after each write would set it,
 * so that a reader writes an inode a record, and the writer's next sync has it to write as well.  Only a file's owner and
 * root may ask for that (EPERM); others read as they may. */
static uint64_t unnoticed(int flags)
{
	return flags & (O_WRONLY | O_CREAT | O_PATH | O_DIRECTORY) ? 0 : O_NOATIME;
}

/* --- names ---------------------------------------------------------------------------------- */

int real_open_path(const char *path, int flags, unsigned mode)
{
	return real_int(open(path, flags | O_CLOEXEC, (mode_t)mode));
}

int real_openat(int dir, const char *name, int flags, unsigned mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC) | unnoticed(flags),
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;
	int tries = 0;

	do {
		fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));
		if (fd < 0 && errno == EPERM && how.flags & O_NOATIME) {
			how.flags &= ~(uint64_t)O_NOATIME;
			fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));
		}
	} while (fd < 0 && errno == EAGAIN && ++tries < OPENAT2_TRIES_MAX);
	return real_int((int)fd);
}

/* The directory that holds the last component of a name, found as openat finds it; mkdirat and
 * its like would follow a symlink on the way there. */
struct place {
	int dir;
	const char *last;
	bool opened;
};

static int place_find(struct place *p, int dir, const char *name)
{
	char parent[4096];
	const char *slash = strrchr(name, '/');

	*p = (struct place){.dir = dir, .last = name};
	if (slash) {
		size_t len = (size_t)(slash - name);
		if (len >= sizeof(parent))
			return -ENAMETOOLONG;
		if (len == 0)
			return -EXDEV; /* what openat2 says of an absolute path */
		memcpy(parent, name, len);
		parent[len] = 0;
		p->dir = real_openat(dir, parent, O_PATH | O_DIRECTORY, 0);
		if (p->dir < 0)
			return p->dir;
		p->opened = true;
		p->last = slash + 1;
	}
	if (strcmp(p->last, "..") == 0) {
		if (p->opened)
			close(p->dir);
		return -EXDEV;
	}
	return 0;
}

static int place_done(struct place *p, int r)
{
	if (p->opened)
		close(p->dir);
	return r;
}

/* A close that a signal broke off has closed all the same. */
int real_close(int fd)
{
	return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

int real_mkdir_path(const char *path, unsigned mode)
{
	return real_int(mkdir(path, (mode_t)mode));
}

int real_mkdirat(int dir, const char *name, unsigned mode)
{
	struct place p;
	int r = place_find(&p, dir, name);

	return r < 0 ? r : place_done(&p, real_int(mkdirat(p.dir, p.last, (mode_t)mode)));
}

int real_renameat(int dir, const char *from, int todir, const char *to, bool replace)
{
	struct place a, b;
	int r = place_find(&a, dir, from);

	if (r < 0)
		return r;
	r = place_find(&b, todir, to);
	if (r < 0)
		return place_done(&a, r);
	r = real_int(renameat2(a.dir, a.last, b.dir, b.last, replace ? 0 : RENAME_NOREPLACE));
	return place_done(&a, place_done(&b, r));
}

int real_unlinkat(int dir, const char *name, bool directory)
{
	struct place p;
	int r = place_find(&p, dir, name);

	return r < 0 ? r
	             : place_done(&p, real_int(unlinkat(p.dir, p.last, directory ? AT_REMOVEDIR : 0)));
}

int real_fchmod(int fd, unsigned mode)
{
	return real_int(fchmod(fd, (mode_t)mode));
}

ssize_t real_getdents(int dir, void *buf, size_t len)
{
	return real_size(syscall(SYS_getdents64, dir, buf, len));
}

int real_lseek_start(int fd)
{
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* --- bytes ---------------------------------------------------------------------------------- */

ssize_t real_read(int fd, void *buf, size_t len)
{
	return real_size(read(fd, buf, len));
}

ssize_t real_write(int fd, const void *buf, size_t len)
{
	return real_size(write(fd, buf, len));
}

ssize_t real_writev(int fd, const struct iovec *iov, int n)
{
	return real_size(writev(fd, iov, n));
}

ssize_t real_pread(int fd, void *buf, size_t len, uint64_t at)
{
	return real_size(pread(fd, buf, len, (off_t)at));
}

ssize_t real_pwrite(int fd, const void *buf, size_t len, uint64_t at)
{
	return real_size(pwrite(fd, buf, len, (off_t)at));
}

ssize_t real_pwritev(int fd, const struct iovec *iov, int n, uint64_t at)
{
	return real_size(pwritev(fd, iov, n, (off_t)at));
}

/* --- durability and space ------------------------------------------------------------------- */

int real_fdatasync(int fd)
{
	return real_int(fdatasync(fd));
}

int real_fsync(int fd)
{
	return real_int(fsync(fd));
}

int real_write_out(int fd, uint64_t at, uint64_t len)
{
	return real_int(sync_file_range(fd, (off_t)at, (off_t)len, SYNC_FILE_RANGE_WRITE));
}

int real_fallocate(int fd, uint64_t at, uint64_t len)
{
	return real_int(fallocate(fd, 0, (off_t)at, (off_t)len));
}

/* --- facts about files ---------------------------------------------------------------------- */

static int64_t statx_ns(const struct statx_timestamp *t)
{
	return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

static int stat_beneath(int dir, const char *name, int flags, struct mq_stat *ret)
{
	struct statx x;
	const unsigned asked = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | STATX_MNT_ID_UNIQUE;

	if (statx(dir, name, flags | AT_SYMLINK_NOFOLLOW, asked, &x) < 0)
		return -errno;
	*ret = (struct mq_stat){
		.ino = x.stx_ino,
		.size = x.stx_size,
		.nlink = x.stx_nlink,
		.mtime_ns = statx_ns(&x.stx_mtime),
		.btime_ns = x.stx_mask & STATX_BTIME ? statx_ns(&x.stx_btime) : 0,
		.mode = x.stx_mode,
		.uid = x.stx_uid,
		.gid = x.stx_gid,
		.dev_major = x.stx_dev_major,
		.dev_minor = x.stx_dev_minor,
	};
	/* Before Linux 6.8 there is only the small number that a later mount may be given again. */
	if (x.stx_mask & STATX_MNT_ID_UNIQUE)
		ret->mnt_id = x.stx_mnt_id;
	else
		ret->mnt_id = x.stx_mnt_id | UINT64_C(1) << 63;
	return 0;
}

int real_stat(int fd, struct mq_stat *ret)
{
	return stat_beneath(fd, "", AT_EMPTY_PATH, ret);
}

int real_statat(int dir, const char *name, struct mq_stat *ret)
{
	struct place p;
	int r = place_find(&p, dir, name);

	return r < 0 ? r : place_done(&p, stat_beneath(p.dir, p.last, 0, ret));
}

int real_fs_magic(int fd, uint64_t *ret)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*ret = (uint64_t)(unsigned)fs.f_type;
	return 0;
}

/* On a socket that is written to, what counts is what the other side has not yet acknowledged. */
int real_unread(int fd, int *ret_bytes)
{
	struct stat st;
	int n = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (ioctl(fd, S_ISSOCK(st.st_mode) ? SIOCOUTQ : FIONREAD, &n) < 0)
		return -errno;
	*ret_bytes = n;
	return 0;
}

int real_pipe_size(int fd, int bytes)
{
	return real_int(bytes ? fcntl(fd, F_SETPIPE_SZ, bytes) : fcntl(fd, F_GETPIPE_SZ));
}

int real_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (on == !!(flags & O_NONBLOCK))
		return 0;
	return real_int(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}
