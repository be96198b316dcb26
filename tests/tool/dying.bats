#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What of a killed member goes when: the kernel closes its descriptors one by one, and others look on.
load one_spool

setup() {
	in_a_spool
	began=()
}

teardown() {
	for pid in "${began[@]}"; do kill -9 "$pid" 2> /dev/null || true; done
}

owns() { # PID COUNT
	[ "$(mq-group show -g g --json T | grep -c "\"pid\":$1,")" = "$2" ]
}

# NAME=DESCRIPTOR of what decides who hears of its end first, by falling number.
closed_in_order() { # PID
	for fd in $(ls "/proc/$1/fd" | sort -rn); do
		case $(readlink "/proc/$1/fd/$fd") in
		*inotify*) echo inotify ;;
		*/locks) echo lock ;;
		*/members/*) echo member ;;
		esac
	done | uniq
}

@test "of a member that is killed the locks go first, then its file, which the others hear of, and what is slow last" {
	mq-topic create --partitions 3 T
	for p in 0 1 2; do seq 3 | mq-publish -p $p T; done
	mq-consume -f -g g -j 3 T -- sh -c 'cat > /dev/null; echo $$ >> handlers; exec sleep 1000' 2> said &
	began+=($!)
	until_true lines handlers 3
	until_true owns "${began[0]}" 3
	is "$(closed_in_order "${began[0]}")" $'lock\nmember\ninotify'
	kill -9 "${began[0]}"
	while read -r handler; do until_true [ ! -e "/proc/$handler" ]; done < handlers
}

@test "what was planned while a killed member still had its locks is looked at once more" {
	mq-topic create --partitions 2 T
	echo x | mq-publish T
	mq-consume -g g T > /dev/null
	python3 - << 'END' 2> fake.said &
import fcntl, os, struct, time
SETLK, F = 37, 'hhqqi4x'
def lock(fd, byte, kind=fcntl.F_WRLCK):
    fcntl.fcntl(fd, SETLK, struct.pack(F, kind, 0, byte, 1, 0))
def until(there):
    while not there():
        time.sleep(0.005)
group = os.environ['MQ_SPOOL'] + '/groups/g/'
mine = os.open(group + 'members/.zzzz', os.O_RDWR | os.O_CREAT, 0o640)
locks = os.open(group + 'topics/T/locks', os.O_RDWR)
lock(mine, 0), lock(mine, 1), lock(locks, 1)
os.write(mine, b'pid=%d\nstart=1\nhost=elsewhere\ntopics=T\nwhole=1\n' % os.getpid())
owners = os.open(group + 'topics/T/owners', os.O_RDWR)
os.pwrite(owners, b'%d zzzz\n' % os.getpid(), 128)
os.rename(group + 'members/.zzzz', group + 'members/zzzz')
open('holds', 'w').close()
until(lambda: os.path.exists('die'))
os.close(os.open(group + 'members/zzzz', os.O_WRONLY)) # as the kernel says it, before the locks go
time.sleep(0.01)
lock(mine, 0, fcntl.F_UNLCK), lock(mine, 1, fcntl.F_UNLCK), lock(locks, 1, fcntl.F_UNLCK)
open('went', 'w').close()
time.sleep(1000)
END
	began+=($!)
	until_true test -e holds
	mq-consume -v -f -g g T > out 2> said &
	began+=($!)
	until_true grep -q 'held by other members' said
	touch die
	until_true test -e went
	before=$(date +%s%N)
	until_true grep -q 'T:1: taken' said
	[ $((($(date +%s%N) - before) / 1000000)) -lt 5000 ] # else it is found when all is looked at, every ten seconds
}

@test "handlers need descriptors before leashes do" {
	mq-topic create --partitions 1 T
	seq 100 | mq-publish T
	(ulimit -n 256 && exec mq-consume -g g --jobs 80 --order none T -- sh -c 'echo x >> handled; until [ -e go ]; do sleep 0.3; done') &
	began+=($!)
	until_true lines handled 80
	touch go
	wait "${began[0]}"
	is "$(wc -l < handled)" 100
}

ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

@test "who shares, and has its hands full, sleeps while the handler of a killed member lives" {
	mq-topic create --partitions 1 T
	seq 2 | mq-publish T
	mq-consume -f -g g --share T -- sh -c 'sleep 1000 & echo $$ $! >> first; wait' 2> said &
	began+=($!)
	until_true test -s first
	began+=($(cut -d ' ' -f 2 first))
	mq-consume -f -g g --share T -- sh -c 'echo x >> second; until [ -e "go$MQ_OFFSET" ]; do sleep 0.3; done; echo x >> third' 2> said &
	began+=($!)
	until_true test -s second
	kill -9 "${began[0]}"
	touch go1 # it looks for who is gone, and is given the next one while that handler lives
	until_true test -s third
	echo 3 | mq-publish T
	until_true lines second 2
	before=$(ticks "${began[2]}")
	sleep 2 # what is counted is what it does while nothing happens
	[ $(($(ticks "${began[2]}") - before)) -lt 15 ]
	touch go2
}

@test "nobody comes to share a partition while the handler of one who had it alone lives" {
	mq-topic create --partitions 1 T
	seq 3 | mq-publish T
	is "$(mq-consume -g g --share -n 1 T)" 1
	mq-consume -f -g g T -- sh -c 'sleep 1000 & echo $! > first; wait' 2> said &
	began+=($!)
	until_true test -s first
	began+=($(cat first))
	kill -9 "${began[0]}"
	fails 75 mq-consume -g g --share --timeout 300ms T -- sh -c 'echo $MQ_OFFSET >> again'
	[ ! -e again ]
	kill "${began[1]}"
	mq-consume -g g --share T -- sh -c 'echo $MQ_OFFSET >> again'
	is "$(cat again)" $'1\n2'
}

@test "who joins a group removes the files of members that were killed, and nobody else's" {
	mq-topic create --partitions 2 T
	echo x | mq-publish T
	for i in 1 2 3; do
		mq-consume -f -g g T > "out$i" 2> said &
		began+=($!)
	done
	until_true sh -c '[ "$(ls spool/groups/g/members | wc -l)" = 3 ]'
	kill -9 "${began[0]}" "${began[1]}"
	wait "${began[0]}" "${began[1]}" || true # their locks are gone
	mq-consume -f -g g T > out4 2> said &
	began+=($!)
	until_true sh -c '[ "$(ls spool/groups/g/members | wc -l)" = 2 ]'
	until_true owns "${began[2]}" 1
	until_true owns "${began[3]}" 1
	until_true sh -c '[ -z "$(mq-check)" ]' # a list of acknowledgements is allocated right after it was made
}
