//! Files that appear whole or not at all, and secrets that nobody else can read.

use std::{fs, io, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// Makes a directory, and those above it, that only this user can enter.
///
/// # Errors
/// The system's.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file that only this user can read: beside the old one, then renamed.
///
/// # Errors
/// The system's. The old file is then as it was.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, path)
}
