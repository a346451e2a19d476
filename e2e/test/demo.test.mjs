// `freshet dev --demo`: one command, and there is a picture.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { Freshet, UNBROKEN } from "../lib/freshet.mjs";
import { picture } from "../lib/pictures.mjs";
import { follow, renditions } from "../lib/playlist.mjs";
import { settles } from "../lib/process.mjs";
import { says } from "../lib/watching.mjs";

let browser;
let freshet;

before(async () => {
  [browser, freshet] = await Promise.all([launch(), Freshet.start("--demo", ...UNBROKEN)]);
});
after(async () => {
  await browser?.close();
  await freshet?.stop();
});

test("the channel's page plays the clip, sharp and moving", async () => {
  const page = await newPage(browser);
  await page.goto(`${freshet.http}/c/${freshet.info.channel}`);
  await says(page, "live", 40_000);
  const frames = () => page.evaluate(() => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);
  const from = await frames();
  await page.waitForFunction((least) => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > least, from + 60, { timeout: 40_000 });
  await settles("a sharp picture", 720, () => page.evaluate(() => document.querySelector("video").videoHeight));
  await picture(page, "demo");
  await page.context().close();
});

test("the clip's seam is no discontinuity", async () => {
  const index = await freshet.live();
  const [video] = renditions(index.text, index.url);
  let seconds = 0;
  const seen = new Set();
  // The clip is 8 s long: 12 s of playlist include its seam.
  await follow(video, 40_000, (version) => {
    assert.doesNotMatch(version, /^#EXT-X-(DISCONTINUITY|GAP)$/m);
    for (const [, duration, uri] of version.matchAll(/#EXTINF:([\d.]+),[^\n]*\n(?:#[^\n]*\n)*([^#\n]+)/g)) {
      if (!seen.has(uri)) seconds += Number(duration);
      seen.add(uri);
    }
    return seconds > 12;
  });
});
