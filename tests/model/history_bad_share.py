# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad histories of groups that share, and of those whose members print (history_story.py)."""
from history_story import Story, bad, started


def shared(ids='a b c', members='m n o'):
    h = Story(share=True, order='none')
    h.pub(ids)
    h.join(*members.split())
    return h


@bad('two-owners')
def a_shared_record_is_handled_by_two_at_once_though_both_live():
    h = shared()
    x = h.begin('m', 'a')
    y = h.begin('n', 'a')
    h.end(x, 'a')
    h.end(y, 'a')
    return h


@bad('two-owners')
def a_shared_record_is_given_out_again_while_the_handler_of_the_killed_one_lives():
    h = shared('a')
    x = h.begin('m', 'a')
    h.kill('m')
    y = h.begin('n', 'a')
    h.end(x, 'a')
    h.end(y, 'a')
    return h


@bad('two-owners')
def a_frozen_member_still_has_what_it_shares():
    h = shared('a')
    x = h.begin('m', 'a')
    h.freeze('m')
    h.run('n', 'a')
    h.thaw('m')
    h.end(x, 'a')
    return h


@bad('lost')
def a_shared_record_is_lost_with_the_member_that_had_it():
    h = shared('a b')
    h.begin('m', 'a')
    h.kill('m')
    h.run('n', 'b')
    h.final(2)
    return h


@bad('skipped')
def a_shared_record_is_given_to_nobody_and_counts_as_done():
    h = shared('a b c')
    h.run('m', 'a')
    h.run('n', 'c')
    h.show({'T:0': 3})
    return h


@bad('lost')
def a_shared_record_that_failed_counts_as_done():
    h = shared('a b')
    h.run('m', 'a', 'fail')
    h.leave('m', 75)
    h.run('n', 'b')
    h.final(2)
    return h


@bad('doubled')
def a_shared_record_is_handled_twice_though_its_member_lives_and_acknowledged():
    h = shared('a b')
    h.run('m', 'a')
    h.ack('m', 'a')
    h.run('m', 'b')
    h.run('n', 'a')
    return h


@bad('doubled')
def a_shared_record_is_handled_twice_though_its_member_left_in_good_order():
    h = shared('a')
    h.run('m', 'a')
    h.leave('m')
    h.run('n', 'a')
    return h


@bad('doubled')
def another_of_those_who_share_was_killed():
    h = shared('a b')
    h.run('m', 'a')
    h.begin('o', 'b')
    h.kill('o')
    h.run('n', 'a b')
    return h


@bad('doubled')
def more_shared_records_come_again_than_the_killed_one_had_taken():
    h = Story(share=True, order='none', in_flight=2)
    h.pub('a b c')
    h.join('m', 'n')
    h.run('m', 'a b c')
    h.kill('m')
    h.run('n', 'a b c')
    return h


# --- those whose members print: what is excused is no more than what the page says ---

def printed(kind='pipe', ids='a b'):
    h = started(ids, reader=kind)
    h.reads('m')
    return h


@bad('lost')
def a_pipe_s_reader_is_killed_with_a_record_and_the_place_passed_it_though_the_partition_went_to_nobody():
    h = printed()
    h.begin('m', 'a', process='m.reader')
    h.commit('m', 1)
    h.kill('m')
    h.take('n', offset=1)
    return h


@bad('skipped')
def a_partition_is_given_away_with_a_record_that_no_reader_had_taken():
    h = printed()
    h.run_by('m.reader', 'm', 'a')
    h.give('m')
    h.take('n', offset=2)
    return h


@bad('doubled')
def a_pipe_s_reader_did_it_and_after_the_hand_over_another_does_it_again():
    h = printed()
    h.run_by('m.reader', 'm', 'a')
    h.give('m')
    h.reads('n')
    h.take('n', offset=0)
    h.run_by('n.reader', 'n', 'a')
    return h


@bad('two-owners')
def two_readers_have_the_partition_and_neither_consumer_has_let_go():
    h = printed()
    h.begin('m', 'a', process='m.reader')
    h.reads('n')
    h.begin('n', 'b', process='n.reader')
    h.end('m.reader', 'a')
    return h


@bad('reordered')
def a_reader_is_given_the_later_first():
    h = printed()
    h.run_by('m.reader', 'm', 'b a')
    return h


@bad('two-owners')
def by_hand_a_partition_is_given_away_with_what_is_not_acknowledged():
    h = printed('manual')
    h.begin('m', 'a', process='m.reader')
    h.give('m')
    h.take('n', offset=0)
    h.begin('n', 'b', process='n.reader')
    h.end('m.reader', 'a')
    return h


@bad('lost')
def by_hand_a_worker_is_killed_with_a_record_that_counts_as_done():
    h = printed('manual')
    h.begin('m', 'a', process='m.reader')
    h.give('m')
    h.kill('m')
    h.take('n', offset=1)
    return h
