#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A backlog that is discarded into an archive: it holds what the group's places pass, before they do.
load one_spool
load flip

place() { mq-group show -g g --json | sed -n "s/.*\"partition\":${1:-0},\"committed\":\([^,]*\),.*/\1/p"; }

@test "what is discarded is in a file first, of all partitions, and what came before the place is not" {
	mq-topic create --partitions 3 T
	for i in 1 2 3; do seq -f "$i-%g" 50 | mq-publish --id-field 1 T; done
	mq-consume -g g -n 20 T > read
	is "$(mq-drain -g g --discard --archive x.tar.zst T 2>&1)" ''
	is "$(mq-drain -g g T)" ''
	mq-replay --archive x.tar.zst > kept
	is "$(sort read kept | sha1sum)" "$(for i in 1 2 3; do seq -f "$i-%g" 50; done | sort | sha1sum)"
	is "$(tar --zstd -xOf x.tar.zst manifest.json | python3 -c 'import json, sys; m = json.load(sys.stdin); print(m["topic"], m["group"])')" 'T g'
	is "$(mq-consume T | wc -l)" 150
	is "$(ls -A | grep -c tmp)" 0
	mq-check
}

@test "in a directory each time another one, of each topic its own; without a backlog none" {
	mkdir d
	for n in 3 4; do
		seq $n | mq-publish T
		seq $n | mq-publish U
		mq-drain -g g --discard --archive d T U
	done
	mq-drain -g g --discard --archive d T U
	is "$(ls d | wc -l)" 4
	[[ $(ls d | head -n 1) =~ ^T\.g\.[0-9a-f]{8}\.0\.0-3\.tar\.zst$ ]]
	is "$(mq-replay --archive d/T.* | tr '\n' ' ')" '1 2 3 1 2 3 4 '
	mq-drain -g other --discard --archive d T
	is "$(mq-replay --archive d/T.other.* | wc -l)" 7
	mq-drain -g h --discard --archive none.tar.zst -p 0 empty 2> err && false
	[ ! -e none.tar.zst ]
}

@test "only what is old enough, and the rest stays before the group" {
	seq 5 | mq-publish T
	mq-drain -g g --discard --archive x.tar.zst --older-than 1h T
	[ ! -e x.tar.zst ]
	old_ones() { mq-drain -g g --discard --archive x.tar.zst --older-than 300ms T && [ -e x.tar.zst ]; }
	until_true old_ones
	seq 6 8 | mq-publish T
	is "$(mq-replay --archive x.tar.zst | tr '\n' ' ')" '1 2 3 4 5 '
	is "$(mq-drain -g g T | tr '\n' ' ')" '6 7 8 '
}

@test "cut off when the archive had its name, the same command moves the places; what came later is left, and told" {
	seq 100 | mq-publish T
	mkdir d
	for to in x.tar.zst d; do
		mq-group seek -g g -o beginning T
		mq-drain -g g --discard --archive $to T
		mq-group seek -g g -o 40 T # as if the place had not moved
		mq-publish -m later T
		mq-drain -g g --discard --archive $to T 2> err
		[ $to = d ] || has "$(cat err)" '1 record came later and is left: name another archive'
		[ $to = d ] || has "$(cat err)" 'held by an archive that was made before'
	done
	is "$(place)" 102
	is "$(ls d | wc -l)" 2
	is "$(mq-replay --archive d/* | wc -l)" 102
	is "$(mq-replay --archive x.tar.zst | wc -l)" 100
	mq-publish -m more T
	fails 64 mq-drain -g g --discard --archive x.tar.zst T
	has "$said" 'x.tar.zst is there already, and does not hold this backlog'
	is "$(place)" 102
}

@test "an archive that was made before the spool came back from a backup is not taken for what was published since" {
	seq 10 | mq-publish T
	mq-consume -g g -n 3 T > first
	cp -a "$MQ_SPOOL" backup
	seq 100 199 | mq-publish T
	mkdir d
	for to in x.tar.zst d; do
		mq-group seek -g g -o 3 T
		mq-drain -g g --discard --archive $to T
	done
	rm -rf "$MQ_SPOOL"
	mv backup "$MQ_SPOOL"
	seq 500 599 | mq-publish T
	fails 64 mq-drain -g g --discard --archive x.tar.zst T
	has "$said" 'x.tar.zst is there already, and does not hold this backlog'
	is "$(place)" 3
	seq 600 605 | mq-publish T
	mq-drain -g g --discard --archive d T
	is "$(place)" 116
	is "$(mq-replay --archive d/*3-116.tar.zst)" "$(seq 4 10; seq 500 599; seq 600 605)"
}

@test "an archive of another group, of another topic, or none at all, is in the way and stays as it is" {
	seq 10 | mq-publish T
	seq 10 | mq-publish U
	mq-drain -g g --discard --archive x.tar.zst T
	sha1sum x.tar.zst > sum
	fails 64 mq-drain -g h --discard --archive x.tar.zst T
	fails 64 mq-drain -g g --discard --archive x.tar.zst U
	echo hello > y.tar.zst
	fails 65 mq-drain -g h --discard --archive y.tar.zst T
	is "$(cat y.tar.zst)" hello
	sha1sum -c --quiet sum
	is "$(mq-drain -g h T | wc -l)" 10
	mq-topic delete --force T
	seq 10 | mq-publish T # another one of that name
	fails 64 mq-drain -g g --discard --archive x.tar.zst T
	sha1sum -c --quiet sum
}

@test "an archive that was cut short is not taken for one" {
	seq -f '%0100.0f' 2000 | mq-publish T
	mq-drain -g g --discard --archive x.tar.zst T
	mq-group seek -g g -o beginning T
	truncate -s -100 x.tar.zst
	fails 2 mq-drain -g g --discard --archive x.tar.zst T || fails 65 mq-drain -g g --discard --archive x.tar.zst T
	is "$(place)" 0
	mkdir d
	mq-drain -g g --discard --archive d T
	mq-group seek -g g -o beginning T
	truncate -s 20 d/*
	fails 64 mq-drain -g g --discard --archive d T
	is "$(place)" 0
	rm d/*
	mq-drain -g g --discard --archive d T
	is "$(mq-replay --archive d/* | wc -l)" 2000
}

@test "without room, a directory, or a log that verifies nothing is discarded" {
	seq -f '%0100.0f' 2000 | mq-publish T
	fails 64 mq-drain -g g --discard --archive no/x.tar.zst T
	has "$said" 'no directory no/ for the archive'
	fails 64 mq-drain -g g --discard --archive no/ T
	mkdir a
	(ulimit -f 1; fails 74 mq-drain -g g --discard --archive a T || fails 75 mq-drain -g g --discard --archive a T)
	is "$(ls -A a)" ''
	flip "$(echo "$MQ_SPOOL"/topics/T/0/*.seg)" 5000
	fails 2 mq-drain -g g --discard --archive a T
	has "$said" 'damaged segments are not archived'
	is "$(ls -A a)" ''
	is "$(place)" 0
}

@test "what others are at work on is theirs: the archive holds what they let go of, and nothing is in it that they did" {
	seq 100 | mq-publish T
	mkfifo in out
	mq-consume -g g --batch 10 T -- sh -c 'cat >>did; echo x >in; read -r _ <out' 3>&- & one=$!
	read -r _ < in
	mq-drain -q -g g --discard --archive x.tar.zst T 3>&- & two=$!
	two_members() { [ "$(ls "$MQ_SPOOL/groups/g/members" | wc -l)" = 2 ]; }
	until_true two_members
	kill -KILL $one
	wait $one || true
	wait $two
	is "$(place)" 100
	mq-replay --archive x.tar.zst > kept
	is "$(tail -n 1 kept)" 100
	[ "$(wc -l < kept)" -ge 90 ]
}

@test "an archive is made of what is discarded, and of nothing else" {
	seq 3 | mq-publish T
	fails 64 mq-drain -g g --archive x.tar.zst T
	fails 64 mq-drain -g g --discard --archive x.tar.zst --tag a T
	has "$said" 'mq-replay --archive takes it'
	seq 3 | mq-publish U
	fails 64 mq-drain -g g --discard --archive x.tar.zst T U
	has "$said" 'name a directory'
	[ ! -e x.tar.zst ]
}

@test "a directory that is not there is told before there is anything for it" {
	seq 5 | mq-publish T
	mq-consume -g g T > all
	fails 64 mq-drain -g g --discard --archive none/x.tar.zst T
	has "$said" 'no directory none/ for the archive'
	fails 64 mq-retain --archive none T
	has "$said" 'no directory none for archives'
	is "$(mq-drain -g g --discard --archive x.tar.zst T 2>&1)" ''
	[ ! -e x.tar.zst ]
}
