//! The life of a connection: what it sends is heard, what it is told is sent.
//!
//! ```text
//! bytes ──ws::Peer──▶ frame ──Dialect──▶ Output ─┬─ Join, Submit ──▶ hub
//! letter ──────────────────────▲                 └─ Send, Close ───▶ fanout::Connection (in order, bounded)
//! ```
//! Nothing more is read while [`CROWDED`] bytes wait to be written, so who does not read its answers can ask for no more.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use freshet_proto::{chat::Code, id::ChannelName};
use tokio::{
    io::AsyncRead,
    time::{Duration, Instant, timeout},
};

use super::{
    Hub, Join,
    carrier::Carrier,
    format::Format,
    inbox::{End, Inbox, Letter},
    lobby::Place,
    seat::{Arrival, Pass},
};
use crate::{
    fanout::{self, Connection, Ended, Log, Mark},
    protocol::{Close, Input, Output, Session, client::MAX_OBJECTS, encode},
    ws::{CloseCode, Closed, Event},
};

/// How many bytes may wait to be written before nothing more is read.
const CROWDED: usize = 32 << 10;

/// How large a frame with several objects may become.
const FRAME: usize = 16 << 10;

/// How long the other end has to take our last frame and to say that it closes, too.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a connection speaks.
pub(super) trait Dialect: Send + 'static {
    /// Takes what happened; appends to `out` what is to be done.
    fn handle(&mut self, now_ms: u64, input: Input<'_>, out: &mut Vec<Output>);
    /// In what it reads events.
    fn format(&self, deflate: bool) -> Format;
    /// Under which mark it reads them.
    fn mark(&self) -> Option<Mark> {
        None
    }
    /// How many of its objects go in one frame.
    fn per_frame(&self) -> usize;
    /// That the hub goes away.
    fn bye(&self, reconnect_ms: u64, hubs: &[String]) -> String;
    /// That its token is good no more.
    fn revoked(&self) -> String;
}

impl Dialect for Session {
    fn handle(&mut self, now_ms: u64, input: Input<'_>, out: &mut Vec<Output>) {
        Session::handle(self, now_ms, input, out);
    }

    fn format(&self, deflate: bool) -> Format {
        Format::native(self.batch(), deflate)
    }

    fn per_frame(&self) -> usize {
        if self.batch() { MAX_OBJECTS } else { 1 }
    }

    fn bye(&self, reconnect_ms: u64, hubs: &[String]) -> String {
        encode::bye(reconnect_ms, hubs)
    }

    fn revoked(&self) -> String {
        encode::error("bad_token", "the token is not good any more", None, None)
    }
}

/// See the module.
pub(super) struct Life<R, D> {
    pub hub: Hub,
    pub reader: R,
    pub input: BytesMut,
    pub connection: Connection,
    pub inbox: Arc<Inbox>,
    pub carrier: Carrier,
    pub dialect: D,
    pub deflate: bool,
    pub seats: Vec<Seat>,
    /// Joins without an answer, and what they are called.
    pub joins: Vec<(ChannelName, u64)>,
    /// The last of these names.
    pub join: u64,
    pub place: Place,
    pub stay: Box<dyn Send>,
}

/// A channel that it reads.
pub(super) struct Seat {
    channel: ChannelName,
    log: Log,
    pass: Pass,
}

/// Why a connection is over.
struct Over {
    why: &'static str,
    /// Whether the other end hears of it.
    kind: Farewell,
}

enum Farewell {
    /// Nothing is said.
    None,
    /// The last frame is under way.
    Said,
}

type Go = Result<(), Over>;

/// Serves a connection until it ends.
pub(super) async fn run<R: AsyncRead + Unpin, D: Dialect>(mut life: Life<R, D>) {
    let over = loop {
        if let Err(over) = life.turn().await {
            break over;
        }
    };
    life.inbox.close();
    life.seats.clear();
    life.hub.shared.stats.ended(over.why);
    tracing::debug!(why = over.why, "a chat connection ended");
    if let Farewell::Said = over.kind {
        let _ = timeout(FAREWELL, life.farewell()).await;
    }
    drop((life.place, life.stay));
}

impl<R: AsyncRead + Unpin, D: Dialect> Life<R, D> {
    /// Hears what has come, then waits for what comes next.
    async fn turn(&mut self) -> Go {
        while let Some(event) = self.carrier.receive(&mut self.input) {
            self.event(event).await?;
        }
        tokio::select! {
            biased;
            ended = self.connection.ended() => Err(Over { why: ended_as(ended), kind: Farewell::None }),
            letter = self.inbox.next() => self.letter(letter).await,
            read = fanout::read(&mut self.reader, &mut self.input) => match read {
                Ok(0) | Err(_) => Err(Over { why: "gone", kind: Farewell::None }),
                Ok(_) => {
                    self.inbox.heard(Instant::now());
                    Ok(())
                }
            },
        }
    }

    async fn event(&mut self, event: Event) -> Go {
        match event {
            Event::Text(text) => self.tell(Input::Frame(&text)).await,
            Event::Binary(_) => self.close("binary", CloseCode::UNSUPPORTED, "text only").await,
            Event::Pong(_) => Ok(()),
            Event::Reply(frame) => self.send(frame).await,
            Event::Closed(Closed { violation, reply, .. }) => {
                let why = if violation.is_some() { "violation" } else { "closed" };
                let _ = self.connection.close(reply.unwrap_or_default());
                Err(Over { why, kind: Farewell::Said })
            }
        }
    }

    async fn letter(&mut self, letter: Letter) -> Go {
        match letter {
            Letter::Joined(arrival) => self.joined(*arrival).await,
            Letter::NotJoined { join, channel, refusal } => {
                if join.is_some_and(|join| !self.expects(&channel, join)) {
                    return Ok(());
                }
                self.leave(&channel);
                self.tell(Input::NotJoined(channel, refusal)).await
            }
            Letter::Answer { ticket, answer } => {
                if let Err(refusal) = &answer
                    && refusal.code == Code::FollowersOnly
                {
                    self.hub.ask_standings(self.seats.iter().map(|seat| &seat.channel), &self.inbox);
                }
                self.tell(Input::Answer { ticket, answer }).await
            }
            Letter::Standing(channel, role, since_ms) => self.tell(Input::Standing(channel, role, since_ms)).await,
            Letter::Notice(channel, notice) => self.tell(Input::Notice(channel, &notice)).await,
            Letter::Moved { channel, log, cursor, gap } => {
                self.send(gap).await?;
                if let Some(seat) = self.seats.iter_mut().find(|seat| seat.channel == channel) {
                    let _ = self.connection.unsubscribe(&seat.log);
                    seat.log = log;
                    let _ = self.connection.subscribe_as(&seat.log, cursor, self.dialect.mark());
                }
                Ok(())
            }
            Letter::Ping => self.send(self.carrier.ping()).await,
            Letter::Bye { reconnect_ms, hubs } => {
                let bye = self.dialect.bye(reconnect_ms, &hubs);
                self.send(self.carrier.carriage().carried(&bye)).await?;
                self.close("bye", CloseCode::RESTART, "the hub goes away").await
            }
            Letter::End(end) => self.end(end).await,
        }
    }

    async fn end(&mut self, end: End) -> Go {
        match end {
            End::Gone => Err(Over { why: "silent", kind: Farewell::None }),
            End::Overflow => Err(Over { why: "overflow", kind: Farewell::None }),
            End::Idle => self.close("idle", CloseCode::POLICY, "in no channel").await,
            End::Revoked => {
                let error = self.dialect.revoked();
                self.send(self.carrier.carriage().carried(&error)).await?;
                self.close("revoked", CloseCode::POLICY, "bad_token").await
            }
        }
    }

    /// Tells the session something, and does what it wants done.
    async fn tell(&mut self, input: Input<'_>) -> Go {
        let mut outputs = Vec::new();
        let now_ms = self.hub.mono_ms(Instant::now());
        self.dialect.handle(now_ms, input, &mut outputs);
        let mut texts = Vec::new();
        let mut rest = std::collections::VecDeque::from(outputs);
        while let Some(output) = rest.pop_front() {
            if let Output::Send(text) = output {
                texts.push(text);
                continue;
            }
            self.say(&mut texts).await?;
            match output {
                Output::Send(_) => {}
                Output::Verify(token) => self.verify(now_ms, &token, &mut rest),
                Output::Join { channel, resume, history } => self.join(channel, resume, history),
                Output::Part(channel) => self.leave(&channel),
                Output::Submit { ticket, submit } => self.hub.submit(ticket, submit, &self.inbox),
                Output::Close(why) => return self.close(close_as(why), CloseCode::POLICY, close_as(why)).await,
            }
        }
        self.say(&mut texts).await
    }

    /// Finds out whose a token is. What follows from it comes before what is to be done yet.
    fn verify(&mut self, now_ms: u64, token: &str, rest: &mut std::collections::VecDeque<Output>) {
        let holder = self.hub.shared.door.identify(token).filter(|holder| holder.identity.is_some());
        let identity = holder.as_ref().and_then(|holder| holder.identity.clone());
        let identity = identity.filter(|_| holder.is_some_and(|holder| self.inbox.hold(*holder)));
        let mut outputs = Vec::new();
        self.dialect.handle(now_ms, Input::Verified(identity), &mut outputs);
        outputs.into_iter().rev().for_each(|output| rest.push_front(output));
    }

    fn join(&mut self, channel: ChannelName, resume: Option<freshet_proto::chat::Position>, history: u32) {
        self.join += 1;
        self.joins.push((channel.clone(), self.join));
        let (identity, watches) = self.inbox.with_holder(|holder| {
            let watches = holder.and_then(|holder| holder.watches.as_ref()) == Some(&channel);
            (holder.and_then(|holder| holder.identity.clone()), watches)
        });
        self.hub.join(Join {
            channel,
            join: self.join,
            format: self.dialect.format(self.deflate),
            resume,
            history,
            identity,
            follows_since_ms: None,
            watches,
            inbox: Arc::clone(&self.inbox),
        });
        self.inbox.sits(true, Instant::now());
    }

    /// Whether this join is still wanted; it has its answer then.
    fn expects(&mut self, channel: &ChannelName, join: u64) -> bool {
        let at = self.joins.iter().position(|known| known.1 == join && known.0 == *channel);
        at.map(|at| self.joins.swap_remove(at)).is_some()
    }

    async fn joined(&mut self, arrival: Arrival) -> Go {
        let Arrival { join, joined, log, cursor, pass } = arrival;
        if !self.expects(&joined.channel, join) {
            return Ok(());
        }
        let channel = joined.channel.clone();
        self.tell(Input::Joined(Box::new(joined))).await?;
        let _ = self.connection.subscribe_as(&log, cursor, self.dialect.mark());
        self.seats.push(Seat { channel, log, pass });
        Ok(())
    }

    /// Reads a channel no more, nor waits for it.
    fn leave(&mut self, channel: &ChannelName) {
        self.joins.retain(|(known, _)| known != channel);
        if let Some(at) = self.seats.iter().position(|seat| seat.channel == *channel) {
            let Seat { log, pass, .. } = self.seats.swap_remove(at);
            let _ = self.connection.unsubscribe(&log);
            drop(pass);
        }
        self.inbox.sits(!self.seats.is_empty() || !self.joins.is_empty(), Instant::now());
    }

    /// Sends texts, as many a frame as were agreed on.
    async fn say(&mut self, texts: &mut Vec<String>) -> Go {
        let per_frame = self.dialect.per_frame();
        let mut frames = BytesMut::new();
        let mut texts = std::mem::take(texts).into_iter().peekable();
        while let Some(mut payload) = texts.next() {
            let mut objects = 1;
            while let Some(text) = texts.next_if(|text| objects < per_frame && payload.len() + text.len() < FRAME) {
                payload.push('\n');
                payload.push_str(&text);
                objects += 1;
            }
            self.carrier.carriage().carry(&payload, &mut frames);
            if frames.len() >= CROWDED {
                self.send(frames.split().freeze()).await?;
            }
        }
        match frames.is_empty() {
            true => Ok(()),
            false => self.send(frames.freeze()).await,
        }
    }

    /// Sends whole frames, once there is room for them.
    async fn send(&mut self, frames: Bytes) -> Go {
        if self.connection.queued_bytes() > CROWDED {
            self.connection.drained().await;
        }
        let ended = |_| Over { why: "ended", kind: Farewell::None };
        self.connection.send(frames).map_err(ended)
    }

    async fn close(&mut self, why: &'static str, code: CloseCode, reason: &str) -> Go {
        let frame = self.carrier.close(code, reason);
        let _ = self.connection.close(frame);
        Err(Over { why, kind: Farewell::Said })
    }

    /// Waits until the last frame is sent, and until the other end closes too.
    async fn farewell(&mut self) {
        self.connection.ended().await;
        loop {
            self.input.clear();
            match fanout::read(&mut self.reader, &mut self.input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

fn close_as(why: Close) -> &'static str {
    match why {
        Close::Malformed => "malformed",
        Close::Flood => "flood",
        Close::Token => "bad_token",
        Close::Quit => "quit",
    }
}

fn ended_as(ended: Ended) -> &'static str {
    match ended {
        Ended::Closed => "closed",
        Ended::Gone => "gone",
        Ended::Overflow => "overflow",
        Ended::Stalled => "stalled",
        Ended::Shutdown => "shutdown",
    }
}
