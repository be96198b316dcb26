#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# Members of groups when something fails: told and ended, never silent, never beyond what was done.
load consume_faults

bad_slots() {
	seq 3 | mq-publish T
	for _ in 1 2; do mq-consume -g g -n 1 T > /dev/null; done
	flip the-spool/groups/g/topics/T/offsets 20
	flip the-spool/groups/g/topics/T/offsets 4116
	for how in '' -f --manual '--manual -f' '-o 2..'; do
		ends 2 mq-consume -g g $how T
		has "$said" 'no slot verifies'
	done
	ends 2 mq-consume -f -g g T -- touch begun
	has "$said" 'no slot verifies'
	[ ! -e begun ]
}
@test "two bad slots end a member loudly" { each bad_slots; }

beyond_the_end() {
	seq 3 | mq-publish T
	# The place of a copy that went on: this log was never recovered, so nothing filled the difference.
	cp -a the-spool copy
	seq 4 6 | MQ_SPOOL=$PWD/copy mq-publish T
	MQ_SPOOL=$PWD/copy mq-consume -g g T > /dev/null 2>&1
	cp -a copy/groups the-spool/
	for how in '' -f --manual; do
		ends 2 mq-consume -g g $how T
		has "$said" 'stands at 6, behind the end 3'
	done
	is "$(at g T)" 6
}
@test "a place behind the end of the log ends a member loudly" { each beyond_the_end; }

unreadable_segment() {
	need_strace
	seq 3 | mq-publish T
	for from in 1 2 3 4 5 6; do
		for how in '' -f; do
			got=0
			faulty "$(segment T)" "pread64:error=EIO:when=$from+" mq-consume -g g$from $how T > /dev/null || got=$?
			# A reader needs no more than the first few: then it ends well, and a follower waits until it is ended.
			[ $got = 74 ] || { [ $from -gt 2 ] && [ $got = 0 ] && [ -z "$how" ]; } ||
				{ [ $from -gt 2 ] && [ $got = 124 ] && [ -n "$how" ]; } ||
				{ echo "when=$from $how: status $got: $(cat why)"; return 1; }
		done
	done
}
@test "a segment that cannot be read ends a member with 74" { each unreadable_segment; }

unreadable_place() {
	need_strace
	seq 9 | mq-publish T
	mq-consume -g g -n 5 T > /dev/null
	for n in 1 2 3 4 5 6; do
		faulty "$PWD/the-spool/groups/g/topics/T/offsets" "pread64:error=EIO:when=$n" mq-consume -g g -o ..stored T > out || true
		[ ! -s out ]
		faulty "$PWD/the-spool/groups/g/topics/T/offsets" "pread64:error=EIO:when=$n" mq-consume -g g -o 8.. T > out && status=0 || status=$?
		# It has a place, and an offset asked for is for a group that has none.
		[ $status = 0 ] || is "$(at g T)" 5
		[ $status != 0 ] || is "$(cat out)" "$(seq 6 9)"
		mq-group seek -g g -o 5 T > /dev/null
		faulty "$PWD/the-spool/groups/g/topics/T/offsets" "pread64:error=EIO:when=$n" mq-group seek -g g -o stored T || true
		is "$(at g T)" 5
	done
}
@test "a place that cannot be read is not taken for none" { each unreadable_place; }

freed_late() {
	echo 1 | mq-publish T
	# A descendant holds the lock longer than its consumer lives, and says nothing when it ends.
	mq-consume -f -g g T -- sh -c 'touch begun; sleep 5; true' &
	first=$!
	until_true test -e begun
	mq-consume -f -g g T > out &
	second=$!
	until_true sh -c "grep -qs . /proc/$second/syscall && ls the-spool/groups/g/members | grep -c . | grep -qx 2"
	kill -9 $first
	wait $first || true
	until_true lines out 1
	echo 2 | mq-publish T
	until_true lines out 2
	kill $second
	wait $second || true
}
@test "a follower takes over when a dead member's handler ends at last" { each freed_late; }

acks_of_before() {
	seq 0 4 | mq-publish T
	mq-consume --manual -g g --timeout 0s T > positions || true
	lines positions 5
	sed -n '2,5p' positions | mq-group commit -g g
	mq-consume --manual -g g -n 1 --timeout 10s T > again &
	until_true lines again 1
	mq-group commit -g g < again
	got=0
	wait $! || got=$?
	is $got 0
	is "$(at g T)" 5
}
@test "--manual: acknowledgements of an earlier run may carry the place past what this one printed" { each acks_of_before; }

killed_while_new() {
	need_strace
	seq 0 9 | mq-publish T
	for call in fdatasync pwrite64 fcntl; do
		for n in $(seq 20); do
			faulty '' "$call:signal=KILL:when=$n" mq-consume -g $call$n -o 5.. T > out && break
			place=$(at $call$n T 2> /dev/null || true)
			case $place in '' | null | 5 | 10) ;; *) echo "$call $n: the place is $place"; return 1 ;; esac
		done
		is "$(cat out)" "$(seq 5 9)"
	done
}
@test "a new group begins where it was told, or is killed before it has a place" { each killed_while_new; }

new_behind_the_end() {
	seq 3 | mq-publish T
	# Such a place would be taken for a log that has lost its end by the next run.
	ends 65 mq-consume -g g -o 200.. T
	has "$said" 'behind the end'
	is "$(mq-consume -g g T)" "$(seq 3)"
}
@test "a new group is not set behind the end" { each new_behind_the_end; }

half_deleted() {
	need_strace
	seq 5 | mq-publish T
	mq-group seek -g g -o end T > /dev/null
	mq-consume -f -g g T > out 2> said-by-consumer &
	consumer=$!
	trap 'kill $consumer 2> /dev/null || true' EXIT
	until_true asleep T
	# Whoever deletes the group is killed when its files have lost their name, and are all there still.
	faulty '' fsync:signal=KILL:when=1 mq-group delete -g g --force T || true
	[ -e the-spool/groups/g/topics/.gone-*/offsets ]
	until_true sh -c "! kill -0 $consumer 2> /dev/null"
	got=0
	wait $consumer || got=$?
	is $got 66
	has "$(cat said-by-consumer)" deleted
}
@test "a member hears of a deletion that ended half-way" { each half_deleted; }
