//! Guests, who show tokens to edges' doors over HTTP, and note what came of it.
//!
//! A guest trades a playback token for a path token at `index.m3u8` of the private channel, and shows path tokens, whoever got
//! them, with the name of an object that there is none of: who may come in is told that it is not there.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use freshet_proto::{annex::Visibility, token::PATH_TOKEN_LEN};
use tokio::time::{sleep, timeout};

use crate::{
    hosts::Cast,
    nodes::{HTTP, Outcome},
    schedule::Host,
    tokens::{Answer, Key, Look, PRIVATE, Shown, Token, private},
    viewer::{Reply, get},
};

/// How often a guest shows a token.
const EVERY: Duration = Duration::from_millis(150);
/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A guest of an edge, for ever.
///
/// # Errors
/// Never; it has the type of a host's software.
pub async fn guest(cast: Cast, me: Host, edge: Host) -> Outcome {
    let random = cast.run.random(me, 0);
    let addr = SocketAddr::new(turmoil::lookup(edge), HTTP);
    loop {
        sleep(EVERY).await;
        let Some(token) = cast.stage.with(|seen| seen.tokens.pick(&random)) else { continue };
        let path = match token.key {
            Key::Signing(_) => format!("/live/{PRIVATE}/index.m3u8?token={}", token.text),
            Key::Path(_) => format!("/p/{}/live/{PRIVATE}/1/v0/1.m4s", token.text),
        };
        let Some(asked) = look(&cast, edge) else { continue };
        let Ok(Ok(reply)) = timeout(PATIENCE, get(addr, &path, &cast.run.trace)).await else { continue };
        let Some(answered) = look(&cast, edge) else { continue };
        if let Some(answer) = answer(&reply) {
            note(&cast, &Shown { token: &token, edge, asked, answered }, answer, &reply);
        }
    }
}

/// What an edge knows now; `None` while it does not run, or knows of no private channel.
fn look(cast: &Cast, edge: Host) -> Option<Look> {
    let at_ms = turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64;
    let view = cast.stage.with(|seen| seen.edges.get(edge).map(|(_, views)| views.borrow().clone()))?;
    let channel = private().filter(|channel| view.channels.contains_key(channel))?;
    let knows = view.annex.marks.of(&channel).visibility == Visibility::Private;
    knows.then(|| Look { at_ms, clock_ms: clock_ms(cast, edge, at_ms), annex: view.annex.clone() })
}

/// By the clock of a host that runs, in ms since 1970.
fn clock_ms(cast: &Cast, host: Host, at_ms: u64) -> u64 {
    (crate::BEGIN.as_millis() as u64 + at_ms).saturating_add_signed(cast.run.offset_read_ms(host))
}

/// `None` where the edge could not tell.
fn answer(reply: &Reply) -> Option<Answer> {
    match reply.status {
        302 | 404 => Some(Answer::LetIn),
        403 => Some(Answer::Refused),
        _ => None,
    }
}

fn note(cast: &Cast, shown: &Shown<'_>, answer: Answer, reply: &Reply) {
    let pass = reply.location.as_deref().and_then(|location| pass(cast, shown, location));
    let judged = cast.stage.with(|seen| {
        pass.into_iter().for_each(|pass| seen.tokens.keep(pass));
        seen.tokens.judge(shown, answer)
    });
    match judged {
        Ok(came_up) => came_up.into_iter().for_each(|situation| cast.stage.note(situation)),
        Err((rule, what)) => cast.stage.check(Err((rule, format!("{what}; it said {:?}", reply.text())))),
    }
}

/// The path token that an edge gave for another one; its format is told in `proto::token::path`.
fn pass(cast: &Cast, shown: &Shown<'_>, location: &str) -> Option<Token> {
    let text = location.strip_prefix("/p/")?.get(..PATH_TOKEN_LEN)?.to_owned();
    let bytes = URL_SAFE_NO_PAD.decode(&text).ok()?;
    let number =
        |from: usize, to: usize| Some(bytes.get(from..to)?.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)));
    let Look { at_ms, annex, .. } = &shown.answered;
    Some(Token {
        key: Key::Path(number(2, 6)? as u32),
        session: number(18, 26)?,
        minted_ms: number(6, 12)?,
        until_ms: number(12, 18)?,
        by: shown.edge,
        at_ms: shown.asked.at_ms,
        stale_ms: cast.stage.with(|seen| seen.tokens.stale_ms(*at_ms, annex)),
        text,
    })
}
