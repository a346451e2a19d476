//! What the parent process itself asks: which tracks there are, and what the origin's bodies hash to.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::{head, job::Target, listing, origin::Origin, tls};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reads a URL of a multivariant playlist.
pub fn target(url: &str) -> anyhow::Result<Target> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => bail!("{url}: only http:// and https:// can be tested"),
    };
    let host = uri.host().context("a URL without host")?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let mut addresses = (host.as_str(), port).to_socket_addrs().with_context(|| format!("{host} has no address"))?;
    let address = addresses.next().with_context(|| format!("{host} has no address"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    ensure!(address.ip().is_loopback(), "{url}: a load test only goes to this machine's loopback addresses");
    Ok(Target { address, host, tls, path })
}

/// The names of the tracks that the multivariant playlist lists, in its order.
pub fn tracks(target: &Target) -> anyhow::Result<Vec<String>> {
    let body = get(target).with_context(|| format!("http(s)://{}{}", target.address, target.path))?;
    let text = String::from_utf8(body).context("the multivariant playlist")?;
    let index = listing::scan_index(&text).map_err(anyhow::Error::msg).context("the multivariant playlist")?;
    Ok(index.tracks.iter().map(|uri| uri.trim_end_matches(".m3u8").to_owned()).collect())
}

/// How many watch the target's channel, as its edge is told by the control nodes.
pub fn viewers(target: &Target) -> anyhow::Result<u64> {
    #[derive(serde::Deserialize)]
    struct Viewers {
        viewers: u64,
    }
    let channel = target.path.split_once("/live/").and_then(|(_, name)| name.split_once('/')).map(|(name, _)| name);
    let path = format!("/api/streams/{}/viewers", channel.context("no channel below /live/")?);
    let body = get(&Target { path, ..target.clone() })?;
    Ok(serde_json::from_slice::<Viewers>(&body)?.viewers)
}

/// Reads the body of a target, through one redirect.
fn get(target: &Target) -> anyhow::Result<Vec<u8>> {
    match ask(target, None)? {
        Reply::Body(body) => Ok(body),
        Reply::Redirect(path) => match ask(&Target { path, ..target.clone() }, None)? {
            Reply::Body(body) => Ok(body),
            Reply::Redirect(_) => bail!("answered with one redirect after another"),
        },
    }
}

/// Posts JSON to a target; the body of its answer.
pub fn post(target: &Target, json: &str) -> anyhow::Result<Vec<u8>> {
    match ask(target, Some(json))? {
        Reply::Body(body) => Ok(body),
        Reply::Redirect(_) => bail!("answered with a redirect"),
    }
}

enum Reply {
    Body(Vec<u8>),
    /// Path.
    Redirect(String),
}

fn ask(target: &Target, post: Option<&str>) -> anyhow::Result<Reply> {
    let socket = TcpStream::connect_timeout(&target.address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    if !target.tls {
        return exchange(socket, target, post);
    }
    let name = ServerName::try_from(target.host.clone())?;
    exchange(StreamOwned::new(ClientConnection::new(tls::trusting_config()?, name)?, socket), target, post)
}

fn exchange(mut stream: impl Read + Write, target: &Target, post: Option<&str>) -> anyhow::Result<Reply> {
    let Target { path, host, .. } = target;
    match post {
        None => write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?,
        Some(json) => write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        )?,
    }
    stream.flush()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(head) = head::parse(&bytes).map_err(anyhow::Error::msg)? {
            if let Some(path) = head::redirect(&head, &bytes) {
                return Ok(Reply::Redirect(path));
            }
            let hint = if post.is_none() { ": is the stream live?" } else { "" };
            ensure!(head.status == 200, "answered {}{hint}", head.status);
            if bytes.len() as u64 >= head.size as u64 + head.length {
                return Ok(Reply::Body(bytes[head.size..].to_vec()));
            }
        }
        let count = stream.read(&mut chunk)?;
        ensure!(count > 0, "the connection closed before the answer was whole");
        bytes.extend_from_slice(&chunk[..count]);
    }
}

/// Compares the hashes of sampled bodies with the origin's, or with one another where no origin was named.
pub struct Checker {
    origin: Option<Origin>,
    /// What a path should hash to. Forgotten all at once at [`Checker::REMEMBERED`].
    known: BTreeMap<String, String>,
    /// Bodies compared.
    pub compared: u64,
    /// Bodies that differed or that the origin could not tell of, the first few by name.
    pub failed: Vec<String>,
}

impl Checker {
    const REMEMBERED: usize = 10_000;
    const NAMED: usize = 5;

    /// Compares with `origin`.
    pub fn new(origin: Option<Origin>) -> Self {
        Self { origin, known: BTreeMap::new(), compared: 0, failed: Vec::new() }
    }

    /// What bodies are compared with.
    pub fn with(&self) -> &'static str {
        if self.origin.is_some() { "the origin's" } else { "one another" }
    }

    /// Compares `(path, hash)` pairs.
    pub async fn check(&mut self, hashes: Vec<(String, String)>) {
        for (path, hash) in hashes {
            let verdict = match self.expected(&path, &hash).await {
                Ok(expected) if expected == hash => {
                    self.compared += 1;
                    continue;
                }
                Ok(_) => format!("{path} differs"),
                Err(error) => format!("{path}: {error:#}"),
            };
            if self.failed.len() < Self::NAMED {
                self.failed.push(verdict);
            }
        }
    }

    async fn expected(&mut self, path: &str, seen: &str) -> anyhow::Result<String> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let expected = match &self.origin {
            Some(origin) => origin.hash(path).await?,
            None => seen.to_owned(),
        };
        if self.known.len() >= Self::REMEMBERED {
            self.known.clear();
        }
        self.known.insert(path.to_owned(), expected.clone());
        Ok(expected)
    }
}
