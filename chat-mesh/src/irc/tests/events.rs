//! What all are told.

use std::fmt::Write as _;

use freshet_proto::chat::{
    DisplayName, Event, Message, MessageId, Nonce, Origin, Position, Roles, Text, User, UserId, What,
};
use proptest::prelude::*;

use super::*;
use crate::home::{
    Output as HomeOutput, Record,
    tests::{BEGIN, Channel, submit},
};

/// What all are told of what comes of a command.
fn told(channel: &mut Channel, encoder: &mut Encoder, name: &str, text: &str, format: Format) -> String {
    channel.submit(0, submit(name, text, text));
    let mut lines = String::new();
    for output in &channel.out {
        if let HomeOutput::Record(Record::Event(event)) = output {
            write!(lines, "{}", encoder.event(event).lines(format)).unwrap();
        }
    }
    lines.trim_end().replace("\r\n", "\n")
}

#[test]
fn every_event_that_a_home_makes_is_told_as_twitch_tells_it() {
    let mut channel = Channel::open();
    let mut encoder = Encoder::new(ada(), Modes::default());
    let mut all = |name: &str, text: &str| {
        let told = told(&mut channel, &mut encoder, name, text, ALL);
        (told, channel.id(0))
    };
    let at = BEGIN;
    let (told, id) = all("bob", "hi; there");
    let bob = format!(
        "badge-info=;badges=;color=;display-name=BOB;mod=0;subscriber=0;turbo=0;user-type=;emotes=;first-msg=0;flags=;\
         id={id};room-id=ada;tmi-sent-ts={at};user-id=bob;client-nonce=hi\\:\\sthere"
    );
    assert_eq!(told, format!("@{bob} :bob!bob@bob.tmi.twitch.tv PRIVMSG #ada :hi; there"));
    let (told, _) = all("mod", "/me waves");
    assert!(told.starts_with(
        "@badge-info=;badges=moderator/1;color=;display-name=MOD;mod=1;subscriber=0;turbo=0;user-type=mod;"
    ));
    assert!(told.ends_with(" :mod!mod@mod.tmi.twitch.tv PRIVMSG #ada :\u{1}ACTION waves\u{1}"));
    let mut lines = |name: &str, text: &str| all(name, text).0;
    for (name, text, expected) in [
        ("mod", "/timeout eve 9 why", format!("@ban-duration=9;room-id=ada;target-user-id=eve;tmi-sent-ts={at} :tmi.twitch.tv CLEARCHAT #ada :eve")),
        ("mod", "/ban eve", format!("@room-id=ada;target-user-id=eve;tmi-sent-ts={at} :tmi.twitch.tv CLEARCHAT #ada :eve")),
        ("mod", "/unban eve", String::new()),
        ("mod", "/warn eve x", String::new()),
        ("mod", &format!("/delete {id}"), format!("@login=bob;room-id=ada;target-msg-id={id};tmi-sent-ts={at} :tmi.twitch.tv CLEARMSG #ada :")),
        ("mod", "/clear", format!("@room-id=ada;tmi-sent-ts={at} :tmi.twitch.tv CLEARCHAT #ada")),
        ("mod", "/slow 5", "@slow=5;room-id=ada :tmi.twitch.tv ROOMSTATE #ada\n@msg-id=slow_on :tmi.twitch.tv NOTICE #ada :This room is now in slow mode. You may send messages every 5 seconds.".to_owned()),
        ("mod", "/slowoff", "@slow=0;room-id=ada :tmi.twitch.tv ROOMSTATE #ada\n@msg-id=slow_off :tmi.twitch.tv NOTICE #ada :This room is no longer in slow mode.".to_owned()),
        ("mod", "/followers 10", "@followers-only=10;room-id=ada :tmi.twitch.tv ROOMSTATE #ada\n@msg-id=followers_on :tmi.twitch.tv NOTICE #ada :This room is now in 10 minutes followers-only mode.".to_owned()),
        ("mod", "/emoteonly", "@emote-only=1;room-id=ada :tmi.twitch.tv ROOMSTATE #ada\n@msg-id=emote_only_on :tmi.twitch.tv NOTICE #ada :This room is now in emote-only mode.".to_owned()),
        ("mod", "/linksoff", "@msg-id=links_off :tmi.twitch.tv NOTICE #ada :This room is now in no-links mode.".to_owned()),
        ("ada", "/raid zoe", ":tmi.twitch.tv HOSTTARGET #ada :zoe 0\n@msg-id=host_on :tmi.twitch.tv NOTICE #ada :Now sending the viewers on to zoe.".to_owned()),
        ("ada", "/vip eve", String::new()),
    ] {
        assert_eq!(lines(name, text), expected, "{text}");
    }
    let announced = lines("mod", "/announce Hear!");
    assert!(
        announced.ends_with(
            ";login=mod;msg-id=announcement;msg-param-color=PRIMARY;system-msg= :tmi.twitch.tv USERNOTICE #ada :Hear!"
        ),
        "{announced}"
    );
    assert!(lines("mod", "/uniquechat").contains("@r9k=1;room-id=ada "));
}

#[test]
fn a_format_has_what_was_asked_for() {
    let mut channel = Channel::open();
    let mut encoder = Encoder::new(ada(), Modes::default());
    let mut lines = |text: &str, format| told(&mut channel, &mut encoder, "mod", text, format);
    assert_eq!(lines("hi", PLAIN), ":mod!mod@mod.tmi.twitch.tv PRIVMSG #ada :hi");
    assert_eq!(lines("/slow 5", PLAIN), "");
    let commands = Format { commands: true, ..PLAIN };
    assert_eq!(lines("/clear", commands), ":tmi.twitch.tv CLEARCHAT #ada");
    let tags = Format { tags: true, ..PLAIN };
    assert!(lines("ho", tags).starts_with("@badge-info="));
    assert_eq!(lines("/announce x", tags), "");
    for format in Format::ALL {
        let gap = encode::gap(&ada(), Some(7), format);
        assert!(gap.ends_with(":tmi.twitch.tv NOTICE #ada :7 lines are missing here.\r\n"), "{gap}");
    }
    assert_eq!(
        (encode::reconnect(ALL).as_str(), encode::reconnect(tags).as_str()),
        (":tmi.twitch.tv RECONNECT\r\n", "")
    );
    assert_eq!(encode::PING, ":tmi.twitch.tv PING\r\n".replace(":tmi.twitch.tv PING", "PING :tmi.twitch.tv"));
}

#[test]
fn modes_that_changed_unseen_are_told_when_that_is_known() {
    let mut encoder = Encoder::new(ada(), Modes { emote_only: true, ..Modes::default() });
    let told = encoder.modes(&Modes { slow_s: 3, ..Modes::default() }).lines(ALL);
    assert!(told.starts_with("@emote-only=0;slow=3;room-id=ada :tmi.twitch.tv ROOMSTATE #ada\r\n"), "{told}");
    assert_eq!(encoder.modes(&Modes { slow_s: 3, ..Modes::default() }).lines(ALL), "");
}

fn message(login_: &str, name: &str, text: &str, nonce: &str) -> Event {
    let user = User {
        id: UserId::try_from("7").unwrap(),
        login: login(login_),
        name: DisplayName::cut(name),
        color: Some(0x1e90ff),
    };
    let message = Message {
        id: MessageId(42),
        user,
        roles: Roles::of(&[Role::Vip]),
        text: Text::try_from(text).unwrap(),
        action: false,
        reply: None,
        pdt_ms: None,
        deleted: false,
    };
    let origin = Origin { login: login(login_), nonce: Nonce::cut(nonce) };
    Event { position: Position::new(1, 1), at_ms: 5, origin: Some(origin), what: What::Message(message) }
}

#[test]
fn what_somebody_said_is_not_for_the_connection_by_which_they_said_it() {
    let socket = Socket::seated(Role::Plain);
    let mark = socket.0.mark();
    assert!(mark.is_some());
    assert_eq!(encode::author(&message("bob", "B", "x", "irc-000000000000f00d-1-c")), mark);
    for (who, nonce) in [("bob", "irc-000000000000f00e-1"), ("eve", "irc-000000000000f00d-1")] {
        let other = encode::author(&message(who, "B", "x", nonce));
        assert!(other.is_some() && other != mark, "{who} {nonce}");
    }
    assert_eq!(encode::author(&message("bob", "B", "x", "000000000000f00d-1")), None, "it came by JSON");
    let mut announced = message("bob", "B", "x", "irc-000000000000f00d-1");
    if let What::Message(message) = announced.what {
        announced.what = What::Announcement(message);
    }
    assert_eq!(encode::author(&announced), None, "no client shows those by itself");
    let told = Encoder::new(ada(), Modes::default()).event(&message("bob", "B", "x", "irc-000000000000f00d-1-c-d"));
    assert!(told.lines(ALL).contains(";client-nonce=c-d "));
}

proptest! {
    /// Whatever a name, a nonce and a text are, they are one line, and the text is its last parameter.
    #[test]
    fn nothing_that_people_write_makes_another_line(name in ".*", text in "[ :;@\r\n\0a\u{1}]{0,20}|.{0,40}", nonce in ".{0,20}") {
        let told = Encoder::new(ada(), Modes::default()).event(&message("bob", &name, &text, &nonce));
        for format in Format::ALL {
            let lines = told.lines(format);
            let line = lines.strip_suffix("\r\n").unwrap();
            prop_assert!(!line.contains(['\r', '\n', '\0']));
            let read = parse::parse(line).unwrap();
            prop_assert_eq!((read.command.as_ref(), read.prefix.as_deref()), ("PRIVMSG", Some("bob!bob@bob.tmi.twitch.tv")));
            prop_assert_eq!(read.params, ["#ada".to_owned(), text.replace(['\r', '\n', '\0'], "")]);
            prop_assert_eq!(read.tags.iter().filter(|(key, _)| key == "id").count(), usize::from(format.tags));
        }
    }

    /// Nothing that a client sends makes its own answers more lines than they are.
    #[test]
    fn answers_are_whole_lines_that_can_be_read(said in "[ -~\r\n:#@;]{0,60}", command in "(CAP REQ|CAP LS|NICK|PING|JOIN|PRIVMSG|PART|X) ") {
        let mut socket = Session::new(1);
        let mut out = Vec::new();
        socket.handle(0, Input::Frame("NICK justinfan1"), &mut out);
        socket.handle(0, Input::Frame(&format!("{command}{said}")), &mut out);
        for output in out {
            if let Output::Send(lines) = output {
                let lines = lines.strip_suffix("\r\n").unwrap();
                for line in lines.split("\r\n") {
                    prop_assert!(!line.contains(['\r', '\n', '\0']));
                    prop_assert!(parse::parse(line).is_ok(), "{}", line);
                }
            }
        }
    }
}
