//! The layers, the suggestions and the example file.

use std::ffi::OsString;

use super::*;

fn with(file_text: &str, environment: &[(&str, &str)], flags: Vec<Override>) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("freshet.toml");
    std::fs::write(&file, file_text).unwrap();
    let variables = environment.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
    load(Config::default(), Some(&file), variables, flags)
        .map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let file = "[listen]\nhttp = \"127.0.0.1:1\"\nhttps = \"127.0.0.1:1\"\nrtmp = \"127.0.0.1:1\"\n";
    let environment = [("FRESHET_LISTEN__HTTPS", "127.0.0.1:2"), ("FRESHET_LISTEN__RTMP", "127.0.0.1:2")];
    let loaded = with(file, &environment, vec![Override::flag("--rtmp", "listen.rtmp", "127.0.0.1:3")]).unwrap();
    let listen = &loaded.config.listen;
    assert_eq!([listen.http.port(), listen.https.port(), listen.rtmp.port(), listen.quic.port()], [1, 2, 3, 4430]);
    let printed = print(&loaded);
    for (key, source) in [
        ("http = \"127.0.0.1:1\"", "freshet.toml:2"),
        ("https = \"127.0.0.1:2\"", "environment FRESHET_LISTEN__HTTPS"),
        ("rtmp = \"127.0.0.1:3\"", "flag --rtmp"),
        ("quic = \"0.0.0.0:4430\"", "default"),
    ] {
        let line = printed.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key} in\n{printed}"));
        assert!(line.ends_with(source), "{line}");
    }
}

#[test]
fn what_is_printed_can_be_read_back() {
    let file = "[node]\nname = \"edge-7\"\n[[channels]]\nname = \"ada\"\nstream_key_file = \"/run/ada.key\"\n";
    let loaded = with(file, &[], vec![]).unwrap();
    let again = with(&print(&loaded), &[], vec![]).unwrap();
    assert_eq!(again.config, loaded.config);
    assert_eq!(again.config.node.name, "edge-7");
}

#[test]
fn an_unknown_key_names_its_place_and_the_right_key() {
    let error = |file: &str| with(file, &[], vec![]).unwrap_err();
    assert_eq!(
        error("[listen]\nhttp = \"127.0.0.1:1\"\nhtps = \"127.0.0.1:1\"\n"),
        "freshet.toml:3: unknown key `htps`; did you mean `https`?"
    );
    assert_eq!(error("[listn]\n"), "freshet.toml:1: unknown key `listn`; did you mean `listen`?");
    assert_eq!(
        error("[node]\nrtmps = \"\"\n"),
        "freshet.toml:2: unknown key `rtmps`; did you mean `listen.rtmps`?",
        "a key in the wrong section is found in the right one"
    );
}

#[test]
fn the_environment_and_flags_are_checked_like_the_file() {
    assert_eq!(
        with("", &[("FRESHET_LISTEN__HTPP", "x")], vec![]).unwrap_err(),
        "environment FRESHET_LISTEN__HTPP: unknown key `htpp`; did you mean `http`?"
    );
    assert_eq!(
        with("", &[], vec![Override::flag("--set", "node.ids", "3")]).unwrap_err(),
        "flag --set: unknown key `ids`; did you mean `id`?"
    );
    let wrong_type = with("", &[("FRESHET_NODE__ID", "many")], vec![]).unwrap_err();
    assert!(wrong_type.starts_with("environment FRESHET_NODE__ID: invalid type"), "{wrong_type}");
}

#[test]
fn a_node_can_be_held_at_a_version_that_there_is() {
    let held = |version: &str| with("", &[], vec![Override::flag("--set", "protocol.at_most", version)]);
    assert_eq!(held("1").unwrap().config.protocol.at_most, Level::FIRST);
    assert_eq!(with("", &[], vec![]).unwrap().config.protocol.at_most, Level::NEWEST);
    let told = "protocol.at_most is 9; this program speaks versions 1 to 2 of the protocol";
    assert!(held("9").unwrap_err().contains(told) && held("0").is_err());
}

#[test]
fn digits_can_be_a_name_and_lists_can_come_from_the_environment() {
    let channels = "[{name = \"ada\", stream_key_file = \"/run/ada.key\"}]";
    let loaded = with("", &[("FRESHET_NODE__NAME", "42"), ("FRESHET_CHANNELS", channels)], vec![]).unwrap();
    assert_eq!(loaded.config.node.name, "42");
    assert_eq!(loaded.config.channels[0].name.as_str(), "ada");
}

#[test]
fn variables_that_set_no_key_are_left_alone() {
    let loaded = with("", &[("FRESHET_LOG", "debug"), ("PATH", "/bin"), ("OTHER__KEY", "1")], vec![]).unwrap();
    assert_eq!(loaded.config, Config::default());
}

/// `freshet.example.toml`, with the lines of optional lists (`#[[`, `#key = `) taken in.
fn example() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../freshet.example.toml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn certificates_last_a_minute_at_least_and_a_year_at_most() {
    let certified = |minutes| Control { certificate_minutes: minutes, ..Control::default() }.certified_for();
    assert_eq!(Control::default().certified_for().unwrap(), JOINED);
    assert_eq!(certified(1).unwrap().as_secs(), 60);
    for wrong in [0, 525_601] {
        let error = certified(wrong).unwrap_err().to_string();
        assert!(error.contains("control.certificate_minutes") && error.contains("1 to 525600"), "{error}");
    }
}

#[test]
fn the_example_file_has_every_key_at_its_default() {
    let text = example();
    let parsed: Config = toml::from_str(&text).unwrap();
    assert_eq!(parsed, Config::default());
    let written: toml::Table = toml::from_str(&text).unwrap();
    let written = load::keys_of(&written);
    for key in every_key() {
        assert!(written.contains(&key), "freshet.example.toml lacks {key}");
    }
}

#[test]
fn the_commented_channel_of_the_example_is_a_channel() {
    let commented: String = example()
        .lines()
        .filter_map(|line| line.strip_prefix("#"))
        .filter(|line| !line.starts_with(' '))
        .fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        });
    let parsed: Config = toml::from_str(&commented).unwrap();
    assert_eq!(parsed.channels.len(), 1, "{commented}");
}

/// Every key, asked of serde itself: an unknown key's error lists the known ones, unset options among them.
fn every_key() -> Vec<String> {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut keys = Vec::new();
    collect("", &defaults, &mut keys);
    keys.retain(|key| key != "channels");
    keys
}

fn collect(path: &str, table: &toml::Table, keys: &mut Vec<String>) {
    let probe = if path.is_empty() { "unknown__ = 1".into() } else { format!("{path}.unknown__ = 1") };
    let error = toml::from_str::<Config>(&probe).expect_err(&format!("[{path}] takes unknown keys"));
    for key in error.message().split('`').skip(1).step_by(2).skip(1) {
        let name = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match table.get(key) {
            Some(toml::Value::Table(inner)) => collect(&name, inner, keys),
            _ => keys.push(name),
        }
    }
}
