//! `freshet control backup` and `restore`: what is on disk before, after or without a platform that works.

use std::{
    io::{ErrorKind, Write},
    path::Path,
};

use anyhow::{Context, bail};
use freshet_control_plane::{
    ca::Ca,
    raft::{Member, Salvaged, Store, backed_up, restore, salvage},
};
use freshet_proto::{clock::WallClock, id::NodeId, random::Random, view::Role};

use super::desk::own_address;
use crate::{
    config::Config,
    files,
    node::{CONSENSUS, Papers},
};

/// Takes a backup from the disk of a control node that is stopped.
pub fn salvage_to(file: &Path, data: &Path) -> anyhow::Result<()> {
    let Salvaged { node, term, index, committed, revision, backup } = salvage(&data.join(CONSENSUS))?;
    let papers = Papers::load(data).ok().flatten();
    let name = papers.map_or_else(|| data.display().to_string(), |papers| papers.name);
    let node = node.map_or(String::new(), |node| format!(" (node {node})"));
    keep(file, &backup)?;
    println!(
        "{name}{node} had: term {term}, index {index} (agreed on up to {committed} for certain), revision {revision}"
    );
    eprintln!(
        "If other control nodes have their disks, do this with each of them, stopped, and restore only the backup with \
         the highest term; where terms are equal, with the highest index. What reached none of them is lost."
    );
    Ok(())
}

/// Begins a platform anew, with what a backup holds, in the empty directory that the configuration names.
pub fn restore_from(file: &Path, config: &Config) -> anyhow::Result<()> {
    let (data, name) = (&config.node.data, &config.node.name);
    if let Some(papers) = Papers::load(data)? {
        bail!("{} holds the papers of node {}; restore into an empty directory", data.display(), papers.name);
    }
    let addr = own_address(config).context("quic.advertise or listen.quic must say where this node is reached")?;
    let backup = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let registry = backed_up(&backup)?;
    let secrets = registry.secrets().context("the backup is of a platform that was never founded")?;
    let (clock, random) = (WallClock::system(), Random::system());
    let id = NodeId(registry.revision() + 1);
    let authority = Ca::from_pem(&secrets.authority, &secrets.authority_key)?;
    let issued = authority.issue_for(name, &[], config.control.certified_for()?, &clock)?;
    files::private_dir(data).with_context(|| format!("making the directory {}", data.display()))?;
    let store = Store::file(&data.join(CONSENSUS))?;
    restore(store, &backup, (id, Member { addr, server_name: name.clone() }), clock.now_ms(), &random)?;
    Papers { id, name: name.clone(), role: Role::Control, control: Vec::new() }.save(data, &issued)?;
    println!("{} holds the platform as of revision {}", data.display(), registry.revision());
    println!("next: freshet control --config …; it goes on alone, without the control nodes that are lost");
    Ok(())
}

/// Writes a backup to a file that is not there yet.
pub fn keep(path: &Path, backup: &[u8]) -> anyhow::Result<()> {
    write_new(path, backup).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::anyhow!("{} exists already; name another file", path.display()),
        _ => anyhow::Error::new(error).context(format!("writing {}", path.display())),
    })?;
    println!("{} holds {} bytes, the platform's secrets among them", path.display(), backup.len());
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
