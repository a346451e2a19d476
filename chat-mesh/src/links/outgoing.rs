//! Where a hub speaks to another: a queue for each lane, and the streams that empty them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use freshet_proto::quic::{QuicError, Responder, frame, within};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};

use super::{BATCH, BATCH_BYTES, MAX_BULK_BYTES, MAX_LANE_BYTES, STALL, WRITE_BYTES};
use crate::mesh::{Lane, Message};

/// See the module.
pub(super) struct Outgoing {
    link: u64,
    lanes: Mutex<Lanes>,
    /// Something is to be written, or it is over; one for each lane.
    news: BTreeMap<Lane, Notify>,
}

#[derive(Default)]
struct Lanes {
    queues: BTreeMap<Lane, Queue>,
    closed: bool,
}

/// What waits in one lane.
#[derive(Default)]
struct Queue {
    bytes: BytesMut,
    /// How many of them were not asked for at once.
    flow: usize,
    urgent: bool,
    open: bool,
}

impl Outgoing {
    pub fn new(link: u64) -> Self {
        let news = Lane::all().map(|lane| (lane, Notify::new())).collect();
        Self { link, lanes: Mutex::default(), news }
    }

    pub fn link(&self) -> u64 {
        self.link
    }

    /// A stream for this lane is there; whether all are, for the first time.
    pub fn open(&self, lane: Lane) -> bool {
        let mut lanes = self.lanes();
        let was_open = std::mem::replace(&mut lanes.queues.entry(lane).or_default().open, true);
        !was_open && lanes.is_whole()
    }

    pub fn is_whole(&self) -> bool {
        self.lanes().is_whole()
    }

    /// Ends it; whether it had not ended before.
    pub fn close(&self) -> bool {
        let was_closed = std::mem::replace(&mut self.lanes().closed, true);
        self.news.values().for_each(Notify::notify_one);
        !was_closed
    }

    /// Says something, or ends the link where too much waits already.
    pub fn push(&self, lane: Lane, message: &Message) {
        let Ok(bytes) = frame(message) else {
            return warn!("something is too long to be said to another hub");
        };
        let is_behind = {
            let mut lanes = self.lanes();
            let queue = lanes.queues.entry(lane).or_default();
            queue.bytes.extend_from_slice(&bytes);
            queue.urgent |= message.is_urgent();
            queue.flow += if message.is_bulk() { 0 } else { bytes.len() };
            // One message alone may be longer.
            queue.flow > MAX_LANE_BYTES && queue.flow > bytes.len() || queue.bytes.len() > MAX_BULK_BYTES
        };
        if is_behind {
            debug!("a hub does not keep up");
            self.close();
        } else if let Some(news) = self.news.get(&lane) {
            news.notify_one();
        }
    }

    /// Writes a lane until the link ends.
    pub async fn write(&self, lane: Lane, mut reply: Responder) -> Result<(), QuicError> {
        reply.set_priority(match lane {
            Lane::Control => 2,
            Lane::Submit => 1,
            Lane::Relay(_) => 0,
        });
        within(STALL, reply.write_frame(&())).await?;
        let left = reply.left();
        tokio::pin!(left);
        loop {
            let batch = tokio::select! {
                biased;
                () = &mut left => return Ok(()),
                batch = self.next(lane) => batch,
            };
            let Some(batch) = batch else { return Ok(()) };
            within(STALL, reply.write_payload(batch)).await?;
        }
    }

    /// What is to be written next; `None` when the link is over.
    async fn next(&self, lane: Lane) -> Option<Bytes> {
        let news = self.news.get(&lane)?;
        let mut leaves = None;
        loop {
            let ready = {
                let mut lanes = self.lanes();
                if lanes.closed {
                    return None;
                }
                let queue = lanes.queues.entry(lane).or_default();
                match queue.bytes.is_empty() {
                    true => None,
                    false => Some(queue.urgent || queue.bytes.len() >= BATCH_BYTES),
                }
            };
            match ready {
                None => news.notified().await,
                Some(true) => break,
                Some(false) => {
                    let leaves = *leaves.get_or_insert_with(|| Instant::now() + BATCH);
                    tokio::select! {
                        biased;
                        () = sleep_until(leaves) => break,
                        () = news.notified() => {}
                    }
                }
            }
        }
        let mut lanes = self.lanes();
        let queue = lanes.queues.entry(lane).or_default();
        let length = queue.bytes.len().min(WRITE_BYTES);
        if length == queue.bytes.len() {
            (queue.urgent, queue.flow) = (false, 0);
        }
        Some(queue.bytes.split_to(length).freeze())
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    fn is_whole(&self) -> bool {
        !self.closed && Lane::all().all(|lane| self.queues.get(&lane).is_some_and(|queue| queue.open))
    }
}
