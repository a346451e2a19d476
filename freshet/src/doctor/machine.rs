//! The machine: open files, UDP buffers, disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use freshet_proto::{quic::Tuning, view::Role};
use rustix::process::{Resource, getrlimit};
use tokio::time::{Duration, Instant};

use super::{Findings, Patient};

/// Open files that a node needs besides its connections: its stores, its sockets to other nodes.
const OWN_FILES: u64 = 1_000;
/// Free bytes below which a node is told to make room: logs and snapshots of the registry, views, certificates.
const ROOM: u64 = 1 << 30;
/// How long a sync may take where every change waits for one, at the median of [`SYNCS`].
const SYNC: Duration = Duration::from_millis(20);
/// How many syncs are timed.
const SYNCS: usize = 9;

/// As many open files as connections are allowed.
pub fn descriptors(patient: &Patient, findings: &mut Findings) {
    let check = "open files";
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let connections = match patient.role {
        Some(Role::Edge) => Some(("edge.http.connections", patient.config.edge.http.connections as u64)),
        Some(Role::Origin) => Some(("origin.max_connections", patient.config.origin.max_connections as u64)),
        _ => None,
    };
    let (key, connections) = connections.unwrap_or(("", 0));
    let needed = connections + OWN_FILES;
    if limit >= needed {
        return findings.good(check, format!("{limit} allowed, {needed} needed at most"));
    }
    let saw = format!("{limit} allowed, {needed} needed at most");
    let unit = "raise LimitNOFILE of the service (or `ulimit -Hn`)";
    if limit < OWN_FILES {
        return findings.fault(check, saw, unit);
    }
    findings.advise(check, saw, format!("{unit}, or lower {key}: beyond it connections wait unanswered"));
}

/// As much as the node protocol asks the system for.
pub fn udp_buffers(findings: &mut Findings) {
    let wanted = Tuning::default().socket_buffer as u64;
    for key in ["rmem_max", "wmem_max"] {
        let check = format!("net.core.{key}");
        let Some(allowed) = number(&format!("/proc/sys/net/core/{key}")) else { continue };
        let saw = format!("{} KiB of {} KiB", allowed / 1024, wanted / 1024);
        if allowed >= wanted {
            findings.good(check, saw);
        } else {
            let remedy =
                format!("sysctl -w net.core.{key}={wanted}, and the same in /etc/sysctl.d: bursts are lost else");
            findings.advise(check, saw, remedy);
        }
    }
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Room, the right to write, and for a control node how long a sync takes.
pub fn disk(patient: &Patient, findings: &mut Findings) {
    let data = &patient.config.node.data;
    let Some(place) = nearest(data) else {
        return findings.fault("disk", format!("{} is nowhere", data.display()), "set node.data (or --data)");
    };
    match rustix::fs::statvfs(&place) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let saw = format!("{} MiB free for {}", free >> 20, data.display());
            if free >= ROOM {
                findings.good("disk", saw);
            } else {
                findings.fault("disk", saw, format!("make room: a node wants {} MiB", ROOM >> 20));
            }
        }
        Err(error) => findings.fault("disk", format!("{}: {error}", place.display()), "mend the file system"),
    }
    let needs_sync = patient.is(Role::Control);
    match median_sync(&place) {
        Err(error) => {
            let remedy = format!("let the user that runs freshet write to {}", place.display());
            findings.fault("data directory", format!("writing to {}: {error}", place.display()), remedy);
        }
        Ok(took) if needs_sync && took > SYNC => findings.advise(
            "sync",
            format!("{:.1} ms", took.as_secs_f64() * 1000.0),
            "put node.data on a disk with a faster sync: every change waits for two control nodes' syncs",
        ),
        Ok(took) => findings.good("sync", format!("{:.1} ms", took.as_secs_f64() * 1000.0)),
    }
}

/// The directory itself, or the one that it will be made in.
fn nearest(dir: &Path) -> Option<PathBuf> {
    let dir = std::path::absolute(dir).ok()?;
    dir.ancestors().find(|dir| dir.is_dir()).map(Path::to_owned)
}

/// How long it takes to make a small write durable.
fn median_sync(dir: &Path) -> io::Result<Duration> {
    let path = dir.join(format!(".freshet-doctor-{}", std::process::id()));
    let timed = time_syncs(&path);
    let removed = fs::remove_file(&path);
    let mut took = timed?;
    removed?;
    took.sort_unstable();
    Ok(took[SYNCS / 2])
}

fn time_syncs(path: &Path) -> io::Result<[Duration; SYNCS]> {
    let mut file = fs::File::create_new(path)?;
    let mut took = [Duration::ZERO; SYNCS];
    for each in &mut took {
        let start = Instant::now();
        io::Write::write_all(&mut file, &[0; 512])?;
        file.sync_data()?;
        *each = start.elapsed();
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_yet_is_looked_at_where_it_will_be_made() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&dir.path().join("not/yet")), Some(dir.path().to_owned()));
        assert!(median_sync(dir.path()).is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays behind");
    }

    #[test]
    fn a_place_that_is_no_directory_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(median_sync(&file).is_err());
    }
}
