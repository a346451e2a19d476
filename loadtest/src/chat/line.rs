//! An object of the protocol, as far as a load test cares. Read once per event and process, not per delivery.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;

use super::job::Seen;

/// An object that a hub sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Line {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    position: String,
    /// Of a post, or of an event that came of one.
    pub nonce: String,
    /// Of a refusal.
    pub code: String,
    /// After how long it may be tried again.
    pub retry_ms: Option<u64>,
    /// Of `joined`: how many events from before follow.
    pub follow: u64,
    /// Of `joined`: that events are missing before them.
    pub gap: Option<Gap>,
    /// Of `gap`.
    pub missed: Option<u64>,
    /// Of `bye`.
    pub reconnect_ms: u64,
}

/// That events are missing, and how many.
#[derive(Debug, Default, Deserialize)]
pub struct Gap {
    /// `None`: nobody knows.
    pub missed: Option<u64>,
}

impl Line {
    /// Reads an object; `None` for what is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Where it stands: epoch and number.
    pub fn position(&self) -> Option<(u64, u64)> {
        let (epoch, seq) = self.position.split_once('.')?;
        Some((epoch.parse().ok()?, seq.parse().ok()?))
    }

    /// Whether it is an event of the channel's sequence: all that have a position and are no answer.
    pub fn is_event(&self) -> bool {
        !self.position.is_empty() && !matches!(self.kind.as_str(), "joined" | "ok" | "ack" | "gap")
    }

    /// The event, where it stands at `seq`; `raw` is what it was read from.
    pub fn seen(&self, epoch: u64, seq: u64, raw: &[u8]) -> Seen {
        let digest = if self.nonce.is_empty() { digest(raw) } else { digest(self.nonce.as_bytes()) };
        Seen { epoch, seq, digest }
    }
}

/// A number for bytes, the same in all processes of this program.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// What a post is known by: `lt-RUN-NUMBER-MICROSECONDS`, in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce {
    /// The run and the process.
    pub run: u64,
    /// Counts the process's posts.
    pub number: u64,
    /// When it was due, in microseconds since 1970.
    pub due_us: u64,
}

impl Nonce {
    /// Reads one of ours.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("lt-")?.split('-').map(|part| u64::from_str_radix(part, 16).ok());
        let nonce = Self { run: parts.next()??, number: parts.next()??, due_us: parts.next()?? };
        parts.next().is_none().then_some(nonce)
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lt-{:x}-{:x}-{:x}", self.run, self.number, self.due_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_apart() {
        let read = |text: &str| Line::read(text.as_bytes()).expect("JSON");
        let event = read(r#"{"type":"message","position":"3.118","nonce":"a","text":"\"position\":\"9.9\""}"#);
        assert_eq!((event.position(), event.is_event()), (Some((3, 118)), true));
        let joined = read(r#"{"type":"joined","position":"3.118","follow":2,"gap":{"missed":null}}"#);
        assert!(!joined.is_event() && joined.follow == 2 && joined.gap.is_some_and(|gap| gap.missed.is_none()));
        assert!(!read(r#"{"type":"count","connections":3}"#).is_event());
        assert!(!read(r#"{"type":"ack","position":"3.118"}"#).is_event());
        assert!(Line::read(b"no").is_none());
    }

    #[test]
    fn a_nonce_comes_back() {
        let nonce = Nonce { run: 0xabc, number: 17, due_us: 1_800_000_000_000_000 };
        assert_eq!(Nonce::read(&nonce.to_string()), Some(nonce));
        let most = Nonce { run: u64::MAX, number: u64::MAX, due_us: u64::MAX };
        assert!(most.to_string().len() <= 64, "the protocol's limit");
        assert_eq!(Nonce::read("lt-1-2"), None);
        assert_eq!(Nonce::read("b1f6"), None);
    }
}
