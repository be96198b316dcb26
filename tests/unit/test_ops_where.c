/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which records are wanted: filters and --where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/when.h"
#include "ops/filter.h"
#include "sys/sys.h"

#define TEXT(s) .payload = s, .payload_len = sizeof s - 1

static const struct mq_rec order = {
	TEXT("{\"amount\":20,\"status\":\"paid\",\"user\":{\"name\":\"Ann\",\"id\":123456789012345678},\"vat\":0.5,"
	     "\"rush\":true,\"id\":\"inner\",\"none\":null,\"a.b\":\"dotted\",\"list\":[1]}"),
	.key = "customer-7", .key_len = 10, .id = "42", .id_len = 2, .tag = "paid", .tag_len = 4,
	.offset = 4096, .time_us = INT64_C(1714566896250000) /* 2024-05-01T12:34:56.25Z */,
};

static bool holds_for(const char *text, const struct mq_rec *r)
{
	struct mq_where *w = NULL;
	struct mq_err err = MQ_ERR_INIT;
	int rc = mq_where_parse(text, &w, &err);
	if (rc < 0)
		fail_msg("%s", err.text);
	bool holds = mq_where_holds(w, r);
	assert_int_equal(holds, mq_where_holds(w, r)); /* parsed once, asked again and again */
	mq_where_free(w);
	return holds;
}

static bool holds(const char *text)
{
	return holds_for(text, &order);
}

static void assert_refused(const char *text, const char *says)
{
	struct mq_where *w = NULL;
	struct mq_err err = MQ_ERR_INIT;
	assert_int_equal(mq_where_parse(text, &w, &err), MQ_EUSAGE);
	assert_int_equal(err.code, MQ_EUSAGE);
	assert_null(w);
	if (!strstr(err.text, says))
		fail_msg("'%s' is not in '%s'", says, err.text);
}

/* --- fields --------------------------------------------------------------------------------- */

static void a_record_is_asked_for_its_key_id_tag_offset_and_size(void **state)
{
	(void)state;
	assert_true(holds("key == customer-7"));
	assert_true(holds("key == \"customer-7\" && id == 42 && tag == paid"));
	assert_true(holds("offset == 4096 && offset >= 4096 && offset < 4097"));
	assert_false(holds("offset > 4096"));
	assert_true(holds("size > 50"));
	assert_true(holds_for("size == 3", &(struct mq_rec){TEXT("abc")}));
}

static void a_timestamp_is_compared_with_a_time(void **state)
{
	(void)state;
	assert_true(holds("timestamp == 2024-05-01T12:34:56.25Z"));
	assert_true(holds("timestamp == 2024-05-01T14:34:56.25+02:00"));
	assert_true(holds("timestamp > 1714566896 && timestamp < \"1714566897\""));
	assert_true(holds("timestamp < @-1h"));
	assert_true(holds("timestamp =~ '^2024-05-01T12:34'"));
	struct mq_rec now = {TEXT(""), .time_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000};
	assert_true(holds_for("timestamp > @-1h", &now));
	assert_refused("timestamp > noon", "'noon' is not a time");
}

static void a_name_is_a_member_of_the_payload_and_dots_go_into_objects(void **state)
{
	(void)state;
	assert_true(holds("amount == 20 && status == paid && user.name == Ann"));
	assert_true(holds("a.b == dotted"));
	assert_true(holds("rush == true"));
	assert_true(holds("none == null"));
	assert_false(holds("user.name.first == Ann"));
	assert_false(holds("user == Ann"));
	assert_false(holds("list == 1"));
	assert_true(holds("list"));
}

static void a_dot_in_front_makes_a_name_the_payload_s(void **state)
{
	(void)state;
	assert_true(holds("id == 42"));
	assert_true(holds(".id == inner"));
	assert_true(holds(".user.name == Ann"));
	assert_false(holds(".key"));
}

static void headers_are_found_by_name_and_where_the_payload_has_no_such_member(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	mq_header_append(&blob, "retry", 5, "1", 1);
	mq_header_append(&blob, "retry", 5, "3", 1);
	mq_header_append(&blob, "empty", 5, "", 0);
	struct mq_rec r = {TEXT("not JSON"), .headers = blob.p, .headers_len = (uint32_t)blob.len};
	assert_true(holds_for("header.retry == 3", &r)); /* the last of a name */
	assert_true(holds_for("header.retry >= 3 && header.retry < 10", &r));
	assert_true(holds_for("retry == 3", &r));
	assert_true(holds_for("header.empty == ''", &r));
	assert_true(holds_for("header.empty", &r));
	assert_false(holds_for("header.other", &r));
	assert_false(holds_for("header.retr", &r));
	r.payload = "{\"retry\":9}";
	r.payload_len = 11;
	assert_true(holds_for("retry == 9 && header.retry == 3", &r));
	mq_buf_release(&blob);
}

/* --- comparing ------------------------------------------------------------------------------ */

static void two_numbers_compare_as_numbers(void **state)
{
	(void)state;
	assert_true(holds("amount > 3")); /* as text "20" < "3" */
	assert_true(holds("amount == 20.0 && amount == 2e1 && amount < 20.5"));
	assert_true(holds("vat == 0.5 && vat > 0.25 && vat > -1"));
	assert_true(holds_for("key < 9", &(struct mq_rec){TEXT(""), .key = "08", .key_len = 2}));
}

static void large_whole_numbers_are_not_rounded(void **state)
{
	(void)state;
	assert_true(holds("user.id == 123456789012345678"));
	assert_false(holds("user.id == 123456789012345679"));
	assert_true(holds("user.id < 123456789012345679"));
}

static void anything_else_compares_as_bytes(void **state)
{
	(void)state;
	assert_true(holds("amount < \"3\"")); /* quoted: text */
	assert_true(holds("status > o && status < q && status != pai && status != paidd"));
	assert_true(holds("status <= paid && status >= paid"));
	assert_true(holds_for("tag == ''", &(struct mq_rec){TEXT(""), .tag = "", .tag_len = 0}));
	assert_true(holds_for("key > '12 apples'", &(struct mq_rec){TEXT(""), .key = "13", .key_len = 2}));
	assert_true(holds_for("key == inf", &(struct mq_rec){TEXT(""), .key = "inf", .key_len = 3}));
}

static void a_pattern_is_an_extended_regular_expression(void **state)
{
	(void)state;
	assert_true(holds("key =~ \"^customer-[0-9]+$\""));
	assert_false(holds("key =~ \"^[0-9]+$\""));
	assert_true(holds("key !~ \"^[0-9]+$\""));
	assert_true(holds("status =~ '(paid|refunded)'"));
	assert_true(holds("amount =~ '^2.$'"));
	assert_refused("key =~ '('", "not a regular expression");
}

static void what_is_not_there_compares_to_nothing(void **state)
{
	(void)state;
	static const char *const never[] = {
	    "price == 1", "price != 1", "price < 1", "price >= 1", "price =~ .", "price !~ x", "!(price == 1)", "price",
	    "price == 1 || price != 1", "!(price == 1 && status == paid)"};
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		assert_false(holds(never[i]));
	assert_true(holds("!price"));
	assert_true(holds("price == 1 || status == paid"));
	assert_true(holds("!(price == 1 && status == open)"));
	assert_true(holds("!price || price != 1"));
}

static void a_payload_that_is_no_json_does_not_match(void **state)
{
	(void)state;
	static const char *const payloads[] = {"", "amount == 20", "20", "[20]", "{\"amount\":20", "{\"amount\":20} x",
	                                       "{\"amount\":\"\xff\"}"};
	for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
		struct mq_rec r = {.payload = payloads[i], .payload_len = (uint32_t)strlen(payloads[i])};
		assert_false(holds_for("amount == 20", &r));
		assert_false(holds_for("amount != 20", &r));
		assert_false(holds_for("!(amount == 20)", &r));
	}
	assert_true(holds_for("amount == 20", &(struct mq_rec){TEXT(" \t\n{ \"amount\" : 20 }\n")}));
}

/* --- expressions ---------------------------------------------------------------------------- */

static void and_binds_closer_than_or_and_brackets_closer_still(void **state)
{
	(void)state;
	assert_true(holds("id == 42 || id == 1 && id == 2"));
	assert_false(holds("(id == 42 || id == 1) && id == 2"));
	assert_true(holds("id == 1 && id == 2 || id == 42"));
	assert_true(holds("!(id == 1) && !id == 1"));
	assert_true(holds("!!id==42"));
	assert_true(holds("  ( ( id==42 ) )  "));
}

static void quotes_take_blanks_operators_and_each_other(void **state)
{
	(void)state;
	struct mq_rec r = {TEXT(""), .key = "a && \"b\" 'c' \\", .key_len = 14};
	assert_true(holds_for("key == \"a && \\\"b\\\" 'c' \\\\\"", &r));
	assert_true(holds_for("key == 'a && \"b\" \\'c\\' \\\\'", &r));
}

static void what_is_no_expression_is_refused_with_the_place(void **state)
{
	(void)state;
	assert_refused("", "byte 1: a field is wanted at ''");
	assert_refused("amount >", "a value is wanted at ''");
	assert_refused("amount 10", "byte 8: &&, || or the end is wanted at '10'");
	assert_refused("(amount > 1", "')' is wanted at ''");
	assert_refused("amount > 1 )", "wanted at ')'");
	assert_refused("amount > 1 && ", "a field is wanted at ''");
	assert_refused("amount > 1 & b", "wanted at '& b'");
	assert_refused("amount == 'x", "the end of the quoted text");
	assert_refused("; rm", "a field is wanted at '; rm'");
}

static void depth_and_length_are_bounded(void **state)
{
	(void)state;
	enum { N = 20000 };
	char *text = malloc(3 * N + 8);
	memset(text, '(', N);
	strcpy(text + N, "id");
	assert_refused(text, "less depth");
	memset(text, '!', N);
	assert_refused(text, "less depth");
	for (int i = 0; i < N; i++)
		memcpy(text + 3 * i, "a&&", 3);
	strcpy(text + 3 * N, "a");
	assert_refused(text, "so many tests");
	for (int i = 0; i < N; i++) /* a name of many dots */
		memcpy(text + 2 * i, "a.", 2);
	strcpy(text + 2 * N, "a");
	assert_false(holds(text));
	strcpy(text, "id==42");
	for (int i = 0; i < 900; i++)
		strcpy(text + 6 + 4 * i, "&&id");
	assert_true(holds(text));
	free(text);
}

/* --- filters -------------------------------------------------------------------------------- */

static bool wants(const struct mq_consume_request *req, const struct mq_rec *r)
{
	struct mq_filter f;
	struct mq_err err = MQ_ERR_INIT;
	if (mq_filter_init(&f, req, &err) < 0)
		fail_msg("%s", err.text);
	bool wanted = mq_filter_wants(&f, r);
	mq_filter_release(&f);
	return wanted;
}

#define WANTS(r, ...) wants(&(struct mq_consume_request){__VA_ARGS__}, r)

static void nothing_asked_takes_everything(void **state)
{
	(void)state;
	struct mq_filter f;
	assert_int_equal(mq_filter_init(&f, &(struct mq_consume_request)MQ_CONSUME_REQUEST_INIT, NULL), 0);
	assert_false(f.any);
	assert_true(mq_filter_wants(&f, &order));
	mq_filter_release(&f);
}

static void all_that_is_asked_must_hold(void **state)
{
	(void)state;
	assert_true(WANTS(&order, .key = "customer-7", .id = "42", .tag = "paid", .where = "amount > 10"));
	assert_false(WANTS(&order, .key = "customer-8", .id = "42", .tag = "paid", .where = "amount > 10"));
	assert_false(WANTS(&order, .key = "customer-7", .id = "43", .tag = "paid", .where = "amount > 10"));
	assert_false(WANTS(&order, .key = "customer-7", .id = "42", .tag = "open", .where = "amount > 10"));
	assert_false(WANTS(&order, .key = "customer-7", .id = "42", .tag = "paid", .where = "amount > 20"));
}

static void an_empty_key_is_not_a_missing_one(void **state)
{
	(void)state;
	assert_true(WANTS((&(struct mq_rec){TEXT(""), .key = "", .key_len = 0}), .key = ""));
	assert_false(WANTS((&(struct mq_rec){TEXT("")}), .key = ""));
	assert_false(WANTS(&order, .key = "customer"));
}

static void one_of_several_tags_is_enough(void **state)
{
	(void)state;
	assert_true(WANTS(&order, .tag = "paid||refunded"));
	assert_true(WANTS(&order, .tag = " refunded || paid "));
	assert_false(WANTS(&order, .tag = "refunded || pai"));
	assert_false(WANTS((&(struct mq_rec){TEXT("")}), .tag = "paid"));
	assert_true(WANTS((&(struct mq_rec){TEXT(""), .tag = "two words", .tag_len = 9}), .tag = "a || two words"));
}

static void a_tag_expression_with_a_gap_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "paid ||", "|| paid", "a || || b", "  "};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct mq_filter f;
		struct mq_err err = MQ_ERR_INIT;
		struct mq_consume_request req = {.tag = bad[i]};
		assert_int_equal(mq_filter_init(&f, &req, &err), MQ_EUSAGE);
		assert_non_null(strstr(err.text, "--tag"));
	}
}

static void every_header_asked_must_be_there_with_its_value(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	mq_header_append(&blob, "trace", 5, "7", 1);
	mq_header_append(&blob, "trace", 5, "8", 1);
	mq_header_append(&blob, "from", 4, "", 0);
	struct mq_rec r = {TEXT(""), .headers = blob.p, .headers_len = (uint32_t)blob.len};
	const struct mq_pair both[] = {{"trace", "7"}, {"from", ""}}, one[] = {{"trace", "8"}}, bad[] = {{"trace", "7"}, {"from", "x"}};
	assert_true(WANTS(&r, .headers = both, .n_headers = 2));
	assert_true(WANTS(&r, .headers = one, .n_headers = 1));
	assert_false(WANTS(&r, .headers = bad, .n_headers = 2));
	assert_false(WANTS(&order, .headers = one, .n_headers = 1));
	mq_buf_release(&blob);
}

static void headers_that_contradict_their_length_are_none(void **state)
{
	(void)state;
	static const char cut[] = "\5\0trac";
	struct mq_rec r = {TEXT(""), .headers = cut, .headers_len = sizeof cut - 1};
	const struct mq_pair one[] = {{"trace", ""}};
	assert_false(WANTS(&r, .headers = one, .n_headers = 1));
	assert_false(holds_for("header.trace", &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_asked_for_its_key_id_tag_offset_and_size),
		cmocka_unit_test(a_timestamp_is_compared_with_a_time),
		cmocka_unit_test(a_name_is_a_member_of_the_payload_and_dots_go_into_objects),
		cmocka_unit_test(a_dot_in_front_makes_a_name_the_payload_s),
		cmocka_unit_test(headers_are_found_by_name_and_where_the_payload_has_no_such_member),
		cmocka_unit_test(two_numbers_compare_as_numbers),
		cmocka_unit_test(large_whole_numbers_are_not_rounded),
		cmocka_unit_test(anything_else_compares_as_bytes),
		cmocka_unit_test(a_pattern_is_an_extended_regular_expression),
		cmocka_unit_test(what_is_not_there_compares_to_nothing),
		cmocka_unit_test(a_payload_that_is_no_json_does_not_match),
		cmocka_unit_test(and_binds_closer_than_or_and_brackets_closer_still),
		cmocka_unit_test(quotes_take_blanks_operators_and_each_other),
		cmocka_unit_test(what_is_no_expression_is_refused_with_the_place),
		cmocka_unit_test(depth_and_length_are_bounded),
		cmocka_unit_test(nothing_asked_takes_everything),
		cmocka_unit_test(all_that_is_asked_must_hold),
		cmocka_unit_test(an_empty_key_is_not_a_missing_one),
		cmocka_unit_test(one_of_several_tags_is_enough),
		cmocka_unit_test(a_tag_expression_with_a_gap_is_refused),
		cmocka_unit_test(every_header_asked_must_be_there_with_its_value),
		cmocka_unit_test(headers_that_contradict_their_length_are_none),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ops_where", tests, NULL, NULL);
}
