/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the flips helper share: flips_make.c, flips_read.c, flips.c (the cases), flips_write.c. */
#ifndef MQ_TESTS_FLIPS_H
#define MQ_TESTS_FLIPS_H

#include "spool/spool.h"
#include "spool/topic.h"

enum { OFFSETS_MAX = 512, PARTS_MAX = 5, FILE_MAX = 1 << 20 };

/* End with the reason: in a test program nothing is undone. */
_Noreturn void flips_die(const char *what, const struct mq_err *err);

/* A small spool with all that the format has. */
void flips_make(const char *path);

/* The group that shares a partition of the topic queue. */
void flips_make_share(struct mq_spool *s);

/* What a reader gets of one partition. */
struct reading {
	uint32_t sum[OFFSETS_MAX]; /* of the record; 0: not read */
	uint64_t end, durable;
	bool refused, loss;        /* an error; offsets that the reader was told are lost */
};

void flips_read(struct mq_spool *s, const char *topic, uint32_t p, struct reading *ret);
/* The groups' places, as one number. */
uint32_t flips_places(struct mq_spool *s);

/* A file under test. */
struct bed {
	const char *path, *file;
	struct mq_spool spool;
	char topic[64];            /* the file's; "": it concerns all */
	int64_t p;
	bool group;                /* it is a group's: what partitions hold does not hang on it */
	uint32_t told, places;     /* as it should be */
	struct reading good[PARTS_MAX];
	uint8_t bytes[FILE_MAX];
	size_t len;
	int fd;
	unsigned long cases;
};

struct verdict {
	bool untold, refused, silent, invented;
	unsigned lost;
};

/* One number for all that the check says: its failure, too. */
uint32_t flips_check(struct mq_spool *s, const char *topic, int64_t p);
/* Records of the batch that holds byte `at`: they may go. */
void flips_own_batch(const struct bed *b, uint64_t at, uint64_t *ret_from, uint64_t *ret_to);
/* What `now` lacks of `good`; records in [gone_from, gone_to) may be gone, told. */
void flips_compare(const struct reading *now, const struct reading *good, uint64_t gone_from, uint64_t gone_to, struct verdict *v);
void flips_report(struct bed *b, uint64_t at, int bit, const struct verdict *v);

/* Each byte of [from, to) changed, then a publisher comes; reboot: one who trusts no tail. */
void flips_write_on(struct bed *b, uint64_t from, uint64_t to, bool reboot);

/* Each byte of [from, to) of a claimed.P changed, then a member begins to share. */
void flips_share(struct bed *b, uint64_t from, uint64_t to);

#endif
