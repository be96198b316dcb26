#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-drain: to the end as it stood at the start, whoever does the work.
load one_spool

teardown() {
	local pid
	for pid in $(jobs -p); do kill -KILL "$pid" 2> /dev/null || true; done
}

place() { # PARTITION: where the group stands
	mq-group show -g g --json "T:$1" | sed -n 's/.*"committed":\([^,]*\),.*/\1/p'
}

begun() { # N: so many handlers have begun
	[ "$(wc -l < begun)" -ge "$1" ]
}

@test "a drain gives out what there was at the start, and ends though more is published" {
	seq 100 | mq-publish T
	mkfifo go
	exec 8<> go
	mq-drain -g g T -- sh -c 'read -r x; echo "$x" >> done; read -r x < go' &
	drain=$!
	until [ -s done ]; do :; done
	seq 101 150 | mq-publish T
	for i in $(seq 100); do echo; done > go
	wait $drain
	is "$(cat done)" "$(seq 100)"
	is "$(place 0)" 100
	is "$(mq-drain -g g T)" "$(seq 101 150)"
	is "$(mq-drain -g g T)" ''
}

@test "what a living member has is waited for, and is not handled twice" {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq $((p * 10)) $((p * 10 + 9)) | mq-publish -p $p T; done
	mkfifo go
	exec 8<> go
	: > begun
	mq-consume -f -g g -j 3 T -- sh -c 'echo x >> begun; read -r x; echo "$x" >> done; read -r x < go' &
	member=$!
	until_true begun 3
	mq-drain -g g -v T -- sh -c 'read -r x; echo "$x" >> done' 2> said &
	drain=$!
	until_true grep -q 'waiting for member' said
	seq 90 99 | mq-publish -p 1 T
	for i in $(seq 100); do echo; done > go
	wait $drain
	for p in 0 1 2; do [ "$(place $p)" -ge 10 ]; done
	is "$(grep -v '^9.' done | sort -n)" "$(seq 0 29)"
	kill $member
	wait $member || true
}

@test "a member that is killed leaves its part to the drain" {
	mq-topic create --partitions 2 T
	for p in 0 1; do seq 5 | mq-publish -p $p T; done
	: > begun
	mq-consume -f -g g -j 2 T -- sh -c 'echo x >> begun; exec sleep 60' &
	member=$!
	until_true begun 2
	mq-drain -g g T > out 2> said &
	drain=$!
	until_true grep -q 'waiting for member' said
	kill -KILL $member
	wait $drain
	is "$(sort out)" "$(printf '%s\n' 1 1 2 2 3 3 4 4 5 5)"
}

@test "a drain's lock that is freed within a second, as that of a killed one by what it had just forked, is waited for" {
	seq 3 | mq-publish T
	mq-consume -g g -n 1 T > first
	python3 -c '
import fcntl, struct, sys, time
f = open("spool/groups/g/topics/T/locks", "r+b")
fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 1 << 55, 1, 0))
open("held", "w").close()
sys.stdin.read()' < <(until_true test -e tried) &
	until_true test -e held
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -o calls -e trace=fcntl "$MQ_BUILD/bin/mq-drain" -g g T > rest & drain=$!
	until_true grep -q "$((1 << 55)).*EAGAIN" calls
	: > tried
	wait "$drain"
	is "$(cat first rest)" "$(seq 3)"
}

@test "of a group and a topic there is one drain at a time" {
	seq 3 | mq-publish T
	mkfifo go
	exec 8<> go
	: > begun
	mq-drain -g g T -- sh -c 'echo x >> begun; read -r x < go' &
	drain=$!
	until_true begun 1
	fails 75 mq-drain -g g T
	has "$said" 'group g, T: another one drains it'
	is "$(mq-drain -g other T)" "$(seq 3)"
	echo > go && echo > go && echo > go
	wait $drain
	is "$(mq-drain -g g T)" ''
}

@test "what another room has is waited for, and what is nobody's by the strategy is told, and no end" {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq $((p * 10)) $((p * 10 + 4)) | mq-publish -p $p T; done
	mq-rebalance -q -g g --strategy room -X room.east=0 -X room.west=1 > /dev/null
	mkfifo go
	exec 8<> go
	: > begun
	MQ_ROOM=west mq-consume -f -g g T -- sh -c 'echo x >> begun; read -r x < go' &
	until_true begun 1
	MQ_ROOM=east mq-drain -g g T > done 2> said &
	drain=$!
	until_true grep -q 'T:1: waiting for member' said
	for i in $(seq 5); do echo; done > go
	status=0
	wait $drain || status=$?
	is "$status" 75
	is "$(cat done)" "$(seq 0 4)"
	is "$(place 1)" 5
	has "$(cat said)" 'T:2: left: by the strategy of group g it goes to nobody who is at work'
	is "$(mq-drain -g g T:2)" "$(seq 20 24)"
	is "$(mq-drain -g g T)" ''
}

@test "with a timeout what is not free in time is left, and told" {
	seq 3 | mq-publish T
	: > begun
	mq-consume -f -g g T -- sh -c 'echo x >> begun; exec sleep 60' &
	until_true begun 1
	fails 75 mq-drain -g g --timeout 300ms T
	has "$said" '1 partitions were not free in time'
}

@test "what does not matter is done without being given out" {
	mq-publish -T debug -m one T
	mq-publish -T paid -m two T
	mq-publish -m three T
	mq-publish -T trace -m four T
	is "$(mq-drain -g g --skip-tag 'debug || trace' T)" $'two\nthree'
	is "$(place 0)" 4
	fails 64 mq-drain -g g --skip-tag '||' T
	has "$said" 'TAG || TAG'
}

@test "of what was published later than asked nothing is touched" {
	for n in 1 2 3; do printf '{"payload":"%d","timestamp":"%s"}\n' $n "$(date -u -d '2 hours ago' +%Y-%m-%dT%H:%M:%SZ)"; done | mq-publish --json T
	mq-publish -m young T
	is "$(mq-drain -g g --older-than 3h T)" ''
	is "$(place 0)" 0
	is "$(mq-drain -g g --older-than 1h T)" "$(seq 3)"
	is "$(place 0)" 3
	is "$(mq-drain -g h --older-than 3600 T)" "$(seq 3)" # a number alone is seconds
	is "$(mq-drain -g g --older-than 0s T)" young
}

@test "a dry run says what is there, and takes nothing" {
	mq-topic create --partitions 2 T
	seq 5 | mq-publish -p 1 T
	mq-consume -g g -n 2 T:1 > /dev/null
	is "$(mq-drain -g g --dry-run --json T:1)" '{"v":1,"group":"g","topic":"T","partition":1,"from":2,"end":5,"records":3}'
	is "$(place 1)" 2
	fails 64 mq-drain -g g --dry-run --tag x T
	is "$(mq-drain -g g --dry-run --json T 2>&1 | grep -c never)" 0
	has "$(mq-drain -g gg --dry-run --json T 2>&1)" 'group gg never read T'
}

@test "a handler that fails ends the drain, and the next one begins with its record" {
	seq 5 | mq-publish T
	fails 75 mq-drain -g g T -- sh -c 'read -r x; [ "$x" != 3 ] && echo "$x" >> done'
	has "$said" 'T:0:2'
	is "$(place 0)" 2
	mq-drain -g g T -- sh -c 'read -r x; echo "$x" >> done'
	is "$(cat done)" "$(seq 5)"
}

@test "a bar is shown on a terminal and nowhere else" {
	seq 5 | mq-publish T
	mq-drain -g g T -- true 2> said
	is "$(cat said)" ''
	seq 5 | mq-publish T
	TERM=vt100 script -qec 'mq-drain -g g T -- true' /dev/null > screen < /dev/null
	has "$(cat screen)" '] 5 of 5'
	seq 5 | mq-publish T
	TERM=vt100 script -qec 'mq-drain -q -g g T -- true' /dev/null > screen < /dev/null
	is "$(cat screen)" ''
}

@test "a topic, a group or a command that is none is told, and a group is asked for" {
	fails 66 mq-drain -g g nothing
	mq-publish -m x T
	fails 64 mq-drain T
	fails 64 mq-drain -g g T:0:5
	fails 64 mq-drain -g g
	fails 64 mq-drain -g g -j 3 T
	fails 78 mq-drain -g g T -- ./no-such-command
}

@test "a count, an end and an id choose of a backlog" {
	mq-topic create T
	for i in 0 1 2 3 4 5; do mq-publish --id i$i -m $i T; done
	is "$(mq-drain -g g -n 2 -e T)" $'0\n1'
	is "$(mq-drain -g g -n 0 T)" ''
	is "$(mq-drain -g g -n 1 T -- cat)" 2
	is "$(mq-drain -g g -o ..4 T)" 3
	mq-drain -g g -n 1 --to U T
	is "$(mq-consume U)" 4
	is "$(mq-drain -g g T)" 5
	is "$(mq-drain -g other --id i3 T)" 3
	mq-drain -g none -o ..4 --discard T
	is "$(mq-drain -g none -X client.rack=left T)" $'4\n5'
	fails 64 mq-drain -g g -o 3 T
	fails 64 mq-drain -g g -o ..3 --older-than 1h T
	fails 64 mq-drain -g g -n 1 --discard T
	fails 64 mq-drain -g g -n 1 --dry-run T
	fails 64 mq-drain -g g T:0:3
	fails 64 mq-drain -g g -X retention.ms=1 T
}
