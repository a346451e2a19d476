//! Literal data: what a client sends, and each line that it is told.

mod events;
mod session;

use freshet_proto::{
    chat::{Answer, Modes, Position, Role},
    id::ChannelName,
};

use super::*;
use crate::{
    home::tests::{author, login},
    session::{Identity, Input, Joined, Output},
};

const ALL: Format = Format { tags: true, commands: true };
const PLAIN: Format = Format { tags: false, commands: false };

fn ada() -> ChannelName {
    login("ada")
}

fn joined(role: Role) -> Input<'static> {
    Input::Joined(Box::new(Joined {
        channel: ada(),
        head: Position::new(1, 7),
        role,
        follows_since_ms: Some(5),
        modes: Modes { slow_s: 5, ..Modes::default() },
        pin: None,
        events: Vec::new(),
        gap: None,
    }))
}

/// A connection, as text: what it wants done, its lines without their ends.
struct Socket(Session);

impl Socket {
    fn new() -> Self {
        Self(Session::new(0xf00d))
    }

    fn input(&mut self, input: Input<'_>) -> String {
        let mut out = Vec::new();
        self.0.handle(0, input, &mut out);
        let picture = |output: &Output| match output {
            Output::Send(lines) => lines.strip_suffix("\r\n").expect("whole lines").replace("\r\n", "\n"),
            Output::Verify(token) => format!("<verify {token}>"),
            Output::Join { channel, resume: None, history: 0 } => format!("<join {channel}>"),
            Output::Join { .. } => panic!("{output:?}"),
            Output::Part(channel) => format!("<part {channel}>"),
            Output::Submit { ticket, submit } => format!("<submit {ticket} {} {}>", submit.nonce, submit.text),
            Output::Close(why) => format!("<close {why:?}>"),
        };
        out.iter().map(picture).collect::<Vec<_>>().join("\n")
    }

    fn says(&mut self, lines: &str) -> String {
        self.input(Input::Frame(lines))
    }

    /// bob's, welcomed, with these capabilities.
    fn of_bob(caps: &str) -> Self {
        let mut socket = Self::new();
        socket.says(&format!("CAP REQ :{caps}\r\nPASS oauth:jwt\r\nNICK bob\r\n"));
        socket.input(Input::Verified(Some(Identity { user: author("bob").user, admin: false })));
        socket
    }

    /// bob's, in the channel ada.
    fn seated(role: Role) -> Self {
        let mut socket = Self::of_bob("twitch.tv/tags twitch.tv/commands");
        socket.says("JOIN #ada");
        socket.input(joined(role));
        socket
    }

    /// What comes of a post that the home answers so.
    fn answered(&mut self, text: &str, answer: Answer) -> String {
        let submitted = self.says(&format!("PRIVMSG #ada :{text}"));
        let ticket = submitted.split(' ').nth(1).expect("it is submitted").parse().expect("a number");
        self.input(Input::Answer { ticket, answer })
    }
}
