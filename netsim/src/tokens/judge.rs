//! Whether a door was right to let a token in, or to refuse it.
//!
//! | a door | is right |
//! |---|---|
//! | lets in | while the token has not run out by its clock and leeway, and its edge knows the key and of no revocation |
//! | refuses | what has run out, what an operator has revoked, what is made with a key that an operator has revoked or dropped |
//! |         | or that began at once and that the edge has not heard of |
//!
//! How old an edge's view may be is [`super::Tokens::follow`]'s to say: only faults excuse it. Of an edge, and of whoever signed,
//! that was behind for longer than a key is known before it signs nothing is promised; nor where clocks differ by more than
//! [`crate::schedule::SKEW_MS`].

use freshet_proto::{
    annex::{Annex, Revocations, Revoked},
    token::LEEWAY_MS,
};

use super::{Key, PENDING_MS, SLACK_MS, TOKEN_MS, Target, Token, Tokens, private};
use crate::{
    invariants::Rule,
    ledger::Broken,
    schedule::{Host, SKEW_MS},
    sometimes::Situation,
};

/// What an edge answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Come in.
    LetIn,
    /// 403.
    Refused,
}

/// An edge at a moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// When, in ms of the simulation.
    pub at_ms: u64,
    /// By its clock, in ms since 1970.
    pub clock_ms: u64,
    /// What it knows.
    pub annex: Annex,
}

/// A token that was shown to an edge, and the edge when it was asked and when its answer came: it judged in between.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Which.
    pub token: &'a Token,
    /// To whom.
    pub edge: Host,
    /// The edge when it was asked.
    pub asked: Look,
    /// The edge when its answer came.
    pub answered: Look,
}

impl Token {
    /// On account of what it may be revoked.
    fn revocable(&self) -> impl Iterator<Item = Revoked> {
        [Some(Revoked::Playback(self.session)), private().map(Revoked::Channel)].into_iter().flatten()
    }

    fn is_barred(&self, revoked: &Revocations) -> bool {
        self.revocable().any(|what| revoked.bars(&what, self.minted_ms))
    }

    fn key_is_in(&self, annex: &Annex) -> bool {
        match &self.key {
            Key::Signing(kid) => annex.keys.signing_key(kid).is_some(),
            Key::Path(id) => annex.keys.path.iter().any(|secret| secret.id == *id),
        }
    }

    /// Until when it is taken at most, by the clock of whoever verifies.
    fn last_ms(&self) -> u64 {
        match self.key {
            Key::Signing(_) => self.until_ms + LEEWAY_MS,
            Key::Path(_) => self.until_ms,
        }
    }

    /// Until when it must be taken: a path token says that it lasts for longer than secrets are kept here.
    fn promised_ms(&self) -> u64 {
        self.until_ms.min(self.minted_ms + TOKEN_MS)
    }
}

impl Tokens {
    /// Judges an answer; tells what came up.
    ///
    /// # Errors
    /// When it was wrong (I6).
    pub fn judge(&self, shown: &Shown<'_>, answer: Answer) -> Result<Vec<Situation>, Broken> {
        let judged = match answer {
            Answer::LetIn => self.let_in(shown),
            Answer::Refused => self.refused(shown),
        };
        judged.map_err(|why| {
            let Shown { token, edge, asked, answered } = shown;
            let Token { key, session, by, at_ms, minted_ms, until_ms, .. } = token;
            let what = format!(
                "{edge}, asked at {} ms, {answer:?} a token of {key} and session {session:x}, made by {by} at {at_ms} ms \
                 (it says from {minted_ms} to {until_ms}; the edge's clock was at {}): {why}",
                asked.at_ms, answered.clock_ms
            );
            (Rule::I6, what)
        })
    }

    fn let_in(&self, Shown { token, edge, asked, answered }: &Shown<'_>) -> Result<Vec<Situation>, &'static str> {
        if asked.clock_ms >= token.last_ms() {
            return Err("it had run out");
        }
        if !token.key_is_in(&asked.annex) && !token.key_is_in(&answered.annex) {
            return Err("the edge does not know that key");
        }
        if token.is_barred(&asked.annex.revoked) && token.is_barred(&answered.annex.revoked) {
            return Err("the edge knows that it was revoked");
        }
        let escapes = |what: &Revoked| {
            let before =
                self.ordered.get(&Target::Minted(what.clone())).is_some_and(|first| token.at_ms + SKEW_MS < *first);
            before && asked.annex.revoked.bars.contains_key(what) && answered.annex.revoked.bars.contains_key(what)
        };
        if self.clocks_agree(token.by, edge) && token.revocable().any(|what| escapes(&what)) {
            return Err("it was revoked after it was made, and the edge knows of it");
        }
        let now = &self.history;
        let behind = now.keys_lag_ms(asked.at_ms, &asked.annex) > 0;
        let (in_force, signs) = (token.key_is_in(&self.in_force()), self.signs(&token.key));
        let came_up = [
            (
                now.revoked.as_ref() != asked.annex.revoked.as_ref() && token.is_barred(&now.revoked),
                Situation::RevokedElsewhere,
            ),
            (!in_force && behind, Situation::KeyGoneElsewhere),
            (behind && signs && !self.signed_before(token, &asked.annex), Situation::NewKeyAtStaleEdge),
            (in_force && !signs && matches!(token.key, Key::Signing(_)), Situation::OldKeyLetIn),
            (matches!(token.key, Key::Path(_)) && token.by != *edge, Situation::PathTokenElsewhere),
        ];
        Ok(came_up.into_iter().filter(|(came_up, _)| *came_up).map(|(_, situation)| situation).collect())
    }

    fn refused(&self, Shown { token, edge, asked, answered }: &Shown<'_>) -> Result<Vec<Situation>, &'static str> {
        if answered.clock_ms + SKEW_MS >= token.promised_ms() || token.minted_ms > asked.clock_ms + LEEWAY_MS {
            return Ok(vec![]);
        }
        if token.is_barred(&self.history.revoked) || token.is_barred(&asked.annex.revoked) {
            return self.barred(token, edge);
        }
        if self.is_revoked(&token.key) {
            let came_up =
                if matches!(token.key, Key::Path(_)) { Situation::DroppedRefused } else { Situation::KeyRefused };
            return Ok(vec![came_up]);
        }
        if self.history.urgent.contains(&token.key) && !token.key_is_in(&asked.annex) {
            return Ok(vec![Situation::HurriedKeyRefused]);
        }
        let behind_ms = self.history.keys_lag_ms(asked.at_ms, &asked.annex).max(token.stale_ms);
        if behind_ms + SLACK_MS > PENDING_MS || !self.clocks_agree(token.by, edge) {
            return Ok(vec![]);
        }
        Err("it is good")
    }

    /// A revocation is for what was made before it.
    fn barred(&self, token: &Token, edge: Host) -> Result<Vec<Situation>, &'static str> {
        let later = |what: &Revoked| {
            // It counts from when it was published at the latest.
            let published = self.history.barred_at.get(what).is_some_and(|at_ms| token.at_ms > at_ms + SKEW_MS);
            published || !self.ordered.contains_key(&Target::Minted(what.clone()))
        };
        let barred = |what: &Revoked| self.history.revoked.bars(what, token.minted_ms);
        let mut on_account = token.revocable().filter(barred).peekable();
        if on_account.peek().is_some() && on_account.all(|what| later(&what)) && self.clocks_agree(token.by, edge) {
            return Err("it was made after what was revoked");
        }
        Ok(vec![Situation::RevokedRefused])
    }

    /// Whether an operator has taken the key away.
    pub fn is_revoked(&self, key: &Key) -> bool {
        let ordered = |target| self.ordered.contains_key(&target);
        match key {
            Key::Signing(kid) => ordered(Target::Key(kid.clone())) && self.history.keys.signing_key(kid).is_none(),
            Key::Path(id) => ordered(Target::Path) && self.history.dropped.contains(id),
        }
    }

    fn in_force(&self) -> Annex {
        Annex { keys: self.history.keys.clone(), ..Annex::default() }
    }

    /// Whether tokens are made with it at present.
    fn signs(&self, key: &Key) -> bool {
        match key {
            Key::Signing(kid) => {
                let state = self.history.keys.signing_key(kid).map(|key| key.state);
                state == Some(freshet_proto::annex::KeyState::Active)
            }
            Key::Path(_) => false,
        }
    }

    /// Whether the edge knows the token's key as one that signs already.
    fn signed_before(&self, token: &Token, annex: &Annex) -> bool {
        let Key::Signing(kid) = &token.key else { return true };
        annex.keys.signing_key(kid).is_some_and(|key| key.state != freshet_proto::annex::KeyState::Pending)
    }

    /// The registry says this of keys and revocations; tells what came up.
    pub fn publish(&mut self, now_ms: u64, annex: &Annex) -> Vec<Situation> {
        self.history.publish(now_ms, annex)
    }

    /// How far a node is behind the registry's keys, in ms.
    pub fn stale_ms(&self, now_ms: u64, annex: &Annex) -> u64 {
        self.history.keys_lag_ms(now_ms, annex)
    }
}
