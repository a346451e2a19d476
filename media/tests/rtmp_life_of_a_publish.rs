//! One publisher's whole life: our client and our session joined by bytes, without a socket.

use bytes::Bytes;
use freshet_media::{
    flv::TagKind,
    rtmp::{
        Limits,
        client::{self, Publisher, Target},
        server::{Output, Publish, Session},
    },
};

/// A client and a server, and what each learned.
struct Pair {
    client: Publisher,
    server: Session,
    to_server: Vec<client::Output>,
    learned: Vec<String>,
    media: Vec<(TagKind, u32, Bytes)>,
}

impl Pair {
    fn publishing(key: &str) -> Self {
        let target = Target {
            app: "live".into(),
            tc_url: "rtmp://localhost/live".into(),
            key: key.into(),
            encoder: "test/1".into(),
        };
        let (client, server) = (Publisher::new(target), Session::new(Limits::default()));
        let mut pair = Self { client, server, to_server: Vec::new(), learned: Vec::new(), media: Vec::new() };
        pair.client.start(&mut pair.to_server).unwrap();
        pair.run();
        pair
    }

    /// Carries bytes back and forth until both are silent.
    fn run(&mut self) {
        while !self.to_server.is_empty() {
            for output in std::mem::take(&mut self.to_server) {
                match output {
                    client::Output::Send(bytes) => self.serve(&bytes),
                    other => self.learned.push(format!("client: {other:?}")),
                }
            }
        }
    }

    fn serve(&mut self, bytes: &[u8]) {
        let mut out = Vec::new();
        self.server.handle(bytes, &mut out).unwrap();
        self.perform(out);
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(bytes) => self.client.handle(&bytes, &mut self.to_server).unwrap(),
                Output::Media { kind, timestamp_ms, payload } => self.media.push((kind, timestamp_ms, payload)),
                Output::Publish(Publish { app, key, query }) => {
                    self.learned.push(format!("server: publish {app} {key} {query:?}"));
                }
                Output::Connect(connect) => self.learned.push(format!("server: connect {}", connect.encoder)),
                other => self.learned.push(format!("server: {other:?}")),
            }
        }
    }

    fn answer(&mut self, answer: impl FnOnce(&mut Session, &mut Vec<Output>)) {
        let mut out = Vec::new();
        answer(&mut self.server, &mut out);
        self.perform(out);
        self.run();
    }
}

#[test]
fn an_accepted_publisher_sends_media_and_leaves() {
    let mut pair = Pair::publishing("secret?token=abc");
    pair.answer(|server, out| server.accept_publish(out).unwrap());
    let sent = [
        (TagKind::Data, 0, Bytes::from_static(b"\x02\x00\x0aonMetaData\x05")),
        (TagKind::Video, 40, Bytes::from(vec![0x17; 300_000])),
        (TagKind::Audio, 46, Bytes::from_static(&[0xAF, 1, 2, 3])),
        (TagKind::Video, 0xFFFF_FFF0, Bytes::from(vec![0x27; 70_000])),
        (TagKind::Video, 16, Bytes::from(vec![0x27; 65_536])),
    ];
    for (kind, timestamp_ms, payload) in &sent {
        pair.client.send(*kind, *timestamp_ms, payload, &mut pair.to_server).unwrap();
    }
    pair.client.finish(&mut pair.to_server).unwrap();
    pair.run();
    assert_eq!(pair.media, sent);
    assert_eq!(
        pair.learned,
        [
            "server: connect test/1",
            "server: publish live secret Some(\"token=abc\")",
            "client: Started",
            "server: Unpublish"
        ]
    );
}

#[test]
fn a_refused_publisher_is_told_why() {
    let mut pair = Pair::publishing("wrong");
    pair.answer(|server, out| server.refuse_publish("unknown stream key", out).unwrap());
    assert_eq!(
        pair.learned[2..],
        ["client: Refused { code: \"NetStream.Publish.BadName\", text: \"unknown stream key\" }"]
    );
}

#[test]
fn a_running_publisher_is_told_why_it_is_ended() {
    let mut pair = Pair::publishing("key");
    pair.answer(|server, out| server.accept_publish(out).unwrap());
    pair.answer(|server, out| server.end_publish("NetStream.Publish.BadName", "taken over", out).unwrap());
    assert_eq!(
        pair.learned.last().unwrap(),
        "client: Refused { code: \"NetStream.Publish.BadName\", text: \"taken over\" }"
    );
    // What it still sends is ignored.
    pair.client.send(TagKind::Audio, 0, &Bytes::from_static(&[0xAF, 1, 0]), &mut pair.to_server).unwrap();
    pair.run();
    assert_eq!(pair.media, []);
}
