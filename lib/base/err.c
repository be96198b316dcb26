/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Names come from users and from disk: nothing in a reason may move a terminal's cursor. */
static void hide_control_bytes(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

__attribute__((format(printf, 2, 0))) static void fill(char *text, const char *fmt, va_list ap)
{
	if (vsnprintf(text, MQ_ERR_TEXT_MAX, fmt, ap) < 0)
		text[0] = 0;
	hide_control_bytes(text);
}

int mq_err_set(struct mq_err *err, int code, const char *fmt, ...)
{
	assert(code < 0);
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		fill(err->text, fmt, ap);
		va_end(ap);
		err->code = code;
	}
	return code;
}

int mq_err_sys(struct mq_err *err, int code, const char *fmt, ...)
{
	assert(code < 0);
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	fill(err->text, fmt, ap);
	va_end(ap);

	/* "No space left on device" stands in the middle of a sentence; "RPC …" keeps its capitals. */
	char why[256];
	snprintf(why, sizeof why, "%s",
	         code == -ELOOP   ? "it is a symbolic link, which is not followed"
	         : code == -EFBIG ? "the file would be larger than this process may make one (ulimit -f)"
	                          : strerror(-code));
	if (why[0] >= 'A' && why[0] <= 'Z' && !(why[1] >= 'A' && why[1] <= 'Z'))
		why[0] = (char)(why[0] - 'A' + 'a');

	/* The errno must be told even where the text before it is too long. */
	size_t len = strlen(err->text), need = strlen(why) + 2;
	if (len > MQ_ERR_TEXT_MAX - 1 - need)
		len = MQ_ERR_TEXT_MAX - 1 - need;
	snprintf(err->text + len, MQ_ERR_TEXT_MAX - len, ": %s", why);
	err->code = code;
	return code;
}

void mq_err_prefix(struct mq_err *err, const char *fmt, ...)
{
	if (!err || !err->code)
		return;
	char old[MQ_ERR_TEXT_MAX];
	memcpy(old, err->text, sizeof old);
	va_list ap;
	va_start(ap, fmt);
	fill(err->text, fmt, ap);
	va_end(ap);
	size_t len = strlen(err->text);
	snprintf(err->text + len, MQ_ERR_TEXT_MAX - len, ": %s", old);
}

void mq_err_suffix(struct mq_err *err, const char *text)
{
	if (err && err->code) {
		size_t len = strlen(err->text);
		snprintf(err->text + len, MQ_ERR_TEXT_MAX - len, "%s", text);
	}
}

int mq_err_lacks(struct mq_err *err)
{
	mq_err_suffix(err, " (the spool lacks it: restore it)");
	if (err && err->code)
		err->code = MQ_ECONFIG;
	return MQ_ECONFIG;
}

static int errno_status(int e)
{
	switch (e) {
	case ENOENT:
		return 66;
	case ENAMETOOLONG:
		return 64;
	case EACCES:
	case EPERM:
	case EROFS:
		return 77;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EAGAIN:
	case EBUSY:
	case EINTR:
	case ETIMEDOUT:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return 75;
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case EXDEV:
	case ENOSYS:
	case EOPNOTSUPP:
		return 78;
	default:
		return 74;
	}
}

int mq_err_status(int code)
{
	switch (code) {
	case MQ_ENOTHING:
		return 1;
	case MQ_EDAMAGE:
		return 2;
	case MQ_EUSAGE:
		return 64;
	case MQ_EINPUT:
		return 65;
	case MQ_ENOTOPIC:
		return 66;
	case MQ_EREPLICAS:
		return 69;
	case MQ_EBROKEN:
		return 74;
	case MQ_EAGAIN:
		return 75;
	case MQ_EDENIED:
		return 77;
	case MQ_ECONFIG:
		return 78;
	default:
		return code >= 0 ? 0 : errno_status(-code);
	}
}
