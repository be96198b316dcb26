# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test program said: TAP, read strictly enough that no silence passes for success."""
import re

OK, FAILED, SKIPPED = 'ok', 'not ok', 'skip'

_LINE = re.compile(r'\s*(not ok|ok)\b\s*(\d*)\s*(?:-\s*)?(.*?)\s*$')
_DIRECTIVE = re.compile(r'(.*?)\s*#\s*(skip|todo)\S*\s*(.*)$', re.IGNORECASE)
_PLAN = re.compile(r'1\.\.(\d+)\s*(?:#\s*(?:skip\S*)?\s*(.*))?$', re.IGNORECASE)


class Result:
    """One test point: verdict, name, and why (a skip's reason, or what is wrong)."""

    def __init__(self, verdict, name, why=''):
        self.verdict, self.name, self.why = verdict, name, why


def parse(text, status):
    """The results in a program's TAP output.  status is its exit status, negative for a signal."""
    results, planned, plans, bailed = [], 0, 0, None
    for line in text.splitlines():
        plan, point = _PLAN.match(line), _LINE.match(line)
        if plan:
            plans += 1
            planned += int(plan[1])
            if int(plan[1]) == 0:
                results.append(Result(SKIPPED, 'the whole file', plan[2] or 'no reason given'))
                planned += 1
        elif line.startswith('Bail out!'):
            bailed = line
        elif point and not line[:1].isspace():
            results.append(_point(point[1], point[3]))
    return results + _faults(results, planned, plans, bailed, status)


def _point(said, rest):
    directive = _DIRECTIVE.match(rest)
    if directive and directive[2].lower() == 'skip':
        # cmocka says "not ok 3 # SKIP name".
        return Result(SKIPPED, directive[1] or directive[3], directive[3] or 'no reason given')
    if directive and said == 'not ok':
        return Result(SKIPPED, directive[1], 'to do: ' + directive[3])
    return Result(OK if said == 'ok' else FAILED, rest)


def _faults(results, planned, plans, bailed, status):
    """What is wrong with the output as a whole, each as a failed result."""
    faults = []
    if bailed:
        faults.append(Result(FAILED, bailed))
    elif not plans:
        faults.append(Result(FAILED, 'prints a plan (1..N)' if results else 'prints TAP'))
    elif planned != len(results):
        faults.append(Result(FAILED, 'runs %d tests, as planned: ran %d' % (planned, len(results))))
    failed = any(result.verdict == FAILED for result in results + faults)
    if status and not failed:
        what = 'signal %d' % -status if status < 0 else 'status %d' % status
        faults.append(Result(FAILED, 'ends with status 0: ended with ' + what))
    return faults
