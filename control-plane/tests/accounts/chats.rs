//! What must outlive every hub of a channel's chat.

use std::time::Duration;

use freshet_control_plane::accounts::{Accounts, Actor, ChannelRole, MAX_LOG, Standing, Stored};
use freshet_proto::chat::{
    self, Actor as ChatActor, Ban, Change, Durable, LogEntry, MAX_TERMS, MessageId, ModeChange, Modes, Pattern, Reason,
    Role, Term, TermAction, Verb,
};

use crate::bench::{Bench, START_MS, name, register};

/// Longer than a case takes.
const HOUR_MS: u64 = 3_600_000;

fn ban(until_ms: Option<u64>, reason: &str) -> Ban {
    Ban { until_ms, at_ms: START_MS, by: name("mod"), reason: Reason::cut(reason) }
}

fn bans(login: &str, until_ms: Option<u64>) -> Change {
    Change::Ban(name(login), ban(until_ms, "why"))
}

fn term(pattern: &str, action: Option<TermAction>) -> Change {
    Change::Term(Pattern::cut(pattern), action)
}

fn line(at_ms: u64, actor: &str, target: &str) -> LogEntry {
    LogEntry {
        at_ms,
        actor: ChatActor { id: chat::UserId::cut("id"), login: name(actor) },
        verb: Verb::Timeout,
        target: Some(name(target)),
        message: Some(MessageId(7)),
        until_ms: Some(at_ms + 600_000),
        reason: Reason::cut("why\0 not"),
    }
}

/// Stores changes numbered from `first` on; tells the newest version and which could not be kept.
async fn store(accounts: &Accounts, epoch: u64, first: u64, changes: &[Change]) -> (u64, Vec<u64>) {
    let numbered: Vec<_> = (first..).zip(changes.iter().cloned()).collect();
    match accounts.store_chat(&name("ada"), epoch, &numbered, &[]).await.expect("an answer") {
        Stored::Done { version, unstored } => (version, unstored),
        other => panic!("{other:?}"),
    }
}

async fn open(accounts: &Accounts) -> Durable {
    accounts.open_chat(&name("ada")).await.expect("an answer")
}

pub async fn what_a_home_stores_the_next_one_opens(bench: Bench) {
    let accounts = bench.open().await;
    for who in ["ada", "grace", "hedy"] {
        register(&accounts, who).await;
    }
    assert_eq!(open(&accounts).await, Durable::default());
    // A machine of its own does the same changes.
    let mut model = Durable::default();
    let mut changes = vec![
        bans("eve", None),
        bans("mallory", Some(START_MS + 1_000)),
        bans("mallory", Some(START_MS + HOUR_MS)),
        bans("oscar", None),
        Change::Unban(name("oscar")),
        Change::Role(name("grace"), Some(Role::Vip)),
        Change::Role(name("grace"), Some(Role::Moderator)),
        Change::Role(name("hedy"), Some(Role::Vip)),
        Change::Role(name("hedy"), None),
        term("spam*", Some(TermAction::Hold)),
        term("meh", Some(TermAction::Hold)),
        term("spam*", Some(TermAction::Block)),
        term("meh", None),
        term("bad", Some(TermAction::Hold)),
    ];
    for change in &changes {
        model.apply(change, START_MS).expect("there is room");
    }
    for modes in [ModeChange::Slow(5), ModeChange::Shield(true), ModeChange::EmoteOnly(true)] {
        let change = Change::Modes(model.changed(modes));
        model.apply(&change, START_MS).expect("there is room");
        changes.push(change);
    }
    assert_eq!(store(&accounts, 3, 1, &changes).await, (model.version, vec![]));
    assert_eq!(open(&accounts).await, model);
    let lifted = Change::Modes(model.changed(ModeChange::Shield(false)));
    model.apply(&lifted, START_MS).expect("there is room");
    assert_eq!(store(&accounts, 3, model.version, &[lifted]).await, (model.version, vec![]));
    accounts.close().await;

    let later = bench.open_after(Duration::from_millis(HOUR_MS)).await;
    let opened = open(&later).await;
    assert_eq!((opened.modes.slow_s, opened.preset.emote_only, opened.before_shield), (5, true, None));
    assert_eq!(opened.bans.keys().map(|login| login.as_str()).collect::<Vec<_>>(), ["eve"], "the timeout is over");
    assert_eq!(opened.terms.iter().map(|term| term.pattern.as_str()).collect::<Vec<_>>(), ["spam*", "bad"]);
}

pub async fn what_is_stored_twice_is_stored_once_and_an_older_epoch_stores_nothing(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    assert_eq!(store(&accounts, 3, 1, &[bans("eve", None)]).await, (1, vec![]));
    assert_eq!(store(&accounts, 3, 2, &[Change::Unban(name("eve"))]).await, (2, vec![]));
    // The first answer was lost, and it is asked again.
    assert_eq!(store(&accounts, 3, 1, &[bans("eve", None)]).await, (2, vec![]));
    assert_eq!(open(&accounts).await.bans.len(), 0, "she may speak again");
    // The next home had opened before the last change: its numbers are its own.
    assert_eq!(store(&accounts, 5, 2, &[bans("mallory", None)]).await, (2, vec![]));
    assert_eq!(open(&accounts).await.bans.len(), 1);
    let stale = accounts.store_chat(&name("ada"), 4, &[(9, bans("oscar", None))], &[]).await.expect("an answer");
    assert_eq!(stale, Stored::Stale { epoch: 5 });
    assert_eq!((open(&accounts).await.bans.len(), open(&accounts).await.version), (1, 2));
}

pub async fn moderators_and_vips_are_in_one_list_whoever_made_them(bench: Bench) {
    let accounts = bench.open().await;
    let [ada, grace, fan] =
        [register(&accounts, "ada").await, register(&accounts, "grace").await, register(&accounts, "hedy").await];
    accounts.set_channel_role(&ada.username, &grace.id, Some(ChannelRole::Vip)).await.expect("set");
    accounts.follow(&fan.id, &ada.username).await.expect("followed");
    assert_eq!(open(&accounts).await.roles, [(name("grace"), Role::Vip)].into());
    let changes = [
        Change::Role(name("grace"), Some(Role::Moderator)),
        Change::Role(name("nobody"), Some(Role::Vip)),
        Change::Role(name("ada"), Some(Role::Vip)),
        Change::Role(name("hedy"), Some(Role::Owner)),
        Change::Role(name("nobody"), None),
    ];
    assert_eq!(store(&accounts, 1, 1, &changes).await, (5, vec![2, 3, 4]), "what can't be kept is told");
    let role = accounts.channel_role(&ada.username, &grace.id).await.expect("an answer");
    assert_eq!(role, Some(ChannelRole::Moderator));

    let standing = async |who: &str| accounts.standing(&name("ada"), &name(who)).await.expect("an answer");
    let is = |follows_since_ms, role| Standing { follows_since_ms, role, admin: false };
    assert_eq!(standing("grace").await, is(None, Some(ChannelRole::Moderator)));
    let hedy = standing("hedy").await;
    assert!(
        hedy.follows_since_ms.is_some_and(|since_ms| (START_MS..START_MS + HOUR_MS).contains(&since_ms)),
        "{hedy:?}"
    );
    assert_eq!(hedy, is(hedy.follows_since_ms, None));
    assert_eq!(standing("ada").await, is(None, Some(ChannelRole::Owner)));
    assert_eq!(standing("nobody").await, Standing::default());

    // A channel that an operator made has a chat, and nobody to moderate it but administrators.
    let ownerless = name("plaza");
    let changes = [(1, bans("eve", None)), (2, Change::Role(name("hedy"), Some(Role::Vip)))];
    let stored = accounts.store_chat(&ownerless, 1, &changes, &[]).await.expect("an answer");
    assert_eq!(stored, Stored::Done { version: 2, unstored: vec![2] });
    assert_eq!(accounts.open_chat(&ownerless).await.expect("an answer").bans.len(), 1);
}

pub async fn a_chat_has_so_many_terms_and_a_store_is_done_whole_or_not_at_all(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let terms: Vec<_> = (0..MAX_TERMS).map(|n| term(&format!("t{n}"), Some(TermAction::Hold))).collect();
    store(&accounts, 1, 1, &terms).await;
    let version = terms.len() as u64;
    let more = [(version + 1, bans("eve", None)), (version + 2, term("more", Some(TermAction::Block)))];
    let full = accounts.store_chat(&name("ada"), 1, &more, &[]).await.expect("an answer");
    assert_eq!((full, open(&accounts).await.bans.len()), (Stored::Full, 0));
    let room = [term("t7", None), term("more", Some(TermAction::Block))];
    assert_eq!(store(&accounts, 1, version + 1, &room).await, (version + 2, vec![]));
    let last = open(&accounts).await.terms.pop();
    assert_eq!(last, Some(Term { pattern: Pattern::cut("more"), action: TermAction::Block }));
}

pub async fn what_moderators_did_is_listed_the_latest_first_and_the_oldest_go(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let log = async |lines: &[LogEntry]| {
        let stored = accounts.store_chat(&name("ada"), 1, &[], lines).await.expect("an answer");
        assert_eq!(stored, Stored::Done { version: 0, unstored: vec![] });
    };
    log(&[line(1, "grace", "eve"), line(2, "grace", "mallory")]).await;
    // Asked again, with one more.
    log(&[line(1, "grace", "eve"), line(2, "grace", "mallory"), line(2, "hedy", "eve")]).await;
    let first = accounts.chat_log(&name("ada"), None, 2).await.expect("an answer");
    let rest = accounts.chat_log(&name("ada"), first.next.as_deref(), 2).await.expect("an answer");
    let told: Vec<_> =
        first.items.iter().chain(&rest.items).map(|line| (line.at_ms, line.actor.as_deref().unwrap_or("-"))).collect();
    assert_eq!((told, rest.next), (vec![(2, "hedy"), (2, "grace"), (1, "grace")], None));
    let latest = &first.items[0];
    assert_eq!((latest.verb, latest.target.as_deref()), (Verb::Timeout, Some("eve")));
    assert_eq!((latest.message, latest.until_ms), (Some(MessageId(7)), Some(600_002)));
    assert_eq!(latest.reason, "why not", "what no database can hold is left out");

    // As if it had gone on for long.
    let (pool, last) = (bench.raw().await, i64::try_from(MAX_LOG).expect("few") + 10);
    let far = "UPDATE chat_log SET seq = $1 WHERE channel = 'ada' AND seq = 3";
    sqlx::query(far).bind(last).execute(&pool).await.expect("set");
    pool.close().await;
    log(&[line(3, "grace", "oscar")]).await;
    let kept = accounts.chat_log(&name("ada"), None, 100).await.expect("an answer");
    assert_eq!(kept.items.iter().map(|line| line.at_ms).collect::<Vec<_>>(), [3, 2]);
}

pub async fn bans_are_listed_by_name_while_they_last(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let changes = [bans("eve", None), bans("mallory", Some(START_MS)), bans("oscar", Some(START_MS + HOUR_MS))];
    store(&accounts, 1, 1, &changes).await;
    let first = accounts.chat_bans(&name("ada"), None, 1).await.expect("an answer");
    let rest = accounts.chat_bans(&name("ada"), first.next.as_deref(), 1).await.expect("an answer");
    let told: Vec<_> = first.items.iter().chain(&rest.items).map(|ban| (ban.login.as_str(), ban.until_ms)).collect();
    assert_eq!((told, rest.next), (vec![("eve", None), ("oscar", Some(START_MS + HOUR_MS))], None));
    assert_eq!((first.items[0].by.as_deref(), first.items[0].reason.as_str()), (Some("mod"), "why"));
}

pub async fn an_account_that_is_deleted_leaves_no_trace_in_chats_but_what_it_decided(bench: Bench) {
    let accounts = bench.open().await;
    let (_ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let by_grace = Ban { by: name("grace"), ..ban(None, "private matters") };
    store(&accounts, 1, 1, &[Change::Ban(name("eve"), by_grace), bans("grace", None)]).await;
    let of_hers =
        [(1, bans("eve", None)), (2, term("hers", Some(TermAction::Hold))), (3, Change::Modes(Modes::default()))];
    accounts.store_chat(&name("grace"), 1, &of_hers, &[line(1, "grace", "eve")]).await.expect("an answer");
    let lines = [line(1, "grace", "eve"), line(2, "ada", "grace")];
    accounts.store_chat(&name("ada"), 1, &[], &lines).await.expect("an answer");

    accounts.delete_account(&Actor::User(grace.id.clone()), &grace.id).await.expect("deleted");
    let dump = bench.dump().await;
    let left: Vec<_> = dump.lines().filter(|line| line.ends_with(": grace") || line.contains("hers")).collect();
    assert_eq!(left, ["names: grace", "outbox: grace"]);
    let opened = open(&accounts).await;
    assert_eq!(opened.bans.keys().map(|login| login.as_str()).collect::<Vec<_>>(), ["eve"], "what she decided holds");
    assert_eq!(opened.bans[&name("eve")].by, name("ada"), "in the name of the channel");
    let log = accounts.chat_log(&name("ada"), None, 10).await.expect("an answer");
    assert_eq!(log.items.iter().map(|line| (line.at_ms, line.actor.clone())).collect::<Vec<_>>(), [(1, None)]);
}

pub async fn of_homes_that_store_at_once_each_is_stored_whole(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let homes = (1..=8u64).map(|epoch| {
        let accounts = accounts.clone();
        tokio::spawn(async move {
            let changes = [(1, bans(&format!("a{epoch}"), None)), (2, bans(&format!("b{epoch}"), None))];
            accounts.store_chat(&name("ada"), epoch, &changes, &[line(epoch, "mod", "eve")]).await.expect("an answer")
        })
    });
    let mut done = Vec::new();
    for (epoch, home) in (1..).zip(homes.collect::<Vec<_>>()) {
        match home.await.expect("no panic") {
            Stored::Done { version: 2, .. } => done.push(epoch),
            Stored::Stale { epoch: newer } => assert!(newer > epoch),
            other => panic!("{other:?}"),
        }
    }
    assert!(done.contains(&8), "nobody is newer");
    let opened = open(&accounts).await;
    let whole: Vec<_> = done.iter().flat_map(|n| [format!("a{n}"), format!("b{n}")]).collect();
    assert!(whole.iter().all(|login| opened.bans.contains_key(&name(login))) && opened.bans.len() == whole.len());
    let log = accounts.chat_log(&name("ada"), None, 100).await.expect("an answer");
    assert_eq!(log.items.len(), done.len());
}
