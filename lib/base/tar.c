/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 << 10 };

/* libarchive has text for what went wrong, and an errno that is one or a number of its own. */
static int failed(struct archive *a, int code, const char *what, struct mq_err *err)
{
	const char *why = archive_error_string(a);

	if (archive_errno(a) == ENOMEM)
		code = -ENOMEM;
	return mq_err_set(err, code, "%s: %s", what, why ? why : "it does not say why");
}

/* ---- writing ---- */
struct mq_tar_writer {
	struct archive *archive;
	mq_tar_sink *sink;
	void *arg;
	struct mq_err *err;  /* of the call at hand */
	int rc;              /* what the sink answered first, if that was a failure */
	uint64_t left;       /* of the member at hand */
};

static la_ssize_t pass_on(struct archive *a, void *arg, const void *bytes, size_t n)
{
	struct mq_tar_writer *w = arg;

	if (w->rc == 0)
		w->rc = w->sink(w->arg, bytes, n, w->err);
	if (w->rc == 0)
		return (la_ssize_t)n;
	archive_set_error(a, EIO, "it cannot be written");
	return -1;
}

/* A failure of the sink was told by the sink. */
static int write_failed(struct mq_tar_writer *w, const char *what, struct mq_err *err)
{
	if (w->rc < 0)
		return w->rc;
	w->rc = failed(w->archive, -EIO, what, err);
	return w->rc;
}

int mq_tar_create(struct mq_tar_writer **ret, mq_tar_sink *sink, void *arg, struct mq_err *err)
{
	struct mq_tar_writer *w = calloc(1, sizeof *w);
	struct archive *a = w ? archive_write_new() : NULL;
	int rc;

	if (!a) {
		free(w);
		return mq_err_set(err, -ENOMEM, "no memory for an archive");
	}
	*w = (struct mq_tar_writer){.archive = a, .sink = sink, .arg = arg, .err = err};
	rc = archive_write_set_format_pax_restricted(a);
	if (rc == ARCHIVE_OK)
		rc = archive_write_add_filter_zstd(a);
	if (rc == ARCHIVE_OK)
		rc = archive_write_set_bytes_per_block(a, BLOCK);
	if (rc == ARCHIVE_OK)
		rc = archive_write_set_bytes_in_last_block(a, 1);
	if (rc == ARCHIVE_OK)
		rc = archive_write_open(a, w, NULL, pass_on, NULL);
	if (rc == ARCHIVE_OK) {
		*ret = w;
		return 0;
	}
	rc = write_failed(w, "cannot begin an archive", err);
	mq_tar_abandon(w);
	return rc;
}

int mq_tar_begin(struct mq_tar_writer *w, const char *name, uint64_t size, int64_t time_us, struct mq_err *err)
{
	struct archive_entry *e;
	int rc;

	w->err = err;
	if (w->rc < 0)
		return w->rc;
	if (w->left || strlen(name) > MQ_TAR_NAME_MAX || size > INT64_MAX)
		return mq_err_set(err, MQ_EUSAGE, w->left ? "%s: the member before is not whole" : "%s: it does not fit an archive", name);
	e = archive_entry_new();
	if (!e)
		return mq_err_set(err, -ENOMEM, "no memory for an archive");
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0640);
	archive_entry_set_mtime(e, time_us / 1000000, 0);
	rc = archive_write_header(w->archive, e);
	archive_entry_free(e);
	if (rc != ARCHIVE_OK)
		return write_failed(w, name, err);
	w->left = size;
	return 0;
}

int mq_tar_put(struct mq_tar_writer *w, const void *bytes, size_t n, struct mq_err *err)
{
	w->err = err;
	if (w->rc < 0)
		return w->rc;
	if (n > w->left)
		return mq_err_set(err, MQ_EUSAGE, "more bytes than were announced");
	for (const char *at = bytes; n > 0;) {
		la_ssize_t done = archive_write_data(w->archive, at, n);

		if (done <= 0)
			return write_failed(w, "cannot write an archive", err);
		at += done;
		n -= (size_t)done;
		w->left -= (uint64_t)done;
	}
	return 0;
}

int mq_tar_finish(struct mq_tar_writer *w, struct mq_err *err)
{
	int rc = w->rc;

	w->err = err;
	if (rc == 0 && w->left)
		rc = w->rc = mq_err_set(err, MQ_EUSAGE, "the last member is not whole");
	if (rc == 0 && archive_write_close(w->archive) != ARCHIVE_OK)
		rc = write_failed(w, "cannot end an archive", err);
	mq_tar_abandon(w);
	return rc;
}

/* Without an end: nothing more is given to the sink. */
void mq_tar_abandon(struct mq_tar_writer *w)
{
	if (!w)
		return;
	if (w->rc == 0)
		w->rc = -ECANCELED;
	archive_write_free(w->archive);
	free(w);
}

/* ---- reading ---- */
struct mq_tar_reader {
	struct archive *archive;
	mq_tar_source *source;
	void *arg;
	struct mq_err *err;  /* of the call at hand */
	int rc;              /* what failed first */
	char block[BLOCK];
};

static la_ssize_t fetch(struct archive *a, void *arg, const void **ret)
{
	struct mq_tar_reader *r = arg;
	ssize_t n = r->source(r->arg, r->block, sizeof r->block, r->err);

	if (n < 0) {
		r->rc = (int)n;
		archive_set_error(a, EIO, "it cannot be read");
		return -1;
	}
	*ret = r->block;
	return n;
}

static int read_failed(struct mq_tar_reader *r, int code, const char *what, struct mq_err *err)
{
	if (r->rc == 0)
		r->rc = failed(r->archive, code, what, err);
	return r->rc;
}

int mq_tar_open(struct mq_tar_reader **ret, mq_tar_source *source, void *arg, struct mq_err *err)
{
	struct mq_tar_reader *r = calloc(1, sizeof *r);
	struct archive *a = r ? archive_read_new() : NULL;
	int rc;

	if (!a) {
		free(r);
		return mq_err_set(err, -ENOMEM, "no memory for an archive");
	}
	r->archive = a;
	r->source = source;
	r->arg = arg;
	r->err = err;
	rc = archive_read_support_format_tar(a);
	if (rc == ARCHIVE_OK)
		rc = archive_read_support_filter_zstd(a);
	if (rc == ARCHIVE_OK)
		rc = archive_read_open(a, r, NULL, fetch, NULL);
	if (rc == ARCHIVE_OK) {
		*ret = r;
		return 0;
	}
	rc = read_failed(r, MQ_EINPUT, "this is no archive of mq", err);
	mq_tar_release(r);
	return rc;
}

/* A warning is of what mq does not use: owners, flags, character sets. */
int mq_tar_next(struct mq_tar_reader *r, struct mq_tar_member *ret, struct mq_err *err)
{
	struct archive_entry *e;
	int rc;

	r->err = err;
	if (r->rc < 0)
		return r->rc;
	rc = archive_read_next_header(r->archive, &e);
	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return read_failed(r, MQ_EDAMAGE, "the archive is damaged", err);
	const char *name = archive_entry_pathname(e);
	if (!name || strlen(name) > MQ_TAR_NAME_MAX || archive_entry_size(e) < 0) {
		r->rc = mq_err_set(err, MQ_EDAMAGE, "the archive is damaged: a member has no name, or none that mq gives");
		return r->rc;
	}
	*ret = (struct mq_tar_member){name, (uint64_t)archive_entry_size(e),
	                              archive_entry_filetype(e) == AE_IFREG && !archive_entry_hardlink(e) && !archive_entry_symlink(e)};
	return 1;
}

ssize_t mq_tar_take(struct mq_tar_reader *r, void *buf, size_t n, struct mq_err *err)
{
	la_ssize_t got;

	r->err = err;
	if (r->rc < 0)
		return r->rc;
	got = archive_read_data(r->archive, buf, n);
	return got >= 0 ? got : read_failed(r, MQ_EDAMAGE, "the archive is damaged", err);
}

void mq_tar_release(struct mq_tar_reader *r)
{
	if (!r)
		return;
	archive_read_free(r->archive);
	free(r);
}
