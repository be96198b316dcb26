#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# --help, the manual pages, the completion and the parser tell the same.
bats_require_minimum_version 1.5.0


tools='mq-bench mq-check mq-consume mq-drain mq-group mq-publish mq-rebalance mq-replay mq-retain mq-stat mq-topic'

setup() {
	: "${MQ_SRC:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
	man=$MQ_SRC/man
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
}

words() { tr -s ' \n' '  ' | sed 's/^ //; s/ $//'; }

synopsis_of_page() { # the SYNOPSIS as it is shown
	mandoc -T ascii -O width=500 "$man/$1.1" | col -bx | sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' | sed '1d;$d' | words
}

synopsis_of_help() { # the lines up to the first empty one
	"$1" --help | sed '/^$/,$d; s/^usage: //' | words
}

# The options that --completion tells, long names only.
options_of() { "$1" --completion | sed -n 's/^--\([^ 	]*\).*/\1/p'; }

@test "the help of each tool equals the SYNOPSIS of its page" {
	for tool in mq $tools; do
		page=$(synopsis_of_page "$tool")
		help=$(synopsis_of_help "$tool")
		[ -n "$page" ]
		[ "$page" = "$help" ] || { printf '%s\npage: %s\nhelp: %s\n' "$tool" "$page" "$help"; return 1; }
	done
}

@test "-h and --help print to stdout and exit 0" {
	for tool in mq $tools; do
		"$tool" -h >"$BATS_TEST_TMPDIR/short" 2>"$BATS_TEST_TMPDIR/err"
		"$tool" --help >"$BATS_TEST_TMPDIR/long"
		cmp "$BATS_TEST_TMPDIR/short" "$BATS_TEST_TMPDIR/long"
		[ ! -s "$BATS_TEST_TMPDIR/err" ]
		grep -q '^More: man' "$BATS_TEST_TMPDIR/long"
	done
}

@test "no line of help is wider than a terminal, but for examples and usage" {
	for tool in $tools; do
		run -0 sh -c "$tool --help | sed '1,/^\$/d; /^Examples:/,\$d' | awk 'length > 80'"
		[ -z "$output" ]
	done
}

@test "each option is in the help, and on the page with the same letter" {
	for tool in $tools; do
		"$tool" --help >"$BATS_TEST_TMPDIR/help"
		"$tool" --completion | sed -n 's/^--\([^ 	]*\) *-*\([^	]*\)	.*/\1 \2/p' >"$BATS_TEST_TMPDIR/options"
		[ -s "$BATS_TEST_TMPDIR/options" ]
		while read -r name letter; do
			grep -q -e "^  ${letter:+-$letter,} *--$name\( \|\$\)" "$BATS_TEST_TMPDIR/help" ||
				{ echo "$tool --help lacks --$name"; return 1; }
			grep -q -e "^\.It ${letter:+Fl $letter , }Fl -$name\( \|\$\)" "$man/$tool.1" ||
				{ echo "$tool.1 lacks ${letter:+-$letter, }--$name"; return 1; }
		done <"$BATS_TEST_TMPDIR/options"
	done
}

@test "each option on a page is one of the tool" {
	for tool in $tools; do
		sed -n 's/^\.It \(Fl . , \)\{0,1\}Fl -\([a-z-]*\).*/\2/p' "$man/$tool.1" | sort >"$BATS_TEST_TMPDIR/page"
		options_of "$tool" | sort >"$BATS_TEST_TMPDIR/tool"
		diff "$BATS_TEST_TMPDIR/page" "$BATS_TEST_TMPDIR/tool"
	done
}

@test "a letter means the same in every tool, and so does a name" {
	for tool in $tools; do "$tool" --completion; done | sed -n 's/^--\([^ 	]*\) -\(.\)	.*/\2 \1/p' | sort -u |
		awk '{ if ($1 in name || $2 in letter) { print; bad = 1 } name[$1]; letter[$2] } END { exit bad }'
}

@test "the pages are clean to mandoc" {
	for page in "$man"/*.[157]; do
		run mandoc -T lint -W warning "$page"
		[ -z "$output" ] || { echo "$output"; return 1; }
	done
}

@test "each tool has a page with examples, statuses, assumptions and caveats" {
	for tool in mq $tools; do
		for section in OPTIONS 'EXIT STATUS' EXAMPLES ASSUMPTIONS CAVEATS; do
			grep -qx "\.Sh $section" "$man/$tool.1" || { echo "$tool.1: $section"; return 1; }
		done
	done
}

@test "letters that other tools use are refused with a hint" {
	for tool in $tools; do
		for letter in c d z F C P L G b; do
			run -64 "$tool" "-$letter" x
			[[ $output == "$tool: -$letter is not an option here: "* ]]
		done
	done
	run -64 mq-consume -c 3 orders
	[[ $output == *"a count is -n N"* ]]
	run -64 mq-publish -c 3 orders
	[[ $output != *"a count is -n N"* ]]
	run -64 mq-publish -C orders
	[[ $output == *"run mq-consume"* ]]
	run -64 mq-consume -C orders
	[[ $output != *"run mq-consume"* ]]
	run -64 mq-publish -P orders
	[[ $output != *"run mq-publish"* ]]
	[ ! -e "$MQ_SPOOL" ]
}

@test "a format behind -f is told from a topic" {
	run -64 mq-consume -f '%t %o\n' orders
	[[ $output == *"--format FORMAT"* ]]
	run -64 mq-consume orders -f %s
	[[ $output == *"--format FORMAT"* ]]
}

@test "an unknown option names the one that was meant" {
	run -64 mq-publish --mesage x orders
	[[ $output == *"did you mean --message?"* ]]
	run -64 mq-consume --folow orders
	[[ $output == *"did you mean --follow?"* ]]
	run -64 mq-publish -ZZ orders
	[[ $output == *"unknown option -Z"* ]]
	[ ! -e "$MQ_SPOOL" ]
}

@test "mq lists every tool in a line and gives a tour" {
	mq >"$BATS_TEST_TMPDIR/help"
	for tool in $tools; do
		grep -q "^  ${tool#mq-}  *[a-z]" "$BATS_TEST_TMPDIR/help"
	done
	grep -q 'mq publish orders' "$BATS_TEST_TMPDIR/help"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/help")" -lt 60 ]
}

@test "mq runs the tool of its own directory before that of the PATH" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho impostor\n' >"$BATS_TEST_TMPDIR/bin/mq-topic"
	printf '#!/bin/sh\necho "found $*"\n' >"$BATS_TEST_TMPDIR/bin/mq-foundling"
	chmod +x "$BATS_TEST_TMPDIR"/bin/*
	mq=$(command -v mq)
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run -0 "$mq" topic --version
	[[ $output == "mq-topic "* ]]
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run -0 "$mq" foundling a b
	[ "$output" = "found a b" ]
}

@test "mq names the nearest tool when there is none of that name" {
	run -64 mq pubish orders
	[[ $output == *"did you mean mq publish?"* ]]
	run -64 mq ../bin/mq-topic
	run -64 mq --frobnicate
	run -64 mq ''
}

@test "mq -S names the spool for the tool" {
	run -66 mq -S "$BATS_TEST_TMPDIR/nowhere" topic list
	[[ $output == *"$BATS_TEST_TMPDIR/nowhere"* ]]
	run -64 mq -S
}

@test "every tool prints its version" {
	for tool in mq $tools; do
		run -0 "$tool" --version
		[[ $output == "$tool "[0-9]* ]]
		run -0 "$tool" -V
	done
}

@test "mq help shows the page that belongs to these tools" {
	tree=$BATS_TEST_TMPDIR/tree
	mkdir -p "$tree/bin" "$tree/share/man/man1" "$tree/fake"
	cp "$(command -v mq)" "$tree/bin/mq"
	cp "$man/mq-publish.1" "$tree/share/man/man1"
	printf '#!/bin/sh\necho "$@"\n' >"$tree/fake/man"
	chmod +x "$tree/fake/man"
	PATH=$tree/fake:$PATH
	[ "$("$tree/bin/mq" help publish)" = "$tree/bin/../share/man/man1/mq-publish.1" ]
	[ "$("$tree/bin/mq" help topic)" = '1 mq-topic' ]
	[ "$("$tree/bin/mq" help spool)" = '5 mq-spool' ]
	[ "$("$tree/bin/mq" help mq)" = '7 mq' ]
	[ "$(mq help)" = "$(mq --help)" ]
	run -64 "$tree/bin/mq" help consum
	[[ $output == *"did you mean mq consume?"* ]]
	run -64 "$tree/bin/mq" help mq-consum
	run -64 "$tree/bin/mq" help ''
}
