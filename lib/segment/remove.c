/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a segment.  Its index goes first: it is a cache, and a segment without one is whole. */
#include <errno.h>

#include "segment/segment.h"
#include "sys/sys.h"

static int remove_file(const struct mq_segment_header *h, int dir, const char *suffix, struct mq_err *err)
{
	char name[MQ_SEGMENT_NAME_MAX];

	mq_segment_name(h->base_offset, &h->id, suffix, name);
	int rc = mq_sys->unlinkat(dir, name, false);
	return rc < 0 && rc != -ENOENT ? mq_err_sys(err, rc, "cannot remove %s", name) : 0;
}

int mq_segment_remove(const struct mq_segment_header *h, int dir, struct mq_err *err)
{
	int rc = remove_file(h, dir, "idx", err);

	if (rc == 0)
		rc = remove_file(h, dir, "seg", err);
	if (rc < 0)
		return rc;
	rc = mq_sys->fsync(dir);
	return rc < 0 ? mq_err_sys(err, rc, "cannot sync the directory of segments") : 0;
}
