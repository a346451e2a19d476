// A stream of several sizes. Freshet makes no ladder yet, so an encoder publishes two sizes to two channels, and what the browser
// is told of one of them names the playlists of both.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { PASSWORD } from "../lib/chatting.mjs";
import { twoSizes } from "../lib/encoders.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { until } from "../lib/process.mjs";
import { press, showsNow } from "../lib/watching.mjs";

let browser;
let freshet;
let encoder;

before(async () => {
  browser = await launch();
  freshet = await Freshet.start();
  const keys = [];
  for (const username of ["large", "small"]) keys.push((await freshet.api("POST", "/api/auth/register", { username, password: PASSWORD })).stream_key);
  encoder = twoSizes(...keys.map((key) => freshet.publishUrl(key)));
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await freshet?.stop();
});

/** What a channel's multivariant playlist says, with whole addresses. */
async function variants(channel) {
  const { text, url } = await until(`${channel} live`, 40_000, async () => {
    const found = await freshet.get(`/live/${channel}/index.m3u8`).catch(() => null);
    return found?.status === 200 && found.text.includes("#EXT-X-STREAM-INF") ? found : null;
  });
  const whole = (uri) => new URL(uri, url).href;
  const lines = text.trim().split("\n").filter((line) => !line.startsWith("#EXT-X-CONTENT-STEERING"));
  return lines.map((line) => (line.startsWith("#") ? line.replace(/URI="([^"]+)"/, (_, uri) => `URI="${whole(uri)}"`) : whole(line)).replace(/PATHWAY-ID="[^"]*",?/, ""));
}

/** The playlist of the large one, and after it the picture of the small one with the large one's sound. */
async function ladder() {
  const [large, small] = [await variants("large"), await variants("small")];
  const at = small.findIndex((line) => line.startsWith("#EXT-X-STREAM-INF"));
  return [...large, ...small.slice(at, at + 2), ""].join("\n");
}

async function open(page, playlist) {
  await page.route("**/live/large/index.m3u8", (route) => route.fulfill({ contentType: "application/vnd.apple.mpegurl", body: playlist }));
  await page.goto(`${freshet.http}/c/large`);
  await showsNow(page, 40_000);
}

const lines = (page) => page.evaluate(() => document.querySelector("video")?.videoHeight ?? 0);

/** Waits until the picture moves on. The small one's clock is too small to be read. */
async function moves(page) {
  const at = () => page.evaluate(() => document.querySelector("video").currentTime);
  const from = await at();
  await until("a picture that moves", 20_000, async () => (await at()) > from + 1);
}

/** What the menu offers, once it is open. */
async function menu(page) {
  await press(page.getByRole("button", { name: "Settings", exact: true }));
  const entries = page.getByRole("group", { name: "Quality" }).getByRole("menuitemradio");
  await entries.first().waitFor({ timeout: 20_000 });
  return entries;
}

/** Takes one of the open menu. */
const take = (page, name) => page.getByRole("menuitemradio", { name, exact: true }).click();
const texts = async (entries) => (await entries.allInnerTexts()).map((text) => text.trim());

test("the menu lists the sizes, says what Auto plays, and keeps to what is chosen", async () => {
  const page = await newPage(browser);
  await open(page, await ladder());
  await until("the larger size by itself", 40_000, async () => (await lines(page)) === 360);
  let entries = await menu(page);
  await until("both sizes in the menu", 20_000, async () => (await texts(entries)).join() === "Auto (360p),360p,180p,Sound only");
  await take(page, "180p");
  await until("the smaller size", 30_000, async () => (await lines(page)) === 180);
  await moves(page);
  entries = await menu(page);
  assert.equal(await page.getByRole("menuitemradio", { name: "180p" }).getAttribute("aria-checked"), "true");
  assert.deepEqual(await texts(entries), ["Auto", "360p", "180p", "Sound only"], "Auto is not at work");
  await page.keyboard.press("Escape");

  await page.reload();
  await until("a picture", 40_000, async () => (await lines(page)) > 0);
  assert.equal(await lines(page), 180, "the choice is remembered");
  await moves(page);
  await menu(page);
  await take(page, "Sound only");
  await page.getByTestId("audio-only").waitFor({ timeout: 20_000 });
  // From the sound alone straight to one of the sizes.
  assert.deepEqual(await texts(await menu(page)), ["Auto", "360p", "180p", "Sound only"]);
  await take(page, "360p");
  await until("a picture again", 30_000, async () => (await lines(page)) === 360);
  await showsNow(page, 20_000);
});
