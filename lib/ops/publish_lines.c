/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines.  Where a record is nothing but its line, the bytes of a read are a batch as they are: the last newline
 * is found, the newlines are counted, and the part line behind moves to the front.  Nothing is done per record.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "ops/publish.h"

/* --- as they are ---------------------------------------------------------------------------- */

static bool is_plain(const struct mq_publish *pub)
{
	const struct mq_publish_request *r = pub->req;
	bool newline = !r->delimiter || (r->delimiter_len == 1 && *r->delimiter == '\n');
	return newline && !r->key_delimiter && !r->key && !r->n_headers && !r->tag && !r->id && !r->id_field && r->ttl_ns <= 0 &&
	       !mq_publish_delays(r);
}

/* The start of a line longer than max, or len: looks once a max bytes, not once a line. */
static size_t too_long_at(const char *p, size_t len, size_t max)
{
	size_t at = 0;
	while (len - at > max + 1) {
		size_t whole = mq_lines_whole(p + at, max + 1);
		if (whole == 0)
			return at;
		at += whole;
	}
	return len;
}

static int publish_whole_lines(struct mq_publish *pub, struct mq_input *in, size_t whole)
{
	const char *p = in->p + in->pos;
	size_t good = too_long_at(p, whole, pub->facts.max_message_bytes);
	int rc = good ? mq_publish_plain_lines(pub, p, good, mq_lines_count(p, good)) : 0;
	/* What the topic takes may only be known once it is there. */
	if (rc == 0 && good < whole) {
		pub->record_no++;
		rc = mq_publish_too_large(pub, in);
	}
	mq_input_take(in, whole);
	return rc;
}

static int publish_plain(struct mq_publish *pub, struct mq_input *in)
{
	size_t max = pub->facts.max_message_bytes;
	int rc;

	/* in->scanned: of the part line at the front, so many bytes hold no newline. */
	while ((rc = mq_input_fill(in, max + 1, pub->err)) > 0) {
		size_t part = in->scanned, whole = mq_lines_whole(in->p + part, in->len - part);
		if (whole)
			rc = publish_whole_lines(pub, in, part + whole);
		if (rc < 0)
			return rc;
		in->scanned = in->len - in->pos;
		max = pub->facts.max_message_bytes;
	}
	size_t left = in->len - in->pos;
	if (rc == MQ_EINPUT || (rc == 0 && left > max)) {
		pub->record_no++;
		return mq_publish_too_large(pub, in);
	}
	if (rc < 0 || left == 0)
		return rc;
	in->p[in->len] = '\n'; /* a last line without one is a record, too */
	return mq_publish_plain_lines(pub, in->p + in->pos, left + 1, 1);
}

/* --- one by one ----------------------------------------------------------------------------- */

/* The nth field (from 1) of a line, cut at blanks or at the delimiter. */
static bool find_field(const char *p, size_t len, uint32_t n, const char *delimiter, const char **ret, size_t *ret_len)
{
	const char *end = p + len, *stop;
	size_t cut = delimiter ? strlen(delimiter) : 1;

	for (;;) {
		while (!delimiter && p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (delimiter) {
			stop = cut ? memmem(p, (size_t)(end - p), delimiter, cut) : NULL;
		} else {
			for (stop = p; stop < end && *stop != ' ' && *stop != '\t';)
				stop++;
		}
		if (--n == 0)
			break;
		if (!stop || stop >= end)
			return false;
		p = stop + cut;
	}
	*ret = p;
	*ret_len = (size_t)((stop ? stop : end) - p);
	return *ret_len > 0;
}

static int take_id(struct mq_publish *pub, const struct mq_input *in, struct mq_rec *r)
{
	size_t len;
	if (!find_field(r->payload, r->payload_len, pub->req->id_field, pub->req->id_delimiter, &r->id, &len))
		return mq_err_set(pub->err, MQ_EINPUT, "%s: record %llu has no field %u to be its id", in->name,
		                  (unsigned long long)pub->record_no, pub->req->id_field);
	r->id_len = (uint32_t)len;
	return 0;
}

static int split_key(struct mq_publish *pub, const struct mq_input *in, struct mq_rec *r)
{
	const char *cut = pub->req->key_delimiter, *at;
	size_t cut_len = strlen(cut);

	at = cut_len == 1 ? memchr(r->payload, *cut, r->payload_len) : memmem(r->payload, r->payload_len, cut, cut_len);
	if (!at || !cut_len)
		return mq_err_set(pub->err, MQ_EINPUT, "%s: record %llu has no key: '%s' is not in it (--key-delimiter)", in->name,
		                  (unsigned long long)pub->record_no, cut);
	r->key = r->payload;
	r->key_len = (uint32_t)(at - r->payload);
	r->payload = at + cut_len;
	r->payload_len -= r->key_len + (uint32_t)cut_len;
	return 0;
}

static int publish_split(struct mq_publish *pub, struct mq_input *in)
{
	const struct mq_publish_request *req = pub->req;
	const char *delimiter = req->delimiter ? req->delimiter : "\n", *line;
	size_t delimiter_len = req->delimiter ? req->delimiter_len : 1, len;
	int rc;

	while ((rc = mq_input_line(in, delimiter, delimiter_len, pub->facts.max_message_bytes, &line, &len, pub->err)) > 0) {
		struct mq_rec r = pub->common;
		r.payload = line;
		r.payload_len = (uint32_t)len;
		pub->record_no++;
		rc = req->id_field ? take_id(pub, in, &r) : 0;
		if (rc == 0 && req->key_delimiter)
			rc = split_key(pub, in, &r);
		if (rc == 0)
			rc = mq_publish_record(pub, &r);
		if (rc < 0)
			return rc;
	}
	if (rc == MQ_EINPUT && !pub->err->code) {
		pub->record_no++;
		return mq_publish_too_large(pub, in);
	}
	return rc;
}

int mq_publish_lines(struct mq_publish *pub, struct mq_input *in)
{
	if (pub->req->delimiter && !pub->req->delimiter_len)
		return mq_err_set(pub->err, MQ_EUSAGE, "an empty delimiter ends no record (--delimiter)");
	return is_plain(pub) ? publish_plain(pub, in) : publish_split(pub, in);
}
