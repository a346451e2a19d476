//! Who follows whom.

use std::collections::BTreeSet;

use freshet_control_plane::accounts::{Actor, FollowError, Role};
use futures_util::future::join_all;

use crate::bench::{Bench, name, register};

pub async fn following_twice_is_following_once(bench: Bench) {
    let accounts = bench.open().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let tasks = (0..8).map(|_| {
        let (accounts, user) = (accounts.clone(), grace.id.clone());
        tokio::spawn(async move { accounts.follow(&user, &name("ada")).await.expect("followed") })
    });
    let new = join_all(tasks).await.into_iter().filter(|task| matches!(task, Ok(true))).count();
    assert_eq!(new, 1);
    assert!(accounts.is_following(&grace.id, &ada.username).await.expect("an answer"));
    assert!(!accounts.is_following(&ada.id, &grace.username).await.expect("an answer"));
    assert_eq!(accounts.follower_count(&ada.username).await.expect("an answer"), 1);
    assert!(accounts.unfollow(&grace.id, &ada.username).await.expect("an answer"));
    assert!(!accounts.unfollow(&grace.id, &ada.username).await.expect("an answer"));
    assert_eq!(accounts.follower_count(&ada.username).await.expect("an answer"), 0);
}

pub async fn nobody_follows_themselves_or_nobody(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    assert!(matches!(accounts.follow(&ada.id, &ada.username).await, Err(FollowError::Own)));
    assert!(matches!(accounts.follow(&ada.id, &name("nobody")).await, Err(FollowError::NoSuchChannel)));
    assert!(matches!(accounts.follow(&"nobody".into(), &ada.username).await, Err(FollowError::NoSuchUser)));
}

pub async fn long_lists_come_in_pages_without_gaps_or_doubles(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    let mut names = BTreeSet::new();
    for n in 0..25 {
        // Hyphens and digits, which collations order differently.
        let username = if n % 2 == 0 { format!("fan{n}") } else { format!("f-an{n}") };
        let fan = accounts.add_user(&Actor::Operator, &username, None, None, Role::User).await.expect("an account");
        accounts.follow(&fan.id, &ada.username).await.expect("followed");
        accounts.follow(&ada.id, &fan.username).await.expect("followed");
        names.insert(username);
    }
    let (mut followers, mut following, mut pages) = (Vec::new(), Vec::new(), 0);
    let mut after = None;
    loop {
        let page = accounts.followers(&ada.username, after.as_deref(), 10).await.expect("a page");
        followers.extend(page.items.into_iter().map(|follower| follower.username.to_string()));
        (after, pages) = (page.next, pages + 1);
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = accounts.following(&ada.id, after.as_deref(), 10).await.expect("a page");
        following.extend(page.items.into_iter().map(|name| name.to_string()));
        (after, pages) = (page.next, pages + 1);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((followers.len(), following.len(), pages), (25, 25, 6));
    assert_eq!(followers.into_iter().collect::<BTreeSet<_>>(), names);
    assert_eq!(following.into_iter().collect::<BTreeSet<_>>(), names);
    let odd = accounts.following(&ada.id, Some("no cursor of ours"), 1000).await.expect("a page");
    assert_eq!((odd.items.len(), odd.next), (25, None));
}
