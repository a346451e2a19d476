//! What has just failed, for a moment: whoever asks again is told so without asking the origin.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::{Failure, Key};

#[derive(Default)]
pub(super) struct Negatives {
    failures: BTreeMap<Key, (Instant, Failure)>,
    /// In the order in which they came.
    order: VecDeque<(Instant, Key)>,
}

impl Negatives {
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Failure> {
        self.failures.get(key).filter(|(until, _)| now < *until).map(|(_, failure)| *failure)
    }

    /// Remembers at most `most`; the oldest are forgotten first.
    pub(super) fn put(&mut self, key: Key, failure: Failure, until: Instant, most: usize) {
        self.order.push_back((until, key.clone()));
        self.failures.insert(key, (until, failure));
        let now = Instant::now();
        while self.order.front().is_some_and(|(until, _)| self.order.len() > most || *until <= now) {
            let Some((until, key)) = self.order.pop_front() else { break };
            // The key may have failed again since.
            if self.failures.get(&key).is_some_and(|(newest, _)| *newest == until) {
                self.failures.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::object::ResourceName;
    use tokio::time::{Duration, advance};

    use super::*;

    fn key(path: &str) -> Key {
        Key { name: path.parse::<ResourceName>().expect("a path"), session: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_remembered_for_its_time_and_then_costs_nothing() {
        let mut negatives = Negatives::default();
        let until = Instant::now() + Duration::from_millis(400);
        negatives.put(key("ada/v0.m3u8"), Failure::NotFound, until, 10);
        assert_eq!(negatives.get(&key("ada/v0.m3u8"), Instant::now()), Some(Failure::NotFound));
        advance(Duration::from_millis(400)).await;
        assert_eq!(negatives.get(&key("ada/v0.m3u8"), Instant::now()), None);
        negatives.put(key("ada/v1.m3u8"), Failure::NotFound, Instant::now() + Duration::from_millis(1), 10);
        assert_eq!((negatives.failures.len(), negatives.order.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_names_fail_only_so_many_are_remembered() {
        let mut negatives = Negatives::default();
        for msn in 0..100 {
            let until = Instant::now() + Duration::from_millis(400);
            negatives.put(key(&format!("ada/1/v0/{msn}.m4s")), Failure::NotFound, until, 10);
        }
        assert_eq!((negatives.failures.len(), negatives.order.len()), (10, 10));
        assert_eq!(negatives.get(&key("ada/1/v0/99.m4s"), Instant::now()), Some(Failure::NotFound));
    }
}
