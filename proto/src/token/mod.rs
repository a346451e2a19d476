//! Tokens: what shows who somebody is, or that somebody may watch.
//!
//! ```text
//! control plane ── Signer ──▶ JWT ──▶ client ──▶ edge ── Verifier ──▶ Claims
//!                                                 │  once a playback session
//!                                                 └── PathKeys::mint ──▶ /p/{path token}/live/… ── PathKeys::check
//!                                                                                                  each request
//! ```
//! A signature costs tens of microseconds to verify and is verified once for a session of playback; what each request of
//! it carries is a path token, which costs less than one (`proto/benches/path_token.rs`).
//!
//! Nothing here reads a clock: `now_ms` is always an argument.

mod claims;
mod jwt;
mod key;
mod path;

pub use self::{
    claims::{Audience, Claims, ISSUER, playback_session},
    jwt::{LEEWAY_MS, MAX_TOKEN, SignFailed, Signer, TokenRefused, Verifier},
    key::{BadKey, signing_key},
    path::{PATH_TOKEN_LEN, PATH_TOKEN_MS, PathKeys, PathPass, PathRefused},
};
