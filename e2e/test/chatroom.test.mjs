// What the chat has beside talk: step with the picture, emotes, the moderators' tools, a window of its own, an overlay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { heard, launch, newPage } from "../lib/browser.mjs";
import { act, composer, joined, logIn, message, PASSWORD, say, shows, violations, visit } from "../lib/chatting.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { picture } from "../lib/pictures.mjs";
import { settles, until } from "../lib/process.mjs";
import { says } from "../lib/watching.mjs";

let browser;
let freshet;
const tokens = {};

before(async () => {
  browser = await launch();
  freshet = await Freshet.start("--demo");
  for (const username of ["ada", "bob"]) {
    const body = { username, password: PASSWORD };
    const registered = await until("an account", 20_000, () => freshet.api("POST", "/api/auth/register", body).catch(() => null));
    tokens[username] = registered.access_token;
  }
});
after(async () => {
  await browser?.close();
  await freshet?.stop();
});

/** Somebody's browser at an address, logged in. */
async function enter(path, username, options) {
  const page = await visit(browser, `${freshet.http}${path}`, options);
  await logIn(page, username);
  return page;
}

const post = (channel, username, body) => freshet.api("POST", `/api/streams/${channel}/chat`, body, tokens[username]);

test("a line waits for the picture that it is about, where one wants that", async () => {
  await freshet.live();
  const page = await enter("/c/demo", "bob", { colorScheme: "dark" });
  await says(page, "live", 40_000);
  await page.getByRole("button", { name: "Chat settings" }).click();
  await page.getByRole("switch", { name: "In step with the picture" }).click();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");

  // What one writes says which picture one saw.
  await say(page, "look at that");
  await shows(page, "look at that");
  const said = await until("line in the API", 20_000, async () => {
    const { events } = await freshet.api("GET", "/api/streams/demo/chat?limit=10");
    return events.find(({ text }) => text === "look at that");
  });
  assert.ok(Math.abs(said.at_ms - said.pdt_ms) < 60_000, JSON.stringify(said));

  // A picture that stands never comes to the moment that this is about.
  await page.locator("video").evaluate((video) => video.pause());
  await post("demo", "ada", { text: "did you see it?", pdt_ms: Date.now() });
  await page.getByTestId("ahead").getByText("1 message waits for the picture").waitFor({ timeout: 20_000 });
  assert.equal(await message(page, "did you see it?").count(), 0);
  // It comes with the picture.
  await page.locator("video").evaluate((video) => video.play());
  await shows(page, "did you see it?");

  await page.locator("video").evaluate((video) => video.pause());
  await post("demo", "ada", { text: "and that?", pdt_ms: Date.now() });
  await page.getByTestId("ahead").waitFor({ timeout: 20_000 });
  await page.getByRole("button", { name: "Chat settings" }).click();
  await page.getByRole("switch", { name: "In step with the picture" }).click();
  await shows(page, "and that?");
  await page.context().close();
});

test("emotes are pictures, found by their names", async () => {
  const page = await enter("/c/ada", "bob", { colorScheme: "light" });
  await composer(page).pressSequentially("high water :wa");
  await page.getByRole("option", { name: ":wave:" }).waitFor({ timeout: 20_000 });
  await composer(page).press("Tab");
  await settles("an emote in the line", "high water :wave: ", () => composer(page).inputValue());
  await page.getByRole("button", { name: "Emotes" }).click();
  await page.getByRole("searchbox", { name: "Search emotes" }).fill("trout");
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "fish" }).click();
  await page.keyboard.press("Escape");
  await settles("two emotes in the line", "high water :wave: :fish: ", () => composer(page).inputValue());
  await composer(page).press("Enter");
  const wave = page.getByRole("log").getByRole("img", { name: ":wave:" });
  await wave.waitFor({ timeout: 20_000 });
  await until("the picture", 20_000, () => wave.evaluate((image) => image.naturalWidth > 0));
  await page.context().close();
});

test("moderators see what waits, who is silenced and what was done, and everybody the rules", async () => {
  const ada = await enter("/c/ada", "ada", { colorScheme: "dark", viewport: { width: 1024, height: 800 } });
  await say(ada, "/hold meh");
  await heard(ada, "wait for a moderator from now on");
  await assert.rejects(post("ada", "bob", { text: "meh, said the sheep" }), /msg_rejected/);
  await ada.getByTestId("mod-panel-button").getByText("Waiting 1").waitFor({ timeout: 20_000 });
  await ada.getByTestId("mod-panel-button").click();
  await ada.getByTestId("held").getByText("meh, said the sheep").waitFor({ timeout: 20_000 });
  await ada.getByRole("button", { name: "Approve the message of bob" }).click();
  await shows(ada, "meh, said the sheep");
  await ada.getByText("Nothing waits for a decision.").waitFor({ timeout: 20_000 });

  const overlay = await newPage(browser, { viewport: { width: 500, height: 400 } });
  await overlay.goto(`${freshet.http}/overlay/ada?size=30&max=3`);
  await overlay.getByText("meh, said the sheep").waitFor({ timeout: 20_000 });
  await settles("a ground that can be seen through", "rgba(0, 0, 0, 0)", () => overlay.evaluate(() => getComputedStyle(document.body).backgroundColor));
  assert.deepEqual([overlay.faults, [...overlay.hosts]], [[], [new URL(freshet.http).host]]);
  const popout = await visit(browser, `${freshet.http}/popout/ada/chat`, { viewport: { width: 390, height: 700 }, colorScheme: "light" });
  await shows(popout, "meh, said the sheep");

  await act(ada, "meh, said the sheep", "Warn");
  await ada.getByRole("dialog").getByLabel("Reason").fill("Sheep are off topic");
  await ada.getByRole("dialog").getByRole("button", { name: "Warn" }).click();
  await ada.getByRole("dialog").waitFor({ state: "detached", timeout: 20_000 });
  await act(ada, "meh, said the sheep", "Time out");
  await ada.getByRole("menuitem", { name: "10 minutes" }).click();
  // What was taken back is in no window any more.
  await shows(ada, "meh, said the sheep", 0);
  await shows(popout, "meh, said the sheep", 0);
  await overlay.getByText("meh, said the sheep").waitFor({ state: "detached", timeout: 20_000 });

  await ada.getByRole("tab", { name: "Silenced" }).click();
  await ada.getByRole("tabpanel").getByText("bob").waitFor({ timeout: 20_000 });
  await ada.getByRole("tab", { name: "Log" }).click();
  await ada.getByRole("tabpanel").getByText("timed out bob").waitFor({ timeout: 20_000 });
  assert.deepEqual(await violations(ada), []);
  await ada.getByRole("tab", { name: "Silenced" }).click();
  await ada.getByRole("button", { name: "Let write again" }).click();
  await ada.getByText("Everybody may write.").waitFor({ timeout: 20_000 });

  const shield = ada.getByRole("switch", { name: "Shield" });
  await shield.click();
  await popout.getByTestId("modes").getByText("no links").waitFor({ timeout: 20_000 });
  assert.deepEqual(await violations(popout), []);
  await ada.getByRole("switch", { name: "Shield", checked: true }).click();
  await popout.getByTestId("modes").waitFor({ state: "detached", timeout: 20_000 });
  await ada.getByRole("log").getByRole("button", { name: "bob" }).first().click();
  await ada.getByTestId("card").getByText("0 followers").waitFor({ timeout: 20_000 });
  assert.deepEqual(await violations(ada), []);
  await picture(ada, "chat-card");
  for (const page of [ada, overlay, popout]) await page.context().close();
});

test("a raid takes viewers along, unless they stay", async () => {
  const goes = await visit(browser, `${freshet.http}/c/ada`);
  const stays = await visit(browser, `${freshet.http}/c/ada`);
  await post("ada", "ada", { text: "/raid demo" });
  await stays.getByTestId("raid").getByRole("button", { name: "Stay here" }).click({ timeout: 20_000 });
  await goes.waitForURL("**/c/demo", { timeout: 40_000 });
  await joined(goes);
  assert.match(stays.url(), /\/c\/ada$/);
  for (const page of [goes, stays]) await page.context().close();
});
