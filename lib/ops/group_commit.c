/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acknowledgements from outside: positions, one a line, as mq_consume prints them.
 *
 *     TOPIC:PARTITION:OFFSET:TOKEN[<TAB>whatever]
 *
 * They are acknowledged as they come: what one read gives is a batch, and of it what one partition gets is one call,
 * so that a slow worker's record is done at once and a fast one's thousand, over partitions as they come, cost one
 * sync each.  What stands behind the TAB (a whole payload, perhaps) is never kept, however long it is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/parse.h"
#include "ops/ops.h"
#include "sys/sys.h"

enum { READ_BYTES = 64 << 10, HEAD_MAX = 320 /* a topic, two numbers, a token */, TOKEN_MAX = 40 };

struct pending { /* of one partition and token, not acknowledged yet */
	char topic[MQ_NAME_MAX + 1], token[TOKEN_MAX];
	uint32_t partition;
	uint64_t first_line;
	struct mq_buf offsets; /* u64s */
};

struct commit {
	struct mq *mq;
	const char *group;
	struct pending *pending;
	size_t pending_n, pending_cap, last;
	char head[HEAD_MAX + 1]; /* the current line up to its TAB */
	size_t head_len;
	bool behind, begun;      /* the head is whole; some of the line is there */
	uint64_t line_no, count;
};

static int no_memory(struct commit *c)
{
	return mq_err_set(&c->mq->err, -ENOMEM, "out of memory");
}

/* --- what is pending ------------------------------------------------------------------------ */

static bool is(const struct pending *d, const char *topic, size_t topic_len, uint32_t partition, const char *token)
{
	return d->partition == partition && strlen(d->topic) == topic_len && memcmp(d->topic, topic, topic_len) == 0 &&
	       strcmp(d->token, token) == 0;
}

/* Positions come in runs: the last one is looked at first. */
static struct pending *find(struct commit *c, const char *topic, size_t topic_len, uint32_t partition, const char *token)
{
	for (size_t i = 0; i < c->pending_n; i++) {
		size_t at = (c->last + i) % c->pending_n;
		if (is(&c->pending[at], topic, topic_len, partition, token)) {
			c->last = at;
			return &c->pending[at];
		}
	}
	if (c->pending_n == c->pending_cap) {
		size_t cap = c->pending_cap ? 2 * c->pending_cap : 8;
		struct pending *p = realloc(c->pending, cap * sizeof *p);
		if (!p)
			return NULL;
		c->pending = p;
		c->pending_cap = cap;
	}
	struct pending *d = &c->pending[c->pending_n];
	*d = (struct pending){.partition = partition, .first_line = c->line_no};
	memcpy(d->topic, topic, topic_len);
	memcpy(d->token, token, strlen(token));
	c->last = c->pending_n++;
	return d;
}

/* All are tried, and the first that fails is told: they do not depend on each other. */
static int acknowledge(struct commit *c)
{
	struct mq_err err = MQ_ERR_INIT;
	int rc = 0;

	for (size_t i = 0; i < c->pending_n; i++) {
		struct pending *d = &c->pending[i];
		size_t n = d->offsets.len / sizeof(uint64_t);
		int one = c->mq->store->engine->group_ack(c->mq->store, c->group, d->topic, d->partition, d->token,
		                                          (const uint64_t *)(const void *)d->offsets.p, n, &err);
		if (one == 0) {
			c->count += n;
		} else if (rc == 0) {
			rc = one;
			mq_err_prefix(&err, "line %" PRIu64 ", %s:%" PRIu32, d->first_line, d->topic, d->partition);
			c->mq->err = err;
		}
		err = (struct mq_err)MQ_ERR_INIT;
		mq_buf_release(&d->offsets);
	}
	c->pending_n = c->last = 0;
	return rc;
}

/* --- lines ---------------------------------------------------------------------------------- */

static int malformed(struct commit *c)
{
	char shown[48];
	size_t n = strnlen(c->head, sizeof shown - 1);

	for (size_t i = 0; i < n; i++)
		shown[i] = (unsigned char)c->head[i] < 0x20 || (unsigned char)c->head[i] >= 0x7f ? '?' : c->head[i];
	shown[n] = 0;
	return mq_err_set(&c->mq->err, MQ_EINPUT,
	                  "line %" PRIu64 ": '%s' is not TOPIC:PARTITION:OFFSET:TOKEN, as mq-consume --manual prints it",
	                  c->line_no, shown);
}

/* ":123" at *at. */
static bool take_number(const char **at, uint64_t *ret)
{
	size_t used;
	if (**at != ':' || mq_to_u64_prefix(*at + 1, strlen(*at + 1), ret, &used) < 0)
		return false;
	*at += 1 + used;
	return true;
}

static int take_head(struct commit *c)
{
	uint64_t partition, offset;
	size_t topic_len = strcspn(c->head, ":");
	const char *at = c->head + topic_len;

	if (strlen(c->head) != c->head_len || !mq_name_ok(c->head, topic_len) || !take_number(&at, &partition) ||
	    !take_number(&at, &offset) || partition > UINT32_MAX || *at != ':' || !at[1] || strlen(at + 1) >= TOKEN_MAX)
		return malformed(c);
	struct pending *d = find(c, c->head, topic_len, (uint32_t)partition, at + 1);
	return d && mq_buf_add(&d->offsets, &offset, sizeof offset) == 0 ? 0 : no_memory(c);
}

/* Bytes of a line: of them what belongs to its head. */
static int add_to_head(struct commit *c, const char *p, size_t n)
{
	size_t more = 0;

	while (!c->behind && more < n && p[more] != '\t' && p[more] != '\r')
		more++;
	c->behind = c->behind || more < n;
	bool fits = more <= HEAD_MAX - c->head_len;
	if (!fits)
		more = HEAD_MAX - c->head_len;
	if (more)
		memcpy(c->head + c->head_len, p, more);
	c->head_len += more;
	c->head[c->head_len] = 0;
	return fits ? 0 : malformed(c);
}

/* What one read gave; last: there is no more, and a line needs no newline any more. */
static int take_bytes(struct commit *c, const char *p, size_t n, bool last)
{
	int rc = 0;

	while (rc == 0 && (n || (last && c->begun))) {
		const char *end = n ? memchr(p, '\n', n) : NULL;
		size_t len = end ? (size_t)(end - p) : n, passed = end ? len + 1 : len;
		c->line_no += !c->begun;
		c->begun = true;
		rc = add_to_head(c, p, len);
		p += passed;
		n -= passed;
		if (!end && !last)
			break;
		if (rc == 0)
			rc = take_head(c);
		c->head_len = 0;
		c->behind = c->begun = false;
	}
	return rc;
}

/* --- reading -------------------------------------------------------------------------------- */

/* 0: something can be read, or the end; -EINTR: asked to stop. */
static int wait_for_input(struct commit *c, int fd)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = mq_stop_fd(c->mq), .events = POLLIN}};
	int rc;

	do {
		if (mq_stopping(c->mq))
			return mq_err_set(&c->mq->err, -EINTR, "stopped before the end of the positions; what was read is acknowledged");
		rc = mq_sys->poll(fds, 2, -1);
	} while (rc == -EINTR || (rc > 0 && !fds[0].revents));
	return rc < 0 ? mq_err_sys(&c->mq->err, rc, "cannot wait for positions") : 0;
}

static int read_all(struct commit *c, int fd, char *buf)
{
	for (;;) {
		int rc = wait_for_input(c, fd);
		if (rc < 0)
			return rc;
		ssize_t n = mq_sys->read(fd, buf, READ_BYTES);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n < 0)
			return mq_err_sys(&c->mq->err, (int)n, "cannot read positions");
		rc = take_bytes(c, buf, (size_t)n, n == 0);
		/* What stands before a bad line is acknowledged; then that line is told. */
		struct mq_err bad = c->mq->err;
		int acked = acknowledge(c);
		if (rc < 0 && acked == 0)
			c->mq->err = bad;
		if (rc < 0 || acked < 0 || n == 0)
			return acked < 0 ? acked : rc;
	}
}

int mq_group_commit(struct mq *mq, const char *group, int in_fd, uint64_t *ret_count)
{
	struct commit c = {.mq = mq, .group = group};
	int rc = mq_ops_begin(mq);

	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	char *buf = rc == 0 ? malloc(READ_BYTES) : NULL;
	if (rc == 0)
		rc = buf ? read_all(&c, in_fd, buf) : no_memory(&c);
	for (size_t i = 0; i < c.pending_n; i++)
		mq_buf_release(&c.pending[i].offsets);
	free(c.pending);
	free(buf);
	if (ret_count)
		*ret_count = c.count;
	return rc;
}
