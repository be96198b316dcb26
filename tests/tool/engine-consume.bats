#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-consume without a group: what is read, where it begins and ends, how it is shown.
load engines

ranges() {
	seq 0 99 | mq-publish T
	is "$(mq-consume -o 98 T)" $'98\n99'
	is "$(mq-consume T:0:98)" $'98\n99'
	is "$(mq-consume -o -3 T)" $'97\n98\n99'
	is "$(mq-consume -o 10..13 T)" $'10\n11\n12'
	is "$(mq-consume -o -2..-1 T)" 98
	is "$(mq-consume -o ..2 T)" $'0\n1'
	is "$(mq-consume -o beginning..1 T)" 0
	is "$(mq-consume -o end T)" ''
	is "$(mq-consume -o 200..300 T)" ''
	is "$(mq-consume -o @-1h -n 1 T)" 0
	is "$(mq-consume -o @2001-01-01..@2002-01-01 T)" ''
	is "$(mq-consume -o '@tomorrow' T)" ''
	is "$(mq-consume -n 2 -o 5 T)" $'5\n6'
	fails 64 mq-consume -o 5..3 T
	fails 64 mq-consume -o stored T
	fails 64 mq-consume -o '@no such time' T
	mq-topic purge -o 50 T
	is "$(mq-consume -n 1 T)" 50
	is "$(mq-consume -o 0 -n 1 T)" 50
}
@test "a range says where it begins and ends" { each ranges; }

partitions() {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq -w "${p}0" "${p}4" | mq-publish -p $p T; done
	is "$(mq-consume T | wc -l)" 15
	is "$(mq-consume T:1)" "$(seq 10 14)"
	is "$(mq-consume -p 2 -o -1 T)" 24
	is "$(mq-consume -o 4 T | sort)" $'04\n14\n24'
	is "$(mq-consume T:2 T:0:  2>/dev/null || mq-consume T:2 T:0)" "$(seq 20 24; seq -w 00 04)"
	fails 66 mq-consume T:3
	fails 66 mq-consume U
}
@test "partitions come one after the other" { each partitions; }

follows() {
	mq-consume -f T > out &
	sleep 0.2
	[ ! -s out ]
	for i in 1 2 3; do
		echo $i | mq-publish T
		until_true lines out $i
	done
	seq 4 1000 | mq-publish T
	until_true lines out 1000
	kill $!
	wait $! || true
	is "$(cat out)" "$(seq 1000)"
}
@test "-f waits for the topic and for each record" { each follows; }

follows_all() {
	mq-topic create --partitions 4 T
	mq-consume -f -n 100 T > out &
	for i in $(seq 10); do seq $((i * 10 + 1)) $((i * 10 + 10)) | mq-publish -p $((i % 4)) T; done
	wait $!
	sort -n out | cmp - <(seq 11 110)
}
@test "-f reads all partitions at once, and ends after -n" { each follows_all; }

idle() {
	seq 3 | mq-publish T
	is "$(mq-consume -f --until-idle 200ms T)" $'1\n2\n3'
	(sleep 0.2; echo 4 | mq-publish T) &
	is "$(mq-consume -f --until-idle 3s T)" $'1\n2\n3\n4'
	wait
}
@test "--until-idle ends when nothing came for so long" { each idle; }

stood_still() {
	for topic in T U; do
		[ $topic = T ] && how='' || how='-g g'
		seq 2 | mq-publish $topic
		: > out
		mq-consume -f --until-idle 2s $how $topic > out &
		until_true lines out 2
		kill -STOP $!
		echo 3 | mq-publish $topic
		sleep 2.5
		kill -CONT $!
		wait $!
		is "$(cat out)" $'1\n2\n3'
	done
}
@test "--until-idle of who stood still looks once more before it ends" { each stood_still; }

end_at_start() {
	mq-topic create --partitions 2 T
	seq 1000 | mq-publish -p 0 T
	seq 10 | mq-publish -p 1 T
	# A reader that is slow at first while somebody publishes on.
	mq-consume --rate 500/s T > out &
	until_true lines out 1
	seq 1000 | mq-publish -p 1 T
	wait $!
	is "$(wc -l < out)" 1010
}
@test "the end is where it was at the start, whoever publishes meanwhile" { each end_at_start; }

splits() {
	echo plain | mq-publish T
	mq-publish -m $'two\nlines' -m after T
	fails 65 mq-consume T
	has "$said" 'T:0:1: the payload holds a newline'
	has "$said" --frame
	is "$(mq-consume T 2> /dev/null || true)" plain
	is "$(mq-consume -0 T | tr '\0' '#')" $'plain#two\nlines#after#'
	is "$(mq-consume -D -- T)" $'plain--two\nlines--after--'
	printf 'a,b\0' | mq-publish -0 U
	fails 65 mq-consume -D , U
	printf 'k:x:y\n' | mq-publish -K :x V
	fails 65 mq-consume -K k V
	is "$(mq-consume -K = V)" k=:y
}
@test "a payload that holds the delimiter is refused, never split" { each splits; }

formats() {
	mq-publish -k key -H a=1 -H b=2 -m $'pay\tload' T
	mq-publish -m none T
	is "$(mq-consume --format '%t|%p|%o|%k|%s|%S|%K|%h|%%\x41\t.\n' T)" \
		$'T|0|0|key|pay\tload|8|3|a=1,b=2|%A\t.\nT|0|1||none|4|-1||%A\t.'
	now=$(date +%s) got=$(mq-consume -n 1 --format '%T' T)
	[ $((got / 1000)) -ge $((now - 60)) ] && [ $((got / 1000)) -le $now ]
	fails 64 mq-consume --format '%q' T
	fails 64 mq-consume --format '\q' T
	fails 64 mq-consume --format '%' T
}
@test "--format takes kcat's letters" { each formats; }

filters() {
	mq-publish -T paid -H amount=20 -H who=ann --id 42 -k a -m '{"n": 5, "s": "x"}' T
	mq-publish -T refunded -H amount=5 --id 43 -k b -m '{"n": 50, "in": {"deep": true}}' T
	seq 1000 | mq-publish T
	mq-publish -T other -m last T
	n() { mq-consume --format '%o ' "$@" T; }
	is "$(n -T paid)" '0 '
	is "$(n -T 'paid || refunded')" '0 1 '
	is "$(n --id 43)" '1 '
	is "$(n -k a)" '0 '
	is "$(n -H who=ann -H amount=20)" '0 '
	is "$(n -H who=ann -H amount=21)" ''
	is "$(n --where 'n > 6')" '1 '
	is "$(n --where 'n > 4 && n < 6 || tag == other')" '0 1002 '
	is "$(n --where 'amount > 10')" '0 '
	is "$(n --where 'header.amount == 5.0')" '1 '
	is "$(n --where 'in.deep == true')" '1 '
	is "$(n --where '(key =~ "^[ab]$") && !(n = 5)')" '1 '
	is "$(n -n 1 -T 'paid || refunded')" '0 '
	is "$(n -o -1 -T paid)" ''
	for bad in 'n >' '(n > 1' 'n > 1)' '&&' 'n =~ "("' ''; do fails 64 mq-consume --where "$bad" T; done
	fails 64 mq-consume -T 'a ||' T
}
@test "records are selected by tag, key, id, headers and an expression" { each filters; }

expires() {
	mq-publish --ttl 1ms -m gone T
	mq-publish --ttl 1h -m there T
	sleep 0.05
	is "$(mq-consume T)" there
	mq-topic create U ttl.ms=50
	echo x | mq-publish U
	mq-publish --ttl 1h -m stays U
	sleep 0.1
	is "$(mq-consume U)" stays
}
@test "an expired record is skipped; its own time goes before the topic's" { each expires; }

readers_end() {
	seq 100000 | mq-publish T
	is "$(mq-consume T | head -n 1)" 1
	mq-consume T | head -n 1 > /dev/null
	is "${PIPESTATUS[*]}" '0 0'
	mkfifo p
	mq-consume -f T > p &
	head -n 1 p > /dev/null
	until_true sh -c "! kill -0 $! 2> /dev/null"
	wait $!
	[ ! -e /dev/full ] || fails 74 sh -c 'mq-consume T > /dev/full'
}
@test "a reader that had enough ends it quietly; a full disk does not" { each readers_end; }

big() {
	seq 300000 > in
	mq-publish T < in
	mq-consume T | cmp - in
	mq-consume T > out
	cmp in out
	mq-consume -o 150000..150010 T | cmp - <(seq 150001 150010)
	mq-consume --format '%s\n' T | cmp - in
	mq-consume -J T | tail -n 1 | grep -q '"payload":"300000"'
}
@test "many records come back, each way" { each big; }

two_topics() {
	seq 3 | mq-publish A
	seq 4 6 | mq-publish B
	is "$(mq-consume A B)" "$(seq 6)"
	is "$(mq-consume --format '%t%o ' B A)" 'B0 B1 B2 A0 A1 A2 '
}
@test "several topics come one after the other" { each two_topics; }
