//! Signing in, staying signed in, and being thrown out.

use std::{net::IpAddr, time::Duration};

use freshet_control_plane::accounts::{
    Accounts, Actor, AuditFilter, Client, LoginError, Password, PasswordError, RefreshError, Role, SignedIn,
    outbox::Desired,
};
use futures_util::future::join_all;

use crate::bench::{Bench, PASSWORD, client, name, new_account, register};

const DAY: Duration = Duration::from_secs(86_400);

async fn login(accounts: &Accounts, username: &str) -> SignedIn {
    accounts.login(&client(), username, PASSWORD).await.expect("signed in")
}

/// What a refresh says of a token: nothing, or why not.
async fn refused(accounts: &Accounts, signed_in: &SignedIn) -> Option<RefreshError> {
    accounts.refresh(&client(), signed_in.refresh.reveal()).await.err()
}

fn password(text: &str) -> Password {
    Password::new(text).expect("long enough")
}

pub async fn a_name_and_an_address_sign_in_alike(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    for who in ["ada", " ADA", "ada@example.org", "Ada@Example.org "] {
        let signed_in = accounts.login(&client(), who, PASSWORD).await.expect("signed in");
        let identity = &signed_in.identity;
        assert_eq!((&identity.user, &identity.username, identity.role), (&ada.id, &ada.username, Role::User));
        assert_eq!(accounts.identity(&identity.session).await.expect("an answer").as_ref(), Some(identity));
    }
    assert_eq!(accounts.sessions(&ada.id).await.expect("an answer").len(), 4);
}

pub async fn nothing_tells_an_unknown_account_from_a_wrong_password(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    accounts.add_user(&Actor::Operator, "linked", None, None, Role::User).await.expect("an account");
    let mut answers = Vec::new();
    let long = "x".repeat(5000);
    for (who, password) in [
        ("ada", "wrong password"),
        ("ada", long.as_str()),
        ("ada", ""),
        ("nobody", PASSWORD),
        ("nobody@example.org", PASSWORD),
        ("linked", PASSWORD),
        ("linked", ""),
        ("no name at all\0", PASSWORD),
        ("", PASSWORD),
        (long.as_str(), PASSWORD),
    ] {
        let refused = accounts.login(&client(), who, password).await;
        assert!(matches!(refused, Err(LoginError::Refused)), "{who:?}: {refused:?}");
        answers.extend(refused.err().map(|error| error.to_string()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

pub async fn ten_failures_make_an_account_wait_even_with_the_right_password(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    register(&accounts, "grace").await;
    // At once and from everywhere: each counts before any is decided.
    let guesses = (0..30).map(|n| {
        let (accounts, address) = (accounts.clone(), IpAddr::from([10, 0, 0, n]));
        tokio::spawn(
            async move { accounts.login(&Client { address, agent: String::new() }, "ada", "wrong password").await },
        )
    });
    let guesses: Vec<_> = join_all(guesses).await.into_iter().map(|guess| guess.expect("no panic")).collect();
    let wrong = guesses.iter().filter(|guess| matches!(guess, Err(LoginError::Refused))).count();
    let waiting = guesses.iter().filter(|guess| matches!(guess, Err(LoginError::TryLater(_)))).count();
    assert_eq!((wrong, waiting), (10, 20));
    let right = accounts.login(&client(), "ada", PASSWORD).await;
    assert!(matches!(right, Err(LoginError::TryLater(_))), "{right:?}");
    login(&accounts, "grace").await;
}

pub async fn a_refresh_token_works_once_and_its_reuse_ends_the_session(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    let (first, other) = (login(&accounts, "ada").await, login(&accounts, "ada").await);
    let second = accounts.refresh(&client(), first.refresh.reveal()).await.expect("refreshed");
    let third = accounts.refresh(&client(), second.refresh.reveal()).await.expect("refreshed");
    assert_eq!((&second.identity, &third.identity), (&first.identity, &first.identity));

    let reused = refused(&accounts, &first).await;
    assert!(matches!(&reused, Some(RefreshError::Reused(over)) if *over == first.identity.session), "{reused:?}");
    for token in [&first, &second, &third] {
        assert!(matches!(refused(&accounts, token).await, Some(RefreshError::Unknown)));
    }
    assert_eq!(accounts.identity(&first.identity.session).await.expect("an answer"), None);
    assert!(refused(&accounts, &other).await.is_none(), "the other device stays signed in");
    let log = accounts.audit_log(&AuditFilter::default(), None, 10).await.expect("an answer").items;
    let entry = log.iter().find(|entry| entry.action == "session.reuse").expect("an entry");
    assert_eq!(entry.details["user"], ada.id.as_str());
    assert!(matches!(accounts.refresh(&client(), "frt_nothing").await, Err(RefreshError::Unknown)));
}

pub async fn of_refreshes_at_once_one_is_answered_and_the_session_ends(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    for _ in 0..5 {
        let token = login(&accounts, "ada").await.refresh;
        let tasks = (0..8).map(|_| {
            let (accounts, token) = (accounts.clone(), token.clone());
            tokio::spawn(async move { accounts.refresh(&client(), token.reveal()).await })
        });
        let (mut answered, mut reused) = (Vec::new(), 0);
        for task in join_all(tasks).await {
            match task.expect("no panic") {
                Ok(signed_in) => answered.push(signed_in),
                Err(RefreshError::Reused(_)) => reused += 1,
                Err(RefreshError::Unknown) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((answered.len(), reused), (1, 1));
        assert!(matches!(refused(&accounts, &answered[0]).await, Some(RefreshError::Unknown)));
    }
    assert_eq!(accounts.sessions(&ada.id).await.expect("an answer"), []);
}

pub async fn a_session_that_was_not_refreshed_runs_out(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    let (idle, used) = (login(&accounts, "ada").await, login(&accounts, "ada").await);
    let later = bench.open_after(20 * DAY).await;
    let used = later.refresh(&client(), used.refresh.reveal()).await.expect("refreshed");
    let later = bench.open_after(31 * DAY).await;
    assert_eq!(later.identity(&idle.identity.session).await.expect("an answer"), None);
    assert!(matches!(refused(&later, &idle).await, Some(RefreshError::Expired)));
    assert!(refused(&later, &used).await.is_none());
    assert_eq!(later.sessions(&ada.id).await.expect("an answer").len(), 1);
    let later = bench.open_after(100 * DAY).await;
    assert_eq!(later.sweep().await.expect("an answer"), 1);
}

pub async fn a_session_runs_out_in_the_end_however_much_it_is_used(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let mut signed_in = login(&accounts, "ada").await;
    for days in (20..=360).step_by(20) {
        let later = bench.open_after(days * DAY).await;
        signed_in = later.refresh(&client(), signed_in.refresh.reveal()).await.expect("refreshed");
        later.close().await;
    }
    let later = bench.open_after(366 * DAY).await;
    assert!(matches!(refused(&later, &signed_in).await, Some(RefreshError::Expired)));
}

pub async fn logging_out_ends_one_session_or_all(bench: Bench) {
    let accounts = bench.open().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(login(&accounts, "ada").await);
    }
    let hers = login(&accounts, "grace").await;
    assert!(!accounts.logout(&grace.id, &all[0].identity.session).await.expect("an answer"), "not hers");
    assert!(accounts.logout(&ada.id, &all[0].identity.session).await.expect("an answer"));
    assert!(matches!(refused(&accounts, &all[0]).await, Some(RefreshError::Unknown)));
    let kept = &all[1].identity.session;
    assert_eq!(accounts.logout_everywhere(&ada.id, Some(kept)).await.expect("an answer"), 2);
    let left: Vec<_> =
        accounts.sessions(&ada.id).await.expect("an answer").into_iter().map(|session| session.id).collect();
    assert_eq!(left, std::slice::from_ref(kept));
    assert_eq!(accounts.logout_everywhere(&ada.id, None).await.expect("an answer"), 1);
    assert!(matches!(refused(&accounts, &all[1]).await, Some(RefreshError::Unknown)));
    assert!(refused(&accounts, &hers).await.is_none());
}

pub async fn an_account_has_so_many_sessions_and_the_oldest_gives_way(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    let first = login(&accounts, "ada").await;
    let later = bench.open_after(DAY).await;
    for _ in 0..50 {
        login(&later, "ada").await;
    }
    assert!(matches!(refused(&later, &first).await, Some(RefreshError::Unknown)));
    assert_eq!(later.sessions(&ada.id).await.expect("an answer").len(), 50);
}

pub async fn a_new_password_needs_the_old_one_and_ends_the_other_sessions(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    let (here, there) = (login(&accounts, "ada").await, login(&accounts, "ada").await);
    let (from, new) = (client().address, password("a new password"));
    for old in [Some("wrong password"), None] {
        let refused = accounts.change_password(&here.identity, from, old, &new).await;
        assert!(matches!(refused, Err(PasswordError::Wrong)), "{old:?}: {refused:?}");
    }
    accounts.change_password(&here.identity, from, Some(PASSWORD), &new).await.expect("changed");
    assert!(refused(&accounts, &here).await.is_none());
    assert!(matches!(refused(&accounts, &there).await, Some(RefreshError::Unknown)));
    assert!(matches!(accounts.login(&client(), "ada", PASSWORD).await, Err(LoginError::Refused)));
    assert!(accounts.login(&client(), "ada", "a new password").await.is_ok());
    assert!(accounts.confirm_password(&ada.id, from, "a new password").await.is_ok());
    assert!(matches!(accounts.confirm_password(&ada.id, from, PASSWORD).await, Err(PasswordError::Wrong)));
    accounts.set_password(&Actor::Operator, &ada.id, &password(PASSWORD)).await.expect("set");
    assert_eq!(accounts.sessions(&ada.id).await.expect("an answer"), []);
    login(&accounts, "ada").await;
}

pub async fn a_login_link_works_once_and_for_a_day(bench: Bench) {
    let accounts = bench.open().await;
    let ada = accounts.add_user(&Actor::Operator, "ada", None, None, Role::User).await.expect("an account");
    let overtaken = accounts.login_link(&Actor::Operator, &ada.id).await.expect("a link");
    let link = accounts.login_link(&Actor::Operator, &ada.id).await.expect("a link");
    let none = accounts.login_by_link(&client(), overtaken.reveal()).await;
    assert!(matches!(none, Err(LoginError::Refused)));
    let tasks = (0..8).map(|_| {
        let (accounts, link) = (accounts.clone(), link.clone());
        tokio::spawn(async move { accounts.login_by_link(&client(), link.reveal()).await })
    });
    let results: Vec<_> = join_all(tasks).await.into_iter().map(|task| task.expect("no panic")).collect();
    let refused = results.iter().filter(|result| matches!(result, Err(LoginError::Refused))).count();
    let entered: Vec<_> = results.iter().flatten().collect();
    assert_eq!((entered.len(), refused), (1, 7), "{results:?}");
    // There is no password yet, so none is asked for.
    let first = password("a first password");
    accounts.change_password(&entered[0].identity, client().address, None, &first).await.expect("set");
    assert!(accounts.login(&client(), "ada", "a first password").await.is_ok());

    let stale = accounts.login_link(&Actor::Operator, &ada.id).await.expect("a link");
    let later = bench.open_after(DAY + Duration::from_secs(3600)).await;
    assert!(matches!(later.login_by_link(&client(), stale.reveal()).await, Err(LoginError::Refused)));
}

pub async fn a_disabled_account_is_out_at_once_and_its_keys_with_it(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    accounts.add_stream_key(&ada.username, "studio").await.expect("a key");
    let signed_in = login(&accounts, "ada").await;
    accounts.set_disabled(&Actor::Operator, &ada.id, true).await.expect("disabled");
    assert!(matches!(refused(&accounts, &signed_in).await, Some(RefreshError::Unknown)));
    assert!(matches!(accounts.login(&client(), "ada", PASSWORD).await, Err(LoginError::Disabled)));
    assert!(matches!(accounts.login(&client(), "ada", "wrong password").await, Err(LoginError::Refused)));
    assert_eq!(keys_told(&accounts).await, 0);
    accounts.set_disabled(&Actor::Operator, &ada.id, false).await.expect("enabled");
    assert_eq!(keys_told(&accounts).await, 1);
    login(&accounts, "ada").await;
}

async fn keys_told(accounts: &Accounts) -> usize {
    let pending = accounts.outbox_pending(10).await.expect("an answer");
    let [entry] = &pending[..] else { panic!("{pending:?}") };
    let Desired::Present(spec) = &entry.channel else { panic!("{entry:?}") };
    spec.keys.len()
}

pub async fn no_secret_can_be_read_from_the_database(bench: Bench) {
    let accounts = bench.open().await;
    let ada = accounts.register(client().address, new_account("ada")).await.expect("an account");
    let signed_in = login(&accounts, "ada").await;
    let (_, key) = accounts.add_stream_key(&name("ada"), "studio").await.expect("a key");
    let link = accounts.login_link(&Actor::Operator, &ada.id).await.expect("a link");
    let terms = freshet_control_plane::accounts::InviteTerms { uses: 1, seconds: 60 };
    let invite = accounts.invite(&Actor::Operator, terms).await.expect("an invitation");
    let (dump, debug) = (bench.dump().await, format!("{signed_in:?} {link:?} {accounts:?}"));
    assert!(dump.contains("ada@example.org") && dump.contains("$argon2id$"), "{dump}");
    for secret in [PASSWORD, signed_in.refresh.reveal(), &key, link.reveal(), invite.reveal()] {
        let tail = &secret[secret.len() - 20..];
        assert!(!dump.contains(tail), "{tail} is in {dump}");
        assert!(!debug.contains(tail), "{tail} is in {debug}");
    }
}
