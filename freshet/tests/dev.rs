//! `freshet dev` as a person starts it.

mod support;

use std::{os::unix::fs::PermissionsExt, path::Path};

use support::{Encoder, Freshet, get, newest_segment, number_after, run, text_with, until};

const FREE_PORTS: &str =
    "--http-port 0 --https-port 0 --rtmp-port 0 --rtmps-port 0 --quic-port 0 --admin-port 0 --log-format json";

/// Starts `freshet dev` with free ports and waits for `dev.json`.
async fn dev(data: &Path, more: &[&str]) -> (Freshet, serde_json::Value) {
    let data_arg = support::arg(data);
    let arguments: Vec<&str> =
        ["dev", "--data", &data_arg].into_iter().chain(FREE_PORTS.split(' ')).chain(more.iter().copied()).collect();
    let mut freshet = Freshet::start(&arguments);
    // First, for it tells the log of a process that does not come so far.
    freshet.logged(&["following the registry"]).await;
    let file = data.join("dev.json");
    // What an earlier process told may still be there for a moment.
    let told = until("dev.json", async || {
        let text = std::fs::read_to_string(&file).ok()?;
        let told: serde_json::Value = serde_json::from_str(&text).expect("dev.json is written whole");
        (told["pid"] == freshet.id()).then_some(told)
    })
    .await;
    (freshet, told)
}

fn url(told: &serde_json::Value, key: &str) -> String {
    told[key].as_str().unwrap_or_else(|| panic!("{key} in {told}")).to_owned()
}

#[tokio::test]
async fn the_demo_plays_over_the_seam_of_its_loop_without_a_discontinuity() {
    let dir = support::tempdir();
    let (mut freshet, told) = dev(dir.path(), &["--demo"]).await;
    let hls = url(&told, "hls_url");
    let index = text_with(&hls, "#EXT-X-STREAM-INF").await;
    assert!(index.contains("RESOLUTION=1280x720"), "{index}");
    let video = hls.replace("index.m3u8", "v0.m3u8");
    text_with(&video, "#EXT-X-PART:").await;
    // 12 s of media are one seam and a half.
    let playlist = until("12 s of video", async || {
        let playlist = get(&video).await.ok()?.text();
        let whole = playlist.lines().filter(|line| line.starts_with("#EXTINF:")).count();
        (whole >= 6).then_some(playlist)
    })
    .await;
    assert!(!playlist.contains("#EXT-X-DISCONTINUITY\n"), "{playlist}");
    assert!(!playlist.contains("GAP"), "{playlist}");
    let durations: Vec<&str> = playlist.lines().filter(|line| line.starts_with("#EXTINF:")).collect();
    assert!(durations.iter().all(|line| line.starts_with("#EXTINF:2.000")), "{durations:?}");
    let (_, segment) = newest_segment(&playlist).unwrap();
    let segment = get(&hls.replace("index.m3u8", &segment)).await.unwrap();
    assert_eq!(segment.status, 200);
    assert!(segment.body.windows(4).any(|four| four == b"moof"), "a segment has fragments");
    freshet.signal("INT").await;
    let (status, output) = freshet.ended().await;
    assert_eq!(status.code(), Some(0), "{}", freshet.log());
    assert!(output.contains("parts made"), "{output}");
}

#[tokio::test]
async fn the_demo_steps_back_for_an_encoder_and_comes_again_after_it() {
    let dir = support::tempdir();
    let short = ["--demo", "--set", "registry.end_grace_ms=500", "--set", "registry.reconnect_grace_ms=500"];
    let (mut freshet, told) = dev(dir.path(), &short).await;
    let is_demo = |line: &&str| line.contains("a publish began") && line.contains("\"encoder\":\"freshet/");
    let began = |log: &str| log.lines().filter(is_demo).count();
    freshet.logged(&["a publish began", "\"encoder\":\"freshet/"]).await;
    let mut encoder = Encoder::publish(&format!("{}/{}", url(&told, "rtmp_url"), url(&told, "stream_key")));
    freshet.logged(&["a publish began", "Lavf"]).await;
    freshet.logged(&["the demo clip stopped"]).await;
    let video = url(&told, "hls_url").replace("index.m3u8", "v0.m3u8");
    text_with(&video, "#EXTINF").await;
    assert_eq!(began(&freshet.log()), 1, "the demo does not fight with the encoder");
    encoder.0.start_kill().unwrap();
    encoder.ended().await;
    until("the demo to come again", async || (began(&freshet.log()) == 2).then_some(())).await;
}

#[tokio::test]
async fn programs_and_people_are_told_where_everything_listens() {
    let dir = support::tempdir();
    let (mut freshet, told) = dev(dir.path(), &["--channel", "ada"]).await;
    assert_eq!(told["channel"], "ada");
    for (key, scheme) in [
        ("http_url", "http"),
        ("https_url", "https"),
        ("rtmp_url", "rtmp"),
        ("rtmps_url", "rtmps"),
        ("hls_url", "http"),
    ] {
        let url = url(&told, key);
        assert!(url.starts_with(&format!("{scheme}://127.0.0.1:")) && !url.contains(":0/"), "{key}: {url}");
    }
    let page = get(&url(&told, "http_url")).await.unwrap();
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html"), "{}", page.head);
    assert_eq!(get(&format!("{}/_app/missing.js", url(&told, "http_url"))).await.unwrap().status, 404);
    let offline = get(&url(&told, "hls_url")).await.unwrap();
    assert_eq!(offline.status, 404, "a channel that nobody publishes to is not found");
    freshet.signal("INT").await;
    let (status, output) = freshet.ended().await;
    assert_eq!(status.code(), Some(0), "{}", freshet.log());
    for line in [url(&told, "rtmp_url"), url(&told, "stream_key"), "/c/ada".into(), "ffmpeg -re".into()] {
        assert!(output.contains(&line), "{line} in\n{output}");
    }
}

#[tokio::test]
async fn secrets_are_private_and_outlive_a_restart_and_old_addresses_do_not() {
    let dir = support::tempdir();
    let data = dir.path().join("data");
    let (freshet, first) = dev(&data, &[]).await;
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode(""), mode("stream.key"), mode("ca/ca.key"), mode("tls/viewers.key")],
        [0o700, 0o600, 0o600, 0o600]
    );
    drop(freshet);
    let certificate = std::fs::read(data.join("tls/viewers.pem")).unwrap();
    let process = format!("/proc/{}/comm", first["pid"]);
    until("the first process to be gone", async || std::fs::read(&process).is_err().then_some(())).await;
    let (_freshet, second) = dev(&data, &[]).await;
    assert_eq!(first["stream_key"], second["stream_key"]);
    assert_ne!(first["pid"], second["pid"]);
    assert_eq!(std::fs::read(data.join("tls/viewers.pem")).unwrap(), certificate, "a browser's exception stays good");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it_its_owner_and_the_flag() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, what) in [("--http-port", "HTTP"), ("--rtmp-port", "RTMP"), ("--https-port", "HTTPS")] {
        let dir = support::tempdir();
        let data = support::arg(dir.path());
        let mut arguments = vec!["dev", "--data", &data];
        arguments.extend(FREE_PORTS.split(' '));
        let at = arguments.iter().position(|argument| *argument == flag).unwrap();
        arguments[at + 1] = &port;
        let (code, _, error) = run(&arguments, &[]).await;
        assert_eq!(code, 1, "{error}");
        assert!(error.contains(&format!("freshet: {what} port {port} is taken by ")), "{error}");
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        assert!(error.contains(&format!("choose another with {flag}")), "{error}");
        assert!(!dir.path().join("dev.json").exists());
    }
}

#[tokio::test]
async fn the_operators_listener_tells_health_readiness_and_metrics() {
    let dir = support::tempdir();
    let (_freshet, told) = dev(dir.path(), &["--demo"]).await;
    let admin = url(&told, "admin_url");
    assert_eq!(get(&format!("{admin}/healthz")).await.unwrap().text(), r#"{"status":"ok"}"#);
    let ready = text_with(&format!("{admin}/readyz"), "\"status\":\"ready\"").await;
    for check in ["registry", "publishers", "view", "viewers"] {
        assert!(ready.contains(&format!("\"name\":\"{check}\"")), "{ready}");
    }
    text_with(&format!("{admin}/readyz"), "1 publishing").await;
    let metrics = text_with(&format!("{admin}/metrics"), "freshet_origin_messages_total{kind=\"video\"}").await;
    assert!(metrics.contains("# HELP freshet_origin_publishers"), "{metrics}");
    assert_eq!(number_after(&metrics.replace(' ', ":"), "freshet_origin_publishers:"), 1);
}
