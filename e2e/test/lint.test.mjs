// `freshet lint` finds nothing in what Freshet makes of real encoders' streams, from outside, over HTTP/2.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ffmpeg, rtmp2sink, rtmpsink } from "../lib/encoders.mjs";
import { BINARY, Freshet } from "../lib/freshet.mjs";
import { Obs } from "../lib/obs.mjs";
import { Program } from "../lib/process.mjs";

let freshet;
let encoder;

afterEach(async () => {
  await encoder?.stop();
  await freshet?.stop();
});

const streams = {
  ffmpeg: (url) => ffmpeg(url),
  "ffmpeg with B-frames": (url) => ffmpeg(url, ["-tune", "film", "-preset", "veryfast", "-bf", "3"]),
  "ffmpeg at 29.97 frames a second": (url) => ffmpeg(url, ["-r", "30000/1001"]),
  "ffmpeg without video": (url) => ffmpeg(url, ["-vn"]),
  "ffmpeg without audio": (url) => ffmpeg(url, ["-an"]),
  rtmp2sink: (url) => rtmp2sink(url),
  rtmpsink: (url) => rtmpsink(url),
  OBS: () => Obs.start(freshet.info.rtmp_url, freshet.info.stream_key),
};

for (const [name, start] of Object.entries(streams)) {
  test(`lint finds no violation in the stream of ${name}`, async (t) => {
    freshet = await Freshet.start();
    encoder = await start(freshet.publishUrl());
    await freshet.live(60_000);
    const url = new URL(new URL(freshet.info.hls_url).pathname, freshet.info.https_url).href;
    const lint = new Program(BINARY, ["lint", url, "--insecure", "--for", "15s"], { name: "lint" });
    const { code } = await lint.end(60_000);
    assert.equal(code, 0, lint.output);
    const checked = [...lint.output.matchAll(/^[LC]\d\d +(ok|advice) +\d/gm)].length;
    assert.ok(checked >= 36, `only ${checked} rules were looked at:\n${lint.output}`);
    t.diagnostic(`${name}: ${lint.output.trim().split("\n").at(-1)}`);
  });
}
