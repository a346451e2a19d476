//! How often each object was sent to other nodes: the figure by which coalescing is judged.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use freshet_proto::object::ObjectName;

/// Transfers by object, fetched and followed alike, for at most `limit` objects: the entry made first goes first.
#[derive(Debug)]
pub(crate) struct Transfers {
    limit: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    by_name: BTreeMap<ObjectName, u64>,
    oldest_first: VecDeque<ObjectName>,
}

impl Transfers {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, counts: Mutex::default() }
    }

    /// Counts one transfer of `name`.
    pub(crate) fn add(&self, name: ObjectName) {
        if self.limit == 0 {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.by_name.get_mut(&name) {
            *count += 1;
            return;
        }
        if counts.by_name.len() >= self.limit
            && let Some(oldest) = counts.oldest_first.pop_front()
        {
            counts.by_name.remove(&oldest);
        }
        counts.oldest_first.push_back(name.clone());
        counts.by_name.insert(name, 1);
    }

    /// How often `name` was sent, as far as is remembered.
    pub(crate) fn of(&self, name: &ObjectName) -> u64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).by_name.get(name).copied().unwrap_or(0)
    }

    /// Every object that is remembered, in order of names.
    pub(crate) fn all(&self) -> BTreeMap<ObjectName, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).by_name.clone()
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::object::ResourceName;

    use super::*;

    fn object(path: &str) -> ObjectName {
        match path.parse() {
            Ok(ResourceName::Object(name)) => name,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn the_map_of_transfers_forgets_the_oldest_entry_beyond_its_limit() {
        let transfers = Transfers::new(2);
        for path in ["ada/1/v0/1.0.m4s", "ada/1/v0/1.1.m4s", "ada/1/v0/1.1.m4s", "ada/1/v0/1.2.m4s"] {
            transfers.add(object(path));
        }
        let all: Vec<_> = transfers.all().into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        assert_eq!(all, ["ada/1/v0/1.1.m4s 2", "ada/1/v0/1.2.m4s 1"]);
        assert_eq!(transfers.of(&object("ada/1/v0/1.0.m4s")), 0);
    }
}
