//! `loadtest view` against made-up servers: one that behaves, and some that do not.
#![allow(clippy::disallowed_methods)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

fn loadtest(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(args).stdin(Stdio::null());
    command
}

fn view(url: &str, more: &[&str]) -> (Output, serde_json::Value) {
    let args = [&["view", url, "-n", "20", "--ramp", "1", "--duration", "4", "--json", "-"], more].concat();
    let output = loadtest(&args).output().expect("loadtest runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, report)
}

/// The stub, ended with the test.
struct Stub(Child, String);

impl Stub {
    fn start() -> Self {
        let mut child = loadtest(&["stub"]).stdout(Stdio::piped()).spawn().expect("the stub starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        let addresses: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        Self(child, addresses["http"].as_str().expect("an address").to_owned())
    }

    fn release(&self) {
        let mut stream = TcpStream::connect(&self.1).expect("the stub listens");
        stream.write_all(b"POST /release HTTP/1.1\r\nHost: stub\r\nConnection: close\r\n\r\n").expect("it reads");
        stream.read_to_end(&mut Vec::new()).expect("it answers");
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn viewers_follow_a_stream_and_are_counted() {
    let stub = Stub::start();
    let releases = thread::scope(|scope| {
        let viewers = scope.spawn(|| view(&format!("http://{}/live/bench/index.m3u8", stub.1), &["--hash-every", "2"]));
        let mut releases = 0;
        while !viewers.is_finished() {
            stub.release();
            releases += 1;
            thread::sleep(std::time::Duration::from_millis(500));
        }
        let (output, report) = viewers.join().expect("no panic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(report["joined"], 20);
        assert!(report["parts"].as_u64() > Some(60), "{report:#}");
        assert!(report["part_delay_ms"]["samples"].as_u64() > Some(40), "{report:#}");
        assert!(report["bodies_compared"].as_u64() > Some(20), "{report:#}");
        assert_eq!(report["failures"].as_array().map(Vec::len), Some(0));
        releases
    });
    assert!(releases > 4);
}

#[test]
fn nobody_to_follow_is_an_error_that_says_so() {
    // Nobody listens on this port, which no test is given.
    let (output, _) = view("http://127.0.0.1:1/live/bench/index.m3u8", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("refused"), "{output:?}");
    let (output, _) = view("http://192.0.2.1/live/bench/index.m3u8", &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback"), "{output:?}");
}

static BODIES: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_server_that_sends_differing_bodies_fails_the_run() {
    let address = serve(|path, count| match path {
        "/live/x/index.m3u8" => "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n".to_owned(),
        path if path.contains(".m3u8") => playlist(count.min(3)),
        _ => format!("body number {:09}", BODIES.fetch_add(1, Ordering::Relaxed)),
    });
    let (output, report) = view(&format!("http://{address}/live/x/index.m3u8"), &["--hash-every", "1"]);
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert!(report["failures"].to_string().contains("differs"), "{report:#}");
}

#[test]
fn viewers_that_are_sent_on_watch_there_and_what_they_get_is_compared_whatever_their_path() {
    static TOKENS: AtomicU64 = AtomicU64::new(0);
    let address = serve(|path, count| match path {
        "/live/x/index.m3u8" => format!("> /p/{}/live/x/index.m3u8", TOKENS.fetch_add(1, Ordering::Relaxed)),
        path if !path.starts_with("/p/") => String::new(),
        path if path.ends_with("index.m3u8") => "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n".to_owned(),
        path if path.contains(".m3u8") => playlist(count.min(3)),
        _ => "the same for all".to_owned(),
    });
    let (_, report) = view(&format!("http://{address}/live/x/index.m3u8"), &["--hash-every", "1"]);
    assert_eq!(report["joined"], 20, "{report:#}");
    assert!(report["bodies_compared"].as_u64() > Some(10), "{report:#}");
    assert!(!report["errors"].to_string().contains("http_"), "{report:#}");
    assert_eq!(TOKENS.load(Ordering::Relaxed), 21, "once a viewer, and once to see which tracks there are");
}

#[test]
fn a_server_that_only_says_503_fails_the_run() {
    let address = serve(|path, _| match path {
        "/live/x/index.m3u8" => "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n".to_owned(),
        _ => String::new(),
    });
    let (output, report) = view(&format!("http://{address}/live/x/index.m3u8"), &[]);
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert!(report["errors"]["http_503_playlist"].as_u64() > Some(20), "{report:#}");
    assert!(report["failures"].to_string().contains("never played"), "{report:#}");
}

fn playlist(parts: u64) -> String {
    let parts: String = (0..=parts)
        .map(|part| format!("#EXT-X-PART:DURATION=0.5,URI=\"1/v0/7.{part}.m4s\",INDEPENDENT=YES\n"))
        .collect();
    format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=1.5\n#EXT-X-MEDIA-SEQUENCE:7\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:00.000Z\n{parts}"
    )
}

/// A server that answers every request by `reply(path, number of the connection's request)`; nothing means 503, and what
/// begins with `> ` says where else to ask.
fn serve(reply: fn(&str, u64) -> String) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || converse(stream, reply));
        }
    });
    address
}

fn converse(stream: TcpStream, reply: fn(&str, u64) -> String) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut count = 0;
    let mut path = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        if let Some(request) = line.strip_prefix("GET ") {
            path = request.split(' ').next()?.to_owned();
        } else if line.is_empty() {
            count += 1;
            let body = reply(&path, count);
            let status = match body.strip_prefix("> ") {
                Some(place) => format!("302 Found\r\nLocation: {place}"),
                None if body.is_empty() => "503 Service Unavailable".to_owned(),
                None => "200 OK".to_owned(),
            };
            write!(writer, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
        }
    }
    Some(())
}
