//! What a publisher says, and what the session makes of it and answers: messages written out by hand.

use freshet_media::{
    flv::TagKind,
    rtmp::{
        Limits,
        amf0::{Decoder, Value},
        chunk::{ChunkReader, Message},
        server::{Output, Session},
    },
};
use proptest::prelude::*;

/// A message in one chunk with a full header.
fn message(kind: u8, stream: u8, time: u32, payload: &[u8]) -> Vec<u8> {
    let [_, t2, t1, t0] = time.to_be_bytes();
    let [_, l2, l1, l0] = (payload.len() as u32).to_be_bytes();
    let mut out = vec![3, t2, t1, t0, l2, l1, l0, kind, stream, 0, 0, 0];
    for (index, piece) in payload.chunks(128).enumerate() {
        if index > 0 {
            out.push(0xC3);
        }
        out.extend_from_slice(piece);
    }
    out
}

fn text(value: &str) -> Vec<u8> {
    [&[2][..], &(value.len() as u16).to_be_bytes(), value.as_bytes()].concat()
}

fn number(value: f64) -> Vec<u8> {
    [&[0][..], &value.to_be_bytes()].concat()
}

fn name(value: &str) -> Vec<u8> {
    text(value).split_off(1)
}

fn object(properties: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![3];
    for (key, value) in properties {
        out.extend(name(key));
        out.extend_from_slice(value);
    }
    out.extend_from_slice(&[0, 0, 9]);
    out
}

fn command(stream: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    message(20, stream, 0, &parts.concat())
}

const NULL: [u8; 1] = [5];

fn connect() -> Vec<u8> {
    let properties = object(&[("app", text("live")), ("flashVer", text("x")), ("tcUrl", text("rtmp://h/live"))]);
    command(0, &[text("connect"), number(1.0), properties])
}

fn create_stream() -> Vec<u8> {
    command(0, &[text("createStream"), number(4.0), NULL.into()])
}

fn publish(key: &str) -> Vec<u8> {
    command(1, &[text("publish"), number(5.0), NULL.into(), text(key), text("live")])
}

/// A session past its handshake, and a reader for what it sends.
struct Peer {
    session: Session,
    reader: ChunkReader,
}

impl Peer {
    fn new() -> Self {
        let mut session = Session::new(Limits::default());
        let mut out = Vec::new();
        // A handshake of the kind without digests: version, time, zero, then anything (§5.2).
        session.handle(&[&[3][..], &[0; 1536], &[7; 1536]].concat(), &mut out).unwrap();
        let [Output::Send(answer)] = &out[..] else { panic!("{out:?}") };
        assert_eq!((answer.len(), answer[0], &answer[1537..]), (1 + 2 * 1536, 3, &[0; 1536][..]));
        Self { session, reader: ChunkReader::new(Limits::default()) }
    }

    fn publishing() -> Self {
        let mut peer = Self::new();
        peer.hears(&[connect(), create_stream(), publish("key")].concat());
        peer.does(|session, out| session.accept_publish(out).unwrap());
        peer
    }

    fn hears(&mut self, input: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        let error = self.session.handle(input, &mut out).err();
        self.told(out).into_iter().chain(error.map(|error| format!("ends: {error}"))).collect()
    }

    fn does(&mut self, action: impl FnOnce(&mut Session, &mut Vec<Output>)) -> Vec<String> {
        let mut out = Vec::new();
        action(&mut self.session, &mut out);
        self.told(out)
    }

    fn told(&mut self, out: Vec<Output>) -> Vec<String> {
        let mut told = Vec::new();
        for output in out {
            match output {
                Output::Send(bytes) => {
                    let mut sent = Vec::new();
                    self.reader.push(&bytes, &mut sent).unwrap();
                    told.extend(sent.iter().map(said));
                }
                Output::Media { kind, timestamp_ms, payload } => {
                    told.push(format!("{kind:?} {timestamp_ms} {}", payload.escape_ascii()));
                }
                other => told.push(format!("{other:?}")),
            }
        }
        told
    }
}

fn said(message: &Message) -> String {
    if message.kind == 20 {
        let values = Decoder::new(&message.payload, &Limits::default()).values().unwrap();
        return format!("{}: {}", message.stream, values.iter().map(value).collect::<Vec<_>>().join(" "));
    }
    format!("{}: {} {:?}", message.stream, message.kind, message.payload)
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => "null".into(),
        Value::Object(_) => ["level", "code", "description"]
            .iter()
            .filter_map(|key| value.get(key)?.as_str())
            .collect::<Vec<_>>()
            .join(" / "),
        other => format!("{other:?}"),
    }
}

const CONNECTED: &str = "0: _result 1  status / NetConnection.Connect.Success / connected";
const WINDOW: &str = r#"0: 5 b"\0&%\xa0""#;
const BANDWIDTH: &str = r#"0: 6 b"\0&%\xa0\x02""#;

#[test]
fn commands_that_come_in_one_read_are_all_answered() {
    let mut peer = Peer::new();
    let release = command(0, &[text("releaseStream"), number(2.0), NULL.into(), text("key")]);
    let announce = command(0, &[text("FCPublish"), number(3.0), NULL.into(), text("key")]);
    let told = peer.hears(&[connect(), release, announce, create_stream(), publish("key?token=a&b=c")].concat());
    assert_eq!(
        told,
        [
            r#"Connect(Connect { app: "live", tc_url: "rtmp://h/live", encoder: "x", four_ccs: [], caps_ex: 0 })"#,
            WINDOW,
            BANDWIDTH,
            CONNECTED,
            "0: _result 2 null null",
            "0: _result 3 null null",
            "0: _result 4 null 1",
            r#"Publish(Publish { app: "live", key: "key", query: Some("token=a&b=c") })"#,
        ]
    );
    let accepted = peer.does(|session, out| session.accept_publish(out).unwrap());
    assert_eq!(
        accepted,
        [r#"0: 4 b"\0\0\0\0\0\x01""#, "1: onStatus 0 null status / NetStream.Publish.Start / publishing"]
    );
}

#[test]
fn a_refusal_is_an_error_status_with_words_and_the_last_thing_said() {
    let mut peer = Peer::new();
    peer.hears(&[connect(), create_stream(), publish("wrong")].concat());
    let refused = peer.does(|session, out| session.refuse_publish("unknown stream key", out).unwrap());
    assert_eq!(refused, ["1: onStatus 0 null error / NetStream.Publish.BadName / unknown stream key"]);
    assert_eq!(peer.hears(&[message(9, 1, 0, b"\x17\x01"), publish("other"), vec![0xFF; 99]].concat()), [""; 0]);
}

#[test]
fn a_running_publisher_is_ended_with_a_code_and_words() {
    let mut peer = Peer::publishing();
    let ended = peer.does(|session, out| session.end_publish("NetStream.Publish.Idle", "silent", out).unwrap());
    assert_eq!(ended, ["1: onStatus 0 null error / NetStream.Publish.Idle / silent"]);
}

#[test]
fn the_key_may_stand_in_the_url_and_queries_anywhere() {
    let asked = |app: &str, name: &str| {
        let mut peer = Peer::new();
        let connect = command(0, &[text("connect"), number(1.0), object(&[("app", text(app))])]);
        let told = peer.hears(&[connect, publish(name)].concat());
        told.into_iter().find(|line| line.starts_with("Publish")).unwrap()
    };
    let publish = |app: &str, key: &str, query: Option<&str>| {
        format!("Publish(Publish {{ app: {app:?}, key: {key:?}, query: {query:?} }})")
    };
    assert_eq!(asked("live/", "key"), publish("live", "key", None));
    assert_eq!(asked("live/key", ""), publish("live", "key", None));
    assert_eq!(asked("key", ""), publish("", "key", None));
    assert_eq!(asked("live?a=b", "key"), publish("live", "key", Some("a=b")));
    assert_eq!(asked("live?a=b", "key?c=d"), publish("live", "key", Some("c=d")));
    assert_eq!(asked("live", ""), publish("", "live", None));
}

#[test]
fn at_20_what_an_enhanced_encoder_offers_is_read_and_answered() {
    let mut peer = Peer::new();
    let list = [&[10, 0, 0, 0, 2][..], &text("hvc1"), &text("av01")].concat();
    let map = object(&[("vp09", number(4.0))]);
    let properties =
        object(&[("app", text("live")), ("fourCcList", list), ("videoFourCcInfoMap", map), ("capsEx", number(7.0))]);
    peer.hears(&command(0, &[text("connect"), number(1.0), properties]));
    assert_eq!(peer.session.connect().four_ccs, ["av01", "hvc1", "vp09"]);
    assert_eq!(peer.session.connect().caps_ex, 7);
}

#[test]
fn media_and_metadata_of_both_manners_come_out() {
    let mut peer = Peer::publishing();
    let data = [text("onMetaData"), NULL.into()].concat();
    let input = [
        message(18, 1, 0, &[text("@setDataFrame"), data.clone()].concat()),
        message(18, 1, 0, &data),
        message(15, 1, 0, &[&[0][..], &data].concat()),
        message(8, 1, 46, b"\xaf\x01a"),
        message(9, 1, 40, b"\x27\x01b"),
        message(9, 1, 80, b""),
        message(18, 1, 0, &text("@setDataFrame")),
    ];
    let metadata = r"Data 0 \x02\x00\nonMetaData\x05";
    assert_eq!(peer.hears(&input.concat()), [metadata, metadata, metadata, r"Audio 46 \xaf\x01a", r"Video 40 \'\x01b"]);
}

#[test]
fn an_aggregate_message_is_taken_apart_and_its_times_count_from_its_own() {
    let mut peer = Peer::publishing();
    let tag = |kind: u8, time: u8, payload: &[u8]| {
        let header = [kind, 0, 0, payload.len() as u8, 0, 0, time, 0, 0, 0, 0];
        [&header[..], payload, &[0, 0, 0, 11 + payload.len() as u8]].concat()
    };
    let aggregate = [tag(8, 10, b"\xaf\x01a"), tag(9, 50, b"\x27\x01b"), vec![8, 0, 0, 99, 1]].concat();
    assert_eq!(peer.hears(&message(22, 1, 1000, &aggregate)), [r"Audio 1000 \xaf\x01a", r"Video 1040 \'\x01b"]);
}

#[test]
fn at_22_received_bytes_are_acknowledged_as_a_running_total() {
    let mut peer = Peer::publishing();
    peer.hears(&message(5, 0, 0, &1000u32.to_be_bytes()));
    let before = peer.session.received();
    let media = message(9, 1, 0, &[0x27; 600]);
    let told = [peer.hears(&media), peer.hears(&media), peer.hears(&media)].concat();
    let acknowledgements: Vec<_> = told.iter().filter(|line| line.starts_with("0: 3")).collect();
    // The handshake and the commands were above the window of 1,000 already.
    let total = |bytes: u64| format!("0: 3 {:?}", bytes::Bytes::from((bytes as u32).to_be_bytes().to_vec()));
    let each = media.len() as u64;
    assert_eq!(acknowledgements, [&total(before + 2 * each)]);
}

#[test]
fn at_22_pings_are_answered() {
    let mut peer = Peer::new();
    assert_eq!(peer.hears(&message(4, 0, 0, b"\0\x06\x01\x02\x03\x04")), [r#"0: 4 b"\0\x07\x01\x02\x03\x04""#]);
    assert_eq!(peer.hears(&message(4, 0, 0, b"\0\x03\0\0\0\x01\0\0\x0b\xb8")), [""; 0]);
}

#[test]
fn a_publisher_leaves_once_however_many_commands_say_so() {
    let mut peer = Peer::publishing();
    let leave = [
        command(0, &[text("FCUnpublish"), number(6.0), NULL.into(), text("key")]),
        command(0, &[text("deleteStream"), number(7.0), NULL.into(), number(1.0)]),
        message(8, 1, 99, b"\xaf\x01late"),
        command(1, &[text("closeStream"), number(0.0), NULL.into()]),
    ];
    assert_eq!(
        peer.hears(&leave.concat()),
        ["Unpublish", "1: onStatus 0 null status / NetStream.Unpublish.Success / unpublished"]
    );
    assert!(peer.hears(&publish("key")).iter().any(|line| line.starts_with("Publish")));
}

#[test]
fn commands_we_do_not_know_are_answered_so_that_nobody_waits() {
    let mut peer = Peer::new();
    peer.hears(&connect());
    let known = peer.hears(&command(0, &[text("_checkbw"), number(8.0), NULL.into()]));
    assert_eq!(known, ["0: _result 8 null null"]);
    let unknown = peer.hears(&command(0, &[text("getMovLen"), number(9.0), NULL.into()]));
    assert_eq!(unknown, ["0: _error 9 null error / NetConnection.Call.Failed / no such command"]);
    assert_eq!(peer.hears(&command(0, &[text("onSomething"), number(0.0), NULL.into()])), [""; 0]);
    assert_eq!(peer.hears(&command(0, &[text("createStream")])), [""; 0]);
    assert_eq!(peer.hears(&command(0, &[number(1.0)])), [""; 0]);
}

#[test]
fn a_player_is_sent_to_http_with_words() {
    let mut peer = Peer::new();
    let play = command(1, &[text("play"), number(5.0), NULL.into(), text("key")]);
    let told = peer.hears(&[connect(), create_stream(), play].concat());
    assert_eq!(
        told[told.len() - 2..],
        [
            "1: onStatus 0 null error / NetStream.Play.Failed / streams are served over HTTP: \
             open the watch page, or its index.m3u8, instead",
            "ends: a player asked to play; streams are served over HTTP, not RTMP"
        ]
    );
}

#[test]
fn what_is_out_of_order_ends_the_connection_with_a_reason() {
    let ends = |input: &[Vec<u8>]| Peer::new().hears(&input.concat()).pop().unwrap();
    assert_eq!(ends(&[publish("key")]), "ends: 'publish' came before connect");
    assert_eq!(ends(&[create_stream()]), "ends: 'createStream' came before connect");
    assert_eq!(ends(&[connect(), connect()]), "ends: 'connect' came twice");
    let early = [connect(), create_stream(), publish("key"), message(9, 1, 0, b"\x17\x01")];
    assert_eq!(ends(&early), "ends: media before the publish was accepted");
    assert_eq!(ends(&[[connect()].concat(), create_stream().repeat(9)]), "ends: more than 8 message streams");
    let twice = Peer::publishing().hears(&publish("key"));
    assert_eq!(twice, ["1: onStatus 0 null error / NetStream.Publish.BadName / this connection publishes already"]);
}

#[test]
fn what_speaks_another_protocol_is_no_handshake() {
    let mut session = Session::new(Limits::default());
    let error = session.handle(b"GET / HTTP/1.1\r\n\r\n", &mut Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("not an RTMP handshake"), "{error}");
}

#[test]
fn at_01_values_nested_without_end_end_the_connection() {
    let nested = [text("connect"), number(1.0), [10, 0, 0, 0, 1].repeat(20_000)].concat();
    assert_eq!(
        Peer::new().hears(&message(20, 0, 0, &nested)),
        ["ends: unreadable command: AMF0 values nest deeper than 16"]
    );
    let many = [text("connect"), number(1.0), [&[10, 0, 1, 0, 0][..], &[5; 65_536]].concat()].concat();
    assert_eq!(
        Peer::new().hears(&message(20, 0, 0, &many)),
        ["ends: unreadable command: more than 4096 AMF0 values in a message"]
    );
    let cut = [text("connect"), vec![0, 1, 2]].concat();
    assert_eq!(Peer::new().hears(&message(20, 0, 0, &cut)), ["ends: unreadable command: AMF0 value is cut off"]);
}

#[test]
fn every_amf0_marker_is_read() {
    let bytes: Vec<u8> = [
        number(1.5),
        vec![1, 1],
        text("s"),
        object(&[("k", NULL.into())]),
        NULL.into(),
        vec![6],
        vec![7, 0, 2],
        [&[8, 0, 0, 0, 9][..], &name("k"), &number(2.0), &[0, 0, 9]].concat(),
        [&[10, 0, 0, 0, 1][..], &number(3.0)].concat(),
        [&[11][..], &4.0f64.to_be_bytes(), &[0, 0]].concat(),
        b"\x0c\0\0\0\x04long".into(),
        vec![13],
        b"\x0f\0\0\0\x03<x>".into(),
        [&[16][..], &name("Class"), &name("k"), &[1, 0], &[0, 0, 9]].concat(),
        vec![17, 0x0A, 0x0B, 0x01],
    ]
    .concat();
    use Value::{Array, Boolean, Date, Null, Number, Object, Reference, String, Undefined, Xml};
    let of = |value| Object(vec![("k".into(), value)]);
    assert_eq!(
        Decoder::new(&bytes, &Limits::default()).values().unwrap(),
        [
            Number(1.5),
            Boolean(true),
            String("s".into()),
            of(Null),
            Null,
            Undefined,
            Reference(2),
            of(Number(2.0)),
            Array(vec![Number(3.0)]),
            Date(4.0),
            String("long".into()),
            Undefined,
            Xml("<x>".into()),
            of(Boolean(false)),
        ]
    );
    let reserved = Decoder::new(&[4], &Limits::default()).values().unwrap_err();
    assert_eq!(reserved.to_string(), "AMF0 marker 0x04 has no meaning");
}

#[test]
fn media_kinds_have_their_numbers() {
    for (kind, id) in [(TagKind::Audio, 8), (TagKind::Video, 9), (TagKind::Data, 18)] {
        assert_eq!((kind.type_id(), TagKind::from_type_id(id)), (id, Some(kind)));
    }
}

proptest! {
    #[test]
    fn a_session_split_anywhere_says_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let leave = command(0, &[text("deleteStream"), number(7.0), NULL.into(), number(1.0)]);
        let ping = message(4, 0, 0, b"\0\x06\x01\x02\x03\x04");
        let input = [connect(), create_stream(), ping, publish("key"), leave].concat();
        let whole = Peer::new().hears(&input);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len())).chain([0, input.len()]).collect();
        cuts.sort_unstable();
        let mut peer = Peer::new();
        let mut pieces: Vec<_> = cuts.windows(2).flat_map(|cut| peer.hears(&input[cut[0]..cut[1]])).collect();
        // Answers are gathered once a read, so only their place among the news differs.
        let mut whole = whole;
        whole.sort();
        pieces.sort();
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn damaged_sessions_never_panic(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let data = [text("@setDataFrame"), text("onMetaData"), NULL.into()].concat();
        let mut input = [connect(), create_stream(), publish("key"), message(18, 1, 0, &data)].concat();
        let index = at.index(input.len());
        input[index] = value;
        input.truncate(cut.index(input.len()) + 1);
        let mut peer = Peer::new();
        let mut out = Vec::new();
        let heard = peer.session.handle(&input, &mut out).is_ok();
        // A connection that goes on can still be refused.
        if heard {
            prop_assert!(peer.session.refuse_publish("no", &mut out).is_ok());
        }
    }
}
