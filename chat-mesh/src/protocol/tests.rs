use boon::{Compiler, SchemaIndex, Schemas};
use freshet_proto::{
    chat::{Accepted, Code, Note, Notice, Position, Refusal, Role, To, Verb},
    id::ChannelName,
};
use serde_json::Value;

use super::{
    client::{ClientMessage, ParseError, parse},
    *,
};
use crate::home::{
    Output as HomeOutput, Record,
    tests::{Channel, author, login, submit},
};

const DOCUMENT: &str = include_str!("../../../docs/chat-protocol.md");
const SCHEMA: &str = include_str!("../../../docs/chat-protocol.schema.json");

/// `docs/chat-protocol.schema.json`, or a part of it.
struct Schema(Schemas, SchemaIndex);

impl Schema {
    fn of(part: &str) -> Self {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource("http://freshet/chat.json", serde_json::from_str(SCHEMA).unwrap()).unwrap();
        let index = compiler.compile(&format!("http://freshet/chat.json{part}"), &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn allows(&self, object: &str) -> bool {
        let value: Value = serde_json::from_str(object).unwrap();
        self.0.validate(&value, self.1).is_ok()
    }

    #[track_caller]
    fn check(&self, object: &str) {
        let value: Value = serde_json::from_str(object).unwrap();
        if let Err(error) = self.0.validate(&value, self.1) {
            panic!("{object}\n{error:#}");
        }
        assert!(!object.contains('\n'), "{object}");
    }
}

fn ada() -> ChannelName {
    login("ada")
}

fn joined(events: Vec<std::sync::Arc<freshet_proto::chat::Event>>) -> Joined {
    Joined {
        channel: ada(),
        head: Position::new(1, 7),
        role: Role::Plain,
        follows_since_ms: Some(5),
        modes: Default::default(),
        pin: None,
        events,
        gap: None,
    }
}

#[test]
fn every_event_and_notice_that_a_home_makes_is_as_the_schema_has_it() {
    let schema = Schema::of("#/$defs/server");
    let mut channel = Channel::open();
    let mut kinds = std::collections::BTreeSet::new();
    let mut check = |channel: &mut Channel, name: &str, text: &str| {
        channel.submit(0, submit(name, text, text));
        for output in &channel.out {
            let object = match output {
                HomeOutput::Record(Record::Event(event)) => encode::event(&ada(), event),
                HomeOutput::Notice(notice) => encode::notice(&ada(), notice),
                _ => continue,
            };
            schema.check(&object);
            let value: Value = serde_json::from_str(&object).unwrap();
            let detail = ["action", "note"].iter().find_map(|key| value[key].as_str()).unwrap_or_default();
            kinds.insert(format!("{} {detail}", value["type"].as_str().unwrap()).trim().to_owned());
        }
    };
    for (name, text) in [
        ("bob", "<b>\"hi\"</b>\u{2029}"),
        ("bob", "/me waves"),
        ("mod", "/hold meh"),
        ("bob", "meh"),
        ("mod", "/slow 5"),
        ("mod", "/shield"),
        ("mod", "/shieldoff"),
        ("mod", "/announce Hear!"),
        ("ada", "/raid zoe"),
        ("ada", "/vip eve"),
        ("ada", "/unvip eve"),
        ("mod", "/timeout eve 9 why"),
        ("mod", "/ban eve"),
        ("mod", "/unban eve"),
        ("mod", "/warn bob x"),
    ] {
        check(&mut channel, name, text);
    }
    let held = channel.home.state().held().next().unwrap().message.id;
    check(&mut channel, "mod", &format!("/approve {held}"));
    let id = channel.id(0);
    check(&mut channel, "mod", &format!("/pin {id} 60"));
    check(&mut channel, "mod", &format!("/delete {id}"));
    check(&mut channel, "mod", "/clear");
    let expected = [
        "announcement",
        "clear",
        "delete",
        "message",
        "mode",
        "notice decided",
        "notice held",
        "notice silenced",
        "notice warned",
        "pin",
        "raid",
        "user ban",
        "user role",
        "user timeout",
        "user unban",
        "user warn",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    for event in channel.home.state().history().iter() {
        schema.check(&encode::event(&ada(), event));
    }
}

#[test]
fn a_message_is_one_line_of_json() {
    let mut channel = Channel::open();
    channel.submit(0, submit("bob", "n1", "a \"b\" </script>"));
    let event = channel.home.state().history().iter().next().unwrap().clone();
    assert_eq!(
        encode::event(&ada(), &event),
        format!(
            r#"{{"at_ms":1800000000000,"channel":"ada","id":"{}","nonce":"n1","position":"1.1","text":"a \"b\" </script>","type":"message","user":{{"id":"idbob","login":"bob","name":"BOB","roles":["plain"]}}}}"#,
            channel.id(0)
        )
    );
}

#[test]
fn every_answer_is_as_the_schema_has_it() {
    let schema = Schema::of("#/$defs/server");
    let identity = Identity { user: author("bob").user, admin: false };
    let accepted = |position, done| Accepted { position, id: None, done };
    for object in [
        encode::welcome(Some(&identity), true),
        encode::welcome(None, false),
        encode::joined(&joined(Vec::new()), false),
        encode::joined(&Joined { gap: Some(Some(4)), ..joined(Vec::new()) }, true),
        encode::joined(&Joined { gap: Some(None), ..joined(Vec::new()) }, true),
        encode::parted(&ada()),
        encode::ack(&ada(), "n", &accepted(Some(Position::new(1, 2)), None)),
        encode::ack(&ada(), "n", &accepted(None, Some(Verb::Block))),
        encode::nack(Some(&ada()), "n", &Refusal::for_ms(Code::SlowMode, 5)),
        encode::nack(None, "n", &Code::Usage(Verb::Timeout).into()),
        encode::error("invalid", "why", Some(&ada()), Some(1)),
        encode::count(&ada(), 3, 2),
        encode::gap(&ada(), Some(3), Position::new(2, 9)),
        encode::gap(&ada(), None, Position::new(2, 9)),
        encode::bye(10, &["edge-2".to_owned()]),
        encode::pong(),
    ] {
        schema.check(&object);
    }
    assert!(!schema.allows(r#"{"type":"pong","more":1}"#), "the schema would let anything through");
}

#[test]
fn what_the_page_shows_is_as_the_schema_has_it_and_what_clients_send_is_read() {
    let (all, client) = (Schema::of(""), Schema::of("#/$defs/client"));
    let blocks = DOCUMENT.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<_> = blocks.flat_map(str::lines).collect();
    let sent = lines.iter().inspect(|line| all.check(line)).filter(|line| client.allows(line));
    let read: Vec<_> = sent.map(|line| parse(line, false).remove(0).expect(line)).collect();
    assert_eq!((lines.len(), read.len()), (29, 6));
}

#[test]
fn objects_are_read_with_their_limits_and_faults_told() {
    let one = |text: &str| parse(text, false).remove(0);
    let told = |text: &str| one(text).unwrap_err().to_string();
    assert_eq!(
        one(r#"{"type":"join","resume":"ada.3.7"}"#),
        Ok(ClientMessage::Join { channel: ada(), resume: Some(Position::new(3, 7)), history: 100 })
    );
    assert_eq!(told(r#"{"type":"join"}"#), "join needs channel");
    assert_eq!(told(r#"{"type":"join","channel":"eve","resume":"ada.3.7"}"#), "resume is of another channel");
    assert_eq!(told(r#"{"type":"join","resume":"ada.3"}"#), "resume is CHANNEL.EPOCH.SEQ");
    assert_eq!(told(r#"{"type":"msg","channel":"ada","text":"x"}"#), "msg needs channel and nonce");
    assert_eq!(told(r#"{"type":"msg","channel":"ada","nonce":"","text":"x"}"#), "nonce is 1 to 64 bytes");
    assert_eq!(told(r#"{"type":"hello","proto":2}"#), "proto is 1");
    assert_eq!(one(r#"{"type":"dance"}"#), Err(ParseError::UnknownType));
    let long = format!(r#"{{"type":"shout","text":"{}"}}"#, "x".repeat(501));
    assert_eq!(told(&long), "text is longer than 500 characters");
    assert!(told(r#"{"type":"join","channel":"A B"}"#).contains("a channel name is 1 to 32"));
    for fatal in [
        "",
        "{",
        "[",
        "hello",
        r#"["ping"]"#,
        "{\"type\":\"ping\"} x",
        &"[".repeat(5000),
        &" ".repeat(9000),
        &" ".repeat(20_000),
    ] {
        assert!(one(fatal).unwrap_err().is_fatal(), "{fatal:.20}");
    }
}

#[test]
fn lines_are_objects_of_their_own_once_that_was_agreed() {
    let ping = r#"{"type":"ping"}"#;
    let two = format!("{ping}\r\n\n{{\"type\":1}}\n");
    let read = parse(&two, true);
    assert_eq!((read.len(), &read[0], read[1].is_err()), (2, &Ok(ClientMessage::Ping), true));
    assert_eq!(parse(&[ping; 16].join("\n"), true).len(), 16);
    assert_eq!(parse(&[ping; 17].join("\n"), true), [Err(ParseError::TooManyObjects)]);
    assert!(matches!(parse(&[ping; 2].join("\n"), false)[..], [Err(ParseError::NotJson(_))]));
}

/// A socket, as text: what it wants done.
struct Socket(Session);

impl Socket {
    fn input(&mut self, now_ms: u64, input: Input<'_>) -> String {
        let mut out = Vec::new();
        self.0.handle(now_ms, input, &mut out);
        let picture = |output: &Output| match output {
            Output::Send(object) => {
                let value: Value = serde_json::from_str(object).unwrap();
                let code = value["code"].as_str().map(|code| format!(":{code}")).unwrap_or_default();
                format!("{}{code}", value["type"].as_str().unwrap())
            }
            Output::Verify(token) => format!("Verify({token})"),
            Output::Join { channel, history, .. } => format!("Join({channel},{history})"),
            Output::Part(channel) => format!("Part({channel})"),
            Output::Submit { ticket, submit } => format!("Submit({ticket},{})", submit.text),
            Output::Close(why) => format!("Close({why:?})"),
        };
        out.iter().map(picture).collect::<Vec<_>>().join(" ")
    }

    fn says(&mut self, now_ms: u64, frame: &str) -> String {
        self.input(now_ms, Input::Frame(frame))
    }

    /// Of bob, in the channel ada.
    fn seated(role: Role) -> Self {
        let mut socket = Self(Session::new(Some(Identity { user: author("bob").user, admin: false })));
        socket.says(0, r#"{"type":"hello"}"#);
        socket.says(0, r#"{"type":"join","channel":"ada"}"#);
        socket.input(0, Input::Joined(Box::new(Joined { role, ..joined(Vec::new()) })));
        socket
    }
}

fn msg(n: usize) -> String {
    format!(r#"{{"type":"msg","channel":"ada","nonce":"{n}","text":"t{n}"}}"#)
}

#[test]
fn who_shows_a_token_is_answered_when_it_was_looked_at() {
    let mut socket = Socket(Session::new(None));
    assert_eq!(socket.says(0, r#"{"type":"hello","token":"jwt","batch":true}"#), "Verify(jwt)");
    assert_eq!(socket.says(0, "{\"type\":\"join\",\"channel\":\"ada\"}\n{\"type\":\"ping\"}"), "");
    let identity = Identity { user: author("bob").user, admin: false };
    assert_eq!(socket.input(1, Input::Verified(Some(identity))), "welcome Join(ada,100) pong");

    let mut socket = Socket(Session::new(None));
    socket.says(0, r#"{"type":"hello","token":"bad"}"#);
    assert_eq!(socket.input(1, Input::Verified(None)), "error:bad_token Close(Token)");
    assert_eq!(socket.says(2, r#"{"type":"ping"}"#), "");
}

#[test]
fn a_post_goes_to_the_home_and_its_answer_comes_back_by_its_nonce() {
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(socket.says(0, &msg(1)), "Submit(1,t1)");
    let accepted = Accepted { position: None, id: None, done: None };
    assert_eq!(socket.input(1, Input::Answer { ticket: 1, answer: Ok(accepted) }), "ack");
    assert_eq!(socket.input(1, Input::Answer { ticket: 1, answer: Err(Code::Banned.into()) }), "", "answered already");
    socket.says(2, &msg(2));
    assert_eq!(socket.input(3, Input::Answer { ticket: 2, answer: Err(Code::Banned.into()) }), "nack:msg_banned");
}

#[test]
fn guests_read_and_nobody_writes_where_they_are_not() {
    let mut guest = Socket(Session::new(None));
    assert_eq!(guest.says(0, r#"{"type":"join","channel":"ada"}"#), "Join(ada,100)");
    assert_eq!(guest.input(0, Input::Joined(Box::new(joined(Vec::new())))), "ok", "it said no hello");
    assert_eq!(guest.says(0, r#"{"type":"shout","text":"x"}"#), "nack:msg_login_required");
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(socket.says(0, r#"{"type":"shout","text":"x"}"#), "Submit(1,x)");
    assert_eq!(socket.says(0, r#"{"type":"join","channel":"eve"}"#), "Join(eve,100)");
    assert_eq!(socket.says(0, r#"{"type":"shout","text":"x"}"#), "nack:msg_room_not_found", "which of the two?");
    assert_eq!(
        socket.says(0, r#"{"type":"shout","channel":"eve","text":"x"}"#),
        "nack:msg_room_not_found",
        "not there yet"
    );
    assert_eq!(socket.input(0, Input::NotJoined(login("eve"), Code::NoSuchChannel.into())), "error:msg_room_not_found");
    assert_eq!(socket.says(0, r#"{"type":"part","channel":"ada"}"#), "Part(ada) parted");
    assert_eq!(socket.says(0, &msg(1)), "nack:msg_room_not_found");
}

#[test]
fn so_many_posts_in_half_a_minute_and_more_for_moderators() {
    let taken = |role, times: usize| {
        let mut socket = Socket::seated(role);
        (0..times)
            .filter(|n| {
                let answer = Accepted { position: None, id: None, done: None };
                let is_taken = socket.says(*n as u64, &msg(*n)).starts_with("Submit");
                socket.input(0, Input::Answer { ticket: *n as u64 + 1, answer: Ok(answer) });
                is_taken
            })
            .count()
    };
    assert_eq!((taken(Role::Plain, 30), taken(Role::Moderator, 120)), (20, 100));
    let mut socket = Socket::seated(Role::Owner);
    let unanswered = (0..80).filter(|n| socket.says(0, &msg(*n)).starts_with("Submit")).count();
    assert_eq!(unanswered, MAX_UNANSWERED);
}

#[test]
fn what_is_no_json_closes_and_mistakes_do_when_there_are_many() {
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(socket.says(0, r#"{"type":"dance"}"#), "error:unknown_type");
    assert_eq!(socket.says(0, "{"), "error:malformed Close(Malformed)");
    let mut socket = Socket::seated(Role::Plain);
    let answers: Vec<_> = (0..12).map(|_| socket.says(0, r#"{"type":"join"}"#)).collect();
    assert_eq!(
        (answers[9].as_str(), answers[10].as_str(), answers[11].as_str()),
        ("error:invalid", "error:invalid Close(Flood)", "")
    );
    let mut socket = Socket::seated(Role::Plain);
    let last = (0..300).map(|_| socket.says(0, r#"{"type":"ping"}"#)).find(|answer| answer != "pong");
    assert_eq!(last.as_deref(), Some("error:flood Close(Flood)"));
}

#[test]
fn joins_are_limited_in_rate_and_number() {
    let mut socket = Socket::seated(Role::Plain);
    let join = |n: usize| format!(r#"{{"type":"join","channel":"c{n}"}}"#);
    let joined = (0..25).filter(|n| socket.says(0, &join(*n)).starts_with("Join")).count();
    assert_eq!((joined, socket.says(0, &join(0)).as_str()), (19, "error:no_change"));
    let more = (25..50).filter(|n| socket.says(10_000, &join(*n)).starts_with("Join")).count();
    assert_eq!((1 + joined + more, socket.says(20_000, &join(60)).as_str()), (MAX_CHANNELS, "error:list_full"));
}

#[test]
fn notices_reach_those_whom_they_concern() {
    let note = Note::Warned { reason: "x".try_into().unwrap() };
    let heard = |role, to| {
        let notice = Notice { to, note: note.clone() };
        Socket::seated(role).input(0, Input::Notice(ada(), &notice)) == "notice"
    };
    assert!(heard(Role::Plain, To::User(login("bob"))) && !heard(Role::Owner, To::User(login("eve"))));
    assert!(heard(Role::Moderator, To::Moderators) && !heard(Role::Vip, To::Moderators));
    let notice = Notice { to: To::User(login("bob")), note };
    assert_eq!(Socket::seated(Role::Plain).input(0, Input::Notice(login("eve"), &notice)), "");
}

#[test]
fn what_waits_is_told_to_moderators_alone_one_notice_for_each() {
    let mut channel = Channel::open();
    for (name, text) in [("mod", "/hold meh"), ("bob", "meh"), ("eve", "meh!")] {
        channel.submit(0, submit(name, text, text));
    }
    let messages = channel.home.state().held().map(|held| held.message.clone()).collect();
    // What a person was a moment ago does not count.
    let notice = Notice { to: To::User(login("bob")), note: Note::Waiting { messages } };
    let schema = Schema::of("#/$defs/server");
    let told = |role| {
        let mut out = Vec::new();
        Socket::seated(role).0.handle(0, Input::Notice(ada(), &notice), &mut out);
        let texts = out.into_iter().map(|output| match output {
            Output::Send(text) => text,
            output => panic!("{output:?}"),
        });
        texts.inspect(|text| schema.check(text)).collect::<Vec<_>>()
    };
    assert_eq!(told(Role::Vip), Vec::<String>::new());
    let [first, rest @ ..] = &told(Role::Moderator)[..] else { panic!() };
    assert_eq!(first, r#"{"channel":"ada","follow":2,"note":"waiting","type":"notice"}"#);
    let texts = rest.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
    let texts: Vec<_> = texts.map(|held| (held["note"].clone(), held["message"]["text"].clone())).collect();
    assert_eq!(texts, [("held".into(), "meh".into()), ("held".into(), "meh!".into())]);
}

#[test]
fn joining_sends_the_answer_and_then_what_was_before() {
    let mut channel = Channel::open();
    channel.post(0, "eve", "one");
    channel.post(0, "mod", "/clear");
    let events = channel.home.state().history().iter().cloned().collect();
    let mut socket = Socket(Session::new(None));
    socket.says(0, r#"{"type":"join","channel":"ada"}"#);
    assert_eq!(socket.input(0, Input::Joined(Box::new(joined(events)))), "ok message clear");
    socket.says(0, r#"{"type":"part","channel":"ada"}"#);
    assert_eq!(socket.input(0, Input::Joined(Box::new(joined(Vec::new())))), "", "it has left");
}
