//! A connection: how it comes in, what it is told, how it is lost and comes back.
//!
//! At rest it costs its [`Seat`]: no buffer, unless half a frame is there.

use std::cmp::Reverse;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{
    checker::{Cursor, Taken},
    job::Stage,
    line::Line,
    wire::{Dialect, Piece},
    worker::{Loop, NUMBER_BITS},
};
use crate::view::socket::{Received, Socket};

/// How often a connection says something so that it is not taken for dead, in microseconds.
const HEARTBEAT_US: u64 = 25_000_000;

/// Over how long connections come back that were lost together, in microseconds.
const COME_BACK_US: u64 = 1_000_000;

/// How many connections may be coming in at once: an accept queue holds 4,096, and other processes share it.
const COMING: usize = 500;

/// Where a connection is on its way into the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// There is none.
    Away,
    /// The opening was sent.
    Opening,
    /// The channel was asked for.
    Joining,
    /// Events come.
    In,
}

/// See the module.
pub(super) struct Seat {
    pub socket: Option<Socket>,
    pub target: usize,
    pub way: Way,
    pub cursor: Cursor,
    /// Half a frame.
    pub inbox: Vec<u8>,
    /// Since when it has been away, in microseconds; 0 before it first came in.
    pub lost_us: u64,
}

impl Seat {
    /// Whether there is nothing to wait for any more: it is in and has all up to `last_seq`, or is away for good. One that
    /// `comes_back` is never away for good.
    pub(super) fn is_done(&self, last_seq: u64, comes_back: bool) -> bool {
        match self.way {
            Way::In => self.cursor.has(last_seq),
            Way::Away => !comes_back,
            Way::Opening | Way::Joining => false,
        }
    }
}

impl Loop {
    /// Opens connections, as many at a time as may come in at once, and tries again those whose turn it is.
    pub(super) fn come_in(&mut self) {
        let now_us = self.now_us();
        while self.coming < COMING {
            let due = self.timers.peek().is_some_and(|timer| timer.0.0 <= now_us);
            let index = match due.then(|| self.timers.pop()).flatten() {
                Some(Reverse((_, index))) => index,
                None if self.seats.len() < self.job.subscribers as usize => self.new_seat(),
                None => break,
            };
            self.connect(index);
        }
        self.beat(now_us);
    }

    fn new_seat(&mut self) -> usize {
        let index = self.seats.len();
        let cursor = if self.job.dialect == Dialect::Chat { Cursor::default() } else { Cursor::counting() };
        let target = index % self.job.targets.len();
        self.seats.push(Seat { socket: None, target, way: Way::Away, cursor, inbox: Vec::new(), lost_us: 0 });
        index
    }

    fn connect(&mut self, index: usize) {
        self.coming += 1;
        let (seat, sources) = (&mut self.seats[index], &self.job.sources);
        seat.way = Way::Opening;
        let target = &self.job.targets[seat.target];
        let from = (!sources.is_empty()).then(|| sources[index % sources.len()]);
        let tls = self.tls.as_ref().zip(self.names[seat.target].as_ref());
        let opened = Socket::connect(target.address, from, tls).and_then(|mut socket| {
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, socket.fd(), EventData::new_u64(index as u64), flags)?;
            let host = format!("{}:{}", target.host, target.address.port());
            socket.send(&self.job.dialect.opening(&host, &target.path))?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => seat.socket = Some(socket),
            Err(error) => self.lost(index, &format!("connect_{:?}", error.kind())),
        }
    }

    pub(super) fn send(&mut self, index: usize, bytes: &[u8]) {
        let sent = self.seats[index].socket.as_mut().map(|socket| socket.send(bytes));
        if let Some(Err(error)) = sent {
            self.lost(index, &format!("send_{:?}", error.kind()));
        }
    }

    /// Each connection says something now and then, a few at a time.
    fn beat(&mut self, now_us: u64) {
        let (next, last_us) = self.heartbeat;
        let share = (now_us - last_us.max(self.start_us)) * self.seats.len() as u64 / HEARTBEAT_US;
        if self.job.dialect != Dialect::Chat || share == 0 {
            return;
        }
        let ping = self.job.dialect.text(r#"{"type":"ping"}"#);
        for n in 0..share as usize {
            let index = (next + n) % self.seats.len();
            if self.seats[index].way == Way::In {
                self.send(index, &ping);
            }
        }
        self.heartbeat = ((next + share as usize) % self.seats.len(), now_us);
    }

    /// Takes whatever has come for one connection.
    pub(super) fn serve(&mut self, index: usize, flags: EventFlags) {
        let ends = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(socket) = &mut self.seats[index].socket {
            let received = socket.flush().and_then(|()| socket.receive(&mut buffer, usize::MAX, false));
            let outcome = match received {
                Ok(Received::Bytes(count)) => {
                    let all = count < buffer.len() && !ends && !self.job.targets[self.seats[index].target].tls;
                    self.take(index, &buffer[..count]).map(|()| all)
                }
                Ok(Received::Nothing) => Ok(true),
                Ok(Received::Closed) => Err("closed_by_server".to_owned()),
                Ok(Received::Discarded(_)) => Ok(false),
                Err(error) => Err(format!("receive_{:?}", error.kind())),
            };
            match outcome {
                Ok(true) => break,
                Ok(false) => {}
                Err(why) => self.lost(index, &why),
            }
        }
        self.buffer = buffer;
    }

    /// Takes bytes, together with what was left of those before.
    fn take(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let before = self.checker.counts.deliveries;
        let mut inbox = std::mem::take(&mut self.seats[index].inbox);
        let rest = if inbox.is_empty() {
            self.pieces(index, bytes)?
        } else {
            inbox.extend_from_slice(bytes);
            self.pieces(index, &inbox)?
        };
        self.seats[index].inbox = rest;
        self.reads += u64::from(self.checker.counts.deliveries > before);
        Ok(())
    }

    /// Takes all that is whole; what is not is left.
    fn pieces(&mut self, index: usize, mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let dialect = self.job.dialect;
        if self.seats[index].way == Way::Opening {
            let Some(end) = dialect.opened(bytes)? else { return Ok(bytes.to_vec()) };
            bytes = &bytes[end..];
            self.join(index);
        }
        let now_us = self.now_us();
        while let Some((piece, len)) = dialect.next(bytes)? {
            bytes = &bytes[len..];
            match piece {
                Piece::Lines(lines) => self.lines(index, lines, now_us)?,
                Piece::Ping(payload) => self.send(index, &dialect.pong(payload)),
                Piece::Closed => return Err("closed_by_server".to_owned()),
                Piece::Other => {}
            }
        }
        Ok(if bytes.is_empty() { Vec::new() } else { bytes.to_vec() })
    }

    fn lines(&mut self, index: usize, mut lines: &[u8], now_us: u64) -> Result<(), String> {
        while !lines.is_empty() {
            let (taken, len) = self.checker.take(&mut self.seats[index].cursor, lines, now_us);
            lines = lines.get(len + 1..).unwrap_or_default();
            match taken {
                Taken::Event(Some(nonce), count) if count as usize >= self.joined => {
                    if nonce.number >> NUMBER_BITS == u64::from(self.job.number) {
                        self.posts.shown(nonce);
                    }
                }
                Taken::Event(..) | Taken::Again => {}
                Taken::Other(line) => self.other(index, &line, now_us)?,
                Taken::Unreadable => self.error("unreadable".to_owned()),
            }
        }
        Ok(())
    }

    /// Says hello and asks for the channel, from where it was.
    fn join(&mut self, index: usize) {
        let seat = &mut self.seats[index];
        if self.job.dialect != Dialect::Chat {
            return self.joined(index);
        }
        seat.way = Way::Joining;
        let channel = &self.job.targets[seat.target].channel;
        let mut hello = serde_json::json!({"type": "hello", "proto": 1, "batch": self.job.batch});
        if let Some(token) = self.job.senders.get(index).filter(|token| !token.is_empty()) {
            hello["token"] = token.as_str().into();
        }
        let mut join = serde_json::json!({"type": "join", "channel": channel, "history": 0});
        if let Some((epoch, seq)) = seat.cursor.resume() {
            join["resume"] = format!("{channel}.{epoch}.{seq}").into();
        }
        let bytes = [hello, join].map(|object| self.job.dialect.text(&object.to_string())).concat();
        self.send(index, &bytes);
    }

    fn joined(&mut self, index: usize) {
        let now_us = self.now_us();
        let seat = &mut self.seats[index];
        if seat.lost_us > 0 {
            self.away.record_us(now_us.saturating_sub(seat.lost_us));
            seat.lost_us = 0;
        }
        seat.way = Way::In;
        self.coming -= 1;
        self.joined += 1;
        self.posts.is_in(index);
    }

    /// Something that is no event.
    fn other(&mut self, index: usize, line: &Line, now_us: u64) -> Result<(), String> {
        match line.kind.as_str() {
            "joined" | "ok" if self.seats[index].way == Way::Joining => self.joined(index),
            "ack" => {
                self.posts.acknowledge(line, now_us);
                self.acked_seq = self.acked_seq.max(line.position().map_or(0, |(_, seq)| seq));
            }
            "nack" => self.posts.refuse(line, now_us),
            "error" if self.seats[index].way == Way::Joining => return Err(format!("join_{}", line.code)),
            "error" => self.error(format!("error_{}", line.code)),
            "bye" if self.job.reconnect => return Err("bye".to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn error(&mut self, kind: String) {
        *self.errors.entry(kind).or_default() += 1;
    }

    /// The connection is of no use any more. Before it was in, and where it shall come back, it is tried at the next hub.
    fn lost(&mut self, index: usize, why: &str) {
        let now_us = self.now_us();
        let seat = &mut self.seats[index];
        let was = std::mem::replace(&mut seat.way, Way::Away);
        (seat.socket, seat.inbox) = (None, Vec::new());
        match was {
            Way::Away => return,
            Way::Opening | Way::Joining => self.coming -= 1,
            Way::In => {
                self.joined -= 1;
                self.disconnects += 1;
                seat.lost_us = now_us;
                self.posts.is_out(index);
            }
        }
        if was == Way::In && !self.job.reconnect || was != Way::In && seat.lost_us == 0 {
            self.error(why.to_owned());
        }
        if self.job.reconnect || self.stage == Stage::Joining {
            let seat = &mut self.seats[index];
            // Those of one hub spread over all others.
            let hubs = self.job.targets.len();
            seat.target = (seat.target + 1 + index / hubs % (hubs - 1).max(1)) % hubs;
            let spread_us = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % COME_BACK_US;
            self.timers.push(Reverse((now_us + 50_000 + spread_us, index)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_back_is_waited_for_though_it_has_all() {
        let is_done = |way, last_seq, comes_back| {
            let (cursor, inbox) = (Cursor::counting(), Vec::new());
            Seat { socket: None, target: 0, way, cursor, inbox, lost_us: 0 }.is_done(last_seq, comes_back)
        };
        // It has event 0 and nothing more.
        assert_eq!((is_done(Way::In, 0, true), is_done(Way::In, 0, false)), (true, true));
        assert_eq!((is_done(Way::In, 1, true), is_done(Way::In, 1, false)), (false, false));
        assert_eq!((is_done(Way::Away, 0, true), is_done(Way::Joining, 0, true)), (false, false));
        assert_eq!((is_done(Way::Away, 0, false), is_done(Way::Away, 1, false)), (true, true));
    }
}
