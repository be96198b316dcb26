#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# Strategies: set, kept, told beforehand, and followed by members at work.
load one_spool

setup() {
	in_a_spool
	pids=()
}

teardown() {
	local pid
	touch enough
	for pid in "${pids[@]}"; do kill -CONT "$pid" 2> /dev/null && kill -KILL "$pid" 2> /dev/null || true; done
	wait
}

# member [ARGUMENT ...]: of group g, whose handler notes when it began and ended with what.
member() {
	mq-consume -f -g g "$@" -- sh -c '
		read -r record
		echo "b $MQ_TOPIC:$MQ_PARTITION $MQ_OFFSET $record" >> log
		echo "e $MQ_TOPIC:$MQ_PARTITION $MQ_OFFSET $record" >> log' 2>> said-by-members &
	pids+=($!)
}

count_members() { mq-rebalance -q -g g --json 2> /dev/null | grep -c '"counts":true' || true; }
counting() { [ "$(count_members)" = "$1" ]; }

pairs() { mq-rebalance -q -g g --json "$@" | sed -n 's/.*"member":\([^,]*\),"next":\([^}]*\)}$/\1 \2/p'; }
# All have what they are to have, and with "all" nothing is left over.
settled() { pairs | awk -v all="${1-}" '$1 != $2 || (all && $1 == "null") { bad = 1 } END { exit bad || !NR }'; }

# owners TOPIC: a letter for each partition, by the order of the members' names.
owners() {
	mq-rebalance -q -g g --json "$1" > now
	sed -n 's/.*"member":"\([^"]*\)".*"counts":true}/\1/p' now | sort > names
	sed -n 's/.*"partition":[0-9]*,"member":\([^,]*\),.*/\1/p' now | tr -d '"' | while read -r name; do
		if [ "$name" = null ]; then printf -- -; else printf %s $(($(grep -n "^$name$" names | cut -d: -f1) - 1)); fi
	done
}

# No record twice, none while another of its partition is in hand.
nobody_was_disturbed() {
	awk '$1 == "b" { if ($2 in busy || ($2, $3) in done) { print "twice or two at once: " $0; bad = 1 } busy[$2] = $3; done[$2, $3] }
	     $1 == "e" { delete busy[$2] } END { exit bad }' log
}

all_done() { [ "$(grep -c ^e log)" -ge "$1" ]; }

calls_of() { LC_ALL=C awk '$1 == "@mq" { print $5 }' "$1"; }

@test "each strategy set on a group at work moves its partitions, and no record is lost or handled by two" {
	mq-topic create T --partitions 6
	touch log
	for room in east east west; do member -X client.rack=$room T; done
	until_true counting 3
	until_true settled all
	is "$(owners T | fold -w1 | sort | uniq -c | awk '{printf $1}')" 222
	(n=0; while [ ! -e enough ]; do echo $((n++)); [ $((n % 20)) -ne 0 ] || sleep 0.02; done | mq-publish T
	) 2> published &
	pids+=($!)
	publisher=$!
	until_true all_done 50
	mq-rebalance -q -g g --strategy average > /dev/null
	until_true settled all
	is "$(owners T)" 001122
	mq-rebalance -q -g g --strategy circle > /dev/null
	until_true settled all
	is "$(owners T)" 012012
	mq-rebalance -q -g g --strategy hash > /dev/null
	until_true settled all
	mq-rebalance -q -g g --strategy nearby -X room.west=0-3 -X room.east=4,5 > /dev/null
	until_true settled all
	west=$(mq-rebalance -q -g g | awk '$4 == "west" { print $6 }')
	is "$west" 0-3
	mq-rebalance -q -g g --strategy room -X room.west=0 -X room.east=1-5 > /dev/null
	until_true settled all
	west=$(mq-rebalance -q -g g | awk '$4 == "west" { print $6 }')
	is "$west" 0
	mq-rebalance -q -g g --strategy config --assign - <<< '* 0-5' > /dev/null
	until_true settled all
	is "$(owners T)" 000000
	mq-rebalance -q -g g --strategy sticky > /dev/null
	until_true settled all
	is "$(owners T | fold -w1 | sort | uniq -c | awk '{printf $1}')" 222
	has=$(grep -c ^e log)
	touch enough
	wait $publisher
	until_true sh -c "mq-group show -g g --json T | grep -q '\"lag\":[1-9]' && exit 1 || exit 0"
	nobody_was_disturbed
	grep ^e log | awk '{ print $4 }' | sort -n > handled
	is "$(wc -l < handled)" "$(sort -nu handled | wc -l)"
	is "$(tail -n 1 handled)" "$(($(wc -l < handled) - 1))"
	echo "# $(wc -l < handled) records, $has of them while partitions moved"
}

@test "a strategy is kept before anybody is there, and holds from the first member on" {
	mq-topic create T --partitions 4
	fails 66 mq-rebalance -g g
	has "$said" 'no group g'
	fails 0 mq-rebalance -g g --strategy average --dry-run
	has "$said" 'group g would be made'
	[ ! -e spool/groups/g ]
	fails 0 mq-rebalance -g g --strategy average
	has "$said" 'group g was made'
	has "$(cat spool/groups/g/group.conf)" strategy=average
	mq-check
	is "$(mq-check)" ''
	touch log
	member T
	member T
	until_true counting 2
	until_true settled all
	is "$(owners T)" 0011
	is "$(mq-rebalance -g g | head -n 1)" 'strategy average'
	fails 0 mq-rebalance -g g --strategy average
	has "$said" 'it is so already'
}

@test "a dry run says what would move, and writes nothing" {
	mq-topic create T --partitions 4
	touch log
	member T
	member T
	until_true counting 2
	until_true settled all
	mq-rebalance -q -g g --strategy circle > /dev/null
	until_true settled all
	is "$(owners T)" 0101
	find spool -printf '%p %i %s %T@ %C@\n' | grep -v /members > before
	MQ_TEST_RECORD=$PWD/trace MQ_TEST_RECORD_ROOT=$PWD "$MQ_BUILD/tests/traced/mq-rebalance" -g g --strategy average --dry-run > out 2> said
	find spool -printf '%p %i %s %T@ %C@\n' | grep -v /members | diff before -
	[ -s trace ]
	is "$(calls_of trace | grep -xE 'p?writev?|renameat|mkdirat|unlinkat|fchmod|fsync|fdatasync|ftruncate|fallocate')" ''
	is "$(grep -c -- ' -> ' out)" 2
	has "$(cat said)" '2 of 4 partitions would move'
	is "$(awk 'NR > 2 && !/->/ { print $6, $7 }' out)" $'0,2 0-1\n1,3 2-3'
	is "$(owners T)" 0101
}

@test "group.conf is replaced whole: written, synced, renamed, its directory synced, and then the members hear of it" {
	mq-topic create T --partitions 2
	mq-rebalance -q -g g --strategy circle > /dev/null
	touch log
	member T
	until_true counting 1
	MQ_TEST_RECORD=$PWD/trace MQ_TEST_RECORD_ROOT=$PWD "$MQ_BUILD/tests/traced/mq-rebalance" -q -g g --strategy hash > out
	# Which calls on the way, in order: those that change something, and the one that wakes.
	calls_of trace | grep -xE 'p?writev?|fdatasync|renameat|fsync' | uniq > calls
	is "$(paste -sd' ' calls)" 'write fdatasync renameat fsync'
	for rule in write:1:stop-before renameat:1:stop-before renameat:1:stop-after fsync:1:stop-after; do
		MQ_TEST_FAULT=$rule "$MQ_BUILD/tests/traced/mq-rebalance" -q -g g --strategy average > out 2> err &
		held=$!
		pids+=($held)
		until_true grep -qs '^State:.T' "/proc/$held/status"
		kill -KILL $held
		wait $held || true
		grep -qxE 'strategy=(hash|average)' spool/groups/g/group.conf
		is "$(mq-rebalance -q -g g | head -n 1 | wc -w)" 2
		mq-rebalance -q -g g --strategy hash > /dev/null
	done
	is "$(mq-rebalance -q -g g | head -n 1)" 'strategy hash'
	mq-check | grep -v '^KIND' | grep -v 'left  *groups/g/' > found || true
	is "$(cat found)" ''
}

@test "members follow a change whose maker was killed as soon as it counts" {
	mq-topic create T --partitions 6
	mq-rebalance -q -g g --strategy average > /dev/null
	touch log
	member T
	member T
	until_true counting 2
	until_true settled all
	is "$(owners T)" 000111
	for strategy in circle average; do
		MQ_TEST_FAULT=renameat:1:stop-after "$MQ_BUILD/tests/traced/mq-rebalance" -q -g g --strategy $strategy > out 2> err &
		held=$!
		pids+=($held)
		until_true grep -qs '^State:.T' "/proc/$held/status"
		kill -KILL $held
		wait $held || true
		want=$([ $strategy = circle ] && echo 010101 || echo 000111)
		from=$(date +%s%N)
		until_true follows $want
		took=$((($(date +%s%N) - from) / 1000000))
		echo "followed after $took ms"
		[ $took -lt 3000 ] # what they look at by the clock is ten seconds apart
	done
}

follows() { [ "$(owners T)" = "$1" ]; }

@test "two who set something at the same moment both have it" {
	mq-topic create T
	mq-rebalance -q -g g --strategy hash > /dev/null
	MQ_TEST_FAULT=renameat:1:stop-before "$MQ_BUILD/tests/traced/mq-rebalance" -q -g g -X virtual.nodes=7 > out 2> err &
	held=$!
	pids+=($held)
	until_true grep -qs '^State:.T' "/proc/$held/status"
	fails 75 mq-rebalance -q -g g --timeout 1s -X room.a=1
	has "$said" 'another process changes it'
	mq-rebalance -q -g g -X room.b=2 > /dev/null &
	second=$!
	kill -CONT $held
	wait $held
	wait $second
	has "$(cat spool/groups/g/group.conf)" virtual.nodes=7
	has "$(cat spool/groups/g/group.conf)" room.b=2
}

@test "more members than partitions: it says so, and what to type" {
	mq-topic create T --partitions 2
	touch log
	for _ in 1 2 3 4 5; do member T; done
	until_true counting 5
	until_true settled
	fails 0 mq-rebalance -g g
	has "$said" '5 members read T, with 2 partitions: 3 of them idle; for one each: mq-rebalance T --partitions 6'
	is "$(mq-rebalance -q -g g | grep -c ' -  *-$')" 3
	fails 0 mq-rebalance -q -g g
	has "$said" strategy
}

@test "a group of many topics with one partition spreads over its members" {
	for t in a b c d; do mq-topic create $t; done
	touch log
	member a b c d
	member a b c d
	until_true counting 2
	until_true settled all
	is "$(mq-rebalance -q -g g --json | sed -n 's/.*"partition":0,"member":\([^,]*\),.*/\1/p' | sort | uniq -c | awk '{print $1}' | paste -sd' ')" '2 2'
}

@test "a member that names a partition has that one, and the others share the rest" {
	mq-topic create T --partitions 4
	touch log
	member T
	until_true counting 1
	until_true settled all
	member T:2
	until_true counting 2
	until_true settled all
	member T
	until_true counting 3
	until_true settled all
	alone=$(mq-rebalance -q -g g | awk '$6 == "2" { print $1 }')
	lines <(echo "$alone") 1
	has "$(cat "spool/groups/g/members/$alone")" 'topics=T:2'
	is "$(pairs T | cut -d' ' -f1 | sort | uniq -c | awk '{ print $1 }' | sort | paste -sd' ')" '1 1 2'
}

@test "a room has its members alone, and what nobody gets is told" {
	mq-topic create T --partitions 4
	touch log
	MQ_ROOM=east member T
	member -X client.rack=west T
	until_true counting 2
	mq-rebalance -g g --strategy room -X room.east=0-1 -X room.north=2 > /dev/null 2> said
	has "$(cat said)" 'T:2-3: nobody gets them: no member is in their room'
	has "$(cat said)" 'gets nothing by this strategy'
	until_true settled
	is "$(mq-rebalance -q -g g | awk '$6 == "0-1" { print $4 }')" east
	is "$(mq-rebalance -q -g g | awk '$1 == "(nobody)" { print $6 }')" 2-3
	seq 8 | mq-publish -p 3 T
	mq-rebalance -q -g g --strategy nearby > /dev/null
	until_true all_done 8
	until_true settled all
	fails 64 mq-rebalance -g g -X room.south=1
	has "$said" 'partition 1 is in room.east already'
	is "$(mq-group show -g g --json T | grep -o '"room":"[a-z]*"' | sort -u | paste -sd' ')" '"room":"east" "room":"west"'
}

@test "lines of a file say which members have what" {
	mq-topic create T --partitions 4
	touch log
	member T
	until_true counting 1
	printf '# who\n\n%s* \t0,2 # all of them\nnobody-* 1\n' "$(ls spool/groups/g/members | cut -c1-6)" > file
	mq-rebalance -g g --strategy config --assign file > /dev/null 2> said
	has "$(cat said)" 'T:1,3: nobody gets them: no member is of a pattern'
	until_true settled
	is "$(owners T)" 0-0-
	echo "* 3" | mq-rebalance -q -g g --assign - > /dev/null
	until_true settled
	is "$(owners T)" ---0
	fails 65 mq-rebalance -g g --assign - <<< 'east'
	has "$said" 'PATTERN PARTITIONS'
	fails 65 mq-rebalance -g g --assign - <<< 'east x'
	fails 66 mq-rebalance -g g --assign nowhere
	is "$(owners T)" ---0
}

@test "what is not there is 66, and what is not so is 64" {
	mq-topic create T
	mq-consume -g g T
	fails 66 mq-rebalance -g nobody
	fails 66 mq-rebalance -g g missing
	fails 66 mq-rebalance -g g --strategy hash missing
	[ ! -e spool/groups/g/group.conf ]
	fails 64 mq-rebalance
	fails 64 mq-rebalance -g g --strategy best
	fails 64 mq-rebalance -g g -X no.such=1
	fails 64 mq-rebalance -g g -X virtual.nodes=0
	[ ! -e spool/groups/g/group.conf ] || is "$(grep -v ^sum= spool/groups/g/group.conf)" ''
	fails 64 mq-consume -X client.rack='a b' -g g T
	fails 64 mq-consume -X client.rack=a T
	fails 64 mq-consume -X no.such=a -g g T
}

@test "a configuration that does not hold is told by mq-check, and by who needs it" {
	mq-topic create T
	mq-consume -g g T
	mq-rebalance -q -g g --strategy hash > /dev/null
	echo 'strategy=at random' > spool/groups/g/group.conf
	fails 78 mq-rebalance -g g
	has "$said" group.conf
	mq-check > found || true
	has "$(cat found)" 'groups/g/group.conf'
	rm spool/groups/g/group.conf
	mq-rebalance -q -g g --strategy circle > /dev/null
	sed -i 's/circle/average/' spool/groups/g/group.conf
	mq-check > found || true
	has "$(cat found)" 'it is not as mq wrote it'
	mq-check --mend > found || true
	is "$(mq-check)" ''
	has "$(mq-rebalance -q -g g)" 'strategy average'
}

@test "mq-group show tells a member a line what it has, and how fast it is" {
	mq-topic create T --partitions 6
	mq-topic create U
	touch log
	MQ_ROOM=attic member T U
	member T U
	member T U
	until_true counting 3
	until_true settled all
	seq 60 | mq-publish T
	mq-group show -g g --members > table
	is "$(head -n 1 table | tr -s ' ')" 'GROUP MEMBER PID HOST ROOM STATE LAG PARTITIONS'
	is "$(wc -l < table)" 4
	is "$(awk 'NR > 1 { print $2 }' table)" "$(ls spool/groups/g/members)"
	is "$(awk 'NR > 1 { for (i = 8; i <= NF; i++) print $i }' table | sed 's/:/ /' | while read -r t list; do
		echo "$list" | tr , '\n' | sed 's/-/ /' | while read -r a b; do seq "$a" "${b:-$a}" | sed "s/^/$t:/"; done; done | sort | paste -sd' ')" \
		'T:0 T:1 T:2 T:3 T:4 T:5 U:0'
	is "$(mq-group show -g g --members --json | grep -c '"room":"attic","state":"running","lag":')" 1
	kill -STOP "${pids[1]}"
	until_true grep -qs '^State:.T' "/proc/${pids[1]}/status"
	is "$(mq-group show -g g --members | grep -c ' stopped ')" 1
	kill -CONT "${pids[1]}"
	until_true all_done 60
	is "$(mq-group show -g g --interval 1ms | head -n 1 | tr -s ' ')" 'GROUP TOPIC PARTITION COMMITTED END LAG LOST EXPIRED RATE OWNER'
	# A partition whose place moves by 1,000 within the interval, and that of one that does not.
	(until_true [ -e looked ] && for _ in 1 2 3 4 5; do seq 10 | mq-publish -p 3 T; done) &
	MQ_TEST_RECORD=$PWD/trace "$MQ_BUILD/tests/traced/mq-group" show -g g --interval 6s --json T > rates &
	shower=$!
	until_true sh -c 'LC_ALL=C grep -aq topics/T/5 trace'
	touch looked
	wait $shower
	is "$(sed -n 's/.*"partition":3,.*"rate":\([0-9.]*\),.*/\1/p' rates | awk '{ print ($1 > 1.6 && $1 <= 8.4) }')" 1
	is "$(sed -n 's/.*"partition":0,.*"rate":\([0-9.]*\),.*/\1/p' rates)" 0.0
	until_true drained
	kill -KILL "${pids[@]}"
	until_true counting 0
	is "$(mq-group show -g g --members | tr -s ' ')" $'GROUP MEMBER PID HOST ROOM STATE LAG PARTITIONS\ng (nobody) - - - - 0 T:0-5 U:0'
}

drained() {
	mq-group show -g g --json > places
	! grep -qv '"lag":0,' places
}

@test "what a hundred members have fits on a screen of lines" {
	mq-topic create T --partitions 3
	touch log
	seq 100 | while read -r _; do
		mq-consume -f -g g T > /dev/null 2>&1 &
		echo $! >> many
	done
	mapfile -t pids < many
	many_members() { [ "$(mq-group show -g g --members | wc -l)" = 101 ]; }
	until_true many_members
	is "$(mq-group show -g g --members | awk 'length > 100' | wc -l)" 0
}

@test "who cannot join leaves no file behind" {
	mq-topic create T
	mq-consume -g g T
	for rule in renameat:1:path=/members:EIO pwrite:1:path=/members:EIO; do
		fails 74 env MQ_TEST_FAULT=$rule "$MQ_BUILD/tests/traced/mq-consume" -g g T
		has "$said" 'group g'
		is "$(ls -A spool/groups/g/members)" ''
	done
}

@test "a member that is there for a moment only has what its room has, too" {
	mq-topic create T --partitions 3
	for p in 0 1 2; do echo "p$p" | mq-publish -p $p T; done
	mq-rebalance -q -g g --strategy room -X room.east=0 -X room.west=1 > /dev/null 2>&1
	is "$(MQ_ROOM=east timeout 30 mq-consume -g g T)" p0
	is "$(timeout 30 mq-consume -g g T)" ''
	is "$(MQ_ROOM=west timeout 30 mq-consume -g g T -- cat)" p1
	mq-rebalance -q -g g --strategy config -X "assign.a=$(cat /proc/sys/kernel/hostname):2" > /dev/null 2>&1
	is "$(timeout 30 mq-consume -g g T)" p2
}
