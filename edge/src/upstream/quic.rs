//! The QUIC pool as the edge's upstream.

use bytes::Bytes;
use freshet_proto::{
    id::{ChannelName, TrackName},
    message::{FetchReply, FollowEvent, MAX_OBJECT, Request, Version},
    object::ResourceName,
    quic::{Pool, QuicError, Reader},
};

use super::{BoxFuture, Chunks, Events, Fetched, Peer, Upstream, UpstreamError};

/// The longest header of a fetch or event: a list of parts is the longest thing in one.
const MAX_HEADER: usize = 256 << 10;

/// How much of a body is taken at once.
const CHUNK: u64 = 64 << 10;

impl From<QuicError> for UpstreamError {
    fn from(error: QuicError) -> Self {
        Self(error.to_string())
    }
}

impl Upstream for Pool {
    fn fetch<'a>(
        &'a self,
        peer: &'a Peer,
        name: &'a ResourceName,
        list_parts: bool,
    ) -> BoxFuture<'a, Result<Fetched, UpstreamError>> {
        Box::pin(async move {
            let request = Request::Fetch { name: name.clone(), list_parts };
            let mut reader = self.request(peer.addr, &peer.server_name, &request).await?;
            let reply: FetchReply = reader.read_frame(MAX_HEADER).await?;
            let left = reply.length;
            Ok(Fetched { reply, body: Box::new(Body { reader, left, ended: false }) })
        })
    }

    fn follow<'a>(
        &'a self,
        peer: &'a Peer,
        channel: &'a ChannelName,
        track: TrackName,
        after: Option<Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Events>, UpstreamError>> {
        Box::pin(async move {
            let request = Request::Follow { channel: channel.clone(), track, after };
            let reader = self.request(peer.addr, &peer.server_name, &request).await?;
            Ok(Box::new(Stream(reader)) as Box<dyn Events>)
        })
    }
}

struct Body {
    reader: Reader,
    left: u64,
    ended: bool,
}

impl Chunks for Body {
    /// In pieces of its own, for what shares its memory with other packets would keep more than itself in the cache.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamError>> {
        Box::pin(async move {
            if self.left > 0 {
                let piece = self.reader.read_payload(self.left.min(CHUNK)).await?;
                self.left -= piece.len() as u64;
                return Ok(Some(piece));
            }
            if !std::mem::replace(&mut self.ended, true) {
                self.reader.expect_end().await?;
            }
            Ok(None)
        })
    }
}

struct Stream(Reader);

impl Events for Stream {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<(FollowEvent, Bytes)>, UpstreamError>> {
        Box::pin(async move {
            let Some(event) = self.0.next_frame::<FollowEvent>(MAX_HEADER).await? else { return Ok(None) };
            let length = payload_len(&event);
            if length > MAX_OBJECT {
                return Err(UpstreamError(format!("a payload of {length} bytes is too long")));
            }
            let payload = if length == 0 { Bytes::new() } else { self.0.read_payload(length).await? };
            Ok(Some((event, payload)))
        })
    }
}

/// How many bytes follow an event.
fn payload_len(event: &FollowEvent) -> u64 {
    match event {
        FollowEvent::Init { length, .. } | FollowEvent::Part { length, .. } => u64::from(*length),
        FollowEvent::Playlist(header) => u64::from(header.full_gz) + u64::from(header.delta_gz),
        _ => 0,
    }
}
