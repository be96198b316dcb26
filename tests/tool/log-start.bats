#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Where the log begins is told by nothing but the file start: without it nobody goes on.
load one_spool
load flip

setup() {
	in_a_spool
	start=spool/topics/T/0/start
}

bad() { # OFFSET ...: of bytes in start
	for at; do flip $start "$at"; done
}

stops_all() { # STATUS REASON
	for how in 'mq-publish -m x' 'mq-publish --ack none -m x' 'mq-publish --producer p -m x' mq-consume 'mq-consume -g g' 'mq-topic show' 'mq-topic purge'; do
		fails "$1" timeout 20 $how T
		has "$said" "$2"
	done
}

@test "a log start that is missing stops publishers as it stops readers, and is set by mq-check --mend" {
	seq 5 | mq-publish T
	mq-topic purge -o 2 T
	rm $start
	stops_all 78 'start is missing'
	has "$said" 'mq-check --mend'
	fails 2 mq-check
	has "$said" 'it is missing'
	has "$said" 'topics/T/0/start'
	fails 2 mq-check --mend --dry-run
	has "$said" 'would be mended'
	[ ! -e $start ]
	fails 0 mq-check --mend
	has "$said" 'config (mended)'
	has "$said" 'the first record held is 0'
	fails 0 mq-check
	is "$said" ''
	# What was purged and is still held comes again: rather that than what was never read be lost.
	mq-publish -m 6 T
	is "$(mq-consume T)" "$(seq 6)"
	mq-topic purge -o 2 T
	is "$(mq-consume T)" "$(seq 3 6)"
}

@test "it is set behind what is gone" {
	mq-topic create T segment.bytes=4096
	for i in $(seq 5); do
		seq $((i * 1000)) $((i * 1000 + 999)) > in
		mq-publish -l T in
	done
	segs=(spool/topics/T/0/*.seg)
	[ "${#segs[@]}" = 5 ]
	mq-topic purge -o 2500 T
	rm "${segs[0]}" "${segs[1]}" $start
	fails 0 mq-check --mend
	has "$said" 'the first record held is 2000'
	case $said in *damage*) echo "$said"; false ;; esac
	is "$(mq-consume T)" "$(seq 3000 5999)"
	mq-publish -m more T
	fails 0 mq-check
	is "$said" ''
}

@test "two bad slots stop all, and are set by mq-check --mend" {
	seq 5 | mq-publish T
	mq-topic purge -o 2 T
	bad 40 4136
	stops_all 2 'start: no slot verifies'
	fails 2 mq-check
	fails 0 mq-check --mend
	has "$said" 'the first record held is 0'
	mq-publish -m 6 T
	is "$(mq-consume T)" "$(seq 6)"
	fails 0 mq-check
	is "$said" ''
}

@test "one bad slot costs nothing, and is made again from the other" {
	seq 5 | mq-publish T
	mq-topic purge -o 2 T
	for at in 40 4136; do
		bad $at
		is "$(mq-consume T)" "$(seq 3 5)"
		fails 2 mq-check
		has "$said" 'a slot of the log start does not verify'
		fails 0 mq-check --mend
		has "$said" 'config (mended)'
		fails 0 mq-check
		is "$said" ''
	done
	truncate -s 4096 $start
	is "$(mq-consume T)" "$(seq 3 5)"
	mq-publish -m 6 T
	fails 2 mq-check
	fails 0 mq-check --mend
	fails 0 mq-check
	is "$(mq-consume T)" "$(seq 3 6)"
	truncate -s 0 $start
	stops_all 2 'start: it was cut short'
	fails 0 mq-check --mend
	fails 0 mq-check
	is "$(mq-consume T)" "$(seq 6)"
	printf x >> $start
	fails 2 mq-check
	fails 0 mq-check --mend
	fails 0 mq-check
	is "$said" ''
}

@test "a log start is set though the log is damaged, and the damage stays told" {
	seq 5 | mq-publish T
	mq-publish -m 6 T
	flip "$(echo spool/topics/T/0/*.seg)" 641
	rm $start
	fails 2 mq-check --mend
	has "$said" 'config (mended)'
	has "$said" damage
	fails 2 mq-consume T
	has "$said" 6
}

@test "whoever meets a bad log start is told what mends it, and that does" {
	seq 5 | mq-publish T
	bad 40 4136
	stops_all 2 'mq-check --mend sets it to the first record held'
	fails 0 mq-check --mend
	is "$(mq-consume T)" "$(seq 5)"
	seq 9 | mq-publish U
	cp spool/topics/U/0/start $start
	stops_all 2 'mq-check --mend sets it to the first record held'
	fails 0 mq-check --mend
	is "$(mq-consume T)" "$(seq 5)"
}

@test "of a log start behind the end mq-check says what sets it" {
	seq 5 | mq-publish T
	cp -a spool/topics/T/0 short
	seq 5 | mq-publish T
	mq-topic purge -o 9 T
	cp $start later
	rm -r spool/topics/T/0
	mv short spool/topics/T/0
	mq-publish -m 6 T
	cp later $start
	fails 2 mq-check --mend
	has "$said" 'remove it, and it is set to the first record held'
	rm $start
	fails 0 mq-check --mend
	is "$(mq-consume T)" "$(seq 6)"
}

@test "a topic without a log start can be deleted" {
	mq-publish -m one T
	rm $start
	mq-topic delete T
	is "$(mq-topic list)" ''
}
