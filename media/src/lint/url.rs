//! Just enough of RFC 3986 to follow the URIs of a playlist.

/// `scheme://host[:port]` and the path with its query.
pub(super) fn split(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if scheme != "http" && scheme != "https" {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (end > 0).then(|| url.split_at(scheme.len() + 3 + end))
}

/// What `reference`, written in the document at `base`, stands for; without fragment.
pub(super) fn resolve(base: &str, reference: &str) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default();
    if reference.contains("://") {
        return split(reference).map(|_| reference.to_owned());
    }
    let (site, base_path) = split(base)?;
    if let Some(rest) = reference.strip_prefix("//") {
        let (scheme, _) = base.split_once("://")?;
        return Some(format!("{scheme}://{rest}"));
    }
    let base_path = base_path.split(['?', '#']).next().unwrap_or_default();
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (reference, None),
    };
    let joined = match path {
        "" => base_path.to_owned(),
        _ if path.starts_with('/') => path.to_owned(),
        _ => format!("{}/{path}", base_path.rsplit_once('/').map_or("", |(directory, _)| directory)),
    };
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    Some(format!("{site}{}{query}", without_dots(&joined)))
}

fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let steps: Vec<_> = path.trim_start_matches('/').split('/').collect();
    for (n, step) in steps.iter().enumerate() {
        match *step {
            "." => {}
            ".." => drop(out.pop()),
            _ => out.push(step),
        }
        if n + 1 == steps.len() && matches!(*step, "." | "..") {
            out.push("");
        }
    }
    format!("/{}", out.join("/"))
}

/// `url` with one more query parameter.
pub(super) fn with(url: &str, parameter: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}{parameter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_browsers_do() {
        let base = "http://a:8080/live/ada/index.m3u8?token=x";
        for (reference, url) in [
            ("v0.m3u8", "http://a:8080/live/ada/v0.m3u8"),
            ("17/v0/12.0.m4s", "http://a:8080/live/ada/17/v0/12.0.m4s"),
            ("../bob/./v0.m3u8?x=1#f", "http://a:8080/live/bob/v0.m3u8?x=1"),
            ("/other/v0.m3u8", "http://a:8080/other/v0.m3u8"),
            ("//b/v0.m3u8", "http://b/v0.m3u8"),
            ("https://b/v0.m3u8", "https://b/v0.m3u8"),
            ("../../../../x", "http://a:8080/x"),
        ] {
            assert_eq!(resolve(base, reference).as_deref(), Some(url));
        }
        assert_eq!(resolve(base, "ftp://b/v0.m3u8"), None);
        assert_eq!(resolve("http://a", "b").as_deref(), Some("http://a/b"));
    }
}
