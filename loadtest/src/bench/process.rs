//! Servers under measurement: started on a core of their own, measured with their children, ended with the value.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::procfs::{self, Usage};

/// The core that servers run on; clients have the others.
pub const SERVER_CORE: u32 = 0;
/// The core that clients run on.
pub const CLIENT_CORE: u32 = 1;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct Server {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Server {
    /// Starts `program` pinned to `core`; its standard error goes to `log`.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(core: u32, program: &Path, args: &[&str], log: &Path) -> anyhow::Result<Self> {
        let child = pinned(core, program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(log).with_context(|| log.display().to_string())?)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        Ok(Self { child, name: program.display().to_string(), log: log.to_owned() })
    }

    /// The first line on standard output.
    ///
    /// # Errors
    /// When the server ends before it says anything.
    pub fn first_line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().context("standard output was read already")?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "{} ended before it said anything", self.name);
        Ok(line)
    }

    /// Waits until something listens at `address`.
    ///
    /// # Errors
    /// When nothing does within 20 s or the server has ended.
    pub fn wait_for(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("{} ended with {status}:\n{said}", self.name);
            }
            if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} does not listen at {address}", self.name)
    }

    /// Waits until `/readyz` at `admin` says that it is ready.
    ///
    /// # Errors
    /// When it does not within 20 s.
    pub fn wait_until_ready(&self, admin: SocketAddr) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let mut answer = String::new();
            let mut stream = TcpStream::connect(admin)?;
            write!(stream, "GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
            stream.read_to_string(&mut answer)?;
            if answer.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} is not ready", self.name)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would (SIGKILL), and returns once it has ended.
    ///
    /// # Errors
    /// When it can't be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// What it and its children have used.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let own = procfs::usage(self.pid()).with_context(|| format!("{} has ended", self.name))?;
        Ok(descendants(self.pid()).into_iter().filter_map(procfs::usage).fold(own, |sum, child| Usage {
            cpu_s: sum.cpu_s + child.cpu_s,
            rss_bytes: sum.rss_bytes + child.rss_bytes,
            descriptors: sum.descriptors + child.descriptors,
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The number of a process that was waited for may be another's by now.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A command that runs on `core` only.
pub fn pinned(core: u32, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// An address on loopback that nobody listens at now.
///
/// # Errors
/// When there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            found.push(child);
            open.push(child);
        }
    }
    found
}
