//! What control nodes do for others than nodes: they sign playback tokens, and do what operators ask, as their API does.

use std::time::Duration;

use freshet_control_plane::{
    api::Platform as _,
    control::{Control, Seat},
};
use freshet_proto::{
    admin::AdminCommand,
    annex::{KeyState, Keyring, Revoked, Visibility},
    message::Denied,
    random::Random,
    registry::Refused,
    token::{Audience, Claims, playback_session},
};
use tokio::time::sleep;

use crate::{
    hosts::Cast,
    schedule::{Deed, Host},
    sometimes::Situation,
    tokens::{Key, TOKEN_MS, Target, Token, private},
};

/// How often a control node signs a token.
const MINT_EVERY: Duration = Duration::from_millis(500);
/// How often it looks whether an operator wants something.
const LOOK: Duration = Duration::from_millis(50);
/// How often an operator tries.
const TRIES: u32 = 3;

/// Signs tokens for as long as the control node lives.
pub async fn mint(cast: Cast, host: Host, control: Control) {
    let seat = control.seat();
    loop {
        sleep(MINT_EVERY).await;
        if let Some(token) = signed(&cast, host, &control, &seat) {
            cast.stage.with(|seen| seen.tokens.keep(token));
        }
    }
}

/// A token as the API makes it.
fn signed(cast: &Cast, host: Host, control: &Control, seat: &Seat) -> Option<Token> {
    let (signer, now_ms, jti) = (control.signer().ok()?, seat.now_ms(), seat.draw());
    let claims = Claims {
        sub: "guest".to_owned(),
        aud: Audience::Playback,
        exp_ms: now_ms + TOKEN_MS,
        nbf_ms: now_ms,
        iat_ms: now_ms,
        jti,
        sid: None,
        username: String::new(),
        roles: Vec::new(),
        color: None,
        channel: private(),
    };
    let text = signer.sign(&claims).ok()?;
    let at_ms = turmoil::sim_elapsed()?.as_millis() as u64;
    let (view, kid) = (seat.view(), signer.kid().to_owned());
    let (stale_ms, revoked) = cast
        .stage
        .with(|seen| (seen.tokens.stale_ms(at_ms, &view.annex), seen.tokens.is_revoked(&Key::Signing(kid.clone()))));
    if revoked {
        cast.stage.note(Situation::SignedWithRevokedKey);
    }
    let session = playback_session(&claims.jti);
    let (minted_ms, until_ms) = (claims.iat_ms, claims.exp_ms);
    Some(Token { text, key: Key::Signing(kid), session, minted_ms, until_ms, by: host, at_ms, stale_ms })
}

/// Does what operators want, for as long as the control node lives. What can't be done now is left to whichever control node
/// looks next.
pub async fn operate(cast: Cast, host: Host, life: u64, seat: Seat) {
    let random = cast.run.random(&format!("{host}-operator"), life);
    loop {
        sleep(LOOK).await;
        let Some((deed, tries)) = cast.stage.with(|seen| seen.tokens.deeds.pop_front()) else { continue };
        let Some((command, target)) = command(&cast, &seat, &random, deed) else { continue };
        let now_ms = turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64;
        if let Some(target) = target {
            cast.stage.with(|seen| seen.tokens.order(now_ms, target));
        }
        let answer = seat.ask(command.clone()).await;
        cast.stage.tell(|| format!("an operator at {host} asks for {command:?}: {answer:?}"));
        if matches!(answer, Err(Denied::Refused(Refused::Unavailable))) && tries + 1 < TRIES {
            cast.stage.with(|seen| seen.tokens.deeds.push_back((deed, tries + 1)));
        }
    }
}

/// What an operator asks for, by what is known here, and what that takes away.
fn command(cast: &Cast, seat: &Seat, random: &Random, deed: Deed) -> Option<(AdminCommand, Option<Target>)> {
    let keys = seat.view().annex.keys.clone();
    let revoke = |kid: String| (AdminCommand::RevokeKey { kid: kid.clone() }, Some(Target::Key(kid)));
    let bar = |what: Revoked| (AdminCommand::Revoke(what.clone()), Some(Target::Minted(what)));
    match deed {
        Deed::Rotate => Some((AdminCommand::RotateKeys { anew: false }, None)),
        Deed::RevokeActive => active(&keys).map(revoke),
        Deed::RevokeOldest => keys.signing.first().map(|key| revoke(key.kid.clone())),
        Deed::RevokeSession => cast.stage.with(|seen| seen.tokens.session(random)).map(Revoked::Playback).map(bar),
        Deed::RevokeChannel => private().map(Revoked::Channel).map(bar),
        Deed::DropPathSecrets => Some((AdminCommand::DropPathSecrets, Some(Target::Path))),
    }
}

fn active(keys: &Keyring) -> Option<String> {
    keys.signing.iter().find(|key| key.state == KeyState::Active).map(|key| key.kid.clone())
}

/// Makes the private channel private, as soon as the control nodes have agreed that channels can be.
pub async fn close(seat: Seat) {
    let Some(channel) = private() else { return };
    let command = AdminCommand::SetVisibility { channel, visibility: Visibility::Private };
    while seat.ask(command.clone()).await.is_err() {
        sleep(LOOK).await;
    }
}
