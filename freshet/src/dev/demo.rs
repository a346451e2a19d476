//! Publishes the built-in clip to this machine's own origin, over real RTMP, for ever.
//!
//! clip (tags of 8 s) ──loop k: + k × 8 s──▶ Publisher ──RTMP──▶ origin
//!
//! The clip is a whole number of frames of either kind, so that the loop has neither gap nor overlap, and its timestamps
//! go on across the seam: nobody downstream can tell where it is. When an encoder takes the channel over, the clip
//! steps back until that broadcast has ended.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use freshet_media::{
    flv::{TagKind, file},
    rtmp::client::{Output, Publisher, Target},
};
use freshet_proto::{
    id::ChannelName,
    view::{ChannelState, View},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Made by `assets/make-demo.sh`.
const CLIP: &[u8] = include_bytes!("../../assets/demo.flv");
/// The clip's duration: 240 frames of video, 375 of audio.
const DURATION_MS: u64 = 8000;
/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the clip is published.
pub struct To {
    /// The origin's address.
    pub rtmp: SocketAddr,
    /// The stream key.
    pub key: String,
    /// The key's channel.
    pub channel: ChannelName,
}

/// Publishes until `stop` is cancelled; then it takes leave of the origin.
pub async fn publish(mut to: To, mut views: watch::Receiver<Arc<View>>, stop: CancellationToken) {
    let clip = match Clip::read(Bytes::from_static(CLIP)) {
        Ok(clip) => clip,
        Err(error) => return warn!(%error, "the built-in clip can't be read"),
    };
    if to.rtmp.ip().is_unspecified() {
        to.rtmp.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    loop {
        match play(&clip, &to, &stop).await {
            Ok(()) => return,
            Err(error) => info!(%error, "the demo clip stopped"),
        }
        sleep(PAUSE).await;
        let over = |view: &Arc<View>| {
            let state = view.channels.get(&to.channel).map(|channel| channel.state);
            matches!(state, None | Some(ChannelState::Idle | ChannelState::Ended))
        };
        if views.wait_for(over).await.is_err() {
            return;
        }
    }
}

/// One message and when it is due.
type Due = (u64, TagKind, Bytes);

/// The clip, taken apart.
struct Clip {
    /// Codec configurations, sent once.
    heads: Vec<(TagKind, Bytes)>,
    /// Frames with their milliseconds from the start.
    frames: Vec<Due>,
}

impl Clip {
    fn read(bytes: Bytes) -> Result<Self, file::FileError> {
        let mut clip = Self { heads: Vec::new(), frames: Vec::new() };
        for tag in file::Reader::new(bytes)? {
            let tag = tag?;
            // The second byte of AVC and AAC messages is 0 for a configuration (FLV E.4.2.1, E.4.3.1).
            match (tag.kind, tag.payload.get(1)) {
                (TagKind::Data, _) => {}
                (kind, Some(0)) => clip.heads.push((kind, tag.payload)),
                (kind, _) => clip.frames.push((tag.timestamp_ms.into(), kind, tag.payload)),
            }
        }
        Ok(clip)
    }

    /// The messages in order, without end; times go on across the seam.
    fn messages(&self) -> impl Iterator<Item = Due> {
        let heads = self.heads.iter().map(|(kind, payload)| (0, *kind, payload.clone()));
        let round =
            |k: u64| self.frames.iter().map(move |(at, kind, payload)| (k * DURATION_MS + at, *kind, payload.clone()));
        heads.chain((0..).flat_map(round))
    }
}

/// Connects, publishes, and plays until told to stop or something goes wrong.
async fn play(clip: &Clip, to: &To, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(to.rtmp).await.context("connecting")?;
    socket.set_nodelay(true)?;
    let mut publisher = Publisher::new(Target {
        app: "live".into(),
        tc_url: format!("rtmp://{}/live", to.rtmp),
        key: to.key.clone(),
        encoder: concat!("freshet/", env!("CARGO_PKG_VERSION")).into(),
    });
    let mut out = Vec::new();
    publisher.start(&mut out)?;
    let mut messages = clip.messages().peekable();
    let mut began: Option<Instant> = None;
    let mut input = [0; 4096];
    loop {
        for output in out.drain(..) {
            match output {
                Output::Send(bytes) => socket.write_all(&bytes).await.context("sending")?,
                Output::Started => began = Some(Instant::now()),
                Output::Refused { code, text } => bail!("{code}: {text}"),
                _ => {}
            }
        }
        let due = began.zip(messages.peek()).map(|(began, (at, ..))| began + Duration::from_millis(*at));
        tokio::select! {
            () = stop.cancelled() => {
                publisher.finish(&mut out)?;
                return flush(&mut socket, out).await;
            }
            read = socket.read(&mut input) => match read.context("reading")? {
                0 => bail!("the origin closed the connection"),
                length => publisher.handle(&input[..length], &mut out)?,
            },
            () = wait(due) => if let Some((at, kind, payload)) = messages.next() {
                // RTMP's 32 bits wrap after 49 days, which receivers unwrap.
                publisher.send(kind, at as u32, &payload, &mut out)?;
            },
        }
    }
}

async fn flush(socket: &mut TcpStream, out: Vec<Output>) -> anyhow::Result<()> {
    for output in out {
        if let Output::Send(bytes) = output {
            socket.write_all(&bytes).await?;
        }
    }
    Ok(socket.shutdown().await?)
}

async fn wait(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use freshet_media::{flv, output, pipeline};

    use super::*;

    #[test]
    fn the_loop_has_no_seam() {
        let clip = Clip::read(Bytes::from_static(CLIP)).unwrap();
        assert_eq!(clip.heads.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [TagKind::Video, TagKind::Audio]);
        for (kind, per_second, per_round) in [(TagKind::Video, 30.0, 240), (TagKind::Audio, 46.875, 375)] {
            let times: Vec<u64> =
                clip.messages().filter(|due| due.1 == kind).skip(1).take(3 * per_round).map(|due| due.0).collect();
            for (n, at) in times.iter().enumerate() {
                let exact = n as f64 * 1000.0 / per_second;
                assert!((*at as f64 - exact).abs() <= 0.5, "{kind:?} frame {n} is due at {at} ms instead of {exact}");
            }
        }
    }

    #[test]
    fn every_round_begins_with_a_keyframe_and_has_one_every_two_seconds() {
        let clip = Clip::read(Bytes::from_static(CLIP)).unwrap();
        let video = clip.frames.iter().filter(|due| due.1 == TagKind::Video);
        let keyframes: Vec<u64> = video.filter(|due| due.2[0] >> 4 == 1).map(|due| due.0).collect();
        assert_eq!(keyframes, [0, 2000, 4000, 6000]);
    }

    #[test]
    fn messages_never_go_back_in_time() {
        let clip = Clip::read(Bytes::from_static(CLIP)).unwrap();
        let times: Vec<u64> = clip.messages().take(2000).map(|due| due.0).collect();
        assert!(times.is_sorted());
    }

    #[test]
    fn three_rounds_package_into_whole_segments_of_two_seconds() {
        let clip = Clip::read(Bytes::from_static(CLIP)).unwrap();
        let start = pipeline::Start { epoch: 1, msn_base: 0, now_ms: 1_800_000_000_000 };
        let mut pipeline = pipeline::Pipeline::new(pipeline::PackagingConfig::default(), start);
        let (mut demuxer, mut media, mut made) = (flv::Demuxer::new(), Vec::new(), Vec::new());
        for (at, kind, payload) in clip.messages().take_while(|due| due.0 < 3 * DURATION_MS) {
            demuxer.parse(kind, at as u32, payload, &mut media).unwrap();
            for item in media.drain(..) {
                pipeline.push(start.now_ms + at, item, &mut made);
            }
        }
        let segments = made.iter().filter(|made| matches!(made, output::Output::Segment { .. })).count();
        let health = pipeline.health(start.now_ms + 3 * DURATION_MS);
        assert_eq!((segments, health.alerts, health.discontinuities), (2 * 11, vec![], 0));
    }
}
