//! Lays file, environment and flags over the defaults and remembers who set what.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Table, Value, de::DeTable};

use super::{
    Config,
    error::{ConfigError, explain},
};

/// A configuration and where its values come from.
#[derive(Debug)]
pub struct Loaded {
    /// The effective configuration.
    pub config: Config,
    /// The same as a table, for printing.
    pub(super) table: Table,
    /// Dotted key → who set it. Absent keys have their defaults.
    pub(super) sources: BTreeMap<String, String>,
}

impl Loaded {
    /// One line that says what was read.
    pub fn summary(&self) -> String {
        let keys = keys_of(&self.table).len();
        format!("{keys} keys, {} of them set, the others at their defaults", self.sources.len())
    }
}

/// One key set by a flag or an environment variable.
#[derive(Debug, Clone)]
pub struct Override {
    place: String,
    key: String,
    text: String,
}

impl Override {
    /// `text`, given to `flag`, sets the dotted `key`.
    pub fn flag(flag: &str, key: &str, text: &str) -> Self {
        Self { place: format!("flag {flag}"), key: key.into(), text: text.into() }
    }

    /// The environment variable `name`, if it is one that sets a key: `FRESHET_SECTION__KEY`, or `FRESHET_CHANNELS`
    /// (an inline TOML array).
    fn variable(name: &str, text: &str) -> Option<Self> {
        let rest = name.strip_prefix("FRESHET_")?;
        let is_key = rest.contains("__") || rest == "CHANNELS";
        let key = rest.to_ascii_lowercase().replace("__", ".");
        is_key.then(|| Self { place: format!("environment {name}"), key, text: text.into() })
    }
}

/// Reads everything.
///
/// `environment` may hold anything; only variables that set keys are looked at. Later flags win over earlier ones.
///
/// # Errors
/// See [`ConfigError`]. The first thing wrong is reported.
pub fn load(
    defaults: Config,
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
    flags: Vec<Override>,
) -> Result<Loaded, ConfigError> {
    let table = Table::try_from(&defaults).map_err(|error| internal(&error))?;
    let mut loaded = Loaded { config: defaults, table, sources: BTreeMap::new() };
    if let Some(file) = file {
        loaded.lay_file(file)?;
    }
    let mut variables: Vec<_> =
        environment.filter_map(|(name, text)| Override::variable(name.to_str()?, text.to_str()?)).collect();
    variables.sort_by(|a, b| a.key.cmp(&b.key));
    for set in variables.into_iter().chain(flags) {
        loaded.lay_override(&set)?;
    }
    loaded.config = Config::deserialize(Value::Table(loaded.table.clone())).map_err(|error| internal(&error))?;
    Ok(loaded)
}

/// Each layer has been checked alone, so that what is left can't be blamed on a line or a variable.
fn internal(error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::InOverride { place: "configuration".into(), what: error.to_string() }
}

impl Loaded {
    fn lay_file(&mut self, file: &Path) -> Result<(), ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { file: file.into(), error };
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        let wrong = |error: toml::de::Error| self.wrong_in_file(file, &text, &error);
        toml::from_str::<Config>(&text).map_err(wrong)?;
        let table: Table = toml::from_str(&text).map_err(wrong)?;
        let spanned = DeTable::parse(&text).map_err(wrong)?;
        note_lines(&mut self.sources, file, &text, "", spanned.get_ref());
        merge(&mut self.table, table);
        Ok(())
    }

    fn wrong_in_file(&self, file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        ConfigError::InFile { file: PathBuf::from(file), line, what: explain(error.message(), &keys_of(&self.table)) }
    }

    fn lay_override(&mut self, set: &Override) -> Result<(), ConfigError> {
        let as_text = Value::String(set.text.clone());
        let value = match parsed(&set.text) {
            // A value that is no text may still be meant as one: a name of digits, say.
            Some(value) if check(&nested(&set.key, value.clone())).is_ok() => value,
            Some(value) if check(&nested(&set.key, as_text.clone())).is_err() => value,
            _ => as_text,
        };
        let layer = nested(&set.key, value);
        check(&layer).map_err(|error| ConfigError::InOverride {
            place: set.place.clone(),
            what: explain(error.message(), &keys_of(&self.table)),
        })?;
        merge(&mut self.table, layer);
        self.sources.insert(set.key.clone(), set.place.clone());
        Ok(())
    }
}

/// Whether a layer by itself is a configuration.
fn check(layer: &Table) -> Result<(), toml::de::Error> {
    Config::deserialize(Value::Table(layer.clone())).map(drop)
}

/// `text` as a TOML value, if it is one.
fn parsed(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}\n")).ok()?;
    if table.len() == 1 { table.remove("value") } else { None }
}

/// `{a = {b = value}}` for `a.b`.
fn nested(key: &str, value: Value) -> Table {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let value = if rest.is_empty() { value } else { Value::Table(nested(rest, value)) };
    Table::from_iter([(first.to_owned(), value)])
}

/// Lays `upper` over `lower`, key by key; arrays are replaced whole.
fn merge(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => drop(lower.insert(key, value)),
        }
    }
}

/// The dotted names of every key that is no table.
pub(super) fn keys_of(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => keys.extend(keys_of(inner).into_iter().map(|rest| format!("{key}.{rest}"))),
            _ => keys.push(key.clone()),
        }
    }
    keys
}

fn note_lines(sources: &mut BTreeMap<String, String>, file: &Path, text: &str, prefix: &str, table: &DeTable<'_>) {
    for (key, value) in table.iter() {
        let name = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => note_lines(sources, file, text, &format!("{name}."), inner),
            _ => {
                let line = line_at(text, key.span().start);
                sources.insert(name, format!("{}:{line}", file.display()));
            }
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}
