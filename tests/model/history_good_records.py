# SPDX-License-Identifier: GPL-2.0-or-later
"""Good histories of records, growth, keys, batches and --share: the harder, the nearer to a bad one."""
from history_story import Story, good, grown, started


@good
def one_member_does_everything_in_order():
    h = started()
    h.run('m', 'a b c')
    h.commit('m', 3)
    h.leave('m')
    h.final(3)
    return h


@good
def a_commit_that_did_not_complete_has_taken_effect():
    h = started()
    h.run('m', 'a')
    h.say('m', 'commit', group='g', partition='T:0', offset=1, member='m')
    h.kill('m')
    h.take('n', offset=1)
    h.run('n', 'b c')
    h.commit('n', 3)
    return h


@good
def growth_waits_at_its_barrier():
    h = grown()
    h.run('m', 'a')
    h.commit('m', 1)
    h.run('n', 'b')
    h.pub('c', 'T:1', key='another')
    h.grow(2, 4, {'0': 2, '1': 4, '2': 0, '3': 0})
    h.pub('d', 'T:3')
    h.run('n', 'c')
    h.take('m', 'T:3')
    h.run('m', 'd')
    return h


@good
def growth_without_a_barrier_mixes_partitions():
    h = grown(barrier=False)
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@good
def a_seek_over_the_record_in_front_opens_the_barrier():
    h = grown()
    h.seek(1)
    h.run('n', 'b')
    return h


@good
def two_topics_share_members_and_names_of_keys():
    h = started('a b')
    h.pub('x y', 'U:0')
    h.take('n', 'U:0', offset=0)
    h.run('n', 'x')
    h.run('m', 'a b')
    h.run('n', 'y')
    h.commit('n', 2, 'U:0')
    h.commit('m', 2)
    h.final(2)
    h.final(2, 'U:0')
    return h


@good
def several_groups_do_the_same_records_each_at_its_own_place():
    h = started('a b')
    h.run('m', 'a b')
    h.commit('m', 2)
    h.of('other').join('o')
    h.take('o', offset=0)
    h.run('o', 'a')
    h.commit('o', 1)
    h.seek(2)
    h.final(2)
    return h


@good
def a_shared_partition_is_acknowledged_out_of_order():
    h = started('a b c', share=True)
    h.take('n')
    x, y = h.begin('m', 'a'), h.begin('n', 'b')
    h.end(y, 'b')
    h.ack('n', 'b')
    z = h.begin('n', 'c')
    h.end(z, 'c')
    h.ack('n', 'c')
    h.end(x, 'a')
    h.ack('m', 'a')
    h.commit('m', 3)
    h.final(3)
    return h


@good
def once_does_a_repeated_id_once_and_passes_its_other_position():
    h = Story(once=True)
    h.pub('a')
    h.publish('a')
    h.published('a')
    h.pub('b')
    h.records['a'] = 'T:0', 0, 'k'
    h.join('m')
    h.take('m')
    h.run('m', 'a')
    h.run('m', 'b')
    h.commit('m', 3)
    h.final(3)
    return h


@good
def a_batch_is_begun_as_a_whole_and_done_as_a_whole():
    h = started()
    x = h.begin('m', 'a', 'b', 'c')
    h.end(x, 'a', 'b', 'c')
    h.commit('m', 3)
    h.final(3)
    return h


@good
def a_batch_that_failed_comes_again_with_what_was_done():
    h = started()
    x = h.begin('m', 'a', 'b', 'c')
    h.end(x, 'a')
    h.end(x, 'b', status='fail')
    y = h.begin('m', 'a', 'b', 'c')
    h.end(y, 'a', 'b', 'c')
    h.commit('m', 3)
    return h


@good
def failed_and_released_records_come_again_before_the_next():
    h = started()
    h.run('m', 'a', status='fail')
    h.run('m', 'a', status='release')
    h.run('m', 'a')
    h.run('m', 'b', status='reject')
    h.run('m', 'c', status='fail')
    h.say('driver', 'dead', group='g', id='c')
    h.commit('m', 3)
    h.final(3)
    return h


@good
def a_seek_back_repeats_and_a_seek_forward_passes_over():
    h = started('a b c d')
    h.run('m', 'a b')
    h.commit('m', 2)
    h.seek(0)
    h.run('m', 'a')
    h.commit('m', 1)
    h.seek(3)
    h.run('m', 'd')
    h.commit('m', 4)
    h.final(4)
    return h


@good
def a_publisher_tries_again_and_its_record_is_there_twice():
    h = started('', 'm')
    h.publish('a')
    h.publish('a')
    h.published('a', 1)
    for o in (0, 1):
        h.records['a'] = 'T:0', o, 'k'
        h.run('m', 'a')
    h.commit('m', 2)
    h.final(2)
    return h


@good
def without_order_everything_may_be_begun_at_once():
    h = started('a b c', order='none')
    x, y = h.begin('m', 'c'), h.begin('m', 'a')
    h.end(x, 'c')
    h.run('m', 'b')
    h.end(y, 'a')
    h.commit('m', 3)
    return h


@good
def keys_go_their_own_ways_in_one_partition():
    h = started('a b', 'm')
    h.pub('x y', key='other')
    x = h.begin('m', 'x')
    h.run('m', 'a')
    h.end(x, 'x')
    h.run('m', 'y b')
    h.commit('m', 4)
    return h


@good
def a_spread_moves_what_was_not_consumed():
    h = started('a b')
    h.run('m', 'a')
    h.commit('m', 1)
    h.act('spread', 'spread_done', group='g', topic='T')
    h.commit('driver', 2)
    h.records['b'] = 'T:1', 0, 'k'
    h.take('n', 'T:1')
    h.run('n', 'b')
    h.commit('n', 1, 'T:1')
    h.final(2)
    return h


@good
def a_seek_long_ago_and_a_kill_bring_back_what_was_not_committed():
    h = started('a b')
    h.seek(0)
    h.run('m', 'a')
    h.commit('m', 1)
    h.run('m', 'b')
    h.kill('m')
    h.take('n', offset=1)
    h.run('n', 'b')
    return h


@good
def a_seek_and_a_commit_overlap():
    h = started('a b')
    h.run('m', 'a b')
    h.commit('m', 1)
    h.say('m', 'commit', group='g', partition='T:0', offset=2, member='m')
    h.seek(0)
    h.show({'T:0': 0})
    h.say('m', 'committed', group='g', partition='T:0')
    h.run('m', 'a')
    h.commit('m', 1)
    return h


@good
def growth_of_another_topic_is_no_barrier_here():
    h = started('a')
    h.act('grow', 'grown', {'barriers': {'0': 1, '1': 0}}, **{'topic': 'U', 'from': 1, 'to': 2})
    h.pub('b', 'T:1')
    h.take('n', 'T:1')
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@good
def a_shared_group_stops_at_no_barrier():
    h = started('a', share=True)
    h.grow(1, 2, {'0': 1, '1': 0})
    h.pub('b', 'T:1')
    h.run('n', 'b')
    h.run('m', 'a')
    return h


@good
def records_without_a_key_go_in_any_order():
    h = Story()
    h.pub('a b', key=None)
    h.join('m')
    h.run('m', 'b a')
    h.commit('m', 2)
    return h


@good
def a_dead_letter_lets_the_next_of_its_key_go():
    h = started('a b')
    h.run('m', 'a', status='fail')
    h.run('m', 'b')
    h.say('driver', 'dead', group='g', id='a')
    h.say('driver', 'dead', group='other', id='never begun')
    h.commit('m', 2)
    return h


@good
def an_acknowledgement_that_did_not_complete_lets_a_record_come_again():
    h = started('a', share=True)
    h.run('m', 'a')
    h.say('m', 'ack', group='g', at='T:0:0', member='m')
    h.kill('m')
    h.run('n', 'a')
    h.ack('n', 'a')
    return h
