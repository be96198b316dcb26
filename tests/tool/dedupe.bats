# SPDX-License-Identifier: GPL-2.0-or-later
# A topic that stores one record of an id: whoever publishes it, however often, whatever it is killed at.
load one_spool
load flip

make() { mq-topic create "$@" payments; }
ids() { mq-consume --format '%s\n' payments | sort; }

@test 'a second record of an id is not stored, in this run or in another one' {
	make -X dedupe.ms=1h
	run -0 mq-publish --id p-1 -m first payments
	[ -z "$output" ]
	run -0 mq-publish --id p-1 -m second payments
	[[ $output == *'1 record was held already and skipped' ]]
	run -0 mq-publish --id p-2 -m other payments
	[ "$(mq-consume payments)" = $'first\nother' ]
}

@test 'ids are a field of lines, a member of JSON objects, or in frames' {
	make -X dedupe.ms=1h
	printf '%s\n' 'a 1' 'b 2' 'a 3' | mq-publish -q --id-field 1 payments
	printf '%s\n' '{"id":"b","payload":"b 4"}' '{"id":"c","payload":"c 5"}' | mq-publish -q -J payments
	mq-consume --frame payments | mq-publish -q --frame payments
	printf 'x,d,6\ny,a,7\n' | mq-publish -q --id-field 2 --id-delimiter , payments
	[ "$(mq-consume payments)" = $'a 1\nb 2\nc 5\nx,d,6' ]
}

@test 'what has no id is stored as often as it comes' {
	make -X dedupe.ms=1h
	printf 'one\none\n' | mq-publish payments
	mq-publish --id x -m one payments
	mq-publish -m one payments
	[ "$(mq-consume payments | wc -l)" = 4 ]
}

@test 'in a topic without a window every record is stored' {
	make
	printf 'a 1\na 2\n' | mq-publish --id-field 1 payments
	[ "$(mq-consume payments | wc -l)" = 2 ]
}

@test 'the confirmation of a duplicate is the place of the first' {
	make --partitions 2 -X dedupe.ms=1h
	printf '%s\n' 'a 1' 'b 2' 'a 3' 'c 4' | mq-publish -p 1 --id-field 1 --confirm -q payments > got
	printf '%s\n' payments:1:0 payments:1:1 $'=\tpayments:1:0' payments:1:2 | cmp - got
	printf '%s\n' 'c 1' 'd 2' 'd 3' 'a 4' 'e 5' | mq-publish -p 0 --id-field 1 --confirm -q payments > got
	printf '%s\n' $'=\tpayments:1:2' payments:0:0 $'=\tpayments:0:0' $'=\tpayments:1:0' payments:0:1 | cmp - got
}

@test 'an id is one in all partitions, and of whatever key' {
	make --partitions 8 -X dedupe.ms=1h
	for key in a b c d e f g h; do mq-publish -q -k "$key" --id same -m "$key" payments; done
	for ((i = 0; i < 8; i++)); do mq-publish -q -p "$i" --id same -m "$i" payments; done
	[ "$(mq-consume payments)" = a ]
}

@test 'keys keep the order of those that are stored' {
	make --partitions 4 -X dedupe.ms=1h
	for ((i = 0; i < 300; i++)); do echo "k$((i % 7))|$i id-$((i % 200))"; done | mq-publish -q -K '|' --id-field 2 payments
	mq-consume payments | sort -n > got
	for ((i = 0; i < 200; i++)); do echo "$i id-$i"; done | cmp - got
	for ((k = 0; k < 7; k++)); do mq-consume -k "k$k" payments > order && sort -n order | cmp - order; done
}

@test 'an id is forgotten when its window is over, by time' {
	make -X dedupe.ms=2s
	mq-publish --id x -m 1 payments
	run -0 mq-publish --id x -m 2 payments
	again() { mq-publish -q --id x -m 3 payments && mq-consume payments | grep -qx 3; }
	until_true again
}

@test 'and by count, of the records of its partition' {
	make -X dedupe.count=3
	for id in a b c a d a; do mq-publish -q --id "$id" -m "$id" payments; done
	[ "$(mq-consume payments | tr -d '\n')" = abcda ]
}

@test 'what was put back for one group alone keeps nobody from publishing its id for all' {
	make -X dedupe.count=2
	for id in a b c; do mq-publish -q --id "$id" -m "$id" payments; done
	mq-consume -q -g g -n 1 payments -- sh -c 'exit 100'
	mq-replay -q --dead-letters payments
	mq-publish --id a -m again payments
	[ "$(mq-consume -g other payments | xargs)" = 'a b c again' ]
	run -0 mq-publish --id a -m 'once more' payments
	[[ $output == *'1 record was held already'* ]]
	mq-publish --id c -m c payments
	[ "$(mq-consume -g g payments | xargs)" = 'b c a again c' ]
}

@test 'ten thousand ids are known to a process that has just begun, and are in files that the checker and the second reader know' {
	make -X dedupe.ms=1d -X compression.type=zstd
	seq 10000 | sed 's/.*/id-& payment/' > all
	mq-publish --id-field 1 payments < all
	run -0 mq-publish --id-field 1 payments < all
	[[ $output == *'10000 records were held already'* ]]
	ls spool/topics/payments/0/*.ids
	mq-consume payments | cmp - all
	run -0 mq-check
	[ -z "$output" ]
	rm spool/topics/payments/0/*.ids
	mq-publish -q --id-field 1 payments < all
	mq-consume payments | cmp - all
}

@test 'a backup that is put back over the spool lets nothing in: files of ids that came since are of another log' {
	make -X dedupe.ms=1d
	seq 4000 | sed 's/.*/id-& payment/' | mq-publish --id-field 1 payments
	cp -a spool backup
	seq 4001 4200 | sed 's/.*/lost-& payment/' | mq-publish --id-field 1 payments
	mq-publish --id more -m more payments # a process that finds a whole unit
	ls spool/topics/payments/0/*4096.ids
	cp -a backup/. spool/
	for i in 1 2; do seq 200 | sed 's/.*/new-& payment/' | mq-publish -q --id-field 1 payments; done
	is "$(mq-consume payments | wc -l)" 4200
	is "$(mq-check)" ''
}

@test 'a file of ids that does not verify is made anew, and lets nothing in' {
	make -X dedupe.ms=1d
	seq 5000 | sed 's/.*/id-& payment/' > all
	mq-publish --id-field 1 payments < all
	mq-publish -q --id-field 1 payments < all
	for f in spool/topics/payments/0/*.ids; do flip "$f" 5000; done
	mq-publish -q --id-field 1 payments < all
	mq-consume payments | cmp - all
}

@test 'of fifty publishers of the same ids at once each id is stored once, and each is told so' {
	make --partitions 3 -X dedupe.ms=1h
	seq 40 | sed 's/.*/id-&/' > all
	for ((i = 0; i < 50; i++)); do
		shuf all | mq-publish -q --id-field 1 --confirm payments > "told.$i" &
		pids[i]=$!
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
	mq-consume payments | sort | uniq -c | awk '$1 != 1 { print; bad = 1 } END { exit bad }'
	mq-consume payments | sort | cmp - <(sort all)
	[ "$(cat told.* | wc -l)" = 2000 ]
	[ "$(grep -hv '^=' told.* | sort | uniq | wc -l)" = 40 ]
	[ "$(cat told.* | tr -d '=\t' | sort | uniq -c | awk '$1 == 50' | wc -l)" = 40 ]
}

@test 'a topic may grow while ids are published to it' {
	make -X dedupe.ms=1h
	mkfifo go
	(for ((i = 0; i < 400; i++)); do echo "id-$((i % 100))"; done; cat go) | mq-publish -q --id-field 1 payments &
	publisher=$!
	until [ "$(mq-consume payments 2> /dev/null | wc -l)" = 100 ]; do :; done
	mq-rebalance payments --partitions 4
	for ((i = 50; i < 150; i++)); do echo "id-$i"; done > go
	wait "$publisher"
	[ "$(mq-consume payments | wc -l)" = 150 ]
	[ "$(mq-consume payments | sort -u | wc -l)" = 150 ]
}

@test 'who waits for space keeps nobody from looking, and what it stores then is still one of each' {
	make -X dedupe.ms=1h -X max.messages=5
	seq 5 | mq-publish --id-field 1 payments
	(seq 6 8; echo 6) | mq-publish --id-field 1 payments 2> said &
	publisher=$!
	until grep -q 'waiting for space' said; do :; done
	timeout 20 mq-publish -q --id 1 -m again payments # a duplicate needs no space
	mq-topic purge payments
	wait "$publisher"
	[ "$(mq-consume payments | tr -d '\n')" = 678 ]
}

@test 'a named producer numbers records without an id; one with an id is told by that' {
	make -X dedupe.ms=1h
	printf 'a\nb\n' | mq-publish --producer p --seq 1 payments
	run -64 mq-publish --producer q --seq 1 --id x -m x payments
	[[ $output == *'told by that alone'* ]]
}

@test 'who may write and not read is told that ids cannot be looked for' {
	needs_users
	make -X dedupe.ms=1h
	mq-publish --id x -m 1 payments
	chmod -R a+rwX spool
	chmod 0622 spool/topics/payments/0/*.seg
	run nobody mq-publish --id x -m 2 payments
	[ "$status" = 77 ]
	[ "$(mq-consume payments)" = 1 ]
}

@test "what was delayed is looked for when it comes, and the first that comes is the one" {
	mq-topic create T -X dedupe.ms=1d --partitions 2
	mq-publish --id a -m first T
	seq -f 'b %g' 3 | mq-publish --id-field 1 --delay 2s T
	mq-publish --id a --delay 2s -m second T
	mq-publish --id c --delay 2s -m waits T
	mq-publish --id c -m sooner T
	seq -f 'none %g' 2 | mq-publish --delay 2s T
	came() { mq-consume T | grep -q none; }
	until_true came
	none_left() { mq-topic delayed T | grep -q 'nothing is delayed'; }
	until_true none_left
	is "$(mq-consume T | sort)" $'b 1\nfirst\nnone 1\nnone 2\nsooner'
	mq-publish --id d --delay 1d -m early T
	mq-topic cancel --id d T
	mq-publish --id d --at 2020-01-01 -m anew T
	is "$(mq-consume --id d T)" anew
	mq-check
}

@test "what was delayed and left out stays so, whatever becomes of the first" {
	mq-topic create T -X dedupe.ms=1d
	mq-publish --id a --delay 2s -m second T
	mq-publish --id a -m first T
	left_out() { mq-consume T > /dev/null && mq-topic delayed T | grep -q 'nothing is delayed'; }
	until_true left_out
	mq-topic purge T
	is "$(mq-consume T)" ''
	mq-topic set T dedupe.ms=-1
	is "$(mq-consume T)" ''
	mq-publish --id a --delay 1ms -m third T
	came() { mq-consume T | grep -q third; }
	until_true came
	is "$(mq-consume T)" third
	is "$(mq-check)" ''
	python3 -B "$MQ_SRC/tests/reader.py" "$MQ_SPOOL" T 0 > /dev/null
}
