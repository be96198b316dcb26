/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine that comes up after the power cut: a filling over the real one that has the image's files
 * under a directory, with the inodes and birth times that they had in the trace, and boot and mount as told.
 */
#ifndef MQ_TESTS_CRASH_WORLD_H
#define MQ_TESTS_CRASH_WORLD_H

#include "disk.h"
#include "sys/sys.h"

enum {
	WORLD_MOUNT = 7000, /* what scenarios run on */
};

/* What the machine after the cut has in common with the one before. */
enum world_kind {
	WORLD_REBOOT,  /* another boot; the mount's number may come again */
	WORLD_REMOUNT, /* the same boot, another mount */
	WORLD_RESTORE, /* the same boot and mount, but the files were put back from elsewhere */
	WORLD_KILL,    /* nothing was lost: every process was killed */
};

/* work: an empty directory of this process, on a file system without a disk if there is one. */
void world_init(const char *work);
/* Make the image's files; the path of its root. */
const char *world_make(const struct image *im, enum world_kind kind);
/* Another mount of the same disk. */
void world_remount(void);
/* So much later it is than it is. */
void world_later(int64_t ns);
/* From now on whatever changes the disk is refused; *ret_tried (may be NULL) counts what was tried. */
void world_read_only(bool on);
unsigned world_refused(void);
void world_clear(void);

#endif
