//! The view as it is published inside one process, and the last changes that led to it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use freshet_proto::view::{Delta, Position, View};
use tokio::sync::{Notify, futures::OwnedNotified, watch};

/// The publishing end. Dropping it closes the feed.
#[derive(Debug)]
pub struct Publisher {
    sender: watch::Sender<Arc<View>>,
    shared: Arc<Shared>,
}

/// The reading end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    receiver: watch::Receiver<Arc<View>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    recent: Mutex<Recent>,
    /// Wakes whoever carries the view to other nodes. They don't wait on the watch channel with this node's own readers:
    /// it wakes in an order that tokio draws, and what goes out over the network must not depend on that.
    moved: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Recent {
    deltas: VecDeque<Delta>,
    closed: bool,
}

impl Shared {
    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How to get from some position to the present.
#[derive(Debug, Clone, PartialEq)]
pub enum Since {
    /// By these changes, oldest first; by none if the position is the present.
    Deltas(Vec<Delta>),
    /// Only by starting over: the changes are not known any more, or the position is of another registry.
    Snapshot(Arc<View>),
}

impl Feed {
    /// How many changes are remembered; whoever lacks more gets a snapshot.
    pub const MAX_DELTAS: usize = 4096;

    /// Starts with `view`.
    pub fn new(view: View) -> (Publisher, Self) {
        let (sender, receiver) = watch::channel(Arc::new(view));
        let shared = Arc::<Shared>::default();
        (Publisher { sender, shared: shared.clone() }, Self { receiver, shared })
    }

    /// The view, now and whenever it changes.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.receiver.clone()
    }

    /// Resolves at the next change after this call, or when the feed closes.
    pub fn moved(&self) -> OwnedNotified {
        self.shared.moved.clone().notified_owned()
    }

    /// Whether nothing will change any more.
    pub fn is_closed(&self) -> bool {
        self.shared.recent().closed
    }

    /// How to get from `after` to the present.
    pub fn since(&self, after: Option<Position>) -> Since {
        // The lock first: the publisher changes both while it holds it.
        let recent = self.shared.recent();
        let recent = &recent.deltas;
        let view = self.receiver.borrow().clone();
        let Some(after) = after.filter(|after| after.cluster == view.cluster) else { return Since::Snapshot(view) };
        // The delta of revision r leads from r − 1, since every revision that is skipped changed nothing in the view.
        let floor = recent.front().map_or(view.revision, |oldest| oldest.revision - 1);
        if after.revision < floor {
            return Since::Snapshot(view);
        }
        // They are in order, and every watcher looks after every change.
        let first = recent.partition_point(|delta| delta.revision <= after.revision);
        Since::Deltas(recent.range(first..).cloned().collect())
    }
}

impl Publisher {
    /// Moves the view on. Costs one copy of the view however many deltas there are.
    pub fn publish(&self, deltas: Vec<Delta>) {
        if deltas.is_empty() {
            return;
        }
        let mut recent = self.shared.recent();
        let recent = &mut recent.deltas;
        let mut view = View::clone(&self.sender.borrow());
        for mut delta in deltas {
            view.apply(delta.clone());
            // A watcher gets these whole by themselves, so that thousands of them need not be remembered.
            delta.removed = None;
            delta.annex.clear();
            if recent.len() == Feed::MAX_DELTAS {
                recent.pop_front();
            }
            recent.push_back(delta);
        }
        self.sender.send_replace(Arc::new(view));
        self.shared.moved.notify_waiters();
    }
}

impl Publisher {
    /// Replaces the view by one to which no known changes lead: whoever is behind it gets a snapshot.
    pub fn replace(&self, view: View) {
        self.shared.recent().deltas.clear();
        self.sender.send_replace(Arc::new(view));
        self.shared.moved.notify_waiters();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.recent().closed = true;
        self.shared.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cluster: u64, revision: u64) -> View {
        View { cluster, revision, ..View::default() }
    }

    fn delta(revision: u64) -> Delta {
        Delta { revision, channels: vec![], nodes: vec![], removed: None, annex: vec![] }
    }

    fn revisions(feed: &Feed, after: Option<Position>) -> String {
        match feed.since(after) {
            Since::Snapshot(view) => format!("snapshot {}", view.revision),
            Since::Deltas(deltas) => format!("{:?}", deltas.iter().map(|d| d.revision).collect::<Vec<_>>()),
        }
    }

    #[test]
    fn a_watcher_gets_what_it_lacks_or_a_snapshot() {
        let (publisher, feed) = Feed::new(at(1, 10));
        publisher.publish(vec![delta(11), delta(12)]);
        publisher.publish(vec![delta(13)]);
        let from = |cluster, revision| revisions(&feed, Some(Position { cluster, revision }));
        assert_eq!(revisions(&feed, None), "snapshot 13");
        assert_eq!(from(2, 12), "snapshot 13", "another registry's revisions mean nothing");
        assert_eq!(from(1, 9), "snapshot 13", "the way from 9 to 10 is not known");
        assert_eq!(from(1, 10), "[11, 12, 13]");
        assert_eq!(from(1, 12), "[13]");
        assert_eq!(from(1, 13), "[]");
        assert_eq!(from(1, 99), "[]", "a watcher that is ahead waits");
    }

    #[test]
    fn a_watcher_that_is_behind_a_replaced_view_gets_it_whole() {
        let (publisher, feed) = Feed::new(at(1, 10));
        publisher.publish(vec![delta(11), delta(12)]);
        publisher.replace(at(1, 40));
        let from = |cluster, revision| revisions(&feed, Some(Position { cluster, revision }));
        assert_eq!((from(1, 12).as_str(), from(1, 39).as_str()), ("snapshot 40", "snapshot 40"));
        assert_eq!(from(1, 40), "[]");
        publisher.publish(vec![delta(45)]);
        assert_eq!(from(1, 12), "snapshot 45", "what led to 40 is still not known");
        assert_eq!(from(1, 40), "snapshot 45");
        assert_eq!(from(1, 44), "[45]");
    }

    #[test]
    fn changes_are_forgotten_beyond_the_limit() {
        let (publisher, feed) = Feed::new(at(1, 0));
        publisher.publish((1..=Feed::MAX_DELTAS as u64 + 5).map(delta).collect());
        let from = |revision| feed.since(Some(Position { cluster: 1, revision }));
        assert!(matches!(from(4), Since::Snapshot(_)));
        assert!(matches!(from(5), Since::Deltas(deltas) if deltas.len() == Feed::MAX_DELTAS));
    }
}
