//! The hub goes away.

use std::{collections::BTreeSet, time::Duration};

use freshet_chat_mesh::hub::Config;
use serde_json::json;

use crate::{client::Client, house::House};

#[tokio::test]
async fn everybody_is_told_where_to_go_and_not_all_at_once() {
    let house = House::open(Config::default()).await;
    let mut guests = Vec::new();
    for _ in 0..20 {
        let mut guest = house.guest().await;
        guest.join("ada").await;
        guests.push(guest);
    }
    let hub = house.hub.clone();
    let drained = tokio::spawn(async move { hub.drain(vec!["edge-2.example".into()], Duration::from_secs(20)).await });
    let mut moments = BTreeSet::new();
    for guest in &mut guests {
        let bye = guest.expect("bye").await;
        assert_eq!(bye["hubs"], json!(["edge-2.example"]));
        let after = bye["reconnect_ms"].as_u64().unwrap();
        assert!(after < 5_000, "{after}");
        moments.insert(after);
        assert_eq!(guest.closed().await, Some(1012));
    }
    assert!(moments.len() > 10, "each another moment: {moments:?}");
    drop(guests);
    drained.await.unwrap();
    assert_eq!(house.hub.connections(), 0);
    let late = Client::try_connect(house.addr, "/chat/ada", &[]).await;
    assert_eq!(late.err(), Some(503));
}
