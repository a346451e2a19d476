//! Real encoders as child processes. A tool that is not installed fails the test.

use std::process::{ExitStatus, Stdio};

use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

use super::BOUND;

/// A running encoder; it is killed when dropped.
pub struct Tool {
    name: String,
    child: Child,
}

impl Tool {
    pub fn start(name: &str, args: &[&str]) -> Self {
        let child = Command::new(name)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; install it: apt-get install ffmpeg gstreamer1.0-tools"));
        Self { name: name.to_owned(), child }
    }

    /// Waits until it exits by itself; returns how, and all it wrote.
    pub async fn exit(&mut self) -> (ExitStatus, String) {
        let (mut out, mut err) = (self.child.stdout.take().unwrap(), self.child.stderr.take().unwrap());
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let all = async {
            let (_, _, status) =
                tokio::join!(out.read_to_end(&mut said), err.read_to_end(&mut complained), self.child.wait());
            status.unwrap()
        };
        let status = timeout(BOUND, all).await.unwrap_or_else(|_| panic!("{} goes on and on", self.name));
        said.extend(complained);
        (status, String::from_utf8_lossy(&said).into_owned())
    }

    /// Sends it `signal`, by its process id.
    pub async fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it is running").to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().await.unwrap().success());
    }

    /// Ends it without a word, as a power cut does.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// ffmpeg publishing `seconds` of a test picture and a tone to `url` at the speed of life; with more output options.
pub fn ffmpeg(url: &str, seconds: u32, more: &[&str]) -> Tool {
    let seconds = seconds.to_string();
    let mut args = vec!["-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30"];
    args.extend(["-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", &seconds, "-pix_fmt", "yuv420p"]);
    args.extend(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60", "-b:v", "400k"]);
    args.extend(["-c:a", "aac", "-b:a", "64k"]);
    args.extend(more);
    args.extend(["-f", "flv", url]);
    Tool::start("ffmpeg", &args)
}

/// GStreamer publishing to `url` through `sink` (`rtmp2sink` or `rtmpsink`, which is librtmp) until `buffers` frames.
pub fn gstreamer(sink: &str, url: &str, buffers: u32) -> Tool {
    let frames = format!("num-buffers={buffers}");
    let location = format!("location={url}");
    let audio = format!("num-buffers={}", buffers * 48_000 / 30 / 1024);
    let video = ["videotestsrc", "is-live=true", &frames, "!"];
    let caps = ["video/x-raw,format=I420,width=320,height=180,framerate=30/1", "!"];
    let coder = ["x264enc", "tune=zerolatency", "speed-preset=ultrafast", "bitrate=400", "key-int-max=60", "!"];
    let mux = ["h264parse", "!", "flvmux", "name=m", "streamable=true", "!", sink, &location];
    let tone = ["audiotestsrc", "is-live=true", "samplesperbuffer=1024", &audio, "!"];
    let sound = ["audio/x-raw,rate=48000,channels=2", "!", "avenc_aac", "!", "aacparse", "!", "m."];
    let args: Vec<&str> = [&video[..], &caps, &coder, &mux, &tone, &sound].into_iter().flatten().copied().collect();
    Tool::start("gst-launch-1.0", &args)
}
