//! Where objects come from: the two verbs of the node protocol as the edge needs them.
//!
//! ```text
//! cache::fill ──fetch──▶ Upstream ──▶ FetchReply · chunks
//! follow      ──follow─▶ Upstream ──▶ { FollowEvent · payload }*
//! ```
//! The QUIC pool implements it; tests put an origin of their own in its place.

mod quic;

use std::{future::Future, net::SocketAddr, pin::Pin};

use bytes::Bytes;
use freshet_proto::{
    id::{ChannelName, TrackName},
    message::{FetchReply, FollowEvent, Version},
    object::ResourceName,
    view::NodeView,
};

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A node that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Where its QUIC endpoint listens.
    pub addr: SocketAddr,
    /// The name its certificate carries.
    pub server_name: String,
}

impl Peer {
    pub(crate) fn of(node: &NodeView) -> Self {
        Self { addr: node.quic, server_name: node.server_name.clone() }
    }
}

/// Why a node gave no answer. Never the viewer's doing; the remedy is to ask again, later or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the upstream node failed: {0}")]
pub struct UpstreamError(pub String);

/// Asks other nodes.
pub trait Upstream: Send + Sync + 'static {
    /// Fetches one resource. The body must be read to its end: only then is it known to be whole.
    fn fetch<'a>(
        &'a self,
        peer: &'a Peer,
        name: &'a ResourceName,
        list_parts: bool,
    ) -> BoxFuture<'a, Result<Fetched, UpstreamError>>;

    /// Follows one track from after version `after`, or from the beginning of its window.
    fn follow<'a>(
        &'a self,
        peer: &'a Peer,
        channel: &'a ChannelName,
        track: TrackName,
        after: Option<Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Events>, UpstreamError>>;
}

/// What a fetch answered.
pub struct Fetched {
    /// The header.
    pub reply: FetchReply,
    /// `reply.length` bytes.
    pub body: Box<dyn Chunks>,
}

/// A body as it arrives.
pub trait Chunks: Send {
    /// The next bytes; `None` at its clean end. A stream that is reset is an error, never an end.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamError>>;
}

/// What becomes of a followed track.
pub trait Events: Send {
    /// The next event and the payload whose length it tells; `None` at the stream's clean end. Not cancel-safe: a call
    /// that is dropped before it has returned may lose what it had read.
    /// The edge reads nothing more after [`FollowEvent::Ended`], [`FollowEvent::Moved`] or [`FollowEvent::Gone`].
    fn next(&mut self) -> BoxFuture<'_, Result<Option<(FollowEvent, Bytes)>, UpstreamError>>;
}
