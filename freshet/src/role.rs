//! `freshet control`, `freshet origin` and `freshet edge`: configuration → checks → bind → serve → drain.
//!
//! A node that has joined a platform finds its papers in its data directory: they say who it is and which control nodes to
//! ask. Without papers an origin keeps a registry of its own, and edges learn from that origin.

use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use freshet_control_plane::{
    keys::{self, Keks, Source},
    local::ChannelConfig,
};
use freshet_proto::{
    id::NodeId,
    quic::Identity,
    view::{NodeView, Role},
};
use tracing::{error, info, warn};

use crate::{
    admin::{self, Checks, Told},
    config::{Config, ConfigError},
    life::Signals,
    logging, metrics,
    node::{
        ControlNode, ControlPlan, EdgeNode, EdgePlan, IrcPlan, Member, OriginNode, OriginPlan, Papers, Placed,
        Registry, World,
    },
    ports::{self, Port},
    tls::Certificate,
};

/// Runs a control node until it is told to stop, or until its disk fails.
///
/// # Errors
/// A wrong configuration, a port or file that can't be had, or a disk that fails.
pub async fn control(config: Config, bootstrap: bool) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    let mut signals = Signals::new().context("heeding signals")?;
    let metrics = metrics::install()?;
    let world = World::system().at_most(config.protocol.at_most);
    let plan = ControlPlan {
        data: config.node.data.clone(),
        quic: port("node (QUIC)", config.listen.quic, "listen.quic"),
        advertise: advertised(&config)?,
        raft: config.control.raft.clone(),
        times: config.registry,
        found: bootstrap.then(|| config.node.name.clone()),
        certified_for: config.control.certified_for()?,
        keys: key_plan(&config, &config.node.data)?,
        accounts: config.accounts.plan()?,
    };
    let admin = port("admin", config.listen.admin, "listen.admin").listen().await?;
    let node = Arc::new(ControlNode::start(plan, &world).await?);
    info!(quic = %node.quic, admin = %admin.local_addr()?, "the control node listens");
    if let Some((user, link)) = node.api.as_ref().and_then(|api| api.first_admin.as_ref()) {
        // To standard output, not to the log: it lets whoever has it administer the platform.
        println!("{} has no password yet; come in with the one-time link /login#link={}", user.username, link.reveal());
    }
    let checked = node.clone();
    let checks: Checks = Arc::new(move || checked.checks());
    tokio::spawn(admin::serve(admin, Told { metrics, checks, jwks: Some(node.jwks()) }));
    tokio::select! {
        () = signals.until_stop(|| info!("told to reload: a control node has nothing to read again")) => {}
        why = node.failed() => anyhow::bail!("this control node has stopped: {why}"),
    }
    let drained = node.clone();
    signals
        .drain(async move {
            drained.drain().await;
            drained.close().await;
        })
        .await;
    Ok(())
}

/// Runs an origin until it is told to stop.
///
/// # Errors
/// A wrong configuration, or a port or file that can't be had.
pub async fn origin(config: Config) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    let signals = Signals::new().context("heeding signals")?;
    let metrics = metrics::install()?;
    let world = World::system().at_most(config.protocol.at_most);
    let certificate = certificate(&config)?;
    let plan = joined_origin_plan(&config, certificate.clone())?;
    let admin = port("admin", config.listen.admin, "listen.admin").listen().await?;
    let node = Arc::new(OriginNode::start(plan, &world).await?);
    info!(rtmp = %node.rtmp, rtmps = ?node.rtmps, quic = %node.quic, admin = %admin.local_addr()?, "the origin listens");
    let checked = node.clone();
    let checks: Checks = Arc::new(move || checked.checks());
    tokio::spawn(admin::serve(admin, Told { metrics, checks, jwks: None }));
    run(signals, || reload(certificate.as_ref()), async move {
        node.drain().await;
        node.close().await;
    })
    .await
}

/// Runs an edge until it is told to stop.
///
/// # Errors
/// A wrong configuration, or a port or file that can't be had.
pub async fn edge(config: Config) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    let signals = Signals::new().context("heeding signals")?;
    let metrics = metrics::install()?;
    let world = World::system().at_most(config.protocol.at_most);
    let certificate = certificate(&config)?;
    let plan = edge_plan(&config, certificate.clone()).await?;
    let admin = port("admin", config.listen.admin, "listen.admin").listen().await?;
    let node = Arc::new(EdgeNode::start(plan, &world).await?);
    info!(http = %node.http, https = ?node.https, admin = %admin.local_addr()?, "the edge listens");
    let checked = node.clone();
    let checks: Checks = Arc::new(move || checked.checks());
    tokio::spawn(admin::serve(admin, Told { metrics, checks, jwks: None }));
    let placed = node.clone();
    let reload = || {
        reload(certificate.as_ref());
        reload_places(&placed);
    };
    run(signals, reload, async move {
        node.drain().await;
        node.close().await;
    })
    .await
}

async fn run(mut signals: Signals, reload: impl FnMut(), drain: impl Future<Output = ()>) -> anyhow::Result<()> {
    signals.until_stop(reload).await;
    signals.drain(drain).await;
    Ok(())
}

/// What SIGHUP does: the certificate for viewers and encoders is read again.
pub fn reload(certificate: Option<&Certificate>) {
    match certificate.map(Certificate::reload) {
        None => info!("told to reload: there is no certificate to read again"),
        Some(Ok(())) => info!("the certificate is read again"),
        Some(Err(error)) => error!(%error, "the new certificate is no good; the one in use stays"),
    }
}

/// What SIGHUP does at an edge besides: the database of places is read again.
pub fn reload_places(edge: &EdgeNode) {
    match edge.reload() {
        Ok(false) => {}
        Ok(true) => info!("the database of places is read again"),
        Err(error) => error!(%error, "the new database of places is no good; the one in use stays"),
    }
}

/// Reads everything that a role needs and starts nothing; for `freshet config check`.
///
/// # Errors
/// As the roles themselves, ports left aside.
pub fn check(config: &Config) -> Result<Vec<&'static str>, ConfigError> {
    let mut roles = Vec::new();
    validate(config)?;
    certificate(config)?;
    config.place.locator()?;
    let joined = Papers::load(&config.node.data)
        .map_err(|error| ConfigError::Invalid { key: "node.data", what: format!("{error:#}") })?;
    if let Some(papers) = joined {
        advertised(config)?;
        roles.push(match papers.role {
            Role::Control => "control",
            Role::Origin => "origin",
            _ => "edge",
        });
        return Ok(roles);
    }
    if !config.channels.is_empty() {
        origin_plan(config, None)?;
        roles.push("origin");
    }
    if config.quic.origin.is_some() {
        identity(config)?;
        roles.push("edge");
    }
    Ok(roles)
}

/// A port that is set by a configuration key.
fn port(what: &'static str, addr: SocketAddr, key: &str) -> Port {
    let flag = format!("{key} (or --{})", key.trim_start_matches("listen."));
    Port { what, addr, flag }
}

/// The papers of a node that has joined as `role`.
fn papers(config: &Config, role: Role) -> anyhow::Result<Option<Papers>> {
    let papers = Papers::load(&config.node.data)?;
    if let Some(other) = papers.as_ref().filter(|papers| papers.role != role) {
        anyhow::bail!("{} joined as {}: start it with `freshet {}`", other.name, other.role, other.role);
    }
    Ok(papers)
}

/// As its papers say, where it has some.
fn joined_origin_plan(config: &Config, certificate: Option<Certificate>) -> anyhow::Result<OriginPlan> {
    let Some(papers) = papers(config, Role::Origin)? else { return Ok(origin_plan(config, certificate)?) };
    if !config.channels.is_empty() {
        warn!("[[channels]] are ignored: this origin has joined a platform, which keeps them (`freshet channel put`)");
    }
    let data = config.node.data.clone();
    let identity = papers.identity(&data)?;
    Ok(origin_plan_with(
        config,
        papers.id,
        identity,
        Registry::Platform { data, control: papers.control },
        certificate,
    )?)
}

fn origin_plan(config: &Config, certificate: Option<Certificate>) -> Result<OriginPlan, ConfigError> {
    let dir = config.node.data.join("registry");
    let registry = Registry::Own { dir, channels: channels(config)?, times: config.registry };
    origin_plan_with(config, NodeId(config.node.id), identity(config)?, registry, certificate)
}

fn origin_plan_with(
    config: &Config,
    id: NodeId,
    identity: Identity,
    registry: Registry,
    certificate: Option<Certificate>,
) -> Result<OriginPlan, ConfigError> {
    validate(config)?;
    let rtmps = port("RTMPS", config.listen.rtmps, "listen.rtmps");
    Ok(OriginPlan {
        id,
        identity,
        registry,
        config: config.origin.clone(),
        placed: placed(config)?,
        rtmp: port("RTMP", config.listen.rtmp, "listen.rtmp"),
        rtmps: certificate.map(|certificate| (rtmps, certificate)),
        quic: port("node (QUIC)", config.listen.quic, "listen.quic"),
        advertise: advertised(config)?,
    })
}

async fn edge_plan(config: &Config, certificate: Option<Certificate>) -> anyhow::Result<EdgePlan> {
    validate(config)?;
    let https = port("HTTPS", config.listen.https, "listen.https");
    let irc = irc_plan(config, certificate.as_ref());
    let redirects = certificate.is_some() && config.tls.redirect_http;
    let (identity, registry, member) = match papers(config, Role::Edge)? {
        None => (identity(config)?, vec![upstream(config).await?], None),
        Some(papers) => {
            let data = config.node.data.clone();
            let quic = port("node (QUIC)", config.listen.quic, "listen.quic");
            let identity = papers.identity(&data)?;
            (identity, papers.control, Some(Member { id: papers.id, data, quic, advertise: advertised(config)? }))
        }
    };
    Ok(EdgePlan {
        first_channel: None,
        identity,
        registry,
        member,
        kept: Some(config.node.data.clone()),
        config: config.edge.clone(),
        chat: config.chat.clone(),
        placed: placed(config)?,
        http: port("HTTP", config.listen.http, "listen.http"),
        https: certificate.map(|certificate| (https, certificate)),
        irc,
        redirect: redirects.then_some(config.tls.public_https_port),
    })
}

/// Where IRC clients come; over TLS only where there is a certificate.
pub fn irc_plan(config: &Config, certificate: Option<&Certificate>) -> IrcPlan {
    let listen = &config.listen;
    let plain = |what, addr: Option<SocketAddr>, key| addr.map(|addr| port(what, addr, key));
    let tls = |what, addr, key| plain(what, addr, key).zip(certificate.cloned());
    IrcPlan {
        irc: plain("IRC", listen.irc, "listen.irc"),
        ircs: tls("IRC (TLS)", listen.ircs, "listen.ircs"),
        ws: plain("IRC (WebSocket)", listen.irc_ws, "listen.irc_ws"),
        wss: tls("IRC (WebSocket, TLS)", listen.irc_wss, "listen.irc_wss"),
    }
}

/// Where a control node that keeps its things in `data` has its key-encryption key, and how long keys live.
///
/// # Errors
/// [`ConfigError::Range`], or [`ConfigError::Invalid`] for a variable that holds no key.
pub fn key_plan(config: &Config, data: &Path) -> Result<keys::Plan, ConfigError> {
    let settings = config.keys.settings().map_err(|error| ConfigError::Range(error.to_string()))?;
    let source = match (std::env::var(KEK), &config.control.kek_file) {
        (Ok(text), _) => {
            let invalid = |error: keys::wrap::NoKek| ConfigError::Invalid { key: KEK, what: error.to_string() };
            Source::Given(Keks::parse(&text).map_err(invalid)?)
        }
        (Err(_), Some(file)) => Source::File(file.clone()),
        (Err(_), None) => Source::Own(data.join("kek")),
    };
    Ok(keys::Plan { settings, source })
}

/// The environment's variable with the key-encryption key. No key of the configuration, for those are printed.
const KEK: &str = "FRESHET_KEK";

/// Where this node is, and where clients are.
fn placed(config: &Config) -> Result<Placed, ConfigError> {
    Ok(Placed { place: config.place.told()?, as_bound: false, locator: config.place.locator()? })
}

/// Whether the values of `[control]`, `[keys]`, `[place]`, `[origin]`, `[edge]` and `[chat]` make sense together.
///
/// # Errors
/// [`ConfigError::Range`] or [`ConfigError::Invalid`] with the key and its range.
pub fn validate(config: &Config) -> Result<(), ConfigError> {
    config.control.certified_for()?;
    config.keys.settings().map_err(|error| ConfigError::Range(error.to_string()))?;
    config.accounts.plan()?;
    config.place.told()?;
    config.origin.validate().map_err(|error| ConfigError::Range(error.to_string()))?;
    config.edge.validate().map_err(|error| ConfigError::Range(error.to_string()))?;
    config.chat.validate().map_err(|error| ConfigError::Range(error.to_string()))
}

fn identity(config: &Config) -> Result<Identity, ConfigError> {
    let quic = &config.quic;
    let certificate = set(&quic.certificate, "quic.certificate")?;
    let (key, ca) = (set(&quic.key, "quic.key")?, set(&quic.ca, "quic.ca")?);
    Identity::load(certificate, key, ca)
        .map_err(|error| ConfigError::Invalid { key: "quic.certificate", what: error.to_string() })
}

fn set<'a>(file: &'a Option<PathBuf>, key: &'static str) -> Result<&'a PathBuf, ConfigError> {
    let remedy = "make the node's certificate with: freshet ca init, then freshet ca issue NAME".to_owned();
    file.as_ref().ok_or(ConfigError::Missing { key, remedy })
}

fn certificate(config: &Config) -> Result<Option<Certificate>, ConfigError> {
    let tls = &config.tls;
    let missing =
        |key, other| ConfigError::Missing { key, remedy: format!("it goes with {other}; set both or neither") };
    match (&tls.certificate, &tls.key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(missing("tls.key", "tls.certificate")),
        (None, Some(_)) => Err(missing("tls.certificate", "tls.key")),
        (Some(certificate), Some(key)) => Certificate::load(certificate, key)
            .map(Some)
            .map_err(|error| ConfigError::Invalid { key: "tls.certificate", what: error.to_string() }),
    }
}

fn channels(config: &Config) -> Result<Vec<ChannelConfig>, ConfigError> {
    let read = |channel: &crate::config::Channel| {
        let key = channel.stream_key()?;
        if ports::is_private(&channel.stream_key_file).is_ok_and(|private| !private) {
            warn!(file = %channel.stream_key_file.display(), "others can read this stream key; chmod 600 it");
        }
        Ok(ChannelConfig { name: channel.name.clone(), key, policy: channel.policy })
    };
    config.channels.iter().map(read).collect()
}

fn advertised(config: &Config) -> Result<Option<SocketAddr>, ConfigError> {
    let bound = config.listen.quic.ip();
    if config.quic.advertise.is_none() && bound.is_unspecified() {
        let remedy = format!("listen.quic is {bound}, which edges can't reach; say where they can, as ADDRESS:PORT");
        return Err(ConfigError::Missing { key: "quic.advertise", remedy });
    }
    Ok(config.quic.advertise)
}

/// The origin of an edge without control nodes: `HOST:PORT` or `NAME@ADDRESS:PORT`.
///
/// # Errors
/// What is neither, or can't be resolved.
pub async fn upstream(config: &Config) -> Result<NodeView, ConfigError> {
    let key = "quic.origin";
    let remedy = "say where the origin listens for nodes, as HOST:PORT or NAME@ADDRESS:PORT".to_owned();
    let text = config.quic.origin.as_deref().ok_or(ConfigError::Missing { key, remedy })?;
    let invalid = |what: String| ConfigError::Invalid { key, what };
    let (name, target) = text.split_once('@').map_or((None, text), |(name, target)| (Some(name), target));
    let (host, _) = target.rsplit_once(':').ok_or_else(|| invalid(format!("{text:?} has no port; write HOST:PORT")))?;
    let mut found = tokio::net::lookup_host(target)
        .await
        .map_err(|error| invalid(format!("{target} can't be resolved: {error}; or write NAME@ADDRESS:PORT")))?;
    let addr = found.next().ok_or_else(|| invalid(format!("{host} has no address")))?;
    Ok(NodeView::new(Role::Origin, addr, name.unwrap_or(host).trim_matches(['[', ']'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn upstream_of(text: &str) -> Result<(String, String), String> {
        let mut config = Config::default();
        config.quic.origin = Some(text.to_owned());
        let upstream = upstream(&config).await.map_err(|error| error.to_string())?;
        Ok((upstream.server_name, upstream.quic.to_string()))
    }

    #[tokio::test]
    async fn an_origin_is_named_by_host_or_by_name_and_address() {
        let pair = |name: &str, addr: &str| Ok((name.to_owned(), addr.to_owned()));
        assert_eq!(upstream_of("127.0.0.1:4430").await, pair("127.0.0.1", "127.0.0.1:4430"));
        assert_eq!(upstream_of("[::1]:4430").await, pair("::1", "[::1]:4430"));
        assert_eq!(upstream_of("origin-1@127.0.0.1:4430").await, pair("origin-1", "127.0.0.1:4430"));
        let no_port = upstream_of("origin-1").await.unwrap_err();
        assert_eq!(no_port, "quic.origin: \"origin-1\" has no port; write HOST:PORT");
    }
}
