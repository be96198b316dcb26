# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of what can be repeated for ever a test does: all that is promised in `tests/run --long`, a part in every run, so that
it ends in time, and little under the sanitizers.  The variable of that name, where it is set, says it for one run by hand."""
import os


def of(name, all_of_it, usual, sanitized):
    if os.environ.get('MQ_PASS') == 'sanitize':
        return int(os.environ.get(name, sanitized))
    return int(os.environ.get(name, all_of_it if os.environ.get('MQ_LONG') else usual))
