#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What is done to a group's members/ by hand while it runs: removed, replaced, filled with what is no member's.
load one_spool

setup() {
	in_a_spool
	members=()
}

teardown() {
	for member in "${members[@]}"; do
		kill -9 "$member" 2> /dev/null || true
	done
}

# Says who is at it, twice at once never: `mkdir` is of one only.
handler='mkdir "at-$MQ_PARTITION" || echo "two at once on $MQ_PARTITION" >> problems; echo "$(cat)" >> "done-$MQ_PARTITION"; rmdir "at-$MQ_PARTITION"'

member() { # NAME ARGUMENT ...: in the background; what it says goes to NAME.said, its pid to $NAME
	local name=$1
	shift
	mq-consume -v -f -g g "$@" T -- sh -c "$handler" > /dev/null 2> "$name.said" < /dev/null &
	members+=($!)
	eval "$name=$!"
}

owners() { # PID: partitions that it has
	mq-group show -g g --json T | grep -c "\"pid\":$1," || true
}
has_some() { [ "$(owners "$1")" -gt 0 ]; }
drained() {
	mq-group show -g g --json T > places
	grep -q '"lag":0,' places && ! grep -qv '"lag":0,' places
}

two_at_work() {
	mq-topic create --partitions 4 T
	seq 100 | mq-publish T
	member a
	member b
	until_true has_some "$a"
	until_true has_some "$b"
	until_true drained
}

gone() { ! kill -0 "$1" 2> /dev/null; } # PID

ends_with_75() { # NAME PID
	local status=0
	until_true gone "$2"
	wait "$2" || status=$?
	is "$status" 75
	[ "$(grep -c 'was evicted' "$1.said")" = 0 ]
}

goes_on_with_new_ones() {
	seq 101 200 | mq-publish T
	member c
	member d
	until_true drained
	is "$(cat done-* | sort -n | uniq | wc -l)" 200
	[ ! -e problems ] || { cat problems; false; }
	mq-check
}

@test "members whose directory is removed say that, not that they were evicted, and end; new ones go on" {
	two_at_work
	rm -r spool/groups/g/members
	ends_with_75 a "$a"
	ends_with_75 b "$b"
	has "$(cat a.said b.said)" 'mq-consume: group g: groups/g/members'
	has "$(cat a.said)" 'was removed'
	has "$(cat b.said)" 'start'
	goes_on_with_new_ones
}

@test "one that looks into the directory as it goes says the same" {
	mq-topic create --partitions 4 T
	local n at_it
	for n in 3 4; do # it is open already, and it is to be listed
		MQ_TEST_FAULT=getdents:$n:path=/members:stop-before "$MQ_BUILD/tests/traced/mq-consume" -f -g g T 2> a.said &
		at_it=$!
		members+=("$at_it")
		until_true grep -q '^State:.T' "/proc/$at_it/status"
		rm -r spool/groups/g/members
		kill -CONT "$at_it"
		ends_with_75 a "$at_it"
		has "$(cat a.said)" 'mq-consume: group g: groups/g/members was removed'
	done
}

@test "members whose directory was replaced by another end" {
	two_at_work
	mv spool/groups/g/members elsewhere
	mkdir -m 750 spool/groups/g/members
	member c
	ends_with_75 a "$a"
	ends_with_75 b "$b"
	has "$(cat a.said)" 'groups/g/members'
	goes_on_with_new_ones
}

@test "a member whose file is removed by hand ends and says so; the other goes on" {
	two_at_work
	rm "spool/groups/g/members/$(mq-group show -g g --members --json | sed -n "s/.*\"member\":\"\([0-9a-f]*\)\",\"pid\":$a,.*/\1/p" | head -n 1)"
	ends_with_75 a "$a"
	has "$(cat a.said)" 'was removed'
	kill -0 "$b"
	goes_on_with_new_ones
	kill -0 "$b"
}

@test "those who share end, too, and no record is handled by two" {
	mq-topic create --partitions 2 T
	member a --share
	member b --share
	until_true sh -c '[ "$(ls spool/groups/g/members | wc -l)" = 2 ]' # who joins later makes the directory anew
	seq 200 | mq-publish T
	rm -r spool/groups/g/members
	ends_with_75 a "$a"
	ends_with_75 b "$b"
	member c --share
	until_true drained
	is "$(cat done-* | sort -n | uniq | wc -l)" 200
	mq-check
}

@test "what is no member's in members/ changes nothing: bytes, directories, symlinks, a huge file, names of every kind" {
	mq-topic create --partitions 4 T
	seq 100 | mq-publish T
	mq-consume -n 1 -g g T -- true
	cd spool/groups/g/members
	head -c 5000 /dev/urandom > 0123456789abcdef
	: > fedcba9876543210
	printf 'pid=%s\nstart=1\nhost=h\ntopics=T\nwhole=1\n' $$ > 00000000000000aa
	truncate -s 1G 00000000000000bb
	mkdir 00000000000000cc
	ln -s /etc/passwd 00000000000000dd
	ln -s . 00000000000000ee
	mkfifo 00000000000000ff
	head -c 1000 /dev/urandom > "$(printf 'a\nb \033[31m')"
	: > "$(printf '%0200d' 7)"
	cd - > /dev/null
	member a
	member b
	until_true has_some "$a"
	until_true has_some "$b"
	until_true drained
	is "$(cat done-* | sort -n | uniq | wc -l)" 99
	is "$(mq-group show -g g --members --json 2> said | grep -c '"pid"')" 2
	mq-rebalance -q -g g --json > plan
	is "$(grep -c '"partition":[0-3],"member":"[0-9a-f]*"' plan)" 4
	mq-group evict -g g --member "$a"
	until_true gone "$a"
	has "$(cat a.said)" 'was evicted'
	seq 101 120 | mq-publish T
	until_true drained
	[ ! -e problems ] || { cat problems; false; }
}

@test "fifty members that join at the same moment share all partitions, each with its own, and work" {
	mq-topic create --partitions 100 T
	for n in $(seq 50); do
		(
			until [ -e go ]; do sleep 0.01; done
			exec mq-consume -f -g g T -- sh -c "$handler"
		) > /dev/null 2> "said.$n" < /dev/null &
		members+=($!)
	done
	touch go
	seq 1000 | mq-publish T
	all_have_two() {
		mq-group show -g g --json T > places
		is "$(sed -n 's/.*"owned":true,.*"pid":\([0-9]*\),.*/\1/p' places | sort | uniq -c | awk '$1 == 2' | wc -l)" 50
	} 2> /dev/null > /dev/null
	for _ in 1 2 3 4 5 6; do
		until_true all_have_two > /dev/null && break
	done
	all_have_two
	until_true drained
	is "$(cat done-* | wc -l)" 1000
	is "$(cat done-* | sort -n | uniq | wc -l)" 1000
	[ ! -e problems ] || { cat problems; false; }
	kill "${members[@]}"
	wait
	members=()
	mq-check
}
