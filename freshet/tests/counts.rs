//! Viewers at two edges, counted by the platform and by themselves.
//!
//! The viewers are those of `loadtest`, which a build of the workspace puts beside `freshet`.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Encoder, platform::Platform, text_with, until};
use tokio::process::Command;

const VIEWERS: u64 = 300;

/// What `loadtest view` reports, and whether it is content.
async fn view(urls: &[String], more: &str) -> (bool, Value) {
    let loadtest = Path::new(env!("CARGO_BIN_EXE_freshet")).with_file_name("loadtest");
    assert!(loadtest.exists(), "{} is missing: cargo build --bin loadtest", loadtest.display());
    let viewers = VIEWERS.to_string();
    let mut command = Command::new(loadtest);
    command.arg("view").args(urls).args(["-n", &viewers, "--tracks", "audio", "--json", "-"]);
    let output = command.args(more.split(' ')).kill_on_drop(true).output().await.expect("it runs");
    let report = serde_json::from_slice(&output.stdout);
    (output.status.success(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

#[tokio::test]
async fn the_platform_counts_viewers_at_two_edges_as_they_count_themselves() {
    let platform = Platform::found(1).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let origin = platform.join("origin", "origin-1").await;
    let edges = [platform.join("edge", "edge-1").await, platform.join("edge", "edge-2").await];
    let _encoder = Encoder::publish(&format!("rtmp://{}/live/{key}", origin.field("rtmp")));
    let mut urls = Vec::new();
    for edge in &edges {
        let live = format!("http://{}/live/ada", edge.field("http"));
        text_with(&format!("{live}/v0.m3u8"), "#EXTINF").await;
        urls.push(format!("{live}/index.m3u8"));
    }
    let viewers = format!("http://{}/api/streams/ada/viewers", edges[0].field("http"));
    until("a count", async || support::get(&viewers).await.ok().filter(|answer| answer.status == 200)).await;

    let (content, report) = view(&urls, "--ramp 2 --duration 20 --check-count=100").await;
    let count = &report["count"];
    assert!(content, "{report:#}");
    // While they come the count is behind, by how much the machine decides; not when it is still.
    assert!(count["steady_deviation_percent"].as_f64().is_some_and(|percent| percent <= 2.0), "{report:#}");
    // The platform may count one or two more: this test itself has looked at each edge's playlist, without a token.
    assert_eq!(count["most"], VIEWERS, "{report:#}");
    assert!(count["steady_samples"].as_u64() > Some(3), "{report:#}");
}
