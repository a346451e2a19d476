//! How a connection begins: capabilities, who it is, the welcome.

use freshet_proto::chat::{Login, Role};

use super::{Caps, Close, Line, Output, SERVER, Session, Stage, VecDeque, encode, roles, tag};
use crate::session::Identity;

const CAPS: &str = "twitch.tv/commands twitch.tv/membership twitch.tv/tags";

/// The longest number of a guest.
const MAX_GUEST_DIGITS: usize = 20;

impl Session {
    /// IRCv3 capability negotiation, version 302.
    pub(super) fn cap(&mut self, line: &Line<'_>, out: &mut Vec<Output>) {
        let word = line.params.first().map(|word| word.to_ascii_uppercase());
        match word.as_deref() {
            Some("LS") => {
                self.negotiating |= !matches!(self.stage, Stage::Talking);
                self.cap_answer("LS", CAPS.to_owned(), out);
            }
            Some("LIST") => self.cap_answer("LIST", self.caps.names(), out),
            Some("REQ") => {
                let asked = line.params[1..].join(" ");
                match self.caps.with(&asked) {
                    // Who is in a channel reads its log in one format.
                    Some(caps) if !self.client.is_seated() || caps.format == self.caps.format => {
                        self.caps = caps;
                        self.cap_answer("ACK", asked, out);
                    }
                    _ => self.cap_answer("NAK", asked, out),
                }
            }
            Some("END") => {
                self.negotiating = false;
                self.greet(out);
            }
            _ => {}
        }
    }

    fn cap_answer(&self, word: &'static str, caps: String, out: &mut Vec<Output>) {
        self.send(&Line::new("CAP").from(SERVER).param("*").param(word).param(caps), out);
    }

    /// Once it has said who it is, and no capabilities are being negotiated.
    pub(super) fn greet(&mut self, out: &mut Vec<Output>) {
        let Some(nick) = self.nick.as_deref() else { return };
        if self.negotiating || !matches!(self.stage, Stage::Greeting) {
            return;
        }
        if is_guest(nick) {
            return self.welcome(out);
        }
        match self.pass.take().as_deref().and_then(token) {
            Some(token) => {
                self.stage = Stage::Verifying(VecDeque::new());
                out.push(Output::Verify(token));
            }
            None => self.refuse(
                "Login authentication failed: give a token as PASS, or read without one as NICK justinfan123.",
                Close::Token,
                out,
            ),
        }
    }

    pub(super) fn verified(&mut self, now_ms: u64, identity: Option<Identity>, out: &mut Vec<Output>) {
        let Stage::Verifying(backlog) = &mut self.stage else { return };
        let backlog = std::mem::take(backlog);
        let Some(identity) = identity else {
            let text = "Login authentication failed: the token is not good, or not any more.";
            return self.refuse(text, Close::Token, out);
        };
        self.nick = Some(identity.user.login.as_str().to_owned());
        self.client.identify(identity);
        self.welcome(out);
        for text in backlog {
            if !self.closed {
                self.text(now_ms, &text, out);
            }
        }
    }

    /// tmi.js takes 001 for its name and 376 for the end.
    fn welcome(&mut self, out: &mut Vec<Output>) {
        self.stage = Stage::Talking;
        for (number, text) in [
            ("001", "Welcome!"),
            ("002", "Your host is tmi.twitch.tv"),
            ("003", "This server is rather new"),
            ("004", "-"),
            ("375", "-"),
            ("372", "This is Freshet. It speaks as Twitch does."),
            ("376", ">"),
        ] {
            self.reply(number, text, out);
        }
        let Some(Identity { user, admin }) = self.client.identity() else { return };
        if self.caps.format.commands {
            let role = if *admin { Role::Admin } else { Role::Plain };
            let mut tags = encode::user(user, roles(role));
            tags.push(tag("emote-sets", "0"));
            tags.push(tag("user-id", user.login.as_str()));
            self.send(&Line::new("GLOBALUSERSTATE").from(SERVER).tags(tags), out);
        }
    }
}

impl Caps {
    /// With these changed, which are separated by spaces; `None` where one is unknown (then nothing is changed).
    fn with(self, asked: &str) -> Option<Self> {
        asked.split_ascii_whitespace().try_fold(self, |mut caps, word| {
            let (on, name) = word.strip_prefix('-').map_or((true, word), |name| (false, name));
            *match name {
                "twitch.tv/tags" => &mut caps.format.tags,
                "twitch.tv/commands" => &mut caps.format.commands,
                "twitch.tv/membership" => &mut caps.membership,
                _ => return None,
            } = on;
            Some(caps)
        })
    }

    fn names(self) -> String {
        let all = CAPS.split(' ').zip([self.format.commands, self.membership, self.format.tags]);
        all.filter(|(_, on)| *on).map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    }
}

/// Whether somebody wants to read without an account.
fn is_guest(nick: &str) -> bool {
    nick.strip_prefix("justinfan").is_some_and(|number| {
        (1..=MAX_GUEST_DIGITS).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The token that a `PASS` has; `None` where it has none. tmi.js makes it lower case, which no JWT survives: one may be
/// written in hexadecimal.
fn token(pass: &str) -> Option<String> {
    let begin = pass.get(..6).filter(|begin| begin.eq_ignore_ascii_case("oauth:"));
    let token = &pass[begin.map_or(0, str::len)..];
    if token.is_empty() {
        return None;
    }
    Some(unhex(token).unwrap_or_else(|| token.to_owned()))
}

fn unhex(text: &str) -> Option<String> {
    let digits = text.bytes().map(|digit| char::from(digit).to_digit(16)).collect::<Option<Vec<_>>>()?;
    let pairs = digits.as_chunks::<2>();
    let bytes = pairs.0.iter().map(|[high, low]| u8::try_from(high << 4 | low).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok().filter(|text| pairs.1.is_empty() && text.is_ascii())
}

/// A channel's name as clients write it: `#Ada`.
pub(super) fn channel(name: &str) -> Option<Login> {
    name.strip_prefix('#')?.to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_as_it_is_or_in_hexadecimal() {
        let jwt = "eyJhbGciOi.J9.sig_-";
        let hex: String = jwt.bytes().map(|byte| format!("{byte:02x}")).collect();
        for pass in [jwt, &format!("oauth:{jwt}"), &format!("OAuth:{hex}"), &hex, &hex.to_uppercase()] {
            assert_eq!(token(pass).as_deref(), Some(jwt), "{pass}");
        }
        assert_eq!((token(""), token("oauth:")), (None, None));
        for other in ["abc", "ff", "zz", "öauth:", "oauth"] {
            assert_eq!(token(other).as_deref(), Some(other));
        }
    }

    #[test]
    fn guests_are_called_justinfan_and_a_number() {
        assert!(is_guest("justinfan1") && is_guest("justinfan80999"));
        for other in ["justinfan", "justinfanx", "justinfan1x", "ada", "justinfan123456789012345678901"] {
            assert!(!is_guest(other), "{other}");
        }
    }
}
