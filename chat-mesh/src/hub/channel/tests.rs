//! Events as literal data, and what frames come of them.

use freshet_proto::chat::{Actor, DisplayName, Message, MessageId, Roles, Text, User, UserId, What};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;
use crate::{
    fanout::{Config, Connection, Sink},
    ws::{Decoder, Limits, Received, Role},
};

const GATHER: Duration = Duration::from_millis(20);

fn user() -> User {
    let id = UserId::try_from("1").unwrap();
    User { id, login: "bob".parse().unwrap(), name: DisplayName::cut("Bob"), color: None }
}

fn event(epoch: u64, seq: u64, what: What) -> Arc<Event> {
    Arc::new(Event { position: Position::new(epoch, seq), at_ms: 5, origin: None, what })
}

fn message(epoch: u64, seq: u64) -> Arc<Event> {
    let text = Text::try_from(format!("line {seq}, line {seq}, line {seq}")).unwrap();
    let (id, user, roles) = (MessageId(seq), user(), Roles::default());
    let what = Message { id, user, roles, text, action: false, reply: None, pdt_ms: None, deleted: false };
    event(epoch, seq, What::Message(what))
}

fn clear(epoch: u64, seq: u64) -> Arc<Event> {
    let by = Actor { id: UserId::try_from("1").unwrap(), login: "bob".parse().unwrap() };
    event(epoch, seq, What::Clear { by })
}

/// A channel, and a reader of one format.
struct Bench {
    fanout: Fanout,
    channel: Channel,
    encoder: Encoder,
    now: Instant,
}

struct Read {
    socket: DuplexStream,
    decoder: Decoder,
    input: bytes::BytesMut,
    _connection: Connection,
}

impl Bench {
    fn new() -> Self {
        let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
        let channel = Channel::new("ada".parse().unwrap());
        Self { fanout, channel, encoder: Encoder::new(6), now: Instant::now() }
    }

    fn reader(&mut self, format: Format, head: Position) -> Read {
        let (near, far) = duplex(1 << 20);
        let connection = self.fanout.connect(Sink::other(far)).unwrap();
        let (log, cursor) = self.channel.log(format, head, &Modes::default(), &self.fanout);
        connection.subscribe(&log, cursor).unwrap();
        let decoder = Decoder::new(Role::Client, Limits { message_bytes: 1 << 20 }, true);
        Read { socket: near, decoder, input: bytes::BytesMut::new(), _connection: connection }
    }

    fn show(&mut self, event: Arc<Event>) -> bool {
        self.channel.show(event, self.now, GATHER);
        self.channel.flush(self.now, &mut self.encoder)
    }

    fn pass(&mut self, time: Duration) -> bool {
        self.now += time;
        self.channel.flush(self.now, &mut self.encoder)
    }
}

impl Read {
    /// The next frame: the kind and position of each of its objects.
    async fn next(&mut self) -> Vec<String> {
        loop {
            if let Some(Received::Text(text)) = self.decoder.next(&mut self.input).unwrap() {
                let objects = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
                let told = |object: serde_json::Value| {
                    format!("{} {}", object["type"].as_str().unwrap(), object["position"].as_str().unwrap())
                };
                return objects.map(told).collect();
            }
            assert!(self.socket.read_buf(&mut self.input).await.unwrap() > 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_event_a_frame_at_once_or_several_after_a_moment() {
    let mut bench = Bench::new();
    let head = Position::new(3, 4);
    let (mut json, mut lines) = (bench.reader(Format::Json, head), bench.reader(Format::Lines, head));
    let mut deflated = bench.reader(Format::DeflatedLines, head);
    for seq in 5..=7 {
        assert!(bench.show(message(3, seq)));
        assert_eq!(json.next().await, [format!("message 3.{seq}")]);
    }
    assert_eq!(bench.channel.due(), Some(bench.now + GATHER));
    assert!(bench.pass(GATHER));
    for reader in [&mut lines, &mut deflated] {
        assert_eq!(reader.next().await, ["message 3.5", "message 3.6", "message 3.7"]);
    }
    assert_eq!(bench.channel.due(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_urgent_waits_for_nothing_and_sixteen_fill_a_frame() {
    let mut bench = Bench::new();
    let mut lines = bench.reader(Format::Lines, Position::new(3, 0));
    bench.show(message(3, 1));
    bench.show(clear(3, 2));
    assert_eq!(lines.next().await, ["message 3.1", "clear 3.2"]);
    for seq in 3..=18 {
        bench.show(message(3, seq));
    }
    assert_eq!(lines.next().await.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_events_are_gathered_gets_none_of_them_twice() {
    let mut bench = Bench::new();
    let mut first = bench.reader(Format::Lines, Position::new(3, 0));
    bench.show(message(3, 1));
    assert!(bench.channel.flush_all(bench.now, &mut bench.encoder));
    let mut second = bench.reader(Format::DeflatedJson, Position::new(3, 1));
    bench.show(message(3, 2));
    bench.pass(GATHER);
    assert_eq!(first.next().await, ["message 3.1"]);
    assert_eq!(first.next().await, ["message 3.2"]);
    assert_eq!(second.next().await, ["message 3.2"]);
}

#[tokio::test(start_paused = true)]
async fn gaps_are_stated_and_numbers_go_on_behind_them() {
    let mut bench = Bench::new();
    let mut json = bench.reader(Format::Json, Position::new(3, 0));
    bench.show(message(3, 1));
    bench.channel.gap(Some(8), Position::new(4, 9), &Modes::default());
    bench.show(message(4, 10));
    assert_eq!(json.next().await, ["message 3.1"]);
    assert_eq!(json.next().await, ["gap 4.9"]);
    assert_eq!(json.next().await, ["message 4.10"]);
}

#[tokio::test(start_paused = true)]
async fn numbers_that_go_back_are_noticed_and_begin_another_log() {
    let mut bench = Bench::new();
    let _old = bench.reader(Format::Json, Position::new(3, 0));
    bench.show(message(3, 1));
    bench.show(message(3, 2));
    assert!(!bench.show(message(4, 2)), "the log has a second already");
    bench.channel.restart(&Modes::default());
    let mut new = bench.reader(Format::Json, Position::new(4, 1));
    assert!(bench.show(message(4, 2)));
    assert_eq!(new.next().await, ["message 4.2"]);
}

#[test]
fn readers_are_found_by_their_names_until_they_leave() {
    let mut channel = Channel::new("ada".parse().unwrap());
    let reader = |admin: Option<bool>| Reader {
        inbox: Inbox::new(Instant::now(), None),
        format: Format::Json,
        identity: admin.map(|admin| Identity { user: user(), admin }),
        follows_since_ms: None,
        watches: false,
    };
    let bob = "bob".parse().unwrap();
    let keys = [None, Some(true), Some(true)].map(|admin| channel.enter(reader(admin)));
    assert_eq!((channel.readers_of(&bob).count(), channel.admins().count()), (2, 1));
    assert!(channel.leave(keys[1]).is_some() && channel.leave(keys[1]).is_none());
    assert_eq!((channel.readers_of(&bob).count(), channel.admins().count()), (1, 1));
    channel.leave(keys[2]);
    assert_eq!((channel.readers_of(&bob).count(), channel.admins().count()), (0, 0));
    assert!(channel.is_wanted());
    channel.leave(keys[0]);
    assert!(!channel.is_wanted());
}
