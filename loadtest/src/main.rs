//! `loadtest`: simulates publishers and viewers by the thousand against a running Freshet and reports what they met.
//!
//! ```text
//! loadtest view URL…   viewers that follow an LL-HLS stream   → table, JSON, exit code
//! loadtest chat URL…   subscribers of a channel and senders, every stream checked   → table, JSON, exit code
//! loadtest publish      encoders that send a file in a loop over RTMP     → table, JSON, exit code
//! loadtest bench        ratios to nginx, nginx-rtmp, pingora and etcd          → docs/performance.md
//! loadtest stub        an origin of made-up objects, over QUIC and HTTP, for measuring edges and caches alike
//! loadtest hub         one hub and nothing else, which may be told to do wrong
//! ```
//! A load test lives in the real world: it reads the real clock and owns its sockets.
#![allow(clippy::disallowed_methods)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod chat;
mod hub;
mod limits;
mod procfs;
mod publish;
mod report;
mod stub;
mod view;

/// Simulates publishers and viewers by the thousand and reports what they met.
#[derive(Parser)]
#[command(version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Viewers that follow a live LL-HLS stream: blocking reloads, parts, lengths checked, bodies sampled.
    View(Box<view::Args>),
    /// Subscribers of one channel over many hubs, and senders: loss, doubling and order checked for each.
    Chat(Box<chat::Args>),
    /// Encoders that send an FLV file in a loop over RTMP, at the pace of its times.
    Publish(Box<publish::Args>),
    /// Measures Freshet beside nginx, nginx-rtmp, pingora and etcd and writes the ratios down.
    Bench(Box<bench::Args>),
    /// An origin of made-up objects, over the node protocol for edges and over HTTP for other caches.
    Stub(stub::Args),
    /// One hub of chat and nothing else, for measuring the fan-out.
    Hub(hub::Args),
    /// One process of `view`; started by it.
    #[command(hide = true)]
    ViewWorker,
    /// One process of `chat`; started by it.
    #[command(hide = true)]
    ChatWorker,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::View(args) => view::run(*args),
        Command::Chat(args) => chat::run(*args),
        Command::Publish(args) => publish::run(*args),
        Command::Bench(args) => bench::run(*args),
        Command::Stub(args) => stub::run(args).map(|()| ExitCode::SUCCESS),
        Command::Hub(args) => hub::run(args).map(|()| ExitCode::SUCCESS),
        Command::ViewWorker => view::worker::run().map(|()| ExitCode::SUCCESS),
        Command::ChatWorker => chat::worker::run().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("loadtest: {error:#}");
        ExitCode::from(2)
    })
}
