use super::*;

#[test]
fn a_ban_holds_from_the_instant_it_is_in_order() {
    let mut channel = Channel::open();
    channel.post(0, "bob", "spam");
    assert_eq!(
        channel.post(1, "mod", "/ban bob for spam"),
        "+3 1.2:ban:bob bob:silenced:for spam log:mod:ban:bob #2=1.2"
    );
    assert_eq!(channel.post(1, "bob", "more"), "#3!msg_banned");
    assert_eq!(channel.post(2, "mod", "/unban bob"), "+4 1.3:unban:bob log:mod:unban:bob #4=1.3");
    assert_eq!(channel.post(2, "mod", "/unban bob"), "#5!bad_unban_no_ban");
    assert_eq!(channel.post(3, "bob", "sorry"), "1.4:bob:sorry #6=1.4");
}

#[test]
fn a_timeout_says_how_long_it_still_lasts() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/timeout bob 10");
    assert_eq!(channel.post(4_000, "bob", "x"), "#2!msg_timedout/6000");
    assert_eq!(channel.post(10_000, "bob", "x"), "1.2:bob:x #3=1.2");
}

#[test]
fn moderators_touch_neither_each_other_nor_those_above() {
    let mut channel = Channel::open();
    channel.post(0, "ada", "/mod eve");
    channel.post(0, "admin", "hello");
    for (text, code) in [
        ("/ban ada", "bad_ban_broadcaster"),
        ("/timeout eve", "bad_ban_mod"),
        ("/ban admin", "bad_ban_admin"),
        ("/warn mod why", "bad_ban_self"),
        ("/mod bob", "no_permission"),
        ("/raid eve", "no_permission"),
    ] {
        let answer = channel.post(1, "mod", text);
        assert_eq!(answer, format!("#{}!{code}", channel.asked), "{text}");
    }
    assert_eq!(channel.post(1, "bob", "/ban eve"), format!("#{}!no_permission", channel.asked));
    assert!(channel.post(1, "ada", "/ban eve").contains(":ban:eve"));
    assert!(channel.post(2, "eve", "/clear").ends_with("!msg_banned"));
}

#[test]
fn an_admin_whom_nobody_knew_is_not_silenced_either() {
    let mut channel = Channel::open();
    assert!(channel.post(0, "mod", "/ban admin").contains(":ban:admin"));
    assert!(channel.post(1, "admin", "hello").contains(":admin:hello"));
}

#[test]
fn a_deleted_message_is_gone_and_its_pin_with_it() {
    let mut channel = Channel::open();
    channel.post(0, "bob", "secret");
    let id = channel.id(0);
    assert_eq!(channel.post(1, "mod", &format!("/pin {id}")), "1.2:pin:secret log:mod:pin:bob #2=1.2");
    assert_eq!(channel.post(2, "mod", &format!("/delete {id}")), "1.3:delete:bob log:mod:delete:bob #3=1.3");
    assert_eq!(channel.post(3, "mod", &format!("/delete {id}")), "#4!bad_delete_message_error");
    assert_eq!(channel.post(3, "mod", &format!("/pin {id}")), "#5!bad_delete_message_error");
    let state = channel.home.state();
    assert_eq!(state.pin(BEGIN), None);
    let all: Vec<_> = state.history().iter().cloned().collect();
    assert_eq!(show_all(&all), "1.1:bob:- 1.2:unpin 1.3:delete:bob");
}

#[test]
fn a_pin_ends_by_itself() {
    let mut channel = Channel::open();
    channel.post(0, "bob", "look");
    let pin = format!("/pin {} 60", channel.id(0));
    channel.post(0, "mod", &pin);
    assert_eq!(channel.home.deadline_ms(at(10_000)), Some(60_000));
    assert_eq!(channel.input(59_999, Input::Timeout), "");
    assert_eq!(channel.input(60_000, Input::Timeout), "1.3:unpin");
    assert_eq!(channel.home.deadline_ms(at(60_000)), None);
    assert_eq!(channel.post(60_001, "mod", "/unpin"), "#3!no_change");
}

#[test]
fn a_moderator_is_told_when_nothing_was_stored() {
    let mut channel = Channel::open();
    assert_eq!(channel.submit(0, submit("mod", "a", "/ban bob")), "+3 1.1:ban:bob bob:silenced: log:mod:ban:bob");
    assert_eq!(channel.home.deadline_ms(at(0)), Some(5_000));
    assert_eq!(channel.submit(1, submit("bob", "b", "x")), "#2!msg_banned");
    assert_eq!(channel.submit(1, submit("mod", "a", "/ban bob")), "");
    assert_eq!(channel.input(5_000, Input::Timeout), "#1!not_stored");
    assert_eq!(channel.input(5_000, Input::Stored { version: 3, lacks: Vec::new() }), "#3=1.1");
}

#[test]
fn a_role_that_cannot_be_kept_is_told_at_once_and_what_was_stored_with_it_stands() {
    let mut channel = Channel::open();
    channel.submit(0, submit("ada", "a", "/mod ghost"));
    channel.submit(0, submit("mod", "b", "/ban bob"));
    let ghost = Change::Role(login("ghost"), Some(Role::Moderator));
    let stored = Input::Stored { version: 4, lacks: vec![(3, ghost)] };
    assert_eq!(channel.input(100, stored), "#1!not_stored #2=1.2");
    assert_eq!(channel.home.deadline_ms(at(100)), None, "nobody waits any more");
    assert_eq!(channel.submit(150, submit("ada", "a", "/mod ghost")), "#3!not_stored", "nor the second time");
    // It is in force, whatever is stored of others, until it is taken.
    let stored = |more: &[(&str, Role)]| Input::Roles(more.iter().map(|(name, role)| (login(name), *role)).collect());
    let known = [("mod", Role::Moderator), ("vip", Role::Vip)];
    assert_eq!(channel.input(200, stored(&known)), "");
    assert_eq!(channel.input(200, stored(&known[..1])), "+5 1.3:role:vip/none");
    assert_eq!(channel.post(300, "ghost", "/clear"), "1.4:clear log:ghost:clear #4=1.4");
    channel.post(300, "ada", "/unmod ghost");
    assert_eq!(channel.post(400, "ghost", "/clear"), "#6!no_permission");
}

#[test]
fn the_shield_is_raised_and_lifted_in_order() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/slow 3");
    assert_eq!(channel.post(0, "mod", "/shield"), "+4 1.2:modes:shield log:mod:shield #2=1.2");
    assert_eq!(channel.post(0, "bob", "x"), "#3!msg_followersonly");
    assert_eq!(channel.post(0, "mod", "/shield on"), "#4!no_change");
    assert_eq!(channel.post(0, "mod", "/shieldoff"), "+5 1.3:modes:slow3 log:mod:shieldoff #5=1.3");
}

#[test]
fn blocked_terms_refuse_and_held_ones_wait_for_a_moderator() {
    let mut channel = Channel::open();
    assert_eq!(channel.post(0, "mod", "/block darn*"), "+3 log:mod:block #1=done");
    channel.post(0, "mod", "/hold meh");
    assert_eq!(channel.post(0, "bob", "Ｄarned"), "#3!msg_rejected_mandatory");
    assert_eq!(channel.submit(0, submit("bob", "h", "meh")), "mods:held:meh hold:meh #4!msg_rejected");
    let id = channel.id(0);
    assert_eq!(channel.submit(1, submit("bob", "h", "meh")), "#5!msg_rejected");
    assert_eq!(
        channel.post(2, "mod", &format!("/approve {id}")),
        "release 1.1:bob:meh mods:true log:mod:approve:bob #6=1.1"
    );
    assert_eq!(channel.submit(3, submit("bob", "h", "meh")), "#7=1.1");
    assert_eq!(channel.post(3, "mod", &format!("/deny {id}")), "#8!bad_delete_message_error");
    assert!(channel.post(4, "mod", "darned meh").contains(":mod:darned meh"));
}

#[test]
fn a_denied_message_stays_denied_and_time_denies_too() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/hold meh");
    channel.submit(0, submit("bob", "h", "meh"));
    let deny = format!("/deny {}", channel.id(0));
    assert_eq!(channel.post(1, "mod", &deny), "mods:false bob:false release log:mod:deny:bob #3=done");
    assert_eq!(channel.submit(2, submit("bob", "h", "meh")), "#4!msg_rejected_mandatory");
    channel.submit(10, submit("eve", "h", "meh"));
    assert_eq!(channel.home.deadline_ms(at(10)), Some(300_010));
    assert_eq!(channel.input(300_010, Input::Timeout), "mods:false eve:false release");
}

#[test]
fn who_is_silenced_has_nothing_that_waits() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/hold meh");
    channel.submit(0, submit("bob", "h", "meh"));
    let banned = channel.post(1, "mod", "/ban bob");
    assert!(banned.starts_with("+4 mods:false bob:false release 1.1:ban:bob"), "{banned}");
    assert_eq!(channel.home.state().held().count(), 0);
}

#[test]
fn roles_are_given_and_taken() {
    let mut channel = Channel::open();
    assert_eq!(channel.post(0, "ada", "/mod @Bob"), "+3 1.1:role:bob/moderator log:ada:mod:bob #1=1.1");
    assert_eq!(channel.post(0, "ada", "/mod bob"), "#2!no_change");
    assert_eq!(channel.post(0, "ada", "/unvip bob"), "#3!no_change");
    assert_eq!(channel.post(0, "bob", "/announce Hear!"), "1.2:announce:Hear! log:bob:announce #4=1.2");
    assert_eq!(channel.post(0, "ada", "/unmod bob"), "+4 1.3:role:bob/none log:ada:unmod:bob #5=1.3");
    assert_eq!(channel.post(0, "ada", "/mod ada"), "#6!bad_ban_broadcaster");
    assert_eq!(channel.post(0, "ada", "/raid zoe"), "1.4:raid:zoe log:ada:raid:zoe #7=1.4");
    assert_eq!(channel.post(0, "ada", "/warn bob be nice"), "1.5:warn:bob bob:warned:be nice log:ada:warn:bob #8=1.5");
}
