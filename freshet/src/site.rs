//! The page, embedded in the binary.
//!
//! path ──▶ file, by name · `index.html` for what looks like a page · 404 for a missing asset
//!
//! Everything under `_app/immutable/` carries a hash in its name and may be kept for ever; the rest is asked for again
//! each time, by its ETag (RFC 9110 §13.1.2). Files that were compressed when the page was built (`.br`, `.gz` beside
//! them) are sent so to those who take it.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use freshet_edge::Site;
use http::{HeaderMap, Method, Response, StatusCode, header, request::Parts};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "$FRESHET_SITE"]
struct Files;

/// For what carries a hash in its name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For everything else: keep it, but ask each time.
const ASK: &str = "no-cache";
/// What pages may do, where the page itself says nothing.
const DEFAULT_POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'";
const INDEX: &str = "index.html";

/// The embedded files, ready to be sent.
pub struct EmbeddedSite {
    files: BTreeMap<String, File>,
    policy: String,
}

struct File {
    bytes: Bytes,
    etag: String,
    content_type: String,
}

impl EmbeddedSite {
    /// Takes what the build has embedded.
    pub fn new() -> Self {
        let files: BTreeMap<_, _> =
            Files::iter().filter_map(|path| Some((path.to_string(), File::embedded(&path)?))).collect();
        let page = files.get(INDEX).map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
        Self { policy: policy(&page.unwrap_or_default()), files }
    }

    /// The file for a path, and whether the path named it.
    fn file(&self, path: &str) -> Option<(&str, bool)> {
        let name = path.trim_start_matches('/');
        let known = |name: &str| self.files.get_key_value(name).map(|(name, _)| name.as_str());
        if let Some(name) = known(name) {
            return Some((name, true));
        }
        let last = name.rsplit('/').next().unwrap_or(name);
        // A missing asset is an error; anything else is a route of the page.
        let is_asset = name.starts_with("_app/") || last.contains('.');
        if is_asset { None } else { known(INDEX).map(|index| (index, name.is_empty())) }
    }

    /// The smallest form of the file that the client takes, with its encoding.
    fn encoded(&self, name: &str, headers: &HeaderMap) -> Option<(&File, Option<&'static str>)> {
        let compressed = [("br", "br"), ("gzip", "gz")].into_iter().find_map(|(encoding, suffix)| {
            let file = self.files.get(&format!("{name}.{suffix}"))?;
            takes(headers, encoding).then_some((file, Some(encoding)))
        });
        compressed.or_else(|| self.files.get(name).map(|file| (file, None)))
    }
}

impl File {
    fn embedded(path: &str) -> Option<Self> {
        let file = Files::get(path)?;
        let hash: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        let mime = file.metadata.mimetype();
        let text = mime.starts_with("text/") || mime == "application/javascript" || mime == "application/json";
        let content_type = if text { format!("{mime}; charset=utf-8") } else { mime.to_owned() };
        Some(Self { bytes, etag: format!("\"{hash}\""), content_type })
    }
}

impl EmbeddedSite {
    /// The page as `rewrite` makes it, whatever the path. Its policy stays: `rewrite` must leave scripts as they are.
    pub fn rewritten(&self, request: &Parts, rewrite: impl FnOnce(&str) -> String) -> Response<Bytes> {
        let Some(index) = self.files.get(INDEX) else { return plain(StatusCode::NOT_FOUND, "there is no page") };
        let page = rewrite(&String::from_utf8_lossy(&index.bytes));
        let hash: String = Sha256::digest(&page)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let content_type = index.content_type.clone();
        let file = File { bytes: page.into(), etag: format!("\"{hash}\""), content_type };
        self.sent(request, INDEX, &file, None)
    }

    fn sent(&self, request: &Parts, name: &str, file: &File, encoding: Option<&str>) -> Response<Bytes> {
        let unchanged = matches(&request.headers, &file.etag);
        let mut response = Response::new(if unchanged { Bytes::new() } else { file.bytes.clone() });
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let content_type = self.files.get(name).map_or("application/octet-stream", |file| &file.content_type);
        let cache = if name.starts_with("_app/immutable/") { FOR_EVER } else { ASK };
        let mut set = |name, value: &str| {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        };
        set(header::CONTENT_TYPE, content_type);
        set(header::CACHE_CONTROL, cache);
        set(header::ETAG, &file.etag);
        set(header::VARY, "accept-encoding");
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "no-referrer");
        if let Some(encoding) = encoding {
            set(header::CONTENT_ENCODING, encoding);
        }
        if name == INDEX {
            set(header::CONTENT_SECURITY_POLICY, &self.policy);
        }
        response
    }
}

impl Site for EmbeddedSite {
    fn answer(&self, request: &Parts) -> Response<Bytes> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only");
        }
        let found = self.file(request.uri.path());
        let encoded = found.and_then(|(name, _)| Some((name, self.encoded(name, &request.headers)?)));
        match encoded {
            Some((name, (file, encoding))) => self.sent(request, name, file, encoding),
            None => plain(StatusCode::NOT_FOUND, "there is no such file"),
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static(ASK));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// The policy that the page carries, with the hashes of its own scripts, and what only a header can say.
fn policy(page: &str) -> String {
    let marker = "http-equiv=\"content-security-policy\" content=\"";
    let written = page.split_once(marker).and_then(|(_, rest)| rest.split_once('"')).map(|(policy, _)| policy);
    format!("{}; frame-ancestors 'self'", written.unwrap_or(DEFAULT_POLICY))
}

/// Whether `Accept-Encoding` names the encoding, not with weight 0 (RFC 9110 §12.5.3).
fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|item| {
        let mut pieces = item.split(';').map(str::trim);
        let named = pieces.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refused = pieces.any(|piece| piece.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        named && !refused
    })
}

/// Whether `If-None-Match` names the ETag (RFC 9110 §13.1.2).
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let asked = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    asked
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(files: &[(&str, &str)]) -> EmbeddedSite {
        let file = |name: &str, text: &str| File {
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            etag: format!("\"{text}\""),
            content_type: if name.ends_with(".js") { "text/javascript".into() } else { "text/html".into() },
        };
        let files = files.iter().map(|(name, text)| (name.to_string(), file(name, text))).collect();
        EmbeddedSite { files, policy: policy("") }
    }

    fn get(site: &EmbeddedSite, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
        let mut request = http::Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        site.answer(&request.body(()).unwrap().into_parts().0)
    }

    const FILES: &[(&str, &str)] = &[
        ("index.html", "page"),
        ("_app/immutable/a.js", "script"),
        ("_app/immutable/a.js.br", "small"),
        ("_app/immutable/a.js.gz", "medium"),
    ];

    #[test]
    fn a_route_is_the_page_and_a_missing_asset_is_not_found() {
        let site = site(FILES);
        let status_and_body = |path| {
            let response = get(&site, path, &[]);
            (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned())
        };
        for route in ["/", "/c/ada", "/settings/", "/index.html"] {
            assert_eq!(status_and_body(route), (200, "page".into()), "{route}");
        }
        for missing in ["/_app/immutable/b.js", "/_app/x", "/favicon.ico", "/c/x.png"] {
            assert_eq!(status_and_body(missing).0, 404, "{missing}");
        }
    }

    #[test]
    fn the_smallest_form_that_the_client_takes_is_sent() {
        let site = site(FILES);
        let body = |accepted| {
            let response = get(&site, "/_app/immutable/a.js", &[("accept-encoding", accepted)]);
            assert_eq!(response.headers()["content-type"], "text/javascript");
            assert_eq!(response.headers()["cache-control"], FOR_EVER);
            String::from_utf8_lossy(response.body()).into_owned()
        };
        assert_eq!(body("gzip, deflate, br"), "small");
        assert_eq!(body("gzip, br;q=0"), "medium");
        assert_eq!(body("identity"), "script");
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let site = site(FILES);
        let again = get(&site, "/", &[("if-none-match", "W/\"page\"")]);
        assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0));
        let changed = get(&site, "/", &[("if-none-match", "\"old\"")]);
        assert_eq!((changed.status(), &changed.body()[..]), (StatusCode::OK, &b"page"[..]));
    }

    #[test]
    fn the_policy_of_the_page_becomes_a_header() {
        let page =
            r#"<meta http-equiv="content-security-policy" content="default-src 'self'; script-src 'sha256-x='">"#;
        assert_eq!(policy(page), "default-src 'self'; script-src 'sha256-x='; frame-ancestors 'self'");
    }

    #[test]
    fn the_binary_has_a_page() {
        let site = EmbeddedSite::new();
        let page = get(&site, "/", &[]);
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'self'"));
        assert!(String::from_utf8_lossy(page.body()).contains("Freshet"));
    }
}
