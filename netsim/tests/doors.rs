//! The doors through which chance could come in stay shut. clippy watches over clocks and randomness (`clippy.toml`);
//! what it can't see is watched here.

use std::path::Path;

/// tokio draws the order in which an unbiased `select!` polls from a source that only `--cfg tokio_unstable` can seed.
#[test]
fn every_select_in_the_nodes_is_biased() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut files, mut found, mut unbiased) = (Vec::new(), 0, Vec::new());
    for folder in ["proto", "control-plane", "origin", "edge", "netsim"] {
        collect(&root.join(folder).join("src"), &mut files);
    }
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        for (at, _) in text.match_indices("select! {") {
            found += 1;
            if !text[at + "select! {".len()..].trim_start().starts_with("biased;") {
                unbiased.push(format!("{}:{}", file.display(), text[..at].lines().count()));
            }
        }
    }
    assert!(found > 10, "{found} are too few to have looked in the right place");
    assert!(unbiased.is_empty(), "write `biased;` first in {unbiased:#?}");
}

fn collect(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
