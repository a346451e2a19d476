//! Those who read slowly, send nonsense, or say nothing.

use freshet_chat_mesh::hub::Config;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use crate::{client::Client, house::House};

#[tokio::test]
async fn nonsense_ends_its_sender_alone() {
    let house = House::open(Config::default()).await;
    let mut guest = house.guest().await;
    guest.join("ada").await;
    for (frame, status) in [
        (Message::text("no json"), CloseCode::Policy),
        (Message::text("x".repeat(17 << 10)), CloseCode::Size),
        (Message::binary(vec![1, 2, 3]), CloseCode::Unsupported),
    ] {
        let mut bad = house.guest().await;
        bad.raw(frame).await;
        assert_eq!(bad.closed().await, Some(status.into()));
    }
    let mut raw = house.guest().await;
    raw.socket.get_mut().write_all(b"\x81\x05Hello").await.unwrap();
    assert_eq!(raw.closed().await, Some(1002), "a frame without a mask");
    let mut wrong = house.guest().await;
    wrong.send(json!({"type": "what"})).await;
    assert_eq!(wrong.expect("error").await["code"], "unknown_type", "this alone ends nobody");
    wrong.join("ada").await;
    let mut bob = house.user_in_ada("bob").await;
    bob.said("ada", "1", "calm").await;
    for reader in [&mut guest, &mut wrong] {
        assert_eq!(reader.expect("message").await["text"], "calm");
    }
}

#[tokio::test]
async fn who_reads_slowly_is_told_what_it_missed_and_delays_nobody() {
    let house = House::open(Config { log_bytes: 16 << 10, log_frames: 16, ..Config::default() }).await;
    let mut slow = Client::narrow(house.addr, "/chat/ada").await;
    slow.join("ada").await;
    let mut quick = house.guest().await;
    quick.join("ada").await;
    // Far more than its socket and the log hold, by many users, for each may say so much alone.
    let text = "\u{1d11e}".repeat(500);
    let mut said = 0;
    for user in 0..9 {
        let mut sender = house.user(&format!("user{user}")).await;
        sender.join("ada").await;
        for n in 0..20 {
            sender.said("ada", &format!("n{n}"), &text).await;
            said += 1;
            assert_eq!(quick.expect("message").await["position"], format!("3.{said}"), "nobody waits for the slow");
        }
    }
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < said {
        let object = slow.next().await;
        match object["type"].as_str().unwrap() {
            "message" => {
                seen += 1;
                assert_eq!(object["position"], format!("3.{}", seen + missed), "in order");
            }
            "gap" => {
                missed += object["missed"].as_u64().unwrap();
                assert_eq!(object["position"], format!("3.{}", seen + missed), "it says where it goes on");
            }
            _ => panic!("{object}"),
        }
    }
    assert!(missed > 0);
    assert!(house.hub.fanout().gaps > 0);
}

#[tokio::test]
async fn silence_is_pinged_and_who_does_not_answer_is_gone() {
    // Whoever answers has time to, on a busy machine too.
    let config = Config { ping_after_ms: 100, pong_timeout_ms: 3_000, ..Config::default() };
    let house = House::open(config).await;
    let mut alive = house.guest().await;
    alive.join("ada").await;
    let mut dead = house.guest().await;
    dead.join("ada").await;
    // tungstenite answers pings while it is read; the dead one is not read.
    let reading = tokio::spawn(async move {
        let said = alive.next().await;
        (alive, said)
    });
    house.until("the dead one is gone", |house| house.hub.connections() == 1).await;
    assert_eq!(house.hub.stats().ended_by_why()["silent"], 1);
    house.user_in_ada("bob").await.said("ada", "1", "anybody?").await;
    let (_alive, said) = reading.await.unwrap();
    assert_eq!(said["text"], "anybody?");
}

#[tokio::test]
async fn who_joins_nothing_is_sent_away() {
    let house = House::open(Config { idle_timeout_ms: 300, ..Config::default() }).await;
    let mut idle = house.guest().await;
    assert_eq!(idle.closed().await, Some(1008));
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_in_so_many_channels() {
    let house = House::open(Config::default()).await;
    let mut reader = house.piped_in_ada("bob").await;
    for n in 0..19 {
        reader.join(&format!("many{n}")).await;
    }
    reader.send(json!({"type": "join", "channel": "many19"})).await;
    let error = reader.expect("error").await;
    assert_eq!(error["code"], "msg_ratelimit", "20 joins in 10 s");
    assert!(error["retry_ms"].as_u64().unwrap() > 0);
}
