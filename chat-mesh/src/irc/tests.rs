use std::fmt::Write as _;

use freshet_proto::{
    chat::{
        Accepted, Code, DisplayName, Event, Message, MessageId, Modes, Nonce, Note, Notice, Origin, Position, Refusal,
        Role, Roles, Text, To, User, UserId, Verb, What,
    },
    id::ChannelName,
};
use proptest::prelude::*;

use super::*;
use crate::{
    home::{
        Output as HomeOutput, Record,
        tests::{BEGIN, Channel, author, login, submit},
    },
    session::{Identity, Input, Joined, MAX_CHANNELS, Output},
};

const ALL: Format = Format { tags: true, commands: true };
const PLAIN: Format = Format { tags: false, commands: false };

fn ada() -> ChannelName {
    login("ada")
}

fn joined(role: Role) -> Input<'static> {
    Input::Joined(Box::new(Joined {
        channel: ada(),
        head: Position::new(1, 7),
        role,
        follows_since_ms: Some(5),
        modes: Modes { slow_s: 5, ..Modes::default() },
        pin: None,
        events: Vec::new(),
        gap: None,
    }))
}

/// A connection, as text: what it wants done, its lines without their ends.
struct Socket(Session);

impl Socket {
    fn new() -> Self {
        Self(Session::new(0xf00d))
    }

    fn input(&mut self, input: Input<'_>) -> String {
        let mut out = Vec::new();
        self.0.handle(0, input, &mut out);
        let picture = |output: &Output| match output {
            Output::Send(lines) => lines.strip_suffix("\r\n").expect("whole lines").replace("\r\n", "\n"),
            Output::Verify(token) => format!("<verify {token}>"),
            Output::Join { channel, resume: None, history: 0 } => format!("<join {channel}>"),
            Output::Join { .. } => panic!("{output:?}"),
            Output::Part(channel) => format!("<part {channel}>"),
            Output::Submit { ticket, submit } => format!("<submit {ticket} {} {}>", submit.nonce, submit.text),
            Output::Close(why) => format!("<close {why:?}>"),
        };
        out.iter().map(picture).collect::<Vec<_>>().join("\n")
    }

    fn says(&mut self, lines: &str) -> String {
        self.input(Input::Frame(lines))
    }

    /// bob's, welcomed, with these capabilities.
    fn of_bob(caps: &str) -> Self {
        let mut socket = Self::new();
        socket.says(&format!("CAP REQ :{caps}\r\nPASS oauth:jwt\r\nNICK bob\r\n"));
        socket.input(Input::Verified(Some(Identity { user: author("bob").user, admin: false })));
        socket
    }

    /// bob's, in the channel ada.
    fn seated(role: Role) -> Self {
        let mut socket = Self::of_bob("twitch.tv/tags twitch.tv/commands");
        socket.says("JOIN #ada");
        socket.input(joined(role));
        socket
    }

    /// What comes of a post that the home answers so.
    fn answered(&mut self, text: &str, answer: Result<Accepted, Refusal>) -> String {
        let submitted = self.says(&format!("PRIVMSG #ada :{text}"));
        let ticket = submitted.split(' ').nth(1).expect("it is submitted").parse().expect("a number");
        self.input(Input::Answer { ticket, answer })
    }
}

fn did(verb: Verb) -> Result<Accepted, Refusal> {
    Ok(Accepted { position: None, id: None, done: Some(verb) })
}

const WELCOME: &str = "\
:tmi.twitch.tv 001 bob :Welcome!
:tmi.twitch.tv 002 bob :Your host is tmi.twitch.tv
:tmi.twitch.tv 003 bob :This server is rather new
:tmi.twitch.tv 004 bob :-
:tmi.twitch.tv 375 bob :-
:tmi.twitch.tv 372 bob :This is Freshet. It speaks as Twitch does.
:tmi.twitch.tv 376 bob :>";

#[test]
fn tmi_js_is_welcomed_when_its_token_was_looked_at() {
    let mut socket = Socket::new();
    assert_eq!(
        socket.says("CAP REQ :twitch.tv/tags twitch.tv/commands twitch.tv/membership"),
        ":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands twitch.tv/membership"
    );
    assert_eq!(socket.says("PASS oauth:6a77742e"), "");
    assert_eq!(socket.says("NICK Bob"), "<verify jwt.>");
    assert_eq!(socket.says("JOIN #ada\r\nPING"), "");
    let identity = Identity { user: author("bob").user, admin: false };
    assert_eq!(
        socket.input(Input::Verified(Some(identity))),
        format!(
            "{WELCOME}\n@badge-info=;badges=;color=;display-name=BOB;mod=0;subscriber=0;turbo=0;user-type=;emote-sets=0;user-id=bob \
             :tmi.twitch.tv GLOBALUSERSTATE\n<join ada>\nPONG"
        )
    );
}

#[test]
fn irc_framework_is_welcomed_at_the_end_of_its_negotiation() {
    let mut socket = Socket::new();
    assert_eq!(
        socket.says("CAP LS 302"),
        ":tmi.twitch.tv CAP * LS :twitch.tv/commands twitch.tv/membership twitch.tv/tags"
    );
    assert_eq!(socket.says("PASS a.b.c\r\nNICK bob\r\nUSER bob 0 * bob"), "");
    assert_eq!(socket.says("CAP REQ :sasl"), ":tmi.twitch.tv CAP * NAK :sasl");
    assert_eq!(socket.says("CAP REQ twitch.tv/tags"), ":tmi.twitch.tv CAP * ACK :twitch.tv/tags");
    assert_eq!(socket.says("CAP LIST"), ":tmi.twitch.tv CAP * LIST :twitch.tv/tags");
    assert_eq!(socket.says("CAP END"), "<verify a.b.c>");
    let identity = Identity { user: author("bob").user, admin: false };
    assert_eq!(socket.input(Input::Verified(Some(identity))), WELCOME, "it did not ask for commands");
    assert_eq!(socket.0.format(), Format { tags: true, commands: false });
    assert_eq!(socket.says("PING 1800000000000"), ":tmi.twitch.tv PONG tmi.twitch.tv :1800000000000");
    assert_eq!(socket.says("PONG :tmi.twitch.tv"), "");
}

#[test]
fn guests_read_and_others_are_told_how_to_come_in() {
    let mut guest = Socket::new();
    assert_eq!(guest.says("PASS SCHMOOPIIE\r\nNICK justinfan42"), WELCOME.replace("bob", "justinfan42"));
    assert_eq!(guest.says("JOIN #Ada"), "<join ada>");
    assert_eq!(
        guest.input(joined(Role::Guest)),
        ":justinfan42!justinfan42@justinfan42.tmi.twitch.tv JOIN #ada\n\
         :justinfan42.tmi.twitch.tv 353 justinfan42 = #ada :justinfan42\n\
         :justinfan42.tmi.twitch.tv 366 justinfan42 #ada :End of /NAMES list"
    );
    assert_eq!(guest.says("PRIVMSG #ada :x"), ":tmi.twitch.tv NOTICE #ada :Log in to write.");
    assert!(guest.0.mark().is_none());

    let mut nobody = Socket::new();
    assert_eq!(
        nobody.says("NICK bob\r\nPING"),
        ":tmi.twitch.tv NOTICE * :Login authentication failed: give a token as PASS, or read without one as NICK \
         justinfan123.\n<close Token>"
    );
    let mut late = Socket::new();
    late.says("PASS oauth:old\r\nNICK bob");
    assert_eq!(
        late.input(Input::Verified(None)),
        ":tmi.twitch.tv NOTICE * :Login authentication failed: the token is not good, or not any more.\n<close Token>"
    );
    assert_eq!(late.says("PING"), "");
}

#[test]
fn joining_shows_oneself_and_the_state_of_the_room() {
    let mut socket = Socket::of_bob("twitch.tv/tags twitch.tv/commands");
    assert_eq!(
        socket.says("JOIN #ada,#,ada,#b/b"),
        format!("<join ada>{}", "\n:tmi.twitch.tv 403 bob :There is no such channel here.".repeat(3))
    );
    assert_eq!(
        socket.input(joined(Role::Moderator)),
        ":bob!bob@bob.tmi.twitch.tv JOIN #ada\n\
         :bob.tmi.twitch.tv 353 bob = #ada :bob\n\
         :bob.tmi.twitch.tv 366 bob #ada :End of /NAMES list\n\
         @badge-info=;badges=moderator/1;color=;display-name=BOB;mod=1;subscriber=0;turbo=0;user-type=mod;emote-sets=0 \
         :tmi.twitch.tv USERSTATE #ada\n\
         @emote-only=0;followers-only=-1;r9k=0;slow=5;subs-only=0;room-id=ada :tmi.twitch.tv ROOMSTATE #ada"
    );
    assert_eq!(socket.says("JOIN #ada"), "", "it is there");
    assert_eq!(
        socket.says("CAP REQ :-twitch.tv/tags"),
        ":tmi.twitch.tv CAP * NAK :-twitch.tv/tags",
        "its log has tags"
    );
    let state = socket.input(Input::Standing(ada(), Role::Vip, None));
    assert_eq!(
        state,
        "@badge-info=;badges=vip/1;color=;display-name=BOB;mod=0;subscriber=0;turbo=0;user-type=;vip=1;emote-sets=0 \
         :tmi.twitch.tv USERSTATE #ada"
    );
    assert_eq!(socket.input(Input::Standing(ada(), Role::Vip, Some(1))), "");
    assert_eq!(socket.says("PART #ada,#eve"), "<part ada>\n:bob!bob@bob.tmi.twitch.tv PART #ada");
    assert_eq!(socket.says("JOIN #eve"), "<join eve>");
    assert_eq!(
        socket.input(Input::NotJoined(login("eve"), Code::NoSuchChannel.into())),
        "@msg-id=msg_room_not_found :tmi.twitch.tv NOTICE #eve :There is no such channel here."
    );
}

#[test]
fn a_post_is_named_after_its_connection_and_answered_with_its_id() {
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(socket.says("PRIVMSG #ada :hi"), "<submit 1 irc-000000000000f00d-1 hi>");
    assert_eq!(
        socket.says("@client-nonce=c-1;reply-parent-msg-id=7 PRIVMSG #ada :\u{1}ACTION waves\u{1}"),
        "<submit 2 irc-000000000000f00d-2-c-1 /me waves>"
    );
    let long = "n".repeat(50);
    assert_eq!(
        socket.says(&format!("@client-nonce={long} PRIVMSG #ada :x")),
        "<submit 3 irc-000000000000f00d-3 x>",
        "it has no room"
    );
    let said = Accepted { position: Some(Position::new(1, 8)), id: Some(MessageId(99)), done: None };
    let state = "@badge-info=;badges=;color=;display-name=BOB;mod=0;subscriber=0;turbo=0;user-type=;emote-sets=0";
    assert_eq!(
        socket.input(Input::Answer { ticket: 2, answer: Ok(said.clone()) }),
        format!("{state};client-nonce=c-1;id=99 :tmi.twitch.tv USERSTATE #ada")
    );
    assert_eq!(
        socket.input(Input::Answer { ticket: 1, answer: Ok(said.clone()) }),
        format!("{state};id=99 :tmi.twitch.tv USERSTATE #ada")
    );
    assert_eq!(socket.input(Input::Answer { ticket: 1, answer: Ok(said) }), "", "answered already");
    assert_eq!(
        socket.input(Input::Answer { ticket: 3, answer: Err(Refusal::for_ms(Code::SlowMode, 9)) }),
        "@msg-id=msg_slowmode :tmi.twitch.tv NOTICE #ada :Slow mode: you are sending too quickly."
    );
    assert_eq!(
        socket.says(&format!("PRIVMSG #ada :{}", "ü".repeat(501))),
        "@msg-id=msg_toolong :tmi.twitch.tv NOTICE #ada :A message has at most 500 characters."
    );
    assert_eq!(
        socket.says("PRIVMSG #eve :x"),
        "@msg-id=msg_room_not_found :tmi.twitch.tv NOTICE #eve :There is no such channel here."
    );
    assert_eq!(socket.says("PRIVMSG eve :x"), ":tmi.twitch.tv 401 bob :Only channels can be written to.");
    assert_eq!(socket.says("PRIVMSG #ada"), ":tmi.twitch.tv 461 bob :PRIVMSG needs a channel and a text.");
}

#[test]
fn what_a_command_came_to_is_told_in_twitchs_names() {
    let mut socket = Socket::seated(Role::Moderator);
    let names: Vec<_> = [
        ("/timeout eve 9 why", did(Verb::Timeout)),
        (".ban eve", did(Verb::Ban)),
        ("/unban eve", did(Verb::Unban)),
        ("/untimeout eve", did(Verb::Untimeout)),
        ("/delete 7", did(Verb::Delete)),
        ("/clear", did(Verb::Clear)),
        ("/slow 5", did(Verb::Slow)),
        ("/mod eve", did(Verb::Mod)),
        ("/pin 7", did(Verb::Pin)),
        ("/timeout ada", Err(Code::TargetOwner.into())),
        ("/ban ada", Err(Code::TargetOwner.into())),
        ("/delete 7", Err(Code::TargetModerator.into())),
        ("/delete", Err(Code::Usage(Verb::Delete).into())),
        ("/slow x", Err(Code::Usage(Verb::Slow).into())),
        ("/emoteonly", Err(Code::NoChange.into())),
        ("/r9kbeta", Err(Code::NoChange.into())),
        ("/slow 5", Err(Code::NoChange.into())),
        ("/followersoff", Err(Code::NoChange.into())),
        ("/shield", Err(Code::NoChange.into())),
        ("/mods", Err(Code::UnknownCommand.into())),
        ("/clear", Err(Code::NoPermission.into())),
    ]
    .into_iter()
    .map(|(text, answer)| {
        let told = socket.answered(text, answer);
        told.split(' ').next().expect("a word").to_owned()
    })
    .collect();
    assert_eq!(
        names,
        [
            "@msg-id=timeout_success",
            "@msg-id=ban_success",
            "@msg-id=unban_success",
            "@msg-id=untimeout_success",
            "@msg-id=delete_message_success",
            "",
            "",
            "@msg-id=mod_success",
            "@msg-id=pin_success",
            "@msg-id=bad_timeout_broadcaster",
            "@msg-id=bad_ban_broadcaster",
            "@msg-id=bad_delete_message_mod",
            "@msg-id=usage_delete",
            "@msg-id=usage_slow_on",
            "@msg-id=already_emote_only_on",
            "@msg-id=already_r9k_on",
            "@slow=5;room-id=ada",
            "@followers-only=-1;room-id=ada",
            "@msg-id=no_change",
            "@msg-id=unrecognized_cmd",
            "@msg-id=no_permission",
        ]
    );
    assert_eq!(
        socket.answered("/timeout @Eve 9 why", did(Verb::Timeout)),
        "@msg-id=timeout_success :tmi.twitch.tv NOTICE #ada :eve has been timed out for 9 seconds."
    );
}

#[test]
fn notices_reach_those_whom_they_concern() {
    let note = Note::Silenced { reason: "spam".try_into().unwrap(), until_ms: None };
    let of = |name: &str| Notice { to: To::User(login(name)), note: note.clone() };
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(
        socket.input(Input::Notice(ada(), &of("bob"))),
        "@msg-id=msg_banned :tmi.twitch.tv NOTICE #ada :You are banned from this channel: spam"
    );
    assert_eq!(socket.input(Input::Notice(ada(), &of("eve"))), "");
}

#[test]
fn what_is_no_irc_closes_and_so_do_floods() {
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(socket.says("WHO #ada"), ":tmi.twitch.tv 421 bob WHO :There is no such command here.");
    assert_eq!(socket.says("\0"), ":tmi.twitch.tv NOTICE * :Not IRC: a line has no NUL.\n<close Malformed>");
    assert_eq!(Socket::seated(Role::Plain).says("QUIT :bye\r\nPING"), "<close Quit>");
    let mut socket = Socket::new();
    assert_eq!(socket.says("JOIN #ada"), ":tmi.twitch.tv 451 * :Say who you are first: PASS and NICK.");
    let mistakes: Vec<_> = (0..12).map(|_| socket.says("X")).collect();
    assert_eq!((mistakes[8].contains("<close"), mistakes[9].contains("<close Flood>")), (false, true));
    let pings = "PING\n".repeat(300);
    let answer = Socket::new().says(&pings);
    assert_eq!((answer.matches("PONG").count(), answer.ends_with("<close Flood>")), (200, true));
    let mut verifying = Socket::new();
    verifying.says("PASS x\nNICK bob");
    assert!(verifying.says(&"PING\n".repeat(33)).ends_with("<close Flood>"));
}

#[test]
fn joins_are_limited_in_rate_and_number() {
    let mut socket = Socket::of_bob("twitch.tv/tags");
    let names: Vec<_> = (0..40).map(|n| format!("#c{n}")).collect();
    let answer = socket.says(&format!("JOIN {}", names.join(",")));
    assert_eq!(answer.matches("<join").count(), 20);
    assert!(
        answer.ends_with("@msg-id=msg_ratelimit :tmi.twitch.tv NOTICE #c20 :Too many messages: try again in a moment.")
    );
    let mut out = Vec::new();
    socket.0.handle(20_000, Input::Frame(&format!("JOIN {}", names[20..].join(","))), &mut out);
    assert_eq!(out.iter().filter(|output| matches!(output, Output::Join { .. })).count(), MAX_CHANNELS - 20);
}

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
