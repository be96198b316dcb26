#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=1500
# Consumers of more partitions than they may open files: what is bounded is their descriptors, and nothing else.
load consume_faults

until_tries=6000 # a sync for each partition that is taken: of 300 that lasts, where a disk is slow

# spread TOPIC PARTITIONS RECORDS [FIRST]: keyed, so that each partition gets some, in order of their numbers.
spread() {
	mq-topic list 2> /dev/null | grep -qx "$1" || mq-topic create "$1" --partitions "$2" > /dev/null
	seq "${4:-1}" $((${4:-1} + $3 - 1)) | sed 's/.*/key-&\t&/' | mq-publish -K '\t' --ack written "$1"
}

# "${few[@]}" DESCRIPTORS COMMAND ...: in the background it is the command itself that is there to be killed
few=(bash -c 'ulimit -n "$0" && exec "$@"')

# all_of FILE COUNT: each record once; and those of one partition (their order is that of their numbers) in order.
all_of() {
	is "$(sort -n "$1" | uniq | wc -l)" "$2"
	is "$(wc -l < "$1")" "$2"
}

in_order() { # FILE of "PARTITION OFFSET": of each partition one behind the other
	awk '$1 in last && $2 != last[$1] + 1 { print "partition", $1, "has", $2, "behind", last[$1]; bad = 1 }
		{ last[$1] = $2 } END { exit bad }' "$1"
}

stands_at_the_end() { # GROUP TOPIC: every partition
	mq-group show -g "$1" --json "$2" > places
	is "$(grep -c '"lag":0[,}]' places)" "$(wc -l < places)"
}

to_its_end() {
	spread T 300 3000
	"${few[@]}" 256 timeout 600 mq-consume -g g T > out
	all_of out 3000
	stands_at_the_end g T
	is "$("${few[@]}" 256 timeout 600 mq-consume -g g T)" ''
	spread T 300 600 3001
	"${few[@]}" 256 timeout 600 mq-consume -g g T > out
	is "$(sort -n out)" "$(seq 3001 3600)"
	stands_at_the_end g T
	"${few[@]}" 1024 timeout 600 mq-consume -g h --format '%p %o\n' T > out
	is "$(wc -l < out)" 3600
	in_order out
}
@test "a group reads 300 partitions with 256 descriptors, in order, and a second run has what is new" { each to_its_end; }

# follows DESCRIPTORS COMMAND ...: while records come, twice.
follows() {
	local limit=$1
	shift
	spread T 300 900
	: > out
	"${few[@]}" "$limit" "$@" > out &
	follower=$!
	trap 'kill $follower 2> /dev/null || true' EXIT
	until_true lines out 900
	spread T 300 300 901
	until_true lines out 1200
	for i in 1201 1202 1203; do # into one each time, and the rest sleeps on
		mq-publish -m $i T:$((i % 300))
		until_true lines out $i
	done
	kill $follower
	wait $follower || true
	all_of out 1203
}

follow_alone() { follows 256 mq-consume -f T; }
@test "a follower without a group reads 300 partitions with 256 descriptors, and hears of each record" { each follow_alone; }

follow_in_group() {
	follows 256 mq-consume -f -g g T
	is "$("${few[@]}" 256 timeout 600 mq-consume -g g T)" ''
	stands_at_the_end g T
}
@test "a member that follows reads 300 partitions with 256 descriptors, and hears of each record" { each follow_in_group; }

handlers() {
	spread T 300 600
	"${few[@]}" 256 timeout 600 mq-consume -g g -j 8 T -- sh -c 'echo "$(cat)"' > out
	is "$(sort -n out)" "$(seq 600)"
	stands_at_the_end g T
	"${few[@]}" 256 timeout 600 mq-consume -g h T --batch 10 -- cat > out
	is "$(sort -n out)" "$(seq 600)"
	stands_at_the_end h T
}
@test "handlers, one and eight at once, get the records of 300 partitions with 256 descriptors" { each handlers; }

handlers_follow() {
	spread T 300 300
	"${few[@]}" 256 mq-consume -f -g g -j 4 T -- sh -c 'echo "$(cat)"' > out &
	follower=$!
	trap 'kill $follower 2> /dev/null || true' EXIT
	until_true lines out 300
	spread T 300 30 301
	until_true lines out 330
	kill $follower
	wait $follower || true
	is "$(sort -n out)" "$(seq 330)"
	stands_at_the_end g T
}
@test "handlers of a member that follows 300 partitions hear of new records" { each handlers_follow; }

by_hand() {
	spread T 300 600
	"${few[@]}" 256 mq-consume -g g --manual T > printed &
	consumer=$!
	trap 'kill $consumer 2> /dev/null || true' EXIT
	until_true lines printed 600
	"${few[@]}" 256 mq-group commit -g g < printed
	wait $consumer
	is "$(cut -f 2 printed | sort -n)" "$(seq 600)"
	stands_at_the_end g T
}
@test "positions of 300 partitions are printed and acknowledged with 256 descriptors" { each by_hand; }

two_thousand() {
	mq-topic create T --partitions 2000 > /dev/null
	spread T 2000 8000
	"${few[@]}" 1024 timeout 600 mq-consume -g g T > out
	all_of out 8000
	stands_at_the_end g T
	"${few[@]}" 1024 mq-consume -f T > out &
	follower=$!
	trap 'kill $follower 2> /dev/null || true' EXIT
	until_true lines out 8000
	mq-publish -m last T:1999
	until_true grep -q last out
	kill $follower
	wait $follower || true
	is "$(grep -vc last out)" 8000
}
@test "2,000 partitions are read with 1,024 descriptors" { each two_thousand; }

members_are() { [ "$(find the-spool/groups/g/members -type f | wc -l)" = "$1" ]; }

both_have() { [ "$(sort first second | uniq | wc -l)" -ge "$1" ]; }

# A member that is killed frees all its partitions, whether it has them open or not.
heirs() {
	spread T 300 300
	"${few[@]}" 256 mq-consume -f -g g T > first &
	first=$!
	trap 'kill $first $second 2> /dev/null || true' EXIT
	until_true lines first 300
	"${few[@]}" 256 mq-consume -f -g g T > second &
	second=$!
	until_true members_are 2
	spread T 300 300 301
	until_true both_have 600
	kill -KILL $first
	wait $first || true
	spread T 300 300 601
	until_true both_have 900
	kill $second
	wait $second || true
	is "$(sort -n first second | uniq)" "$(seq 900)"
	stands_at_the_end g T
}
@test "another member follows one that was killed, in all of 300 partitions" { each heirs; }

# What others do to a place is heard though the partition is not open.
set_by_hand() {
	spread T 300 300
	"${few[@]}" 256 mq-consume -f -g g T > out 2> said &
	follower=$!
	trap 'kill $follower 2> /dev/null || true' EXIT
	until_true lines out 300
	mq-group seek -g g --force -o 0 T:299 > /dev/null
	local got=0
	wait $follower || got=$?
	is "$got" 75
	has "$(cat said)" 'set by hand'
}
@test "an owner of 300 partitions hears at once of a place set by hand" { each set_by_hand; }

deleted() {
	spread T 300 300
	for what in group topic; do
		for how in '-g g' ''; do
			[ -z "$how" ] && [ $what = group ] && continue
			"${few[@]}" 256 mq-consume -f $how T > out 2> said &
			follower=$!
			trap 'kill $follower 2> /dev/null || true' EXIT
			until_true lines out 300
			[ $what = topic ] || mq-group delete -g g --force
			[ $what = group ] || mq-topic delete T --force
			local got=0
			wait $follower || got=$?
			is "$got" 66
			has "$(cat said)" deleted
			spread T 300 300
		done
	done
}
@test "a group or topic that is deleted ends those who read 300 partitions of it" { each deleted; }

purged() {
	spread T 300 900
	"${few[@]}" 256 mq-consume -f T > out &
	follower=$!
	trap 'kill $follower 2> /dev/null || true' EXIT
	until_true lines out 900
	mq-topic purge T > /dev/null
	for p in 0 100 299; do
		mq-publish -m new-$p T:$p
		until_true grep -qx new-$p out
	done
	kill $follower
	wait $follower || true
	is "$(wc -l < out)" 903
}
@test "a purge of partitions that are not open moves their start, and what comes later is read" { each purged; }

publish_to_many() {
	mq-topic create T --partitions 300 > /dev/null
	seq 3000 | sed 's/.*/&\t&/' | "${few[@]}" 128 timeout 600 mq-publish -K '\t' --ack written T
	mq-consume T > out
	all_of out 3000
}
@test "a publisher into 300 partitions needs few descriptors, too" { each publish_to_many; }
