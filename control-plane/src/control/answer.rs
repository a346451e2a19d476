//! What a control node answers to other nodes. Each verb says who may ask it: a certificate names its node, the registry
//! says what that node is.

use freshet_proto::{
    clock::WallClock,
    id::{ChannelName, NodeId},
    level::Level,
    message::{Certified, Denied, Join, Joined, Lease, Request},
    quic::{Handler, Peer, QuicError, Responder, StreamCode},
    registry::{Claimed, Command, NoSuch, Refused},
    view::{NodeState, NodeView, Position, Role},
};
use tokio::time::{Duration, Instant, timeout};
use tracing::info;

use super::{Control, Inner, as_view, denied};
use crate::{
    ca::{BACKDATED, Ca},
    key,
    leases::TTL,
    machine::{Input, Node},
    raft::{ChangeError, Member},
    secrets::Secrets,
    watch,
};

/// How long a watcher waits for a control node to hear from a leader.
const LEADER_WAIT: Duration = Duration::from_secs(3);

impl Handler for Control {
    const STRANGERS: bool = true;

    async fn handle(&self, request: Request, mut reply: Responder) -> Result<(), QuicError> {
        let (inner, asker) = (self.0.clone(), reply.peer().clone());
        let peer = &asker.name;
        match request {
            Request::Watch { after } => inner.serve_watch(after, reply).await,
            Request::Consensus { .. } => inner.consensus(reply).await,
            Request::Command { nonce, command } => {
                let answer = match inner.command(peer, nonce, command).await {
                    // An older origin can't read why.
                    Err(Denied::Refused(Refused::NotStarted)) if asker.level < Level::ANNEX => {
                        Err(Refused::UnknownKey.into())
                    }
                    answer => answer,
                };
                reply.answer(&answer).await
            }
            Request::Renew { node, view, life } => {
                let answer = inner.renew(&asker, node, view, life).await;
                reply.answer(&answer).await
            }
            Request::Enlist { node, view } => {
                let answer = inner.enlist(&asker, node, view).await;
                reply.answer(&answer).await
            }
            Request::Join(join) => {
                let answer = inner.join(join).await;
                reply.answer(&answer).await
            }
            Request::Certify { request } => {
                let answer = inner.certify(peer, &request);
                reply.answer(&answer).await
            }
            Request::Report { .. } => {
                let answer = inner.report(peer, &reply.take_body()).await;
                reply.answer(&answer).await
            }
            Request::Api { .. } => inner.answer_api(reply).await,
            Request::Chat { .. } => {
                let answer = inner.chat(peer, &reply.take_body()).await;
                reply.answer(&answer).await
            }
            Request::Hub(ask) => {
                let answer = inner.hub(peer, ask).await;
                reply.answer(&answer).await
            }
            Request::Admin(command) => inner.operate(command, reply).await,
            _ => {
                reply.refuse(StreamCode::BadRequest);
                Ok(())
            }
        }
    }
}

impl Inner {
    async fn serve_watch(&self, after: Option<Position>, reply: Responder) -> Result<(), QuicError> {
        let mut leadership = self.group.leadership();
        // A node that has just started may not know yet how far the log is agreed on: a watcher that has no view of its own
        // would be shown the past. Where nobody leads for long, the past is better than nothing.
        let led = leadership.wait_for(|leadership| leadership.leader.is_some());
        let _ = timeout(LEADER_WAIT, led).await;
        let asker = reply.peer().clone();
        let role = || self.role_of(&asker.name);
        watch::serve(&self.group.feed(), after, role, reply, || leadership.borrow().leader.is_some()).await
    }

    /// What the node of that name is, as far as this one has read.
    pub(super) fn role_of(&self, name: &str) -> Option<Role> {
        self.group.read(|registry| registry.node_named(name).map(|(_, node)| node.view.role))
    }

    /// Whether this is the name of a control node. Until this node has read so far that the registry speaks of it, it
    /// believes those that it joined: what it has read may be older than the node that leads now.
    pub(super) fn is_control(&self, name: &str) -> bool {
        self.group.read(|registry| {
            if registry.nodes().contains_key(&self.id) {
                registry.node_named(name).is_some_and(|(_, node)| node.view.role == Role::Control)
            } else {
                self.seeds.iter().any(|seed| seed.server_name == name)
            }
        })
    }

    /// The node `id`, if it is the one that asks. A leader that has just begun may not have read of it yet.
    pub(super) async fn asking(&self, peer: &str, id: NodeId) -> Result<Node, Denied> {
        let look = || self.group.read(|registry| registry.nodes().get(&id).cloned());
        let known = match look() {
            Some(known) => Some(known),
            None => {
                self.group.confirm().await.map_err(denied)?;
                look()
            }
        };
        match known {
            None => Err(Refused::NoSuch(NoSuch::Node).into()),
            Some(node) if node.view.server_name == peer => Ok(node),
            Some(_) => Err(Denied::Forbidden(format!("{peer} is not node {id}"))),
        }
    }

    async fn command(&self, peer: &str, nonce: u64, command: Command) -> Result<Option<Claimed>, Denied> {
        self.leading()?;
        let origin = match &command {
            Command::Claim { origin, .. } | Command::Test { origin, .. } => Some(*origin),
            Command::Live { channel, epoch }
            | Command::Heard { channel, epoch, .. }
            | Command::Release { channel, epoch, .. } => {
                self.group.feed().view().borrow().channels.get(channel).and_then(|known| known.origin_of(*epoch))
            }
            _ => None,
        };
        let origin = origin.ok_or(Refused::Superseded)?;
        let node = self.asking(peer, origin).await?;
        if node.view.role != Role::Origin {
            return Err(Denied::Forbidden("only an origin takes publishers".to_owned()));
        }
        if node.view.state == NodeState::Lost {
            self.take_back(origin, node).await?;
        }
        if let Command::Test { key, .. } = command {
            return self.test(&key).await;
        }
        let input = self.input(nonce, command).await?;
        Ok(self.propose(input).await?.reply?)
    }

    /// Gives a node that counts as lost its lease back, because it speaks: it may say that a publish goes on, and if it died
    /// before it shows itself, nobody would notice.
    async fn take_back(&self, id: NodeId, Node { view, life }: Node) -> Result<(), Denied> {
        self.propose(Input::Renewed { node: id, view, life }).await?.reply?;
        self.leases().renew(Instant::now(), id);
        Ok(())
    }

    async fn input(&self, nonce: u64, command: Command) -> Result<Input, Denied> {
        Ok(match command {
            Command::Claim { key, origin } => {
                let key = self.hash(&key)?;
                self.channel_of(&key).await?;
                Input::Claim { key, origin, nonce }
            }
            Command::Live { channel, epoch } => Input::Live { channel, epoch },
            Command::Heard { channel, epoch, heard } => Input::Heard { channel, epoch, heard },
            Command::Release { channel, epoch, how } => Input::Release { channel, epoch, how },
            _ => return Err(Denied::Forbidden("this version does not know that command".to_owned())),
        })
    }

    /// Whose key it is. A wrong one costs no log entry, once it is certain that it was not made a moment ago.
    async fn channel_of(&self, key: &key::KeyHash) -> Result<ChannelName, Denied> {
        if let Some(channel) = self.group.read(|registry| registry.channel_of(key)) {
            return Ok(channel);
        }
        self.group.confirm().await.map_err(denied)?;
        self.group.read(|registry| registry.channel_of(key)).ok_or(Refused::UnknownKey.into())
    }

    /// Lets a private test begin.
    async fn test(&self, key: &str) -> Result<Option<Claimed>, Denied> {
        let key = self.hash(key)?;
        self.channel_of(&key).await?;
        Ok(self.group.read(|registry| registry.test(&key))?)
    }

    pub(super) fn secrets(&self) -> Result<Secrets, Denied> {
        self.group.read(|registry| registry.secrets().cloned()).ok_or(Denied::Refused(Refused::Unavailable))
    }

    fn hash(&self, key: &str) -> Result<key::KeyHash, Denied> {
        if key.len() > key::MAX_LEN {
            return Err(Refused::UnknownKey.into());
        }
        Ok(self.secrets()?.pepper.hash(key))
    }

    /// Only what is new is logged; that a node is alive is in the leader's memory alone.
    async fn renew(&self, asker: &Peer, id: NodeId, view: NodeView, life: u64) -> Result<Lease, Denied> {
        self.leading()?;
        let peer = &asker.name;
        let known = self.asking(peer, id).await?;
        if (view.role, &view.server_name) != (known.view.role, &known.view.server_name) {
            return Err(Denied::Forbidden(format!("node {id} is the {} {peer}", known.view.role)));
        }
        let works = matches!(known.view.state, NodeState::Active | NodeState::Draining);
        let now = Node { view: NodeView { state: known.view.state, ..view.clone() }, life };
        if !works || now != known {
            self.propose(Input::Renewed { node: id, view, life }).await?.reply?;
        }
        self.leases().renew(Instant::now(), id);
        self.heard().hear(id, asker.level);
        self.rise().await;
        let draining = known.view.state == NodeState::Draining;
        Ok(Lease { ttl_ms: TTL.as_millis() as u64, draining })
    }

    /// Makes a control node that has joined a voter.
    async fn enlist(&self, asker: &Peer, id: NodeId, view: NodeView) -> Result<(), Denied> {
        self.leading()?;
        let peer = &asker.name;
        let known = self.asking(peer, id).await?;
        if known.view.role != Role::Control {
            return Err(Denied::Forbidden(format!("{peer} joined as {}, not as control", known.view.role)));
        }
        let _admitting = self.admitting.read().await;
        self.group.confirm().await.map_err(denied)?;
        self.is_new_enough(asker)?;
        self.heard().hear(id, asker.level);
        let member = Member { addr: view.quic, server_name: peer.to_owned() };
        if known.view.quic != view.quic {
            let view = NodeView::new(Role::Control, view.quic, peer);
            self.propose(Input::PutNode { node: id, view }).await?.reply?;
        }
        let place = async {
            match self.group.status().members.get(&id) {
                Some(known) if *known != member => self.group.relocate(id, member).await?,
                _ => self.group.add_learner(id, member).await?,
            }
            self.group.promote(id).await
        };
        place.await.map_err(|error: ChangeError| match error {
            ChangeError::Propose(error) => denied(error),
            error => Denied::Forbidden(error.to_string()),
        })?;
        info!(node = %id, name = peer, "a control node votes");
        Ok(())
    }

    /// Certifies whoever shows a good token. The certificate is made first, so that a request which can't be certified
    /// does not use the token up.
    async fn join(&self, join: Join) -> Result<Joined, Denied> {
        self.leading()?;
        let token = self.hash(&join.token).map_err(|_| Refused::BadToken)?;
        self.group.confirm().await.map_err(denied)?;
        let now_ms = self.now_ms();
        let role = self.group.read(|registry| registry.token(&token, now_ms)).ok_or(Refused::BadToken)?;
        let certified = self.sign(&join.request, &join.name)?;
        let applied = self.propose(Input::Join { token, name: join.name.clone() }).await?;
        applied.reply?;
        info!(node = applied.index, name = join.name, %role, "a node joined");
        Ok(Joined { node: NodeId(applied.index), role, certified, control: self.control_nodes() })
    }

    pub(super) fn certify(&self, peer: &str, request: &[u8]) -> Result<Certified, Denied> {
        if self.group.read(|registry| registry.node_named(peer).is_none()) {
            return Err(Refused::NoSuch(NoSuch::Node).into());
        }
        let certified = self.sign(request, peer)?;
        info!(name = peer, "a node's certificate is renewed");
        Ok(certified)
    }

    fn sign(&self, request: &[u8], name: &str) -> Result<Certified, Denied> {
        let Secrets { authority, authority_key, .. } = self.secrets()?;
        let clock = self.issuing(name);
        let certificate = Ca::from_pem(&authority, &authority_key)
            .and_then(|ca| ca.certify(request, name, &[], self.certified_for, &clock))
            .map_err(|error| Denied::Forbidden(error.to_string()))?;
        Ok(Certified { certificate, authority })
    }

    /// By which clock certificates of this name are issued: one on which those of a removed node of the same name lie back,
    /// by the second that certificates tell.
    fn issuing(&self, name: &str) -> WallClock {
        match self.group.read(|registry| registry.barred_until(name)) {
            None => self.clock.clone(),
            Some(since_ms) => {
                let least = Duration::from_millis(since_ms + 1000) + BACKDATED;
                WallClock::anchored(least.max(Duration::from_millis(self.clock.now_ms())))
            }
        }
    }

    /// Where the members of the consensus are reached. The registry may not know it yet of one that has just come.
    pub(super) fn control_nodes(&self) -> Vec<NodeView> {
        self.group.status().members.values().map(as_view).collect()
    }
}
