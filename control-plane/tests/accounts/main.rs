//! Accounts, on both databases.

mod administering;
mod avatars;
mod bench;
mod channels;
mod chats;
mod crowding;
#[path = "../common/databases.rs"]
mod databases;
mod following;
mod migrating;
mod registering;
mod signing_in;
mod telling_the_registry;

databases::on_both_databases! {
    registering:
        a_new_account_has_a_profile_and_a_channel_that_the_registry_hears_of,
        names_and_addresses_are_the_same_in_any_case,
        of_those_who_want_a_name_at_once_one_gets_it,
        of_those_who_want_an_address_at_once_one_gets_it,
        a_registration_that_fails_leaves_nothing_behind,
        whoever_registers_often_from_one_place_has_to_wait,
        a_closed_platform_takes_nobody,
        an_invitation_for_one_lets_one_in_however_many_come_at_once,
        what_an_administrator_says_of_registration_holds_for_all_control_nodes,
        invitations_are_listed_while_they_are_good_and_taken_back,
        a_profile_changes_as_a_whole_or_not_at_all;
    signing_in:
        a_name_and_an_address_sign_in_alike,
        nothing_tells_an_unknown_account_from_a_wrong_password,
        ten_failures_make_an_account_wait_even_with_the_right_password,
        a_refresh_token_works_once_and_its_reuse_ends_the_session,
        of_refreshes_at_once_one_is_answered_and_the_session_ends,
        a_session_that_was_not_refreshed_runs_out,
        a_session_runs_out_in_the_end_however_much_it_is_used,
        logging_out_ends_one_session_or_all,
        an_account_has_so_many_sessions_and_the_oldest_gives_way,
        a_new_password_needs_the_old_one_and_ends_the_other_sessions,
        a_login_link_works_once_and_for_a_day,
        a_disabled_account_is_out_at_once_and_its_keys_with_it,
        no_secret_can_be_read_from_the_database;
    channels:
        a_channel_changes_as_a_whole_or_not_at_all,
        many_channels_are_looked_up_at_once,
        moderators_and_vips_come_and_go_but_the_owner_stays;
    chats:
        what_a_home_stores_the_next_one_opens,
        what_is_stored_twice_is_stored_once_and_an_older_epoch_stores_nothing,
        moderators_and_vips_are_in_one_list_whoever_made_them,
        a_chat_has_so_many_terms_and_a_store_is_done_whole_or_not_at_all,
        what_moderators_did_is_listed_the_latest_first_and_the_oldest_go,
        bans_are_listed_by_name_while_they_last,
        an_account_that_is_deleted_leaves_no_trace_in_chats_but_what_it_decided,
        of_homes_that_store_at_once_each_is_stored_whole;
    telling_the_registry:
        a_key_is_told_once_and_kept_as_the_registry_compares_it,
        of_resets_at_once_the_later_ones_key_works,
        of_those_who_add_the_same_label_at_once_one_does,
        a_channel_has_so_many_keys_however_many_are_added_at_once,
        a_revoked_key_is_gone_and_another_channels_key_is_out_of_reach,
        what_changed_while_it_was_carried_is_carried_again,
        what_was_not_confirmed_is_carried_after_a_restart,
        the_registry_is_told_nothing_that_does_not_concern_it,
        a_registry_from_a_backup_is_told_everything_again;
    following:
        following_twice_is_following_once,
        nobody_follows_themselves_or_nobody,
        long_lists_come_in_pages_without_gaps_or_doubles;
    administering:
        the_first_start_lets_an_administrator_in_without_a_password,
        somebody_else_called_admin_does_not_keep_the_first_administrator_out,
        the_last_administrator_stays,
        two_administrators_who_demote_each_other_at_once_leave_one,
        a_deleted_account_leaves_nothing_personal_and_its_name_to_nobody,
        users_are_found_by_any_part_of_a_name_or_address,
        what_administrators_do_is_written_down,
        the_audit_log_is_found_by_who_what_and_whom,
        an_administrator_ends_all_sessions_of_somebody,
        text_that_no_database_can_hold_is_no_failure_of_ours;
    crowding:
        whatever_many_do_at_once_the_database_never_fails_them;
    avatars:
        a_picture_is_made_square_and_loses_what_was_beside_it,
        a_picture_goes_with_its_user;
    migrating:
        an_old_database_is_brought_up_to_date_with_all_that_is_in_it,
        a_database_of_a_newer_version_is_left_alone,
        many_nodes_that_start_at_once_migrate_once;
}
