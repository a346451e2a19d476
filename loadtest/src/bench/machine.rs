//! What the figures were taken on, and how much of it other programs had meanwhile.

use std::{fs, path::Path, process::Command};

use anyhow::Context;

/// One paragraph: machine and versions.
pub fn describe(freshet: &Path) -> String {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "a processor without a name".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory_kb: u64 =
        field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let versions = [
        said(&freshet.display().to_string(), &["--version"]),
        said("git", &["rev-parse", "--short", "HEAD"]).map(|commit| format!("commit {commit}")),
        said("rustc", &["--version"]),
        said("/usr/sbin/nginx", &["-v"]).map(|text| text.replace("nginx version: ", "")),
        said("h2load", &["--version"]),
        said("wrk", &["-v"]).and_then(|text| text.split(" [").next().map(str::to_owned)),
        said("etcd", &["--version"]).map(|text| text.replace("etcd Version: ", "etcd ")),
        said("chromium", &["--version"]),
    ];
    let versions: Vec<String> = versions.into_iter().flatten().collect();
    format!(
        "{model}, {cores} cores, {} GB, Linux {}; {}",
        (memory_kb + 500_000) / 1_000_000,
        kernel.trim(),
        versions.join(", ")
    )
}

/// The first value of `key` in a file of `key: value` lines.
fn field(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first line that a program says, on either output; `None` where there is no such program.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// CPU time up to a moment, in clock ticks of all cores.
#[derive(Debug, Clone, Copy)]
pub struct Ticks {
    all: u64,
    busy: u64,
    stolen: u64,
    ours: u64,
}

impl Ticks {
    /// Up to now. Children count as ours once they have been waited for.
    ///
    /// # Errors
    /// When `/proc` can't be read.
    pub fn now() -> anyhow::Result<Self> {
        let machine = fs::read_to_string("/proc/stat").context("/proc/stat")?;
        let own = fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
        Self::read(&machine, &own).context("/proc/stat has another form than known")
    }

    fn read(machine: &str, own: &str) -> Option<Self> {
        let fields: Vec<u64> =
            machine.lines().next()?.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal. What interrupts take belongs to nobody.
        let [user, nice, system, .., stolen] = fields.get(..8)? else { return None };
        // utime, stime, cutime and cstime are fields 14 to 17; the name in front of them may hold anything.
        let ours = own.rsplit_once(')')?.1.split_whitespace().skip(11).take(4).map(|n| n.parse().unwrap_or(0));
        Some(Self {
            all: fields[..8].iter().sum(),
            busy: user + nice + system,
            stolen: *stolen,
            ours: ours.sum::<u64>(),
        })
    }

    /// Which share of the machine, in percent, other programs and other guests of its host have had since `before`.
    pub fn others_percent(self, before: Self) -> f64 {
        let ours = self.ours - before.ours;
        let others = (self.busy - before.busy + self.stolen - before.stolen).saturating_sub(ours);
        100.0 * others as f64 / (self.all - before.all).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_others_is_what_is_busy_and_not_ours() {
        let own = |ticks: u64| format!("7 (a (b) c) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 10 0 20 0");
        let read = |machine, ticks| Ticks::read(machine, &own(ticks)).expect("the form is known");
        let before = read("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1", 50);
        let after = read("cpu  150 10 130 880 10 5 5 10 0 0\ncpu0 1", 110);
        assert_eq!(after.others_percent(before), 100.0 * (90.0 + 10.0 - 60.0) / 200.0);
        assert!(Ticks::read("cpu 1 2", &own(1)).is_none());
    }
}
