// What is said where there is nothing to show: a search without a find, a list that can't be had, a channel that isn't there.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { violations } from "../lib/chatting.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { says } from "../lib/watching.mjs";

let browser;
let freshet;
let page;

before(async () => {
  browser = await launch();
  freshet = await Freshet.start("--demo");
  await freshet.live();
});
after(async () => {
  await browser?.close();
  await freshet?.stop();
});
afterEach(() => page?.context().close());

async function open(path, options) {
  page = await newPage(browser, options);
  await page.goto(`${freshet.http}${path}`);
}

const main = () => page.getByRole("main");
const card = () => page.locator('[data-testid="channel"][data-channel="demo"]');
const list = (url) => url.pathname === "/api/streams/live";

test("a search that finds nothing of what is live offers the channel that may be meant", async () => {
  await open("/?q=Zzz", { colorScheme: "dark" });
  await main().getByText("Nothing that is live has this in it").waitFor({ timeout: 20_000 });
  assert.deepEqual(await violations(page), []);
  await main().getByRole("link", { name: "Open the channel zzz" }).click();
  await main().getByText("There is no channel of this name").waitFor({ timeout: 20_000 });
  assert.deepEqual(await violations(page), []);
  await main().getByRole("link", { name: "To the start page" }).click();
  await card().waitFor({ timeout: 20_000 });
});

test("a list that can't be had is asked for again, and one that was had stays", async () => {
  page = await newPage(browser);
  // The list is asked for again by itself too: then there would be nothing to press.
  await page.addInitScript(() => {
    const every = window.setInterval;
    window.setInterval = (act, ms, ...more) => (ms === 15_000 ? 0 : every(act, ms, ...more));
  });
  const fail = (route) => route.fulfill({ status: 503, body: "" });
  await page.route(list, fail);
  await page.goto(freshet.http);
  await main().getByText("The list of channels can’t be reached at present.").waitFor({ timeout: 20_000 });
  await page.unroute(list, fail);
  await main().getByRole("button", { name: "Try again" }).click();
  await card().waitFor({ timeout: 20_000 });

  const away = (route) => route.abort();
  await page.route(list, away);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await main().getByText("The list can’t be brought up to date at present.").waitFor({ timeout: 20_000 });
  assert.equal(await card().count(), 1);
  await page.unroute(list, away);
  await main().getByRole("button", { name: "Try again" }).click();
  await main().getByText("The list can’t be brought up to date at present.").waitFor({ state: "detached", timeout: 20_000 });
});

test("a channel is found however its name is written, and plays while the API is away", async () => {
  page = await newPage(browser, { viewport: { width: 390, height: 844 } });
  await page.route((url) => url.pathname.startsWith("/api/"), (route) => route.fulfill({ status: 503, body: "" }));
  await page.goto(`${freshet.http}/c/DEMO`);
  await says(page, "live", 40_000);
  await page.getByRole("heading", { level: 1 }).waitFor();
});
