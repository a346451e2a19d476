//! What must hold for any text that a chat client may send. Called by the fuzz target, and by `chat-mesh/tests/corpora.rs`
//! for every committed input.

use freshet_chat_mesh::{
    moderation::{Terms, clean, command, fold, has_link, only_emotes},
    protocol::{Input, Output, Session, client},
};
use freshet_proto::chat::Text;

/// Frames of one socket, cut at zero bytes; and each once more as what somebody writes.
pub fn chat(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut session = Session::new(None);
    for (n, frame) in input.split('\0').enumerate() {
        socket(&mut session, n as u64, frame);
        text(frame);
    }
}

/// A frame is taken with a bounded answer, each object of it JSON on one line; after `Close` comes nothing.
fn socket(session: &mut Session, now_ms: u64, frame: &str) {
    assert!(client::parse(frame, true).len() <= client::MAX_OBJECTS);
    let mut out = Vec::new();
    session.handle(now_ms, Input::Frame(frame), &mut out);
    assert!(out.len() <= 3 * client::MAX_OBJECTS, "{} outputs", out.len());
    let closed = out.iter().position(|output| matches!(output, Output::Close(_)));
    assert!(closed.is_none_or(|at| at + 1 == out.len()), "something after the end");
    for output in &out {
        if let Output::Send(object) = output {
            assert!(!object.contains('\n') && object.starts_with('{') && object.ends_with('}'), "{object}");
        }
    }
}

/// A text that was cleaned is clean, and everything that looks at it ends.
fn text(written: &str) {
    let Ok(shown) = clean(written) else { return };
    let shown = shown.as_str();
    assert!(shown.chars().count() <= Text::MAX_CHARS && !shown.chars().any(char::is_control));
    assert_eq!(clean(shown).map(String::from).as_deref(), Ok(shown), "cleaned twice, it is another");
    let _ = (command::parse(shown), has_link(shown), only_emotes(shown));
    assert!(fold(shown).len() <= 64 * shown.len() + 64, "folding makes it too long");
    let _ = Terms::check(shown);
}
