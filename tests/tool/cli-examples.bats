#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The examples of the manual run, and print what the page says.
#
# In an EXAMPLES section a line that begins with "$ " is a command, lines that begin with "> " continue
# it, and the lines below are what it prints to stdout; without any, its output is not compared.  The
# commands of a page run one after the other in one shell, in an empty directory and with an empty spool.

bats_require_minimum_version 1.5.0

setup() {
	: "${MQ_SRC:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
	mkdir "$BATS_TEST_TMPDIR/steps" "$BATS_TEST_TMPDIR/work"
	cd "$BATS_TEST_TMPDIR/work"
}

# Write steps/NNN.cmd and steps/NNN.out for each command of a page.
extract() {
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE ALSO/p' "$1" | sed 's/\\e/\\/g; s/\\&//g' |
		awk -v dir="$BATS_TEST_TMPDIR/steps" '
			/^\.Bd/ { shown = 1; next }
			/^\.Ed/ { shown = 0; next }
			!shown { next }
			/^\$ / { n++; cmd = sprintf("%s/%03d.cmd", dir, n); out = sprintf("%s/%03d.out", dir, n); print substr($0, 3) > cmd; next }
			/^> / { print substr($0, 3) > cmd; next }
			{ print > out }'
}

run_page() {
	extract "$MQ_SRC/man/$1"
	cat >"$BATS_TEST_TMPDIR/all" <<'END'
for step in "$1"/*.cmd; do
	. "$step" >"$1/got" 2>"$1/err" || { echo "failed with $?: $(cat "$step")"; cat "$1/err"; exit 1; }
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
@test "the examples of mq-check(1) run" { run_page mq-check.1; }
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
