// Chat beside the player: two browsers, the real hub, real accounts.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { heard, launch } from "../lib/browser.mjs";
import { act, ban, composer, joined, logIn, message, say, shows, signUp, violations, visit } from "../lib/chatting.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { picture } from "../lib/pictures.mjs";
import { Platform, REGIONS } from "../lib/platform.mjs";
import { settles, until } from "../lib/process.mjs";

let browser;
const pages = [];

before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});
afterEach(async () => {
  for (const page of pages.splice(0)) await page.context().close();
});

async function open(url, options) {
  const page = await visit(browser, url, options);
  pages.push(page);
  return page;
}

/** What must hold of the owner and somebody else in the owner's channel, wherever each of them is. */
async function converse(owner, guest) {
  await say(owner, "welcome to the river");
  await shows(guest, "welcome to the river");
  await say(guest, "thanks @ada, <b>what</b> a view");
  await shows(owner, "thanks @ada, <b>what</b> a view");
  await shows(guest, "thanks @ada, <b>what</b> a view");

  await act(owner, "thanks @ada, <b>what</b> a view", "Delete");
  await shows(guest, "thanks @ada, <b>what</b> a view", 0);
  await guest.getByText("message taken back").waitFor({ timeout: 20_000 });

  await act(guest, "welcome to the river", "Reply");
  await say(guest, "it is wide");
  await shows(owner, "it is wide");
  await message(owner, "it is wide").getByText("to ada").waitFor({ timeout: 20_000 });

  await ban(owner, "it is wide", "off the river");
  await guest.getByTestId("silence").getByText("Reason: off the river").waitFor({ timeout: 20_000 });
  await shows(guest, "it is wide", 0);

  await guest.reload();
  await joined(guest);
  await shows(guest, "welcome to the river");
  await settles("who is logged in", "bob", () => guest.getByTestId("account").innerText());
}

test("two people talk, one is moderated by the other, and a reload keeps what was said", async () => {
  const freshet = await Freshet.start();
  try {
    // The channel comes into being with its owner's account.
    const owner = await open(`${freshet.http}/c/demo`);
    await signUp(owner, "ada");
    await owner.goto(`${freshet.http}/c/ada`);
    await joined(owner);
    const guest = await open(`${freshet.http}/c/ada`);
    await signUp(guest, "bob");
    await converse(owner, guest);
    assert.deepEqual([...guest.hosts], [new URL(freshet.http).host]);
    // Nobody streams: the player asks, and is told 404.
    const faults = [...owner.faults, ...guest.faults].filter((fault) => !fault.includes("404 (Not Found)"));
    assert.deepEqual(faults, []);
  } finally {
    await freshet.stop();
  }
});

test("a server that is killed and comes back is found again, and nothing is said twice", async () => {
  const freshet = await Freshet.start();
  try {
    const owner = await open(`${freshet.http}/c/demo`);
    await signUp(owner, "ada");
    await owner.goto(`${freshet.http}/c/ada`);
    await joined(owner);
    const guest = await open(`${freshet.http}/c/ada`);
    await say(owner, "before the break");
    await shows(guest, "before the break");
    await freshet.kill();
    for (const page of [owner, guest]) await page.locator('[data-testid="chat"][data-status="away"]').waitFor({ timeout: 30_000 });
    await freshet.begin();
    await Promise.all([joined(owner), joined(guest)]);
    await say(owner, "after the break");
    await shows(owner, "after the break");
    await shows(guest, "after the break");
    await say(owner, "and on");
    await shows(guest, "and on");
    await shows(guest, "after the break");
  } finally {
    await freshet.stop();
  }
});

/** The list of words has the one that is held; another comes and goes. */
async function words(owner) {
  await owner.getByRole("tab", { name: "Words" }).click();
  const word = (text) => owner.getByTestId("term").filter({ hasText: text });
  await word("meh").getByText("Waits for a moderator").waitFor({ timeout: 20_000 });
  await owner.getByLabel("Word or phrase").fill("spam*");
  await owner.getByRole("button", { name: "Block", exact: true }).click();
  await word("spam*").getByText("Refused").waitFor({ timeout: 20_000 });
  await owner.getByRole("button", { name: "Allow spam*" }).click();
  await word("spam*").waitFor({ state: "detached", timeout: 20_000 });
  await owner.getByRole("tab", { name: /^Waiting/ }).click();
}

test("two people on two edges are in one chat", async () => {
  const platform = await Platform.start();
  const at = (region, channel) => `http://${REGIONS[region].host}:${platform.port}/c/${channel}`;
  try {
    await platform.operate("channel", "put", "lobby");
    const owner = await open(at("fra", "lobby"));
    await signUp(owner, "zoe");
    await owner.goto(at("fra", "zoe"));
    await joined(owner);
    const guest = await open(at("iad", "zoe"));
    await signUp(guest, "bob");
    await say(owner, "from one shore");
    await shows(guest, "from one shore");
    await say(guest, "to the other");
    await shows(owner, "to the other");
    await act(owner, "to the other", "Delete");
    await shows(guest, "to the other", 0);

    await say(owner, "/hold meh");
    await heard(owner, "wait for a moderator from now on");
    await say(guest, "meh :fish:");
    await guest.getByTestId("refusal").getByText("waits for a moderator").waitFor({ timeout: 20_000 });
    // What waits is there after a reload too.
    await owner.reload();
    await joined(owner);
    await owner.getByTestId("mod-panel-button").click();
    await owner.getByTestId("held").getByText("bob").waitFor({ timeout: 20_000 });
    await words(owner);
    await owner.getByRole("button", { name: "Approve the message of bob" }).click({ timeout: 20_000 });
    await guest.getByRole("log").getByRole("img", { name: ":fish:" }).waitFor({ timeout: 20_000 });
    await guest.getByTestId("refusal").waitFor({ state: "detached", timeout: 20_000 });

    await owner.getByRole("switch", { name: "Shield" }).click();
    await guest.getByTestId("modes").getByText("slow mode, 30 s").waitFor({ timeout: 20_000 });
    await owner.getByRole("switch", { name: "Shield", checked: true }).click();
    await guest.getByTestId("modes").waitFor({ state: "detached", timeout: 20_000 });
    await ban(owner, "meh", "off the river");
    await guest.getByTestId("silence").getByText("Reason: off the river").waitFor({ timeout: 20_000 });
    await guest.getByRole("log").getByRole("img", { name: ":fish:" }).waitFor({ state: "detached", timeout: 20_000 });
  } finally {
    await platform.stop();
  }
});

test("what a first visit loads, before the player, is at most 130 KB", async (t) => {
  const freshet = await Freshet.start();
  try {
    const page = await open(`${freshet.http}/c/demo`);
    const bytes = await page.evaluate(() => {
      const loaded = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      return loaded.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0);
    });
    t.diagnostic(`${bytes} bytes, compressed`);
    assert.ok(bytes > 10_000 && bytes <= 130_000, `${bytes} bytes`);
  } finally {
    await freshet.stop();
  }
});

test("the chat can be used with keys, named, read, and fits a phone", async () => {
  const freshet = await Freshet.start();
  try {
    const phone = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };
    const page = await open(`${freshet.http}/c/demo`, { colorScheme: "light" });
    assert.deepEqual(await violations(page), []);
    await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
    const dialog = page.getByRole("dialog");
    assert.equal(await dialog.getByLabel("Password").getAttribute("autocomplete"), "current-password");
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached", timeout: 20_000 });
    await signUp(page, "ada");
    await page.goto(`${freshet.http}/c/ada`);
    await joined(page);
    for (let number = 1; number <= 12; number += 1) await say(page, `line ${number} of what the river says, long enough to be broken where the column ends`);
    await shows(page, "line 12 of what the river says, long enough to be broken where the column ends");
    await say(page, "/sl");
    await composer(page).fill("/slow");
    await page.getByRole("option", { name: "/slow [SECONDS]" }).waitFor({ timeout: 20_000 });
    assert.deepEqual(await violations(page), []);
    await composer(page).fill("/slow 30");
    await composer(page).press("Enter");
    await page.getByTestId("modes").getByText("slow mode, 30 s").waitFor({ timeout: 20_000 });
    await page.getByRole("log").focus();
    await page.keyboard.press("ArrowUp");
    await page.getByRole("group", { name: "Message of ada" }).last().getByRole("button", { name: "Pin" }).click();
    await page.getByTestId("pinned").getByText("line 12").waitFor({ timeout: 20_000 });
    // The pin takes room from the list, which still shows its end.
    const toEnd = () => page.getByRole("log").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
    await until("the end of the list", 20_000, async () => (await toEnd()) < 2);
    await picture(page, "chat-light");
    assert.deepEqual(await violations(page), []);

    const small = await open(`${freshet.http}/c/ada`, { ...phone, colorScheme: "dark" });
    await logIn(small, "ada");
    await shows(small, "line 12 of what the river says, long enough to be broken where the column ends");
    await settles("a page as wide as the phone", 390, () => small.evaluate(() => document.documentElement.scrollWidth));
    assert.deepEqual(await violations(small), []);
    await small.getByTestId("chat").scrollIntoViewIfNeeded();
    await picture(small, "chat-phone");

    // Who has scrolled up reads on, and is told what came.
    await page.getByRole("log").evaluate(async (log) => {
      const scrolled = new Promise((done) => log.addEventListener("scroll", done, { once: true }));
      log.scrollTop = 0;
      await scrolled;
    });
    await say(small, "from the phone");
    await page.getByTestId("new-messages").getByText("1 new message").waitFor({ timeout: 20_000 });
    assert.equal(await page.getByRole("log").evaluate((log) => log.scrollTop), 0);
    await page.getByTestId("new-messages").click();
    await page.getByTestId("new-messages").waitFor({ state: "detached", timeout: 20_000 });
  } finally {
    await freshet.stop();
  }
});
