// What somebody does in the chat of a channel's page, as with hand and eye.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { newPage } from "./browser.mjs";
import { until } from "./process.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
export const PASSWORD = "correct horse battery";

/** Somebody's browser at a channel's page; joined when it returns. */
export async function visit(browser, url, options) {
  const page = await newPage(browser, options);
  await page.goto(url);
  await joined(page);
  return page;
}

export async function joined(page) {
  await page.locator('[data-testid="chat"][data-status="joined"]').waitFor({ timeout: 30_000 });
}

/** Signs up by the form beside the chat. */
export async function signUp(page, username) {
  await page.getByTestId("chat").getByRole("button", { name: "Sign up" }).click();
  await enter(page, "User name", username, "Sign up");
}

/** Logs in by the form in the page's header. */
export async function logIn(page, username) {
  await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
  await enter(page, "User name or e-mail", username, "Log in");
}

async function enter(page, label, username, button) {
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(label).fill(username);
  await dialog.getByLabel("Password").fill(PASSWORD);
  await dialog.locator("form").getByRole("button", { name: button }).click();
  await dialog.waitFor({ state: "detached", timeout: 20_000 });
  await composer(page).waitFor({ timeout: 20_000 });
  await joined(page);
}

export const composer = (page) => page.getByRole("combobox", { name: "Message" });

export async function say(page, text) {
  await composer(page).fill(text);
  await composer(page).press("Enter");
}

/** The message with this text; there may be none. */
export const message = (page, text) => page.getByTestId("message").filter({ has: page.getByTestId("text").getByText(text, { exact: true }) });

/** Waits until so many messages have this text. */
export async function shows(page, text, count = 1) {
  await until(`${count} × "${text}"`, 20_000, async () => (await message(page, text).count()) === count).catch(async (error) => {
    throw new Error(`${error.message}; the chat says: ${await page.getByTestId("chat").innerText()}`);
  });
}

/** Uses what comes with the pointer over a message. */
export async function act(page, text, name) {
  const button = message(page, text).getByRole("button", { name });
  // Another message that comes moves this one from under the pointer, and takes away what is to be used.
  await until(`"${name}" over "${text}"`, 30_000, async () => {
    await message(page, text).hover();
    const shown = await button.waitFor({ timeout: 5_000 }).then(() => true, () => false);
    // Long enough that a click which is not done by then was none: a second one would be too many.
    return shown && button.click({ timeout: 20_000 }).then(() => true, () => false);
  });
}

/** Bans who has said this, and says why. */
export async function ban(page, text, reason) {
  await act(page, text, "Ban");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill(reason);
  await dialog.getByRole("button", { name: "Ban" }).click();
  await dialog.waitFor({ state: "detached", timeout: 20_000 });
}

/** Waits until nothing moves or fades any more: colours that are on their way to others are none. */
const still = (page) =>
  page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const moving = () => document.getAnimations().filter((one) => one.playState === "running" && Number.isFinite(one.effect?.getComputedTiming().endTime));
    // What has just been set is drawn in the next frame, and begins to move then.
    for (let round = 0; round === 0 || (round < 10 && moving().length > 0); round += 1) {
      await frame();
      await frame();
      await Promise.allSettled(moving().map(({ finished }) => finished));
    }
  });

/** What axe-core finds against WCAG 2.2 A and AA. */
export async function violations(page) {
  // By the debugger, which the page's Content-Security-Policy does not concern.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(await readFile(AXE, "utf8"));
  await still(page);
  const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}
