/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mq.h parses for the tools. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "api/engine.h"
#include "api/mq.h"
#include "base/parse.h"
#include "base/range.h"
#include "base/when.h"
#include "sys/sys.h"

static struct mq_err *fresh(struct mq *mq)
{
	mq->err = (struct mq_err){0};
	return &mq->err;
}

int mq_parse_duration(struct mq *mq, const char *text, int64_t *ret_ns)
{
	return mq_to_duration(text, ret_ns, fresh(mq));
}

int mq_parse_size(struct mq *mq, const char *text, uint64_t *ret_bytes)
{
	return mq_to_size(text, ret_bytes, fresh(mq));
}

int mq_parse_count(struct mq *mq, const char *text, uint64_t *ret)
{
	return mq_to_u64(text, ret, fresh(mq));
}

int mq_parse_rate(struct mq *mq, const char *text, double *ret_per_second)
{
	return mq_to_rate(text, ret_per_second, fresh(mq));
}

int mq_parse_operand(struct mq *mq, const char *text, struct mq_operand *ret)
{
	struct mq_operand_parts parts;
	int rc = mq_to_operand(text, &parts, fresh(mq));
	if (rc < 0)
		return rc;
	size_t topic_len = strlen(parts.topic) + 1;
	mq_buf_clear(&mq->operand);
	if (mq_buf_add(&mq->operand, parts.topic, topic_len) < 0 ||
	    (parts.offset && mq_buf_add(&mq->operand, parts.offset, strlen(parts.offset) + 1) < 0))
		return mq_err_set(&mq->err, -ENOMEM, "out of memory");
	*ret = (struct mq_operand){
	    .topic = mq->operand.p,
	    .partition = parts.partition,
	    .offset = parts.offset ? mq->operand.p + topic_len : NULL,
	};
	return 0;
}

/* All that a child says on its stdout, cut to size, and its end.  With our environment: a time without a zone is where TZ is. */
static int run_date(const char *text, char *answer, size_t size, int *ret_status)
{
	char arg[256];
	char *argv[] = {"date", "-d", arg, "+%s.%N", NULL};
	int out[2], null;
	size_t have = 0;

	if (strlen(text) >= sizeof arg)
		return -ENAMETOOLONG;
	strcpy(arg, text);
	int rc = mq_sys->pipe(out);
	if (rc < 0)
		return rc;
	null = mq_sys->open_path("/dev/null", O_RDWR | O_CLOEXEC, 0);
	struct mq_spawn date = {
	    .argv = argv, .in = null, .out = out[1], .err = null, .keep_fd = -1};
	pid_t pid = mq_sys->spawn(&date);
	mq_sys->close(out[1]);
	while (pid > 0 && have + 1 < size) {
		ssize_t n = mq_sys->read(out[0], answer + have, size - 1 - have);
		if (n == 0 || (n < 0 && n != -EINTR))
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	answer[have] = 0;
	mq_sys->close(out[0]);
	if (null >= 0)
		mq_sys->close(null);
	if (pid < 0)
		return pid;
	rc = mq_sys->wait_child(pid, ret_status, true);
	return rc < 0 ? rc : 0;
}

int mq_ask_date(struct mq *mq, const char *text, int64_t *ret_us)
{
	char answer[64];
	int status = 0, rc = run_date(text, answer, sizeof answer, &status);

	if (rc < 0)
		return mq_err_sys(&mq->err, rc, "cannot ask date(1) what '%s' means", text);
	answer[strcspn(answer, "\n")] = 0;
	if (status != 0 || mq_to_when(answer, 0, ret_us, NULL) != 0)
		return mq_err_set(&mq->err, MQ_EUSAGE,
		                  "'%s' is not a time: RFC 3339 (2026-01-31T12:00:00Z), -1h, seconds since 1970, or what date -d takes",
		                  text);
	return 0;
}

int mq_parse_time(struct mq *mq, const char *text, int64_t *ret_us)
{
	int64_t now_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	int rc = mq_to_when(text, now_us, ret_us, fresh(mq));
	if (rc != MQ_WHEN_ASK_DATE)
		return rc;
	return mq_ask_date(mq, *text == '@' ? text + 1 : text, ret_us);
}
