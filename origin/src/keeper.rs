//! The keeper: the one task that looks after all sessions of an origin. It heeds the view (takeovers, ends), drives the
//! pipelines of sessions without a publisher, lets objects go when their time has come, looks how the streams do, and says
//! farewell for publishers who are missing.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use freshet_proto::{ordered, view::View};
use tokio::time::{Instant, sleep_until};

use crate::Inner;

/// How often the streams' health is looked at.
const EXAMINE_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked whether somebody is missing.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps until the origin is dropped.
pub(crate) async fn keep(inner: Weak<Inner>, mut view: ordered::Receiver<Arc<View>>) {
    let begun = inner.upgrade().map(|inner| (inner.house.subscribe(), inner.absent()));
    let Some((mut house, mut absent)) = begun else { return };
    let mut has_registry = true;
    let (mut examine_at, mut look_at) = (Instant::now(), Instant::now());
    loop {
        let seen = view.borrow_and_update().clone();
        let Some(strong) = inner.upgrade() else { return };
        let now = Instant::now();
        if examine_at <= now {
            strong.examine();
            examine_at = now + EXAMINE_EVERY;
        }
        if look_at <= now {
            strong.excuse(&mut absent, &seen, now);
            look_at = now + LOOK_EVERY;
        }
        let next = strong.house.sweep(&seen, strong.clock.now_ms()).map(|at| strong.instant_of(at, now));
        drop(strong);
        let due = next.unwrap_or(examine_at).min(examine_at).min(look_at);
        tokio::select! {
            biased;
            changed = view.changed(), if has_registry => has_registry = changed.is_ok(),
            changed = house.changed() => if changed.is_err() { return },
            () = sleep_until(due) => {}
        }
    }
}
