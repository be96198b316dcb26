#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# --prefetch is of a member: so many records are given out at once, or taken ahead, over all that it reads.
load one_spool

setup() {
	in_a_spool
	pids=()
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq $((p * 100)) $((p * 100 + 99)) | mq-publish -p $p T; done
	touch got
}

teardown() {
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2> /dev/null || true; done
	wait
}

# A coproc that tells what came to it, and never answers.
eager='while read -r x; do echo "$x" >> got; done; cat'

reads() { # ARGUMENT ...
	mq-consume -f -g g --coproc "$@" T -- sh -c "$eager" 2> said &
	pids+=($!)
}

# Nothing more comes: what is there to hear of has been heard when the member has slept for a moment.
sleeps() { [ "$(cut -d ' ' -f 3 /proc/"${pids[0]}"/stat)" = S ]; }

in_flight() { mq-group show -g g --json T | sed -n 's/.*"in_flight":\([0-9]*\),.*/\1/p' | awk '{ n += $1 } END { print n + 0 }'; }

has_in_flight() { [ "$(in_flight)" = "$1" ]; }

@test "coprocs of several partitions have so many records in hand together" {
	reads --prefetch 4
	until_true lines got 4
	until_true sleeps
	until_true sh -c "mq-group show -g g T | grep -c 'pid ${pids[0]} ' | grep -qx 3"
	until_true sleeps
	is "$(sort -u got | wc -l)" 4
}

@test "without it each coproc has 64" {
	reads
	until_true lines got 192
	until_true sleeps
	is "$(wc -l < got)" 192
}

@test "as answers come the next ones are given, from all partitions" {
	mq-consume -g g --coproc --prefetch 2 T -- sh -c 'while read -r x; do echo "$x" >> got; echo ok; done'
	is "$(sort -n got)" "$(seq 0 299)"
}

@test "shared, a member takes one for each coproc, and so many more in all" {
	mq-consume -f --share -g g --coproc --prefetch 4 T -- sh -c "$eager" 2> said &
	pids+=($!)
	until_true has_in_flight 7
	until_true sleeps
	is "$(in_flight)" 7
	until_true lines got 7
	is "$(sort -u got | wc -l)" 7
}
