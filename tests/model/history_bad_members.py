# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad histories of members: two-owners, not-handed-on, orphan.  Records a, b, c lie at 0, 1, 2 of T:0, of one key."""
from history_story import Story, bad, grown, started


@bad('two-owners')
def two_members_take_a_partition():
    h = started('a')
    h.take('n')
    return h


@bad('two-owners')
def a_partition_is_taken_from_a_frozen_member_that_nobody_evicted():
    h = started('a')
    h.freeze('m')
    h.take('n')
    h.thaw('m')
    return h


@bad('two-owners')
def a_handler_begins_while_one_of_another_member_lives_in_the_partition():
    h = started('a b')
    x = h.begin('m', 'a')
    h.kill('m')
    h.begin('n', 'b')
    h.end(x, 'a')
    return h


@bad('two-owners')
def a_record_is_given_out_while_the_handler_of_its_killed_consumer_lives():
    h = started('a')
    x = h.begin('m', 'a')
    h.kill('m')
    h.take('n', offset=0)
    y = h.begin('n', 'a')
    h.end(x, 'a')
    h.end(y, 'a')
    return h


@bad('two-owners')
def a_shared_record_is_given_to_two():
    h = started('a', share=True)
    x = h.begin('m', 'a')
    y = h.begin('n', 'a')
    h.end(x, 'a', status='fail')
    h.end(y, 'a')
    return h


@bad('two-owners')
def a_member_gives_out_a_record_twice_at_once():
    h = started('a')
    x = h.begin('m', 'a')
    h.begin('m', 'a')
    h.end(x, 'a')
    return h


@bad('two-owners')
def a_handler_begins_in_a_partition_that_another_owns():
    h = started('a')
    h.run('n', 'a')
    h.give('m')
    return h


@bad('two-owners')
def an_evicted_owner_goes_on_and_on():
    h = started()
    h.evict(2, partition='T:0')
    h.take('n', offset=0)
    h.run('m', 'a b')
    h.run('n', 'a b')
    return h


@bad('not-handed-on')
def nobody_takes_what_a_killed_member_had():
    h = started('a')
    h.kill('m')
    h.wait(20)
    h.take('n')
    h.run('n', 'a')
    return h


@bad('not-handed-on')
def nobody_takes_a_new_partition():
    h = grown()
    h.run('m', 'a')
    h.pub('c', 'T:2', key='x')
    h.wait(20)
    h.final(0, 'T:2')
    return h


@bad('not-handed-on')
def what_a_member_let_go_for_another_stays_free():
    h = started('a')
    h.give('m')
    h.wait(20)
    h.take('n')
    h.run('n', 'a')
    return h


@bad('orphan')
def a_partition_is_let_go_while_its_handler_lives():
    h = started('a')
    x = h.begin('m', 'a')
    h.give('m')
    h.end(x, 'a')
    return h


@bad('orphan')
def a_show_does_not_tell_of_a_handler_that_outlived_its_consumer():
    h = started('a')
    x = h.begin('m', 'a')
    h.kill('m')
    h.show()
    h.end(x, 'a')
    return h


@bad('orphan')
def a_handler_outlives_its_consumer_for_long_and_nobody_is_told():
    h = started('a')
    x = h.begin('m', 'a')
    h.kill('m')
    h.wait(8)
    h.end(x, 'a')
    return h


@bad('not-handed-on')
def nobody_takes_what_an_eviction_has_freed_of_a_shown_handler():
    h = started('a')
    h.begin('m', 'a')
    h.kill('m')
    h.show({}, ['T:0:0'])
    h.evict(2, member='m', partition='T:0')
    h.wait(20)
    h.final(0)
    return h


@bad('not-handed-on')
def a_member_that_wants_the_topic_does_not_take_it():
    h = Story()
    h.pub('a')
    h.join('m', topics=['U'])
    h.join('n', topics=['T'])
    h.take('m', 'U:0')
    h.wait(20)
    h.final(0)
    return h


@bad('not-handed-on')
def a_member_thawed_again_does_not_take_what_is_free():
    h = started('a')
    h.freeze('n')
    h.kill('m')
    h.thaw('n')
    h.wait(20)
    h.final(0)
    return h


@bad('two-owners')
def a_shared_record_is_given_to_a_second_while_the_first_of_three_lives():
    h = started('a', 'm n o', share=True)
    x, y = h.begin('m', 'a'), None
    h.kill('m')
    y = h.begin('n', 'a')
    h.end(y, 'a')
    h.end(x, 'a', status='fail')
    return h


@bad('two-owners')
def an_id_is_handled_at_two_positions_at_once():
    h = Story(once=True)
    h.pub('a')
    h.publish('a', 'T:1')
    h.published('a')
    y = h.begin('n', 'a')
    h.records['a'] = 'T:0', 0, 'k'
    h.run('m', 'a', status='release')
    h.records['a'] = 'T:1', 0, 'k'
    h.end(y, 'a')
    return h


@bad('two-owners')
def an_evicted_member_goes_on_with_more_than_it_says_it_may_have_in_hand():
    h = Story(in_flight=9)
    h.pub('a b c')
    h.join('m', in_flight=2)
    h.take('m')
    h.evict(2, member='m')
    h.run('m', 'a b c')
    return h
