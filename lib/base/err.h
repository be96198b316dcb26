/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why something failed: written once, where it is known, into a struct that the caller owns.
 *
 * One space of codes: 0 is success; a negative errno is passed through as the kernel gave it; the
 * MQ_E codes below -20000 say what no errno says.  mq_err_status() maps a code to the exit status
 * that every tool and every page shares.
 *
 * A function that takes a struct mq_err * fills it on every failure it is first to know of, and
 * never otherwise.  The text names the thing (topic/partition, segment file, byte), what was
 * tried, why it failed and, where there is something to do, what to do.  It is one line, without
 * a full stop, and holds no control bytes.  The library never prints it.
 */
#ifndef MQ_BASE_ERR_H
#define MQ_BASE_ERR_H

#include <stdarg.h>

enum {
	MQ_ENOTHING = -20001,  /* nothing there, and that was asked to be told (exit 1) */
	MQ_EDAMAGE = -20002,   /* damage met: acknowledged bytes that do not verify (2) */
	MQ_EUSAGE = -20064,    /* a bad name, a bad option (64) */
	MQ_EINPUT = -20065,    /* bad input: too large, malformed, other bytes for a held sequence (65) */
	MQ_ENOTOPIC = -20066,  /* no such topic, partition or group (66) */
	MQ_EREPLICAS = -20069, /* too few replicas (69) */
	MQ_EBROKEN = -20074,   /* I/O failed, or the outcome is unknown (74) */
	MQ_EAGAIN = -20075,    /* full, locked, timed out: try again (75) */
	MQ_EDENIED = -20077,   /* not permitted; a fenced position (77) */
	MQ_ECONFIG = -20078,   /* configuration, not a spool, a newer format (78) */
};

enum { MQ_ERR_TEXT_MAX = 768 };

struct mq_err {
	int code;                   /* 0, -errno or MQ_E…  */
	char text[MQ_ERR_TEXT_MAX]; /* always terminated; empty while code is 0 */
};

#define MQ_ERR_INIT {0, {0}}

/* Set code and text; returns code, so that `return mq_err_set(err, …)` reads well.  err may be
 * NULL when the caller does not care for the reason.  A text too long is cut. */
int mq_err_set(struct mq_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed kernel call: code is its negative errno; ": " and the errno's meaning are
 * put behind the text. */
int mq_err_sys(struct mq_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "fmt: " before a reason already set: for a caller that knows the thing's name. */
void mq_err_prefix(struct mq_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Put text behind a reason already set: for a caller that knows what to do about it. */
void mq_err_suffix(struct mq_err *err, const char *text);

/* What was not found is a file that mq itself makes and keeps: not a topic that is not there (66), but a spool that is
 * not whole.  Returns MQ_ECONFIG. */
int mq_err_lacks(struct mq_err *err);

/* The exit status (0, 1, 2, 64 … 78) of a code. */
int mq_err_status(int code);

#endif
