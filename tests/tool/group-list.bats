#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# mq-group list: groups in few numbers, cheaply; names alone for scripts.
load one_spool

setup() {
	in_a_spool
	pids=()
}

teardown() {
	for pid in "${pids[@]}"; do kill -CONT "$pid" 2> /dev/null && kill -KILL "$pid" 2> /dev/null || true; done
	wait
}

owned() { [ "$(mq-group list --json | sed -n 's/.*"owned":\([^,]*\),.*/\1/p' | paste -sd' ')" = "$1" ]; }
shows() { mq-group list | grep -qE "$1"; }

@test "a line a group: members, topics, what is owned, lag; with -q the names alone" {
	mq-topic create --partitions 4 T
	mq-topic create --partitions 2 U
	seq 20 | mq-publish T
	seq 3 | mq-publish U
	mq-consume -g done T U > /dev/null
	mq-consume -g half -n 5 T > /dev/null
	is "$(mq-group list)" "$(printf '%s\n' \
		'GROUP  MEMBERS  TOPICS  OWNED  LAG' 'done         0       2    0/6    0' 'half         0       1    0/4   15')"
	is "$(mq-group list -q)" $'done\nhalf'
	is "$(mq-group list --json | head -n 1)" '{"v":1,"group":"done","members":0,"stopped":0,"topics":2,"partitions":6,"owned":0,"lag":0}'
	is "$(mq-group list -q --json | tail -n 1)" '{"v":1,"group":"half"}'
	mq-publish -m more U
	is "$(mq-group list | sed -n 's/^done.* //p')" 1
}

@test "members at work, and those that were stopped, are counted, and what they own" {
	mq-topic create --partitions 4 T
	mq-consume -f -g g T > out &
	pids+=($!)
	until_true owned 4
	until_true shows '^g +1 +1 +4/4 +0$'
	stop_at_rest "${pids[0]}"
	until_true shows '^g +1 \(1 stopped\) +1 +4/4 +0$'
	mq-consume -f -g g T > out2 &
	pids+=($!)
	until_true shows '^g +2 \(1 stopped\) +1 +4/4 +0$'
	has "$(mq-group list --json)" '"members":2,"stopped":1,'
}

@test "what is shared counts as done where its members have done it" {
	seq 10 | mq-publish T
	mq-consume --share -g g -n 7 T -- true
	is "$(mq-group list --json)" '{"v":1,"group":"g","members":0,"stopped":0,"topics":1,"partitions":1,"owned":0,"lag":3}'
}

@test "a group that only joined, one whose topic is gone, and one that cannot be read hide no other" {
	seq 3 | mq-publish T
	seq 3 | mq-publish U
	mq-consume -g bad T > /dev/null
	mq-consume -g good T > /dev/null
	mq-consume -g past U > /dev/null
	mq-rebalance -q -g strategy --strategy circle > /dev/null
	mq-topic delete U
	for at in 0 4096; do printf xxxxxxxx | dd of=spool/groups/bad/topics/T/offsets bs=1 seek=$((at + 40)) conv=notrunc status=none; done
	fails 2 mq-group list
	has "$said" 'group bad: '
	has "$said" 'no slot verifies'
	is "$(mq-group list 2> /dev/null | tr -s ' ')" $'GROUP MEMBERS TOPICS OWNED LAG\nbad ? ? ? ?\ngood 0 1 0/1 0\npast 0 0 0/0 0\nstrategy 0 0 0/0 0'
	is "$(mq-group list --json 2> /dev/null | grep -c '"lag":0')" 3
	is "$(mq-group list -q)" $'bad\ngood\npast\nstrategy'
}

@test "the ends of a topic are looked at once, whatever the number of its groups, and of a partition one place is read" {
	command -v strace > /dev/null || skip 'needs strace'
	strace -o /dev/null true 2> /dev/null || skip 'strace may not trace here'
	mq-topic create --partitions 20 T
	seq 100 | mq-publish T
	for g in a b; do mq-consume -g $g T > /dev/null; done
	count() { strace -f -o calls mq-group list > /dev/null && grep -c '(' calls; }
	two=$(count)
	mq-consume -g c T > /dev/null
	three=$(count)
	echo "$two, $three calls"
	[ $((three - two)) -le 80 ] # one a partition, and what a group costs whatever it reads
	names=$(strace -f -o calls mq-group list -q > /dev/null && grep -c '(' calls)
	[ "$names" -lt $((two / 4)) ]
}
