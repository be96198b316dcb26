#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What groups have read cannot be told: then nobody says that there are none, and nothing goes that one may still want.
load engines

on_the_spool() { MQ_TEST_ENGINES=spool each "$1"; }

nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

for_nobody() {
	[ "$(id -u)" = 0 ] || skip 'needs another user'
	chmod a+x "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "${BATS_RUN_TMPDIR%/*}" .
	chmod -R a+rwX "$MQ_SPOOL"
	nobody test -r "$MQ_SPOOL/spool.conf" || skip 'the way to the spool is closed to other users'
}

half_read() {
	seq 5 | mq-publish T
	mq-consume -g g -n 2 T > /dev/null
}

all_there() { is "$(mq-consume T | wc -l)" 5; }

damaged() {
	half_read
	head -c 16384 /dev/zero | tr '\0' x > "$MQ_SPOOL/groups/g/topics/T/offsets"
	fails 2 mq-topic purge T
	has "$said" 'group g'
	all_there
	mq-topic purge --force T
	is "$(mq-consume T)" ''
}
@test "a purge stops at a group whose offsets are damaged" { on_the_spool damaged; }

not_enterable() {
	half_read
	for_nobody
	for dir in groups groups/g groups/g/topics; do
		chmod 700 "$MQ_SPOOL/$dir"
		fails 77 nobody mq-topic purge T
		all_there
		chmod 777 "$MQ_SPOOL/$dir"
	done
	fails 75 nobody mq-topic purge T
	chmod 700 "$MQ_SPOOL/groups"
	fails 77 nobody mq-group list
	fails 77 nobody mq-group show
	fails 77 nobody mq-group show -g g
}
@test "groups that another user may not enter are no empty list, and stop a purge" { on_the_spool not_enterable; }

no_directory() {
	half_read
	mv "$MQ_SPOOL/groups" elsewhere
	for make in 'touch' 'ln -s ../elsewhere'; do
		$make "$MQ_SPOOL/groups"
		fails 78 mq-group list
		fails 78 mq-group show
		fails 78 mq-topic purge T
		all_there
		rm "$MQ_SPOOL/groups"
	done
}
@test "groups that is a file or a symlink is told" { on_the_spool no_directory; }
