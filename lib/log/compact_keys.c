/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/compact_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "sys/sys.h"

struct mq_keys_slot {
	uint64_t hash, more;
	uint64_t next; /* the offset, plus 1; 0: empty */
};

enum { SLOTS_MIN = 64 };

int mq_keys_make(struct mq_keys *k, uint64_t records, size_t bytes_max, struct mq_err *err)
{
	uint64_t most = bytes_max / sizeof *k->slot, n = records < most ? records + records / 3 + SLOTS_MIN : most;
	int rc;

	*k = (struct mq_keys){.n = (uint32_t)(n < most ? n : most < SLOTS_MIN ? SLOTS_MIN : most)};
	k->used_max = k->n / 4 * 3; /* of open addressing: a look-up stays short */
	rc = mq_sys->random(k->secret, sizeof k->secret);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot draw a secret");
	k->slot = calloc(k->n, sizeof *k->slot);
	return k->slot ? 0 : mq_err_set(err, -ENOMEM, "no memory for a table of %u keys", k->used_max);
}

void mq_keys_release(struct mq_keys *k)
{
	free(k->slot);
	*k = (struct mq_keys){0};
}

void mq_keys_clear(struct mq_keys *k)
{
	memset(k->slot, 0, k->n * sizeof *k->slot);
	k->used = 0;
}

/* Where the key is, or would be. */
static struct mq_keys_slot *find(const struct mq_keys *k, const void *key, size_t len, uint64_t *ret_hash, uint64_t *ret_more)
{
	uint64_t hash = mq_siphash(k->secret[0], key, len), more = mq_siphash(k->secret[1], key, len);
	uint32_t at = (uint32_t)((hash >> 32) * k->n >> 32);

	while (k->slot[at].next && (k->slot[at].hash != hash || k->slot[at].more != more))
		at = at + 1 < k->n ? at + 1 : 0;
	*ret_hash = hash;
	*ret_more = more;
	return &k->slot[at];
}

bool mq_keys_note(struct mq_keys *k, const void *key, size_t len, uint64_t offset)
{
	uint64_t hash, more;
	struct mq_keys_slot *s = find(k, key, len, &hash, &more);

	if (!s->next && k->used == k->used_max)
		return false;
	k->used += !s->next;
	*s = (struct mq_keys_slot){hash, more, offset + 1};
	return true;
}

bool mq_keys_last(const struct mq_keys *k, const void *key, size_t len, uint64_t *ret)
{
	uint64_t hash, more;
	const struct mq_keys_slot *s = find(k, key, len, &hash, &more);

	if (s->next)
		*ret = s->next - 1;
	return s->next;
}
