#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# --to: what a group consumes or drains goes into another topic, once each, with its place.
load one_spool

teardown() {
	local pid
	for pid in $(jobs -p); do kill -KILL "$pid" 2> /dev/null || true; done
}

place() { # PARTITION: where the group stands
	mq-group show -g g --json "T:${1:-0}" | sed -n 's/.*"committed":\([^,]*\),.*/\1/p'
}

@test "what a group has not read goes to another topic, once, with its place" {
	seq 100 | mq-publish T
	is "$(mq-consume -g g --to OUT T)" ''
	is "$(mq-consume OUT)" "$(seq 100)"
	is "$(place)" 100
	seq 101 130 | mq-publish T
	mq-consume -g g --to OUT T
	mq-consume -g g --to OUT T
	is "$(mq-consume OUT)" "$(seq 130)"
	mq-check
}

@test "a record that goes to a topic keeps its key, headers, tag, id and time" {
	echo one | mq-publish -k k -H a=b -H c=d --tag t --id i1 T
	printf 'mqf1 - - - - 5 1600000000000000\nhello' | mq-publish --frame T
	seq 3 | mq-publish T
	mq-consume --json T | sed 's/"offset":[0-9]*,//;s/"topic":"[^"]*"//' > was
	mq-consume -g g --to OUT T
	mq-consume --json OUT | sed 's/"offset":[0-9]*,//;s/"topic":"[^"]*"//' > is
	diff was is
}

@test "plain lines go as they lie, and keep their time" {
	for i in $(seq 12); do seq -f "$i %g" 5000 | mq-publish T; done
	mq-consume --json T | sed 's/"topic":"[^"]*"//' > was
	mq-consume -g g --to OUT T
	mq-consume --json OUT | sed 's/"topic":"[^"]*"//' > is
	cmp was is
	mq-consume -g h --to FEW -n 30001 T
	mq-consume -g h --to FEW T
	cmp <(mq-consume FEW) <(mq-consume T)
	mq-check
}

@test "keys lead to the partition that a publisher would choose" {
	for i in $(seq 50); do echo "k$((i % 7)):$i"; done > in
	mq-publish -K : T < in
	mq-topic create --partitions 5 OUT
	mq-topic create --partitions 5 LIKE
	mq-publish -K : LIKE < in
	mq-consume -g g --to OUT T
	for p in 0 1 2 3 4; do is "$(mq-consume -K : OUT:$p)" "$(mq-consume -K : LIKE:$p)"; done
}

@test "--partitions says with how many the topic is made, and records without a key are spread over them" {
	seq 2000 | mq-publish T
	mq-consume -g g --to OUT --partitions 4 T
	for p in 0 1 2 3; do [ "$(mq-consume OUT:$p | wc -l)" -ge 100 ]; done
	is "$(mq-consume OUT | sort -n)" "$(seq 2000)"
	seq 3 | mq-publish T
	mq-consume -g g --to OUT --partitions 9 T 2> said
	has "$(cat said)" 'OUT has 4 partitions already'
}

@test "where topics are not made by themselves none is, and nothing is done" {
	seq 3 | mq-publish T
	echo auto.create.topics=false >> spool/spool.conf
	fails 66 mq-consume -g g --to OUT T
	has "$said" 'auto.create.topics=false'
	is "$(mq-consume -g g T)" "$(seq 3)"
}

@test "the topic that is read, a run without a group, and what is no one's place are refused" {
	seq 3 | mq-publish T
	fails 64 mq-consume -g g --to T T
	has "$said" 'cannot be where that goes to'
	fails 64 mq-consume --to OUT T
	has "$said" '-g GROUP is missing'
	fails 64 mq-consume -g g --share --to OUT T
	fails 64 mq-consume -g g --json --to OUT T
	fails 64 mq-consume -g g --frame --to OUT T
	fails 64 mq-consume -g g --partitions 3 T
	fails 64 mq-consume -g g --one T -- cat
	fails 64 mq-consume -g g --to OUT --one T
	fails 64 mq-consume -g g --to OUT --partitions 0 T
	fails 64 mq-drain -g g --discard --to OUT T
	fails 64 mq-drain -g g --discard --tag x T
	fails 64 mq-drain -g g --discard T -- cat
	is "$(mq-consume -g g T)" "$(seq 3)"
}

@test "what does not match is done without being moved; -n ends it; the rest comes next" {
	for i in 1 2 3 4; do echo "a$i" | mq-publish --tag a T; echo "b$i" | mq-publish --tag b T; done
	mq-consume -g g --tag a -n 2 --to OUT T
	is "$(mq-consume OUT)" $'a1\na2'
	is "$(mq-consume -g g -n 1 T)" b2
	mq-drain -g g --skip-tag a --to OUT T
	is "$(mq-consume OUT)" $'a1\na2\nb3\nb4'
	is "$(mq-consume -g g T)" ''
}

@test "what it follows goes on as it comes" {
	echo one | mq-publish T
	mq-consume -f -g g --to OUT T &
	follower=$!
	came() { [ "$(mq-consume OUT 2> /dev/null | wc -l)" -ge "$1" ]; }
	until_true came 1
	seq 2 5 | mq-publish T
	until_true came 5
	kill $follower
	wait $follower || true
	is "$(mq-consume OUT)" $'one\n2\n3\n4\n5'
	is "$(place)" 5
}

@test "what a command prints goes to the topic: a record a line, any number of them" {
	seq 5 | mq-publish T
	mq-consume -g g --to OUT T -- sh -c 'read -r x; [ "$x" = 2 ] || { echo "$x"; echo "$x!"; }'
	is "$(mq-consume OUT)" $'1\n1!\n3\n3!\n4\n4!\n5\n5!'
	is "$(place)" 5
	is "$(mq-consume -g g T)" ''
}

@test "what a command prints is cut as said: by a delimiter, by NULs, into keys, as frames, or not at all" {
	echo x | mq-publish T
	mq-consume -g a --to A -D ';' T -- printf 'one;two\n;three'
	is "$(mq-consume -D '|' A)" $'one|two\n|three|'
	mq-consume -g b --to B -0 T -- printf 'one\0two\0'
	is "$(mq-consume B)" $'one\ntwo'
	mq-consume -g c --to C -K : T -- printf 'k:1\nl:2\n'
	is "$(mq-consume -K = C)" $'k=1\nl=2'
	mq-consume -g d --to D --frame T -- printf 'mqf1 1 - - - 3\nka\nb'
	is "$(mq-consume --frame D | sed 's/ [0-9]* -$//')" "$(printf 'mqf1 1 - - - 3\nka\nb' )"
	mq-consume -g e --to E --one T -- printf 'a\nb\n'
	is "$(mq-consume -0 E | tr '\0\n' ',;')" 'a;b;,'
	fails 75 mq-consume -g f --to F -K : T -- echo nothing
	has "$said" 'it has no key'
	fails 75 mq-consume -g f --to F --frame T -- echo nothing
	has "$said" 'it is no frame'
	fails 66 mq-consume F
}

@test "of a command that fails nothing goes anywhere, and its record is given out again" {
	seq 4 | mq-publish T
	fails 75 mq-consume -g g --to OUT T -- sh -c 'read -r x; echo "$x"; [ "$x" != 3 ]'
	is "$(mq-consume OUT)" $'1\n2'
	is "$(place)" 2
	mq-consume -g g --to OUT T -- cat
	is "$(mq-consume OUT)" "$(seq 4)"
}

@test "several at once keep the order that was asked for, and each goes once" {
	for i in $(seq 200); do echo "k$((i % 5)):$i"; done | mq-publish -K : T
	mq-consume -g g -j 4 --order key --to OUT -K : T -- sh -c 'read -r x; echo "$MQ_KEY:$x"'
	is "$(mq-consume OUT | sort -n)" "$(seq 200)"
	for k in 0 1 2 3 4; do is "$(mq-consume -k k$k OUT)" "$(mq-consume -k k$k T)"; done
	mq-consume -g h --batch 30 --to LINES T -- sed 's/^/>/'
	is "$(mq-consume LINES)" "$(seq 200 | sed 's/^/>/')"
}

@test "a coproc puts records before it answers" {
	seq 20 | mq-publish T
	cat > worker <<- 'E'
		#!/bin/sh
		while read -r x; do
		    case $x in
		    7) ;;
		    *) echo "put $x"; echo "put 	$x" ;;
		    esac
		    echo ok
		done
	E
	chmod +x worker
	mq-consume -g g --coproc --to OUT T -- ./worker
	is "$(mq-consume OUT | tr -d '\t' | uniq)" "$(seq 20 | grep -v '^7$')"
	is "$(mq-consume OUT | wc -l)" 38
}

@test "more than goes at once fails the record, and says so" {
	echo x | mq-publish T
	fails 75 mq-consume -g g --to OUT T -- sh -c 'head -c 17000000 /dev/zero | tr "\0" "\n"'
	has "$said" 'printed more than goes to a topic at once (16 MiB)'
	fails 75 mq-consume -g g --to OUT --one T -- sh -c 'head -c 2000000 /dev/zero'
	has "$said" 'max.message.bytes of OUT'
	is "$(place)" 0
}

@test "a full topic is waited for, as long as --timeout lets, and nothing is lost or doubled" {
	seq 2000 | mq-publish T
	mq-topic create -X max.messages=500 OUT
	fails 75 mq-consume -g g --timeout 100ms --to OUT T
	has "$said" 'no space came in time'
	mq-consume -g g --to OUT T &
	mover=$!
	: > got
	while kill -0 $mover 2> /dev/null; do
		mq-consume -g out OUT >> got
		mq-topic purge -o "$(wc -l < got)" OUT
	done
	wait $mover
	mq-consume -g out OUT >> got
	is "$(cat got)" "$(seq 2000)"
}

@test "lines that are on their way when there is no more space come once" {
	for i in $(seq 40); do seq $((i * 10000)) $((i * 10000 + 9999)) | mq-publish T; done
	mq-consume T > all
	mq-topic create -X max.bytes=1500000 OUT
	fails 75 mq-drain -g g --timeout 50ms --to OUT T
	has "$said" 'no space came in time'
	mq-topic set OUT max.bytes=0
	mq-drain -g g --to OUT T
	mq-consume OUT | cmp - all
	mq-topic create -X max.bytes=1500000 COPY
	fails 75 mq-replay --timeout 50ms --to COPY T
	mq-topic set COPY max.bytes=0
	mq-replay --to COPY T
	mq-consume COPY | cmp - all
	mq-check
}

@test "a drain moves a backlog to another topic, and ends" {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq $((p * 100)) $((p * 100 + 99)) | mq-publish -p $p T; done
	is "$(mq-drain -g g --to WIDE --partitions 8 T 2>&1)" ''
	is "$(mq-consume WIDE | sort -n)" "$(seq 0 299)"
	is "$(mq-topic show --json WIDE | grep -o '"partitions":[0-9]*' | head -n 1)" '"partitions":8'
	mq-drain -g h --batch 30 --to ODD T -- sed -n '/[13579]$/p'
	is "$(mq-consume ODD | sort -n)" "$(seq 1 2 299)"
}

@test "a drain discards: all there was is done, and nothing is read" {
	seq 100 | mq-publish T
	is "$(mq-drain -g g --discard T)" ''
	is "$(place)" 100
	seq 5 | mq-publish T
	is "$(mq-consume -g g T)" "$(seq 5)"
	is "$(mq-consume T | wc -l)" 105
}

@test "a stop while a full topic is waited for ends it, and what was not moved comes next" {
	seq 2000 | mq-publish T
	mq-topic create -X max.messages=500 OUT
	mq-consume -v -g g --batch 10 --to OUT T -- cat 2> said &
	mover=$!
	until_true grep -q 'waiting for space' said
	kill -TERM $mover
	status=0
	wait $mover || status=$?
	is $status 143 # of the signal, as of any tool
	grep -q 'stopped while waiting for space' said
	mq-topic set OUT max.messages=0
	mq-drain -g g --batch 100 --to OUT T -- cat
	is "$(mq-consume OUT | sort -n | uniq | wc -l)" 2000
	is "$(mq-consume OUT | wc -l)" 2000
}

@test "a full topic that is to fail does so for the next run, too, which finds what was begun" {
	seq 100 | mq-publish T
	mq-topic create -X max.messages=10 -X when.full=fail OUT
	mq-topic create -X max.messages=10 -X when.full=fail T.dead
	seq 10 | mq-publish T.dead
	for turn in first next; do
		status=0
		timeout 30 mq-drain -g g --to OUT T 2> said || status=$?
		is "$turn $status $(grep -c 'the topic is full' said)" "$turn 75 1"
		status=0
		timeout 30 mq-drain -g h T -- sh -c 'exit 100' 2> said || status=$?
		is "$turn $status $(grep -c 'the topic is full' said)" "$turn 75 1"
	done
	mq-topic set OUT max.messages=0
	mq-topic set T.dead max.messages=0
	mq-drain -g g --to OUT T
	is "$(mq-consume OUT | sort -n)" "$(seq 100)"
	mq-drain -q -g h T -- sh -c 'exit 100'
	is "$(mq-consume T.dead | sort -n | uniq -d)" "$(seq 10)"
	is "$(mq-consume T.dead | wc -l)" 110
}

@test "a sync that fails names offsets only where there are some" {
	for n in $(seq 12); do
		rm -rf spool
		seq 20 | mq-publish T
		MQ_TEST_FAULT=fdatasync:$n:EIO "$MQ_BUILD/tests/traced/mq-drain" -g g --to OUT T 2>> said || true
		mq-drain -q -g g --to OUT T
		is "$(mq-consume OUT)" "$(seq 20)"
	done
	grep -q '0: outcome unknown: ' said
	sed -n 's/.*offsets \([0-9]*\) to \([0-9]*\), .*/\1 \2/p' said | while read -r from to; do
		[ "$from" -le "$to" ] && [ "$to" -lt 20 ]
	done
}

@test "a topic that records are on their way into is not deleted" {
	seq 40 | mq-publish T
	for to in OUT T.dead; do
		mq-topic create -X max.messages=5 $to
	done
	fails 75 mq-drain -g g --timeout 50ms --to OUT T
	fails 75 mq-replay --timeout 50ms --to OUT T
	fails 75 mq-drain -g h --batch 10 --timeout 50ms T -- sh -c 'exit 100'
	fails 75 mq-topic delete OUT
	has "$said" 'mq-replay --to has not finished copying from T:0 into OUT'
	fails 75 mq-topic delete T.dead
	has "$said" 'group h has not finished moving records from T:0 into T.dead'
	mq-topic set OUT max.messages=0
	mq-topic set T.dead max.messages=0
	mq-replay -q --to OUT T
	fails 75 mq-topic delete OUT
	has "$said" 'group g has not finished moving records from T:0 into OUT'
	mq-drain -q -g g --to OUT T
	mq-drain -q -g h T -- sh -c 'exit 100'
	is "$(mq-consume OUT | sort -n | uniq -c | awk '$1 == 2' | wc -l)" 40
	is "$(mq-consume T.dead | sort -n)" "$(seq 40)"
	mq-topic delete OUT
	mq-topic delete T.dead
	mq-topic create -X max.messages=5 OUT
	fails 75 mq-replay --timeout 50ms --to OUT T
	mq-topic delete --force OUT
}

@test "a topic that grew is moved in the order of its keys" {
	mq-topic create --partitions 2 T
	for i in $(seq 60); do echo "k$((i % 6)):$i"; done | mq-publish -K : T
	mq-rebalance T --partitions 4 > /dev/null
	for i in $(seq 61 120); do echo "k$((i % 6)):$i"; done | mq-publish -K : T
	mq-consume -g g --to OUT T
	is "$(mq-consume OUT | sort -n)" "$(seq 120)"
	for k in 0 1 2 3 4 5; do is "$(mq-consume -k k$k OUT)" "$(mq-consume -k k$k OUT | sort -n)"; done
}

@test "what its command cannot handle is a dead letter, beside what the others became" {
	seq 6 | mq-publish T
	mq-consume -g g --retries 0 --to OUT T -- sh -c 'read -r x || :; echo "<$x>"; [ "$x" != 3 ]' 2> said || true
	is "$(mq-consume OUT)" "$(printf '<%s>\n' 1 2 4 5 6)"
	is "$(mq-consume T.dead)" 3
	is "$(place)" 6
}
