// The dashboard: from a stream key to live to the end, with a real encoder, and a private test that nobody sees.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { PASSWORD, violations } from "../lib/chatting.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { picture } from "../lib/pictures.mjs";
import { until } from "../lib/process.mjs";

/** A keyframe every 8 s: what the dashboard gives advice on. */
const SLOW_KEYFRAMES = ["-g", "240", "-keyint_min", "240"];

let browser;
let freshet;
let encoder;

before(async () => {
  browser = await launch();
  freshet = await Freshet.start();
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await freshet?.stop();
});

/** Makes an account; gives its tokens. */
async function account(username) {
  await freshet.api("POST", "/api/auth/register", { username, password: PASSWORD });
  return freshet.api("POST", "/api/auth/login", { username, password: PASSWORD });
}

/** A page of somebody who was signed in before. */
async function signedIn(username, refresh_token, path) {
  const page = await newPage(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`${freshet.http}/api/time`);
  await page.evaluate((kept) => localStorage.setItem("freshet.session", JSON.stringify(kept)), { refresh: refresh_token, key: `${username}-key`, username });
  await page.goto(`${freshet.http}${path}`);
  return page;
}

const part = (page, name) => page.getByRole("navigation", { name: "Parts of the dashboard" }).getByRole("link", { name, exact: true }).click();
const state = (page, is, ms = 60_000) => page.locator(`[data-testid="state"][data-state="${is}"]`).waitFor({ timeout: ms });
const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText());

async function accessible(page) {
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], `${await page.title()} in ${colorScheme}`);
  }
}

/** Gives the key that the page has reset, as it was copied there. */
async function resetKey(page) {
  await part(page, "Set up");
  await page.getByRole("button", { name: /^Reset the key/ }).click();
  await page.getByRole("dialog").getByText("stopped at once").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Reset the key" }).click();
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await page.getByRole("status").getByRole("button", { name: "Copy the stream key" }).click();
  return until("copied key", 20_000, () => clipboard(page).catch(() => ""));
}

/** The page waits for the encoder, whatever becomes of the page, until that is taken back. */
async function goesLiveByHand(page, token) {
  await freshet.api("PATCH", "/api/streams/ada", { go_live: "manual" }, token);
  const start = () => page.getByRole("button", { name: "Start", exact: true }).click();
  const waits = () => page.locator('[data-testid="state"][data-awaits="true"]').waitFor({ timeout: 20_000 });
  await start();
  await waits();
  await page.reload();
  await waits();
  await accessible(page);
  await page.getByRole("button", { name: "Stop waiting" }).click();
  await start();
  await waits();
}

test("whoever is not signed in is shown the way in", async () => {
  const page = await newPage(browser);
  await page.goto(`${freshet.http}/dashboard`);
  await page.getByRole("main").getByRole("link", { name: "Log in" }).waitFor({ timeout: 20_000 });
  await page.context().close();
});

test("an encoder is tested in private, goes live with a key from the page, and is ended there", async () => {
  const { access_token, refresh_token } = await account("ada");
  const page = await signedIn("ada", refresh_token, "/dashboard");
  await state(page, "offline", 30_000);
  await accessible(page);

  const key = await resetKey(page);
  const server = (await page.getByTestId("servers").locator("p.font-mono").first().innerText()).trim();
  await page.getByTestId("trip").first().getByText(/^\d+ ms$/).waitFor({ timeout: 20_000 });
  await page.getByRole("tab", { name: "ffmpeg" }).click();
  const command = () => page.getByTestId("command").innerText();
  await until("a command that hides the key", 20_000, async () => (await command()).endsWith(`-f flv ${server}/••••••••${key.slice(-4)}`));
  assert.ok(!(await command()).includes(key));
  await page.getByRole("button", { name: "Show the key" }).click();
  await until(`command for ${server}/${key}`, 20_000, async () => (await command()).endsWith(`-f flv ${server}/${key}`));
  await accessible(page);

  // Nobody sees a test: the channel stays as it was, and there is nothing to watch.
  encoder = ffmpeg(`${server}/${key}?test`, SLOW_KEYFRAMES);
  await page.locator('[data-testid="report"][data-running="true"]').waitFor({ timeout: 60_000 });
  await page.locator('[data-subject="keyframes"]').getByText("set a keyframe interval of 2 s").waitFor({ timeout: 60_000 });
  assert.equal((await freshet.api("GET", "/api/streams/ada", undefined, access_token)).state, "offline");
  assert.equal((await freshet.get("/live/ada/index.m3u8")).status, 404);
  assert.equal((await freshet.api("GET", "/api/streams/live")).items.length, 0);
  await encoder.stop();

  // Live, with the same slow keyframes: the picture is there, and so is the advice.
  encoder = ffmpeg(`${server}/${key}`, SLOW_KEYFRAMES);
  await part(page, "Stream");
  await state(page, "live");
  await until("preview", 60_000, () => page.getByTestId("preview").evaluate((video) => video.currentTime > 1));
  await page.getByTestId("advice").getByText("set a keyframe interval of 2 s").waitFor({ timeout: 60_000 });
  await page.getByLabel("Title").fill("Engines, live");
  await page.getByRole("button", { name: "Save changes" }).click();
  await until("title", 20_000, async () => (await freshet.api("GET", "/api/streams/ada")).title === "Engines, live");
  await page.getByLabel("Tags").fill("not a tag!");
  await page.getByRole("button", { name: "Save changes" }).click();
  await page.getByRole("alert").first().waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByRole("alert").first().waitFor({ state: "detached", timeout: 20_000 });
  await accessible(page);
  await picture(page, "dashboard-stream");

  await part(page, "Health");
  await until("a graph that moves", 60_000, async () => Number(await page.getByTestId("graph").first().getAttribute("data-samples")) > 2);
  // By keys, too; and where the API is away nothing old is shown as if it were of now.
  const graph = page.getByRole("slider", { name: /^Bitrate/ });
  await graph.focus();
  await graph.press("ArrowLeft");
  assert.match(await graph.getAttribute("aria-valuetext"), /^\d\d:\d\d:\d\d: Encoder [\d.]+ Mbit\/s, Arrives [\d.]+ Mbit\/s$/);
  await page.getByTestId("tip").first().waitFor();
  const away = (url) => url.pathname.startsWith("/api/streams/");
  await page.route(away, (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body: "{}" }));
  await page.locator('[data-testid="verdict"][data-light="off"]').waitFor({ timeout: 20_000 });
  await page.getByText("Your channel can’t be read at present").waitFor({ timeout: 20_000 });
  await page.unroute(away);
  await page.locator('[data-testid="verdict"][data-light="warn"]').waitFor({ timeout: 20_000 });
  await accessible(page);
  await picture(page, "dashboard-health");

  // A reset key stops whoever publishes with it; the page ends what goes on with the new one.
  const next = await resetKey(page);
  await encoder.end(30_000);
  assert.notEqual(next, key);
  await state(page, "ended");
  await goesLiveByHand(page, access_token);
  encoder = ffmpeg(`${server}/${next}`);
  await state(page, "live");
  await page.getByRole("button", { name: "End stream" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End it" }).click();
  await encoder.end(30_000);
  await state(page, "ended");
  await part(page, "Health");
  const timeline = page.getByTestId("timeline");
  for (const what of ["came", "live", "key_changed", "ended"]) await timeline.locator(`[data-what="${what}"]`).first().waitFor({ timeout: 20_000 });

  await account("bob");
  await part(page, "People & links");
  await page.getByLabel("User name").fill("bob");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByTestId("members").getByText("bob").waitFor({ timeout: 20_000 });
  await accessible(page);
  await page.context().close();
});
