//! What a viewer's path token costs each request, and what a JWT costs each session: a path token must stay below 1 µs.

use std::{hint::black_box, process::ExitCode};

use criterion::{BenchmarkId, Criterion};
use freshet_proto::{
    annex::{Algorithm, KeyState, Keyring, PathSecret, Revocations, Revoked},
    id::ChannelName,
    token::{Audience, Claims, PathKeys, PathPass, Signer, Verifier, signing_key},
    view::Bar,
};

const NOW: u64 = 1_800_000_000_000;

fn main() -> ExitCode {
    let Ok(channel) = "a-channel-with-a-name-of-32-bytes".get(..32).unwrap_or("ada").parse::<ChannelName>() else {
        return ExitCode::FAILURE;
    };
    let mut criterion = Criterion::default().configure_from_args();
    path_tokens(&mut criterion, &channel);
    jwts(&mut criterion, &channel);
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// With no revocation, and with as many as there may be.
fn path_tokens(criterion: &mut Criterion, channel: &ChannelName) {
    let secret = |id| PathSecret { id, secret: [id as u8; 32], since_ms: 0, until_ms: u64::MAX };
    let keys = PathKeys::new(&Keyring { path: (1..=4).map(secret).collect(), ..Keyring::default() });
    let pass = PathPass { session: 7, granted: true };
    criterion.bench_function("path token: mint", |b| b.iter(|| keys.mint(pass, black_box(channel), NOW)));
    let Some(token) = keys.mint(pass, channel, NOW) else { return };
    let bar = Bar { since_ms: u64::MAX, until_ms: u64::MAX };
    for revoked in [0, Revocations::MAX as u64] {
        let bars = (0..revoked).map(|n| (Revoked::Playback(n + 1_000), bar)).collect();
        let revocations = Revocations { revision: 1, bars };
        criterion.bench_with_input(BenchmarkId::new("path token: check", revoked), &token, |b, token| {
            b.iter(|| keys.check(&revocations, black_box(token), channel, NOW));
        });
    }
    let mut forged = token.into_bytes();
    forged[40] ^= 1;
    let forged = String::from_utf8(forged).unwrap_or_default();
    criterion.bench_function("path token: check a forged one", |b| {
        b.iter(|| keys.check(&Revocations::default(), black_box(&forged), channel, NOW));
    });
}

fn jwts(criterion: &mut Criterion, channel: &ChannelName) {
    let Ok(pair) = aws_lc_rs::signature::Ed25519KeyPair::generate() else { return };
    let Ok(pkcs8) = pair.to_pkcs8v1() else { return };
    let Ok(public) = signing_key(Algorithm::EdDsa, pkcs8.as_ref(), KeyState::Active) else { return };
    let Ok(signer) = Signer::new(Algorithm::EdDsa, public.kid.clone(), pkcs8.as_ref()) else { return };
    let verifier = Verifier::new(&Keyring { signing: vec![public], ..Keyring::default() });
    let claims = Claims {
        sub: "01J0000000000000000000000".into(),
        aud: Audience::Playback,
        exp_ms: NOW + 600_000,
        nbf_ms: NOW,
        iat_ms: NOW,
        jti: "0123456789abcdef0123456789abcdef".into(),
        sid: None,
        username: String::new(),
        roles: Vec::new(),
        color: None,
        channel: Some(channel.clone()),
    };
    criterion.bench_function("EdDSA: sign", |b| b.iter(|| signer.sign(black_box(&claims))));
    let Ok(token) = signer.sign(&claims) else { return };
    criterion.bench_function("EdDSA: verify", |b| {
        b.iter(|| verifier.verify_playback(black_box(&token), channel, NOW, &Revocations::default()));
    });
}
