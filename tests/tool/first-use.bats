#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What somebody meets who uses it for the first time: what is not so is told with what to do instead.
load one_spool

teardown() {
	kill -9 $(jobs -p) 2> /dev/null || true
	wait
}

@test "who wants more partitions by mq-topic is told how a topic gets them" {
	mq-topic create T
	fails 64 mq-topic set T partitions=4
	has "$said" 'mq-rebalance TOPIC --partitions N'
	fails 64 mq-topic set T num.partitions=4
	has "$said" 'no such key: num.partitions'
	has "$said" 'CONFIGURATION in mq-topic(1)'
	fails 64 mq-topic create T --partitions 4
	has "$said" 'mq-rebalance T --partitions'
}

@test "a key that no strategy has is told beside those that there are" {
	mq-topic create T
	mq-consume -g g T
	fails 64 mq-rebalance -g g -X colour=red
	for key in room.NAME assign.NAME strategy.within virtual.nodes; do has "$said" "$key"; done
}

@test "a line of --assign that does not hold is told by file and line, and a file that is not there as such" {
	mq-topic create T
	mq-consume -g g T
	printf '# hosts\neast-* 0-3\nwest-* 4-x\n' > who
	for list in 4-x x 4-3 , 1, ,1 1--2 10000 1-10000 1:2 -1; do
		echo "west-* $list" > who
		fails 65 mq-rebalance -g g --strategy config --assign who
		has "$said" 'who:1: '
		has "$said" "'$list'"
	done
	printf '# hosts\neast-* 0-3,9999\n\nwest-* x\n' > who
	fails 65 mq-rebalance -g g --strategy config --assign who
	has "$said" 'who:4: '
	fails 66 mq-rebalance -g g --strategy config --assign nowhere
	has "$said" 'nowhere: no such file or directory'
	[ ! -e spool/groups/g/group.conf ]
}

@test "who forgets the group is told what lacks, by what he asked for" {
	mq-topic create T
	fails 64 mq-rebalance --spread T
	has "$said" '-g GROUP is missing'
	case $said in *--partitions*) false ;; esac
	fails 64 mq-rebalance T
	has "$said" '--partitions N'
}

@test "a dry run of a strategy tells what would be, and what is done tells what is" {
	mq-topic create --partitions 4 T
	mq-consume -g g T
	for m in 1 2; do mq-consume -f -g g T & done
	counting() { [ "$(mq-rebalance -q -g g --json | grep -c '"counts":true')" = 2 ]; }
	until_true counting
	has_all() { [ "$(mq-rebalance -q -g g --json T | grep -c '"member":null')" = 0 ]; }
	until_true has_all
	fails 0 mq-rebalance -g g --strategy average --dry-run
	has "$said" 'of 4 partitions would move'
	fails 0 mq-rebalance -g g --strategy average
	has "$said" 'of 4 partitions move'
}

@test "partitions that members share are shown as shared, and nobody is told that there is no member" {
	mq-publish -m 1 T
	mq-consume --share -f -g g T -- cat > /dev/null &
	shares() { mq-group show -g g --json T | grep -q '"shared":true'; }
	until_true shares
	fails 0 mq-rebalance -g g
	has "$said" '(shared)'
	case $said in *'(nobody)'* | *'no member'*) false ;; esac
	has "$said" 'g shares T:0 record by record (--share)'
	is "$(mq-rebalance -q -g g --json | grep '"partition":0')" '{"v":1,"group":"g","topic":"T","partition":0,"member":null,"next":null,"shared":true}'
	is "$(mq-rebalance -g g --strategy circle --dry-run 2>&1 | grep -c 'would move\|(nobody)')" 1
	has "$(mq-rebalance -g g --strategy circle --dry-run 2>&1)" '0 of 1 partitions would move'
}

@test "of a group without members it is said that what is set will hold, and of one whose members have just come when they count" {
	mq-topic create T
	mq-consume -g g T
	fails 0 mq-rebalance -g g
	has "$said" 'g has no member now'
}

@test "that a spread gives up the order of keys is said where it is done, once, and not with -q" {
	mq-topic create --partitions 2 T
	seq 40 | mq-publish -p 0 T
	mq-consume -g g -n 1 T > /dev/null
	fails 0 mq-rebalance --spread -g g T
	has "$said" 'not in order'
	is "$(wc -l <<< "$said")" 1
	fails 0 mq-rebalance --spread -g g T
	case $said in *order*) false ;; esac
	seq 40 | mq-publish -p 0 T
	fails 0 mq-rebalance -q --spread -g g T
	is "$said" ''
}

@test "a topic grows sixty-three times, and then it is said" {
	mq-topic create T
	for n in $(seq 2 64); do mq-rebalance -q T --partitions $n; done
	fails 64 mq-rebalance T --partitions 128
	has "$said" '63 times'
}

@test "a member that was stopped is told with what frees its partitions" {
	mq-publish -m 1 T
	mq-consume -f -g g T > /dev/null &
	pid=$!
	owns() { mq-group show -g g --json T | grep -q "\"pid\":$pid"; }
	until_true owns
	fails 0 mq-rebalance -g g
	case $said in *stopped*) false ;; esac
	kill -STOP $pid
	stopped() { mq-group show -g g | grep -q '(stopped)'; }
	until_true stopped
	fails 0 mq-rebalance -g g
	name=$(mq-rebalance -q -g g --json | sed -n 's/.*"member":"\([0-9a-f]*\)","pid".*/\1/p')
	has "$said" "$name was stopped and lets go of nothing: kill -CONT $pid, or mq-group evict -g g --member $name"
	mq-group evict -q -g g --member "$name" > /dev/null
	mq-consume -g g T
	kill -CONT $pid
	wait $pid || is $? 75
}
