/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recording filling: passes every call on to another filling and writes it down with its
 * arguments, all data written, and its result.  For tests only; never in an installed program.
 *
 * An entry is one write(2) to a file open for appending, made before the call returns to whoever
 * called: so a process that is killed right after a call has told of it, and several processes
 * share one trace.  Killed in the middle of that write it leaves a torn entry, which a parser
 * knows by what does not follow it.  An entry that cannot be written aborts the process.
 *
 * Order.  An entry stands behind all entries of calls that had *returned and been written down*
 * before its call returned.  Calls made under one lock are in the order of the lock, since the
 * entry is there before the unlock.  Of calls that overlap, the entries stand in either order.
 * An unlock is written down before it is made; a lock that goes because its file is closed, after.
 * fdatasync and fsync write an entry when they begin as well: only what stands before
 * that begin was surely covered by the sync; what stands between begin and end may have been.
 *
 * Format.  A header line, then LEN bytes of data, then a newline:
 *
 *	@mq 1 PID SEQ CALL KEY=VALUE … = RESULT LEN\n
 *	<LEN bytes>\n
 *
 *	PID, SEQ   the process, and its own count of entries from 0, over all its threads
 *	CALL       a name of the table in sys.h; besides: fdatasync-begin, fsync-begin; start (the first
 *	           entry of a process; root=, and its data are its arguments, each ended by NUL);
 *	           note (what a test wrote by mq_record_note; the text is its data)
 *	RESULT     what the call returned: a count or descriptor, or the negative errno
 *	data       of write, writev, pwrite, pwritev: all bytes that were *asked* to be written, of
 *	           which RESULT (when positive) were; of spawn: its arguments, each ended by NUL
 *
 * Values have neither blanks nor control bytes: these and '%' and all bytes above 0x7e are %XX.
 * Numbers are decimal but flags and mode (0x…, 0…).  Keys that return:
 *
 *	fd, dir    a descriptor's number
 *	file       where it was found when it was opened (its name may have changed since, see id):
 *	           relative to the root ("." is the root itself), absolute outside of it;
 *	           stdin, stdout, stderr, pipe:[…], socket:[…] for what has no name
 *	id         what it is, whatever its name: MAJOR:MINOR:INODE:BIRTH (ns); an inode number alone
 *	           comes back for another file
 *	thread     which of the process, in the order of their first entries; not there: the first
 *	path       directory and name of openat, mkdirat, unlinkat, statat, from and to of renameat,
 *	           as the directory is named now
 *	size       of a file after openat
 *
 * openat, open_path, mkdirat, mkdir_path and renameat give the id of what is there after success,
 * unlinkat of what was there before.  For a rename over an existing file, oldid is the file that
 * lost its name.  All calls of the table are written down but clock_ns.
 *
 * What it looks up for itself (names, ids) goes to the kernel directly and is not written down.
 * Threads may share it, signal handlers not.  A vector of more than 1022 parts cannot be written down.
 */
#ifndef MQ_SYS_RECORD_H
#define MQ_SYS_RECORD_H

#include "sys/sys.h"

/* The filling over `under`.  trace_fd is open with O_APPEND, close-on-exec, and stays the caller's;
 * root is a directory, which may not be there yet (NULL: no path is made relative); argv, written
 * into the start entry, may be NULL.  NULL with errno when root cannot be resolved.  One a process. */
const struct mq_sys *mq_record_over(const struct mq_sys *under, int trace_fd, const char *root,
                                    char *const *argv);

/* Write an entry "note". */
void mq_record_note(const char *text);

#endif
