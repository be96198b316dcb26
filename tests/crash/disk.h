/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk as a power cut knows it: what is surely on it, and what may be.
 *
 * It is fed with a trace, call by call.  After each of them it can say what the directory may look
 * like when the power goes then:
 *
 *   data    each 512-byte sector holds what it held at its file's last successful fdatasync or fsync,
 *           or any later version of it, each sector for itself; a size may have grown before the data
 *           came: then there are zeros, or what the blocks held in another file's life
 *   names   of the creations, renames and removals since the last fsync of the directory any subset
 *           has happened, whatever became of the data of the files and of other directories
 *   a failed fdatasync: the versions that it should have written may never come, whatever later
 *           syncs say; those written again after it may
 *
 * Each call that changes something is an operation with a number.  A choice says which of the pending
 * ones have happened; disk_image makes a directory of it.
 */
#ifndef MQ_TESTS_CRASH_DISK_H
#define MQ_TESTS_CRASH_DISK_H

#include <stdbool.h>

#include "trace.h"

enum { SECTOR = 512, NAME_LEN = 128, PATH_LEN = 512 };

struct version {
	uint32_t op;
	bool poisoned;            /* a sync of it failed */
	uint64_t end;             /* the file reached so far at least */
	uint8_t bytes[SECTOR];
};

struct sector {
	uint8_t *base;            /* NULL: zeros */
	struct version *v;        /* oldest first */
	uint32_t n, cap;
};

struct size_change {
	uint32_t op;
	bool poisoned;
	uint64_t size;
};

struct dirent_now {
	char name[NAME_LEN];
	struct node *node;
};

struct names {
	struct dirent_now *e;
	size_t n, cap;
};

struct node {
	char id[80];              /* as the trace calls it; empty: not yet told */
	bool directory;
	bool allocated;           /* its blocks were asked for beforehand and read as zeros */
	char made_as[NAME_LEN];
	struct names durable, now; /* of a directory */
	struct sector *s;
	size_t n_sectors;
	uint64_t size_durable, size_now;
	struct size_change *sizes;
	size_t n_sizes, cap_sizes;
	struct node *next;
};

struct name_op {
	uint32_t op;
	struct node *from_dir, *to_dir, *node; /* from_dir or to_dir NULL: a creation, a removal */
	char from[NAME_LEN], to[NAME_LEN];
};

struct disk {
	struct node *root, *nodes;
	struct name_op *names;
	size_t n_names, cap_names;
	uint32_t ops;             /* the number of the next operation */
	struct open_file {
		int pid, fd;
		uint64_t at;
		uint32_t sync_begin;
	} files[256];
	size_t n_files;
};

void disk_init(struct disk *d);
void disk_release(struct disk *d);

/* Would this call change what a power cut may leave? */
bool disk_changes(const struct trace_entry *e);
void disk_apply(struct disk *d, const struct trace_entry *e);

/* The numbers of the operations that may or may not have happened, oldest first; returns how many. */
size_t disk_pending(const struct disk *d, uint32_t **ret);

struct choice {
	const uint8_t *kept;      /* by number of operation: 1 happened */
	uint32_t tear;            /* ≠ 0: each sector and size draws its own version from this seed */
	uint32_t shred;           /* ≠ 0: sectors of unsynced writes are half old, half new */
	uint32_t stale;           /* ≠ 0: sectors never written hold another segment's bytes */
	bool size_first;          /* sizes have grown, whatever became of the data */
	bool stateless;           /* of `state` nothing was kept */
	uint32_t rot;             /* n > 0: in the nth written sector of segments' bodies a bit has turned */
};

struct image_file {
	char path[PATH_LEN];
	const struct node *node;
	uint64_t size;
	const uint8_t **sector;   /* NULL: zeros */
	size_t n_sectors;
};

struct image {
	char (*dirs)[PATH_LEN];
	const struct node **dir_nodes;
	size_t n_dirs, cap_dirs;
	struct image_file *f;
	size_t n_files, cap_files;
	uint8_t *torn;            /* bytes of sectors that no version holds */
	size_t n_torn, cap_torn;
	uint64_t hash;            /* of names, sizes and bytes */
	uint32_t rotten;          /* how many sectors could rot */
	char rot_where[PATH_LEN + 32];
};

void disk_image(const struct disk *d, const struct choice *c, struct image *im);
void image_release(struct image *im);

#endif
