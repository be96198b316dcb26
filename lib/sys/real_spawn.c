/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting a program at the price of vfork: the child runs on a stack of its own in the parent's
 * memory, and the parent's thread stands still until the child has begun the program or given up.
 * So nothing is copied however large the parent is, and the child can say why it failed by
 * writing a word.
 *
 * Between clone and exec the child must leave the parent's memory as it found it: no allocation,
 * no lock, no C library call that may do either, and no signal handler: all signals are blocked
 * until the child has put them to their defaults.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/real.h"

/* The child lives in the shadow of its parent's stack frame: the sanitizer has no business here. */
#define IN_CHILD __attribute__((no_sanitize("address")))

enum { STACK_BYTES = 64 * 1024, PATH_BYTES = 4096 };

struct start {
	const struct mq_spawn *what;
	const char *path; /* $PATH of the parent */
	char *const *envp;
	pid_t parent;
	int failed;       /* errno of the step that failed, written by the child */
	char try[PATH_BYTES];
};

/* A child whose parent died before prctl would never be told. */
IN_CHILD static int die_with_parent(const struct start *s)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return errno;
	return getppid() == s->parent ? 0 : ESRCH;
}

/* What is caught goes to its default by exec; what the parent ignores would stay ignored.  By
 * system call, since the C library hides its own two signals and may take a lock for SIGABRT. */
IN_CHILD static int default_signals(void)
{
	unsigned long zeros[8] = {0}; /* struct sigaction of the kernel, and an empty set */

	for (long sig = 1; sig <= 64; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			syscall(SYS_rt_sigaction, sig, zeros, NULL, 8L);
	return syscall(SYS_rt_sigprocmask, SIG_SETMASK, zeros, NULL, 8L) < 0 ? errno : 0;
}

/* Put the wanted descriptors at 0, 1 and 2.  One that is low but not in its place is copied up
 * first, or the dup2 of another would close it. */
IN_CHILD static int place_descriptors(const struct mq_spawn *what)
{
	int from[3] = {what->in, what->out, what->err};

	for (int i = 0; i < 3; i++)
		if (from[i] >= 0 && from[i] < 3 && from[i] != i) {
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3);
			if (from[i] < 0)
				return errno;
		}
	for (int i = 0; i < 3; i++) {
		if (from[i] < 0)
			continue;
		if (from[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(from[i], i) < 0)
			return errno;
	}
	/* Not only what mq opened: what mq was given without asking goes no further either. */
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return errno;
	if (what->keep_fd >= 0 && fcntl(what->keep_fd, F_SETFD, 0) < 0)
		return errno;
	return 0;
}

/* As execvp, but a script without an interpreter line is not given to a shell. */
IN_CHILD static int exec_in_path(struct start *s)
{
	const char *name = s->what->argv[0];
	size_t name_len = strlen(name);
	bool denied = false;

	if (name_len == 0)
		return ENOENT;
	if (strchr(name, '/')) {
		execve(name, s->what->argv, s->envp);
		return errno;
	}
	for (const char *dir = s->path;; dir++) {
		size_t len = strcspn(dir, ":");
		if (len + name_len + 2 <= sizeof(s->try)) {
			memcpy(s->try, dir, len);
			if (len > 0)
				s->try[len++] = '/'; /* an empty entry is the working directory */
			memcpy(s->try + len, name, name_len + 1);
			execve(s->try, s->what->argv, s->envp);
			if (errno == EACCES)
				denied = true;
			else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE)
				return errno;
		}
		dir += strcspn(dir, ":");
		if (!*dir)
			return denied ? EACCES : ENOENT;
	}
}

IN_CHILD static int child(void *arg)
{
	struct start *s = arg;

	s->failed = die_with_parent(s);
	if (!s->failed && s->what->own_group && setpgid(0, 0) < 0)
		s->failed = errno;
	if (!s->failed)
		s->failed = place_descriptors(s->what);
	if (!s->failed)
		s->failed = default_signals();
	if (!s->failed)
		s->failed = exec_in_path(s);
	syscall(SYS_exit_group, 127);
	__builtin_unreachable();
}

static const char *parents_path(void)
{
	for (char **e = environ; e && *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			return *e + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

pid_t real_spawn(const struct mq_spawn *what)
{
	_Alignas(64) char stack[STACK_BYTES];
	struct start s = {.what = what, .path = parents_path(), .envp = what->envp ? what->envp : environ, .parent = getpid()};
	sigset_t all, old;
	pid_t pid;
	int failed;

	if (!what->argv || !what->argv[0] || (what->keep_fd >= 0 && what->keep_fd < 3))
		return -EINVAL;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pid = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
	failed = pid < 0 ? errno : *(volatile int *)&s.failed;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!failed)
		return pid;
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	return -failed;
}

/* A pipe's last writer is gone: who asked to be told of its input by a signal (fcntl(2), F_SETSIG) is told, by this one.  The
 * kernel closes what a dying process had open from the highest number down, so the writing end, made after the other, goes
 * first; and where another kernel does otherwise, the child still dies with its parent, later. */
int real_leash(int ret_fd[2])
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	if (fcntl(fd[0], F_SETSIG, SIGKILL) < 0 || fcntl(fd[0], F_SETFL, O_ASYNC) < 0) {
		int rc = -errno;
		close(fd[0]);
		close(fd[1]);
		return rc;
	}
	memcpy(ret_fd, fd, sizeof fd);
	return 0;
}

int real_leash_to(int fd, pid_t pid)
{
	return real_int(fcntl(fd, F_SETOWN, pid));
}
