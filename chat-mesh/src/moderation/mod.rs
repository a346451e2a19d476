//! The rules of a channel: who may do what to whom, and what may be said. Pure functions and values; the home applies them.
//!
//! ```text
//! text ──text::clean──▶ shown text ──command::parse──▶ Command ──rank──▶ done, or a Refusal
//!                           ├─links, emotes──▶ modes
//!                           └─fold──▶ terms ──▶ blocked, held
//! Durable ◀──Change── what must outlive every hub: bans, roles, terms, modes
//! ```

pub mod command;
mod durable;
mod emotes;
mod fold;
mod hold;
mod links;
mod log;
pub mod rank;
mod terms;
mod text;

pub use durable::{Ban, Change, Durable, MAX_BANS, MAX_ROLES};
pub use emotes::only_emotes;
pub use fold::fold;
pub use hold::{Held, Holds};
pub use links::has_link;
pub use log::LogEntry;
pub use terms::{InvalidTerm, MAX_TERMS, Pattern, Term, TermAction, Terms};
pub use text::clean;
