/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An input that is one record. */
#include "ops/publish.h"

int mq_publish_too_large(struct mq_publish *pub, struct mq_input *in)
{
	return mq_err_set(pub->err, MQ_EINPUT, "%s%srecord %llu is larger than max.message.bytes=%u of %s: nothing of it is stored",
	                  in ? in->name : "", in ? ": " : "", (unsigned long long)pub->record_no, pub->facts.max_message_bytes,
	                  pub->req->topic);
}

int mq_publish_whole(struct mq_publish *pub, struct mq_input *in)
{
	size_t max = pub->facts.max_message_bytes;
	struct mq_rec r = pub->common;
	int rc;

	do
		rc = mq_input_fill(in, max + 1, pub->err);
	while (rc > 0);
	if (rc < 0 && rc != MQ_EINPUT)
		return rc;
	if (rc < 0 && pub->err->code)
		return rc;
	pub->record_no++;
	if (in->len > max || rc == MQ_EINPUT)
		return mq_publish_too_large(pub, in);
	r.payload = in->p;
	r.payload_len = (uint32_t)in->len;
	return mq_publish_record(pub, &r);
}
