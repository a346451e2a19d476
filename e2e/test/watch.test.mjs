// The watch page as viewers use it: its menu, keys, rooms and numbers, and what is told of the stream.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { PASSWORD, violations } from "../lib/chatting.mjs";
import { median, pictureAge } from "../lib/clock.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { picture } from "../lib/pictures.mjs";
import { Platform, REGIONS } from "../lib/platform.mjs";
import { settles, until } from "../lib/process.mjs";
import { press, readings, says, showsNow } from "../lib/watching.mjs";

let browser;
let freshet;
let encoder;
let page;
/** Ada's stream key and access token. */
let ada;

before(async () => {
  browser = await launch();
  freshet = await Freshet.start();
  const { stream_key, access_token } = await freshet.api("POST", "/api/auth/register", { username: "ada", password: PASSWORD });
  ada = { key: stream_key, token: access_token };
  await freshet.api("POST", "/api/auth/register", { username: "bob", password: PASSWORD });
  const about = { title: "Engines of the river", category: "Science", tags: ["water", "brass"] };
  await freshet.api("PATCH", "/api/streams/ada", about, ada.token);
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await freshet?.stop();
});
afterEach(async () => {
  const violations = page?.faults.filter((fault) => fault.includes("Content Security Policy")) ?? [];
  await page?.context().close();
  assert.deepEqual(violations, []);
});

async function publish() {
  await encoder?.stop();
  encoder = ffmpeg(freshet.publishUrl(ada.key));
}

async function open(options) {
  page = await newPage(browser, options);
  await page.goto(`${freshet.http}/c/ada`);
  return page;
}

const video = (read) => page.evaluate(`(() => { const video = document.querySelector("video"); return ${read}; })()`);
const button = (name) => page.getByRole("button", { name, exact: true });

/** Fills in the dialog in which one logs in. */
async function logIn(username) {
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("User name or e-mail").fill(username);
  await dialog.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await dialog.locator("form").getByRole("button", { name: "Log in" }).click();
  await dialog.waitFor({ state: "detached", timeout: 20_000 });
}

/** Opens the menu and takes something of it. */
async function choose(role, name) {
  await press(button("Settings"));
  await page.getByRole(role, { name }).click();
}

test("an offline channel tells what was on last, and is live by itself; viewers follow it", async () => {
  await open();
  await says(page, "offline", 30_000);
  await page.getByTestId("last").getByText("Engines of the river").waitFor({ timeout: 30_000 });
  await settles("a player where there is nothing to play", 0, () => page.getByRole("button", { name: /^(Pause|Play)$/ }).count());
  await publish();
  await says(page, "live", 40_000);
  await showsNow(page, 20_000);
  await page.getByRole("heading", { level: 1, name: "Engines of the river" }).waitFor();
  await settles("the category's address", "/?category=Science", () => page.getByRole("link", { name: "Science" }).getAttribute("href"));
  await settles("tags", ["water", "brass"], () => page.getByRole("list", { name: "Tags" }).getByRole("link").allInnerTexts());
  await settles("a tag's address", "/?tag=brass", () => page.getByRole("link", { name: "brass" }).getAttribute("href"));
  await page.getByTestId("uptime").getByText(/^On for \d+:\d\d$/).waitFor();
  await page.getByTestId("viewers").waitFor({ timeout: 20_000 });

  // Who isn't signed in is shown the way in; then the page knows who it is.
  const follow = () => page.getByTestId("follow");
  await follow().click();
  await logIn("bob");
  await follow().click();
  await follow().getByText("Following").waitFor({ timeout: 20_000 });
  await page.getByTestId("followers").getByText("1 follower").waitFor();

  await button("Share").click();
  await settles("the channel's address", `${freshet.http}/c/ada`, () => page.getByTestId("given").first().innerText());
  assert.match(await page.getByTestId("given").nth(1).innerText(), /^<iframe src="[^"]+\/embed\/ada" title="ada"/);
});

test("from the click to the picture", async (t) => {
  const waits = [];
  for (let n = 0; n < 5; n += 1) {
    page = await newPage(browser);
    await page.goto(freshet.http);
    const card = page.getByTestId("channel").getByRole("link", { name: "Engines of the river" });
    await card.hover();
    await page.evaluate(() => {
      addEventListener("click", () => (window.clicked = performance.now()), { capture: true });
      const look = () => {
        const shown = document.querySelector('video[aria-label*="ada"]');
        if (window.clicked && shown?.getVideoPlaybackQuality().totalVideoFrames > 0) window.shown = performance.now();
        else requestAnimationFrame(look);
      };
      look();
    });
    await card.click();
    waits.push(await until("a first picture", 20_000, () => page.evaluate(() => window.shown && window.shown - window.clicked)));
    if (n < 4) await page.context().close();
  }
  t.diagnostic(`from the click to the first picture: median ${Math.round(median(waits))} ms, of ${waits.map(Math.round).join(", ")}`);
});

test("the numbers add up to what the clock in the picture says", async (t) => {
  await open();
  await showsNow(page, 40_000);
  await choose("menuitemcheckbox", "Stats for nerds");
  const split = page.getByTestId("split");
  await split.waitFor({ timeout: 20_000 });
  const take = async () => {
    const seen = { told: [], pixels: [], off: [] };
    await until("60 readings", 60_000, async () => {
      const spans = await split.locator("[data-ms]").evaluateAll((all) => all.map((one) => Number(one.dataset.ms)));
      const [told, age] = [spans.reduce((sum, ms) => sum + ms, 0), await pictureAge(page)];
      if (spans.length === 5 && age !== null) {
        seen.told.push(told);
        seen.pixels.push(age);
        seen.off.push(Math.abs(told - age));
      }
      return seen.told.length >= 60;
    });
    return seen;
  };
  const seen = await readings(take, ({ off }) => median(off) < 1_500);
  t.diagnostic(`glass to glass: ${median(seen.told)} ms told, ${Math.round(median(seen.pixels))} ms by the pixels, ${Math.round(median(seen.off))} ms apart`);
  assert.ok(median(seen.off) < 1_500, `told ${seen.told}, by the pixels ${seen.pixels}`);
  await page.getByTestId("stats").getByText(new URL(freshet.http).host).waitFor();
  await page.getByTestId("stats").getByText("HTTP/1.1").waitFor();
  await picture(page, "watch-stats");
});

test("sound alone, and a stable distance, are chosen in the menu and remembered", async () => {
  await open();
  await showsNow(page, 40_000);
  await choose("menuitemradio", "Stable");
  await until("six seconds of distance", 30_000, async () => Number.parseFloat(await page.getByTestId("pill").textContent()) > 4.5);
  await settles("the usual speed", 1, () => video("video.playbackRate"));
  await choose("menuitemradio", "Sound only");
  await page.getByTestId("audio-only").waitFor({ timeout: 20_000 });
  await until("sound without a picture", 20_000, () => video("video.videoWidth === 0 && video.currentTime > 0 && video.readyState >= 3"));
  await page.reload();
  await page.getByTestId("audio-only").waitFor({ timeout: 30_000 });
  await until("sound without a picture", 20_000, () => video("video.videoWidth === 0 && video.currentTime > 0"));
  await choose("menuitemradio", "Low latency");
  await choose("menuitemradio", "Auto");
  await showsNow(page, 30_000);
});

/**
 * Presses the key for the full screen, once no dialog has the keys any more, and again where Chromium without a screen is none
 * after some seconds.
 */
async function entersFullScreen() {
  await page.evaluate(() => {
    const ask = Element.prototype.requestFullscreen;
    globalThis.asked = [];
    Element.prototype.requestFullscreen = function (...options) {
      const answer = ask.apply(this, options);
      const place = globalThis.asked.push("asked") - 1;
      answer.then(() => (globalThis.asked[place] = "granted"), (error) => (globalThis.asked[place] = error.message));
      return answer;
    };
  });
  const asked = () => page.evaluate(() => globalThis.asked);
  const isFull = () => page.evaluate(() => document.fullscreenElement !== null);
  await until("the end of the dialog", 20_000, () => page.evaluate(() => document.querySelector("dialog[open], [role=dialog]") === null));
  for (let presses = 1; presses <= 4; presses += 1) {
    await page.keyboard.press("f");
    if (await until("a full screen", 2_000, isFull).catch(() => false)) return;
  }
  assert.fail(`no full screen after 4 presses: ${JSON.stringify(await asked())}`);
}

test("keys do what they say", async () => {
  await open();
  await showsNow(page, 40_000);
  const theatre = () => page.getByTestId("room").getAttribute("data-theatre");
  await page.keyboard.press("t");
  await settles("a theatre", "true", theatre);
  await settles("a picture as high as the window", 800, async () => (await page.locator("video").boundingBox())?.height);
  await picture(page, "watch-theatre");
  await page.keyboard.press("Escape");
  await settles("no theatre", "false", theatre);

  await page.keyboard.press("c");
  await page.getByTestId("chat").waitFor({ state: "detached" });
  await page.keyboard.press("c");
  await page.getByTestId("chat").waitFor();

  await page.keyboard.press("m");
  await settles("sound", false, () => video("video.muted"));
  for (let n = 0; n < 4; n += 1) await page.keyboard.press("ArrowDown");
  await settles("the volume", 80, () => video("Math.round(video.volume * 100)"));

  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor({ state: "detached" });

  await entersFullScreen();
  await page.keyboard.press("f");
  await until("no full screen", 20_000, () => page.evaluate(() => document.fullscreenElement === null));
  const offered = await page.evaluate(() => document.pictureInPictureEnabled);
  await settles("picture in picture where there is such", offered ? 1 : 0, () => button("Picture in picture").count());

  // Back, and to live again.
  await page.getByTestId("seek").waitFor({ timeout: 40_000 });
  for (let n = 0; n < 2; n += 1) await page.keyboard.press("ArrowLeft");
  await page.getByTestId("go-live").waitFor({ timeout: 20_000 });
  await page.keyboard.press("l");
  await page.getByTestId("go-live").waitFor({ state: "detached", timeout: 20_000 });
  await showsNow(page, 20_000);

  await page.reload();
  await showsNow(page, 40_000);
  await settles("the volume as it was", 80, () => video("Math.round(video.volume * 100)"));
});

test("an encoder that comes back within the grace is waited for, in words, and the picture goes on", async () => {
  await open({ colorScheme: "light" });
  await showsNow(page, 40_000);
  assert.deepEqual(await violations(page), []);
  await encoder.stop("SIGKILL");
  await says(page, "reconnecting", 20_000);
  await page.getByTestId("notice").getByText("Reconnecting").waitFor();
  await page.getByTestId("waiting").getByText(/^\d+ s left/).waitFor();
  await publish();
  await says(page, "live", 40_000);
  await showsNow(page, 20_000);
});

test("a private channel plays for its owner, once the page knows who it is", async () => {
  await freshet.api("PATCH", "/api/streams/ada", { visibility: "private" }, ada.token);
  await open();
  await says(page, "private", 20_000);
  await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
  await logIn("ada");
  await says(page, "live", 30_000);
  await showsNow(page, 20_000);
  await freshet.api("PATCH", "/api/streams/ada", { visibility: "public" }, ada.token);
});

test("on a phone the picture stays in sight above the chat", async () => {
  await open({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, colorScheme: "dark" });
  await showsNow(page, 40_000);
  await settles("a page as wide as the phone", 390, () => page.evaluate(() => document.documentElement.scrollWidth));
  assert.deepEqual(await violations(page), []);
  await page.getByTestId("chat").scrollIntoViewIfNeeded();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  let seen;
  await until("a picture in sight above the chat", 20_000, async () => {
    const [box, chat] = (seen = [await page.locator("video").boundingBox(), await page.getByTestId("chat").boundingBox()]);
    return box.y >= 0 && box.y + box.height <= chat.y + chat.height;
  }).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(seen)}`));
  await picture(page, "watch-phone");
});

test("a viewer's page goes on at another edge when its own is killed", async (t) => {
  const platform = await Platform.start();
  const publisher = ffmpeg(platform.publishUrl);
  try {
    await platform.tells("fra", ["fra", "iad"]);
    await platform.live();
    page = await newPage(browser);
    page.from = null;
    page.steered = false;
    page.on("response", (reply) => {
      const { host, pathname } = new URL(reply.url());
      if (/\.m4s$/.test(pathname) && reply.ok()) page.from = host;
      if (/\/steer\.json$/.test(pathname) && reply.ok()) page.steered = true;
    });
    const at = (region) => `${REGIONS[region].host}:${platform.port}`;
    await page.goto(`http://${at("fra")}/c/ada`);
    await showsNow(page, 60_000);
    await page.evaluate(() => (window.same = true));
    assert.equal(page.from, at("fra"));
    // The steering manifest is there when the player has it; nothing else of the page tells.
    await until("a steering manifest", 40_000, () => page.steered);
    await platform.kill("edge-fra");
    const killed = performance.now();
    await until("media from iad", 60_000, () => page.from === at("iad"));
    await showsNow(page, 40_000);
    assert.equal(await page.evaluate(() => window.same), true, "the page is the same");
    t.diagnostic(`the picture was young again ${Math.round(performance.now() - killed)} ms after the kill`);
  } finally {
    await publisher.stop();
    await platform.stop();
  }
});
