# SPDX-License-Identifier: GPL-2.0-or-later
"""Good histories of members that are killed, evicted, frozen and followed by others: the harder, the nearer to a bad one."""
from history_story import Story, good, grown, started


@good
def what_was_in_flight_comes_again_after_a_kill():
    h = started()
    h.run('m', 'a')
    h.commit('m', 1)
    h.run('m', 'b')
    h.say('m', 'commit', group='g', partition='T:0', offset=2, member='m')
    h.begin('m', 'c')
    h.kill('m')
    h.take('n', offset=1)
    h.run('n', 'b c')
    h.commit('n', 3)
    h.final(3)
    return h


@good
def whose_handler_failed_ends_by_itself_and_is_followed_before_that_is_seen():
    h = started()
    h.run('m', 'a')
    h.commit('m', 1)
    h.run('m', 'b', status='fail')
    h.take('n', offset=1)
    h.run('n', 'b c')
    h.commit('n', 3)
    h.leave('m', 75)
    h.final(3)
    return h


@good
def a_partition_is_handed_over_while_a_record_is_in_flight():
    h = started()
    h.run('m', 'a')
    x = h.begin('m', 'b')
    h.say('n', 'take', group='g', member='n', partition='T:0')
    h.end(x, 'b')
    h.commit('m', 2)
    h.say('m', 'give', group='g', member='m', partition='T:0')
    h.say('n', 'took', group='g', member='n', partition='T:0', offset=2)
    y = h.begin('n', 'c')
    h.say('m', 'gave', group='g', member='m', partition='T:0')  # it is told later than it happened
    h.end(y, 'c')
    h.commit('n', 3)
    h.final(3)
    return h


@good
def an_evicted_owner_wakes_ends_what_it_had_and_commits_where_nobody_reads():
    h = started('a b c d')
    h.run('m', 'a')
    h.commit('m', 1, generation=1)
    x = h.begin('m', 'b')
    h.freeze('m')
    h.evict(2, partition='T:0')
    h.take('n', offset=1, generation=2)
    h.run('n', 'b')
    y = h.begin('n', 'c')
    h.thaw('m')
    h.end(x, 'b')
    h.commit('m', 2, generation=1)
    h.run('m', 'c')  # decided on before the freeze, begun after
    h.say('m', 'fenced', group='g', member='m')
    h.leave('m', 75)
    h.end(y, 'c')
    h.commit('n', 3, generation=2)
    h.run('n', 'd')
    h.commit('n', 4, generation=2)
    h.final(4)
    return h


@good
def a_commit_and_an_eviction_overlap_and_the_commit_is_lost():
    h = started('a b')
    h.run('m', 'a')
    h.say('m', 'commit', group='g', partition='T:0', offset=1, member='m', generation=1)
    h.evict(2, partition='T:0')
    h.say('m', 'committed', group='g', partition='T:0')
    h.take('n', offset=0, generation=2)
    h.run('n', 'a b')
    h.commit('n', 2, generation=2)
    h.final(2)
    return h


@good
def a_commit_and_an_eviction_overlap_and_the_commit_counts():
    h = started('a b')
    h.run('m', 'a')
    h.say('driver', 'evict', group='g', partition='T:0')
    h.commit('m', 1, generation=1)
    h.say('driver', 'evicted', group='g', partition='T:0', generation=2)
    h.take('n', offset=1, generation=2)
    h.run('n', 'b')
    return h


@good
def an_evicted_value_is_written_by_the_one_that_counts_too():
    h = started('a b')
    h.run('m', 'a')
    h.evict(2, partition='T:0')
    h.take('n', offset=0, generation=2)
    h.run('n', 'a')
    h.commit('m', 1, generation=1)
    h.commit('n', 1, generation=2)
    h.show({'T:0': 1})
    return h


@good
def another_key_goes_past_the_barrier_and_a_killed_growth_means_nothing():
    h = grown()
    h.pub('x', 'T:1', key='other')
    h.say('driver', 'grow', **{'topic': 'T', 'from': 2, 'to': 4})
    h.run('n', 'x')
    h.run('m', 'a')
    h.run('n', 'b')
    return h


@good
def a_takeover_within_the_resolution_of_the_clock():
    h = started('a b')
    x = h.begin('m', 'a')
    h.end(x, 'a')
    h.say('driver', 'kill', pid=1000, signal=9)
    h.now -= 10 ** 6
    h.take('n', offset=0)
    y = h.begin('n', 'a')
    h.say('driver', 'killed', pid=1000, signal=9)
    h.end(y, 'a')
    h.commit('n', 1)
    for event in [e for events in h.files.values() for e in events]:
        event['t'] = event['t'] // 10 ** 7 * 10 ** 7
    return h


@good
def a_killed_member_of_a_shared_partition_gives_back_what_was_not_acknowledged():
    h = started('a b c', share=True)
    h.take('n')
    h.run('m', 'a')
    h.ack('m', 'a')
    h.run('m', 'b')
    h.begin('m', 'c')
    h.kill('m')
    h.run('n', 'c b')
    h.ack('n', 'c', 'b')
    h.commit('n', 3)
    h.final(3)
    return h


@good
def a_batch_killed_between_its_ends_comes_again():
    h = started()
    x = h.begin('m', 'a', 'b', 'c')
    h.end(x, 'a', 'b')
    h.kill('m')
    h.take('n', offset=0)
    y = h.begin('n', 'a', 'b')
    h.end(y, 'a', 'b')
    h.run('n', 'c')
    return h


@good
def a_publisher_is_killed_and_its_record_may_or_may_not_be_there():
    h = started('a')
    h.publish('b')
    h.publish('c', by='other')
    h.records['b'] = 'T:0', 1, 'k'
    h.ends['T:0'] = 2
    h.run('m', 'a b')
    h.commit('m', 2)
    h.final(2)
    return h


@good
def a_frozen_member_keeps_its_partition_as_long_as_nobody_evicts_it():
    h = started('a b')
    x = h.begin('m', 'a')
    h.freeze('m')
    h.wait(60)
    h.thaw('m')
    h.end(x, 'a')
    h.run('m', 'b')
    h.commit('m', 2)
    h.final(2)
    return h


@good
def a_partition_is_free_for_long_while_nobody_counts():
    h = started('a')
    h.kill('m')
    h.freeze('n')
    h.wait(60)
    h.thaw('n')
    h.take('n', offset=0)
    h.run('n', 'a')
    return h


@good
def a_partition_is_free_for_long_with_nothing_to_do():
    h = started('a')
    h.run('m', 'a')
    h.commit('m', 1)
    h.kill('m')
    h.wait(60)
    h.pub('b')
    h.take('n', offset=1)
    h.run('n', 'b')
    return h


@good
def a_strategy_leaves_a_partition_to_nobody():
    h = started('a', assigned=False)
    h.give('m')
    h.wait(60)
    h.final(0)
    return h


@good
def a_handler_that_outlives_its_consumer_is_shown_and_given_up():
    h = started('a b')
    x = h.begin('m', 'a')
    h.kill('m')
    h.show({'T:0': 0}, [5001])
    h.wait(30)
    h.evict(2, member='m', partition='T:0')
    h.take('n', offset=0, generation=2)
    h.run('n', 'a b')
    h.end(x, 'a')
    return h


@good
def a_lock_is_taken_while_the_handler_of_the_killed_one_still_dies():
    h = started('a')
    x = h.begin('m', 'a')
    h.say('driver', 'kill', pid=1000, signal='KILL')
    h.take('n', offset=0)
    h.end(x, 'a')
    h.say('driver', 'killed', pid=1000, signal='KILL')
    h.run('n', 'a')
    return h


@good
def a_member_ends_by_itself_and_its_record_comes_again():
    h = started('a b')
    h.run('m', 'a')
    h.leave('m', 75)
    h.take('n', offset=0)
    h.run('n', 'a b')
    h.commit('n', 2)
    return h


@good
def a_handler_is_killed_after_it_has_said_that_it_was_done():
    h = started('a b')
    h.run('m', 'a')
    h.act('kill', 'killed', pid=5001, signal='KILL')
    h.run('m', 'a b')
    h.commit('m', 2)
    return h


@good
def a_refused_commit_and_a_refused_eviction_did_nothing():
    h = started('a b')
    h.run('m', 'a')
    h.say('m', 'commit', group='g', partition='T:0', offset=1, member='m')
    h.say('m', 'refused', op='commit')
    h.say('driver', 'evict', group='g', partition='T:0')
    h.say('driver', 'refused', op='evict')
    h.show({'T:0': 0})
    h.run('m', 'b')
    h.commit('m', 2)
    return h


@good
def an_evicted_member_of_a_shared_partition_ends_what_another_has_too():
    h = started('a', share=True)
    x = h.begin('m', 'a')
    h.evict(2, member='m', partition='T:0')
    y = h.begin('n', 'a')
    h.end(x, 'a')
    h.end(y, 'a')
    h.commit('n', 1, generation=2)
    return h


@good
def a_partition_evicted_twice_counts_for_the_last():
    h = started('a b', 'm n o')
    h.run('m', 'a')
    h.evict(2, partition='T:0')
    h.take('n', offset=0, generation=2)
    h.run('n', 'a')
    h.evict(3, partition='T:0')
    h.take('o', offset=0, generation=3)
    h.commit('m', 1, generation=1)
    h.commit('n', 1, generation=2)
    h.run('o', 'a b')
    h.commit('o', 2, generation=3)
    h.final(2)
    return h


@good
def a_member_that_does_not_want_a_topic_leaves_it_free():
    h = Story()
    h.pub('a')
    h.join('m', topics=['U'])
    h.take('m', 'U:0')
    h.commit('m', 0, 'T:0')
    h.wait(60)
    h.final(0)
    return h


@good
def a_stop_by_kill_is_no_end():
    h = started('a b')
    h.kill('m', 'SIGSTOP')
    h.kill('m', 18)
    h.run('m', 'a')
    h.commit('m', 1)
    h.run('m', 'b')
    return h


@good
def a_partition_is_given_back_and_taken_again():
    h = started('a b')
    h.run('m', 'a')
    h.commit('m', 1)
    h.give('m')
    h.take('n', offset=1)
    h.give('n')
    h.take('m', offset=1)
    h.run('m', 'b')
    h.commit('m', 2)
    return h


@good
def an_evicted_owner_wakes_and_does_what_another_has_done_and_committed():
    h = started('a b')
    h.freeze('m')
    h.evict(2, partition='T:0')
    h.take('n', offset=0, generation=2)
    h.run('n', 'a b')
    h.commit('n', 2, generation=2)
    h.thaw('m')
    h.run('m', 'a')
    h.commit('m', 1, generation=1)
    h.leave('m', 75)
    h.final(2)
    return h


@good
def a_member_lets_go_and_says_so_only_after():
    h = started('a b')
    h.run('m', 'a')
    h.commit('m', 1)
    h.say('n', 'took', group='g', member='n', partition='T:0', offset=1)
    h.say('m', 'gave', group='g', member='m', partition='T:0')
    h.run('n', 'b')
    return h


@good
def a_handler_is_shown_by_its_record_and_ends_long_after():
    h = started('a')
    x = h.begin('m', 'a')
    h.kill('m')
    h.show({}, ['T:0:0'])
    h.wait(30)
    h.show({}, ['T:0:0'])
    h.end(x, 'a')
    return h
