//! The command line: what can be asked of the binary, and the flags that set configuration keys.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::{self, ConfigError, Loaded, Override};

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
    /// Run an origin: it takes encoders, packages what they send and offers it to edges.
    Origin(Box<Settings>),
    /// Run an edge: it serves viewers.
    Edge(Box<Settings>),
    /// Make the small certificate authority of the nodes, and certificates with it.
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
    /// Print completions for a shell, to be sourced or installed by it.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version,
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

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatFlag {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Flags that every role takes, each of which sets a configuration key.
#[derive(Debug, Clone, Default, Args)]
pub struct Settings {
    /// Configuration file (TOML). Every key can also be set as FRESHET_SECTION__KEY in the environment.
    #[arg(long, short, value_name = "FILE", env = "FRESHET_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set any configuration key, e.g. `--set edge.max_held=5000`. May be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Where state is kept (`node.data`).
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to listen for HTTP (`listen.http`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// Where to listen for HTTPS (`listen.https`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub https: Option<SocketAddr>,
    /// Where to listen for RTMP (`listen.rtmp`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub rtmp: Option<SocketAddr>,
    /// Where to listen for RTMPS (`listen.rtmps`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub rtmps: Option<SocketAddr>,
    /// Where to listen for other nodes, by QUIC (`listen.quic`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub quic: Option<SocketAddr>,
    /// Where to listen for /healthz, /readyz and /metrics (`listen.admin`).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin: Option<SocketAddr>,
    /// How logs are written (`log.format`).
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormatFlag>,
    /// Which logs are written, as in `info,freshet_edge=debug` (`log.filter`).
    #[arg(long, value_name = "FILTER", env = "FRESHET_LOG")]
    pub log: Option<String>,
}

impl Settings {
    /// Reads file, environment and these flags over the defaults.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.load_over(config::Config::default(), Vec::new())
    }

    /// As [`Settings::load`], over other defaults and under further flags; for `freshet dev`.
    pub fn load_over(&self, defaults: config::Config, more: Vec<Override>) -> Result<Loaded, ConfigError> {
        let mut flags = self.overrides()?;
        flags.extend(more);
        config::load(defaults, self.config.as_deref(), std::env::vars_os(), flags)
    }

    fn overrides(&self) -> Result<Vec<Override>, ConfigError> {
        let mut all = Vec::new();
        for set in &self.set {
            let (key, value) = set.split_once('=').ok_or_else(|| ConfigError::MalformedSet { text: set.clone() })?;
            all.push(Override::flag("--set", key.trim(), value.trim()));
        }
        let addresses = [
            ("--http", "listen.http", self.http),
            ("--https", "listen.https", self.https),
            ("--rtmp", "listen.rtmp", self.rtmp),
            ("--rtmps", "listen.rtmps", self.rtmps),
            ("--quic", "listen.quic", self.quic),
            ("--admin", "listen.admin", self.admin),
        ];
        for (flag, key, address) in addresses {
            all.extend(address.map(|address| Override::flag(flag, key, &address.to_string())));
        }
        all.extend(self.data.as_ref().map(|dir| Override::flag("--data", "node.data", &dir.to_string_lossy())));
        let format = self.log_format.as_ref().and_then(ValueEnum::to_possible_value);
        all.extend(format.map(|format| Override::flag("--log-format", "log.format", format.get_name())));
        all.extend(self.log.as_ref().map(|filter| Override::flag("--log or FRESHET_LOG", "log.filter", filter)));
        Ok(all)
    }
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
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
