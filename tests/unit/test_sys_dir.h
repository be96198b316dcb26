/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of its own for each test of sys: made before, removed with all in it after. */
#ifndef MQ_TESTS_SYS_DIR_H
#define MQ_TESTS_SYS_DIR_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test_dir {
	char path[256];
	int fd;
};

static inline int test_dir_make(struct test_dir **ret)
{
	const char *tmp = getenv("TMPDIR");
	struct test_dir *d = malloc(sizeof(*d));

	if (!d)
		return -1;
	snprintf(d->path, sizeof(d->path), "%s/mq-test.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(d->path))
		return -1;
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*ret = d;
	return d->fd;
}

static inline int test_dir_remove_one(const char *path, const struct stat *st, int kind,
                                      struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static inline int test_dir_remove(struct test_dir *d)
{
	int r = nftw(d->path, test_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);

	close(d->fd);
	free(d);
	return r;
}

#endif
