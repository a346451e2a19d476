//! The command line: what can be asked of the binary, and the flags that set configuration keys.

mod key;
mod settings;

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use freshet_proto::{id::ChannelName, registry::Policy, view::Role};

pub use key::{KeyCommand, RevokeWhat};
pub use settings::Settings;

/// Live streaming anyone can host: RTMP in, low-latency HLS out.
#[derive(Debug, Parser)]
#[command(name = "freshet", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked of the binary.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process, on this machine, for yourself.
    Dev(Box<crate::dev::Dev>),
    /// Run a control node: with others it keeps who may publish, who is live and which nodes there are.
    Control(Box<ControlArgs>),
    /// Run an origin: it takes encoders, packages what they send and offers it to edges.
    Origin(Box<Settings>),
    /// Run an edge: it serves viewers.
    Edge(Box<Settings>),
    /// Let nodes join, see how they are, drain and remove them.
    Node {
        /// What to do.
        #[command(subcommand)]
        command: Box<NodeCommand>,
    },
    /// Make channels and their stream keys.
    Channel {
        /// What to do.
        #[command(subcommand)]
        command: Box<ChannelCommand>,
    },
    /// Make accounts, set their passwords, say what they may do.
    User {
        /// What to do.
        #[command(subcommand)]
        command: Box<crate::people::UserCommand>,
    },
    /// See who is live, and end a session.
    Stream {
        /// What to do.
        #[command(subcommand)]
        command: Box<crate::people::StreamCommand>,
    },
    /// List, rotate and revoke the keys that tokens are signed with, and revoke tokens.
    Key {
        /// What to do.
        #[command(subcommand)]
        command: Box<KeyCommand>,
    },
    /// Make the small certificate authority of nodes that have no control plane, and certificates with it.
    Ca {
        /// What to make.
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Check or show the effective configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: Box<ConfigCommand>,
    },
    /// Watch a live stream for a while as players would, and say what is wrong with it.
    Lint(crate::lint::Args),
    /// Look at this machine as a node would find it, and say what would go wrong and what to do about it.
    Doctor(Box<crate::doctor::Args>),
    /// Print completions for a shell, to be sourced or installed by it.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version,
}

/// `freshet control`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ControlArgs {
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<ControlCommand>,
    /// Begin a new platform with this node, named by node.name, if it has not joined one. Afterwards it changes nothing.
    #[arg(long)]
    pub bootstrap: bool,
    /// Everything that can be configured.
    #[command(flatten)]
    pub settings: Settings,
}

/// What can be done with what the control nodes keep.
#[derive(Debug, Subcommand)]
pub enum ControlCommand {
    /// Write everything that the control nodes agree on to a file: channels, nodes, sessions, and the platform's secrets.
    Backup {
        /// The file, made anew, readable by its owner alone.
        file: PathBuf,
        /// Read it from the data directory (node.data) of a control node that is stopped, instead of asking the one that
        /// leads: for when most control nodes are lost. Nothing is changed there.
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Begin anew from a backup, with this node alone: for when most control nodes are lost. Its data directory is empty.
    Restore {
        /// The backup.
        file: PathBuf,
        /// The control node to be.
        #[command(flatten)]
        at: Settings,
    },
}

/// How answers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON value.
    Json,
}

/// What can be done with nodes. All but `join` are run on a control node's host, with its configuration.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Make a token with which nodes may join. Hand it over as a secret.
    Token {
        /// What they will be: control, origin or edge.
        #[arg(long)]
        role: Role,
        /// For how long it is good, as in 30m, 1h or 2d.
        #[arg(long, default_value = "1h", value_parser = seconds)]
        valid: u64,
        /// How many nodes may use it.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Make this machine a node: its papers are put into node.data, and it can be started.
    Join {
        /// The token, or a file that holds it as @FILE, or - for standard input.
        #[arg(long, env = "FRESHET_JOIN_TOKEN", hide_env_values = true)]
        token: String,
        /// Its name: a host name, which no other node has.
        #[arg(long)]
        name: String,
        /// Where its papers go (`--data` or node.data).
        #[command(flatten)]
        at: Settings,
    },
    /// List the nodes.
    Ls {
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Let a node take nothing new; what it has goes on.
    Drain {
        /// Its name.
        name: String,
        /// Let it work again.
        #[arg(long)]
        undo: bool,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Forget a node. Its publishers count as lost, its certificate is renewed no more; a control node loses its vote.
    Remove {
        /// Its name.
        name: String,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
}

/// What can be done with channels, on a control node's host.
#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Make a channel, or give it a new stream key, which is printed this once. Whoever publishes goes on.
    Put {
        /// Its name: where it is watched.
        name: ChannelName,
        /// What becomes of a second encoder while the first is live: newest wins, silent (wins if the first is), reject.
        #[arg(long, default_value = "newest", value_parser = policy)]
        policy: Policy,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// List the channels and whether they are live.
    Ls {
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Say what a channel is like; what is left out stays.
    Set {
        /// Its name.
        name: ChannelName,
        /// Who may watch: public, unlisted or private.
        #[arg(long, value_parser = ["public", "unlisted", "private"])]
        visibility: Option<String>,
        /// What is on.
        #[arg(long)]
        title: Option<String>,
        /// What kind of thing.
        #[arg(long)]
        category: Option<String>,
        /// How a session begins: auto (by publishing) or manual (by publishing after its owner has started it).
        #[arg(long, value_parser = ["auto", "manual"])]
        go_live: Option<String>,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Drop what a channel has published so far, at every edge, and refuse it from now on.
    Purge {
        /// Its name.
        name: ChannelName,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Remove a channel; its session ends.
    Rm {
        /// Its name.
        name: ChannelName,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
}

fn policy(text: &str) -> Result<Policy, String> {
    match text {
        "newest" => Ok(Policy::Newest),
        "silent" => Ok(Policy::Silent),
        "reject" => Ok(Policy::Reject),
        _ => Err("newest, silent or reject".to_owned()),
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no duration: write it as in 30m, 1h or 2d");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

/// What the authority can do.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make a new authority: `ca.pem`, which every node gets, and `ca.key`, which stays where it is made.
    Init(CaInit),
    /// Issue a node's certificate and key.
    Issue(CaIssue),
}

/// `freshet ca init`.
#[derive(Debug, Args)]
pub struct CaInit {
    /// Where the authority is kept.
    #[arg(long, value_name = "DIR", default_value = "./freshet-ca")]
    pub dir: PathBuf,
}

/// `freshet ca issue NAME`.
#[derive(Debug, Args)]
pub struct CaIssue {
    /// The node's name, which its certificate carries and other nodes check: a host name such as `edge-1`.
    pub name: String,
    /// An address the node is reached at by address instead of by name. May be repeated.
    #[arg(long, value_name = "IP")]
    pub address: Vec<IpAddr>,
    /// Where the authority is kept.
    #[arg(long, value_name = "DIR", default_value = "./freshet-ca")]
    pub dir: PathBuf,
    /// For how many days it is valid.
    #[arg(long, default_value_t = freshet_control_plane::ca::NODE_DAYS)]
    pub days: u64,
    /// Where NAME.pem, NAME.key and ca.pem are put; the authority's directory unless told.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What can be done with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether it is good, or what is wrong with it (exit code 78).
    Check(Settings),
    /// Print every key, its value, and where the value comes from.
    Print(Settings),
}

/// Writes completions for `shell` to standard output.
pub fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "freshet", &mut std::io::stdout());
}

/// One line that says what this binary is.
pub fn version() -> String {
    format!("freshet {} ({} {})", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!((seconds("30m"), seconds("2d")), (Ok(1800), Ok(172_800)));
        for bad in ["", "h", "30", "-1h", "1.5h", "99999999999999999999d", "ä"] {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
