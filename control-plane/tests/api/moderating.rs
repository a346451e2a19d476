//! What moderators read of a channel's chat, and what hubs ask of it.

use freshet_proto::chat::{
    Actor, Ban, Change, ChatReply, ChatRequest, Durable, LogEntry, Login, MessageId, Pattern, Reason, Role, TermAction,
    UserId, Verb,
};
use serde_json::{Value, json};

use crate::{
    bench::{As, BEGIN_MS, Bench, nobody, operator},
    databases::Place,
};

fn login(name: &str) -> Login {
    name.parse().expect("a name")
}

fn bans(who: &str) -> Change {
    let ban = Ban { until_ms: None, at_ms: BEGIN_MS, by: login("mod"), reason: Reason::cut("rude") };
    Change::Ban(login(who), ban)
}

fn line(target: &str) -> LogEntry {
    LogEntry {
        at_ms: BEGIN_MS,
        actor: Actor { id: UserId::cut("m1"), login: login("mod") },
        verb: Verb::Ban,
        target: Some(login(target)),
        message: Some(MessageId(u64::MAX >> 1)),
        until_ms: None,
        reason: Reason::cut("rude"),
    }
}

async fn store(bench: &Bench, channel: &str) -> ChatReply {
    let changes = vec![(1, bans("eve")), (2, bans("mallory")), (3, Change::Role(login("mod"), Some(Role::Moderator)))];
    let log = vec![line("eve"), line("mallory")];
    let store = ChatRequest::Store { channel: login(channel), epoch: 1, changes, log };
    bench.api.keep_chat(store).await.expect("an answer")
}

pub async fn those_who_look_after_a_chat_read_what_was_done_there_and_nobody_else(place: Place) {
    let bench = Bench::new(place).await;
    let [ada, moderator, eve] = [bench.join("ada").await, bench.join("mod").await, bench.join("eve").await];
    assert_eq!(store(&bench, "ada").await, ChatReply::Stored { version: 3, unstored: vec![] });
    let ask =
        async |who: &As, what: &str| bench.ask(who, "GET", &format!("/api/streams/ada/{what}"), Value::Null).await;
    for what in ["moderation-log", "bans", "terms"] {
        for (who, status) in [(&ada, 200), (&moderator, 200), (&operator(), 200), (&eve, 403), (&nobody(), 401)] {
            assert_eq!(ask(who, what).await.status, status, "{what} {:?}", who.fields);
        }
        let nowhere = bench.ask(&operator(), "GET", &format!("/api/streams/nowhere/{what}"), Value::Null).await;
        assert_eq!(nowhere.status, 404, "{what}");
    }
    let first = ask(&moderator, "moderation-log?limit=1").await.json();
    let entry = |target: &str| {
        json!({ "at_ms": BEGIN_MS, "actor": "mod", "action": "ban", "target": target, "message": "9223372036854775807",
                "until_ms": null, "reason": "rude" })
    };
    assert_eq!(first["items"], json!([entry("mallory")]));
    let next = first["next"].as_str().expect("more").to_owned();
    let rest = ask(&moderator, &format!("moderation-log?limit=1&cursor={next}")).await.json();
    assert_eq!(rest, json!({ "items": [entry("eve")], "next": null }));
    let bans = ask(&ada, "bans").await.json();
    let ban =
        |who: &str| json!({ "username": who, "until_ms": null, "since_ms": BEGIN_MS, "by": "mod", "reason": "rude" });
    assert_eq!(bans, json!({ "items": [ban("eve"), ban("mallory")], "next": null }));
    let members = bench.ask(&ada, "GET", "/api/streams/ada/members", Value::Null).await.json();
    assert_eq!(members["items"][0]["username"], "mod", "there is one list of moderators");
}

pub async fn moderators_read_which_terms_are_not_wanted_page_by_page(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let term = |pattern: &str, action| Change::Term(Pattern::cut(pattern), action);
    let changes = vec![
        (1, term("spam*", Some(TermAction::Block))),
        (2, term("meh", Some(TermAction::Hold))),
        (3, term("gone", Some(TermAction::Hold))),
        (4, term("buy now", Some(TermAction::Hold))),
        (5, term("gone", None)),
        (6, term("buy now", Some(TermAction::Block))),
    ];
    let store = ChatRequest::Store { channel: login("ada"), epoch: 1, changes, log: Vec::new() };
    bench.api.keep_chat(store).await.expect("an answer");
    let ask =
        async |query: &str| bench.ask(&ada, "GET", &format!("/api/streams/ada/terms{query}"), Value::Null).await.json();
    let term = |term: &str, action: &str| json!({ "term": term, "action": action });
    let first = ask("?limit=2").await;
    assert_eq!(first["items"], json!([term("spam*", "block"), term("meh", "hold")]));
    let rest = ask(&format!("?limit=2&cursor={}", first["next"].as_str().expect("more"))).await;
    assert_eq!(rest, json!({ "items": [term("buy now", "block")], "next": null }));
}

pub async fn a_home_opens_and_stores_through_the_node_that_answers(place: Place) {
    let bench = Bench::new(place).await;
    bench.join("ada").await;
    bench.join("mod").await;
    let open = |channel: &str| ChatRequest::Open { channel: login(channel) };
    let fresh = ChatReply::Opened { owner: login("ada"), durable: Durable::default() };
    assert_eq!(bench.api.keep_chat(open("ada")).await.expect("an answer"), fresh);
    store(&bench, "ada").await;
    // Another control node over the same database.
    let another = bench.another().await;
    let ChatReply::Opened { durable, .. } = another.keep_chat(open("ada")).await.expect("an answer") else { panic!() };
    assert_eq!((durable.version, durable.bans.len()), (3, 2));
    assert_eq!(durable.roles, [(login("mod"), Role::Moderator)].into());
    let standing = ChatRequest::Standing { channel: login("ada"), login: login("ada") };
    let told = another.keep_chat(standing).await.expect("an answer");
    assert_eq!(told, ChatReply::Standing { follows_since_ms: None, role: Some(Role::Owner), admin: false });
    assert_eq!(bench.api.keep_chat(open("nowhere")).await.expect("an answer"), ChatReply::NoSuchChannel);
    assert_eq!(store(&bench, "nowhere").await, ChatReply::NoSuchChannel);
}
