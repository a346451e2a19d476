//! Writes the effective configuration as TOML, each value followed by where it comes from. Passwords in URLs are left out.

use std::fmt::Write;

use toml::{Table, Value};

use super::Loaded;

/// The column that sources start at, where the value leaves room.
const SOURCE_COLUMN: usize = 44;

/// What stands for a password.
const HIDDEN: &str = "***";

/// Every key, its value and its source. The text can be read back as a configuration file, but for the passwords.
pub fn print(loaded: &Loaded) -> String {
    let mut text = String::new();
    print_table(&mut text, loaded, "", &loaded.table);
    text.trim_start().to_owned()
}

fn print_table(text: &mut String, loaded: &Loaded, path: &str, table: &Table) {
    let dotted = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let is_table = |value: &Value| matches!(value, Value::Table(_));
    let plain: Vec<_> = table.iter().filter(|(_, value)| !is_table(value)).collect();
    if !path.is_empty() && !plain.is_empty() {
        let _ = writeln!(text, "\n[{path}]");
    }
    for (key, value) in plain {
        let source = loaded.sources.get(&dotted(key)).map_or("default", String::as_str);
        let _ = writeln!(text, "{:SOURCE_COLUMN$} # {source}", format!("{key} = {}", shown(value)));
    }
    for (key, value) in table {
        if let Value::Table(inner) = value {
            print_table(text, loaded, &dotted(key), inner);
        }
    }
}

/// The value without the password that a URL may hold: `scheme://user:PASSWORD@host/…?password=PASSWORD`.
fn shown(value: &Value) -> Value {
    let Some((scheme, rest)) = value.as_str().and_then(|text| text.split_once("://")) else { return value.clone() };
    let (before, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    // The last `@`: a password that should have been escaped may hold others.
    let before = match before.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            format!("{}:{HIDDEN}@{host}", user.split(':').next().unwrap_or_default())
        }
        _ => before.to_owned(),
    };
    let pair = |pair: &str| match pair.split_once('=') {
        Some(("password", _)) => format!("password={HIDDEN}"),
        _ => pair.to_owned(),
    };
    let query = query.map(|query| query.split('&').map(pair).collect::<Vec<_>>().join("&"));
    Value::String(format!("{scheme}://{before}{}", query.map_or(String::new(), |query| format!("?{query}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, told) in [
            ("postgres://freshet:hunter2@db.example:5432/freshet", "postgres://freshet:***@db.example:5432/freshet"),
            ("postgres://freshet:hun@ter:2@db/freshet", "postgres://freshet:***@db/freshet"),
            ("postgres://freshet:a/b@db/freshet", "postgres://freshet:***@db/freshet"),
            (
                "postgres://db/freshet?user=me&password=hunter2&sslmode=require",
                "postgres://db/freshet?user=me&password=***&sslmode=require",
            ),
            ("postgres://freshet@db/freshet", "postgres://freshet@db/freshet"),
            ("sqlite:accounts.db", "sqlite:accounts.db"),
            ("https://example.org/@ada", "https://example.org/@ada"),
        ] {
            assert_eq!(shown(&url.into()), Value::from(told));
        }
        assert_eq!(shown(&Value::from(5)), Value::from(5));
    }
}
