/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that fails as it is told: a FUSE file system of one file, `disk`, for a loop device to stand on.
 *
 *   kernel_disk IMAGE CONTROL MOUNTPOINT      until it is unmounted
 *
 * CONTROL is mapped: what to do with writes now, in which bytes of the disk, and what was done.  The blocks of
 * a segment are told from the file system's own by what is in them: a batch's magic, a segment's, or the word
 * that kernel_batch.c strews over its payloads.  A journal in ordered mode never holds those.
 *
 * Built by kernel.t alone, where libfuse3 is.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096 };

enum mode {
	PASS = 0,
	FAIL_DATA = 1, /* a segment's blocks: EIO */
	FAIL_ALL = 2,  /* every write, and the flush: EIO */
	DROP_DATA = 3, /* a segment's blocks: "done", and not done */
};

struct control {
	volatile uint32_t mode, pad;
	volatile uint64_t from, to; /* only in these bytes; 0, 0: anywhere */
	volatile uint64_t failed, dropped;
};

static int disk;
static struct control *control;

static bool has(const char *at, size_t n, const char *word, size_t len)
{
	return memmem(at, n, word, len) != NULL;
}

static bool is_data(const char *at, size_t n)
{
	return has(at, n, "mqKernel", 8) || has(at, n, "mqB\1", 4) || has(at, n, "mqSegm\r\n", 8);
}

static bool touched(uint32_t mode, const char *at, size_t n, uint64_t pos)
{
	if (control->to > 0 && (pos + n <= control->from || pos >= control->to))
		return false;
	if (mode == DROP_DATA && has(at, n, "mqSegm\r\n", 8))
		return false; /* a head without its header is another tale */
	return mode == FAIL_ALL || (mode != PASS && is_data(at, n));
}

/* Block by block, as a disk does: those that are not to fail are written. */
static int disk_write(const char *path, const char *buf, size_t size, off_t at, struct fuse_file_info *fi)
{
	uint32_t mode = control->mode;
	bool failed = false;

	(void)path, (void)fi;
	for (size_t done = 0, n; done < size; done += n) {
		n = BLOCK - ((size_t)at + done) % BLOCK;
		if (n > size - done)
			n = size - done;
		if (touched(mode, buf + done, n, (uint64_t)at + done)) {
			if (mode == DROP_DATA) {
				__atomic_add_fetch(&control->dropped, 1, __ATOMIC_RELAXED);
				continue;
			}
			__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
			failed = true;
			continue;
		}
		if (pwrite(disk, buf + done, n, at + (off_t)done) != (ssize_t)n)
			return -errno;
	}
	return failed ? -EIO : (int)size;
}

static int disk_read(const char *path, char *buf, size_t size, off_t at, struct fuse_file_info *fi)
{
	ssize_t n = pread(disk, buf, size, at);

	(void)path, (void)fi;
	return n < 0 ? -errno : (int)n;
}

static int disk_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path, (void)datasync, (void)fi;
	return control->mode == FAIL_ALL ? -EIO : 0; /* the host does not crash: its page cache is the platter */
}

static int disk_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	struct stat under;

	(void)fi;
	memset(st, 0, sizeof *st);
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return 0;
	}
	if (strcmp(path, "/disk") != 0)
		return -ENOENT;
	if (fstat(disk, &under) < 0)
		return -errno;
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	st->st_size = under.st_size;
	return 0;
}

static int disk_open(const char *path, struct fuse_file_info *fi)
{
	if (strcmp(path, "/disk") != 0)
		return -ENOENT;
	fi->direct_io = 1; /* no second cache between: what is read back is what was written */
	return 0;
}

static const struct fuse_operations operations = {
    .getattr = disk_getattr,
    .open = disk_open,
    .read = disk_read,
    .write = disk_write,
    .fsync = disk_fsync,
};

int main(int argc, char **argv)
{
	char *fuse_argv[] = {argv[0], "-f", argc == 4 ? argv[3] : NULL, NULL};
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: kernel_disk IMAGE CONTROL MOUNTPOINT\n");
		return 64;
	}
	disk = open(argv[1], O_RDWR | O_CLOEXEC);
	fd = open(argv[2], O_RDWR | O_CLOEXEC);
	if (disk < 0 || fd < 0) {
		perror("kernel_disk");
		return 66;
	}
	control = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED) {
		perror("kernel_disk");
		return 71;
	}
	return fuse_main(3, fuse_argv, &operations, NULL);
}
