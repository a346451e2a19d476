use http::Request;

use super::*;

const OURS: &[&str] = &["freshet.chat.v1"];

/// A request in HTTP/1.1's own words; a line beginning with `-` takes a field away.
fn parts(more: &[(&'static str, &'static str)]) -> Parts {
    let mut headers = vec![
        ("host", "chat.example"),
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    headers.retain(|(name, _)| !more.contains(&("-", name)));
    headers.extend(more.iter().filter(|(name, _)| *name != "-"));
    let mut builder = Request::get("/chat/ada");
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(()).expect("a request").into_parts().0
}

fn read(more: &[(&'static str, &'static str)]) -> Result<Asked, Refused> {
    Asked::read(&parts(more), None)
}

/// Status and fields, sorted, as they would stand in a response.
fn written(response: &Response<()>) -> String {
    let mut lines: Vec<String> =
        response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
    lines.sort();
    format!("{} {}", response.status().as_u16(), lines.join(" | "))
}

#[test]
fn the_key_of_section_1_3_gets_its_accept() {
    let (response, agreed) = read(&[]).expect("a handshake").accept(OURS, true);
    assert_eq!(
        written(&response),
        "101 connection: upgrade | sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= | upgrade: websocket"
    );
    assert_eq!(agreed, Agreed { protocol: None, deflate: false });
}

#[test]
fn what_the_client_named_first_of_ours_is_chosen() {
    let asked = read(&[
        ("sec-websocket-protocol", "soap, irc"),
        ("sec-websocket-protocol", "freshet.chat.v1, bearer.a.b-c.d_e"),
    ])
    .expect("a handshake");
    assert_eq!(asked.bearer(), Some("a.b-c.d_e"));
    let (response, agreed) = asked.accept(&["freshet.chat.v1", "irc"], true);
    assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "irc");
    assert_eq!(agreed.protocol.as_deref(), Some("irc"));
}

#[test]
fn a_bearer_alone_is_given_back_and_an_unknown_protocol_is_not() {
    let (response, agreed) = read(&[("sec-websocket-protocol", "bearer.x")]).expect("a handshake").accept(OURS, true);
    assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "bearer.x");
    assert_eq!(agreed.protocol, None);
    let (response, _) = read(&[("sec-websocket-protocol", "soap")]).expect("a handshake").accept(OURS, true);
    assert!(!response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
    assert_eq!(read(&[("sec-websocket-protocol", "bearer.")]).expect("a handshake").bearer(), None);
}

#[test]
fn deflate_is_agreed_on_where_both_want_it() {
    let offer = [("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")];
    let (response, agreed) = read(&offer).expect("a handshake").accept(OURS, true);
    assert_eq!(
        response.headers()[SEC_WEBSOCKET_EXTENSIONS],
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    );
    assert!(agreed.deflate);
    let (response, agreed) = read(&offer).expect("a handshake").accept(OURS, false);
    assert!(!response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) && !agreed.deflate);
}

#[test]
fn extended_connect_needs_no_key_and_gets_200() {
    let mut request = parts(&[("-", "sec-websocket-key"), ("-", "upgrade"), ("-", "connection")]);
    request.version = Version::HTTP_2;
    assert_eq!(Asked::read(&request, Some("websocket")), Err(Refused::NotAsked), "GET");
    request.method = Method::CONNECT;
    assert_eq!(Asked::read(&request, None), Err(Refused::NotAsked), "a plain CONNECT");
    assert_eq!(Asked::read(&request, Some("connect-udp")), Err(Refused::NotAsked));
    let (response, _) = Asked::read(&request, Some("websocket")).expect("a handshake").accept(OURS, true);
    assert_eq!(written(&response), "200 ");
}

#[test]
fn what_is_no_handshake_is_refused() {
    let cases: [(&[(&str, &str)], Refused); 13] = [
        (&[("-", "upgrade")], Refused::NotAsked),
        (&[("-", "connection")], Refused::NotAsked),
        (&[("-", "upgrade"), ("upgrade", "h2c")], Refused::NotAsked),
        (&[("-", "sec-websocket-version")], Refused::Version),
        (&[("-", "sec-websocket-version"), ("sec-websocket-version", "8")], Refused::Version),
        (&[("sec-websocket-version", "13")], Refused::Version),
        (&[("-", "sec-websocket-key")], Refused::Key),
        (&[("-", "sec-websocket-key"), ("sec-websocket-key", "c2hvcnQ=")], Refused::Key),
        (&[("-", "sec-websocket-key"), ("sec-websocket-key", "!!!!")], Refused::Key),
        (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")], Refused::Key),
        (&[("sec-websocket-protocol", "a, a")], Refused::Protocols),
        (&[("sec-websocket-protocol", "a b")], Refused::Protocols),
        (&[("sec-websocket-extensions", "permessage-deflate;")], Refused::Extensions),
    ];
    for (change, refused) in cases {
        let change: Vec<(&'static str, &'static str)> = change.to_vec();
        assert_eq!(read(&change), Err(refused), "{change:?}");
    }
    let mut post = parts(&[]);
    post.method = Method::POST;
    assert_eq!(Asked::read(&post, None), Err(Refused::NotAsked));
    let mut old = parts(&[]);
    old.version = Version::HTTP_10;
    assert_eq!(Asked::read(&old, None), Err(Refused::NotAsked));
}

#[test]
fn another_version_is_told_ours() {
    assert_eq!(
        written(&Refused::Version.response()),
        "426 connection: upgrade | sec-websocket-version: 13 | upgrade: websocket"
    );
    assert_eq!(written(&Refused::Key.response()), "400 ");
}
