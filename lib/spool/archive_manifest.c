/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "spool/archive.h"

void mq_manifest_release(struct mq_manifest *m)
{
	free(m->range);
	free(m->segment);
	*m = (struct mq_manifest){.range = NULL};
}

static void segment_name(const struct mq_archive_segment *s, char ret[MQ_SEGMENT_NAME_MAX])
{
	mq_segment_name(s->base, &s->id, "seg", ret);
}

void mq_archive_member(const struct mq_manifest *m, const struct mq_archive_segment *s, char ret[MQ_ARCHIVE_NAME_MAX])
{
	char name[MQ_SEGMENT_NAME_MAX];

	segment_name(s, name);
	snprintf(ret, MQ_ARCHIVE_NAME_MAX, "%s/%" PRIu32 "/%s", m->topic, s->partition, name);
}

/* ---- as text: names hold nothing that JSON would escape ---- */
int mq_manifest_print(const struct mq_manifest *m, struct mq_buf *out, struct mq_err *err)
{
	char id[33], member[MQ_ARCHIVE_NAME_MAX];
	int rc;

	mq_hex(m->topic_id, sizeof m->topic_id, id);
	rc = mq_buf_printf(out, "{\"mq_archive\":1,\"topic\":\"%s\",\"id\":\"%s\",\"group\":\"%s\",\n\"partitions\":[", m->topic, id, m->group);
	for (size_t i = 0; i < m->n_ranges && rc == 0; i++)
		rc = mq_buf_printf(out, "%s\n{\"partition\":%" PRIu32 ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 "}", i ? "," : "",
		                   m->range[i].partition, m->range[i].from, m->range[i].to);
	if (rc == 0)
		rc = mq_buf_printf(out, "],\n\"segments\":[");
	for (size_t i = 0; i < m->n_segments && rc == 0; i++) {
		const struct mq_archive_segment *s = &m->segment[i];

		mq_archive_member(m, s, member);
		rc = mq_buf_printf(out, "%s\n{\"name\":\"%s\",\"partition\":%" PRIu32 ",\"base\":%" PRIu64 ",\"end\":%" PRIu64 ",\"bytes\":%" PRIu64
		                   ",\"crc32c\":\"%08" PRIx32 "\"}", i ? "," : "", member, s->partition, s->base, s->end, s->bytes, s->crc);
	}
	if (rc == 0)
		rc = mq_buf_printf(out, "]}\n");
	if (rc == 0 && out->len > MQ_ARCHIVE_MANIFEST_MAX)
		return mq_err_set(err, MQ_EUSAGE, "too many segments for one archive");
	return rc < 0 ? mq_err_set(err, -ENOMEM, "no memory for a manifest") : 0;
}

static int bad(struct mq_err *err, const char *what)
{
	return mq_err_set(err, MQ_EINPUT, "the manifest is none of mq's: %s", what);
}

static bool take_number(json_t *from, const char *key, uint64_t max, uint64_t *ret)
{
	json_t *v = json_object_get(from, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

static bool take_name(json_t *from, const char *key, bool may_be_empty, char ret[MQ_NAME_MAX + 1])
{
	json_t *v = json_object_get(from, key);
	size_t len = json_is_string(v) ? json_string_length(v) : SIZE_MAX;

	if (len > MQ_NAME_MAX || (len == 0 && !may_be_empty) || (len > 0 && !mq_name_ok(json_string_value(v), len)))
		return false;
	memcpy(ret, json_string_value(v), len + 1);
	return true;
}

static bool take_hex(json_t *from, const char *key, uint8_t *ret, size_t n)
{
	json_t *v = json_object_get(from, key);
	const char *text = json_is_string(v) ? json_string_value(v) : "";

	if (strlen(text) != 2 * n || strspn(text, "0123456789abcdef") != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned byte;

		(void)sscanf(text + 2 * i, "%2x", &byte);
		ret[i] = (uint8_t)byte;
	}
	return true;
}

static bool take_range(json_t *from, struct mq_manifest *m)
{
	struct mq_archive_range *r = &m->range[m->n_ranges];
	uint64_t p;

	if (!take_number(from, "partition", MQ_PARTITIONS_MAX - 1, &p) || !take_number(from, "from", INT64_MAX, &r->from) ||
	    !take_number(from, "to", INT64_MAX, &r->to) || r->from > r->to || (m->n_ranges > 0 && p <= r[-1].partition))
		return false;
	r->partition = (uint32_t)p;
	m->n_ranges++;
	return true;
}

/* A name is no path to anywhere: it is the one that such a segment has, or refused. */
static bool take_segment(json_t *from, struct mq_manifest *m)
{
	struct mq_archive_segment *s = &m->segment[m->n_segments];
	const char *name = json_string_value(json_object_get(from, "name")), *last = name ? strrchr(name, '/') : NULL;
	char member[MQ_ARCHIVE_NAME_MAX];
	uint8_t crc[4];
	uint64_t p, base;

	if (!last || !take_number(from, "partition", MQ_PARTITIONS_MAX - 1, &p) || !take_number(from, "base", INT64_MAX, &s->base) ||
	    !take_number(from, "end", INT64_MAX, &s->end) || !take_number(from, "bytes", INT64_MAX, &s->bytes) ||
	    !take_hex(from, "crc32c", crc, sizeof crc) || !mq_segment_name_parse(last + 1, "seg", &base, s->id.b))
		return false;
	s->partition = (uint32_t)p;
	s->crc = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
	mq_archive_member(m, s, member);
	if (strcmp(member, name) != 0 || base != s->base || s->end < s->base || s->bytes < MQ_SEGMENT_HEADER_LEN)
		return false;
	if (m->n_segments > 0 && (p < s[-1].partition || (p == s[-1].partition && s->base != s[-1].end)))
		return false;
	m->n_segments++;
	return true;
}

/* The segments of its partition hold all of it: of them each begins where the one before it ends. */
static bool is_covered(const struct mq_manifest *m, const struct mq_archive_range *r)
{
	uint64_t from = UINT64_MAX, to = 0;

	for (size_t i = 0; i < m->n_segments; i++) {
		const struct mq_archive_segment *s = &m->segment[i];

		if (s->partition != r->partition)
			continue;
		from = s->base < from ? s->base : from;
		to = s->end;
	}
	return r->from == r->to || (from <= r->from && to >= r->to);
}

static int take(struct mq_manifest *m, json_t *root, struct mq_err *err)
{
	json_t *ranges = json_object_get(root, "partitions"), *segments = json_object_get(root, "segments");
	uint64_t version;

	if (!take_number(root, "mq_archive", INT64_MAX, &version))
		return bad(err, "it has no version");
	if (version != 1)
		return mq_err_set(err, MQ_ECONFIG, "the archive is of version %" PRIu64 ": use a newer mq", version);
	if (!take_name(root, "topic", false, m->topic) || !take_name(root, "group", true, m->group) ||
	    !take_hex(root, "id", m->topic_id, sizeof m->topic_id))
		return bad(err, "it does not say which topic this is");
	if (!json_is_array(ranges) || !json_is_array(segments))
		return bad(err, "it lists nothing");
	m->range = calloc(json_array_size(ranges) + 1, sizeof *m->range);
	m->segment = calloc(json_array_size(segments) + 1, sizeof *m->segment);
	if (!m->range || !m->segment)
		return mq_err_set(err, -ENOMEM, "no memory for a manifest");
	for (size_t i = 0; i < json_array_size(ranges); i++)
		if (!take_range(json_array_get(ranges, i), m))
			return bad(err, "a range of offsets is none");
	for (size_t i = 0; i < json_array_size(segments); i++)
		if (!take_segment(json_array_get(segments, i), m))
			return bad(err, "a segment is none, or not in order");
	for (size_t i = 0; i < m->n_ranges; i++)
		if (!is_covered(m, &m->range[i]))
			return bad(err, "its segments do not hold the offsets that it lists");
	return 0;
}

int mq_manifest_parse(struct mq_manifest *m, const char *text, size_t len, struct mq_err *err)
{
	json_error_t why;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	int rc;

	*m = (struct mq_manifest){.range = NULL};
	rc = root ? take(m, root, err) : bad(err, "it is no JSON");
	json_decref(root);
	if (rc < 0)
		mq_manifest_release(m);
	return rc;
}
