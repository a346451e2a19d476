//! The multivariant playlist of a session: which tracks there are and what it takes to play them (§4.4.6), and where a player
//! asks which edges have the same (§4.4.6.6, §7).

use std::fmt::Write;

use bytes::Bytes;

use crate::frame::TrackId;

/// The tracks of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Multivariant {
    /// Whether every segment starts with a frame from which decoding can begin (`EXT-X-INDEPENDENT-SEGMENTS`). To be
    /// denied where segments are cut inside a GOP because it is too long.
    pub independent_segments: bool,
    /// Video tracks, the one to begin with first. Each becomes a variant.
    pub video: Vec<VideoRendition>,
    /// Audio tracks, the default first. With video they form the group `audio`, else each becomes a variant.
    pub audio: Vec<AudioRendition>,
}

/// A video track as the multivariant playlist tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoRendition {
    /// The track.
    pub track: TrackId,
    /// RFC 6381, as in `avc1.64001f`.
    pub codecs: String,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Frames per 1,000 seconds, as in 29,970; 0 where it is unknown.
    pub frame_rate_milli: u32,
    /// Peak bits per second of any segment.
    pub bandwidth: u64,
    /// Mean bits per second.
    pub average_bandwidth: u64,
}

/// An audio track as the multivariant playlist tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioRendition {
    /// The track.
    pub track: TrackId,
    /// RFC 6381, as in `mp4a.40.2`.
    pub codecs: String,
    /// How many channels.
    pub channels: u8,
    /// Peak bits per second of any segment.
    pub bandwidth: u64,
    /// Mean bits per second.
    pub average_bandwidth: u64,
}

/// The pathway of whichever edge serves this playlist. Edges never rewrite a playlist, so it is the same at all of them: each
/// edge's steering manifest names the others as clones of this one.
const PATHWAY: &str = "here";

/// Renders the multivariant playlist, with URIs relative to `/live/{channel}/index.m3u8`.
///
/// A variant's `BANDWIDTH` includes the most demanding audio track that may accompany it (§4.4.6.2).
pub fn multivariant(tracks: &Multivariant) -> Bytes {
    let mut out = String::with_capacity(1024);
    out.push_str("#EXTM3U\n");
    if tracks.independent_segments {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let _ = writeln!(out, "#EXT-X-CONTENT-STEERING:SERVER-URI=\"steer.json\",PATHWAY-ID=\"{PATHWAY}\"");
    if tracks.video.is_empty() {
        for audio in &tracks.audio {
            variant(&mut out, audio.bandwidth, audio.average_bandwidth, &audio.codecs);
            let _ = write!(out, "\n{}.m3u8\n", audio.track);
        }
    } else {
        audio_group(&mut out, &tracks.audio);
        for video in &tracks.video {
            video_variant(&mut out, video, &tracks.audio);
        }
    }
    out.into()
}

fn audio_group(out: &mut String, group: &[AudioRendition]) {
    for (i, audio) in group.iter().enumerate() {
        let (name, default) = if i == 0 { ("Main".into(), "YES") } else { (format!("Audio {}", i + 1), "NO") };
        let _ = writeln!(
            out,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{name}\",DEFAULT={default},AUTOSELECT=YES,\
             CHANNELS=\"{}\",URI=\"{}.m3u8\"",
            audio.channels, audio.track
        );
    }
}

fn video_variant(out: &mut String, video: &VideoRendition, audio: &[AudioRendition]) {
    let bandwidth = audio.iter().map(|a| a.bandwidth).max().unwrap_or(0);
    let average = audio.iter().map(|a| a.average_bandwidth).max().unwrap_or(0);
    let mut codecs = video.codecs.clone();
    for (i, a) in audio.iter().enumerate() {
        if audio[..i].iter().all(|before| before.codecs != a.codecs) {
            codecs.push(',');
            codecs.push_str(&a.codecs);
        }
    }
    variant(out, video.bandwidth + bandwidth, video.average_bandwidth + average, &codecs);
    let _ = write!(out, ",RESOLUTION={}x{}", video.width, video.height);
    if video.frame_rate_milli > 0 {
        let _ = write!(out, ",FRAME-RATE={}.{:03}", video.frame_rate_milli / 1000, video.frame_rate_milli % 1000);
    }
    if !audio.is_empty() {
        out.push_str(",AUDIO=\"audio\"");
    }
    let _ = write!(out, "\n{}.m3u8\n", video.track);
}

fn variant(out: &mut String, bandwidth: u64, average: u64, codecs: &str) {
    let _ = write!(
        out,
        "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},AVERAGE-BANDWIDTH={average},PATHWAY-ID=\"{PATHWAY}\",CODECS=\"{codecs}\""
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video() -> VideoRendition {
        VideoRendition {
            track: TrackId::V0,
            codecs: "avc1.64001f".into(),
            width: 1280,
            height: 720,
            frame_rate_milli: 29_970,
            bandwidth: 3_000_000,
            average_bandwidth: 2_500_000,
        }
    }

    fn audio(index: u8) -> AudioRendition {
        let track = TrackId { index, ..TrackId::A0 };
        AudioRendition {
            track,
            codecs: "mp4a.40.2".into(),
            channels: 2,
            bandwidth: 140_000,
            average_bandwidth: 128_000,
        }
    }

    #[test]
    fn video_and_audio_are_one_variant_with_an_audio_group() {
        let tracks = Multivariant { independent_segments: true, video: vec![video()], audio: vec![audio(0), audio(1)] };
        assert_eq!(
            multivariant(&tracks),
            r#"#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-CONTENT-STEERING:SERVER-URI="steer.json",PATHWAY-ID="here"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a0.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio 2",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="a1.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3140000,AVERAGE-BANDWIDTH=2628000,PATHWAY-ID="here",CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio"
v0.m3u8
"#
        );
    }

    #[test]
    fn video_alone_names_no_audio() {
        let tracks = Multivariant { independent_segments: false, video: vec![video()], audio: vec![] };
        assert_eq!(
            multivariant(&tracks),
            r#"#EXTM3U
#EXT-X-CONTENT-STEERING:SERVER-URI="steer.json",PATHWAY-ID="here"
#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2500000,PATHWAY-ID="here",CODECS="avc1.64001f",RESOLUTION=1280x720,FRAME-RATE=29.970
v0.m3u8
"#
        );
    }

    #[test]
    fn audio_alone_is_a_variant_of_its_own() {
        let tracks = Multivariant { independent_segments: true, video: vec![], audio: vec![audio(0)] };
        assert_eq!(
            multivariant(&tracks),
            r#"#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-CONTENT-STEERING:SERVER-URI="steer.json",PATHWAY-ID="here"
#EXT-X-STREAM-INF:BANDWIDTH=140000,AVERAGE-BANDWIDTH=128000,PATHWAY-ID="here",CODECS="mp4a.40.2"
a0.m3u8
"#
        );
    }
}
