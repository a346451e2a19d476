//! A life of keys under leaders with any clocks, failures and operators, and then every token that might have been signed in
//! it, shown to everybody who might verify it.

use proptest::prelude::*;

use super::*;
use crate::keys::ring::tests::key;

const HOUR: u64 = 3_600_000;

/// Short lives, so that a few steps see many.
const SETTINGS: Settings =
    Settings { algorithm: Algorithm::EdDsa, pending_ms: 10, active_ms: 100, path_ms: 40, token_ms: 50 };

/// When the first leader begins.
const BEGINS: u64 = 1000;

/// How old a view may be.
const STALE: u64 = SETTINGS.pending_ms;

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes while somebody leads and does what is due when it is.
    Led { for_ms: u64 },
    /// Time passes while nobody leads; then somebody does, whose clock is so far ahead of the one before, or behind.
    Unled { for_ms: u64, ahead_ms: i64 },
    /// An operator makes the next key.
    Rotate,
    /// An operator revokes a key: which, of those that are good.
    Revoke { which: usize },
    /// An operator drops the secrets of path tokens.
    DropPath,
    /// What a leader wanted that was then succeeded is written late.
    Late { step: usize },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (1..150u64).prop_map(|for_ms| Event::Led { for_ms }),
        2 => (0..150u64, -300..300i64).prop_map(|(for_ms, ahead_ms)| Event::Unled { for_ms, ahead_ms }),
        1 => Just(Event::Rotate),
        1 => (0..4usize).prop_map(|which| Event::Revoke { which }),
        1 => Just(Event::DropPath),
        2 => (0..8usize).prop_map(|step| Event::Late { step }),
    ];
    prop::collection::vec(event, 1..30)
}

/// The ring as it was from a time on.
#[derive(Clone)]
struct Seen {
    at: u64,
    ring: Ring,
}

/// A registry's ring, its history, and whoever leads.
struct World {
    ring: Ring,
    /// The registry's time.
    now: u64,
    /// The leader's clock.
    clock: u64,
    history: Vec<Seen>,
    /// Keys that nobody could know before they signed, and since when.
    sudden: Vec<(String, u64)>,
    /// Keys that were revoked, and when.
    revoked: Vec<(String, u64)>,
    /// Since when the first of the present run of secrets of path tokens is there: nobody could know it before it was used.
    sudden_path: Vec<(u32, u64)>,
    planned: Vec<(Step, u64)>,
    made: u32,
}

impl World {
    fn new() -> Self {
        let (history, planned) = (Vec::new(), Vec::new());
        Self {
            ring: Ring::default(),
            now: BEGINS,
            clock: BEGINS,
            history,
            sudden: vec![],
            revoked: vec![],
            sudden_path: vec![],
            planned,
            made: 0,
        }
    }

    fn play(events: &[Event]) -> Self {
        let mut world = Self::new();
        world.lead();
        for event in events {
            world.happen(event);
        }
        world.seen();
        world
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Led { for_ms } => self.led_until(self.clock + for_ms),
            Event::Unled { for_ms, ahead_ms } => {
                self.clock = (self.clock + for_ms).saturating_add_signed(*ahead_ms);
                self.lead();
            }
            Event::Rotate => {
                let _ = self.step(&Step::Make);
            }
            Event::Revoke { which } => {
                let kid = self.ring.good().nth(*which).map(|key| key.made.kid.clone());
                if let Some(kid) = kid {
                    self.revoke(&kid);
                }
            }
            Event::DropPath => {
                let (secret, older) = only_path(&self.ring, self.time(), [7; 32]);
                self.sudden_path.push((secret.id, self.time()));
                self.change(|ring, now| ring.put_path(now, secret, older)).unwrap();
            }
            Event::Late { step } => {
                if let Some((step, _)) = self.planned.get(*step).cloned() {
                    // It may be refused.
                    let _ = self.step(&step);
                }
            }
        }
    }

    /// The leader's time for what it proposes: never behind the registry's.
    fn time(&self) -> u64 {
        self.now.max(self.clock)
    }

    fn led_until(&mut self, until: u64) {
        while let Some(at) = deadline_ms(&self.ring, &SETTINGS).filter(|at| *at <= until) {
            self.clock = self.clock.max(at);
            self.lead();
        }
        self.clock = until;
        self.lead();
    }

    /// Does what is due. Whatever it does makes something else due later, so that this ends.
    fn lead(&mut self) {
        self.now = self.time();
        self.ring.expire(self.now);
        for _ in 0..100 {
            let steps = plan(&self.ring, self.now, &SETTINGS);
            if steps.is_empty() {
                return self.seen();
            }
            for step in steps {
                self.planned.insert(0, (step.clone(), self.now));
                self.step(&step).unwrap();
            }
        }
        panic!("the leader never comes to rest: {:?}", self.ring);
    }

    fn step(&mut self, step: &Step) -> Result<(), freshet_proto::registry::Refused> {
        match step {
            Step::Make => {
                self.made += 1;
                let made = key(&format!("k{}", self.made));
                if self.ring.active().is_none() {
                    self.sudden.push((made.kid.clone(), self.time()));
                }
                self.change(|ring, now| ring.put(now, made))
            }
            Step::Activate(kid) => self.change(|ring, now| ring.activate(now, kid)),
            Step::Retire(kid) => self.change(|ring, now| ring.retire(now, kid)),
            Step::MakePath => {
                let (secret, older) = next_path(&self.ring, self.time(), &SETTINGS, [7; 32]);
                if self.ring.path().is_empty() {
                    self.sudden_path.push((secret.id, self.time()));
                }
                self.change(|ring, now| ring.put_path(now, secret, older))
            }
        }
    }

    fn revoke(&mut self, kid: &str) {
        self.made += 1;
        let successor = key(&format!("k{}", self.made));
        let signed = self.ring.active().is_some_and(|active| active.made.kid == kid);
        let next = self.ring.pending().map_or(successor.kid.clone(), |pending| pending.made.kid.clone());
        if signed {
            self.sudden.push((next, self.time()));
        }
        self.revoked.push((kid.to_owned(), self.time()));
        self.change(|ring, now| ring.revoke(now, kid, Some(successor))).unwrap();
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Ring, u64) -> T) -> T {
        self.now = self.time();
        let done = change(&mut self.ring, self.now);
        self.seen();
        done
    }

    fn seen(&mut self) {
        self.now = self.time();
        self.history.push(Seen { at: self.now, ring: self.ring.clone() });
    }

    /// The platform as somebody saw it at `at`.
    fn as_of(&self, at: u64) -> Option<&Ring> {
        let after = self.history.partition_point(|seen| seen.at <= at);
        self.history[..after].last().map(|seen| &seen.ring)
    }

    /// Every moment at which something may change for somebody, and those about it.
    fn moments(&self) -> Vec<u64> {
        let around = |at: u64| [at.saturating_sub(1), at, at + 1, at + STALE, at + SETTINGS.token_ms];
        let mut all: Vec<u64> = self.history.iter().flat_map(|seen| around(seen.at)).collect();
        all.retain(|at| (BEGINS..=self.now).contains(at));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether somebody who saw the platform as of `view` can't have heard of the key yet, for it had to sign at once.
    fn too_sudden(&self, kid: &str, view: u64) -> bool {
        self.sudden.iter().any(|(sudden, at)| sudden == kid && view < *at)
    }

    fn revoked_by(&self, kid: &str, view: u64) -> bool {
        self.revoked.iter().any(|(revoked, at)| revoked == kid && *at <= view)
    }

    fn verifies(&self, kid: &str, view: u64) -> bool {
        self.as_of(view).is_some_and(|ring| ring.good().any(|key| key.made.kid == kid))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn exactly_one_key_signs_from_the_first_on_and_at_most_one_is_pending(events in events()) {
        let world = World::play(&events);
        for Seen { at, ring } in &world.history {
            let count = |stage| ring.keys().iter().filter(|key| key.stage == stage).count();
            prop_assert_eq!(count(KeyStage::Active), 1, "at {}", at);
            prop_assert!(count(KeyStage::Pending) <= 1, "at {}", at);
            prop_assert!(ring.good().count() <= Keyring::MAX && ring.path().len() <= Keyring::MAX, "at {}", at);
            let begun = ring.path().iter().any(|secret| secret.since_ms <= *at);
            prop_assert!(begun || *at == BEGINS, "edges can mint at {}", at);
        }
    }

    #[test]
    fn what_anybody_signs_is_verified_by_anybody_until_it_runs_out_unless_its_key_was_revoked(events in events()) {
        let world = World::play(&events);
        for signed in world.moments() {
            for signer_view in [signed - STALE.min(signed), signed] {
                let Some(active) = world.as_of(signer_view).and_then(Ring::active) else { continue };
                let kid = &active.made.kid;
                for shown in [signed, signed + SETTINGS.token_ms / 2, signed + SETTINGS.token_ms - 1] {
                    for view in [shown - STALE, shown].into_iter().filter(|view| *view <= world.now) {
                        let excused = world.too_sudden(kid, view) || world.revoked_by(kid, view);
                        prop_assert!(
                            excused || world.verifies(kid, view),
                            "{} signed at {} (seen as of {}), shown at {} (seen as of {})",
                            kid, signed, signer_view, shown, view
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_that_is_retired_or_revoked_verifies_ever_again(events in events()) {
        let world = World::play(&events);
        let mut past = std::collections::BTreeSet::new();
        for Seen { at, ring } in &world.history {
            let of = |stages: [KeyStage; 2]| ring.keys().iter().filter(move |key| stages.contains(&key.stage));
            past.extend(of([KeyStage::Retired, KeyStage::Revoked]).map(|key| key.made.kid.clone()));
            for kid in &past {
                prop_assert!(ring.good().all(|key| key.made.kid != *kid), "{} at {}", kid, at);
            }
            prop_assert!(of([KeyStage::Retired, KeyStage::Revoked]).all(|key| key.made.private.is_none()));
        }
    }

    #[test]
    fn what_any_edge_mints_is_taken_by_any_edge_until_it_runs_out_unless_the_secrets_were_dropped(events in events()) {
        let world = World::play(&events);
        let dropped: Vec<u64> = world.sudden_path.iter().map(|(_, at)| *at).collect();
        for minted in world.moments() {
            for minter_view in [minted - STALE.min(minted), minted] {
                let Some(ring) = world.as_of(minter_view) else { continue };
                let Some(secret) = ring.path().iter().rev().find(|secret| secret.since_ms <= minted) else { continue };
                for shown in [minted, minted + SETTINGS.token_ms - 1] {
                    for view in [shown - STALE, shown].into_iter().filter(|view| *view <= world.now) {
                        // Whoever mints or verifies has not heard that the secrets were dropped, or has.
                        let between = |at: &u64| (minter_view..=view).contains(at) || (view..=minter_view).contains(at);
                        if dropped.iter().any(between) {
                            continue;
                        }
                        let taken = world.as_of(view).is_some_and(|ring| {
                            ring.path().iter().any(|known| known.id == secret.id && shown < known.until_ms)
                        });
                        prop_assert!(taken, "{:?} minted at {} shown at {} seen as of {}", secret, minted, shown, view);
                    }
                }
            }
        }
    }
}

/// What the leader does, and when, as long as nothing goes wrong.
fn diary(settings: &Settings, until: u64) -> Vec<String> {
    let (mut ring, mut told, mut made) = (Ring::default(), Vec::new(), 0);
    while let Some(now) = deadline_ms(&ring, settings).filter(|at| *at <= until) {
        for step in plan(&ring, now, settings) {
            match &step {
                Step::Make => {
                    made += 1;
                    ring.put(now, key(&format!("k{made}"))).unwrap();
                }
                Step::Activate(kid) => ring.activate(now, kid).unwrap(),
                Step::Retire(kid) => ring.retire(now, kid).unwrap(),
                Step::MakePath => {
                    let (secret, older) = next_path(&ring, now, settings, [7; 32]);
                    ring.put_path(now, secret, older).unwrap();
                    continue;
                }
            }
            told.push(format!("{} h: {step:?}", now / HOUR));
        }
    }
    told
}

#[test]
fn a_key_is_made_an_hour_before_the_thirty_days_are_over_and_the_old_one_goes_thirteen_hours_after_them() {
    let month = [
        "0 h: Make",
        "719 h: Make",
        "720 h: Activate(\"k2\")",
        "733 h: Retire(\"k1\")",
        "1439 h: Make",
        "1440 h: Activate(\"k3\")",
    ];
    assert_eq!(diary(&Settings::default(), 1450 * HOUR), month);
}

#[test]
fn another_algorithm_is_a_reason_to_rotate_and_so_is_nothing_else() {
    let mut ring = Ring::default();
    ring.put(0, key("a")).unwrap();
    ring.put_path(0, only_path(&ring, 0, [7; 32]).0, 0).unwrap();
    assert_eq!(plan(&ring, 1, &Settings::default()), []);
    let rsa = Settings { algorithm: Algorithm::Rs256, ..Settings::default() };
    assert_eq!(plan(&ring, 1, &rsa), [Step::Make]);
}

#[test]
fn secrets_of_path_tokens_follow_each_other_day_by_day_and_are_known_an_hour_before() {
    let settings = Settings::default();
    let mut ring = Ring::default();
    let mut told = Vec::new();
    for hour in 0..=50 {
        let now = hour * HOUR;
        ring.expire(now);
        if plan(&ring, now, &settings).contains(&Step::MakePath) {
            let (secret, older) = next_path(&ring, now, &settings, [7; 32]);
            told.push((hour, secret.id, secret.since_ms / HOUR, older / HOUR));
            ring.put_path(now, secret, older).unwrap();
        }
    }
    assert_eq!(told, [(0, 1, 0, 13), (23, 2, 24, 37), (47, 3, 48, 61)]);
    assert_eq!(ring.path().iter().map(|secret| secret.id).collect::<Vec<_>>(), [2, 3]);
}
