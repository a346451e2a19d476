//! An origin and its edges as processes of their own, with a real encoder.

mod support;

use std::{fs, path::Path, process::Stdio};

use support::{Encoder, Freshet, arg, get, newest_segment, own_address, run, text_with, until};
use tokio::{net::TcpStream, process::Command};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// An authority, certificates and a stream key in a directory.
async fn prepare(dir: &Path) {
    let at = arg(dir);
    for command in [&["ca", "init", "--dir", &at][..], &["ca", "issue", "--dir", &at, "origin-1"]] {
        assert_eq!(run(command, &[]).await.0, 0);
    }
    assert_eq!(run(&["ca", "issue", "--dir", &at, "edge-1"], &[]).await.0, 0);
    fs::write(dir.join("ada.key"), format!("{KEY}\n")).unwrap();
}

/// Writes a configuration; `{dir}` stands for the directory.
fn write_config(dir: &Path, name: &str, text: &str) -> String {
    let file = dir.join(name);
    fs::write(&file, text.replace("{dir}", &arg(dir))).unwrap();
    arg(&file)
}

/// The origin's configuration; ports are 0 at the first start, then those that were found.
fn origin_config(dir: &Path, rtmp: &str, quic: &str) -> String {
    let text = format!(
        r#"
[node]
data = "{{dir}}/origin"
[listen]
rtmp = "{rtmp}"
quic = "{quic}"
admin = "127.0.0.1:0"
[quic]
certificate = "{{dir}}/origin-1.pem"
key = "{{dir}}/origin-1.key"
ca = "{{dir}}/ca.pem"
[origin]
drain_timeout_ms = 20000
[[channels]]
name = "ada"
stream_key_file = "{{dir}}/ada.key"
"#
    );
    write_config(dir, "origin.toml", &text)
}

fn edge_config(dir: &Path, name: &str, quic: &str, more: &str) -> String {
    let text = format!(
        r#"
[node]
data = "{{dir}}/{name}"
[listen]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
admin = "127.0.0.1:0"
[quic]
certificate = "{{dir}}/edge-1.pem"
key = "{{dir}}/edge-1.key"
ca = "{{dir}}/ca.pem"
origin = "origin-1@{quic}"
[edge.http]
drain_timeout_ms = 2000
{more}
"#
    );
    write_config(dir, &format!("{name}.toml"), &text)
}

/// Starts a role; returns it and the fields of its line that tells where it listens.
async fn start(role: &str, config: &str) -> (Freshet, serde_json::Value) {
    let mut freshet = Freshet::start(&[role, "--config", config]);
    let listens = freshet.listens().await;
    (freshet, listens)
}

fn field(listens: &serde_json::Value, name: &str) -> String {
    let text = listens[name].as_str().unwrap_or_else(|| panic!("{name} in {listens}"));
    text.trim_start_matches("Some(").trim_end_matches(')').to_owned()
}

#[tokio::test]
async fn two_edges_serve_the_same_bytes_and_numbers_never_go_back_when_the_origin_is_killed() {
    let dir = support::tempdir();
    prepare(dir.path()).await;
    let (mut origin, at) = start("origin", &origin_config(dir.path(), &own_address(), &own_address())).await;
    let (rtmp, quic) = (field(&at, "rtmp"), field(&at, "quic"));
    let (_one, one) = start("edge", &edge_config(dir.path(), "one", &quic, "")).await;
    let (_two, two) = start("edge", &edge_config(dir.path(), "two", &quic, "")).await;
    for edge in [&one, &two] {
        text_with(&format!("http://{}/readyz", field(edge, "admin")), "\"status\":\"ready\"").await;
    }
    let live = [&one, &two].map(|edge| format!("http://{}/live/ada", field(edge, "http")));
    let encoder = Encoder::publish(&format!("rtmp://{rtmp}/live/{KEY}"));

    let playlist = text_with(&format!("{}/v0.m3u8", live[0]), "#EXTINF").await;
    let (before, segment) = newest_segment(&playlist).unwrap();
    let [first, second] = [get(&format!("{}/{segment}", live[0])).await, get(&format!("{}/{segment}", live[1])).await]
        .map(|answer| answer.unwrap());
    assert_eq!((first.status, second.status), (200, 200));
    assert!(first.body.len() > 1000 && first.body == second.body, "both edges serve the same segment");

    origin.signal("KILL").await;
    // Until it has ended, its ports are taken.
    origin.ended().await;
    drop(encoder);
    let (_origin, _) = start("origin", &origin_config(dir.path(), &rtmp, &quic)).await;
    let _encoder = Encoder::publish(&format!("rtmp://{rtmp}/live/{KEY}"));
    for live in &live {
        let after = until("a segment made after the restart", async || {
            let playlist = get(&format!("{live}/v0.m3u8")).await.ok()?;
            let (msn, uri) = newest_segment(&playlist.text()).filter(|_| playlist.status == 200)?;
            let epoch = |uri: &str| uri.split('/').next().and_then(|epoch| epoch.parse::<u64>().ok());
            (epoch(&uri) > epoch(&segment)).then_some(msn)
        })
        .await;
        assert!(after > before, "media sequence number {after} follows {before}");
    }
}

#[tokio::test]
async fn a_draining_origin_is_not_ready_lets_its_publisher_finish_and_leaves() {
    let dir = support::tempdir();
    prepare(dir.path()).await;
    let (mut origin, at) = start("origin", &origin_config(dir.path(), &own_address(), &own_address())).await;
    let admin = format!("http://{}", field(&at, "admin"));
    let mut encoder = Encoder::publish(&format!("rtmp://{}/live/{KEY}", field(&at, "rtmp")));
    text_with(&format!("{admin}/readyz"), "1 publishing").await;
    origin.signal("TERM").await;
    let ready = until("readyz to turn 503", async || {
        get(&format!("{admin}/readyz")).await.ok().filter(|answer| answer.status == 503)
    })
    .await;
    assert!(ready.text().contains("draining, 1 left"), "{}", ready.text());
    assert!(encoder.0.try_wait().unwrap().is_none(), "the publisher goes on");
    encoder.0.start_kill().unwrap();
    encoder.ended().await;
    assert_eq!(origin.ended().await.0.code(), Some(0), "{}", origin.log());
}

#[tokio::test]
async fn a_second_signal_means_now() {
    let dir = support::tempdir();
    prepare(dir.path()).await;
    let (mut origin, at) = start("origin", &origin_config(dir.path(), &own_address(), &own_address())).await;
    let _encoder = Encoder::publish(&format!("rtmp://{}/live/{KEY}", field(&at, "rtmp")));
    text_with(&format!("http://{}/readyz", field(&at, "admin")), "1 publishing").await;
    origin.signal("TERM").await;
    origin.logged(&["draining; signal again"]).await;
    origin.signal("TERM").await;
    origin.logged(&["told again"]).await;
    assert_eq!(origin.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_the_encoder_stops() {
    let dir = support::tempdir();
    prepare(dir.path()).await;
    let (mut origin, at) = start("origin", &origin_config(dir.path(), &own_address(), &own_address())).await;
    let mut encoder = Encoder::publish(&format!("rtmp://{}/live/not-the-key-at-all", field(&at, "rtmp")));
    assert!(!encoder.ended().await.success());
    origin.signal("TERM").await;
    assert_eq!(origin.ended().await.0.code(), Some(0));
    assert!(!origin.log().contains("not-the-key-at-all"), "keys are never logged");
}

/// Writes a self-signed certificate for `localhost` and its key; returns the certificate.
fn write_certificate(dir: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(dir.join("tv.pem"), made.cert.pem()).unwrap();
    fs::write(dir.join("tv.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

/// Whether the server at `addr` shows a certificate that this one vouches for, and answers.
async fn answers_with(addr: &str, certificate: &[u8]) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.to_vec().into()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(addr).await.unwrap();
    let name = "localhost".try_into().unwrap();
    match tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, socket).await {
        Ok(mut tls) => support::ask(&mut tls, "localhost", "/").await.is_ok_and(|answer| answer.status == 200),
        Err(_) => false,
    }
}

#[tokio::test]
async fn hangup_reads_the_certificate_again_and_a_bad_one_never_replaces_a_good_one() {
    let dir = support::tempdir();
    prepare(dir.path()).await;
    let first = write_certificate(dir.path());
    let tls = "[tls]\ncertificate = \"{dir}/tv.pem\"\nkey = \"{dir}/tv.key\"\n";
    let (mut edge, at) = start("edge", &edge_config(dir.path(), "one", "127.0.0.1:9", tls)).await;
    let https = field(&at, "https");
    assert!(answers_with(&https, &first).await);
    fs::write(dir.path().join("tv.pem"), "no certificate").unwrap();
    edge.signal("HUP").await;
    edge.logged(&["the new certificate is no good"]).await;
    assert!(answers_with(&https, &first).await);
    let second = write_certificate(dir.path());
    edge.signal("HUP").await;
    edge.logged(&["the certificate is read again"]).await;
    assert!(answers_with(&https, &second).await && !answers_with(&https, &first).await);

    let plain = get(&format!("http://{}/c/ada?x=1", field(&at, "http"))).await.unwrap();
    assert_eq!(plain.status, 308, "with a certificate, plain HTTP sends viewers on");
    let port = https.rsplit(':').next().unwrap();
    assert!(plain.head.contains(&format!("location: https://127.0.0.1:{port}/c/ada?x=1")), "{}", plain.head);
    edge.signal("TERM").await;
    assert_eq!(edge.ended().await.0.code(), Some(0), "{}", edge.log());
}

#[tokio::test]
async fn an_encoder_can_publish_over_rtmps() {
    let dir = support::tempdir();
    prepare(dir.path()).await;
    write_certificate(dir.path());
    let config = origin_config(dir.path(), &own_address(), &own_address());
    let tls = format!("[tls]\ncertificate = \"{0}/tv.pem\"\nkey = \"{0}/tv.key\"\n", arg(dir.path()));
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[listen]\n", &format!("{tls}[listen]\nrtmps = \"127.0.0.1:0\"\n"))).unwrap();
    let (_origin, at) = start("origin", &config).await;
    let rtmps = field(&at, "rtmps");
    let arguments = "-v error -re -f lavfi -i testsrc2=size=320x180:rate=30 -c:v libx264 -preset ultrafast -f flv";
    let _encoder = Command::new("ffmpeg")
        .args(arguments.split_whitespace())
        .arg(format!("rtmps://{rtmps}/live/{KEY}"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg is installed");
    text_with(&format!("http://{}/readyz", field(&at, "admin")), "1 publishing").await;
}
