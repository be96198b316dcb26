/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration: what is in it that means nothing, and whether it is as it was written. */
#include "base/conf.h"
#include "format/conf_keys.h"
#include "spool/assign_conf.h"
#include "spool/check_internal.h"
#include "spool/dirs.h"
#include "spool/group_conf.h"

enum { CONF_MAX = 1 << 20 };

/* Lines that this version does not understand: of a newer one, or a slip of the hand. */
int mq_check_unknown_keys(struct mq_check *c, const char *where, const char *name, const struct mq_buf *kept)
{
	struct mq_conf_scan s = MQ_CONF_SCAN(kept->len ? kept->p : "", kept->len);
	struct mq_conf_item item;
	int rc = 0;

	while (rc == 0 && mq_conf_next(&s, &item, NULL) > 0)
		rc = mq_check_tell(c, MQ_CHECK_CONFIG, where, name, NULL, mq_check_not(c, "configuration is for people to change"),
		                   "%.*s: no such key, so it has no effect", (int)(item.key_len > 64 ? 64 : item.key_len), item.key);
	return rc;
}

/* The file as it is, sealed by who wrote it?  A slip of the hand and a flipped bit look alike: the owner has to look.
 * Mending takes it as it is. */
int mq_check_seal(struct mq_check *c, int dir, const char *where, const char *name,
                  int (*print)(const void *conf, struct mq_buf *out), const void *conf)
{
	struct mq_check_remedy remedy = mq_check_did(c, 0);
	struct mq_err why = MQ_ERR_INIT;
	struct mq_buf text = MQ_BUF_INIT;
	int rc = mq_file_read(dir, name, CONF_MAX, &text, c->err);
	bool sealed = rc == 0 && mq_conf_sealed(text.p, text.len);

	if (rc == 0 && !sealed) {
		if (mq_check_mends(c)) {
			mq_buf_clear(&text);
			rc = print(conf, &text);
			if (rc == 0)
				rc = mq_file_put(dir, name, dir == c->spool->root ? 0640 : c->spool->file_mode, text.p, text.len, true, &why);
			if (rc < 0)
				remedy = mq_check_not(c, "it cannot be written");
		}
		rc = mq_check_tell(c, MQ_CHECK_CACHE, where, name, NULL, remedy,
		                   "it is not as mq wrote it: edited by hand, or damaged; look at its lines, then mq-check --mend takes it as it is");
	}
	mq_buf_release(&text);
	return rc;
}

/* ---- group.conf ---- */
static int print_group(const void *conf, struct mq_buf *out)
{
	return mq_assign_conf_print(conf, out);
}

int mq_check_group_conf(struct mq_check *c, int dir, const char *group, const char *where)
{
	struct mq_assign_conf conf;
	struct mq_err why = MQ_ERR_INIT;
	int rc;

	mq_assign_conf_init(&conf);
	rc = mq_group_conf_read(c->spool, group, &conf, &why);
	if (rc == MQ_ECONFIG) {
		rc = mq_check_tell(c, MQ_CHECK_CONFIG, where, "group.conf", NULL,
		                   mq_check_not(c, "mq-rebalance --strategy sets another when the file is away"), "%s", why.text);
	} else if (rc == 0) {
		rc = mq_check_unknown_keys(c, where, "group.conf", &conf.kept);
		if (rc == 0)
			rc = mq_check_seal(c, dir, where, "group.conf", print_group, &conf);
	} else {
		*c->err = why;
	}
	mq_assign_conf_release(&conf);
	return rc;
}
