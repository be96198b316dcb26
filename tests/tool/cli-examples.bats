#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The examples of the manual run, and print what the page says.
#
# In an EXAMPLES section, and in one that shows how something is done, a line that begins with "$ " is a command, lines that begin with "> " continue
# it, and the lines below are what it prints to stdout; without any, its output is not compared.  The
# commands of a page run one after the other in one shell, in an empty directory and with an empty spool.

bats_require_minimum_version 1.5.0

setup() {
	: "${MQ_SRC:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
	mkdir "$BATS_TEST_TMPDIR/steps" "$BATS_TEST_TMPDIR/work"
	cd "$BATS_TEST_TMPDIR/work"
}

# Write steps/NNN.cmd and steps/NNN.out for each command of a section of a page.
extract() { # PAGE SECTION
	sed -n "/^\.Sh $2/,/^\.Sh /{/^\.Sh $2/p;/^\.Sh /!p}" "$1" | sed 's/\\e/\\/g; s/\\&//g' |
		awk -v dir="$BATS_TEST_TMPDIR/steps" '
			/^\.Bd/ { shown = 1; next }
			/^\.Ed/ { shown = 0; next }
			!shown { next }
			/^\$ / { n++; cmd = sprintf("%s/%03d.cmd", dir, n); out = sprintf("%s/%03d.out", dir, n); print substr($0, 3) > cmd; next }
			/^> / { print substr($0, 3) > cmd; next }
			{ print > out }'
}

# A section other than EXAMPLES shows what a terminal would: stdout and stderr.
run_page() { # PAGE [SECTION]
	extract "$MQ_SRC/man/$1" "${2-EXAMPLES}"
	export SHOWN=${2+both}
	cat >"$BATS_TEST_TMPDIR/all" <<'END'
for step in "$1"/*.cmd; do
	if [ "$SHOWN" ]; then . "$step" 2>&1; else . "$step" 2>"$1/err"; fi >"$1/got" || { echo "failed with $?: $(cat "$step")"; cat "$1/got" "$1/err"; exit 1; }
	[ ! -e "${step%.cmd}.out" ] || diff "${step%.cmd}.out" "$1/got" ||
		{ echo "other output: $(cat "$step")"; cat "$1/err"; exit 1; }
done
END
	ls "$BATS_TEST_TMPDIR"/steps/001.cmd
	sh "$BATS_TEST_TMPDIR/all" "$BATS_TEST_TMPDIR/steps"
}

@test "the examples of mq(1) run" { run_page mq.1; }
@test "the examples of mq(7) run" { run_page mq.7; }
@test "the examples of mq-publish(1) run" { run_page mq-publish.1; }
@test "the examples of mq-consume(1) run" { run_page mq-consume.1; }
@test "the examples of mq-topic(1) run" { run_page mq-topic.1; }
@test "the examples of mq-group(1) run" { run_page mq-group.1; }
@test "the examples of mq-rebalance(1) run" { run_page mq-rebalance.1; }
@test "the growth that mq-rebalance(1) shows runs" { run_page mq-rebalance.1 'GROWING A LIVE TOPIC'; }
@test "the examples of mq-drain(1) run" { run_page mq-drain.1; }
@test "the examples of mq-replay(1) run" { run_page mq-replay.1; }
@test "the examples of mq-retain(1) run" { run_page mq-retain.1; }
@test "the examples of mq-check(1) run" { run_page mq-check.1; }
@test "the examples of mq-stat(1) run" { run_page mq-stat.1; }
@test "the examples of mq-bench(1) run" { run_page mq-bench.1; }

@test "the tour of mq --help runs as it stands" {
	export HOME=$BATS_TEST_TMPDIR
	mq --help | sed -n '/^A short tour/,/^Several groups/s/^  //p' >tour
	grep -q 'mq publish' tour
	sh -e ./tour >out
	[ "$(grep -c '^billed: ' out)" = 3 ]
	grep -Eq 'billing +orders +0 +3 +4 +1 ' out
	[ -d "$HOME/mq-tour" ]
}

@test "the quickstart runs and leaves nothing behind" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	"$MQ_SRC/examples/quickstart"
	[ -z "$(ls -A "$TMPDIR")" ]
	[ ! -e "$MQ_SPOOL" ]
}

@test "of two terminals one is killed, the other goes on, and nothing is left behind" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	"$MQ_SRC/examples/two-terminals"
	[ -z "$(ls -A "$TMPDIR")" ]
	[ ! -e "$MQ_SPOOL" ]
}

@test "an example whose reader had enough leaves nothing behind either" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	for example in quickstart two-terminals grow backlog; do
		"$MQ_SRC/examples/$example" 2>err | head -n 2 >out
		[ -s out ]
		[ -z "$(ls -A "$TMPDIR")" ] || { echo "$example: $(ls -A "$TMPDIR")"; false; }
	done
}

@test "a topic grows under its publishers and a group, each key in order, twice over, and nothing is left behind" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	for run in first second; do
		"$MQ_SRC/examples/grow" >"$run"
		grep -q 'readings: 2 partitions, now 6' "$run" || { cat "$run"; false; }
		grep -q 'each once, each key in order' "$run"
		[ -z "$(ls -A "$TMPDIR")" ]
	done
	[ ! -e "$MQ_SPOOL" ]
}

@test "a million that wait are worked off in ten times the partitions, each once, in order, and nothing is left behind" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	"$MQ_SRC/examples/backlog" $([ "${MQ_PASS:-}" != sanitize ] || echo 100000) >run
	grep -q 'each billed once, those of each customer in their order' run || { cat run; false; }
	[ -z "$(ls -A "$TMPDIR")" ]
	[ ! -e "$MQ_SPOOL" ]
}

# The commands of README's pipelines, a line each.
pipelines() { sed -n '/^Five pipelines/,/^Where to read on/s/^    \([^ ]\)/\1/p' "$MQ_SRC/README"; }

# A program that the README takes from elsewhere, or that would not end.
stand_in() { # NAME, its text on stdin
	{ echo '#!/bin/sh'; cat; } >"bin/$1"
	chmod +x "bin/$1"
}

@test "the pipelines of README run, and do what stands beside them" {
	mkdir bin
	stand_in journalctl <<<'printf "%s\n" booted mounted ready'
	stand_in mq-consume <<<"case \" \$* \" in *' -f '*) exec '$(command -v mq-consume)' --until-idle 1s \"\$@\" ;; esac; exec '$(command -v mq-consume)' \"\$@\""
	PATH=$PWD/bin:$PATH
	for handler in send-mail book; do
		printf '#!/bin/sh\nread -r it || :; echo "$it" >>%s.out\n' $handler >$handler
		chmod +x $handler
	done
	seq 3 >today.csv
	seq 20 | mq-publish orders
	mq-topic create --partitions 8 payments
	for minutes in 90 45 10; do
		echo "{\"key\":\"bob\",\"payload\":\"{\\\"amount\\\": 1$minutes}\",\"timestamp\":$(($(date +%s) - minutes * 60))}"
	done | mq-publish --json payments
	pipelines >commands
	[ "$(wc -l <commands)" -ge 5 ]
	while IFS= read -r command; do
		sh -ec "$command" </dev/null >out 2>err || { echo "$command: $?"; cat err; false; }
		case $command in
		journalctl*) [ "$(mq-consume logs | paste -sd ' ')" = 'booted mounted ready' ] ;;
		*send-mail) [ "$(sort -n send-mail.out | paste -sd ' ')" = "$(seq -s ' ' 20)" ] ;;
		*book) [ "$(wc -l <book.out)" = 3 ] ;;
		mq-rebalance*) mq-topic show payments | grep -q '16 partitions' ;;
		*today.csv) sh -ec "$command" 2>/dev/null; [ "$(mq-consume sales | paste -sd ' ')" = '1 2 3' ] ;;
		mq-drain*orders.wide*)
			sh -ec "$command" 2>/dev/null
			[ "$(mq-consume orders.wide | sort -n | paste -sd ' ')" = "$(seq -s ' ' 20)" ]
			mq-topic show orders.wide | grep -q '80 partitions'
			;;
		*) echo "nothing is known of: $command"; false ;;
		esac || { echo "other than is said: $command"; cat out err; false; }
	done <commands
}
