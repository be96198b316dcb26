#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-replay: a range once more; its distances kept.
load one_spool
load flip

at() { # SECONDS PAYLOAD [PARTITION [TAG]]: a record of that time, behind noon of a day long ago
	printf '{"payload":"%s","tag":"%s","timestamp":"2026-01-31T12:00:%sZ"}\n' "$2" "${4:-t}" "$1" | mq-publish --json -p "${3:-0}" T
}

stamped() { # ARGUMENT ...: a line for each that mq-replay prints: milliseconds since it was started, and the line
	timeout 60 python3 -c '
import subprocess, sys, time
start = time.monotonic()
with subprocess.Popen(["mq-replay", *sys.argv[1:]], stdout=subprocess.PIPE, text=True) as p:
    for line in p.stdout:
        print(int((time.monotonic() - start) * 1000), line, end="")
sys.exit(p.returncode)' "$@"
}

@test "a range is printed once more, and nobody is moved" {
	seq 10 | mq-publish T
	mq-consume -g g -n 4 T > /dev/null
	is "$(mq-replay -o 2..5 T)" $'3\n4\n5'
	is "$(mq-replay -o -1 T)" 10
	is "$(mq-replay T:0:8)" $'9\n10'
	is "$(mq-replay -o 10.. T)" ''
	is "$(mq-consume -g g -n 1 T)" 5
	fails 66 mq-replay nothing
	fails 64 mq-replay
}

@test "records go at the distances that they had, of all partitions together, in the order of their times" {
	mq-topic create --partitions 2 T
	at 00.000 a 0
	at 00.400 b 1
	at 00.800 c 0
	at 01.200 d 1
	stamped --speed 2x T > came
	is "$(sed 's/.* //' came)" $'a\nb\nc\nd'
	python3 - came <<- 'END'
		import sys
		came = [int(line.split()[0]) for line in open(sys.argv[1])]
		for n, (got, want) in enumerate(zip(came, (0, 200, 400, 600))):
		    assert want <= got, (n, got, want)
	END
}

@test "who is slower than the records were waits for as much longer" {
	at 00.00 a
	at 00.10 b
	stamped --speed 0.25x T > came
	[ "$(sed -n 's/ b$//p' came)" -ge 400 ]
}

@test "a clock that went back holds nothing up, and batches of several times go in pieces" {
	{
		printf '{"payload":"a","timestamp":"2026-01-31T12:00:10Z"}\n'
		printf '{"payload":"b","timestamp":"2026-01-31T11:00:00Z"}\n'
		printf '{"payload":"c","timestamp":"2026-01-31T12:00:10.3Z"}\n'
	} | mq-publish --json T
	stamped --speed 1x T > came
	is "$(sed 's/.* //' came)" $'a\nb\nc'
	[ "$(sed -n 's/ c$//p' came)" -ge 300 ]
}

@test "what is not selected is not waited for" {
	at 00.00 a 0 other
	at 50.00 x
	at 50.10 b
	stamped -T t --speed 0.5x T > came
	is "$(sed 's/.* //' came)" $'x\nb'
	[ "$(sed -n 's/ b$//p' came)" -ge 200 ]
}

@test "a dry run reads them, and says which they are and how many" {
	mq-publish -T paid -m one T
	mq-publish -T debug -m two T
	mq-publish -m three T
	is "$(mq-replay --dry-run T)" "$(printf '%s\n' 'TOPIC  PARTITION  FIRST  LAST  RECORDS' 'T              0      0     2        3' '3 records, 11 bytes')"
	is "$(mq-replay --dry-run -T paid T | tail -n 2)" $'T              0      0     0        1\n1 records, 3 bytes'
	is "$(mq-replay --dry-run -T none T)" '0 records, 0 bytes'
	is "$(mq-replay --dry-run --json --skip-tag debug T)" '{"v":1,"topic":"T","partition":0,"first":0,"last":2,"records":2}
{"v":1,"records":2,"bytes":8,"not_selected":1,"expired":0}'
	is "$(mq-replay --dry-run -v --skip-tag debug T | head -n 2)" $'T:0:0..1\nT:0:2..3'
	is "$(mq-replay --dry-run -v T:0:1..2 | head -n 1)" T:0:1..2
	fails 64 mq-replay --dry-run --speed 2x T
	fails 64 mq-replay -o @-1h..@-2h T
	fails 64 mq-replay -o 3..1 T
	is "$(mq-replay -o @-1h..@-1h T)" ''
}

@test "a speed that is none is refused" {
	mq-publish -m x T
	for bad in 0 0x x -1x 2y 1e9 nan inf ''; do
		fails 64 mq-replay --speed "$bad" T
	done
	is "$(mq-replay --speed 2 T)" x
}

@test "any bytes pass from a topic to another one" {
	head -c 100000 /dev/urandom > bytes
	mq-publish T bytes
	mq-publish -k key -H a=b -T tag --id 7 -m x T
	mq-replay --frame T | mq-publish --frame U
	is "$(mq-consume --frame -n 1 U | sha256sum)" "$(mq-consume --frame -n 1 T | sha256sum)"
	is "$(mq-consume --json -o 1 U | sed 's/"topic":"U"/"topic":"T"/')" "$(mq-consume --json -o 1 T)"
}

@test "damage is passed, told, and the status" {
	seq 3 | mq-publish T
	mq-publish -m four T
	flip "$(echo spool/topics/T/0/*.seg)" 641
	fails 2 mq-replay T
	has "$said" four
}
