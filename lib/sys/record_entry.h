/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One entry of a recording (record.h says how it looks): begun, given arguments, ended.
 * One at a time: other threads wait from begin to end, in which nothing may block for long. */
#ifndef MQ_SYS_RECORD_ENTRY_H
#define MQ_SYS_RECORD_ENTRY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Where entries go, and the directory (absolute, without symlinks; "": none) that names are given
 * relative to. */
void entry_setup(int trace_fd, const char *root);

void entry_begin(const char *call);
void entry_int(const char *key, int64_t value);
void entry_uint(const char *key, uint64_t value);
void entry_hex(const char *key, unsigned value);
void entry_octal(const char *key, unsigned value);
void entry_text(const char *key, const char *text);
void entry_path(const char *key, const char *path); /* made relative to the root */

/* A descriptor with file= and id=.  The name is the one of its first mention. */
void entry_fd(const char *key, int fd);

/* key=DIR/NAME with the directory's present name. */
void entry_at(const char *key, int dir, const char *name);

/* id of what is open as fd (name NULL) or of dir/name; nothing where there is nothing. */
void entry_id(const char *key, int dir, const char *name);

/* The descriptor is another file's from now on. */
void entry_fd_forget(int fd);

/* Write it; iov is its data. */
void entry_end(int64_t result, const struct iovec *iov, int n);

#endif
