#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Who looks at a spool changes nothing in it, whatever is to be done there.
load one_spool

# A torn end and a state of another boot; a topic whose deleter was killed; one whose name may not last; a roll cut short.
left_by_a_crash() {
	seq 3 | mq-publish T
	mq-consume -g g -n 2 T > /dev/null
	printf 'half a batch' >> "$(echo spool/topics/T/0/*.seg)"
	cp spool/topics/T/0/state state
	rm spool/topics/T/0/state
	cp state spool/topics/T/0/state
	mq-publish -m x gone
	mv spool/topics/gone/named spool/topics/gone/deleting
	mq-publish -m x unnamed
	rm spool/topics/unnamed/named
	mq-publish -m x stateless
	rm spool/topics/stateless/0/state
}

# Names, sizes, modes, times and bytes of all there is.
fingerprint() {
	find spool -printf '%p %s %m %T@ %C@ %i\n' | sort
	find spool -type f -exec cksum {} + | sort
}

looks() { # COMMAND BEFORE EACH ...
	is "$("$@" mq-topic list)" $'T\nstateless\nunnamed'
	is "$("$@" mq-topic list -v | awk '{ print $1, $2, $3 }')" $'TOPIC PARTITIONS RECORDS\nT 1 3\nstateless 1 1\nunnamed 1 1'
	[ "$("$@" mq-topic list --json | wc -l)" = 3 ]
	for t in T stateless unnamed; do
		"$@" mq-topic show $t > shown
		"$@" mq-topic show --json $t > shown
	done
	fails 66 "$@" mq-topic show gone
	is "$("$@" mq-group list -q)" g
	has "$("$@" mq-group list)" 'g '
	has "$("$@" mq-group show -g g)" 'T'
	"$@" mq-group show -g g T > shown
	"$@" mq-topic purge --dry-run --force T 2> said
	has "$(cat said)" '3 records would be dropped'
	"$@" mq-group seek -g g -o end --force --dry-run T > said 2>&1
	"$@" mq-topic set --dry-run T max.bytes=1M 2> said
	"$@" mq-topic delete --dry-run T 2> said
	"$@" mq-topic create --dry-run new 2> said
	"$@" mq-topic create --dry-run gone 2> said
	"$@" mq-publish --dry-run -m x T 2> said
	"$@" mq-check --mend --dry-run > said || true
}

@test "listing, showing and dry runs leave every byte and every time as it is" {
	left_by_a_crash
	fingerprint > before
	looks
	fingerprint | diff before -
	# Who writes does what is to be done.
	mq-publish -m 4 T
	is "$(mq-consume T)" "$(seq 4)"
}

@test "they work for who may only read" {
	left_by_a_crash
	needs_a_reader
	fingerprint > before
	looks nobody
	fingerprint | diff before -
}

@test "they work on a file system that is mounted read-only" {
	unshare -Urm mount -t tmpfs none /mnt 2> /dev/null || skip 'no mounts in a name space of our own'
	left_by_a_crash
	mkdir read-only
	fingerprint > before
	export -f looks is has fails
	timeout 60 unshare -Urm bash -euc '
		mount --bind spool read-only
		mount -o remount,bind,ro read-only
		export MQ_SPOOL=$PWD/read-only
		looks'
	fingerprint | diff before -
}

touched() { find spool -type f -newerat 2001-02-04 -printf '%P\n' | sort; }

@test "reading leaves the times of access alone" {
	seq 3 | mq-publish T
	mq-consume -g g -n 1 T > /dev/null
	find spool -type f -exec touch -a -d 2001-02-03 {} +
	cat spool/topics/T/topic.conf > /dev/null
	[ "$(touched)" = topics/T/topic.conf ] || skip 'no times of access on this file system'
	touch -a -d 2001-02-03 spool/topics/T/topic.conf
	is "$(mq-consume T)" "$(seq 3)"
	is "$(mq-consume -g g T)" "$(seq 2 3)"
	mq-publish -m 4 T
	mq-topic show T > shown
	is "$(touched)" ''
}

@test "who may not ask for that reads all the same" {
	seq 3 | mq-publish T
	needs_a_reader
	run -1 nobody dd iflag=noatime if=spool/topics/T/topic.conf of=/dev/null
	is "$(nobody mq-consume T)" "$(seq 3)"
}

@test "who may not mend is told so, and by the status" {
	seq 3 | mq-publish T
	rm spool/topics/T/0/state
	needs_a_reader
	nobody mq-check > said
	fails 77 nobody mq-check --mend
	has "$said" 'not all was mended'
}
