//! The flags that set configuration keys, which every role takes.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};

use crate::config::{self, ConfigError, Loaded, Override};

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
