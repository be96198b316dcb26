/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A handler's environment.  Values come from messages, so: no NUL can be told, names are [A-Z0-9_], and what
 * the kernel would refuse (128 KiB for one) is left out rather than failing the record.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/when.h"
#include "ops/handler.h"

enum { VALUE_MAX = 120 << 10, ALL_MAX = 512 << 10, NAME_MAX_BYTES = 256 };

/* Names that a record sets, which must not be left over from our own parent. */
static bool is_ours(const char *entry)
{
	static const char *const names[] = {"MQ_TOPIC=", "MQ_PARTITION=", "MQ_OFFSET=", "MQ_KEY=", "MQ_ID=", "MQ_TAG=",
	                                    "MQ_ATTEMPT=", "MQ_TIMESTAMP=", "MQ_COUNT=", "MQ_HEADER_"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

int mq_env_base(struct mq_handlers *h, char *const *envp)
{
	size_t n = 0, kept = 0;
	while (envp && envp[n])
		n++;
	h->base_env = calloc(n + 1, sizeof *h->base_env);
	for (size_t i = 0; h->base_env && i < n; i++)
		if (!is_ours(envp[i]))
			h->base_env[kept++] = envp[i];
	return h->base_env ? 0 : -ENOMEM;
}

/* "MQ_HEADER_" and the name in capitals; other bytes become '_'. */
static int add_name(struct mq_buf *env, const char *prefix, const char *name, size_t n)
{
	int rc = mq_buf_add(env, prefix, strlen(prefix));
	for (size_t i = 0; i < n && rc == 0; i++) {
		char c = name[i];
		bool plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		rc = mq_buf_add_byte(env, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : plain ? c : '_');
	}
	return rc;
}

static int add(struct mq_buf *env, const char *prefix, const char *name, size_t name_len, const char *value, uint32_t len)
{
	if (!value || len > VALUE_MAX || name_len > NAME_MAX_BYTES || env->len + len > ALL_MAX || memchr(value, 0, len))
		return 0;
	int rc = add_name(env, prefix, name, name_len);
	if (rc == 0)
		rc = mq_buf_add_byte(env, '=');
	if (rc == 0)
		rc = mq_buf_add(env, value, len);
	return rc < 0 ? rc : mq_buf_add_byte(env, 0);
}

/* What mq_buf_printf wrote, and its NUL. */
static int end(struct mq_buf *env, int rc)
{
	return rc < 0 ? rc : mq_buf_add_byte(env, 0);
}

int mq_env_record(struct mq_buf *env, const struct mq_feed *f, const struct mq_rec *r, uint32_t count)
{
	char when[MQ_WHEN_TEXT_MAX];
	const char *at = r->headers;
	struct mq_header_view h;

	mq_when_format(r->time_us, when);
	int rc = end(env, mq_buf_printf(env, "MQ_TOPIC=%s", f->topic));
	if (rc == 0)
		rc = end(env, mq_buf_printf(env, "MQ_PARTITION=%" PRIu32, f->partition));
	if (rc == 0)
		rc = end(env, mq_buf_printf(env, "MQ_OFFSET=%" PRIu64, r->offset));
	if (rc == 0)
		rc = end(env, mq_buf_printf(env, "MQ_TIMESTAMP=%s", when));
	if (rc == 0)
		rc = end(env, mq_buf_printf(env, "MQ_ATTEMPT=%" PRIu32, r->attempts + 1 + f->shared.attempt));
	if (rc < 0 || count != 1) /* of a batch the rest stands on stdin, where it is asked for */
		return rc;
	rc = add(env, "MQ_KEY", "", 0, r->key, r->key_len);
	if (rc == 0)
		rc = add(env, "MQ_ID", "", 0, r->id, r->id_len);
	if (rc == 0)
		rc = add(env, "MQ_TAG", "", 0, r->tag, r->tag_len);
	while (rc == 0 && at && mq_header_next(&at, r->headers + r->headers_len, &h) > 0)
		rc = add(env, "MQ_HEADER_", h.name, h.name_len, h.value, h.value_len);
	return rc;
}

int mq_env_attempt(struct mq_buf *env, uint32_t attempt)
{
	static const char name[] = "MQ_ATTEMPT=";
	size_t at = 0, len = 0;

	for (; at < env->len; at += len) {
		len = strlen(env->p + at) + 1;
		if (strncmp(env->p + at, name, sizeof name - 1) == 0) {
			memmove(env->p + at, env->p + at + len, env->len - at - len);
			env->len -= len;
			break;
		}
	}
	return end(env, mq_buf_printf(env, "%s%" PRIu32, name, attempt));
}

char **mq_env_join(const struct mq_handlers *h, const struct mq_buf *env)
{
	size_t base = 0, n = 0;
	while (h->base_env[base])
		base++;
	for (size_t at = 0; env && at < env->len; at += strlen(env->p + at) + 1)
		n++;
	char **all = malloc((base + n + 1) * sizeof *all);
	if (!all)
		return NULL;
	memcpy(all, h->base_env, base * sizeof *all);
	for (size_t at = 0; env && at < env->len; at += strlen(env->p + at) + 1)
		all[base++] = env->p + at;
	all[base] = NULL;
	return all;
}
