//! Stream keys of numbered publishers.

use std::str::FromStr;

use anyhow::{Context, ensure};

/// A text around a number, perhaps with leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    before: String,
    width: Option<usize>,
    after: String,
}

impl FromStr for KeyTemplate {
    type Err = anyhow::Error;

    fn from_str(template: &str) -> anyhow::Result<Self> {
        let Some((before, rest)) = template.split_once('{') else {
            return Ok(Self { before: template.to_owned(), width: None, after: String::new() });
        };
        let (format, after) = rest.split_once('}').context("a key template has { without }")?;
        let digits = format.strip_prefix(":0").or_else(|| format.is_empty().then_some("1"));
        let width = digits.and_then(|digits| digits.parse().ok()).filter(|width| *width <= 20);
        ensure!(width.is_some(), "a key template has {{}} or {{:0N}}, not {{{format}}}");
        Ok(Self { before: before.to_owned(), width, after: after.to_owned() })
    }
}

impl KeyTemplate {
    /// The key of publisher `number`.
    pub fn key(&self, number: u32) -> String {
        match self.width {
            Some(width) => format!("{}{number:0width$}{}", self.before, self.after),
            None => self.before.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_where_the_braces_are() {
        let key = |template: &str| template.parse::<KeyTemplate>().map(|t| t.key(7)).map_err(|e| e.to_string());
        assert_eq!(key("bench-key-{:04}"), Ok("bench-key-0007".into()));
        assert_eq!(key("{}?token=x"), Ok("7?token=x".into()));
        assert_eq!(key("same"), Ok("same".into()));
        assert_eq!(key("k{:x}"), Err("a key template has {} or {:0N}, not {:x}".into()));
        assert_eq!(key("k{"), Err("a key template has { without }".into()));
    }
}
