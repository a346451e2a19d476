//! CPU per publisher: our origin packaging LL-HLS beside nginx-rtmp packaging plain HLS, with the same publishers; and
//! the origin's memory beside the bytes of media that it must keep.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};
use freshet_control_plane::ca::{Ca, NODE_DAYS};
use freshet_proto::clock::WallClock;

use super::{
    Setting,
    burst::control,
    caches,
    process::{CLIENT_CORE, SERVER_CORE, Server, free_address, pinned},
    verdict::{Comparison, Figure, Findings},
};

/// How many publish at once.
const PUBLISHERS: u32 = 100;
/// They have all begun and filled their windows by then.
const SETTLE: Duration = Duration::from_secs(12);
/// Over which CPU time is counted.
const MEASURE: Duration = Duration::from_secs(15);
/// From then on old objects go as new ones come: the window is 30 s, and a removed segment stays for as long again and
/// two segments more.
const STEADY: Duration = Duration::from_secs(85);

/// Measures both in turns.
///
/// # Errors
/// When a server does not start or a publisher is refused.
pub fn run(setting: &Setting, scratch: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    let mut row = Comparison {
        what: format!("CPU per stream-second, {PUBLISHERS} publishers of 720p30"),
        peer: "nginx-rtmp 1.2 (plain HLS)".to_owned(),
        unit: "ms",
        ours: Vec::new(),
        theirs: Vec::new(),
        more_is_better: false,
        gate: 1.5,
        goal: 1.0,
    };
    let mut growing = memory("after 27 s, when nothing has gone yet");
    let mut steady = memory("after 85 s, when as much goes as comes; one run");
    for run in 0..setting.runs {
        let dir = scratch.join(format!("packaging-{run}"));
        fs::create_dir_all(&dir)?;
        let ours = freshet(setting, &dir)?;
        let before = ours.server.usage()?.rss_bytes;
        let mut publishers = Publishers::start(setting, ours.rtmp)?;
        row.ours.push(measure(&mut publishers, &ours.server)?);
        growing.values.push(ours.memory_to_window(before)?);
        if run + 1 == setting.runs {
            thread::sleep(STEADY.saturating_sub(SETTLE + MEASURE));
            publishers.check()?;
            steady.values.push(ours.memory_to_window(before)?);
        }
        drop((publishers, ours));
        let (server, rtmp) = nginx(&dir)?;
        let mut publishers = Publishers::start(setting, rtmp)?;
        row.theirs.push(measure(&mut publishers, &server)?);
        eprintln!("{}, run {}: {:.2} ms beside {:.2} ms", row.what, run + 1, row.ours[run], row.theirs[run]);
        drop((publishers, server));
        fs::remove_dir_all(&dir)?;
    }
    findings.comparisons.push(row);
    findings.figures.extend([growing, steady]);
    Ok(())
}

fn memory(when: &str) -> Figure {
    let what = format!("origin's memory ÷ bytes of media that viewers may still ask for, {when}");
    Figure { what, unit: "×", values: Vec::new(), gate: 1.25, goal: 1.25 }
}

/// Our origin, and where it speaks.
struct Origin {
    server: Server,
    rtmp: SocketAddr,
    admin: SocketAddr,
}

impl Origin {
    /// What it has grown by since it used `before` bytes, to the bytes of media in its windows.
    fn memory_to_window(&self, before: u64) -> anyhow::Result<f64> {
        let grown = self.server.usage()?.rss_bytes as f64 - before as f64;
        let metrics = control(self.admin, "GET", "/metrics")?;
        let windows = metrics.lines().filter(|line| line.starts_with("freshet_origin_window_bytes"));
        let kept: f64 = windows.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        ensure!(kept > 0.0, "the origin keeps no media");
        Ok(grown / kept)
    }
}

/// The key of publisher `number`.
fn key(number: u32) -> String {
    format!("bench-stream-key-{number}")
}

fn freshet(setting: &Setting, dir: &Path) -> anyhow::Result<Origin> {
    let clock = WallClock::system();
    Ca::load_or_create(&dir.join("ca"), &clock)?
        .issue("origin", &["127.0.0.1".parse()?], NODE_DAYS, &clock)?
        .write(dir, "origin")?;
    let (rtmp, quic, admin) = (free_address()?, free_address()?, free_address()?);
    let file = |name: &str| dir.join(name).display().to_string();
    let mut config = format!(
        "[node]\nname = \"origin\"\ndata = {:?}\n[listen]\nrtmp = \"{rtmp}\"\nquic = \"{quic}\"\nadmin = \"{admin}\"\n\
         [quic]\ncertificate = {:?}\nkey = {:?}\nca = {:?}\n[origin]\nmax_connections_per_address = 1000\n",
        file("data"),
        file("origin.pem"),
        file("origin.key"),
        file("ca.pem"),
    );
    for number in 0..PUBLISHERS {
        let path = file(&format!("key-{number}"));
        fs::write(&path, key(number))?;
        config += &format!("[[channels]]\nname = \"bench{number}\"\nstream_key_file = {path:?}\n");
    }
    fs::write(file("origin.toml"), config)?;
    let args = ["origin", "--config", &file("origin.toml")];
    let mut server = Server::start(SERVER_CORE, &setting.freshet, &args, &dir.join("origin.log"))?;
    server.wait_for(rtmp)?;
    Ok(Origin { server, rtmp, admin })
}

fn nginx(dir: &Path) -> anyhow::Result<(Server, SocketAddr)> {
    let rtmp = free_address()?;
    fs::create_dir_all(dir.join("hls"))?;
    let fill = [("@DIR@", dir.display().to_string()), ("@RTMP@", rtmp.to_string())];
    let mut server = caches::nginx(dir, include_str!("../../peers/nginx-rtmp.conf"), &fill)?;
    server.wait_for(rtmp)?;
    Ok((server, rtmp))
}

/// Milliseconds of CPU time per stream and second.
fn measure(publishers: &mut Publishers, server: &Server) -> anyhow::Result<f64> {
    thread::sleep(SETTLE);
    let before = server.usage()?.cpu_s;
    thread::sleep(MEASURE);
    let used = server.usage()?.cpu_s - before;
    publishers.check()?;
    Ok(used * 1000.0 / f64::from(PUBLISHERS) / MEASURE.as_secs_f64())
}

/// `loadtest publish` in a process of its own.
struct Publishers(Child);

impl Publishers {
    fn start(setting: &Setting, rtmp: SocketAddr) -> anyhow::Result<Self> {
        let mut command: Command = pinned(CLIENT_CORE, &std::env::current_exe()?);
        let child = command
            .args(["publish", "--url", &format!("rtmp://{rtmp}/live"), "--key-template", "bench-stream-key-{}"])
            .args(["--count", &PUBLISHERS.to_string(), "--duration", "120", "--file"])
            .arg(&setting.clip)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("loadtest publish")?;
        Ok(Self(child))
    }

    fn check(&mut self) -> anyhow::Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "the publishers ended early: {ended:?}");
        Ok(())
    }
}

impl Drop for Publishers {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
