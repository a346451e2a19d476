// Players that are not ours, as they come, on the same stream.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { serveFiles } from "../lib/files.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { glassToGlass, showsNow } from "../lib/watching.mjs";

let browser;
let freshet;
let encoder;
let files;
/** What a player has called an error: no other attempt makes up for it. */
const faults = [];

before(async () => {
  // Nothing leaves the window meanwhile: Shaka 5.2 may lose EXT-X-MAP where it does (docs/operating.md).
  const window = ["--set", "origin.packaging.window_ms=600000"];
  [browser, freshet, files] = await Promise.all([launch(), Freshet.start(...window), serveFiles()]);
  encoder = ffmpeg(freshet.publishUrl());
  await freshet.live();
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await freshet?.stop();
  await files?.close();
});

/** Opens the player; gives how old its picture is. */
async function measure(page, address) {
  await page.goto(address);
  try {
    await showsNow(page, 20_000);
    const age = await glassToGlass(page, 60);
    assert.ok(age.median < 5_000, `median ${age.median} ms`);
    return age;
  } finally {
    faults.push(...(await page.evaluate(() => window.faults)));
  }
}

for (const player of ["hls", "video", "shaka"]) {
  test(`${player} plays the stream, less than five seconds behind`, async (t) => {
    const page = await newPage(browser);
    const source = `${freshet.http}${new URL(freshet.info.hls_url).pathname}`;
    const address = `${files.url}/players/${player}.html?src=${encodeURIComponent(source)}`;
    // As they come, they stay as far behind as they ever fell: where the machine was busy for a moment, once more from the start.
    const again = (error) => (t.diagnostic(`once more: ${error.message}`), measure(page, address));
    const { median, least, most } = await measure(page, address).catch(again).catch(again);
    assert.deepEqual(faults.splice(0), []);
    t.diagnostic(`${player}: glass to glass median ${Math.round(median)} ms, ${Math.round(least)} to ${Math.round(most)} ms`);
    await page.context().close();
  });
}

test("the browser's own player, where there is no Media Source Extensions, plays Freshet's page too", async () => {
  const page = await newPage(browser);
  await page.addInitScript(() => delete window.MediaSource);
  await page.goto(`${freshet.http}/c/${freshet.info.channel}`);
  // It reads whole segments, so it is further behind than anything else here: that it moves is what is asked.
  await page.waitForFunction(() => document.querySelector("video")?.currentTime > 0.5, null, { timeout: 60_000 });
  assert.match(await page.evaluate(() => document.querySelector("video").src), /\/live\//);
  await page.context().close();
});
