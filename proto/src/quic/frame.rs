//! Streams as frames and payloads: what an asker reads and what an answerer writes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream};
use serde::{Serialize, de::DeserializeOwned};

use super::{QuicError, StreamCode};
use crate::{level::Level, message::MAX_FRAME};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name: the first DNS name of its certificate, vouched for by the CA. Empty for a stranger, who shows none.
    pub name: String,
    /// Where its packets came from when the connection was made.
    pub addr: SocketAddr,
    /// Which version of the protocol it understands on this connection: answer accordingly.
    pub level: Level,
}

impl Peer {
    /// Whether it shows no certificate.
    pub fn is_stranger(&self) -> bool {
        self.name.is_empty()
    }
}

/// Waits for `work`, but no longer than `limit`.
///
/// # Errors
/// That of `work`, or [`QuicError::Timeout`].
pub async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, QuicError>>) -> Result<T, QuicError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(QuicError::Timeout(limit)))
}

/// The answer to a request. Dropping it before its end tells the peer that the rest is not wanted.
///
/// No method has a deadline of its own: a dead connection ends within [`super::Tuning::idle`], and whoever wants an
/// answer sooner wraps the call in [`within`]. A call that was abandoned leaves the reader unusable.
#[derive(Debug)]
pub struct Reader {
    stream: RecvStream,
    connection: Connection,
}

impl Reader {
    pub(super) fn new(stream: RecvStream, connection: Connection) -> Self {
        Self { stream, connection }
    }

    /// The next frame, of at most `max` bytes.
    ///
    /// # Errors
    /// See [`QuicError`]; [`QuicError::Short`] also when the stream ends where the frame should begin.
    pub async fn read_frame<T: DeserializeOwned>(&mut self, max: usize) -> Result<T, QuicError> {
        self.next_frame(max).await?.ok_or(QuicError::Short { missing: LENGTH as u64 })
    }

    /// The next frame, of at most `max` bytes, or `None` when the stream has ended cleanly.
    ///
    /// # Errors
    /// See [`QuicError`].
    pub async fn next_frame<T: DeserializeOwned>(&mut self, max: usize) -> Result<Option<T>, QuicError> {
        next_frame(&mut self.stream, max).await
    }

    /// Exactly `length` bytes, copied once, from packets to one allocation that holds nothing else. Memory follows
    /// what has come, not what was announced. The caller checks `length` against its limit.
    ///
    /// # Errors
    /// See [`QuicError`].
    pub async fn read_payload(&mut self, length: u64) -> Result<Bytes, QuicError> {
        read_payload(&mut self.stream, length).await
    }

    /// The next at most `max` bytes as they come, not copied; `None` when the stream has ended cleanly. They share an
    /// allocation of up to 64 KB with other packets: pass them on, don't keep them.
    ///
    /// # Errors
    /// See [`QuicError`].
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, QuicError> {
        Ok(self.stream.read_chunk(max, true).await?.map(|chunk| chunk.bytes))
    }

    /// Waits for the clean end of the stream.
    ///
    /// # Errors
    /// [`QuicError::Trailing`] when there is more; see [`QuicError`].
    pub async fn expect_end(&mut self) -> Result<(), QuicError> {
        match self.read_chunk(1).await? {
            None => Ok(()),
            Some(_) => Err(QuicError::Trailing),
        }
    }

    /// The connection's round trip, as measured.
    pub fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }
}

/// Where a request's answer goes. Dropping it before [`Responder::finish`] resets the stream, so that an answer that
/// was cut off is never taken for a whole one.
#[derive(Debug)]
pub struct Responder {
    stream: SendStream,
    peer: Arc<Peer>,
    body: Bytes,
    finished: bool,
}

impl Responder {
    pub(super) fn new(stream: SendStream, peer: Arc<Peer>) -> Self {
        Self { stream, peer, body: Bytes::new(), finished: false }
    }

    pub(super) fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// What followed the request's frame; empty where nothing did, and when it was taken before.
    pub fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }

    /// Answers with this frame alone.
    ///
    /// # Errors
    /// As [`Responder::write_frame`] and [`Responder::finish`].
    pub async fn answer<T: Serialize>(mut self, message: &T) -> Result<(), QuicError> {
        self.write_frame(message).await?;
        self.finish().await
    }

    /// Who asks.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What waits on streams of a higher priority is sent before what waits on this one; 0 unless said otherwise.
    pub fn set_priority(&self, priority: i32) {
        let _ = self.stream.set_priority(priority);
    }

    /// Writes a frame; waits while the asker's window is full.
    ///
    /// # Errors
    /// [`QuicError::Reset`] when the asker has left; [`QuicError::TooLong`] beyond [`MAX_FRAME`].
    pub async fn write_frame<T: Serialize>(&mut self, message: &T) -> Result<(), QuicError> {
        let frame = frame(message)?;
        self.write_payload(frame).await
    }

    /// Writes bytes that a frame has announced, not copied; waits while the asker's window is full.
    ///
    /// # Errors
    /// [`QuicError::Reset`] when the asker has left.
    pub async fn write_payload(&mut self, payload: Bytes) -> Result<(), QuicError> {
        Ok(self.stream.write_chunk(payload).await?)
    }

    /// Says that this was all, and waits until the asker has it.
    ///
    /// # Errors
    /// [`QuicError::Reset`] when the asker left before.
    pub async fn finish(mut self) -> Result<(), QuicError> {
        self.finished = true;
        self.stream.finish().map_err(|_| QuicError::Reset(StreamCode::Unwanted))?;
        match self.stream.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(QuicError::Reset(code.into())),
            Err(quinn::StoppedError::ConnectionLost(error)) => Err(error.into()),
            Err(quinn::StoppedError::ZeroRttRejected) => Err(QuicError::Reset(StreamCode::Unwanted)),
        }
    }

    /// Gives the stream up and tells why.
    pub fn refuse(mut self, why: StreamCode) {
        self.finished = true;
        let _ = self.stream.reset(why.code());
    }

    /// Resolves when the asker has left or the connection is lost. Does not borrow the responder.
    pub fn left(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
        let stopped = self.stream.stopped();
        async move { drop(stopped.await) }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // quinn would finish the stream.
        if !self.finished {
            let _ = self.stream.reset(StreamCode::Failed.code());
        }
    }
}

/// How many bytes tell a frame's length.
const LENGTH: usize = 4;
/// How much memory an announced length may claim before anything has come.
const AHEAD: u64 = 64 << 10;

/// A frame on the wire: big-endian `u32` length, postcard.
///
/// # Errors
/// [`QuicError::TooLong`] beyond [`MAX_FRAME`].
pub fn frame<T: Serialize>(message: &T) -> Result<Bytes, QuicError> {
    let mut bytes = postcard::to_extend(message, vec![0; LENGTH]).map_err(QuicError::Malformed)?;
    let length = bytes.len() - LENGTH;
    if length > MAX_FRAME {
        return Err(QuicError::TooLong { length: length as u64, limit: MAX_FRAME as u64 });
    }
    bytes[..LENGTH].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(bytes.into())
}

pub(super) async fn next_frame<T: DeserializeOwned>(
    stream: &mut RecvStream,
    max: usize,
) -> Result<Option<T>, QuicError> {
    let mut length = [0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        match stream.read(&mut length[filled..]).await? {
            Some(read) => filled += read,
            None if filled == 0 => return Ok(None),
            None => return Err(QuicError::Short { missing: (LENGTH - filled) as u64 }),
        }
    }
    let length = u32::from_be_bytes(length);
    if length as usize > max {
        return Err(QuicError::TooLong { length: length.into(), limit: max as u64 });
    }
    let bytes = read_payload(stream, length.into()).await?;
    decode(&bytes).map(Some)
}

/// Reads what is in a frame.
///
/// # Errors
/// [`QuicError::Malformed`], [`QuicError::Trailing`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, QuicError> {
    match postcard::take_from_bytes(bytes).map_err(QuicError::Malformed)? {
        (message, []) => Ok(message),
        _ => Err(QuicError::Trailing),
    }
}

pub(super) async fn read_payload(stream: &mut RecvStream, length: u64) -> Result<Bytes, QuicError> {
    let mut bytes = BytesMut::with_capacity(length.min(AHEAD) as usize);
    let mut missing = length;
    while missing > 0 {
        let max = usize::try_from(missing).unwrap_or(usize::MAX);
        let chunk = stream.read_chunk(max, true).await?.ok_or(QuicError::Short { missing })?;
        missing -= chunk.bytes.len() as u64;
        make_room(&mut bytes, chunk.bytes.len(), length);
        bytes.extend_from_slice(&chunk.bytes);
    }
    Ok(bytes.freeze())
}

/// Grows by doubling, but never beyond the announced length, so that the whole payload fills its allocation.
fn make_room(bytes: &mut BytesMut, more: usize, length: u64) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let target = (bytes.capacity() * 2).max(needed).min(usize::try_from(length).unwrap_or(usize::MAX));
        bytes.reserve(target - bytes.len());
    }
}
