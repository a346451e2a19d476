//! What encoders send that is out of the ordinary (AT-16, AT-17, AT-19, AT-20), and late.

mod common;

use std::{ops::Range, time::Duration};

use common::{
    BOUND, Heard, KEY, Plan, World, ada,
    encoder::{Encoder, clip, make_clip, only},
    world,
};
use freshet_media::flv::{TagKind, file::Tag};
use freshet_origin::Config;
use freshet_proto::{
    health::Uplink,
    id::TrackName,
    message::{Arrival, FollowEvent},
    view::ChannelState,
};
use tokio::time::{Instant, sleep_until, timeout};

async fn playlist_once(world: &World, track: &str, is_so: impl Fn(&str) -> bool) -> String {
    let mut follower = world.follow(track.parse().unwrap(), None).await;
    let found = async {
        loop {
            follower.until(|event| matches!(event, FollowEvent::Playlist(_))).await;
            let playlist = world.text(&format!("ada/{track}.m3u8")).await;
            if is_so(&playlist) {
                return playlist;
            }
        }
    };
    timeout(BOUND, found).await.unwrap_or_else(|_| panic!("the playlist of {track} never became so"))
}

#[tokio::test]
async fn at_16_a_stream_that_begins_between_keyframes_is_shown_from_its_first_keyframe() {
    let world = world().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let tags = clip().await;
    let first_idr = tags.iter().position(is_idr).unwrap();
    let begun: Vec<_> =
        tags.iter().enumerate().filter(|(at, _)| *at != first_idr).map(|(_, tag)| tag.clone()).collect();
    encoder.send_all(&begun).await;
    let playlist = playlist_once(&world, "v0", |playlist| playlist.contains("#EXT-X-PART:")).await;
    let first = playlist.lines().find(|line| line.starts_with("#EXT-X-PART:")).unwrap();
    assert!(first.contains("INDEPENDENT=YES"), "{playlist}");
}

/// A coded frame, not a configuration, that is a keyframe of H.264 (FLV E.4.3.1).
fn is_idr(tag: &Tag) -> bool {
    tag.kind == TagKind::Video && tag.payload.starts_with(&[0x17, 1])
}

#[tokio::test]
async fn at_17_a_stream_without_video_has_one_track_with_parts() {
    let mut world = world().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    // The metadata speaks of video all the same.
    encoder.send_all(&only(clip().await, &[TagKind::Audio, TagKind::Data])).await;
    let index = world.text("ada/index.m3u8").await;
    assert!(index.contains("a0.m3u8") && !index.contains("v0.m3u8"), "{index}");
    playlist_once(&world, "a0", |playlist| playlist.contains("#EXT-X-PART:")).await;
    world.until_state(ChannelState::Live).await;
    let event = world.follow("v0".parse().unwrap(), None).await.until(|event| *event == FollowEvent::Gone).await;
    assert_eq!(event.last().map(|heard| &heard.event), Some(&FollowEvent::Gone));
}

#[tokio::test]
async fn at_17_a_stream_without_audio_has_one_track() {
    let world = world().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    encoder.send_all(&only(clip().await, &[TagKind::Video])).await;
    let index = world.text("ada/index.m3u8").await;
    assert!(index.contains("v0.m3u8") && !index.contains("a0.m3u8"), "{index}");
}

#[tokio::test]
async fn at_17_video_that_comes_late_begins_another_session_on_the_same_connection() {
    let mut world = world().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let tags = clip().await;
    encoder.send_all(&only(tags, &[TagKind::Audio])).await;
    let first = world.until_state(ChannelState::Live).await;
    encoder.send_all(&common::encoder::shifted(tags, 6000)).await;
    let second = world.until(|channel| channel.session != first.session && channel.state == ChannelState::Live).await;
    assert_ne!(second.session, first.session);
    let index = world.text("ada/index.m3u8").await;
    assert!(index.contains("v0.m3u8") && index.contains("a0.m3u8"), "{index}");
}

#[tokio::test]
async fn at_19_a_group_of_pictures_without_end_is_cut_all_the_same() {
    let world = world().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let tags = make_clip(&["-g", "9999", "-keyint_min", "9999", "-sc_threshold", "0"]).await;
    let mut all = tags.clone();
    let frames: Vec<_> = tags.iter().filter(|tag| !is_idr(tag) && is_frame(tag)).cloned().collect();
    (1..6).for_each(|round| all.extend(common::encoder::shifted(&frames, round * 6000)));
    encoder.send_all(&all).await;
    let has_segments = |playlist: &str| playlist.lines().filter(|line| line.starts_with("#EXTINF:")).count() >= 2;
    let playlist = playlist_once(&world, "v0", has_segments).await;
    let number = |line: &str| line.trim_end_matches(',').parse::<f64>().unwrap();
    let target = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-TARGETDURATION:")).map(number).unwrap();
    let longest = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:")).map(number).fold(0.0, f64::max);
    assert!(target <= 10.0 && longest.round() <= target, "{playlist}");
}

/// A coded frame of either kind, not a configuration (FLV E.4.2.1, E.4.3.1).
fn is_frame(tag: &Tag) -> bool {
    tag.kind != TagKind::Data && tag.payload.get(1) == Some(&1)
}

#[tokio::test]
async fn at_20_a_codec_that_is_not_packaged_is_named_to_the_encoder() {
    let mut world = world().await;
    let sequence_start_of_hevc = [&[0x90][..], b"hvc1", &[0; 23]].concat();
    let opus = [&[0x90][..], b"Opus", b"OpusHead"].concat();
    for (kind, payload, name) in [(TagKind::Video, sequence_start_of_hevc, "HEVC"), (TagKind::Audio, opus, "Opus")] {
        let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
        assert!(encoder.send(&Tag { kind, timestamp_ms: 0, payload: payload.into() }).await);
        let told = encoder.told().await;
        assert!(told.text.contains(name) && told.text.contains("not supported"), "{}", told.text);
        encoder.closed().await;
        world.until_state(ChannelState::Grace).await;
    }
}

#[tokio::test]
async fn at_20_ffmpeg_sending_a_codec_that_is_not_packaged_is_told_which_and_exits() {
    // It looks for answers between the pictures that it sends, which are far apart on a busy machine.
    let config = Config { farewell_ms: 10_000, ..common::config() };
    let world = Plan { config, ..Plan::default() }.start().await;
    let (status, said) = common::tool::ffmpeg(&world.publish_url(), 60, &["-c:v", "flv1"]).exit().await;
    assert!(!status.success());
    assert!(said.contains("Sorenson") && said.contains("not supported"), "{said}");
}

/// Sends what the encoder makes between two times of its clip when it is due, that long after `begun`; how late that was at
/// most, as where the machine stood still.
async fn send_paced(encoder: &mut Encoder, tags: &[Tag], range: Range<u32>, begun: Instant) -> Duration {
    let mut behind = Duration::ZERO;
    for tag in tags.iter().filter(|tag| range.contains(&tag.timestamp_ms)) {
        let due = begun + Duration::from_millis(tag.timestamp_ms.into());
        sleep_until(due).await;
        behind = behind.max(due.elapsed());
        assert!(encoder.send(tag).await, "the origin closed");
    }
    behind
}

/// What is known of media that came on time and then waited at the encoder: the uplink before and after, and what followers
/// were told. Nothing where the machine stood still, so that all of it was late.
async fn late_media() -> Option<([Uplink; 2], Vec<Arrival>)> {
    const WAIT: Duration = Duration::from_millis(800);
    let world = world().await;
    let tags = clip().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let begun = Instant::now();
    let publish = async {
        let first = send_paced(&mut encoder, tags, 0..4700, begun).await;
        let on_time = world.origin.health()[&ada()].uplink;
        let second = send_paced(&mut encoder, tags, 4700..6000, begun + WAIT).await;
        let late = world.origin.health()[&ada()].uplink;
        (first.max(second) < WAIT / 4).then_some([on_time, late])
    };
    let follow = async {
        let mut follower = world.follow(TrackName::V0, None).await;
        let mut came = Vec::new();
        while came.last().is_none_or(|newest: &Arrival| newest.late_ms < 600) {
            let heard = follower.until(|event| matches!(event, FollowEvent::Playlist(_))).await;
            let [.., Heard { event: FollowEvent::Arrival(arrival), .. }, _] = &heard[..] else { panic!("no arrival") };
            came.push(*arrival);
        }
        came
    };
    let (uplinks, came) = tokio::join!(publish, timeout(BOUND, follow));
    Some((uplinks?, came.expect("versions")))
}

#[tokio::test]
async fn media_that_waits_at_the_encoder_is_known_to_be_late_and_the_way_from_it_is_measured() {
    let mut seen = None;
    for _ in 0..10 {
        seen = late_media().await;
        if seen.is_some() {
            break;
        }
    }
    let ([on_time, late], came) = seen.expect("a machine that does not stand still every few seconds");
    assert!(came.iter().all(|arrival| arrival.uplink_ms.is_some()), "{came:?}");
    // The machine may be busy, but not all the time.
    let least = came.iter().map(|arrival| arrival.late_ms).min();
    assert!(least < Some(300), "{came:?}");
    assert!(on_time.rtt_ms.is_some() && late.late_ms > on_time.late_ms, "{on_time:?} {late:?}");
}
