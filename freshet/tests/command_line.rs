//! What the binary says without running a role, and how it exits.

mod support;

use support::run;

#[tokio::test]
async fn a_wrong_configuration_names_the_place_and_the_right_key_and_exits_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("freshet.toml");
    std::fs::write(&file, "[listen]\n\nhtpp = \"127.0.0.1:80\"\n").unwrap();
    for command in [&["config", "check", "--config"][..], &["origin", "--config"], &["edge", "--config"]] {
        let file = support::arg(&file);
        let (code, _, error) = run(&[command, &[&file]].concat(), &[]).await;
        assert_eq!(code, 78, "{error}");
        assert_eq!(error, format!("freshet: {file}:3: unknown key `htpp`; did you mean `http`?\n"));
    }
}

#[tokio::test]
async fn what_a_role_lacks_is_said_with_its_remedy() {
    let (code, _, error) = run(&["origin", "--admin", "127.0.0.1:0"], &[]).await;
    assert_eq!(code, 78);
    assert!(
        error.contains("quic.certificate is not set: make the node's certificate with: freshet ca init"),
        "{error}"
    );
}

#[tokio::test]
async fn the_effective_configuration_is_printed_with_its_sources() {
    let environment = [("FRESHET_ORIGIN__PACKAGING__PART_MS", "250")];
    let (code, text, error) = run(&["config", "print", "--set", "edge.cache.bytes=5000000"], &environment).await;
    assert_eq!(code, 0, "{error}");
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}"));
    assert!(line("part_ms = 250").ends_with("# environment FRESHET_ORIGIN__PACKAGING__PART_MS"));
    assert!(line("bytes = 5000000").ends_with("# flag --set"));
    assert!(line("segment_ms = 2000").ends_with("# default"));
}

#[tokio::test]
async fn a_value_out_of_range_is_refused_with_the_range() {
    for (set, said) in [
        ("origin.packaging.part_ms=5", "origin.packaging.part_ms is 5; it must be from 100 to 2000"),
        ("edge.http.head_bytes=100", "edge.http.head_bytes is 100; it must be from 8192 to "),
    ] {
        let (code, _, error) = run(&["config", "check", "--set", set], &[]).await;
        assert_eq!(code, 78);
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_help_with_0() {
    assert_eq!(run(&["origni"], &[]).await.0, 2);
    let (code, help, _) = run(&["--help"], &[]).await;
    assert_eq!(code, 0);
    for command in ["dev", "origin", "edge", "ca", "config", "lint", "completions", "version"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} in\n{help}");
    }
}

#[tokio::test]
async fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, text, _) = run(&["completions", shell], &[]).await;
        assert_eq!(code, 0);
        assert!(text.contains("--listen-all") || text.contains("listen-all"), "{shell}");
    }
}

#[tokio::test]
async fn an_authority_is_made_once_and_issues_pairs_that_only_we_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let at = support::arg(dir.path());
    assert_eq!(run(&["ca", "init", "--dir", &at], &[]).await.0, 0);
    let (code, _, error) = run(&["ca", "init", "--dir", &at], &[]).await;
    assert_eq!(code, 1);
    assert!(error.contains("an authority is never overwritten"), "{error}");
    let (code, text, _) = run(&["ca", "issue", "--dir", &at, "edge-1", "--address", "127.0.0.1"], &[]).await;
    assert_eq!(code, 0);
    assert!(text.contains(&format!("certificate = \"{at}/edge-1.pem\"")), "{text}");
    for secret in ["ca.key", "edge-1.key"] {
        let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_with_its_remedy_and_exits_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let data = support::arg(dir.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let doctor = async |http: &str| {
        let ports = ["--admin", "127.0.0.1:0", "--quic", "127.0.0.1:0", "--http", http];
        let asked = ["doctor", "--role", "edge", "--output", "json", "--data", &data];
        let (code, text, error) = run(&[&asked[..], &ports].concat(), &[]).await;
        let found: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{error}"));
        let http = found.as_array().unwrap().iter().find(|finding| finding["check"] == "HTTP port").unwrap();
        (code, http["verdict"].clone(), http["remedy"].clone())
    };
    let (code, verdict, remedy) = doctor(&taken).await;
    assert_eq!((code, verdict, remedy), (1, "fault".into(), "free it, or set listen.http".into()));
    let (code, verdict, _) = doctor("127.0.0.1:0").await;
    assert_eq!((code, verdict), (0, "good".into()));
}
