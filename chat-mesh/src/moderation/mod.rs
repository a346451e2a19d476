//! The rules of a channel: who may do what to whom, and what may be said. Pure functions and values; the home applies them.
//!
//! ```text
//! text ──text::clean──▶ shown text ──command::parse──▶ Command ──rank──▶ done, or a Refusal
//!                           ├─links, emotes──▶ modes
//!                           └─fold──▶ terms ──▶ blocked, held
//! Durable ◀──Change── what must outlive every hub: bans, roles, terms, modes
//! ```

pub mod command;
mod emotes;
mod fold;
mod hold;
mod links;
pub mod rank;
mod terms;
mod text;

pub use freshet_proto::chat::{
    Ban, Change, Durable, LogEntry, MAX_BANS, MAX_ROLES, MAX_TERMS, Pattern, Term, TermAction,
};

pub use emotes::only_emotes;
pub use fold::fold;
pub use hold::{Held, Holds};
pub use links::has_link;
pub use terms::{InvalidTerm, Terms};
pub use text::clean;
