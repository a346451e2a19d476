//! How a stream does and how its viewers fare, as a table: the API's JSON ──▶ lines.

use serde_json::Value;

/// One line for each matter, and at the end one for each thing to mend.
pub fn lines(told: &Value) -> Vec<String> {
    let (id, state) = (text(told, "id"), text(told, "state"));
    let health = &told["health"];
    if health.is_null() {
        return vec![format!("{id} is {state}; nothing was heard of its stream lately")];
    }
    let mut rows = vec![
        ("STATE", format!("{state}, session {}", text(told, "session"))),
        ("BITRATE", format!("{}; {} arrive", megabits(health), megabits(&health["uplink"]))),
    ];
    rows.extend(Some(&health["video"]).filter(|video| !video.is_null()).map(|of| ("VIDEO", video(of))));
    rows.extend(Some(&health["audio"]).filter(|audio| !audio.is_null()).map(|of| ("AUDIO", audio(of))));
    rows.push(("SKEW", skew(health["skew_ms"].as_i64().unwrap_or_default())));
    rows.push(("UPLINK", uplink(&health["uplink"])));
    let (dropped, repaired) = (&health["dropped_frames"], &health["repaired_frames"]);
    rows.push(("FRAMES", format!("{dropped} dropped, {repaired} repaired")));
    let (gaps, breaks) = (&health["gap_parts"], &health["discontinuities"]);
    rows.push(("VIEWERS SEE", format!("{gaps} missing parts, {breaks} discontinuities")));
    rows.extend(audience(&told["audience"]));
    rows.extend(
        health["alerts"].as_array().into_iter().flatten().map(|alert| ("TO MEND", text(alert, "advice").to_owned())),
    );
    rows.into_iter().map(|(matter, words)| format!("{matter:11}  {words}")).collect()
}

/// How viewers fare, all together and in each region; nothing where no player has told.
fn audience(told: &Value) -> Vec<(&'static str, String)> {
    let all = &told["all"];
    if all.is_null() {
        return Vec::new();
    }
    let rate = all["bitrate"].as_u64().map(|_| format!(", {} each", megabits(all))).unwrap_or_default();
    let (players, errors, frames) = (&all["players"], &all["errors"], &all["dropped_frames"]);
    let mut rows = vec![
        ("PLAYERS", format!("{players} report{rate}, errors: {errors}, frames not shown: {frames}")),
        ("BEHIND", spread(&all["latency_ms"])),
        ("BEGAN AFTER", spread(&all["startup_ms"])),
        ("STALLS", stood(all)),
    ];
    rows.extend(told["regions"].as_object().into_iter().flatten().map(|(name, fare)| {
        let name = if name.is_empty() { "unnamed" } else { name };
        let (players, behind) = (&fare["players"], spread(&fare["latency_ms"]));
        ("REGION", format!("{name}: {players} report; behind: {behind}; stalls: {}", stood(fare)))
    }));
    rows
}

/// The middle of some times, and what few exceed.
fn spread(of: &Value) -> String {
    match (of["median"].as_u64(), of["p95"].as_u64()) {
        (Some(median), Some(p95)) => format!("{}, 19 of 20 at most {}", seconds(median), seconds(p95)),
        _ => "not told".to_owned(),
    }
}

/// How often players had nothing to show, and for how long.
fn stood(of: &Value) -> String {
    let share = of["rebuffering_ratio"].as_f64().unwrap_or_default() * 100.0;
    let in_all = seconds(of["stalled_ms"].as_u64().unwrap_or_default());
    format!("{}, {in_all} in all, {share:.1} % of the time", of["stalls"])
}

fn video(of: &Value) -> String {
    let (codec, profile) = (text(of, "codec"), text(of, "profile"));
    let (width, height, rate) = (&of["width"], &of["height"], of["frame_rate"].as_f64().unwrap_or_default());
    let keyframes = match of["keyframe_interval_ms"].as_u64().unwrap_or_default() {
        0 => "one keyframe so far".to_owned(),
        ms => format!("a keyframe every {}", seconds(ms)),
    };
    format!("{codec} {profile} {width}x{height}, {}, {rate:.2} frames/s, {keyframes}", megabits(of))
}

fn audio(of: &Value) -> String {
    format!("{} {} Hz, {} channels, {}", text(of, "codec"), of["sample_rate"], of["channels"], megabits(of))
}

fn skew(ms: i64) -> String {
    let place = if ms < 0 { "behind" } else { "ahead of" };
    format!("video {} ms {place} audio", ms.unsigned_abs())
}

fn uplink(of: &Value) -> String {
    let ms = |key: &str| seconds(of[key].as_u64().unwrap_or_default());
    let stalls = match of["stalls"].as_u64() {
        Some(0) => "no stalls".to_owned(),
        _ => format!("stalls: {}, {} in all, {} the longest", of["stalls"], ms("stalled_ms"), ms("longest_stall_ms")),
    };
    let rtt = of["rtt_ms"].as_u64().map(|ms| format!("round trip {ms} ms, ")).unwrap_or_default();
    format!("{rtt}{} ms late, {stalls}", of["late_ms"].as_u64().unwrap_or_default())
}

fn megabits(of: &Value) -> String {
    format!("{:.2} Mbit/s", of["bitrate"].as_f64().unwrap_or_default() / 1e6)
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_that_does_badly_is_told_line_by_line() {
        let advice = "keyframes are 8.3 s apart: set a keyframe interval of 2 s in the encoder";
        let told = json!({ "id": "ada", "state": "live", "session": "42", "health": {
            "since_ms": 1_795_262_400_000u64, "bitrate": 3_128_000,
            "video": { "codec": "avc1.64001F", "profile": "High", "width": 1280, "height": 720, "bitrate": 3_000_000,
                       "frame_rate": 29.97, "keyframe_interval_ms": 8333 },
            "audio": { "codec": "mp4a.40.2", "sample_rate": 48000, "channels": 2, "bitrate": 128_000 },
            "uplink": { "bitrate": 2_900_000, "received_bytes": 1, "stalls": 2, "stalled_ms": 4250, "longest_stall_ms": 2350,
                        "rtt_ms": 41, "late_ms": 130 },
            "skew_ms": -12, "dropped_frames": 1, "repaired_frames": 3, "gap_parts": 4, "discontinuities": 5,
            "alerts": [{ "kind": "long_key_frame_interval", "advice": advice }] } });
        assert_eq!(
            lines(&told),
            [
                "STATE        live, session 42",
                "BITRATE      3.13 Mbit/s; 2.90 Mbit/s arrive",
                "VIDEO        avc1.64001F High 1280x720, 3.00 Mbit/s, 29.97 frames/s, a keyframe every 8.3 s",
                "AUDIO        mp4a.40.2 48000 Hz, 2 channels, 0.13 Mbit/s",
                "SKEW         video 12 ms behind audio",
                "UPLINK       round trip 41 ms, 130 ms late, stalls: 2, 4.2 s in all, 2.3 s the longest",
                "FRAMES       1 dropped, 3 repaired",
                "VIEWERS SEE  4 missing parts, 5 discontinuities",
                "TO MEND      keyframes are 8.3 s apart: set a keyframe interval of 2 s in the encoder",
            ]
        );
    }

    #[test]
    fn how_viewers_fare_is_told_together_and_by_region() {
        let fare = |players, median: Option<u64>| {
            let times = json!({ "count": players, "median": median, "p95": median.map(|ms| ms + 900) });
            json!({ "players": players, "startup_ms": { "count": 0, "median": null, "p95": null }, "latency_ms": times,
                    "bitrate": 3_128_000, "played_ms": 841_000, "stalled_ms": 1400, "stalls": 2, "rebuffering_ratio": 0.0017,
                    "errors": 1, "dropped_frames": 4 })
        };
        let regions = json!({ "": fare(1, None), "fra": fare(2, Some(1984)) });
        let told = json!({ "id": "ada", "state": "live", "health": {}, "audience": { "all": fare(3, Some(1984)), "regions": regions } });
        assert_eq!(
            lines(&told)[6..],
            [
                "PLAYERS      3 report, 3.13 Mbit/s each, errors: 1, frames not shown: 4",
                "BEHIND       1.9 s, 19 of 20 at most 2.8 s",
                "BEGAN AFTER  not told",
                "STALLS       2, 1.4 s in all, 0.2 % of the time",
                "REGION       unnamed: 1 report; behind: not told; stalls: 2, 1.4 s in all, 0.2 % of the time",
                "REGION       fra: 2 report; behind: 1.9 s, 19 of 20 at most 2.8 s; stalls: 2, 1.4 s in all, 0.2 % of the time",
            ]
        );
    }

    #[test]
    fn a_track_that_is_not_there_has_no_line_and_a_channel_that_is_not_live_one() {
        let told = json!({ "id": "ada", "state": "live", "health": { "video": null, "uplink": { "stalls": 0 } } });
        let lines_of = |told| lines(told).iter().map(|line| line[..11].trim().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines_of(&told), ["STATE", "BITRATE", "SKEW", "UPLINK", "FRAMES", "VIEWERS SEE"]);
        let told = json!({ "id": "ada", "state": "offline", "session": null, "health": null });
        assert_eq!(lines(&told), ["ada is offline; nothing was heard of its stream lately"]);
    }
}
