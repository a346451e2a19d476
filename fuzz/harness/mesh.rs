//! What must hold for anything that hubs may say to each other. Called by the fuzz target, and by
//! `chat-mesh/tests/corpora.rs` for every committed input.

use freshet_chat_mesh::{
    home::Limits,
    mesh::{Input, Member, Members, Mesh, Message, Now, Output, Stored},
    moderation::Durable,
};
use freshet_proto::{
    id::NodeId,
    quic::{decode, frame},
};

/// Messages to the second of three hubs, each after a byte that says from whom and two that say how long it is.
pub fn mesh(input: &[u8]) {
    let Ok(channel) = "ada".parse() else { return };
    let (mut mesh, mut out) = (Mesh::new(NodeId(2), Limits::default(), now(0)), Vec::new());
    let member = |n: u64| (NodeId(n), Member { number: n as u16, weight: 1 });
    let members = Members { epoch: 3, hubs: [1, 2, 3].map(member).into(), ..Members::default() };
    for input in [Input::Members(members), Input::Lease { until_ms: u64::MAX, epoch: 3 }, Input::Want(channel)] {
        take(&mut mesh, 0, input, &mut out);
    }
    let (mut rest, mut ms) = (input, 0);
    while let [from, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, after) = tail.split_at(length);
        (rest, ms) = (after, ms + 50);
        let Ok(message) = decode::<Message>(bytes) else { continue };
        if let Ok(written) = frame(&message) {
            assert_eq!(
                decode::<Message>(&written[4..]).ok().as_ref(),
                Some(&message),
                "written and read, it is another"
            );
        }
        let from = NodeId(1 + u64::from(from % 3));
        take(&mut mesh, ms, Input::Message { from, message }, &mut out);
    }
}

/// What it does is bounded, and what it wants from the store is there.
fn take(mesh: &mut Mesh, ms: u64, input: Input, out: &mut Vec<Output>) {
    out.clear();
    mesh.handle(now(ms), input, out);
    assert!(out.len() <= 20_000, "{} outputs", out.len());
    for output in std::mem::take(out) {
        let Output::Open(channel) = output else { continue };
        let stored = Some(Box::new(Stored { owner: channel.clone(), durable: Durable::default() }));
        mesh.handle(now(ms), Input::Opened { channel, stored }, &mut Vec::new());
    }
}

fn now(ms: u64) -> Now {
    Now { mono_ms: 1_000 + ms, wall_ms: 1_800_000_000_000 + ms }
}
