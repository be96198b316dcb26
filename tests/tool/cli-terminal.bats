#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What depends on a terminal: escaping and progress, nothing else.

bats_require_minimum_version 1.5.0

setup() {
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool" TERM=dumb
}

# Run a command on a terminal of its own; print what it shows there.
on_terminal() { script -qec "$1" /dev/null </dev/null | tr -d '\r'; }

@test "control bytes of payloads are visible on a terminal" {
	printf 'red \033[31m bell \007 tab\t' | mq-publish --one orders
	run -0 on_terminal 'mq-consume orders'
	[[ $output == *'^[[31m'*'^G'* ]]
	[[ $output != *$'\e'* ]]
}

@test "no form of output shows a raw control byte on a terminal" {
	mq-publish -k $'k\e[1m' -T $'t\e[1m' -H $'n=\e[1m' -m $'p\e[1m' orders
	for form in '-K :' --json --frame "--format '%k %s %h\n'" '--manual -g g --timeout 0s'; do
		on_terminal "mq-consume $form orders" >"$BATS_TEST_TMPDIR/shown" || true
		[ -s "$BATS_TEST_TMPDIR/shown" ]
		run ! grep -q $'\e' "$BATS_TEST_TMPDIR/shown"
	done
}

# U+0080 to U+009F, U+007F, what turns text round, and what some take for the end of a line.
steering=$'\u0080 \u0085 \u009b31m \u009f \x7f \u2028 \u2029 \u202a \u202e \u2066 \u2069'
steers() { grep -qP '[\x{7f}-\x{9f}\x{2028}-\x{202e}\x{2066}-\x{2069}]'; }

@test "nor a character beyond ASCII that steers a terminal" {
	steers <<<"$steering"
	mq-publish -k "k$steering" -T "t$steering" --id "i$steering" -H "n$steering=$steering" -m "p$steering ä€😀" orders
	for form in '' '-K :' --json --frame "--format '%k %s %h\n'" '--manual -g g --timeout 0s'; do
		on_terminal "mq-consume $form orders" >"$BATS_TEST_TMPDIR/shown" || true
		grep -q 'ä€😀' "$BATS_TEST_TMPDIR/shown"
		run ! steers <"$BATS_TEST_TMPDIR/shown"
		on_terminal "mq-consume --raw $form orders" >"$BATS_TEST_TMPDIR/shown" || true
		grep -qF "$steering" "$BATS_TEST_TMPDIR/shown"
		mq-consume ${form/*format*/--frame} orders >"$BATS_TEST_TMPDIR/shown" || true
		grep -qF "$steering" "$BATS_TEST_TMPDIR/shown"
	done
	run -0 on_terminal 'mq-consume --json orders'
	[[ $output == *'p\u0080 \u0085 \u009b31m \u009f \u007f \u2028 \u2029 \u202a \u202e \u2066 \u2069 ä€😀"'* ]]
	[[ $output == *'"headers":{"n\u0080 '* ]]
	jq -e --arg want "$steering" '.tag == "t" + $want and .id == "i" + $want and .headers["n" + $want] == $want' <<<"$output"
	run -0 on_terminal 'mq-consume orders'
	[[ $output == *'pM-BM-^@ M-BM-^E M-BM-^[31m M-BM-^_ ^? M-bM-^@M-( '* ]]
}

@test "--raw, a pipe and a file get the bytes as they are" {
	mq-publish -m $'\e[31m' orders
	[ "$(on_terminal 'mq-consume --raw orders')" = $'\e[31m' ]
	[ "$(mq-consume orders)" = $'\e[31m' ]
}

@test "a check shows its progress on a terminal, and cleans it away" {
	mq-publish -m x orders
	run -0 on_terminal 'mq-check'
	[[ -z $output || $output == *$'\e[K' ]]
	run -0 on_terminal 'mq-check -q'
	[ -z "$output" ]
	run -0 --separate-stderr mq-check
	[ -z "$output$stderr" ]
}

@test "errors do not pass control bytes on" {
	run on_terminal "mq-consume $'evil\\e[31m'"
	[[ $output == *evil* ]]
	[[ $output != *$'\e'* ]]
}
