//! What a process has used, read from `/proc`: CPU time and resident memory.

use std::fs;

use serde::{Deserialize, Serialize};

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Usage {
    /// User and system CPU time, seconds.
    pub cpu_s: f64,
    /// Resident set, bytes.
    pub rss_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// Clock ticks a second in `/proc/PID/stat`: `USER_HZ` is 100 on every Linux we run on.
const USER_HZ: f64 = 100.0;

/// Reads what process `pid` has used; `None` when there is no such process.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold anything: count from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rss_kb: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |dir| dir.count() as u64);
    Some(Usage { cpu_s: (ticks(11)? + ticks(12)?) / USER_HZ, rss_bytes: rss_kb * 1024, descriptors })
}

/// CPU time, in seconds, of this process's children that have ended and were waited for.
pub fn children_cpu_s() -> f64 {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return 0.0 };
    let fields: Vec<&str> = stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(13) + ticks(14)) / USER_HZ
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_descriptors() {
        let used = usage(std::process::id()).expect("we are running");
        assert!(used.rss_bytes > 100_000 && used.descriptors >= 3, "{used:?}");
        assert!(usage(u32::MAX).is_none());
    }
}
