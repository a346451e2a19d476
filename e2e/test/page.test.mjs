// The page in a real browser, from a real encoder through the real binary.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { settles, until } from "../lib/process.mjs";
import { median } from "../lib/clock.mjs";
import { glassToGlass, press, readings, says, showsNow } from "../lib/watching.mjs";
import { picture } from "../lib/pictures.mjs";

let browser;
let freshet;
let encoder;
let page;

before(async () => {
  browser = await launch();
  freshet = await Freshet.start();
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await freshet?.stop();
});
afterEach(async () => {
  await page?.context().close();
});

async function publish() {
  await encoder?.stop();
  encoder = ffmpeg(freshet.publishUrl());
}

async function open(options) {
  page = await newPage(browser, options);
  await page.goto(`${freshet.http}/c/${freshet.info.channel}`);
  return page;
}

test("a page opened before the stream says offline, and goes live by itself", async () => {
  await open();
  await says(page, "offline", 30_000);
  await publish();
  await says(page, "live", 40_000);
  await showsNow(page, 20_000);
});

test("the picture is less than five seconds old, by its pixels, and the page says so truly", async (t) => {
  await open();
  await showsNow(page, 40_000);
  const take = async () => {
    const said = [];
    const pixels = await glassToGlass(page, 60, async () => said.push(Number.parseFloat(await page.getByTestId("latency").textContent()) * 1000));
    return { pixels, said: median(said), apart: Math.abs(median(said) - pixels.median) };
  };
  const { pixels, said, apart } = await readings(take, (read) => read.pixels.median < 5_000 && read.apart < 1_500);
  t.diagnostic(`glass to glass, from pixels: median ${Math.round(pixels.median)} ms, ${Math.round(pixels.least)} to ${Math.round(pixels.most)} ms`);
  assert.ok(pixels.median < 5_000, `median ${pixels.median} ms`);
  assert.ok(apart < 1_500, `the page says ${said} ms, the pixels ${pixels.median} ms`);
});

test("the page asks nobody but its own server, and logs no error", async () => {
  await open();
  await showsNow(page, 40_000);
  assert.deepEqual([...page.hosts], [new URL(freshet.http).host]);
  // The channel is nobody's, so nobody is found of its name.
  assert.deepEqual(page.faults.filter((fault) => !fault.endsWith("/api/users/demo")), []);
});

test("a viewer who pauses is offered the way back to live, and takes it", async () => {
  await open();
  await showsNow(page, 40_000);
  await page.keyboard.press(" ");
  await settles("a pause", true, () => page.evaluate(() => document.querySelector("video").paused));
  const held = await page.evaluate(() => performance.now());
  await until("5 s of pause", 20_000, () => page.evaluate((since) => performance.now() - since > 5_000, held));
  await page.keyboard.press(" ");
  const goLive = page.getByTestId("go-live");
  await goLive.waitFor({ timeout: 20_000 });
  await press(goLive);
  await showsNow(page, 20_000);
  await goLive.waitFor({ state: "detached", timeout: 20_000 });
});

test("sound starts off, comes with a tap, and is remembered", async () => {
  await open();
  await showsNow(page, 40_000);
  const muted = () => page.evaluate(() => document.querySelector("video").muted);
  assert.equal(await muted(), true);
  await page.getByTestId("tap-for-sound").click();
  await settles("a picture without sound", false, muted);
  await page.reload();
  await showsNow(page, 40_000);
  await settles("a picture without sound", false, muted);
  await page.keyboard.press("m");
  await settles("a picture without sound", true, muted);
});

test("on a phone everything fits and can be named", async () => {
  await open({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, colorScheme: "dark" });
  await showsNow(page, 40_000);
  await picture(page, "phone");
  await settles("a page as wide as the phone", 390, () => page.evaluate(() => document.documentElement.scrollWidth));
  for (const name of ["Pause", "Turn the sound on", "Full screen"]) {
    let box = null;
    await until(`"${name}" as large as a finger`, 20_000, async () => {
      box = await page.getByRole("button", { name, exact: true }).boundingBox();
      return box && box.width >= 44 && box.height >= 44;
    }).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(box)}`));
  }
});

test("an encoder that is killed and comes back is waited for, and plays on", async () => {
  await open();
  await showsNow(page, 40_000);
  await encoder.stop("SIGKILL");
  await says(page, "reconnecting", 20_000);
  await publish();
  await says(page, "live", 40_000);
  await showsNow(page, 20_000);
});

test("a server that is killed and comes back is found again, and plays on", async () => {
  await open();
  await showsNow(page, 40_000);
  await freshet.kill();
  await says(page, "unreachable", 30_000);
  await freshet.begin();
  await publish();
  await says(page, "live", 60_000);
  await showsNow(page, 20_000);
});

test("a broadcast that the encoder ends is said to have ended, and the next one plays", async () => {
  await open();
  await showsNow(page, 40_000);
  await encoder.stop("SIGINT");
  await says(page, ["ended", "offline"], 60_000);
  await publish();
  await says(page, "live", 60_000);
  await showsNow(page, 20_000);
});

test("a private channel says so, and plays for whoever has a link with a token", async () => {
  const token = await freshet.administrator();
  const channel = new URL(freshet.info.hls_url).pathname.split("/")[2];
  await freshet.api("PATCH", `/api/streams/${channel}`, { visibility: "private" }, token);
  await open();
  await says(page, "private", 20_000);
  await page.context().close();
  const playback = await freshet.api("POST", `/api/streams/${channel}/playback-token`, undefined, token);
  page = await newPage(browser);
  await page.goto(`${freshet.http}/c/${freshet.info.channel}#token=${playback.token}`);
  await showsNow(page, 40_000);
  await freshet.api("PATCH", `/api/streams/${channel}`, { visibility: "public" }, token);
});
