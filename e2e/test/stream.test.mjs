// The stream as files, by independent readers: hls-parser in strict mode on the playlists, ffprobe on the media.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import HLS from "hls-parser";
import { median } from "../lib/clock.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { Freshet, UNBROKEN } from "../lib/freshet.mjs";
import { bytes, follow, objects, renditions, text } from "../lib/playlist.mjs";
import { Program } from "../lib/process.mjs";

let freshet;
let encoder;
let index;
let directory;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "freshet-stream-"));
  freshet = await Freshet.start(...UNBROKEN);
  encoder = ffmpeg(freshet.publishUrl());
  index = await freshet.live();
});
after(async () => {
  await encoder?.stop();
  await freshet?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function ffprobe(...args) {
  const program = new Program("ffprobe", ["-v", "warning", "-hide_banner", ...args], { name: "ffprobe" });
  const { code } = await program.end(30_000);
  return { code, output: program.output };
}

test("hls-parser, strict, finds nothing in the multivariant playlist", () => {
  HLS.setOptions({ strictMode: true });
  const playlist = HLS.parse(index.text);
  assert.equal(playlist.isMasterPlaylist, true);
  assert.ok(playlist.variants.length >= 1);
});

test("hls-parser, strict, finds nothing in any of 24 versions of each media playlist", async (t) => {
  HLS.setOptions({ strictMode: true });
  for (const url of renditions(index.text, index.url)) {
    let versions = 0;
    let parts = 0;
    await follow(url, 40_000, (version) => {
      versions += 1;
      try {
        const playlist = HLS.parse(version);
        parts += playlist.segments.reduce((sum, segment) => sum + segment.parts.length, 0);
      } catch (error) {
        if (!excused(error, version)) throw new Error(`${error.message} in\n${version}`);
      }
      return versions === 24;
    });
    assert.ok(parts > 24, `${parts} parts in ${versions} versions of ${url}`);
    t.diagnostic(`${url.split("/").at(-1)}: ${versions} versions, ${parts} parts`);
  }
});

/** Whether hls-parser's complaint is its own mistake. It takes a hinted part for one of the segment that is open. */
const excused = ({ message }, playlist) => excusedShort(message, playlist) || excusedOld(message, playlist);

/** It misses the excuse that a short last part has, when the hint is of the next segment's first. */
function excusedShort(message, playlist) {
  const hint = /^#EXT-X-PRELOAD-HINT:.*URI="([^"]+)\.\d+\.m4s"/m.exec(playlist)?.[1];
  const parts = [...playlist.matchAll(/^#EXT-X-PART:DURATION=([\d.]+).*URI="([^"]+)\.\d+\.m4s"/gm)];
  const least = Number(/PART-TARGET=([\d.]+)/.exec(playlist)?.[1]) * 0.85;
  const short = parts.filter(([, duration, segment], n) => duration < least && segment === parts[n + 1]?.[2]);
  return message.includes("85%") && hint !== parts.at(-1)?.[2] && short.length === 0;
}

/** It counts a segment that is only hinted at, as after an encoder that stands still where one ended, among the last three. */
function excusedOld(message, playlist) {
  const segments = playlist.split(/^#EXTINF:.*\n.*\n/m).map((lines) => lines.includes("#EXT-X-PART:"));
  const open = segments.pop();
  const hinted = /^#EXT-X-PRELOAD-HINT:TYPE=PART/m.test(playlist);
  return message.startsWith("Remove EXT-X-PART tags") && hinted && !open && !segments.slice(0, -3).includes(true);
}

test("ffprobe finds nothing in any segment by itself, nor in all of them in a row", async (t) => {
  for (const url of renditions(index.text, index.url)) {
    const track = url.split("/").at(-1).replace(".m3u8", "");
    let playlist;
    await follow(url, 40_000, (version) => (playlist = version).split("#EXTINF").length > 6);
    const { init, segments } = objects(playlist, url);
    const head = await bytes(init);
    const bodies = await Promise.all(segments.map(bytes));
    for (const [n, body] of bodies.entries()) {
      const file = join(directory, `${track}-${n}.mp4`);
      await writeFile(file, Buffer.concat([head, body]));
      const { code, output } = await ffprobe("-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0", file);
      assert.equal(code, 0, output);
      assert.match(output, track.startsWith("v") ? /^h264,\d+$/ : /^aac,\d+$/, `segment ${n}`);
    }
    const whole = join(directory, `${track}.mp4`);
    await writeFile(whole, Buffer.concat([head, ...bodies]));
    const decoded = new Program("ffmpeg", ["-nostdin", "-v", "warning", "-xerror", "-i", whole, "-f", "null", "-"], { name: "ffmpeg decode" });
    assert.deepEqual([(await decoded.end(60_000)).code, decoded.output], [0, ""]);
    const times = await ffprobe("-show_entries", "packet=dts", "-of", "csv=p=0", whole);
    assert.deepEqual(holes(times.output), []);
    t.diagnostic(`${track}: ${bodies.length} segments, ${times.output.trim().split("\n").length} packets`);
  }
});

/** Where decode time stands, goes back or leaves more than a packet out, in one "dts" a line. */
function holes(lines) {
  const times = lines.trim().split("\n").map((line) => Number.parseInt(line, 10));
  assert.ok(times.length > 50 && times.every(Number.isFinite), lines.slice(0, 200));
  const steps = times.slice(1).map((time, n) => time - times[n]);
  const usual = median(steps);
  return steps.flatMap((step, n) => (step > 0 && step < 1.5 * usual ? [] : [`${step} after packet ${n}, usually ${usual}`]));
}

test("ffmpeg plays the stream from its address", async () => {
  const url = `${freshet.http}${new URL(freshet.info.hls_url).pathname}`;
  const player = new Program("ffmpeg", ["-nostdin", "-v", "error", "-i", url, "-t", "4", "-f", "null", "-"], { name: "ffmpeg play" });
  const { code } = await player.end(60_000);
  assert.equal(code, 0, player.output);
});

test("a playlist asks for what comes next", async () => {
  for (const url of renditions(index.text, index.url)) {
    const playlist = await text(url);
    assert.match(playlist, /#EXT-X-PRELOAD-HINT:TYPE=PART/);
    assert.match(playlist, /#EXT-X-SERVER-CONTROL:.*CAN-BLOCK-RELOAD=YES/);
  }
});
