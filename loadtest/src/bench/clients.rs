//! The clients that load both us and the peers: wrk for HTTP/1.1, h2load for HTTP/2, the same command for both.

use std::{net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context, ensure};

use super::process::{CLIENT_CORE, Server, pinned};

/// How a cache is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 in the clear.
    Plain,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 over TLS 1.3.
    H2,
}

impl Transport {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "HTTP/1.1",
            Self::Tls => "HTTP/1.1 over TLS",
            Self::H2 => "HTTP/2 over TLS",
        }
    }
}

/// A cache under measurement.
pub struct Cache {
    /// Its process.
    pub server: Server,
    /// Where it speaks HTTP.
    pub http: SocketAddr,
    /// Where it speaks HTTPS.
    pub https: SocketAddr,
}

/// Asks `cache` for `path` from 64 connections, closed loop, for `seconds`; returns requests answered per second of
/// the server's CPU time.
///
/// # Errors
/// When any request fails, or a tool is missing (Debian's `wrk` and `nghttp2-client`).
pub fn requests_per_cpu_s(cache: &Cache, transport: Transport, path: &str, seconds: u32) -> anyhow::Result<f64> {
    let before = cache.server.usage()?;
    let requests = match transport {
        Transport::Plain => wrk(&format!("http://{}{path}", cache.http), seconds)?,
        Transport::Tls => wrk(&format!("https://{}{path}", cache.https), seconds)?,
        Transport::H2 => h2load(&format!("https://{}{path}", cache.https), seconds)?,
    };
    let used = cache.server.usage()?.cpu_s - before.cpu_s;
    ensure!(used > 0.1, "the server used no CPU time");
    Ok(requests / used)
}

fn wrk(url: &str, seconds: u32) -> anyhow::Result<f64> {
    let text = run("wrk", &["-t1", "-c64", &format!("-d{seconds}s"), "--timeout", "10s", url])?;
    ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk saw errors:\n{text}");
    number_before(&text, " requests in ").with_context(|| format!("wrk said:\n{text}"))
}

fn h2load(url: &str, seconds: u32) -> anyhow::Result<f64> {
    let text = run("h2load", &["-t1", "-c16", "-m4", "-D", &seconds.to_string(), "--npn-list", "h2", url])?;
    let failed = number_before(&text, " failed,").with_context(|| format!("h2load said:\n{text}"))?;
    ensure!(failed == 0.0, "h2load saw errors:\n{text}");
    number_before(&text, " 2xx,").with_context(|| format!("h2load said:\n{text}"))
}

fn run(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = pinned(CLIENT_CORE, Path::new(program))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} could not be started"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{program} ended with {}:\n{text}", output.status);
    Ok(text)
}

/// The number that stands before `marker`.
fn number_before(text: &str, marker: &str) -> Option<f64> {
    let before = &text[..text.find(marker)?];
    before.rsplit(|c: char| !c.is_ascii_digit() && c != '.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_figures_are_found_in_their_words() {
        assert_eq!(number_before("  1234 requests in 5.00s, 3MB read", " requests in "), Some(1234.0));
        assert_eq!(number_before("status codes: 99 2xx, 0 3xx", " 2xx,"), Some(99.0));
        assert_eq!(number_before("nothing", " 2xx,"), None);
    }
}
