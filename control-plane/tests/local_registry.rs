//! The registry on one disk: what it promises holds through crashes, full disks and restarts.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use freshet_control_plane::{
    channel::{Policy, Times},
    key::Pepper,
    local::{ChannelConfig, Config, Local, LocalError, spawn, spawn_over},
    store::{FileStore, MemoryStore, Store},
};
use freshet_proto::{
    clock::WallClock,
    id::{ChannelName, Epoch, Msn, NodeId},
    random::Random,
    registry::{Claimed, Command, Departure, Refused},
    view::{ChannelState, NodeView, Role},
};

const ORIGIN: NodeId = NodeId(1);

fn channel(name: &str) -> ChannelConfig {
    ChannelConfig { name: name.parse().unwrap(), key: format!("sk_{name}"), policy: Policy::Newest }
}

fn config(names: &[&str]) -> Config {
    Config {
        channels: names.iter().map(|name| channel(name)).collect(),
        node: ORIGIN,
        view: NodeView::new(Role::Origin, "127.0.0.1:4430".parse().unwrap(), "origin"),
        times: Times::default(),
    }
}

fn clock_at(seconds: u64) -> WallClock {
    WallClock::anchored(Duration::from_secs(seconds))
}

async fn start(store: impl Store, names: &[&str], seconds: u64) -> Result<Local, LocalError> {
    spawn_over(store, Pepper([1; 32]), config(names), clock_at(seconds), &Random::seeded(1)).await
}

async fn claim(local: &Local, name: &str) -> Result<Claimed, Refused> {
    local.commands.claim(format!("sk_{name}"), ORIGIN).await
}

fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

fn state(local: &Local) -> Option<ChannelState> {
    local.feed.view().borrow().channels.get(&ada()).map(|channel| channel.state)
}

async fn until(local: &Local, wanted: ChannelState) {
    let mut views = local.feed.view();
    let reached = views.wait_for(|view| view.channels.get(&ada()).is_some_and(|channel| channel.state == wanted));
    tokio::time::timeout(Duration::from_secs(600), reached).await.expect("the state to come").unwrap();
}

async fn kill(local: Local) {
    local.task.abort();
    let _ = local.task.await;
}

#[tokio::test(start_paused = true)]
async fn a_publish_runs_through_its_states_by_itself() {
    let local = start(MemoryStore::default(), &["ada"], 0).await.unwrap();
    assert_eq!(state(&local), Some(ChannelState::Idle));
    let claimed = claim(&local, "ada").await.unwrap();
    assert_eq!(state(&local), Some(ChannelState::Starting), "the view moves before the answer");
    let (channel, epoch) = (ada(), claimed.epoch);
    local.commands.tell(Command::Live { channel: channel.clone(), epoch }).await.unwrap();
    local.commands.tell(Command::Release { channel, epoch, how: Departure::Lost }).await.unwrap();
    assert_eq!(state(&local), Some(ChannelState::Grace));
    until(&local, ChannelState::Ended).await;
    until(&local, ChannelState::Idle).await;
}

#[tokio::test(start_paused = true)]
async fn at_12_after_a_crash_a_live_session_is_in_grace_and_its_numbers_go_on() {
    let disk = MemoryStore::default();
    let local = start(disk.clone(), &["ada"], 1000).await.unwrap();
    let before = claim(&local, "ada").await.unwrap();
    local.commands.tell(Command::Live { channel: ada(), epoch: before.epoch }).await.unwrap();
    kill(local).await;

    let local = start(disk, &["ada"], 1010).await.unwrap();
    assert_eq!(state(&local), Some(ChannelState::Grace));
    let after = claim(&local, "ada").await.unwrap();
    assert!(after.epoch > before.epoch);
    assert_eq!((after.session, after.prior), (before.session, Some((before.epoch, ORIGIN))));
    assert!(after.msn_base.0 >= before.msn_base.0 + 10 + 16, "{:?}", after.msn_base);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_back_over_a_restart_delays_no_grace() {
    let disk = MemoryStore::default();
    let local = start(disk.clone(), &["ada"], 9_000_000).await.unwrap();
    let before = claim(&local, "ada").await.unwrap();
    kill(local).await;
    let local = start(disk, &["ada"], 1000).await.unwrap();
    assert_eq!(state(&local), Some(ChannelState::Grace));
    let began = tokio::time::Instant::now();
    until(&local, ChannelState::Ended).await;
    assert_eq!(began.elapsed().as_secs(), 30);
    assert!(claim(&local, "ada").await.unwrap().msn_base > before.msn_base);
}

#[tokio::test(start_paused = true)]
async fn a_torn_write_is_cut_and_the_answer_it_would_have_given_was_never_given() {
    let disk = MemoryStore::default();
    let local = start(disk.clone(), &["ada"], 0).await.unwrap();
    let promised = claim(&local, "ada").await.unwrap();
    let durable = disk.bytes().len();
    claim(&local, "ada").await.unwrap();
    kill(local).await;
    for cut in durable..disk.bytes().len() {
        let torn = MemoryStore::from(disk.bytes()[..cut].to_vec());
        let local = start(torn, &["ada"], 0).await.unwrap();
        let next = claim(&local, "ada").await.unwrap();
        assert!(next.epoch > promised.epoch && next.msn_base > promised.msn_base);
    }
}

#[tokio::test]
async fn a_damaged_log_refuses_to_start_and_says_what_to_do() {
    let disk = MemoryStore::default();
    kill(start(disk.clone(), &["ada"], 0).await.unwrap()).await;
    let mut bytes = disk.bytes();
    bytes[20] ^= 1;
    let error = start(MemoryStore::from(bytes), &["ada"], 0).await.unwrap_err().to_string();
    assert!(error.contains("damaged at byte 0") && error.contains("restore it from a backup"), "{error}");
}

/// A disk that has room for so many writes.
struct SmallDisk(MemoryStore, Arc<AtomicUsize>);

impl Store for SmallDisk {
    async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.0.read().await
    }

    async fn replace(&mut self, whole: Vec<u8>) -> io::Result<()> {
        self.0.replace(whole).await
    }

    async fn append(&mut self, record: Vec<u8>) -> io::Result<()> {
        let room = |left: usize| left.checked_sub(1);
        match self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room) {
            Ok(_) => self.0.append(record).await,
            Err(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

#[tokio::test]
async fn a_full_disk_grants_nothing_that_it_cannot_keep() {
    let disk = MemoryStore::default();
    let local = start(SmallDisk(disk.clone(), Arc::new(AtomicUsize::new(1))), &["ada"], 0).await.unwrap();
    let first = claim(&local, "ada").await.unwrap();
    let view = local.feed.view();
    assert_eq!(claim(&local, "ada").await, Err(Refused::Unavailable));
    assert_eq!(claim(&local, "ada").await, Err(Refused::Unavailable));
    assert_eq!(view.borrow().channels[&ada()].current().unwrap().epoch, first.epoch, "nor does anybody hear of it");
    assert!(matches!(local.task.await.unwrap(), Err(LocalError::Write(_))));
    let local = start(disk, &["ada"], 0).await.unwrap();
    assert!(claim(&local, "ada").await.unwrap().epoch > first.epoch);
}

#[tokio::test]
async fn strangers_cost_no_disk() {
    let disk = MemoryStore::default();
    let local = start(disk.clone(), &["ada"], 0).await.unwrap();
    let before = disk.bytes();
    for key in ["", "sk_eve", "sk_ada ", &"x".repeat(1 << 20)] {
        assert_eq!(local.commands.claim(key.to_owned(), ORIGIN).await, Err(Refused::UnknownKey));
    }
    assert_eq!(disk.bytes(), before);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_compacted_and_nothing_is_lost() {
    let disk = MemoryStore::default();
    let local = start(disk.clone(), &["ada"], 0).await.unwrap();
    let claimed = claim(&local, "ada").await.unwrap();
    let (mut longest, mut last, mut compacted) = (0, 0, 0);
    for turn in 0..60_000u32 {
        let command = Command::Heard { channel: ada(), epoch: claimed.epoch, heard: turn % 2 == 1 };
        local.commands.tell(command).await.unwrap();
        if turn % 500 == 0 {
            let length = disk.bytes().len();
            compacted += usize::from(length < last);
            (longest, last) = (longest.max(length), length);
        }
    }
    assert!(compacted >= 1 && longest < 2 << 20, "{compacted} times, {longest} bytes");
    kill(local).await;
    let local = start(disk, &["ada"], 0).await.unwrap();
    assert_eq!(claim(&local, "ada").await.unwrap().epoch, Epoch(claimed.epoch.0 + 60_002));
}

#[tokio::test]
async fn a_channel_that_the_configuration_drops_is_gone_and_keeps_its_numbers() {
    let disk = MemoryStore::default();
    let local = start(disk.clone(), &["ada", "bob"], 0).await.unwrap();
    let before = claim(&local, "ada").await.unwrap();
    kill(local).await;
    let local = start(disk.clone(), &["bob"], 0).await.unwrap();
    assert_eq!(claim(&local, "ada").await, Err(Refused::UnknownKey));
    assert_eq!(state(&local), None);
    assert_eq!(claim(&local, "bob").await.unwrap().msn_base, Msn(0));
    kill(local).await;
    let local = start(disk, &["ada", "bob"], 0).await.unwrap();
    let after = claim(&local, "ada").await.unwrap();
    assert!(after.msn_base > before.msn_base && after.session != before.session);
}

#[tokio::test]
async fn a_changed_key_locks_the_old_one_out() {
    let disk = MemoryStore::default();
    kill(start(disk.clone(), &["ada"], 0).await.unwrap()).await;
    let mut changed = config(&["ada"]);
    changed.channels[0].key = "sk_new".to_owned();
    let local = spawn_over(disk, Pepper([1; 32]), changed, clock_at(0), &Random::seeded(1)).await.unwrap();
    assert_eq!(claim(&local, "ada").await, Err(Refused::UnknownKey));
    assert!(claim(&local, "new").await.is_ok());
}

#[tokio::test]
async fn two_channels_with_one_key_and_keys_that_are_none_are_refused_at_start() {
    let bad = |key: &str| {
        let mut config = config(&["ada", "bob"]);
        config.channels[1].key = key.to_owned();
        config
    };
    for key in ["sk_ada", "", &"x".repeat(257)] {
        let started =
            spawn_over(MemoryStore::default(), Pepper([1; 32]), bad(key), clock_at(0), &Random::seeded(1)).await;
        assert!(matches!(started, Err(LocalError::Key(name)) if name.as_str() == "bob"), "{key:?}");
    }
}

#[tokio::test]
async fn a_directory_belongs_to_one_process_and_holds_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let random = Random::system();
    let local = spawn(dir.path(), config(&["ada"]), clock_at(0), &random).await.unwrap();
    let first = claim(&local, "ada").await.unwrap();
    let second = spawn(dir.path(), config(&["ada"]), clock_at(0), &random).await.unwrap_err();
    assert!(second.to_string().contains("another process uses it"), "{second}");
    let log = std::fs::read(dir.path().join(FileStore::NAME)).unwrap();
    assert!(!log.windows(6).any(|bytes| bytes == b"sk_ada"), "the log names a stream key");
    kill(local).await;
    let local = spawn(dir.path(), config(&["ada"]), clock_at(0), &random).await.unwrap();
    assert!(claim(&local, "ada").await.unwrap().epoch > first.epoch);
}
