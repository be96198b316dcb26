/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/filter.h"

#include <errno.h>
#include <string.h>

#include "ops/dead.h"

/* "paid || refunded": names between bars, blanks around them passed over. */
static int take_tags(struct mq_buf *tags, const char *text, const char *option, struct mq_err *err)
{
	for (const char *at = text;; at += 2) {
		const char *bars = strstr(at, "||"), *end = bars ? bars : at + strlen(at);
		const char *from = at + strspn(at, " \t");
		size_t len = from < end ? (size_t)(end - from) : 0;
		while (len && (from[len - 1] == ' ' || from[len - 1] == '\t'))
			len--;
		if (!len)
			return mq_err_set(err, MQ_EUSAGE, "'%s' is not TAG or TAG || TAG (%s)", text, option);
		if (mq_buf_add(tags, from, len) < 0 || mq_buf_add_byte(tags, 0) < 0)
			return mq_err_set(err, -ENOMEM, "out of memory");
		if (!bars)
			return 0;
		at = bars;
	}
}

int mq_filter_init(struct mq_filter *f, const struct mq_consume_request *req, struct mq_err *err)
{
	int rc = 0;
	*f = (struct mq_filter){
	    .key = req->key,
	    .id = req->id,
	    .key_len = req->key ? strlen(req->key) : 0,
	    .id_len = req->id ? strlen(req->id) : 0,
	    .headers = req->headers,
	    .n_headers = req->n_headers,
	    .letters_of = req->letters_of,
	    .letters_group = req->letters_group,
	};
	f->plain_never = req->key || req->id || req->n_headers || req->tag || req->letters_of;
	f->any = f->plain_never || req->where || req->skip_tag;
	if (req->tag)
		rc = take_tags(&f->tags, req->tag, "--tag", err);
	if (rc == 0 && req->skip_tag)
		rc = take_tags(&f->not_tags, req->skip_tag, "--skip-tag", err);
	if (rc == 0 && req->where)
		rc = mq_where_parse(req->where, &f->where, err);
	if (rc < 0)
		mq_filter_release(f);
	return rc;
}

void mq_filter_release(struct mq_filter *f)
{
	mq_buf_release(&f->tags);
	mq_buf_release(&f->not_tags);
	mq_where_free(f->where);
	f->where = NULL;
}

const char *mq_header_find(const struct mq_rec *r, const char *name, size_t name_len, uint32_t *ret_len)
{
	const char *at = r->headers, *found = NULL;
	struct mq_header_view h;
	while (at && mq_header_next(&at, r->headers + r->headers_len, &h) > 0)
		if (h.name_len == name_len && memcmp(h.name, name, name_len) == 0) {
			found = h.value;
			*ret_len = h.value_len;
		}
	return found;
}

static bool is(const char *a, uint32_t a_len, const char *b, size_t b_len)
{
	return a && a_len == b_len && (b_len == 0 || memcmp(a, b, b_len) == 0);
}

static bool has_tag(const struct mq_buf *tags, const struct mq_rec *r)
{
	for (size_t at = 0; at < tags->len; at += strlen(tags->p + at) + 1)
		if (is(r->tag, r->tag_len, tags->p + at, strlen(tags->p + at)))
			return true;
	return false;
}

/* One of its headers has this name and this value. */
static bool has_header(const struct mq_rec *r, const struct mq_pair *p)
{
	const char *at = r->headers;
	struct mq_header_view h;
	while (at && mq_header_next(&at, r->headers + r->headers_len, &h) > 0)
		if (is(h.name, h.name_len, p->name, strlen(p->name)) && is(h.value, h.value_len, p->value, strlen(p->value)))
			return true;
	return false;
}

bool mq_filter_wants(struct mq_filter *f, const struct mq_rec *r)
{
	if (f->key && !is(r->key, r->key_len, f->key, f->key_len))
		return false;
	if (f->id && !is(r->id, r->id_len, f->id, f->id_len))
		return false;
	if ((f->tags.len && !has_tag(&f->tags, r)) || has_tag(&f->not_tags, r))
		return false;
	for (size_t i = 0; i < f->n_headers; i++)
		if (!has_header(r, &f->headers[i]))
			return false;
	if (f->letters_of && !mq_dead_is_of(r, f->letters_of, f->letters_group))
		return false;
	return !f->where || mq_where_holds(f->where, r);
}
