//! Remembers what was answered to a change, so that asking for it twice does it once
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! ```text
//! (whose, key) ──▶ under way: wait for it · answered: the same again · another request under that key: 422
//! ```
//! In this node's memory alone. An edge asks the same control node again first; where another one must answer, because this
//! one died in between, a change may happen twice. What can't be undone is guarded by the database besides: a name is taken
//! once, a refresh token works once.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use freshet_proto::api::{ApiReply, ApiRequest};
use sha2::{Digest, Sha256};
use tokio::{
    sync::watch,
    time::{Duration, Instant},
};

/// For how long an answer is remembered.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(600);

/// How many answers are remembered, of a few kilobytes each, for no change answers with more; the oldest are forgotten first.
pub(super) const MOST: usize = 4096;

/// An answer.
pub(super) type Answer = (ApiReply, Bytes);

type Key = (String, String);

/// The memory.
#[derive(Default)]
pub(super) struct Memory(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    known: BTreeMap<Key, Entry>,
    order: VecDeque<(Instant, Key)>,
}

struct Entry {
    since: Instant,
    request: [u8; 32],
    answer: watch::Receiver<Option<Answer>>,
}

/// What is to be done with a request.
pub(super) enum Turn {
    /// Do it, and tell what was answered.
    Do(watch::Sender<Option<Answer>>),
    /// Somebody does it, or has done it.
    Wait(watch::Receiver<Option<Answer>>),
    /// Its key stands for another request.
    Another,
}

impl Memory {
    /// What to do with `request`, which came under `key` from `scope`.
    pub(super) fn turn(self: &Arc<Self>, now: Instant, scope: String, key: String, request: &ApiRequest) -> Turn {
        let print = fingerprint(request);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget(now);
        let key = (scope, key);
        match inner.known.get(&key) {
            Some(entry) if entry.request != print => return Turn::Another,
            // Whoever did it is gone, without an answer: it may be done again.
            Some(entry) if entry.answer.borrow().is_some() || entry.answer.has_changed().is_ok() => {
                return Turn::Wait(entry.answer.clone());
            }
            _ => {}
        }
        let (sender, answer) = watch::channel(None);
        inner.known.insert(key.clone(), Entry { since: now, request: print, answer });
        inner.order.push_back((now, key));
        Turn::Do(sender)
    }
}

impl Memory {
    /// What failed for now is done anew when it is asked again.
    pub(super) fn forget(&self, scope: String, key: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.remove(&(scope, key));
    }
}

impl Inner {
    fn forget(&mut self, now: Instant) {
        while let Some((since, _)) = self.order.front() {
            if self.order.len() < MOST && now.duration_since(*since) < KEPT_FOR {
                return;
            }
            if let Some((since, key)) = self.order.pop_front()
                // What failed for now may have been done anew since then.
                && self.known.get(&key).is_some_and(|entry| entry.since == since)
            {
                self.known.remove(&key);
            }
        }
    }
}

fn fingerprint(request: &ApiRequest) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [request.method.as_bytes(), request.target.as_bytes(), &request.body] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &'static str) -> ApiRequest {
        let (method, target) = ("POST".to_owned(), "/api/streams".to_owned());
        ApiRequest { method, target, headers: vec![], body: Bytes::from_static(body.as_bytes()) }
    }

    fn answer() -> Option<Answer> {
        Some((ApiReply { status: 201, headers: vec![], length: 0 }, Bytes::new()))
    }

    fn turn(memory: &Arc<Memory>, now: Instant, scope: &str, body: &'static str) -> Turn {
        memory.turn(now, scope.to_owned(), "k".to_owned(), &request(body))
    }

    #[tokio::test]
    async fn a_request_is_done_once_and_answered_as_often_as_it_is_asked() {
        let (memory, now) = (Arc::new(Memory::default()), Instant::now());
        let Turn::Do(done) = turn(&memory, now, "ada", "x") else { panic!("nobody did it before") };
        let Turn::Wait(mut waiting) = turn(&memory, now, "ada", "x") else { panic!("somebody does it") };
        done.send_replace(answer());
        assert_eq!(waiting.wait_for(Option::is_some).await.expect("an answer").clone(), answer());
        drop(done);
        assert!(matches!(turn(&memory, now, "ada", "x"), Turn::Wait(_)));
        assert!(matches!(turn(&memory, now, "ada", "y"), Turn::Another));
        assert!(matches!(turn(&memory, now, "bob", "x"), Turn::Do(_)), "keys are each client's own");
        assert!(matches!(turn(&memory, now + KEPT_FOR, "ada", "x"), Turn::Do(_)));
    }

    #[tokio::test]
    async fn what_was_not_answered_is_done_again() {
        let (memory, now) = (Arc::new(Memory::default()), Instant::now());
        let Turn::Do(dropped) = turn(&memory, now, "ada", "x") else { panic!("nobody did it before") };
        drop(dropped);
        assert!(matches!(turn(&memory, now, "ada", "x"), Turn::Do(_)));
    }

    #[tokio::test]
    async fn what_failed_for_now_is_done_anew_and_then_remembered_for_its_whole_time() {
        let (memory, now) = (Arc::new(Memory::default()), Instant::now());
        let Turn::Do(_failed) = turn(&memory, now, "ada", "x") else { panic!("nobody did it before") };
        memory.forget("ada".to_owned(), "k".to_owned());
        let anew = now + KEPT_FOR / 2;
        let Turn::Do(done) = turn(&memory, anew, "ada", "x") else { panic!("it failed") };
        done.send_replace(answer());
        assert!(matches!(turn(&memory, now + KEPT_FOR, "ada", "x"), Turn::Wait(_)));
        assert!(matches!(turn(&memory, anew + KEPT_FOR, "ada", "x"), Turn::Do(_)));
    }

    #[tokio::test]
    async fn only_so_many_are_remembered() {
        let (memory, now) = (Arc::new(Memory::default()), Instant::now());
        for n in 0..=MOST {
            memory.turn(now, "ada".to_owned(), n.to_string(), &request("x"));
        }
        let inner = memory.0.lock().expect("unpoisoned");
        assert_eq!((inner.known.len(), inner.order.len()), (MOST, MOST));
        assert!(!inner.known.contains_key(&("ada".to_owned(), "0".to_owned())));
    }
}
