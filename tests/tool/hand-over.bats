#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Partitions that go from one member of a group to another, and members to whom things happen meanwhile.
load one_spool

setup() {
	in_a_spool
	members=()
}

teardown() {
	for member in "${members[@]}"; do
		kill -CONT "$member" 2> /dev/null || true
		kill -9 "$member" 2> /dev/null || true
	done
}

# A member in the background; what it says goes to NAME.said, its pid to $!.
member() { # NAME ARGUMENT ...
	local name=$1
	shift
	"$@" > "$name.out" 2> "$name.said" &
	members+=($!)
	eval "$name=$!"
}

follows() { # NAME ARGUMENT ...
	local name=$1
	shift
	member "$name" mq-consume -v -f -g g "$@"
}

owned_by() { # PID: how many partitions it has
	mq-group show -g g --json T | grep -c "\"pid\":$1,"
}
owns() { [ "$(owned_by "$1")" = "$2" ]; }
drained() {
	mq-group show -g g --json T > places
	grep -q '"lag":0,' places && ! grep -qv '"lag":0,' places
}

@test "a partition with a coproc goes to another member when that coproc has ended" {
	mq-topic create --partitions 2 T
	for p in 0 1; do seq 5 | mq-publish -p $p T; done
	follows one --coproc T -- sh -c 'while read -r x; do echo ok; done; echo $$ >> ended'
	until_true drained
	until_true owns "$one" 2
	follows two T -- sh -c 'cat >> by-two'
	until_true owns "$two" 1
	lines ended 1 # the other goes on
	for p in 0 1; do seq 6 9 | mq-publish -p $p T; done
	until_true drained
	is "$(cat by-two)" 6789
}

@test "a coproc that does not end when its input does is ended, and its partition goes on" {
	mq-topic create --partitions 2 T
	for p in 0 1; do seq 2 | mq-publish -p $p T; done
	follows one --coproc T -- sh -c 'while read -r x; do echo ok; done; exec sleep 1000'
	until_true drained
	follows two T -- sh -c 'cat >> by-two'
	until_true owns "$two" 1
}

@test "a partition that is kept after all gets a new coproc" {
	mq-topic create --partitions 2 T
	for p in 0 1; do seq 5 | mq-publish -p $p T; done
	follows one --coproc T -- sh -c 'echo began $$ >> began; while read -r x; do echo ok; done; touch ending; until [ -e go ]; do sleep 0.01; done'
	until_true drained
	follows two T -- cat
	until_true test -e ending
	kill -9 "$two"
	for p in 0 1; do seq 6 9 | mq-publish -p $p T; done
	touch go
	until_true drained
	lines began 3
}

@test "members that come while others are at work each get their part" {
	mq-topic create --partitions 16 T
	for p in $(seq 0 15); do seq 300 | mq-publish --ack written -p $p T; done
	follows one -j 4 T -- sh -c 'cat > /dev/null'
	until_true owns "$one" 16
	for name in two three four five six seven eight; do
		follows $name -j 4 T -- sh -c 'cat > /dev/null'
	done
	for name in "${!members[@]}"; do until_true owns "${members[$name]}" 2; done
}

@test "a member that reads without a pause hears who asks for a partition" {
	mq-topic create --partitions 2 T
	for p in 0 1; do (yes || true) | head -n 3000000 | mq-publish --ack written -p $p T; done
	member one sh -c 'exec mq-consume -v -f -g g --json T > /dev/null'
	until_true owns "$one" 2
	follows two -n 1 T
	until_true grep -q 'given to another' one.said
	mq-group show -g g --json T > places
	fails 1 grep '"lag":0,' places
	kill -9 "$one"
	rm -r spool # so many records are not read by the second reader, too
}
