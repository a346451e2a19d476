//! The REST API, asked as an edge asks it, with accounts in both databases.

mod administering;
mod asking;
mod at_once;
mod bench;
mod channels;
#[path = "../common/databases.rs"]
mod databases;
mod moderating;
mod people;
mod signing_in;

databases::on_both_databases! {
    signing_in:
        whoever_registers_is_signed_in_and_may_publish,
        refreshing_goes_on_and_a_token_used_twice_ends_it_for_both,
        logging_out_refuses_access_tokens_too,
        a_new_password_ends_all_other_sessions_and_their_access_tokens,
        one_session_is_ended_by_whose_it_is_and_its_access_tokens_with_it,
        nothing_tells_an_unknown_account_from_a_wrong_password,
        an_account_is_deleted_with_its_channel_by_whoever_knows_the_password;
    asking:
        what_is_wrong_is_said_as_problem_details_everywhere,
        a_change_that_is_asked_twice_under_one_key_happens_once,
        the_document_describes_every_operation_and_its_problems;
    channels:
        a_key_that_is_reset_stops_its_publisher_and_others_go_on,
        a_session_is_started_and_ended_by_its_owner_alone,
        a_private_channel_is_for_its_owner_and_whom_they_let_in,
        live_channels_are_found_by_what_they_are_and_come_in_pages,
        viewers_are_told_since_when_it_is_live_and_until_when_it_may_come_back,
        what_the_registry_did_not_hear_it_hears_later,
        players_are_sent_to_where_a_channel_is_watched,
        people_follow_channels_and_are_shown_without_what_is_theirs;
    people:
        those_who_keep_order_see_since_when_somebody_follows_and_others_do_not,
        somebody_chooses_the_colour_of_their_name_and_their_tokens_say_it;
    moderating:
        those_who_look_after_a_chat_read_what_was_done_there_and_nobody_else,
        moderators_read_which_terms_are_not_wanted_page_by_page,
        a_home_opens_and_stores_through_the_node_that_answers;
    administering:
        a_channel_that_an_operator_made_is_nobodys_to_take,
        administrators_administer_and_nobody_else,
        who_may_register_is_public_and_an_administrators_to_say,
        somebody_is_signed_out_everywhere_by_an_administrator,
        one_session_of_somebody_is_ended_by_an_administrator,
        nodes_are_told_with_what_the_leader_knows_and_drained_and_removed,
        all_sessions_are_told_to_administrators,
        keys_are_rotated_and_revoked;
    at_once:
        of_those_who_register_a_name_at_once_one_gets_it_and_its_channel,
        of_those_who_take_an_address_at_once_one_gets_it,
        of_those_who_use_a_refresh_token_at_once_one_is_answered_and_all_are_out,
        of_resets_of_a_key_at_once_one_key_publishes_and_it_is_the_one_that_is_kept,
        of_those_who_add_a_label_at_once_one_does,
        of_those_who_use_a_login_link_at_once_one_is_let_in,
        an_account_that_is_deleted_amid_its_own_changes_leaves_no_key_that_publishes;
}
