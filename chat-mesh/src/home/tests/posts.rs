use super::*;

#[test]
fn posts_are_counted_from_one_and_answered_with_their_position() {
    let mut channel = Channel::open();
    assert_eq!(channel.post(0, "bob", "hi"), "1.1:bob:hi #1=1.1");
    assert_eq!(channel.post(1, "eve", "/me waves"), "1.2:eve:*waves #2=1.2");
    assert_eq!(channel.post(2, "eve", " a\u{202e}b\nc "), "1.3:eve:ab c #3=1.3");
    assert_eq!(channel.post(3, "eve", "\u{200b} "), "#4!msg_bad_characters");
}

#[test]
fn an_answer_waits_for_the_standby_and_for_no_other_hub() {
    let mut channel = Channel::open();
    channel.input(0, Input::Standby(Some(2)));
    assert_eq!(channel.post(0, "bob", "one"), "1.1:bob:one");
    assert_eq!(channel.post(0, "bob", "two"), "1.2:bob:two");
    let has = |hub, seq| Input::StandbyHas { hub, position: Position::new(1, seq) };
    assert_eq!(channel.input(1, has(3, 2)), "");
    assert_eq!(channel.input(1, has(2, 9)), "", "more than there is");
    assert_eq!(channel.input(1, has(2, 1)), "#1=1.1");
    assert_eq!(channel.input(1, Input::StandbyHas { hub: 2, position: Position::new(0, 5) }), "");
    assert_eq!(channel.input(2, Input::Standby(None)), "#2=1.2");
}

#[test]
fn a_new_standby_has_nothing_until_it_says_so() {
    let mut channel = Channel::open();
    channel.input(0, Input::Standby(Some(2)));
    channel.post(0, "bob", "one");
    channel.input(0, Input::Standby(Some(3)));
    let has = |hub| Input::StandbyHas { hub, position: Position::new(1, 1) };
    assert_eq!((channel.input(1, has(2)), channel.input(1, has(3))), (String::new(), "#1=1.1".to_owned()));
}

#[test]
fn a_post_that_comes_again_within_a_minute_is_the_same_post() {
    let mut channel = Channel::open();
    channel.input(0, Input::Standby(Some(2)));
    assert_eq!(channel.submit(0, submit("bob", "x", "hi")), "1.1:bob:hi");
    assert_eq!(channel.submit(1, submit("bob", "x", "hi")), "");
    let has = Input::StandbyHas { hub: 2, position: Position::new(1, 1) };
    assert_eq!(channel.input(2, has), "#1=1.1 #2=1.1");
    assert_eq!(channel.submit(59_999, submit("bob", "x", "something else")), "#3=1.1");
    assert_eq!(channel.submit(59_999, submit("eve", "x", "hi")), "1.2:eve:hi");
    assert_eq!(channel.submit(60_000, submit("bob", "x", "hi")), "1.3:bob:hi");
}

#[test]
fn a_refused_post_may_be_tried_again() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/slow 10");
    channel.submit(0, submit("bob", "a", "one"));
    assert_eq!(channel.submit(4_000, submit("bob", "b", "two")), "#3!msg_slowmode/6000");
    assert_eq!(channel.submit(10_000, submit("bob", "b", "two")), "1.3:bob:two #4=1.3");
}

#[test]
fn slow_mode_is_exact_and_concerns_no_vip() {
    let mut channel = Channel::open();
    channel.post(0, "bob", "before");
    channel.post(1_000, "mod", "/slow 5");
    assert_eq!(channel.post(4_999, "bob", "x"), "#3!msg_slowmode/1");
    assert_eq!(channel.post(5_000, "bob", "x"), "1.3:bob:x #4=1.3");
    for name in ["vip", "mod", "ada", "admin"] {
        channel.post(5_000, name, "x");
        assert!(channel.post(5_000, name, "y").contains(&format!(":{name}:y")), "{name}");
    }
    channel.post(6_000, "mod", "/slowoff");
    assert!(channel.post(6_000, "bob", "y").contains(":bob:y"));
}

#[test]
fn slow_mode_goes_by_the_clock_that_never_jumps() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/slow 10");
    channel.post(0, "bob", "one");
    let post = Input::Submit { ticket: 9, submit: Box::new(submit("bob", "x", "two")) };
    let mut out = Vec::new();
    channel.home.handle(Now { mono_ms: 1_000, wall_ms: BEGIN + 86_400_000 }, post, &mut out);
    assert_eq!(picture(&out[0]), "#9!msg_slowmode/9000");
}

#[test]
fn followers_must_have_followed_for_long_enough() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/followers 10");
    assert_eq!(channel.post(0, "bob", "x"), "#2!msg_followersonly");
    let mut post = submit("bob", "f", "x");
    post.author.follows_since_ms = Some(BEGIN - 599_000);
    assert_eq!(channel.submit(0, post.clone()), "#3!msg_followersonly/1000");
    assert_eq!(channel.submit(1_000, post), "1.2:bob:x #4=1.2");
}

#[test]
fn modes_refuse_with_their_codes() {
    let mut channel = Channel::open();
    channel.post(0, "mod", "/emoteonly");
    assert_eq!(channel.post(0, "bob", "hi"), "#2!msg_emoteonly");
    assert!(channel.post(0, "bob", "😀 :wave:").contains(":bob:😀 :wave:"));
    channel.post(0, "mod", "/emoteonlyoff");
    channel.post(0, "mod", "/uniquechat");
    channel.post(0, "bob", "Hello");
    assert_eq!(channel.post(0, "eve", "hello "), "#7!msg_r9k");
    channel.post(0, "mod", "/uniquechatoff");
    channel.post(0, "mod", "/linksoff");
    assert_eq!(channel.post(0, "bob", "see example.com"), "#10!msg_linksoff");
    assert!(channel.post(0, "vip", "see example.com").contains(":vip:"));
}

#[test]
fn a_channel_takes_so_many_a_second_and_moderators_beyond() {
    let mut channel = Channel::open();
    for n in 0..200 {
        assert!(channel.post(1_000, &format!("u{n}"), "x").contains("=1."), "{n}");
    }
    assert_eq!(channel.post(1_000, "late", "x"), "#201!msg_ratelimit/5");
    assert!(channel.post(1_000, "mod", "calm down").contains(":mod:calm down"));
    assert!(channel.post(1_005, "late", "x").contains(":late:x"));
}

#[test]
fn too_many_unacknowledged_posts_refuse_the_next() {
    let mut channel = Channel::open();
    channel.input(0, Input::Standby(Some(2)));
    for n in 0..Pending::MAX as u64 {
        channel.post(n * 5, "vip2", &n.to_string());
    }
    let ms = Pending::MAX as u64 * 5;
    assert!(channel.post(ms, "bob", "x").ends_with("!msg_ratelimit/1000"));
    assert!(channel.post(ms, "mod", "x").contains(":mod:x"));
}

#[test]
fn a_reply_names_its_parent_and_not_its_words() {
    let mut channel = Channel::open();
    channel.post(0, "bob", "question");
    let parent = channel.id(0);
    let reply = |nonce: &str| Submit { reply_to: Some(parent), pdt_ms: Some(7), ..submit("eve", nonce, "answer") };
    channel.submit(1, reply("a"));
    let event = channel.home.state().history().iter().next_back().cloned().unwrap();
    let What::Message(message) = &event.what else { panic!("{event:?}") };
    let parent_of = message.reply.as_ref().map(|reply| (reply.id, reply.login.as_str()));
    assert_eq!((parent_of, message.pdt_ms), (Some((parent, "bob")), Some(7)));
    channel.post(2, "mod", &format!("/delete {parent}"));
    channel.submit(3, reply("b"));
    let event = channel.home.state().history().iter().next_back().cloned().unwrap();
    assert_eq!(event.what.message().unwrap().reply, None);
}

#[test]
fn a_stopped_home_takes_no_post_and_still_acknowledges() {
    let mut channel = Channel::open();
    channel.input(0, Input::Standby(Some(2)));
    channel.post(0, "bob", "one");
    channel.input(0, Input::Stop);
    assert_eq!(channel.post(0, "bob", "two"), "#2!msg_paused/1000");
    let has = Input::StandbyHas { hub: 2, position: Position::new(1, 1) };
    assert_eq!(channel.input(0, has), "#1=1.1");
}
