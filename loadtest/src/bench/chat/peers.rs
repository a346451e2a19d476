//! Our fan-out, and those it is measured beside.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use crate::{
    bench::{
        Setting,
        process::{SERVER_CORE, Server, free_address},
    },
    chat::{drive::Meter, job::Target, wire::Dialect},
    procfs::Usage,
};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// `loadtest hub`: our codec, session, home and fan-out.
    Ours,
    /// `Bun.serve` and its `publish`.
    Bun,
    /// The same, which publishes what came within one turn of its loop as one text.
    BunBatch,
    /// nats-server, core subjects over TCP.
    Nats,
    /// A broadcast channel and a task per socket on tokio-tungstenite.
    Tungstenite,
}

/// A server that listens.
pub struct Running {
    /// Its process.
    pub server: Server,
    /// Where.
    pub target: Target,
    /// What it speaks.
    pub dialect: Dialect,
}

/// Where things are below `target/peers`.
struct Places {
    bun: PathBuf,
    nats: PathBuf,
    tungstenite: PathBuf,
}

impl Places {
    fn below(dir: &Path) -> Self {
        Self {
            bun: dir.join("bun/node_modules/@oven/bun-linux-x64/bin/bun"),
            nats: dir.join("nats/bin/nats-server"),
            tungstenite: dir.join("release/tungstenite-peer"),
        }
    }
}

/// Says so, with the remedy, where a peer is not there.
///
/// # Errors
/// When one is missing.
pub fn installed(dir: &Path) -> anyhow::Result<()> {
    let Places { bun, nats, tungstenite } = Places::below(dir);
    for place in [bun, nats, tungstenite] {
        ensure!(place.exists(), "{} is missing: `make bench` installs it (scripts/bench-peers)", place.display());
    }
    Ok(())
}

impl Peer {
    /// As tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "freshet",
            Self::Bun => "`Bun.serve` publish",
            Self::BunBatch => "the same, batching publishes per tick",
            Self::Nats => "nats-server",
            Self::Tungstenite => "tokio-tungstenite broadcast",
        }
    }

    /// Starts it on the servers' core.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(self, setting: &Setting, scratch: &Path, tls: bool) -> anyhow::Result<Running> {
        let places = Places::below(&setting.peers);
        let file = |name: &str| scratch.join(name).display().to_string();
        let (certificate, key) = (file("localhost.pem"), file("localhost.key"));
        let pair = format!("{certificate},{key}");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/bun/server.js");
        let mode = if self == Self::Bun { "plain" } else { "batch" };
        let (program, mut args): (PathBuf, Vec<&str>) = match self {
            Self::Ours => (std::env::current_exe()?, vec!["hub"]),
            Self::Bun | Self::BunBatch => (places.bun, vec![script, mode]),
            Self::Nats => return nats(&places.nats, scratch),
            Self::Tungstenite => (places.tungstenite, Vec::new()),
        };
        match self {
            _ if !tls => {}
            Self::Ours => args.extend(["--tls", &pair]),
            _ => args.extend([certificate.as_str(), &key]),
        }
        let mut server = Server::start(SERVER_CORE, &program, &args, &scratch.join("chat-server.log"))?;
        let line: serde_json::Value = serde_json::from_str(&server.first_line()?)?;
        let address = line["address"].as_str().context("no address")?.parse()?;
        server.wait_for(address)?;
        let (channel, path) = ("bench".to_owned(), "/chat/bench".to_owned());
        let target = Target { address, host: "localhost".to_owned(), tls, path, channel };
        let dialect = if self == Self::Ours { Dialect::Chat } else { Dialect::Echo };
        Ok(Running { server, target, dialect })
    }
}

fn nats(program: &Path, scratch: &Path) -> anyhow::Result<Running> {
    let address = free_address()?;
    let port = address.port().to_string();
    let args = ["--addr", "127.0.0.1", "--port", &port];
    let mut server = Server::start(SERVER_CORE, program, &args, &scratch.join("nats.log"))?;
    server.wait_for(address)?;
    let target =
        Target { address, host: "localhost".to_owned(), tls: false, path: String::new(), channel: "bench".to_owned() };
    Ok(Running { server, target, dialect: Dialect::Nats })
}

impl Meter for Server {
    fn read(&self) -> BTreeMap<u32, Usage> {
        // Where it has ended, the client says so.
        self.usage().map(|used| (self.pid(), used)).into_iter().collect()
    }
}
