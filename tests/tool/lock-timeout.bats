#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# --timeout bounds the wait for the append lock, which somebody may hold who was stopped.
load one_spool
load locks

setup() {
	in_a_spool
	lock=spool/topics/T/0/lock
}

teardown() {
	kill -KILL $(jobs -p) 2> /dev/null || true
}

# Ended by itself, with 75 and all that there is to say.
too_late() { # COMMAND ...
	fails 75 timeout 30 "$@"
	has "$said" 'T:0: '
	has "$said" 'another process holds the append lock'
	has "$said" '0.2 s (--timeout)'
}

@test "a publisher that does not get the lock in time says so, and has stored nothing" {
	mq-publish -m one T
	hold_append $lock
	too_late mq-publish --timeout 200ms -m two T
	seq 3 | too_late mq-publish --timeout 200ms T
	too_late mq-publish --timeout 200ms --producer p -m two T
	too_late mq-publish --timeout 200ms --ack none -m two T
	let_go
	is "$(mq-consume T)" one
	mq-publish --timeout 200ms -m two T
	is "$(mq-consume T)" $'one\ntwo'
}

@test "each record that the lock came too late for is told not to be stored" {
	mq-publish -m one T
	hold_append $lock
	seq 2 | mq-publish --timeout 200ms --confirm T > out 2> said && status=0 || status=$?
	let_go
	[ "$status" = 75 ]
	is "$(cut -f 1 out)" $'-\n-'
	has "$(cat out)" 'another process holds the append lock'
}

@test "a lock that comes in time is waited for" {
	mq-publish -m one T
	hold_append $lock
	mq-publish --timeout 60s -m two T &
	until_true slept $!
	let_go
	wait %?two
	is "$(mq-consume T)" $'one\ntwo'
}

# It has gone to sleep again and again: it tries.
slept() { # PID
	[ "$(awk '/^voluntary/ { print $2 }' "/proc/$1/status")" -ge 10 ]
}

@test "without --timeout the kernel waits, and nobody tries again and again" {
	mq-publish -m one T
	hold_append $lock
	mq-publish -m two T &
	pid=$!
	until_true grep -q -- "-> OFDLCK.*:$(stat -c %i $lock) 0 0" /proc/locks
	before=$(awk '/^voluntary/ { print $2 }' /proc/$pid/status)
	for _ in 1 2 3 4 5; do mq-consume T > /dev/null; done
	is "$(awk '/^voluntary/ { print $2 }' /proc/$pid/status)" "$before"
	let_go
	wait $pid
	is "$(mq-consume T)" $'one\ntwo'
}

@test "a purge ends in time, and has dropped nothing" {
	seq 3 | mq-publish T
	hold_append $lock
	too_late mq-topic purge --timeout 200ms T
	let_go
	is "$(mq-consume T)" "$(seq 3)"
}

@test "a deletion ends in time, and has deleted nothing" {
	mq-topic create T --partitions 2
	seq 3 | mq-publish -p 1 T
	hold_append $lock
	too_late mq-topic delete --timeout 200ms T
	let_go
	is "$(mq-consume T)" "$(seq 3)"
	mq-publish -p 1 -m 4 T
	is "$(mq-consume T)" "$(seq 4)"
	mq-topic delete --timeout 10s T
	is "$(mq-topic list)" ''
}

@test "mending ends in time, tells what it could not do, and does it later" {
	seq 3 | mq-publish T
	printf x | dd of=spool/topics/T/0/state bs=1 seek=4000 conv=notrunc 2> /dev/null
	touch spool/topics/T/0/00000000000000000009.abcdef01.idx
	hold_append $lock
	fails 75 timeout 30 mq-check --mend --timeout 200ms T
	has "$said" 'another process holds the append lock, and did not let it go within 0.2 s (--timeout)'
	has "$said" 'state'
	has "$said" 'idx'
	let_go
	mq-check --mend --timeout 200ms T
	mq-check T > out
	is "$(cat out)" ''
}

@test "a reader that cannot have the log recovered in time shows what verifies" {
	seq 3 | mq-publish T
	cp -a spool/topics/T/0/state state
	rm spool/topics/T/0/state
	cp state spool/topics/T/0/state
	hold_append $lock
	is "$(timeout 30 mq-consume --timeout 200ms T)" "$(seq 3)"
	let_go
}

@test "who waits for the lock for so long obeys a stop signal, too" {
	mq-publish -m one T
	hold_append $lock
	for tool in 'mq-publish -m two' 'mq-topic purge' 'mq-topic delete'; do
		$tool --timeout 60s T 2> said &
		pid=$!
		until_true slept $pid
		kill -TERM $pid
		status=0
		wait $pid || status=$?
		[ "$status" = 143 ] || { echo "$tool: status $status"; cat said; false; }
		has "$(cat said)" 'stopped while another process holds the append lock'
	done
	let_go
	is "$(mq-consume T)" one
}

# Four who lead a sync and were stopped in it: no sync byte is left.
stop_leaders() {
	leaders=()
	for i in 1 2 3 4; do
		MQ_TEST_FAULT=fdatasync:1:path=.seg:stop-before "$MQ_BUILD/tests/traced/mq-publish" -m "stopped $i" T > /dev/null 2>&1 &
		leaders+=($!)
		until_true grep -qs '^State:.T' "/proc/$!/status"
	done
}

kill_leaders() {
	kill -KILL "${leaders[@]}"
	wait "${leaders[@]}" 2> /dev/null || true
}

@test "what no sync made durable in time is told as unknown, never as stored" {
	mq-publish -m one T
	stop_leaders
	fails 74 timeout 30 mq-publish --timeout 200ms -m two T
	has "$said" 'T:0: offsets 5 to 5, outcome unknown'
	has "$said" '1 s (--timeout)'
	seq 3 | timeout 30 mq-publish --timeout 200ms --confirm T > out 2> said && status=0 || status=$?
	[ "$status" = 74 ]
	is "$(cut -f 1 out | sort -u)" -
	mq-publish --timeout 200ms --ack none -m none T
	kill_leaders
	mq-publish --timeout 200ms -m last T
	is "$(mq-consume T | sort -u | grep -c -e one -e two -e none -e last)" 4
	mq-check
}

@test "a roll that cannot sync in time has stored nothing" {
	mq-topic create T segment.bytes=8192
	head -c 4000 /dev/zero | tr '\0' x | mq-publish --one T
	stop_leaders
	head -c 4000 /dev/zero | tr '\0' y > in
	fails 75 timeout 30 mq-publish --timeout 200ms T in
	has "$said" '1 s (--timeout)'
	kill_leaders
	mq-publish --timeout 200ms T in
	is "$(mq-consume T | grep -c y)" 1
	mq-check
}

stands() { grep -q '^State:.T' "/proc/$1/status"; }

@test "who stood still for longer than it waits tries once more to make it durable" {
	mq-publish -m one T
	traced=$MQ_BUILD/tests/traced/mq-publish
	MQ_TEST_FAULT=fdatasync:1:path=.seg:stop-before $traced -m leads T &
	leader=$!
	until_true stands $leader
	MQ_TEST_FAULT=futex_wait:1:stop-after $traced --timeout 1s -m waits T &
	waiter=$!
	until_true stands $waiter
	kill -CONT $leader
	wait $leader
	sleep 1.2
	kill -CONT $waiter
	wait $waiter
	is "$(mq-consume T)" $'one\nleads\nwaits'
}
