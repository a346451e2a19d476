//! OBS Studio itself, headless, with a configuration written for the test.

mod common;

use std::{fs, path::Path, process::Stdio, time::Duration};

use common::{KEY, World, world};
use freshet_proto::view::ChannelState;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How long OBS may take to start, all of its graphics being computed, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(180);

const BASIC: &str = "[General]\nName=Freshet\n[Output]\nMode=Simple\nReconnect=true\nRetryDelay=1\n\
    [SimpleOutput]\nVBitrate=400\nABitrate=64\nStreamEncoder=x264\nPreset=ultrafast\nUseAdvanced=true\n\
    x264Settings=keyint=60\n[Video]\nBaseCX=320\nBaseCY=180\nOutputCX=320\nOutputCY=180\nFPSType=0\nFPSCommon=30\n\
    [Audio]\nSampleRate=48000\nChannelSetup=Stereo\n";
const GLOBAL: &str = "[General]\nFirstRun=true\nPre19Defaults=false\nPre21Defaults=false\nPre23Defaults=false\n\
    Pre24.1Defaults=false\nEnableAutoUpdates=false\n[Basic]\nProfile=Freshet\nProfileDir=Freshet\n\
    SceneCollection=Freshet\nSceneCollectionFile=Freshet\n[BasicWindow]\nWarnBeforeStartingStream=false\n\
    WarnBeforeStoppingStream=false\n[OBSWebSocket]\nFirstLoad=false\nServerEnabled=false\n";
const SCENES: &str = r#"{"name":"Freshet","current_scene":"Test","current_program_scene":"Test",
    "scene_order":[{"name":"Test"}],"sources":[{"id":"scene","name":"Test","settings":{"items":[]}}]}"#;

/// A running OBS and its display. Both are killed when dropped.
struct Obs {
    log: Lines<BufReader<ChildStdout>>,
    _obs: Child,
    _display: Child,
    _home: tempfile::TempDir,
}

impl Obs {
    /// Starts OBS, which begins to stream to `world` with `key` at once.
    async fn start(world: &World, key: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        configure(home.path(), &format!("rtmp://{}/live", world.rtmp), key);
        let (display, number) = display().await;
        let mut obs = Command::new("obs")
            .args(["--multi", "--startstreaming", "--profile", "Freshet", "--collection", "Freshet"])
            .args(["--scene", "Test", "--disable-missing-files-check", "--disable-updater", "--verbose"])
            .envs([("DISPLAY", number.as_str()), ("LIBGL_ALWAYS_SOFTWARE", "1"), ("QT_QPA_PLATFORM", "xcb")])
            .env("LP_NUM_THREADS", "1")
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env("XDG_RUNTIME_DIR", home.path().join("run"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("apt-get install obs-studio");
        let log = BufReader::new(obs.stdout.take().unwrap()).lines();
        Self { log, _obs: obs, _display: display, _home: home }
    }

    /// Waits for a line of its log that contains `words`.
    async fn says(&mut self, words: &str) -> String {
        let found = async {
            while let Ok(Some(line)) = self.log.next_line().await {
                if line.contains(words) {
                    return line;
                }
            }
            panic!("OBS ended without saying {words:?}");
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("OBS never said {words:?}"))
    }
}

fn configure(home: &Path, server: &str, key: &str) {
    let obs = home.join("config/obs-studio");
    let profile = obs.join("basic/profiles/Freshet");
    let scenes = obs.join("basic/scenes");
    for dir in [&profile, &scenes, &home.join("run")] {
        fs::create_dir_all(dir).unwrap();
    }
    let service =
        format!(r#"{{"type":"rtmp_custom","settings":{{"server":"{server}","key":"{key}","use_auth":false}}}}"#);
    fs::write(obs.join("global.ini"), GLOBAL).unwrap();
    fs::write(profile.join("basic.ini"), BASIC).unwrap();
    fs::write(profile.join("service.json"), service).unwrap();
    fs::write(scenes.join("Freshet.json"), SCENES).unwrap();
}

/// A display that nobody sees, and its name; the server picks a free number.
async fn display() -> (Child, String) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1280x720x24", "+extension", "GLX", "+render", "-noreset"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("apt-get install xvfb");
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let number = timeout(PATIENCE, lines.next_line()).await.expect("Xvfb never started").unwrap();
    (server, format!(":{}", number.expect("Xvfb tells its number")))
}

#[tokio::test]
async fn what_obs_publishes_can_be_fetched_by_other_nodes() {
    let mut world = world().await;
    let mut obs = Obs::start(&world, KEY).await;
    obs.says("Connection to rtmp").await;
    world.until_state(ChannelState::Live).await;
    let index = world.text("ada/index.m3u8").await;
    assert!(index.contains("v0.m3u8") && index.contains("a0.m3u8"), "{index}");
}

#[tokio::test]
async fn obs_with_a_wrong_key_gives_up_at_once() {
    let world = world().await;
    let mut obs = Obs::start(&world, "wrong").await;
    // -3 is OBS_OUTPUT_INVALID_STREAM: "check your stream key", and no retry.
    let line = obs.says("Connection to rtmp").await;
    assert!(line.contains("failed: -3"), "{line}");
}
