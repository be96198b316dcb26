#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The examples for cron and systemd: each line and each unit does what it says, and is silent when all is well.
load one_spool

a_spool() {
	mq-topic create mails segment.bytes=4096 retention.bytes=4096
	mq-topic create jobs segment.bytes=4096
	for i in $(seq 4); do seq 1000 | mq-publish mails; seq 1000 | mq-publish jobs; done
	mq-consume -g workers jobs > /dev/null
	mkdir archive
	printf '#!/bin/sh\n{ cat; echo; } >> %s/mailed\n' "$PWD" > send-mail
	chmod +x send-mail
}

# As it is here, not where it would be installed.
here() {
	sed -e "s|/var/archive/mq|$PWD/archive|; s|/var/spool/mq|$MQ_SPOOL|; s|/usr/local/bin/send-mail|$PWD/send-mail|" \
	    -e "s|^ExecStart=mq|ExecStart=$MQ_BUILD/bin/mq|"
}

@test "each line of the crontab runs, and says nothing" {
	a_spool
	mq-drain -g mailer --discard mails || mq-drain -g mailer mails > /dev/null
	grep -v '^#\|^$\|^[A-Z_]*=' "$MQ_SRC/examples/crontab" | here > lines
	[ "$(wc -l < lines)" = 5 ]
	seq 3 | mq-publish mails
	while read -r min hour day month weekday command; do
		[[ "$min $hour $day $month $weekday" =~ ^[0-9*/]+' '[0-9*]+' '[0-9*]+' '[0-9*]+' '[0-9*]+$ ]]
		is "$(env -i PATH="$PATH" HOME="$HOME" MQ_SPOOL="$MQ_SPOOL" sh -c "$command" 2>&1)" ''
	done < lines
	is "$(sort mailed)" "$(seq 3)"
	[ "$(ls archive | wc -l)" -ge 1 ]
	[ "$(mq-topic show --json jobs | sed -n 's/.*"log_start":\([0-9]*\),.*/\1/p')" -gt 0 ]
}

@test "the crontab's watch tells when a group is behind" {
	a_spool
	mq-consume -g mailer -n 1 mails > /dev/null
	grep mq-stat "$MQ_SRC/examples/crontab" | here | cut -d' ' -f 6- > line
	has "$(env -i PATH="$PATH" MQ_SPOOL="$MQ_SPOOL" sh -c "$(sed 's/^ *//' line)" 2>&1)" 'lag'
}

@test "systemd takes each unit" {
	command -v systemd-analyze > /dev/null || skip 'no systemd-analyze'
	a_spool
	mkdir units
	for unit in "$MQ_SRC"/examples/*.service "$MQ_SRC"/examples/*.timer; do
		here < "$unit" > "units/$(basename "$unit")"
	done
	cp units/mq-drain@.service units/mq-drain@mails.service
	systemd-analyze --man=no verify units/mq-retain.service units/mq-stat.service units/mq-drain@mails.service units/*.timer > said 2>&1 || {
		! grep -q 'units/' said && skip 'systemd-analyze cannot run here'
		cat said
		false
	}
	! grep 'units/' said
}

@test "what each unit starts runs, and says nothing" {
	a_spool
	mq-consume -g mailer -n 3900 mails > /dev/null
	for unit in retain drain@ stat; do
		command=$(here < "$MQ_SRC/examples/mq-$unit.service" | sed -n 's/^ExecStart=//p' | sed 's/%i/mails/')
		[ "$command" ]
		env -i PATH=/usr/bin:/bin MQ_SPOOL="$MQ_SPOOL" sh -c "$command" > out 2> err
		is "$(cat err)" ''
	done
	is "$(mq-group show -g mailer --json mails | sed -n 's/.*"lag":\([0-9]*\),.*/\1/p')" 0
}
