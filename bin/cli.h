/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli: what all tools do alike.  One option table per tool is its parser, its --help and its
 * completion, so the three cannot differ.
 *
 * A tool keeps what its options say in a struct of its own that begins with a struct cli, and names
 * the members in its table:
 *
 *     struct args { struct cli cli; const char *group; };
 *     static const struct cli_option options[] = {
 *             {'g', "group", "GROUP", "the consumer group", CLI_TEXT, offsetof(struct args, group), .words = "group"},
 *             {0},
 *     };
 *     int main(int argc, char **argv)
 *     {
 *             struct args a = {0};
 *             int status = cli_start(&a.cli, &tool, argc, argv);
 *             return cli_end(&a.cli, status == CLI_GO ? run(&a) : status);
 *     }
 *
 * Every int that is called a status is an exit status as in mq(7).  What was parsed lives until
 * cli_end().  Only this file and the tools read the environment.
 */
#ifndef MQ_BIN_CLI_H
#define MQ_BIN_CLI_H

#include "mq.h"

#include <stdio.h>

enum {
	CLI_GO = -1,           /* cli_start: nothing ended the tool yet */
	CLI_OPTIONS_MAX = 96,  /* of one tool, with the common ones */
};

enum cli_kind {
	CLI_END = 0,
	CLI_HEADING,   /* name: the title of a group in --help */
	CLI_FLAG,      /* bool: true */
	CLI_ACCEPTED,  /* a flag that changes nothing */
	CLI_TEXT,      /* const char *: as given */
	CLI_TEXTS,     /* struct cli_texts: each one */
	CLI_PAIRS,     /* struct cli_pairs: each NAME=VALUE */
	CLI_BYTES,     /* struct cli_bytes: with \n \t \r \0 \\ \xHH understood */
	CLI_COUNT,     /* uint64_t */
	CLI_COUNT32,   /* uint32_t, at least 1 */
	CLI_PARTITION, /* int64_t */
	CLI_SIZE,      /* uint64_t, bytes */
	CLI_DURATION,  /* int64_t, nanoseconds */
	CLI_RATE,      /* double, a second */
	CLI_CHOICE,    /* int: which of the words, from 0 */
	CLI_HELP, CLI_VERSION,
};

/* What to complete where a topic's configuration is set; a test compares it with what mq-topic show tells. */
#define CLI_TOPIC_KEYS "retention.ms= retention.bytes= segment.bytes= segment.ms= max.message.bytes= compression.type= min.ack= max.bytes= " \
	"max.messages= when.full= cleanup.policy= min.cleanable.dirty.ratio= delete.retention.ms= ttl.ms= expired.dead= " \
	"min.insync.replicas= dedupe.ms= dedupe.count="

struct cli_option {
	char letter;         /* 0: none */
	const char *name;    /* without the dashes */
	const char *arg;     /* the argument's name in --help; NULL: it takes none */
	const char *meaning;
	enum cli_kind kind;
	size_t to;           /* offset in the tool's struct */
	const char *words;   /* of a choice: "none/0 written/1"; else what to complete: topic group file dir, or keys as "max.bytes=" */
	unsigned verbs;      /* bit mask of the verbs it goes with; 0: all */
};

struct cli_tool {
	const char *name;
	const char *const *usage;    /* the lines of the manual's SYNOPSIS without the tool's name; ends in NULL */
	const char *purpose;         /* one sentence */
	const struct cli_option *options;
	const char *const *examples; /* lines, ends in NULL */
	const char *const *verbs;    /* the first operand is one of them; ends in NULL; or NULL */
	const char *operands;        /* what to complete: topic, file */
	const char *timeout;         /* what --timeout is for; NULL: there is nothing to wait for so long */
	bool takes_command;          /* what follows -- is a command, not operands */
	bool quiet_pipe;             /* stdout may go away unsaid: a listing */
	bool library_writes;         /* stdout belongs to the library, which may close it */
};

struct cli_texts {
	const char **v;
	size_t n;
};
struct cli_pairs {
	struct mq_pair *v;
	size_t n;
};
struct cli_bytes {
	const char *data; /* NULL: not given */
	size_t len;
};

struct cli_kept; /* memory that cli_end frees */
struct cli {
	const struct cli_tool *tool;
	struct mq *mq;
	const char *spool, *topic;
	int64_t timeout_ns;          /* -1: not given, wait for ever */
	bool quiet, verbose;
	int verb;                    /* index in tool->verbs */
	char **operands;             /* the verb not among them */
	size_t n_operands;
	char **command;              /* after --, ends in NULL; NULL: no -- */
	bool given[CLI_OPTIONS_MAX];
	struct cli_kept *kept;
};

/* Session, signals, options.  CLI_GO, or the status to end with (help was printed, an option refused). */
int cli_start(struct cli *cli, const struct cli_tool *tool, int argc, char **argv);
/* Flush and close stdout (74 when that fails), free everything.  Ends by the signal that stopped the tool. */
int cli_end(struct cli *cli, int status);

/* Open the spool that -S, MQ_SPOOL or the user's default names.  0 or a status, the reason printed. */
int cli_open(struct cli *cli, unsigned flags);
/* Print the session's reason; its status. */
int cli_fail(struct cli *cli);
/* Print what is wrong with the command line; 64. */
int cli_usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Print why something failed, --quiet or not; the status. */
int cli_error(struct cli *cli, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Print a line about what happens, unless --quiet. */
void cli_say(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether the option of that long name was given. */
bool cli_given(const struct cli *cli, const char *name);
/* Take the topic from -t or from the first operand: 0 or a status. */
int cli_topic(struct cli *cli, struct mq_operand *ret);
/* Was the tool asked to stop? */
bool cli_stopped(void);
/* Zeroed memory that lives until cli_end(); NULL: none, and said. */
void *cli_keep(struct cli *cli, size_t size);

/* cli_parse.c */
extern const struct cli_option cli_common[];
int cli_parse(struct cli *cli, int argc, char **argv);
/* The nth option of a tool, its own first, then the common ones; NULL behind the last. */
const struct cli_option *cli_option_at(const struct cli_tool *tool, size_t n);
/* cli_value.c: put what was given where the option says; text is NULL where it takes no argument. */
int cli_store(struct cli *cli, const struct cli_option *o, const char *text);
/* Add a text, which must live as long, to a list: CLI_GO or a status. */
int cli_add_text(struct cli *cli, struct cli_texts *list, const char *text);

/* cli_near.c: the word nearest to this one by edit distance, if any is near; words ends in NULL. */
const char *cli_nearest(const char *word, const char *const *words);

/* cli_help.c */
void cli_help(const struct cli_tool *tool);
void cli_completion(const struct cli_tool *tool);

/* For printf's %llu. */
static inline unsigned long long llu(uint64_t n)
{
	return n;
}

/* cli_progress.c: of long work, on stderr, where that is a terminal and nobody asked for silence. */
struct cli_progress {
	bool shown, told;
	uint64_t done;
	double at, rate; /* seconds, a second */
};
void cli_progress_init(struct cli_progress *p, const struct cli *cli, bool wanted);
void cli_progress_tell(struct cli_progress *p, uint64_t done, uint64_t all);
void cli_progress_end(struct cli_progress *p); /* the line is empty again */

/* cli_print.c: tables and JSON on stdout */
enum { CLI_COLUMNS_MAX = 12 };
struct cli_table {
	const char *const *heads; /* ">HEAD" is aligned to the right */
	size_t columns, cells, room;
	char **cell;
};
void cli_table_init(struct cli_table *t, const char *const *heads);
void cli_cell(struct cli_table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Print with the columns aligned, and release.  False: out of memory. */
bool cli_table_print(struct cli_table *t);
/* A quoted JSON string. */
void cli_json_string(FILE *to, const char *text);
/* Copy with control bytes and broken UTF-8 made visible; cut to size. */
const char *cli_visible(char *to, size_t size, const char *text);

#endif
