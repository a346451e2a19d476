// OBS Studio without a screen: a generated profile and scene, an X server of its own, the real program.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "./process.mjs";

const GLOBAL = `[General]
FirstRun=true
LastVersion=486539266
EnableAutoUpdates=false
ConfirmOnExit=false
WarnBeforeStartingStream=false
WarnBeforeStoppingStream=false
[BasicWindow]
WarnBeforeStartingStream=false
WarnBeforeStoppingStream=false
ShowTransitions=true
[Basic]
Profile=Freshet
ProfileDir=Freshet
SceneCollection=Freshet
SceneCollectionFile=Freshet
[OBSWebSocket]
FirstLoad=false
ServerEnabled=false
`;

const PROFILE = `[General]
Name=Freshet
[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSCommon=30
ColorFormat=NV12
[Output]
Mode=Simple
Reconnect=true
RetryDelay=2
MaxRetries=25
[SimpleOutput]
VBitrate=1000
ABitrate=96
StreamEncoder=x264
UseAdvanced=true
Preset=ultrafast
x264Settings=keyint=60 tune=zerolatency
[Audio]
SampleRate=48000
ChannelSetup=Stereo
`;

const TEST_CARD = "testsrc2=s=640x360:r=30";

function source(name, id, settings) {
  return { name, id, versioned_id: id, settings, enabled: true, flags: 0, volume: 1, mixers: 255, hotkeys: {}, filters: [] };
}

/** One scene: a colour, and a test card over it. */
function scenes() {
  const items = ["Ground", "Card"].map((name, index) => ({
    ...{ name, id: index + 1, visible: true, locked: false, rot: 0, align: 5, bounds_type: 0 },
    ...{ pos: { x: 0, y: 0 }, scale: { x: 1, y: 1 }, bounds: { x: 0, y: 0 }, crop_left: 0, crop_top: 0, crop_right: 0, crop_bottom: 0 },
  }));
  return {
    name: "Freshet",
    current_scene: "Test",
    current_program_scene: "Test",
    scene_order: [{ name: "Test" }],
    sources: [
      source("Ground", "color_source_v3", { color: 4284900966, width: 640, height: 360 }),
      source("Card", "ffmpeg_source", { is_local_file: false, input: TEST_CARD, input_format: "lavfi", restart_on_activate: true }),
      source("Test", "scene", { id_counter: 2, custom_size: false, items }),
    ],
    groups: [],
    transitions: [],
    modules: {},
  };
}

/** OBS, told to stream to `server` (rtmp://host:port/app) with `key` as soon as it is up. Its log is the program's output. */
export class Obs {
  static async start(server, key) {
    const obs = new Obs();
    obs.directory = await mkdtemp(join(tmpdir(), "freshet-obs-"));
    await obs.#configure(server, key);
    obs.display = new Program("Xvfb", ["-displayfd", "1", "-screen", "0", "1280x720x24", "+extension", "GLX", "+render", "-noreset"], { name: "Xvfb" });
    const number = await obs.display.line(/^\d+$/, 20_000);
    const flags = ["--multi", "--startstreaming", "--profile", "Freshet", "--collection", "Freshet", "--scene", "Test"];
    obs.program = new Program("dbus-run-session", ["--", "obs", ...flags, "--disable-missing-files-check", "--disable-updater", "--verbose"], {
      name: "obs",
      env: {
        ...{ DISPLAY: `:${number}`, HOME: obs.directory, XDG_CONFIG_HOME: obs.directory, XDG_RUNTIME_DIR: join(obs.directory, "run") },
        ...{ LIBGL_ALWAYS_SOFTWARE: "1", LP_NUM_THREADS: "1", QT_QPA_PLATFORM: "xcb" },
      },
    });
    return obs;
  }

  async #configure(server, key) {
    const root = join(this.directory, "obs-studio");
    const profile = join(root, "basic/profiles/Freshet");
    await mkdir(profile, { recursive: true });
    await mkdir(join(root, "basic/scenes"), { recursive: true });
    await mkdir(join(this.directory, "run"), { mode: 0o700 });
    const service = { type: "rtmp_custom", settings: { server, key, use_auth: false } };
    await writeFile(join(root, "global.ini"), GLOBAL);
    await writeFile(join(profile, "basic.ini"), PROFILE);
    await writeFile(join(profile, "service.json"), JSON.stringify(service));
    await writeFile(join(root, "basic/scenes/Freshet.json"), JSON.stringify(scenes()));
  }

  async stop() {
    await this.program?.stop("SIGINT");
    await this.display?.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}
