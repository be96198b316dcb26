# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad histories in which something happened that might have been a reason, and was none."""
from history_story import Story, bad, started


@bad('doubled')
def a_member_that_left_in_good_order_has_its_record_done_again():
    h = started('a')
    h.run('m', 'a')
    h.give('m')
    h.leave('m')
    h.take('n')
    h.run('n', 'a')
    return h


@bad('doubled')
def a_member_ends_by_itself_after_it_committed():
    h = started('a')
    h.run('m', 'a')
    h.commit('m', 1)
    h.leave('m', 75)
    h.run('n', 'a')
    return h


@bad('doubled')
def an_eviction_from_another_partition():
    h = started('a')
    h.take('m', 'T:1')
    h.run('m', 'a')
    h.evict(2, member='m', partition='T:1')
    h.run('m', 'a')
    return h


@bad('doubled')
def an_eviction_after_the_record_had_been_done_again():
    h = started('a')
    h.run('m', 'a')
    h.give('m')
    h.take('n')
    h.run('n', 'a')
    h.evict(2, member='m')
    return h


@bad('doubled')
def what_was_committed_before_the_eviction_is_done_again():
    h = started('a')
    h.run('m', 'a')
    h.commit('m', 1, generation=1)
    h.evict(2, partition='T:0')
    h.take('n', offset=1)
    h.run('n', 'a')
    return h


@bad('doubled')
def a_seek_before_the_record_was_done_at_all():
    h = started('a')
    h.seek(0)
    h.run('m', 'a a')
    return h


@bad('doubled')
def a_seek_after_the_record_was_done_again():
    h = started('a')
    h.run('m', 'a a')
    h.seek(0)
    return h


@bad('doubled')
def a_handler_killed_when_the_record_had_been_done_again():
    h = started('a')
    h.run('m', 'a a')
    h.act('kill', 'killed', pid=5001, signal=9)
    return h


@bad('doubled')
def a_kill_of_another_where_handlers_do_not_say_their_pid():
    h = started('a')
    h.run('m', 'a', pid=None)
    h.act('kill', 'killed', member='n', signal=9)
    h.run('m', 'a', pid=None)
    return h


@bad('doubled')
def more_is_repeated_after_a_kill_than_any_member_may_have_in_flight():
    h = started('a b', in_flight=1)
    h.run('m', 'a b')
    h.kill('m', 'SIGKILL')
    h.take('n', offset=0)
    h.run('n', 'a b')
    return h


@bad('doubled')
def what_was_committed_after_a_seek_is_done_again_after_a_kill():
    h = started('a')
    h.seek(0)
    h.run('m', 'a')
    h.commit('m', 1)
    h.kill('m')
    h.take('n', offset=1)
    h.run('n', 'a')
    return h


@bad('doubled')
def once_does_a_record_again_after_a_seek():
    h = started('a', once=True)
    h.run('m', 'a')
    h.seek(0)
    h.run('m', 'a')
    return h


@bad('invented')
def a_record_comes_out_of_another_topic():
    h = started('a')
    h.publish('x', 'U:0')
    h.records['x'] = 'T:0', 1, 'k'
    h.run('m', 'a x')
    return h


@bad('doubled')
def one_group_is_no_reason_for_another():
    h = started('a')
    h.run('m', 'a')
    h.kill('m')
    h.of('other').join('o')
    h.run('o', 'a a')
    return h


@bad('doubled')
def what_was_committed_after_a_seek_back_and_before_a_kill():
    h = started('a b')
    h.run('m', 'a b')
    h.commit('m', 2)
    h.seek(0)
    h.run('m', 'a')
    h.commit('m', 1)
    h.kill('m')
    h.take('n', offset=1)
    h.run('n', 'a b')
    return h


@bad('two-owners')
def a_short_handler_hides_a_long_one_of_the_same_member():
    h = Story()
    h.pub('a', key='x')
    h.pub('b', key='y')
    h.pub('c', key='z')
    h.join('m', 'n')
    x = h.begin('m', 'a')
    h.run('m', 'b')
    h.run('n', 'c')
    h.end(x, 'a')
    return h


@bad('orphan')
def a_handler_that_one_show_tells_of_and_the_next_does_not():
    h = started('a')
    x = h.begin('m', 'a')
    h.kill('m')
    h.show({}, [5001])
    h.show()
    h.end(x, 'a')
    return h


@bad('doubled')
def a_release_before_the_record_was_done_is_no_reason_after():
    h = started('a')
    h.run('m', 'a', status='release')
    h.run('m', 'a')
    h.run('m', 'a')
    return h


@bad('not-handed-on')
def a_record_that_its_publisher_stored_twice_waits_in_a_free_partition():
    h = started('', 'm n')
    h.publish('a')
    h.publish('a')
    h.published('a', 1)
    h.records['a'] = 'T:0', 0, 'k'
    h.run('m', 'a')
    h.give('m')
    h.wait(20)
    h.final(1)
    return h


@bad('invented')
def a_record_of_a_publisher_that_tried_twice_comes_from_a_third_position():
    h = started('', 'm')
    for o in (0, 1):
        h.publish('a', by=f'publisher{o}')
        h.published('a', o, by=f'publisher{o}')
    for o in (0, 1, 2):
        h.records['a'] = 'T:0', o, 'k'
        h.run('m', 'a')
    return h
