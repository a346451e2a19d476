//! What operators ask, from a control node's host: its certificate is their right.

use std::{collections::BTreeMap, sync::Arc};

use freshet_proto::{
    admin::{AdminCommand, AdminReply, Census, Cluster, Levels, NodeStatus, Pulse},
    id::{ChannelName, NodeId},
    level::Level,
    message::Denied,
    quic::{QuicError, Responder},
    registry::{NoSuch, Policy, Refused},
    view::{Bar, NodeView, Role},
};
use tokio::time::Instant;
use tracing::info;

use super::{Inner, denied};
use crate::{
    ca::{BACKDATED, LONGEST, fingerprint, is_host_name},
    join::JoinToken,
    key,
    machine::{Input, Token},
    raft::ChangeError,
};

/// The longest that a join token may be good, in seconds: a week.
const MAX_TOKEN_SECONDS: u64 = 7 * 86_400;

impl Inner {
    pub(super) async fn operate(
        self: &Arc<Self>,
        command: AdminCommand,
        mut reply: Responder,
    ) -> Result<(), QuicError> {
        let asker = reply.peer().clone();
        if let Err(denied) = self.may_operate(&asker.name).await {
            return reply.answer(&Err::<AdminReply, _>(denied)).await;
        }
        if command == AdminCommand::Backup {
            let backup = self.backup().await;
            let head = backup.as_ref().map(|backup| AdminReply::Backup { length: backup.len() as u32 });
            reply.write_frame(&head.map_err(Denied::clone)).await?;
            if let Ok(backup) = backup {
                reply.write_payload(backup).await?;
            }
            return reply.finish().await;
        }
        // Who speaks an older version can't read a newer answer.
        let answer = match self.do_operate(command).await {
            Ok(AdminReply::CutOff { .. } | AdminReply::Barred { .. }) if asker.level < Level::CUTS_OFF => {
                Ok(AdminReply::Done)
            }
            answer => answer,
        };
        reply.answer(&answer).await
    }

    /// What this node has read so far may be too old to tell: then the leader tells.
    async fn may_operate(&self, peer: &str) -> Result<(), Denied> {
        if self.is_control(peer) {
            return Ok(());
        }
        self.leading()?;
        self.group.confirm().await.map_err(denied)?;
        if self.is_control(peer) {
            return Ok(());
        }
        let why = "only a control node's host may ask that: run it there, with that node's configuration";
        Err(Denied::Forbidden(why.to_owned()))
    }

    pub(super) async fn do_operate(self: &Arc<Self>, command: AdminCommand) -> Result<AdminReply, Denied> {
        if command == AdminCommand::Cluster {
            return Ok(AdminReply::Cluster(self.cluster()));
        }
        if command == AdminCommand::Keys {
            return Ok(AdminReply::Keys(self.list_keys()));
        }
        self.leading()?;
        match command {
            AdminCommand::MakeToken { role, seconds, uses } => {
                Ok(AdminReply::Token(self.make_token(role, seconds, uses).await?.encode()))
            }
            AdminCommand::Levels => {
                let nodes = self.heard().all().collect();
                Ok(AdminReply::Levels(Levels { agreed: self.group.agreed(), nodes }))
            }
            AdminCommand::Drain { name, draining } => self.drain_node(&name, draining).await,
            AdminCommand::RemoveNode { name } => self.remove_node(&name).await,
            AdminCommand::PutChannel { channel, policy } => self.put_channel(channel, policy).await,
            AdminCommand::RemoveChannel { channel } => self.remove_channel(channel).await,
            AdminCommand::Channels => {
                let view = self.group.feed().view().borrow().clone();
                let states = view.channels.iter().map(|(name, channel)| (name.clone(), channel.state));
                Ok(AdminReply::Channels(states.collect()))
            }
            AdminCommand::RotateKeys { anew } => self.rotate_keys(anew).await,
            AdminCommand::RevokeKey { kid } => self.revoke_key(kid).await,
            AdminCommand::DropPathSecrets => self.drop_path_secrets().await,
            AdminCommand::Revoke(what) => self.revoke(what).await,
            AdminCommand::Charter { channel, seq, charter } => self.put_charter(channel, seq, charter).await,
            AdminCommand::Start { channel } => self.done(Input::Start { channel }).await,
            AdminCommand::End { channel } => self.done(Input::End { channel }).await,
            AdminCommand::Purge { channel } => self.done(Input::Purge { channel }).await,
            AdminCommand::SetVisibility { channel, visibility } => self.set_visibility(channel, visibility).await,
            AdminCommand::Viewers => Ok(AdminReply::Viewers(self.loads().all_viewers(Instant::now()))),
            AdminCommand::Census => Ok(AdminReply::Census(self.census())),
            AdminCommand::Health { channel } => Ok(AdminReply::Health(self.health(&channel).map(Box::new))),
            AdminCommand::History { channel } => Ok(AdminReply::History(Box::new(self.history(&channel)))),
            AdminCommand::Audience { channel } => Ok(AdminReply::Audience(self.audience(&channel))),
            _ => Err(Denied::Forbidden("this version does not know that command".to_owned())),
        }
    }

    fn cluster(&self) -> Cluster {
        let (status, leads) = (self.group.status(), self.group.leadership().borrow().mine);
        // Who leads without a majority that answers leads nobody.
        let leader = status.leader.filter(|leader| leads || *leader != self.id);
        let view = self.group.feed().view().borrow().clone();
        let (now, leases) = (Instant::now(), self.leases());
        let lease_ms = |id| leases.left(now, id).filter(|_| leads).map(|left| left.as_millis() as u64);
        let nodes = view.nodes.iter().map(|(id, node)| NodeStatus {
            id: *id,
            view: node.clone(),
            voter: status.voters.contains(id),
            lease_ms: lease_ms(*id),
        });
        Cluster { answered_by: self.id, leader, term: status.term, revision: view.revision, nodes: nodes.collect() }
    }

    /// What this leader alone knows.
    fn census(&self) -> Census {
        let (status, now) = (self.group.status(), Instant::now());
        let view = self.group.feed().view().borrow().clone();
        let (loads, viewers) = {
            let loads = self.loads();
            (loads.all(now), loads.viewers_by_node(now))
        };
        let levels: BTreeMap<_, _> = self.heard().all().collect();
        let (leases, last_log) = (self.leases(), status.last_log.unwrap_or_default());
        let pulse = |node: NodeId| Pulse {
            lease_ms: leases.left(now, node).map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            load: loads.nodes.get(&node).copied(),
            viewers: viewers.get(&node).copied().unwrap_or_default(),
            level: levels.get(&node).copied(),
            log: if node == self.id { Some(last_log) } else { status.matched.get(&node).copied() },
        };
        let nodes = view.nodes.keys().map(|node| (*node, pulse(*node))).collect();
        Census { leader: self.id, last_log, nodes }
    }

    pub(super) async fn make_token(&self, role: Role, seconds: u64, uses: u32) -> Result<JoinToken, Denied> {
        if seconds == 0 || seconds > MAX_TOKEN_SECONDS || uses == 0 {
            let why = format!("a join token is good for 1 to {MAX_TOKEN_SECONDS} seconds and at least one node");
            return Err(Denied::Forbidden(why));
        }
        let secrets = self.secrets()?;
        let secret = JoinToken::draw(&self.random);
        let hash = secrets.pepper.hash(&secret);
        let expires_ms = self.now_ms() + seconds * 1000;
        self.propose(Input::PutToken(Token { hash, role, expires_ms, uses })).await?.reply?;
        let authority = fingerprint(&secrets.authority).ok_or(Refused::Unavailable)?;
        let control = self.control_nodes().into_iter().map(|node| (node.server_name, node.quic)).collect();
        Ok(JoinToken { secret, authority, control })
    }

    fn named(&self, name: &str) -> Result<(NodeId, NodeView), Denied> {
        let found = self.group.read(|registry| registry.node_named(name).map(|(id, node)| (id, node.view.clone())));
        found.ok_or(Denied::Refused(Refused::NoSuch(NoSuch::Node)))
    }

    /// A leader that has just begun may not have read of it yet.
    async fn drain_node(&self, name: &str, draining: bool) -> Result<AdminReply, Denied> {
        self.group.confirm().await.map_err(denied)?;
        let (node, _) = self.named(name)?;
        if draining && node == self.id && self.group.status().voters.len() < 2 {
            return Err(Denied::Forbidden("it is the only control node, and nobody else can lead".to_owned()));
        }
        self.propose(Input::DrainNode { node, draining }).await?.reply?;
        if draining && node == self.id {
            self.group.transfer(None).await.map_err(changed)?;
        }
        info!(%node, name, draining, "a node is drained or works again");
        Ok(AdminReply::Done)
    }

    /// A control node first loses its vote, so that it is never counted on again.
    async fn remove_node(&self, name: &str) -> Result<AdminReply, Denied> {
        self.group.confirm().await.map_err(denied)?;
        let (node, view) = match self.named(name) {
            Err(Denied::Refused(Refused::NoSuch(_))) if self.bars(name) => return self.bar(name).await,
            found => found?,
        };
        if view.role == Role::Control {
            if node == self.id {
                self.group.transfer(None).await.map_err(changed)?;
                return self.leading().map(|()| AdminReply::Done);
            }
            self.group.remove(node).await.map_err(changed)?;
        }
        let removal = self.removal(node);
        let cut_off = matches!(removal, Input::CutOff { .. });
        self.propose(removal).await?.reply?;
        self.leases().forget(node);
        self.heard().forget(node);
        info!(%node, name, cut_off, "a node is removed");
        Ok(if cut_off { AdminReply::CutOff { unaware: self.unaware() } } else { AdminReply::Done })
    }

    /// How a node is removed: for good, once all control nodes know how.
    fn removal(&self, node: NodeId) -> Input {
        if self.group.agreed() < Level::CUTS_OFF {
            return Input::RemoveNode { node };
        }
        Input::CutOff { node, bar: self.bar_from_now() }
    }

    /// Whether there can be a certificate of this name, and it can be barred.
    fn bars(&self, name: &str) -> bool {
        self.group.agreed() >= Level::CUTS_OFF && is_host_name(name)
    }

    /// Cuts off whoever was certified under a name that no node has: a node that was removed before control nodes knew how
    /// to cut it off. Where there never was one, that harms nobody who comes later.
    async fn bar(&self, name: &str) -> Result<AdminReply, Denied> {
        self.propose(Input::BarName { name: name.to_owned(), bar: self.bar_from_now() }).await?.reply?;
        info!(name, "whoever was certified under this name is cut off");
        Ok(AdminReply::Barred { unaware: self.unaware() })
    }

    /// Which certificates are no good any more: all that were issued until now.
    fn bar_from_now(&self) -> Bar {
        let (now_ms, backdated) = (self.clock.now_ms(), BACKDATED.as_millis() as u64);
        // Issued until now, they are valid since an hour ago; the hour at the end is for clocks that differ. For how long
        // they were issued may have been configured otherwise then.
        let until_ms = now_ms + LONGEST.as_millis() as u64 + backdated;
        Bar { since_ms: now_ms.saturating_sub(backdated), until_ms }
    }

    /// Who does not hear of it that a node is removed.
    fn unaware(&self) -> Vec<String> {
        let old: Vec<NodeId> =
            self.heard().all().filter(|(_, level)| *level < Level::CUTS_OFF).map(|(node, _)| node).collect();
        self.group.read(|registry| {
            let known = old.iter().filter_map(|node| registry.nodes().get(node));
            known.map(|node| node.view.server_name.clone()).collect()
        })
    }

    pub(super) async fn put_channel(&self, channel: ChannelName, policy: Policy) -> Result<AdminReply, Denied> {
        let key = key::generate(&self.random);
        let hash = self.secrets()?.pepper.hash(&key);
        self.propose(Input::PutChannel { channel, key: hash, policy }).await?.reply?;
        Ok(AdminReply::Key(key))
    }

    async fn remove_channel(&self, channel: ChannelName) -> Result<AdminReply, Denied> {
        if !self.group.feed().view().borrow().channels.contains_key(&channel) {
            return Err(Refused::NoSuch(NoSuch::Channel).into());
        }
        self.propose(Input::RemoveChannel { channel }).await?.reply?;
        Ok(AdminReply::Done)
    }

    async fn backup(&self) -> Result<bytes::Bytes, Denied> {
        self.leading()?;
        self.group.confirm().await.map_err(denied)?;
        self.group.backup().await.map_err(|error| Denied::Forbidden(error.to_string()))
    }
}

fn changed(error: ChangeError) -> Denied {
    match error {
        ChangeError::Propose(error) => denied(error),
        error => Denied::Forbidden(error.to_string()),
    }
}
