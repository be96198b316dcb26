/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups: places, members, owners, acknowledgements from outside. */
#include "engine_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "sys/sys.h"

struct mem_member {
	struct mq_member base;
	struct mem_store *s;
	char group[208];
	int fd;
};

struct mem_owner {
	struct mq_owner base;
	struct mem_store *s;
	struct mem_key key;
	uint32_t seeks; /* of its place, when it was taken */
	int fd;
	uint64_t expired_more;
};

struct written_place {
	uint64_t offset, lost, expired;
	uint32_t seeks;
};

static struct mem_place *place_of(struct mem_store *s, const struct mem_key *k)
{
	for (size_t i = 0; i < s->places_n; i++)
		if (!s->places[i].gone && s->places[i].key.topic == k->topic && s->places[i].key.partition == k->partition &&
		    strcmp(s->places[i].key.name, k->name) == 0)
			return &s->places[i];
	return NULL;
}

static struct mem_place *make_place(struct mem_store *s, const struct mem_key *k)
{
	struct mem_place *p = place_of(s, k);
	if (!p) {
		p = mem_grow(&s->places, &s->places_n, sizeof *p);
		p->key = *k;
	}
	return p;
}

void mem_apply_place(struct mem_store *s, enum mem_kind kind, const struct mem_key *k, const void *bytes, size_t n)
{
	if (kind == MEM_GROUP_GONE) {
		for (size_t i = 0; i < s->places_n; i++)
			if (s->places[i].key.topic == k->topic && strcmp(s->places[i].key.name, k->name) == 0)
				s->places[i].gone = true;
		return;
	}
	struct mem_place *p = make_place(s, k);
	if (kind == MEM_PLACE) {
		const struct written_place *w = bytes;
		p->place = (struct mq_place){.offset = w->offset, .set = true, .seeks = w->seeks, .lost = w->lost, .expired = w->expired};
	}
	for (size_t at = 0; kind == MEM_ACK && at < n; at += 8)
		*(uint64_t *)mem_grow(&p->acks, &p->acks_n, 8) = mq_get_le64((const char *)bytes + at);
}

static int write_place(struct mem_store *s, const struct mem_key *k, uint64_t offset, uint64_t lost_more, uint64_t expired_more,
                       bool seek, struct mq_err *err)
{
	struct mem_place *p = make_place(s, k);
	struct written_place w = {offset, p->place.lost + lost_more, p->place.expired + expired_more, p->place.seeks + seek};
	return mem_write(s, MEM_PLACE, k, &w, sizeof w, NULL, 0, err);
}

static struct mem_key key_of(const char *group, uint32_t topic, uint32_t p)
{
	struct mem_key k = {topic, p, {0}};
	snprintf(k.name, sizeof k.name, "%s", group);
	return k;
}

/* --- looking and moving --------------------------------------------------------------------- */

static int group_list(struct mq_store *store, int (*fn)(void *arg, const char *group), void *arg, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	mem_end(s);
	for (size_t i = 0; i < s->places_n && rc == 0; i++) {
		bool told = s->places[i].gone;
		for (size_t j = 0; j < i && !told; j++)
			told = !s->places[j].gone && strcmp(s->places[j].key.name, s->places[i].key.name) == 0;
		if (!told)
			rc = fn(arg, s->places[i].key.name);
	}
	return rc;
}

static int group_topics(struct mq_store *store, const char *group, int (*fn)(void *arg, const char *topic), void *arg,
                        struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	bool any = false;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	mem_end(s);
	for (size_t t = 0; t < s->topics_n && rc == 0; t++)
		for (size_t i = 0; i < s->places_n && !s->topics[t].gone; i++)
			if (!s->places[i].gone && s->places[i].key.topic == t && strcmp(s->places[i].key.name, group) == 0) {
				any = true;
				rc = fn(arg, s->topics[t].name);
				break;
			}
	return any || rc ? rc : mq_err_set(err, MQ_ENOTOPIC, "%s: no such group", group);
}

static int group_delete(struct mq_store *store, const char *group, const char *topic, bool force, bool dry_run,
                        struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mem_key k = key_of(group, 0, 0);
	int rc = mem_begin(s, err);
	(void)force;
	if (rc < 0)
		return rc;
	rc = topic ? mem_find(s, topic, &k.topic, err) : 0;
	for (uint32_t t = topic ? k.topic : 0; rc == 0 && !dry_run && t < (topic ? k.topic + 1 : s->topics_n); t++) {
		k.topic = t;
		rc = mem_write(s, MEM_GROUP_GONE, &k, NULL, 0, NULL, 0, err);
	}
	mem_end(s);
	return rc;
}

static int find_key(struct mem_store *s, const char *group, const char *topic, uint32_t p, struct mem_key *ret,
                    struct mq_err *err)
{
	*ret = key_of(group, 0, p);
	return mem_find_partition(s, topic, p, &ret->topic, err);
}

static int group_place(struct mq_store *store, const char *group, const char *topic, uint32_t p, struct mq_place *ret,
                       struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mem_key k;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = find_key(s, group, topic, p, &k, err);
	mem_end(s);
	const struct mem_place *place = rc == 0 ? place_of(s, &k) : NULL;
	if (rc == 0)
		*ret = place ? place->place : (struct mq_place){0};
	for (size_t i = 0; place && i < place->acks_n; i++)
		ret->acked_above += place->acks[i] >= place->place.offset;
	return rc;
}

static int group_owner(struct mq_store *store, const char *group, const char *topic, uint32_t p, int64_t *ret_pid,
                       char ret_member[64], bool *ret_handler_left, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mem_key k;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = find_key(s, group, topic, p, &k, err);
	mem_end(s);
	if (rc < 0)
		return rc;
	bool owned = mem_locked(s, "owner", &k);
	*ret_pid = -1;
	ret_member[0] = 0;
	*ret_handler_left = !owned && mem_locked(s, "handler", &k);
	return owned;
}

static int group_seek(struct mq_store *store, const char *group, const char *topic, uint32_t p, uint64_t offset, bool force,
                      struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mem_key k;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = find_key(s, group, topic, p, &k, err);
	if (rc == 0 && !force && mem_locked(s, "owner", &k))
		rc = mq_err_set(err, MQ_EAGAIN, "%s: %s:%u is being read", group, topic, p);
	if (rc == 0)
		rc = write_place(s, &k, offset, 0, 0, true, err);
	mem_end(s);
	return rc;
}

/* --- members and owners --------------------------------------------------------------------- */

static int member_join(struct mq_store *store, const char *group, const struct mq_wish *wish, struct mq_member **ret,
                       struct mq_err *err)
{
	(void)wish; /* whoever comes first has a partition until it leaves */
	struct mem_store *s = (struct mem_store *)store;
	char path[300];
	snprintf(path, sizeof path, "%s.locks", s->path);
	int fd = mq_sys->open_path(path, O_RDWR | O_CLOEXEC, 0); /* its close wakes the others */
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot open %s", path);
	struct mem_member *m = calloc(1, sizeof *m);
	m->base.engine = store->engine;
	m->s = s;
	m->fd = fd;
	snprintf(m->group, sizeof m->group, "%s", group);
	*ret = &m->base;
	return 0;
}

static void member_leave(struct mq_member *member)
{
	struct mem_member *m = (struct mem_member *)member;
	if (m)
		mq_sys->close(m->fd);
	free(m);
}

static int member_arm(struct mq_member *m, struct mq_wait *w, struct mq_err *err)
{
	int slot = mq_wait_watch(w, ((struct mem_member *)m)->fd, IN_CLOSE_WRITE, true);
	return slot < 0 ? mq_err_sys(err, slot, "cannot watch") : 0;
}

/* Under the lock of the store: where a group begins that has no place. */
static int begin_place(struct mem_store *s, const struct mem_key *k, const uint64_t *start, struct mq_err *err)
{
	const struct mem_partition *p = &s->topics[k->topic].partitions[k->partition];
	if (make_place(s, k)->place.set)
		return 0;
	if (start && *start > p->next)
		return mq_err_set(err, MQ_EINPUT, "%s:%u:%" PRIu64 " lies behind the end, %" PRIu64, s->topics[k->topic].name,
		                  k->partition, *start, p->next);
	return write_place(s, k, start && *start > p->start ? *start : p->start, 0, 0, false, err);
}

static int owner_take(struct mq_member *member, const char *topic, uint32_t p, const uint64_t *start, struct mq_owner **ret,
                      struct mq_err *err)
{
	struct mem_member *m = (struct mem_member *)member;
	struct mem_key k;
	int rc = mem_begin(m->s, err);
	if (rc < 0)
		return rc;
	rc = find_key(m->s, m->group, topic, p, &k, err);
	if (rc == 0)
		rc = begin_place(m->s, &k, start, err);
	mem_end(m->s);
	if (rc < 0)
		return rc;
	int fd = mem_lock(m->s, "owner", &k, MQ_LOCK_WRITE, err);
	if (fd == -EAGAIN || (fd >= 0 && mem_locked(m->s, "handler", &k))) {
		if (fd >= 0)
			mq_sys->close(fd);
		return 0;
	}
	if (fd < 0)
		return fd;
	struct mem_owner *o = calloc(1, sizeof *o);
	*o = (struct mem_owner){{m->base.engine}, m->s, k, place_of(m->s, &k)->place.seeks, fd, 0};
	*ret = &o->base;
	return 1;
}

static int merge(struct mem_store *s, const struct mem_key *k, struct mq_place *ret, struct mq_err *err)
{
	const struct mem_place *p = make_place(s, k);
	uint64_t at = p->place.offset;
	for (size_t i = 0; i < p->acks_n; i++) /* quadratic, and enough */
		if (p->acks[i] == at) {
			at++;
			i = (size_t)-1;
		}
	int rc = at > p->place.offset ? write_place(s, k, at, 0, 0, false, err) : 0;
	if (rc == 0)
		*ret = place_of(s, k)->place;
	return rc;
}

static int owner_merge_acks(struct mq_owner *owner, struct mq_place *ret, struct mq_err *err)
{
	struct mem_owner *o = (struct mem_owner *)owner;
	int rc = mem_begin(o->s, err);
	if (rc < 0)
		return rc;
	rc = merge(o->s, &o->key, ret, err);
	mem_end(o->s);
	return rc;
}

static int owner_place(struct mq_owner *owner, struct mq_place *ret, struct mq_err *err)
{
	struct mem_owner *o = (struct mem_owner *)owner;
	int rc = mem_begin(o->s, err);
	if (rc < 0)
		return rc;
	mem_end(o->s);
	*ret = make_place(o->s, &o->key)->place;
	return 0;
}

static int owner_arm(struct mq_owner *o, struct mq_wait *w, struct mq_err *err)
{
	int slot = mq_wait_watch(w, ((struct mem_owner *)o)->s->fd, IN_MODIFY, true);
	return slot < 0 ? mq_err_sys(err, slot, "cannot watch") : 0;
}

static int owner_look(struct mq_owner *owner, bool whole, struct mq_err *err)
{
	(void)whole;
	struct mem_owner *o = (struct mem_owner *)owner;
	int rc = mem_begin(o->s, err);
	if (rc < 0)
		return rc;
	mem_end(o->s);
	const struct mem_place *p = place_of(o->s, &o->key);
	if (!p)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", o->key.name);
	return p->place.seeks == o->seeks ? 0 : mq_err_set(err, MQ_EAGAIN, "%s: the place was set by hand meanwhile", o->key.name);
}

static int owner_commit(struct mq_owner *owner, uint64_t offset, uint64_t lost_more, struct mq_err *err)
{
	struct mem_owner *o = (struct mem_owner *)owner;
	int rc = mem_begin(o->s, err);
	if (rc < 0)
		return rc;
	rc = write_place(o->s, &o->key, offset, lost_more, o->expired_more, false, err);
	if (rc == 0)
		o->expired_more = 0;
	mem_end(o->s);
	return rc;
}

static void owner_expired(struct mq_owner *owner, uint64_t n)
{
	((struct mem_owner *)owner)->expired_more += n;
}

static int owner_sync(struct mq_owner *o, struct mq_err *err)
{
	(void)o, (void)err;
	return 0;
}

static int owner_handler_fd(struct mq_owner *owner, struct mq_err *err)
{
	struct mem_owner *o = (struct mem_owner *)owner;
	return mem_lock(o->s, "handler", &o->key, MQ_LOCK_READ, err);
}

static void owner_release(struct mq_owner *owner)
{
	struct mem_owner *o = (struct mem_owner *)owner;
	if (o)
		mq_sys->close(o->fd);
	free(o);
}

/* The seeks alone are enough: topics are never forgotten here. */
static void token_of(struct mem_store *s, const struct mem_key *k, char ret[40])
{
	snprintf(ret, 40, "%u.%08" PRIx32 ".%" PRIu32, k->topic, mq_crc32c(0, k->name, strlen(k->name)), make_place(s, k)->place.seeks);
}

static int owner_token(struct mq_owner *owner, char ret_token[40], struct mq_err *err)
{
	struct mem_owner *o = (struct mem_owner *)owner;
	(void)err;
	token_of(o->s, &o->key, ret_token);
	return 0;
}

static int ack_locked(struct mem_store *s, const struct mem_key *k, const char *token, const uint64_t *offsets, size_t n,
                      struct mq_err *err)
{
	const struct mem_partition *p = &s->topics[k->topic].partitions[k->partition];
	char want[40];
	struct mq_place merged;

	token_of(s, k, want);
	if (strcmp(token, want) != 0)
		return mq_err_set(err, MQ_EDENIED, "%s:%u: the position is of before a seek", s->topics[k->topic].name,
		                  k->partition);
	for (size_t i = 0; i < n; i++)
		if (offsets[i] >= p->next)
			return mq_err_set(err, MQ_EINPUT, "%s:%u: no record %" PRIu64 " yet", s->topics[k->topic].name,
			                  k->partition, offsets[i]);
	int rc = mem_write(s, MEM_ACK, k, offsets, 8 * n, NULL, 0, err);
	if (rc == 0 && !mem_locked(s, "owner", k))
		rc = merge(s, k, &merged, err);
	return rc;
}

static int group_ack(struct mq_store *store, const char *group, const char *topic, uint32_t p, const char *token,
                     const uint64_t *offsets, size_t n, struct mq_err *err)
{
	struct mem_store *s = (struct mem_store *)store;
	struct mem_key k;
	int rc = mem_begin(s, err);
	if (rc < 0)
		return rc;
	rc = find_key(s, group, topic, p, &k, err);
	if (rc == 0)
		rc = ack_locked(s, &k, token, offsets, n, err);
	mem_end(s);
	return rc;
}

const struct mq_engine mem_groups = {
	.group_list = group_list,
	.group_topics = group_topics,
	.group_delete = group_delete,
	.group_place = group_place,
	.group_owner = group_owner,
	.member_join = member_join,
	.member_leave = member_leave,
	.member_arm = member_arm,
	.owner_take = owner_take,
	.owner_place = owner_place,
	.owner_merge_acks = owner_merge_acks,
	.owner_arm = owner_arm,
	.owner_look = owner_look,
	.owner_commit = owner_commit,
	.owner_expired = owner_expired,
	.owner_sync = owner_sync,
	.owner_handler_fd = owner_handler_fd,
	.owner_release = owner_release,
	.owner_token = owner_token,
	.group_ack = group_ack,
	.group_seek = group_seek,
};
