/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 512 };

static struct mq_sys filling;
static char work[PATH_LEN], root[PATH_LEN + 8], boot[PATH_LEN + 8];
static enum world_kind kind;
static uint64_t mount;
static int64_t later_ns;
static bool read_only;
static unsigned refused;
static struct {
	uint64_t real_ino, ino;
	int64_t btime_ns;
} was[FILES_MAX];
static size_t n_was;

static void as_it_was(struct mq_stat *st)
{
	st->mnt_id = mount;
	for (size_t i = 0; i < n_was; i++)
		if (was[i].real_ino == st->ino) {
			st->ino = was[i].ino;
			st->btime_ns = was[i].btime_ns;
			return;
		}
}

static int world_stat(int fd, struct mq_stat *ret)
{
	int rc = mq_sys_real.stat(fd, ret);

	if (rc == 0)
		as_it_was(ret);
	return rc;
}

static int world_statat(int dir, const char *name, struct mq_stat *ret)
{
	int rc = mq_sys_real.statat(dir, name, ret);

	if (rc == 0)
		as_it_was(ret);
	return rc;
}

static int world_open_path(const char *path, int flags, unsigned mode)
{
	if (kind == WORLD_REBOOT && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		path = boot;
	return mq_sys_real.open_path(path, flags, mode);
}

static int refuse(void)
{
	refused++;
	return -EROFS;
}

static int world_openat(int dir, const char *name, int flags, unsigned mode)
{
	if (read_only && (flags & O_CREAT))
		return refuse();
	if (read_only && (flags & (O_WRONLY | O_RDWR)))
		return -EROFS; /* asking is no crime */
	return mq_sys_real.openat(dir, name, flags, mode);
}

static ssize_t world_pwrite(int fd, const void *buf, size_t len, uint64_t at)
{
	return read_only ? refuse() : mq_sys_real.pwrite(fd, buf, len, at);
}

static int world_renameat(int dir, const char *from, int todir, const char *to, bool replace)
{
	return read_only ? refuse() : mq_sys_real.renameat(dir, from, todir, to, replace);
}

static int world_unlinkat(int dir, const char *name, bool directory)
{
	return read_only ? refuse() : mq_sys_real.unlinkat(dir, name, directory);
}

static int64_t world_clock_ns(enum mq_clock which)
{
	return mq_sys_real.clock_ns(which) + later_ns;
}

/* There is no disk under it. */
static int world_sync(int fd)
{
	(void)fd;
	return read_only ? refuse() : 0;
}

void world_init(const char *directory)
{
	FILE *f;

	snprintf(work, sizeof work, "%s", directory);
	snprintf(root, sizeof root, "%s/disk", work);
	snprintf(boot, sizeof boot, "%s/boot", work);
	f = fopen(boot, "w");
	if (!f || fputs("01234567-89ab-cdef-0123-456789abcdef\n", f) < 0 || fclose(f) != 0)
		die("cannot write %s", boot);
	filling = mq_sys_real;
	filling.stat = world_stat;
	filling.statat = world_statat;
	filling.open_path = world_open_path;
	filling.openat = world_openat;
	filling.pwrite = world_pwrite;
	filling.renameat = world_renameat;
	filling.unlinkat = world_unlinkat;
	filling.fdatasync = world_sync;
	filling.fsync = world_sync;
	filling.clock_ns = world_clock_ns;
	mq_sys = &filling;
	umask(0);
}

static void remember(int fd, const struct node *n)
{
	unsigned long long ino, major, minor;
	long long btime;
	struct stat st;

	if (fstat(fd, &st) < 0 || n_was == FILES_MAX)
		die("cannot look at what was just made");
	if (sscanf(n->id, "%llu:%llu:%llu:%lld", &major, &minor, &ino, &btime) != 4)
		return; /* the trace never told */
	if (kind == WORLD_RESTORE && !n->directory)
		ino += 1000000;
	was[n_was].real_ino = st.st_ino;
	was[n_was].ino = ino;
	was[n_was++].btime_ns = btime;
}

static void make_dir(const char *path, const struct node *n)
{
	int fd;

	if (mkdir(path, 0750) < 0 || (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		die("cannot make %s: %s", path, strerror(errno));
	remember(fd, n);
	close(fd);
}

static void make_file(const struct image_file *f)
{
	char path[3 * PATH_LEN];
	uint8_t run[64 * SECTOR];
	int fd;

	snprintf(path, sizeof path, "%s/%s", root, f->path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0 || ftruncate(fd, (off_t)f->size) < 0)
		die("cannot make %s: %s", path, strerror(errno));
	for (size_t i = 0; i < f->n_sectors;) {
		size_t n = 0, bytes;

		while (i + n < f->n_sectors && n < 64 && f->sector[i + n]) {
			memcpy(run + n * SECTOR, f->sector[i + n], SECTOR);
			n++;
		}
		bytes = (size_t)(f->size - i * SECTOR) < n * SECTOR ? (size_t)(f->size - i * SECTOR) : n * SECTOR;
		if (n > 0 && pwrite(fd, run, bytes, (off_t)(i * SECTOR)) != (ssize_t)bytes)
			die("cannot write %s: %s", path, strerror(errno));
		i += n ? n : 1;
	}
	remember(fd, f->node);
	close(fd);
}

const char *world_make(const struct image *im, enum world_kind what)
{
	kind = what;
	mount = what == WORLD_REMOUNT ? WORLD_MOUNT + 1000 : WORLD_MOUNT;
	read_only = false;
	refused = 0;
	later_ns = 0;
	n_was = 0;
	if (mkdir(root, 0750) < 0)
		die("cannot make %s: %s", root, strerror(errno));
	for (size_t i = 0; i < im->n_dirs; i++) {
		char path[3 * PATH_LEN];

		snprintf(path, sizeof path, "%s/%s", root, im->dirs[i]);
		make_dir(path, im->dir_nodes[i]);
	}
	for (size_t i = 0; i < im->n_files; i++)
		make_file(&im->f[i]);
	return root;
}

void world_remount(void)
{
	mount += 10;
}

void world_later(int64_t ns)
{
	later_ns = ns;
}

void world_read_only(bool on)
{
	read_only = on;
	refused = 0;
}

unsigned world_refused(void)
{
	return refused;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void world_clear(void)
{
	if (nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		die("cannot remove %s: %s", root, strerror(errno));
}
