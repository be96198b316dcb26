#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What is wrong, where, and what to do: a spool that is not whole, or that somebody else owns; words in the wrong place.

bats_require_minimum_version 1.5.0

setup() {
	export MQ_SPOOL="$BATS_TEST_TMPDIR/spool"
	mq-publish -m x t
	mq-consume -g g t
}

again() { # a fresh spool
	rm -rf "$MQ_SPOOL"
	setup
}

says() { # STATUS PART COMMAND... : one line that holds PART
	local status=$1 part=$2
	shift 2
	run "-$status" --separate-stderr "$@"
	[ "${#stderr_lines[@]}" -eq 1 ] || { echo "$stderr"; return 1; }
	[[ $stderr == *"$part"* ]] || { echo "no '$part' in: $stderr"; return 1; }
}

@test "a file that the spool lacks is not a topic that is not there" {
	while read -r file part command; do
		rm -rf "${MQ_SPOOL:?}/$file"
		says 78 "$part" $command
		[[ $stderr == *"the spool lacks it: restore it"* ]]
		again
	done <<-'END'
		topics/t/topic.conf topics/t mq-consume t
		topics/t/0/lock t:0 mq-publish -m x t
		topics/t/0/lock t:0 mq-topic purge t
		topics/t/0/bell bell mq-publish -m x t
		topics/t/0/bell bell mq-consume t
		topics/t/0/start t:0 mq-consume t
		topics/t/0 topics/t mq-consume t
		topics/t/0 topics/t mq-publish -m x t
		topics spool mq-consume t
		groups groups mq-consume -g g t
		groups/g/topics/t/locks locks mq-consume -g g t
	END
}

@test "a symbolic link is told as what it is" {
	while read -r file command; do
		mv "$MQ_SPOOL/$file" "$MQ_SPOOL.away"
		ln -s "$MQ_SPOOL.away" "$MQ_SPOOL/$file"
		says 78 'symbolic link, which is not followed' $command
		rm -rf "$MQ_SPOOL.away"
		again
	done <<-'END'
		topics/t mq-consume t
		topics/t/0 mq-publish -m x t
		topics/t/0/lock mq-publish -m x t
		groups mq-consume -g g t
		groups/g/members mq-consume -g g t
		spool.conf mq-topic list
	END
}

@test "places are told as positions, files with the way to them, and no temporary name" {
	[ "$(id -u)" -eq 0 ] || skip 'needs root, to be somebody else'
	path=$MQ_SPOOL
	while [ "$path" != / ]; do
		chmod o+rx "$path"
		path=$(dirname "$path")
	done
	other() { setpriv --reuid 12346 --regid 12346 --clear-groups "$(command -v "$1")" "${@:2}"; }
	says 77 "$MQ_SPOOL: cannot open spool.conf" other mq-topic list
	chmod o+r "$MQ_SPOOL/spool.conf"
	chmod o+rx "$MQ_SPOOL/topics" "$MQ_SPOOL/groups"
	says 77 'topics: cannot open directory t' other mq-consume t
	says 77 'groups: cannot open directory g' other mq-group show
	says 77 'cannot make topic new' other mq-publish -m x new
	[[ $stderr != *.new-* ]]
	chmod o+rx "$MQ_SPOOL/topics/t"
	chmod o+r "$MQ_SPOOL/topics/t/topic.conf"
	says 77 'topics/t: cannot open directory 0' other mq-consume t
	chmod o+rx "$MQ_SPOOL/topics/t/0"
	says 77 't:0: cannot open' other mq-publish -m x t
	echo nonsense >>"$MQ_SPOOL/spool.conf"
	says 78 "$MQ_SPOOL: spool.conf: line" mq-topic list
}

@test "a group in the place of a topic is told for what it is, and xargs's -P leads to -j" {
	mq-publish -m x orders
	mq-consume -g billing orders
	says 64 'billing is a group, and no topic: show -g billing' mq-group show billing
	says 66 'no topic nobody' mq-group show nobody
	says 64 'mq-consume -j N' mq-topic -P list
}

# What a terminal could take as a command, or show in another order: C0, C1 as a byte and as a letter, line and paragraph separators,
# and the marks that turn text round.
@test "a reason holds nothing that steers a terminal, and letters as they are" {
	local all=() name bad try
	all=($'\e[2J' $'\x9b2J' $'\u009b2J' $'\u2028' $'\u2029' $'\u202a' $'\u202b' $'\u202c' $'\u202d' $'\u202e' $'\u2066' $'\u2067'
		$'\u2068' $'\u2069' $'\x7f' $'\r' $'\n' $'\x07')
	name="grün日本🐢$(printf '%s.' "${all[@]}")end"
	for try in 'mq-publish T' 'mq-publish --rate' 'mq-publish -X' 'mq-topic create' 'mq-topic create T' 'mq-topic set t' \
		'mq-consume -t' 'mq-group show -g' 'mq-consume -S' 'mq-topic create T -X' mq 'mq man' 'mq help'; do
		run --separate-stderr $try "$name"
		[ -n "$stderr" ]
		for bad in "${all[@]}"; do
			[[ $stderr != *"$bad"* ]] || { echo "$try: $(cat -v <<<"$stderr")"; false; }
		done
	done
	for try in "$name=1" "when.full=$name"; do
		run --separate-stderr mq-topic create T -X "$try"
		for bad in "${all[@]}"; do
			[[ $stderr != *"$bad"* ]] || { echo "$try: $(cat -v <<<"$stderr")"; false; }
		done
	done
	run --separate-stderr mq-publish t $'grün日本🐢\u202eend'
	[[ $stderr == *'grün日本🐢\xe2\x80\xaeend'* ]]
}

@test "a group that lost records to a limit is told without being asked, once" {
	mq-topic create lossy max.messages=3 when.full=drop-oldest
	seq 3 | mq-publish lossy
	mq-consume -g g -n 1 lossy >/dev/null
	for i in 4 5 6 7 8; do mq-publish -m $i lossy; done
	run -0 --separate-stderr mq-consume -g g lossy
	[ "$output" = "$(seq 6 8)" ]
	[ "$stderr" = 'mq-consume: lossy:0: offsets 1 to 4 are not held any more' ]
	run -0 --separate-stderr mq-consume lossy
	[ -z "$stderr" ]
}

@test "a verb that is none is told beside those that are" {
	run -64 --separate-stderr mq-topic rm t
	[[ $stderr == *"rm is not a thing to do here: create, list, show, set, purge, delete"* ]]
}

@test "a command without -- before it is told what it lacks" {
	mq-publish -m x orders
	run -66 --separate-stderr mq-consume orders cat
	[[ $stderr == *"a handler's command stands behind --"* ]]
	run -66 --separate-stderr mq-consume cat
	[[ $stderr != *"behind --"* ]]
}
