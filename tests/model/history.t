#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: no-sanitize timeout=600
"""The history checker: in each bad history it finds what that was made for and nothing else, in a good one nothing.

MQ_SEED=N and MQ_HISTORIES=N change the random ones (1, 40); MQ_EVENTS=N the size of the large one (100,000)."""
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import history  # noqa: E402
import history_bad_members  # noqa: E402,F401
import history_bad_places  # noqa: E402,F401
import history_bad_reasons  # noqa: E402,F401
import history_bad_records  # noqa: E402,F401
import history_bad_share  # noqa: E402,F401
import history_good_members  # noqa: E402,F401
import history_good_records  # noqa: E402,F401
import history_good_share  # noqa: E402,F401
import history_random  # noqa: E402
import history_random_share  # noqa: E402
import history_record  # noqa: E402
from history_story import BAD, GOOD, Story, started  # noqa: E402

SEED, HISTORIES, EVENTS = (int(os.environ.get(name, default)) for name, default in
                           (('MQ_SEED', 1), ('MQ_HISTORIES', 40), ('MQ_EVENTS', 100000)))
KINDS = set('''lost skipped doubled reordered barrier two-owners commit-after-fencing place-went-back invented not-handed-on
    orphan'''.split())
count = failed = 0


def result(good, name, why=()):
    global count, failed
    count, failed = count + 1, failed + (not good)
    print(f'{"ok" if good else "not ok"} {count} - {name}')
    for line in () if good else why:
        print('# ' + line)
    sys.stdout.flush()


def bad_histories():
    for name, kinds, files in BAD:
        found = history.check(files)
        proved = all(f.events and all(files[process][n] for process, n in f.events) for f in found)
        result(sorted(f.kind for f in found) == kinds and proved, f'{", ".join(kinds)}: {name}', history.report(files, found))
    result(len(BAD) >= 40 and {k for _, kinds, _ in BAD for k in kinds} == KINDS, 'there are forty bad histories, of every kind')


def coarse(files, ns):
    """What a coarser clock would have seen: less is certain, so no more may be found."""
    return {process: [dict(event, t=event['t'] // ns * ns) for event in events] for process, events in files.items()}


def good_histories():
    for name, files in GOOD:
        found = history.check(files)
        result(not found, f'nothing: {name}', history.report(files, found))
        turned, loud = dict(reversed(list(files.items()))), []
        for ns in (1, *(k * 10 ** 6 for k in (2, 3, 5, 7, 11, 1000))):
            for some in (coarse(files, ns), coarse(turned, ns)):
                loud += history.report(some, history.check(some))
        result(not loud, f'nothing, whatever the clock and the order of the files: {name}', loud)


def no_history(name, *events):
    try:
        result(False, f'refused: {name}', [repr(history.check({'p': list(events)}))])
    except history.Malformed as error:
        result('p:' in str(error), f'refused: {name}', [str(error)])


def what_is_no_history():
    begin = {'e': 'begin', 't': 1, 'group': 'g', 'member': 'm', 'at': 'T:0:0', 'id': 'a'}
    no_history('an event that nobody knows', {'e': 'began', 't': 1})
    no_history('an event without a time', {'e': 'begin'})
    no_history('an event that lacks a field', {'e': 'begin', 't': 1, 'group': 'g', 'member': 'm', 'id': 'a'})
    no_history('a completion without an invocation', {'e': 'committed', 't': 1, 'group': 'g', 'partition': 'T:0'})
    no_history('the end of what was not begun', {'e': 'end', 't': 1, 'group': 'g', 'at': 'T:0:0', 'status': 'done'})
    no_history('a status that nobody knows', begin, {'e': 'end', 't': 2, 'group': 'g', 'at': 'T:0:0', 'status': 'well'})
    no_history('a clock that goes back', dict(begin, t=2), dict(begin, t=1))
    no_history('a position without an offset', dict(begin, at='T'))
    no_history('a member that joins twice', *[{'e': 'joined', 't': 1, 'group': 'g', 'member': 'm'}] * 2)
    no_history('an eviction of nobody', {'e': 'evict', 't': 1, 'group': 'g'}, {'e': 'evicted', 't': 2, 'group': 'g'})


def random_histories(what, run, bugs):
    loud = []
    for seed in range(SEED, SEED + HISTORIES):
        files = run(seed, 6000)
        found = history.check(files, free=60) or history.check(coarse(files, 10 ** 9), free=60)
        if found:
            loud += [f'seed {seed}', *history.report(files, found[:2])]
    result(not loud, f'nothing in {HISTORIES} random histories of a {what} from seed {SEED}', loud)
    for bug, kinds in bugs.items():
        seen = set()
        for seed in range(SEED, SEED + 100):
            seen |= {f.kind for f in history.check(run(seed, 6000, bug))}
            if seen & kinds:
                break
        result(seen & kinds, f'of random histories of a {what} in which {bug} one shows it', [str(seen)])


def a_large_one():
    files = history_random.run(SEED, EVENTS, partitions=16, members=16)
    started_at = time.monotonic()
    found = history.check(files, free=60)
    took, events = time.monotonic() - started_at, sum(map(len, files.values()))
    print(f'# {events} events in {took:.1f} s: {took / events * 10 ** 6:.0f} s a million')
    result(not found, 'nothing in a large history', history.report(files, found[:2]))


def cli(directory):
    run = subprocess.run([sys.executable, HERE + '/history.py', directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def write(directory, files, torn=''):
    for process, events in files.items():
        with open(f'{directory}/{process}', 'w', encoding='utf-8') as out:
            out.write(''.join(json.dumps(event) + '\n' for event in events) + torn)


def files_on_disk():
    with tempfile.TemporaryDirectory() as directory:
        h = started('a')
        h.run('m', 'a a')
        write(directory, h.files, torn='{"e":"comm')
        status, said, _ = cli(directory)
        result(status == 1 and said.startswith('doubled: g T:0:0: ') and said.count('"status": "done"') == 2,
               'a finding is told with the events that prove it, and a torn last line is not read', said.splitlines())
    with tempfile.TemporaryDirectory() as directory:
        write(directory, {'x': [dict(e, proc=p) for p, events in h.files.items() for e in events]})
        result(cli(directory)[0] == 1, 'several processes may write to one file, if they say who they are')
        write(directory, {'x': started('a').files['m']}, torn='?\n')
        status, _, said = cli(directory)
        result(status == 65 and 'x:' in said, 'what is no history ends with 65', [said])


def recorded():
    """What the helpers write is what is read, from Python and from a shell."""
    with tempfile.TemporaryDirectory() as directory:
        log = history_record.Recorder(directory, 'publisher')
        log.say('publish', id='a', topic='T', key='k', sum=history_record.digest(b'payload'))
        log.say('published', id='a', at='T:0:0')
        env = dict(os.environ, MQ_HISTORY=directory, MQ_MEMBER='m', MQ_GROUP='g', MQ_TOPIC='T', MQ_PARTITION='0', MQ_OFFSET='0', MQ_KEY='k',
                   MQ_ID='a', MQ_ATTEMPT='1')
        for status in (0, 75, 3):
            run = subprocess.run([HERE + '/history_record.py', 'run', 'sh', '-c', f'cat >/dev/null; exit {status}'], input=b'payload', env=env, check=False)
            result(run.returncode == status, f'the recording handler ends with the status of its command, {status}')
        subprocess.run([HERE + '/history_record.py', 'say', 'driver', 'kill', 'pid=1', 'signal=KILL'], env=env, check=True)
        files = history.load(directory)
        statuses = sorted(e['status'] for events in files.values() for e in events if e['e'] == 'end')
        result(statuses == ['done', 'fail', 'release'] and not history.check(files), 'what the helpers record is a history', [repr(files)])
        result(files['driver'][0]['pid'] == 1, 'a shell says numbers as numbers', [repr(files)])


def ids_are_told_per_group():
    h = Story()
    h.pub('a b')
    for group in ('x', 'y'):
        h.of(group)
        h.run('m' + group, 'a a b')
    found = history.check(h.files)
    result([(f.kind, f.group) for f in found] == [('doubled', 'x'), ('doubled', 'y')], 'each group is told of by itself', history.report(h.files, found))


bad_histories()
good_histories()
what_is_no_history()
ids_are_told_per_group()
files_on_disk()
recorded()
random_histories('group', lambda seed, n, bug=None: history_random.run(seed, n, bug, partitions=1 + seed % 8, members=2 + seed % 16), history_random.BUGS)
random_histories('work queue', history_random_share.run, history_random_share.BUGS)
a_large_one()
print(f'1..{count}')
sys.exit(1 if failed else 0)
