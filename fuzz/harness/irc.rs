//! What must hold for any bytes of an IRC client. Called by the fuzz target, and by `chat-mesh/tests/corpora.rs` for every
//! committed input.

use bytes::BytesMut;
use freshet_chat_mesh::{
    irc::{Format, Line, LineReader, Session, parse},
    session::{Identity, Input, Joined, MAX_CHANNELS, Output},
};
use freshet_proto::chat::{Answer, Code, DisplayName, Modes, Position, Role, User, UserId};

/// Bytes of one connection: they read alike whole and in pieces, and are answered within bounds.
pub fn irc(input: &[u8]) {
    let whole = lines(input, input.len().max(1));
    for size in [1, 7] {
        assert_eq!(lines(input, size), whole, "in pieces of {size}");
    }
    let (whole, _) = whole;
    let mut session = Session::new(7);
    for (n, text) in whole.iter().enumerate() {
        line(text);
        socket(&mut session, n as u64, Input::Frame(text));
    }
}

/// The lines, and whether it ended with an error. Which of several it is depends on what is there already.
fn lines(input: &[u8], size: usize) -> (Vec<String>, bool) {
    let (mut reader, mut buffer, mut lines) = (LineReader::default(), BytesMut::new(), Vec::new());
    for piece in input.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            match reader.next(&mut buffer) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break,
                Err(_) => return (lines, true),
            }
        }
        assert!(buffer.len() <= parse::MAX_TAGS + parse::MAX_REST + 1, "more is kept than a line may have");
    }
    (lines, false)
}

/// A message that was read is written as one line, and that is the same message.
fn line(text: &str) {
    let Ok(line) = parse::parse(text) else { return };
    assert!(line.params.len() <= parse::MAX_PARAMS);
    let written = write(&line);
    let again = match parse::parse(written.trim_end_matches(['\r', '\n'])) {
        Ok(again) => again,
        // A tag without a value got its `=`.
        Err(error) => return assert_eq!(error, parse::LineError::TagsTooLong, "{text:?}"),
    };
    assert_eq!((&again.command, again.params.len()), (&line.command, line.params.len()), "{text:?}");
    assert_eq!(write(&again), written, "written twice, it is another");
}

fn write(line: &Line<'_>) -> String {
    let mut out = String::new();
    line.write(true, &mut out);
    let one = out.strip_suffix("\r\n").expect("it has an end");
    assert!(!one.contains(['\r', '\n', '\0']), "{one:?}");
    out
}

/// What a session wants done is bounded, and what it sends are whole lines; what it asks for, it gets.
fn socket(session: &mut Session, now_ms: u64, input: Input<'_>) {
    let mut out = Vec::new();
    session.handle(now_ms, input, &mut out);
    assert!(out.len() <= 2 * MAX_CHANNELS + 2, "{} outputs", out.len());
    let closed = out.iter().position(|output| matches!(output, Output::Close(_)));
    assert!(closed.is_none_or(|at| at + 1 == out.len()), "something after the end");
    for output in out {
        match output {
            Output::Send(lines) => {
                let lines = lines.strip_suffix("\r\n").expect("whole lines");
                for line in lines.split("\r\n") {
                    assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
                    parse::parse(line).expect("others can read it");
                }
                assert!(lines.len() <= 64 << 10, "{} bytes", lines.len());
            }
            Output::Verify(_) => socket(session, now_ms, Input::Verified(Some(bob()))),
            Output::Join { channel, resume, history } => {
                assert_eq!((resume, history), (None, 0));
                let (modes, format) = (Modes::default(), session.format());
                assert!(Format::ALL.contains(&format));
                let head = Position::default();
                let joined = Joined {
                    channel,
                    head,
                    role: Role::Moderator,
                    follows_since_ms: None,
                    modes,
                    pin: None,
                    events: Vec::new(),
                    gap: None,
                };
                socket(session, now_ms, Input::Joined(Box::new(joined)));
            }
            Output::Submit { ticket, submit } => {
                assert!(submit.nonce.as_str().starts_with("irc-0000000000000007-"));
                let answer: Answer = Err(Code::NoChange.into());
                socket(session, now_ms, Input::Answer { ticket, answer });
            }
            Output::Part(_) | Output::Close(_) => {}
        }
    }
}

fn bob() -> Identity {
    let user = User {
        id: UserId::cut("1"),
        login: "bob".parse().expect("a name"),
        name: DisplayName::cut("Bob"),
        color: None,
    };
    Identity { user, admin: false }
}
