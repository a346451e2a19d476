//! The machine where there is one hub.

use std::collections::BTreeMap;

use freshet_proto::{
    chat::{Code, Login, Submit},
    id::{ChannelName, NodeId},
};

use super::{Input, Members, Now, Output, Stored};
use crate::home::{self, Home, Limits, Record, Settings, State};

/// What a hub with readers has of a channel.
pub struct Follower {
    home: Home,
    owner: Login,
}

impl Follower {
    /// What readers may see.
    pub fn state(&self) -> &State {
        self.home.state()
    }

    /// Whose the channel is.
    pub fn owner(&self) -> &Login {
        &self.owner
    }
}

/// See the module.
pub struct Mesh {
    me: NodeId,
    members: Members,
    homes: BTreeMap<ChannelName, Follower>,
    opening: BTreeMap<ChannelName, Vec<(u64, Box<Submit>)>>,
    wanted: std::collections::BTreeSet<ChannelName>,
    limits: Limits,
    swept_ms: u64,
}

impl Mesh {
    /// A hub that knows of no others yet.
    pub fn new(me: NodeId, limits: Limits, now: Now) -> Self {
        let (members, wanted) = (Members::default(), Default::default());
        Self { me, members, homes: BTreeMap::new(), opening: BTreeMap::new(), wanted, limits, swept_ms: now.mono_ms }
    }

    /// What is known of a channel that is [`Output::Ready`].
    pub fn follower(&self, channel: &ChannelName) -> Option<&Follower> {
        self.homes.get(channel)
    }

    /// When [`Input::Timeout`] is wanted, by the monotonic clock.
    pub fn deadline_ms(&self) -> u64 {
        self.swept_ms + 100
    }

    /// Takes what happened; appends to `out` what is to be done.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Members(members) => {
                self.members = members;
                let channels: Vec<_> = self.opening.keys().cloned().collect();
                out.extend(channels.into_iter().map(Output::Open));
            }
            Input::Want(channel) => {
                self.wanted.insert(channel.clone());
                match self.homes.contains_key(&channel) {
                    true => out.push(Output::Ready(channel)),
                    false => self.open(channel, out),
                }
            }
            Input::Unwant(channel) => drop(self.wanted.remove(&channel)),
            Input::Submit { ticket, submit } => {
                let channel = submit.channel.clone();
                match self.homes.contains_key(&channel) {
                    true => self.at(now, &channel, home::Input::Submit { ticket, submit }, out),
                    false => {
                        self.open(channel.clone(), out);
                        self.opening.entry(channel).or_default().push((ticket, submit));
                    }
                }
            }
            Input::Opened { channel, stored } => self.opened(now, channel, stored, out),
            Input::Stored { channel, version } => self.at(now, &channel, home::Input::Stored { version }, out),
            Input::Timeout => {
                self.swept_ms = now.mono_ms;
                let due = |f: &Follower| f.home.deadline_ms(now).is_some_and(|at| at <= now.mono_ms);
                let due: Vec<_> = self.homes.iter().filter(|(_, f)| due(f)).map(|(c, _)| c.clone()).collect();
                due.into_iter().for_each(|channel| self.at(now, &channel, home::Input::Timeout, out));
            }
            Input::Leave => out.push(Output::Left),
            Input::Lease { .. } | Input::LinkUp(_) | Input::LinkDown(_) | Input::Message { .. } => {}
        }
    }

    fn open(&mut self, channel: ChannelName, out: &mut Vec<Output>) {
        if !self.opening.contains_key(&channel) {
            self.opening.insert(channel.clone(), Vec::new());
            if self.members.epoch > 0 {
                out.push(Output::Open(channel));
            }
        }
    }

    fn opened(&mut self, now: Now, channel: ChannelName, stored: Option<Box<Stored>>, out: &mut Vec<Output>) {
        let Some(posts) = self.opening.remove(&channel) else { return };
        let hub = self.members.hubs.get(&self.me).map_or(0, |member| u64::from(member.number));
        let home = stored.and_then(|stored| {
            let owner = stored.owner.clone();
            let state = State::new(self.limits.clone(), stored.durable);
            let settings = Settings::new(channel.clone(), owner.clone(), hub);
            let home = Home::take_over(settings, self.members.epoch, state, Vec::new(), now).ok()?;
            Some(Follower { home, owner })
        });
        match home {
            Some(home) => {
                self.homes.insert(channel.clone(), home);
                if self.wanted.contains(&channel) {
                    out.push(Output::Ready(channel.clone()));
                }
                for (ticket, submit) in posts {
                    self.at(now, &channel, home::Input::Submit { ticket, submit }, out);
                }
            }
            None => {
                let refused = |(ticket, _)| Output::Answer { ticket, answer: Err(Code::NoSuchChannel.into()) };
                out.extend(posts.into_iter().map(refused));
            }
        }
    }

    fn at(&mut self, now: Now, channel: &ChannelName, input: home::Input, out: &mut Vec<Output>) {
        let Some(Follower { home, .. }) = self.homes.get_mut(channel) else { return };
        let mut done = Vec::new();
        home.handle(now, input, &mut done);
        let epoch = home.epoch();
        let channel = || channel.clone();
        out.extend(done.into_iter().filter_map(|done| {
            Some(match done {
                home::Output::Record(Record::Event(event)) => Output::Show { channel: channel(), event },
                home::Output::Record(Record::Change { version, change }) => {
                    Output::Store { channel: channel(), epoch, version, change }
                }
                home::Output::Record(_) => return None,
                home::Output::Answer { ticket, answer } => Output::Answer { ticket, answer },
                home::Output::Notice(notice) => Output::Notice { channel: channel(), notice },
                home::Output::Log(entry) => Output::Log { channel: channel(), entry },
            })
        }));
    }
}
