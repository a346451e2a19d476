//! Writes the effective configuration as TOML, each value followed by where it comes from.

use std::fmt::Write;

use toml::{Table, Value};

use super::Loaded;

/// The column that sources start at, where the value leaves room.
const SOURCE_COLUMN: usize = 44;

/// Every key, its value and its source. The text can be read back as a configuration file.
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
        let _ = writeln!(text, "{:SOURCE_COLUMN$} # {source}", format!("{key} = {value}"));
    }
    for (key, value) in table {
        if let Value::Table(inner) = value {
            print_table(text, loaded, &dotted(key), inner);
        }
    }
}
