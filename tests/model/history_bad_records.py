# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad histories of what handlers were given: doubled, reordered, barrier, invented.  Records a, b, c lie at 0, 1, 2 of T:0, of one key."""
from history_story import Story, bad, grown, started


@bad('doubled')
def a_record_is_done_twice_by_one_member_for_no_reason():
    h = started('a b')
    h.run('m', 'a a b')
    h.final(2)
    return h


@bad('doubled')
def a_hand_over_repeats_the_last_record():
    h = started('a b')
    h.run('m', 'a')
    h.commit('m', 1)
    h.give('m')
    h.take('n', offset=1)
    h.run('n', 'a b')
    return h


@bad('doubled')
def what_was_committed_before_the_kill_is_done_again():
    h = started('a b')
    h.run('m', 'a')
    h.commit('m', 1)
    h.run('m', 'b')
    h.kill('m')
    h.take('n', offset=1)
    h.run('n', 'a b')
    return h


@bad('doubled')
def more_is_repeated_after_a_kill_than_was_in_flight():
    h = Story()
    h.pub('a b c')
    h.join('m', in_flight=2)
    h.join('n')
    h.take('m')
    h.run('m', 'a b c')
    h.kill('m')
    h.take('n', offset=0)
    h.run('n', 'a b c')
    return h


@bad('doubled')
def a_freeze_alone_repeats_a_record():
    h = started('a')
    h.run('m', 'a')
    h.freeze('m')
    h.thaw('m')
    h.run('m', 'a')
    return h


@bad('doubled')
def another_member_was_killed():
    h = started('a')
    h.run('m', 'a')
    h.kill('n')
    h.run('m', 'a')
    return h


@bad('doubled')
def the_kill_came_after_the_record_had_been_done_again():
    h = started('a')
    h.run('m', 'a')
    h.give('m')
    h.take('n')
    h.run('n', 'a')
    h.kill('m')
    return h


@bad('doubled')
def once_does_an_id_again_at_another_position():
    h = Story(once=True)
    h.pub('a')
    h.publish('a', 'T:1')
    h.published('a')
    h.join('m')
    h.records['a'] = 'T:0', 0, 'k'
    h.run('m', 'a')
    h.records['a'] = 'T:1', 0, 'k'
    h.run('m', 'a')
    return h


@bad('doubled')
def an_acknowledged_record_comes_again_after_a_kill():
    h = started('a b', share=True)
    h.run('m', 'b')
    h.ack('m', 'b')
    h.kill('m')
    h.run('n', 'a b')
    return h


@bad('doubled')
def a_seek_forward_repeats_what_lay_in_front_of_it():
    h = started('a b c')
    h.run('m', 'a')
    h.seek(1)
    h.run('m', 'a b c')
    return h


@bad('doubled')
def a_stop_signal_is_no_kill():
    h = started('a')
    h.run('m', 'a')
    h.kill('m', 'TERM')
    h.take('n', offset=0)
    h.run('n', 'a')
    return h


@bad('reordered')
def two_of_a_key_are_begun_in_the_other_order():
    h = started('a b')
    h.run('m', 'b a')
    h.final(2)
    return h


@bad('reordered')
def two_of_a_key_are_done_in_the_other_order():
    h = started('a b')
    x = h.begin('m', 'a')
    y = h.begin('m', 'b')
    h.end(y, 'b')
    h.end(x, 'a')
    return h


@bad('reordered')
def a_failed_record_is_overtaken_by_the_next_of_its_key():
    h = started('a b')
    h.run('m', 'a', status='fail')
    h.run('m', 'b a')
    return h


@bad('reordered')
def what_is_given_again_after_a_kill_comes_in_the_other_order():
    h = started('a b')
    h.run('m', 'a b')
    h.kill('m')
    h.take('n', offset=0)
    h.run('n', 'b a')
    return h


@bad('reordered')
def the_second_is_done_and_the_first_never_begun():
    h = started('a b')
    h.run('m', 'b')
    h.final(0)
    return h


@bad('reordered')
def two_of_a_partition_of_different_keys_where_the_partition_is_to_be_in_order():
    h = Story(order='partition')
    h.pub('a', key='x')
    h.pub('b', key='y')
    h.join('m')
    h.run('m', 'b a')
    return h


@bad('reordered')
def growth_does_not_excuse_disorder_in_one_partition():
    h = started('a')
    h.grow(1, 2, {'0': 1, '1': 0})
    h.pub('b')
    h.run('m', 'b a')
    return h


@bad('barrier')
def what_lies_behind_the_barrier_is_begun_before_what_lies_in_front():
    h = grown()
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@bad('barrier')
def what_lies_behind_the_barrier_is_begun_while_the_one_in_front_is_in_flight():
    h = grown()
    x = h.begin('m', 'a')
    y = h.begin('n', 'b')
    h.end(x, 'a')
    h.end(y, 'b')
    return h


@bad('barrier')
def a_failure_in_front_of_the_barrier_does_not_open_it():
    h = grown()
    h.run('m', 'a', status='fail')
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@bad('barrier')
def behind_the_second_barrier_the_record_between_them_is_not_waited_for():
    h = grown()
    h.grow(2, 4, {'0': 2, '1': 2, '2': 0, '3': 0})
    h.pub('c', 'T:3')
    h.take('m', 'T:3')
    h.run('m', 'a c')
    h.run('n', 'b')
    return h


@bad('invented')
def a_record_is_handled_that_nobody_published():
    h = started('a')
    h.run('m', 'a')
    h.records['x'] = 'T:0', 1, 'k'
    h.run('m', 'x')
    return h


@bad('invented')
def a_record_has_other_bytes():
    h = started('a')
    h.run('m', 'a', sum='another')
    return h


@bad('invented')
def a_record_has_another_key():
    h = started('a')
    h.run('m', 'a', key='other')
    return h


@bad('invented')
def a_record_is_stored_that_failed():
    h = started('', 'm')
    h.publish('a')
    h.say('publisher', 'failed', id='a')
    h.records['a'] = 'T:0', 0, 'k'
    h.run('m', 'a')
    return h


@bad('invented')
def a_record_is_given_out_before_it_is_published():
    h = started('', 'm')
    h.records['a'] = 'T:0', 0, 'k'
    h.run('m', 'a')
    h.pub('a')
    return h


@bad('invented')
def a_record_comes_from_another_position_than_its_publisher_was_told():
    h = started('a')
    h.records['a'] = 'T:0', 7, 'k'
    h.run('m', 'a')
    return h


@bad('barrier')
def of_three_of_a_key_the_one_in_the_new_partition_is_done_between_the_others():
    h = started('a b')
    h.run('m', 'a')
    h.grow(1, 2, {'0': 2, '1': 0})
    h.pub('c', 'T:1')
    h.take('n', 'T:1')
    h.run('n', 'c')
    h.run('m', 'b')
    return h


@bad('barrier')
def a_growth_by_a_number_that_is_no_multiple_has_a_barrier_in_every_partition():
    h = Story()
    h.pub('a', 'T:0')
    h.pub('x', 'T:1', 'l')
    h.join('m', 'n')
    h.take('m', 'T:0')
    h.take('n', 'T:1')
    h.run('n', 'x')
    h.grow(2, 3, {'0': 1, '1': 1, '2': 0})
    h.pub('b', 'T:1')
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@bad('barrier')
def what_lies_behind_the_barrier_begins_after_a_kill_in_front_of_it():
    h = started('a')
    h.grow(1, 2, {'0': 1, '1': 0})
    h.pub('b', 'T:1')
    h.take('n', 'T:1')
    h.begin('m', 'a')
    h.kill('m')
    h.run('n', 'b')
    h.take('n')
    h.run('n', 'a')
    return h


@bad('barrier')
def a_growth_without_a_barrier_does_not_give_up_the_order_across_the_next():
    h = grown(barrier=False)
    h.run('m', 'a')
    h.grow(2, 4, {'0': 2, '1': 2, '2': 0, '3': 0})
    h.pub('c', 'T:3')
    h.take('m', 'T:3')
    h.run('m', 'c')
    h.run('n', 'b')
    return h
