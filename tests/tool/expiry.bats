# SPDX-License-Identifier: GPL-2.0-or-later
# Records that expire: consumers pass over them, a group counts them as done, and they can be had as long as they are held.
load one_spool

# Until what was published with --ttl 1ms, or has to wait for its topic's, is over by any clock.
until_over() {
	until [ "$(mq-replay --expired --dry-run "$1" | tail -n 1 | cut -d ' ' -f 1)" = "$2" ]; do :; done
}

@test 'a record that is older than its --ttl is passed over, and said with -v' {
	printf 'a\nb\n' | mq-publish --ttl 1ms offers
	mq-publish --ttl 1h -m c offers
	mq-publish -m d offers
	until_over offers 2
	[ "$(mq-consume offers | tr -d '\n')" = cd ]
	run -0 --separate-stderr mq-consume -v offers
	[[ $stderr == *'2 records, 2 bytes; 0 not selected, 2 expired'* ]]
}

@test 'one whose topic has ttl.ms needs nothing more to expire; its own goes before that' {
	mq-topic create -X ttl.ms=1h offers
	seq 3 | mq-publish offers
	mq-publish --ttl 1ms -m short offers
	until_over offers 1
	[ "$(mq-consume offers | tr -d '\n')" = 123 ]
	mq-topic set offers ttl.ms=1
	mq-publish --ttl 1h -m long offers
	until_over offers 4
	[ "$(mq-consume offers)" = long ]
	mq-topic set offers ttl.ms=-1
	[ "$(mq-consume offers | tr -d '\n')" = 123long ]
}

@test 'to a group an expired record is done: no handler gets it, and the place goes past it' {
	seq 4 | mq-publish --ttl 1ms offers
	mq-publish -m last offers
	until_over offers 4
	mq-consume -g one offers > got
	[ "$(cat got)" = last ]
	mq-consume -g two offers -- sh -c 'cat >> handled; echo >> handled'
	[ "$(cat handled)" = last ]
	mq-consume --share -g three offers -- sh -c 'cat >> shared; echo >> shared'
	[ "$(cat shared)" = last ]
	mq-drain -g four offers > drained
	[ "$(cat drained)" = last ]
	for g in one two three four; do
		[ "$(mq-stat --json -g "$g" offers | grep -o '"lag":[0-9]*')" = '"lag":0' ]
	done
}

@test 'what has expired can be had alone, as often as wanted, and by what it carries' {
	mq-publish --ttl 1ms -T gone -k kim -m old offers
	printf 'new\n' | mq-publish offers
	mq-publish --ttl 1ms -T other -m older offers
	until_over offers 2
	[ "$(mq-replay --expired offers | tr '\n' ' ')" = 'old older ' ]
	[ "$(mq-replay --expired -T gone offers)" = old ]
	[ "$(mq-replay --expired -n 1 -o 1.. offers)" = older ]
	[ "$(mq-replay --expired --dry-run offers | tail -n 1)" = '2 records, 8 bytes' ]
	[ "$(mq-replay offers)" = new ]
	mq-topic purge offers
	[ -z "$(mq-replay --expired offers)" ]
}

@test 'what has expired is put back without that, and so it is there again' {
	mq-topic create -X ttl.ms=1h offers
	printf '{"id":"i","key":"k","tag":"t","headers":{"h":"v"},"payload":"p\\n","timestamp":1,"expiry":2}\n' | mq-publish --json offers
	mq-replay --expired --frame offers | mq-publish --frame offers.again
	mq-consume --json offers.again | sed 's/"offset.*"key"/"key"/' > got
	echo '{"v":1,"topic":"offers.again","partition":0,"key":"k","headers":{"h":"v"},"tag":"t","id":"i","payload":"p\n"}' | cmp - got
	mq-replay --expired --json offers | mq-publish --json offers
	[ "$(mq-consume --json offers | grep -c '"id":"i"')" = 1 ]
	[[ $(mq-replay --expired --json offers) == *'"timestamp":null,'* ]]
	run -64 mq-replay --expired --speed 1x offers
}

@test 'what has expired is put back by one command, or elsewhere, without its times' {
	mq-topic create --partitions 2 offers
	for ((i = 0; i < 20; i++)); do echo "k$((i % 5))|$i"; done | mq-publish --ttl 1ms -K '|' offers
	mq-publish -m fresh offers
	until_over offers 20
	mq-replay --expired --to elsewhere offers
	[ "$(mq-consume elsewhere | sort -n | tr '\n' ' ')" = "$(seq 0 19 | tr '\n' ' ')" ]
	mq-replay --expired --to offers offers
	[ "$(mq-consume offers | grep -v fresh | sort -n | tr '\n' ' ')" = "$(seq 0 19 | tr '\n' ' ')" ]
	mq-replay --expired --to offers offers # wanted once more
	[ "$(mq-consume offers | wc -l)" = 41 ]
	for k in 0 1 2 3 4; do mq-consume -k "k$k" offers | head -4 > order && sort -n order | cmp - order; done
}

@test 'a publisher whose clock is an hour, or a year, off is believed: its records expire by what it said' {
	now=$(date +%s)
	mq-topic create -X ttl.ms=10m offers
	cat <<- END | mq-publish --json offers
		{"payload":"a year ahead","timestamp":$((now + 31536000))}
		{"payload":"a year ago","timestamp":$((now - 31536000))}
		{"payload":"an hour ahead, for ten minutes","timestamp":$((now + 3600)),"expiry":$((now + 4200))}
		{"payload":"an hour behind, for ten minutes","timestamp":$((now - 3600)),"expiry":$((now - 3000))}
		{"payload":"an hour behind, for two","timestamp":$((now - 3600)),"expiry":$((now + 3600))}
	END
	mq-consume offers > got
	printf '%s\n' 'a year ahead' 'an hour ahead, for ten minutes' 'an hour behind, for two' | cmp - got
	mq-replay --expired offers > got
	printf '%s\n' 'a year ago' 'an hour behind, for ten minutes' | cmp - got
}

@test 'lines that expire are as they were when they come back' {
	mq-topic create -X ttl.ms=1 -X compression.type=zstd offers
	seq 100000 > all
	mq-publish offers < all
	until_over offers 100000
	[ -z "$(mq-consume offers)" ]
	mq-replay --expired offers | cmp - all
	mq-topic set offers ttl.ms=1h
	mq-consume offers | cmp - all
	[ -z "$(mq-replay --expired offers)" ]
}

counted() { # GROUP: how many it passed, by mq-group show
	mq-group show -g "$1" --json offers | grep -o '"expired":[0-9]*' | cut -d: -f2
}

@test 'what a group passed is counted once, whoever reads, and however often it begins' {
	for i in 1 2 3; do
		seq 4 | mq-publish --ttl 1ms offers
		printf 'kept %s\n' $i | mq-publish offers
	done
	until_over offers 12
	for ((i = 0; i < 3; i++)); do mq-consume -g one -n 1 offers; done > got
	[ "$(wc -l < got)" = 3 ]
	[ "$(counted one)" = 12 ]
	mq-consume -g two offers -- true
	mq-consume -g two offers -- true
	[ "$(counted two)" = 12 ]
	mq-consume -g three --share offers -- true
	[ "$(counted three)" = 12 ]
	mq-drain -g four --to elsewhere offers
	[ "$(counted four)" = 12 ]
	mq-consume -g five offers -- sh -c 'read -r l; [ "$l" != "kept 2" ]' || :
	[ "$(counted five)" = 8 ]
	mq-consume -g five offers -- true
	[ "$(counted five)" = 12 ]
	mq-group show -g five offers | grep -q 'EXPIRED'
	mq-group seek -g five offers -o beginning
	[ "$(counted five)" = 12 ] # of what was passed, not of what lies below the place
}

reason_of() { # PAYLOAD: of its dead letter
	mq-consume --json offers.dead | grep "\"payload\":\"$1\"" | sed 's/.*"mq-reason":"\([^"]*\)".*/\1/'
}

@test 'with expired.dead=true an expired record that a handler would have got is a dead letter, and can be brought back' {
	mq-topic create -X expired.dead=true offers
	seq 1 2 | mq-publish offers
	seq 3 4 | mq-publish --ttl 1ms offers
	seq 5 6 | mq-publish offers
	mq-publish --ttl 1ms -k key -H a=b -m 7 offers
	until_over offers 3
	mq-consume -g g offers -- sh -c 'read -r n; echo $n >> got; [ $n != 5 ] || exit 100' 2> said
	[ "$(tr -d '\n' < got)" = 1256 ]
	grep -q '4 records were put into offers.dead' said
	[ "$(mq-consume offers.dead | sort | tr -d '\n')" = 3457 ]
	[ "$(reason_of 3)$(reason_of 4)$(reason_of 5)$(reason_of 7)" = expiredexpiredrejectedexpired ]
	[[ $(mq-consume --json offers.dead | grep '"payload":"3"') == *'"mq-origin":"offers:0:2"'*'"mq-group":"g"'*'"mq-attempts":"0"'* ]]
	[[ $(mq-consume --json offers.dead | grep '"payload":"7"') == *'"key":"key"'*'"a":"b"'* ]]
	[ "$(counted g)" = 3 ]
	mq-replay --dead-letters -g g offers
	mq-consume -g g offers -- sh -c 'read -r n; echo $n >> back'
	[ "$(sort back | tr -d '\n')" = 3457 ]
	[ "$(counted g)" = 3 ]
	mq-check -q
}

@test 'batches, coprocs, a drain and who shares leave what has expired as dead letters, too; without handlers it is passed over' {
	mq-topic create -X expired.dead=true -X ttl.ms=1h offers
	for i in 1 2 3; do echo kept $i | mq-publish offers; mq-publish --ttl 1ms -m "gone $i" offers; done
	until_over offers 3
	mq-consume -g batch --batch 10 offers -- sh -c 'cat >> batch'
	[ "$(cat batch)" = "$(printf 'kept %s\n' 1 2 3)" ]
	mq-consume -g co --coproc offers -- sh -c 'while read -r l; do echo "$l" >> co; echo ok; done'
	[ "$(wc -l < co)" = 3 ]
	mq-drain -q -g drain --order none -j 2 offers -- sh -c 'echo "$(cat)" >> drained'
	[ "$(sort drained)" = "$(printf 'kept %s\n' 1 2 3)" ]
	[ "$(mq-consume offers.dead | sort | uniq -c | tr -s ' \n' ' ')" = ' 3 gone 1 3 gone 2 3 gone 3 ' ]
	mq-consume -g out offers > out
	mq-consume -g asks --share offers > shared
	[ "$(mq-consume offers.dead | wc -l)" = 9 ]
	mq-consume -q -g share --share offers -- true
	[ "$(mq-consume offers.dead | wc -l)" = 12 ]
	for g in batch co drain out asks share; do [ "$(counted $g)" = 3 ]; done
}
