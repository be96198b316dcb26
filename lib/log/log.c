/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "log/internal.h"
#include "log/start.h"
#include "sys/sys.h"

/* An empty file of that name and mode, whatever the umask. */
static int make_empty(int dir, const char *name, unsigned mode, struct mq_err *err)
{
	int fd = mq_sys->openat(dir, name, O_RDWR | O_CREAT | O_EXCL, mode), rc;

	if (fd < 0)
		return mq_err_sys(err, fd, "cannot create %s", name);
	rc = mq_sys->fchmod(fd, mode);
	(void)mq_sys->close(fd);
	return rc < 0 ? mq_err_sys(err, rc, "cannot set the mode of %s", name) : 0;
}

/* The tail of an empty partition, so that the first writer and reader need not look further. */
static int first_tail(int dir, const struct mq_segment_header *h, uint32_t generation, struct mq_err *err)
{
	struct mq_tail t = {.segment = h->id,
	                    .segment_base = h->base_offset,
	                    .pos = h->born_end_pos,
	                    .strict_start = h->born_end_pos,
	                    .strict_end = h->born_end_pos,
	                    .epoch = h->epoch,
	                    .segment_created_us = h->created_us,
	                    .generation = generation};
	struct mq_state_file state;
	int rc = mq_state_file_open(&state, dir, true, err);

	if (rc < 0)
		return rc;
	mq_state_tail_adopt(&state, &t);
	rc = mq_state_tail_publish(&state, &t, 1, err);
	mq_state_file_release(&state);
	return rc;
}

static int first_segment(int dir, const struct mq_log_options *opt, struct mq_err *err)
{
	struct mq_segment_header h = {.partition = opt->partition, .reason = MQ_SEGMENT_FIRST, .created_us = mq_log_now_us()};
	struct mq_segment s;
	int rc = mq_sys->random(h.id.b, sizeof h.id.b);

	if (rc < 0)
		return mq_err_sys(err, rc, "cannot draw a segment id");
	mq_segment_id_unmark(&h.id);
	memcpy(h.topic_id, opt->topic_id, sizeof h.topic_id);
	rc = mq_segment_begin(&s, dir, &h, opt->mode, err);
	if (rc < 0)
		return rc;
	rc = mq_segment_bear(&s, err);
	if (rc == 0)
		rc = mq_segment_name_it(&s, dir, err);
	if (rc == 0)
		rc = first_tail(dir, &s.h, opt->topic_generation, err);
	mq_segment_release(&s);
	return rc;
}

int mq_log_create(int dir, const struct mq_log_options *opt, struct mq_err *err)
{
	/* The lock is for writers alone: a reader's lock on it would hold every writer up. */
	unsigned writers = opt->mode & 0660 & ~0040u;
	int rc = make_empty(dir, "lock", opt->mode & 0020 ? opt->mode & 0660 : writers, err);

	if (rc == 0)
		rc = make_empty(dir, "bell", opt->mode, err);
	if (rc == 0)
		rc = mq_start_create(dir, opt->mode, opt->topic_id, err);
	if (rc == 0)
		rc = mq_state_file_create(dir, opt->mode, err);
	if (rc == 0)
		rc = first_segment(dir, opt, err); /* its naming syncs the directory, with all the names above */
	return rc;
}

static void init(struct mq_log *log)
{
	memset(log, 0, sizeof *log);
	log->dir = log->lock = log->bell = -1;
	mq_state_file_init(&log->state);
	mq_segment_init(&log->head);
	mq_producers_init(&log->producers);
	mq_scan_init(&log->scan);
	pthread_mutex_init(&log->append, NULL);
	pthread_mutex_init(&log->lead, NULL);
}

static int open_file(int dir, const char *name, int flags, struct mq_err *err)
{
	int fd = mq_sys->openat(dir, name, flags, 0);

	return fd < 0 ? mq_err_sys(err, fd, "cannot open %s", name) : fd;
}

int mq_log_open(struct mq_log *log, int dir, const struct mq_log_options *opt, struct mq_err *err)
{
	int rc;

	init(log);
	log->opt = *opt;
	log->patience = opt->patience;
	rc = log->dir = open_file(dir, ".", O_RDONLY | O_DIRECTORY, err);
	if (rc >= 0)
		rc = log->lock = open_file(log->dir, "lock", O_RDWR, err);
	if (rc >= 0)
		rc = log->bell = open_file(log->dir, "bell", O_WRONLY, err);
	if (rc < 0) {
		mq_err_prefix(err, "%s", opt->label);
		mq_log_release(log);
		return rc;
	}
	return 0;
}

static void close_if(int fd)
{
	if (fd >= 0)
		(void)mq_sys->close(fd);
}

void mq_log_release(struct mq_log *log)
{
	mq_state_file_release(&log->state);
	mq_segment_release(&log->head);
	mq_producers_release(&log->producers);
	mq_scan_release(&log->scan);
	close_if(log->bell);
	close_if(log->lock);
	close_if(log->dir);
	pthread_mutex_destroy(&log->append);
	pthread_mutex_destroy(&log->lead);
	log->dir = log->lock = log->bell = -1;
}

int mq_log_settle(struct mq_log *log, struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc == 0)
		mq_log_leave(log);
	else
		mq_err_prefix(err, "%s", log->opt.label);
	return rc;
}

int mq_log_finish(struct mq_log *log, struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc == 0) {
		rc = mq_log_sync_or_close(log, err);
		mq_log_leave(log);
		mq_log_ring(log);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", log->opt.label);
	return rc < 0 ? rc : 0;
}

int mq_log_await(struct mq_log *log, struct mq_err *err)
{
	int rc = mq_log_enter_as_it_is(log, err);

	if (rc == 0)
		mq_log_leave(log);
	else
		mq_err_prefix(err, "%s", log->opt.label);
	return rc;
}

int mq_log_retire(struct mq_log *log, struct mq_err *err)
{
	int rc = mq_log_enter_as_it_is(log, err);

	/* Without a state, and without room for one, nobody appends. */
	if (rc == MQ_ENOTOPIC || rc == -ENOSPC || rc == -EDQUOT)
		return 0;
	if (rc < 0) {
		mq_err_prefix(err, "%s", log->opt.label);
		return rc;
	}
	log->tail.flags |= MQ_TAIL_GONE;
	rc = mq_state_tail_publish(&log->state, &log->tail, ++log->tail_seq, err);
	mq_log_leave(log);
	mq_log_ring(log);
	return rc;
}
