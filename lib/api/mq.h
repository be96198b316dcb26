/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mq.h: the one public header.  All tools stand on it and on nothing else, so another engine
 * (a Kafka cluster, a test's memory) fits behind it.
 *
 * A program makes a session, opens a spool with it, fills in the request of a verb, runs it:
 *
 *     struct mq *mq = mq_new();
 *     struct mq_publish_request req = MQ_PUBLISH_REQUEST_INIT;
 *     struct mq_publish_report rep;
 *     if (mq_open(mq, "/var/spool/mq", 0) < 0 || (req.topic = "orders", mq_publish(mq, &req, &rep)) < 0)
 *             fprintf(stderr, "%s\n", mq_why(mq));
 *     mq_free(mq);
 *
 * Every function that can fail returns 0 (or a count) or a negative value; then mq_why() is the
 * reason in one line and mq_status() the exit status (mq(7)).  Strings given stay the caller's and
 * must live through the call; strings in reports live until the next call on the session or
 * mq_free().  A session is for one thread.  The library never prints, never exits, never reads
 * the environment or a terminal: what a verb writes goes to the descriptors in its request.
 *
 * Times are microseconds since 1970 (UTC) unless the name ends in _ns (durations, nanoseconds).
 */
#ifndef MQ_H
#define MQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MQ_VERSION
#define MQ_VERSION "0.1"
#endif

/* Exit statuses, the same for every tool. */
enum mq_exit {
	MQ_EXIT_DONE = 0, MQ_EXIT_NOTHING = 1, MQ_EXIT_DAMAGE = 2, MQ_EXIT_USAGE = 64, MQ_EXIT_INPUT = 65,
	MQ_EXIT_NOTOPIC = 66, MQ_EXIT_REPLICAS = 69, MQ_EXIT_IO = 74, MQ_EXIT_AGAIN = 75, MQ_EXIT_DENIED = 77,
	MQ_EXIT_CONFIG = 78,
};

/* ---- session ---- */
struct mq;
struct mq *mq_new(void); /* NULL: no memory */
void mq_free(struct mq *mq);
const char *mq_why(const struct mq *mq);
int mq_status(const struct mq *mq); /* 0 when nothing failed */

/* Ask a running verb to end soon and cleanly; async-signal-safe. */
void mq_stop(struct mq *mq);

/* What happened beside the result, as it happens: damage passed, a record skipped, a repair made.
 * text is one line.  level 0: say always; 1: with --verbose; 2: with --verbose, and to a person at a terminal. */
typedef void mq_notice(void *arg, int level, const char *text);
void mq_set_notice(struct mq *mq, mq_notice *fn, void *arg);

/* How long a verb waits, each time, for a lock on a partition or topic that another process holds: after so long it is
 * MQ_EXIT_AGAIN, and what needed the lock was not done.  -1, as it is at first: for ever. */
void mq_set_timeout(struct mq *mq, int64_t ns);

enum {
	MQ_OPEN_CREATE = 1, /* the spool comes into being */
	MQ_OPEN_AWAIT = 2,  /* where none is yet, mq_consume with wait_topic waits for it, and makes nothing */
};
/* where: a directory, or scheme:… of a registered engine.  Without MQ_OPEN_CREATE and MQ_OPEN_AWAIT a missing spool is 66;
 * a directory that is none is 78. */
int mq_open(struct mq *mq, const char *where, unsigned flags);

/* An archive of mq-retain or mq-drain, to be read as a spool of one topic is: nothing can be written to it. */
int mq_open_archive(struct mq *mq, const char *file);

/* For who makes archives (mq_retain), before the first: a program that does not is not linked with what it takes. */
void mq_use_archives(void);

/* ---- values ---- */
struct mq_pair {
	const char *name, *value;
};

/* Parse as the options take them; 0 or negative with mq_why().  `now` comes from the clock. */
int mq_parse_duration(struct mq *mq, const char *text, int64_t *ret_ns);
int mq_parse_size(struct mq *mq, const char *text, uint64_t *ret_bytes);
int mq_parse_count(struct mq *mq, const char *text, uint64_t *ret);
int mq_parse_rate(struct mq *mq, const char *text, double *ret_per_second);
int mq_parse_time(struct mq *mq, const char *text, int64_t *ret_us);
/* "TOPIC[:PARTITION[:OFFSET]]"; partition -1 and offset NULL when not given; the pointers lead into a copy
 * that the session keeps. */
struct mq_operand {
	const char *topic;
	int64_t partition;
	const char *offset;
};
int mq_parse_operand(struct mq *mq, const char *text, struct mq_operand *ret);

/* Bytes of the character at text, of which n are there, where a terminal may be given it as it is; 0: its first byte must be made
 * visible, for it is none, or steers the terminal, or turns text round. */
size_t mq_printable(const char *text, size_t n);

enum mq_ack_level { MQ_ACK_LEVEL_DEFAULT = -1, MQ_ACK_LEVEL_NONE, MQ_ACK_LEVEL_WRITTEN, MQ_ACK_LEVEL_DURABLE, MQ_ACK_LEVEL_ALL };

/* ---- topics ---- */
struct mq_topic_info {
	const char *name;
	char id[33];          /* hex */
	uint32_t partitions;
	uint64_t records;     /* visible, from the log starts on */
	uint64_t bytes;       /* of segments */
};
struct mq_partition_info {
	uint32_t partition;
	uint64_t log_start, stored, visible, durable, written; /* offsets; stored: the first still held */
	uint64_t bytes;
	uint32_t segments;
	uint32_t epoch_election, epoch_incarnation;
};
/* partitions 0: the spool's default. */
int mq_topic_create(struct mq *mq, const char *topic, uint32_t partitions, const struct mq_pair *set, size_t n_set,
                    bool dry_run);
int mq_topic_delete(struct mq *mq, const char *topic, bool force, bool dry_run);
int mq_topic_set(struct mq *mq, const char *topic, const struct mq_pair *set, size_t n_set, bool dry_run);
/* Move the log start: up to `offset` (an offset, "end", "-N", "@TIME") in one partition or (-1) in all. */
int mq_topic_purge(struct mq *mq, const char *topic, int64_t partition, const char *offset, bool force, bool dry_run,
                   uint64_t *ret_records);
/* More partitions while the topic is in use.  Publishers at work route by the new number from then on; groups give out what is
 * behind when what is before in the partitions that its keys come from is done, so that each key's records stay in order, unless
 * no_barrier.  Not more than there are, or more than 10,000: MQ_EXIT_USAGE. */
struct mq_growth_report {
	uint32_t before;       /* partitions that there were */
	uint32_t after;
	uint32_t generation;   /* the number that topic.conf gives it; 0: dry_run */
	uint32_t multiple;     /* not 0: what was asked for is no multiple of what there was, and this would be the next one */
	const uint64_t *begins; /* `after` of them, until the next call: at which offset it begins in each partition; NULL: dry_run */
};
int mq_topic_grow(struct mq *mq, const char *topic, uint32_t partitions, bool no_barrier, bool dry_run, struct mq_growth_report *ret);
/* Names only, none of them looked at.  fn returns 0 to go on, anything else to end (and that is returned). */
int mq_topic_list(struct mq *mq, int (*fn)(void *arg, const char *topic), void *arg);
int mq_topic_show(struct mq *mq, const char *topic, struct mq_topic_info *ret);
int mq_topic_partitions(struct mq *mq, const char *topic, int (*fn)(void *arg, const struct mq_partition_info *p),
                        void *arg);
/* When the first record from `offset` on was published, by its publisher's clock; INT64_MIN: there is none yet. */
int mq_topic_time(struct mq *mq, const char *topic, uint32_t partition, uint64_t offset, int64_t *ret_us);
/* What waits in a topic until it is due (mq_publish_request.delay_ns, due_us; what a group tries again), the first that is due
 * first, at most `count` of them (0: all).  fn, ret NULL: nobody asks. */
struct mq_delayed_info {
	uint32_t partition;    /* of the topic */
	uint64_t offset;       /* in the waiting room */
	int64_t due_us, stored_us;
	const char *key, *id, *tag, *group; /* NULL: none; group: it comes to that one alone.  Until fn returns */
	size_t key_len, id_len, tag_len, group_len;
	uint32_t attempts;
	uint64_t bytes;        /* of the payload */
};
struct mq_delayed_sum {
	uint64_t records;
	int64_t next_us;       /* when the first is due; INT64_MAX: nothing waits */
};
int mq_topic_delayed(struct mq *mq, const char *topic, uint64_t count, int (*fn)(void *arg, const struct mq_delayed_info *info), void *arg,
                     struct mq_delayed_sum *ret);
/* Those that wait with that id wait no more, durably: how many there were. */
int mq_topic_cancel(struct mq *mq, const char *topic, const char *id, bool dry_run, uint64_t *ret_cancelled);
int mq_topic_conf(struct mq *mq, const char *topic, int (*fn)(void *arg, const char *key, const char *value, bool is_default),
                  void *arg);

/* ---- publishing ---- */
enum mq_input_form {
	MQ_IN_LINES,     /* records end in the delimiter, "\n" by default */
	MQ_IN_ONE,       /* each input is one record */
	MQ_IN_JSON,      /* one object a line */
	MQ_IN_FRAMES,
};
struct mq_confirmation {
	const char *topic;
	uint32_t partition;
	uint64_t offset;    /* of the first */
	uint64_t count;     /* consecutive records in input order */
	bool skipped;       /* already held: a duplicate of a named producer, or of an id */
	bool placed;        /* skipped, and partition and offset are those of the one that is held */
	bool more;          /* another call follows at once: what is printed may wait for it */
	const char *why;    /* not NULL: not stored, and why */
};
struct mq_publish_request {
	const char *topic;
	int64_t partition;             /* -1: by key, else round robin */
	const char *const *messages;   /* -m */
	size_t n_messages;
	const char *const *files;      /* "-": in_fd */
	size_t n_files;                /* neither messages nor files: in_fd */
	int in_fd;
	enum mq_input_form form;       /* of in_fd */
	enum mq_input_form file_form;  /* of files: one record a file, or lines with -l */
	const char *delimiter;         /* NULL: "\n" */
	size_t delimiter_len;
	const char *key_delimiter;     /* -K: splits key from payload; NULL: none */
	const char *key;               /* NULL: none; for every record */
	const struct mq_pair *headers;
	size_t n_headers;
	const char *tag, *id;
	uint32_t id_field;             /* 0: none; 1…: which field is the id */
	const char *id_delimiter;      /* NULL: blanks */
	enum mq_ack_level ack;
	const char *producer;          /* NULL: none */
	uint64_t seq;                  /* 0: go on after the last stored */
	int64_t ttl_ns;                /* 0: the topic's */
	int64_t delay_ns;              /* each comes so long after it was read; 0: at once */
	int64_t due_us;                /* or at this time; 0: none */
	double rate;                   /* records a second; 0: as fast as it goes */
	int64_t timeout_ns;            /* for space, and for the producer's name; -1: for ever, and not at all.  For locks: mq_set_timeout */
	bool dry_run;
	void (*confirm)(void *arg, const struct mq_confirmation *c); /* NULL: none; called in input order, when true */
	void *confirm_arg;
};
#define MQ_PUBLISH_REQUEST_INIT {.partition = -1, .in_fd = 0, .file_form = MQ_IN_ONE, .ack = MQ_ACK_LEVEL_DEFAULT, .timeout_ns = -1}
struct mq_publish_report {
	uint64_t records, bytes, batches, skipped;
};
int mq_publish(struct mq *mq, const struct mq_publish_request *req, struct mq_publish_report *ret);

/* ---- consuming ---- */
enum mq_output_form { MQ_OUT_LINES, MQ_OUT_JSON, MQ_OUT_FRAMES, MQ_OUT_FORMAT, MQ_OUT_POSITIONS /* --manual */ };
enum mq_handler_kind { MQ_HANDLER_NONE, MQ_HANDLER_RECORD, MQ_HANDLER_BATCH, MQ_HANDLER_COPROC };
enum mq_order { MQ_ORDER_PARTITION, MQ_ORDER_KEY, MQ_ORDER_NONE };
struct mq_consume_request {
	const char *const *topics;     /* operands without offsets */
	size_t n_topics;
	const int64_t *partitions;     /* one a topic; -1: all */
	const char *range;             /* START..END, one position, or NULL: from the beginning, or the group's place */
	const char *group;             /* NULL: none */
	const char *room;              /* of the member, for mq_rebalance's strategies room and nearby; NULL: none */
	uint64_t count;                /* 0: all */
	bool follow;
	bool wait_topic;               /* with follow: a topic not yet there is waited for; with MQ_OPEN_AWAIT a spool, too */
	int64_t until_idle_ns;         /* 0: never */
	int64_t timeout_ns;            /* manual: for the last acknowledgements; locks */
	/* filters: all must hold */
	const char *key, *id, *tag;    /* tag: "a || b" */
	const char *skip_tag;          /* the same of tags that are not wanted */
	const char *where;             /* --where expression */
	bool expired;                  /* those that have expired, and no others: as JSON or frames without times, to be published anew */
	const char *letters_of;        /* dead letters of this topic, and no others; copied they go back to their partition, for who gave up */
	const char *letters_group;     /* with it: those that this group gave up on; NULL: all */
	const struct mq_pair *headers;
	size_t n_headers;
	double rate;
	double speed;                  /* so many times as fast as they were published; 0: as fast as it goes.  Without a group or a handler */
	/* output */
	int out_fd;
	enum mq_output_form form;
	const char *format;            /* kcat's letters */
	const char *delimiter;         /* NULL: "\n" */
	size_t delimiter_len;
	const char *key_delimiter;     /* NULL: keys are not printed */
	bool visible_control;          /* escape control bytes as cat -v does */
	/* handlers */
	enum mq_handler_kind handler;
	char *const *argv;             /* ends in NULL */
	char *const *envp;             /* the handler's environment before MQ_… is added */
	uint32_t batch;                /* records on one stdin */
	uint32_t jobs;                 /* handlers at once; 0 and 1: one */
	enum mq_order order;
	bool order_asked;              /* what comes behind one that failed waits for it, where the order says so */
	bool retry;                    /* what failed is handled again, `retries` times, then it is a dead letter; in a group */
	uint64_t retries;
	bool wait_retries;             /* none is put aside: the run ends when all are done, or dead */
	const char *backoff;           /* how long after: "MIN..MAX", or a list of times; NULL: "1s..1h" */
	int err_fd;                    /* where what handlers write to stderr goes */
	int64_t time_limit_ns;         /* 0: none */
	uint32_t prefetch;             /* records given out at once at most; 0: as jobs asks.  share: taken beyond those at work */
	bool commit_before;            /* at most once */
	bool share;
	bool once;                     /* what the group has done by its id within once_window_ns counts as done; with a handler */
	int64_t once_window_ns;
	/* A topic, made at need: what is read goes there, each record once, with the group's place: as it is, or with a handler what
	 * that prints, cut as delimiter and key_delimiter say, or frames, or (to_one) all that it prints as one record.  NULL: to
	 * the output. */
	const char *to;
	uint32_t to_partitions;        /* that it is made with; 0: the default */
	bool to_one;
	bool discard;                  /* with drain: done, and given to nobody */
	const char *archive;           /* with discard: first into an archive, durably: a file, or a directory for one a topic; mq_use_archives() */
	bool replay;                   /* with to, and no group: the range is copied, once however often that is killed and asked for again;
	                                * MQ_EXIT_AGAIN: not to the end */
	const char *const *archives;   /* of mq_restore: files */
	size_t n_archives;
	bool dry_run;
	/* Of a group's backlog: it ends when the group is done with all there was when it began, whoever did it.  MQ_EXIT_AGAIN: another
	 * one is at it, or partitions were not free within timeout_ns. */
	bool drain;
	void (*progress)(void *arg, uint64_t done, uint64_t all); /* offsets, now and then and at the end; NULL */
	void *progress_arg;
	/* In place of the output: n records from this offset on would go there.  In no form, so none is refused for its form.  NULL: they go */
	void (*told)(void *arg, const char *topic, uint32_t partition, uint64_t offset, uint64_t n);
	void *told_arg;
};
#define MQ_CONSUME_REQUEST_INIT {.out_fd = 1, .err_fd = 2, .timeout_ns = -1, .once_window_ns = INT64_C(7) * 86400 * 1000000000}
struct mq_consume_report {
	uint64_t records, bytes, skipped_filter, skipped_expired;
	uint64_t done, failed, rejected, released; /* of handlers */
	uint64_t retried, parked;                  /* of failed: to be handled again; of these, put aside until then */
	uint64_t dead;                             /* failed and rejected ones put into TOPIC.dead */
	uint64_t skipped_once, without_id;         /* of once: done before; handled though nobody can tell */
	uint64_t damage, damage_records;           /* places passed, offsets lost in them */
	bool reader_gone;                          /* EPIPE: the other end had enough */
	uint32_t left;                             /* partitions of a group waited for in vain; one of a member at work is no such, unless
	                                            * timeout_ns was given */
};
int mq_consume(struct mq *mq, const struct mq_consume_request *req, struct mq_consume_report *ret);

/* What archives hold (archives, of topics[0] alone if there is one, partitions[0], range and filters as above), into a topic, once, however
 * often that is killed and asked for again: into `to` as it is; or without that back to where it came from, for the group whose
 * backlog it was, or `group`, alone.  MQ_EXIT_AGAIN: not to the end. */
int mq_restore(struct mq *mq, const struct mq_consume_request *req, struct mq_consume_report *ret);

/* ---- groups ---- */
/* Who holds something of a partition beside its owner.  pid -1: unknown, of one on another machine, say. */
struct mq_group_holder {
	enum mq_hold {
		MQ_HOLD_EVICTED, /* it lives, and what it does counts for nothing; of an area that does not count any more */
		MQ_HOLD_HANDLER, /* what a killed member began; nobody takes the partition before it ends */
		MQ_HOLD_LOCK,    /* it was stopped while it changed something, and the owner's next sync waits for it */
	} what;
	bool stopped;
	int64_t pid;
	char member[64];       /* evicted: its name; empty: unknown */
	uint32_t generation;   /* evicted: of the ownership that it had */
};
struct mq_group_info {
	const char *group, *topic;
	uint32_t partition;
	uint64_t committed, end, lag;
	uint64_t lost, expired; /* records that the group passed: lost to damage or a topic's limit; older than they were to become */
	bool has_committed;
	bool owned;            /* a member holds the partition */
	bool owner_unknown;    /* this user may not ask for locks */
	int64_t owner_pid;     /* -1: unknown */
	const char *member;    /* name, or NULL */
	uint64_t acked_above;  /* acknowledged beyond the committed offset */
	bool has_shared;       /* members share it, or did (--share), and what follows is known */
	bool shared;           /* members share it now */
	uint64_t ready, in_flight, done_above; /* records that nobody has; that members have; done beyond the committed offset */
	bool handler_left;     /* a descendant of a killed consumer holds on */
	const char *share_why; /* not NULL: what those who share it have and have done cannot be known, and why; the rest is so */
	const struct mq_group_holder *holders; /* during the call */
	size_t n_holders;
	const char *why;       /* not NULL: nothing but group, topic and partition could be read, and why */
};
/* A member that lives; strings during the call. */
enum mq_member_is { MQ_MEMBER_IS_ALIVE, MQ_MEMBER_IS_RUNNING, MQ_MEMBER_IS_STOPPED }; /* alive: more is not known */
struct mq_member_info {
	char name[64];
	int64_t pid;           /* -1: unknown */
	char host[65];         /* empty: unknown */
	enum mq_member_is state;
	bool counts;           /* it takes part where partitions are given out */
	char room[201];        /* empty: none */
};
/* Those of a group, by name; none where the engine cannot tell. */
int mq_group_members(struct mq *mq, const char *group, int (*fn)(void *arg, const struct mq_member_info *m), void *arg);
/* Names only, none of them looked at. */
int mq_group_list(struct mq *mq, int (*fn)(void *arg, const char *group), void *arg);
/* A group in few numbers, of all topics that it reads; strings during the call. */
struct mq_group_sum {
	const char *group;
	uint32_t members, stopped; /* that live; of these, whose process was stopped */
	uint32_t topics;
	uint64_t partitions, owned;
	uint64_t lag;
	bool owners_unknown;   /* this user may not ask for locks */
	bool members_unknown;  /* nor look at members, or the engine cannot tell */
	const char *why;       /* not NULL: not all of it could be read, what could be is in the numbers, and why */
};
/* Each, by name; of what cannot be read the first failure is returned at the end. */
int mq_group_sums(struct mq *mq, int (*fn)(void *arg, const struct mq_group_sum *g), void *arg);
/* topic NULL: all topics of the group.  What cannot be read is told by `why`, the rest is shown all the same, and the first
 * failure is returned at the end. */
int mq_group_show(struct mq *mq, const char *group, const char *topic,
                  int (*fn)(void *arg, const struct mq_group_info *g), void *arg);
struct mq_seek_move {
	uint32_t partition;
	uint64_t before, after;
	bool had_before;
};
int mq_group_seek(struct mq *mq, const char *group, const char *topic, int64_t partition, const char *to, bool force,
                  bool dry_run, int (*fn)(void *arg, const struct mq_seek_move *m), void *arg);
/* Positions, one a line, from in_fd, as mq_consume printed them with MQ_OUT_POSITIONS. */
int mq_group_commit(struct mq *mq, const char *group, int in_fd, uint64_t *ret_count);
/* Who owns partitions owns them no more, though it lives, and ends when it sees that.  topic NULL: in all topics, of a member;
 * and that member is of the group no more.  partition -1: all.  member: by name, or by the number of its process; NULL: whoever it
 * is.  MQ_EXIT_NOTOPIC: there is no such member. */
struct mq_evict_move {
	const char *topic;     /* NULL: the member itself, after all that it owned */
	uint32_t partition;
	const char *member;    /* name, or NULL */
	int64_t pid;           /* -1: unknown */
	bool handler_left;     /* it was dead, and a handler of its own held the partition */
	uint32_t generation;   /* of the ownership that begins */
};
int mq_group_evict(struct mq *mq, const char *group, const char *topic, int64_t partition, const char *member, bool dry_run,
                   int (*fn)(void *arg, const struct mq_evict_move *m), void *arg);
int mq_group_delete(struct mq *mq, const char *group, const char *topic, bool force, bool dry_run);

/* ---- rebalancing ---- */
/* Whose a partition is, and is to be; strings during the call. */
struct mq_assignment {
	const char *topic;
	uint32_t partition;
	const char *now, *next;  /* names of members; NULL: nobody.  While no member counts: next as now */
	uint32_t sort;           /* topics of one number are given out together, */
	uint32_t readers;        /* to so many members, who read all of them, */
	uint32_t shared;         /* so many partitions in all */
};
struct mq_rebalance_request {
	const char *group;
	const char *const *topics; /* to be told of; none: all */
	size_t n_topics;
	const char *const *set;    /* "key=value" of group.conf, mq-spool(5); an empty value takes a room. or assign. line away */
	size_t n_set;
	bool forget_assigns;       /* all assign. lines go first */
	bool dry_run;
	int (*assignment)(void *arg, const struct mq_assignment *a); /* by topic and partition, when what is set is durable */
	void *arg;
};
struct mq_rebalance_report {
	char strategy[16], within[16]; /* as the group has them then */
	bool changed;                  /* its configuration; with dry_run: would be */
	bool made;                     /* the group was not there; the same */
};
/* How a group's partitions go to its members.  What is set is durable when it returns, and its members, woken, move partitions from
 * one to the other by and by.  Without anything to set the group must be there. */
int mq_rebalance(struct mq *mq, const struct mq_rebalance_request *req, struct mq_rebalance_report *ret);

/* ---- spreading ---- */
struct mq_spread_share {   /* of a partition */
	uint32_t partition;
	uint64_t before, after; /* records the group has not read, at most; and is to have */
};
struct mq_spread_request {
	const char *group, *topic;
	bool dry_run;
	int (*share)(void *arg, const struct mq_spread_share *s); /* of each, before anything moves; NULL */
	void (*progress)(void *arg, uint64_t done, uint64_t all); /* offsets; NULL */
	void *arg;
};
struct mq_spread_report {
	uint64_t all, records; /* offsets to be moved, and that were; with dry_run 0 of the second */
	uint64_t transfers;
};
/* What a group has not read of a topic, evenly over its partitions: copies that are for that group alone; their order by key is
 * given up.  Killed, or stopped (MQ_EXIT_AGAIN), it loses and doubles nothing, and is gone on with by being run again.
 * MQ_EXIT_AGAIN, too: a partition with more than its share is a member's at work; another one is at it. */
int mq_spread(struct mq *mq, const struct mq_spread_request *req, struct mq_spread_report *ret);

/* ---- retention ---- */
struct mq_retained {       /* of a partition from which something goes; strings during the call */
	const char *topic;
	uint32_t partition;
	uint64_t log_start, records; /* the log start as it is then, and how many records went below it now */
	uint64_t parts, bytes;       /* of files that are removed */
	uint64_t dead, dead_bytes;   /* of files that were of no log any more, and are removed */
	/* Of files for which others stand now; of those; records that went, since their key came again, or with a dry run 0. */
	uint64_t compacted, compacted_bytes, compacted_into, compacted_records;
};
struct mq_retain_request {
	const char *const *topics; /* none: all, and what mq keeps for itself */
	size_t n_topics;
	bool consumed;             /* what all registered groups have read goes, however young and small it is */
	bool unread;               /* what groups have not read does not stay for them */
	bool force;                /* though the clock jumped */
	bool dry_run;              /* nothing is written */
	const char *archive;       /* a directory: what goes is put into archives there first, durably; NULL: it is not */
	int (*retained)(void *arg, const struct mq_retained *r); /* NULL; not 0 ends it */
	void *arg;
};
struct mq_retain_report {
	uint64_t records, parts, bytes, dead, dead_bytes;
	uint64_t compacted, compacted_bytes, compacted_into, compacted_records;
	uint64_t failed;           /* topics and partitions that could not be looked at or freed: said by a notice each, the rest is done */
};
/* What is older than retention.ms, or too much for retention.bytes, goes: whole segments, the oldest first, the last one never, and
 * nothing that a group which was seen within offsets.retention.minutes has not read.  MQ_EXIT_AGAIN: another one is at work in this
 * spool, or the clock jumped.  A failure of one partition is returned at the end. */
int mq_retain(struct mq *mq, const struct mq_retain_request *req, struct mq_retain_report *ret);

/* ---- checking ---- */
enum mq_finding_kind {
	MQ_FINDING_DAMAGE,   /* acknowledged bytes that do not verify */
	MQ_FINDING_TORN,     /* an end nobody was promised */
	MQ_FINDING_DEAD,     /* a file that is not in the log */
	MQ_FINDING_CACHE,    /* index, state, producers: stale or bad; can be made anew */
	MQ_FINDING_CONFIG,   /* a configuration file or a commit that does not hold */
	MQ_FINDING_LOST,     /* a control batch or a header says that offsets were lost here */
	MQ_FINDING_NEWER,    /* of a format that needs a newer mq: nothing is said of what it holds */
	MQ_FINDING_LEFT,     /* not in the log, and no news: kills, failed syncs and purges leave it */
};
struct mq_finding {
	enum mq_finding_kind kind;
	const char *what;       /* path relative to the spool */
	uint64_t position;      /* byte in it */
	uint64_t length;        /* bytes */
	uint64_t offset_from, offset_to; /* offsets concerned, to excluded; both 0 when none */
	bool mended;
	const char *text;
};
struct mq_check_request {
	const char *topic;      /* NULL: the spool */
	int64_t partition;      /* -1: all */
	bool mend;
	bool dry_run;
	int (*found)(void *arg, const struct mq_finding *f);
	void (*progress)(void *arg, uint64_t bytes_done, uint64_t bytes_all);
	void *arg;
};
struct mq_check_report {
	uint64_t topics, partitions, segments, batches, records, bytes;
	uint64_t damage, torn, dead, cache, config, lost, newer, left, mended;
};
/* 0 also when something was found: the report tells; MQ_EXIT_DAMAGE, or MQ_EXIT_CONFIG, is the tool's to say.  MQ_EXIT_AGAIN: not
 * all was mended, since a lock was not to be had in time (mq_set_timeout). */
int mq_check(struct mq *mq, const struct mq_check_request *req, struct mq_check_report *ret);

#ifdef __cplusplus
}
#endif
#endif
