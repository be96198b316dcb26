#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: alone no-sanitize timeout=1800
"""Random histories of real members that are killed, stopped, frozen, evicted, that come and go: the checker finds nothing in them.

MQ_HISTORIES=N plays more than 6, MQ_SEED=N these; run_history.py --seed N plays one.  Then 130 members at once."""
import os
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run_history  # noqa: E402
from history_cgroup import Cgroups  # noqa: E402

HISTORIES = int(os.environ.get('MQ_HISTORIES', '6'))
SEED = int(os.environ.get('MQ_SEED', random.randrange(1 << 30)))
INSTANCES = '/proc/sys/fs/inotify/max_user_instances'


def instances():
    try:
        with open(INSTANCES, encoding='ascii') as file:
            return int(file.read())
    except OSError:
        return 0


def result(n, found, name):
    print(f'{"not ok" if found else "ok"} {n} - {name}')
    for line in found[:100]:
        print('# ' + line)
    sys.stdout.flush()


def main():
    cgroups, bad, totals = Cgroups(), 0, {}
    crowd = [(SEED + HISTORIES, 130, 5)]
    # In the daily run they are short: the seed says what is done, not for how long.
    for n, (seed, members, seconds) in enumerate([(SEED + k, None, 3 if HISTORIES <= 10 else None) for k in range(HISTORIES)] + crowd, 1):
        told, found, counts = run_history.run(seed, members, seconds, None, cgroups)
        beyond = f'; inotify has {instances()} instances' if members else ''
        result(n, found, f'nothing in the history of {told}{beyond}')
        bad += bool(found)
        for what, many in counts.items():
            totals[what] = totals.get(what, 0) + many
    cgroups.close()
    if not cgroups.root:
        print(f'# SKIPPED {totals.get("freeze", 0) + totals.get("kill_all", 0)} acts on whole cgroups: there are none here (version 2, as root); '
              'their members were stopped or killed alone')
    print(f'# in all: {", ".join(f"{many} {what}" for what, many in totals.items())}')
    print(f'1..{HISTORIES + 1}')
    return 1 if bad else 0


sys.exit(main())
