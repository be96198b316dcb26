/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/retry.h"

#include <string.h>

#include "base/parse.h"

enum { TIME_BYTES = 32 };
static const int64_t MIN_NS = INT64_C(1000000000), MAX_NS = INT64_C(3600) * 1000000000;

/* One time of the text, `len` bytes of it. */
static int take(const char *text, size_t len, int64_t *ret_ns, struct mq_err *err)
{
	char one[TIME_BYTES];

	if (len == 0 || len >= sizeof one)
		return mq_err_set(err, MQ_EUSAGE, "a time is wanted, as 300ms 10s 5m 2h 7d");
	memcpy(one, text, len);
	one[len] = 0;
	return mq_to_duration(one, ret_ns, err);
}

static int take_range(struct mq_retry *r, const char *text, const char *dots, struct mq_err *err)
{
	int rc = take(text, (size_t)(dots - text), &r->min_ns, err);

	if (rc == 0)
		rc = take(dots + 2, strlen(dots + 2), &r->max_ns, err);
	if (rc == 0 && r->max_ns < r->min_ns)
		rc = mq_err_set(err, MQ_EUSAGE, "MIN..MAX: the second time is below the first");
	return rc;
}

static int take_levels(struct mq_retry *r, const char *text, struct mq_err *err)
{
	int rc = 0;

	for (bool more = true; more && rc == 0; r->n_levels++) {
		size_t len = strcspn(text, ",");
		if (r->n_levels == MQ_RETRY_LEVELS_MAX)
			return mq_err_set(err, MQ_EUSAGE, "at most %d levels are taken", MQ_RETRY_LEVELS_MAX);
		rc = take(text, len, &r->levels_ns[r->n_levels], err);
		more = text[len] == ',';
		text += len + more;
	}
	return rc;
}

int mq_retry_init(struct mq_retry *r, bool on, uint64_t retries, const char *backoff, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	int rc = 0;

	*r = (struct mq_retry){.on = on, .most = retries < UINT32_MAX ? (uint32_t)retries : UINT32_MAX, .min_ns = MIN_NS, .max_ns = MAX_NS};
	if (backoff) {
		const char *dots = strstr(backoff, "..");
		rc = dots ? take_range(r, backoff, dots, &why) : take_levels(r, backoff, &why);
	}
	if (rc < 0)
		mq_err_set(err, rc, "--backoff '%s' is neither MIN..MAX nor a list of times (1s,10s,1m): %s", backoff, why.text);
	return rc;
}

bool mq_retry_again(const struct mq_retry *r, uint32_t attempt)
{
	return r->on && attempt <= r->most;
}

int64_t mq_retry_wait_ns(const struct mq_retry *r, uint32_t attempt, uint32_t chance)
{
	uint32_t n = attempt ? attempt - 1 : 0;
	int64_t ns = r->min_ns;

	if (r->n_levels)
		return r->levels_ns[n < r->n_levels ? n : r->n_levels - 1];
	for (; n > 0 && ns > 0 && ns < r->max_ns; n--)
		ns = ns > r->max_ns / 2 ? r->max_ns : 2 * ns;
	return ns / 2 + (int64_t)((double)(ns - ns / 2) * ((double)chance / UINT32_MAX));
}
