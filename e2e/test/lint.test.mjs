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

/** Reads a stream for 15 s; gives how that ended and what was said. */
async function read(url) {
  const reader = new Program(BINARY, ["lint", url, "--insecure", "--for", "15s"], { name: "lint" });
  const { code } = await reader.end(60_000);
  return { code, output: reader.output };
}

/** Whether nothing new came for 2 s, by lint's own L08: what stands still, as all does on a busy machine, breaks rules of pace. */
function stoodStill(output) {
  const waits = [...output.matchAll(/^L08 (?:advice|violation), .*\n +at .*\n +saw Some\(.*\) after ([\d.]+)s$/gm)];
  return waits.some(([, seconds]) => Number(seconds) >= 2);
}

/** Reads the stream of an encoder, again where it stood still meanwhile; gives the summary. */
async function lint(start) {
  const freshet = await Freshet.start();
  let encoder;
  try {
    encoder = await start({ url: freshet.publishUrl(), info: freshet.info });
    await freshet.live(60_000);
    const url = new URL(new URL(freshet.info.hls_url).pathname, freshet.info.https_url).href;
    let { code, output } = await read(url);
    for (let again = 0; again < 3 && code === 3 && stoodStill(output); again += 1) ({ code, output } = await read(url));
    assert.equal(code, 0, output);
    const checked = [...output.matchAll(/^[LC]\d\d +(ok|advice) +\d/gm)].length;
    assert.ok(checked >= 36, `only ${checked} rules were looked at:\n${output}`);
    return output.trim().split("\n").at(-1);
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
