//! A hub with a listener: what stands before it in an edge is played by a few lines.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::{Bytes, BytesMut};
use freshet_chat_mesh::{
    hub::{Caller, Config, Doing, Door, Hub, Links, NoLinks, Outcome, Parts, Socket, Standing, Store, Unavailable},
    mesh::{Input, Member, Members, Stored},
    moderation::{Change, Durable, LogEntry},
};
use freshet_proto::{
    annex::{Algorithm, KeyState, Keyring, Mark, Revocations, Revoked, Visibility},
    chat::Login,
    clock::WallClock,
    id::{ChannelName, NodeId},
    random::Random,
    token::{Audience, Claims, Signer, signing_key},
    view::{Bar, View},
};
use http::{Method, Request, Version};
use tokio::{
    io::{AsyncRead, AsyncReadExt, DuplexStream, duplex},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::client_async;

use crate::client::{Client, request};

/// When the tests are, in ms since 1970.
pub const NOW_MS: u64 = 1_800_000_000_000;

/// How long anything may take on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What is stored, and who follows.
#[derive(Default)]
pub struct Shelf {
    pub durable: BTreeMap<ChannelName, Durable>,
    pub log: Vec<LogEntry>,
    pub follows: BTreeMap<String, u64>,
    /// The next calls that fail.
    pub failures: usize,
}

#[derive(Clone, Default)]
pub struct Kept(pub Arc<Mutex<Shelf>>);

impl Kept {
    fn with<T>(&self, act: impl FnOnce(&mut Shelf) -> T) -> Result<T, Unavailable> {
        let mut shelf = self.0.lock().unwrap();
        if shelf.failures > 0 {
            shelf.failures -= 1;
            return Err(Unavailable("a test".into()));
        }
        Ok(act(&mut shelf))
    }
}

impl Store for Kept {
    fn open(&self, channel: ChannelName) -> Doing<Result<Option<Stored>, Unavailable>> {
        let durable = self.with(|shelf| shelf.durable.entry(channel.clone()).or_default().clone());
        Box::pin(async move { Ok(Some(Stored { owner: channel, durable: durable? })) })
    }

    fn store(
        &self,
        channel: ChannelName,
        _: u64,
        changes: Vec<(u64, Change)>,
        log: Vec<LogEntry>,
    ) -> Doing<Result<Outcome, Unavailable>> {
        let done = self.with(|shelf| {
            let durable = shelf.durable.entry(channel).or_default();
            // Whoever is called so has no account.
            let is_ghost = |change: &Change| matches!(change, Change::Role(login, _) if login.as_str() == "ghost");
            for (version, change) in &changes {
                if !is_ghost(change) {
                    assert!(durable.apply(change, NOW_MS).is_ok());
                }
                durable.version = durable.version.max(*version);
            }
            shelf.log.extend(log);
            let ghosts = changes.iter().filter(|(_, change)| is_ghost(change));
            let lacks = ghosts.map(|(version, _)| *version).collect();
            Outcome::Stored { up_to: durable.version, lacks }
        });
        Box::pin(async { done })
    }

    fn standing(&self, channel: ChannelName, login: Login) -> Doing<Result<Standing, Unavailable>> {
        let standing = self.with(|shelf| Standing {
            follows_since_ms: shelf.follows.get(login.as_str()).copied(),
            role: shelf.durable.get(&channel).and_then(|durable| durable.roles.get(&login).copied()),
        });
        Box::pin(async { standing })
    }
}

/// See the module.
pub struct House {
    pub hub: Hub,
    pub addr: SocketAddr,
    pub kept: Kept,
    view: watch::Sender<Arc<View>>,
    signer: Signer,
}

impl House {
    /// With the channels `ada`, `zoe` and `hidden`, which is private.
    pub async fn open(config: Config) -> Self {
        Self::open_with(config, None).await
    }

    /// Over TLS, with this certificate.
    pub async fn open_with(config: Config, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let me = NodeId(1);
        let house = Self::of_mesh(config, tls, me, Arc::new(NoLinks), Kept::default()).await;
        let hubs = [(me, Member { number: 1, weight: 1 })].into();
        house.hub.tell(Input::Members(Members { epoch: 3, hubs, ..Members::default() })).await;
        house.hub.tell(Input::Lease { until_ms: u64::MAX / 2, epoch: 3 }).await;
        house
    }

    /// One of several hubs, which is told nothing of them yet.
    pub async fn of_mesh(
        config: Config,
        tls: Option<Arc<rustls::ServerConfig>>,
        me: NodeId,
        links: Arc<dyn Links>,
        kept: Kept,
    ) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        let key = signing_key(Algorithm::EdDsa, pair.as_ref(), KeyState::Active).unwrap();
        let signer = Signer::new(Algorithm::EdDsa, key.kid.clone(), pair.as_ref()).unwrap();
        let mut view = View { revision: 1, ..View::default() };
        for name in ["ada", "zoe", "hidden"] {
            view.channels.insert(name.parse().unwrap(), Default::default());
        }
        for n in 0..40 {
            view.channels.insert(format!("many{n}").parse().unwrap(), Default::default());
        }
        view.annex.keys = Arc::new(Keyring { revision: 1, signing: vec![key], ..Keyring::default() });
        let marks = Arc::make_mut(&mut view.annex.marks);
        let hidden = Mark { visibility: Visibility::Private, ..Mark::default() };
        marks.channels.insert("hidden".parse().unwrap(), hidden);
        let (view, seen) = watch::channel(Arc::new(view));
        let clock = WallClock::anchored(Duration::from_millis(NOW_MS));
        let door = Door::new(seen, clock.clone(), config.origins.clone());
        let (random, store, limits) = (Random::seeded(me.0), Arc::new(kept.clone()), Default::default());
        let hub = Hub::start(Parts { config, me, limits, door, store, links, clock, random });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, hub.clone(), tls.map(TlsAcceptor::from)));
        Self { hub, addr, kept, view, signer }
    }

    /// An access token.
    pub fn token(&self, login: &str) -> String {
        self.signer.sign(&self.claims(login)).unwrap()
    }

    /// A playback token for `channel`.
    pub fn playback(&self, channel: &str) -> String {
        let channel = Some(channel.parse().unwrap());
        let claims = Claims { aud: Audience::Playback, sid: None, channel, ..self.claims("watcher") };
        self.signer.sign(&claims).unwrap()
    }

    fn claims(&self, login: &str) -> Claims {
        let role = if login == "root" { "admin" } else { "user" };
        Claims {
            sub: format!("id-{login}"),
            aud: Audience::Api,
            exp_ms: NOW_MS + 3_600_000,
            nbf_ms: NOW_MS,
            iat_ms: NOW_MS,
            jti: format!("jti-{login}"),
            sid: Some(format!("sid-{login}")),
            username: login.into(),
            roles: vec![role.into()],
            color: (login == "iris").then_some(0x5a_4f_cf),
            channel: None,
        }
    }

    /// Somebody who is logged in and in `ada`, over a pipe in memory: for tests whose time is paused, which sockets know
    /// nothing of.
    pub async fn piped_in_ada(&self, login: &str) -> Client<DuplexStream> {
        let (near, mut far) = duplex(64 << 10);
        let hub = self.hub.clone();
        tokio::spawn(async move {
            let Some((request, ahead)) = head(&mut far).await else { return };
            let (socket, peer) = (Socket::Other(Box::new(far)), IpAddr::from([127, 0, 0, 1]));
            hub.serve(Caller { request, socket, ahead, peer, stay: Box::new(()) }).await;
        });
        let path = format!("/chat/ada?token={}", self.token(login));
        let (socket, _) = client_async(request(self.addr, &path, &[]), near).await.expect("it is let in");
        let mut client = Client::over(socket);
        client.join("ada").await;
        client
    }

    /// Somebody who reads alone.
    pub async fn guest(&self) -> Client {
        Client::connect(self.addr, "/chat/ada").await
    }

    /// Somebody who is logged in.
    pub async fn user(&self, login: &str) -> Client {
        Client::connect(self.addr, &format!("/chat/ada?token={}", self.token(login))).await
    }

    /// The same, in `ada`.
    pub async fn user_in_ada(&self, login: &str) -> Client {
        let mut user = self.user(login).await;
        user.join("ada").await;
        user
    }

    /// Revokes all logins of an account.
    pub fn revoke(&self, login: &str) {
        self.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            let revoked: &mut Revocations = Arc::make_mut(&mut view.annex.revoked);
            revoked.revision += 1;
            let bar = Bar { since_ms: NOW_MS, until_ms: NOW_MS + 3_600_000 };
            revoked.bars.insert(Revoked::User(format!("id-{login}")), bar);
        });
    }

    /// Makes a channel private.
    pub fn hide(&self, channel: &str) {
        self.view.send_modify(|view| {
            let marks = Arc::make_mut(&mut Arc::make_mut(view).annex.marks);
            marks.revision += 1;
            let hidden = Mark { visibility: Visibility::Private, ..Mark::default() };
            marks.channels.insert(channel.parse().unwrap(), hidden);
        });
    }

    /// Waits until `look` is true.
    pub async fn until(&self, what: &str, look: impl Fn(&Self) -> bool) {
        let found = async {
            while !look(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
    }
}

async fn accept(listener: TcpListener, hub: Hub, tls: Option<TlsAcceptor>) {
    loop {
        let (mut socket, peer) = listener.accept().await.unwrap();
        let (hub, tls, peer) = (hub.clone(), tls.clone(), peer.ip());
        tokio::spawn(async move {
            match tls {
                None => {
                    let Some((request, ahead)) = head(&mut socket).await else { return };
                    hub.serve(Caller { request, socket: Socket::Tcp(socket), ahead, peer, stay: Box::new(()) }).await;
                }
                Some(tls) => {
                    let Ok(mut socket) = tls.accept(socket).await else { return };
                    let Some((request, ahead)) = head(&mut socket).await else { return };
                    let socket = Socket::Other(Box::new(socket));
                    let peer = IpAddr::from([127, 0, 0, 1]);
                    hub.serve(Caller { request, socket, ahead, peer, stay: Box::new(()) }).await;
                }
            }
        });
    }
}

/// Reads a request's head; what came after it.
pub async fn head(socket: &mut (impl AsyncRead + Unpin)) -> Option<(http::request::Parts, Bytes)> {
    let mut bytes = BytesMut::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = bytes.split_to(end + 4);
    let text = std::str::from_utf8(&head).ok()?;
    let mut lines = text.lines();
    let target = lines.next()?.split(' ').nth(1)?;
    let mut request = Request::builder().method(Method::GET).uri(target).version(Version::HTTP_11);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        request = request.header(name, value.trim());
    }
    Some((request.body(()).ok()?.into_parts().0, bytes.freeze()))
}
