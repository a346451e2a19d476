//! One log of ready-made frames per channel and wire format, and many sockets that read it.
//!
//! ```text
//!                          ┌─ shard (a task per core) ─ cursor ─▶ socket
//! Log::append ──▶ ring ────┤                          └ cursor ─▶ socket
//!  (encoded once)          └─ shard ───────────────────── cursor ─▶ socket ◀── Connection::send: one's own frames
//! ```
//! A reader is a cursor: no queue, no reference count and no copy per reader and message. A flush copies what is new
//! out of the ring once per shard (so that no socket is written to under the log's lock, and a write is one piece also
//! across the ring's seam), and then costs one system call per reader, however many frames there are. With TLS it is
//! one record's worth of encryption per reader.
//!
//! Who reads slower than is said costs nothing but its cursor, and half a frame. Once that has fallen off the ring, or
//! is older than [`Config::patience`], the reader is told a [`Gap`] and goes on at the head. Nobody waits for it.
//!
//! What may wait where, and who loses: a log holds [`Config::log_bytes`] and [`Config::log_frames`] (its slowest readers
//! get gaps); a connection's own frames [`MAX_PRIVATE_BYTES`] in [`MAX_ORDERS`] (it is ended); a socket that takes
//! nothing for [`Config::stall`] is ended; beyond [`Config::connections`] nobody is taken.
//!
//! A hub does this:
//! ```no_run
//! # async fn hub(socket: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! use bytes::BytesMut;
//! use freshet_chat_mesh::{fanout::{Config, Fanout, Haste, Sink, read, tune}, ws::encode};
//!
//! let fanout = Fanout::new(Config::default()); // within a tokio runtime: it spawns the shards
//! let log = fanout.log(1, |gap| encode::text(&format!(r#"{{"gap":{}}}"#, gap.missed())));
//!
//! tune(&socket)?;
//! let (mut reader, writer) = socket.into_split();
//! let connection = fanout.connect(Sink::tcp(writer))?;
//! connection.send(encode::text(r#"{"joined":"ada"}"#))?;
//! connection.subscribe(&log, log.last(100))?; // or log.cursor_of(resume)
//!
//! log.append(&encode::text("hello"), 1, 2, Haste::Batched)?;
//!
//! let mut input = BytesMut::new();
//! tokio::select! {
//!     read = read(&mut reader, &mut input) => { /* ws::Peer::receive(&mut input) … */ }
//!     why = connection.ended() => { /* gone, too slow, … */ }
//! }
//! # Ok(()) }
//! ```

mod conn;
mod connection;
mod log;
mod ring;
mod shard;
mod sink;
mod stats;

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use tokio::{task::coop::unconstrained, time::Duration};

use self::{
    connection::Member,
    ring::Ring,
    shard::{Door, Shard},
    stats::Counters,
};
pub use self::{
    connection::{Connection, Ended, MAX_LOGS, MAX_ORDERS, MAX_PRIVATE_BYTES, OrderError},
    log::{Haste, Log},
    ring::AppendError,
    sink::{Sink, UNSENT_BYTES, read, tune},
    stats::Stats,
};

/// Where a reader stands in a log: always between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Bytes since the log began.
    at: u64,
    /// The number of the next event.
    seq: u64,
}

impl Cursor {
    /// The number of the event that a reader here gets next.
    pub fn next_seq(self) -> u64 {
        self.seq
    }
}

/// Whom a frame is not for: readers that subscribed under the same mark ([`Connection::subscribe_as`]) pass over it. IRC
/// needs this, where nobody is told what they said themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(Arc<str>);

impl Mark {
    /// The mark of this name. Whoever knows the name of another reader can hide frames from it: say whose it is, too.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

/// Events that a reader did not get, because it was too slow or asked for what was gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The number of the first event that is missing.
    pub first: u64,
    /// The number of the next event that it will get.
    pub next: u64,
}

impl Gap {
    /// How many numbers are missing. 0 where only frames without a number are.
    pub fn missed(self) -> u64 {
        self.next.saturating_sub(self.first)
    }
}

/// How the fan-out behaves.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Tasks that write, each to its share of the connections. 0: as many as the process has cores.
    pub shards: usize,
    /// Connections at most, over all shards.
    pub connections: usize,
    /// Bytes that a log holds at most. It begins with 4 KiB.
    pub log_bytes: usize,
    /// Frames that a log holds at most, whatever their size; each costs 48 bytes beside it.
    pub log_frames: usize,
    /// How long a shard waits between two flushes: fewer writes for more milliseconds. [`Haste::Now`] does not wait.
    pub tick: Duration,
    /// How far behind, in time, a reader may be that can't keep up. Further: a gap.
    pub patience: Duration,
    /// How long a socket may take nothing while there is something for it.
    pub stall: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shards: 0,
            connections: 200_000,
            log_bytes: 1 << 20,
            log_frames: 2048,
            tick: Duration::ZERO,
            patience: Duration::from_secs(3),
            stall: Duration::from_secs(30),
        }
    }
}

/// Nobody more is taken. Ours; the client may try another hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} connections are open, the most that are taken")]
pub struct Full(pub usize);

/// See the module. Dropping it ends all connections.
pub struct Fanout {
    config: Config,
    doors: Vec<Arc<Door>>,
    counters: Vec<Arc<Counters>>,
    next_shard: AtomicUsize,
    next_log: AtomicU64,
}

impl Fanout {
    /// Starts the shards.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(config: Config) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let shards = if config.shards == 0 { cores() } else { config.shards };
        let doors: Vec<Arc<Door>> = (0..shards).map(|_| Arc::default()).collect();
        let counters: Vec<Arc<Counters>> = (0..shards).map(|_| Arc::default()).collect();
        for (number, (door, counters)) in doors.iter().zip(&counters).enumerate() {
            let shard = Shard::new(number, Arc::clone(door), config, Arc::clone(counters));
            // tokio's budget would refuse a socket after 128 writes; the shard gives way by itself.
            tokio::spawn(unconstrained(shard.run()));
        }
        Self { config, doors, counters, next_shard: AtomicUsize::new(0), next_log: AtomicU64::new(0) }
    }

    /// A log whose first event will be `first_seq`. `gap` makes the frame that tells a reader what it missed; an empty one
    /// tells nothing.
    pub fn log(&self, first_seq: u64, gap: impl Fn(Gap) -> Bytes + Send + Sync + 'static) -> Log {
        let ring = Ring::new(first_seq, self.config.log_bytes, self.config.log_frames);
        Log::new(self.next_log.fetch_add(1, Relaxed), ring, Box::new(gap), &self.doors)
    }

    /// Takes a socket's writing half. It reads nothing until it is subscribed to a log.
    ///
    /// # Errors
    /// Where [`Config::connections`] are open.
    pub fn connect(&self, sink: Sink) -> Result<Connection, Full> {
        if self.connections() >= self.config.connections {
            return Err(Full(self.config.connections));
        }
        let n = self.next_shard.fetch_add(1, Relaxed) % self.doors.len();
        self.counters[n].connections.fetch_add(1, Relaxed);
        let member = Arc::new(Member::new(Arc::clone(&self.doors[n])));
        self.doors[n].arrive(Arc::clone(&member), sink);
        Ok(Connection(member))
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.counters.iter().map(|counters| counters.connections.load(Relaxed)).sum()
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for counters in &self.counters {
            counters.add(&mut stats);
        }
        stats
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        for door in &self.doors {
            door.stop();
        }
    }
}
