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
