//! What must outlive every hub: who is banned, who helps, which terms, which modes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Code, Event, Login, MAX_TERMS, ModeChange, Modes, Pattern, Reason, Role, Term, TermAction, UserAction, What,
};

/// How many people are silenced in one channel at most. Timeouts that have run out are forgotten first.
pub const MAX_BANS: usize = 100_000;
/// How many moderators and VIPs a channel has at most.
pub const MAX_ROLES: usize = 500;

/// A channel's state that is stored. The home changes it at once; whoever owns durability follows by [`Change`]s, or takes
/// the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// Rises by one with each change.
    pub version: u64,
    /// Moderators and VIPs.
    pub roles: BTreeMap<Login, Role>,
    /// Who is silenced.
    pub bans: BTreeMap<Login, Ban>,
    /// What is not to be read, in the order in which it was said.
    pub terms: Vec<Term>,
    /// The modes in force.
    pub modes: Modes,
    /// What the modes were before the shield.
    pub before_shield: Option<Modes>,
    /// What the modes are when the shield is raised: as they were when it was last lifted.
    pub preset: Modes,
}

impl Default for Durable {
    fn default() -> Self {
        let preset = Modes { slow_s: 30, followers_min: Some(10), links_off: true, shield: true, ..Modes::default() };
        Self {
            version: 0,
            roles: BTreeMap::new(),
            bans: BTreeMap::new(),
            terms: Vec::new(),
            modes: Modes::default(),
            before_shield: None,
            preset,
        }
    }
}

/// That somebody is silenced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Until when, in ms since 1970; `None` for good.
    pub until_ms: Option<u64>,
    /// Since when.
    pub at_ms: u64,
    /// By whom.
    pub by: Login,
    /// Why.
    pub reason: Reason,
}

/// One change of it. Doing it twice does it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Change {
    /// Somebody is silenced.
    Ban(Login, Ban),
    /// Somebody may speak again.
    Unban(Login),
    /// Somebody is a moderator, a VIP, or neither.
    Role(Login, Option<Role>),
    /// What a term does.
    Term(Pattern, Option<TermAction>),
    /// The modes.
    Modes(Modes),
}

impl Durable {
    /// Does `change`, and says whether anything is different.
    ///
    /// # Errors
    /// [`Code::Full`] where there are as many as there may be; nothing is changed then.
    pub fn apply(&mut self, change: &Change, now_ms: u64) -> Result<bool, Code> {
        let changed = match change {
            Change::Ban(login, ban) => self.ban(login, ban, now_ms)?,
            Change::Unban(login) => self.bans.remove(login).is_some(),
            Change::Role(login, role) => self.set_role(login, *role)?,
            Change::Term(pattern, action) => self.set_term(pattern, *action)?,
            Change::Modes(modes) => self.set_modes(modes),
        };
        self.version += u64::from(changed);
        Ok(changed)
    }

    /// The change that an event tells of, if it tells of one: a standby needs no more than the events for these.
    pub fn told_by(event: &Event) -> Option<Change> {
        match &event.what {
            What::Modes { modes, .. } => Some(Change::Modes(modes.clone())),
            What::User { login, action, by } => {
                let ban =
                    |until_ms| Ban { until_ms, at_ms: event.at_ms, by: by.login.clone(), reason: Reason::cut("") };
                match action {
                    UserAction::Timeout { until_ms, .. } => Some(Change::Ban(login.clone(), ban(Some(*until_ms)))),
                    UserAction::Ban => Some(Change::Ban(login.clone(), ban(None))),
                    UserAction::Unban => Some(Change::Unban(login.clone())),
                    UserAction::Role(role) => Some(Change::Role(login.clone(), *role)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The changes that make this of `earlier`, but for what the shield is raised to.
    pub fn since(&self, earlier: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for login in earlier.bans.keys().filter(|login| !self.bans.contains_key(*login)) {
            changes.push(Change::Unban(login.clone()));
        }
        // Why is not known everywhere.
        let is_same = |a: &Ban, b: &Ban| (a.until_ms, a.at_ms) == (b.until_ms, b.at_ms);
        let is_new = |login, ban| !earlier.bans.get(login).is_some_and(|known| is_same(known, ban));
        let new_bans = self.bans.iter().filter(|(login, ban)| is_new(*login, *ban));
        changes.extend(new_bans.map(|(login, ban)| Change::Ban(login.clone(), ban.clone())));
        for login in earlier.roles.keys().filter(|login| !self.roles.contains_key(*login)) {
            changes.push(Change::Role(login.clone(), None));
        }
        let new_roles = self.roles.iter().filter(|(login, role)| earlier.roles.get(*login) != Some(role));
        changes.extend(new_roles.map(|(login, role)| Change::Role(login.clone(), Some(*role))));
        for term in earlier.terms.iter().filter(|term| !self.terms.iter().any(|now| now.pattern == term.pattern)) {
            changes.push(Change::Term(term.pattern.clone(), None));
        }
        let new_terms = self.terms.iter().filter(|term| !earlier.terms.contains(term));
        changes.extend(new_terms.map(|term| Change::Term(term.pattern.clone(), Some(term.action))));
        if self.modes != earlier.modes {
            changes.push(Change::Modes(self.modes.clone()));
        }
        changes
    }

    /// Whether somebody is silenced at `now_ms` since 1970.
    pub fn ban_of(&self, login: &Login, now_ms: u64) -> Option<&Ban> {
        self.bans.get(login).filter(|ban| ban.until_ms.is_none_or(|until| until > now_ms))
    }

    /// The modes after a change.
    pub fn changed(&self, change: ModeChange) -> Modes {
        let mut modes = self.modes.clone();
        match change {
            ModeChange::Slow(seconds) => modes.slow_s = seconds.min(Modes::MAX_SLOW_S),
            ModeChange::Followers(minutes) => modes.followers_min = minutes,
            ModeChange::EmoteOnly(on) => modes.emote_only = on,
            ModeChange::Unique(on) => modes.unique = on,
            ModeChange::LinksOff(on) => modes.links_off = on,
            ModeChange::Shield(true) if !modes.shield => modes = self.preset.clone(),
            ModeChange::Shield(false) if modes.shield => modes = self.before_shield.clone().unwrap_or_default(),
            ModeChange::Shield(_) => {}
        }
        modes
    }

    fn ban(&mut self, login: &Login, ban: &Ban, now_ms: u64) -> Result<bool, Code> {
        // The event tells of it a second time, without the reason.
        if self.bans.get(login).is_some_and(|old| (old.until_ms, old.at_ms) == (ban.until_ms, ban.at_ms)) {
            return Ok(false);
        }
        if self.bans.len() >= MAX_BANS && !self.bans.contains_key(login) {
            self.bans.retain(|_, ban| ban.until_ms.is_none_or(|until| until > now_ms));
            if self.bans.len() >= MAX_BANS {
                return Err(Code::Full);
            }
        }
        self.bans.insert(login.clone(), ban.clone());
        Ok(true)
    }

    fn set_role(&mut self, login: &Login, role: Option<Role>) -> Result<bool, Code> {
        match role {
            None => Ok(self.roles.remove(login).is_some()),
            Some(_) if self.roles.len() >= MAX_ROLES && !self.roles.contains_key(login) => Err(Code::Full),
            Some(role) => Ok(self.roles.insert(login.clone(), role) != Some(role)),
        }
    }

    fn set_term(&mut self, pattern: &Pattern, action: Option<TermAction>) -> Result<bool, Code> {
        let at = self.terms.iter().position(|term| term.pattern == *pattern);
        match (at, action) {
            (Some(at), None) => drop(self.terms.remove(at)),
            (Some(at), Some(action)) if self.terms[at].action != action => self.terms[at].action = action,
            (None, Some(_)) if self.terms.len() >= MAX_TERMS => return Err(Code::Full),
            (None, Some(action)) => self.terms.push(Term { pattern: pattern.clone(), action }),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_modes(&mut self, modes: &Modes) -> bool {
        if self.modes == *modes {
            return false;
        }
        let old = std::mem::replace(&mut self.modes, modes.clone());
        match (old.shield, modes.shield) {
            (false, true) => self.before_shield = Some(old),
            (true, false) => (self.preset, self.before_shield) = (old, None),
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(durable: &mut Durable, change: ModeChange) -> Modes {
        let modes = durable.changed(change);
        durable.apply(&Change::Modes(modes.clone()), 0).unwrap();
        modes
    }

    #[test]
    fn the_shield_is_one_switch_that_remembers_both_sides() {
        let mut durable = Durable::default();
        let before = change(&mut durable, ModeChange::Slow(5));
        let raised = change(&mut durable, ModeChange::Shield(true));
        assert_eq!((raised.slow_s, raised.followers_min, raised.links_off, raised.shield), (30, Some(10), true, true));
        let tuned = change(&mut durable, ModeChange::EmoteOnly(true));
        assert_eq!(change(&mut durable, ModeChange::Shield(true)), tuned);
        assert_eq!(change(&mut durable, ModeChange::Shield(false)), before);
        assert_eq!(change(&mut durable, ModeChange::Shield(true)), tuned);
        assert_eq!(durable.version, 5);
    }

    #[test]
    fn a_timeout_ends_by_itself_and_a_ban_does_not() {
        let mut durable = Durable::default();
        let [ada, bob]: [Login; 2] = ["ada", "bob"].map(|name| name.parse().unwrap());
        let ban = |until_ms| Ban { until_ms, at_ms: 1, by: bob.clone(), reason: Reason::cut("why") };
        assert_eq!(durable.apply(&Change::Ban(ada.clone(), ban(Some(100))), 1), Ok(true));
        assert!(durable.ban_of(&ada, 99).is_some() && durable.ban_of(&ada, 100).is_none());
        assert_eq!(durable.apply(&Change::Ban(ada.clone(), ban(None)), 1), Ok(true));
        assert!(durable.ban_of(&ada, u64::MAX).is_some());
        assert_eq!(durable.apply(&Change::Unban(ada.clone()), 1), Ok(true));
        assert_eq!(durable.apply(&Change::Unban(ada.clone()), 1), Ok(false));
        assert_eq!((durable.ban_of(&ada, 1), durable.version), (None, 3));
    }

    #[test]
    fn lists_have_limits_and_run_out_timeouts_make_room() {
        let mut durable = Durable::default();
        for n in 0..MAX_TERMS {
            durable.apply(&Change::Term(Pattern::cut(&format!("t{n}")), Some(TermAction::Block)), 0).unwrap();
        }
        let one_more = Change::Term(Pattern::cut("more"), Some(TermAction::Hold));
        assert_eq!(durable.apply(&one_more, 0), Err(Code::Full));
        durable.apply(&Change::Term(Pattern::cut("t7"), None), 0).unwrap();
        assert_eq!(durable.apply(&one_more, 0), Ok(true));

        let by: Login = "mod".parse().unwrap();
        let ban = |n: usize, until_ms| {
            let ban = Ban { until_ms, at_ms: 0, by: by.clone(), reason: Reason::cut("") };
            Change::Ban(format!("u{n}").parse().unwrap(), ban)
        };
        for n in 0..MAX_BANS {
            durable.apply(&ban(n, Some(10 + u64::from(n > 0))), 0).unwrap();
        }
        assert_eq!(durable.apply(&ban(MAX_BANS, None), 9), Err(Code::Full));
        assert_eq!(durable.apply(&ban(MAX_BANS, None), 10), Ok(true));
        assert_eq!(durable.bans.len(), MAX_BANS);
    }
}
