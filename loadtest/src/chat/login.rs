//! Signs accounts in at the REST API (docs/api.md).

use anyhow::{Context, ensure};

use super::job::Target;
use crate::view::{job, probe};

/// The access token of `NAME:PASSWORD`. It is good for a quarter of an hour.
///
/// # Errors
/// When the API at this hub does not answer, or refuses.
pub fn token(hub: &Target, account: &str) -> anyhow::Result<String> {
    let (username, password) = account.split_once(':').context("an account is NAME:PASSWORD")?;
    let Target { address, host, tls, .. } = hub.clone();
    let body = serde_json::json!({"username": username, "password": password}).to_string();
    let login = job::Target { address, host, tls, path: "/api/auth/login".to_owned() };
    let answer = probe::post(&login, &body).with_context(|| format!("{username} can't sign in"))?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    let token = answer["access_token"].as_str().unwrap_or_default();
    ensure!(!token.is_empty(), "{username} can't sign in: the answer has no access_token");
    Ok(token.to_owned())
}
