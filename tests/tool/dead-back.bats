#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Dead letters that are put back: mq-replay --dead-letters.
load one_spool

rejects() { # GROUP [PAYLOAD ...]: these, or all
	local group=$1
	shift
	mq-consume -q -g "$group" T -- sh -c 'read -r x; [ $# = 0 ] && exit 100; for y; do [ "$x" = "$y" ] && exit 100; done; exit 0' sh "$@"
}
gets() { mq-consume -q -g "$1" T | sort | paste -sd ' '; } # what is there for a group

@test "each goes back to the partition that it came from, for the group that gave up on it and no other" {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do
		mq-publish -k "key $p" -T tag --id "$p" -H a=b -p "$p" -m "m$p" T
	done
	rejects billing
	rejects audit none
	is "$(mq-consume T.dead | wc -l)" 3
	is "$(mq-replay --dead-letters -g billing T 2>&1)" ''
	is "$(gets audit)" ''
	is "$(gets other)" 'm0 m1 m2'
	mq-consume -q -g billing T -- sh -c 'echo "$MQ_PARTITION $MQ_KEY $MQ_TAG $MQ_ID $MQ_HEADER_A $MQ_ATTEMPT $MQ_HEADER_MQ_REPLAYS $(cat) ${MQ_HEADER_MQ_REASON-alive}" >> got'
	is "$(sort got)" "$(for p in 0 1 2; do echo "$p key $p tag $p b 1 1 m$p alive"; done)"
	is "$(mq-consume T.dead | wc -l)" 3
	mq-check -q
}

@test "what cannot go back is told" {
	mq-publish -m a T
	fails 66 mq-replay --dead-letters T
	has "$said" 'T has no dead letters'
	fails 66 mq-replay --dead-letters U
	has "$said" 'no topic U:'
	rejects billing
	fails 64 mq-replay --dead-letters T.dead
	has "$said" 'the topic that they go back to is wanted, T'
	has "$(mq-replay --dead-letters -g biling T 2>&1)" 'nothing went back this time'
	is "$(mq-replay -q --dead-letters -g biling T 2>&1)" ''
	is "$(gets billing)" ''
	is "$(mq-replay --dead-letters -g billing T 2>&1)" ''
	is "$(gets billing)" a
}

@test "a group is chosen, and what others have put into TOPIC.dead stays where it is" {
	seq 4 | mq-publish T
	rejects one 1 2
	rejects two 3
	mq-publish -m foreign T.dead
	echo '{"payload":"false","headers":{"mq-origin":"elsewhere:0:0","mq-group":"one"}}' | mq-publish --json T.dead
	is "$(mq-replay --dead-letters -g two --dry-run T | tail -n 1)" '1 records, 1 bytes'
	is "$(mq-replay --dead-letters --dry-run T | tail -n 1)" '3 records, 3 bytes'
	mq-replay --dead-letters -g two T
	is "$(gets one)" ''
	is "$(gets two)" 3
	mq-replay --dead-letters T
	is "$(gets one)" '1 2'
	is "$(gets two)" 3
	mq-replay --dead-letters -n 1 T
	is "$(gets one)" 1
}

@test "what is put back dies again with a count, and comes back once more when that is wanted" {
	echo x | mq-publish T
	rejects g
	for n in 1 2 3; do
		mq-replay --dead-letters -g g -o $((n - 1)) T
		mq-consume --json T | tail -1 | grep -q "\"headers\":{\"mq-replays\":\"$n\"}"
		rejects g
	done
	mq-replay --dead-letters -g g T # all that died, four times
	is "$(gets g)" 'x x x x'
}

@test "one that is older than the topic's ttl comes back as a new record" {
	mq-topic create T ttl.ms=1h
	echo "{\"payload\":\"old\",\"timestamp\":$(($(date +%s) - 3000))}" | mq-publish --json T
	rejects g
	mq-topic set T ttl.ms=10m
	mq-topic set T.dead ttl.ms=-1
	mq-replay --dead-letters -g g T
	is "$(gets g)" old
}

@test "killed at any call, the same command puts back the rest: each once" {
	for n in $(seq 1 7 160); do
		rm -rf "$MQ_SPOOL"
		mq-topic create --partitions 2 T
		seq 40 | mq-publish -p 0 T
		seq 41 80 | mq-publish -p 1 T
		rejects g
		MQ_TEST_FAULT="*:$((n + 40)):path=/T:kill-after" "$MQ_BUILD/tests/traced/mq-replay" -q --dead-letters -g g T 2> /dev/null || true
		mq-replay -q --dead-letters -g g T
		mq-consume -q -g g T > got
		sort -n got | uniq -c | awk '{print $1}' | sort -u > times
		# A run that had ended before it was killed is a run that was wanted: then all come twice.
		[ "$(cat times)" = 1 ] || [ "$(cat times)" = 2 ]
		is "$(sort -nu got)" "$(seq 80)"
		mq-check -q
	done
}

@test "what makes no sense is refused with what to do" {
	echo x | mq-publish T
	fails 64 mq-replay --dead-letters --to X T
	has "$said" 'go back where they came from'
	fails 64 mq-replay -g g T
	has "$said" 'mq-group seek'
	fails 64 mq-replay --dead-letters T:0
	fails 64 mq-replay --dead-letters --json T
	has "$said" 'mq-consume T.dead shows them'
	fails 66 mq-replay --dead-letters T
}
