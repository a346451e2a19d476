//! The design's event table, row by row, and what must hold whatever happens.
//!
//! A story is told line by line: seconds, what happens, what comes of it. The registry holds the channel `ada` alone,
//! made at revision 1, so the first claim is epoch 2.

use freshet_proto::{
    hub::{HubMember, Hubs},
    registry::Departure,
    view::{Bar, ChannelView, NodeView, Removed},
};
use proptest::prelude::*;

use super::*;
use crate::{
    channel::{MAX_TAKEOVERS, TAKEOVER_WINDOW_MS},
    key::Pepper,
    log::{self, Entry, LogError, Record},
};

const SECRET: &str = "sk_ada";

fn pepper() -> Pepper {
    Pepper([7; 32])
}

fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

fn take(registry: &mut Registry, now_ms: u64, input: Input, out: &mut Vec<Output>) {
    registry.handle(registry.revision() + 1, now_ms, input, out);
}

fn with_policy(policy: Policy) -> Registry {
    let mut registry = Registry::new(1, Times::default());
    let key = pepper().hash(SECRET);
    take(&mut registry, 0, Input::PutChannel { channel: ada(), key, policy }, &mut vec![]);
    registry
}

fn input(words: &str) -> Input {
    let (verb, number) = words.split_once(' ').unwrap_or((words, "0"));
    let number: u64 = number.parse().unwrap();
    let (channel, epoch) = (ada(), Epoch(number));
    match verb {
        "claim-at" => Input::Claim { key: pepper().hash(SECRET), origin: NodeId(number), nonce: 0 },
        "wrong-key-at" => Input::Claim { key: pepper().hash("sk_eve"), origin: NodeId(number), nonce: 0 },
        "live" => Input::Live { channel, epoch },
        "silent" => Input::Heard { channel, epoch, heard: false },
        "speaks" => Input::Heard { channel, epoch, heard: true },
        "unpublished" => Input::Release { channel, epoch, how: Departure::Unpublished },
        "lost" => Input::Release { channel, epoch, how: Departure::Lost },
        "session-ends" => Input::Release { channel, epoch, how: Departure::EndSession },
        "origin-dies" => Input::OriginLost { origin: NodeId(number) },
        "removed" => Input::RemoveChannel { channel },
        "restored" => Input::PutChannel { channel, key: pepper().hash(SECRET), policy: Policy::Newest },
        "wait" => Input::Timeout,
        "version" => Input::Rise { level: Level(number as u8) },
        "leads-unseen-s" => Input::Leads { unseen_ms: number * 1000 },
        other => panic!("no such event: {other}"),
    }
}

fn outcome(registry: &Registry, out: &[Output]) -> String {
    let replies = out.iter().filter_map(|output| match output {
        Output::Changed(_) => None,
        Output::Alert(Alert::Fighting { takeovers, .. }) => Some(format!("alert {takeovers};")),
        Output::Reply(Ok(None)) => Some(String::new()),
        Output::Reply(Ok(Some(claimed))) => {
            let prior = claimed.prior.map_or("-".to_owned(), |(epoch, origin)| format!("{epoch}@{origin}"));
            Some(format!("epoch {} session {} msn {} prior {prior};", claimed.epoch, claimed.session, claimed.msn_base))
        }
        Output::Reply(Err(refused)) => Some(format!("{refused:?};")),
    });
    let state = registry.view().channels.get(&ada()).map_or("gone".to_owned(), |view| format!("{:?}", view.state));
    format!("{}{state}", replies.map(|reply| format!("{reply} ")).collect::<String>()).trim().to_owned()
}

/// Plays a story and compares it with what it says of itself.
fn story_with(policy: Policy, text: &str) {
    let mut registry = with_policy(policy);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, expected) = line.split_once('│').unwrap();
        let (seconds, words) = what.trim().split_once(' ').unwrap();
        let now_ms = (seconds.parse::<f64>().unwrap() * 1000.0) as u64;
        let mut out = vec![];
        take(&mut registry, now_ms, input(words.trim()), &mut out);
        assert_eq!(outcome(&registry, &out), expected.trim(), "at {line:?} of {text}");
    }
}

fn story(text: &str) {
    story_with(Policy::Newest, text);
}

#[test]
fn a_clean_unpublish_ends_the_session_after_five_seconds() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         60     unpublished 2  │ Grace
         64.999 wait           │ Grace
         65     wait           │ Ended
         364.9  wait           │ Ended
         365    wait           │ Idle",
    );
}

#[test]
fn a_lost_connection_ends_the_session_after_thirty_seconds() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         60     lost 2         │ Grace
         89.999 wait           │ Grace
         90     wait           │ Ended",
    );
}

#[test]
fn the_death_of_an_origin_loses_its_publishers_and_no_others() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         2      origin-dies 9  │ Live
         60     origin-dies 1  │ Grace
         70     origin-dies 1  │ Grace
         90     wait           │ Ended",
    );
}

#[test]
fn a_publish_that_never_flowed_is_released_like_any_other() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         10     lost 2         │ Grace
         40     wait           │ Ended",
    );
}

#[test]
fn a_publish_in_grace_continues_the_session_at_any_origin() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         60     lost 2         │ Grace
         89.999 claim-at 2     │ epoch 5 session 2 msn 106 prior 2@1; Starting
         200    wait           │ Starting
         201    live 5         │ Live",
    );
}

#[test]
fn a_publish_after_grace_begins_a_session_whose_numbers_go_on() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         60     unpublished 2  │ Grace
         65     wait           │ Ended
         100    claim-at 1     │ epoch 6 session 6 msn 116 prior -; Starting",
    );
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      lost 2         │ Grace
         31     claim-at 1     │ epoch 4 session 4 msn 47 prior -; Starting",
    );
}

#[test]
fn an_origin_can_end_a_session_that_the_next_publish_cannot_continue() {
    story(
        "0      claim-at 1      │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2          │ Live
         9      session-ends 2  │ Ended
         9      claim-at 1      │ epoch 5 session 5 msn 25 prior -; Starting",
    );
}

#[test]
fn a_publisher_in_grace_that_flows_again_was_not_lost() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         9      lost 2         │ Grace
         10     live 2         │ Live
         99     wait           │ Live",
    );
}

#[test]
fn the_newest_publish_wins_and_the_displaced_one_has_no_more_say() {
    story(
        "0      claim-at 1      │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2          │ Live
         10     claim-at 2      │ epoch 4 session 2 msn 26 prior 2@1; Starting
         11     live 2          │ Superseded; Starting
         11     unpublished 2   │ Superseded; Starting
         11     session-ends 2  │ Superseded; Starting
         11     silent 2        │ Superseded; Starting
         12     live 4          │ Live",
    );
}

#[test]
fn what_is_said_of_an_ended_session_or_an_unknown_channel_is_superseded() {
    story(
        "0      live 2          │ Superseded; Idle
         0      claim-at 1      │ epoch 2 session 2 msn 0 prior -; Starting
         1      session-ends 2  │ Ended
         2      live 2          │ Superseded; Ended
         2      lost 2          │ Superseded; Ended
         2      silent 2        │ Superseded; Ended",
    );
}

#[test]
fn a_wrong_key_is_refused_and_leaves_no_trace() {
    story("0    wrong-key-at 1   │ UnknownKey; Idle");
    let mut registry = with_policy(Policy::Newest);
    let before = registry.clone();
    take(&mut registry, 9, input("wrong-key-at 1"), &mut vec![]);
    assert_eq!(registry, before);
}

#[test]
fn at_10_an_encoder_whose_cable_was_pulled_is_let_in_again_at_once() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         60     claim-at 1     │ epoch 4 session 2 msn 76 prior 2@1; Starting
         61     live 4         │ Live
         70     lost 2         │ Superseded; Live",
    );
}

#[test]
fn at_11_the_fourth_displacement_in_thirty_seconds_is_refused_and_alerts() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         10     claim-at 2     │ epoch 4 session 2 msn 26 prior 2@1; Starting
         15     claim-at 1     │ epoch 5 session 2 msn 47 prior 4@2; Starting
         20     claim-at 2     │ epoch 6 session 2 msn 68 prior 5@1; Starting
         25     claim-at 1     │ alert 3; Fighting { takeovers: 3 }; Starting
         39.999 claim-at 1     │ alert 3; Fighting { takeovers: 3 }; Starting
         40     claim-at 1     │ epoch 7 session 2 msn 104 prior 6@2; Starting",
    );
}

#[test]
fn at_11_displacing_a_publisher_that_fell_silent_is_no_fight() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         3      silent 2       │ Starting
         4      claim-at 1     │ epoch 4 session 2 msn 20 prior 2@1; Starting
         7      silent 4       │ Starting
         8      claim-at 1     │ epoch 6 session 2 msn 40 prior 4@1; Starting
         9      silent 6       │ Starting
         10     claim-at 1     │ epoch 8 session 2 msn 58 prior 6@1; Starting
         11     silent 8       │ Starting
         12     claim-at 1     │ epoch 10 session 2 msn 76 prior 8@1; Starting
         13     claim-at 2     │ epoch 11 session 2 msn 93 prior 10@1; Starting",
    );
}

#[test]
fn at_12_numbers_never_go_back_when_a_channel_is_removed_and_comes_back() {
    story(
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      live 2         │ Live
         10     removed        │ gone
         10     claim-at 1     │ UnknownKey; gone
         20     restored       │ Ended
         20     claim-at 1     │ epoch 6 session 6 msn 36 prior -; Starting",
    );
}

#[test]
fn a_clock_that_goes_back_sets_no_number_back() {
    story(
        "100    claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         50     claim-at 1     │ epoch 3 session 2 msn 16 prior 2@1; Starting
         101    claim-at 1     │ epoch 4 session 2 msn 33 prior 3@1; Starting",
    );
}

#[test]
fn a_grace_lasts_under_a_leader_whose_clock_is_ahead() {
    story(
        "0       version 2           │ Idle
         0       claim-at 1          │ epoch 3 session 3 msn 0 prior -; Starting
         1       live 3              │ Live
         60      lost 3              │ Grace
         665     leads-unseen-s 600  │ Grace
         685     claim-at 2          │ epoch 7 session 3 msn 701 prior 3@1; Starting",
    );
    story(
        "0       version 2           │ Idle
         0       claim-at 1          │ epoch 3 session 3 msn 0 prior -; Starting
         1       lost 3              │ Grace
         606     leads-unseen-s 600  │ Grace
         630.999 wait                │ Grace
         631     wait                │ Ended
         1000    leads-unseen-s 100  │ Ended
         1030.9  wait                │ Ended
         1031    wait                │ Idle",
    );
}

#[test]
fn leaders_that_follow_each_other_prolong_a_grace_by_nothing_that_they_saw_pass() {
    story(
        "0       version 2           │ Idle
         0       claim-at 1          │ epoch 3 session 3 msn 0 prior -; Starting
         1       lost 3              │ Grace
         6       leads-unseen-s 0    │ Grace
         11      leads-unseen-s 0    │ Grace
         16      leads-unseen-s 1    │ Grace
         21      leads-unseen-s 0    │ Grace
         31.999  wait                │ Grace
         32      wait                │ Ended",
    );
}

#[test]
fn a_new_leader_puts_nothing_off_by_more_than_the_time_since_the_last_change() {
    story(
        "0       version 2           │ Idle
         0       claim-at 1          │ epoch 3 session 3 msn 0 prior -; Starting
         1       lost 3              │ Grace
         3       leads-unseen-s 600  │ Grace
         1       leads-unseen-s 600  │ Grace
         32.999  wait                │ Grace
         33      wait                │ Ended",
    );
}

#[test]
fn under_version_1_a_new_leader_tells_no_time() {
    story(
        "0       claim-at 1          │ epoch 2 session 2 msn 0 prior -; Starting
         1       lost 2              │ Grace
         601     leads-unseen-s 600  │ Unavailable; Grace
         601     wait                │ Ended",
    );
}

#[test]
fn a_channel_may_let_a_second_encoder_in_only_when_the_first_is_silent() {
    story_with(
        Policy::Silent,
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         1      claim-at 1     │ AlreadyLive; Starting
         3      silent 2       │ Starting
         4      speaks 2       │ Starting
         4      claim-at 1     │ AlreadyLive; Starting
         6      silent 2       │ Starting
         7      claim-at 1     │ epoch 6 session 2 msn 23 prior 2@1; Starting",
    );
}

#[test]
fn a_channel_may_let_no_second_encoder_in() {
    story_with(
        Policy::Reject,
        "0      claim-at 1     │ epoch 2 session 2 msn 0 prior -; Starting
         3      silent 2       │ Starting
         4      claim-at 1     │ AlreadyLive; Starting
         13     lost 2         │ Grace
         14     claim-at 1     │ epoch 5 session 2 msn 30 prior 2@1; Starting",
    );
}

#[test]
fn the_view_remembers_who_holds_which_epoch_but_not_for_ever() {
    let mut registry = with_policy(Policy::Newest);
    for i in 0..20 {
        take(&mut registry, i * 60_000, input(&format!("claim-at {}", i % 3)), &mut vec![]);
    }
    let view = registry.view().channels[&ada()].clone();
    let epochs: Vec<_> = view.epochs.iter().map(|e| (e.epoch.0, e.origin.0)).collect();
    assert_eq!(epochs.len(), 16);
    assert_eq!((epochs[0], epochs[15]), ((6, 1), (21, 1)));
}

#[test]
fn the_deltas_lead_from_each_view_to_the_next() {
    let mut registry = with_policy(Policy::Newest);
    let mut view = registry.view();
    let script = ["claim-at 1", "live 2", "claim-at 2", "lost 4", "origin-dies 1", "removed", "restored", "wait"];
    for (i, words) in script.iter().enumerate() {
        let mut out = vec![];
        take(&mut registry, i as u64 * 1000, input(words), &mut out);
        for output in out {
            if let Output::Changed(delta) = output {
                assert_eq!(delta.revision, view.revision + 1);
                assert!(view.apply(delta));
            }
        }
        assert_eq!(view, registry.view(), "after {words}");
    }
}

impl Registry {
    /// As many channels, nodes, removed nodes and tokens as there may be, each as long as it can get: every number has its most digits.
    pub(crate) fn at_its_limits() -> Self {
        let (late, mut registry) = (u64::MAX - (1 << 32), with_policy(Policy::Newest));
        for nth in 0..=ChannelView::MAX_EPOCHS as u64 {
            let claim = Input::Claim { key: pepper().hash(SECRET), origin: NodeId(late + nth), nonce: u64::MAX };
            // Long after the first one, so that its numbers are long too.
            let now_ms = if nth == 0 { 0 } else { late + nth * (TAKEOVER_WINDOW_MS / MAX_TAKEOVERS as u64 + 1) };
            registry.handle(late + nth, now_ms, claim, &mut vec![]);
        }
        let longest = registry.channels.remove(&ada()).unwrap();
        assert_eq!(longest.view().epochs.len(), ChannelView::MAX_EPOCHS);
        for nth in 0..MAX_CHANNELS {
            let mut channel = longest.clone();
            channel.key = Some(pepper().hash(&nth.to_string()));
            registry.channels.insert(format!("c{nth:031}").parse().unwrap(), channel);
        }
        for nth in 0..MAX_NODES as u64 {
            let addr = ([u16::MAX; 8], u16::MAX).into();
            let name = format!("{nth:063}.{0}.{0}.{1}", "n".repeat(63), "n".repeat(61));
            let view = NodeView::new(Role::Control, addr, &name);
            registry.nodes.insert(NodeId(late + nth), Node { view, life: u64::MAX });
        }
        for nth in 0..MAX_TOKENS {
            let (hash, role) = (pepper().hash(&nth.to_string()), Role::Control);
            registry.tokens.push(Token { hash, role, expires_ms: u64::MAX, uses: u32::MAX });
        }
        let bar = Bar { since_ms: u64::MAX, until_ms: u64::MAX };
        for nth in 0..Removed::MAX {
            let name = format!("{nth:063}.{0}.{0}.{1}", "n".repeat(63), "n".repeat(61));
            registry.later.removed.add(name, bar);
        }
        let hubs = Arc::make_mut(&mut registry.later.annex.hubs);
        for nth in 0..Hubs::MAX as u64 {
            let member = HubMember { number: u16::MAX, weight: u32::MAX, since: u64::MAX };
            hubs.members.insert(NodeId(late + nth), member);
        }
        (registry.later.level, registry.later.removed.revision) = (Level::NEWEST, u64::MAX);
        registry.index();
        registry
    }
}

#[test]
fn one_channel_too_many_is_refused_until_another_one_is_removed() {
    let mut registry = Registry::at_its_limits();
    let put = || Input::PutChannel { channel: ada(), key: pepper().hash(SECRET), policy: Policy::Newest };
    let reply = |registry: &mut Registry, input| {
        let mut out = vec![];
        take(registry, 0, input, &mut out);
        out.pop()
    };
    let before = registry.revision();
    assert_eq!(reply(&mut registry, put()), Some(Output::Reply(Err(Refused::TooMany(NoSuch::Channel)))));
    assert_eq!(registry.revision(), before, "nothing has changed");
    let first = registry.channels().next().unwrap().clone();
    let again = Input::PutChannel { channel: first.clone(), key: pepper().hash("another"), policy: Policy::Newest };
    assert_eq!(reply(&mut registry, again), Some(Output::Reply(Ok(None))), "one that is there gets a new key");
    reply(&mut registry, Input::RemoveChannel { channel: first });
    assert_eq!(reply(&mut registry, put()), Some(Output::Reply(Ok(None))));
    assert_eq!(registry.channels.len(), MAX_CHANNELS);
    // Control nodes of the first version know no limit: where one may be among them, all must do as it does.
    registry.later.level = Level::FIRST;
    let one_more =
        Input::PutChannel { channel: "one-more".parse().unwrap(), key: pepper().hash("x"), policy: Policy::Newest };
    assert_eq!(reply(&mut registry, one_more), Some(Output::Reply(Ok(None))));
    assert_eq!(registry.channels.len(), MAX_CHANNELS + 1);
}

fn any_input() -> impl Strategy<Value = Input> {
    let words = prop_oneof![
        4 => (1u64..4).prop_map(|origin| format!("claim-at {origin}")),
        1 => Just("wrong-key-at 1".to_owned()),
        2 => (1u64..40).prop_map(|epoch| format!("live {epoch}")),
        1 => (1u64..40).prop_map(|epoch| format!("silent {epoch}")),
        2 => (1u64..40).prop_map(|epoch| format!("lost {epoch}")),
        1 => (1u64..40).prop_map(|epoch| format!("unpublished {epoch}")),
        1 => (1u64..40).prop_map(|epoch| format!("session-ends {epoch}")),
        1 => (1u64..4).prop_map(|origin| format!("origin-dies {origin}")),
        1 => Just("removed".to_owned()),
        1 => Just("restored".to_owned()),
        4 => Just("wait".to_owned()),
    ];
    words.prop_map(|words| input(&words))
}

/// Times that run, stand still and go back.
fn any_step() -> impl Strategy<Value = (i64, Input, bool)> {
    let step_ms = prop_oneof![Just(0i64), 1i64..3_000, 20_000i64..60_000, -90_000i64..0];
    (step_ms, any_input(), any::<bool>())
}

/// A log as it grows, with what was promised to somebody at each length.
struct Written {
    bytes: Vec<u8>,
    /// Log length from which a claim was promised, its epoch, msn base and time.
    promises: Vec<(usize, Claimed, u64)>,
    registry: Registry,
}

fn write(steps: Vec<(i64, Input, bool)>) -> Written {
    let mut registry = with_policy(Policy::Newest);
    let mut bytes = log::snapshot(&registry).unwrap();
    let (mut promises, mut entries, mut granted, mut now_ms) = (vec![], vec![], vec![], 1_000_000i64);
    for (step_ms, input, flush) in steps {
        now_ms = (now_ms + step_ms).max(0);
        let (before, mut out) = (registry.revision(), vec![]);
        take(&mut registry, now_ms as u64, input.clone(), &mut out);
        if registry.revision() > before {
            entries.push(Entry { revision: registry.revision(), now_ms: registry.now_ms(), input });
        }
        granted.extend(out.into_iter().filter_map(|output| match output {
            Output::Reply(Ok(Some(claimed))) => Some((claimed, registry.now_ms())),
            _ => None,
        }));
        if flush && !entries.is_empty() {
            bytes.extend(log::encode(&Record::Entries(std::mem::take(&mut entries))).unwrap());
            promises.extend(granted.drain(..).map(|(claimed, at_ms)| (bytes.len(), claimed, at_ms)));
        }
    }
    bytes.extend(log::encode(&Record::Entries(entries)).unwrap());
    promises.extend(granted.drain(..).map(|(claimed, at_ms)| (bytes.len(), claimed, at_ms)));
    Written { bytes, promises, registry }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn at_12_epochs_and_numbers_only_rise(steps in prop::collection::vec(any_step(), 1..60)) {
        let promises = write(steps).promises;
        for pair in promises.windows(2) {
            let [(_, one, one_ms), (_, two, two_ms)] = pair else { unreachable!() };
            prop_assert!(two.epoch > one.epoch);
            let segments = (two_ms - one_ms).div_ceil(1000);
            prop_assert!(two.msn_base.0 >= one.msn_base.0 + segments + 16, "{one:?} {one_ms} {two:?} {two_ms}");
        }
    }

    #[test]
    fn at_12_a_crash_at_any_byte_breaks_no_promise(steps in prop::collection::vec(any_step(), 1..12)) {
        let Written { bytes, promises, registry } = write(steps);
        let first = log::snapshot(&with_policy(Policy::Newest)).unwrap().len();
        for cut in first..=bytes.len() {
            let mut restored = log::replay(&bytes[..cut]).unwrap().registry;
            let mut out = vec![];
            take(&mut restored, 0, input("restored"), &mut out);
            out.clear();
            take(&mut restored, u64::MAX / 2, input("claim-at 1"), &mut out);
            let Some(Output::Reply(Ok(Some(next)))) = out.pop() else { panic!("no claim") };
            for (_, promised, _) in promises.iter().filter(|(length, ..)| *length <= cut) {
                prop_assert!(next.epoch > promised.epoch && next.msn_base > promised.msn_base);
            }
        }
        prop_assert_eq!(log::replay(&bytes).unwrap().registry, registry);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_log_is_refused(
        steps in prop::collection::vec(any_step(), 1..20),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut bytes = write(steps).bytes;
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(matches!(log::replay(&bytes), Err(LogError::Damaged { .. })), "byte {at}");
    }
}
