# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad histories of places: lost, skipped, commit-after-fencing, place-went-back.  Records a, b, c lie at 0, 1, 2 of T:0, of one key."""
from history_story import Story, bad, started


@bad('lost')
def a_record_begun_by_a_killed_member_is_never_done_and_the_place_passes_it():
    h = started()
    h.run('m', 'a')
    h.commit('m', 1)
    h.begin('m', 'b')
    h.kill('m')
    h.take('n', offset=1)
    h.run('n', 'c')
    h.commit('n', 3)
    h.final(3)
    return h


@bad('lost')
def a_failed_record_is_committed_as_done():
    h = started('a b')
    h.run('m', 'a', status='fail')
    h.commit('m', 1)
    h.run('m', 'b')
    h.final(2)
    return h


@bad('lost')
def a_commit_comes_before_the_handler_has_ended():
    h = started('a')
    x = h.begin('m', 'a')
    h.commit('m', 1)
    h.end(x, 'a')
    return h


@bad('lost')
def the_log_ends_in_front_of_a_published_record():
    h = started('a b')
    h.run('m', 'a')
    h.final(1, end=1)
    return h


@bad('lost')
def two_publishers_are_told_the_same_position():
    h = Story()
    h.pub('a')
    h.publish('b', by='other')
    h.published('b', 0, by='other')
    return h


@bad('lost')
def a_released_record_is_acknowledged():
    h = started('a b', share=True)
    h.run('m', 'a', status='release')
    h.ack('m', 'a')
    return h


@bad('lost')
def a_show_sees_the_place_behind_a_record_in_flight():
    h = started('a')
    x = h.begin('m', 'a')
    h.show({'T:0': 1})
    h.end(x, 'a')
    return h


@bad('lost')
def a_batch_is_committed_of_which_one_failed():
    h = started('a b')
    x = h.begin('m', 'a', 'b')
    h.end(x, 'a')
    h.end(x, 'b', status='fail')
    h.commit('m', 2)
    h.final(2)
    return h


@bad('lost')
def a_seek_back_does_not_excuse_what_had_been_passed_before():
    h = started()
    h.run('m', 'a')
    h.run('m', 'b', status='fail')
    h.commit('m', 2)
    h.seek(1)
    h.run('m', 'c')
    h.commit('m', 3)
    h.final(3)
    return h


@bad('skipped')
def the_place_jumps_over_a_record():
    h = started()
    h.run('m', 'a')
    h.commit('m', 1)
    h.run('m', 'c')
    h.commit('m', 3)
    return h


@bad('skipped')
def the_end_is_committed_but_the_last_record_was_given_to_nobody():
    h = started('a b')
    h.run('m', 'a')
    h.final(2)
    return h


@bad('skipped')
def a_new_owner_begins_behind_what_the_old_one_had_not_begun():
    h = started()
    h.run('m', 'a')
    h.commit('m', 1)
    h.give('m')
    h.take('n', offset=2)
    h.run('n', 'c')
    return h


@bad('skipped')
def growth_loses_a_record_of_a_new_partition():
    h = started('a')
    h.run('m', 'a')
    h.commit('m', 1)
    h.grow(1, 2, {'0': 1, '1': 0})
    h.pub('d e', 'T:1', key='other')
    h.take('m', 'T:1')
    h.run('m', 'e')
    h.commit('m', 3, 'T:1')
    return h


@bad('skipped')
def a_place_is_passed_before_its_record_is_given_out():
    h = started('a b')
    h.run('m', 'a')
    h.commit('m', 2)
    h.run('m', 'b')
    h.final(2)
    return h


@bad('skipped')
def of_two_groups_the_second_skips_what_the_first_has_done():
    h = started('a b')
    h.run('m', 'a b')
    h.commit('m', 2)
    h.of('other').join('o')
    h.take('o')
    h.run('o', 'b')
    h.commit('o', 2)
    return h


@bad('skipped')
def an_acknowledgement_names_a_record_that_was_not_given_out():
    h = started('a b', share=True)
    h.ack('m', 'b')
    h.run('m', 'a b')
    return h


@bad('skipped')
def a_seek_forward_does_not_excuse_what_lies_behind_its_target():
    h = started('a b c d')
    h.seek(2)
    h.run('m', 'd')
    h.commit('m', 4)
    return h


@bad('commit-after-fencing', 'doubled')  # of what follows from it
def the_next_owner_reads_what_an_evicted_one_committed_on_waking():
    h = started('a b c d', 'm n o')
    h.run('m', 'a b')
    h.freeze('m')
    h.evict(2, partition='T:0')
    h.take('n', offset=0, generation=2)
    h.run('n', 'a b c')
    h.commit('n', 3, generation=2)
    h.thaw('m')
    h.commit('m', 2, generation=1)
    h.kill('n')
    h.take('o', offset=2, generation=2)
    h.run('o', 'c d')
    return h


@bad('commit-after-fencing')
def a_show_tells_what_an_evicted_owner_committed():
    h = started('a b')
    h.run('m', 'a')
    h.evict(2, member='m')
    h.commit('m', 1)
    h.show({'T:0': 1})
    return h


@bad('commit-after-fencing')
def the_end_is_what_an_evicted_owner_committed():
    h = started('a b')
    h.run('m', 'a')
    h.evict(2, partition='T:0')
    h.take('n', offset=0, generation=2)
    h.run('n', 'a b')
    h.commit('n', 2, generation=2)
    h.commit('m', 1, generation=1)
    h.final(1)
    return h


@bad('place-went-back')
def a_commit_lies_below_the_one_before():
    h = started('a b')
    h.run('m', 'a b')
    h.commit('m', 2)
    h.commit('m', 1)
    return h


@bad('place-went-back')
def a_show_tells_less_than_the_one_before():
    h = started('a b')
    h.run('m', 'a b')
    h.show({'T:0': 2})
    h.show({'T:0': 1})
    return h


@bad('place-went-back')
def an_eviction_forgets_what_was_committed_before():
    h = started('a b')
    h.run('m', 'a b')
    h.commit('m', 1, generation=1)
    h.commit('m', 2, generation=1)
    h.evict(2, partition='T:0')
    h.take('n', offset=1, generation=2)
    return h


@bad('place-went-back')
def a_place_goes_back_that_was_sought_long_ago():
    h = started('a b')
    h.seek(1)
    h.run('m', 'b')
    h.commit('m', 2)
    h.show({'T:0': 1})
    return h


@bad('commit-after-fencing')
def an_evicted_owner_is_known_by_its_name_where_nobody_says_generations():
    h = started('a b')
    h.run('m', 'a')
    h.act('evict', 'evicted', group='g', member='m', partition='T:0')
    h.take('n', offset=0)
    h.commit('m', 1)
    h.show({'T:0': 1})
    return h


@bad('place-went-back')
def a_place_goes_back_before_anybody_sought():
    h = started('a b')
    h.run('m', 'a b')
    h.commit('m', 2)
    h.commit('m', 1)
    h.seek(1)
    return h


@bad('place-went-back')
def an_eviction_from_another_partition_does_not_void_a_commit():
    h = started('a b')
    h.run('m', 'a b')
    h.take('m', 'T:1')
    h.evict(2, member='m', partition='T:1')
    h.commit('m', 2, generation=1)
    h.show({'T:0': 1})
    return h
