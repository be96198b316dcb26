# SPDX-License-Identifier: GPL-2.0-or-later
"""Good histories of groups that share, of those whose members print, and of growths (history_story.py)."""
from history_bad_share import printed, shared
from history_story import good, grown, started


@good
def shared_records_are_done_out_of_order_and_what_a_killed_member_had_by_another():
    h = shared()
    x, y = h.begin('m', 'a'), h.begin('n', 'b')
    h.end(y, 'b')
    h.begin('n', 'c')
    h.kill('n')
    h.end(x, 'a')
    h.run('m', 'c')
    h.final(3)
    return h


@good
def a_shared_record_that_failed_is_done_by_another():
    h = shared('a')
    h.run('m', 'a', 'fail')
    h.leave('m', 75)
    h.run('n', 'a')
    h.final(1)
    return h


@good
def an_evicted_sharer_wakes_with_what_another_has_done():
    h = shared('a')
    x = h.begin('m', 'a')
    h.freeze('m')
    h.evict(2, member='m')
    h.run('n', 'a')
    h.thaw('m')
    h.end(x, 'a')
    h.leave('m', 75)
    h.final(1)
    return h


@good
def sharers_care_for_no_barrier():
    h = shared('a', 'm n')
    x = h.begin('m', 'a')
    h.grow(1, 2, {'0': 1, '1': 0})
    h.pub('b', 'T:1')
    h.run('n', 'b')
    h.end(x, 'a')
    return h


@good
def without_a_barrier_order_is_kept_in_each_partition_alone():
    h = grown(barrier=False)
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@good
def what_lies_behind_the_barrier_comes_when_all_before_it_is_done():
    h = grown()
    h.run('m', 'a')
    h.run('n', 'b')
    return h


@good
def a_growth_of_which_nobody_knows_what_came_of_it_says_nothing():
    h = started('a')
    h.say('driver', 'grow', topic='T', **{'from': 1, 'to': 2})
    h.pub('b', 'T:1')
    h.take('n', 'T:1')
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@good
def a_pipe_s_reader_is_at_it_still_when_the_partition_is_another_s():
    h = printed()
    h.begin('m', 'a', process='m.reader')
    h.give('m')
    h.take('n', offset=1)
    h.reads('n')
    h.run_by('n.reader', 'n', 'b')
    h.end('m.reader', 'a')
    return h


@good
def a_pipe_s_reader_had_taken_it_before_the_hand_over_and_is_killed():
    h = printed()
    h.begin('m', 'a', process='m.reader')
    h.give('m')
    h.kill('m')
    h.take('n', offset=1)
    return h


@good
def a_pipe_s_reader_had_taken_it_before_the_hand_over_and_is_killed_before_he_can_say_so():
    h = printed()
    h.give('m')
    h.kill('m')
    h.take('n', offset=1)
    return h


@good
def a_pipe_s_reader_had_not_come_back_for_more_when_its_member_left():
    h = printed()
    h.run_by('m.reader', 'm', 'a')
    h.leave('m', -15)
    h.take('n', offset=0)
    h.reads('n')
    h.run_by('n.reader', 'n', 'a')
    return h


@good
def what_is_in_a_pipe_is_read_when_its_member_is_gone():
    h = printed()
    h.leave('m', -15)
    h.take('n', offset=0)
    h.reads('n')
    h.begin('n', 'a', process='n.reader')
    h.run_by('m.reader', 'm', 'a b')
    h.end('n.reader', 'a')
    h.run_by('n.reader', 'n', 'b')
    return h


@good
def behind_a_barrier_it_is_enough_that_the_reader_of_a_pipe_has_taken_what_is_in_front():
    h = printed(ids='a')
    h.begin('m', 'a', process='m.reader')
    h.grow(1, 2, {'0': 1, '1': 0})
    h.pub('b', 'T:1')
    h.take('n', 'T:1')
    h.reads('n')
    h.run_by('n.reader', 'n', 'b')
    h.end('m.reader', 'a')
    return h


@good
def a_later_barrier_does_not_bring_back_the_order_that_an_earlier_growth_gave_up():
    h = grown(barrier=False)
    h.grow(2, 4, {'0': 2, '1': 2, '2': 0, '3': 0})
    h.pub('c', 'T:3')
    h.take('n', 'T:3')
    h.run('n', 'b c')
    h.run('m', 'a')
    return h
