#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A work queue: members that share a partition, record by record (--share).
load one_spool

setup() {
	in_a_spool
	members=()
}

teardown() {
	touch go
	for member in "${members[@]}"; do
		kill -CONT "$member" 2> /dev/null || true
		kill -9 "$member" 2> /dev/null || true
	done
}

shares() { # NAME ARGUMENT ...: in the background; what it says goes to NAME.said, its pid to $NAME
	local name=$1
	shift
	mq-consume --share -g g "$@" > "$name.out" 2> "$name.said" &
	members+=($!)
	eval "$name=$!"
}

field() { # NAME: of the group's first partition in T
	mq-group show -g g --json T:0 | sed -n "1s/.*\"$1\":\([^,}]*\).*/\1/p"
}
stands() { # NAME VALUE
	[ "$(field "$1")" = "$2" ]
}
handled() { sort -n "$@"; }

# A handler that says which record it has, and waits until it may go on.
descends='exec 3<&0; sh -c "$0" <&3 & wait'
cat_when_told='read -r x; echo "$x" >> begun; until [ -e go ] || [ -e "go-$x" ]; do sleep 0.01; done; echo "$x" >> ended'

@test "each record goes to one of those who share, and within one in order" {
	seq 500 | mq-publish T
	for i in 1 2 3 4 5 6; do shares "m$i" T -- sh -c 'read -r x; echo $x'; done
	wait
	is "$(handled m*.out)" "$(seq 500)"
	for i in 1 2 3 4 5 6; do
		sort -nc "m$i.out"
		is "$(cat "m$i.said")" ''
	done
	is "$(field committed)" 500
	is "$(mq-consume --share -g g T)" ''
}

@test "a restart gives out only what was not done, however many behind it were" {
	seq 50 | mq-publish T
	fails 75 mq-consume --share -g g -j 4 T -- sh -c 'read -r x; [ "$x" != 7 ] || sleep 0.3; echo $x >> done-first; [ $x != 7 ]'
	has "$said" "T:0:6: its handler failed with status 1; the run ends here, and another member, or the next run, is given it again"
	n=$(wc -l < done-first)
	[ "$n" -gt 7 ]
	is "$(field committed)" 6
	is "$(field done_above)" $((n - 7))
	is "$(field ready)" $((50 - n + 1))
	mq-consume --share -g g T -- sh -c 'read -r x; echo $x' > done-second
	is "$(grep -v '^7$' done-first | cat - done-second | sort -n)" "$(seq 50)"
	is "$(head -1 done-second)" 7
}

@test "of a killed member another has at once what it had, but for what its handler has in hand" {
	seq 4 | mq-publish T
	# Its handler ends with it; what that has begun does not, and has its lock.
	shares first --prefetch 2 T -- sh -c "$descends" "$cat_when_told"
	until_true grep -qs 1 begun
	until_true stands in_flight 3
	kill -9 "$first"
	touch go-2 go-3 go-4
	shares second -f T -- sh -c "$cat_when_told"
	until_true grep -qs 4 ended
	is "$(handled begun)" "$(seq 4)"
	until_true lines ended 3
	is "$(handled ended)" "$(seq 2 4)"
	until_true stands in_flight 1
	has "$(mq-group show -g g T)" 'shared: 0 ready, 1 in flight, 3 done above'
	touch go-1 # it ends, and was not waited for: the record is given out again
	until_true stands committed 4
	is "$(handled ended)" "$(printf '%s\n' 1 1 2 3 4)"
}

@test "without follow a killed member's handler is waited for, and told" {
	seq 2 | mq-publish T
	shares first T -- sh -c "$descends" "$cat_when_told"
	until_true grep -qs 1 begun
	kill -9 "$first"
	wait "$first" || true
	fails 75 mq-consume --share -g g --timeout 300ms T
	has "$said" "T:0: 1 records are left to handlers of killed members of group g"
	touch go
	until_true sh -c "mq-consume --share -g g T | grep -q 1"
}

@test "who waits for records hears of new ones, of those given back, and of those of the dead" {
	mq-topic create T
	shares one -f T -- sh -c "$cat_when_told"
	shares two -f T -- sh -c "$cat_when_told"
	seq 2 | mq-publish T
	until_true lines begun 2
	shares three -f T -- sh -c 'read -r x; echo "$x" >> third'
	until_true stands in_flight 2
	kill -9 "$one"
	until_true lines third 1
	kill -9 "$two"
	until_true lines third 2
	is "$(handled third)" "$(seq 2)"
}

@test "nothing is handled by two at once, and nothing done is handled again, while members are killed" {
	seq 400 | mq-publish T
	mkdir at-work
	# A directory is one record's: who finds it made finds there who has it, or had, when it was killed: that one may still be on
	# its way out, with no file open any more, and none of their locks.
	touch done
	handler='read -r x; me=$$
		if ! mkdir at-work/$x 2> /dev/null; then
			read -r other < at-work/$x/pid && grep -q "^State:.[RSD]" /proc/$other/status && ls /proc/$other/fd 2> /dev/null | grep -q . && echo "$x: $other and $me" >> twice
			rm -rf at-work/$x; mkdir at-work/$x
		fi
		echo $me > at-work/$x/pid; sleep 0.0$((x % 4)); echo $x >> done; rm -r at-work/$x'
	round=0
	while [ "$(sort -u done | wc -l)" -lt 400 ]; do
		round=$((round + 1))
		[ "$round" -lt 100 ]
		for i in 1 2 3 4; do shares "m$i" -j 2 T -- sh -c "$handler"; done
		sleep 0.0$((RANDOM % 9 + 1))
		kill -9 "$m1" "$m3" 2> /dev/null || true
		sleep 0.0$((RANDOM % 9 + 1))
		kill -9 "$m2" 2> /dev/null || true
		wait || true
	done
	[ ! -e twice ]
	is "$(field committed)" 400
	# At least once: what was killed between its work and the word of it; a member has two handlers.
	[ "$(wc -l < done)" -le $((400 + round * 6)) ]
	is "$(mq-check)" ''
}

@test "more are taken than handlers work at, as --prefetch says, and none without it" {
	seq 20 | mq-publish T
	shares one -j 2 T -- sh -c "$cat_when_told"
	until_true lines begun 2
	is "$(field in_flight)" 2
	shares two --prefetch 5 T -- sh -c "$cat_when_told"
	until_true stands in_flight 8
	until_true lines begun 3
	is "$(field ready)" 12
	kill "$one" "$two"
	touch go
	until_true stands in_flight 0
	is "$(field ready)" 17
}

@test "batches, coprocs, parallel handlers and descriptors share, too" {
	seq 100 | mq-publish T
	mq-consume --share -g g --batch 7 -n 30 T -- cat > a
	mq-consume --share -g g --coproc --prefetch 8 -n 30 T -- sh -c 'while read -r x; do echo $x >&2; echo ok; done' 2> b
	mq-consume --share -g g -j 5 -n 20 T -- cat > /dev/null
	mq-consume --share -g g -n 10 T > c
	mq-consume --share -g g T | cat > d
	is "$(cat a b)" "$(seq 60)"
	is "$(cat c d)" "$(seq 81 100)"
	is "$(field committed)" 100
}

@test "several partitions and topics are shared, and filters pass over what nobody wants" {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq $((p * 100)) $((p * 100 + 99)) | mq-publish -p $p T; done
	seq 300 349 | mq-publish -T odd U
	seq 350 399 | mq-publish U
	for i in 1 2 3; do shares "m$i" T U -- sh -c 'read -r x; echo $x'; done
	wait
	is "$(handled m*.out)" "$(seq 0 399)"
	is "$(mq-consume --share -g h -T odd U | wc -l)" 50
	is "$(mq-group show -g h --json U | grep -c '"committed":100,')" 1
}

@test "what nobody wants hides nothing behind it in its batch, which is the last one" {
	printf '{"payload":"%s","tag":"%s"}\n' 1 no 2 yes 3 yes 4 no 5 yes 6 no | mq-publish --json T
	for jobs in 1 2 4; do
		is "$(mq-consume --share -g "g$jobs" -j $jobs -T yes T -- sh -c 'read -r x; echo $x' | sort)" "$(printf '%s\n' 2 3 5)"
		is "$(mq-group show -g "g$jobs" --json T | grep -c '"committed":6,')" 1
	done
	shares m1 -f -T yes T -- sh -c 'read -r x; echo $x'
	until_true stands committed 6
	is "$(cat m1.out)" "$(printf '%s\n' 2 3 5)"
}

@test "a partition is shared or had alone, and who waits says so" {
	seq 3 | mq-publish T
	shares one T -- sh -c "$cat_when_told"
	until_true lines begun 1
	fails 75 mq-consume -g g T
	has "$said" 'T:0: members of group g share it (--share): waiting until they leave'
	mq-consume -f -g g T > alone.out 2> alone.said &
	alone=$!
	members+=("$alone")
	until_true grep -q 'members of group g share it' alone.said
	kill "$one"
	touch go
	until_true lines alone.out 2 # what one had done is not given out again
	is "$(cat alone.out)" "$(seq 2 3)"
	fails 75 mq-consume --share -g g T
	has "$said" 'T:0: a member of group g has it alone (without --share): waiting until it leaves'
}

@test "what goes not with --share is refused" {
	fails 64 mq-consume --share T
	has "$said" '-g GROUP is missing'
	fails 64 mq-consume --share -g g --manual T
	has "$said" '--share and --manual exclude each other'
	fails 64 mq-consume --share -g g --commit=before T -- true
	has "$said" '--share and --commit=before exclude each other'
	for order in key partition; do
		fails 64 mq-consume --share -g g --order $order T -- true
		has "$said" '--share gives records to whoever has time: there is no --order but none'
	done
	mq-consume --share -g g --order none --fail-empty T -- true || is $? 66
}

@test "a place set by hand ends those who share, and what they had done counts no more" {
	seq 5 | mq-publish T
	shares one -f T -- sh -c 'read -r x; echo $x >> done'
	until_true stands committed 5
	fails 75 mq-group seek -g g -o 2 T
	has "$said" 'T:0 is shared by members at work'
	mq-group seek -g g -o 2 --force T > /dev/null
	got=0
	wait "$one" || got=$?
	is $got 75
	has "$(cat one.said)" 'was set by hand meanwhile'
	is "$(mq-consume --share -g g T)" "$(seq 3 5)"
}

@test "a group that is deleted ends those who share" {
	seq 5 | mq-publish T
	shares one -f T -- sh -c 'read -r x; echo $x >> done'
	until_true stands committed 5
	fails 75 mq-group delete -g g
	mq-group delete -g g --force
	got=0
	wait "$one" || got=$?
	is $got 66
	is "$(mq-consume --share -g g T)" "$(seq 5)"
}

@test "more are done behind one that is not than claimed.P has room for, and nothing is lost" {
	seq 3000 | mq-publish T
	shares one T -- sh -c "$cat_when_told"
	until_true lines begun 1
	# Every second one stays as it is.
	mq-consume --share -g g -n 2900 T > rest
	is "$(field committed)" 0
	touch go
	wait "$one"
	is "$(cat ended rest | sort -n | uniq | wc -l)" 3000
	is "$(cat ended rest | wc -l)" 3000
	is "$(field committed)" 3000
}

@test "a journal that is turned over and over says what is so" {
	seq 20000 | mq-publish T
	for i in 1 2 3; do shares "m$i" --coproc T -- sh -c 'while read -r x; do echo ok; done'; done
	wait
	is "$(field committed)" 20000
	is "$(mq-check)" ''
	mq-group seek -g g -o 0 T > /dev/null
	is "$(mq-consume --share -g g T | wc -l)" 20000
}

@test "a member that hangs is evicted: what it had not begun is others', and when it wakes it ends" {
	seq 6 | mq-publish T
	shares one -f --prefetch 3 T -- sh -c "$cat_when_told"
	until_true lines begun 1
	until_true stands in_flight 4
	stop_at_rest "$one"
	shares two -f T -- sh -c "$cat_when_told"
	touch go-2 go-3 go-4 go-5 go-6
	until_true grep -qs 6 ended
	is "$(handled ended)" "$(printf '%s\n' 5 6)"
	mq-group evict -g g --member "$one" > /dev/null
	until_true lines ended 5
	is "$(handled ended)" "$(seq 2 6)"
	until_true stands in_flight 1 # its handler lives
	kill -CONT "$one"
	touch go-1
	got=0
	wait "$one" || got=$?
	is $got 75
	has "$(cat one.said)" 'was evicted'
	until_true stands committed 6
}

@test "a shared partition that is taken from all its members goes on with what they had done" {
	seq 6 | mq-publish T
	shares one -f -j 6 T -- sh -c "$cat_when_told"
	until_true lines begun 6
	touch go-3 go-4
	until_true stands done_above 2
	mq-group evict -g g T:0 > /dev/null
	is "$(mq-consume --share -g g T)" "$(printf '%s\n' 1 2 5 6)"
	touch go
	got=0
	wait "$one" || got=$?
	is $got 75
	is "$(field committed)" 6
}

@test "what is done is written before another record is begun, of another partition too: a kill repeats no more than is in flight" {
	mq-topic create --partitions 2 T
	for n in 1 2 3; do
		mq-publish -p 0 -m "$n" T
		mq-publish -p 1 -m "$n" T
	done
	MQ_TEST_RECORD=$PWD/trace MQ_TEST_RECORD_ROOT=$PWD timeout 60 "$MQ_BUILD/tests/traced/mq-consume" --share -g g T -- true
	# The claim is the last that is written before a handler begins.
	grep -a -o '[0-9]* \(spawn\|pwrite .*/claimed\.[01]\) ' trace | awk '
		/pwrite/ { p = substr($0, length($0) - 1, 1); written[p] = 1 }
		/spawn/ { n++; if (n > 1 && !written[before]) bad = 1; before = p; written[p] = 0 }
		END { exit bad || n != 6 }'
}

@test "how often a record failed is counted over restarts, turned halves, kills and evictions" {
	seq 5000 | mq-publish T
	attempt='echo "$MQ_ATTEMPT" >> attempts; exit'
	for _ in 1 2; do fails 75 mq-consume --share -g g T -- sh -c "$attempt 1"; done
	fails 75 mq-consume --share -g g T -- sh -c "$attempt 75" # released: not counted
	is "$(cat attempts)" "$(printf '%s\n' 1 2 3)"
	# While one member has it others do so much that the half is turned more than once.
	shares one T -- sh -c 'echo "$MQ_ATTEMPT" >> attempts; echo > begun; until [ -e go ]; do sleep 0.01; done'
	until_true [ -s begun ]
	mq-consume --share -g g -n 4500 --coproc T -- sh -c 'while read -r x; do echo ok; done'
	is "$(field in_flight)" 1
	kill -9 "$one"
	wait "$one" || true
	until_true stands in_flight 0
	fails 75 mq-consume --share -g g T -- sh -c "$attempt 1"
	shares two -f T -- sh -c 'echo "$MQ_ATTEMPT" >> attempts; echo > begun-again; until [ -e go ]; do sleep 0.01; done'
	until_true [ -s begun-again ]
	mq-group evict -g g T:0 > /dev/null
	fails 75 mq-consume --share -g g T -- sh -c "$attempt 1"
	is "$(cat attempts)" "$(printf '%s\n' 1 2 3 3 3 4 4)"
	is "$(field committed)" 0
	is "$(mq-check)" ''
}

@test "what a killed member had is taken up though its lock goes a moment after it was heard of" {
	mq-topic create --partitions 1 T
	seq 10 | mq-publish T
	shares a --prefetch 9 -f T -- sh -c "$cat_when_told"
	until_true stands in_flight 10
	shares b -f T -- sh -c 'cat >> by-b; echo >> by-b'
	until_true sh -c 'mq-group show -g g --members --json | grep -c pid | grep -qx 2'
	# Who waits for the lock has it when the member is gone, and lets go unheard.
	python3 -c 'if True:
		import fcntl, glob, os, struct, sys, time
		for name in glob.glob("spool/groups/g/members/*"):
			if "pid=%s\n" % sys.argv[1] in open(name).read():
				fd = os.open(name, os.O_RDONLY)
				open("ready", "w").close()
				fcntl.fcntl(fd, 38, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 1, 0))
				time.sleep(0.1)' "$a" &
	until_true [ -e ready ]
	kill -9 "$a"
	until_true lines by-b 10
}
