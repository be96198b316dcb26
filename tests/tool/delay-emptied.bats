#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=900
# A waiting room in which little waits of what was stored long ago: retention moves that to its end, and the rest goes.
load one_spool
load clock

DAY=86400

room_segments() { ls "$MQ_SPOOL/topics/wait@T@/0" | grep -c '\.seg$'; }
waiting() { mq-topic delayed --json T | sed -n 's/.*"partition":0.*"id":"\([^"]*\)".*/\1/p' | tr '\n' ' '; }

# What is far away, the last first, and behind it what came and went: more than a segment.
fill() {
	local i
	for i in 4 3 2 1; do mq-publish --delay ${i}d --id far$i -k key$i -T red -H n=$i --ttl 30d -m "far $i" T; done
	seq -f '%0100000.0f' 1 60 | mq-publish --at yesterday T
	mq-consume T | grep -c . > came
	is "$(cat came)" 60
}

@test "the few that keep the rest go to the end, and the rest goes" {
	fill
	[ "$(room_segments)" -gt 1 ]
	mq-topic delayed --json T > before
	mq-retain
	is "$(room_segments)" 1
	mq-topic delayed --json T | cmp - before
	mq-retain
	mq-topic delayed --json T | cmp - before
	mq-check
}

@test "what was moved comes once, when it is due and as it was, in the order of its times" {
	fill
	mq-retain
	clock_off $((2 * DAY + 60)) mq-consume -f -n 62 T > got
	is "$(tail -n 2 got)" $'far 1\nfar 2'
	is "$(waiting)" 'far3 far4 '
	clock_off $((5 * DAY)) mq-consume --format '%k %s\n' -o 62 T > got
	is "$(cat got)" $'key3 far 3\nkey4 far 4'
	clock_off $((5 * DAY)) mq-consume --json --id far4 T > got
	has "$(cat got)" '"headers":{"n":"4"},"tag":"red"'
	is "$(clock_off $((5 * DAY)) mq-consume T | grep -c far)" 4
	is "$(waiting)" ''
	mq-check
}

@test "moved, it can be cancelled by its id" {
	fill
	mq-retain
	mq-topic cancel --id far2 T
	is "$(waiting)" 'far1 far3 far4 '
	fails 1 mq-topic cancel --id far2 T
	is "$(clock_off $((5 * DAY)) mq-consume T | grep far)" $'far 1\nfar 3\nfar 4'
	mq-check
}

@test "where more than a tenth waits, or nothing would go by it, nothing is moved" {
	seq -f '%0100000.0f' 1 60 | mq-publish --delay 1d T
	files() { find "$MQ_SPOOL/topics/wait@T@/0" -name '*.seg' -printf '%f %s\n' | sort; }
	files > before
	mq-retain
	files | cmp - before
	is "$(mq-topic delayed --json -n 0 T | sed 's/.*"delayed":\([0-9]*\).*/\1/')" 60
	MQ_SPOOL=$PWD/small
	mq-publish --delay 1d -m far T
	seq 100 | mq-publish --at yesterday T
	mq-consume T > got
	files > before
	mq-retain
	files | cmp - before
}

@test "the note of the last delivery alone keeps nothing" {
	seq -f '%0100000.0f' 1 60 | mq-publish --id-field 1 --delay 1d T
	mq-publish --at yesterday -m x T
	is "$(mq-consume T)" x
	for i in $(waiting); do mq-topic cancel --id "$i" T; done
	seq -f '%0100000.0f' 1 60 | mq-publish --delay 1h T
	n=$(room_segments)
	mq-retain
	[ "$(room_segments)" -lt "$n" ] # by one or two: as much as one read gives is a batch
	is "$(mq-topic delayed --json -n 0 T | sed 's/.*"delayed":\([0-9]*\).*/\1/')" 60
	mq-publish --at yesterday -m y T
	is "$(mq-consume T)" $'x\ny'
	mq-check
}

@test "the sorted files of a room in which notes name what was stored long before last, and a cancel ends" {
	mq-publish --delay 4d --id far -m far T
	mq-publish --at yesterday -m x T
	is "$(mq-consume T)" x
	seq 9000 | mq-publish --delay 3h T
	mq-topic cancel -q --id far T
	ls "$MQ_SPOOL/topics/wait@T@/0/" > files
	grep -q '\.ids$' files
	grep '\.ids$' files > before
	is "$(mq-topic delayed --json T | grep -c '"partition"')" 9000
	ls "$MQ_SPOOL/topics/wait@T@/0/" | grep '\.ids$' | cmp - before # made once, and kept
	mq-check
}
