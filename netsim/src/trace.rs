//! What crossed the network and when, as one hash.
//!
//! Each direction between two hosts has a hash of its own; all of them together are the run's. So two tasks that wrote to
//! different hosts in the same instant may have run in either order.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

/// A run's record. Cheap to clone; clones write to one record.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Record>>);

#[derive(Default)]
struct Record {
    ways: BTreeMap<Way, Sha256>,
    events: u64,
    bytes: u64,
    recent: Option<Vec<(u64, Way, String)>>,
}

/// From where, to where, and whether it was sent or came.
type Way = (IpAddr, IpAddr, bool);

impl Trace {
    /// A datagram or a message: the simulation's time in µs, where from, where to, what.
    pub fn note(&self, what: &str, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let at_us = turmoil::sim_elapsed().unwrap_or_default().as_micros() as u64;
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let way = (from.ip(), to.ip(), what.ends_with('>'));
        let hash = record.ways.entry(way).or_default();
        hash.update(format!("{at_us} {what} {from} {to} {} ", payload.len()));
        hash.update(payload);
        record.events += 1;
        record.bytes += payload.len() as u64;
        if let Some(recent) = &mut record.recent {
            let head: String = Sha256::digest(payload).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            recent.push((at_us, way, format!("{at_us} {what} {from} {to} {} {head}", payload.len())));
        }
    }

    /// Keeps every event as a line besides, to find where two runs part.
    pub fn keep_lines(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recent = Some(Default::default());
    }

    /// The kept lines, by time, then by way.
    pub fn lines(&self) -> Vec<String> {
        let record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = record.recent.iter().flatten().collect();
        lines.sort_by_key(|(at_us, way, _)| (*at_us, *way));
        lines.into_iter().map(|(_, _, line)| line.clone()).collect()
    }

    /// Where two runs part, both having kept their lines: the last event they share, and how each goes on.
    pub fn difference(&self, other: &Self) -> Option<[String; 3]> {
        let (ours, theirs) = (self.lines(), other.lines());
        let at = (0..ours.len().max(theirs.len())).find(|&at| ours.get(at) != theirs.get(at))?;
        let line = |lines: &[String], at: usize| lines.get(at).cloned().unwrap_or_default();
        Some([
            at.checked_sub(1).map(|before| line(&ours, before)).unwrap_or_default(),
            line(&ours, at),
            line(&theirs, at),
        ])
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).events
    }

    /// How many bytes they carried.
    pub fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// SHA-256 of everything so far, hexadecimal.
    pub fn digest(&self) -> String {
        self.digest_with([])
    }

    /// SHA-256 of everything so far and of what else the caller has, hexadecimal.
    pub fn digest_with(&self, others: impl IntoIterator<Item = [u8; 32]>) -> String {
        let record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole = Sha256::new();
        for (way, hash) in &record.ways {
            whole.update(format!("{way:?}"));
            whole.update(hash.clone().finalize());
        }
        others.into_iter().for_each(|other| whole.update(other));
        whole.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} events)", self.events())
    }
}
