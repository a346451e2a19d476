//! Stream keys, and what the registry hears of them.

use freshet_control_plane::accounts::{
    Accounts, ChannelChange, KeyError, KeyId, Visibility,
    outbox::{ChannelSpec, Desired, OutboxEntry},
};
use futures_util::future::join_all;

use crate::bench::{Bench, name, pepper, register};

/// What the registry is to hear of the one channel that there is.
async fn pending(accounts: &Accounts) -> (OutboxEntry, ChannelSpec) {
    let mut pending = accounts.outbox_pending(10).await.expect("an answer");
    let entry = pending.pop().expect("an entry");
    assert_eq!(pending, []);
    let Desired::Present(spec) = entry.channel.clone() else { panic!("{entry:?}") };
    (entry, spec)
}

/// Whether the registry would let publish with a key, once it has heard.
async fn works(accounts: &Accounts, key: &str) -> bool {
    pending(accounts).await.1.keys.iter().any(|(_, hash)| *hash == pepper().hash(key))
}

/// What becomes of eight calls at once.
async fn eight<T: Send + 'static, F: Future<Output = T> + Send + 'static>(call: impl Fn(usize) -> F) -> Vec<T> {
    let tasks: Vec<_> = (0..8).map(|n| tokio::spawn(call(n))).collect();
    join_all(tasks).await.into_iter().map(|task| task.expect("no panic")).collect()
}

pub async fn a_key_is_told_once_and_kept_as_the_registry_compares_it(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let (made, key) = accounts.add_stream_key(&name("ada"), " Studio ").await.expect("a key");
    assert_eq!((made.label.as_str(), made.last_four.as_str()), ("Studio", &key[key.len() - 4..]));
    let (entry, spec) = pending(&accounts).await;
    assert_eq!(spec.keys, [(made.id.clone(), pepper().hash(&key))]);
    assert_eq!(accounts.stream_keys(&name("ada")).await.expect("an answer"), std::slice::from_ref(&made));

    let (reset, other) = accounts.reset_stream_key(&name("ada"), &made.id).await.expect("a key");
    assert_eq!((&reset.id, reset.label.as_str()), (&made.id, "Studio"));
    assert!(!works(&accounts, &key).await && works(&accounts, &other).await);
    assert!(pending(&accounts).await.0.id.seq > entry.id.seq);
    let (put, third) = accounts.put_stream_key(&name("ada"), "Studio").await.expect("a key");
    assert_eq!(put.id, made.id);
    assert!(!works(&accounts, &other).await && works(&accounts, &third).await);
    let nowhere = accounts.add_stream_key(&name("nowhere"), "Studio").await;
    assert!(matches!(nowhere, Err(KeyError::NoSuchChannel)));
}

pub async fn of_resets_at_once_the_later_ones_key_works(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let (made, first) = accounts.add_stream_key(&name("ada"), "studio").await.expect("a key");
    let before = pending(&accounts).await.0.id.seq;
    let told = eight(|_| {
        let (accounts, id) = (accounts.clone(), made.id.clone());
        async move { accounts.reset_stream_key(&name("ada"), &id).await.expect("a key").1 }
    })
    .await;
    let (entry, spec) = pending(&accounts).await;
    assert_eq!((entry.id.seq, spec.keys.len()), (before + 8, 1));
    let mut working = 0;
    for key in &told {
        working += usize::from(works(&accounts, key).await);
    }
    assert_eq!((working, works(&accounts, &first).await), (1, false));
}

pub async fn of_those_who_add_the_same_label_at_once_one_does(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let added = eight(|_| {
        let accounts = accounts.clone();
        async move { accounts.add_stream_key(&name("ada"), "studio").await }
    })
    .await;
    let taken = added.iter().filter(|added| matches!(added, Err(KeyError::LabelTaken))).count();
    assert_eq!((added.iter().flatten().count(), taken), (1, 7), "{added:?}");
}

pub async fn a_channel_has_so_many_keys_however_many_are_added_at_once(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    for n in 0..7 {
        accounts.add_stream_key(&name("ada"), &format!("key {n}")).await.expect("a key");
    }
    let added = eight(|n| {
        let accounts = accounts.clone();
        async move { accounts.add_stream_key(&name("ada"), &format!("more {n}")).await }
    })
    .await;
    let refused = added.iter().filter(|added| matches!(added, Err(KeyError::TooMany))).count();
    assert_eq!((added.iter().flatten().count(), refused), (3, 5), "{added:?}");
}

pub async fn a_revoked_key_is_gone_and_another_channels_key_is_out_of_reach(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let (made, key) = accounts.add_stream_key(&name("ada"), "studio").await.expect("a key");
    register(&accounts, "grace").await;
    let hers = accounts.reset_stream_key(&name("grace"), &made.id).await;
    assert!(matches!(hers, Err(KeyError::NoSuchKey)));
    assert!(matches!(accounts.revoke_stream_key(&name("grace"), &made.id).await, Err(KeyError::NoSuchKey)));
    let grace = accounts.outbox_pending(10).await.expect("an answer").pop().expect("an entry");
    accounts.outbox_done(&grace.id).await.expect("confirmed");
    assert!(works(&accounts, &key).await);
    accounts.revoke_stream_key(&name("ada"), &made.id).await.expect("revoked");
    assert!(!works(&accounts, &key).await);
    let again: KeyId = made.id;
    assert!(matches!(accounts.revoke_stream_key(&name("ada"), &again).await, Err(KeyError::NoSuchKey)));
}

pub async fn what_changed_while_it_was_carried_is_carried_again(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let (carried, _) = pending(&accounts).await;
    let (_, key) = accounts.add_stream_key(&name("ada"), "studio").await.expect("a key");
    accounts.outbox_done(&carried.id).await.expect("confirmed");
    let (left, _) = pending(&accounts).await;
    assert!(left.id.seq > carried.id.seq && works(&accounts, &key).await);
    accounts.outbox_done(&left.id).await.expect("confirmed");
    accounts.outbox_done(&left.id).await.expect("twice is once");
    assert_eq!(accounts.outbox_pending(10).await.expect("an answer"), []);
    accounts.put_stream_key(&name("ada"), "studio").await.expect("a key");
    assert!(pending(&accounts).await.0.id.seq > left.id.seq, "numbers never go back");
}

pub async fn what_was_not_confirmed_is_carried_after_a_restart(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let (_, key) = accounts.add_stream_key(&name("ada"), "studio").await.expect("a key");
    let before = pending(&accounts).await;
    // Nothing is closed: the connections are as a crash leaves them.
    std::mem::forget(accounts);
    let accounts = bench.open().await;
    assert_eq!(pending(&accounts).await, before);
    assert!(works(&accounts, &key).await);
}

pub async fn the_registry_is_told_nothing_that_does_not_concern_it(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let (entry, _) = pending(&accounts).await;
    accounts.outbox_done(&entry.id).await.expect("confirmed");
    let title = ChannelChange { title: Some("Notes".to_owned()), ..ChannelChange::default() };
    accounts.update_channel(&name("ada"), title).await.expect("a channel");
    assert!(accounts.revoke_stream_key(&name("ada"), &"nothing".into()).await.is_err());
    assert!(accounts.add_stream_key(&name("ada"), "").await.is_err());
    assert_eq!(accounts.outbox_pending(10).await.expect("an answer"), []);
    let hidden = ChannelChange { visibility: Some(Visibility::Unlisted), ..ChannelChange::default() };
    accounts.update_channel(&name("ada"), hidden).await.expect("a channel");
    assert_eq!(pending(&accounts).await.1.visibility, Visibility::Unlisted);
}

pub async fn a_registry_from_a_backup_is_told_everything_again(bench: Bench) {
    let accounts = bench.open().await;
    for username in ["ada", "grace"] {
        register(&accounts, username).await;
    }
    let told = accounts.outbox_pending(10).await.expect("an answer");
    accounts.outbox_done(&told[0].id).await.expect("confirmed");
    assert_eq!(accounts.outbox_refill().await.expect("an answer"), 1);
    let again = accounts.outbox_pending(10).await.expect("an answer");
    assert_eq!(again.len(), 2);
    for entry in &again {
        let before = told.iter().find(|before| before.id.channel == entry.id.channel).expect("told before");
        assert!(entry.id.seq > before.id.seq);
    }
}
