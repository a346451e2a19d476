// Two regions on one machine, and a player that goes on at another edge when its own goes: the page is never loaded again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { serveFiles } from "../lib/files.mjs";
import { Platform, REGIONS } from "../lib/platform.mjs";
import { until } from "../lib/process.mjs";
import { showsNow } from "../lib/watching.mjs";

let browser;
let platform;
let encoder;
let files;

before(async () => {
  browser = await launch();
  files = await serveFiles();
  platform = await Platform.start();
  encoder = ffmpeg(platform.publishUrl);
  await platform.tells("fra", ["fra", "iad"]);
  await platform.tells("iad", ["iad", "fra"]);
  // The nodes are told of whether somebody streams or not; hls.js takes an answer that nobody does for the last word.
  await platform.live();
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await platform?.stop();
  await files?.close();
});

/** A player, as it comes but for going back to live after a halt, at the edge of a region; which host it fetches media from is kept in `page.from`. */
async function watch(region) {
  const page = await newPage(browser);
  page.from = null;
  page.on("response", (reply) => {
    const { host, pathname } = new URL(reply.url());
    if (/\.m4s$/.test(pathname) && reply.ok()) page.from = host;
  });
  await page.goto(`${files.url}/players/hls.html?follows&src=${encodeURIComponent(platform.index(region))}`);
  await showsNow(page, 60_000);
  await page.evaluate(() => (window.same = true));
  await until("two pathways", 20_000, () => page.evaluate(() => hls.pathwayPriority?.length === 2));
  assert.equal(page.from, at(region));
  return page;
}

const at = (region) => `${REGIONS[region].host}:${platform.port}`;

/** It plays from that region's edge, by the clock in its picture, and was not loaded again. */
async function playsFrom(page, region) {
  await until(`media from ${region}`, 60_000, () => page.from === at(region));
  await showsNow(page, 40_000);
  assert.equal(await page.evaluate(() => window.same), true, "the page is the same");
  assert.deepEqual(await page.evaluate(() => window.faults), [], "no error was fatal");
}

test("a player goes on elsewhere when its edge is drained", async () => {
  const page = await watch("fra");
  await platform.operate("node", "drain", "edge-fra");
  await playsFrom(page, "iad");
  await page.context().close();
  await platform.operate("node", "drain", "--undo", "edge-fra");
  await platform.tells("iad", ["iad", "fra"]);
  await platform.tells("fra", ["fra", "iad"]);
});

test("a player goes on elsewhere when its edge is killed, without a reload", async (t) => {
  const page = await watch("fra");
  await platform.kill("edge-fra");
  const killed = performance.now();
  await playsFrom(page, "iad");
  t.diagnostic(`the picture was young again ${Math.round(performance.now() - killed)} ms after the kill`);
  await platform.tells("iad", ["iad"]);
  await page.context().close();
});
