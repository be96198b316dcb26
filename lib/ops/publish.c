/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb: request, topic, inputs, end. */
#include "ops/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "ops/dead.h"
#include "ops/room.h"
#include "sys/sys.h"

int mq_publish_no_memory(struct mq_publish *pub)
{
	return mq_err_set(pub->err, -ENOMEM, "out of memory");
}

/* --- topic ---------------------------------------------------------------------------------- */

static int decide_ack(struct mq_publish *pub)
{
	static const enum mq_ack levels[] = {MQ_ACK_NONE, MQ_ACK_WRITTEN, MQ_ACK_DURABLE, MQ_ACK_ALL};
	enum mq_ack normal = pub->facts.replicated ? MQ_ACK_ALL : MQ_ACK_DURABLE;

	pub->ack = pub->req->ack == MQ_ACK_LEVEL_DEFAULT ? normal : levels[pub->req->ack];
	if (pub->ack < pub->facts.min_ack)
		pub->ack = pub->facts.min_ack;
	if (pub->ack == MQ_ACK_ALL && !pub->facts.replicated)
		return mq_err_set(pub->err, MQ_EREPLICAS, "%s: --ack all needs replicas, and the topic has none", pub->req->topic);
	if (pub->req->partition >= pub->facts.partitions && !pub->topic_there)
		return mq_err_set(pub->err, MQ_ENOTOPIC, "no topic %s, and one made now has %u partition%s, from 0 on (mq-topic create "
		                  "--partitions makes one with more)", pub->req->topic, pub->facts.partitions,
		                  pub->facts.partitions == 1 ? "" : "s");
	if (pub->req->partition >= pub->facts.partitions)
		return mq_err_set(pub->err, MQ_ENOTOPIC, "%s:%lld: no such partition: there are %u", pub->req->topic,
		                  (long long)pub->req->partition, pub->facts.partitions);
	return 0;
}

int mq_publish_facts(struct mq_publish *pub, struct mq_topic_facts *ret)
{
	struct mq_topic_facts room;
	int rc = pub->engine->topic_facts(pub->mq->store, pub->req->topic, ret, pub->err);

	if (rc < 0 || !mq_publish_delays(pub->req) || pub->req->dry_run)
		return rc;
	rc = mq_room_name(pub->mq, pub->req->topic, true, pub->room, &room, pub->err);
	if (rc < 0)
		return rc;
	room.max_message_bytes = ret->max_message_bytes;
	room.min_ack = ret->min_ack;
	room.when_full = ret->when_full;
	room.replicated = ret->replicated;
	*ret = room;
	pub->into = pub->room;
	return 0;
}

static int learn_facts(struct mq_publish *pub)
{
	struct mq_topic_facts facts;
	int rc = mq_publish_facts(pub, &facts);
	if (rc < 0)
		return rc;
	if (facts.n_generations == 0) /* of an engine that knows of none */
		facts.generations[facts.n_generations++] = (struct mq_topic_generation){facts.generation, facts.partitions, false};
	pub->facts = facts;
	pub->topic_there = true;
	pub->robin = 0;
	/* Many publishers of one record each must not all begin with partition 0. */
	if (facts.partitions > 1 && mq_sys->random(&pub->robin, sizeof pub->robin) < 0)
		pub->robin = 0;
	pub->robin %= facts.partitions;
	free(pub->outs);
	pub->outs = calloc(facts.partitions, sizeof *pub->outs);
	return pub->outs ? decide_ack(pub) : mq_publish_no_memory(pub);
}

int mq_publish_topic(struct mq_publish *pub)
{
	if (pub->topic_there || pub->req->dry_run)
		return 0;
	/* A topic is not made for input that it cannot begin with. */
	int rc = pub->req->producer ? mq_publish_check_gap(pub, 0) : 0;
	if (rc == 0)
		rc = pub->engine->topic_auto_create(pub->mq->store, pub->req->topic, 0, pub->err);
	if (rc == 0)
		rc = learn_facts(pub);
	if (rc == 0 && pub->req->producer)
		rc = mq_publish_hold(pub);
	return rc;
}

static int look_for_topic(struct mq_publish *pub)
{
	int rc = mq_name_check(pub->req->topic, "topic", pub->err);
	if (rc == 0 && pub->req->producer)
		rc = mq_name_check(pub->req->producer, "producer", pub->err);
	if (rc < 0)
		return rc;
	rc = learn_facts(pub);
	if (rc == MQ_ENOTOPIC && !pub->topic_there) {
		*pub->err = (struct mq_err){0};
		rc = pub->engine->topic_presume(pub->mq->store, &pub->facts, pub->err);
		if (rc == 0)
			rc = decide_ack(pub);
	} else if (rc == 0 && pub->req->producer && !pub->req->dry_run) {
		rc = mq_publish_hold(pub);
	}
	return rc;
}

/* --- request -------------------------------------------------------------------------------- */

static int check_size(struct mq_publish *pub, const char *text, const char *what)
{
	size_t len = text ? strlen(text) : 0;
	if (len > pub->facts.max_message_bytes)
		return mq_err_set(pub->err, MQ_EINPUT, "the %s is %zu bytes long: max.message.bytes of %s is %u", what, len,
		                  pub->req->topic, pub->facts.max_message_bytes);
	return 0;
}

/* What every record gets. */
static int take_common(struct mq_publish *pub)
{
	const struct mq_publish_request *req = pub->req;
	struct mq_rec *c = &pub->common;
	int rc = check_size(pub, req->key, "key");

	if (rc == 0)
		rc = check_size(pub, req->tag, "tag");
	if (rc == 0)
		rc = check_size(pub, req->id, "id");
	for (size_t i = 0; i < req->n_headers && rc == 0; i++) {
		const struct mq_pair *h = &req->headers[i];
		rc = check_size(pub, h->value, "header");
		if (rc == 0 && (strlen(h->name) > UINT16_MAX || !*h->name))
			rc = mq_err_set(pub->err, MQ_EUSAGE, "a header's name has 1 to %d bytes", UINT16_MAX);
		if (rc == 0 && mq_dead_reserved(h->name, strlen(h->name)))
			rc = mq_err_set(pub->err, MQ_EINPUT, "header %s: names that begin with mq- are given by mq itself", h->name);
		if (rc == 0 && mq_header_append(&pub->headers, h->name, strlen(h->name), h->value, strlen(h->value)) < 0)
			rc = mq_publish_no_memory(pub);
	}
	if (rc < 0)
		return rc;
	*c = (struct mq_rec){.key = req->key, .tag = req->tag, .id = req->id};
	c->key_len = req->key ? (uint32_t)strlen(req->key) : 0;
	c->tag_len = req->tag ? (uint32_t)strlen(req->tag) : 0;
	c->id_len = req->id ? (uint32_t)strlen(req->id) : 0;
	c->headers = pub->headers.len ? pub->headers.p : NULL;
	c->headers_len = (uint32_t)pub->headers.len;
	mq_publish_set_expiry(pub);
	return 0;
}

/* --- inputs --------------------------------------------------------------------------------- */

static int read_input(struct mq_publish *pub, int fd, const char *name, enum mq_input_form form)
{
	struct mq_input in;
	int rc;

	mq_input_init(&in, fd, name);
	in.before_read = mq_publish_before_read;
	in.before_read_arg = pub;
	switch (form) {
	case MQ_IN_ONE: rc = mq_publish_whole(pub, &in); break;
	case MQ_IN_JSON: rc = mq_publish_json(pub, &in); break;
	case MQ_IN_FRAMES: rc = mq_publish_frames(pub, &in); break;
	default: rc = mq_publish_lines(pub, &in);
	}
	mq_input_release(&in);
	return rc == -EISDIR ? mq_err_set(pub->err, MQ_EINPUT, "%s is a directory: nothing in it is published", name) : rc;
}

static int read_file(struct mq_publish *pub, const char *path)
{
	if (strcmp(path, "-") == 0)
		return read_input(pub, pub->req->in_fd, "standard input", pub->req->form);
	int fd = mq_sys->open_path(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return mq_err_sys(pub->err, fd, "cannot open %s", path);
	int rc = read_input(pub, fd, path, pub->req->file_form);
	mq_sys->close(fd);
	return rc;
}

static int take_message(struct mq_publish *pub, const char *text)
{
	struct mq_rec r = pub->common;
	size_t len = strlen(text);

	pub->record_no++;
	if (len > pub->facts.max_message_bytes)
		return mq_publish_too_large(pub, NULL);
	r.payload = text;
	r.payload_len = (uint32_t)len;
	return mq_publish_record(pub, &r);
}

static int read_all(struct mq_publish *pub)
{
	const struct mq_publish_request *req = pub->req;
	int rc = 0;

	for (size_t i = 0; i < req->n_messages && rc == 0; i++)
		rc = take_message(pub, req->messages[i]);
	for (size_t i = 0; i < req->n_files && rc == 0; i++)
		rc = read_file(pub, req->files[i]);
	if (!req->n_messages && !req->n_files)
		rc = read_input(pub, req->in_fd, "standard input", req->form);
	return rc;
}

/* --- end ------------------------------------------------------------------------------------ */

/* What was read before a bad record, or before the stop, is stored and confirmed; then the first reason stands. */
static int finish(struct mq_publish *pub, int rc)
{
	struct mq_err first = *pub->err;

	if (!pub->sending_failed) {
		*pub->err = (struct mq_err){0};
		int end = mq_publish_flush(pub);
		if (end < 0 || rc == 0) {
			rc = end;
			first = *pub->err;
		}
	}
	*pub->err = (struct mq_err){0};
	int end = mq_publish_settle(pub);
	if (rc == 0)
		rc = end;
	else
		*pub->err = first;
	if (rc < 0)
		mq_publish_confirm_rest(pub, pub->record_no - pub->routed);
	return rc;
}

static void release(struct mq_publish *pub)
{
	mq_publish_wait_end(pub);
	for (uint32_t p = 0; pub->outs && p < pub->facts.partitions; p++) {
		struct mq_out *out = pub->outs[p];
		if (!out)
			continue;
		if (out->appender)
			pub->engine->appender_close(out->appender);
		mq_records_release(&out->records);
		mq_publish_forget(out);
		mq_buf_release(&out->ordinals);
		free(out->sent);
		free(out);
	}
	free(pub->outs);
	free(pub->runs);
	mq_publish_dedupe_end(pub);
	mq_zip_release(&pub->zip);
	mq_buf_release(&pub->zipped);
	mq_records_release(&pub->part);
	mq_buf_release(&pub->headers);
}

int mq_publish(struct mq *mq, const struct mq_publish_request *req, struct mq_publish_report *ret)
{
	struct mq_publish pub = {.mq = mq, .req = req, .err = &mq->err, .into = req->topic};

	mq->err = (struct mq_err){0};
	if (ret)
		*ret = (struct mq_publish_report){0};
	if (!mq->store)
		return mq_err_set(&mq->err, MQ_EUSAGE, "no spool is open");
	pub.engine = mq->store->engine;
	mq->store->looks = req->dry_run;
	mq_pace_init(&pub.pace, req->rate);
	int rc = look_for_topic(&pub);
	if (rc == 0 && pub.topic_there && !mq_publish_delays(req))
		mq_rooms_pass(mq, req->topic);
	if (rc == 0)
		rc = take_common(&pub);
	if (rc == 0)
		rc = finish(&pub, read_all(&pub));
	if (ret)
		*ret = pub.report;
	release(&pub);
	if (pub.into == pub.room) /* a time in the past, too */
		mq_rooms_pass(mq, req->topic);
	return mq_ops_looked(mq, rc);
}
