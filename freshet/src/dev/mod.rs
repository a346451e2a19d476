//! `freshet dev`: every role in one process, for one person on one machine.
//!
//! ```text
//! encoder or demo ──RTMP──▶ origin ──QUIC over loopback, mutual TLS──▶ edge ──HTTP──▶ browser
//!                              └─────▶ control, the only voter ◀────────┘
//! ```
//! The roles know each other only by QUIC, as they would on three machines. Papers, keys and state are under DATA.

mod announce;
mod demo;
mod home;
mod platform;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use freshet_control_plane::local::ChannelConfig;
use freshet_proto::{id::ChannelName, view::Role};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{announce::Addresses, home::Home, platform::Platform};
use crate::{
    admin::{self, Checks, Told},
    cli::Settings,
    config::{Config, Listen, Override},
    life::Signals,
    logging, metrics,
    node::{EdgeNode, EdgePlan, Member, OriginNode, OriginPlan, Papers, Placed, Registry, World},
    ports::Port,
    role,
    tls::Certificate,
};

/// `freshet dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// Publish a built-in clip to the channel, in a loop, until an encoder takes over.
    #[arg(long)]
    pub demo: bool,
    /// The channel's name.
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub channel: ChannelName,
    /// Listen on every address instead of on this machine's own alone. Whoever reaches the machine can then watch.
    #[arg(long, conflicts_with = "address")]
    pub listen_all: bool,
    /// Listen on this address.
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,
    /// The port for HTTP; 0 picks a free one, for this as for all ports.
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
    /// The port for HTTPS.
    #[arg(long, value_name = "PORT")]
    pub https_port: Option<u16>,
    /// The port for RTMP.
    #[arg(long, value_name = "PORT")]
    pub rtmp_port: Option<u16>,
    /// The port for RTMPS.
    #[arg(long, value_name = "PORT")]
    pub rtmps_port: Option<u16>,
    /// The UDP port that the roles talk over.
    #[arg(long, value_name = "PORT")]
    pub quic_port: Option<u16>,
    /// The port for /healthz, /readyz and /metrics.
    #[arg(long, value_name = "PORT")]
    pub admin_port: Option<u16>,
    /// Everything that can be configured.
    #[command(flatten)]
    pub settings: Settings,
}

/// How long publishers and viewers may go on after Ctrl-C.
const DRAIN_MS: u64 = 500;

impl Dev {
    /// The configuration: as everywhere, but on loopback unless told.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn config(&self) -> anyhow::Result<Config> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let ip = self.address.unwrap_or(if self.listen_all { everywhere } else { loopback });
        let mut defaults = Config::default();
        let listen = &mut defaults.listen;
        for addr in [&mut listen.http, &mut listen.https, &mut listen.rtmp, &mut listen.rtmps] {
            addr.set_ip(ip);
        }
        listen.quic.set_ip(loopback);
        if ip.is_loopback() {
            // On free ports: several may run, and bots are told where by dev.json.
            let free = Some(SocketAddr::new(ip, 0));
            (listen.irc, listen.ircs, listen.irc_ws, listen.irc_wss) = (free, free, free, free);
        }
        // Whoever presses Ctrl-C waits for it.
        defaults.origin.drain_timeout_ms = DRAIN_MS;
        defaults.edge.http.drain_timeout_ms = DRAIN_MS;
        Ok(self.settings.load_over(defaults.clone(), self.ports(&defaults.listen))?.config)
    }

    fn ports(&self, at: &Listen) -> Vec<Override> {
        let ports = [
            ("--http-port", "listen.http", at.http, self.http_port),
            ("--https-port", "listen.https", at.https, self.https_port),
            ("--rtmp-port", "listen.rtmp", at.rtmp, self.rtmp_port),
            ("--rtmps-port", "listen.rtmps", at.rtmps, self.rtmps_port),
            ("--quic-port", "listen.quic", at.quic, self.quic_port),
            ("--admin-port", "listen.admin", at.admin, self.admin_port),
        ];
        let set = |(flag, key, at, port): (&str, &str, SocketAddr, Option<u16>)| {
            port.map(|port| Override::flag(flag, key, &SocketAddr::new(at.ip(), port).to_string()))
        };
        ports.into_iter().filter_map(set).collect()
    }

    /// Runs everything until told to stop.
    ///
    /// # Errors
    /// A wrong configuration, or a port or file that can't be had.
    pub async fn run(&self) -> anyhow::Result<()> {
        let config = self.config()?;
        logging::start(&config.log)?;
        let mut signals = Signals::new().context("heeding signals")?;
        role::validate(&config)?;
        let metrics = metrics::install()?;
        let began = Instant::now();
        let house = House::open(self, config, metrics.clone()).await?;
        let stop_demo = CancellationToken::new();
        if self.demo {
            let views = house.origin.view.clone();
            let to = demo::To { rtmp: house.addresses.rtmp, key: house.key.clone(), channel: self.channel.clone() };
            tokio::spawn(demo::publish(to, views, stop_demo.clone()));
        }
        house.announce(self.demo)?;
        let reload = || {
            role::reload(Some(&house.certificate));
            role::reload_places(&house.edge);
        };
        signals.until_stop(reload).await;
        println!("\n{}", announce::totals(began.elapsed(), &metrics.render()));
        stop_demo.cancel();
        signals.drain(house.drain()).await;
        Ok(())
    }
}

/// Both roles, running.
struct House {
    home: Home,
    channel: ChannelName,
    key: String,
    certificate: Certificate,
    platform: Arc<Platform>,
    origin: Arc<OriginNode>,
    edge: Arc<EdgeNode>,
    addresses: Addresses,
}

impl House {
    async fn open(dev: &Dev, config: Config, metrics: PrometheusHandle) -> anyhow::Result<Self> {
        let world = World::system().at_most(config.protocol.at_most);
        let home = Home::open(&config.node.data)?;
        let key = home.stream_key(&world.random)?;
        let certificate = home.certificate(&config, &world.clock)?;
        let admin = port("admin", config.listen.admin, "--admin-port").listen().await?;
        let channel = ChannelConfig { name: dev.channel.clone(), key: key.clone(), policy: Default::default() };
        let platform = Platform::open(&home, &config, channel, &world).await?;
        let (at, papers) = (platform.data(Role::Origin), platform.papers(Role::Origin, &world).await?);
        let origin = origin_plan(&config, at, papers, certificate.clone())?;
        let origin = Arc::new(OriginNode::start(origin, &world).await?);
        let (at, papers) = (platform.data(Role::Edge), platform.papers(Role::Edge, &world).await?);
        let first_channel = Some(dev.channel.clone());
        let edge = EdgePlan { first_channel, ..edge_plan(&config, at, papers, certificate.clone())? };
        let edge = Arc::new(EdgeNode::start(edge, &world).await?);
        let platform = Arc::new(platform);
        let addresses = Addresses {
            http: edge.http,
            https: edge.https.context("HTTPS has no address")?,
            rtmp: origin.rtmp,
            rtmps: origin.rtmps.context("RTMPS has no address")?,
            quic: origin.quic,
            admin: admin.local_addr()?,
            irc: edge.irc,
        };
        let (of_control, of_origin, of_edge) = (platform.clone(), origin.clone(), edge.clone());
        let checks: Checks =
            Arc::new(move || [of_control.control.checks(), of_origin.checks(), of_edge.checks()].concat());
        tokio::spawn(admin::serve(admin, Told { metrics, checks, jwks: Some(platform.control.jwks()) }));
        Ok(Self { home, channel: dev.channel.clone(), key, certificate, platform, origin, edge, addresses })
    }

    fn announce(&self, demo: bool) -> anyhow::Result<()> {
        let api = self.platform.control.api.as_ref();
        let link = api.and_then(|api| api.first_admin.as_ref()).map(|(_, link)| link.reveal());
        let told = announce::Told { addresses: &self.addresses, channel: &self.channel, key: &self.key, link };
        self.home.write_addresses(&told.json())?;
        print!("{}", told.text(demo, self.home.dir()));
        Ok(())
    }

    /// The edge first, while the origin still answers it.
    async fn drain(&self) {
        self.edge.drain().await;
        self.origin.drain().await;
        self.edge.close().await;
        self.origin.close().await;
        self.platform.control.close().await;
    }
}

fn port(what: &'static str, addr: SocketAddr, flag: &str) -> Port {
    Port { what, addr, flag: flag.into() }
}

/// Whoever is on this machine reaches every role where it is bound.
fn placed(config: &Config) -> anyhow::Result<Placed> {
    Ok(Placed { place: config.place.told()?, as_bound: true, locator: config.place.locator()? })
}

fn origin_plan(config: &Config, data: PathBuf, papers: Papers, certificate: Certificate) -> anyhow::Result<OriginPlan> {
    Ok(OriginPlan {
        id: papers.id,
        identity: papers.identity(&data)?,
        registry: Registry::Platform { data, control: papers.control },
        config: config.origin.clone(),
        placed: placed(config)?,
        rtmp: port("RTMP", config.listen.rtmp, "--rtmp-port"),
        rtmps: Some((port("RTMPS", config.listen.rtmps, "--rtmps-port"), certificate)),
        quic: port("node (QUIC)", config.listen.quic, "--quic-port"),
        advertise: config.quic.advertise,
    })
}

fn edge_plan(config: &Config, data: PathBuf, papers: Papers, certificate: Certificate) -> anyhow::Result<EdgePlan> {
    let mut at = config.listen.quic;
    at.set_port(0);
    let quic = port("edge (QUIC)", at, "--quic-port");
    Ok(EdgePlan {
        first_channel: None,
        identity: papers.identity(&data)?,
        registry: papers.control,
        kept: Some(data.clone()),
        member: Some(Member { id: papers.id, data, quic, advertise: None }),
        config: config.edge.clone(),
        chat: config.chat.clone(),
        placed: placed(config)?,
        http: port("HTTP", config.listen.http, "--http-port"),
        irc: role::irc_plan(config, Some(&certificate)),
        https: Some((port("HTTPS", config.listen.https, "--https-port"), certificate)),
        redirect: None,
    })
}
