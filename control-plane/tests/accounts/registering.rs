//! Coming in.

use std::{net::IpAddr, time::Duration};

use freshet_control_plane::accounts::{
    Accounts, Actor, AuditFilter, Config, InviteTerms, NewAccount, ProfileChange, ProfileError, RegisterError,
    Registration, Role, User, outbox::Desired,
};
use futures_util::future::join_all;

use crate::bench::{Bench, START_MS, client, config, name, new_account, register};

/// What became of registrations made at once, each from another address.
async fn at_once(accounts: &Accounts, all: impl IntoIterator<Item = NewAccount>) -> Vec<Result<User, RegisterError>> {
    let tasks = all.into_iter().zip(0..).map(|(new, n)| {
        let accounts = accounts.clone();
        tokio::spawn(async move { accounts.register(IpAddr::from([10, 0, 0, n]), new).await })
    });
    join_all(tasks).await.into_iter().map(|task| task.expect("no panic")).collect()
}

pub async fn a_new_account_has_a_profile_and_a_channel_that_the_registry_hears_of(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "Ada").await;
    assert_eq!((ada.username.as_str(), ada.display_name.as_str(), ada.role), ("ada", "Ada", Role::User));
    assert!(ada.has_password && ada.disabled_ms.is_none() && ada.created_ms >= START_MS);
    assert_eq!(accounts.user(&ada.id).await.expect("an answer"), Some(ada.clone()));
    assert_eq!(accounts.user_by_name(&ada.username).await.expect("an answer"), Some(ada.clone()));
    let channel = accounts.channel(&name("ada")).await.expect("an answer").expect("a channel");
    assert_eq!((channel.owner, channel.title.as_str()), (ada.id, ""));
    let pending = accounts.outbox_pending(10).await.expect("an answer");
    let [entry] = &pending[..] else { panic!("{pending:?}") };
    let Desired::Present(spec) = &entry.channel else { panic!("{entry:?}") };
    assert_eq!((entry.id.channel.as_str(), spec.keys.len()), ("ada", 0));
}

pub async fn names_and_addresses_are_the_same_in_any_case(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let name_again = NewAccount { username: " ADA ".to_owned(), email: None, ..new_account("ada") };
    let address_again = NewAccount { email: Some("Ada@EXAMPLE.org".to_owned()), ..new_account("grace") };
    let from = client().address;
    assert!(matches!(accounts.register(from, name_again).await, Err(RegisterError::NameTaken)));
    assert!(matches!(accounts.register(from, address_again).await, Err(RegisterError::EmailTaken)));
}

pub async fn of_those_who_want_a_name_at_once_one_gets_it(bench: Bench) {
    let accounts = bench.open().await;
    let spelt = ["ada", "Ada", "ADA", "aDa", "adA", "ADa", "aDA", "AdA"];
    let all = spelt.iter().enumerate().map(|(n, username)| NewAccount {
        username: (*username).to_owned(),
        email: Some(format!("{n}@example.org")),
        ..new_account("ada")
    });
    let results = at_once(&accounts, all).await;
    let got = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.iter().filter(|result| matches!(result, Err(RegisterError::NameTaken))).count();
    assert_eq!((got, refused), (1, 7), "{results:?}");
}

pub async fn of_those_who_want_an_address_at_once_one_gets_it(bench: Bench) {
    let accounts = bench.open().await;
    let all =
        (0..8).map(|n| NewAccount { email: Some("ada@example.org".to_owned()), ..new_account(&format!("ada{n}")) });
    let results = at_once(&accounts, all).await;
    let got = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.iter().filter(|result| matches!(result, Err(RegisterError::EmailTaken))).count();
    assert_eq!((got, refused), (1, 7), "{results:?}");
    let mut left = accounts.outbox_pending(10).await.expect("an answer");
    assert_eq!(
        left.pop().map(|entry| entry.id.channel),
        results.into_iter().flatten().next().map(|user| user.username)
    );
    assert_eq!(left, []);
}

pub async fn a_registration_that_fails_leaves_nothing_behind(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let from = client().address;
    let taken = NewAccount { email: Some("ada@example.org".to_owned()), ..new_account("grace") };
    assert!(matches!(accounts.register(from, taken).await, Err(RegisterError::EmailTaken)));
    for (field, new) in [
        ("username", NewAccount { username: "no name".to_owned(), ..new_account("grace") }),
        ("email", NewAccount { email: Some("nowhere".to_owned()), ..new_account("grace") }),
        ("password", NewAccount { password: "short".to_owned(), ..new_account("grace") }),
    ] {
        let refused = accounts.register(from, new).await;
        assert!(matches!(&refused, Err(RegisterError::Invalid(invalid)) if invalid.field() == field), "{refused:?}");
    }
    assert_eq!(register(&accounts, "grace").await.username, name("grace"));
}

pub async fn whoever_registers_often_from_one_place_has_to_wait(bench: Bench) {
    let accounts = bench.open().await;
    let address = |n: u128| IpAddr::from((0x2001_0db8_u128 << 96 | n).to_be_bytes());
    register(&accounts, "ada").await;
    for n in 0..50 {
        let taken = accounts.register(address(n), new_account("ada")).await;
        assert!(matches!(taken, Err(RegisterError::NameTaken)), "{taken:?}");
    }
    let refused = accounts.register(address(99), new_account("grace")).await;
    assert!(matches!(refused, Err(RegisterError::TryLater(_))), "{refused:?}");
    assert!(accounts.register(client().address, new_account("grace")).await.is_ok());
}

pub async fn a_closed_platform_takes_nobody(bench: Bench) {
    let closed = Config { registration: Registration::Closed, ..config() };
    let accounts = bench.open_as(closed, Duration::ZERO).await;
    let refused = accounts.register(client().address, new_account("ada")).await;
    assert!(matches!(refused, Err(RegisterError::Closed)));
    let added = accounts.add_user(&Actor::Operator, "ada", None, None, Role::User).await;
    assert!(added.is_ok_and(|ada| !ada.has_password));
}

pub async fn an_invitation_for_one_lets_one_in_however_many_come_at_once(bench: Bench) {
    let by_invitation = Config { registration: Registration::Invite, ..config() };
    let accounts = bench.open_as(by_invitation.clone(), Duration::ZERO).await;
    let none = accounts.register(client().address, new_account("ada")).await;
    assert!(matches!(none, Err(RegisterError::NeedsInvite)));
    let terms = InviteTerms { uses: 1, seconds: 3600 };
    let invite = accounts.invite(&Actor::Operator, terms).await.expect("an invitation").reveal().to_owned();
    let all = (0..8).map(|n| NewAccount { invite: Some(invite.clone()), ..new_account(&format!("ada{n}")) });
    let results = at_once(&accounts, all).await;
    let refused = results.iter().filter(|result| matches!(result, Err(RegisterError::NeedsInvite))).count();
    assert_eq!((results.iter().flatten().count(), refused), (1, 7), "{results:?}");

    let stale = accounts.invite(&Actor::Operator, terms).await.expect("an invitation").reveal().to_owned();
    let later = bench.open_as(by_invitation, Duration::from_secs(2 * 3600)).await;
    let late = later.register(client().address, NewAccount { invite: Some(stale), ..new_account("grace") }).await;
    assert!(matches!(late, Err(RegisterError::NeedsInvite)));
}

pub async fn what_an_administrator_says_of_registration_holds_for_all_control_nodes(bench: Bench) {
    let closed = Config { registration: Registration::Closed, ..config() };
    let (accounts, another) = (bench.open().await, bench.open_as(closed, Duration::ZERO).await);
    let said =
        async || (accounts.registration().await.expect("an answer"), another.registration().await.expect("an answer"));
    assert_eq!(said().await, (Registration::Open, Registration::Closed), "each by its configuration");
    accounts.set_registration(&Actor::Operator, Registration::Invite).await.expect("set");
    assert_eq!(said().await, (Registration::Invite, Registration::Invite));
    let refused = accounts.register(client().address, new_account("ada")).await;
    assert!(matches!(refused, Err(RegisterError::NeedsInvite)));
    accounts.set_registration(&Actor::Operator, Registration::Closed).await.expect("set");
    let refused = accounts.register(client().address, new_account("ada")).await;
    assert!(matches!(refused, Err(RegisterError::Closed)));
    accounts.set_registration(&Actor::Operator, Registration::Open).await.expect("set");
    assert!(another.register(client().address, new_account("ada")).await.is_ok());
    let log = accounts.audit_log(&AuditFilter::default(), None, 10).await.expect("a page").items;
    let mut told: Vec<_> = log.iter().map(|entry| format!("{} {}", entry.action, entry.target)).collect();
    told.sort();
    assert_eq!(told, ["registration.set closed", "registration.set invite", "registration.set open"]);
}

pub async fn invitations_are_listed_while_they_are_good_and_taken_back(bench: Bench) {
    let by_invitation = Config { registration: Registration::Invite, ..config() };
    let accounts = bench.open_as(by_invitation.clone(), Duration::ZERO).await;
    let ada = accounts.add_user(&Actor::Operator, "ada", None, None, Role::Admin).await.expect("an account");
    let actor = Actor::User(ada.id.clone());
    let two = accounts.invite(&actor, InviteTerms { uses: 2, seconds: 3600 }).await.expect("an invitation");
    let later = bench.open_as(by_invitation, Duration::from_secs(60)).await;
    later.invite(&Actor::Operator, InviteTerms { uses: 1, seconds: 60 }).await.expect("an invitation");
    let first = later.invites(None, 1).await.expect("a page");
    let rest = later.invites(first.next.as_deref(), 1).await.expect("a page");
    assert_eq!((&first.items[0].by, first.items[0].by_name.as_deref()), (&Some(Actor::Operator), None));
    let listed = &rest.items[0];
    assert_eq!((&listed.by, listed.by_name.as_deref(), rest.next), (&Some(actor.clone()), Some("ada"), None));
    assert_eq!((listed.uses, listed.uses_left, listed.expires_ms - listed.created_ms), (2, 2, 3_600_000));

    let with = |invite: &str, name: &str| NewAccount { invite: Some(invite.to_owned()), ..new_account(name) };
    later.register(client().address, with(two.reveal(), "grace")).await.expect("an account");
    assert_eq!(later.invites(first.next.as_deref(), 1).await.expect("a page").items[0].uses_left, 1);
    assert!(later.revoke_invite(&actor, &listed.id).await.expect("an answer"));
    assert!(!later.revoke_invite(&actor, &listed.id).await.expect("an answer"), "it is gone");
    let refused = later.register(client().address, with(two.reveal(), "hedy")).await;
    assert!(matches!(refused, Err(RegisterError::NeedsInvite)));
    let about = AuditFilter { target: Some(listed.id.clone()), ..AuditFilter::default() };
    let log = later.audit_log(&about, None, 10).await.expect("a page").items;
    assert_eq!(log.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["invite.revoke", "invite.add"]);
    let much_later = bench.open_after(Duration::from_secs(3600)).await;
    assert!(much_later.invites(None, 10).await.expect("a page").items.is_empty(), "it has run out");
}

pub async fn a_profile_changes_as_a_whole_or_not_at_all(bench: Bench) {
    let accounts = bench.open().await;
    let (ada, _) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let change = ProfileChange {
        display_name: Some("Ada Lovelace".to_owned()),
        bio: Some("one\r\ntwo".to_owned()),
        email: Some(Some("Countess@example.org".to_owned())),
        color: Some(Some("#C0FFEE".to_owned())),
    };
    let changed = accounts.update_profile(&ada.id, change).await.expect("a profile");
    let email = changed.email.as_ref().map(|email| email.as_str());
    assert_eq!(
        (changed.display_name.as_str(), changed.bio.as_str(), email),
        ("Ada Lovelace", "one\ntwo", Some("countess@example.org"))
    );
    assert_eq!(
        (changed.color.as_deref(), accounts.name_color(&ada.id).await.ok()),
        (Some("#c0ffee"), Some(Some(0xc0_ff_ee)))
    );

    let taken = ProfileChange {
        bio: Some("lost".to_owned()),
        email: Some(Some("grace@example.org".to_owned())),
        ..ProfileChange::default()
    };
    assert!(matches!(accounts.update_profile(&ada.id, taken).await, Err(ProfileError::EmailTaken)));
    let hidden = ProfileChange {
        bio: Some("lost".to_owned()),
        display_name: Some("\u{202e}".to_owned()),
        ..ProfileChange::default()
    };
    assert!(matches!(accounts.update_profile(&ada.id, hidden).await, Err(ProfileError::Invalid(_))));
    assert_eq!(accounts.user(&ada.id).await.expect("an answer"), Some(changed));
    let without = ProfileChange { email: Some(None), ..ProfileChange::default() };
    assert_eq!(accounts.update_profile(&ada.id, without).await.expect("a profile").email, None);
    let nobody = accounts.update_profile(&"nobody".into(), ProfileChange::default()).await;
    assert!(matches!(nobody, Err(ProfileError::NoSuchUser)));
}
