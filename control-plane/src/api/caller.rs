//! Who asks, as the edge says: it has verified the token, and removed what a client says of itself.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use freshet_proto::id::ChannelName;
use http::HeaderMap;

use super::{Shared, problem::Problem};
use crate::accounts::{Actor, Client, Identity, LoginId, Role, UserId};

/// The role of whoever has a control node's host: the command line. No token says it, and no edge may.
pub const OPERATOR: &str = "operator";

/// Whoever asks, signed in or not.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// As whom.
    pub(super) identity: Option<Identity>,
    /// Whether it is the command line.
    pub(super) operator: bool,
    /// Whence, and with what.
    pub(super) client: Client,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct SignedIn {
    pub(super) who: Identity,
    pub(super) client: Client,
}

/// An administrator, as of now, or the command line.
#[derive(Debug, Clone)]
pub(super) struct Admin(pub(super) Actor);

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Caller {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let roles: Vec<&str> = text(headers, "x-client-roles").split(',').collect();
        let address: Option<IpAddr> = text(headers, "x-client-address").parse().ok();
        let client = Client {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            agent: text(headers, "user-agent").to_owned(),
        };
        let operator = roles.contains(&OPERATOR);
        let username: Option<ChannelName> = text(headers, "x-client-username").parse().ok();
        let identity =
            username.filter(|_| !operator && !text(headers, "x-client-id").is_empty()).map(|username| Identity {
                user: UserId::from(text(headers, "x-client-id")),
                username,
                role: if roles.contains(&Role::Admin.as_str()) { Role::Admin } else { Role::User },
                session: LoginId::from(text(headers, "x-client-login")),
            });
        Self { identity, operator, client }
    }

    /// Whose the idempotency keys are that come from there.
    pub(super) fn scope(&self) -> String {
        match &self.identity {
            Some(identity) => format!("user {}", identity.user),
            None if self.operator => OPERATOR.to_owned(),
            None => format!("address {}", self.client.address),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::of(&parts.headers))
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Caller { identity, client, .. } = Caller::of(&parts.headers);
        let who = identity.ok_or_else(|| Problem::unauthorized("sign in, and send the access token with it"))?;
        Ok(Self { who, client })
    }
}

impl FromRequestParts<Arc<Shared>> for Admin {
    type Rejection = Problem;

    /// A token says what was so when it was made; what an administrator does is worth a look at what is so now.
    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let caller = Caller::of(&parts.headers);
        if caller.operator {
            return Ok(Self(Actor::Operator));
        }
        let who = caller.identity.ok_or_else(|| Problem::unauthorized("sign in as an administrator"))?;
        let now = shared.accounts.identity(&who.session).await?;
        match now.filter(|now| now.user == who.user) {
            Some(now) if now.role == Role::Admin => Ok(Self(Actor::User(now.user))),
            Some(_) => Err(Problem::forbidden("only an administrator may do that")),
            None => Err(Problem::unauthorized("this session is over; sign in again")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(fields: &[(&'static str, &'static str)]) -> Caller {
        let field = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        Caller::of(&fields.iter().map(field).collect())
    }

    const ADA: [(&str, &str); 4] =
        [("x-client-id", "u1"), ("x-client-username", "ada"), ("x-client-login", "s1"), ("x-client-roles", "user")];

    #[test]
    fn somebody_is_who_the_edge_says() {
        let ada = caller(&ADA);
        let who = ada.identity.as_ref().expect("somebody");
        assert_eq!((who.user.as_str(), who.username.as_str(), who.role), ("u1", "ada", Role::User));
        assert_eq!((who.session.as_str(), ada.operator, ada.scope()), ("s1", false, "user u1".to_owned()));
        let admin = caller(&[ADA[0], ADA[1], ADA[2], ("x-client-roles", "user,admin")]);
        assert_eq!(admin.identity.map(|who| who.role), Some(Role::Admin));
    }

    #[test]
    fn whoever_is_not_told_of_whole_is_nobody() {
        for fields in [&[][..], &ADA[..1], &ADA[1..], &[ADA[0], ("x-client-username", "No Name")], &ADA[3..]] {
            let nobody = caller(fields);
            assert!(nobody.identity.is_none() && !nobody.operator, "{fields:?}");
            assert_eq!(nobody.scope(), "address 0.0.0.0");
        }
        let from = caller(&[("x-client-address", "192.0.2.1"), ("user-agent", "test/1")]);
        assert_eq!((from.scope().as_str(), from.client.agent.as_str()), ("address 192.0.2.1", "test/1"));
    }

    #[test]
    fn only_the_whole_word_makes_an_operator_or_an_administrator() {
        for (roles, operator) in
            [("operator", true), ("operators", false), ("user, operator", false), ("OPERATOR", false)]
        {
            let caller = caller(&[("x-client-roles", roles)]);
            assert_eq!((caller.operator, caller.identity.is_none()), (operator, true), "{roles}");
        }
        let fields = [ADA[0], ADA[1], ADA[2], ("x-client-roles", "administrator")];
        assert_eq!(caller(&fields).identity.map(|who| who.role), Some(Role::User));
    }
}
