//! What the API needs of the rest of the control plane.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    id::ChannelName,
    message::Denied,
    token::Claims,
    view::View,
};

use crate::machine::Timing;

/// A future that a trait object returns.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<AdminReply, Denied>> + Send + 'a>>;

/// How many watch what.
pub type Counts = Arc<BTreeMap<ChannelName, u64>>;

/// The same, to come.
pub type Counted<'a> = Pin<Box<dyn Future<Output = Counts> + Send + 'a>>;

/// A control node; or, in tests, a registry that is one's own.
pub trait Platform: Send + Sync + 'static {
    /// What is agreed on.
    fn view(&self) -> Arc<View>;

    /// The wall clock, in ms since 1970.
    fn now_ms(&self) -> u64;

    /// 32 hexadecimal digits that nobody can guess.
    fn draw(&self) -> String;

    /// Does what an operator might ask, wherever the leader is.
    fn ask(&self, command: AdminCommand) -> Asked<'_>;

    /// How many watch each channel, of a moment ago; channels without viewers are left out. What was known before, where the
    /// leader does not tell.
    fn viewers(&self) -> Counted<'_>;

    /// Since when the session of a channel is live, and until when its publisher is waited for.
    fn timing(&self, channel: &ChannelName) -> Timing;

    /// How many channels belong to accounts, as far as the registry knows.
    fn chartered(&self) -> usize;

    /// Signs an access or playback token; why not, in words for the log.
    ///
    /// # Errors
    /// While there is no key, or this node can't unwrap it.
    fn sign(&self, claims: &Claims) -> Result<String, String>;
}
