// `freshet lint` finds nothing in what Freshet makes of real encoders' streams, from outside, over HTTP/2.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ffmpeg, rtmp2sink, rtmpsink } from "../lib/encoders.mjs";
import { BINARY, Freshet } from "../lib/freshet.mjs";
import { Obs } from "../lib/obs.mjs";
import { Program } from "../lib/process.mjs";

/** So many streams at once: reading one takes time, but hardly work. */
const AT_ONCE = 3;

const streams = {
  ffmpeg: ({ url }) => ffmpeg(url),
  "ffmpeg with B-frames": ({ url }) => ffmpeg(url, ["-tune", "film", "-preset", "veryfast", "-bf", "3"]),
  "ffmpeg at 29.97 frames a second": ({ url }) => ffmpeg(url, ["-r", "30000/1001"]),
  "ffmpeg without video": ({ url }) => ffmpeg(url, ["-vn"]),
  "ffmpeg without audio": ({ url }) => ffmpeg(url, ["-an"]),
  rtmp2sink: ({ url }) => rtmp2sink(url),
  rtmpsink: ({ url }) => rtmpsink(url),
  OBS: ({ info }) => Obs.start(info.rtmp_url, info.stream_key),
};

/** Reads the stream of an encoder for 15 s; gives the summary. */
async function lint(start) {
  const freshet = await Freshet.start();
  let encoder;
  try {
    encoder = await start({ url: freshet.publishUrl(), info: freshet.info });
    await freshet.live(60_000);
    const url = new URL(new URL(freshet.info.hls_url).pathname, freshet.info.https_url).href;
    const reader = new Program(BINARY, ["lint", url, "--insecure", "--for", "15s"], { name: "lint" });
    const { code } = await reader.end(60_000);
    assert.equal(code, 0, reader.output);
    const checked = [...reader.output.matchAll(/^[LC]\d\d +(ok|advice) +\d/gm)].length;
    assert.ok(checked >= 36, `only ${checked} rules were looked at:\n${reader.output}`);
    return reader.output.trim().split("\n").at(-1);
  } finally {
    await encoder?.stop();
    await freshet.stop();
  }
}

describe("lint finds no violation", { concurrency: AT_ONCE }, () => {
  for (const [name, start] of Object.entries(streams)) {
    test(`in the stream of ${name}`, async (t) => t.diagnostic(`${name}: ${await lint(start)}`));
  }
});
