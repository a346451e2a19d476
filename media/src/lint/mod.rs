//! Checks a live stream from outside, across reloads: a machine that says what to fetch and judges what comes.
//!
//! ```text
//! Lint ──requests──▶ shell ──HTTP──▶ any server
//!      ◀──respond──┘                                      playlists ─▶ playlist, reload, presentation   L01 …
//!      ──report───▶ findings, each with rule and remedy   objects   ─▶ init, fragment, track            C01 …
//!                                                         headers   ─▶ http, probe                      L20 …
//! ```
//! The rules are those of draft-pantos-hls-rfc8216bis-22 with its low-latency server profile, of Apple's authoring
//! specification and of CMAF, as far as they show outside; [`rules`] lists them. It has readers of its own for boxes
//! and URIs, and nothing in common with what writes them. What public parsers miss, a missing `EXT-X-MAP` or the missing
//! URI of a segment, it finds.

mod boxes;
mod fragment;
mod http;
mod init;
mod log;
mod machine;
mod playlist;
mod presentation;
mod probe;
mod reload;
mod rule;
mod track;
mod url;

use std::time::Duration;

pub use http::{Protocol, Response};
pub use log::{Finding, MAX_FINDINGS, Severity};
pub use machine::Lint;
pub use rule::{Level, Rule, rules};

/// The most tracks that are followed.
pub const MAX_TRACKS: usize = 32;

/// What the machine wants to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// To be given back with the reply.
    pub id: u64,
    /// `OPTIONS` rather than `GET`.
    pub is_options: bool,
    /// Absolute.
    pub url: String,
    /// Names in lower case. `accept-encoding: gzip` unless it is among them.
    pub headers: Vec<(&'static str, String)>,
    /// How long to wait before it is sent.
    pub after: Duration,
}

/// What has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What is not as it should be, in the order in which it was seen.
    pub findings: Vec<Finding>,
    /// How often each rule was looked at; 0 says that there was no occasion.
    pub checked: Vec<(&'static Rule, u64)>,
    /// Playlists that were read.
    pub playlists: u64,
    /// Inits, parts and segments that were read.
    pub objects: u64,
}

impl Report {
    /// How many findings are violations.
    pub fn violations(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Violation).count()
    }
}

#[cfg(test)]
mod tests;
