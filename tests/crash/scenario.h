/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenarios: what processes do to a spool while everything they do is recorded.  They say what they
 * try by notes in the trace, and what was promised by lines to stdout (facts.h has the words).
 */
#ifndef MQ_TESTS_CRASH_SCENARIO_H
#define MQ_TESTS_CRASH_SCENARIO_H

#include "spool/owner.h"
#include "spool/topic.h"

/* A step that must succeed; ends the program with the reason where it does not. */
void ok(int rc, const struct mq_err *err, const char *what);
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void note(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void ack(const char *fmt, ...);

extern struct mq_spool spool;
void make_topic(const char *name, const char *const *set, size_t n);
void open_topic(struct mq_topic *ret, const char *name);

/* One that publishes to a partition, with a handle of its own. */
struct pub {
	struct mq_topic topic;
	struct mq_partition part;
	struct mq_log log;
	const char *name;
	struct mq_who who;      /* of a named producer; kind nobody: none */
	bool keyed;             /* what is binary has keys: compact_key */
};

struct batch_shape {
	uint32_t count, len;    /* records, bytes of each */
	enum mq_ack ack;
	bool binary;            /* a body of records, else lines */
};

void pub_open(struct pub *p, const char *topic);
void pub_close(struct pub *p);
/* Append and publish; nothing is promised yet but what the ticket says. */
struct mq_log_ticket pub_append(struct pub *p, struct batch_shape shape);
/* The same, but the call may fail: its code. */
int pub_try(struct pub *p, struct batch_shape shape, struct mq_log_ticket *ret);
/* Wait and say so.  pub_wait_try: the code instead of an end. */
void pub_wait(struct pub *p, const struct mq_log_ticket *t, enum mq_ack level);
int pub_wait_try(struct pub *p, const struct mq_log_ticket *t, enum mq_ack level);
/* A durable batch from end to end; a written one. */
void pub_durable(struct pub *p, uint32_t count, uint32_t len);
void pub_written(struct pub *p, uint32_t count, uint32_t len);

/* Read all and say of each record asked durable that it was seen; returns the visible end. */
uint64_t look(struct pub *p);

/* What goes wrong, and when. */
struct upset {
	int syncs_fail;             /* so many fdatasyncs fail with EIO, from the next on */
	void (*in_sync)(void);      /* called once, while the next fdatasync is under way */
	const char *die_after;      /* this call ends the process once it was made … */
	const char *die_path;       /* … on a file whose name has this in it */
	int die_nth;                /* 1: the first such */
	uint64_t mount;
	int64_t ahead_ns;           /* so much later it is than it is */
	void (*child_done)(void);   /* called when a child was seen to end with 0 */
	void (*before_write)(void); /* called once, before something is written … */
	const char *before_path;    /* … to a file whose path has this in it */
	void (*printed)(const char *text, size_t len); /* called when something was written to stdout */
};
extern struct upset upset;

/* Numbers for `count` records more; the first of them. */
uint32_t take_serials(uint32_t count);

/* A handle of the spool as the tools have it; mq_free ends it. */
struct mq;
struct mq *session(void);

/* Run in a process of its own, which the upset may end. */
void in_child(void (*run)(void));

struct scenario {
	const char *name;
	void (*run)(void);
};
extern const struct scenario scenarios_log[], scenarios_fault[], scenarios_spool[], scenarios_verbs[], scenarios_evict[], scenarios_move[];
extern const struct scenario scenarios_share[], scenarios_once[], scenarios_grow[], scenarios_compact[], scenarios_delay[], scenarios_retain[], scenarios_letters[],
    scenarios_seek[];

#endif
