#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-stat: sums of what mq-topic and mq-group show, ages, rates, and limits.
load one_spool
load flip

field() { # NAME GROUP|TOPIC: of its object
	mq-stat --json | grep "^{\"v\":1,\"[a-z]*\":\"$2\"" | sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p"
}

stat_says() { # STATUS LINE
	local status=0
	said=$(mq-stat "${@:3}" 2> err) || status=$?
	is "$status" "$1"
	is "$said" "$2"
}

unknown() { # TEXT ARGUMENT ...
	local status=0
	said=$(mq-stat --check lag=1 "${@:2}" 2> err) || status=$?
	is "$status" 3
	has "$said" "$1"
}

@test "a topic's figures are the sums of its partitions, and of what is held" {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq $((p + 1)) | mq-publish -p $p T; done
	is "$(field records T)" 6
	is "$(field partitions T)" 3
	is "$(field end T)" 6
	mq-topic purge T:2:2
	is "$(field records T)" 4
	is "$(field end T)" 6
	is "$(field bytes T)" "$(cat spool/topics/T/*/*.seg | wc -c)"
}

@test "a group's figures: lag, owned, members, and the stopped among them" {
	mq-topic create --partitions 2 T
	for p in 0 1; do seq 10 | mq-publish -p $p T; done
	mq-consume -g g -p 0 -n 4 T > /dev/null
	is "$(field lag g)" 16
	is "$(field committed g)" 4
	is "$(field members g)" 0
	mq-consume -f -g g T > out &
	member=$!
	until [ "$(field owned g)" = 2 ]; do :; done
	is "$(field members g)" 1
	is "$(field stopped g)" 0
	kill -STOP $member
	until [ "$(field stopped g)" = 1 ]; do :; done
	stat_says 2 'MQ CRITICAL - stopped 1 (g) | stopped=1;0;0' --check stopped=0
	kill -KILL $member
}

@test "the oldest record, and the oldest that a group has not read, are known by their time" {
	mq-publish -m first T
	first=$(mq-consume --json T | sed 's/.*"timestamp":"\([^"]*\)".*/\1/')
	sleep 0.01
	mq-publish -m second T
	second=$(mq-consume --json -o 1 T | sed 's/.*"timestamp":"\([^"]*\)".*/\1/')
	mq-consume -g g -n 1 T > /dev/null
	is "$(field oldest T | cut -d. -f2)" "$(echo "$first" | cut -c21-26)"
	is "$(field oldest_unread g | cut -d. -f2)" "$(echo "$second" | cut -c21-26)"
	mq-consume -g g T > /dev/null
	is "$(field oldest_unread g)" null
	mq-topic purge T
	is "$(field oldest T)" null
}

@test "two looks tell how many came and how many were done" {
	mq-publish -m x T
	mq-consume -g g T > /dev/null
	mq-stat --interval 6s --json > rates 3> /dev/null &
	looking=$!
	until_true grep -q nanosleep "/proc/$looking/wchan"
	seq 100 | mq-publish T
	mq-consume -g g -n 50 T > /dev/null
	wait $looking
	[[ $(grep '"topic":"T","partitions":1,"segments"' rates) =~ '"rate":'([0-9.]+) ]]
	python3 -c "import sys; sys.exit(not 3 < ${BASH_REMATCH[1]} < 17)"
	[[ $(grep '"group"' rates) =~ '"rate":'([0-9.]+) ]]
	python3 -c "import sys; sys.exit(not 1.5 < ${BASH_REMATCH[1]} < 9)"
}

@test "a limit is told with the status of a plug-in, the worst of all, and what it is of" {
	seq 100 | mq-publish T
	mq-consume -g near -n 99 T > /dev/null
	mq-consume -g far -n 10 T > /dev/null
	stat_says 0 'MQ OK - lag 90 (far T) | lag=90;90;90' --check lag=90
	stat_says 1 'MQ WARNING - lag 90 (far T) | lag=90;89;1000' --check lag=89,1000
	stat_says 2 'MQ CRITICAL - lag 90 (far T) | lag=90;10;89' --check lag=10,89
	stat_says 0 'MQ OK - lag 1 (near T) | lag=1;10;89' --check lag=10,89 -g near
	stat_says 2 'MQ CRITICAL - records 100 (T) | lag=90;1;1000 records=100;5;5' --check lag=1,1000 --check records=5
	stat_says 2 'MQ CRITICAL - lag 90 (far T) | lag=90;3;3' --check lag=3 --topic T
	status=0
	mq-stat --check age=1ms > said || status=$?
	is $status 2
	has "$(cat said)" 'MQ CRITICAL - age '
	has "$(mq-stat --check age=1h)" 'MQ OK - age '
}

@test "what a limit cannot be is refused, and what cannot be had is unknown" {
	for bad in lag lag= =5 lags=5 lag=x age=5x lag=10,5 bytes=1Q; do
		stat_says 64 '' --check $bad
	done
	unknown 'MQ UNKNOWN - '
	mq-publish -m x T
	unknown 'MQ UNKNOWN - no topic nothing' nothing
	has "$(mq-stat --check lag=5 nothing 2> /dev/null)" '| lag=U;5;5'
	fails 66 mq-stat --json nothing
	is "$(mq-stat --json nothing 2> /dev/null)" '' # of what is not there, no figures
	is "$(mq-stat --json T nothing 2> /dev/null | grep -c '"topic":"T"')" 1
	fails 64 mq-stat --check lag=5,x
	has "$said" "--check lag=5,x: 'x' is not a number"
	mq-consume -g g T > /dev/null
	flip spool/groups/g/topics/T/offsets 40
	flip spool/groups/g/topics/T/offsets 4136
	unknown 'MQ UNKNOWN - group g, T:0: '
}

@test "what cannot be looked at hides nothing else, and its status is told" {
	for t in a b c; do mq-publish -m x $t; mq-consume -g g$t $t > /dev/null; done
	echo nonsense > spool/topics/b/topic.conf
	fails 78 mq-stat
	has "$said" 'topics/b'
	status=0
	mq-stat > out 2> /dev/null || status=$?
	is $status 78
	for line in '^a ' '^c ' '^ga ' '^gc '; do grep -q "$line" out; done
}

@test "metrics are what promtool would take: each family once, its samples behind it" {
	for t in a b; do seq 3 | mq-publish $t; mq-consume -g g -n 1 $t > /dev/null; done
	mq-stat --prometheus > metrics
	python3 - metrics <<- 'END'
		import re, sys
		seen, family = set(), None
		for line in open(sys.argv[1], encoding='ascii'):
		    line = line.rstrip('\n')
		    if line.startswith('# HELP '):
		        family = line.split()[2]
		        assert family not in seen, family
		        seen.add(family)
		    elif line.startswith('# TYPE '):
		        assert line.split()[2] == family and line.split()[3] in ('gauge', 'counter'), line
		        assert (line.split()[3] == 'counter') == family.endswith('_total'), line
		    else:
		        name, labels, value = re.fullmatch(r'(\w+)\{(.*)\} ([0-9.]+)', line).groups()
		        assert name == family, line
		        assert all(re.fullmatch(r'\w+="[A-Za-z0-9._-]+"', label) for label in labels.split(',')), line
		        float(value)
		assert {'mq_topic_records', 'mq_group_lag', 'mq_group_committed_total'} <= seen
	END
	grep -q '^mq_group_lag{group="g",topic="b"} 2$' metrics
}

@test "looking changes nothing, and needs no permission to write" {
	needs_users
	seq 5 | mq-publish T
	mq-consume -g g -n 2 T > /dev/null
	needs_a_reader
	before=$(find spool -printf '%p %T@ %s\n' | sort)
	has "$(nobody mq-stat --json)" '"lag":3'
	is "$(find spool -printf '%p %T@ %s\n' | sort)" "$before"
}

@test "dead letters are counted with the topic that they came from, and are a figure to check" {
	seq 5 | mq-publish T
	is "$(field dead T)" 0
	mq-consume -q -g g T -- sh -c 'read -r n; [ $n -lt 4 ] || exit 100'
	is "$(field dead T)" 2
	is "$(field dead T.dead)" 0
	has "$(mq-stat --prometheus)" 'mq_topic_dead_records{topic="T"} 2'
	stat_says 2 'MQ CRITICAL - dead 2 (T) | dead=2;1;1' --check dead=1
}

@test "what waits for its time is counted with its topic, and with --parked what a group will try again" {
	seq 5 | mq-publish T
	seq 3 | mq-publish --delay 1h T
	mq-consume -q -g g --retries 3 --backoff 1h..1h T -- sh -c 'read -r n; [ $n -lt 4 ]'
	is "$(field delayed T)" 5
	is "$(field lag g)" 0
	is "$(mq-stat --json --parked -g g T | grep -o '"parked":[0-9]*')" '"parked":2'
	is "$(mq-stat --json -g g T | grep -c parked)" 0
	has "$(mq-stat --prometheus --parked)" 'mq_topic_delayed_records{topic="T"} 5'
	has "$(mq-stat --prometheus --parked)" 'mq_group_parked_records{group="g",topic="T"} 2'
	stat_says 1 'MQ WARNING - delayed 5 (T) | delayed=5;4;5' --check delayed=4,5
	mq-consume -g other T > /dev/null
	is "$(mq-stat --json --parked -g other T | grep -o '"parked":[0-9]*')" '"parked":0'
}

@test "what a group passed since it had expired is counted with its place, and is a figure to check" {
	mq-topic create --partitions 2 T
	seq 3 | mq-publish --ttl 1ms -p 0 T
	seq 4 | mq-publish --ttl 1ms -p 1 T
	seq 5 | mq-publish -p 1 T
	until [ "$(mq-replay --expired T | wc -l)" = 7 ]; do :; done
	mq-consume -g g T > /dev/null
	is "$(field expired g)" 7
	has "$(mq-stat --prometheus)" 'mq_group_expired_total{group="g",topic="T"} 7'
	stat_says 2 'MQ CRITICAL - expired 7 (g T) | expired=7;6;6' --check expired=6
	mq-stat | grep -q 'EXPIRED'
}

@test "what members who share are at work on is a figure to check" {
	mq-publish -m x T
	mkfifo go
	mq-consume -q --share -g g T -- sh -c 'read -r go < go' &
	member=$!
	until [ "$(field in_flight g)" = 1 ]; do :; done
	stat_says 2 'MQ CRITICAL - in-flight 1 (g T) | in-flight=1;0;0' --check in-flight=0
	has "$(mq-stat --prometheus)" 'mq_group_in_flight{group="g",topic="T"} 1'
	echo > go
	wait $member
	is "$(field in_flight g)" 0
}
