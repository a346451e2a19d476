//! The checker itself, on histories written by hand: from when to when, what was asked │ what was answered. `?` is no answer.

use freshet_control_plane::machine::{Output, Registry};
use freshet_proto::{random::Random, registry::Departure, registry::Policy};

use super::{
    checker::{Fault, MAX_OPEN, MAX_OPERATIONS, check},
    client,
    history::{Answer, Call, Grant, History, Operation, Phase, Refusal, Seen, Stamp},
};

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is no number"))
}

fn publish(word: &str) -> Option<(u64, u64)> {
    let (epoch, origin) = word.split_once('@')?;
    Some((number(epoch), number(origin)))
}

fn call(words: &[&str]) -> Call {
    match *words {
        ["claim", origin] => Call::Claim { origin: number(origin), nonce: 0 },
        ["claim", origin, nonce] => Call::Claim { origin: number(origin), nonce: number(nonce) },
        ["live", epoch] => Call::Live { epoch: number(epoch) },
        ["release", epoch] => Call::Release { epoch: number(epoch), how: Departure::Lost },
        ["end", epoch] => Call::Release { epoch: number(epoch), how: Departure::EndSession },
        ["read"] => Call::Read,
        _ => panic!("nobody asks {words:?}"),
    }
}

fn answer(words: &[&str]) -> Answer {
    let seen = |phase, publish, session: &str| Answer::Seen(Seen { phase, publish, session: Some(number(session)) });
    match *words {
        ["?"] => Answer::Unknown,
        ["done"] => Answer::Done,
        ["superseded"] => Answer::Refused(Refusal::Superseded),
        ["fighting"] => Answer::Refused(Refusal::Fighting),
        ["taken"] => Answer::Refused(Refusal::AlreadyLive),
        ["epoch", epoch, "session", session, "prior", prior] => {
            Answer::Granted(Grant { epoch: number(epoch), session: number(session), prior: publish(prior) })
        }
        ["idle"] => Answer::Seen(Seen { phase: Phase::Idle, publish: None, session: None }),
        ["starting", last, session] => seen(Phase::Starting, publish(last), session),
        ["live", last, session] => seen(Phase::Live, publish(last), session),
        ["grace", last, session] => seen(Phase::Grace, publish(last), session),
        ["ended", last, session] => seen(Phase::Ended, publish(last), session),
        _ => panic!("nobody answers {words:?}"),
    }
}

fn operation(line: &str) -> Operation {
    let (asked, answered) = line.split_once('│').unwrap();
    let (asked, answered): (Vec<_>, Vec<_>) =
        (asked.split_whitespace().collect(), answered.split_whitespace().collect());
    let (from, to) = asked[0].split_once("..").unwrap();
    let stamp = |word| Stamp { order: number(word), at_ms: number(word) };
    let (call, answer) = (call(&asked[1..]), answer(&answered));
    let answered = (answer != Answer::Unknown).then(|| (stamp(to), 1));
    Operation { client: 0, channel: 0, call, asked: stamp(from), answer, answered }
}

/// The history of one channel.
fn told(policy: Policy, text: &str) -> History {
    let mut operations: Vec<_> = text.lines().filter(|line| line.contains('│')).map(operation).collect();
    operations.sort_by_key(|known| known.asked.order);
    History { policies: vec![policy], operations }
}

fn accepted(policy: Policy, text: &str) {
    if let Err(fault) = check(&told(policy, text)) {
        panic!("{fault}");
    }
}

fn rejected(policy: Policy, text: &str) {
    let fault = check(&told(policy, text)).expect_err(text);
    assert!(matches!(fault, Fault::NotLinearizable { channel: 0, .. }), "{fault}");
}

#[test]
fn one_thing_after_another_as_the_rules_have_it_passes() {
    accepted(
        Policy::Newest,
        "1..2    read       │ idle
         3..4    claim 1    │ epoch 5 session 5 prior -
         5..6    live 5     │ done
         7..8    read       │ live 5@1 5
         9..10   claim 2    │ epoch 7 session 5 prior 5@1
         11..12  release 5  │ superseded
         13..14  read       │ starting 7@2 5
         15..16  release 7  │ done
         17..18  read       │ grace 7@2 5
         19..20  claim 1    │ epoch 9 session 5 prior 7@2
         21..22  end 9      │ done
         23..24  live 9     │ superseded
         25..26  read       │ ended 9@1 5
         27..28  claim 2    │ epoch 12 session 12 prior -",
    );
}

#[test]
fn what_overlaps_may_have_happened_in_either_order() {
    accepted(
        Policy::Newest,
        "1..10  claim 1   │ epoch 6 session 5 prior 5@2
         2..9   claim 2   │ epoch 5 session 5 prior -
         3..8   read      │ idle
         4..11  read      │ starting 5@2 5
         12..13 read      │ starting 6@1 5",
    );
}

#[test]
fn what_was_not_answered_may_have_happened_late_or_never() {
    let claim = "1..2 claim 1 │ epoch 5 session 5 prior -
                 3..  claim 2 │ ?
                 4..5 read    │ starting 5@1 5\n";
    accepted(Policy::Newest, claim);
    accepted(Policy::Newest, &format!("{claim} 6..7 live 5 │ done"));
    accepted(Policy::Newest, &format!("{claim} 6..7 live 5 │ superseded"));
    accepted(Policy::Newest, &format!("{claim} 6..7 read │ starting 8@2 5"));
    accepted(Policy::Newest, &format!("{claim} 6..7 claim 3 │ epoch 9 session 5 prior 8@2"));
    accepted(Policy::Newest, &format!("{claim} 6..7 claim 3 │ epoch 9 session 5 prior 5@1"));
    rejected(Policy::Newest, &format!("{claim} 6..7 read │ starting 8@3 5"));
    rejected(Policy::Newest, &format!("{claim} 6..7 claim 3 │ epoch 7 session 5 prior 8@2"));
    rejected(Policy::Newest, &format!("{claim} 6..7 live 5 │ superseded\n8..9 read │ live 5@1 5"));
}

#[test]
fn an_epoch_that_nobody_was_told_is_one_number_wherever_it_is_seen() {
    let claim = "1..  claim 1 │ ?\n";
    accepted(Policy::Newest, &format!("{claim} 2..3 claim 2 │ epoch 7 session 5 prior 5@1"));
    rejected(Policy::Newest, &format!("{claim} 2..3 claim 2 │ epoch 7 session 6 prior 5@1"));
    rejected(Policy::Newest, &format!("{claim} 2..3 read │ starting 5@1 5\n4..5 read │ starting 6@1 5"));
    rejected(Policy::Newest, &format!("{claim} 2..3 read │ starting 5@1 4"));
}

#[test]
fn a_claim_that_is_made_again_is_granted_once() {
    let lost = "1..  claim 1 77 │ ?\n";
    accepted(Policy::Reject, &format!("{lost} 2..3 claim 1 77 │ epoch 5 session 5 prior -\n4..5 claim 2 │ taken"));
    accepted(
        Policy::Newest,
        &format!("{lost} 2..3 read │ starting 5@1 5\n4..5 claim 1 77 │ epoch 5 session 5 prior -"),
    );
    rejected(
        Policy::Newest,
        &format!("{lost} 2..3 read │ starting 5@1 5\n4..5 claim 1 77 │ epoch 6 session 5 prior 5@1"),
    );
    // Once another one came between, it is a claim like any other.
    accepted(
        Policy::Newest,
        &format!("{lost} 2..3 claim 2 │ epoch 6 session 5 prior 5@1\n4..5 claim 1 77 │ epoch 7 session 5 prior 6@2"),
    );
}

#[test]
fn a_lost_claim_is_found() {
    rejected(
        Policy::Newest,
        "1..2 claim 1 │ epoch 5 session 5 prior -
         3..4 claim 2 │ epoch 6 session 6 prior -",
    );
    rejected(Policy::Newest, "1..2 claim 1 │ epoch 5 session 5 prior -\n3..4 live 5 │ superseded");
}

#[test]
fn two_owners_of_one_epoch_are_found() {
    rejected(
        Policy::Newest,
        "1..10 claim 1 │ epoch 5 session 5 prior -
         2..9  claim 2 │ epoch 5 session 5 prior -",
    );
    rejected(
        Policy::Newest,
        "1..2 claim 1 │ epoch 5 session 5 prior -
         3..4 read    │ starting 5@2 5",
    );
}

#[test]
fn two_publishers_where_one_may_be_are_found() {
    let both = "1..10 claim 1 │ epoch 5 session 5 prior -\n2..9 claim 2 │ epoch 6 session 5 prior 5@1";
    rejected(Policy::Reject, both);
    accepted(Policy::Newest, both);
    accepted(Policy::Reject, &format!("{both}\n3..4 release 5 │ done"));
    rejected(Policy::Reject, "1..2 claim 1 │ taken");
    rejected(Policy::Newest, "1..2 claim 1 │ fighting");
}

#[test]
fn a_stale_read_after_an_acknowledged_claim_is_found() {
    rejected(Policy::Newest, "1..2 claim 1 │ epoch 5 session 5 prior -\n3..4 read │ idle");
    accepted(Policy::Newest, "1..3 claim 1 │ epoch 5 session 5 prior -\n2..4 read │ idle");
}

#[test]
fn a_read_that_goes_back_is_found_though_the_write_was_not_answered() {
    rejected(
        Policy::Newest,
        "1..   claim 1 │ ?
         2..3  read    │ starting 5@1 5
         4..5  read    │ idle",
    );
}

#[test]
fn an_epoch_that_goes_back_is_found() {
    rejected(
        Policy::Newest,
        "1..2 claim 1 │ epoch 5 session 5 prior -
         3..4 end 5   │ done
         5..6 claim 2 │ epoch 4 session 4 prior -",
    );
}

#[test]
fn the_word_of_a_superseded_publish_is_found_where_it_counts() {
    let both = "1..2 claim 1 │ epoch 5 session 5 prior -\n3..4 claim 2 │ epoch 6 session 5 prior 5@1\n";
    accepted(Policy::Newest, &format!("{both} 5..6 live 5 │ superseded"));
    rejected(Policy::Newest, &format!("{both} 5..6 live 5 │ done"));
    rejected(Policy::Newest, &format!("{both} 5..6 end 5 │ done"));
    rejected(Policy::Newest, &format!("{both} 5..6 live 5 │ superseded\n7..8 read │ live 6@2 5"));
}

#[test]
fn a_fault_tells_how_far_the_order_goes_and_what_cannot_follow() {
    let text = "1..2 claim 1 │ epoch 5 session 5 prior -\n3..4 read │ idle";
    let Err(Fault::NotLinearizable { order, stuck, .. }) = check(&told(Policy::Newest, text)) else { panic!("{text}") };
    assert_eq!((order, stuck), (vec![told(Policy::Newest, text).operations[0]], vec![operation("3..4 read │ idle")]));
}

#[test]
fn a_history_beyond_the_limits_is_refused_aloud() {
    let open = |n: usize| (1..=n).map(|at| format!("{at}.. claim 1 │ ?\n")).collect::<String>();
    accepted(Policy::Newest, &open(MAX_OPEN));
    let fault = check(&told(Policy::Newest, &open(MAX_OPEN + 1)));
    assert_eq!(fault, Err(Fault::TooConcurrent { channel: 0, open: MAX_OPEN + 1 }));
    let read = |n: usize| (1..=n).map(|at| format!("{}..{} read │ idle\n", 2 * at, 2 * at + 1)).collect::<String>();
    accepted(Policy::Newest, &read(MAX_OPERATIONS));
    let fault = check(&told(Policy::Newest, &read(MAX_OPERATIONS + 1)));
    assert_eq!(fault, Err(Fault::TooLong { channel: 0, operations: MAX_OPERATIONS + 1 }));
}

/// One registry is asked one thing after another; then every interval is made longer, either way, and some answers are lost.
fn by_one_registry(seed: u64, policy: Policy) -> History {
    let random = Random::seeded(seed);
    let mut registry = Registry::new(1, Default::default());
    registry.handle(1, 0, client::put(0, policy), &mut Vec::new());
    let mut epochs = vec![0];
    let ask = |at: u64| {
        let epoch = epochs[random.below(epochs.len() as u64) as usize];
        let call = match random.below(5) {
            0 | 1 => Call::Claim { origin: 1 + random.below(3), nonce: random.below(4) },
            2 => Call::Live { epoch },
            3 => Call::Release { epoch, how: [Departure::Lost, Departure::EndSession][random.below(2) as usize] },
            _ => Call::Read,
        };
        let answer = match client::input(0, call) {
            None => Answer::Seen(client::seen(&registry.view().channels[&client::channel(0)])),
            Some(input) => {
                let mut out = Vec::new();
                registry.handle(registry.revision() + 1, at, input, &mut out);
                let reply = out.into_iter().find_map(|output| match output {
                    Output::Reply(reply) => Some(client::answer(reply)),
                    _ => None,
                });
                reply.unwrap()
            }
        };
        if let Answer::Granted(grant) = answer {
            epochs.push(grant.epoch);
        }
        let moment = |order| Stamp { order, at_ms: at };
        let (asked, answered) = (moment(100 * at - random.below(150)), moment(100 * at + 1 + random.below(150)));
        let lost = call != Call::Read && random.below(15) == 0;
        let (answer, answered) = if lost { (Answer::Unknown, None) } else { (answer, Some((answered, 1))) };
        Operation { client: 0, channel: 0, call, asked, answer, answered }
    };
    let mut operations: Vec<_> = (2..80).map(ask).collect();
    operations.sort_by_key(|known| known.asked.order);
    History { policies: vec![policy], operations }
}

#[test]
fn whatever_one_registry_answers_passes_and_little_of_it_can_be_changed() {
    let (mut changed, mut found) = (0, 0);
    for seed in 0..150 {
        let policy = [Policy::Newest, Policy::Reject][seed as usize % 2];
        let mut history = by_one_registry(seed, policy);
        check(&history).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        let granted = history.operations.iter_mut().find_map(|known| match &mut known.answer {
            Answer::Granted(grant) => Some(grant),
            _ => None,
        });
        granted.unwrap().epoch += 1;
        changed += 1;
        found += usize::from(check(&history).is_err());
    }
    assert!(found * 10 >= changed * 9, "{found} of {changed}");
}
