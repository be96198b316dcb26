/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the real filling (sys.h) that stand in files of their own.  Only real.c includes
 * this: everyone else goes through the table.
 *
 *   real_files.c   names, bytes, durability, facts about files
 *   real_spawn.c   starting a program
 *   real_watch.c   inotify, through libinotifytools
 */
#ifndef MQ_SYS_REAL_H
#define MQ_SYS_REAL_H

#include <errno.h>

#include "sys/sys.h"

/* What the C library gave, as the table gives it: a count, or the negative errno. */
static inline int real_int(int r)
{
	return r < 0 ? -errno : r;
}

static inline ssize_t real_size(ssize_t r)
{
	return r < 0 ? -errno : r;
}

int real_open_path(const char *path, int flags, unsigned mode);
int real_openat(int dir, const char *name, int flags, unsigned mode);
int real_close(int fd);
int real_mkdir_path(const char *path, unsigned mode);
int real_mkdirat(int dir, const char *name, unsigned mode);
int real_renameat(int dir, const char *from, int todir, const char *to, bool replace);
int real_unlinkat(int dir, const char *name, bool directory);
int real_fchmod(int fd, unsigned mode);
ssize_t real_getdents(int dir, void *buf, size_t len);
int real_lseek_start(int fd);

ssize_t real_read(int fd, void *buf, size_t len);
ssize_t real_write(int fd, const void *buf, size_t len);
ssize_t real_writev(int fd, const struct iovec *iov, int n);
ssize_t real_pread(int fd, void *buf, size_t len, uint64_t at);
ssize_t real_pwrite(int fd, const void *buf, size_t len, uint64_t at);
ssize_t real_pwritev(int fd, const struct iovec *iov, int n, uint64_t at);

int real_fdatasync(int fd);
int real_fsync(int fd);
int real_write_out(int fd, uint64_t at, uint64_t len);
int real_fallocate(int fd, uint64_t at, uint64_t len);

int real_stat(int fd, struct mq_stat *ret);
int real_statat(int dir, const char *name, struct mq_stat *ret);
int real_fs_magic(int fd, uint64_t *ret);
int real_unread(int fd, int *ret_bytes);
int real_pipe_size(int fd, int bytes);
int real_set_nonblock(int fd, bool on);

pid_t real_spawn(const struct mq_spawn *what);
int real_leash(int ret_fd[2]);
int real_leash_to(int fd, pid_t pid);

int real_watch_open(void);
int real_watch_add(const char *path, uint32_t events);
int real_watch_remove(int wd);
int real_watch_next(uint32_t *ret_events);

#endif
