//! Logs to standard error: human on a terminal, one JSON object a line otherwise.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{ConfigError, Log, LogFormat};

/// Starts logging, once per process.
///
/// # Errors
/// [`ConfigError::Invalid`] when the filter can't be read.
pub fn start(log: &Log) -> Result<(), ConfigError> {
    let filter = EnvFilter::builder()
        .parse(&log.filter)
        .map_err(|error| ConfigError::Invalid { key: "log.filter", what: error.to_string() })?;
    let terminal = std::io::stderr().is_terminal();
    let human = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let base = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first: only tests do that.
    let _ = if human {
        base.with_ansi(terminal).with_target(false).try_init()
    } else {
        base.json().flatten_event(true).try_init()
    };
    Ok(())
}
