#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a consumer tells the one who runs it: why it waits, why it does less than was asked, what to do next.

bats_require_minimum_version 1.5.0

setup() {
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
	said=$BATS_TEST_TMPDIR/said
	mkfifo "$BATS_TEST_TMPDIR/out"
}

until_said() { # PATTERN: within ten seconds
	for _ in $(seq 1000); do
		grep -q -e "$1" "$said" && return
		sleep 0.01
	done
	echo "not said: $1"
	cat "$said"
	return 1
}

@test "who waits for a topic says so once, and ends when nothing came" {
	mq-publish -m x other
	run -0 --separate-stderr timeout 20 mq-consume -f --until-idle 100ms nothere
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *nothere*waiting* ]]
	run -0 --separate-stderr timeout 20 mq-consume -q -f --until-idle 100ms nothere
	[ -z "$stderr" ]
	run -1 timeout 20 mq-consume -q -f --until-idle 100ms --fail-empty nothere
}

@test "who waits for a topic gets its first record, and is stopped without a word" {
	mq-consume -f late >"$BATS_TEST_TMPDIR/out" 2>"$said" &
	exec 9<"$BATS_TEST_TMPDIR/out"
	until_said late
	mq-publish -m first late
	read -r -t 10 -u 9 line
	[ "$line" = first ]
	kill $!
	wait $! || true
	mq-consume -f later >"$BATS_TEST_TMPDIR/out" 2>"$said" &
	until_said later
	kill $!
	status=0
	wait $! || status=$?
	[ "$status" -eq 143 ]
	[ "$(wc -l <"$said")" -eq 1 ]
}

@test "a start that the group's place overrides is told once, with the way to move it" {
	mq-topic create t --partitions 3
	for p in 0 1 2; do mq-publish -m x t:$p; done
	run -0 --separate-stderr mq-consume -g g -o beginning t
	[ -z "$stderr" ]
	run -0 --separate-stderr mq-consume -g g -o beginning t
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *"group g"*"mq-group seek"* ]]
	for silent in '-q -o beginning' '-o stored' '-o ..end' ''; do
		run -0 --separate-stderr mq-consume -g g $silent t
		[ -z "$stderr" ]
	done
}

@test "more jobs than can run are told to a person, or with -v" {
	mq-publish -m x t
	run -0 --separate-stderr mq-consume -g a -j 8 t -- true
	[ -z "$stderr" ]
	run -0 --separate-stderr mq-consume -v -g b -j 8 t -- true
	[[ $stderr == *"1 of 8 jobs"*"--order none"* ]]
	run -0 script -qec 'mq-consume -g c -j 8 t -- true' /dev/null </dev/null
	[[ $output == *"1 of 8 jobs"* ]]
	for none in '--order none -j 8' '--order key -j 8' '-j 1' '-q -j 8'; do
		run -0 script -qec "mq-consume -g d $none t -- true" /dev/null </dev/null
		[ -z "$output" ]
	done
}

@test "a member that finds everything taken says so with -v" {
	mq-topic create t --partitions 1
	mq-publish -m x t:0
	mq-consume -f -g g t >"$BATS_TEST_TMPDIR/out" &
	first=$!
	exec 9<"$BATS_TEST_TMPDIR/out"
	read -r -t 10 -u 9 line
	mq-consume -v -f -g g t 2>"$said" >/dev/null &
	until_said '1 of 1 partitions are held by other members of group g'
	kill $first
	until_said 't:0: taken'
	kill $!
	wait || true
}

@test "a member that comes gets its share of what another has" {
	mq-topic create t --partitions 2
	mq-publish -m x t:0
	mq-consume -v -f -g g t 2>"$said" >"$BATS_TEST_TMPDIR/out" &
	first=$!
	exec 9<"$BATS_TEST_TMPDIR/out"
	read -r -t 10 -u 9 line
	mq-consume -f -g g t >"$BATS_TEST_TMPDIR/got" &
	second=$!
	until_said 'given to another member'
	until [ "$(mq-group show -g g --json t | jq -s 'map(select(.owned).pid) | unique | length')" = 2 ]; do :; done
	for p in 0 1; do mq-publish -m $p t:$p; done
	read -r -t 10 -u 9 line
	until [ -s "$BATS_TEST_TMPDIR/got" ]; do :; done
	[ "$(sort - "$BATS_TEST_TMPDIR/got" <<<"$line")" = $'0\n1' ]
	kill $first $second
	wait || true
}

@test "a failed record says that the run ends, and what then" {
	mq-publish -m x t
	run -75 --separate-stderr mq-consume -g g t -- false
	[[ $stderr == *"t:0:0: "*"status 1"*"not committed"*"next"*"mq-group seek -g g t:0:1" ]]
	mq-group seek -g g t:0:1
	[ "$(mq-consume -g g t)" = '' ]
	run -75 --separate-stderr mq-consume -g h --coproc t -- sh -c 'read -r line; echo fail the bridge is closed'
	[[ $stderr == *"its handler failed with status 1: the bridge is closed; not committed"* ]]
	run -75 --separate-stderr mq-consume -g h --commit=before t -- false
	[[ $stderr == *"goes on behind it"* ]]
	run -75 --separate-stderr mq-consume t -- false
	[[ $stderr == *"the run ends here" ]]
}

@test "a coproc is told what an answer is, and that it ended too early" {
	mq-publish -m x t
	run -75 --separate-stderr mq-consume -g g --coproc t -- sh -c 'read -r x; echo ans 1; read -r x'
	[[ $stderr == *"'ans 1'"*"begin with ok, fail"* ]]
	run -75 --separate-stderr mq-consume -g g --coproc t -- sh -c 'read -r x'
	[[ $stderr == *"ended (status 0) before it answered"* ]]
}

@test "a payload that would be split is never told to be printed as it was" {
	printf 'a\0b\nc' | mq-publish --one t
	run -65 --separate-stderr mq-consume t
	[[ $stderr == *"--json or -0"* ]]
	run -65 --separate-stderr mq-consume -0 t
	[[ $stderr == *"--frame or --json" ]]
}

@test "times that may mean two things are refused with what to write" {
	mq-publish -m x t
	run -64 mq-consume -o @5m t
	[[ $output == *"@-5m or @+5m"* ]]
	run -64 mq-consume -o @1714566896000 t
	[[ $output == *milliseconds* ]]
	run -64 mq-consume -o @20260131 t
	run -64 mq-group seek -g g -o @2h t
	run -64 mq-consume --where 'timestamp > 2026' t
	run -0 mq-consume -o @0 t
}
