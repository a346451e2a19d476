//! Real media through the whole packager: what ffmpeg encodes comes out as it went in, and ffprobe finds no fault.

mod hour;
mod session;

use freshet_media::frame::{Frame, Media, TrackKind};
use session::{Encoded, Session, encode, ffprobe, first_moof, packets_of};

const GOP_2S: &[&str] = &["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"];

fn b_frames() -> Encoded {
    encode("b_frames", 12, &["-bf", "2", "-b_strategy", "0"], GOP_2S, true, true)
}

#[test]
fn every_packet_comes_out_at_its_time_with_its_bytes() {
    let encoded = b_frames();
    let session = Session::package(encoded.media(), 1_000_000);
    session.assert_video_is(&encoded, 0);
    session.assert_audio_is(&encoded, 60);
}

#[test]
fn ffprobe_reads_every_segment_and_the_whole_without_a_warning() {
    let encoded = b_frames();
    let session = Session::package(encoded.media(), 1_000_000);
    for track in ["v0", "a0"] {
        let count: usize =
            session.segments(track).iter().map(|segment| packets_of(track, &session.file(track, segment)).len()).sum();
        let whole = session.whole(track);
        assert_eq!(packets_of(track, &whole).len(), count, "{track}");
        let (_, complaints) = ffprobe(&whole, &["-show_streams"]);
        assert_eq!(complaints, "", "{track}");
    }
}

#[test]
fn every_segment_begins_with_a_keyframe_that_is_presented_at_its_first_decode_time() {
    let session = Session::package(b_frames().media(), 1_000_000);
    for segment in session.segments("v0") {
        let moof = first_moof(&segment);
        let sample = moof.traf[0].trun[0].samples.get(0).expect("a sample");
        assert_eq!((sample.flags, sample.cts), (Some(0x0200_0000), Some(0)), "segment {}", segment.msn);
    }
}

#[test]
fn an_hour_comes_out_packet_by_packet_as_it_went_in() {
    hour::check(&b_frames(), 3600, 0);
}

#[test]
fn at_03_no_packet_shows_that_timestamps_wrapped() {
    let encoded = b_frames();
    for start_ms in [0_u32.wrapping_sub(5000), 0x8000_0000 - 5000, 16_777_000] {
        hour::check(&encoded, 20, start_ms);
    }
}

#[test]
fn audio_alone_and_video_alone_are_clean() {
    for (name, video) in [("audio", false), ("video", true)] {
        let encoded = encode(name, 7, &[], GOP_2S, video, !video);
        let session = Session::package(encoded.media(), 1_000_000);
        let track = if video { "v0" } else { "a0" };
        assert!(session.segments(track).len() >= 3);
        assert_eq!(
            packets_of(track, &session.whole(track)).len(),
            encoded.frames(if video { TrackKind::Video } else { TrackKind::Audio }).len()
        );
    }
}

#[test]
fn at_08_zero_and_many_b_frames_are_clean() {
    for codec in [&["-bf", "0"][..], &["-bf", "4", "-x264-params", "b-pyramid=normal:ref=4"]] {
        let encoded = encode("bf", 7, codec, GOP_2S, true, true);
        Session::package(encoded.media(), 1_000_000).assert_video_is(&encoded, 0);
    }
}

#[test]
fn at_18_a_silent_frame_is_decoded_as_silence() {
    let encoded = encode("silence", 8, &[], GOP_2S, true, true);
    let is_lost = |frame: &Frame| frame.track.kind == TrackKind::Audio && (3000..3400).contains(&frame.timestamp_ms);
    let media = encoded.media().into_iter().filter(|media| !matches!(media, Media::Frame(frame) if is_lost(frame)));
    let session = Session::package(media.collect(), 1_000_000);
    let whole = session.whole("a0");
    let untouched = Session::package(encoded.media(), 1_000_000).whole("a0");
    assert_eq!(packets_of("a0", &whole).len(), packets_of("a0", &untouched).len());
    let (log, complaints) = session::silences(&whole);
    assert_eq!(complaints, "");
    assert_eq!(log.matches("silence_start").count(), 1, "{log}");
}
