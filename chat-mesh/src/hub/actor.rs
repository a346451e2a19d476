//! The one task that owns a hub's machine, its channels and their logs. So a join sees one moment: what it is told and
//! where its log goes on fit together.
//!
//! ```text
//! connections ──Join, Submit──▶ commands ─┐                        ┌─▶ logs ──▶ readers
//! links, members, store ────────Mesh──────┼─▶ Mesh ──▶ Output ─────┼─▶ letters
//! places given back ────────────leaving───┘                        └─▶ Store, Links
//! ```
//! It never waits for anybody. Per turn it takes [`TURN`] commands at most, then appends to the logs what came of them.

mod joins;
mod standings;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use freshet_proto::{
    chat::{Event, Login, Modes, Role, Submit, To, UserAction, What},
    id::ChannelName,
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};

use super::{
    Shared, Standing,
    channel::Channel,
    format::Encoder,
    inbox::{Inbox, Letter},
    join,
    keep::Keep,
    pace::Paces,
    seat::{Join, Known},
};
use crate::mesh::{Input, Mesh, Now, Output};

/// How many commands may wait for a hub. Beyond that, clients are told to come again in a moment, and others wait.
pub(super) const MAX_COMMANDS: usize = 8_192;

/// How many commands are taken before the logs are written.
const TURN: usize = 256;

/// How often what has a time limit is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Below which posts' numbers begin. They begin anywhere: homes know a post by its hub and its number, and one that was answered
/// to the hub's process before this one must not stand for one of this.
const FIRST_TICKET: u64 = 1 << 40;

/// What the hub's task is asked to do.
pub(super) enum Command {
    Join(Box<Join>),
    Submit {
        submit: Box<Submit>,
        ticket: u64,
        inbox: Arc<Inbox>,
    },
    /// What is told the machine by its surroundings.
    Mesh(Input),
    /// The call that stored something of a channel is done.
    Kept(ChannelName),
    /// What is stored of somebody in a channel.
    Stands(ChannelName, Login, Standing),
    /// Channels may have become private, or be gone.
    Recheck,
    /// Say when everything before this is done.
    Sync(tokio::sync::oneshot::Sender<()>),
}

/// See the module.
pub(super) struct Actor {
    pub shared: Arc<Shared>,
    pub mesh: Mesh,
    pub channels: BTreeMap<ChannelName, Channel>,
    encoder: Encoder,
    keep: Keep,
    paces: Paces,
    /// Posts without an answer: whose they are, and what they call them. Clients and the queue bound them.
    tickets: BTreeMap<u64, (Arc<Inbox>, u64)>,
    next_ticket: u64,
    dirty: BTreeSet<ChannelName>,
    waiting: usize,
    outputs: Vec<Output>,
}

impl Actor {
    pub(super) fn new(shared: Arc<Shared>, mesh: Mesh, back: mpsc::WeakSender<Command>) -> Self {
        let keep = Keep::new(Arc::clone(&shared.store), back);
        let encoder = Encoder::new(shared.config.deflate_level);
        let next_ticket = shared.random.below(FIRST_TICKET);
        Self {
            shared,
            mesh,
            channels: BTreeMap::new(),
            encoder,
            keep,
            paces: Paces::default(),
            tickets: BTreeMap::new(),
            next_ticket,
            dirty: BTreeSet::new(),
            waiting: 0,
            outputs: Vec::new(),
        }
    }

    /// Runs until nobody can ask for anything any more.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut leaving: mpsc::UnboundedReceiver<(ChannelName, usize)>,
    ) {
        let (mut left, mut batch) = (Vec::new(), Vec::new());
        let mut look = Instant::now() + LOOK;
        loop {
            let wake = self.wake(look);
            tokio::select! {
                biased;
                _ = leaving.recv_many(&mut left, TURN) => {}
                taken = commands.recv_many(&mut batch, TURN) => if taken == 0 { return },
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            for (channel, key) in left.drain(..) {
                self.leave(&channel, key);
            }
            for command in batch.drain(..) {
                self.command(command, now);
            }
            if self.mesh.deadline_ms() <= self.shared.now().mono_ms {
                self.tell(Input::Timeout);
            }
            if now >= look {
                self.look(now);
                look = now + LOOK;
            }
            self.flush(now);
        }
    }

    fn wake(&self, look: Instant) -> Instant {
        let mesh = self.shared.began + Duration::from_millis(self.mesh.deadline_ms());
        let dirty = self.dirty.iter().filter_map(|name| self.channels.get(name)?.due()).min();
        dirty.into_iter().fold(look.min(mesh), Instant::min)
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Join(join) => self.join(*join, now),
            Command::Submit { submit, ticket, inbox } => self.submit(submit, ticket, inbox),
            Command::Mesh(input) => self.tell(input),
            Command::Kept(channel) => self.keep.next(channel),
            Command::Stands(channel, login, standing) => self.stands(&channel, &login, standing),
            Command::Recheck => self.recheck(),
            Command::Sync(done) => drop(done.send(())),
        }
    }

    fn submit(&mut self, submit: Box<Submit>, ticket: u64, inbox: Arc<Inbox>) {
        let author = &submit.author;
        let moderates = self
            .mesh
            .follower(&submit.channel)
            .is_some_and(|follower| follower.state().roles_of(author, follower.owner()).highest() >= Role::Moderator);
        if let Err(refusal) = self.paces.take(&author.user.login, moderates, self.shared.now().mono_ms) {
            let answer = Err(refusal);
            self.shared.stats.answered(&answer);
            return inbox.put(Letter::Answer { ticket, answer });
        }
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, (inbox, ticket));
        self.tell(Input::Submit { ticket: self.next_ticket, submit });
    }

    /// Tells the machine something, and does what it wants done.
    pub(super) fn tell(&mut self, input: Input) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.mesh.handle(self.shared.now(), input, &mut outputs);
        for output in outputs.drain(..) {
            self.perform(output);
        }
        self.outputs = outputs;
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { to, message } => self.shared.links.send(to, message),
            Output::Ready(channel) => self.ready(&channel),
            Output::Show { channel, event } => self.show(channel, event),
            Output::Gap { channel, missed, position } => {
                self.shared.stats.gaps.add(1);
                let modes = self.modes(&channel);
                self.flushed(&channel, |channel| channel.gap(missed, position, &modes));
            }
            Output::Restart(channel) => self.restart(&channel),
            Output::Count { channel, connections, users } => self.count(&channel, connections, users),
            Output::Notice { channel, notice } => self.notice(&channel, notice),
            Output::Answer { ticket, answer } => {
                self.shared.stats.answered(&answer);
                if let Some((inbox, ticket)) = self.tickets.remove(&ticket) {
                    inbox.put(Letter::Answer { ticket, answer });
                }
            }
            Output::Open(channel) => self.keep.open(channel),
            Output::Store { channel, epoch, version, change } => self.keep.store(channel, epoch, version, change),
            Output::Log { channel, entry } => {
                // As few are written as moderators act.
                let epoch = self.mesh.homes().find(|(home, _)| **home == channel).map_or(0, |(_, epoch)| epoch);
                self.keep.log(channel, epoch, entry);
            }
            Output::Home { channel, epoch } => {
                tracing::info!(epoch, channel = %channel, "this hub is the home of a channel");
            }
            Output::Left => drop(self.shared.left.send_replace(true)),
        }
    }

    fn show(&mut self, name: ChannelName, event: Arc<Event>) {
        let Some(channel) = self.channels.get_mut(&name) else { return };
        let role = match &event.what {
            What::User { login, action: UserAction::Role(role), .. } => Some((login.clone(), *role)),
            _ => None,
        };
        channel.show(event, Instant::now(), Duration::from_millis(self.shared.config.batch_ms));
        self.shared.stats.events.add(1);
        if let Some((login, role)) = role {
            self.standing(&name, &login);
            if role.is_some_and(|role| role >= MODERATES) {
                self.tell(Input::Waiting { channel: name.clone(), to: To::User(login) });
            }
        }
        self.dirty.insert(name);
    }

    /// Does something to a channel once all its logs have all there is.
    fn flushed<T>(&mut self, name: &ChannelName, then: impl FnOnce(&mut Channel) -> T) -> Option<T> {
        let channel = self.channels.get_mut(name)?;
        if !channel.flush_all(Instant::now(), &mut self.encoder) {
            self.restart(name);
        }
        self.channels.get_mut(name).map(then)
    }

    fn flush(&mut self, now: Instant) {
        for name in std::mem::take(&mut self.dirty) {
            let Some(channel) = self.channels.get_mut(&name) else { continue };
            if !channel.flush(now, &mut self.encoder) {
                self.restart(&name);
            } else if channel.due().is_some() {
                self.dirty.insert(name);
            }
        }
    }

    /// Numbers begin anew: readers go on in other logs, and are told that something is missing.
    fn restart(&mut self, name: &ChannelName) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(state) = self.mesh.follower(name).map(|follower| follower.state()) else {
            return channel.forget_logs();
        };
        let (head, modes) = (state.head(), &state.durable().modes);
        let changed = channel.restart(modes);
        self.shared.stats.gaps.add(1);
        let readers: Vec<_> =
            channel.readers.iter().map(|(_, reader)| (reader.format, Arc::clone(&reader.inbox))).collect();
        for (format, inbox) in readers {
            let (log, cursor) = channel.log(format, head, modes, &self.shared.fanout);
            let gap = format.gap(name, None, head, &changed);
            inbox.put(Letter::Moved { channel: name.clone(), log, cursor, gap });
        }
    }

    /// The modes of a channel as far as this hub knows.
    fn modes(&self, name: &ChannelName) -> Modes {
        self.mesh.follower(name).map(|follower| follower.state().durable().modes.clone()).unwrap_or_default()
    }

    fn notice(&mut self, name: &ChannelName, notice: freshet_proto::chat::Notice) {
        let (Some(channel), Some(follower)) = (self.channels.get(name), self.mesh.follower(name)) else { return };
        let notice = Arc::new(notice);
        for login in join::addressees(channel, follower, &notice.to) {
            for reader in channel.readers_of(&login) {
                reader.inbox.put(Letter::Notice(name.clone(), Arc::clone(&notice)));
            }
        }
    }

    /// What has a time limit: joins that wait, and counts.
    fn look(&mut self, now: Instant) {
        let mut late = Vec::new();
        for channel in self.channels.values_mut() {
            late.extend(channel.waiting.extract_if(.., |waiting| waiting.until <= now).map(|waiting| waiting.join));
        }
        self.waiting -= late.len();
        for join in late {
            let name = join.channel.clone();
            // What is known here may be out of date, so none of it is shown; what comes is.
            self.seat(join, Known::Old);
            self.forget_unwanted(&name);
        }
        self.presence(now);
        self.paces.forget(self.shared.now().mono_ms);
        self.shared.stats.channels.set(self.channels.len());
    }
}

/// The machine's clock.
impl Shared {
    pub(super) fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono_ms, wall_ms: self.clock.now_ms() }
    }
}

/// Who may be told what concerns moderators.
pub(super) const MODERATES: Role = Role::Moderator;
