//! `loadtest chat` against one hub that behaves, and against some that do wrong on purpose.
#![allow(clippy::disallowed_methods)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

fn loadtest(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(args).stdin(Stdio::null());
    command
}

/// A hub, ended with the test.
struct Hub {
    child: Child,
    address: String,
}

impl Hub {
    fn start(args: &[&str]) -> Self {
        let args = [&["hub"], args].concat();
        let mut child = loadtest(&args).stdout(Stdio::piped()).spawn().expect("the hub starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        let said: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        Self { child, address: said["address"].as_str().expect("an address").to_owned() }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Two hundred who read and two who post 20 messages at a time, for two seconds.
fn chat(addresses: &[&str], more: &[&str]) -> (Output, serde_json::Value) {
    let urls: Vec<String> = addresses.iter().map(|address| format!("ws://{address}/chat/bench")).collect();
    let mut args = vec!["chat", "-n", "200", "--token", "mia", "--token", "max", "--json", "-"];
    args.extend(urls.iter().map(String::as_str));
    args.extend(more);
    if !more.contains(&"--duration") {
        args.extend(["--duration", "2"]);
    }
    let output = loadtest(&args).output().expect("loadtest runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, report)
}

fn number(report: &serde_json::Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report:#}"))
}

#[test]
fn what_every_connection_gets_is_checked_and_counted() {
    let hub = Hub::start(&[]);
    let (output, report) = chat(&[&hub.address], &["--in-flight", "20", "--processes", "2"]);
    assert!(output.status.success(), "{report:#} {}", String::from_utf8_lossy(&output.stderr));
    let posted = number(&report, "posted");
    assert!(posted >= 20, "{report:#}");
    assert_eq!(number(&report, "acknowledged"), posted);
    assert_eq!(number(&report, "deliveries"), posted * 202, "each of 200 and both senders have each");
    assert_eq!(number(&report, "joined"), 202);
    for fault in ["lost", "doubled", "reordered", "gaps", "disconnects"] {
        assert_eq!(number(&report, fault), 0, "{fault}: {report:#}");
    }
    assert!(report["delay_ms"]["samples"].as_u64() > Some(1000), "{report:#}");
}

#[test]
fn over_tls_it_is_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout"
                .split(' '),
        )
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{made:?}");
    let hub = Hub::start(&["--tls", &format!("{},{}", certificate.display(), key.display())]);
    let url = format!("wss://{}/chat/bench", hub.address);
    let args = ["chat", &url, "-n", "50", "--token", "mia", "--rate", "20", "--duration", "1", "--json", "-"];
    let output = loadtest(&args).output().expect("loadtest runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert!(output.status.success(), "{report:#}");
    assert_eq!(number(&report, "deliveries"), number(&report, "posted") * 51);
}

#[test]
fn a_hub_that_does_wrong_fails_the_run() {
    for (fault, found) in [("drop:7", "lost"), ("double:7", "doubled"), ("swap:7", "reordered")] {
        let hub = Hub::start(&["--fault", fault]);
        let (output, report) = chat(&[&hub.address], &["--rate", "30"]);
        assert_eq!(output.status.code(), Some(1), "{fault}: {report:#}");
        assert!(number(&report, found) >= 200, "{fault}: each connection has met it: {report:#}");
        for other in ["doubled", "reordered"].into_iter().filter(|other| *other != found) {
            assert_eq!(number(&report, other), 0, "{fault} is no other fault: {report:#}");
        }
    }
}

#[test]
fn one_connection_in_two_hundred_that_lacks_one_event_fails_the_run() {
    let hub = Hub::start(&[]);
    let proxy = proxy(hub.address.clone());
    let (output, report) = chat(&[&proxy], &["--rate", "30"]);
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!((number(&report, "lost"), number(&report, "doubled"), number(&report, "reordered")), (1, 0, 0));
}

#[test]
fn lost_connections_come_back_and_miss_nothing() {
    let hub = Hub::start(&[]);
    let flaky = cutting(hub.address.clone());
    let more = ["--rate", "30", "--reconnect", "--duration", "3"];
    let (output, report) = chat(&[&hub.address, &flaky], &more);
    assert!(output.status.success(), "{report:#}");
    assert!(number(&report, "disconnects") >= 50, "{report:#}");
    assert_eq!(report["away_ms"]["samples"].as_u64(), report["disconnects"].as_u64());
    assert_eq!(number(&report, "deliveries"), number(&report, "posted") * 202);
    let (output, report) = chat(&[&hub.address, &cutting(hub.address.clone())], &["--rate", "30"]);
    assert_eq!(output.status.code(), Some(1), "without --reconnect that is an error: {report:#}");
}

#[test]
fn who_can_not_be_asked_is_an_error_that_says_so() {
    let refused = |args: &[&str]| {
        let output = loadtest(&[&["chat"], args].concat()).output().expect("loadtest runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["ws://192.0.2.1/chat/ada"]).contains("loopback"));
    assert!(refused(&["ws://127.0.0.1:1/chat/ada", "--rate", "1"]).contains("--token"));
}

/// A proxy that takes one event away from the first connection that comes through it.
fn proxy(hub: String) -> String {
    let first = Arc::new(Mutex::new(true));
    relay(hub, move |from_hub, to_client| {
        let is_first = std::mem::take(&mut *first.lock().expect("not poisoned"));
        let (mut taken, mut seen) = (!is_first, 0);
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 << 10];
        while let Ok(count @ 1..) = from_hub.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..count]);
            while let Some(frame) = first_event(&bytes).filter(|_| !taken) {
                seen += 1;
                if seen == 5 {
                    bytes.drain(frame);
                    taken = true;
                } else {
                    let whole: Vec<u8> = bytes.drain(..frame.end).collect();
                    if to_client.write_all(&whole).is_err() {
                        return;
                    }
                }
            }
            if !taken && !bytes.is_empty() && seen > 0 {
                continue; // half a frame
            }
            if to_client.write_all(&std::mem::take(&mut bytes)).is_err() {
                return;
            }
        }
    })
}

/// Where the first whole event stands in `bytes`: a text frame of 126 to 65,535 bytes, of which a message is one.
fn first_event(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let mark = br#""type":"message""#;
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    let start = (0..at).rev().find(|start| bytes[*start..].starts_with(b"\x81\x7e"))?;
    let len = usize::from(u16::from_be_bytes([bytes[start + 2], bytes[start + 3]]));
    let end = start + 4 + len;
    (end <= bytes.len()).then_some(start..end)
}

/// A proxy that cuts each connection after its tenth read from the hub.
fn cutting(hub: String) -> String {
    relay(hub, |from_hub, to_client| {
        let mut chunk = [0; 16 << 10];
        for _ in 0..10 {
            let Ok(count @ 1..) = from_hub.read(&mut chunk) else { return };
            if to_client.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
    })
}

/// Listens, and passes bytes on both ways; those from the hub by `down`, at whose end both are cut.
fn relay(hub: String, down: impl Fn(&mut TcpStream, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let down = Arc::new(down);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let Ok(mut server) = TcpStream::connect(&hub) else { continue };
            let (Ok(mut up_from), Ok(mut up_to)) = (client.try_clone(), server.try_clone()) else { continue };
            thread::spawn(move || std::io::copy(&mut up_from, &mut up_to));
            let down = down.clone();
            thread::spawn(move || {
                down(&mut server, &mut client);
                for stream in [client, server] {
                    drop(stream.shutdown(std::net::Shutdown::Both));
                }
            });
        }
    });
    address
}
