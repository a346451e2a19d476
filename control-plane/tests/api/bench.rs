//! The API over accounts and a registry of its own, asked as an edge asks it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use freshet_control_plane::{
    accounts::{Accounts, Config, Cost},
    api::{Api, Asked, Counted, OPERATOR, Platform},
    channel::Times,
    key::{KeyHash, Pepper},
    machine::{Charter, Input, Output, Registry, Timing},
};
use freshet_proto::{
    admin::{AdminCommand, AdminReply, Census, Cluster, KeyStage, KeyStatus, Keys, NodeStatus, Pulse},
    annex::{Algorithm, KeyState, Load, Mark, Revoked, SigningKey},
    api::ApiRequest,
    clock::WallClock,
    id::{ChannelName, NodeId},
    level::Level,
    message::Denied,
    random::Random,
    registry::{NoSuch, Refused, Reply},
    token::{Claims, Signer, signing_key},
    view::{ChannelState, NodeView, Role, View},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::databases::Place;

pub const BEGIN_MS: u64 = 1_795_000_000_000;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse";

/// A registry without a log, and a key.
pub struct House {
    registry: Mutex<Registry>,
    random: Random,
    signer: Signer,
    pub public: SigningKey,
    pub revoked: Mutex<Vec<Revoked>>,
    /// Whether nobody leads.
    pub silent: Mutex<bool>,
}

impl House {
    fn new() -> Self {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key");
        let pkcs8 = pair.to_pkcs8v1().expect("its text");
        let public = signing_key(Algorithm::EdDsa, pkcs8.as_ref(), KeyState::Active).expect("its public half");
        let signer = Signer::new(Algorithm::EdDsa, public.kid.clone(), pkcs8.as_ref()).expect("a signer");
        let registry = Mutex::new(Registry::new(1, Times::default()));
        let (random, revoked, silent) = (Random::seeded(7), Mutex::default(), Mutex::default());
        let house = Self { registry, random, signer, public, revoked, silent };
        let origin = NodeView::new(Role::Origin, ([127, 0, 0, 1], 9).into(), "origin-1");
        house.take(Input::PutNode { node: NodeId(7), view: origin }).expect("a node");
        house.take(Input::Rise { level: Level::NEWEST }).expect("a version");
        house
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().expect("unpoisoned")
    }

    pub fn take(&self, input: Input) -> Reply {
        let (mut registry, mut out) = (self.registry(), vec![]);
        let index = registry.revision() + 1;
        registry.handle(index, BEGIN_MS, input, &mut out);
        let reply = out.into_iter().find_map(|output| match output {
            Output::Reply(reply) => Some(reply),
            _ => None,
        });
        reply.expect("an answer")
    }

    /// An encoder publishes with `key`, and its media flows.
    pub fn publish(&self, key: &str) -> Result<ChannelName, Refused> {
        let claim = Input::Claim { key: pepper().hash(key), origin: NodeId(7), nonce: 0 };
        let claimed = self.take(claim)?.expect("a claim");
        self.take(Input::Live { channel: claimed.channel.clone(), epoch: claimed.epoch })?;
        Ok(claimed.channel)
    }

    pub fn state(&self, channel: &str) -> Option<ChannelState> {
        self.view().channels.get(&channel.parse::<ChannelName>().expect("a name")).map(|channel| channel.state)
    }

    fn cluster(&self) -> Cluster {
        let view = self.view();
        let status =
            |(id, view): (&NodeId, &NodeView)| NodeStatus { id: *id, view: view.clone(), voter: false, lease_ms: None };
        let nodes = view.nodes.iter().map(status).collect();
        Cluster { answered_by: NodeId(1), leader: None, term: 3, revision: view.revision, nodes }
    }

    fn keys(&self) -> Keys {
        let active = KeyStatus {
            kid: self.public.kid.clone(),
            algorithm: Algorithm::EdDsa,
            stage: KeyStage::Active,
            since_ms: BEGIN_MS,
            until_ms: Some(BEGIN_MS + 1),
            unwraps: true,
        };
        Keys { answered_by: NodeId(1), locked: None, signing: vec![active], path: vec![] }
    }

    fn input(&self, command: AdminCommand) -> Input {
        match command {
            AdminCommand::Charter { channel, seq, charter } => {
                let charter = charter.map(|of| Charter {
                    keys: of.keys.into_iter().map(KeyHash::from_bytes).collect(),
                    policy: of.policy,
                    visibility: of.visibility,
                    go_live: of.go_live,
                });
                Input::Charter { channel, seq, charter }
            }
            AdminCommand::Start { channel } => Input::Start { channel },
            AdminCommand::End { channel } => Input::End { channel },
            AdminCommand::Purge { channel } => Input::Purge { channel },
            AdminCommand::Drain { draining, .. } => Input::DrainNode { node: NodeId(7), draining },
            AdminCommand::RemoveNode { .. } => Input::RemoveNode { node: NodeId(7) },
            AdminCommand::SetVisibility { channel, visibility } => {
                let mark = Mark { visibility, ..self.registry().annex().marks.of(&channel) };
                Input::Mark { channel, mark }
            }
            other => panic!("nobody asks that: {other:?}"),
        }
    }
}

impl Platform for House {
    fn view(&self) -> Arc<View> {
        Arc::new(self.registry().view())
    }

    fn now_ms(&self) -> u64 {
        BEGIN_MS
    }

    fn draw(&self) -> String {
        self.random.token()
    }

    fn ask(&self, command: AdminCommand) -> Asked<'_> {
        Box::pin(async move {
            if *self.silent.lock().expect("unpoisoned") {
                return Err(Denied::Refused(Refused::Unavailable));
            }
            if let AdminCommand::Revoke(what) = command {
                self.revoked.lock().expect("unpoisoned").push(what);
                return Ok(AdminReply::Done);
            }
            match command {
                AdminCommand::Health { .. } => Ok(AdminReply::Health(None)),
                AdminCommand::History { .. } => Ok(AdminReply::History(Box::default())),
                AdminCommand::Cluster => Ok(AdminReply::Cluster(self.cluster())),
                AdminCommand::Census => Ok(AdminReply::Census(census())),
                AdminCommand::Keys => Ok(AdminReply::Keys(self.keys())),
                AdminCommand::RotateKeys { .. } => Ok(AdminReply::NewKey("next".to_owned())),
                AdminCommand::RevokeKey { kid } if kid != self.public.kid => {
                    Err(Denied::Refused(Refused::NoSuch(NoSuch::Key)))
                }
                AdminCommand::RevokeKey { .. } => Ok(AdminReply::Done),
                command => {
                    self.take(self.input(command))?;
                    Ok(AdminReply::Done)
                }
            }
        })
    }

    fn viewers(&self) -> Counted<'_> {
        let all = self.view().channels.keys().map(|name| (name.clone(), 3)).collect();
        Box::pin(std::future::ready(Arc::new(all)))
    }

    fn timing(&self, channel: &ChannelName) -> Timing {
        self.registry().timing(channel)
    }

    fn chartered(&self) -> usize {
        self.registry().chartered()
    }

    fn sign(&self, claims: &Claims) -> Result<String, String> {
        self.signer.sign(claims).map_err(|error| error.to_string())
    }
}

/// What a leader would know of the one node.
fn census() -> Census {
    let load = Some(Load { clients: 2, permille: 40 });
    let pulse = Pulse { lease_ms: Some(7000), load, viewers: 5, level: Some(Level::NEWEST), log: None };
    Census { leader: NodeId(7), last_log: 12, nodes: [(NodeId(7), pulse)].into() }
}

pub fn pepper() -> Pepper {
    Pepper([7; 32])
}

pub struct Bench {
    pub api: Api,
    pub accounts: Accounts,
    pub house: Arc<House>,
    place: Place,
}

/// Who asks, as an edge says.
#[derive(Clone, Default)]
pub struct As {
    pub fields: Vec<(String, String)>,
    pub refresh: String,
    pub stream_key: String,
}

impl As {
    /// The session that they are signed in to.
    pub fn session(&self) -> &str {
        self.fields.iter().find(|(name, _)| name == "x-client-login").map_or("", |(_, session)| session)
    }
}

pub struct Told {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Bench {
    pub async fn new(place: Place) -> Self {
        Self::with(place, Config::default()).await
    }

    pub async fn with(place: Place, config: Config) -> Self {
        let accounts = accounts(&place, config).await;
        let house = Arc::new(House::new());
        Self { api: Api::new(accounts.clone(), house.clone()), accounts, house, place }
    }

    /// The same platform, as another control node that shares the database answers for it.
    pub async fn another(&self) -> Api {
        Api::new(accounts(&self.place, Config::default()).await, self.house.clone())
    }

    pub async fn ask(&self, who: &As, method: &str, target: &str, body: Value) -> Told {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(who, method, target, &[("content-type", "application/json")], text).await
    }

    pub async fn raw(
        &self,
        who: &As,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Told {
        ask(&self.api, who, method, target, fields, body).await
    }

    /// Carries what has changed to the registry until that is so.
    pub async fn carried(&self, is_so: impl AsyncFn() -> bool) {
        let (closing, api) = (CancellationToken::new(), self.api.clone());
        let until = closing.clone();
        let carrier = tokio::spawn(async move { api.carry(until).await });
        let heard = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), heard).await.expect("the registry hears");
        closing.cancel();
        carrier.await.expect("it ends");
    }

    /// Registers and signs in.
    pub async fn join(&self, name: &str) -> As {
        let new = json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        let told = self.ask(&As::from(name), "POST", "/api/auth/register", new).await;
        assert_eq!(told.status, 201, "{:?}", told.json());
        let told = told.json();
        let mut who = self.bearer(told["access_token"].as_str().expect("a token"));
        who.refresh = told["refresh_token"].as_str().expect("a token").to_owned();
        who.stream_key = told["stream_key"].as_str().expect("a key").to_owned();
        who
    }

    /// As the edge says it of who shows that token.
    pub fn bearer(&self, token: &str) -> As {
        use freshet_proto::{
            annex::Keyring,
            token::{Audience, Verifier},
        };
        let keyring = Keyring { signing: vec![self.house.public.clone()], ..Keyring::default() };
        let verified = Verifier::new(&keyring).verify(token, Audience::Api, BEGIN_MS, &Default::default());
        let claims = verified.expect("a good token");
        let fields = [
            ("x-client-id", claims.sub),
            ("x-client-username", claims.username),
            ("x-client-roles", claims.roles.join(",")),
            ("x-client-login", claims.sid.expect("a session")),
            ("x-client-address", "192.0.2.1".to_owned()),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        As { fields, ..As::default() }
    }
}

/// Asks one control node.
pub async fn ask(
    api: &Api,
    who: &As,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Told {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let headers = who.fields.iter().cloned().chain(fields).collect();
    let request = ApiRequest { method: method.to_owned(), target: target.to_owned(), headers, body: body.into() };
    let (head, body) = api.answer(request).await;
    assert_eq!(head.length as usize, body.len());
    Told { status: head.status, headers: head.headers, body }
}

/// Accounts with the cheapest hash there is, so that the cases are about something else.
async fn accounts(place: &Place, config: Config) -> Accounts {
    let cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
    let clock = WallClock::anchored(Duration::from_millis(BEGIN_MS));
    let config = Config { cost, ..config };
    Accounts::open(&place.database, config, pepper(), clock, Random::system()).await.expect("accounts")
}

impl From<&str> for As {
    /// Nobody, from an address of their own.
    fn from(name: &str) -> Self {
        let last = name.bytes().fold(0u8, u8::wrapping_add);
        let address = IpAddr::from([198, 51, 100, last]).to_string();
        Self { fields: vec![("x-client-address".to_owned(), address)], ..Self::default() }
    }
}

/// Somebody who is not signed in.
pub fn nobody() -> As {
    As::from("nobody")
}

/// Whoever has the machine.
pub fn operator() -> As {
    As { fields: vec![("x-client-roles".to_owned(), OPERATOR.to_owned())], ..As::default() }
}
