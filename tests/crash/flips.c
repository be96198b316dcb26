/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flips: change a file of a spool in every way that a disk may, and look at what the check and a reader make of it.
 *
 *   flips make DIR                         a small spool
 *   flips check DIR [mend|dry] [TOPIC [P]] the findings, a line each: kind position length from to mended what text
 *   flips bits DIR FILE FROM TO STEP       each bit of bytes FROM..TO; STEP n: of every byte one bit in n
 *   flips cuts DIR FILE FROM TO            each length FROM..TO
 *   flips append DIR FILE FROM TO          each byte, then a batch appended by the real code, then as above
 *   flips recover DIR FILE FROM TO         the same as after a reboot, when no tail is trusted
 *
 * bits, cuts, append and recover print a line for each case that is not "told, and all else read as before":
 *   FILE POSITION BIT VERDICT...   with verdicts
 *     untold     no finding, and the check did not fail
 *     lost N     N records of other batches are not read at their offsets
 *     refused    the reader ended with an error
 *     silent     records are gone, and neither the check nor the reader said so
 *     invented   a record was read that was never written there
 * and at the end "cases N".  The file is as it was after each case, so that one spool serves for all.
 */
#include "flips.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "format/record.h"
#include "format/zip.h"
#include "spool/check.h"
#include "spool/owner.h"
#include "sys/sys.h"

enum { OFFSETS_MAX = 512, PARTS_MAX = 5, FILE_MAX = 1 << 20 };

_Noreturn void flips_die(const char *what, const struct mq_err *err)
{
	fprintf(stderr, "flips: %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

/* What a reader gets of one partition. */
struct reading {
	uint32_t sum[OFFSETS_MAX]; /* of the record; 0: not read */
	uint64_t end, durable;
	bool refused, loss;        /* an error; offsets that the reader was told are lost */
};

static uint32_t sum_of(const struct mq_rec *r)
{
	const char *const part[] = {r->payload, r->key, r->headers, r->id, r->tag, r->group};
	const uint32_t len[] = {r->payload_len, r->key_len, r->headers_len, r->id_len, r->tag_len, r->group_len};
	const int64_t numbers[] = {r->time_us, r->expiry_us, (int64_t)r->attempts, (int64_t)r->offset};
	uint32_t crc = mq_crc32c(1, numbers, sizeof numbers);

	for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
		crc = mq_crc32c(crc, &len[i], sizeof len[i]);
		if (part[i])
			crc = mq_crc32c(crc, part[i], len[i]);
	}
	return crc ? crc : 1;
}

static bool read_batch(const struct mq_cursor_view *v, struct reading *ret)
{
	static struct mq_zip zip;
	static struct mq_buf raw;
	const uint8_t *body = v->body;
	struct mq_walk w;
	struct mq_rec r;
	int rc;

	if (v->batch.zip == MQ_BATCH_ZSTD) {
		if (mq_zip_unpack(&zip, body, v->batch.stored_len, v->batch.raw_len, &raw, NULL) < 0)
			return false;
		body = (const uint8_t *)raw.p;
	}
	if (mq_walk_init(&w, &v->batch, body, NULL) < 0)
		return false;
	while ((rc = mq_walk_next(&w, &r)) > 0)
		if (r.offset >= v->first_offset && r.offset < OFFSETS_MAX)
			ret->sum[r.offset] = sum_of(&r);
	return rc == 0;
}

static void read_partition(struct mq_spool *s, const char *topic, uint32_t p, struct reading *ret)
{
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	struct mq_cursor c;
	struct mq_topic t;
	int rc, dir;

	memset(ret, 0, sizeof *ret);
	ret->refused = true;
	if (mq_topic_open(&t, s, topic, NULL) < 0)
		return;
	dir = mq_partition_dir(&t, p, NULL);
	rc = dir < 0 ? dir : mq_cursor_open(&c, dir, topic, t.conf.id, NULL);
	if (rc == 0) {
		rc = mq_cursor_seek(&c, 0, NULL);
		while (rc == 0 && (rc = mq_cursor_next(&c, &v, &loss, NULL)) != 0) {
			if (rc == MQ_EDAMAGE)
				ret->loss = true;
			else if (rc < 0 || !read_batch(&v, ret))
				break;
			rc = 0;
		}
		ret->end = c.visible_offset;
		ret->durable = c.durable_offset;
		ret->refused = rc != 0;
		mq_cursor_release(&c);
	}
	if (dir >= 0)
		close(dir);
	mq_topic_release(&t);
}

/* ---- the groups' places, as one number ---- */
static uint32_t read_places(struct mq_spool *s)
{
	struct mq_group_topic g;
	struct mq_topic t;
	uint32_t crc = 1;

	if (mq_topic_open(&t, s, "orders", NULL) < 0)
		return 0;
	if (mq_group_topic_open(&g, &t, "billing", false, NULL) < 0) {
		mq_topic_release(&t);
		return 0;
	}
	for (uint32_t p = 0; p < 3; p++) {
		struct mq_commit c = {0};
		uint64_t seq, acked = 0;
		int which = 0, rc = mq_group_topic_read(&g, p, &c, &which, &seq, NULL);

		if (rc == 0)
			rc = mq_acks_count(&g, p, &c, &acked, NULL);
		crc = mq_crc32c(crc, &rc, sizeof rc);
		crc = mq_crc32c(crc, &c.offset, sizeof c.offset);
		crc = mq_crc32c(crc, &c.lost, sizeof c.lost);
		crc = mq_crc32c(crc, &acked, sizeof acked);
	}
	mq_group_topic_release(&g);
	mq_topic_release(&t);
	return crc;
}

/* ---- the check ---- */
static const char *const kinds[] = {"damage", "torn", "dead", "cache", "config", "lost"};

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
static uint32_t check_sum(struct mq_spool *s, const char *topic, int64_t p)
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
			read_partition(&b->spool, parts[i].topic, parts[i].p, &b->good[i]);
			if (b->good[i].refused || b->good[i].loss)
				flips_die("the spool cannot be read as it is", NULL);
		}
	b->places = read_places(&b->spool);
	b->told = check_sum(&b->spool, b->topic[0] ? b->topic : NULL, b->p);
	snprintf(full, sizeof full, "%s/%s", path, file);
	b->fd = open(full, O_RDWR | O_CLOEXEC);
	if (b->fd < 0 || (b->len = (size_t)pread(b->fd, b->bytes, sizeof b->bytes, 0)) > sizeof b->bytes)
		flips_die(full, NULL);
}

/* Records of the batch that holds byte `at`: they may go.  mq_batch_decode needs no more than the segment's id. */
static void own_batch(const struct bed *b, uint64_t at, uint64_t *ret_from, uint64_t *ret_to)
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

struct verdict {
	bool untold, refused, silent, invented;
	unsigned lost;
};

/* gone_from: records of it may be gone, told. */
static void compare(const struct reading *now, const struct reading *good, uint64_t gone_from, uint64_t gone_to, struct verdict *v)
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

static void report(struct bed *b, uint64_t at, int bit, const struct verdict *v)
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
		report(b, at, bit, &v);
		return;
	}
	v.untold = check_sum(&s, b->topic[0] ? b->topic : NULL, b->p) == b->told;
	for (size_t i = 0; i < PARTS_MAX; i++)
		if (concerns(b, i)) {
			struct reading now;

			read_partition(&s, parts[i].topic, parts[i].p, &now);
			compare(&now, &b->good[i], gone_from, gone_to, &v);
		}
	if (b->group && v.untold && read_places(&s) != b->places)
		v.silent = true;
	if (reopen)
		mq_spool_release(&s);
	report(b, at, bit, &v);
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

		own_batch(b, at, &gone_from, &gone_to);
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

		own_batch(b, len, &gone_from, &ignored);
		own_batch(b, b->len - 1, &ignored, &gone_to);
		if (len < MQ_SEGMENT_HEADER_LEN && gone_to > 0)
			own_batch(b, MQ_SEGMENT_HEADER_LEN, &gone_from, &ignored);
		if (ftruncate(b->fd, (off_t)len) < 0)
			flips_die("truncate", NULL);
		look(b, len, -1, gone_from, gone_to);
		if (pwrite(b->fd, b->bytes + len, b->len - len, (off_t)len) != (ssize_t)(b->len - len))
			flips_die("write", NULL);
	}
}

/* ---- recovery ---- */
struct kept { /* the files of a partition's directory, to be put back */
	int dir;
	size_t n;
	struct {
		char name[64];
		uint8_t *bytes;
		size_t len;
	} file[32];
};

static void keep(struct kept *k, struct bed *b)
{
	char full[4096];
	struct dirent *e;
	DIR *d;

	snprintf(full, sizeof full, "%s/topics/%s/%lld", b->path, b->topic, (long long)b->p);
	k->dir = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = opendir(full);
	if (k->dir < 0 || !d)
		flips_die(full, NULL);
	while ((e = readdir(d)) != NULL) {
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(k->file[k->n].name, sizeof k->file[k->n].name, "%.63s", e->d_name);
		k->file[k->n].bytes = malloc(FILE_MAX);
		fd = openat(k->dir, e->d_name, O_RDONLY | O_CLOEXEC);
		k->file[k->n].len = (size_t)pread(fd, k->file[k->n].bytes, FILE_MAX, 0);
		close(fd);
		k->n++;
	}
	closedir(d);
}

static bool is_kept(const struct kept *k, const char *name)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->file[i].name, name) == 0)
			return true;
	return false;
}

/* All as it was, in the same files.  reboot: but a new state, so that its tail is of another one and not trusted. */
static void put_back(const struct kept *k, bool reboot)
{
	DIR *d = fdopendir(dup(k->dir));
	struct dirent *e;

	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !is_kept(k, e->d_name))
			unlinkat(k->dir, e->d_name, 0);
	closedir(d);
	if (reboot)
		unlinkat(k->dir, "state", 0);
	for (size_t i = 0; i < k->n; i++) {
		int fd = openat(k->dir, k->file[i].name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

		if (fd < 0 || pwrite(fd, k->file[i].bytes, k->file[i].len, 0) != (ssize_t)k->file[i].len ||
		    ftruncate(fd, (off_t)k->file[i].len) < 0)
			flips_die(k->file[i].name, NULL);
		close(fd);
	}
}

/* What the next publisher does: recover where it must, append one durable batch. */
static int settle(struct bed *b)
{
	struct mq_batch batch = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = 1, .stored_len = 6, .raw_len = 6};
	struct mq_partition hold;
	struct mq_log_ticket t;
	struct mq_topic topic;
	struct mq_log log;
	int rc = mq_topic_open(&topic, &b->spool, b->topic, NULL);

	if (rc < 0)
		return rc;
	rc = mq_partition_log(&hold, &topic, (uint32_t)b->p, &log, NULL);
	if (rc == 0) {
		batch.body_crc = mq_crc32c(0, "after\n", 6);
		rc = mq_log_append(&log, &batch, "after\n", &t, NULL);
		if (rc == 0)
			rc = mq_log_wait(&log, &t, MQ_ACK_DURABLE, NULL);
		mq_log_release(&log);
	}
	mq_topic_release(&topic);
	return rc;
}

static const char *tail_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* One byte changed, then a writer comes. */
static void written_to(struct bed *b, struct kept *k, const struct reading *good, uint64_t at, bool reboot)
{
	uint64_t gone_from, gone_to;
	struct reading now;
	struct verdict v = {0};
	int fd = openat(k->dir, tail_of(b->file), O_RDWR | O_CLOEXEC), rc;
	uint8_t byte = (uint8_t)(b->bytes[at] ^ 1u << at % 8);

	own_batch(b, at, &gone_from, &gone_to);
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		flips_die("write", NULL);
	close(fd);
	v.untold = check_sum(&b->spool, b->topic, b->p) == b->told;
	rc = settle(b);
	read_partition(&b->spool, b->topic, (uint32_t)b->p, &now);
	for (uint64_t o = good->end; o < OFFSETS_MAX; o++)
		now.sum[o] = 0; /* the one appended here: its place is not below the end that was seen */
	compare(&now, good, gone_from, gone_to, &v);
	for (uint64_t o = 0; o < good->durable; o++)
		v.silent |= good->sum[o] && !now.sum[o] && !now.loss && !now.refused; /* the reader itself must hear of these */
	v.refused |= rc < 0;
	report(b, at, (int)(at % 8), &v);
	put_back(k, reboot);
}

static void write_on(struct bed *b, uint64_t from, uint64_t to, bool reboot)
{
	static struct kept k;
	struct reading good;

	keep(&k, b);
	put_back(&k, reboot);
	b->told = check_sum(&b->spool, b->topic, b->p);
	read_partition(&b->spool, b->topic, (uint32_t)b->p, &good);
	if (good.refused)
		flips_die("the spool cannot be read as it is", NULL);
	for (uint64_t at = from; at < to && at < b->len; at++)
		written_to(b, &k, &good, at, reboot);
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
		write_on(&b, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10), argv[1][0] == 'r');
	} else {
		fprintf(stderr, "flips: see the head of flips.c\n");
		return 64;
	}
	printf("cases %lu\n", b.cases);
	return 0;
}
