//! Every session that this origin holds, and what the view means for them.
//!
//! ```text
//! Claimed, Inherited ──enter──▶ House ──find──▶ Broadcast
//! View, now ──sweep──▶ takeovers, ends, retention, due work of sessions without a publisher
//! ```
//! A view older than the publish it speaks of is not believed: it is older when its revision is below the epoch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::broadcast::{Beginning, Broadcast, Dismissal, DismissalSender, Phase, Rules, Shared};
use freshet_media::playlist::inherit::Inherited;
use freshet_proto::{
    id::{ChannelName, Epoch, NodeId},
    ordered,
    registry::{Claimed, Departure},
    view::{ChannelState, ChannelView, View},
};

/// The sessions of this origin, by channel, oldest first. At most one of a channel is open; of the ended ones the newest
/// `max_ended` are kept.
#[derive(Debug)]
pub(crate) struct House {
    me: NodeId,
    rules: Rules,
    max_ended: usize,
    channels: Mutex<Channels>,
    /// Private tests, one a channel: nobody finds them but who asks how they do.
    tests: Mutex<BTreeMap<ChannelName, Shared>>,
    /// Changes whenever a session was added or its publisher left: the keeper and those who wait for a session look.
    changed: ordered::Sender<()>,
}

/// Whether a session's playlists change any more at this origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastWord {
    /// They may.
    Yet,
    /// They don't: another origin goes on with them.
    Said,
    /// There are none, or none to go on with.
    Not,
}

type Channels = BTreeMap<ChannelName, Vec<Shared>>;

impl House {
    pub(crate) fn new(me: NodeId, rules: Rules, max_ended: usize) -> Self {
        let changed = ordered::Sender::new(());
        Self { me, rules, max_ended, channels: Mutex::default(), tests: Mutex::default(), changed }
    }

    /// Whether this origin holds the session that `claimed` goes on with.
    pub(crate) fn holds(&self, claimed: &Claimed) -> bool {
        self.newest(&claimed.channel).is_some_and(|newest| newest.phase() == Phase::Open && is_next(claimed, &newest))
    }

    /// Takes a publish in: goes on with its session where this origin holds it or has `inherited` its window, begins it
    /// otherwise. Numbers never go back: a window older than what this origin had of the channel is not gone on with.
    /// `None` where somebody publishes the session already in that publish or a newer one: of two that were granted one
    /// after the other, the older may come later, because its window took longer to be had.
    pub(crate) fn enter(
        &self,
        claimed: &Claimed,
        inherited: Option<Inherited>,
        publisher: DismissalSender,
        now_ms: u64,
    ) -> Option<Shared> {
        let mut channels = self.lock();
        let sessions = channels.entry(claimed.channel.clone()).or_default();
        let held = sessions.last().filter(|newest| is_next(claimed, newest)).cloned();
        if let Some(held) = held.filter(|held| held.resume(claimed.epoch, publisher.clone(), now_ms)) {
            return Some(held);
        }
        if sessions.last().is_some_and(|newest| is_late(claimed, newest)) {
            return None;
        }
        for older in sessions.iter() {
            // What is left here of the same session, others have gone on with: it did not end.
            if older.session == claimed.session { older.hand_over(now_ms) } else { older.end(now_ms) }
        }
        let held = sessions.iter().map(|older| older.read(|window, _, _| window.next_msn())).max().unwrap_or_default();
        let beginning = match inherited.filter(|inherited| inherited.next_msn() >= held.0) {
            Some(inherited) => Beginning::With(inherited),
            None if claimed.prior.is_some() => Beginning::Bereft(claimed.msn_base.max(held)),
            None => Beginning::At(claimed.msn_base.max(held)),
        };
        let begun = Broadcast::begin(claimed, &self.rules, beginning, publisher, now_ms);
        let begun = Arc::new(begun);
        sessions.push(begun.clone());
        let excess = sessions.len().saturating_sub(self.max_ended + 1);
        sessions.drain(..excess).for_each(|oldest| oldest.forget());
        drop(channels);
        self.changed.send_replace(());
        Some(begun)
    }

    /// The publisher of `epoch` has gone from `broadcast`; `how`, unless it had to.
    pub(crate) fn leave(&self, broadcast: &Broadcast, epoch: Epoch, how: Option<Departure>, now_ms: u64) {
        broadcast.leave(epoch, how, now_ms);
        self.changed.send_replace(());
    }

    /// Takes a private test in; it ends the one of the same channel that goes on. No more than there are publishers.
    pub(crate) fn try_out(&self, claimed: &Claimed, publisher: DismissalSender, now_ms: u64) -> Shared {
        let test = Broadcast::begin(claimed, &self.rules, Beginning::At(claimed.msn_base), publisher, now_ms);
        let test = Arc::new(test);
        if let Some(earlier) = self.lock_tests().insert(claimed.channel.clone(), test.clone()) {
            earlier.dismiss(Dismissal::TakenOver);
        }
        test
    }

    /// A private test is over.
    pub(crate) fn forget_test(&self, test: &Shared) {
        self.lock_tests().retain(|_, other| !Arc::ptr_eq(other, test));
        test.forget();
    }

    /// Every private test.
    pub(crate) fn tests(&self) -> Vec<Shared> {
        self.lock_tests().values().cloned().collect()
    }

    fn lock_tests(&self) -> MutexGuard<'_, BTreeMap<ChannelName, Shared>> {
        self.tests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest session of `channel`.
    pub(crate) fn newest(&self, channel: &ChannelName) -> Option<Shared> {
        self.lock().get(channel)?.last().cloned()
    }

    /// The sessions of `channel`, newest first.
    pub(crate) fn sessions(&self, channel: &ChannelName) -> Vec<Shared> {
        self.lock().get(channel).map(|sessions| sessions.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// Changes whenever a session was added or lost its publisher.
    pub(crate) fn subscribe(&self) -> ordered::Receiver<()> {
        self.changed.subscribe()
    }

    /// Tells every publisher to go.
    pub(crate) fn dismiss_all(&self, why: Dismissal) {
        self.all().iter().chain(&self.tests()).for_each(|broadcast| broadcast.dismiss(why));
    }

    /// Whether the view awaits a session of `channel` at this origin that is not here (yet).
    pub(crate) fn is_awaited(&self, channel: &ChannelName, view: &View) -> bool {
        view.channels.get(channel).is_some_and(|known| {
            let mine = known.current().is_some_and(|current| current.origin == self.me);
            let here = self.newest(channel).is_some_and(|newest| Some(newest.session) == known.session);
            let begun = matches!(known.state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace);
            mine && begun && !here
        })
    }

    /// Whether `channel`'s session has its last playlists here, because another origin goes on with it.
    pub(crate) fn last_word(&self, channel: &ChannelName, view: &View) -> LastWord {
        let Some(known) = view.channels.get(channel) else { return LastWord::Not };
        if known.current().is_some_and(|current| current.origin == self.me) {
            return LastWord::Yet;
        }
        let mine = known.epochs.iter().rfind(|epoch| epoch.origin == self.me).map(|mine| mine.epoch);
        match self.newest(channel) {
            // A publish that was claimed here after it, and never came in, may have been gone on with elsewhere.
            Some(newest) if Some(newest.session) == known.session && Some(newest.epoch()) == mine => {
                match newest.phase() {
                    Phase::Open => LastWord::Yet,
                    Phase::Moved { .. } => LastWord::Said,
                    Phase::Ended { .. } | Phase::Gone => LastWord::Not,
                }
            }
            _ => LastWord::Not,
        }
    }

    /// Does what the view and the time ask for; returns when to look again, in milliseconds of the wall clock.
    pub(crate) fn sweep(&self, view: &View, now_ms: u64) -> Option<u64> {
        let all = self.all();
        for broadcast in all.iter().filter(|broadcast| broadcast.phase() == Phase::Open) {
            self.heed(broadcast, view, now_ms);
        }
        for broadcast in all.iter().filter(|broadcast| broadcast.deadline_ms().is_some_and(|at| at <= now_ms)) {
            match broadcast.phase() {
                Phase::Open => broadcast.tick(now_ms),
                _ => broadcast.forget(),
            }
        }
        self.remove_gone();
        let waiting = all.iter().filter(|broadcast| !broadcast.has_publisher());
        waiting.filter_map(|broadcast| broadcast.deadline_ms()).min()
    }

    fn heed(&self, broadcast: &Broadcast, view: &View, now_ms: u64) {
        let epoch = broadcast.epoch();
        if view.revision < epoch.0 {
            return;
        }
        match view.channels.get(&broadcast.channel) {
            Some(known) if !is_over(known, broadcast) => match known.current() {
                Some(current) if current.epoch > epoch && current.origin == self.me => {
                    broadcast.dismiss(Dismissal::TakenOver);
                }
                Some(current) if current.epoch > epoch => broadcast.hand_over(now_ms),
                _ => {}
            },
            _ => broadcast.end(now_ms),
        }
    }

    fn remove_gone(&self) {
        self.lock().retain(|_, sessions| {
            sessions.retain(|session| session.phase() != Phase::Gone);
            !sessions.is_empty()
        });
    }

    /// Every session.
    pub(crate) fn all(&self) -> Vec<Shared> {
        self.lock().values().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `claimed` goes on where `held` is: with the publish after it, or with the same one, readmitted. Where another
/// origin had the session in between, what is held here is out of date.
fn is_next(claimed: &Claimed, held: &Broadcast) -> bool {
    let follows = claimed.prior.is_some_and(|(prior, _)| prior == held.epoch());
    held.session == claimed.session && (follows || claimed.epoch == held.epoch())
}

/// Whether `claimed` was displaced before it came.
fn is_late(claimed: &Claimed, newest: &Broadcast) -> bool {
    newest.session == claimed.session && newest.epoch() >= claimed.epoch && newest.has_publisher()
}

fn is_over(known: &ChannelView, broadcast: &Broadcast) -> bool {
    known.session != Some(broadcast.session) || matches!(known.state, ChannelState::Ended | ChannelState::Idle)
}

#[cfg(test)]
mod tests {
    use freshet_media::pipeline::PackagingConfig;
    use freshet_proto::{
        id::{Msn, SessionId},
        view::EpochView,
    };

    use tokio::sync::watch;

    use super::*;
    use crate::meter::Meters;

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    fn house(max_ended: usize) -> House {
        let rules = Rules { packaging: PackagingConfig::default(), max_bytes: u64::MAX, meters: Meters::new() };
        House::new(ME, rules, max_ended)
    }

    fn ada() -> ChannelName {
        "ada".parse().unwrap()
    }

    /// A claim that follows the one before in its session, if there is one; all epochs are counted here.
    fn claimed(session: u64, epoch: u64) -> Claimed {
        let prior = (epoch > session).then_some((Epoch(epoch - 1), ME));
        let (session, epoch) = (SessionId(session), Epoch(epoch));
        Claimed { channel: ada(), session, epoch, msn_base: Msn(0), prior }
    }

    /// Publishes; returns the session and what its publisher is told.
    fn enter(house: &House, session: u64, epoch: u64) -> (Shared, watch::Receiver<Option<Dismissal>>) {
        let (sender, told) = watch::channel(None);
        (house.enter(&claimed(session, epoch), None, sender, 0).unwrap(), told)
    }

    fn view(revision: u64, state: ChannelState, session: u64, epoch: u64, origin: NodeId) -> View {
        let epochs = vec![EpochView { epoch: Epoch(epoch), origin }];
        let channel = ChannelView { state, session: Some(SessionId(session)), epochs };
        View { revision, channels: [(ada(), channel)].into(), ..View::default() }
    }

    #[test]
    fn a_window_that_another_origin_had_in_between_is_out_of_date() {
        let house = house(4);
        let (first, told) = enter(&house, 5, 5);
        let (sender, _told) = watch::channel(None);
        let back = Claimed { prior: Some((Epoch(8), OTHER)), ..claimed(5, 9) };
        assert!(!house.holds(&back));
        let second = house.enter(&back, None, sender, 0).unwrap();
        assert!(!Arc::ptr_eq(&first, &second) && matches!(first.phase(), Phase::Moved { .. }));
        assert_eq!(*told.borrow(), Some(Dismissal::TakenOver));
        assert_eq!((second.epoch(), second.phase()), (Epoch(9), Phase::Open));
    }

    #[test]
    fn a_publish_is_readmitted_in_its_epoch_only_when_nobody_publishes() {
        let house = house(4);
        let (first, _told) = enter(&house, 5, 5);
        let again = || {
            let (sender, _) = watch::channel(None);
            first.resume(Epoch(5), sender, 0)
        };
        assert!(!again(), "the first one is still there");
        house.leave(&first, Epoch(5), Some(Departure::Lost), 0);
        assert!(again());
    }

    #[test]
    fn a_newer_publish_of_the_session_continues_it_and_dismisses_the_older_publisher() {
        let house = house(4);
        let (first, told) = enter(&house, 5, 5);
        let (second, _told) = enter(&house, 5, 6);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*told.borrow(), Some(Dismissal::TakenOver));
        assert_eq!(first.epoch(), Epoch(6));
    }

    #[test]
    fn a_publish_that_comes_in_after_a_newer_one_displaces_nobody() {
        let house = house(4);
        let (_first, _told) = enter(&house, 5, 5);
        let (newest, told) = enter(&house, 5, 7);
        let late = |epoch| {
            let (sender, _told) = watch::channel(None);
            house.enter(&claimed(5, epoch), None, sender, 0)
        };
        assert!(late(6).is_none() && late(7).is_none());
        assert_eq!((newest.phase(), newest.has_publisher(), *told.borrow()), (Phase::Open, true, None));
        house.leave(&newest, Epoch(7), Some(Departure::Lost), 0);
        assert!(late(6).is_some(), "the registry will say whether it is current");
    }

    #[test]
    fn what_a_displaced_publisher_sends_or_says_changes_nothing() {
        let house = house(4);
        let (session, _told) = enter(&house, 5, 5);
        let _second = enter(&house, 5, 6);
        let late = freshet_media::frame::Media::Metadata(Default::default());
        assert_eq!(session.push(Epoch(5), 0, late), crate::broadcast::Pushed::Displaced);
        house.leave(&session, Epoch(5), None, 0);
        assert!(session.has_publisher());
    }

    #[test]
    fn a_view_older_than_the_publish_is_not_believed() {
        let house = house(4);
        let (session, told) = enter(&house, 5, 5);
        house.sweep(&view(4, ChannelState::Ended, 1, 1, ME), 0);
        house.sweep(&View { revision: 4, ..View::default() }, 0);
        assert_eq!((session.phase(), *told.borrow()), (Phase::Open, None));
    }

    #[test]
    fn a_session_that_the_view_ends_is_ended_and_then_forgotten() {
        let house = house(4);
        let (session, told) = enter(&house, 5, 5);
        house.sweep(&view(6, ChannelState::Ended, 5, 5, ME), 7);
        assert_eq!(*told.borrow(), Some(Dismissal::Ended));
        assert_eq!(session.phase(), Phase::Gone);
        assert!(house.newest(&ada()).is_none());
    }

    #[test]
    fn a_session_whose_channel_was_removed_is_ended() {
        let house = house(4);
        let (_session, told) = enter(&house, 5, 5);
        house.sweep(&View { revision: 6, ..View::default() }, 7);
        assert_eq!(*told.borrow(), Some(Dismissal::Ended));
    }

    #[test]
    fn a_newer_publish_at_another_origin_moves_the_session_there() {
        let house = house(4);
        let (session, told) = enter(&house, 5, 5);
        house.heed(&session, &view(6, ChannelState::Starting, 5, 6, OTHER), 7);
        assert_eq!(*told.borrow(), Some(Dismissal::TakenOver));
        assert_eq!(session.phase(), Phase::Moved { until_ms: 7 });
    }

    #[test]
    fn a_newer_publish_here_dismisses_the_older_publisher_before_it_arrives() {
        let house = house(4);
        let (session, told) = enter(&house, 5, 5);
        house.sweep(&view(6, ChannelState::Starting, 5, 6, ME), 7);
        assert_eq!((session.phase(), *told.borrow()), (Phase::Open, Some(Dismissal::TakenOver)));
    }

    #[test]
    fn a_session_that_the_view_awaits_here_is_awaited_until_it_comes() {
        let house = house(4);
        let starting = view(5, ChannelState::Starting, 5, 5, ME);
        assert!(house.is_awaited(&ada(), &starting));
        assert!(!house.is_awaited(&ada(), &view(5, ChannelState::Starting, 5, 5, OTHER)));
        assert!(!house.is_awaited(&ada(), &view(5, ChannelState::Ended, 5, 5, ME)));
        let _session = enter(&house, 5, 5);
        assert!(!house.is_awaited(&ada(), &starting));
    }

    #[test]
    fn of_the_ended_sessions_of_a_channel_only_the_newest_are_kept() {
        let house = house(1);
        let sessions: Vec<_> = (1..5).map(|n| enter(&house, n, n).0).collect();
        let phases: Vec<_> = sessions.iter().map(|session| session.phase()).collect();
        assert_eq!(phases, [Phase::Gone, Phase::Gone, Phase::Ended { until_ms: 0 }, Phase::Open]);
        assert_eq!(house.sessions(&ada()).len(), 2);
    }
}
