//! Who may not publish is told why and stops at once; who misbehaves costs its own connection only.

mod common;

use common::{KEY, Plan, encoder::Encoder, tool, world};
use freshet_origin::Config;
use freshet_proto::view::ChannelState;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const WORDS: &str = "unknown stream key";

#[tokio::test]
async fn ffmpeg_with_a_wrong_key_is_told_why_and_exits() {
    let world = world().await;
    let (status, said) = tool::ffmpeg(&format!("rtmp://{}/live/wrong", world.rtmp), 60, &[]).exit().await;
    assert!(!status.success());
    assert!(said.contains(WORDS), "{said}");
}

#[tokio::test]
async fn gstreamers_rtmp2sink_with_a_wrong_key_is_told_why_and_exits() {
    let world = world().await;
    let (status, said) = tool::gstreamer("rtmp2sink", &format!("rtmp://{}/live/wrong", world.rtmp), 3000).exit().await;
    assert!(!status.success());
    assert!(said.contains(WORDS), "{said}");
}

#[tokio::test]
async fn librtmp_with_a_wrong_key_exits() {
    let world = world().await;
    let (status, said) = tool::gstreamer("rtmpsink", &format!("rtmp://{}/live/wrong", world.rtmp), 3000).exit().await;
    assert!(!status.success(), "{status}: {said}");
    assert!(said.contains("Could not connect to RTMP stream"), "{status}: {said}");
}

#[tokio::test]
async fn ffmpeg_over_tls_with_a_wrong_key_is_told_why_and_exits() {
    let world = world().await;
    let (status, said) = tool::ffmpeg(&format!("rtmps://{}/live/wrong", world.rtmps), 60, &[]).exit().await;
    assert!(!status.success());
    assert!(said.contains(WORDS), "{said}");
}

#[tokio::test]
async fn the_words_of_a_refusal_never_repeat_the_key() {
    let world = world().await;
    let told = Encoder::publish(world.rtmp, "another-secret").await.err().expect("it is refused");
    assert_eq!(told.code, "NetStream.Publish.BadName");
    assert!(told.text.contains(WORDS) && !told.text.contains("another-secret"), "{}", told.text);
}

#[tokio::test]
async fn a_peer_that_trickles_bytes_is_closed_when_the_handshake_takes_too_long() {
    let config = Config { handshake_timeout_ms: 1000, ..Config::default() };
    let world = Plan { config, ..Plan::default() }.start().await;
    let mut slow = TcpStream::connect(world.rtmp).await.unwrap();
    let trickle = async {
        let mut answer = [0; 1];
        loop {
            if slow.write_all(&[3]).await.is_err() {
                return;
            }
            if let Ok(Ok(0) | Err(_)) = timeout(std::time::Duration::from_millis(50), slow.read(&mut answer)).await {
                return;
            }
        }
    };
    timeout(common::BOUND, trickle).await.expect("the slow peer is still connected");
    assert!(Encoder::publish(world.rtmp, KEY).await.is_ok());
}

#[tokio::test]
async fn a_peer_that_never_says_hello_over_tls_is_closed() {
    let config = Config { handshake_timeout_ms: 300, ..Config::default() };
    let world = Plan { config, ..Plan::default() }.start().await;
    let mut silent = TcpStream::connect(world.rtmps).await.unwrap();
    let mut rest = Vec::new();
    timeout(common::BOUND, silent.read_to_end(&mut rest)).await.expect("it is still connected").ok();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn garbage_costs_only_the_connection_it_came_on() {
    let mut world = world().await;
    let mut good = Encoder::publish(world.rtmp, KEY).await.unwrap();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 5000], &[3; 5000]] {
        let mut bad = TcpStream::connect(world.rtmp).await.unwrap();
        bad.write_all(garbage).await.unwrap();
        bad.shutdown().await.unwrap();
        let mut rest = Vec::new();
        timeout(common::BOUND, bad.read_to_end(&mut rest)).await.expect("it is still connected").ok();
    }
    good.send_all(&common::encoder::clip().await[..10]).await;
    assert_eq!(world.until(|channel| channel.session.is_some()).await.state, ChannelState::Starting);
}

#[tokio::test]
async fn beyond_the_limit_of_publishers_one_is_refused_with_words() {
    let config = Config { max_publishers: 1, ..Config::default() };
    let world = Plan { config, ..Plan::default() }.start().await;
    let _first = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let told = Encoder::publish(world.rtmp, KEY).await.err().expect("it is refused");
    assert_eq!(told.code, "NetStream.Publish.BadName");
    assert!(told.text.contains("no place for another publisher"), "{}", told.text);
}

#[tokio::test]
async fn beyond_the_limit_of_connections_one_is_closed_unread() {
    let config = Config { max_connections_per_address: 1, ..Config::default() };
    let world = Plan { config, ..Plan::default() }.start().await;
    let first = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let mut second = TcpStream::connect(world.rtmp).await.unwrap();
    let mut rest = Vec::new();
    timeout(common::BOUND, second.read_to_end(&mut rest)).await.expect("it is still connected").ok();
    assert!(rest.is_empty());
    drop(first);
}
