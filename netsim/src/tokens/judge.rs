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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use freshet_proto::{
        annex::{Algorithm, KeyState, Keyring, SigningKey},
        view::Bar,
    };

    use super::*;
    use crate::schedule::{CONTROLS, EDGES};

    const T0: u64 = 1_000_000;

    /// Knows these keys, of which the last signs, and of this session that it was revoked at that time.
    fn annex(revision: u64, keys: &[&str], revoked: Option<(u64, u64)>) -> Annex {
        let key = |(n, kid): (usize, &&str)| SigningKey {
            kid: (*kid).to_owned(),
            algorithm: Algorithm::EdDsa,
            jwk: String::new(),
            state: if n + 1 == keys.len() { KeyState::Active } else { KeyState::Retiring },
        };
        let signing = keys.iter().enumerate().map(key).collect();
        let bar = |(session, at_ms)| (Revoked::Playback(session), Bar { since_ms: T0 + at_ms, until_ms: u64::MAX });
        Annex {
            keys: Arc::new(Keyring { revision, signing, path: vec![] }),
            revoked: Arc::new(Revocations { revision, bars: revoked.map(bar).into_iter().collect() }),
            ..Annex::default()
        }
    }

    /// Of session 7.
    fn token(kid: &str, at_ms: u64) -> Token {
        Token {
            text: String::new(),
            key: Key::Signing(kid.to_owned()),
            session: 7,
            minted_ms: T0 + at_ms,
            until_ms: T0 + at_ms + TOKEN_MS,
            by: CONTROLS[0],
            at_ms,
            stale_ms: 0,
        }
    }

    /// Whether it was right of an edge that knows this to answer so at that time.
    fn right(tokens: &Tokens, token: &Token, at_ms: u64, knows: &Annex, answer: Answer) -> bool {
        let look = Look { at_ms, clock_ms: T0 + at_ms, annex: knows.clone() };
        let shown = Shown { token, edge: EDGES[0], asked: look.clone(), answered: look };
        tokens.judge(&shown, answer).is_ok()
    }

    #[test]
    fn a_token_is_taken_until_it_has_run_out_and_not_after_the_leeway() {
        let (mut tokens, now) = (Tokens::default(), annex(1, &["a"], None));
        tokens.publish(0, &now);
        let right = |at_ms, answer| right(&tokens, &token("a", 1_000), at_ms, &now, answer);
        assert!(right(2_000, Answer::LetIn) && !right(2_000, Answer::Refused));
        assert!(right(5_000, Answer::Refused) && right(9_999, Answer::LetIn));
        assert!(!right(10_000, Answer::LetIn));
    }

    #[test]
    fn a_revoked_session_is_refused_by_who_knows_of_it_and_let_in_by_who_can_not() {
        let (mut tokens, before, now) = (Tokens::default(), annex(1, &["a"], None), annex(2, &["a"], Some((7, 1_500))));
        tokens.publish(0, &before);
        tokens.order(1_500, Target::Minted(Revoked::Playback(7)));
        tokens.publish(1_600, &now);
        let right = |minted, knows, answer| right(&tokens, &token("a", minted), 2_500, knows, answer);
        assert!(right(1_000, &now, Answer::Refused) && !right(1_000, &now, Answer::LetIn));
        assert!(right(1_000, &before, Answer::LetIn));
        assert!(right(2_000, &now, Answer::LetIn) && !right(2_000, &now, Answer::Refused), "it was made later");
    }

    #[test]
    fn a_bar_that_reaches_too_short_or_too_far_is_found() {
        for (since_ms, minted, answer) in [(500, 1_000, Answer::LetIn), (9_000, 2_500, Answer::Refused)] {
            let (mut tokens, now) = (Tokens::default(), annex(2, &["a"], Some((7, since_ms))));
            tokens.publish(0, &annex(1, &["a"], None));
            tokens.order(1_500, Target::Minted(Revoked::Playback(7)));
            tokens.publish(1_600, &now);
            assert!(!right(&tokens, &token("a", minted), 3_000, &now, answer), "{since_ms}");
        }
    }

    #[test]
    fn a_key_may_be_unknown_where_it_began_in_a_hurry_or_the_edge_is_behind_for_too_long() {
        let (before, after) = (annex(1, &["a"], None), annex(2, &["a", "b"], None));
        let mut tokens = Tokens::default();
        tokens.publish(0, &before);
        tokens.publish(1_000, &after);
        let refused = |tokens: &Tokens, at_ms| right(tokens, &token("b", at_ms - 500), at_ms, &before, Answer::Refused);
        assert!(!refused(&tokens, 3_000), "the one before it retires, so that there was time");
        assert!(refused(&tokens, 1_000 + PENDING_MS));
        let mut hurried = Tokens::default();
        hurried.publish(0, &before);
        hurried.publish(1_000, &annex(2, &["b"], None));
        assert!(refused(&hurried, 3_000));
    }

    #[test]
    fn a_key_that_is_gone_without_an_order_is_missed() {
        let (mut tokens, now) = (Tokens::default(), annex(2, &["b"], None));
        tokens.publish(0, &annex(1, &["a", "b"], None));
        tokens.publish(1_000, &now);
        let refused = |tokens: &Tokens| right(tokens, &token("a", 500), 2_000, &now, Answer::Refused);
        assert!(!refused(&tokens));
        tokens.order(900, Target::Key("a".to_owned()));
        assert!(refused(&tokens));
        assert!(!right(&tokens, &token("a", 500), 2_000, &now, Answer::LetIn), "the edge does not know it any more");
    }

    #[test]
    fn nothing_is_promised_where_clocks_differ_by_too_much() {
        let (mut tokens, now) = (Tokens::default(), annex(1, &["b"], None));
        tokens.publish(0, &now);
        tokens.clock(CONTROLS[1], -200);
        tokens.clock(EDGES[0], 100);
        assert!(right(&tokens, &token("a", 500), 2_000, &now, Answer::Refused));
        assert!(!right(&tokens, &token("a", 500), 20_000, &now, Answer::LetIn), "but it has run out");
    }
}
