//! `freshet key` on a platform of processes, and what control nodes tell of keys.

mod support;

use std::fs;

use serde_json::Value;
use support::{
    get,
    platform::{Node, Platform},
    run, text_with, until,
};

/// What `freshet key ls` says on that node's host.
async fn keys(node: &Node) -> Value {
    serde_json::from_str(&node.operate(&["key", "ls", "--output", "json"]).await).unwrap()
}

/// The key that is at this stage, once there is one.
async fn at(node: &Node, stage: &str) -> Value {
    until(stage, async || {
        let keys = keys(node).await;
        keys["signing"].as_array()?.iter().find(|key| key["stage"] == stage).cloned()
    })
    .await
}

fn kid(key: &Value) -> String {
    key["kid"].as_str().unwrap().to_owned()
}

/// The identifiers in the JWK Set that a control node tells.
async fn jwks(node: &Node) -> Vec<String> {
    let answer = get(&format!("http://{}/.well-known/jwks.json", node.field("admin"))).await.unwrap();
    assert!(answer.head.contains("content-type: application/jwk-set+json"), "{}", answer.head);
    assert!(answer.head.contains("max-age=300"), "{}", answer.head);
    let set: Value = serde_json::from_str(&answer.text()).unwrap();
    set["keys"].as_array().unwrap().iter().map(kid).collect()
}

#[tokio::test]
async fn an_operator_lists_rotates_and_revokes_keys_and_the_jwk_set_follows() {
    let platform = Platform::found(1).await;
    let node = &platform.control[0];
    let first = kid(&at(node, "active").await);
    assert_eq!(jwks(node).await, std::slice::from_ref(&first));
    let table = node.operate(&["key", "ls"]).await;
    assert!(table.contains(&first) && table.contains("unwraps") && table.contains("can sign"), "{table}");

    let next = node.operate(&["key", "rotate"]).await;
    assert_eq!(kid(&at(node, "pending").await), next);
    assert_eq!(node.operate(&["key", "rotate"]).await, next, "one is enough");
    assert_eq!(jwks(node).await, [first.clone(), next.clone()]);

    let told = node.operate(&["key", "revoke", &first]).await;
    assert_eq!(told, format!("key {first} is revoked: what it signed is refused"));
    assert_eq!((kid(&at(node, "active").await), kid(&at(node, "revoked").await)), (next.clone(), first));
    assert_eq!(jwks(node).await, std::slice::from_ref(&next));
    let why = node.try_operate(&["key", "revoke", "nothing"]).await.unwrap_err();
    assert!(why.contains("there is no signing key of that name"), "{why}");

    let told = node.operate(&["key", "revoke", "--channel", "ada"]).await;
    assert_eq!(told, "tokens of channel ada so far are refused");
    let secret = keys(node).await["path"][0]["id"].clone();
    node.operate(&["key", "revoke", "--path-tokens"]).await;
    let path = keys(node).await["path"].clone();
    assert!(path.as_array().unwrap().len() == 1 && path[0]["id"].as_u64() > secret.as_u64(), "{path}");
    text_with(&format!("http://{}/readyz", node.field("admin")), &format!("signs with {next}")).await;
}

#[tokio::test]
async fn a_control_node_that_joins_cannot_sign_until_it_is_given_the_key_encryption_key() {
    let mut platform = Platform::found(2).await;
    platform.control[1].process.logged(&["this control node can't sign tokens"]).await;
    let [first, second] = [&platform.control[0], &platform.control[1]];
    let active = at(second, "active").await;
    assert_eq!(active["unwraps"], false);
    let said = second.operate(&["key", "ls"]).await;
    assert!(said.contains("this node cannot unwrap") && said.contains("copy the file `kek`"), "{said}");
    let readyz = format!("http://{}/readyz", second.field("admin"));
    text_with(&readyz, "CANNOT SIGN").await;
    text_with(&readyz, "\"status\":\"ready\"").await;

    let kek = |name: &str| platform.dir.path().join(name).join("kek");
    fs::copy(kek("control-1"), kek("control-2")).unwrap();
    until("it takes the file", async || (at(second, "active").await["unwraps"] == true).then_some(())).await;
    text_with(&readyz, &format!("signs with {}", kid(&active))).await;
    assert_eq!(jwks(first).await, jwks(second).await);
}

#[tokio::test]
async fn a_key_encryption_key_that_is_none_is_refused_and_not_printed() {
    let dir = support::tempdir();
    let data = support::arg(dir.path());
    let control = ["control", "--bootstrap", "--data", &data, "--quic", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let (code, _, error) = run(&control, &[("FRESHET_KEK", "hunter2")]).await;
    assert_eq!(code, 78, "{error}");
    assert!(error.contains("FRESHET_KEK") && error.contains("openssl rand -base64 32"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn exactly_one_thing_is_revoked_at_a_time() {
    for wrong in [&["key", "revoke"][..], &["key", "revoke", "kid", "--channel", "ada"]] {
        let (code, _, error) = run(wrong, &[]).await;
        assert_eq!(code, 2, "{error}");
    }
    let (code, _, error) = run(&["config", "check", "--set", "keys.rotate_days=0"], &[]).await;
    assert_eq!(code, 78);
    assert!(error.contains("keys.rotate_days is 0; it must be from 1 to 3650"), "{error}");
}
