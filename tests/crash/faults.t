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
sys.path[:0] = [SRC + '/tests/unit', SRC + '/tests/tool', SRC + '/tests/crash']

import faults_mutants  # noqa: E402
import faults_plan  # noqa: E402
import faults_verbs  # noqa: E402

PLACE = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
ONE_IN = 10 if os.environ.get('MQ_PASS') == 'sanitize' else 1


def attempt(verb, rule, traced=None):
    """(did the fault come about, what is wrong)"""
    with tempfile.TemporaryDirectory(prefix='mq-faults-', dir=PLACE) as place:
        try:
            return verb().run(faults_verbs.Bed(BUILD, place, traced), rule), None
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


def found_out(mutant):
    """Is this bug found with its verb?  [what said so], or [] where all holds."""
    verb, rules = mutant[4], mutant[5]
    with tempfile.TemporaryDirectory(prefix='mq-faults-mutant-') as tree:
        tools = faults_mutants.make(SRC, BUILD, tree, mutant)
        return [said for _, said in (attempt(verb, rule, tools) for rule in rules) if said]


def mutants(number):
    """A test that cannot fail is none: each bug must make a rule fail that holds without it."""
    failed = 0
    for mutant in faults_mutants.MUTANTS:
        number += 1
        try:
            as_it_is = [said for _, said in (attempt(mutant[4], rule) for rule in mutant[5]) if said]
            said = found_out(mutant)
        except faults_mutants.Broken as why:
            as_it_is, said = [str(why)], []
        failed += bool(as_it_is) or not said
        print('# %s\n%s %d - found out: %s' % ((as_it_is or said or ['all holds with this bug'])[0].splitlines()[0],
                                            'not ok' if as_it_is or not said else 'ok', number, mutant[0]), flush=True)
    return failed


def main(words):
    verbs = [(verb, most) for verb, most in faults_verbs.VERBS if not words or words[0] in verb.name]
    with_mutants = not words and ONE_IN == 1
    print('1..%d' % (len(verbs) + with_mutants * len(faults_mutants.MUTANTS)), flush=True)
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
    failed += mutants(len(verbs)) if with_mutants else 0
    return 1 if failed or not verbs else 0


sys.exit(main(sys.argv[1:]))
