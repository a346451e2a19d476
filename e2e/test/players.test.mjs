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

before(async () => {
  [browser, freshet, files] = await Promise.all([launch(), Freshet.start(), serveFiles()]);
  encoder = ffmpeg(freshet.publishUrl());
  await freshet.live();
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await freshet?.stop();
  await files?.close();
});

for (const player of ["hls", "video", "shaka"]) {
  test(`${player} plays the stream, less than five seconds behind`, async (t) => {
    const page = await newPage(browser);
    const source = `${freshet.http}${new URL(freshet.info.hls_url).pathname}`;
    await page.goto(`${files.url}/players/${player}.html?src=${encodeURIComponent(source)}`);
    await showsNow(page, 60_000);
    const { median, least, most } = await glassToGlass(page, 60);
    t.diagnostic(`${player}: glass to glass median ${Math.round(median)} ms, ${Math.round(least)} to ${Math.round(most)} ms`);
    assert.ok(median < 5_000, `median ${median} ms`);
    assert.deepEqual(await page.evaluate(() => window.faults), []);
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
