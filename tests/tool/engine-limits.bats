#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A topic's limits, and input that comes in batches larger than they are: how it is cut is nobody's choice.
load engines

# What a limit of five makes of nine records, however they come.
drops_oldest() { # INPUT PUBLISH-ARGS ...
	local topic=$1
	shift
	mq-topic create "$topic" max.messages=5 when.full=drop-oldest
	timeout 30 mq-publish "$@" "$topic"
	is "$(mq-consume "$topic")" $'5\n6\n7\n8\n9'
}

oldest_go() {
	seq 9 | drops_oldest L
	seq 9 | awk '{print "k:" $1}' | drops_oldest K -K :
	seq 9 | drops_oldest N --producer p
	seq 9 | sed 's/.*/{"payload":"&"}/' | drops_oldest J -J
	seq 20 | timeout 30 mq-publish K
	is "$(mq-consume K)" $'16\n17\n18\n19\n20'
}
@test "under drop-oldest a batch above max.messages leaves the last of it" { each oldest_go; }

fails_behind() {
	mq-topic create T max.messages=5 when.full=fail
	got=$(seq 7 | mq-publish --confirm T 2>/dev/null) || status=$?
	[ "$status" = 75 ]
	is "$(printf '%s\n' "$got" | cut -f 1)" $'T:0:0\nT:0:1\nT:0:2\nT:0:3\nT:0:4\n-\n-'
	is "$(mq-consume T)" "$(seq 5)"
	mq-topic create K max.messages=5 when.full=fail
	seq 7 | fails 75 mq-publish -H a=b --id-field 1 K
	has "$said" '5 records were stored before that'
	is "$(mq-consume -J K | sed 's/.*"id":"\([0-9]*\)".*/\1/')" "$(seq 5)"
	mq-publish -m x K > said 2>&1 || status=$?
	is "$status $(grep -c stored said || true)" '75 0' # of none that was nothing is said
}
@test "under fail what fits is stored, the rest is not" { each fails_behind; }

waits_behind() {
	mq-topic create T max.messages=5
	seq 7 | mq-publish --producer p --confirm T > out &
	until_true lines out 5
	is "$(mq-consume T)" "$(seq 5)"
	mq-topic purge -o 2 T
	wait $!
	is "$(cat out)" $'T:0:0\nT:0:1\nT:0:2\nT:0:3\nT:0:4\nT:0:5\nT:0:6'
	is "$(mq-consume T)" "$(seq 3 7)"
	mq-topic purge T
	# The numbers are those of the input, wherever it was cut.
	seq 9 | mq-publish --producer p --seq 1 T
	is "$(mq-consume T)" $'8\n9'
	mq-topic create U max.messages=5
	seq 7 | fails 75 mq-publish --timeout 100ms U
	is "$(mq-consume U)" "$(seq 5)"
}
@test "under block what fits is stored, the rest when there is space" { each waits_behind; }

by_bytes() {
	seq -f '%099.0f' 2000 > in
	mq-topic create F max.bytes=64K when.full=fail
	fails 75 mq-publish -l F in
	mq-consume F > out
	[ "$(wc -l < out)" -gt 300 ]
	head -n "$(wc -l < out)" in | cmp - out
	mq-topic create D max.bytes=64K when.full=drop-oldest
	timeout 60 mq-publish -l D in
	mq-consume D > out
	[ "$(wc -l < out)" -gt 300 ]
	tail -n "$(wc -l < out)" in | cmp - out
	mq-topic create K max.bytes=64K when.full=drop-oldest
	timeout 60 mq-publish -l -k key K in
	mq-consume K > out
	[ "$(wc -l < out)" -gt 300 ]
	tail -n "$(wc -l < out)" in | cmp - out
}
@test "max.bytes the same" { each by_bytes; }

never() {
	for full in block fail drop-oldest; do
		mq-topic create $full max.bytes=32K when.full=$full
		{ echo small; head -c 40000 /dev/zero | tr '\0' x; echo; } | fails 65 timeout 30 mq-publish $full
		has "$said" max.bytes=32768
		is "$(mq-consume $full)" small
	done
}
@test "one record larger than max.bytes is refused, with the reason, and drops nothing" { each never; }

tells_that_it_waits() {
	mq-topic create T max.messages=1
	mq-publish -m one T
	timeout 60 mq-publish -q -m quiet T 2> quiet &
	timeout 60 mq-publish -m plain T 2> plain &
	timeout 60 mq-publish -v -m verbose T 2> verbose &
	until_true lines plain 1
	until_true lines verbose 1
	has "$(cat plain)" 'mq-publish: T:0: the topic is full'
	has "$(cat plain)" '; waiting for space (--timeout bounds the wait)'
	for _ in quiet plain verbose; do
		before=$(mq-topic show T --json)
		mq-topic purge T
		until_true purged_and_filled
	done
	wait
	is "$(cat quiet)" ''
	lines plain 1
	[ "$(wc -l < plain)" = 1 ]
	[ "$(wc -l < verbose)" = 3 ]
	has "$(sed -n 2p verbose)" 'T:0: there is space again after '
	fails 75 mq-publish --timeout 3s -m late T
	is "$(printf '%s\n' "$said" | sed 's/ is full.*; / is full; /')" \
		$'mq-publish: T:0: the topic is full; waiting for space, 3 s at most (--timeout)\nmq-publish: T:0: the topic is full; no space came in time (--timeout)'
	# One that does not wait so long says nothing of it.
	fails 75 mq-publish --timeout 100ms -m late T
	is "$(printf '%s\n' "$said" | sed 's/ is full.*; / is full; /')" 'mq-publish: T:0: the topic is full; no space came in time (--timeout)'
}

# Somebody has put a record in the place that was made.
purged_and_filled() {
	[ "$(mq-topic show T --json)" != "$before" ] && [ "$(mq-consume T | wc -l)" = 1 ]
}
@test "who waits for space says so after a second, once, and with -v when it goes on" { each tells_that_it_waits; }

changed_while_waiting() {
	mq-topic create T max.messages=1
	mq-publish -m one T
	timeout 60 mq-publish -m two T 2> said &
	until_true lines said 1
	mq-topic set T max.messages=2
	wait $!
	is "$(mq-consume T)" $'one\ntwo'
	timeout 60 mq-publish -m three T 2> said &
	until_true lines said 1
	mq-topic set T when.full=drop-oldest
	wait $!
	is "$(mq-consume T)" $'two\nthree'
	mq-topic set T when.full=block
	timeout 60 mq-publish -m four T 2> said &
	until_true lines said 1
	mq-topic set T when.full=fail
	wait $! && status=0 || status=$?
	[ "$status" = 75 ]
	is "$(mq-consume T)" $'two\nthree'
	mq-topic set T when.full=block max.bytes=8K
	mq-topic set T max.messages=-1
	fails 75 mq-publish --timeout 100ms -l T <(seq -f '%0999.0f' 20)
	n=$(mq-consume T | wc -l)
	timeout 60 mq-publish -l T <(seq -f '%0999.0f' 2) 2> said &
	until_true lines said 1
	mq-topic set T max.bytes=1M
	wait $!
	is "$(mq-consume T | wc -l)" $((n + 2))
}
@test "who waits for space goes by the limit as it is changed" { each changed_while_waiting; }
