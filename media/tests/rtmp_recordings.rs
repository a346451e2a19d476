//! What real encoders sent, recorded byte for byte, and what comes of it: two seconds of 64x36 at 15 frames a second.
//!
//! ffmpeg 5.1 (`-f flv`), GStreamer 1.22's `rtmp2sink`, and its `rtmpsink`, which is librtmp, as OBS has it.

use freshet_media::{
    flv::Demuxer,
    frame::{Frame, Media, TrackId},
    rtmp::{
        Limits,
        server::{Output, Session},
    },
};

#[derive(Debug, Default, PartialEq)]
struct Played {
    news: Vec<String>,
    frames: Vec<(TrackId, u32, i32, bool, usize)>,
}

/// Plays a recording in pieces of `size` bytes and accepts the publish, as the server did then.
fn play(recording: &[u8], size: usize) -> Played {
    let mut session = Session::new(Limits::default());
    let mut demuxer = Demuxer::new();
    let mut played = Played::default();
    for piece in recording.chunks(size) {
        let mut out = Vec::new();
        session.handle(piece, &mut out).unwrap();
        for output in out {
            match output {
                Output::Publish(publish) => {
                    played.news.push(format!("{} {} {:?}", publish.app, publish.key, publish.query));
                    session.accept_publish(&mut Vec::new()).unwrap();
                }
                Output::Media { kind, timestamp_ms, payload } => {
                    let mut media = Vec::new();
                    demuxer.parse(kind, timestamp_ms, payload, &mut media).unwrap();
                    media.into_iter().for_each(|item| played.note(item));
                }
                Output::Unpublish => played.news.push("unpublish".into()),
                _ => {}
            }
        }
    }
    played
}

impl Played {
    fn note(&mut self, item: Media) {
        match item {
            Media::Frame(Frame { track, timestamp_ms, composition_ms, sync, data }) => {
                self.frames.push((track, timestamp_ms, composition_ms, sync, data.len()));
            }
            Media::Config(track, _) => self.news.push(format!("config {track}")),
            Media::Metadata(metadata) => self.news.push(metadata.encoder.unwrap_or_default()),
        }
    }

    fn count(&self, track: TrackId) -> usize {
        self.frames.iter().filter(|frame| frame.0 == track).count()
    }
}

/// The recording comes to the same however it is cut: byte by byte, and in pieces that never join the `publish` with
/// what the encoder sent after our answer.
fn played(recording: &[u8]) -> Played {
    let played = play(recording, 1);
    assert_eq!(play(recording, 7), played);
    played
}

#[test]
fn ffmpeg_publishes() {
    let played = played(include_bytes!("data/sessions/ffmpeg.rtmp"));
    assert_eq!(played.news, ["live key Some(\"x=1\")", "Lavf59.27.100", "config v0", "config a0", "unpublish"]);
    assert_eq!((played.count(TrackId::V0), played.count(TrackId::A0)), (30, 88));
    let syncs: Vec<_> =
        played.frames.iter().filter(|frame| frame.0 == TrackId::V0 && frame.3).map(|frame| frame.1).collect();
    assert_eq!(syncs, [0, 1000]);
}

#[test]
fn rtmp2sink_publishes() {
    let played = played(include_bytes!("data/sessions/rtmp2sink.rtmp"));
    assert_eq!(played.news, ["live gst None", "GStreamer 1.22.0 FLV muxer", "config v0", "config a0", "unpublish"]);
    assert_eq!((played.count(TrackId::V0), played.count(TrackId::A0)), (30, 81));
}

#[test]
fn librtmp_publishes() {
    let played = played(include_bytes!("data/sessions/librtmp.rtmp"));
    assert_eq!(played.news, ["live gst None", "GStreamer 1.22.0 FLV muxer", "config v0", "config a0", "unpublish"]);
    assert_eq!((played.count(TrackId::V0), played.count(TrackId::A0)), (30, 81));
}

#[test]
fn at_02_ffmpeg_passes_16777215_ms() {
    let played = played(include_bytes!("data/sessions/ffmpeg-16776s.rtmp"));
    let times: Vec<_> = played.frames.iter().filter(|frame| frame.0 == TrackId::V0).map(|frame| frame.1).collect();
    assert_eq!(times.len(), 30);
    assert!(times[0] < 0xFF_FFFF && times[29] > 0xFF_FFFF, "{times:?}");
    assert!(times.windows(2).all(|pair| (66..=68).contains(&(pair[1] - pair[0]))), "{times:?}");
}
