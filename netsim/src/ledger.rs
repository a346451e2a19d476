//! What origins made, byte for byte, and what was carried to which edge how often.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use freshet_proto::{
    id::Msn,
    object::{Object, ObjectName},
};

use crate::{invariants::Rule, schedule::Host};

/// A follow or a fetch under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Carrier(u64);

/// An edge between two of its starts.
pub type Life = (Host, u64);

/// A broken promise, without its time.
pub type Broken = (Rule, String);

/// The ledger of one run. Grows with what is made: a run lasts a minute.
#[derive(Debug, Default)]
pub struct Ledger {
    made: BTreeMap<ObjectName, Bytes>,
    /// Who brought an object to an edge last.
    brought: BTreeMap<(Life, ObjectName), Brought>,
    open: BTreeSet<Carrier>,
    fetching: BTreeSet<(Life, ObjectName)>,
    carriers: u64,
}

#[derive(Debug, Clone, Copy)]
struct Brought {
    by: Carrier,
    fetched: bool,
}

impl Ledger {
    /// A follow begins.
    pub fn follow(&mut self) -> Carrier {
        self.carriers += 1;
        self.open.insert(Carrier(self.carriers));
        Carrier(self.carriers)
    }

    /// A fetch of `name` begins.
    ///
    /// # Errors
    /// When the edge has it, or another fetch of it is under way (I4).
    pub fn fetch(&mut self, edge: Life, name: &ObjectName) -> Result<Carrier, Broken> {
        let key = (edge, name.clone());
        if self.fetching.contains(&key) {
            return Err((Rule::I4, format!("{} fetches {name} twice at once", edge.0)));
        }
        if let Some(brought) = self.brought.get(&key)
            && (brought.fetched || self.open.contains(&brought.by))
        {
            return Err((Rule::I4, format!("{} fetches {name} though it was brought whole before", edge.0)));
        }
        self.fetching.insert(key);
        Ok(self.follow())
    }

    /// A follow or a fetch is over, whichever way.
    pub fn over(&mut self, carrier: Carrier) {
        self.open.remove(&carrier);
    }

    /// A fetch of `name` is over, whichever way.
    pub fn fetched(&mut self, edge: Life, name: &ObjectName, carrier: Carrier) {
        self.fetching.remove(&(edge, name.clone()));
        self.over(carrier);
    }

    /// An object arrived whole at an edge.
    ///
    /// # Errors
    /// When it differs from what was made (I2), or this carrier has brought it before (I4).
    pub fn arrived(
        &mut self,
        edge: Life,
        by: Carrier,
        fetched: bool,
        name: &ObjectName,
        bytes: &Bytes,
    ) -> Result<(), Broken> {
        let made = self.made.entry(name.clone()).or_insert_with(|| bytes.clone());
        if made != bytes {
            return Err((Rule::I2, format!("{name} came to {} with other bytes than before", edge.0)));
        }
        let before = self.brought.insert((edge, name.clone()), Brought { by, fetched });
        match before {
            Some(before) if before.by == by => Err((Rule::I4, format!("{name} came to {} twice in one go", edge.0))),
            Some(before) if !before.fetched && self.open.contains(&before.by) => {
                Err((Rule::I4, format!("{name} came to {} twice, by two follows at once", edge.0)))
            }
            _ => Ok(()),
        }
    }

    /// An edge answered a viewer with `bytes` for `name`.
    ///
    /// # Errors
    /// When that is not what was made (I2).
    pub fn shown(&self, edge: Host, name: &ObjectName, bytes: &Bytes) -> Result<(), Broken> {
        let right = match (self.made.get(name), name.object) {
            (Some(made), _) => made == bytes,
            (None, Object::Segment(msn)) => self.parts_of(name, msn) == *bytes,
            (None, _) => return Err((Rule::I2, format!("{edge} showed {name}, which no origin was seen to send"))),
        };
        if right {
            return Ok(());
        }
        let length = bytes.len();
        Err((Rule::I2, format!("{edge} showed {length} bytes of {name} that differ from what was made")))
    }

    fn parts_of(&self, name: &ObjectName, msn: Msn) -> Vec<u8> {
        let part = |n| self.made.get(&ObjectName { object: Object::Part(msn, n), ..name.clone() });
        (0..).map_while(part).flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: Life = ("edge-a", 0);

    fn name(path: &str) -> ObjectName {
        match path.parse() {
            Ok(freshet_proto::object::ResourceName::Object(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bytes_that_differ_from_what_was_made_are_found() {
        let mut ledger = Ledger::default();
        let follow = ledger.follow();
        for (path, bytes) in [("ada/1/v0/7.0.m4s", "one"), ("ada/1/v0/7.1.m4s", "two")] {
            ledger.arrived(EDGE, follow, false, &name(path), &Bytes::from(bytes)).unwrap();
        }
        let shown = |path, bytes: &'static str| ledger.shown(EDGE.0, &name(path), &Bytes::from(bytes)).is_ok();
        assert!(shown("ada/1/v0/7.1.m4s", "two") && shown("ada/1/v0/7.m4s", "onetwo"));
        assert!(!shown("ada/1/v0/7.1.m4s", "tw") && !shown("ada/1/v0/7.m4s", "one"));
        assert!(!shown("ada/2/v0/7.1.m4s", "two"));
    }

    #[test]
    fn a_second_transfer_is_allowed_only_when_the_first_one_failed() {
        let mut ledger = Ledger::default();
        let part = name("ada/1/v0/7.0.m4s");
        let first = ledger.follow();
        ledger.arrived(EDGE, first, false, &part, &Bytes::from("x")).unwrap();
        assert!(ledger.fetch(EDGE, &part).is_err(), "the follow that brought it goes on");
        ledger.over(first);
        let second = ledger.fetch(EDGE, &part).unwrap();
        assert!(ledger.fetch(EDGE, &part).is_err(), "it is being fetched");
        ledger.arrived(EDGE, second, true, &part, &Bytes::from("x")).unwrap();
        ledger.fetched(EDGE, &part, second);
        assert!(ledger.fetch(EDGE, &part).is_err(), "it was fetched");
        assert!(ledger.fetch(("edge-a", 1), &part).is_ok(), "a restarted edge has nothing");
    }
}
