/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/archive.h"
#include "sys/sys.h"

enum { STEP = 256 << 10 }; /* memory grows with what has come, not with what was claimed */

struct mq_archive {
	int fd;
	uint64_t at;             /* of the file */
	char label[256];
	struct mq_tar_reader *tar;
	struct mq_manifest m;
	size_t segment;          /* that comes next, or is being read */
	bool open;               /* it is being read */
	struct mq_segment_header h;
	uint64_t pos;            /* in it */
	uint64_t next_offset;    /* what is expected there */
	uint32_t crc;            /* of what was read of it */
	struct mq_buf bytes;     /* a batch */
	int failed;
};

static ssize_t source(void *arg, void *buf, size_t n, struct mq_err *err)
{
	struct mq_archive *a = arg;
	ssize_t got;

	do
		got = mq_sys->pread(a->fd, buf, n, a->at);
	while (got == -EINTR);
	if (got < 0)
		return mq_err_sys(err, (int)got, "cannot read the archive");
	a->at += (uint64_t)got;
	return got;
}

/* n more bytes of the member behind what a->bytes holds: MQ_EDAMAGE where it ends before. */
static int fetch(struct mq_archive *a, size_t n, struct mq_err *err)
{
	while (n > 0) {
		size_t step = n < STEP ? n : STEP;
		ssize_t got;

		if (mq_buf_reserve(&a->bytes, step) < 0)
			return mq_err_set(err, -ENOMEM, "no memory for a batch");
		got = mq_tar_take(a->tar, a->bytes.p + a->bytes.len, step, err);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return mq_err_set(err, MQ_EDAMAGE, "a member ends before the size that it claims");
		a->bytes.len += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int read_manifest(struct mq_archive *a, struct mq_err *err)
{
	struct mq_tar_member member;
	int rc = mq_tar_next(a->tar, &member, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || strcmp(member.name, "manifest.json") != 0 || !member.regular || member.size > MQ_ARCHIVE_MANIFEST_MAX)
		return mq_err_set(err, MQ_EINPUT, "this is no archive of mq: it does not begin with manifest.json");
	rc = fetch(a, (size_t)member.size, err);
	if (rc == 0)
		rc = mq_manifest_parse(&a->m, a->bytes.p, a->bytes.len, err);
	mq_buf_release(&a->bytes);
	return rc;
}

int mq_archive_open(struct mq_archive **ret, int fd, const char *label, struct mq_err *err)
{
	struct mq_archive *a = calloc(1, sizeof *a);
	int rc;

	if (!a)
		return mq_err_set(err, -ENOMEM, "no memory for an archive");
	a->fd = fd;
	snprintf(a->label, sizeof a->label, "%s", label);
	rc = mq_tar_open(&a->tar, source, a, err);
	if (rc == 0)
		rc = read_manifest(a, err);
	if (rc < 0) {
		mq_err_prefix(err, "%s", a->label);
		mq_archive_release(a);
		return rc;
	}
	*ret = a;
	return 0;
}

void mq_archive_release(struct mq_archive *a)
{
	if (!a)
		return;
	mq_tar_release(a->tar);
	mq_manifest_release(&a->m);
	mq_buf_release(&a->bytes);
	free(a);
}

const struct mq_manifest *mq_archive_manifest(const struct mq_archive *a)
{
	return &a->m;
}

size_t mq_archive_at(const struct mq_archive *a)
{
	return a->segment;
}

size_t mq_archive_ahead(const struct mq_archive *a)
{
	return a->segment + a->open;
}

/* The member that comes is the segment that the manifest lists there. */
static int next_member(struct mq_archive *a, struct mq_err *err)
{
	const struct mq_archive_segment *s = &a->m.segment[a->segment];
	char name[MQ_ARCHIVE_NAME_MAX];
	struct mq_tar_member member;
	int rc = mq_tar_next(a->tar, &member, err);

	if (rc < 0)
		return rc;
	mq_archive_member(&a->m, s, name);
	if (rc == 0)
		return mq_err_set(err, MQ_EDAMAGE, "it ends before %s, which its manifest lists", name);
	if (!member.regular || strcmp(member.name, name) != 0 || member.size != s->bytes)
		return mq_err_set(err, MQ_EINPUT, "it holds something else where its manifest lists %s with %llu bytes", name,
		                  (unsigned long long)s->bytes);
	return 0;
}

static int read_header(struct mq_archive *a, struct mq_err *err)
{
	const struct mq_archive_segment *s = &a->m.segment[a->segment];
	int rc;

	mq_buf_clear(&a->bytes);
	rc = fetch(a, MQ_SEGMENT_HEADER_LEN, err);
	if (rc == 0)
		rc = mq_segment_header_decode((const uint8_t *)a->bytes.p, &a->h, err);
	if (rc == 0 && (memcmp(a->h.topic_id, a->m.topic_id, 16) != 0 || a->h.partition != s->partition || a->h.base_offset != s->base ||
	                memcmp(a->h.id.b, s->id.b, 4) != 0))
		rc = mq_err_set(err, MQ_EINPUT, "a segment's header says that it is another one");
	a->crc = rc == 0 ? mq_crc32c(0, a->bytes.p, a->bytes.len) : 0;
	a->pos = MQ_SEGMENT_HEADER_LEN;
	a->next_offset = s->base;
	a->open = rc == 0;
	return rc;
}

static int fail(struct mq_archive *a, int rc, struct mq_err *err)
{
	mq_err_prefix(err, "%s", a->label);
	a->failed = rc;
	a->open = false;
	return rc;
}

static int look(struct mq_archive *a, struct mq_err *err)
{
	return a->failed ? mq_err_set(err, a->failed, "%s: nothing more of it can be read", a->label) : 0;
}

int mq_archive_go(struct mq_archive *a, size_t segment, struct mq_err *err)
{
	int rc = look(a, err);

	if (rc < 0)
		return rc;
	assert(segment >= a->segment && segment < a->m.n_segments);
	if (a->open && a->segment < segment) {
		a->open = false;
		a->segment++;
	}
	while (rc == 0 && !a->open && a->segment <= segment) {
		rc = next_member(a, err);
		if (rc == 0 && a->segment == segment)
			rc = read_header(a, err);
		else
			a->segment++;
	}
	return rc < 0 ? fail(a, rc, err) : 0;
}

/* In order, within the segment, and of a size that there is memory for. */
static int check_batch(struct mq_archive *a, const struct mq_batch *b, struct mq_err *err)
{
	const struct mq_archive_segment *s = &a->m.segment[a->segment];

	if (mq_batch_len(b) > s->bytes - a->pos)
		return mq_err_set(err, MQ_EDAMAGE, "a batch leads beyond its segment");
	if (b->stored_len > MQ_ARCHIVE_BATCH_MAX || b->raw_len > MQ_ARCHIVE_BATCH_MAX)
		return mq_err_set(err, MQ_EINPUT, "a batch claims to be larger than any that mq archives");
	if (b->base_offset < a->next_offset || b->next_offset > s->end)
		return mq_err_set(err, MQ_EDAMAGE, "a batch's offsets are not those that its segment has there");
	return 0;
}

static int read_batch(struct mq_archive *a, struct mq_archive_view *ret, struct mq_err *err)
{
	struct mq_batch *b = &ret->batch;
	int rc;

	mq_buf_clear(&a->bytes);
	rc = fetch(a, MQ_BATCH_HEADER_LEN, err);
	if (rc == 0)
		rc = mq_batch_decode((const uint8_t *)a->bytes.p, mq_batch_seed(a->h.id.b, a->pos), b, err);
	if (rc == 0)
		rc = check_batch(a, b, err);
	if (rc == 0)
		rc = fetch(a, b->stored_len, err);
	if (rc < 0)
		return rc;
	ret->body = (const uint8_t *)a->bytes.p + MQ_BATCH_HEADER_LEN;
	if (!mq_batch_body_ok(b, ret->body))
		return mq_err_set(err, MQ_EDAMAGE, "a batch does not verify");
	a->crc = mq_crc32c(a->crc, a->bytes.p, a->bytes.len);
	a->pos += mq_batch_len(b);
	a->next_offset = b->next_offset;
	return 0;
}

int mq_archive_next(struct mq_archive *a, struct mq_archive_view *ret, struct mq_err *err)
{
	const struct mq_archive_segment *s = &a->m.segment[a->segment];
	int rc = look(a, err);

	if (rc < 0)
		return rc;
	if (a->pos < s->bytes) {
		rc = s->bytes - a->pos < MQ_BATCH_HEADER_LEN ? mq_err_set(err, MQ_EDAMAGE, "a segment ends in the middle of a batch") : 0;
		if (rc == 0)
			rc = read_batch(a, ret, err);
		return rc < 0 ? fail(a, rc, err) : 1;
	}
	if (a->crc != s->crc)
		return fail(a, mq_err_set(err, MQ_EDAMAGE, "a segment is not the one whose checksum the manifest has"), err);
	a->open = false;
	a->segment++;
	return 0;
}
