//! `freshet key`: what operators do with signing keys, asked as [`crate::operate`] asks.

use anyhow::bail;
use freshet_proto::{
    admin::{AdminCommand, AdminReply, Keys},
    annex::Revoked,
};

use crate::{
    cli::{KeyCommand, Output, RevokeWhat},
    operate::{Desk, UNEXPECTED},
};

/// Does what `freshet key` says.
///
/// # Errors
/// In words for the operator.
pub async fn key(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Ls { output, at } => {
            let AdminReply::Keys(keys) = Desk::open(&at)?.ask_here(AdminCommand::Keys).await? else {
                bail!(UNEXPECTED)
            };
            print!("{}", listing(&keys, output)?);
        }
        KeyCommand::Rotate { lost_kek, output, at } => {
            let reply = Desk::open(&at)?.ask(AdminCommand::RotateKeys { anew: lost_kek }).await?;
            let AdminReply::NewKey(kid) = reply else { bail!(UNEXPECTED) };
            match output {
                Output::Json => println!("{}", serde_json::json!({ "kid": kid })),
                Output::Table => println!("{kid}"),
            }
            let when =
                if lost_kek { "It signs from now on" } else { "It signs once it has been known for long enough" };
            eprintln!("This is the next key. {when} (`freshet key ls`).");
        }
        KeyCommand::Revoke(args) => {
            let (command, done) = revocation(args.what);
            let AdminReply::Done = Desk::open(&args.at)?.ask(command).await? else { bail!(UNEXPECTED) };
            println!("{done}");
        }
    }
    Ok(())
}

/// What is asked for, and what is said once it is done. The command line lets exactly one through.
fn revocation(what: RevokeWhat) -> (AdminCommand, String) {
    let of = |what: Revoked, name: String| (AdminCommand::Revoke(what), format!("tokens of {name} so far are refused"));
    match what {
        RevokeWhat { kid: Some(kid), .. } => {
            let done = format!("key {kid} is revoked: what it signed is refused");
            (AdminCommand::RevokeKey { kid }, done)
        }
        RevokeWhat { channel: Some(channel), .. } => {
            let name = format!("channel {}", channel.as_str());
            of(Revoked::Channel(channel), name)
        }
        RevokeWhat { user: Some(user), .. } => of(Revoked::User(user.clone()), format!("account {user}")),
        RevokeWhat { playback: Some(id), .. } => of(Revoked::Playback(id), format!("playback session {id}")),
        _ => (AdminCommand::DropPathSecrets, "path tokens so far are refused".to_owned()),
    }
}

fn listing(keys: &Keys, output: Output) -> anyhow::Result<String> {
    if output == Output::Json {
        return Ok(serde_json::to_string_pretty(keys)? + "\n");
    }
    let mut text = format!("{:43}  {:5}  {:8}  {:20}  {:20}  HERE\n", "KID", "ALG", "STATE", "SINCE", "UNTIL");
    for key in &keys.signing {
        let until = key.until_ms.map_or(String::new(), time);
        let here = match (key.until_ms, key.unwraps) {
            (None, _) => "",
            (_, true) => "unwraps",
            (_, false) => "this node cannot unwrap it",
        };
        let (algorithm, stage) = (key.algorithm.to_string(), key.stage.to_string());
        let line = format!("{:43}  {algorithm:5}  {stage:8}  {:20}  {until:20}  {here}", key.kid, time(key.since_ms));
        text += &format!("{}\n", line.trim_end());
    }
    for secret in &keys.path {
        let until = secret.until_ms.map_or("its successor's time".to_owned(), time);
        text += &format!("secret {} of path tokens: from {}, good until {until}\n", secret.id, time(secret.since_ms));
    }
    match (&keys.locked, keys.signing.is_empty()) {
        (Some(why), _) => text += &format!("node {}: {why}\n", keys.answered_by),
        (None, true) => text += "there are no keys yet: they come once all control nodes speak version 2\n",
        (None, false) => text += &format!("node {} can sign\n", keys.answered_by),
    }
    Ok(text)
}

/// A time in UTC, by the second.
fn time(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| ms.to_string(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        admin::{KeyStage, KeyStatus, PathStatus},
        annex::Algorithm,
        id::NodeId,
    };

    use super::*;

    fn keys(locked: Option<String>) -> Keys {
        let key = |kid: &str, stage, until_ms, unwraps| KeyStatus {
            kid: kid.to_owned(),
            algorithm: Algorithm::EdDsa,
            stage,
            since_ms: 1_700_000_000_000,
            until_ms,
            unwraps,
        };
        let signing = vec![
            key("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", KeyStage::Revoked, None, false),
            key(
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
                KeyStage::Active,
                Some(1_700_003_600_000),
                locked.is_none(),
            ),
        ];
        let path = vec![PathStatus { id: 3, since_ms: 1_700_000_000_000, until_ms: None }];
        Keys { answered_by: NodeId(5), locked, signing, path }
    }

    #[test]
    fn keys_are_listed_with_what_this_node_can_do_with_them() {
        let expected = "\
KID                                          ALG    STATE     SINCE                 UNTIL                 HERE
kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k  EdDSA  revoked   2023-11-14T22:13:20Z
NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs  EdDSA  active    2023-11-14T22:13:20Z  2023-11-14T23:13:20Z  unwraps
secret 3 of path tokens: from 2023-11-14T22:13:20Z, good until its successor's time
node 5 can sign
";
        assert_eq!(listing(&keys(None), Output::Table).unwrap(), expected);
    }

    #[test]
    fn a_node_that_cannot_sign_says_so_in_words_and_in_json() {
        let locked = keys(Some("it has another key-encryption key".to_owned()));
        let text = listing(&locked, Output::Table).unwrap();
        assert!(text.contains("this node cannot unwrap it"), "{text}");
        assert!(text.ends_with("node 5: it has another key-encryption key\n"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&listing(&locked, Output::Json).unwrap()).unwrap();
        assert_eq!(json["signing"][1]["stage"], "active");
        assert_eq!(json["signing"][1]["unwraps"], false);
    }
}
