//! Where a hub hears another: asks it for all lanes, and passes on what comes.

use freshet_proto::{
    id::NodeId,
    message::{MAX_FRAME, Request},
    quic::{QuicError, Reader, within},
};
use tokio::{
    task::JoinSet,
    time::{Duration, sleep},
};
use tracing::debug;

use super::MeshLinks;
use crate::{
    hub::Hub,
    mesh::{Input, Lane, Message},
};

/// How long a lane may take to open.
const OPEN: Duration = Duration::from_secs(3);
/// How long to wait before a link is asked for again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Hears `node` for as long as the task lives.
pub(super) async fn listen(links: MeshLinks, node: NodeId, hub: Hub) {
    let mut rest = RETRY.0;
    loop {
        match open(&links, node).await {
            Ok(lanes) => {
                rest = RETRY.0;
                links.hears(node, true);
                links.tell_if_up(node, &hub).await;
                let why = hear(lanes, node, &hub).await;
                links.hears(node, false);
                debug!(hub = %node, %why, "a link to a hub has ended");
                hub.tell(Input::LinkDown(node)).await;
            }
            Err(why) => debug!(hub = %node, %why, "no link to a hub"),
        }
        sleep(rest).await;
        rest = (rest * 2).min(RETRY.1);
    }
}

/// Asks for all lanes.
async fn open(links: &MeshLinks, node: NodeId) -> Result<Vec<Reader>, QuicError> {
    let Some((addr, name)) = links.whereabouts(node) else { return Err(QuicError::Timeout(OPEN)) };
    let link = links.0.random.below(u64::MAX);
    within(OPEN, async {
        let mut lanes = Vec::new();
        for (lane, _) in (0..).zip(Lane::all()) {
            let request = Request::Mesh { node: links.0.me, link, lane };
            lanes.push(links.0.pool.request(addr, &name, &request).await?);
        }
        for lane in &mut lanes {
            lane.read_frame::<()>(MAX_FRAME).await?;
        }
        Ok(lanes)
    })
    .await
}

/// Passes on what comes until the first lane ends.
async fn hear(lanes: Vec<Reader>, node: NodeId, hub: &Hub) -> QuicError {
    let mut tasks = JoinSet::new();
    for mut lane in lanes {
        let hub = hub.clone();
        tasks.spawn(async move {
            loop {
                match lane.read_frame::<Message>(MAX_FRAME).await {
                    Ok(message) => hub.tell(Input::Message { from: node, message }).await,
                    Err(why) => return why,
                }
            }
        });
    }
    match tasks.join_next().await {
        Some(Ok(why)) => why,
        _ => QuicError::Timeout(OPEN),
    }
}
