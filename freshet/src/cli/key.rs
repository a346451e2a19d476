//! `freshet key`.

use clap::{Args, Subcommand};
use freshet_proto::id::ChannelName;

use super::{Output, Settings};

/// What can be done with signing keys, on a control node's host.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys, and say whether this control node can sign with them.
    Ls {
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Make the next key now, before its time. It signs once it has been known for keys.publish_minutes.
    Rotate {
        /// The key-encryption key is lost everywhere: the control node that leads wraps the next key with its own, and it signs
        /// at once.
        #[arg(long)]
        lost_kek: bool,
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Revoke a key, or tokens: what is revoked is refused at once, by every node that hears of it.
    Revoke(Box<RevokeArgs>),
}

/// `freshet key revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// What to revoke.
    #[command(flatten)]
    pub what: RevokeWhat,
    /// The control node whose host this is.
    #[command(flatten)]
    pub at: Settings,
}

/// One of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RevokeWhat {
    /// A signing key: whatever it signed. If it is the one that signs, another does from now on.
    #[arg(value_name = "KID")]
    pub kid: Option<String>,
    /// What was minted so far for this channel.
    #[arg(long, value_name = "NAME")]
    pub channel: Option<ChannelName>,
    /// What was minted so far for this account, by its id.
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// What was minted so far for this playback session.
    #[arg(long, value_name = "ID")]
    pub playback: Option<u64>,
    /// The secrets of path tokens: every path token there is.
    #[arg(long)]
    pub path_tokens: bool,
}
