//! Keeps the keys: what the leader does when a step of their lives is due, what operators ask for, and what this node signs with.
//!
//! ```text
//! rotation::plan ──▶ generate ──▶ Safe (wraps) ──▶ Input ──▶ the registry ──▶ Safe (unwraps) ──▶ Control::signer
//! ```
//! Any control node signs, if it has the key-encryption key; only the leader makes keys.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use freshet_proto::{
    admin::{AdminReply, KeyStage, KeyStatus, Keys, PathStatus},
    annex::Revoked,
    level::Level,
    message::Denied,
    registry::Refused,
    token::Signer,
    view::Bar,
};
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Control, Inner};
use crate::{
    keys::{
        self, NewKey, Settings, generate, ring,
        rotation::{self, Step},
        safe::{KekError, Locked, Safe},
    },
    machine::{Input, Registry},
};

/// After how long what could not be proposed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// After how long a key-encryption key that is missing is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Why this node has nothing to sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotSign {
    /// There is no key yet: the control nodes have not agreed on version 2, or nobody has led since.
    #[error("there is no signing key yet")]
    NoKey,
    /// The operator's doing.
    #[error(transparent)]
    Locked(#[from] Locked),
}

/// What a control node remembers of keys besides the registry.
pub(super) struct Keeper {
    settings: Settings,
    safe: Safe,
    /// Signs with the key that was unwrapped last.
    signer: Mutex<Option<Arc<Signer>>>,
    /// Until when the leader does not try again what failed.
    rest_until: Mutex<Option<Instant>>,
}

impl Keeper {
    pub(super) fn open(plan: keys::Plan) -> Result<Self, KekError> {
        let safe = Safe::open(plan.source)?;
        Ok(Self { settings: plan.settings, safe, signer: Mutex::default(), rest_until: Mutex::default() })
    }

    fn rest(&self, until: Option<Instant>) {
        *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn rests_until(&self) -> Option<Instant> {
        *self.rest_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unwraps the key that signs, unless it was unwrapped before.
    fn signer_of(&self, active: &ring::Key) -> Result<Arc<Signer>, Locked> {
        let NewKey { kid, algorithm, .. } = &active.made;
        let mut known = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signer) = known.as_ref().filter(|signer| signer.kid() == kid) {
            return Ok(signer.clone());
        }
        let pkcs8 = self.safe.unwrap(&active.made)?;
        let signer = Signer::new(*algorithm, kid.clone(), &pkcs8);
        let signer = signer.map_err(|error| Locked::Damaged(format!("key {kid}: {error}; revoke it")))?;
        Ok(known.insert(Arc::new(signer)).clone())
    }
}

impl Control {
    /// Signs tokens, with the key that is active as far as this node has read. Ask anew for each token: that is a look at the
    /// registry, and for a new key some 100 µs once.
    ///
    /// # Errors
    /// See [`CannotSign`].
    pub fn signer(&self) -> Result<Arc<Signer>, CannotSign> {
        self.0.signer()
    }
}

/// Unwraps what is to be signed with as soon as it is agreed on, and says so loudly where this node can't; until the node closes.
pub(super) async fn attend(control: Weak<Inner>, closing: CancellationToken) {
    let Some(mut views) = control.upgrade().map(|control| control.group.feed().view()) else { return };
    let mut told = None;
    loop {
        let Some(inner) = control.upgrade() else { return };
        let found = inner.look_for_signer();
        drop(inner);
        if told.as_ref() != Some(&found) {
            match &found {
                Ok(Some(kid)) => info!(%kid, "this control node signs tokens"),
                Ok(None) => {}
                Err(why) => error!(%why, "this control node can't sign tokens"),
            }
        }
        let revision = views.borrow_and_update().annex.keys.revision;
        let locked = found.is_err();
        told = Some(found);
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            changed = views.wait_for(|view| view.annex.keys.revision != revision) => if changed.is_err() { return },
            () = sleep(LOOK_AGAIN), if locked => {}
        }
    }
}

impl Inner {
    fn signer(&self) -> Result<Arc<Signer>, CannotSign> {
        let active = self.group.read(|registry| registry.ring().active().cloned()).ok_or(CannotSign::NoKey)?;
        Ok(self.keeper.signer_of(&active)?)
    }

    fn look_for_signer(&self) -> Result<Option<String>, Locked> {
        let found = match self.signer() {
            Err(CannotSign::Locked(_)) => {
                self.keeper.safe.reread();
                self.signer()
            }
            found => found,
        };
        let can = u8::from(found.is_ok());
        metrics::gauge!("freshet_keys_can_sign").set(can);
        match found {
            Ok(signer) => Ok(Some(signer.kid().to_owned())),
            Err(CannotSign::Locked(why)) => Err(why),
            Err(CannotSign::NoKey) => Ok(None),
        }
    }

    /// When the leader must look after the keys again.
    pub(super) fn keys_due(&self, now_ms: u64) -> Option<Instant> {
        let settings = &self.keeper.settings;
        let due = |registry: &Registry| {
            let ready = registry.level() >= Level::ANNEX && registry.secrets().is_some();
            if ready { rotation::deadline_ms(registry.ring(), settings) } else { None }
        };
        let at = Instant::now() + Duration::from_millis(self.group.read(due)?.saturating_sub(now_ms));
        Some(self.keeper.rests_until().map_or(at, |until| at.max(until)))
    }

    /// Does what is due.
    pub(super) async fn turn_keys(&self) {
        let now_ms = self.now_ms();
        if self.keys_due(now_ms).is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.keeper.rest(None);
        for step in self.group.read(|registry| rotation::plan(registry.ring(), now_ms, &self.keeper.settings)) {
            match self.take_step(&step).await {
                Ok(()) => info!(?step, "a step in the life of keys"),
                Err(Denied::Forbidden(why)) => {
                    error!(?step, why, "keys are not rotated as they should be");
                    self.keeper.rest(Some(Instant::now() + LOOK_AGAIN));
                }
                Err(denied) => {
                    warn!(?step, %denied, "a step in the life of keys could not be agreed on yet");
                    self.keeper.rest(Some(Instant::now() + RETRY));
                    return;
                }
            }
        }
    }

    async fn take_step(&self, step: &Step) -> Result<(), Denied> {
        let input = match step {
            Step::Make => Input::PutKey(self.make_key(false).await?),
            Step::Activate(kid) => Input::ActivateKey { kid: kid.clone() },
            Step::Retire(kid) => Input::RetireKey { kid: kid.clone() },
            Step::MakePath => {
                let (now_ms, secret) = (self.now_ms(), self.draw_secret());
                let next =
                    |registry: &Registry| rotation::next_path(registry.ring(), now_ms, &self.keeper.settings, secret);
                let (secret, older_until_ms) = self.group.read(next);
                Input::PutPathSecret { secret, older_until_ms }
            }
        };
        self.propose(input).await?.reply?;
        Ok(())
    }

    fn draw_secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.random.fill(&mut secret);
        secret
    }

    /// A key with the configured algorithm, wrapped.
    async fn make_key(&self, anew: bool) -> Result<NewKey, Denied> {
        let locked = |why: Locked| Denied::Forbidden(why.to_string());
        let ring = self.group.read(|registry| registry.ring().clone());
        let kek = match self.keeper.safe.for_next(&ring, anew, &self.random) {
            Err(_) => {
                self.keeper.safe.reread();
                self.keeper.safe.for_next(&ring, anew, &self.random)
            }
            kek => kek,
        }
        .map_err(locked)?;
        let algorithm = self.keeper.settings.algorithm;
        let unmade = Denied::Refused(Refused::Unavailable);
        let (pkcs8, public) = generate::generate_pair(algorithm, &self.random).await.map_err(|_| unmade.clone())?;
        let private = Some(kek.wrap(&public.kid, &pkcs8, &self.random).ok_or(unmade)?);
        Ok(NewKey { kid: public.kid, algorithm, jwk: public.jwk, private })
    }

    /// What an operator sees of them, here.
    pub(super) fn list_keys(&self) -> Keys {
        let settings = &self.keeper.settings;
        let ring = self.group.read(|registry| registry.ring().clone());
        let pending = ring.pending().map(|pending| pending.since_ms + settings.pending_ms);
        let status = |key: &ring::Key| KeyStatus {
            kid: key.made.kid.clone(),
            algorithm: key.made.algorithm,
            stage: key.stage,
            since_ms: key.since_ms,
            until_ms: match key.stage {
                KeyStage::Pending => pending,
                KeyStage::Active => Some(pending.unwrap_or(key.since_ms + settings.active_ms)),
                KeyStage::Retiring => Some(key.since_ms + settings.retiring_ms()),
                KeyStage::Retired | KeyStage::Revoked => None,
            },
            unwraps: self.keeper.safe.holds(key),
        };
        let path = ring.path().iter().map(|secret| PathStatus {
            id: secret.id,
            since_ms: secret.since_ms,
            until_ms: Some(secret.until_ms).filter(|until| *until != u64::MAX),
        });
        Keys {
            answered_by: self.id,
            locked: self.look_for_signer().err().map(|why| why.to_string()),
            signing: ring.keys().iter().map(status).collect(),
            path: path.collect(),
        }
    }

    /// Makes the next key. One that is pending already is it, unless all is begun anew.
    pub(super) async fn rotate_keys(&self, anew: bool) -> Result<AdminReply, Denied> {
        self.group.confirm().await.map_err(super::denied)?;
        let pending = self.group.read(|registry| registry.ring().pending().map(|key| key.made.kid.clone()));
        let kid = match pending {
            Some(pending) if !anew => pending,
            Some(pending) => {
                self.propose(Input::RevokeKey { kid: pending, successor: None }).await?.reply?;
                self.put_key(anew).await?
            }
            None => self.put_key(anew).await?,
        };
        if anew && self.group.read(|registry| registry.ring().pending().is_some()) {
            // Nobody can sign meanwhile, so there is nothing to wait for.
            self.propose(Input::ActivateKey { kid: kid.clone() }).await?.reply?;
        }
        info!(%kid, anew, "an operator rotates keys");
        Ok(AdminReply::NewKey(kid))
    }

    async fn put_key(&self, anew: bool) -> Result<String, Denied> {
        let made = self.make_key(anew).await?;
        let kid = made.kid.clone();
        self.propose(Input::PutKey(made)).await?.reply?;
        Ok(kid)
    }

    /// A key that is revoked already stays so: whoever had no answer in time asks again.
    pub(super) async fn revoke_key(&self, kid: String) -> Result<AdminReply, Denied> {
        self.group.confirm().await.map_err(super::denied)?;
        let is_revoked = |key: &ring::Key| key.made.kid == kid && key.stage == KeyStage::Revoked;
        if self.group.read(|registry| registry.ring().keys().iter().any(is_revoked)) {
            return Ok(AdminReply::Done);
        }
        let signs = self.group.read(|registry| {
            let ring = registry.ring();
            ring.pending().is_none() && ring.active().is_some_and(|active| active.made.kid == kid)
        });
        let successor = if signs { Some(self.make_key(false).await?) } else { None };
        self.propose(Input::RevokeKey { kid: kid.clone(), successor }).await?.reply?;
        info!(%kid, "an operator revoked a signing key");
        Ok(AdminReply::Done)
    }

    pub(super) async fn drop_path_secrets(&self) -> Result<AdminReply, Denied> {
        self.group.confirm().await.map_err(super::denied)?;
        let (now_ms, secret) = (self.now_ms(), self.draw_secret());
        let only = |registry: &Registry| rotation::only_path(registry.ring(), now_ms, secret);
        let (secret, older_until_ms) = self.group.read(only);
        self.propose(Input::PutPathSecret { secret, older_until_ms }).await?.reply?;
        info!("an operator dropped the secrets of path tokens");
        Ok(AdminReply::Done)
    }

    /// What was minted until now is refused for as long as it could be good.
    pub(super) async fn revoke(&self, what: Revoked) -> Result<AdminReply, Denied> {
        let since_ms = self.now_ms();
        let bar = Bar { since_ms, until_ms: since_ms + self.keeper.settings.revoked_ms() };
        self.propose(Input::Revoke { what: what.clone(), bar }).await?.reply?;
        info!(?what, "an operator revoked tokens");
        Ok(AdminReply::Done)
    }
}
