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
    let color = client.and_then(|client| client.color).map(|color| ("x-client-color", color.to_string()));
    let address = ("x-client-address", ip.to_canonical().to_string());
    said.into_iter().flatten().chain(color).chain([address]).map(|(name, value)| (name.to_owned(), value))
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

    /// Whatever it is called and however often it is there, also where `Connection` names it.
    #[test]
    fn no_spelling_of_an_identity_or_of_a_field_of_one_hop_passes() {
        let names = [
            "x-client-id",
            "X-Client-Id",
            "X-CLIENT-ID",
            "x_client_id",
            "X_Client-Id",
            "x-client_id",
            "x-client-username",
            "X_CLIENT_USERNAME",
            "x-client-roles",
            "x_client_roles",
            "x-client-login",
            "x-client-address",
            "x-client",
            "x-client-",
            "x-client-id-",
            "x--client-id",
            "http-x-client-id",
            "forwarded",
            "x-forwarded-for",
            "x-real-ip",
            "via",
            "host",
            "authorization",
            "proxy-authorization",
            "cookie",
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "content-length",
            "x-http-method-override",
            "x-original-url",
        ];
        for name in names {
            for sent in
                [vec![(name, "operator")], vec![(name, "a"), (name, "b")], vec![("connection", name), (name, "a")]]
            {
                assert_eq!(pass("GET", &sent), Ok(vec![]), "{name}");
                let with_key: Vec<_> = sent.into_iter().chain([("idempotency-key", "k1")]).collect();
                assert_eq!(pass("POST", &with_key), Ok(vec!["idempotency-key: k1".to_owned()]), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_name_of_a_field_never_gets_this_far() {
        for name in
            [" x-client-id", "x-client-id ", "x-client-id:", "x-client\u{ad}-id", "x-client-íd", "x-client-id\0", ""]
        {
            assert!(HeaderName::from_bytes(name.as_bytes()).is_err(), "{name:?}");
        }
        for value in ["a\r\nx-client-id: root", "a\n x-client-id: root", "a\rb", "a\0b"] {
            assert!(http::HeaderValue::from_bytes(value.as_bytes()).is_err(), "{value:?}");
        }
    }

    #[test]
    fn what_is_not_ascii_is_left_out_or_refused_and_so_is_what_is_too_long() {
        let bytes = |name: &'static str, value: &[u8]| {
            let request = Request::post("/api/me").header("idempotency-key", "k1").header(name, value);
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            let passed = passed(&parts, &Random::seeded(1)).map_err(|problem| problem.status.as_u16());
            passed.map(|passed| passed.len() - 1)
        };
        let long = "x".repeat(LONGEST + 1);
        for name in ["accept", "accept-language", "if-match", "if-none-match"] {
            assert_eq!((bytes(name, b"caf\xe9"), bytes(name, long.as_bytes())), (Ok(0), Ok(0)), "{name}");
            assert_eq!(bytes(name, &long.as_bytes()[1..]), Ok(1), "{name}");
        }
        assert_eq!((bytes("user-agent", b"caf\xe9"), bytes("user-agent", long.as_bytes())), (Ok(0), Ok(1)));
        assert_eq!((bytes("content-type", b"caf\xe9"), bytes("content-type", long.as_bytes())), (Err(400), Err(400)));
    }

    #[test]
    fn the_edge_says_who_asks_and_from_where() {
        let said = |client: Option<&Client>, ip: &str| -> Vec<String> {
            let ip = ip.parse().expect("an address");
            identity(client, ip).map(|(name, value)| format!("{name}: {value}")).collect()
        };
        assert_eq!(said(None, "::ffff:192.0.2.1"), ["x-client-address: 192.0.2.1"], "in its one form");
        let roles = vec!["user".to_owned(), "admin".to_owned()];
        let (id, username, login) = ("u1".to_owned(), "ada".to_owned(), "s1".to_owned());
        let ada = Client { id, username, roles, login, color: Some(0x1e90ff) };
        let expected = [
            "x-client-id: u1",
            "x-client-username: ada",
            "x-client-roles: user,admin",
            "x-client-login: s1",
            "x-client-color: 2003199",
            "x-client-address: 2001:db8::1",
        ];
        assert_eq!(said(Some(&ada), "2001:db8::1"), expected);
    }

    #[test]
    fn of_a_reply_nothing_comes_back_that_sets_a_state_or_a_policy() {
        for name in ["etag", "location", "retry-after", "allow", "www-authenticate", "content-type"] {
            assert!(comes_back(name), "{name}");
        }
        for name in
            ["set-cookie", "x-client-id", "access-control-allow-origin", "content-length", "connection", "server"]
        {
            assert!(!comes_back(name), "{name}");
        }
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
