//! Chat: hubs at the edges, one order per channel.
//!
//! ```text
//! client's texts ──▶ protocol::Session ──Submit──▶ home::Home ──Event──▶ protocol::encode ──▶ every subscriber
//!                                                    └── moderation: who may, what is cleaned, refused, held
//! ```

pub mod home;
pub mod moderation;
pub mod protocol;
