/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings as the caller gets them, and how far the check is. */
#include <stdio.h>
#include <string.h>

#include "spool/check_internal.h"

struct mq_check_remedy mq_check_not(const struct mq_check *c, const char *why)
{
	return (struct mq_check_remedy){c->opt->mend ? MQ_REMEDY_NOT : MQ_REMEDY_NONE, why};
}

struct mq_check_remedy mq_check_did(const struct mq_check *c, int rc)
{
	if (!c->opt->mend)
		return (struct mq_check_remedy){MQ_REMEDY_NONE, NULL};
	if (c->opt->dry_run)
		return (struct mq_check_remedy){MQ_REMEDY_WOULD, NULL};
	return rc < 0 ? (struct mq_check_remedy){MQ_REMEDY_NOT, "that failed"} : (struct mq_check_remedy){MQ_REMEDY_DONE, NULL};
}

/* Names in it come from the disk: nothing may move a terminal's cursor. */
static void plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

__attribute__((format(printf, 4, 0))) static void sentence(char *text, size_t len, struct mq_check_remedy remedy, const char *fmt,
                                                           va_list ap)
{
	int n = vsnprintf(text, len, fmt, ap);
	size_t at = n < 0 ? 0 : (size_t)n < len ? (size_t)n : len - 1;

	if (remedy.what == MQ_REMEDY_NOT)
		snprintf(text + at, len - at, "; not mended: %s", remedy.why);
	else if (remedy.what == MQ_REMEDY_WOULD)
		snprintf(text + at, len - at, "; would be mended");
	plain(text);
}

int mq_check_tell(struct mq_check *c, enum mq_check_kind kind, const char *where, const char *name,
                  const struct mq_check_place *at, struct mq_check_remedy remedy, const char *fmt, ...)
{
	char what[MQ_CHECK_PATH_MAX], text[MQ_ERR_TEXT_MAX];
	struct mq_check_finding f = {.kind = kind, .what = what, .text = text, .mended = remedy.what == MQ_REMEDY_DONE};
	va_list ap;

	snprintf(what, sizeof what, "%s%s%s", where, *where && name ? "/" : "", name ? name : "");
	plain(what);
	va_start(ap, fmt);
	sentence(text, sizeof text, remedy, fmt, ap);
	va_end(ap);
	if (at) {
		f.position = at->position;
		f.length = at->length;
		f.offset_from = at->from;
		f.offset_to = at->to;
	}
	c->sums.found[kind]++;
	c->sums.mended += f.mended;
	return c->opt->found ? c->opt->found(c->opt->arg, &f) : 0;
}

void mq_check_progress(struct mq_check *c, uint64_t bytes)
{
	enum { EVERY = 4 << 20 };

	c->bytes_done += bytes;
	if (!c->opt->progress || (c->bytes_done - c->bytes_told < EVERY && c->bytes_done < c->bytes_all))
		return;
	c->bytes_told = c->bytes_done;
	c->opt->progress(c->opt->arg, c->bytes_done, c->bytes_all > c->bytes_done ? c->bytes_all : c->bytes_done);
}
