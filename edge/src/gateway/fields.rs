//! Which header fields pass between a client and a control node, and what the edge says of the client.
//!
//! An allow-list, so that hop-by-hop fields (RFC 9110 §7.6.1), those that `Connection` names, and whatever looks like an
//! identity (`X-Client-Id`, `x_client_id`, twice or in any case) need no list of their own: they don't pass.

use std::net::IpAddr;

use freshet_proto::random::Random;
use http::{HeaderMap, HeaderName, Method, header, request::Parts};

use super::{bearer::Client, problem::Problem};

/// The name of a change, so that asking for it twice does it once (draft-ietf-httpapi-idempotency-key-header).
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest value of a field, in bytes; a longer one does not pass.
const LONGEST: usize = 1024;

/// What of `User-Agent` passes, in bytes: it is shown in a list of logins.
const AGENT: usize = 256;

/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 128;

/// What pages of other sites may read of a reply.
pub(super) const EXPOSED: &str = "date, etag, location, retry-after, www-authenticate";

/// Fields of a reply that pass back; the rest is the edge's.
pub(super) fn comes_back(name: &str) -> bool {
    matches!(
        name,
        "allow" | "cache-control" | "content-type" | "etag" | "location" | "retry-after" | "www-authenticate" | "vary"
    )
}

/// The client's fields that pass. A method that changes something gets an idempotency key, if the client gave none.
///
/// # Errors
/// [`Problem`] where a field that must be single is there twice, or is unreadable.
pub(super) fn passed(request: &Parts, random: &Random) -> Result<Vec<(String, String)>, Problem> {
    let headers = &request.headers;
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Problem::CODED);
    }
    let mut passed = Vec::with_capacity(8);
    if let Some(kind) = single(headers, &header::CONTENT_TYPE)? {
        passed.push((header::CONTENT_TYPE.to_string(), kind));
    }
    for name in [header::ACCEPT, header::ACCEPT_LANGUAGE, header::IF_MATCH, header::IF_NONE_MATCH] {
        passed.extend(joined(headers, &name).map(|value| (name.to_string(), value)));
    }
    if let Some(agent) = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()) {
        passed.push((header::USER_AGENT.to_string(), agent.chars().take(AGENT).collect()));
    }
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let key = single(headers, &IDEMPOTENCY_KEY)?;
        if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
            return Err(Problem::FIELD);
        }
        passed.push((IDEMPOTENCY_KEY.to_string(), key.unwrap_or_else(|| random.token())));
    }
    Ok(passed)
}

/// What the edge says of the client.
pub(super) fn identity(client: Option<&Client>, ip: IpAddr) -> impl Iterator<Item = (String, String)> {
    let said = client.map(|client| {
        [
            ("x-client-id", client.id.clone()),
            ("x-client-username", client.username.clone()),
            ("x-client-roles", client.roles.join(",")),
            ("x-client-login", client.login.clone()),
        ]
    });
    let address = ("x-client-address", ip.to_canonical().to_string());
    said.into_iter().flatten().chain([address]).map(|(name, value)| (name.to_owned(), value))
}

/// A field that may be there once. `None` where it is not.
pub(super) fn single(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(text) if values.next().is_none() && text.len() <= LONGEST => Ok(Some(text.to_owned())),
        _ => Err(Problem::FIELD),
    }
}

/// A list, in one line (RFC 9110 §5.3); `None` where there is none, or it is unreadable or too long.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str()).collect::<Result<_, _>>().ok()?;
    Some(values.join(", ")).filter(|text| !text.is_empty() && text.len() <= LONGEST)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn pass(method: &str, fields: &[(&str, &str)]) -> Result<Vec<String>, u16> {
        let mut request = Request::builder().method(method).uri("/api/me");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let passed = passed(&parts, &Random::seeded(1)).map_err(|problem| problem.status.as_u16())?;
        Ok(passed.into_iter().map(|(name, value)| format!("{name}: {value}")).collect())
    }

    #[test]
    fn only_the_fields_that_are_named_pass() {
        let sent = [
            ("X-Client-Id", "root"),
            ("x-client-id", "admin"),
            ("x_client_roles", "admin"),
            ("X-CLIENT-USERNAME", "ada"),
            ("x-forwarded-for", "1.2.3.4"),
            ("cookie", "a=b"),
            ("connection", "x-client-id, te"),
            ("te", "trailers"),
            ("authorization", "Bearer x"),
            ("host", "example.org"),
            ("accept", "application/json"),
            ("accept", "text/html"),
        ];
        assert_eq!(pass("GET", &sent), Ok(vec!["accept: application/json, text/html".to_owned()]));
    }

    #[test]
    fn a_change_has_an_idempotency_key_the_clients_or_one_of_ours() {
        assert_eq!(pass("POST", &[("idempotency-key", "k1")]), Ok(vec!["idempotency-key: k1".to_owned()]));
        let drawn = pass("POST", &[]).expect("passes");
        assert_eq!((drawn.len(), drawn[0].len()), (1, "idempotency-key: ".len() + 32));
        assert_eq!(pass("GET", &[("idempotency-key", "k1")]), Ok(vec![]));
    }

    #[test]
    fn what_must_be_single_is_refused_when_it_is_there_twice() {
        for name in ["content-type", "idempotency-key"] {
            assert_eq!(pass("POST", &[(name, "a"), (name, "b")]), Err(400), "{name}");
        }
        assert_eq!(pass("POST", &[("idempotency-key", &"k".repeat(129))]), Err(400));
        assert_eq!(pass("POST", &[("content-encoding", "gzip")]), Err(415));
    }

    #[test]
    fn an_agent_is_cut_short() {
        let passed = pass("GET", &[("user-agent", &"x".repeat(999))]).expect("passes");
        assert_eq!(passed, [format!("user-agent: {}", "x".repeat(AGENT))]);
    }
}
