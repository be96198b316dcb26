#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# mq-test: timeout=900
#
# Every kind of call that publishing and committing make fails, once and for ever, in each plausible way, in the tools as
# they are used.  After it: what was confirmed is there, a commit that was told is there, nothing is invented, no handler
# comes after its commit, no tool hangs or dies, and tools without a fault go on.  Of each verb's faults a number are
# tried that is the same every time (faults_plan.py); the lines say how many of how many.
#
#	faults.t                 MQ_TEST_FAULTS_ALL=1: all of them
#	faults.t WORD RULE       one: of the verb whose name has this word, e.g. faults.t publish fdatasync:1:EIO:ever
import concurrent.futures
import os
import sys
import tempfile

sys.dont_write_bytecode = True
SRC = os.environ.get('MQ_SRC') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get('MQ_BUILD', '.'))
sys.path[:0] = [SRC + '/tests/unit', SRC + '/tests/crash']

import faults_plan  # noqa: E402
import faults_verbs  # noqa: E402

PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
ONE_IN = 10 if os.environ.get('MQ_PASS') == 'sanitize' else 1


def attempt(verb, rule):
    """(did the fault come about, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-faults-', dir=PLACE) as place:
        try:
            return verb().run(faults_verbs.Bed(BUILD, place), rule), None
        except faults_verbs.Wrong as wrong:
            return True, '%s: %s' % (rule, wrong)


def calls_of(verb):
    """How many calls of each name a run without a fault makes, and which of its `lock` are unlocks; that run must be
    faultless."""
    with tempfile.TemporaryDirectory(prefix='mq-faults-', dir=PLACE) as place:
        bed = faults_verbs.Bed(BUILD, place)
        acting = verb()
        acting.prepare(bed)
        status, said, out = acting.act(bed, '')
        if status:
            raise faults_verbs.Wrong('without a fault: status %d: %s' % (status, said))
        acting.holds(bed, status, out)
        locks = [entry.args['kind'] for entry in bed.entries() if entry.call == 'lock']
        return ({call: int(count) for call, count in bed.reported(r'^\d+ call (\S+) (\d+)$')},
                {nth for nth, kind in enumerate(locks, 1) if kind == 'none'})


def main(words):
    verbs = [(verb, most) for verb, most in faults_verbs.VERBS if not words or words[0] in verb.name]
    print('1..%d' % len(verbs), flush=True)
    failed = total = 0
    # Most of it is waiting.
    with concurrent.futures.ThreadPoolExecutor(3 * len(os.sched_getaffinity(0))) as pool:
        for number, (verb, most) in enumerate(verbs, 1):
            try:
                strata = faults_plan.plan(*calls_of(verb))
            except faults_verbs.Wrong as wrong:
                print('# %s\nnot ok %d - %s' % (wrong, number, verb.name), flush=True)
                failed += 1
                continue
            whole = sum(map(len, strata.values()))
            rules = words[1:] or faults_plan.choose(strata, whole if os.environ.get('MQ_TEST_FAULTS_ALL') else most // ONE_IN)
            outcomes = list(pool.map(lambda rule, verb=verb: attempt(verb, rule), rules))
            fired = sum(came for came, _ in outcomes)
            wrong = [said for _, said in outcomes if said]
            total += fired
            # Most must come about, or the test has stopped testing.
            bad = bool(wrong) or fired < 0.8 * len(rules)
            failed += bad
            print(''.join('# %s\n' % line for said in wrong[:20] for line in said.splitlines()[:4]), end='')
            print('%s %d - %s: %d faults came about, %d tried of %d, %d in which something does not hold'
                  % ('not ok' if bad else 'ok', number, verb.name, fired, len(rules), whole, len(wrong)), flush=True)
    print('# %d faults in all' % total)
    return 1 if failed or not verbs else 0


sys.exit(main(sys.argv[1:]))
