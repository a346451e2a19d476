//! Coming back.

use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_and_nothing_twice() {
    let house = House::open(Default::default()).await;
    let mut bob = house.user_in_ada("bob").await;
    bob.said("ada", "1", "one").await;
    let mut reader = house.guest().await;
    let resume = reader.join("ada").await["resume"].as_str().unwrap().to_owned();
    drop(reader);
    bob.said("ada", "2", "two").await;
    bob.said("ada", "3", "three").await;
    let mut again = house.guest().await;
    again.send(json!({"type": "join", "channel": "ada", "resume": resume})).await;
    let joined = again.expect("ok").await;
    assert_eq!((&joined["follow"], joined.get("gap")), (&json!(2), None));
    bob.said("ada", "4", "four").await;
    for (text, position) in [("two", "3.2"), ("three", "3.3"), ("four", "3.4")] {
        let message = again.expect("message").await;
        assert_eq!((&message["text"], &message["position"]), (&json!(text), &json!(position)));
    }
}

#[tokio::test]
async fn a_position_that_nobody_knows_is_told_a_gap() {
    let house = House::open(Default::default()).await;
    let mut bob = house.user_in_ada("bob").await;
    bob.said("ada", "1", "one").await;
    let mut reader = house.guest().await;
    reader.send(json!({"type": "join", "channel": "ada", "resume": "ada.2.77"})).await;
    assert_eq!(reader.expect("ok").await["gap"], json!({"missed": null}));
    assert_eq!(reader.expect("message").await["text"], "one");
}

#[tokio::test]
async fn a_long_history_comes_whole_however_large_it_is() {
    let house = House::open(Default::default()).await;
    let mut users = Vec::new();
    for n in 0..6 {
        users.push(house.user_in_ada(&format!("user{n}")).await);
    }
    // As large in JSON as a text can be: each character is escaped, or has four bytes.
    let text = "\"\u{1d11e}".repeat(250);
    for n in 0..100 {
        users[n % 6].said("ada", &format!("n{n}"), &text).await;
    }
    let mut late = house.guest().await;
    late.send(json!({"type": "join", "channel": "ada"})).await;
    assert_eq!(late.expect("ok").await["follow"], 100);
    for n in 1..=100 {
        let message = late.expect("message").await;
        assert_eq!((&message["position"], &message["text"]), (&json!(format!("3.{n}")), &json!(text)));
    }
}
