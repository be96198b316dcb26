#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize
# mq-test: timeout=900
# A member that hangs is evicted: another goes on, and what the first one does on waking counts for nothing.
load one_spool
load flip

the_place() { # GROUP TOPIC: committed, a partition a line
	mq-group show -g "$1" --json "$2" | sed -n 's/.*"committed":\([^,]*\),.*/\1/p'
}

stopped() { grep -qs '^State:.T' "/proc/$1/status"; }
gone() { ! kill -0 "$1" 2> /dev/null; }
owns() { mq-group show -g g T | grep -v evicted | grep -q "pid $1\b"; }

ended() { # PID STATUS: of a child, in time
	local got=0
	until_true gone "$1"
	wait "$1" || got=$?
	is "$got" "$2"
}

# A member in the background that handles T; its handler writes what it gets to FILE, and waits for a line from the fifo go.
handles() { # FILE
	[ -p go ] || mkfifo go
	exec 5<> go
	touch "$1"
	mq-consume -f -g g T -- sh -c 'cat >> "$0"; echo >> "$0"; read -r line < go' "$1" 2> "$1.said" &
	member=$!
	children+=($member)
}

# A member that stands still, with T in its hands and nothing of it done.
hangs() { # FILE
	mq-consume -f --manual -g g T > "$1" 2> "$1.said" &
	member=$!
	children+=($member)
	until_true owns $member
	stop_at_rest $member
}

teardown() { for pid in "${children[@]}"; do kill -KILL "$pid" 2> /dev/null || true; done; }

# A tool with a rule for one call, as tests/traced.c has it.
faulty() { # RULE TOOL [ARGUMENT ...]
	MQ_TEST_FAULT=$1 "$MQ_BUILD/tests/traced/$2" "${@:3}"
}

# The same in the background, which stops itself by that rule: $held.
held() { # RULE TOOL [ARGUMENT ...]
	MQ_TEST_FAULT=$1 "$MQ_BUILD/tests/traced/$2" "${@:3}" > held-out 2> held-said < "${input:-/dev/null}" &
	held=$!
	children+=($held)
	until_true stopped $held
}

@test "another member goes on where the evicted one was; that one finishes its handler, ends with 75, and its commit is not seen" {
	seq 5 | mq-publish T
	handles first
	until_true lines first 1
	echo >&5
	until_true lines first 2
	until_true [ "$(the_place g T)" = 1 ]
	stop_at_rest $member
	is "$(mq-group evict -g g T:0 | sed "s/T:0: .* pid $member/X/")" 'X evicted, generation 1'
	is "$(mq-consume -g g -n 2 T)" $'2\n3'
	is "$(the_place g T)" 3
	echo >&5 # its handler has done its work meanwhile, and more would be there
	echo >&5
	kill -CONT $member
	ended $member 75
	has "$(cat first.said)" 'group g, T: this member was evicted from partition 0'
	is "$(cat first)" $'1\n2'
	is "$(the_place g T)" 3
	is "$(mq-consume -g g T)" $'4\n5'
	is "$(mq-check)" ''
}

@test "who follows takes over at once what is evicted" {
	seq 3 | mq-publish T
	hangs first
	mq-consume -f -g g T > second 2> said &
	children+=($!)
	until_true sh -c 'test "$(ls spool/groups/g/members | wc -l)" = 2'
	echo 4 | mq-publish T
	[ ! -s second ]
	mq-group evict -g g T:0 > /dev/null
	until_true lines second 1
	echo 5 | mq-publish T
	until_true grep -qx 5 second
	kill -CONT $member
	ended $member 75
}

@test "an evicted member gives out nothing more, to a pipe, by hand, to a coproc" {
	seq 3 | mq-publish T
	for how in '' --manual; do
		mq-group seek -g g -o end T > /dev/null
		mq-consume -f -g g $how T > out 2> said &
		member=$!
		children+=($member)
		until_true owns $member
		stop_at_rest $member
		echo more | mq-publish T
		mq-group evict -g g T:0 > /dev/null
		kill -CONT $member
		ended $member 75
		[ ! -s out ]
		has "$(cat said)" evicted
	done
	mq-group seek -g g -o end T > /dev/null
	mq-consume -f -g g --coproc T -- sh -c 'while read -r x; do echo "$x" >> handled; echo ok; done' 2> said &
	member=$!
	children+=($member)
	until_true owns $member
	stop_at_rest $member
	echo more | mq-publish T
	mq-group evict -g g T:0 > /dev/null
	kill -CONT $member
	ended $member 75
	[ ! -e handled ]
}

@test "a member that runs is told at once, whatever it waits for" {
	echo 1 | mq-publish T
	for how in '' --manual handler coproc; do
		mq-group seek -g g -o end T > /dev/null
		case $how in
		handler) mq-consume -f -g g T -- cat > out 2> said & ;;
		coproc) mq-consume -f -g g --coproc T -- sh -c 'while read -r x; do echo ok; done' > out 2> said & ;;
		*) mq-consume -f -g g $how T > out 2> said & ;;
		esac
		member=$!
		children+=($member)
		until_true owns $member
		mq-group evict -g g --member $member > /dev/null
		ended $member 75
		has "$(cat said)" evicted
	done
}

@test "a member that owns nothing is evicted as such, and one that is not there is 66" {
	mq-publish -m 1 T
	hangs first
	mq-consume -f -g g T 2> said &
	idle=$!
	children+=($idle)
	until_true sh -c "mq-group show -g g | grep -q 'pid $idle '"
	name=$(mq-group show -g g | sed -n "s/.* \([0-9a-f]\{16\}\) pid $idle .*/\1/p")
	is "$(mq-group evict -g g --member "$name" --dry-run)" "g: $name pid $idle is no member any more (dry run)"
	is "$(mq-group evict -g g --member "$name" --json)" "{\"v\":1,\"group\":\"g\",\"member\":\"$name\",\"pid\":$idle}"
	ended $idle 75
	has "$(cat said)" "this member, $name, was evicted from the group"
	fails 66 mq-group evict -g g --member "$name"
	has "$said" "group g has no member $name"
	fails 66 mq-group evict -g none --member "$name"
	fails 66 mq-group evict -g g none:0
	fails 66 mq-group evict -g none T:0
	fails 66 mq-group evict -g g T:7
	fails 64 mq-group evict -g g
	fails 64 mq-group evict T:0
	fails 64 mq-group evict -g g -p 0
	fails 64 mq-group evict -g g -p 0 T:0
	fails 64 mq-group evict -g g T:0:5
	owns $member # nothing of this touched it
	is "$(mq-group evict -g g T --member 1 2>&1)" 'mq-group: g: 1 owns nothing there'
}

@test "of a member all is taken, in all topics, and nobody else's" {
	mq-topic create --partitions 4 T
	mq-topic create --partitions 2 U
	mq-consume -f -g g T U > first 2> said &
	member=$!
	children+=($member)
	until_true sh -c 'test "$(mq-group show -g g | grep -c " pid '$member' ")" = 6'
	mq-consume -f -g g T:1 > second &
	other=$!
	children+=($other)
	until_true sh -c "mq-group show -g g T:1 | grep -q 'pid $other '"
	stop_at_rest $member
	mq-group evict -g g --member $member > evicted
	is "$(cut -d ' ' -f 1 evicted)" $'T:0:\nT:2:\nT:3:\nU:0:\nU:1:\ng:'
	is "$(mq-group show -g g | grep -v evicted | grep -c "pid $member ")" 0
	owns $other
	for p in 0 1 2 3; do mq-publish -p $p -m m$p T; done
	until_true grep -q m1 second
	is "$(mq-consume -g g T | sort)" $'m0\nm2\nm3'
	kill -CONT $member
	ended $member 75
	[ ! -s first ]
}

@test "seven who were evicted and live stand in the way of the next: 75, and it says who" {
	seq 9 | mq-publish T
	evicted=()
	for i in 1 2 3 4 5 6 7; do
		hangs out$i
		evicted+=($member)
		is "$(mq-group evict -g g T:0 | grep -o 'generation.*')" "generation $i"
	done
	hangs out8
	for dry in --dry-run ''; do
		fails 75 mq-group evict -g g T:0 $dry
		has "$said" 'group g, T: 7 who were evicted from partition 0 live on'
		for pid in "${evicted[@]}"; do has "$said" "pid $pid"; done
	done
	owns $member
	is "$(mq-check)" ''
	kill -KILL "${evicted[3]}" # any of them: what it had is used again
	until_true gone "${evicted[3]}"
	is "$(mq-group evict -g g T:0 | grep -o 'generation.*')" 'generation 8'
	fails 0 mq-group evict -g g T:0
	has "$said" 'nobody owns it'
	seq 10 12 | mq-publish T
	is "$(mq-consume -g g T | tail -n 3)" $'10\n11\n12'
	for pid in "${evicted[@]}" $member; do kill -CONT "$pid" 2> /dev/null || true; done
	for pid in "${evicted[@]}" $member; do until_true gone "$pid"; done
	is "$(the_place g T)" 12
	is "$(mq-check)" ''
}

@test "round and round all areas: each place is the one before" {
	seq 40 | mq-publish T
	for i in $(seq 20); do
		is "$(mq-consume -g g -n 1 T)" "$i"
		hangs out
		is "$(mq-group evict -g g T:0 | grep -o 'generation.*')" "generation $i"
		is "$(the_place g T)" "$i"
		kill -KILL $member
		wait $member || true
	done
	is "$(mq-check)" ''
}

@test "a handler that a killed member left is given up" {
	seq 3 | mq-publish T
	mq-consume -g g T -- sh -c 'sleep 60 & echo $! > pid; touch begun; wait' &
	member=$!
	children+=($member)
	until_true test -e begun
	kill -KILL $member
	wait $member || true
	children+=("$(cat pid)")
	until_true sh -c 'mq-group show -g g T | grep -q "lives on"'
	fails 75 mq-consume -g g --timeout 10ms T
	has "$(mq-group evict -g g T:0)" "T:0: a killed member's handler, of "
	is "$(mq-consume -g g T)" $'1\n2\n3'
	mq-group show -g g T | grep -q "lives on" && return 1
	kill "$(cat pid)"
}

@test "positions printed before are refused; what was acknowledged before counts on" {
	seq 0 5 | mq-publish T
	mq-consume -f --manual -g g T > positions 2> said &
	member=$!
	children+=($member)
	until_true lines positions 6
	stop_at_rest $member
	sed -n '3p;5p' positions | mq-group commit -g g
	mq-group evict -g g T:0 > /dev/null
	for line in 1 3; do sed -n ${line}p positions | fails 77 mq-group commit -g g; done
	is "$(mq-group show -g g --json T | grep -o '"acked_above":[0-9]*')" '"acked_above":2'
	mq-consume --manual -g g T > again &
	children+=($!)
	until_true lines again 6
	sed -n '1,2p;4p;6p' again | mq-group commit -g g
	wait $!
	is "$(the_place g T)" 6
	kill -CONT $member
	ended $member 75
	is "$(mq-check)" ''
}

@test "an acknowledgement that comes while its owner is evicted is refused, or counts" {
	seq 0 5 | mq-publish T
	mq-consume -f --manual -g g T > positions 2> said &
	member=$!
	children+=($member)
	until_true lines positions 6
	stop_at_rest $member
	head -n 1 positions > input
	# The position was found good; then the owner is evicted; then it would be stored.
	input=input held openat:1:path=/acked:stop-before mq-group commit -g g
	fails 75 timeout 20 mq-group evict -g g --timeout 10ms T:0 # it holds the lock by then
	kill -CONT $held
	ended $held 0
	sed -n 2p positions > input
	input=input held lock:1:stop-before mq-group commit -g g
	mq-group evict -g g T:0 > /dev/null
	kill -CONT $held
	ended $held 77
	has "$(cat held-said)" evicted
	is "$(mq-consume -g g T)" "$(seq 1 5)"
	kill -CONT $member
	ended $member 75
}

@test "killed at any call, an eviction has happened or not, and can be done again" {
	seq 9 | mq-publish T
	mq-consume -g g -n 4 T > /dev/null
	for n in $(seq 300); do
		hangs out
		killed=0
		faulty "*:$n:kill-before" mq-group evict -g g T:0 > /dev/null 2>&1 || killed=$?
		mq-check > findings || true
		[ ! -s findings ] || [ "$(grep -v '^KIND\|owners\.[1-7] ' findings)" = '' ]
		is "$(the_place g T)" 4
		fails 0 timeout 10 mq-group evict -g g T:0
		fails 0 timeout 10 mq-group seek -g g -o 4 T
		kill -CONT $member
		ended $member 75
		[ $killed = 137 ] || break
	done
	[ "$n" -gt 10 ]
	is $killed 0
	is "$(mq-consume -g g T)" "$(seq 5 9)"
	is "$(mq-check)" ''
}

@test "of two who evict at once one does it" {
	echo 1 | mq-publish T
	hangs out
	# It has seen who is to be evicted, and waits for the lock.
	held lock:1:stop-before mq-group evict -g g T:0
	old=$member
	mq-group evict -g g T:0 > /dev/null
	mq-consume -f -g g T > out2 &
	member=$!
	children+=($member)
	until_true owns $member
	kill -CONT $held
	ended $held 0
	owns $member
	has "$(cat held-said)" 'nobody owns it'
	kill -CONT $old
	ended $old 75
}

@test "a member that was named and has let go is not taken for the next one" {
	echo 1 | mq-publish T
	hangs out
	was=$member
	held lock:1:stop-before mq-group evict -g g T --member $was
	kill -TERM $was
	kill -CONT $was
	until_true gone $was
	mq-consume -f -g g T > out2 &
	member=$!
	children+=($member)
	until_true owns $member
	kill -CONT $held
	ended $held 0
	owns $member
	has "$(cat held-said)" "$was owns nothing there"
}

# Whoever has told that records are done is right, however an eviction comes between.
@test "a member that ends while it is evicted says 75, or its place stands" {
	seq 3 | mq-publish T
	for call in pwrite:1 fdatasync:1 fdatasync:2; do
		for when in stop-before stop-after; do
			mq-group seek -g g -o 0 T > /dev/null
			held "$call:path=/offsets:$when" mq-consume -g g T
			mq-group evict -g g T:0 > /dev/null
			place=$(the_place g T)
			kill -CONT $held
			status=0
			until_true gone $held
			wait $held || status=$?
			case $status in
			75) has "$(cat held-said)" evicted ;;
			0) is "$place" 3 ;;
			*) cat held-said; return 1 ;;
			esac
			is "$(the_place g T)" "$place"
		done
	done
}

@test "a member does not end well before it knows that an eviction under way has seen its place" {
	seq 3 | mq-publish T
	mkfifo go
	exec 5<> go
	mq-consume -g g -n 1 T -- sh -c 'cat > first; echo >> first; read -r line < go' 2> said &
	member=$!
	children+=($member)
	until_true grep -qs 1 first
	# It has read the place, and not yet written it elsewhere.
	held pwrite:1:path=/offsets:stop-before mq-group evict -g g T:0
	echo >&5
	until_true sh -c "grep -q -- '-> OFDLCK.*:$(stat -c %i spool/groups/g/topics/T/locks) ' /proc/locks"
	kill -CONT $held
	ended $held 0
	ended $member 75
	is "$(mq-consume -g g T)" $'1\n2\n3'
}

@test "where the place cannot be synced it goes on in a copy" {
	seq 5 | mq-publish T
	mq-consume -g g -n 2 T > /dev/null
	for rule in fdatasync:1:path=/offsets:EIO pwrite:1:path=/offsets:EIO pwrite:1:path=/offsets:short=100; do
		hangs out
		before=$(stat -c %i spool/groups/g/topics/T/offsets)
		faulty $rule mq-group evict -g g T:0 > evicted
		has "$(cat evicted)" 'evicted, generation'
		[ "$(stat -c %i spool/groups/g/topics/T/offsets)" != "$before" ]
		is "$(the_place g T)" 2
		kill -CONT $member
		ended $member 75
		is "$(the_place g T)" 2
		is "$(mq-check)" ''
	done
}

@test "what flips in an area that does not count is told and costs nothing; in the one that counts no former generation comes back" {
	seq 5 | mq-publish T
	hangs out
	mq-group evict -g g T:0 > /dev/null
	kill -KILL $member
	is "$(mq-consume -g g -n 2 T)" $'1\n2'
	offsets=spool/groups/g/topics/T/offsets
	cp $offsets good
	for at in 40 4136 552 4648; do
		cp good $offsets
		flip $offsets $at
		case $at:$(the_place g T) in 40:2 | 4136:2 | 552:[02] | 4648:[02]) ;; *) return 1 ;; esac
		mq-check > findings || true
		grep -q "offsets  *$((at / 512 * 512)) " findings
	done
	cp good $offsets
	for at in 552 4648; do flip $offsets $at; done
	fails 2 mq-consume -g g T
	has "$said" 'no slot verifies'
	is "$(mq-group seek -g g -o 2 T)" 'T:0: - -> 2'
	is "$(mq-consume -g g T)" $'3\n4\n5'
	is "$(mq-check)" ''
}

@test "a group and a topic can be deleted though one who was evicted lives; it ends" {
	echo 1 | mq-publish T
	hangs out
	fails 75 mq-group delete -g g
	mq-group evict -g g T:0 > /dev/null
	mq-group delete -g g
	kill -CONT $member
	until_true gone $member
	mq-group seek -g g -o 0 T > /dev/null
	hangs out
	fails 75 mq-topic delete T
	mq-group evict -g g T:0 > /dev/null
	mq-topic delete T
	kill -CONT $member
	until_true gone $member
}

@test "a topic that is made again goes on with the generation, not with the place" {
	seq 3 | mq-publish T
	hangs out
	mq-group evict -g g T:0 > /dev/null
	mq-consume -g g T > /dev/null
	mq-topic delete T
	seq 7 9 | mq-publish T
	is "$(mq-consume -g g T)" $'7\n8\n9'
	kill -CONT $member
	ended $member 75
	is "$(the_place g T)" 3
	hangs out
	is "$(mq-group evict -g g T:0 | grep -o 'generation.*')" 'generation 2'
	is "$(mq-check)" ''
}

@test "an owner is evicted before it has a place: who comes next begins where it is told" {
	seq 5 | mq-publish T
	# The lock is taken, nothing is written.
	held pwrite:1:path=/owners:stop-before mq-consume -g g T
	has "$(mq-group evict -g g T:0)" 'generation 1'
	is "$(mq-consume -g g -o 3.. T)" $'4\n5'
	kill -CONT $held
	until_true gone $held
	[ ! -s held-out ]
	is "$(the_place g T)" 5
	is "$(mq-check)" ''
}

@test "a dry run changes nothing" {
	seq 3 | mq-publish T
	hangs out
	tar -C spool/groups -cf before .
	is "$(mq-group evict -g g T:0 --dry-run --json | sed 's/"member":"[0-9a-f]*","pid":[0-9]*/X/')" \
		'{"v":1,"group":"g","topic":"T","partition":0,X,"handler_left":false,"generation":1}'
	mq-group evict -g g --member $member --dry-run > /dev/null
	tar -C spool/groups -cf after .
	cmp before after
	owns $member
}
