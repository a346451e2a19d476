//! A watch channel whose readers are woken in the order in which they began to wait.
//!
//! tokio's own spreads its readers over eight lists and draws, from a source that can't be seeded, on which list each one
//! waits: quick where thousands wait on many threads, and another order in every run. Where two readers write to one
//! connection, or draw from one source of chance, the order shows on the wire, and a simulation would not replay.
//!
//! ```text
//! Sender ──value──▶ tokio::sync::watch ──▶ Receiver         which version is new, and whether anybody still sends
//!    └────ring────▶ tokio::sync::Notify ──▶ changed()       who wakes, first come first
//! ```
//! [`Receiver::of`] gives readers of a tokio channel the same order: one task waits on it and rings for all.

use std::sync::Arc;

pub use tokio::sync::watch::{Ref, error::SendError};
use tokio::sync::{Notify, oneshot, watch};

/// The sending end. The value stands before the bell, so that whoever hears the bell of a sender that is dropped finds the
/// channel closed.
#[derive(Debug)]
pub struct Sender<T> {
    value: watch::Sender<T>,
    bell: Bell,
}

/// The reading end. Each clone has its own idea of what it has seen.
#[derive(Debug)]
pub struct Receiver<T> {
    value: watch::Receiver<T>,
    rung: Arc<Notify>,
    /// Gone with the last reader: ends the task that rings.
    kept: Option<Arc<oneshot::Sender<()>>>,
}

/// Every sender has gone, and their last value was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing will change any more")]
pub struct Closed;

/// Wakes whoever waits; when it is dropped too, for then a sender has gone.
#[derive(Debug, Clone)]
struct Bell(Arc<Notify>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// A channel that has `init`, which counts as seen.
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(init);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// A channel that has `init` and no readers yet.
    pub fn new(init: T) -> Self {
        Self { value: watch::Sender::new(init), bell: Bell(Arc::default()) }
    }

    /// Sends a value.
    ///
    /// # Errors
    /// When there are no readers: gives the value back.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.value.send(value)?;
        self.bell.0.notify_waiters();
        Ok(())
    }

    /// Sends a value, whether there are readers or not; returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        let before = self.value.send_replace(value);
        self.bell.0.notify_waiters();
        before
    }

    /// Changes the value in place; readers are woken if `modify` says that it did. Tells the same.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = self.value.send_if_modified(modify);
        if modified {
            self.bell.0.notify_waiters();
        }
        modified
    }

    /// The value. Nothing is sent while it is held.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.value.borrow()
    }

    /// One more reader, which has seen the present value.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { value: self.value.subscribe(), rung: self.bell.0.clone(), kept: None }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), bell: self.bell.clone() }
    }
}

impl<T: Send + Sync + 'static> Receiver<T> {
    /// Readers of a tokio channel. Must be called in a tokio runtime: a task rings for them until the last one is dropped.
    pub fn of(value: watch::Receiver<T>) -> Self {
        let (rung, (kept, gone)) = (Arc::<Notify>::default(), oneshot::channel());
        tokio::spawn(ring(value.clone(), rung.clone(), gone));
        Self { value, rung, kept: Some(Arc::new(kept)) }
    }
}

/// Rings whenever the value changes, and once more when it never will again.
async fn ring<T>(mut value: watch::Receiver<T>, rung: Arc<Notify>, mut gone: oneshot::Receiver<()>) {
    let mut open = true;
    while open {
        open = tokio::select! {
            biased;
            _ = &mut gone => return,
            changed = value.changed() => changed.is_ok(),
        };
        rung.notify_waiters();
    }
}

impl<T> Receiver<T> {
    /// The value. Nothing is sent while it is held.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.value.borrow()
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.value.borrow_and_update()
    }

    /// Counts the value as seen, whatever it is.
    pub fn mark_unchanged(&mut self) {
        self.value.mark_unchanged();
    }

    /// Resolves when there is a value that was not seen yet, which then counts as seen.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // First the bell, then the channel: whatever comes in between rings.
            let rung = self.rung.notified();
            // Closed before the look at the value: nothing can be sent after that.
            let closed = self.value.has_changed().is_err();
            let is_new = self.value.borrow_and_update().has_changed();
            match (is_new, closed) {
                (true, _) => return Ok(()),
                (false, true) => return Err(Closed),
                (false, false) => rung.await,
            }
        }
    }

    /// Resolves when `until` says yes to the value, the present one included. The value counts as seen.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn wait_for(&mut self, mut until: impl FnMut(&T) -> bool) -> Result<(), Closed> {
        while !until(&self.value.borrow_and_update()) {
            self.changed().await?;
        }
        Ok(())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), rung: self.rung.clone(), kept: self.kept.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Lets sixteen readers wait, twenty times, and tells in which order they woke.
    async fn woken(receiver: Receiver<u64>, send: impl Fn(u64)) -> Vec<Vec<u64>> {
        let woken = Arc::new(Mutex::new(Vec::new()));
        for n in 0..16 {
            let (mut receiver, woken) = (receiver.clone(), woken.clone());
            tokio::spawn(async move {
                while receiver.changed().await.is_ok() {
                    woken.lock().unwrap().push(n);
                }
            });
        }
        let mut rounds = Vec::new();
        for round in 1..=20 {
            settle().await;
            send(round);
            settle().await;
            rounds.push(std::mem::take(&mut *woken.lock().unwrap()));
        }
        rounds
    }

    async fn settle() {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn readers_wake_in_the_order_in_which_they_began_to_wait() {
        let in_order = vec![(0..16).collect::<Vec<_>>(); 20];
        let (sender, receiver) = channel(0);
        assert_eq!(woken(receiver, |round| sender.send(round).unwrap()).await, in_order);
        let (sender, receiver) = watch::channel(0);
        assert_eq!(woken(Receiver::of(receiver), |round| sender.send(round).unwrap()).await, in_order);
    }

    #[tokio::test]
    async fn the_last_value_is_seen_before_the_end() {
        let (sender, mut receiver) = channel(0);
        let second = sender.clone();
        let waits = tokio::spawn(async move {
            let mut seen = Vec::new();
            while receiver.changed().await.is_ok() {
                seen.push(*receiver.borrow());
            }
            seen
        });
        settle().await;
        drop(sender);
        settle().await;
        second.send(7).unwrap();
        drop(second);
        assert_eq!(waits.await.unwrap(), [7]);
    }

    #[tokio::test]
    async fn readers_of_another_channel_hear_of_its_end_and_let_it_go() {
        let (sender, receiver) = watch::channel(0);
        let mut ordered = Receiver::of(receiver);
        let waits = tokio::spawn({
            let mut ordered = ordered.clone();
            async move { (ordered.wait_for(|value| *value == 2).await, ordered.changed().await) }
        });
        for value in [1, 2] {
            settle().await;
            sender.send_replace(value);
        }
        settle().await;
        drop(sender);
        assert_eq!(waits.await.unwrap(), (Ok(()), Err(Closed)));
        assert_eq!((ordered.changed().await, ordered.changed().await), (Ok(()), Err(Closed)));

        let (sender, receiver) = watch::channel(0);
        let ordered = Receiver::of(receiver);
        let second = ordered.clone();
        settle().await;
        drop(ordered);
        settle().await;
        assert!(!sender.is_closed());
        drop(second);
        sender.closed().await;
    }
}
