#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What is done behind a record that takes long, and so is done again after a kill, is bounded.
load one_spool

setup() {
	in_a_spool
	pids=()
	{ echo slow:0; seq 1 1499 | sed 's/^/quick:/'; } | mq-publish -K : T
	touch handled
}

teardown() {
	touch go
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2> /dev/null || true; done
	wait
}

handler='read -r n; echo "$n" >> handled; while [ $n = 0 ] && [ ! -e go ]; do sleep 0.05; done'

committed() { mq-group show -g g --json T | sed -n 's/.*"committed":\([^,]*\),.*/\1/p'; }

# The slow one and a thousand less one, and then nothing for as long as it takes.
stands() {
	until_true lines handled 1000
	for _ in 1 2 3; do mq-group list > /dev/null; done
	is "$(wc -l < handled)" 1000
	is "$(committed)" 0
}

in_a_kill() { # ARGUMENT ...
	mq-consume -g g -j 2 "$@" 2> said &
	pids+=($!)
	stands
	kill -KILL ${pids[0]}
	wait ${pids[0]} || true
	touch go
	mq-consume -g g -j 2 "$@"
	is "$(sort -nu handled)" "$(seq 0 1499)"
	is "$(wc -l < handled)" 2500
	is "$(committed)" 1500
}

@test "in order by key" { in_a_kill --order key T -- sh -c "$handler"; }
@test "in no order" { in_a_kill --order none T -- sh -c "$handler"; }

@test "when the slow one is done the rest goes on" {
	mq-consume -g g -j 2 --order key T -- sh -c "$handler" &
	pids+=($!)
	stands
	touch go
	wait ${pids[0]}
	is "$(sort -n handled)" "$(seq 0 1499)"
}

@test "batches larger than that run side by side all the same" {
	seq 1500 4499 | sed 's/^/quick:/' | mq-publish -K : T
	mq-consume -g g -j 2 --order none --batch 1500 T -- sh -c 'cat >> handled'
	is "$(sort -n handled)" "$(seq 0 4499)"
}
