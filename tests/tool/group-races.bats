#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Members and mq-group in each other's way, and in that of others: stopped between two calls, held up by a lock, out of space.
load consume_faults

# A tool that reads `input` and stops itself where the rule says so, as tests/traced.c has it: its pid is in $held.
hold() { # RULE TOOL [ARGUMENT ...]
	touch input
	MQ_TEST_FAULT=$1 "$MQ_BUILD/tests/traced/$2" "${@:3}" < input > held-out 2> held-said &
	held=$!
	trap 'kill -KILL $held 2> /dev/null || true' EXIT
	until_true grep -qs '^State:.T' "/proc/$held/status"
}

let_go() { # STATUS
	local got=0
	kill -CONT "$held"
	wait "$held" || got=$?
	is "$got" "$1"
}

positions() { # of T, all
	mq-consume --manual -g g --timeout 0s T 2> /dev/null || true
}

commit_to_none() {
	seq 0 4 | mq-publish T
	positions > all
	sed -n 2p all > input
	hold openat:2:path=/locks:stop-before mq-group commit -g g
	mq-group delete -g g
	let_go 66
	is "$(mq-group list -q)" ''
}
@test "an acknowledgement does not make a group anew that was deleted meanwhile" { each commit_to_none; }

begin_of_none() {
	seq 0 4 | mq-publish T
	mq-group seek -g g -o 0 T > /dev/null
	for n in 2 3; do # the plan's, and the handler's
		hold openat:$n:path=/locks:stop-before mq-consume -g g T -- touch begun
		mq-group delete -g g --force
		let_go 66
		has "$(cat held-said)" deleted
		[ ! -e begun ]
	done
}
@test "no handler begins for a group that was deleted meanwhile" { each begin_of_none; }

join_again() {
	seq 0 4 | mq-publish T
	for rule in mkdirat:2:stop-before mkdirat:2:stop-after openat:2:path=/members/:stop-before; do
		hold $rule mq-consume -g g T
		mq-group delete -g g
		let_go 0
		is "$(cat held-out)" "$(seq 0 4)"
		mq-group delete -g g
	done
}
@test "who joins a group while it is deleted joins the next one" { each join_again; }

no_space() {
	seq 0 4 | mq-publish T
	is "$(mq-consume -g g -n 1 T)" 0
	n=1
	for error in ENOSPC EDQUOT; do
		is "$(MQ_TEST_FAULT=openat:2:path=/members/:$error "$MQ_BUILD/tests/traced/mq-consume" -g g -n 1 T)" $n
		n=$((n + 1))
		is "$(at g T)" $n
	done
	is "$(ls -A the-spool/groups/g/members)" ''
	# (The first openat there is for the names of dead members, whose files it would remove.)
	# It holds what it holds, and whoever waits for it looks by the clock.
	MQ_TEST_FAULT=openat:2:path=/members/:ENOSPC "$MQ_BUILD/tests/traced/mq-consume" -f -g g T > out &
	first=$!
	trap 'kill $first 2> /dev/null || true' EXIT
	until_true lines out 2
	is "$(mq-consume -g g T)" ''
	mq-consume -f -g g T > second &
	second=$!
	trap 'kill $first $second 2> /dev/null || true' EXIT
	until_true sh -c '[ "$(ls the-spool/groups/g/members | wc -l)" = 1 ]'
	kill $first
	wait $first || true
	echo 5 | mq-publish T
	until_true lines second 1
}
@test "a full disk keeps no member from reading" { each no_space; }

# Byte BYTE of the group's locks is in somebody else's hands, who does not go on.
lock_away() { # BYTE
	python3 - "the-spool/groups/g/topics/T/locks" "$1" > locked <<-'END' &
		import fcntl, os, struct, sys, time
		fd = os.open(sys.argv[1], os.O_RDWR)
		fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, int(sys.argv[2]), 1, 0))  # F_OFD_SETLK
		print('locked', flush=True)
		time.sleep(60)
	END
	locker=$!
	trap 'kill -KILL $locker $waiter 2> /dev/null || true' EXIT
	until_true test -s locked
}

somebody_waits() { grep -q -- "-> OFDLCK.*:$(stat -c %i the-spool/groups/g/topics/T/locks) " /proc/locks; }

obeys() { # the one that waits: a stop
	local got=0
	kill -TERM "$waiter"
	until_true sh -c "! kill -0 $waiter 2> /dev/null"
	wait "$waiter" || got=$?
	is "$got" 143
}

a_consumer_obeys() { # while it waits for what $locker has
	mq-consume -g g T > out 2> said &
	waiter=$!
	until_true somebody_waits
	obeys
}

stop_at_locks() {
	seq 0 4 | mq-publish T
	positions > all
	mq-group seek -g g -o 0 T > /dev/null
	positions > all
	waiter=
	lock_away $((1 << 34)) # of offsets, which is being replaced
	a_consumer_obeys
	kill $locker
	wait $locker || true
	rm locked
	lock_away $((1 << 33)) # of acknowledgements
	a_consumer_obeys
	sed -n 2p all > input
	mq-group commit -g g < input > out 2> said &
	waiter=$!
	until_true somebody_waits
	obeys
	# And in its time it gives up by itself.
	fails 75 timeout 20 mq-group commit -g g --timeout 10ms < input
	has "$said" 'within 1 s'
}
@test "who waits for a group's short locks obeys a stop signal, and its patience" { each stop_at_locks; }

stop_at_both() {
	seq 0 4 | mq-publish T
	positions > all
	mq-consume --manual -f -g g T > out 2> said &
	waiter=$!
	trap 'kill -KILL $waiter 2> /dev/null || true' EXIT
	until_true lines out 5
	stop_at_rest $waiter # it takes in nothing of this
	sed -n 1,2p all | mq-group commit -g g
	kill -KILL $waiter
	wait $waiter || true
	is "$(at g T)" 0
	lock_away $((1 << 34))
	a_consumer_obeys
	# Nobody else is kept from acknowledging meanwhile.
	kill $locker
	wait $locker || true
	sed -n 3p all | mq-group commit -g g
	is "$(at g T)" 3
}
@test "who takes acknowledgements in and waits for another lock obeys a stop signal" { each stop_at_both; }

# A consumer whose handler starts what goes on for a minute: $waiter, its pid in the file pid.
handles_for_long() {
	seq 0 4 | mq-publish T
	mq-consume -g g T -- sh -c 'sleep 60 & echo $! > pid; touch begun; wait' &
	waiter=$!
	until_true test -e begun
}

its_handler_stays() { # when the consumer was killed
	kill -KILL $waiter
	wait $waiter || true
	until_true sh -c 'mq-group show -g g T | grep -q "lives on"'
}

handler_left() {
	handles_for_long
	its_handler_stays
	fails 75 mq-group delete -g g
	has "$said" 'handler'
	fails 75 mq-group delete -g g T
	kill "$(cat pid)"
	until_true mq-group delete -g g
}
@test "a group is not deleted while a killed member's handler lives" { each handler_left; }

waits_in_vain() {
	handles_for_long
	is "$(mq-consume -g g T)" '' # a member at work does it
	fails 75 mq-consume --timeout 20ms -g g T
	has "$said" '1 partition was not free in time'
	its_handler_stays
	fails 75 mq-consume --timeout 3s -g g T
	has "$said" "T:0: waiting for what a killed member's handler holds"
	has "$said" '1 partition was not free in time'
	kill "$(cat pid)"
	until_true sh -c '! mq-group show -g g T | grep -q "lives on"'
	is "$(mq-consume --timeout 20ms -g g T)" "$(seq 0 4)"
}
@test "who waits in vain for a partition says so, and that it is to be tried again" { each waits_in_vain; }

topic_handler_left() {
	mq-topic create T --partitions 2
	seq 3 | mq-publish -p 1 T
	mq-consume -g g T -- sh -c 'sleep 60 & echo $! > pid; touch begun; wait' &
	waiter=$!
	until_true test -e begun
	fails 75 mq-topic delete T
	has "$said" 'group g is at work on T:0'
	its_handler_stays
	fails 75 mq-topic delete T
	has "$said" "T:1"
	has "$said" "group g"
	has "$said" "handler"
	fails 75 mq-topic delete --dry-run T
	is "$(mq-consume T)" "$(seq 3)"
	mq-topic delete --force --dry-run T
	kill "$(cat pid)"
	until_true mq-topic delete T
	is "$(mq-topic list)" ''
}
@test "a topic is not deleted while a killed member's handler lives" { each topic_handler_left; }

topic_handler_forced() {
	seq 3 | mq-publish T
	mq-consume -g g T -- sh -c 'sleep 60 & echo $! > pid; touch begun; wait' &
	waiter=$!
	until_true test -e begun
	kill -KILL $waiter
	wait $waiter || true
	mq-topic delete --force T
	is "$(mq-topic list)" ''
	kill "$(cat pid)"
}
@test "a topic is deleted by force though a killed member's handler lives" { each topic_handler_forced; }

all_or_none() {
	for t in 0 1 2 3 4 5 6 7 8 9; do mq-publish -m x T$t; done
	mq-consume -g g T0 T1 T2 T3 T4 T5 T6 T7 T8 T9 > /dev/null
	mq-consume -f -g g T4 > out &
	waiter=$!
	trap 'kill $waiter 2> /dev/null || true' EXIT
	until_true sh -c 'mq-group show -g g --json T4 | grep -q "\"owned\":true"'
	before=$(mq-group show -g g | cut -c 1-60)
	fails 75 mq-group delete -g g
	is "$(mq-group show -g g | cut -c 1-60)" "$before"
}
@test "of a group with a member at work nothing is deleted" { each all_or_none; }

owners_line() {
	seq 3 | mq-publish T
	mq-consume -f -g g T > out &
	waiter=$!
	trap 'kill $waiter 2> /dev/null || true' EXIT
	until_true lines out 3
	printf '77 e\033[31mvil\n' | dd of=the-spool/groups/g/topics/T/owners conv=notrunc status=none
	mq-group show -g g > shown
	grep -q '? pid 77' shown
	run ! grep -q $'\e' shown
	has "$(mq-group show -g g --json)" '"pid":77'
}
@test "what stands in owners is shown only if it is a name" { each owners_line; }

bad_among_good() {
	seq 0 4 | mq-publish T
	positions > all
	{ sed -n 1p all; sed -n '1s/T:0:0/T:0:99/p' all; sed -n 2p all; } > three
	fails 65 mq-group commit -g g < three
	has "$said" 'T:0:99 is not there yet'
	is "$(at g T)" 2
}
@test "a position that is not there takes no other with it" { each bad_among_good; }
