// Accounts and the first page: from sign-up to the first frame, and what people do with an account.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { heard, launch, newPage } from "../lib/browser.mjs";
import { chain } from "../lib/chain.mjs";
import { PASSWORD, violations } from "../lib/chatting.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { picture } from "../lib/pictures.mjs";
import { settles, until } from "../lib/process.mjs";
import { showsNow } from "../lib/watching.mjs";

let browser;
let freshet;
let encoder;
let ada;
let bob;

before(async () => {
  [browser, freshet] = await Promise.all([launch(), Freshet.start()]);
  [ada, bob] = [await newPage(browser), await newPage(browser)];
});
after(async () => {
  await browser?.close();
  await encoder?.stop();
  await freshet?.stop();
});

const then = chain();

/** axe-core finds nothing, dark and light. */
async function passes(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    assert.deepEqual(await violations(page), [], `${what}, ${colorScheme}`);
  }
  await picture(page, what);
}

/** Fills in the form of a page and sends it. */
async function enter(page, label, username, button) {
  const form = page.getByRole("main").locator("form");
  await form.getByLabel(label).fill(username);
  await form.getByLabel("Password").fill(PASSWORD);
  await form.getByRole("button", { name: button }).click();
}

const logInAs = (username) => freshet.api("POST", "/api/auth/login", { username, password: PASSWORD });

const card = (page, channel) => page.locator(`[data-testid="channel"][data-channel="${channel}"]`);

/** What a channel's thumbnail shows: its address, and its pixels. */
const thumbnail = (page, channel) =>
  card(page, channel)
    .locator("video.z-1")
    .evaluate((video) => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [64, 36];
      canvas.getContext("2d").drawImage(video, 0, 0, 64, 36);
      return { from: video.currentSrc, pixels: canvas.toDataURL() };
    });

then("a site where nothing is on says how to go live", async () => {
  await ada.goto(`${freshet.http}/`);
  await ada.getByText(freshet.info.rtmp_url).waitFor({ timeout: 20_000 });
  await passes(ada, "nothing-on");
  await ada.getByRole("link", { name: "Make your channel" }).click();
});

then("who signs up is told a key, streams with it, and is in the grid with a picture that moves", async () => {
  await ada.getByLabel("User name").waitFor({ timeout: 20_000 });
  assert.equal(await ada.getByLabel("Password").getAttribute("autocomplete"), "new-password");
  await passes(ada, "sign-up");
  await enter(ada, "User name", "ada", "Sign up");
  const key = await ada.getByTestId("stream-key").innerText();
  await passes(ada, "welcome");

  encoder = ffmpeg(freshet.publishUrl(key));
  await ada.goto(`${freshet.http}/`);
  const shown = card(ada, "ada").locator('[data-testid="thumbnail"][data-shown="true"]');
  await shown.waitFor({ timeout: 60_000 });
  const first = await thumbnail(ada, "ada");
  await until("another thumbnail", 40_000, async () => {
    const now = await thumbnail(ada, "ada");
    return now.from !== first.from && now.pixels !== first.pixels;
  });
  await card(ada, "ada").getByTestId("uptime").waitFor();
  await passes(ada, "browse");
  await card(ada, "ada").getByRole("link", { name: "Untitled stream" }).click();
  await ada.waitForURL("**/c/ada", { timeout: 20_000 });
  await showsNow(ada, 40_000);
});

then("somebody else logs in, finds the channel, and follows it", async () => {
  await freshet.api("POST", "/api/auth/register", { username: "bob", password: PASSWORD });
  await bob.goto(`${freshet.http}/login?next=/u/ada`);
  assert.equal(await bob.getByLabel("Password").getAttribute("autocomplete"), "current-password");
  await passes(bob, "log-in");
  await enter(bob, "User name or e-mail", "bob", "Log in");
  await bob.getByRole("button", { name: "Follow ada" }).click();
  await bob.getByTestId("followers").getByText("1 follower").waitFor({ timeout: 20_000 });
  await card(bob, "ada").waitFor({ timeout: 20_000 });
  await passes(bob, "profile");

  await bob.goto(`${freshet.http}/?q=ada`);
  await bob.getByRole("list", { name: "Channels you follow" }).locator(card(bob, "ada")).waitFor({ timeout: 20_000 });
  const search = bob.getByRole("search").first().getByRole("searchbox");
  await search.fill("nobody of that name");
  await search.press("Enter");
  await bob.getByText("Nothing that is live has this in it").waitFor({ timeout: 20_000 });
  await bob.goto(`${freshet.http}/following`);
  await card(bob, "ada").waitFor({ timeout: 20_000 });
  await passes(bob, "following");
});

then("a profile and a picture are changed, and others see them", async () => {
  await ada.goto(`${freshet.http}/settings`);
  await ada.getByLabel("Display name").fill("Ada Lovelace");
  await ada.getByRole("button", { name: "Save" }).click();
  await heard(ada, "Saved.");
  const png = await ada.evaluate(async () => {
    const canvas = new OffscreenCanvas(300, 200);
    canvas.getContext("2d").fillRect(0, 0, 300, 200);
    return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
  });
  await ada.getByTestId("picture-file").setInputFiles({ name: "ada.png", mimeType: "image/png", buffer: Buffer.from(png) });
  await ada.getByRole("button", { name: "Use it" }).click();
  await heard(ada, "Your picture is changed.");
  await passes(ada, "settings");
  await bob.goto(`${freshet.http}/u/ada`);
  await bob.getByRole("heading", { name: "Ada Lovelace", level: 1 }).waitFor({ timeout: 20_000 });
  await until("a picture", 20_000, () => bob.evaluate(() => [...document.images].some(({ complete, naturalWidth }) => complete && naturalWidth === 256)));
});

then("a colour that is chosen goes with the name in chat", async () => {
  await ada.goto(`${freshet.http}/settings`);
  await ada.getByTitle("Teal").click();
  const before = await logInAs("ada");
  await settles("the colour", "#12a594", async () => (await freshet.api("GET", "/api/me", undefined, before.access_token)).color);
  // A token says what was so when it was made.
  const { access_token: token } = await logInAs("ada");
  await freshet.api("POST", "/api/streams/ada/chat", { text: "in teal" }, token);
  const { events } = await freshet.api("GET", "/api/streams/ada/chat");
  assert.deepEqual(events.map(({ text, user }) => [text, user.color]), [["in teal", "#12a594"]]);
});

then("one session is ended, with its access token, and the others go on", async () => {
  const { access_token } = await logInAs("ada");
  await ada.reload();
  const sessions = ada.getByTestId("session");
  await until("the sessions", 20_000, async () => (await sessions.count()) > 1);
  const all = await sessions.count();
  // The one that was seen last, but for this one.
  await sessions.nth(1).getByRole("button", { name: "Log out" }).click();
  await until("one less", 20_000, async () => (await sessions.count()) === all - 1);
  await until("its token to be refused", 20_000, () => freshet.api("GET", "/api/me", undefined, access_token).then(() => false, (error) => error.message.includes(" 401 ")));
  await ada.getByText("This one", { exact: true }).waitFor();
});

then("logging out everywhere ends the session of another browser", async () => {
  const elsewhere = await newPage(browser, { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true });
  await elsewhere.goto(`${freshet.http}/login`);
  await enter(elsewhere, "User name or e-mail", "ada", "Log in");
  await elsewhere.getByRole("button", { name: "ada, your account" }).waitFor({ timeout: 20_000 });
  await settles("a page as wide as the phone", 390, () => elsewhere.evaluate(() => document.documentElement.scrollWidth));
  await ada.reload();
  await until("its session", 20_000, async () => (await ada.getByTestId("session").count()) > 1);
  await ada.getByRole("button", { name: "Log out everywhere" }).click();
  await ada.getByText("Log in to see this page.").waitFor({ timeout: 20_000 });
  await elsewhere.getByRole("banner").getByRole("button", { name: "Log in" }).waitFor({ timeout: 40_000 });
  await elsewhere.context().close();
});

test("the first administrator comes in by the link, once, and sets a password", async () => {
  const admin = await newPage(browser);
  await admin.goto(`${freshet.http}/login#link=${freshet.info.admin_link}`);
  await admin.getByLabel("New password").fill(PASSWORD);
  await settles("an address without the link", "", () => new URL(admin.url()).hash);
  await admin.getByRole("button", { name: "Set the password" }).click();
  await admin.getByRole("button", { name: "Change the password" }).waitFor({ timeout: 20_000 });
  await admin.getByRole("button", { name: /your account/ }).click();
  await admin.getByRole("menuitem", { name: "Admin" }).waitFor({ timeout: 20_000 });
  await passes(admin, "menu");
  await admin.context().close();
  const late = await newPage(browser);
  await late.goto(`${freshet.http}/login#link=${freshet.info.admin_link}`);
  await late.getByText("This link can’t be used").waitFor({ timeout: 20_000 });
  await late.context().close();
});

then("who may register is what the form says, and what is wrong stands at its field", async () => {
  const token = (await freshet.api("POST", "/api/auth/login", { username: "admin", password: PASSWORD })).access_token;
  const [page, form] = [await newPage(browser), (page) => page.getByRole("main").locator("form")];
  const at = async (registration, hash = "") => {
    await freshet.api("PUT", "/api/admin/registration", { registration }, token);
    await page.goto("about:blank");
    await page.goto(`${freshet.http}/signup${hash}`);
  };
  const wrong = (label, words) => until(`${words} at ${label}`, 20_000, async () => (await form(page).getByLabel(label).and(page.locator("[aria-invalid=true]")).count()) === 1 && (await form(page).getByRole("alert").innerText()).includes(words));
  await at("closed", "#invite=fin_none");
  await page.getByText("not even with an invitation").waitFor({ timeout: 20_000 });
  assert.equal(await form(page).count(), 0);
  await at("invite", "#invite=fin_none");
  await form(page).getByLabel("Invitation").waitFor({ timeout: 20_000 });
  await enter(page, "User name", "eve", "Sign up");
  await wrong("Invitation", "neither used up nor out of date");
  const { invite } = await freshet.api("POST", "/api/admin/invites", { uses: 1, seconds: 600 }, token);
  await at("invite", `#invite=${invite}`);
  await enter(page, "User name", "ada", "Sign up");
  await wrong("User name", "That name is taken");
  await enter(page, "User name", "eve", "Sign up");
  await page.getByTestId("stream-key").waitFor({ timeout: 20_000 });
  await freshet.api("PUT", "/api/admin/registration", { registration: "open" }, token);
  await page.context().close();
});

then("no page asks anybody but its own server, nor fails", () => {
  const own = new URL(freshet.http).host;
  assert.deepEqual([[...ada.hosts], [...bob.hosts]], [[own], [own]]);
  // A thumbnail of a stream that is starting, and whatever was asked with a session that has ended, are refused.
  const faults = [...ada.faults, ...bob.faults].filter((fault) => !fault.startsWith("Failed to load resource"));
  assert.deepEqual(faults, []);
});
