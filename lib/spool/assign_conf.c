/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/assign_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "format/conf_keys.h"

#define AT(member) offsetof(struct mq_assign_conf, member)

/* The order is that of the bits in `set` within one process only. */
static const struct mq_conf_key KEYS[] = {
    {"strategy", MQ_CONF_WORD, AT(strategy), 0, 0, MQ_ASSIGN_STICKY, "average|circle|sticky|hash|room|nearby|config"},
    {"strategy.within", MQ_CONF_WORD, AT(within), 0, 0, MQ_ASSIGN_STICKY, "average|circle|sticky|hash"},
    {"virtual.nodes", MQ_CONF_COUNT, AT(virtual_nodes), 1, 1000, 100, NULL},
};
enum { N_KEYS = sizeof KEYS / sizeof KEYS[0] };

const char *mq_assign_word(int64_t strategy)
{
	static const char *const words[] = {"average", "circle", "sticky", "hash", "room", "nearby", "config"};

	return words[strategy];
}

static const char ROOM[] = "room.", ASSIGN[] = "assign.";

void mq_assign_conf_init(struct mq_assign_conf *c)
{
	memset(c, 0, sizeof *c);
	for (size_t i = 0; i < N_KEYS; i++)
		mq_conf_key_default(&KEYS[i], c);
}

void mq_assign_conf_release(struct mq_assign_conf *c)
{
	if (!c)
		return;
	free(c->rooms.v);
	free(c->assigns.v);
	mq_buf_release(&c->kept);
}

/* The length of prefix, where key begins with it; else 0. */
static size_t begins(const char *key, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);
	return len >= n && memcmp(key, prefix, n) == 0 ? n : 0;
}

static struct mq_assign_rule *find(const struct mq_assign_rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->n; i++)
		if (strcmp(rules->v[i].name, name) == 0)
			return &rules->v[i];
	return NULL;
}

static void take_away(struct mq_assign_rules *rules, const char *name)
{
	struct mq_assign_rule *rule = find(rules, name);

	if (!rule)
		return;
	rules->n--;
	memmove(rule, rule + 1, (size_t)(rules->v + rules->n - rule) * sizeof *rule);
}

/* In the place of the one of that name, else behind all. */
static int put(struct mq_assign_rules *rules, const struct mq_assign_rule *new, const char *prefix, struct mq_err *err)
{
	struct mq_assign_rule *old = find(rules, new->name), *v;

	if (old) {
		*old = *new;
		return 0;
	}
	if (rules->n == MQ_ASSIGN_RULES_MAX)
		return mq_err_set(err, MQ_EUSAGE, "%s%s: there are %d %s* lines: no more", prefix, new->name, MQ_ASSIGN_RULES_MAX, prefix);
	v = realloc(rules->v, (rules->n + 1) * sizeof *v);
	if (!v)
		return mq_err_set(err, -ENOMEM, "no memory for a configuration");
	rules->v = v;
	v[rules->n++] = *new;
	return 0;
}

/* No host or member has others in its name; and a line could not hold all of them. */
static bool pattern_ok(const char *pattern, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)pattern[i] <= ' ' || pattern[i] == 0x7f)
			return false;
	return len > 0 && len <= MQ_NAME_MAX;
}

/* "PATTERN:LIST"; the list is left in *value. */
static int take_pattern(struct mq_assign_rule *rule, const char **value, size_t *len, struct mq_err *err)
{
	const char *colon = memrchr(*value, ':', *len);
	size_t n = colon ? (size_t)(colon - *value) : 0;

	if (!pattern_ok(*value, n))
		return mq_err_set(err, MQ_EUSAGE, "must be PATTERN:PARTITIONS, as east-*:0-3, with a pattern of 1 to %d bytes and no blanks",
		                  MQ_NAME_MAX);
	memcpy(rule->pattern, *value, n);
	rule->pattern[n] = 0;
	*len -= n + 1;
	*value = colon + 1;
	return 0;
}

static int read_rule(struct mq_assign_rule *ret, const char *value, size_t len, bool pattern, struct mq_err *err)
{
	int rc = pattern ? take_pattern(ret, &value, &len, err) : 0;
	return rc < 0 ? rc : mq_assign_set_parse(&ret->set, value, len, err);
}

/* A line room.NAME or assign.NAME. */
static int set_rule(struct mq_assign_rules *rules, const char *prefix, const char *name, size_t name_len, const char *value,
                    size_t value_len, struct mq_err *err)
{
	struct mq_assign_rule rule = {.name = ""};
	int rc;

	if (!mq_name_ok(name, name_len))
		return mq_err_set(err, MQ_EUSAGE, "%s%.*s: a bad name", prefix, (int)(name_len > MQ_NAME_MAX ? MQ_NAME_MAX : name_len),
		                  name);
	memcpy(rule.name, name, name_len);
	if (!value_len) {
		take_away(rules, rule.name);
		return 0;
	}
	rc = read_rule(&rule, value, value_len, prefix == ASSIGN, err);
	if (rc < 0) {
		mq_err_prefix(err, "%s%s", prefix, rule.name);
		return rc;
	}
	return put(rules, &rule, prefix, err);
}

/* 1: the key is known and its value was taken; 0: unknown; MQ_EUSAGE, -ENOMEM. */
static int set_known(struct mq_assign_conf *c, const char *key, size_t key_len, const char *value, size_t value_len,
                     struct mq_err *err)
{
	const struct mq_conf_key *k = mq_conf_key_find(KEYS, N_KEYS, key, key_len);
	size_t n;
	int rc;

	if (k) {
		rc = mq_conf_key_set(k, c, value, value_len, err);
		if (rc == 0)
			c->set |= 1u << (k - KEYS);
	} else if ((n = begins(key, key_len, ROOM)) > 0) {
		rc = set_rule(&c->rooms, ROOM, key + n, key_len - n, value, value_len, err);
	} else if ((n = begins(key, key_len, ASSIGN)) > 0) {
		rc = set_rule(&c->assigns, ASSIGN, key + n, key_len - n, value, value_len, err);
	} else {
		return 0;
	}
	return rc < 0 ? rc : 1;
}

static int parse_item(void *arg, const struct mq_conf_item *item, struct mq_err *err)
{
	struct mq_assign_conf *c = arg;
	int rc = set_known(c, item->key, item->key_len, item->value, item->value_len, err);

	if (rc != 0 || mq_conf_key_is(item, "sum")) /* mq-check looks at that */
		return rc < 0 ? rc : 0;
	rc = mq_buf_add(&c->kept, item->line, item->line_len);
	return rc < 0 ? rc : mq_buf_add_byte(&c->kept, '\n');
}

/* A partition in two rooms would have to go to one of them by some rule that nobody asked for. */
static int check_rooms(const struct mq_assign_rules *rooms, int code, struct mq_err *err)
{
	for (size_t i = 0; i < rooms->n; i++)
		for (size_t k = i + 1; k < rooms->n; k++) {
			int32_t p = mq_assign_set_meet(&rooms->v[i].set, &rooms->v[k].set);
			if (p >= 0)
				return mq_err_set(err, code, "partition %d is in room.%s and in room.%s: it can be in one room only",
				                  (int)p, rooms->v[i].name, rooms->v[k].name);
		}
	return 0;
}

int mq_assign_conf_parse(struct mq_assign_conf *c, const char *text, size_t len, struct mq_err *err)
{
	int rc = mq_conf_each(text, len, &c->kept, parse_item, c, err);
	return rc < 0 ? rc : check_rooms(&c->rooms, MQ_ECONFIG, err);
}

/* A room's line is tried on what the other rooms have. */
static int check_room(const struct mq_assign_conf *c, const char *name, const char *value, struct mq_err *err)
{
	struct mq_assign_rule new = {.name = ""};
	int rc = *value ? mq_assign_set_parse(&new.set, value, strlen(value), err) : 0;

	if (rc < 0)
		mq_err_prefix(err, "%s%s", ROOM, name);
	for (size_t i = 0; rc == 0 && i < c->rooms.n; i++) {
		int32_t p = mq_assign_set_meet(&new.set, &c->rooms.v[i].set);
		if (p >= 0 && strcmp(c->rooms.v[i].name, name) != 0)
			rc = mq_err_set(err, MQ_EUSAGE, "%s%s: partition %d is in %s%s already", ROOM, name, (int)p, ROOM,
			                c->rooms.v[i].name);
	}
	return rc;
}

int mq_assign_conf_set(struct mq_assign_conf *c, const char *key, const char *value, struct mq_err *err)
{
	size_t n = begins(key, strlen(key), ROOM);
	int rc = n && mq_name_ok(key + n, strlen(key + n)) ? check_room(c, key + n, value, err) : 0;

	if (rc == 0)
		rc = set_known(c, key, strlen(key), value, strlen(value), err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return mq_err_set(err, MQ_EUSAGE, strcmp(key, "sum") == 0 ? "%.200s cannot be set"
	                                                          : "no such key: %.200s (one of room.NAME, assign.NAME, strategy.within, "
	                                                            "virtual.nodes is wanted)", key);
}

static int print_rules(const struct mq_assign_rules *rules, const char *prefix, struct mq_buf *out)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < rules->n; i++) {
		const struct mq_assign_rule *rule = &rules->v[i];
		rc = mq_buf_printf(out, "%s%s=%s%s", prefix, rule->name, rule->pattern, *rule->pattern ? ":" : "");
		if (rc == 0)
			rc = mq_assign_set_print(&rule->set, out);
		if (rc == 0)
			rc = mq_buf_add_byte(out, '\n');
	}
	return rc;
}

int mq_assign_conf_print(const struct mq_assign_conf *c, struct mq_buf *out)
{
	size_t from = out->len;
	int rc = 0;

	if (rc == 0)
		rc = mq_conf_keys_print(KEYS, N_KEYS, c->set, c, out);
	if (rc == 0)
		rc = print_rules(&c->rooms, ROOM, out);
	if (rc == 0)
		rc = print_rules(&c->assigns, ASSIGN, out);
	if (rc == 0)
		rc = mq_buf_add(out, c->kept.p, c->kept.len);
	return rc < 0 ? rc : mq_conf_seal(out, from);
}
