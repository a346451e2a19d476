//! Three etcd processes, and a client that asks them over gRPC as ours asks control nodes.
//!
//! Both sides are encrypted, clients and members show certificates, the log is synced before a write is answered. All else
//! is as etcd has it by default: heartbeats of 100 ms, elections after 1,000 ms, which are its settings for a LAN.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use freshet_control_plane::ca::{Ca, Issued, NODE_DAYS};
use freshet_proto::clock::WallClock;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::{
    cluster::{self, ATTEMPT, Cluster, LIMIT, MEMBERS, Standing, number},
    grpc::{Channel, Messages},
    protobuf::{self, Status, Watched},
};
use crate::bench::process::{SERVER_CORE, Server, free_address};

/// How long a value is, in bytes: as what our registry keeps of a stream key.
const VALUE: usize = 32;

/// What all keys begin with.
const PREFIX: &str = "channel/";

/// How long a member may take when another one has failed, and how long a client waits before it asks the next. A write
/// that a follower sends on to a dead leader is lost, and etcd says so only after seven seconds: so that its election is
/// measured and not its client's patience, both are short.
const BRIEF: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(25);

/// Says so, with the remedy, where there is no etcd.
///
/// # Errors
/// When it can't be started.
pub fn installed() -> anyhow::Result<()> {
    let started = Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = started.is_ok_and(|status| status.success());
    ensure!(works, "etcd is not installed: `apt-get install etcd-server`, or run `make bench`, which does");
    Ok(())
}

/// Three members.
pub struct Etcd {
    members: Vec<Member>,
    tls: Arc<ClientConfig>,
}

struct Member {
    args: Vec<String>,
    address: SocketAddr,
    log: PathBuf,
    /// `None` while it is dead.
    server: Option<Server>,
}

impl Etcd {
    /// Starts them in `dir`, and returns once they listen.
    ///
    /// # Errors
    /// When one does not start; what it said is in the message.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        let clock = WallClock::system();
        let ca = Ca::create(&dir.join("ca"), &clock)?;
        let here = ["127.0.0.1".parse()?];
        ca.issue("etcd", &here, NODE_DAYS, &clock)?.write(dir, "etcd")?;
        let tls = client_config(&ca.issue("client", &here, NODE_DAYS, &clock)?)?;
        let peers = (0..MEMBERS).map(|_| free_address()).collect::<anyhow::Result<Vec<_>>>()?;
        let mut members = Vec::new();
        for (index, peer) in peers.iter().enumerate() {
            let address = free_address()?;
            let args = arguments(dir, index, address, *peer, &peers);
            members.push(Member { args, address, log: dir.join(format!("etcd-{}.log", index + 1)), server: None });
        }
        members.iter_mut().try_for_each(Member::start)?;
        for member in &mut members {
            member.server.as_mut().context("it was started")?.wait_for(member.address)?;
        }
        Ok(Self { members, tls })
    }
}

/// The command line of a member.
fn arguments(dir: &Path, index: usize, client: SocketAddr, peer: SocketAddr, peers: &[SocketAddr]) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let name = |index: usize| format!("etcd-{}", index + 1);
    let all = peers.iter().enumerate().map(|(index, peer)| format!("{}=https://{peer}", name(index)));
    let flags = [
        ("name", name(index)),
        ("data-dir", file(&name(index))),
        ("listen-client-urls", format!("https://{client}")),
        ("advertise-client-urls", format!("https://{client}")),
        ("listen-peer-urls", format!("https://{peer}")),
        ("initial-advertise-peer-urls", format!("https://{peer}")),
        ("initial-cluster", all.collect::<Vec<_>>().join(",")),
        ("cert-file", file("etcd.pem")),
        ("key-file", file("etcd.key")),
        ("trusted-ca-file", file("ca.pem")),
        ("peer-cert-file", file("etcd.pem")),
        ("peer-key-file", file("etcd.key")),
        ("peer-trusted-ca-file", file("ca.pem")),
        ("logger", "zap".to_owned()),
        ("log-level", "warn".to_owned()),
    ];
    let flags = flags.into_iter().map(|(flag, value)| format!("--{flag}={value}"));
    flags.chain(["--client-cert-auth", "--peer-client-cert-auth"].map(str::to_owned)).collect()
}

impl Member {
    fn start(&mut self) -> anyhow::Result<()> {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.server = Some(Server::start(SERVER_CORE, Path::new("etcd"), &args, &self.log)?);
        Ok(())
    }
}

fn client_config(issued: &Issued) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(issued.authority.as_bytes())?)?;
    let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes())?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

impl Cluster for Etcd {
    type Client = Client;

    const NAME: &'static str = "etcd";

    fn clients(&self, count: usize, connections: usize, leader: usize) -> anyhow::Result<Vec<Client>> {
        let line = |member: &Member| Line { address: member.address, tls: self.tls.clone(), channel: Mutex::new(None) };
        let lines = (0..connections).map(|_| self.members.iter().map(line).collect());
        let lines: Vec<Arc<[Line]>> = lines.collect();
        let client = |index: usize| Client { lines: lines[index % connections].clone(), at: AtomicUsize::new(leader) };
        Ok((0..count).map(client).collect())
    }

    fn kill(&mut self, member: usize) -> anyhow::Result<()> {
        self.members[member].server.take().context("it is dead already")?.kill()
    }

    fn revive(&mut self, member: usize) -> anyhow::Result<()> {
        self.members[member].start()
    }
}

/// Asks the members, one at a time, beginning with whoever answered last.
pub struct Client {
    /// One to each member; clients share them.
    lines: Arc<[Line]>,
    at: AtomicUsize,
}

/// A connection to a member, made when it is first needed and made again when it is lost.
struct Line {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    channel: Mutex<Option<Channel>>,
}

impl Line {
    async fn channel(&self) -> anyhow::Result<Channel> {
        let mut channel = self.channel.lock().await;
        match &*channel {
            Some(open) if !open.is_closed() => Ok(open.clone()),
            _ => Ok(channel.insert(Channel::connect(self.address, &self.tls).await?).clone()),
        }
    }

    async fn put(&self, number: usize) -> anyhow::Result<()> {
        let key = format!("{PREFIX}{}", cluster::channel(number));
        let message = protobuf::put(key.as_bytes(), &[b'k'; VALUE]);
        self.channel().await?.unary("/etcdserverpb.KV/Put", message).await.map(drop)
    }

    async fn status(&self) -> anyhow::Result<Status> {
        let message = self.channel().await?.unary("/etcdserverpb.Maintenance/Status", bytes::Bytes::new()).await?;
        Status::decode(&message)
    }
}

impl cluster::Client for Client {
    type Watch = Watch;

    async fn put(&self, number: usize) -> anyhow::Result<()> {
        let (until, mut patience) = (Instant::now() + LIMIT, ATTEMPT);
        loop {
            let at = self.at.load(Ordering::Relaxed);
            let why = match timeout(patience, self.lines[at].put(number)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => anyhow::anyhow!("no answer within {patience:?}"),
            };
            if Instant::now() > until {
                return Err(why.context(format!("no member of etcd took a write within {LIMIT:?}")));
            }
            self.at.store((at + 1) % MEMBERS, Ordering::Relaxed);
            patience = BRIEF;
            sleep(PAUSE).await;
        }
    }

    async fn watch(&self, member: usize) -> anyhow::Result<Watch> {
        let channel = self.lines[member].channel().await?;
        // The request ends with its only message; etcd goes on answering all the same.
        let messages = channel.call("/etcdserverpb.Watch/Watch", protobuf::watch(PREFIX.as_bytes())).await?;
        let mut watch = Watch { messages, changed: VecDeque::new() };
        ensure!(watch.read().await?.created, "etcd did not begin the watch");
        Ok(watch)
    }

    async fn standing(&self, member: usize) -> anyhow::Result<Standing> {
        let Status { member: me, leader, applied } = timeout(ATTEMPT, self.lines[member].status()).await??;
        Ok(Standing { me, leader: Some(leader).filter(|leader| *leader != 0), applied })
    }
}

/// A watch of all channels, a stream of its own.
pub struct Watch {
    messages: Messages,
    /// What came with one message and was not asked for yet.
    changed: VecDeque<usize>,
}

impl Watch {
    async fn read(&mut self) -> anyhow::Result<Watched> {
        let message = self.messages.next().await?.context("etcd ended the watch")?;
        let watched = Watched::decode(&message)?;
        if let Some(why) = watched.canceled {
            bail!("etcd canceled the watch: {why}");
        }
        Ok(watched)
    }
}

impl cluster::Watch for Watch {
    async fn next(&mut self) -> anyhow::Result<usize> {
        loop {
            if let Some(number) = self.changed.pop_front() {
                return Ok(number);
            }
            let keys = self.read().await?.keys;
            self.changed
                .extend(keys.iter().filter_map(|key| number(std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_told_where_all_are_and_to_encrypt_both_sides() {
        let peers: Vec<SocketAddr> = [1, 2, 3].map(|port| ([127, 0, 0, 1], port).into()).to_vec();
        let args = arguments(Path::new("/d"), 1, ([127, 0, 0, 1], 9).into(), peers[1], &peers);
        for wanted in [
            "--name=etcd-2",
            "--data-dir=/d/etcd-2",
            "--listen-client-urls=https://127.0.0.1:9",
            "--listen-peer-urls=https://127.0.0.1:2",
            "--initial-cluster=etcd-1=https://127.0.0.1:1,etcd-2=https://127.0.0.1:2,etcd-3=https://127.0.0.1:3",
            "--client-cert-auth",
            "--peer-client-cert-auth",
        ] {
            assert!(args.iter().any(|arg| arg == wanted), "{wanted} in {args:?}");
        }
        assert!(args.iter().all(|arg| !arg.contains("http://")), "{args:?}");
    }
}
