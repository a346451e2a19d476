//! What is agreed on of signing keys and of the secrets of path tokens. Since version 2. Which changes are legal is the ring's
//! to say ([`crate::keys::ring`]); what everybody may know of it follows from it and is in the annex.

use std::sync::Arc;

use freshet_proto::registry::{Refused, Reply};

use super::{At, Later, Output, Registry};
use crate::keys::Ring;

impl Registry {
    /// Changes the ring at the registry's time, or nothing.
    pub(super) fn turn_keys(
        &mut self,
        at: At,
        out: &mut Vec<Output>,
        turn: impl FnOnce(&mut Ring, u64) -> Result<(), Refused>,
    ) -> Reply {
        self.has_annex()?;
        let mut ring = self.later.ring.clone();
        turn(&mut ring, at.now_ms)?;
        self.later.ring = ring;
        publish(&mut self.later, at.index);
        self.advance(at, vec![], vec![], out);
        Ok(None)
    }
}

/// Forgets the secrets of path tokens that have run out; tells whether there were any.
pub(super) fn forget_secrets(later: &mut Later, index: u64, now_ms: u64) -> bool {
    let forgotten = later.ring.expire(now_ms);
    if forgotten {
        publish(later, index);
    }
    forgotten
}

fn publish(later: &mut Later, index: u64) {
    later.annex.keys = Arc::new(later.ring.keyring(index));
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        annex::{KeyState, PathSecret},
        level::Level,
        registry::NoSuch,
    };

    use super::*;
    use crate::machine::testing::take;
    use crate::{channel::Times, keys::ring::tests::key, machine::Input};

    fn registry(level: u8) -> Registry {
        let mut registry = Registry::new(1, Times::default());
        take(&mut registry, 0, Input::Rise { level: Level(level) }).unwrap();
        registry
    }

    fn signing(registry: &Registry) -> Vec<(String, KeyState)> {
        registry.view().annex.keys.signing.iter().map(|key| (key.kid.clone(), key.state)).collect()
    }

    fn named(kid: &str, state: KeyState) -> (String, KeyState) {
        (kid.to_owned(), state)
    }

    fn secret(id: u32, since_ms: u64, older_until_ms: u64) -> Input {
        Input::PutPathSecret { secret: PathSecret { id, secret: [7; 32], since_ms, until_ms: 0 }, older_until_ms }
    }

    fn activate(kid: &str) -> Input {
        Input::ActivateKey { kid: kid.to_owned() }
    }

    fn retire(kid: &str) -> Input {
        Input::RetireKey { kid: kid.to_owned() }
    }

    fn revoke(kid: &str) -> Input {
        Input::RevokeKey { kid: kid.to_owned(), successor: Some(key("successor")) }
    }

    #[test]
    fn no_key_is_agreed_on_before_version_2_is() {
        let mut registry = registry(1);
        for input in [Input::PutKey(key("a")), activate("a"), retire("a"), revoke("a"), secret(1, 0, 0)] {
            assert_eq!((input.since(), input.needs()), (Level::ANNEX, Level::ANNEX));
            assert_eq!(take(&mut registry, 0, input), Err(Refused::Unavailable));
        }
        assert_eq!(registry.ring(), &Ring::default());
    }

    #[test]
    fn the_view_shows_public_halves_as_they_come_and_go() {
        use KeyState::{Active, Pending, Retiring};
        let mut registry = registry(2);
        take(&mut registry, 1, Input::PutKey(key("a"))).unwrap();
        take(&mut registry, 2, Input::PutKey(key("b"))).unwrap();
        assert_eq!(signing(&registry), [named("a", Active), named("b", Pending)]);
        take(&mut registry, 3, activate("b")).unwrap();
        assert_eq!(signing(&registry), [named("a", Retiring), named("b", Active)]);
        take(&mut registry, 4, retire("a")).unwrap();
        take(&mut registry, 5, revoke("b")).unwrap();
        assert_eq!(signing(&registry), [named("successor", Active)]);
        assert_eq!(registry.annex().keys.revision, registry.revision());
        let before = registry.clone();
        assert_eq!(take(&mut registry, 6, activate("b")), Err(Refused::WrongStage));
        assert_eq!(take(&mut registry, 6, retire("x")), Err(Refused::NoSuch(NoSuch::Key)));
        assert_eq!(registry, before, "what is refused changes nothing");
    }

    #[test]
    fn a_change_happens_at_the_registrys_time_whatever_the_leaders_clock_says() {
        let mut registry = registry(2);
        take(&mut registry, 100, Input::PutKey(key("a"))).unwrap();
        take(&mut registry, 40, Input::PutKey(key("b"))).unwrap();
        assert_eq!(registry.ring().keys()[1].since_ms, 100);
    }

    #[test]
    fn secrets_of_path_tokens_run_out_by_themselves() {
        let mut registry = registry(2);
        take(&mut registry, 10, secret(1, 10, 10)).unwrap();
        assert_eq!(registry.deadline_ms(), None);
        take(&mut registry, 20, secret(2, 30, 90)).unwrap();
        assert_eq!(registry.deadline_ms(), Some(90));
        take(&mut registry, 90, Input::Timeout).unwrap();
        let path: Vec<u32> = registry.view().annex.keys.path.iter().map(|secret| secret.id).collect();
        assert_eq!((path, registry.deadline_ms()), (vec![2], None));
        assert_eq!(registry.annex().keys.revision, registry.revision());
    }
}
