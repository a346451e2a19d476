//! The stub as a node: a channel `bench` that is always live.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use freshet_proto::{
    id::{ChannelName, Epoch, Msn, NodeId, SessionId, TrackName},
    message::{
        Constants, ContentType, FetchReply, FetchStatus, FollowEvent, PlaylistHeader, Request, Version, WatchEvent,
    },
    object::ResourceName,
    quic::{Handler, QuicError, Responder, StreamCode},
    view::{ChannelState, ChannelView, EpochView, NodeView, Role, View},
};

use super::content::{Content, INDEX, LIVE_MSN, Release};

const EPOCH: Epoch = Epoch(1);
const NODE: NodeId = NodeId(1);

/// Answers the node protocol.
pub struct Stub {
    /// What there is.
    pub content: Arc<Content>,
    /// What edges are told.
    pub view: View,
}

/// A view of one live channel on one origin.
pub fn view(quic: SocketAddr, server_name: &str) -> View {
    let channel: ChannelName = "bench".parse().expect("a legal name");
    let state = ChannelView {
        state: ChannelState::Live,
        session: Some(SessionId(1)),
        epochs: vec![EpochView { epoch: EPOCH, origin: NODE }],
    };
    let node = NodeView::new(Role::Origin, quic, server_name);
    let (channels, nodes) = ([(channel, state)].into(), [(NODE, node)].into());
    View { cluster: 1, revision: 1, channels, nodes, ..View::default() }
}

impl Handler for Stub {
    async fn handle(&self, request: Request, mut reply: Responder) -> Result<(), QuicError> {
        match request {
            Request::Fetch { name, .. } => {
                self.content.count(&name.to_string());
                self.fetch(&name, reply).await
            }
            Request::Follow { channel, track, after } => self.follow(&channel, track, after, reply).await,
            Request::Watch { .. } => {
                reply.write_frame(&WatchEvent::Snapshot(self.view.clone())).await?;
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    reply.write_frame(&WatchEvent::Bookmark(self.view.revision)).await?;
                }
            }
            _ => {
                reply.refuse(StreamCode::Unwanted);
                Ok(())
            }
        }
    }
}

impl Stub {
    async fn fetch(&self, name: &ResourceName, mut reply: Responder) -> Result<(), QuicError> {
        let body = match name {
            ResourceName::Object(object) => self.content.object(object).map(|body| (body, ContentType::VideoMp4)),
            ResourceName::Index(_) => Some((Bytes::from_static(INDEX.as_bytes()), ContentType::Playlist)),
            _ => None,
        };
        let status = if body.is_some() { FetchStatus::Found } else { FetchStatus::NotFound };
        let (body, content_type) = body.unwrap_or((Bytes::new(), ContentType::VideoMp4));
        let length = body.len() as u64;
        reply
            .write_frame(&FetchReply { status, length, content_type, age_ms: 0, fresh_ms: u64::MAX, parts: vec![] })
            .await?;
        reply.write_payload(body).await?;
        reply.finish().await
    }

    /// From the newest parts on; whoever follows again after a lost connection gets only what it lacks.
    async fn follow(
        &self,
        channel: &ChannelName,
        track: TrackName,
        after: Option<Version>,
        mut reply: Responder,
    ) -> Result<(), QuicError> {
        let mut newest = self.content.newest();
        let constants =
            Constants { session: SessionId(1), target_duration_ms: 4000, part_target_ms: 500, keep_ms: 60_000 };
        reply.write_frame(&FollowEvent::Constants(constants)).await?;
        if after.is_none() {
            self.send(&mut reply, channel, track, Sent::Init).await?;
        }
        let mut next = after.filter(|after| after.msn == Msn(LIVE_MSN)).map_or(0, |after| after.part + 1);
        loop {
            let target = *newest.borrow_and_update();
            while next <= target.part {
                self.send(&mut reply, channel, track, Sent::Part(next)).await?;
                next += 1;
            }
            self.playlist(&mut reply, target).await?;
            if newest.changed().await.is_err() {
                return reply.finish().await;
            }
        }
    }

    async fn send(
        &self,
        reply: &mut Responder,
        channel: &ChannelName,
        track: TrackName,
        what: Sent,
    ) -> Result<(), QuicError> {
        use freshet_proto::object::{Object, ObjectName};
        let object = match what {
            Sent::Init => Object::Init(0),
            Sent::Part(part) => Object::Part(Msn(LIVE_MSN), part),
        };
        let name = ObjectName { channel: channel.clone(), epoch: EPOCH, track, object };
        let body = self.content.object(&name).unwrap_or_default();
        let length = body.len() as u32;
        let event = match what {
            Sent::Init => FollowEvent::Init { epoch: EPOCH, n: 0, length },
            Sent::Part(part) => FollowEvent::Part { epoch: EPOCH, msn: Msn(LIVE_MSN), part, age_ms: 0, length },
        };
        reply.write_frame(&event).await?;
        reply.write_payload(body).await?;
        // Not before: who has stopped following, which shows only now, is sent nothing.
        self.content.count(&name.to_string());
        Ok(())
    }

    async fn playlist(&self, reply: &mut Responder, newest: Release) -> Result<(), QuicError> {
        let full = self.content.playlist(newest);
        let gz = gzip(full.as_bytes());
        let header = PlaylistHeader {
            version: Version { epoch: EPOCH, msn: Msn(LIVE_MSN), part: newest.part, edit: 0 },
            complete: Some(Msn(LIVE_MSN - 1)),
            complete_parts: 4,
            age_ms: 0,
            body: full.len() as u32,
            ended: false,
            full_gz: gz.len() as u32,
            delta_gz: 0,
        };
        reply.write_frame(&FollowEvent::Playlist(header)).await?;
        reply.write_payload(gz).await
    }
}

#[derive(Clone, Copy)]
enum Sent {
    Init,
    Part(u32),
}

fn gzip(bytes: &[u8]) -> Bytes {
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}
