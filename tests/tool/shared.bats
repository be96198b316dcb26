#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# A spool that a Unix group shares: what one of it makes the others may use.
load one_spool

setup() {
	in_a_spool
	needs_users
}

# Two users of group 65534, neither of them with it as the first one.
somebody() { setpriv --reuid=12345 --regid=12345 --groups=65534 "$@"; }
nobody() { setpriv --reuid=12346 --regid=12346 --groups=65534 "$@"; }
stranger() { setpriv --reuid=12347 --regid=12347 --clear-groups "$@"; }

together() {
	for who in '' somebody nobody; do
		$who mq-topic create "by-$who"
		for other in '' somebody nobody; do
			$other mq-publish -m "$other" "by-$who"
			$other mq-consume -g "of-$who" -n 1 "by-$who" > /dev/null
		done
		is "$(mq-consume "by-$who")" $'\nsomebody\nnobody'
		is "$(nobody mq-consume -g "of-$who" "by-$who")" ''
		fails 77 stranger mq-consume "by-$who"
	done
	mq-check
	is "$(find spool -not -group 65534)" ''
	is "$(find spool -type d -not -perm 2770)" ''
}

@test "an empty directory of a group becomes that group's spool" {
	install -d -m 2770 -g 65534 spool
	somebody mq-publish -m x T
	together
}

@test "a spool that is there becomes one as the page says" {
	mq-publish -m x T
	fails 77 somebody mq-publish -m y T
	sed -n 's/^# //; /^chgrp/p; /^find/p; /^echo mode/p' "$MQ_SRC/man/mq.7" | sed "s|/var/spool/mq|$MQ_SPOOL|g; s/staff/65534/" > commands
	lines commands 3
	sh -e commands
	somebody mq-publish -m y T
	is "$(nobody mq-consume T)" $'x\ny'
	together
}
