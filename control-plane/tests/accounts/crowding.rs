//! Everything at once.

use std::fmt::{Debug, Display};

use freshet_control_plane::accounts::{
    Accounts, Actor, ChannelChange, ChannelRole, ProfileChange, Role, User, Visibility,
};
use futures_util::future::join_all;

use crate::bench::{Bench, PASSWORD, client, name, new_account, register};

/// How many act at once, and how much each does.
const CROWD: usize = 8;
const DEEDS: usize = 24;

/// A refusal is an answer; a database that failed (a deadlock, a row that went away) is none.
fn answered<T, E: Debug + Display>(what: &str, result: Result<T, E>) -> Option<T> {
    let failed = |error: &E| error.to_string().contains("database failed");
    assert!(!result.as_ref().is_err_and(failed), "{what}: {:?}", result.err());
    result.ok()
}

/// One of many things that one of three people may do to another, while an administrator shuts them out and in.
async fn act(accounts: &Accounts, n: usize, users: &[User; 3]) {
    let (me, other, operator) = (&users[n % 3], &users[(n / 3 + 1) % 3], &Actor::Operator);
    match n % 12 {
        0 => drop(answered("login", accounts.login(&client(), me.username.as_str(), PASSWORD).await)),
        1 => drop(answered("follow", accounts.follow(&me.id, &other.username).await)),
        2 => drop(answered("unfollow", accounts.unfollow(&me.id, &other.username).await)),
        3 => drop(answered("key", accounts.put_stream_key(&me.username, "studio").await)),
        4 => drop(answered("role", accounts.set_channel_role(&me.username, &other.id, Some(ChannelRole::Vip)).await)),
        5 => drop(answered("disable", accounts.set_disabled(operator, &other.id, n.is_multiple_of(2)).await)),
        6 => drop(answered(
            "admin",
            accounts.set_role(operator, &me.id, if n.is_multiple_of(2) { Role::User } else { Role::Admin }).await,
        )),
        7 => drop(answered("logout", accounts.logout_everywhere(&me.id, None).await)),
        8 => drop(answered("refill", accounts.outbox_refill().await)),
        9 => {
            let hidden = ChannelChange { visibility: Some(Visibility::Private), ..ChannelChange::default() };
            answered("channel", accounts.update_channel(&other.username, hidden).await);
        }
        10 => {
            let bio = ProfileChange { bio: Some(n.to_string()), ..ProfileChange::default() };
            answered("profile", accounts.update_profile(&me.id, bio).await);
        }
        _ => {
            for entry in answered("pending", accounts.outbox_pending(10).await).unwrap_or_default() {
                answered("done", accounts.outbox_done(&entry.id).await);
            }
        }
    }
}

/// Somebody who comes, is followed and promoted, and goes, all at once.
async fn come_and_go(accounts: &Accounts, n: usize, host: &User) {
    let passing = format!("passing{n}");
    let Some(guest) = answered("register", accounts.register(client().address, new_account(&passing)).await) else {
        return;
    };
    let channel = name(&passing);
    let (followed, promoted, refreshed, deleted) = tokio::join!(
        accounts.follow(&host.id, &channel),
        accounts.set_channel_role(&host.username, &guest.id, Some(ChannelRole::Moderator)),
        async {
            let signed_in = answered("guest's login", accounts.login(&client(), &passing, PASSWORD).await)?;
            answered("guest's refresh", accounts.refresh(&client(), signed_in.refresh.reveal()).await)
        },
        accounts.delete_account(&Actor::Operator, &guest.id),
    );
    answered("guest followed", followed);
    answered("guest promoted", promoted);
    assert!(answered("guest deleted", deleted).is_some());
    assert!(refreshed.is_none_or(|signed_in| signed_in.identity.user == guest.id));
    assert_eq!(accounts.channel_role(&host.username, &guest.id).await.expect("an answer"), None);
}

pub async fn whatever_many_do_at_once_the_database_never_fails_them(bench: Bench) {
    let accounts = bench.open().await;
    let users =
        [register(&accounts, "ada").await, register(&accounts, "grace").await, register(&accounts, "hedy").await];
    let crowd = (0..CROWD).map(|who| {
        let (accounts, users) = (accounts.clone(), users.clone());
        tokio::spawn(async move {
            for deed in 0..DEEDS {
                // Strides that differ, so that each does everything in another order.
                act(&accounts, deed * (2 * who + 1) + who, &users).await;
                if deed % 6 == who % 6 {
                    come_and_go(&accounts, who * DEEDS + deed, &users[who % 3]).await;
                }
            }
        })
    });
    for member in join_all(crowd).await {
        member.expect("no failure");
    }
    for user in &users {
        let there = accounts.user(&user.id).await.expect("an answer");
        assert_eq!(there.map(|there| there.username), Some(user.username.clone()));
    }
}
