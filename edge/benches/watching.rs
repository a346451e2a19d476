//! What it costs to count viewers: for each request, and for each look at the count. A request must not notice.

use std::{hint::black_box, process::ExitCode};

use criterion::Criterion;
use freshet_edge::watching::{Viewer, Watching};
use freshet_proto::{id::ChannelName, random::Random};

/// As many sessions as the design gives an edge.
const SESSIONS: u64 = 100_000;

fn main() -> ExitCode {
    let Ok(channel) = "ada".parse::<ChannelName>() else { return ExitCode::FAILURE };
    let mut criterion = Criterion::default().configure_from_args();
    let watching = Watching::new(&Random::seeded(1));
    let session = |n: u64| Viewer::Session((n % SESSIONS).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for n in 0..SESSIONS {
        watching.seen(session(n), &channel, 0);
    }
    let mut n = 0;
    criterion.bench_function("seen, of 100,000 sessions", |b| {
        b.iter(|| {
            n += 7919;
            watching.seen(black_box(session(n)), &channel, 1);
        });
    });
    let household = Viewer::Household([10, 0, 0, 1].into());
    criterion.bench_function("seen, without a token", |b| b.iter(|| watching.seen(household, black_box(&channel), 1)));
    criterion.bench_function("viewers, of 100,000 sessions", |b| b.iter(|| watching.viewers(1)));
    criterion.final_summary();
    ExitCode::SUCCESS
}
