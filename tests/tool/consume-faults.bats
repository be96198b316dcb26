#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# Readers when something fails.
load consume_faults

dead_publisher() {
	need_strace
	echo 1 | mq-publish T
	mq-consume -f T > out &
	reader=$!
	until_true lines out 1
	until_true asleep T
	# It publishes, and dies before its sync: nobody is left to ring for that.
	echo 2 | faulty '' fdatasync:signal=KILL:when=1 mq-publish T || true
	until_true lines out 2
	is "$(cat out)" $'1\n2'
	# And again by who was woken once.
	echo 3 | faulty '' fdatasync:signal=KILL:when=1 mq-publish T || true
	until_true lines out 3
	echo 4 | mq-publish T
	until_true lines out 4
	kill $reader
	wait $reader || true
}
@test "a follower that sleeps gets what a durable publisher left when it died before its sync" { each dead_publisher; }

no_records() {
	for p in one two; do mq-publish --producer $p -m $p T; done
	seg=$(segment T)
	at=$(grep -abo mqB "$seg" | cut -d : -f 1 | sed -n 3p)
	for byte in 16 130; do # of its header, of its body
		flip "$seg" $((at + byte))
		for how in '' '-g g'$byte --json; do
			fails 2 mq-consume $how T
			has "$said" two
			has "$said" "T:0: a batch without records does not verify and is passed over (segment ${seg##*/}, byte $at)"
			has "$said" "damage was passed: T:0: a batch without records, segment ${seg##*/}, byte $at"
			has "$said" '1 damaged places passed, 0 records lost'
			case $said in *offsets*) echo "$said"; return 1 ;; esac
		done
		flip "$seg" $((at + byte))
	done
}
@test "damage where no record was is told by its place, not by offsets" { each no_records; }

passed_long_ago() {
	for i in 0 1 2 3; do mq-publish -m r$i T; done
	seg=$(segment T)
	flip "$seg" $(($(grep -abo mqB "$seg" | cut -d : -f 1 | sed -n 2p) + 20)) # of the header: it cannot be hopped over
	fails 2 mq-consume -g g T
	for i in 4 5; do
		fails 0 mq-consume -g g T
		is "$said" ''
		mq-publish -m r$i T
		fails 0 mq-consume -g g T
		is "$said" r$i
	done
	for from in 2.. 2..4 -1 @-1m..@+1m; do
		[ $from = @-1m..@+1m ] && want=2 || want=0
		fails $want mq-consume -o $from T
	done
	mq-topic purge --force -o 3 T
	fails 0 mq-consume T
	is "$said" $'r3\nr4\nr5'
	# What begins within it is told from there on.
	mq-publish -m $'six\nseven' -m eight T
	flip "$seg" $(($(grep -abo mqB "$seg" | cut -d : -f 1 | tail -n 1) + 20))
	mq-publish -m nine T
	fails 2 mq-consume -o 7 T
	has "$said" 'offsets 7 to 7 are damaged'
}
@test "damage below what is asked for is told to nobody again" { each passed_long_ago; }
