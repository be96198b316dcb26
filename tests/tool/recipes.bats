#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What other queues have a name for, and here follows from keys, partitions and groups: the recipes of mq-consume(1).
load one_spool

# A handler that writes down what it got, and whether another was at the same KEY meanwhile.
at_once='mkdir "at-$MQ_KEY" || echo "two at $MQ_KEY" >> wrong; echo "$(cat)" >> "got-$MQ_KEY"; rmdir "at-$MQ_KEY"'

@test "message groups: of one key one record is at work, in order, though members come and go" {
	mq-topic create --partitions 4 T
	for i in $(seq 30); do
		for key in a b c d e; do echo "$key:$i"; done
	done | mq-publish -K : --id-field 1 T # with ids and --once, so that not even a member's end has one done twice
	mq-consume --once -f -g g -j 4 --order key T -- sh -c "$at_once" &
	first=$!
	until_true lines got-a 3
	mq-consume --once -f -g g -j 4 --order key T -- sh -c "$at_once" &
	second=$!
	until_true lines got-a 10
	kill $first
	wait $first || :
	for key in a b c d e; do
		until_true lines "got-$key" 30
	done
	kill $second
	wait $second || :
	[ ! -e wrong ] || { cat wrong; false; }
	for key in a b c d e; do
		is "$(cat "got-$key")" "$(seq 30)"
	done
}

@test "an exclusive consumer: one member is at work, the others stand by, and one goes on when it is killed" {
	mq-topic create --partitions 1 T
	for m in 1 2 3; do
		mq-consume -f -g g T -- sh -c "echo \"\$(cat) by $m\" >> got" &
		pids[m]=$!
	done
	mq-publish -m one T
	until_true lines got 1
	mq-publish -m two T
	until_true lines got 2
	active=$(sed -n 's/^one by //p' got)
	is "$(cat got)" "one by $active"$'\n'"two by $active"
	committed() { mq-group show -g g --json T | grep -q '"committed":2,'; }
	until_true committed
	kill -9 "${pids[active]}"
	wait "${pids[active]}" || :
	mq-publish -m three T
	until_true lines got 3
	next=$(sed -n 's/^three by //p' got)
	[ "$next" != "$active" ]
	mq-publish -m four T
	until_true lines got 4
	is "$(tail -n 1 got)" "four by $next"
	kill "${pids[@]}" 2> /dev/null || :
	wait || :
}
