/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of kernel calls: the only way in which the library and the tools reach the kernel.
 *
 * Everything that lasts, everything that another process can see and everything that can fail
 * goes through `mq_sys`, a pointer to a filled table.  The fillings:
 *
 *   real       the kernel (real.c), what every tool runs on;
 *   recording  passes on to another filling and writes each call with its arguments, data and
 *              result to a log (record.c), for the crash-state tests;
 *   faulting   passes on, but fails chosen calls or cuts them short (fault.c).
 *
 * Conventions.  Each call returns 0 or a count ≥ 0, or the negative errno.  No call is retried
 * here but for EINTR where said; short reads and writes are passed on to the caller as they come:
 * base/… and log/… loop.  Paths are relative to a directory descriptor and are opened with
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS); only `open_path` and
 * `mkdir_path` take a path from the user.  The calls that have no such flag find the directory of a
 * longer name in the same way, and never follow its last component.  All descriptors are close-on-exec from birth, and
 * what `openat` opens for reading keeps its access time, where this user may ask for that.
 */
#ifndef MQ_SYS_SYS_H
#define MQ_SYS_SYS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What statx tells of a file, as far as mq asks. */
struct mq_stat {
	uint64_t ino;
	uint64_t size;     /* bytes */
	uint64_t nlink;
	uint64_t mnt_id;   /* STATX_MNT_ID_UNIQUE, else STATX_MNT_ID with bit 63 set */
	int64_t mtime_ns;  /* of CLOCK_REALTIME */
	int64_t btime_ns;  /* birth time; 0 where the file system has none */
	uint32_t mode;     /* st_mode: type and permissions */
	uint32_t uid, gid;
	uint32_t dev_major, dev_minor;
};

enum mq_lock_kind { MQ_LOCK_READ, MQ_LOCK_WRITE, MQ_LOCK_NONE };

enum mq_clock { MQ_CLOCK_REAL, MQ_CLOCK_MONOTONIC, MQ_CLOCK_BOOT };

/* A program to start.  argv[0] is looked up in PATH.  The child dies with its parent
 * (PR_SET_PDEATHSIG, SIGKILL; the parent is looked at again after setting it), has the default
 * signal dispositions and an empty signal mask, is in its own process group when `own_group`, and
 * inherits only stdin, stdout, stderr and keep_fd.  That a program cannot be begun (-ENOENT,
 * -EACCES, -ENOEXEC: no shell is tried) is told by spawn itself, and leaves no child behind.
 * The kernel takes the parent to be the thread that called: it must live as long as the child. */
struct mq_spawn {
	char *const *argv;  /* ends in NULL */
	char *const *envp;  /* ends in NULL; NULL: the parent's own */
	int in, out, err;   /* descriptors for 0, 1, 2; -1: the parent's own */
	int keep_fd;        /* one more descriptor kept open across exec under its own number; -1: none */
	bool own_group;
};

struct mq_sys {
	/* names */
	int (*open_path)(const char *path, int flags, unsigned mode);          /* open(2) */
	int (*openat)(int dir, const char *name, int flags, unsigned mode);    /* openat2(2), beneath */
	int (*close)(int fd);
	int (*mkdir_path)(const char *path, unsigned mode);                    /* mkdir(2) */
	int (*mkdirat)(int dir, const char *name, unsigned mode);
	int (*renameat)(int dir, const char *from, int todir, const char *to, bool replace);
	int (*unlinkat)(int dir, const char *name, bool directory);
	int (*fchmod)(int fd, unsigned mode);
	ssize_t (*getdents)(int dir, void *buf, size_t len);                   /* linux_dirent64 */
	int (*lseek_start)(int fd);                                           /* rewind a directory */

	/* bytes */
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	ssize_t (*writev)(int fd, const struct iovec *iov, int n);
	ssize_t (*pread)(int fd, void *buf, size_t len, uint64_t at);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, uint64_t at);
	ssize_t (*pwritev)(int fd, const struct iovec *iov, int n, uint64_t at);

	/* durability and space */
	int (*fdatasync)(int fd);
	int (*fsync)(int fd);
	int (*write_out)(int fd, uint64_t at, uint64_t len);   /* sync_file_range(SYNC_FILE_RANGE_WRITE) */
	int (*fallocate)(int fd, uint64_t at, uint64_t len);

	/* facts about files */
	int (*stat)(int fd, struct mq_stat *ret);                              /* statx(AT_EMPTY_PATH) */
	int (*statat)(int dir, const char *name, struct mq_stat *ret);         /* no symlink followed */
	int (*fs_magic)(int fd, uint64_t *ret);                                /* fstatfs: f_type */
	int (*unread)(int fd, int *ret_bytes);                                 /* FIONREAD, or SIOCOUTQ on a socket */
	int (*pipe_size)(int fd, int bytes);                                   /* F_SETPIPE_SZ; returns the size; 0 bytes: only asks */
	int (*set_nonblock)(int fd, bool on);

	/* locks: open file description locks on [start, start+len) */
	int (*lock)(int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len, bool wait); /* wait: may return -EINTR; else -EAGAIN when taken */
	int (*lock_test)(int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len);       /* F_OFD_GETLK: 1 somebody holds a conflicting one, 0 nobody */

	/* shared words */
	void *(*map_shared)(int fd, uint64_t at, size_t len);                  /* read and write; NULL: errno says why */
	int (*unmap)(void *p, size_t len);
	/* A waiter belongs to classes (bits, at least one); a wake-up names the classes that it is for and how many of them.
	 * -EAGAIN: the word is not what was seen; -ETIMEDOUT, -EINTR; -EFAULT: its page cannot be had. */
	int (*futex_wait)(uint32_t *word, uint32_t seen, uint32_t classes, int64_t timeout_ns);
	int (*futex_wake)(uint32_t *word, int max, uint32_t classes); /* how many woke */
	int (*futex_add)(uint32_t *word);                             /* adds 1; word[1] is in the same page, nobody waits there */

	/* time and chance */
	int64_t (*clock_ns)(enum mq_clock which);
	int (*random)(void *buf, size_t len);                                  /* getrandom: whole or error */

	/* processes */
	pid_t (*pid)(void);                                                    /* of this one */
	int (*fds_max)(void);                                                  /* how many descriptors it may have: the soft RLIMIT_NOFILE */
	int (*yield)(void);                                                    /* sched_yield(2) */
	pid_t (*spawn)(const struct mq_spawn *what);
	pid_t (*wait_child)(pid_t pid, int *ret_status, bool block);          /* 0: none has ended; retried on EINTR */
	int (*kill)(pid_t pid, int sig);                                       /* negative pid: the group */
	int (*pidfd)(pid_t pid);                                               /* pidfd_open; readable at its end */
	/* A pair of descriptors; when this process dies the kernel kills whom the leash was last laid on, as it closes them.  Only
	 * sooner than by PR_SET_PDEATHSIG, which comes when all that the process had open has been closed: its inotify instance
	 * takes 10 ms and more.  pid 0: nobody.  Not for one that set its user id.  Of the two the first is closed first: the
	 * other way round is to pull it. */
	int (*leash)(int ret_fd[2]);
	int (*leash_to)(int fd, pid_t pid);                                    /* fd: the first of them */
	int (*pipe)(int ret_fd[2]);
	int (*socketpair)(int ret_fd[2]);
	int (*signal_mask)(int how, const sigset_t *set, sigset_t *ret_old);
	int (*signal_fd)(const sigset_t *set);                                 /* signalfd, non-blocking */
	int (*poll)(struct pollfd *fds, unsigned n, int64_t timeout_ns);       /* ppoll; -1: for ever; may return -EINTR */

	/* inotify, through libinotifytools: one instance a process, for one thread.  Only wait.c calls
	 * these.  Before polling the descriptor take all events: some may have been read ahead. */
	int (*watch_open)(void);                                               /* returns the descriptor to poll; -EMFILE … */
	int (*watch_add)(const char *path, uint32_t events);                   /* watch number; a file that is watched already gives the same, and gets these events too */
	int (*watch_remove)(int wd);                                           /* 0 also where the file took its watch with it */
	int (*watch_next)(uint32_t *ret_events);                               /* watch number of one pending event, -EAGAIN when none; IN_Q_OVERFLOW: number -1 is given as 0 and the bit is set */
};

/* The filling in use; real unless a test changed it.  Set once, before any other call. */
extern const struct mq_sys *mq_sys;

extern const struct mq_sys mq_sys_real;

#endif
