//! `loadtest publish` against a server of a few lines: what arrives there, and how the run is judged.

use std::{process::Stdio, time::Duration};

use freshet_media::{
    flv::TagKind,
    rtmp::{
        Limits,
        server::{Output, Session},
    },
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
};

/// One second of 25 pictures a second.
const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../media/tests/data/x264-aac.flv");

/// What one publisher sent: its key and, of each video frame, the time.
type Published = (String, Vec<u32>);

/// Takes publishers; refuses those whose key ends in `1` where told to.
async fn serve(listener: TcpListener, refuse: bool, published: mpsc::Sender<Published>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(take(socket, refuse, published.clone()));
    }
}

async fn take(mut socket: TcpStream, refuse: bool, published: mpsc::Sender<Published>) {
    let mut session = Session::new(Limits::default());
    let (mut buffer, mut key, mut times) = (vec![0; 65_536], String::new(), Vec::new());
    while let Ok(length @ 1..) = socket.read(&mut buffer).await {
        let mut out = Vec::new();
        session.handle(&buffer[..length], &mut out).expect("a well-behaved publisher");
        let mut at = 0;
        while at < out.len() {
            match out[at].clone() {
                Output::Send(bytes) => socket.write_all(&bytes).await.expect("a publisher that reads"),
                Output::Publish(publish) => {
                    key = publish.key;
                    if refuse && key.ends_with('1') {
                        session.refuse_publish("unknown stream key", &mut out).expect("a refusal");
                    } else {
                        session.accept_publish(&mut out).expect("an answer");
                    }
                }
                Output::Media { kind: TagKind::Video, timestamp_ms, payload } if payload[1] == 1 => {
                    times.push(timestamp_ms);
                }
                Output::Unpublish => published.send((key.clone(), times.clone())).await.expect("a test that waits"),
                _ => {}
            }
            at += 1;
        }
    }
}

/// Runs three publishers for four seconds; returns the exit code, the report and what arrived.
async fn run(refuse: bool) -> (Option<i32>, Value, Vec<Published>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("rtmp://{}/live", listener.local_addr().expect("an address"));
    let (published, mut arrived) = mpsc::channel(16);
    let server = tokio::spawn(serve(listener, refuse, published));
    let command = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["publish", "--url", &url, "--key-template", "key-{:02}", "--count", "3", "--duration", "4"])
        .args(["--ramp", "1", "--json", "-", "--file", CLIP])
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), command).await.expect("an end").expect("a run");
    let expected = if refuse { 2 } else { 3 };
    let mut all = Vec::new();
    while all.len() < expected {
        let next = tokio::time::timeout(Duration::from_secs(10), arrived.recv()).await;
        all.push(next.expect("in time").expect("a publish"));
    }
    server.abort();
    all.sort();
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("a report in JSON"), all)
}

#[tokio::test]
async fn publishers_send_the_clip_over_and_over_with_times_that_rise() {
    let (code, report, arrived) = run(false).await;
    assert_eq!((code, &report["failures"]), (Some(0), &serde_json::json!([])));
    assert_eq!((&report["started"], &report["finished"]), (&3.into(), &3.into()));
    assert_eq!(arrived.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["key-00", "key-01", "key-02"]);
    for (key, times) in &arrived {
        // Past the seam, which is at one second.
        assert!(times.len() > 50, "{key} sent {} frames", times.len());
        let expected: Vec<u32> = (0..times.len() as u32).map(|frame| frame * 40).collect();
        assert_eq!(times, &expected, "{key}");
    }
}

#[tokio::test]
async fn a_run_fails_where_a_publisher_is_refused_and_says_why() {
    let (code, report, arrived) = run(true).await;
    assert_eq!(code, Some(1));
    assert_eq!(report["refused"], serde_json::json!({"NetStream.Publish.BadName: unknown stream key": 1}));
    assert_eq!(report["failures"], serde_json::json!(["1 publishers were refused"]));
    assert_eq!(arrived.len(), 2);
}
