//! Drops from the cache what is purged. It is refused as soon as the view says so; this gives its memory back, and what a
//! viewer's request left behind is no longer there to be found.

use std::sync::{Arc, Weak};

use freshet_proto::{annex::Marks, id::Epoch, object::ResourceName, ordered, view::View};

use super::Live;

/// Watches the marks of channels for as long as there is an edge and a view.
pub(super) async fn run(mut view: ordered::Receiver<Arc<View>>, live: Weak<Live>) {
    let mut before = Arc::new(Marks::default());
    loop {
        let marks = Arc::clone(&view.borrow_and_update().annex.marks);
        let Some(live) = live.upgrade() else { return };
        if marks != before {
            drop_purged(&live, &before, &marks);
            before = marks;
        }
        drop(live);
        if view.changed().await.is_err() {
            return;
        }
    }
}

fn drop_purged(live: &Live, before: &Marks, now: &Marks) {
    let rises = |(channel, mark): (&_, &freshet_proto::annex::Mark)| mark.purged > before.of(channel).purged;
    if !now.channels.iter().any(rises) {
        return;
    }
    live.cache.drop_where(|key| {
        let purged = now.of(key.name.channel()).purged;
        match &key.name {
            ResourceName::Object(name) => name.epoch <= purged,
            // They may come from any publish of their session.
            _ => purged > Epoch(0),
        }
    });
}
