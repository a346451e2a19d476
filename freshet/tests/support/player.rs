//! A real player: ffmpeg, which reads the channel and counts what it gets.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use super::PATIENCE;

/// A player, killed when dropped.
pub struct Player {
    child: Child,
    frames: Arc<AtomicU64>,
    complaints: JoinHandle<String>,
}

impl Player {
    /// Plays the video of `http://…/index.m3u8`. It looks for news for as long as it takes, as players in browsers do.
    ///
    /// Not the sound: ffmpeg 5.1 reads whichever track has the lower timestamp, so that after a discontinuity the track
    /// that has passed it first leaves the other one behind.
    pub fn play(url: &str) -> Self {
        let before = "-hide_banner -nostats -v warning -max_reload 1000000 -m3u8_hold_counters 1000000 -i";
        let mut child = Command::new("ffmpeg")
            .args(before.split(' '))
            .arg(url)
            .args("-map 0:v -c copy -f framecrc pipe:1".split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ffmpeg is installed");
        let frames = Arc::new(AtomicU64::new(0));
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        let count = Arc::clone(&frames);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                count.fetch_add(u64::from(!line.starts_with('#')), SeqCst);
            }
        });
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let complaints = tokio::spawn(async move {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, frames, complaints }
    }

    /// How many frames it got so far.
    pub fn frames(&self) -> u64 {
        self.frames.load(SeqCst)
    }

    /// Ends it as a person does; returns what it complained of.
    ///
    /// # Panics
    /// When it had ended by itself or says that it failed.
    pub async fn quit(mut self) -> String {
        let ended = self.child.try_wait().expect("it is ours");
        assert!(ended.is_none(), "the player goes on to the end: {ended:?}, {}", self.complaints.await.unwrap());
        let mut stdin = self.child.stdin.take().expect("asked once");
        stdin.write_all(b"q").await.expect("it listens");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it is ours");
        let complaints = self.complaints.await.expect("text");
        assert!(status.success(), "{status}: {complaints}");
        complaints
    }
}
