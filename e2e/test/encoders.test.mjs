// Encoders as streamers have them: each is taken with the right key, and stops at once with a wrong one.
import assert from "node:assert/strict";
import { afterEach, before, after, test } from "node:test";
import { ffmpeg, rtmp2sink, rtmpsink } from "../lib/encoders.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { Obs } from "../lib/obs.mjs";
import { follow, renditions } from "../lib/playlist.mjs";

let freshet;
let encoder;

before(async () => {
  freshet = await Freshet.start();
});
after(async () => {
  await freshet?.stop();
});
afterEach(async () => {
  await encoder?.stop();
  encoder = undefined;
});

/** Waits until the channel's playlists grow by parts while the encoder runs. */
async function flows() {
  const index = await freshet.live(60_000);
  const tracks = renditions(index.text, index.url);
  assert.equal(tracks.length, 2, index.text);
  for (const url of tracks) {
    const versions = new Set();
    await follow(url, 30_000, (version) => versions.add(version).size >= 6);
  }
}

for (const [name, start] of Object.entries({ ffmpeg, rtmp2sink, rtmpsink })) {
  test(`${name} is taken`, async () => {
    encoder = start(freshet.publishUrl());
    await flows();
    assert.equal(encoder.ended, null, encoder.output);
  });

  test(`${name} stops at once when its key is wrong`, async () => {
    encoder = start(freshet.publishUrl("not-the-key"));
    const { code } = await encoder.end(30_000);
    assert.notEqual(code, 0, encoder.output);
  });
}

for (const [name, start] of Object.entries({ ffmpeg, rtmp2sink })) {
  test(`${name} is taken over RTMPS`, async () => {
    encoder = start(`${freshet.info.rtmps_url}/${freshet.info.stream_key}`);
    await flows();
    assert.equal(encoder.ended, null, encoder.output);
  });
}

test("OBS is taken", async () => {
  encoder = await Obs.start(freshet.info.rtmp_url, freshet.info.stream_key);
  await encoder.program.line(/Connection to .* successful/, 60_000);
  await flows();
});

test("OBS stops at once when its key is wrong, and does not try again", async () => {
  encoder = await Obs.start(freshet.info.rtmp_url, "not-the-key");
  await encoder.program.line(/Connecting to RTMP URL/, 60_000);
  // OBS says that it stops only when it will not try again; before a retry it says "Reconnecting in".
  await encoder.program.line(/Streaming Stop/, 30_000);
  assert.doesNotMatch(encoder.program.output, /Reconnecting in/);
  assert.equal(encoder.program.output.match(/Connecting to RTMP URL/g).length, 1);
});
