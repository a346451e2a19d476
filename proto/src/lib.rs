//! What nodes say to each other and to clients: ids, object names, the verbs of the node protocol, the view and the
//! registry's commands. Only [`quic`] does I/O; only [`clock`] reads the wall clock; only [`random`] makes randomness.

pub mod admin;
pub mod annex;
pub mod api;
pub mod audience;
pub mod chat;
pub mod clock;
pub mod health;
pub mod history;
pub mod hub;
pub mod id;
pub mod level;
pub mod message;
pub mod object;
pub mod ordered;
pub mod place;
pub mod quic;
pub mod random;
pub mod registry;
pub mod token;
pub mod view;
