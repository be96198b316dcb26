#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=600
# A topic that gets more partitions while it is in use: nothing lost, nothing doubled, the records of each key in order.
load one_spool

setup() {
	in_a_spool
	running=()
}

teardown() {
	for pid in "${running[@]}"; do
		kill -CONT "$pid" 2> /dev/null || true
		kill -9 "$pid" 2> /dev/null || true
	done
}

# Records KEY=NUMBER, of eleven keys.
records() { # FROM TO
	seq "$1" "$2" | awk '{ print "k" $1 * 7 % 11 "=" $1 }'
}

# What comes in, KEY=NUMBER, is as many records, each once, those of a key in order.
whole_and_in_order() { # COUNT
	awk -F= '{ if (last[$1] + 0 >= $2 + 0) { print "disorder: " $0 " after " last[$1]; bad = 1 } last[$1] = $2; n++ }
		END { print n + 0; exit bad }' > verdict || { cat verdict; false; }
	is "$(cat verdict)" "$1"
}

in_background() { # NAME COMMAND ...: its pid in $NAME, what it says in NAME.said, its output in NAME.out
	local name=$1
	shift
	"$@" > "$name.out" 2> "$name.said" < /dev/null &
	running+=($!)
	eval "$name=$!"
}

drained() { # GROUP
	mq-group show -g "$1" --json T > places
	grep -q '"lag":0,' places && ! grep -qv '"lag":0,' places
}

owned_by() { # PID
	mq-group show -g g --json T | grep -c "\"pid\":$1,"
}
owns_some() { [ "$(owned_by "$1")" -gt 0 ]; }
logged() { [ "$(cat log 2> /dev/null | wc -l)" -ge "$1" ]; }

@test "keys keep their order across growths, for groups and for readers without one" {
	mq-topic create --partitions 4 T
	records 1 100 | mq-publish -K= T
	mq-rebalance --partitions 8 T
	records 101 200 | mq-publish -K= T
	mq-rebalance --partitions 12 T
	records 201 300 | mq-publish -K= T
	mq-rebalance --partitions 24 T
	records 301 400 | mq-publish -K= T
	mq-consume -K= T | whole_and_in_order 400
	mq-consume -K= -g g T | whole_and_in_order 400
	timeout 60 mq-consume -K= -f -n 400 T | whole_and_in_order 400
	timeout 60 mq-consume -K= -f -n 400 -g h T | whole_and_in_order 400
	[ "$(mq-consume --json T | sed 's/.*"partition":\([0-9]*\),.*/\1/' | sort -u | wc -l)" -gt 6 ]
	mq-check
}

@test "--json tells at which offset each partition goes on: what lies there was published after, what lies in front before" {
	mq-topic create --partitions 2 T
	records 1 100 | mq-publish -K= T
	mq-rebalance --partitions 4 --json --dry-run T > said
	is "$(cat said)" '{"v":1,"topic":"T","before":2,"partitions":4,"barrier":true,"dry_run":true}'
	mq-rebalance --partitions 4 --json T > said
	is "$(head -n 1 said)" '{"v":1,"topic":"T","before":2,"partitions":4,"barrier":true,"dry_run":false}'
	records 101 200 | mq-publish -K= T
	sed -n 's/^{"v":1,"topic":"T","partition":\([0-9]*\),"offset":\([0-9]*\)}$/\1 \2/p' said > begins
	is "$(cut -d' ' -f1 begins | paste -sd' ')" '0 1 2 3'
	while read -r p o; do
		mq-consume -K= -p "$p" -o "..$o" T | awk -F= '$2 > 100 { exit 1 } END { print NR }'
		mq-consume -K= -p "$p" -o "$o" T | awk -F= '$2 <= 100 { exit 1 } END { print NR }'
	done < begins | awk '{ n += $1 } END { exit n != 200 }'
}

@test "a key waits for where it was first though nothing came in between" {
	mq-topic create --partitions 1 T
	records 1 50 | mq-publish -K= T
	for n in 2 4 8 16; do mq-rebalance --partitions $n T; done
	records 51 100 | mq-publish -K= T
	mq-consume -K= -g g T | whole_and_in_order 100
	timeout 60 mq-consume -K= -f -n 100 T | whole_and_in_order 100
}

@test "what is behind is given to no handler before what it came after is done, but with --no-barrier" {
	for barrier in '' --no-barrier; do
		mq-topic create --partitions 1 T
		mkfifo go
		echo k=1 | mq-publish -K= T
		in_background member mq-consume -v -f -j 2 -g g T -- sh -c 'read -r n; echo "$n" >> log; [ "$n" != 1 ] || read -r x < go; echo "$n done" >> log'
		until_true grep -qs 1 log
		mq-rebalance $barrier --partitions 2 T
		# of sixteen keys some are in the other partition now
		for i in $(seq 2 17); do echo "k$i=$i"; done | mq-publish -K= T
		if [ "$barrier" ]; then
			until_true logged 3 # another partition's begins beside it
			! grep -q '^1 done' log
		else
			until_true grep -q 'T:1: the topic has grown: what follows here waits until T:0 is done up to 1' member.said
			is "$(cat log)" 1
		fi
		echo > go
		until_true logged 34
		kill "$member"
		wait "$member" || true
		[ "$barrier" ] || is "$(sed -n 2p log)" '1 done'
		mq-topic delete T --force
		mq-group delete -g g
		rm -f log go
	done
}

# What mq-rebalance is killed at, one call after the other, until it gets through.  Afterwards all must be as if it had never been
# begun, or was done.  Every seventh is tried, from another one on each time; all of them with MQ_GROWTH=all, which takes ten minutes.
@test "killed at any call it has grown or is as it was, and the next one grows it" {
	local status=1 step=7 n
	[ "${MQ_PASS-}" != sanitize ] || step=29
	[ "${MQ_GROWTH-}" != all ] || step=1
	n=$((-RANDOM % step))
	echo "# every ${step}th call, from $((n + step)) on"
	mq-topic create --partitions 2 T
	records 1 40 | mq-publish -K= T
	mq-consume -g g -n 7 T > /dev/null
	cp -a spool before
	while [ $status != 0 ]; do
		n=$((n + step)) status=0
		rm -rf spool
		cp -a before spool
		MQ_TEST_FAULT="*:$n:kill-before" "$MQ_BUILD/tests/traced/mq-rebalance" --partitions 3 T 2> /dev/null || status=$?
		records 41 60 | mq-publish -K= T
		mq-rebalance --partitions 6 T 2> /dev/null
		records 61 80 | mq-publish -K= T
		grep -Eq '^generations=0:2(,1:3)?,[12]:6$' spool/topics/T/topic.conf || { cat spool/topics/T/topic.conf; false; }
		mq-consume -K= T | whole_and_in_order 80 || { echo "killed at call $n"; false; }
		mq-consume -K= -g g T | whole_and_in_order 73 || { echo "killed at call $n, in the group"; false; }
		mq-check || { echo "killed at call $n"; false; }
	done
	[ $n -gt 100 ]
}

@test "publishers and members at work go on while it grows again and again, and those who grow it are killed" {
	local n grown=4
	mq-topic create --partitions 4 T
	cat > feed <<- 'END'
		for i in $(seq 1 1500); do echo "k$((i * 7 % 11))=$i"; [ $((i % 20)) != 0 ] || sleep 0.1; done
	END
	in_background publisher sh -c 'sh feed | mq-publish -K= --confirm T'
	in_background one mq-consume -f -g g T --coproc -- sh -c 'while read -r x; do echo "$x" >> log; echo ok; done'
	in_background two mq-consume -f -g g -j 4 T -- sh -c 'echo "$(cat)" >> log'
	in_background follower mq-consume -K= -f -n 1500 T
	until_true owns_some "$one"
	until_true owns_some "$two"
	for to in 8 12 24; do
		for n in 40 120 200 280 360 440; do
			MQ_TEST_FAULT="*:$n:kill-before" "$MQ_BUILD/tests/traced/mq-rebalance" --partitions $to T 2> /dev/null || true
		done
		mq-rebalance --partitions $to T || grep -q ":$to\$\|:$to," spool/topics/T/topic.conf
	done
	wait "$publisher"
	lines publisher.out 1500
	is "$(sort -u publisher.out | wc -l)" 1500
	wait "$follower"
	whole_and_in_order 1500 < follower.out
	until_true drained g
	mq-consume -K= T | whole_and_in_order 1500
	is "$(sort -n log | uniq | grep -c .)" 1500
	is "$(grep -c . log)" 1500
	mq-check
}

@test "each member's handlers get the records of a key in order while it grows" {
	mq-topic create --partitions 2 T
	in_background publisher sh -c 'for i in $(seq 1 600); do echo "k$((i * 7 % 11))=$i"; [ $((i % 10)) != 0 ] || sleep 0.1; done | mq-publish -K= T'
	for m in 1 2 3; do
		in_background m$m mq-consume -f -g g T -- sh -c 'printf "%s=%s\n" "$MQ_KEY" "$(cat)" >> log'
	done
	until_true logged 50
	mq-rebalance --partitions 3 T
	until_true logged 150
	kill -9 "$m2"
	mq-rebalance --partitions 6 T
	until_true logged 250
	stop_at_rest "$m1"
	mq-rebalance --partitions 7 T
	records 601 620 | mq-publish -K= T
	kill -CONT "$m1"
	wait "$publisher"
	until_true drained g
	# a record that the killed one had in its hand comes twice, at the same place in its key's order
	awk '!seen[$0]++' log | grep -v '=6[0-9][0-9]$\|=6[01][0-9]$' | whole_and_in_order 599
}

@test "a named producer is run again across growths, and what it had stored is not stored again" {
	mq-topic create --partitions 4 T
	records 1 100 > input
	# killed while it sends what it gathered: one partition has its part, another has not
	MQ_TEST_FAULT='pwritev:4:kill-before' "$MQ_BUILD/tests/traced/mq-publish" -K= --producer P --seq 1 T < input || true
	mq-rebalance --partitions 6 T
	mq-publish -K= --producer P --seq 1 T < input
	mq-consume -K= T | whole_and_in_order 100
	mq-rebalance --partitions 12 T
	mq-publish -K= --producer P --seq 1 T < input 2> said
	mq-consume -K= T | whole_and_in_order 100
	records 101 150 >> input
	mq-publish -K= --producer P --seq 1 T < input
	records 151 160 | mq-publish -K= --producer P T
	mq-consume -K= T | whole_and_in_order 160
	sed 's/=50$/=5x/' input | fails 65 mq-publish -K= --producer P --seq 1 T
	has "$said" 'other bytes as its number 50'
	mq-check
}

@test "what a named producer had stored under an older number of partitions outlasts its segments" {
	mq-topic create --partitions 2 T
	mq-topic set T segment.bytes=4096
	records 1 100 > input
	mq-publish -K= --producer P --seq 1 T < input
	mq-rebalance --partitions 3 T
	for i in $(seq 20); do records 1000 1100 | mq-publish -K= T; done
	rm -f spool/topics/T/*/producers
	mq-publish -K= --producer P --seq 1 --confirm T < input > confirmed
	is "$(mq-consume -K= T | grep -c '=[0-9]\{1,3\}$')" 100
}

@test "a publisher at work under a name goes on across a growth" {
	mq-topic create --partitions 4 T
	mkfifo lines
	in_background publisher sh -c 'mq-publish -K= --producer P --seq 1 --confirm T < lines'
	exec 7> lines
	records 1 50 >&7
	until_true test "$(wc -l < publisher.out)" -ge 0
	until_true sh -c '[ "$(wc -l < publisher.out)" = 50 ]'
	mq-rebalance --partitions 6 T
	records 51 100 >&7
	exec 7>&-
	wait "$publisher"
	lines publisher.out 100
	mq-consume -K= T | whole_and_in_order 100
	records 1 100 | mq-publish -K= --producer P --seq 1 T
	mq-consume -K= T | whole_and_in_order 100
}

@test "lines without keys, and those for one partition, go on" {
	mq-topic create --partitions 2 T
	mkfifo lines chosen
	in_background plain sh -c 'mq-publish --confirm T < lines'
	in_background picked sh -c 'mq-publish --confirm -p 1 T < chosen'
	exec 7> lines 8> chosen
	for i in 1 2 3; do
		seq $((10 * i)) $((10 * i + 9)) >&7
		seq $((10 * i)) $((10 * i + 9)) >&8
		until_true sh -c "[ \$(wc -l < plain.out) = $((10 * i)) ] && [ \$(wc -l < picked.out) = $((10 * i)) ]"
		mq-rebalance --partitions $((2 + 3 * i)) T
	done
	exec 7>&- 8>&-
	wait "$plain" "$picked"
	is "$(cut -d: -f2 picked.out | sort -u)" 1
	is "$(mq-consume T | sort -n | uniq -c | awk '$1 != 2' | wc -l)" 0
}

@test "a growth that came to nothing holds nobody up, and its number is not used again" {
	local n
	mq-topic create --partitions 2 T
	records 1 20 | mq-publish -K= T
	# killed when the generation's batches are there, before topic.conf
	n=$(stat -c %s spool/topics/T/0/*.seg)
	MQ_TEST_FAULT='renameat:8:kill-before' "$MQ_BUILD/tests/traced/mq-rebalance" --partitions 4 T || true
	[ "$(stat -c %s spool/topics/T/0/*.seg)" -gt "$n" ]
	grep -q '^generations=0:2$' spool/topics/T/topic.conf
	grep -q '^growing=1:4$' spool/topics/T/topic.conf
	mq-check > checked
	has "$(mq-check -v)" 'a growth to 4 partitions that goes on, or was begun and came to nothing'
	records 21 40 | mq-publish -K= T
	mq-consume -K= -g g T | whole_and_in_order 40
	mq-check
	mq-rebalance --partitions 3 T
	grep -q '^generations=0:2,2:3$' spool/topics/T/topic.conf
	! grep -q growing spool/topics/T/topic.conf
	records 41 60 | mq-publish -K= T
	mq-consume -K= T | whole_and_in_order 60
}

@test "what cannot be is refused, and --dry-run writes nothing" {
	mq-topic create --partitions 4 T
	fails 64 mq-rebalance --partitions 4 T
	has "$said" 'has 4 partitions already'
	fails 64 mq-rebalance --partitions 3 T
	has "$said" 'there can only be more'
	fails 64 mq-rebalance --partitions 10001 T
	has "$said" 'at most 10000'
	fails 66 mq-rebalance --partitions 8 none
	fails 64 mq-rebalance --partitions 8 T U
	fails 64 mq-rebalance --partitions 8 T:1
	fails 64 mq-rebalance --no-barrier -g g
	fails 64 mq-rebalance --partitions 8 -g g T
	find spool -type f -exec md5sum {} + | sort > before
	fails 0 mq-rebalance --dry-run --partitions 6 T
	has "$said" '6 is no multiple of 4'
	has "$said" 'of 8 only the new ones'
	find spool -type f -exec md5sum {} + | sort > after
	cmp before after
}

@test "topic.conf is changed by one at a time" {
	local i
	mq-topic create --partitions 1 T
	for i in 2 3 4 5 6; do mq-rebalance -q --partitions $i T & done
	for i in $(seq 20); do mq-topic set T "retention.ms=$((i + 1000))"; done
	wait
	grep -q '^retention.ms=1020$' spool/topics/T/topic.conf
	grep -q '^partitions=6$' spool/topics/T/topic.conf
	records 1 50 | mq-publish -K= T
	mq-check
}

@test "members that share partitions keep the barrier, and lose nothing at it" {
	mq-topic create --partitions 2 T
	records 1 60 | mq-publish -K= T
	mq-rebalance --partitions 3 T
	records 61 120 | mq-publish -K= T
	timeout 60 mq-consume --share -g g T -- sh -c 'printf "%s=%s\n" "$MQ_KEY" "$(cat)" >> log'
	whole_and_in_order 120 < log
	timeout 60 mq-consume -K= --share -g h T > out
	is "$(sort -u out | wc -l)" 120
	for m in 1 2 3; do
		in_background m$m mq-consume --share -f -g i T -- sh -c 'printf "%s=%s\n" "$MQ_KEY" "$(cat)" >> shared'
	done
	until_true sh -c '[ "$(cat shared | wc -l)" -ge 30 ]'
	mq-rebalance --partitions 6 T
	records 121 180 | mq-publish -K= T
	until_true sh -c '[ "$(cat shared | wc -l)" -ge 180 ]'
	is "$(sort shared | uniq -d)" ''
	lines shared 180
}

@test "who shares and does not follow does not end before what waited for a place that follows later" {
	records 1 20 | mq-publish -K= T
	mq-rebalance -q --partitions 2 T
	records 21 40 | mq-publish -K= T
	timeout 60 mq-consume --share --batch 10 -g g T -- cat > done
	is "$(sort -n done | xargs)" "$(seq 40 | xargs)"
	timeout 60 mq-consume -K= --share -g h T > out
	whole_and_in_order 40 < out
	# and behind more of them, of which some begin where nothing came after
	mq-rebalance -q --partitions 3 T
	records 41 50 | mq-publish -K= T
	mq-rebalance -q --partitions 5 T
	mq-rebalance -q --partitions 7 T
	records 51 60 | mq-publish -K= T
	mq-rebalance -q --partitions 8 T
	echo k1=61 | mq-publish -K= T
	for g in i j k; do
		timeout 60 mq-consume --share --batch 3 -g $g T -- cat > $g
		is "$(sort -n $g | xargs)" "$(seq 61 | xargs)"
	done
	timeout 60 mq-consume -K= --share -g l T > out
	whole_and_in_order 61 < out
}

@test "positions that are acknowledged when the last one is there end a run, though what has grown waits for them" {
	records 1 20 | mq-publish -K= T
	mq-rebalance -q --partitions 2 T
	records 21 40 | mq-publish -K= T
	run -75 timeout 60 mq-consume --manual --timeout 300ms -g g T < /dev/null
	[[ $output == *'T:1: left: the topic has grown, and T:0 must be done up to 20 before'* ]]
	timeout 60 mq-consume --manual --timeout 300ms -g h T 2> said | { sort > first; mq-group commit -g h < first; } || true
	timeout 60 mq-consume --manual -g h T | tee second | mq-group commit -g h
	[ -s second ]
	is "$(cut -f 2 first second | sort -n | xargs)" "$(seq 40 | xargs)"
	timeout 60 mq-consume --manual -g i T | tee all | mq-group commit -g i
	lines all 40
	mq-check
}

@test "a generation that begins at the very end of a segment holds back what the next one has" {
	mq-topic create --partitions 2 T
	mq-topic set T segment.bytes=4096
	records 1 22 | mq-publish -K= T
	mq-rebalance --partitions 3 T
	# each of these goes into a segment of its own: the generation's batch is the last one of those before
	records 23 44 | sed "s/\$/ $(head -c 3900 /dev/zero | tr '\0' y)/" > big
	while read -r line; do echo "$line" | mq-publish -K= T; done < big
	[ "$(ls spool/topics/T/0/*.seg | wc -l)" -gt 2 ]
	# alone each waits for those that its keys were in before
	for p in 0 1 2; do timeout 60 mq-consume -K= -g g "T:$p" >> out || [ $? = 75 ]; done
	[ "$(wc -l < out)" -lt 44 ]
	timeout 60 mq-consume -K= -g g T >> out
	whole_and_in_order 44 < out
	mq-consume -K= T | whole_and_in_order 44
}

@test "without a group records come by generation, and within one by partition" {
	mq-topic create --partitions 2 T
	records 1 20 | mq-publish -K= T
	mq-rebalance --partitions 4 T
	records 21 60 | mq-publish -K= T
	mq-rebalance --no-barrier --partitions 5 T
	records 61 100 | mq-publish -K= T
	mq-rebalance --partitions 7 T
	records 101 160 | mq-publish -K= T
	mq-consume --json T | sed 's/.*"partition":\([0-9]*\),.*"payload":"\([0-9]*\)".*/\1 \2/' |
		awk '{ print ($2 <= 20 ? 0 : $2 <= 60 ? 1 : $2 <= 100 ? 2 : 3), $1 }' | uniq > came
	lines came "$(sort -u came | wc -l)"
	sort -n -k1,1 -k2,2 came | cmp - came
	[ "$(wc -l < came)" -gt 10 ]
}

@test "what a group has not read in a partition that came while it was away stays for it" {
	mq-topic create T segment.bytes=4096
	seq 10 | mq-publish T
	mq-consume -g away T > /dev/null
	mq-consume -g there T > /dev/null
	mq-rebalance -q T --partitions 2
	mq-rebalance -q T --partitions 6
	for i in 1 2 3; do seq -f '%0100.0f' 40 | mq-publish T:5; done
	mq-consume -g there T > /dev/null
	mq-retain --consumed
	run -75 mq-topic purge T:5
	[[ $output == *'group away stands at 0'* ]]
	is "$(mq-consume -g away T | wc -l)" 120
	mq-retain --consumed
	is "$(mq-topic show --json T | sed -n 's/.*"partition":5,"log_start":\([0-9]*\),.*/\1/p')" 80
	mq-topic purge T:5
	mq-check
}

@test "a group that begins at the end begins at the beginning of what came while it was away" {
	seq 10 | mq-publish T
	is "$(mq-consume -g away -o end T)" ''
	mq-rebalance -q T --partitions 2
	seq 11 15 | mq-publish T:1
	is "$(mq-consume -q -g new -o end T)" ''
	is "$(mq-consume -g away -o end T 2> said | xargs)" '11 12 13 14 15'
	grep -q 'T:1: group away goes on from its place, 0' said || grep -q 'T:0: group away goes on from its place, 10' said
	seq 16 20 | mq-publish T:1
	is "$(mq-consume -q -g new -o end T | xargs)" '16 17 18 19 20'
	mq-check
}

@test "a group that came after the growth, and reads one partition, holds nothing in the others" {
	mq-topic create T segment.bytes=4096
	mq-rebalance -q T --partitions 2
	for i in 1 2 3; do seq -f '%0100.0f' 40 | mq-publish T:1; done
	mq-consume -g one T:0
	mq-consume -g all T > /dev/null
	mq-retain --consumed
	is "$(mq-topic show --json T | sed -n 's/.*"partition":1,"log_start":\([0-9]*\),.*/\1/p')" 80
	mq-topic purge T:1
}

# It sleeps, and by its own clock nothing is about to wake it.
sleeps() { # PID
	local before
	before=$(grep ^voluntary "/proc/$1/status")
	sleep 0.4
	[ "$(grep ^voluntary "/proc/$1/status")" = "$before" ]
}

# 1 and 2 in T:0, and behind the growth 3 in T:1.
grown() {
	seq 2 | mq-publish T
	mq-rebalance -q --partitions 2 T
	echo 3 | mq-publish T:1
}

@test "who waits for what nobody has at work goes on when that is done by hand" {
	grown
	mq-consume --manual --timeout 0 -g commit T:0 > positions 2> said || [ $? = 75 ]
	for how in seek commit; do
		in_background waits mq-consume -f -g $how T:1
		until_true grep -q 'the topic has grown' waits.said
		until_true sleeps "$waits"
		if [ $how = seek ]; then mq-group seek -q -g seek -p 0 -o end T; else mq-group commit -g commit < positions; fi
		timeout 5 bash -c "until [ -s waits.out ]; do sleep 0.01; done"
		kill "$waits"
		wait "$waits" || [ $? = 143 ]
	done
}

@test "who takes in acknowledgements up to where a growth begins wakes those who wait for that" {
	grown
	for what in T:1 T; do
		group=${what/:/}
		in_background prints mq-consume -f --manual -g "$group" T:0
		until_true lines prints.out 2
		in_background waits mq-consume -f -v -g "$group" "$what"
		until_true grep -q 'the topic has grown' waits.said
		until_true sleeps "$waits"
		stop_at_rest "$prints" # so that what is rung when they come is heard and over
		mq-group commit -g "$group" < prints.out
		until_true sleeps "$waits"
		kill -CONT "$prints"
		timeout 5 bash -c "until [ -s waits.out ]; do sleep 0.01; done"
		kill "$waits" "$prints"
		wait "$waits" || [ $? = 143 ]
		wait "$prints" || [ $? = 143 ]
	done
}

@test "acknowledgements that came in time while it stood still let a run by hand go on behind a growth" {
	grown
	in_background prints mq-consume --manual --timeout 4s -g g T
	until_true lines prints.out 2
	stop_at_rest "$prints"
	mq-group commit -g g < prints.out
	sleep 4.2
	kill -CONT "$prints"
	until_true lines prints.out 3
	tail -n 1 prints.out | mq-group commit -g g
	wait "$prints"
}

stands() { grep -q '^State:.T' "/proc/$1/status"; }
stands_or_sleeps() { stands "$1" || sleeps "$1"; }

@test "what is done between a look at what is waited for and the sleep that follows is seen" {
	grown
	steady=0
	for ((n = 1; ; n++)); do
		MQ_TEST_FAULT=watch_add:$n:stop-before in_background waits "$MQ_BUILD/tests/traced/mq-consume" -f -g "g$n" T:1 -- cat
		until_true stands_or_sleeps "$waits"
		if ! stands "$waits"; then
			mq-publish -q -m more T:1 # wakes it, for nothing
			until_true stands_or_sleeps "$waits"
			stands "$waits" || break # there were fewer calls
			mq-group seek -q -g "g$n" -p 0 -o end T
			kill -CONT "$waits"
			timeout 5 bash -c "until [ -s waits.out ]; do sleep 0.01; done"
			steady=$((steady + 1))
		fi
		kill -9 "$waits"
		wait "$waits" || true
	done
	[ $steady -ge 2 ]
}

@test "a growth that is named between a look at topic.conf and the sleep that follows is followed" {
	for n in 1 2 3; do
		mq-topic create --partitions 1 T
		seq 2 | mq-publish T
		MQ_TEST_FAULT=renameat:2:path=topic.conf:stop-before in_background grows "$MQ_BUILD/tests/traced/mq-rebalance" -q --partitions 2 T
		until_true stands "$grows"
		MQ_TEST_FAULT=watch_add:$n:stop-before in_background follows "$MQ_BUILD/tests/traced/mq-consume" -f T
		until_true lines follows.out 2
		until_true stands_or_sleeps "$follows"
		kill -CONT "$grows"
		wait "$grows"
		kill -CONT "$follows"
		until_true sleeps "$follows"
		echo 3 | mq-publish T:1
		timeout 5 bash -c "until [ \$(wc -l < follows.out) = 3 ]; do sleep 0.01; done"
		kill -9 "$follows"
		wait "$follows" || true
		mq-topic delete -q T
	done
}
