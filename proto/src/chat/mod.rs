//! What hubs say to each other about a channel's chat: posts on their way to the home, events on their way from it.
//!
//! ```text
//! sender's hub ──Submit──▶ home ──Event──▶ standby, hubs with interest
//!              ◀─Answer───      ──Notice─▶ the hubs of one user, or of the moderators
//! ```
//! The home gives every event its [`Position`]; a channel's order is that of positions and of nothing else. Everything
//! here is written in postcard, as the node protocol is ([`crate::message`]); every text has a limit that holds when it is
//! read. What clients see is another matter: JSON or IRC, made once per hub.

mod answer;
mod durable;
mod event;
mod id;
mod log;
mod modes;
mod short;
mod store;
mod submit;
mod term;
mod verb;

pub use answer::{Accepted, Answer, Code, Refusal};
pub use durable::{Ban, Change, Durable, MAX_BANS, MAX_ROLES};
pub use event::{Actor, Event, Message, Note, Notice, Origin, Pin, Reply, To, UserAction, What};
pub use id::{InvalidPosition, MessageId, Position, Snowflake};
pub use log::LogEntry;
pub use modes::{ModeChange, Modes};
pub use short::{Short, Text, TooLong};
pub use store::{ChatReply, ChatRequest};
pub use submit::{Author, Role, Roles, Submit, User};
pub use term::{MAX_TERMS, Pattern, Term, TermAction};
pub use verb::Verb;

/// The name by which a person is moderated: an account's, permanent and never given twice.
pub type Login = crate::id::ChannelName;

/// An account's id, in bytes: 32 hexadecimal digits where we made it.
pub type UserId = Short<64>;

/// What a sender calls a post, so that sending it again does not say it twice. In bytes.
pub type Nonce = Short<64>;

/// What a person is called, in bytes: 50 characters.
pub type DisplayName = Short<200>;

/// Why a moderator did something, in bytes: 500 characters.
pub type Reason = Short<2000>;

/// The longest encoded [`Submit`] or [`Event`], in bytes: a text of 500 characters, a reason or reply, names and numbers.
pub const MAX_RECORD: usize = 8 << 10;
