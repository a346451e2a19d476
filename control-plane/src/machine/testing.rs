//! What the tests of a registry's parts share.

use freshet_proto::registry::Reply;

use super::{Input, Output, Registry};

/// Follows the deltas and finds the view again.
pub(super) fn take(registry: &mut Registry, now_ms: u64, input: Input) -> Reply {
    let (mut view, mut out) = (registry.view(), vec![]);
    registry.handle(registry.revision() + 1, now_ms, input, &mut out);
    let mut reply = None;
    for output in out {
        match output {
            Output::Changed(delta) => assert!(view.apply(delta)),
            Output::Reply(answer) => reply = Some(answer),
            Output::Alert(alert) => panic!("{alert}"),
        }
    }
    assert_eq!(view, registry.view());
    reply.unwrap()
}
