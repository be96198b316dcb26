/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flips: change a file of a spool in every way that a disk may, and look at what the check and a reader make of it.
 *
 *   flips make DIR                         a small spool
 *   flips check DIR [mend|dry] [TOPIC [P]] the findings, a line each: kind position length from to mended what text
 *   flips bits DIR FILE FROM TO STEP       each bit of bytes FROM..TO; STEP n: of every byte one bit in n
 *   flips cuts DIR FILE FROM TO            each length FROM..TO
 *   flips append DIR FILE FROM TO          each byte, then a batch appended by the real code, then as above
 *   flips share DIR FILE FROM TO           each byte of claimed.P, then a member begins to share
 *   flips recover DIR FILE FROM TO         the same as after a reboot, when no tail is trusted
 *
 * bits, cuts, append, recover and share print a line for each case that is not "told, and all else read as before":
 *   FILE POSITION BIT VERDICT...   with verdicts
 *     untold     no finding, and the check did not fail
 *     lost N     N records of other batches are not read at their offsets
 *     refused    the reader ended with an error
 *     silent     records are gone, and neither the check nor the reader said so
 *     invented   a record was read that was never written there; or, shared, counts as done, and was not
 * and at the end "cases N".  The file is as it was after each case, so that one spool serves for all.
 */
#include "flips.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "spool/check.h"

_Noreturn void flips_die(const char *what, const struct mq_err *err)
{
	fprintf(stderr, "flips: %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

/* ---- the check ---- */
static const char *const kinds[] = {"damage", "torn", "dead", "cache", "config", "lost", "newer", "left"};

static int print_finding(void *arg, const struct mq_check_finding *f)
{
	(void)arg;
	printf("%s %llu %llu %llu %llu %s %s: %s\n", kinds[f->kind], (unsigned long long)f->position, (unsigned long long)f->length,
	       (unsigned long long)f->offset_from, (unsigned long long)f->offset_to, f->mended ? "mended" : "-", f->what, f->text);
	return 0;
}

static int sum_finding(void *arg, const struct mq_check_finding *f)
{
	uint32_t *crc = arg;

	*crc = mq_crc32c(*crc, f->text, strlen(f->text));
	*crc = mq_crc32c(*crc, f->what, strlen(f->what));
	return 0;
}

/* One number for all that the check says: its failure, too. */
uint32_t flips_check(struct mq_spool *s, const char *topic, int64_t p)
{
	uint32_t crc = 0;
	struct mq_check_options opt = {.topic = topic, .partition = p, .found = sum_finding, .arg = &crc};
	struct mq_check_sums sums;
	int rc = mq_spool_check(s, &opt, &sums, NULL);

	return rc < 0 ? (uint32_t)rc : crc;
}

static int run_check(char **argv)
{
	struct mq_check_options opt = {.partition = -1, .found = print_finding};
	struct mq_check_sums sums;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_spool s;
	int rc = mq_spool_open(&s, *argv++, false, &err);

	if (*argv && (strcmp(*argv, "mend") == 0 || strcmp(*argv, "dry") == 0)) {
		opt.mend = true;
		opt.dry_run = **argv++ == 'd';
	}
	opt.topic = *argv ? *argv++ : NULL;
	if (opt.topic && *argv)
		opt.partition = atoi(*argv);
	if (rc == 0)
		rc = mq_spool_check(&s, &opt, &sums, &err);
	if (rc < 0) {
		printf("failed %d %s\n", mq_err_status(rc), err.text);
		return 1;
	}
	printf("sums topics=%llu partitions=%llu segments=%llu batches=%llu records=%llu bytes=%llu\n", (unsigned long long)sums.topics,
	       (unsigned long long)sums.partitions, (unsigned long long)sums.segments, (unsigned long long)sums.batches,
	       (unsigned long long)sums.records, (unsigned long long)sums.bytes);
	return 0;
}

/* ---- cases ---- */
static const struct {
	const char *topic;
	uint32_t p;
} parts[PARTS_MAX] = {{"orders", 0}, {"orders", 1}, {"orders", 2}, {"packed", 0}, {"wide", 0}};

static bool concerns(const struct bed *b, size_t i)
{
	if (b->group)
		return false;
	return !b->topic[0] || (strcmp(b->topic, parts[i].topic) == 0 && (b->p < 0 || b->p == parts[i].p));
}

static void setup(struct bed *b, const char *path, const char *file)
{
	struct mq_err err = MQ_ERR_INIT;
	char full[4096];
	long long p = -1;

	b->path = path;
	b->file = file;
	b->p = -1;
	b->group = sscanf(file, "groups/%*[^/]/topics/%63[^/]/", b->topic) == 1;
	if (b->group)
		b->p = -1;
	else if (sscanf(file, "topics/%63[^/]/%lld/", b->topic, &p) == 2)
		b->p = p;
	else if (sscanf(file, "topics/%63[^/]/", b->topic) != 1)
		b->topic[0] = 0;
	if (mq_spool_open(&b->spool, path, false, &err) < 0)
		flips_die(path, &err);
	for (size_t i = 0; i < PARTS_MAX; i++)
		if (concerns(b, i)) {
			flips_read(&b->spool, parts[i].topic, parts[i].p, &b->good[i]);
			if (b->good[i].refused || b->good[i].loss)
				flips_die("the spool cannot be read as it is", NULL);
		}
	b->places = flips_places(&b->spool);
	b->told = flips_check(&b->spool, b->topic[0] ? b->topic : NULL, b->p);
	snprintf(full, sizeof full, "%s/%s", path, file);
	b->fd = open(full, O_RDWR | O_CLOEXEC);
	if (b->fd < 0 || (b->len = (size_t)pread(b->fd, b->bytes, sizeof b->bytes, 0)) > sizeof b->bytes)
		flips_die(full, NULL);
}

/* Records of the batch that holds byte `at`: they may go.  mq_batch_decode needs no more than the segment's id. */
void flips_own_batch(const struct bed *b, uint64_t at, uint64_t *ret_from, uint64_t *ret_to)
{
	size_t n = strlen(b->file);
	uint64_t pos = MQ_SEGMENT_HEADER_LEN;
	struct mq_batch batch;

	*ret_from = *ret_to = 0;
	if (n < 4 || strcmp(b->file + n - 4, ".seg") != 0)
		return;
	while (pos + MQ_BATCH_HEADER_LEN <= b->len &&
	       mq_batch_decode(b->bytes + pos, mq_batch_seed(b->bytes + 24, pos), &batch, NULL) == 0) {
		if (at >= pos && at < pos + mq_batch_len(&batch)) {
			*ret_from = batch.base_offset;
			*ret_to = batch.next_offset;
			return;
		}
		pos += mq_batch_len(&batch);
	}
}

/* gone_from: records of it may be gone, told. */
void flips_compare(const struct reading *now, const struct reading *good, uint64_t gone_from, uint64_t gone_to, struct verdict *v)
{
	unsigned gone = 0;

	for (uint64_t o = 0; o < OFFSETS_MAX; o++) {
		if (now->sum[o] && now->sum[o] != good->sum[o])
			v->invented = true;
		if (!good->sum[o] || now->sum[o])
			continue;
		gone++;
		v->lost += o < gone_from || o >= gone_to;
	}
	v->refused |= now->refused;
	v->silent |= gone > 0 && v->untold && !now->loss && !now->refused;
}

void flips_report(struct bed *b, uint64_t at, int bit, const struct verdict *v)
{
	b->cases++;
	if (!v->untold && !v->lost && !v->refused && !v->silent && !v->invented)
		return;
	printf("%s %llu %d%s%s%s%s", b->file, (unsigned long long)at, bit, v->untold ? " untold" : "", v->refused ? " refused" : "",
	       v->silent ? " silent" : "", v->invented ? " invented" : "");
	if (v->lost)
		printf(" lost %u", v->lost);
	putchar('\n');
}

/* The file is changed: look, and say. */
static void look(struct bed *b, uint64_t at, int bit, uint64_t gone_from, uint64_t gone_to)
{
	struct mq_spool s = b->spool;
	struct verdict v = {0};
	bool reopen = strchr(b->file, '/') == NULL;

	if (reopen && mq_spool_open(&s, b->path, false, NULL) < 0) { /* spool.conf itself: refused with a reason */
		flips_report(b, at, bit, &v);
		return;
	}
	v.untold = flips_check(&s, b->topic[0] ? b->topic : NULL, b->p) == b->told;
	for (size_t i = 0; i < PARTS_MAX; i++)
		if (concerns(b, i)) {
			struct reading now;

			flips_read(&s, parts[i].topic, parts[i].p, &now);
			flips_compare(&now, &b->good[i], gone_from, gone_to, &v);
		}
	if (b->group && v.untold && flips_places(&s) != b->places)
		v.silent = true;
	if (reopen)
		mq_spool_release(&s);
	flips_report(b, at, bit, &v);
}

static void write_byte(struct bed *b, uint64_t at, uint8_t byte)
{
	if (pwrite(b->fd, &byte, 1, (off_t)at) != 1)
		flips_die("write", NULL);
}

static void bits(struct bed *b, uint64_t from, uint64_t to, unsigned step)
{
	for (uint64_t at = from; at < to && at < b->len; at++) {
		uint64_t gone_from, gone_to;

		flips_own_batch(b, at, &gone_from, &gone_to);
		for (unsigned bit = step > 1 ? (unsigned)(at % 8) : 0; bit < 8; bit += step) {
			write_byte(b, at, (uint8_t)(b->bytes[at] ^ 1u << bit));
			look(b, at, (int)bit, gone_from, gone_to);
		}
		write_byte(b, at, b->bytes[at]);
	}
}

static void cuts(struct bed *b, uint64_t from, uint64_t to)
{
	for (uint64_t len = from; len < to && len < b->len; len++) {
		uint64_t gone_from, gone_to, ignored;

		flips_own_batch(b, len, &gone_from, &ignored);
		flips_own_batch(b, b->len - 1, &ignored, &gone_to);
		if (len < MQ_SEGMENT_HEADER_LEN && gone_to > 0)
			flips_own_batch(b, MQ_SEGMENT_HEADER_LEN, &gone_from, &ignored);
		if (ftruncate(b->fd, (off_t)len) < 0)
			flips_die("truncate", NULL);
		look(b, len, -1, gone_from, gone_to);
		if (pwrite(b->fd, b->bytes + len, b->len - len, (off_t)len) != (ssize_t)(b->len - len))
			flips_die("write", NULL);
	}
}

int main(int argc, char **argv)
{
	static struct bed b;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (argc >= 3 && strcmp(argv[1], "make") == 0) {
		flips_make(argv[2]);
		return 0;
	}
	if (argc >= 3 && strcmp(argv[1], "check") == 0)
		return run_check(argv + 2);
	if (argc == 7 && strcmp(argv[1], "bits") == 0) {
		setup(&b, argv[2], argv[3]);
		bits(&b, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10), (unsigned)atoi(argv[6]));
	} else if (argc == 6 && strcmp(argv[1], "cuts") == 0) {
		setup(&b, argv[2], argv[3]);
		cuts(&b, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
	} else if (argc == 6 && (strcmp(argv[1], "append") == 0 || strcmp(argv[1], "recover") == 0)) {
		setup(&b, argv[2], argv[3]);
		flips_write_on(&b, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10), argv[1][0] == 'r');
	} else if (argc == 6 && strcmp(argv[1], "share") == 0) {
		setup(&b, argv[2], argv[3]);
		flips_share(&b, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
	} else {
		fprintf(stderr, "flips: see the head of flips.c\n");
		return 64;
	}
	printf("cases %lu\n", b.cases);
	return 0;
}
